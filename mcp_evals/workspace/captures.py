"""Captures: what was called, whatever was expected, and suites that are proposed from it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import JsonValue

from mcp_evals.conversation import EndReason, Message, ToolCall, Transcript
from mcp_evals.errors import UsageError
from mcp_evals.library import select_cases
from mcp_evals.model import Model
from mcp_evals.proposals import Proposal, propose
from mcp_evals.results import Run, RunStatus, Trial
from mcp_evals.runner import TrialEvent
from mcp_evals.suite import Case, Expect, Suite, Turn
from mcp_evals.suites.saving import write_suite
from mcp_evals.workspace.holding import Progress
from mcp_evals.workspace.runs import Runs


class CapturedTrial(Model):
    """What was done in one trial."""

    trial: int
    """Its number."""
    user: tuple[str, ...] = ()
    """The user messages."""
    calls: tuple[ToolCall, ...] = ()
    """Every call, in order, as the model made it."""
    text: str = ""
    """The final answer."""
    ended: EndReason | None = None
    """Why the conversation ended."""
    error: str | None = None
    """Why there is nothing, or not all."""


class CapturedCase(Model):
    """All trials of one case."""

    case: str
    """Name of the case."""
    system: str | None = None
    """System prompt that was in force."""
    history: tuple[Message, ...] = ()
    """Messages that the conversation started from."""
    trials: tuple[CapturedTrial, ...] = ()
    """What was done, trial by trial."""


class Capture(Model):
    """What a target called, case by case; nothing is judged."""

    run_id: str
    """The run, which holds the whole transcripts."""
    suite: str
    """Name of the suite."""
    target: str
    """What was evaluated."""
    track: str | None = None
    """The tool set, where the suite has several."""
    status: RunStatus
    """State of the run; `working`: more is to come."""
    cases: tuple[CapturedCase, ...] = ()
    """The cases, in the suite's order."""


class ProposedSuite(NamedTuple):
    """A suite that was written from a capture."""

    path: Path
    """Its file."""
    proposals: dict[str, Proposal | None]
    """By case, what was proposed; None where the case's own expectation was kept or nothing was captured."""


class Captures(Runs):
    """Records what a target does, and proposes what to expect."""

    async def capture_suite(
        self,
        suite: str | Path,
        target: str,
        *,
        track: str | None = None,
        cases: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        settings: Mapping[str, Any] | None = None,
        wait_s: float | None = 20.0,
        progress: Progress | None = None,
        on_event: Callable[[TrialEvent], None] | None = None,
    ) -> Capture:
        """Run a suite to see what the target calls; expectations are not needed, and where there are some only their
        stubs count.

        Raises:
            UsageError: the request cannot be carried out; nothing was started and nothing spent.
        """
        run_id = await self.start_run(
            suite, target, track=track, cases=cases, tags=tags, settings=settings, on_event=on_event
        )
        await self.get_run(run_id, wait_s=wait_s, progress=progress)
        return self.capture_of(run_id)

    def capture_of(self, run_id: str) -> Capture:
        """What was called in any run, past or going on.

        Raises:
            NotFoundError: no such run.
        """
        run = self.store.run(run_id)
        suite = self._on_its_track(run)
        trials = _by_case(self.store.trials(run.id))
        cases = tuple(
            CapturedCase(
                case=case.id,
                system=suite.system_of(case),
                history=case.history,
                trials=tuple(_captured(trial) for trial in trials[case.id]),
            )
            for case in suite.cases
            if case.id in run.case_ids
        )
        return Capture(
            run_id=run.id, suite=run.suite, target=run.target, track=run.track, status=run.status, cases=cases
        )

    def capture_case(self, run_id: str, case: str, trial: int | None = None) -> tuple[Case, Proposal]:
        """A case as it was run, with what to expect of it by all its trials, or by one.

        Raises:
            NotFoundError: no such run, case or trial.
            UsageError: nothing was captured of it.
        """
        run = self.store.run(run_id)
        suite = self._on_its_track(run)
        (found,) = select_cases(suite, [case])
        trials = [self.store.trial(run.id, case, trial)] if trial is not None else self.store.trials(run.id, case)
        return _proposed(suite, found, _whole(trials))

    def capture_to_suite(self, run_id: str, path: Path, *, anew: bool = False) -> ProposedSuite:
        """Write the cases of a run as a suite of their own, with what to expect by what was captured.

        A case that says already which calls it expects keeps its expectation, unless all are to be made `anew`. What
        was proposed, and how sure that is, stands in the metadata of each case.

        Raises:
            NotFoundError: no such run.
            UsageError: there is such a file, or nothing was captured.
        """
        run = self.store.run(run_id)
        if path.exists():
            raise UsageError(f"{path} exists; choose another name")
        suite = self._on_its_track(run)
        transcripts = {case: _whole(trials) for case, trials in _by_case(self.store.trials(run.id)).items()}
        if not any(transcripts.values()):
            raise UsageError(f"run {run.id} has no trial that an expectation could be made of")
        proposals: dict[str, Proposal | None] = {}
        cases: list[Case] = []
        for case in (case for case in suite.cases if case.id in run.case_ids):
            captured = transcripts.get(case.id)
            if captured and (anew or not _expects_calls(case)):
                proposed, proposals[case.id] = _proposed(suite, case, captured)
                cases.append(_with_origin(proposed, run, proposals[case.id]))
            else:
                proposals[case.id] = None
                cases.append(case)
        write_suite(suite.model_copy(update={"name": path.stem, "tracks": {}, "cases": tuple(cases)}), path)
        return ProposedSuite(path, proposals)

    def _on_its_track(self, run: Run) -> Suite:
        return self.store.suite(run.suite_digest).on_track(run.track)


