"""What a subject must not see: expectations of holdout cases, and of cases that are handed out and not yet answered.

Answers for an agent pass through here. What is shown nevertheless is remembered, so that a later self-evaluation can say so.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

from pydantic import JsonValue

from mcp_evals.answers import RunAnswer, SuiteView, TrialAnswer
from mcp_evals.errors import NotPermittedError
from mcp_evals.model import Model, digest
from mcp_evals.results import Comparison, ComparisonTable, Run
from mcp_evals.suite import Case, Suite
from mcp_evals.workspace.comparisons import Comparisons
from mcp_evals.workspace.feedback import reveal_of
from mcp_evals.workspace.suites import REVEAL_LIMIT as CASES
from mcp_evals.workspace.suites import Suites
from mcp_evals.workspace.transcripts import Transcripts

SELF: Final = "self"
"""Target of runs in which the agent that asks is the subject."""
HOLDOUT: Final = "holdout"
"""Tag of cases whose expectations are never shown."""
_ASKED: Final = frozenset(
    {"id", "description", "tags", "user", "turns", "scenario", "input", "history", "system", "tools"}
)
"""What may be shown of a case; of its turns only what the user says."""
_NEVER: Final = "holdout, never shown"


class _Known(NamedTuple):
    digest: str
    suite: Suite


class Withheld(Suites, Transcripts, Comparisons):
    """Keeps expectations from a subject that has not answered yet."""

    _last_suite: _Known | None = None

    async def get_suite(
        self,
        suite: str,
        *,
        tag: str | None = None,
        search: str | None = None,
        case: str | None = None,
        offset: int = 0,
        limit: int = CASES,
    ) -> SuiteView:
        """A page of a suite's cases, or one case whole; without the expectations that are withheld.

        Raises:
            NotFoundError: no such suite, tag or case.
        """
        ready = (await self.library.ready(suite)).suite
        why = self._why_withheld(ready)
        if search and why:
            # What is found by words of an expectation tells the expectation.
            every = await super().get_suite(suite, tag=tag, case=case, limit=len(ready.cases))
            view = _found(every, why, search, offset, limit)
        else:
            view = await super().get_suite(suite, tag=tag, search=search, case=case, offset=offset, limit=limit)
        cases = {case.id: case for case in ready.cases}
        self._remember_shown(suite, [cases[line.id] for line in view.cases if line.id not in why])
        lines = tuple(
            line.model_copy(update={"expects": f"(withheld: {why[line.id]})"}) if line.id in why else line
            for line in view.cases
        )
        whole = view.case
        if isinstance(whole, dict) and whole.get("id") in why:
            whole = _asked(whole)
        return view.model_copy(update={"cases": lines, "case": whole})

    def for_subject(self, answer: Model) -> Model:
        """The answer without what is withheld from a subject."""
        if isinstance(answer, RunAnswer):
            return self._run_for_subject(answer)
        if isinstance(answer, TrialAnswer) and answer.run_id is not None:
            return self._trial_for_subject(answer, answer.run_id)
        if isinstance(answer, ComparisonTable) and answer.comparisons:
            return self._table_for_subject(answer)
        return answer

    async def _to_score(self, suite: str | None, case: str | None, expect: Any) -> tuple[Suite, Case]:
        found_suite, found = await super()._to_score(suite, case, expect)
        if expect is None:
            why = self._why_withheld(found_suite).get(found.id)
            if why is not None:
                raise NotPermittedError(
                    f'what case "{found.id}" expects is withheld ({why}); '
                    + (
                        f'take_case(suite="{suite}", case="{found.id}") hands it out to be scored on it'
                        if why == _NEVER
                        else "answer that attempt with score_transcript(attempt_id=…)"
                    )
                )
            self._remember_shown(found_suite.name, [found])
        return found_suite, found

    # --- what is withheld

    def _why_withheld(self, suite: Suite) -> dict[str, str]:
        """Why, by the id of the case."""
        attempts = {case_id: f"open as attempt {attempt}" for case_id, attempt in self._open_cases(suite)}
        return attempts | {case.id: _NEVER for case in suite.cases if HOLDOUT in case.tags}

    def _open_cases(self, suite: Suite) -> Iterator[tuple[str, str]]:
        """Cases of the suite as it is that are handed out and not answered, each with its attempt."""
        for run in self.store.runs(suite=suite.name, target=SELF, limit=100):
            if run.status in {"working", "interrupted"} and run.suite_digest == suite.digest:
                for attempt_id, attempt in self.store.documents(f"attempt/{run.id}").items():
                    if isinstance(attempt, dict) and not attempt.get("done"):
                        yield str(attempt["case_id"]), attempt_id

    # --- answers

    def _run_for_subject(self, answer: RunAnswer) -> RunAnswer:
        run = self.store.run(answer.run_id)
        if not answer.failures or run.target == SELF:
            return answer
        why = self._why_of_run(run)
        self._remember(answer.suite, answer.run_id, {failed.case for failed in answer.failures} - why.keys())
        failures = tuple(
            failed.model_copy(update={"reason": f"(withheld: {why[failed.case]})"}) if failed.case in why else failed
            for failed in answer.failures
        )
        return answer.model_copy(update={"failures": failures})

    def _trial_for_subject(self, answer: TrialAnswer, run_id: str) -> TrialAnswer:
        run = self.store.run(run_id)
        why = self._why_of_run(run).get(answer.case)
        if why is None:
            if run.target != SELF:  # of its own answers a subject is told what was allowed
                self._remember(run.suite, run_id, {answer.case})
            return answer
        if run.target == SELF:
            raise NotPermittedError(f'what came of case "{answer.case}" is not told ({why})')
        # The transcript of a model that is right would give it away too.
        return answer.model_copy(
            update={"calls": (), "checks": (), "transcript": None, "reason": f"(withheld: {why})", "next_step": ""}
        )

    def _table_for_subject(self, table: ComparisonTable) -> ComparisonTable:
        runs = [self.store.run(run_id) for run_id in table.runs]
        why = {case_id: reason for run in runs for case_id, reason in self._why_of_run(run).items()}
        of_self = any(run.target == SELF for run in runs)
        untold = any(run.target == SELF and reveal_of(run) != "full" for run in runs)

        def without(comparison: Comparison) -> Comparison:
            sides = {
                side: tuple(
                    changed.model_copy(update={"reason": None}) if untold or changed.case in why else changed
                    for changed in getattr(comparison, side)
                    if not (of_self and why.get(changed.case) == _NEVER)
                )
                for side in ("better", "worse")
            }
            told = {changed.case for side in sides.values() for changed in side if changed.reason}
            self._remember(runs[0].suite, runs[0].id, told)
            return comparison.model_copy(update=sides)

        return table.model_copy(update={"comparisons": tuple(map(without, table.comparisons))})

    def _why_of_run(self, run: Run) -> dict[str, str]:
        return self._why_withheld(self._suite_of(run))

    def _suite_of(self, run: Run) -> Suite:
        """The suite that scored a run; the last one is kept, because answers come in rows."""
        if self._last_suite is None or self._last_suite.digest != run.suite_digest:
            self._last_suite = _Known(run.suite_digest, self.store.suite(run.suite_digest))
        return self._last_suite.suite

    # --- what was shown

    def _was_shown(self, suite: str, case: Case) -> bool:
        """Whether the expectation of a case was ever shown by these answers."""
        return digest(case) in self._shown_of(suite)

    def _remember(self, suite: str, run_id: str, case_ids: set[str]) -> None:
        if case_ids:
            cases = self._suite_of(self.store.run(run_id)).cases
            self._remember_shown(suite, [case for case in cases if case.id in case_ids])

    def _remember_shown(self, suite: str, cases: list[Case]) -> None:
        new = {digest(case) for case in cases} - self._shown_of(suite)
        if new:
            known = self._shown_of(suite)
            known |= new
            self.store.save_document("shown", suite, list[JsonValue](sorted(known)))

    def _shown_of(self, suite: str) -> set[str]:
        if suite not in self._shown:
            stored = self.store.documents("shown").get(suite)
            self._shown[suite] = {str(item) for item in stored} if isinstance(stored, list) else set()
        return self._shown[suite]

    @cached_property
    def _shown(self) -> dict[str, set[str]]:
        return {}


def _found(view: SuiteView, why: Mapping[str, str], search: str, offset: int, limit: int) -> SuiteView:
    """A page of the cases in which all words occur, of withheld ones in what is asked."""
    words = search.casefold().split()
    lines = [
        line
        for line in view.cases
        if all(word in f"{line.id} {line.user} {'' if line.id in why else line.expects}".casefold() for word in words)
    ]
    more = offset + limit if offset + limit < len(lines) else None
    return view.model_copy(
        update={"cases": tuple(lines[offset : offset + limit]), "total": len(lines), "next_offset": more}
    )


def _asked(case: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """A case as it stands in its file, without what is expected."""
    shown = {key: value for key, value in case.items() if key in _ASKED}
    turns = case.get("turns")
    if isinstance(turns, list):
        shown["turns"] = [{"user": turn.get("user")} for turn in turns if isinstance(turn, dict)]
    return shown
