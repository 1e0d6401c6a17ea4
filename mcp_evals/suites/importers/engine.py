"""Cases of the agent engine harness: `id`, `category`, `input`, `expected`, as JSON, JSON lines or YAML."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field, JsonValue

from mcp_evals.errors import InvalidFileError, Problem
from mcp_evals.model import Model
from mcp_evals.suite import Case, Id, Suite
from mcp_evals.suites.documents import form_of, json_lines, open_file, read_document
from mcp_evals.suites.messages import as_list, as_object
from mcp_evals.suites.places import Place, first_problems, place_text
from mcp_evals.suites.problems import checked


def read_engine_cases(path: Path) -> Suite:
    """The cases of a file as a suite of the file's name: a category is a tag, what is expected are gates.

    Raises:
        NotFoundError: there is no such file.
        UsageError: its name does not say how it is written.
        InvalidFileError: something in it is wrong; all problems at once.
    """
    reading = _Reading(path)
    if form_of(path) == "jsonl":
        reading.take_lines()
    else:
        reading.take_document()
    if reading.problems:
        raise InvalidFileError(first_problems(reading.problems))
    return Suite(name=path.stem, cases=tuple(reading.cases.values()))


class _Expected(Model):
    must_call_tools: tuple[str, ...] | None = None
    must_not_call_tools: tuple[str, ...] | None = None
    output_must_contain: tuple[str, ...] | None = None
    max_tokens: int | None = Field(default=None, ge=0)


class _EngineCase(Model):
    id: Id
    category: str | None = None
    input: dict[str, JsonValue]
    expected: _Expected | None = None


class _Reading:
    """Takes in a file, case by case."""

    def __init__(self, path: Path) -> None:
        self.cases: dict[str, Case] = {}
        self.problems: list[Problem] = []
        self._path = path

    def take_lines(self) -> None:
        with open_file(self._path) as file:
            for line in json_lines(file, str(self._path)):
                if line.problem is not None:
                    self.problems.append(line.problem)
                else:
                    number = line.number
                    self._take(line.value, (), lambda _, number=number: number)

    def take_document(self) -> None:
        document = read_document(self._path)
        inside = isinstance(document.value, dict)
        listed: Any = as_object(document.value).get("cases") if inside else document.value
        if not isinstance(listed, list):
            self.problems.append(Problem('must be a list of cases, or {"cases": [...]}', file=str(self._path)))
        for index, value in enumerate(as_list(listed)):
            self._take(value, (*(("cases",) if inside else ()), index), document.places.line_of)

    def _take(self, value: Any, place: Place, line_of: Callable[[Place], int]) -> None:
        read, wrong = checked(_EngineCase, value)
        found = [(complaint.place, complaint.message) for complaint in wrong]
        if read is not None and read.id in self.cases:
            found.append((("id",), f'"{read.id}" is already the id of another case; choose another'))
        elif read is not None:
            self.cases[read.id] = _case(read)
        for inner, message in found:
            whole = (*place, *inner)
            self.problems.append(Problem(message, place_text(whole), line_of(whole), str(self._path)))


def _case(read: _EngineCase) -> Case:
    fields: dict[str, Any] = {"id": read.id, "input": read.input}
    if read.category:
        fields["tags"] = [read.category]
    if read.expected is not None:
        fields["expect"] = _gates(read.expected)
    return Case.model_validate(fields)


def _gates(expected: _Expected) -> dict[str, Any]:
    gates = {
        "require": expected.must_call_tools,
        "forbid": expected.must_not_call_tools,
        "text": [{"contains": text} for text in expected.output_must_contain or ()],
        # Zero is a bound too.
        "limits": None if expected.max_tokens is None else {"output_tokens": expected.max_tokens},
    }
    return {name: gate for name, gate in gates.items() if gate}