def _by_case(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    found: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        found[trial.case_id].append(trial)
    return found


def _whole(trials: Iterable[Trial]) -> list[Transcript]:
    """The conversations that came to their end."""
    return [trial.transcript for trial in trials if trial.transcript is not None and trial.error is None]


def _captured(trial: Trial) -> CapturedTrial:
    said = trial.transcript or Transcript()
    return CapturedTrial(
        trial=trial.index,
        user=tuple(invocation.user for invocation in said.invocations),
        calls=said.trajectory,
        text=said.final_text,
        ended=said.ended,
        error=trial.error.message if trial.error else None,
    )


def _expects_calls(case: Case) -> bool:
    return any(expect.calls is not None for expect in (case.expect, *(turn.expect for turn in case.turns)))


def _proposed(suite: Suite, case: Case, transcripts: Sequence[Transcript]) -> tuple[Case, Proposal]:
    """The case with its proposal, turn by turn where it has several."""
    tools = suite.tools_of(case)
    if not case.turns:
        proposal = propose(transcripts, tools)
        return case.model_copy(update={"expect": _merged(case.expect, proposal.expect)}), proposal
    turns: list[Turn] = []
    notes: list[str] = []
    for index, turn in enumerate(case.turns):
        reached = [
            said.model_copy(update={"invocations": (said.invocations[index],)})
            for said in transcripts
            if len(said.invocations) > index
        ]
        if not reached:
            notes.append(f"turns[{index}]: never reached, since nobody answered the calls before it")
            turns.append(turn)
            continue
        part = propose(reached, tools)
        notes += [f"turns[{index}]: {note}" for note in part.notes]
        turns.append(turn.model_copy(update={"expect": _merged(turn.expect, part.expect)}))
    whole = propose(transcripts, tools)
    return case.model_copy(update={"turns": tuple(turns)}), whole._replace(expect=case.expect, notes=tuple(notes))


def _merged(own: Expect, proposed: Expect) -> Expect:
    """What was expected already, with the calls of the proposal."""
    changes = {name: getattr(proposed, name) for name in proposed.model_fields_set}
    kept = {name: getattr(own, name) for name in own.model_fields_set - {"calls", "order", "credit"}}
    return Expect(**{**kept, **changes})


def _with_origin(case: Case, run: Run, proposal: Proposal | None) -> Case:
    if proposal is None:
        return case
    captured: dict[str, JsonValue] = {
        "run": run.id,
        "target": run.target,
        "trials": proposal.trials,
        "alike": proposal.alike,
        "notes": list(proposal.notes),
    }
    return case.model_copy(update={"metadata": {**case.metadata, "captured": captured}})
