"""Runs, as a user asks for them: start, look, control."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from anyio import to_thread

from mcp_evals.answers import (
    RunAnswer,
    RunLine,
    RunList,
    TrialAnswer,
)
from mcp_evals.errors import (
    NotFoundError,
    UsageError,
    did_you_mean,
)
from mcp_evals.judging.asking import judge_name, questions_of
from mcp_evals.library import on_track, select_cases
from mcp_evals.results import Outcome, Run, TargetSpec
from mcp_evals.runner import TrialEvent, known_judgements, plan_trials, score_trial
from mcp_evals.simulation import NOBODY
from mcp_evals.suite import Case, Expect, Suite
from mcp_evals.views import run_answer, trial_answer
from mcp_evals.workspace.holding import Holding, Progress

_NOTHING: Final = Outcome("", 0, "errored", None)
Action = Literal["cancel", "resume", "rerun_errored", "rescore", "label"]


class Runs(Holding):
    """Starts, shows and controls runs."""

    async def run_suite(
        self,
        suite: str | Path,
        target: str,
        *,
        track: str | None = None,
        cases: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        settings: Mapping[str, Any] | None = None,
        label: str | None = None,
        wait_s: float | None = 20.0,
        progress: Progress | None = None,
        on_event: Callable[[TrialEvent], None] | None = None,
    ) -> RunAnswer:
        """Start a run and wait for it as long as `wait_s` (None: to its end); the run outlives the call.

        Raises:
            UsageError: the request cannot be carried out; nothing was started and nothing spent.
        """
        run_id = await self.start_run(
            suite, target, track=track, cases=cases, tags=tags, settings=settings, label=label, on_event=on_event
        )
        return await self.get_run(run_id, wait_s=wait_s, progress=progress)

    async def run_case(
        self,
        suite: str,
        case: str,
        target: str,
        *,
        track: str | None = None,
        settings: Mapping[str, Any] | None = None,
        wait_s: float | None = 20.0,
        progress: Progress | None = None,
    ) -> TrialAnswer | RunAnswer:
        """Run one case; its evidence, or the state of the run where it takes longer than `wait_s`."""
        given = {"trials": 1, **(settings or {})}
        run_id = await self.start_run(suite, target, track=track, cases=[case], settings=given)
        answer = await self.get_run(run_id, wait_s=wait_s, progress=progress)
        if answer.status == "working":
            return answer
        return self.get_trial(run_id, case) if answer.done else answer

    async def start_run(
        self,
        suite: str | Path,
        target: str,
        *,
        track: str | None = None,
        cases: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        settings: Mapping[str, Any] | None = None,
        label: str | None = None,
        on_event: Callable[[TrialEvent], None] | None = None,
    ) -> str:
        """Start a run and return its handle.

        Raises:
            UsageError: the request cannot be carried out; nothing was started and nothing spent.
        """
        ready = (await self.library.ready(suite)).suite
        chosen = select_cases(on_track(ready, track), cases, tags)
        spec = TargetSpec.parse(target)
        _check_track(chosen, track)
        self._check_users(chosen, spec)
        run_settings = await self._with_judge(ready, chosen, self._run_settings(settings or {}))
        opened = await self._open(spec, run_settings)
        try:
            if not (settings and settings.get("trials")):
                trials = ready.defaults.trials or opened.trials or default_trials(len(chosen))
                run_settings = run_settings.model_copy(update={"trials": trials})
            self._check_budget(ready.name, str(spec), chosen, run_settings)
            run = Run(
                id=f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}",
                suite=ready.name,
                suite_digest=ready.digest,
                track=track,
                target=str(spec),
                settings=run_settings,
                case_ids=tuple(case.id for case in chosen),
                created_at=datetime.now(UTC),
                label=label,
            )
            self.store.create_run(run, ready)
        except BaseException:
            await opened.target.aclose()
            raise
        self._launch(run, ready, opened.target, plan_trials(chosen, run_settings, set()), on_event)
        return run.id

    async def get_run(
        self,
        run_id: str,
        *,
        wait_s: float | None = 0.0,
        progress: Progress | None = None,
        offset: int = 0,
        page: int = 10,
    ) -> RunAnswer:
        """What a run came to so far; waits for its end as long as `wait_s` (None: without bound).

        Raises:
            NotFoundError: no such run.
        """
        run_id = self.store.run(run_id).id
        active = self._active.get(run_id)
        if active is not None and wait_s != 0:
            await self._wait(active, wait_s, progress)
        summary, outcomes = self.summary(run_id)
        return run_answer(summary, outcomes, offset=offset, page=page)

    def get_trial(self, run_id: str, case: str, trial: int | None = None, *, transcript: bool = False) -> TrialAnswer:
        """One trial (None: the first that did not pass) with its evidence; what was said only where it is asked for.

        Raises:
            NotFoundError: no such run, case or trial.
        """
        run = self.store.run(run_id)
        found = self._case_of(run, case)
        outcomes = [outcome for outcome in self.store.outcomes(run.id) if outcome.case_id == found.id]
        if trial is None:
            trial = min(
                outcomes, key=lambda outcome: (outcome.verdict == "passed", outcome.index), default=_NOTHING
            ).index
        if trial not in {outcome.index for outcome in outcomes}:
            there = ", ".join(str(outcome.index) for outcome in outcomes) or "none yet"
            raise NotFoundError(f'no trial {trial} of case "{case}" in run {run.id}; there is {there}')
        hint = "" if transcript else f'get_run(run_id="{run.id}", case="{case}", transcript=true) shows what was said'
        return trial_answer(
            found,
            self.store.trial(run.id, found.id, trial),
            run_id=run.id,
            transcript_fence=secrets.token_hex(6) if transcript else None,
            others=outcomes if len(outcomes) > 1 else (),
            next_step=hint,
        )

    def list_runs(self, *, suite: str | None = None, target: str | None = None, limit: int = 20) -> RunList:
        """Past runs, newest first."""
        found = self.store.runs(suite=suite, target=target, limit=limit + 1)
        return RunList(runs=tuple(self._run_line(run) for run in found[:limit]), more=len(found) > limit)

    async def control_run(
        self,
        run_id: str,
        action: Action,
        *,
        label: str | None = None,
        wait_s: float | None = 20.0,
        progress: Progress | None = None,
        on_event: Callable[[TrialEvent], None] | None = None,
    ) -> RunAnswer:
        """Cancel a run, resume it, rerun its errored trials, score it again with today's suite, or name it.

        Raises:
            UsageError: the run is not in a state for that.
        """
        run = self.store.run(run_id)
        if action == "cancel":
            await self._cancel(run)
        elif action == "rescore":
            await self._rescore(run)
        elif action == "label":
            self.store.set_label(run.id, label)
        else:
            await self._resume(run, rerun_errored=action == "rerun_errored", on_event=on_event)
        return await self.get_run(run.id, wait_s=wait_s, progress=progress)

    def _check_users(self, cases: Sequence[Case], spec: TargetSpec) -> None:
        for case in cases if spec.provider not in {"recorded", "run"} else ():
            unplayed = case.scenario is not None and case.scenario.replies is None and case.scenario.target is None
            if unplayed and self.settings.simulator is None:
                raise UsageError(f'case "{case.id}": {NOBODY}')

    async def _cancel(self, run: Run) -> None:
        active = self._active.get(run.id)
        if active is None:
            if run.status == "working":
                raise UsageError(f"run {run.id} is being held by another process; cancel it there")
            raise UsageError(f"run {run.id} is {run.status}; there is nothing to cancel")
        active.by_user = True
        active.scope.cancel()
        await active.finished.wait()

    async def _resume(self, run: Run, *, rerun_errored: bool, on_event: Callable[[TrialEvent], None] | None) -> None:
        if run.id in self._active or run.status == "working":
            raise UsageError(f"run {run.id} is still working; wait for it with get_run")
        suite = self.store.suite(run.suite_digest)
        cases = [case for case in suite.on_track(run.track).cases if case.id in set(run.case_ids)]
        done = self.store.done_keys(run.id, errored=not rerun_errored)
        planned = plan_trials(cases, run.settings, done)
        if not planned:
            what = "errored trial" if rerun_errored else "missing trial"
            raise UsageError(f"run {run.id} has no {what}; get_run shows what it came to")
        await self._check_judge(run.settings)
        opened = await self._open(TargetSpec.parse(run.target), run.settings)
        if run.id in self._active:  # another call resumed it while the target was opened
            await opened.target.aclose()
            raise UsageError(f"run {run.id} is still working; wait for it with get_run")
        run = self.store.update_run(run.id, status="working", error=None, finished_at=None)
        self._launch(run, suite, opened.target, planned, on_event)

    async def _rescore(self, run: Run) -> None:
        if run.id in self._active or run.status == "working":
            raise UsageError(f"run {run.id} is still working; wait for it with get_run")
        ready = (await self.library.ready(run.suite)).suite
        cases = {case.id: case for case in ready.on_track(run.track).cases}
        gone = [case_id for case_id in run.case_ids if case_id not in cases]
        if gone:
            raise UsageError(
                f'today\'s suite "{run.suite}" has no case "{gone[0]}", which run {run.id} holds; run it anew'
            )
        await to_thread.run_sync(self._score_again, run, ready, cases)

    def _score_again(self, run: Run, suite: Suite, cases: Mapping[str, Case]) -> None:
        on_track = suite.on_track(run.track)
        judge = None if run.settings.judge is None else judge_name(run.settings.judge, suite.judge)
        for trial in list(self.store.trials(run.id)):
            if trial.transcript is None:
                continue
            case = cases[trial.case_id]
            tools = on_track.tools_of(case)
            questions = questions_of(on_track, case, trial.transcript, tools)
            judgements = tuple(known_judgements(self.store, questions, judge, trial.judgements).values())
            score = score_trial(case, on_track, trial.transcript, tools, judgements, trial.cost_usd, trial.duration_s)
            changes = {"score": score, "judgements": judgements, "error": None}
            self.store.set_score(run.id, trial.model_copy(update=changes))
        digest = self.store.save_suite(suite)
        note = f"scored again on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC" + (
            " with a changed suite" if digest != run.suite_digest else ""
        )
        self.store.update_run(run.id, suite_digest=digest, notes=(*run.notes, note))

    def _case_of(self, run: Run, case_id: str) -> Case:
        cases = {case.id: case for case in self.store.suite(run.suite_digest).on_track(run.track).cases}
        if case_id not in cases or case_id not in run.case_ids:
            raise NotFoundError(f'no case "{case_id}" in run {run.id}{did_you_mean(case_id, run.case_ids)}')
        return cases[case_id]

    def _run_line(self, run: Run) -> RunLine:
        summary, _ = self.summary(run.id)
        return RunLine(
            run_id=run.id,
            suite=run.suite,
            target=run.target,
            track=run.track,
            status=run.status,
            pass_rate=summary.pass_rate,
            done=summary.trials.done,
            total=summary.trials.planned,
            cost_usd=summary.cost_usd,
            created_at=run.created_at,
            label=run.label,
        )


def default_trials(cases: int) -> int:
    """Trials of each case where nobody says: 5 below 50 cases, 3 below 200, else 1 (spec of the statistics, §3.6)."""
    return 5 if cases < 50 else 3 if cases < 200 else 1


def _check_track(cases: Sequence[Case], track: str | None) -> None:
    for case in cases:
        asks = [case.expect, *(turn.expect for turn in case.turns)]
        if track is None and case.by_track and not case.metrics and all(expect == Expect() for expect in asks):
            raise UsageError(
                f'case "{case.id}" expects something only on the tracks {", ".join(case.by_track)}; name one with `track`'
            )
