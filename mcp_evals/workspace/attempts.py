"""The agent as the subject: cases handed out without their expectation, its answers scored, feedback as far as allowed."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from pydantic import JsonValue

from mcp_evals.answers import AttemptAnswer, RunAnswer, TargetLine, TargetList, TrialAnswer
from mcp_evals.conversation import Transcript
from mcp_evals.errors import NotFoundError, UsageError, did_you_mean
from mcp_evals.judging.asking import questions_of
from mcp_evals.library import on_track, select_cases
from mcp_evals.loosening import loosened
from mcp_evals.model import digest
from mcp_evals.reports.text import percent
from mcp_evals.results import Outcome, Run, RunSettings, RunSummary, TargetSpec, Trial
from mcp_evals.runner import Job, Planned, known_judgements, plan_trials, score_trial
from mcp_evals.suite import Case, Suite
from mcp_evals.summary import summarize
from mcp_evals.targets.base import Target
from mcp_evals.views import first_words, run_answer, trial_answer
from mcp_evals.workspace.dialogue import Asked, Attempt, case_of, go_on, new_steps
from mcp_evals.workspace.feedback import Reveal, reveal_note, reveal_of, revealed
from mcp_evals.workspace.shared import Active
from mcp_evals.workspace.targets import Opened
from mcp_evals.workspace.withheld import HOLDOUT, SELF, Withheld

CLIENT: Final = "client"
"""Target that is the model of the client that asks."""


class ClientModel(Protocol):
    """The model of whoever calls, where it is offered."""

    def ready(self) -> bool:
        """Whether the present caller offers it."""
        ...

    def began(self, run_id: str) -> None:
        """Hear that the present caller started or resumed a run."""
        ...

    def open(self, settings: RunSettings) -> Target:
        """A target that asks it.

        Raises:
            UsageError: the present caller offers none; names the alternatives.
        """
        ...


class Attempts(Withheld):
    """Hands out cases and scores the answers."""

    client_model: ClientModel | None = None
    """Set by a door whose callers may have a model of their own."""

    def list_targets(self) -> TargetList:
        """What can be evaluated here, the agent that asks and its client's model too."""
        known = super().list_targets()
        offered = self.client_model is not None and self.client_model.ready()
        client = TargetLine(
            target=CLIENT,
            ready=offered,
            note="the model of your client, by sampling; not reproducible"
            if offered
            else "your client offers no model",
        )
        own = TargetLine(
            target=SELF, ready=True, note="you: take_case hands out a case, score_transcript takes the answer"
        )
        lines = sorted((*known.targets, client, own), key=lambda line: not line.ready)
        return TargetList(targets=tuple(lines))

    async def take_case(
        self,
        suite: str | None = None,
        *,
        run_id: str | None = None,
        case: str | None = None,
        tags: Sequence[str] | None = None,
        track: str | None = None,
        reveal: Reveal = "hints",
    ) -> AttemptAnswer:
        """Hand out the next case of a run of target `self`; without `run_id` such a run begins.

        Raises:
            UsageError: there is nothing to hand out, or the suite was changed.
        """
        if run_id is None:
            if suite is None:
                raise UsageError("name the suite to take a case from, or the run_id of a run that goes on")
            run = await self._begin(suite, case, tags, track, reveal)
        else:
            run = self._going_on(run_id)
        ready = await self._unchanged(run)
        return await self._hand_out(run, ready, self._next_attempt(run, ready, case))

    async def answer_attempt(self, attempt_id: str, transcript: JsonValue) -> AttemptAnswer | TrialAnswer:
        """Take what a subject did: ask for its next step, or score the attempt and tell as much as is allowed.

        Raises:
            UsageError: the attempt cannot be answered; nothing of it is changed.
            InvalidFileError: the transcript is in no known form.
        """
        run_id = attempt_id.strip().rpartition("-")[0]
        try:
            run = self.store.run(run_id)
        except NotFoundError:
            run = None
        if run is None or run.target != SELF:
            raise NotFoundError(f'no attempt "{attempt_id}"; take_case hands one out')
        ready = await self._unchanged(run)
        attempt = self._attempt(run, attempt_id)
        if attempt.done:
            raise UsageError(
                f'attempt {attempt_id} is answered already; take_case(run_id="{run.id}") hands out another case'
            )
        self._going_on(run.id)
        case = case_of(ready, attempt.case_id)
        from mcp_evals.suites.importers.transcripts import read_transcript, without_history  # the server starts without

        read = read_transcript(transcript)
        new = new_steps(without_history(read.transcript, case.history), attempt.steps)
        if not new:
            raise UsageError("the transcript holds nothing that you did; give your calls or your answer")
        attempt = attempt.model_copy(update={"steps": (*attempt.steps, *new)})
        asked = await go_on(attempt, run, ready)
        if isinstance(asked, Asked):
            self._keep(run, attempt_id, attempt)
            return self._asking(run, attempt_id, attempt, asked)
        trial = self._scored(run, ready, attempt, asked)
        self.store.add_trial(run.id, trial)
        attempt = attempt.model_copy(update={"done": True})
        self._keep(run, attempt_id, attempt)
        return self._feedback(run, attempt_id, attempt, case, trial, form=read.form)

    async def get_run(self, run_id: str, **more: Any) -> RunAnswer:
        """What a run came to so far; one of a subject's own with the holdout cases apart.

        Raises:
            NotFoundError: no such run.
        """
        run = self.store.run(run_id)
        if run.target != SELF:
            return await super().get_run(run_id, **more)
        return self._own_run(run, offset=more.get("offset", 0), page=more.get("page", 10))

    def get_trial(self, run_id: str, case: str, trial: int | None = None, *, transcript: bool = False) -> TrialAnswer:
        """One trial with its evidence; of a subject's own run as much as was allowed when it began.

        Raises:
            NotFoundError: no such run, case or trial.
        """
        found = super().get_trial(run_id, case, trial, transcript=transcript)
        run = self.store.run(run_id)
        return revealed(found, reveal_of(run)) if run.target == SELF else found

    # --- runs of a subject

    async def _begin(
        self, suite: str, case: str | None, tags: Sequence[str] | None, track: str | None, reveal: Reveal
    ) -> Run:
        ready = (await self.library.ready(suite)).suite
        chosen = select_cases(on_track(ready, track), [case] if case else None, tags)
        chosen = tuple(found for found in chosen if found.all_turns or found.scenario)
        if not chosen:
            raise UsageError(f'suite "{suite}" has only cases for an engine, which have no message to be answered')
        run = Run(
            id=f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}",
            suite=ready.name,
            suite_digest=ready.digest,
            track=track,
            target=SELF,
            settings=RunSettings(),
            case_ids=tuple(found.id for found in chosen),
            created_at=datetime.now(UTC),
            notes=(
                reveal_note(reveal),
                *self._loosened_since(ready, track),
            ),
        )
        self.store.create_run(run, ready)
        self.store.claim(run.id)
        return run

    def _loosened_since(self, suite: Suite, track: str | None) -> list[str]:
        """What is expected otherwise than at the baseline: the newest run with a label, else the first of a subject."""
        runs = self.store.runs(suite=suite.name, limit=1000)
        labelled = [run for run in runs if run.label is not None]
        own = [run for run in runs if run.target == SELF]
        baseline = (labelled or own[-1:] or [None])[0]
        if baseline is None or baseline.suite_digest == suite.digest:
            return []
        now = suite.on_track(track)
        before = self.store.suite(baseline.suite_digest)
        before = before.on_track(track) if track in {None, *before.tracks} else before
        earlier = {case.id: digest(case) for case in before.cases}
        changed = [case.id for case in now.cases if earlier.get(case.id, "") not in {"", digest(case)}]
        name = baseline.label or baseline.id
        return [f"asks less than run {name}: {line}" for line in loosened(before, now)] + (
            [f"changed since run {name}: {first_words(changed, 10)}"] if changed else []
        )

    def _going_on(self, run_id: str) -> Run:
        run = self.store.run(run_id)
        if run.target != SELF:
            raise UsageError(f"run {run.id} is of {run.target}; take_case goes on with runs that take_case began")
        if run.status not in {"working", "interrupted"}:
            raise UsageError(f'run {run.id} is {run.status}; take_case(suite="{run.suite}") begins another')
        self.store.claim(run.id)
        return run

    async def _unchanged(self, run: Run) -> Suite:
        """The suite of a run, on its track.

        Raises:
            UsageError: its file is another one today.
        """
        today = (await self.library.ready(run.suite)).suite
        if today.digest != run.suite_digest:
            raise UsageError(
                f'suite "{run.suite}" was changed since run {run.id} began, so its cases can no longer be answered; '
                f'take_case(suite="{run.suite}") begins a run on the suite as it is'
            )
        return today.on_track(run.track)

    def _next_attempt(self, run: Run, suite: Suite, case: str | None) -> tuple[str, Attempt]:
        """An attempt that was not handed out yet, or the one of the case that is asked for; else the oldest open one."""
        if case is not None and case not in run.case_ids:
            raise NotFoundError(f'no case "{case}" in run {run.id}{did_you_mean(case, run.case_ids)}')
        known = self._attempts_of(run)
        opened = {key: attempt for key, attempt in known.items() if not attempt.done}
        again = next(((key, attempt) for key, attempt in opened.items() if attempt.case_id == case), None)
        if again is not None:
            return again
        taken = {(attempt.case_id, attempt.index) for attempt in known.values()}
        planned = plan_trials(_cases(run, suite), run.settings, taken)
        wanted = next((one for one in planned if case is None or one.case.id == case), None)
        if wanted is not None:
            return self._new_attempt(run, wanted)
        if opened and case is None:
            return next(iter(opened.items()))
        what = f'case "{case}" of run {run.id} is' if case else f"all cases of run {run.id} are"
        raise UsageError(f'{what} answered; get_run(run_id="{run.id}") shows what the run came to')

    def _new_attempt(self, run: Run, planned: Planned) -> tuple[str, Attempt]:
        attempt = Attempt(
            case_id=planned.case.id,
            index=planned.index,
            phrasing=planned.phrasing,
            taken_at=datetime.now(UTC),
            shown_before=self._was_shown(run.suite, planned.case),
        )
        attempt_id = f"{run.id}-{secrets.token_hex(8)}"
        self._keep(run, attempt_id, attempt)
        return attempt_id, attempt

    def _attempts_of(self, run: Run) -> dict[str, Attempt]:
        """The oldest first."""
        stored = self.store.documents(f"attempt/{run.id}")
        read = {attempt_id: Attempt.model_validate(body) for attempt_id, body in stored.items()}
        return dict(sorted(read.items(), key=lambda item: item[1].taken_at))

    def _attempt(self, run: Run, attempt_id: str) -> Attempt:
        try:
            return Attempt.model_validate(self.store.document(f"attempt/{run.id}", attempt_id.strip()))
        except NotFoundError:
            raise NotFoundError(f'no attempt "{attempt_id}"; take_case(run_id="{run.id}") hands one out') from None

    def _keep(self, run: Run, attempt_id: str, attempt: Attempt) -> None:
        self.store.save_document(f"attempt/{run.id}", attempt_id.strip(), attempt.model_dump(mode="json"))

    # --- what a subject is told

    async def _hand_out(self, run: Run, suite: Suite, taken: tuple[str, Attempt]) -> AttemptAnswer:
        attempt_id, attempt = taken
        asked = await go_on(attempt, run, suite)
        assert isinstance(asked, Asked)  # noqa: S101  an attempt that needs no more steps is done
        case = case_of(suite, attempt.case_id)
        return self._asking(run, attempt_id, attempt, asked).model_copy(
            update={
                "system": suite.system_of(case),
                "history": tuple(message.model_dump(mode="json", exclude_defaults=True) for message in case.history),
                "tools": tuple(
                    tool.model_dump(mode="json", include={"name", "description", "input_schema"})
                    for tool in suite.tools_of(case)
                ),
            }
        )

    def _asking(self, run: Run, attempt_id: str, attempt: Attempt, asked: Asked) -> AttemptAnswer:
        last = asked.last
        return AttemptAnswer(
            attempt_id=attempt_id,
            run_id=run.id,
            suite=run.suite,
            number=self._number(run, attempt),
            total=self._planned(run),
            user=last.text if last.role == "user" else None,
            results=tuple(result.text for result in last.results),
            next_step=f'score_transcript(attempt_id="{attempt_id}", transcript={{"calls": [{{"name", "arguments"}}], '
            '"text"}): the calls that you would make now (do not run them), or your answer',
        )

    def _feedback(
        self, run: Run, attempt_id: str, attempt: Attempt, case: Case, trial: Trial, *, form: str
    ) -> AttemptAnswer | TrialAnswer:
        left = self._planned(run) - len(self.store.done_keys(run.id))
        if left == 0:
            self.store.update_run(run.id, status="completed", finished_at=datetime.now(UTC))
            self.store.release(run.id)
        next_step = (
            f'take_case(run_id="{run.id}") for the next of {left} cases'
            if left
            else f'get_run(run_id="{run.id}") shows what the run came to'
        )
        if HOLDOUT in case.tags:
            return AttemptAnswer(
                attempt_id=attempt_id,
                run_id=run.id,
                suite=run.suite,
                status="recorded",
                number=self._number(run, attempt),
                total=self._planned(run),
                next_step=next_step,
            )
        answer = trial_answer(case, trial, run_id=run.id, form=form, next_step=next_step)
        if reveal_of(run) == "full":
            self._remember_shown(run.suite, [case])
        return revealed(answer, reveal_of(run))

    def _number(self, run: Run, attempt: Attempt) -> int:
        keys = [(found.case_id, found.index) for found in self._attempts_of(run).values()]
        return keys.index((attempt.case_id, attempt.index)) + 1

    def _planned(self, run: Run) -> int:
        return sum(
            run.settings.trials * case.phrasings for case in _cases(run, self._suite_of(run).on_track(run.track))
        )

    # --- scores

    def _scored(self, run: Run, suite: Suite, attempt: Attempt, transcript: Transcript) -> Trial:
        case = case_of(suite, attempt.case_id)
        tools = suite.tools_of(case)
        # A subject is not judged by its own model; what somebody handed in for the same answer holds.
        questions = questions_of(suite, case, transcript, tools)
        judgements = tuple(known_judgements(self.store, questions, run.settings.judge).values())
        return Trial(
            case_id=case.id,
            index=attempt.index,
            phrasing=attempt.phrasing,
            transcript=transcript,
            score=score_trial(case, suite, transcript, tools, judgements),
            judgements=judgements,
            usage=transcript.usage,
            duration_s=(datetime.now(UTC) - attempt.taken_at).total_seconds(),
            started_at=attempt.taken_at,
            self_scored=True,
        )

    def _own_run(self, run: Run, *, offset: int, page: int) -> RunAnswer:
        suite = self._suite_of(run).on_track(run.track)
        apart = {case.id for case in suite.cases if HOLDOUT in case.tags and case.id in run.case_ids}
        outcomes = self.store.outcomes(run.id)
        others = [outcome for outcome in outcomes if outcome.case_id not in apart]
        answer = run_answer(
            _summary_of(run, suite, [case_id for case_id in run.case_ids if case_id not in apart], others),
            others,
            offset=offset,
            page=page,
        )
        notes = [*answer.notes, f"suite digest {run.suite_digest}", *self._shown_note(run, apart)]
        if apart:
            notes.append(_apart_line(_summary_of(run, suite, sorted(apart), outcomes, apart)))
        # A reason tells what would have been right.
        told = reveal_of(run) == "full"
        failures = tuple(failed if told else failed.model_copy(update={"reason": None}) for failed in answer.failures)
        if told:
            self._remember(run.suite, run.id, {failed.case for failed in failures})
        goes_on = run.status in {"working", "interrupted"}
        by_case = f'get_run(run_id="{run.id}", case=…) for one of them' if answer.failures else "compare it with others"
        return answer.model_copy(
            update={
                "failures": failures,
                "done": len(outcomes),
                "total": self._planned(run),
                "by_tag": {tag: share for tag, share in answer.by_tag.items() if tag != HOLDOUT},
                "notes": tuple(notes),
                "next_step": f'take_case(run_id="{run.id}") hands out the next case'
                if goes_on
                else f'{by_case}; take_case(suite="{run.suite}") begins another run, compare_models(runs=[…]) compares the two',
            }
        )

    def _shown_note(self, run: Run, apart: set[str]) -> list[str]:
        attempts = [attempt for attempt in self._attempts_of(run).values() if attempt.case_id not in apart]
        known = len({attempt.case_id for attempt in attempts if attempt.shown_before})
        if not known:
            return []
        there = len({attempt.case_id for attempt in attempts})
        line = f"these tools had shown what is expected of {known} of {there} cases before they were answered"
        return [f"{line}; judge progress by cases with the tag `{HOLDOUT}`"]

    # --- what other runs do and these do not

    async def _open(self, spec: TargetSpec, settings: RunSettings) -> Opened:
        if spec.provider == SELF:
            raise UsageError(
                "`self` is the agent that asks, and cannot be called; take_case(suite=…) hands out a case and "
                "score_transcript(attempt_id=…) takes the answer"
            )
        if spec.provider == CLIENT:
            if self.client_model is None:
                raise UsageError(
                    "`client` is the model of an MCP client, and none is connected here; name another target"
                )
            return Opened(self.client_model.open(settings), None)
        return await super()._open(spec, settings)

    def _claim(self, run: Run, suite: Suite, target: Target, planned: Sequence[Planned]) -> tuple[Job, Active]:
        claimed = super()._claim(run, suite, target, planned)
        if self.client_model is not None:
            self.client_model.began(run.id)
        return claimed

    async def _cancel(self, run: Run) -> None:
        if run.target != SELF:
            await super()._cancel(run)
            return
        if run.status not in {"working", "interrupted"}:
            raise UsageError(f"run {run.id} is {run.status}; there is nothing to cancel")
        self.store.update_run(run.id, status="cancelled", finished_at=datetime.now(UTC))
        self.store.release(run.id)

    async def _resume(self, run: Run, **how: Any) -> None:
        if run.target == SELF:
            raise UsageError(f'take_case(run_id="{run.id}") goes on with this run, as long as it is not cancelled')
        await super()._resume(run, **how)


# --- small parts


def _cases(run: Run, suite: Suite) -> list[Case]:
    return [case for case in suite.cases if case.id in set(run.case_ids)]


def _summary_of(
    run: Run, suite: Suite, case_ids: Sequence[str], outcomes: Sequence[Outcome], only: set[str] | None = None
) -> RunSummary:
    of_these = [outcome for outcome in outcomes if only is None or outcome.case_id in only]
    return summarize(run.model_copy(update={"case_ids": tuple(case_ids)}), suite, of_these)


def _apart_line(summary: RunSummary) -> str:
    """What the holdout cases came to; nothing while they could be told one by one from it."""
    count = summary.cases.planned
    if summary.run.status in {"working", "interrupted"}:
        return f"{count} holdout cases are reported apart when the run has ended, and never one by one"
    rate = percent(summary.pass_rate) if summary.pass_rate else "none scored"
    return f"holdout, apart from the numbers above and never shown: passed {rate}"
