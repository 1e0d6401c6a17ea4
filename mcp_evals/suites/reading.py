"""Read a suite: YAML, JSON, or JSON lines with one case a line. All problems come at once.

What a case takes from elsewhere in its file is filled in here and nowhere else: `extends`, and of `defaults` the tags and
the expectation. So a loaded case says by itself what is asked and expected; how it was written stays at hand in
`LoadedSuite.written`. Opens no file.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from pydantic import ValidationError

from mcp_evals.conversation import Message
from mcp_evals.errors import InvalidFileError, Problem, did_you_mean
from mcp_evals.model import Model
from mcp_evals.suite import Case, Defaults, Rubric, Suite
from mcp_evals.suites.documents import Document, form_of, json_lines, parse_document
from mcp_evals.suites.messages import MessageError, as_list, as_object, is_foreign_message, read_message
from mcp_evals.suites.places import Place, first_problems, place_text
from mcp_evals.suites.problems import checked

INHERITED: Final = ("expect", "system", "tools", "tags", "metrics", "state", "max_steps", "by_track")
"""What a case takes from the one that it extends, where it gives none of its own; of a rubric it takes single fields."""

M = TypeVar("M", bound=Model)


class Lines(Protocol):
    """Tells where in a file things stand."""

    def line_of(self, place: Place) -> int | None:
        """Line of a value, or of what is around it."""
        ...


class LoadedSuite(NamedTuple):
    """A suite and the file that it comes from."""

    suite: Suite
    """Cases with what they take from others filled in; tools may still refer to files and servers."""
    written: Suite
    """The same as it is written."""
    path: Path
    """The file."""
    lines: Lines
    """Tells where in the file things stand."""

    def problem(self, message: str, place: Place) -> Problem:
        """Something that is wrong at a place of the file."""
        return Problem(message, place_text(place), self.lines.line_of(place), str(self.path))


def read_suite(content: bytes, path: Path) -> LoadedSuite:
    """The suite that a file with this content would hold.

    Raises:
        InvalidFileError: it is no suite; all problems at once.
    """
    form = form_of(path)
    if form == "jsonl":
        return read_suite_lines(io.BytesIO(content), path)
    return suite_of(parse_document(content, form, str(path)), path)


def suite_of(document: Document, path: Path) -> LoadedSuite:
    """The suite that a document holds.

    Raises:
        InvalidFileError: it is no suite; all problems at once.
    """
    value: Any = document.value
    if not isinstance(value, dict):
        message = "is empty" if value is None else "must be an object with the keys `name` and `cases`"
        raise InvalidFileError([Problem(message, file=str(path))])
    head = dict(as_object(value))
    cases: Any = head.pop("cases", None)
    reading = _Reading(path, document.places)
    reading.take_head(head)
    if not isinstance(cases, list | NoneType):
        reading.complain("must be a list of cases", ("cases",))
    for case in as_list(cases):
        reading.take_case(case)
    return reading.finish()


def is_head(value: Mapping[str, Any]) -> bool:
    """Whether the first line of a JSON lines file is about the suite, rather than its first case."""
    return "name" in value and "id" not in value


def read_suite_lines(file: Iterable[bytes], path: Path) -> LoadedSuite:
    """The suite in JSON lines: at first what is said of the suite, if anything, then a case in each line.

    Raises:
        InvalidFileError: it is no suite; all problems at once.
    """
    lines = _CaseLines()
    reading = _Reading(path, lines)
    first = True
    for line in json_lines(file, str(path)):
        if line.problem is not None:
            reading.problems.append(line.problem)
        elif first and is_head(as_object(line.value)):
            lines.head = line.number
            reading.take_head(line.value)
        else:
            lines.cases.append(line.number)
            reading.take_case(line.value)
        first = False
    if first:
        raise InvalidFileError([Problem("is empty", file=str(path))])
    return reading.finish()


class _CaseLines:
    """The lines of a JSON lines file: one for each case."""

    def __init__(self) -> None:
        self.head = 1
        self.cases: list[int] = []

    def line_of(self, place: Place) -> int | None:
        match place:
            case ("cases", int(index), *_) if index < len(self.cases):
                return self.cases[index]
            case _:
                return self.head


class _Reading:
    """Takes in one file piece by piece; holds no more of it than its cases."""

    def __init__(self, path: Path, lines: Lines) -> None:
        self.problems: list[Problem] = []
        self._path, self._lines = path, lines
        self._head: Suite | None = None
        self._has_head = False
        self._written: list[Case] = []
        self._cases: list[Case] = []
        self._by_id: dict[str, tuple[Place, Case | None]] = {}
        self._count = 0

    def take_head(self, value: Any) -> None:
        """What stands beside the cases."""
        self._has_head = True
        if "cases" in value:
            self.complain("belong into lines of their own, one a line", ("cases",))
        self._head = self._checked(Suite, {key: item for key, item in value.items() if key != "cases"}, ())

    def take_case(self, value: Any) -> None:
        """The next case."""
        place: Place = ("cases", self._count)
        self._count += 1
        translated, sources = self._translated(value, place)
        case = self._checked(Case, translated, place, sources)
        if case is not None:
            self._written.append(case)
            case = self._extended(case, place)
            self._cases.append(case)
        name: Any = as_object(value).get("id")
        if not isinstance(name, str):
            return
        if name in self._by_id:
            line = self._lines.line_of((*self._by_id[name][0], "id"))
            self.complain(f'"{name}" is already the id of the case in line {line}; choose another', (*place, "id"))
        else:
            self._by_id[name] = place, case

    def finish(self) -> LoadedSuite:
        """The whole.

        Raises:
            InvalidFileError: something was wrong.
        """
        if not self._has_head:
            self.take_head({"name": self._path.stem})
        if self.problems or self._head is None:
            raise InvalidFileError(first_problems(sorted(self.problems, key=lambda problem: problem.line or 0)))
        head = self._head
        cases = tuple(_with_defaults(case, head.defaults) for case in self._cases)
        return LoadedSuite(
            head.model_copy(update={"cases": cases}),
            head.model_copy(update={"cases": tuple(self._written)}),
            self._path,
            self._lines,
        )

    def complain(self, message: str, place: Place) -> None:
        """Note a problem."""
        self.problems.append(Problem(message, place_text(place), self._lines.line_of(place), str(self._path)))

    def _checked(self, model: type[M], value: Any, place: Place, history: Sequence[int] = ()) -> M | None:
        """`value` as a model, or None and complaints; `history` tells which message was translated into which."""
        found, wrong = checked(model, value)
        for complaint in wrong:
            inner = complaint.place
            if history and len(inner) > 1 and inner[0] == "history":
                inner = ("history", history[int(inner[1])], *inner[2:])
            self.complain(complaint.message, (*place, *inner))
        return found

    def _translated(self, value: Any, place: Place) -> tuple[Any, list[int]]:
        """A case with a history in which other systems' messages are ours, and where each message comes from."""
        history = as_list(as_object(value).get("history"))
        if not any(map(is_foreign_message, history)):
            return value, []
        messages: list[Any] = []
        sources: list[int] = []
        for index, message in enumerate(history):
            ours = list(self._our_messages(message, (*place, "history", index)))
            messages += ours
            sources += [index] * len(ours)
        return {**value, "history": messages}, sources

    def _our_messages(self, message: Any, place: Place) -> Iterator[Any]:
        if not is_foreign_message(message):
            yield message
            return
        try:
            said = read_message(message)
        except MessageError as error:
            self.complain(str(error), place)
            return
        if said.left_out:
            self.complain(f"there is no place for content of type {', '.join(said.left_out)}", place)
        yield from (found.model_dump(mode="json", exclude_defaults=True) for found in said.messages)

    def _extended(self, case: Case, place: Place) -> Case:
        if case.extends is None:
            return case
        _, base = self._by_id.get(case.extends, (None, None))
        if base is None:
            if case.extends not in self._by_id:
                known = [name for name, (_, found) in self._by_id.items() if found is not None]
                self.complain(
                    f'no earlier case "{case.extends}"{did_you_mean(case.extends, known)}', (*place, "extends")
                )
            return case
        if not base.all_turns:
            self.complain(f'"{base.id}" has no user message to go on from', (*place, "extends"))
            return case
        try:
            return _continued(base, case)
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            self.complain(f'with what it takes from "{base.id}": {reason}', (*place, "rubric"))
            return case


