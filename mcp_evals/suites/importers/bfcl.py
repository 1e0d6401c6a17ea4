"""Cases and recorded outputs of the Berkeley Function-Calling Leaderboard: its single-turn categories.

Two forms: JSON lines with `messages`, `tools` and `expected_calls`, also gzipped; and the files of the package
`bfcl-eval`, whose answers lie in `possible_answer/` beside the questions. A case passes only if every call is right, by
the rules of BFCL's own checker, with two exceptions. Values compare as JSON, so that an integer is right wherever a float is
asked for, and Java's and JavaScript's are JSON too, not source text; and a required argument may be left out where the
published answer says so. Knows no model and no score.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import Field, JsonValue

from mcp_evals.conversation import Invocation, Message, Role, Step, ToolDefinition, Transcript
from mcp_evals.critics import Critic, Exact, Present
from mcp_evals.errors import InvalidFileError, NotFoundError, Problem, UsageError, did_you_mean
from mcp_evals.model import Model, NonNegative
from mcp_evals.suite import Case, Expect, ExpectedCall, Id, Order, Rubric, Suite
from mcp_evals.suites.documents import JsonLine, json_lines
from mcp_evals.suites.messages import as_object, read_call, read_usage
from mcp_evals.suites.places import first_problems, place_text
from mcp_evals.suites.problems import checked

ALL_OR_NOTHING: Final = Rubric(fail_below=1.0, warn_below=1.0, tool_names="exact")
"""One wrong argument, and the case fails."""
TYPES: Final = {
    "integer": "integer", "byte": "integer", "short": "integer", "long": "integer", "bigint": "integer",
    "number": "number", "float": "number", "double": "number",
    "boolean": "boolean", "bool": "boolean",
    "array": "array", "list": "array", "tuple": "array", "arraylist": "array", "queue": "array", "stack": "array",
    "object": "object", "dict": "object", "hashmap": "object", "hashtable": "object",
}  # fmt: skip
"""JSON Schema's name of a type of BFCL, as its own handlers translate it; what is not here is a text, also `any`."""
_FORBIDDEN: Final[JsonValue] = {"optional": {"one_of": []}}
"""An argument that has to be left out, also where it repeats the default."""


def read_bfcl(path: Path, category: str | None = None) -> Suite:
    """The cases of a BFCL file, only those of one category where one is named.

    Raises:
        NotFoundError: the file, or the answers that belong to it, are not there.
        UsageError: the file has no case of that category.
        InvalidFileError: it is no file of a single-turn category; all problems at once.
    """
    rows = _read_rows(path)
    kept = [row for row in rows if category in {None, row.category}]
    if not kept:
        there = sorted({row.category for row in rows})
        raise UsageError(f'{path}: no case of category "{category}"{did_you_mean(str(category), there)}')
    name = path.name.partition(".")[0]
    return Suite(
        name=name if category is None else f"{name}-{category}",
        rubric=ALL_OR_NOTHING,
        cases=tuple(_case(row) for row in kept),
    )


def read_bfcl_outputs(path: Path) -> Iterator[tuple[str, Transcript]]:
    """Case and transcript of each recorded output: `{"id", "calls": [{"name", "arguments"}] | null, "text"}`.

    Raises:
        NotFoundError: there is no such file.
        InvalidFileError: lines that are wrong, raised when all are read.
    """
    problems: list[Problem] = []
    for line in _lines(path):
        output, wrong = _checked(_Output, line, path)
        problems += wrong
        if output is not None:
            yield output.id, output.transcript
    if problems:
        raise InvalidFileError(first_problems(problems))


# --- what stands in the files


class _Message(Model, extra="ignore"):
    role: Role
    content: str


_Arguments = dict[str, list[JsonValue]] | list[JsonValue]
"""Allowed values of each argument. A list is a slip in a published answer."""


class _Call(Model, extra="ignore"):
    name: str = Field(min_length=1)
    arguments: _Arguments


class _Row(Model, extra="ignore"):
    """A case in the form of JSON lines, into which the package's is brought."""

    id: Id
    category: str
    messages: tuple[_Message, ...]
    tools: tuple[ToolDefinition, ...]
    expected_calls: tuple[_Call, ...] | None = None
    call_order: Order = "any"
    expect_no_call: bool = False
    expect_any_call: bool = False


class _PackagedRow(Model, extra="ignore"):
    id: Id
    question: tuple[tuple[_Message, ...]]
    function: tuple[ToolDefinition, ...]


