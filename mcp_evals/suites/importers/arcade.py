"""Suites of arcade-evals as ours, under the arcade convention: the same transcripts get the same numbers.

Critics stand on the expected calls where that says the same, else, like all that our words cannot hold, under the case's
`metadata.arcade`. A case that no suite file can hold is left out and named. Knows no interpreter and no arcade.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, JsonValue, ValidationError

from mcp_evals.conversation import Message, ToolDefinition
from mcp_evals.errors import UsageError
from mcp_evals.model import Model
from mcp_evals.scoring.arcade_critics import ArcadeNone
from mcp_evals.scoring.arcade_evaluation import ArcadeRubric
from mcp_evals.suite import Case, Rubric, Suite
from mcp_evals.suites.importers.arcade_file import TIMEOUT_S, run_arcade_file
from mcp_evals.suites.importers.arcade_words import (
    LeftOut,
    Said,
    WrittenExpectation,
    first_complaint,
    our_rubric,
    said_by_us,
    shared_settings,
)
from mcp_evals.suites.messages import MessageError, as_list, as_object, read_message
from mcp_evals.text import fold_tool_name, shorten


class ArcadeImport(NamedTuple):
    """What an eval file came to."""

    suites: tuple[Suite, ...]
    """One for each of its suites; comparative cases are a suite of their own, because they have tracks instead of tools."""
    left_out: tuple[str, ...]
    """Cases that no suite file can hold, and why."""


def read_arcade_suites(file: Path, python: Path, timeout_s: float = TIMEOUT_S) -> ArcadeImport:
    """The suites of an eval file, which is run by the interpreter `python`.

    Raises:
        NotFoundError: there is no such file or interpreter.
        UsageError: the interpreter has no arcade-evals, the file raises, hangs or makes no suite.
    """
    return arcade_suites(run_arcade_file(file, python, timeout_s))


def arcade_suites(exported: Mapping[str, Any]) -> ArcadeImport:
    """The suites in what `arcade_export` wrote.

    Raises:
        UsageError: a suite's tools or rubric are none.
    """
    try:
        export = _Export.model_validate(exported)
    except ValidationError as error:
        raise UsageError(f"arcade's suites cannot be read: {first_complaint(error)}") from error
    taken: set[str] = set()
    suites: list[Suite] = []
    left_out: list[str] = []
    for found in export.suites:
        writing = _Writing(found, export.version)
        plain, compared = writing.plain(), writing.compared()
        if plain or not compared:
            suites.append(writing.suite(_unique(found.name, taken, "suite"), plain, {"tools": found.tools}))
        if compared:
            name = f"{found.name} (tracks)" if plain else found.name
            suites.append(writing.suite(_unique(name, taken, "suite"), compared, {"tracks": found.tracks}))
        left_out += writing.left_out
    return ArcadeImport(tuple(suites), tuple(left_out))


# --- what the export says


class _Asked(Model):
    name: str
    left_out: str | None = None
    system_message: Any = None
    user_message: Any = None
    additional_messages: Any = None
    rubric: dict[str, Any] = Field(default_factory=dict[str, Any])


class _Case(_Asked, WrittenExpectation):
    """A case."""


class _Comparative(_Asked):
    tracks: dict[str, WrittenExpectation] = Field(default_factory=dict[str, WrittenExpectation])


class _Parameter(Model):
    value: JsonValue = None
    unwritable: str | None = None


class _Suite(Model):
    name: str
    system_message: str | None = None
    strict_mode: bool = True
    rubric: dict[str, Any]
    tools: tuple[ToolDefinition, ...]
    tracks: dict[str, tuple[ToolDefinition, ...]]
    parameters: dict[str, dict[str, _Parameter]]
    cases: tuple[_Case, ...]
    comparative: tuple[_Comparative, ...]


class _Export(Model):
    version: str | None
    suites: tuple[_Suite, ...]


# --- writing ours


class _Writing:
    """Writes the cases of one suite."""

    def __init__(self, found: _Suite, version: str | None) -> None:
        self.left_out: list[str] = []
        self._found, self._version = found, version
        self._rubric = our_rubric(found.rubric)

    def suite(self, name: str, cases: Sequence[Case], tools: dict[str, Any]) -> Suite:
        fields: dict[str, Any] = {
            "name": name,
            "system": self._found.system_message or None,
            **{key: value for key, value in tools.items() if value},
            # arcade's own choices where its command line says nothing else.
            "rubric": Rubric.model_validate({**(self._rubric or {"convention": "arcade"}), "over_trials": "last"}),
            "defaults": {"trials": 1},
            "metadata": {"arcade": {"version": self._version, "strict_mode": self._found.strict_mode}},
            "cases": tuple(cases),
        }
        return Suite.model_validate({key: value for key, value in fields.items() if value is not None})

    def plain(self) -> list[Case]:
        """The cases that run on the suite's own tools."""
        taken: set[str] = set()
        cases: list[Case] = []
        for read in self._found.cases:
            try:
                cases.append(self._plain(read, taken))
            except LeftOut as error:
                self._leave_out(read, error)
        return cases

    def compared(self) -> list[Case]:
        """The cases that run on tracks."""
        taken: set[str] = set()
        cases: list[Case] = []
        for read in self._found.comparative:
            try:
                cases += self._on_tracks(read, taken)
            except LeftOut as error:
                self._leave_out(read, error)
        return cases

    def _leave_out(self, read: _Asked, why: LeftOut) -> None:
        self.left_out.append(f'case "{read.name}" of "{self._found.name}": {why}')

    def _plain(self, read: _Case, taken: set[str]) -> Case:
        said = said_by_us(read, self._rubric_of(read))
        return self._case(read, taken, {"expect": {"calls": said.calls}}, said.settings, [said])

    def _on_tracks(self, read: _Comparative, taken: set[str]) -> list[Case]:
        """One case with an expectation for each track; one for each track where a track needs settings of its own."""
        rubric = self._rubric_of(read)
        said = {track: said_by_us(expected, rubric) for track, expected in read.tracks.items()}
        skipped = {track: {"skip": True} for track in self._found.tracks}
        shared = shared_settings(list(said.values()))
        if shared is not None:
            by_track = {**skipped, **{track: {"expect": {"calls": found.calls}} for track, found in said.items()}}
            return [self._case(read, taken, {"by_track": by_track}, shared, list(said.values()))]
        return [
            self._case(
                read.model_copy(update={"name": f"{read.name} ({track})"}),
                taken,
                {
                    "expect": {"calls": found.calls},
                    "by_track": {other: skip for other, skip in skipped.items() if other != track},
                },
                found.settings,
                [found],
            )
            for track, found in said.items()
        ]

    def _rubric_of(self, read: _Asked) -> ArcadeRubric:
        if read.left_out is not None:
            raise LeftOut(read.left_out)
        try:
            return ArcadeRubric.model_validate(read.rubric)
        except ValidationError as error:
            raise LeftOut(f"its rubric: {first_complaint(error)}") from None

    def _case(
        self, read: _Asked, taken: set[str], expect: dict[str, Any], settings: dict[str, Any], said: Sequence[Said]
    ) -> Case:
        rubric = our_rubric(read.rubric)
        signatures = self._signatures(said, self._rubric_of(read))
        if signatures:
            settings = {**settings, "signatures": signatures}
        try:
            settings = json.loads(json.dumps(settings, allow_nan=False))
        except ValueError:
            raise LeftOut("a number in it is NaN or infinite") from None
        fields = {
            "user": _text(read.user_message, "user message"),
            "history": _history(read.additional_messages) or None,
            "system": None if read.system_message == self._found.system_message else read.system_message,
            **expect,
            "rubric": rubric if rubric and rubric != self._rubric else None,
            "metadata": {"arcade": {"version": self._version, **settings}},
        }
        given = {key: field for key, field in fields.items() if field is not None}
        try:
            case = Case.model_validate({"id": "case", **given})
        except ValidationError as error:
            raise LeftOut(first_complaint(error)) from None
        return case.model_copy(update={"id": _unique(read.name, taken, "case")})

    def _signatures(self, said: Sequence[Said], rubric: ArcadeRubric) -> dict[str, dict[str, JsonValue]]:
        """Python tools whose calls arcade changes where a critic looks: it fills in defaults and drops what is no parameter."""
        fields = {critic.field for found in said for critic in found.critics if not isinstance(critic, ArcadeNone)}
        expected = {fold_tool_name(call.tool) for found in said for call in found.calls}
        gated = rubric.fail_on_tool_selection and rubric.fail_on_tool_call_quantity
        changing: dict[str, dict[str, JsonValue]] = {}
        for tool, parameters in self._found.parameters.items():
            # With both gates, calls of other tools never come as far as a critic.
            if gated and fold_tool_name(tool) not in expected:
                continue
            looked_at = {name: default for name, default in parameters.items() if name in fields}
            unwritable = next((default.unwritable for default in looked_at.values() if default.unwritable), None)
            if unwritable:
                raise LeftOut(f"a parameter of {tool}: {unwritable}")
            if len(looked_at) < len(fields) or any(default.value is not None for default in looked_at.values()):
                changing[tool] = {name: default.value for name, default in looked_at.items()}
        return changing


# --- what is asked


def _history(messages: Any) -> list[Message]:
    history: list[Message] = []
    for message in as_list(messages):
        try:
            said = read_message(as_object(message))
        except MessageError as error:
            raise LeftOut(f"a message before it {error}") from None
        if said.left_out:
            raise LeftOut(f"a message before it has content of the kind {said.left_out[0]}")
        history += said.messages
    return history


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise LeftOut(f"its {what} is no text: {shorten(json.dumps(value), 60)}")
    return value


def _unique(name: str, taken: set[str], otherwise: str) -> str:
    """The name as an id that no other has."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in name).split())[:180] or otherwise
    found, number = clean, 1
    while found in taken:
        number += 1
        found = f"{clean} ({number})"
    taken.add(found)
    return found