def _continued(base: Case, case: Case) -> Case:
    """`case` after the conversation of `base`, with what it does not give itself."""
    asked = tuple(Message(role="user", text=text) for text in base.user_turns())
    own = {name: getattr(case, name) for name in case.model_fields_set if name != "extends"}
    # What is different on a track belongs to the expectation that it replaces.
    given = {*own, "expect", "by_track"} if _expects(case) else {*own}
    taken = {name: getattr(base, name) for name in INHERITED if name in base.model_fields_set and name not in given}
    if base.rubric is not None:
        taken["rubric"] = Rubric.model_validate({**_set_fields(base.rubric), **_set_fields(case.rubric or Rubric())})
    # Made anew, so that nothing tells the case from one that was written out.
    return Case.model_validate({**own, **taken, "history": (*base.history, *asked, *case.history)})


def _set_fields(rubric: Rubric) -> dict[str, Any]:
    return {name: getattr(rubric, name) for name in rubric.model_fields_set}


def _with_defaults(case: Case, defaults: Defaults) -> Case:
    changes: dict[str, Any] = {}
    if not {*defaults.tags} <= {*case.tags}:
        changes["tags"] = tuple(dict.fromkeys((*defaults.tags, *case.tags)))
    if defaults.expect is not None and not _expects(case):
        changes["expect"] = defaults.expect
    return case.model_copy(update=changes) if changes else case


def _expects(case: Case) -> bool:
    """Whether the case says what is expected, if only that it is nothing."""
    return "expect" in case.model_fields_set or any("expect" in turn.model_fields_set for turn in case.turns)