class _Answer(Model, extra="ignore"):
    id: str
    ground_truth: tuple[dict[str, _Arguments], ...]


class _MadeCall(Model, extra="ignore"):
    name: str
    arguments: JsonValue = None


class _Output(Model, extra="ignore"):
    id: str
    calls: tuple[_MadeCall, ...] | None
    text: JsonValue = None
    input_token_count: JsonValue = None
    output_token_count: JsonValue = None
    latency: NonNegative | JsonValue = Field(default=None, union_mode="left_to_right")

    @property
    def transcript(self) -> Transcript:
        said = "" if self.text is None else self.text
        step = Step(
            text=said if isinstance(said, str) else json.dumps(said, ensure_ascii=False),
            calls=tuple(read_call(call.model_dump()) for call in self.calls or ()),
            usage=read_usage({"input_tokens": self.input_token_count, "output_tokens": self.output_token_count}),
            # Categories of several turns give lists here.
            latency_s=self.latency if isinstance(self.latency, float) else None,
        )
        # What was asked stands in the case; an output does not repeat it.
        return Transcript(invocations=(Invocation(user="", steps=(step,)),), ended="calls" if step.calls else "answer")


# --- files


class _Reading:
    """Takes in a file of cases, line by line."""

    def __init__(self, path: Path) -> None:
        self.rows: dict[str, _Row] = {}
        self.problems: list[Problem] = []
        self._path = path
        self._lines = list(_lines(path))

    def take(self) -> None:
        first = as_object(self._lines[0].value) if self._lines else {}
        if "function" in first:
            self._take_package()
        elif "question" in first:
            self._complain(
                None,
                "",
                "is of a category with several turns or with tools in other files; give a file "
                "whose cases have their tools in `function`",
            )
        else:
            for line in self._lines:
                self._add(line, _checked(_Row, line, self._path))
        if not self._lines:
            self._complain(None, "", "has no case")

    def _take_package(self) -> None:
        category = re.sub(r"^BFCL_v\d+_", "", self._path.name.partition(".")[0])
        answers = None if "relevance" in category else _answers(self._path)
        for line in self._lines:
            packaged, problems = _checked(_PackagedRow, line, self._path)
            if packaged is None:
                self.problems += problems
            elif answers is not None and packaged.id not in answers:
                self._complain(line.number, "id", f'there is no answer to "{packaged.id}"')
            else:
                answer = None if answers is None else answers[packaged.id]
                self._add(line, (_unpacked(packaged, category, answer), []))

    def _add(self, line: JsonLine, read: tuple[_Row | None, list[Problem]]) -> None:
        row, problems = read
        self.problems += problems
        if row is None:
            return
        if not any(message.role != "system" for message in row.messages):
            self._complain(line.number, "messages", "nobody asks anything")
        if not (row.expected_calls or row.expect_no_call or row.expect_any_call):
            hint = "give at least one call, or `expect_no_call`, or `expect_any_call`"
            self._complain(line.number, "expected_calls", f"nothing is expected; {hint}")
        if row.id in self.rows:
            self._complain(line.number, "id", f'"{row.id}" is already the id of another case')
        self.rows[row.id] = row

    def _complain(self, line: int | None, place: str, message: str) -> None:
        self.problems.append(Problem(message, place, line, str(self._path)))


def _read_rows(path: Path) -> list[_Row]:
    reading = _Reading(path)
    reading.take()
    if reading.problems:
        raise InvalidFileError(first_problems(reading.problems))
    return list(reading.rows.values())


def _answers(path: Path) -> dict[str, tuple[_Call, ...]]:
    file = path.parent / "possible_answer" / path.name
    answers: dict[str, tuple[_Call, ...]] = {}
    problems: list[Problem] = []
    for line in _lines(file):
        answer, wrong = _checked(_Answer, line, file)
        problems += wrong
        if answer is not None:
            listed = [call for calls in answer.ground_truth for call in calls.items()]
            answers[answer.id] = tuple(_Call(name=name, arguments=arguments) for name, arguments in listed)
    if problems:
        raise InvalidFileError(first_problems(problems))
    return answers


def _unpacked(row: _PackagedRow, category: str, answer: tuple[_Call, ...] | None) -> _Row:
    return _Row(
        id=row.id,
        category=category,
        messages=row.question[0],
        tools=tuple(
            ToolDefinition(
                name=_plain_name(tool.name), description=tool.description, input_schema=_schema(tool.input_schema)
            )
            for tool in row.function
        ),
        expected_calls=answer
        and tuple(_Call(name=_plain_name(call.name), arguments=call.arguments) for call in answer),
        expect_no_call="irrelevance" in category,
        expect_any_call=category == "live_relevance",
    )


