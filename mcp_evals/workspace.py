"""One method for each thing that a user can ask. The MCP server and the command line are doors to it.

Knows no MCP and no terminal. A run belongs to the workspace, not to the call that started it: the call may end, be
cancelled or time out, and the run goes on; what it held is stored trial by trial.
"""

import logging
import os
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import anyio
from anyio import CancelScope, CapacityLimiter, Event, to_thread
from anyio.abc import TaskGroup
from pydantic import JsonValue, ValidationError

from mcp_evals.answers import (
    LastRun,
    LintLine,
    RunAnswer,
    RunLine,
    RunList,
    SuiteLine,
    SuiteList,
    SuiteView,
    TargetLine,
    TargetList,
    ToolLine,
    ToolsAnswer,
    TrialAnswer,
)
from mcp_evals.compare import RunData, compare_runs, loosened, noise_of, plan_sentence, value_of
from mcp_evals.conversation import Usage
from mcp_evals.errors import (
    EvalsError,
    InvalidFileError,
    LimitError,
    NotFoundError,
    NotPermittedError,
    OverBudgetError,
    Problem,
    StoreError,
    UsageError,
    did_you_mean,
)
from mcp_evals.library import Library, on_track, select_cases
from mcp_evals.limits import Meter, estimate_cost, price_usd
from mcp_evals.live_tools import write_snapshot
from mcp_evals.results import ComparisonTable, Metric, Outcome, Run, RunSettings, RunSummary, TargetSpec, Trial
from mcp_evals.runner import Job, Planned, TrialEvent, hold_trials, plan_trials, score_trial
from mcp_evals.settings import Settings
from mcp_evals.store import Store
from mcp_evals.stubs import StubToolbox
from mcp_evals.suite import Case, Expect, Suite
from mcp_evals.suites.importers.transcripts import ReadTranscript, read_transcript, without_history
from mcp_evals.summary import summarize
from mcp_evals.targets.base import Target
from mcp_evals.targets.open import open_target
from mcp_evals.targets.recorded import RecordedTarget, RecordedTrial, read_recording
from mcp_evals.text import shorten
from mcp_evals.tool_lint import lint_tools, token_cost
from mcp_evals.views import case_line, run_answer, trial_answer

if TYPE_CHECKING:
    from mcp_evals.adaptive import AdaptiveRecord  # brings numpy

logger = logging.getLogger(__name__)

ADAPTIVE: Final = "adaptive"
"""Kind of the documents that keep adaptive comparisons; their ids are the two runs, joined."""
STORE_FILE: Final = "mcp-evals.sqlite"
MAX_WAIT_S: Final = 50.0
"""A call that waits longer may outlast a client that gives up after 60 s."""
HEARTBEAT_S: Final = 10.0
REVEAL_LIMIT: Final = 20
"""Cases that one page of a suite shows."""
FINDINGS: Final = 30
"""Lint findings that an answer names."""
DESCRIPTION: Final = 100
"""Characters of a tool's description that a list shows."""

_NOTHING: Final = Outcome("", 0, "errored", None)
_TOO_FEW: Final = "a comparison needs two: give two targets, one target and two tracks, or two runs"

Progress = Callable[[int, int, str], Awaitable[None]]
"""Told about once a second: trials done, trials planned, the latest trial in words."""
Action = Literal["cancel", "resume", "rerun_errored", "rescore", "label"]


