"""Cases written into the user's suite files, and trials of runs made into cases. What would be wrong is not written."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import JsonValue

from mcp_evals.answers import SavedCase
from mcp_evals.conversation import ToolDefinition
from mcp_evals.errors import InvalidFileError, NotPermittedError, Problem, UsageError, did_you_mean
from mcp_evals.suite import Case, Suite
from mcp_evals.suites.files import SuiteEntry
from mcp_evals.text import shorten
from mcp_evals.workspace.attempts import Attempts

if TYPE_CHECKING:
    from mcp_evals.suites.saving import Change

DIFF: Final = 4_000
"""Characters of a diff that an answer shows."""
_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


class _Place(NamedTuple):
    """Where a case goes."""

    path: Path
    entry: SuiteEntry | None
    """The suite that is there; None: the file is new."""


class _Proposed(NamedTuple):
    """A case that was made from a run."""

    suite: str
    case: dict[str, JsonValue]
    tools: list[JsonValue]
    notes: tuple[str, ...]
    """How sure it is."""


class Saving(Attempts):
    """Saves cases."""

    async def save_case(
        self,
        suite: str | None = None,
        case: Mapping[str, JsonValue] | None = None,
        *,
        run_id: str | None = None,
        from_case: str | None = None,
        trial: int | None = None,
        tools: Sequence[JsonValue] | None = None,
        dry_run: bool = False,
    ) -> SavedCase:
        """Write a case into a suite of the user's, in the place of the one with its id; a new suite where there is none.

        With `run_id` and `from_case` the expectation is proposed from what was called in that run, in one trial or in
        all; `case` then holds what is to be otherwise, such as another id.

        Raises:
            NotPermittedError: the suite comes with the package, or no folder for suites is configured.
            InvalidFileError: the suite would be wrong; nothing is written.
            UsageError: nothing to write, or the case cannot be written alone.
        """
        notes: tuple[str, ...] = ()
        whole = dict(case or {})
        if run_id is not None:
            proposed = self._proposed(run_id, from_case, trial)
            suite, whole, notes = suite or proposed.suite, {**proposed.case, **whole}, proposed.notes
            if tools is None and all(entry.name != suite for entry in self.library.entries()):
                tools = proposed.tools
        if suite is None or not whole:
            raise UsageError("nothing to save: give `suite` and `case`, or `run_id` and `from_case`")
        if not isinstance(whole.get("id"), str):
            raise UsageError('the case needs an `id`, such as {"id": "refund-late", "user": …, "expect": …}')
        place = self._place_of(suite, tools)
        change = self._written(place, suite, whole, tools, write=False)
        notes += await self._checked(place, suite, whole, tools)
        if not dry_run and change.diff:
            self._written(place, suite, whole, tools, write=True)
        case_id = str(whole["id"])
        return SavedCase(
            suite=suite,
            case=case_id,
            file=str(place.path),
            written=not dry_run and bool(change.diff),
            created=change.created,
            diff=shorten(change.diff, DIFF, keep_lines=True),
            notes=notes,
            next_step="the same call without dry_run writes it"
            if dry_run and change.diff
            else f'run_case(suite="{suite}", case="{case_id}", target=…) tries it',
        )

    # --- where to

    def _place_of(self, suite: str, tools: Sequence[JsonValue] | None) -> _Place:
        entries = [entry for entry in self.library.entries() if entry.name == suite]
        own = [entry for entry in entries if not self.library.is_built_in(entry)]
        if entries and not own:
            raise NotPermittedError(f'suite "{suite}" comes with the package; save the case under another suite name')
        if len(own) > 1:
            raise UsageError(f'{len(own)} files hold a suite "{suite}": {", ".join(str(entry.path) for entry in own)}')
        if own:
            if tools is not None:
                raise UsageError(f'suite "{suite}" is there and has its tools; `tools` is for a new suite')
            if own[0].loaded is None:
                raise InvalidFileError(own[0].problems)
            return _Place(own[0].path, own[0])
        if not self.settings.suites:
            raise NotPermittedError(
                "no folder for suites is configured; make a folder `evals` where the server starts, or name one with "
                "[paths] suites in mcp-evals.toml"
            )
        if not suite or set(suite) - _NAME:
            raise UsageError(f'"{suite}" is no name for a new suite; use letters, digits, - and _')
        if tools is None:
            names = [entry.name for entry in self.library.entries()]
            raise UsageError(
                f'no suite "{suite}"{did_you_mean(suite, names)} (a new one also needs `tools`, such as '
                '[{"server": NAME}] or [{"name", "description", "input_schema"}]; [] where there are none)'
            )
        return _Place(self.settings.suites[0] / f"{suite}.yaml", None)

    def _written(
        self, place: _Place, suite: str, case: Mapping[str, Any], tools: Sequence[JsonValue] | None, *, write: bool
    ) -> "Change":
        from mcp_evals.suites.saving import new_suite, save_case  # few calls need them; the server starts without

        if place.entry is not None:
            return save_case(place.path, case, write=write)
        about = {"tools": list(tools)} if tools else {}
        return new_suite(place.path, suite, about, [case], write=write)

    async def _checked(
        self, place: _Place, suite: str, case: Mapping[str, Any], tools: Sequence[JsonValue] | None
    ) -> tuple[str, ...]:
        """What the tools say against the case: mistakes are refused, what is seldom meant is told."""
        from mcp_evals.suites.validate import validate_suite  # as above

        if place.entry is not None:
            whole = (await self.library.ready(place.path)).suite
        else:
            whole = Suite.model_validate({"name": suite, "tools": list(tools or ())})
        if "extends" in case or not all(isinstance(source, ToolDefinition) for source in whole.tools):
            return ()
        found = validate_suite(whole.model_copy(update={"cases": (Case.model_validate(dict(case)),)}))
        if found.problems:
            raise InvalidFileError(_named(problem, case) for problem in found.problems)
        return tuple(str(_named(warning, case)) for warning in found.warnings)

    # --- from a run

    def _proposed(self, run_id: str, from_case: str | None, trial: int | None) -> _Proposed:
        """The case with what was called as its expectation."""
        from mcp_evals.proposals import propose  # as above

        run = self.store.run(run_id)
        if from_case is None:
            raise UsageError(f"name the case of run {run.id} with `from_case`")
        case = self._case_of(run, from_case)
        why = self._why_of_run(run).get(case.id)
        if why is not None:
            raise NotPermittedError(f'case "{case.id}" cannot be made from a run: what it expects is withheld ({why})')
        trials = [self.store.trial(run.id, case.id, trial)] if trial is not None else self.store.trials(run.id, case.id)
        transcripts = [found.transcript for found in trials if found.transcript is not None]
        suite = self._suite_of(run).on_track(run.track)
        proposal = propose(transcripts, suite.tools_of(case))
        fields = case.model_dump(mode="json", exclude_unset=True, exclude={"expect", "turns", "tools"})
        if len(case.turns) > 1:
            raise UsageError(
                f'case "{case.id}" has several turns, for which nothing is proposed; write them with `case`'
            )
        fields |= {"user": case.turns[0].user} if case.turns else {}
        fields["expect"] = proposal.expect.model_dump(mode="json", exclude_defaults=True)
        trials_of = (
            f"{proposal.trials} trials of {run.target}, of which {proposal.alike} called the same"
            if proposal.trials > 1
            else f"one trial of {run.target}"
        )
        sure = f"proposed from {trials_of}: what a model did is not yet what is right"
        return _Proposed(run.suite, fields, _written_out(suite), (sure, *proposal.notes))


def _named(problem: Problem, case: Mapping[str, Any]) -> Problem:
    """A finding whose path begins with the case's name, because the case was looked at alone."""
    return problem._replace(path=problem.path.replace("cases[0]", f'case "{case["id"]}"', 1))


def _written_out(suite: Suite) -> list[JsonValue]:
    """The tools of a suite, for another one."""
    return [tool.model_dump(mode="json", exclude_defaults=True) for tool in suite.tools]