def _plain_name(name: str) -> str:
    """Providers take no dot in the name of a tool."""
    return name.replace(".", "_")


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with the names of types that JSON Schema knows."""
    found: dict[str, Any] = dict(schema)
    if isinstance(found.get("type"), str):
        found["type"] = TYPES.get(found["type"].lower(), "string")
    if isinstance(found.get("properties"), dict):
        found["properties"] = {name: _schema(as_object(inner)) for name, inner in found["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = _schema(found[key])
    return found


def _lines(path: Path) -> Iterator[JsonLine]:
    if not path.is_file():
        raise NotFoundError(f"no file {path}")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from json_lines(file, str(path))
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidFileError([Problem(f"cannot be read: {error}", file=str(path))]) from error


_R = TypeVar("_R", bound=Model)


def _checked(kind: type[_R], line: JsonLine, path: Path) -> tuple[_R | None, list[Problem]]:
    if line.problem is not None:
        return None, [line.problem]
    row, wrong = checked(kind, line.value)
    return row, [Problem(found.message, place_text(found.place), line.number, str(path)) for found in wrong]


# --- cases


def _case(row: _Row) -> Case:
    system = [message.content for message in row.messages if message.role == "system"]
    *before, asked = [message for message in row.messages if message.role != "system"]
    return Case.model_validate(
        {"id": row.id, "tags": (row.category,), "user": asked.content, "tools": row.tools, "expect": _expect(row)}
        | ({"system": "\n".join(system)} if system else {})
        | ({"history": [Message(role=message.role, text=message.content) for message in before]} if before else {})
    )


def _expect(row: _Row) -> Expect:
    if row.expect_no_call:
        return Expect(calls=())
    if row.expect_any_call:
        return Expect(any_call=True)
    tools = {tool.name: tool for tool in row.tools}
    calls = tuple(_expected_call(call, tools.get(call.name)) for call in row.expected_calls or ())
    return Expect(calls=calls) if row.call_order == "any" else Expect(calls=calls, order=row.call_order)


def _expected_call(call: _Call, tool: ToolDefinition | None) -> ExpectedCall:
    if isinstance(call.arguments, list):
        # No call can meet such an answer, and here none does either.
        return ExpectedCall(tool=call.name, args={"(published answer)": call.arguments})
    schemas = {} if tool is None else tool.parameters
    args: dict[str, JsonValue] = {}
    critics: list[Critic] = []
    for field, values in call.arguments.items():
        schema = as_object(schemas.get(field))
        kind = schema.get("type")
        options = _options(values, kind)
        if "" in values and (not options or (schemas and field not in schemas)):
            continue  # may be left out and must not be given: surplus, like what the answer does not name
        args[field] = _allowed(values, options)
        # A text where the schema asks for something else names a variable, and that has to be written so.
        variable = isinstance(options[0], str) and kind not in {None, "string"} if options else False
        critics.append(Exact(field=field, text="exact" if variable else "bfcl"))
        if "default" in schema and "" not in values:
            # Elsewhere a default stands for an argument that is left out; BFCL wants to see it.
            args[field] = {"optional": args[field]}
            critics.append(Present(field=field))
    surplus = [field for field in schemas if field not in args and "default" in as_object(schemas[field])]
    return ExpectedCall(tool=call.name, args=args | dict.fromkeys(surplus, _FORBIDDEN), critics=tuple(critics))


def _allowed(values: Sequence[JsonValue], options: list[JsonValue]) -> JsonValue:
    """Any of the options; an empty text among the published values says that there may be none at all."""
    return {"optional": {"one_of": options}} if "" in values else {"one_of": options}


def _options(values: Sequence[JsonValue], kind: JsonValue = "string") -> list[JsonValue]:
    """What may be given: where it may be left out, also the empty value of a text or a list."""
    options = [_value(value) for value in values if value != ""]
    if "" in values and (kind == "string" or any(isinstance(value, str) for value in options)):
        options.append("")
    if "" in values and kind == "array":
        options.append([])
    return options


def _value(value: JsonValue) -> JsonValue:
    """Inside an object, every value is again a list of what is allowed."""
    if isinstance(value, dict):
        return {
            key: _allowed(inner, _options(inner)) if isinstance(inner, list) else _value(inner)
            for key, inner in value.items()
        }
    return [_value(inner) for inner in value] if isinstance(value, list) else value