class _Active:
    """A run that this process holds."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done, self.latest = total, done, ""
        self.scope = CancelScope()
        self.finished = Event()
        self.by_user = False

    def hear(self, event: TrialEvent, on_event: Callable[[TrialEvent], None] | None) -> None:
        self.done += 1
        self.latest = f"{event.case_id} {event.verdict}"
        if on_event is not None:
            on_event(event)


class _Opened(NamedTuple):
    """A target, and how many trials of a case it can give where that is bounded."""

    target: Target
    trials: int | None


class _Side(NamedTuple):
    """One of the two runs of an adaptive comparison."""

    job: Job
    active: _Active
    on_event: Callable[[TrialEvent], None] | None

    async def hold(self, store: Store, slots: CapacityLimiter, planned: Planned) -> None:
        job = self.job._replace(planned=[planned])
        await hold_trials(job, store, slots, lambda event: self.active.hear(event, self.on_event))


class _Pairs:
    """Holds the two sides of a case at once; the first run leads, the second lives as long."""

    def __init__(self, sides: Sequence[_Side], store: Store, slots: CapacityLimiter, record: "AdaptiveRecord") -> None:
        self._sides, self._store, self._slots, self._record = sides, store, slots, record
        self._missing = [{(trial.case.id, trial.index): trial for trial in side.job.planned} for side in sides]
        self._over = Event()
        self._ended: str | None = "the other side of the comparison was cut off"

    async def lead(self) -> None:
        """Hold pairs until the comparison wants no more.

        Raises:
            LimitError: it ended before that.
        """
        from mcp_evals.adaptive import hold_pairs  # brings numpy

        window = max(1, min(4, self._sides[0].job.run.settings.max_concurrency // 2))
        try:
            self._ended = (await hold_pairs(self._record, self._pair, window=window, save=self._save)).ended
        finally:
            self._over.set()
        await self.follow()

    async def follow(self) -> None:
        """Wait for the end.

        Raises:
            LimitError: it came before the answer.
        """
        await self._over.wait()
        if self._ended is not None:
            raise LimitError(self._ended, kind="budget")

    def _save(self, record: "AdaptiveRecord") -> None:
        self._store.save_document(ADAPTIVE, record.id, record.model_dump(mode="json"))

    async def _pair(self, case: str, index: int) -> tuple[float | None, float | None]:
        if any(side.active.by_user for side in self._sides):
            raise LimitError("the comparison was cancelled", kind="cancelled")
        refused: list[LimitError] = []

        async def hold(side: _Side, planned: Planned) -> None:
            try:
                await side.hold(self._store, self._slots, planned)
            except LimitError as error:
                refused.append(error)

        async with anyio.create_task_group() as group:
            for side, missing in zip(self._sides, self._missing, strict=True):
                if (case, index) in missing:
                    group.start_soon(hold, side, missing[case, index])
        if refused:
            raise refused[0]
        baseline, candidate = (self._value(side, case, index) for side in self._sides)
        return baseline, candidate

    def _value(self, side: _Side, case: str, index: int) -> float | None:
        trial = self._store.trial(side.job.run.id, case, index)
        return value_of(trial.verdict, trial.score.score if trial.score else None, self._record.metric)


class Workspace:
    """The user's suites, runs and targets."""

    def __init__(self, settings: Settings, tasks: TaskGroup, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self.library = Library(settings)
        self._tasks = tasks
        self._environ = environ
        self._slots = CapacityLimiter(settings.limits.max_concurrency)
        self._active: dict[str, _Active] = {}

    @cached_property
    def store(self) -> Store:
        """The store, opened when first asked for."""
        return Store.open(self.settings.data / STORE_FILE)

    # --- suites and targets

    def list_suites(self) -> SuiteList:
        """Every suite, broken ones with their problems."""
        lines: list[SuiteLine] = []
        for entry in self.library.entries():
            suite = entry.loaded.suite if entry.loaded else None
            tags: dict[str, int] = {}
            for tag in (tag for case in suite.cases for tag in case.tags) if suite else ():
                tags[tag] = tags.get(tag, 0) + 1
            lines.append(
                SuiteLine(
                    name=entry.name,
                    cases=len(suite.cases) if suite else 0,
                    description=suite.description if suite else "",
                    tags=tags,
                    tracks=tuple(suite.tracks) if suite else (),
                    last_run=self._last_run(entry.name),
                    problems=tuple(str(problem) for problem in entry.problems),
                    built_in=self.library.is_built_in(entry),
                )
            )
        return SuiteList(suites=tuple(lines), folders=tuple(str(folder) for folder in self.settings.suites))

    async def get_suite(
        self,
        suite: str,
        *,
        tag: str | None = None,
        search: str | None = None,
        case: str | None = None,
        offset: int = 0,
        limit: int = REVEAL_LIMIT,
    ) -> SuiteView:
        """A page of a suite's cases, or one case whole.

        Raises:
            NotFoundError: no such suite, tag or case.
        """
        ready = (await self.library.ready(suite)).suite
        chosen = select_cases(ready, [case] if case else None, [tag] if tag else None)
        if search:
            words = search.casefold().split()
            lines = [(found, case_line(found)) for found in chosen]
            chosen = tuple(
                found
                for found, line in lines
                if all(word in f"{line.id} {line.user} {line.expects}".casefold() for word in words)
            )
        page = chosen[offset : offset + limit]
        whole: JsonValue = None
        if case:
            whole = chosen[0].model_dump(mode="json", exclude_defaults=True)
        return SuiteView(
            name=ready.name,
            description=ready.description,
            digest=ready.digest,
            tools=tuple(tool.name for tool in ready.tools_of(chosen[0] if chosen else ready.cases[0])),
            tracks=tuple(ready.tracks),
            total=len(chosen),
            cases=tuple(case_line(found) for found in page),
            next_offset=offset + limit if offset + limit < len(chosen) else None,
            case=whole,
        )

    def list_targets(self) -> TargetList:
        """What can be evaluated here, and what is missing for the rest. Keys are named, never shown."""
        lines = [
            self._built_in_target("openai", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
            self._built_in_target("anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
        ]
        for name, provider in self.settings.providers.items():
            has_key = provider.key_env is None or bool(self._environ.get(provider.key_env))
            note = f"{provider.kind} endpoint of the configuration" + ("" if has_key else f"; set {provider.key_env}")
            spec = name if provider.kind == "engine" else f"{name}:MODEL"
            lines.append(TargetLine(target=spec, ready=has_key, note=note))
        lines += [
            TargetLine(target=f"recorded:{path}", ready=True, note="recording of a real model, no key needed")
            for path in self._recordings()
        ]
        lines.append(TargetLine(target="run:RUN_ID", ready=True, note="the transcripts of a past run, scored again"))
        return TargetList(targets=tuple(sorted(lines, key=lambda line: not line.ready)))

    async def inspect_tools(self, server: str, snapshot: Path | None = None) -> ToolsAnswer:
        """Tools of a configured MCP server: cost in tokens and lint; written down where a path is given.

        Raises:
            NotFoundError: the configuration names no such server.
            TargetError: the server does not answer as it should.
        """
        tools = await self.library.server_tools(server)
        cost = token_cost(tools)
        findings = lint_tools(tools)
        if snapshot is not None:
            write_snapshot(snapshot, tools, server)
        return ToolsAnswer(
            server=server,
            total_tokens=cost.total_tokens,
            tools=tuple(
                ToolLine(name=each.tool, tokens=each.tokens, description=shorten(tool.description, DESCRIPTION))
                for each, tool in zip(cost.tools, tools, strict=True)
            ),
            findings=tuple(
                LintLine(severity=found.severity, tool=found.tool, message=found.message)
                for found in findings[:FINDINGS]
            ),
            more_findings=max(0, len(findings) - FINDINGS),
            snapshot=str(snapshot) if snapshot else None,
        )

    # --- runs

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
        run_settings = self._run_settings(settings or {})
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

    def summary(self, run_id: str) -> tuple[RunSummary, Sequence[Outcome]]:
        """Everything that a run came to, and the outcomes that it is made of."""
        run = self.store.run(run_id)
        suite = self.store.suite(run.suite_digest).on_track(run.track)
        outcomes = self.store.outcomes(run.id)
        return summarize(run, suite, outcomes, self.store.judge_cost(run.id)), outcomes

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

    async def compare_models(
        self,
        suite: str | Path | None = None,
        targets: Sequence[str] = (),
        *,
        tracks: Sequence[str | None] = (),
        runs: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        cases: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        metric: Metric = "passed",
        margin: float = 0.05,
        adaptive: bool = False,
        wait_s: float | None = 20.0,
        progress: Progress | None = None,
        on_event: Callable[[TrialEvent], None] | None = None,
    ) -> ComparisonTable:
        """Compare targets, tracks or past runs on the same cases; the first is the baseline.

        Runs that are there already, finished or at work, are taken as they are; so asking again is free and goes on
        waiting. New runs go on at the same time, trial by trial, so that the time of day hits all of them. With
        `adaptive` two sides are held pair by pair, until the answer is clear; asking again takes it up where it was.

        Raises:
            UsageError: nothing to compare, or a run cannot be started.
        """
        if len(targets) * max(1, len(tracks)) + len(runs) < 2:
            raise UsageError(_TOO_FEW)
        ids = [self.store.run(run).id for run in runs]
        known = self._adaptive_record(ids) if not targets else None
        if known is not None or (adaptive and not targets):
            if known is None:
                raise UsageError("these runs are no adaptive comparison; give the suite and two targets to start one")
            return await self._adaptive_answer(known, wait_s, progress, on_event, settings or {}, again=adaptive)
        if targets:
            if suite is None:
                raise UsageError("name the suite on which the targets are to be compared")
            await self._check_arms(suite, targets, tracks, cases, tags)
            if adaptive:
                arms = [(target, track) for target in targets for track in tracks or (None,)]
                if len(arms) != 2 or ids:
                    raise UsageError(
                        "an adaptive comparison is of exactly two: two targets, or one target on two tracks"
                    )
                given = settings or {}
                record = await self._start_adaptive(suite, arms, cases, tags, given, metric, margin)
                return await self._adaptive_answer(record, wait_s, progress, on_event, given, again=True)
            for target in targets:
                for track in tracks or (None,):
                    given = (suite, target, track, cases, tags, settings or {})
                    ids.append(await self._run_for(*given, on_event=on_event))
        if len(set(ids)) < 2:
            raise UsageError(_TOO_FEW)
        await self._wait_for(ids, wait_s, progress)
        data = self._run_data(ids)
        working = [found.run.id for found in data if found.run.status == "working"]
        if working:
            return await self._still_working(data)
        table = await to_thread.run_sync(partial(compare_runs, data, metric=metric, margin=margin))
        return self._with_notes(table, data)

    async def plan_comparison(
        self,
        suite: str | Path,
        targets: Sequence[str],
        trials: int | None = None,
        *,
        tags: Sequence[str] | None = None,
        effect: float = 0.10,
    ) -> str:
        """What gap a comparison of these targets could show, and what more would take; nothing is run.

        From past runs of these targets on the suite as it is today where there are any, else from defaults.
        """
        ready = (await self.library.ready(suite)).suite
        chosen = select_cases(ready, None, tags)
        return await self._plan(
            ready.name,
            ready.digest,
            [str(TargetSpec.parse(target)) for target in targets],
            len(chosen),
            trials or ready.defaults.trials or default_trials(len(chosen)),
            effect=effect,
        )

    def run_data(self, run_id: str) -> RunData:
        """A run with what it was scored with, for a comparison."""
        return self._run_data([run_id])[0]

    # --- scoring without a model

    async def score_transcript(
        self,
        transcript: JsonValue,
        *,
        suite: str | None = None,
        case: str | None = None,
        expect: Mapping[str, Any] | None = None,
    ) -> TrialAnswer:
        """Score what anybody did: against a case of a suite, or against an expectation given here.

        Raises:
            InvalidFileError: the transcript is in no known form, or the expectation is wrong.
            UsageError: nothing to score against.
        """
        read = read_transcript(transcript)
        scored_suite, scored_case = await self._to_score(suite, case, expect)
        trial = self.score_read(scored_suite, scored_case, read)
        return trial_answer(scored_case, trial, form=read.form)

    def score_read(self, suite: Suite, case: Case, read: ReadTranscript) -> Trial:
        """Score a transcript that was read from somewhere."""
        # Message lists are handed in whole; what the case begins with is not what the subject did.
        transcript = without_history(read.transcript, case.history)
        score = score_trial(case, suite, transcript, suite.tools_of(case))
        return Trial(case_id=case.id, index=0, transcript=transcript, score=score, usage=transcript.usage)

    async def open_probe(self, target: str) -> Target:
        """A target outside any run, for one look at it; the caller closes it."""
        return (await self._open(TargetSpec.parse(target), self._run_settings({}))).target

    # --- inside

    def _built_in_target(self, name: str, key: str, url: str) -> TargetLine:
        ready = bool(self._environ.get(key))
        at = f", at {url}" if self._environ.get(url) else ""
        return TargetLine(
            target=f"{name}:MODEL", ready=ready, note=f"{key} is set{at}" if ready else f"set {key} to use it"
        )

    def _recordings(self) -> list[str]:
        found: list[str] = []
        for folder in self.settings.folders:
            paths = sorted(folder.glob("recordings/*.jsonl")) if folder.is_dir() else []
            found += [path.stem if self._is_demo(path) else str(path.relative_to(folder)) for path in paths]
        return found

    def _is_demo(self, path: Path) -> bool:
        return path.is_relative_to(self.settings.folders[-1])

    def _recording(self, name: str) -> Path:
        """A recording by name or path, below a suite folder.

        Raises:
            NotFoundError: there is none.
            NotPermittedError: the path leads out of the suite folders.
        """
        for folder in self.settings.folders:
            for candidate in (folder / name, folder / "recordings" / f"{name}.jsonl"):
                if candidate.is_file():
                    if not candidate.resolve().is_relative_to(folder.resolve()):
                        raise NotPermittedError(f"{name} lies outside the suite folders; move it below one of them")
                    return candidate
        outside = Path(name)
        if outside.is_file() and any(outside.resolve().is_relative_to(f.resolve()) for f in self.settings.folders):
            return outside
        raise NotFoundError(f'no recording "{name}"{did_you_mean(name, self._recordings())}')

    async def _open(self, spec: TargetSpec, settings: RunSettings) -> _Opened:
        if spec.provider == "recorded":
            recording = await to_thread.run_sync(read_recording, self._recording(spec.model or ""))
            return _recorded(recording.trials)
        if spec.provider == "run":
            run = self.store.run(spec.model or "")
            return _recorded(
                RecordedTrial(case=trial.case_id, trial=trial.index, transcript=trial.transcript)
                for trial in self.store.trials(run.id)
                if trial.transcript is not None
            )
        provider = self.settings.provider(spec.provider)
        # The provider's library takes a second to load; the server answers others meanwhile.
        return _Opened(
            await to_thread.run_sync(partial(open_target, spec, provider, settings, environ=self._environ)), None
        )

    def _run_settings(self, given: Mapping[str, Any]) -> RunSettings:
        limits = self.settings.limits
        defaults: dict[str, Any] = {"max_concurrency": limits.max_concurrency}
        defaults |= {"max_cost_usd": limits.max_cost_usd, "max_calls": limits.max_calls}
        try:
            return RunSettings.model_validate({**defaults, **{k: v for k, v in given.items() if v is not None}})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    def _check_budget(self, suite: str, target: str, cases: Sequence[Case], settings: RunSettings) -> None:
        trials = sum(settings.trials * case.phrasings for case in cases)
        if settings.max_calls is not None and trials > settings.max_calls:
            raise OverBudgetError(
                f"{trials} trials need at least {trials} model calls and the cap is {settings.max_calls}; "
                "raise max_calls, or run fewer cases or trials"
            )
        expected = estimate_cost(trials, self.store.past_cost(suite, target))
        if settings.max_cost_usd is not None and expected is not None and expected > settings.max_cost_usd:
            raise OverBudgetError(
                f"about ${expected:.2f} for {trials} trials, by what past trials cost, and the cap is "
                f"${settings.max_cost_usd:.2f}; raise max_cost_usd, or run fewer cases or trials"
            )

    def _launch(
        self,
        run: Run,
        suite: Suite,
        target: Target,
        planned: Sequence[Planned],
        on_event: Callable[[TrialEvent], None] | None,
    ) -> None:
        job, active = self._claim(run, suite, target, planned)

        async def work() -> None:
            await hold_trials(job, self.store, self._slots, lambda event: active.hear(event, on_event))

        self._tasks.start_soon(self._hold, job, active, work)

    def _claim(self, run: Run, suite: Suite, target: Target, planned: Sequence[Planned]) -> tuple[Job, _Active]:
        if not self.store.claim(run.id):
            raise UsageError(f"run {run.id} is being held by another process; wait for it, or cancel it there")
        on_track = suite.on_track(run.track)
        total = sum(run.settings.trials * case.phrasings for case in on_track.cases if case.id in run.case_ids)
        active = self._active[run.id] = _Active(total, total - len(planned))
        provider = TargetSpec.parse(run.target).provider
        job = Job(
            run=run,
            suite=on_track,
            planned=planned,
            target=target,
            tools=on_track.tools_of,
            toolbox=_stubbed,
            meter=Meter(run.settings.max_cost_usd, run.settings.max_calls),
            price=partial(price_usd, provider) if self._is_own_endpoint(provider) else _unknown_price,
        )
        return job, active

    def _is_own_endpoint(self, provider: str) -> bool:
        """Whether the provider's own prices hold: another endpoint of its kind asks its own."""
        return provider not in self.settings.providers and not self._environ.get(f"{provider.upper()}_BASE_URL")

    async def _hold(self, job: Job, active: _Active, work: Callable[[], Awaitable[None]]) -> None:
        run_id = job.run.id
        # What ends in no way below was cut off with the whole workspace.
        status, error = "interrupted", None
        try:
            with active.scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._beat, run_id)
                    try:
                        await work()
                        status = "completed"
                    except LimitError as found:
                        status, error = "cancelled", str(found)
                    except StoreError as found:
                        status, error = "failed", str(found)
                    except Exception as found:
                        logger.exception("run %s broke", run_id)
                        status, error = "failed", f"{type(found).__name__}: {found}"
                    group.cancel_scope.cancel()
            if active.by_user:
                status = "cancelled"
        finally:
            with CancelScope(shield=True):
                await self._finish(job, active, status, error)

    async def _finish(self, job: Job, active: _Active, status: str, error: str | None) -> None:
        try:
            await job.target.aclose()
        except Exception:
            logger.exception("the target of run %s could not be closed", job.run.id)
        try:
            if status != "interrupted":
                self.store.update_run(job.run.id, status=status, error=error, finished_at=datetime.now(UTC))
            self.store.release(job.run.id)
        except EvalsError:
            logger.exception("the end of run %s could not be written", job.run.id)
        finally:
            self._active.pop(job.run.id, None)
            active.finished.set()

    async def _beat(self, run_id: str) -> None:
        while True:
            await anyio.sleep(HEARTBEAT_S)
            try:
                self.store.heartbeat(run_id)
            except StoreError:
                # The next trial tells whether the store is broken; a missed beat alone stops nothing.
                logger.exception("run %s could not say that it is alive", run_id)

    async def _wait(self, active: _Active, wait_s: float | None, progress: Progress | None) -> None:
        deadline = anyio.current_time() + wait_s if wait_s is not None else float("inf")
        told = -1
        while not active.finished.is_set() and anyio.current_time() < deadline:
            with anyio.move_on_after(min(1.0, deadline - anyio.current_time())):
                await active.finished.wait()
            if progress is not None and active.done > told:
                told = active.done
                await progress(active.done, active.total, active.latest)

    async def _check_arms(
        self,
        suite: str | Path,
        targets: Sequence[str],
        tracks: Sequence[str | None],
        cases: Sequence[str] | None,
        tags: Sequence[str] | None,
    ) -> None:
        """Look at every side, so that nothing is spent on the first where the last cannot be had."""
        ready = (await self.library.ready(suite)).suite
        for track in tracks:
            select_cases(on_track(ready, track), cases, tags)
        for target in targets:
            await (await self.open_probe(target)).aclose()

    async def _run_for(
        self,
        suite: str | Path,
        target: str,
        track: str | None,
        cases: Sequence[str] | None,
        tags: Sequence[str] | None,
        settings: Mapping[str, Any],
        *,
        on_event: Callable[[TrialEvent], None] | None,
    ) -> str:
        """A run of these cases that is there already, else a new one."""
        ready = (await self.library.ready(suite)).suite
        wanted = tuple(case.id for case in select_cases(on_track(ready, track), cases, tags))
        asked = {key: value for key, value in settings.items() if value is not None and not key.startswith("max_")}
        stopped_early = self._in_adaptive()
        for run in self.store.runs(suite=ready.name, target=str(TargetSpec.parse(target)), limit=50):
            if run.id in stopped_early:
                continue
            same = (run.suite_digest, run.track, run.case_ids) == (ready.digest, track, wanted)
            alike = all(getattr(run.settings, key) == value for key, value in asked.items())
            if same and alike and (run.status == "completed" or run.id in self._active):
                return run.id
        return await self.start_run(
            suite, target, track=track, cases=cases, tags=tags, settings=settings, on_event=on_event
        )

    async def _wait_for(self, ids: Sequence[str], wait_s: float | None, progress: Progress | None) -> None:
        deadline = None if wait_s is None else anyio.current_time() + wait_s
        held = {run_id: self._active[run_id] for run_id in ids if run_id in self._active}

        async def tell(_done: int, _total: int, latest: str) -> None:
            if progress is not None:
                done, total = (sum(getattr(active, name) for active in held.values()) for name in ("done", "total"))
                await progress(done, total, latest)

        for active in held.values():
            left = None if deadline is None else max(0.0, deadline - anyio.current_time())
            await self._wait(active, left, tell)

    async def _still_working(self, data: Sequence[RunData]) -> ComparisonTable:
        done = sum(len(found.outcomes) for found in data)
        total = sum(_planned(found) for found in data)
        first = data[0].run
        targets = [found.run.target for found in data]
        plan = await self._plan(first.suite, first.suite_digest, targets, len(first.case_ids), first.settings.trials)
        return ComparisonTable(
            status="working",
            sentence=f"Not finished: {done} of {total} trials are done; a verdict before the end would mislead.",
            runs=tuple(found.run.id for found in data),
            done=done,
            total=total,
            next_step=f"call compare_models again with runs={[found.run.id for found in data]} and wait_s=50. {plan}",
        )

    async def _plan(
        self, suite: str, digest: str, targets: Sequence[str], cases: int, trials: int, *, effect: float = 0.10
    ) -> str:
        costs = [self.store.past_cost(suite, target).mean_cost_usd for target in targets]
        known = [cost for cost in costs if cost is not None]
        past = [
            next((run.id for run in self.store.runs(suite, target) if _is_past(run, digest)), None)
            for target in targets[:2]
        ]
        held = self._run_data([run_id for run_id in past if run_id is not None])

        def said() -> str:
            return plan_sentence(
                cases,
                trials,
                noise=noise_of(held[0], held[1]) if len(held) == 2 and past[0] != past[1] else None,
                cost_usd=sum(known) if known and len(known) == len(costs) else None,
                effect=effect,
            )

        return await to_thread.run_sync(said)

    def _run_data(self, ids: Sequence[str]) -> list[RunData]:
        """Runs with their outcomes; a suite that several share is read once."""
        suites: dict[str, Suite] = {}
        found: list[RunData] = []
        for run_id in ids:
            run = self.store.run(run_id)
            if run.suite_digest not in suites:
                suites[run.suite_digest] = self.store.suite(run.suite_digest)
            found.append(RunData(run, suites[run.suite_digest].on_track(run.track), self.store.outcomes(run.id)))
        return found

    def _with_notes(self, table: ComparisonTable, data: Sequence[RunData]) -> ComparisonTable:
        """What a reader has to know beyond the runs: that a baseline asked for more, that a run was stopped early."""
        stopped_early = self._in_adaptive()
        notes = [
            f"run {found.run.id} was stopped when its answer was clear; its numbers are probably overstated"
            for found in data
            if found.run.id in stopped_early
        ]
        baseline = data[0].run
        entries = self.library.entries() if baseline.label is not None else ()
        today = next((entry.loaded.suite for entry in entries if entry.name == baseline.suite and entry.loaded), None)
        # Where the candidate was run on today's suite, the comparison has said it.
        if today and today.digest not in {found.run.suite_digest for found in data}:
            lines = loosened(data[0].suite, today.on_track(baseline.track if baseline.track in today.tracks else None))
            notes += [f"today's suite asks less than the baseline's: {line}" for line in lines]
        if not notes:
            return table
        first, *others = table.comparisons
        first = first.model_copy(update={"notes": (*first.notes, *notes)})
        return table.model_copy(update={"comparisons": (first, *others)})

    # --- adaptive

    def _adaptive_record(self, ids: Sequence[str]) -> "AdaptiveRecord | None":
        from mcp_evals.adaptive import AdaptiveRecord, document_id  # brings numpy

        try:
            return AdaptiveRecord.model_validate(self.store.document(ADAPTIVE, document_id(ids)))
        except NotFoundError:
            return None

    def _in_adaptive(self) -> set[str]:
        return {run_id for both in self.store.documents(ADAPTIVE) for run_id in both.split("+")}

    async def _start_adaptive(
        self,
        suite: str | Path,
        arms: Sequence[tuple[str, str | None]],
        cases: Sequence[str] | None,
        tags: Sequence[str] | None,
        settings: Mapping[str, Any],
        metric: Metric,
        margin: float,
    ) -> "AdaptiveRecord":
        """The stored comparison of these targets, else a new one, of which nothing is held yet."""
        from mcp_evals.adaptive import adaptive_plan, adaptive_record  # brings numpy

        ready = (await self.library.ready(suite)).suite
        chosen = [select_cases(on_track(ready, track), cases, tags) for _, track in arms]
        run_settings = self._run_settings(settings)
        trials = settings.get("trials") or ready.defaults.trials
        for target, _ in arms:
            opened = await self._open(TargetSpec.parse(target), run_settings)
            await opened.target.aclose()
            if not settings.get("trials") and opened.trials:
                trials = min(trials or opened.trials, opened.trials)
        trials = trials or default_trials(len(chosen[0]))
        run_settings = run_settings.model_copy(update={"trials": trials})
        plan = await to_thread.run_sync(partial(adaptive_plan, chosen[0], trials, metric=metric, margin=margin))
        heads = [
            Run(
                id=f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}",
                suite=ready.name,
                suite_digest=ready.digest,
                track=track,
                target=str(TargetSpec.parse(target)),
                settings=run_settings,
                case_ids=tuple(case.id for case in wanted),
                created_at=datetime.now(UTC),
                notes=("held pair by pair, and stopped when the comparison was clear",),
            )
            for (target, track), wanted in zip(arms, chosen, strict=True)
        ]
        record = adaptive_record((heads[0].id, heads[1].id), chosen[0], plan, metric)
        for both in self.store.documents(ADAPTIVE):
            known = self._adaptive_record(both.split("+"))
            runs = [self.store.run(run_id) for run_id in both.split("+")]
            alike = all(
                (run.suite_digest, run.track, run.target, run.case_ids)
                == (head.suite_digest, head.track, head.target, head.case_ids)
                and _asked(run.settings) == _asked(head.settings)
                for run, head in zip(runs, heads, strict=True)
            )
            if known is not None and alike and (known.metric, known.state.plan) == (metric, plan):
                return known
        for head in heads:
            self.store.create_run(head, ready)
        self.store.save_document(ADAPTIVE, record.id, record.model_dump(mode="json"))
        return record

    async def _adaptive_answer(
        self,
        record: "AdaptiveRecord",
        wait_s: float | None,
        progress: Progress | None,
        on_event: Callable[[TrialEvent], None] | None,
        settings: Mapping[str, Any],
        *,
        again: bool,
    ) -> ComparisonTable:
        """Where it stands; what was cut off goes on, what a budget ended only where that is asked for."""
        from mcp_evals.adaptive import adaptive_table, is_over  # brings numpy

        runs = [self.store.run(run_id) for run_id in record.runs]
        idle = not any(run.status == "working" for run in runs)
        stopped = any(run.status in {"cancelled", "failed"} for run in runs)
        if idle and not await to_thread.run_sync(is_over, record) and (again or not stopped):
            await self._go_on(record, runs, on_event, settings)
        await self._wait_for(record.runs, wait_s, progress)
        data = self._run_data(record.runs)
        if any(found.run.status == "working" for found in data):
            return await self._still_working(data)
        latest = self._adaptive_record(record.runs) or record
        return await to_thread.run_sync(adaptive_table, latest, data[0], data[1])

    async def _go_on(
        self,
        record: "AdaptiveRecord",
        runs: Sequence[Run],
        on_event: Callable[[TrialEvent], None] | None,
        settings: Mapping[str, Any],
    ) -> None:
        """Hold the pairs that are still to be held: two ordinary runs, of which the first leads."""
        caps = {key: value for key, value in settings.items() if key in {"max_cost_usd", "max_calls"} and value}
        limits = runs[0].settings.model_copy(update=caps)
        # One purse for both: the cap is on the comparison.
        meter = Meter(limits.max_cost_usd, limits.max_calls)
        sides = [_Side(job._replace(meter=meter), active, on_event) for job, active in await self._claim_both(runs)]
        pairs = _Pairs(sides, self.store, self._slots, record)
        for side, work in zip(sides, (pairs.lead, pairs.follow), strict=True):
            self._tasks.start_soon(self._hold, side.job, side.active, work)

    async def _claim_both(self, runs: Sequence[Run]) -> list[tuple[Job, _Active]]:
        opened: list[Target] = []
        claimed: list[tuple[Job, _Active]] = []
        try:
            for run in runs:
                target = (await self._open(TargetSpec.parse(run.target), run.settings)).target
                opened.append(target)
                suite = self.store.suite(run.suite_digest)
                cases = [case for case in suite.on_track(run.track).cases if case.id in set(run.case_ids)]
                planned = plan_trials(cases, run.settings, self.store.done_keys(run.id, errored=False))
                claimed.append(self._claim(run, suite, target, planned))
        except BaseException:
            for job, active in claimed:
                self._active.pop(job.run.id, None)
                self.store.release(job.run.id)
                active.finished.set()
            for target in opened:
                await target.aclose()
            raise
        for run in runs:
            self.store.update_run(run.id, status="working", error=None, finished_at=None)
        return claimed

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
        for trial in list(self.store.trials(run.id)):
            if trial.transcript is None:
                continue
            case = cases[trial.case_id]
            score = score_trial(
                case, on_track, trial.transcript, on_track.tools_of(case), trial.judgements, trial.cost_usd
            )
            self.store.set_score(run.id, trial.model_copy(update={"score": score, "error": None}))
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

    def _last_run(self, suite: str) -> LastRun | None:
        if "store" not in self.__dict__ and not (self.settings.data / STORE_FILE).exists():
            return None
        found = next((run for run in self.store.runs(suite=suite, limit=5) if run.status == "completed"), None)
        if found is None:
            return None
        return LastRun(run_id=found.id, target=found.target, pass_rate=self.summary(found.id)[0].pass_rate)

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

    async def _to_score(
        self, suite: str | None, case: str | None, expect: Mapping[str, Any] | None
    ) -> tuple[Suite, Case]:
        if expect is not None:
            try:
                read = Expect.model_validate(expect)
            except ValidationError as error:
                raise InvalidFileError(
                    Problem(found["msg"], "expect." + ".".join(str(part) for part in found["loc"]))
                    for found in error.errors(include_url=False)
                ) from None
            given = Case(id=case or "transcript", user="(given with the transcript)", expect=read)
            return Suite(name="(given here)", cases=(given,)), given
        if suite is None or case is None:
            raise UsageError("nothing to score against: give `suite` and `case`, or an `expect` of your own")
        ready = (await self.library.ready(suite)).suite
        return ready, select_cases(ready, [case])[0]


@asynccontextmanager
async def open_workspace(settings: Settings, environ: Mapping[str, str] | None = None) -> AsyncGenerator[Workspace]:
    """A workspace whose runs end with the block: what is unfinished then can be resumed."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        workspace = Workspace(settings, tasks, os.environ if environ is None else environ)
        try:
            yield workspace
        except Exception as error:  # noqa: BLE001  kept and raised below, so that it leaves as itself, not in a group
            failure = error
        finally:
            tasks.cancel_scope.cancel()
    if "store" in workspace.__dict__:
        workspace.store.close()
    if failure is not None:
        raise failure


def default_trials(cases: int) -> int:
    """Trials of each case where nobody says: 5 below 50 cases, 3 below 200, else 1 (spec of the statistics, §3.6)."""
    return 5 if cases < 50 else 3 if cases < 200 else 1


def _planned(data: RunData) -> int:
    phrasings = {case.id: case.phrasings for case in data.suite.cases}
    return sum(data.run.settings.trials * phrasings.get(case_id, 1) for case_id in data.run.case_ids)


def _is_past(run: Run, digest: str) -> bool:
    return run.status == "completed" and run.suite_digest == digest


def _asked(settings: RunSettings) -> dict[str, Any]:
    """What decides a run's answers; not what it may cost or how fast it goes."""
    return settings.model_dump(exclude={"max_cost_usd", "max_calls", "max_concurrency"})


def _unknown_price(_model: str | None, _usage: Usage | None) -> None:
    return None


def _recorded(trials: Iterable[RecordedTrial]) -> _Opened:
    listed = list(trials)
    counts = Counter(trial.case for trial in listed)
    return _Opened(RecordedTarget(listed), min(counts.values(), default=None))


@asynccontextmanager
async def _stubbed(planned: Planned) -> AsyncGenerator[StubToolbox]:
    yield StubToolbox(planned.case)
