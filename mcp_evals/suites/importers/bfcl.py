"""Cases and recorded outputs of the Berkeley Function-Calling Leaderboard: single-turn categories.

Two forms: JSON lines with `messages`, `tools` and `expected_calls`, and the files of the package `bfcl-eval` (`question`,
`function`; the answers in `possible_answer/` beside them). An argument's list of allowed values becomes `one_of`, an empty
text among them says that it may be left out, and inside an object every value is again such a list. Texts compare by
BFCL's own rule (`text: bfcl`); a case passes only if every call is right.
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import JsonValue

from mcp_evals.conversation import Invocation, Step, ToolCall, Transcript, Usage
from mcp_evals.errors import InvalidFileError, NotFoundError, Problem
from mcp_evals.suite import Suite

ALL_OR_NOTHING: Final = {"fail_below": 1.0, "warn_below": 1.0, "tool_names": "exact"}
TYPES: Final = {
    "dict": "object", "hashmap": "object", "object": "object",
    "float": "number", "double": "number", "number": "number", "bigint": "integer",
    "int": "integer", "integer": "integer", "long": "integer", "short": "integer", "byte": "integer",
    "tuple": "array", "array": "array", "arraylist": "array", "list": "array", "set": "array",
    "bool": "boolean", "boolean": "boolean", "null": "null",
}  # fmt: skip
"""JSON Schema's name of a type; what is not here is a text, and `any` is no type at all."""


def read_bfcl(path: Path, category: str | None = None) -> Suite:
    """The cases of a BFCL file, those of one category where one is named.

    Raises:
        NotFoundError: the file, or the answers that belong to it, are not there.
        InvalidFileError: it is no BFCL file, or one of its multi-turn categories.
    """
    rows = list(_rows(path))
    if not rows:
        raise InvalidFileError([Problem("empty: no case", file=str(path))])
    answers = _answers(path) if "function" in rows[0] and "irrelevance" not in path.name else {}
    cases: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for line, row in enumerate(rows, start=1):
        if category is not None and row.get("category", category) != category:
            continue
        try:
            cases.append(_packaged(row, path, answers) if "function" in row else _converted(row))
        except (KeyError, TypeError, ValueError) as error:
            problems.append(
                Problem(f"no single-turn BFCL case: {type(error).__name__} {error}", line=line, file=str(path))
            )
    if problems:
        raise InvalidFileError(problems)
    name = path.name.split(".")[0]
    return Suite.model_validate(
        {"name": f"{name}-{category}" if category else name, "rubric": ALL_OR_NOTHING, "cases": cases}
    )


def read_bfcl_outputs(path: Path) -> Iterator[tuple[str, Transcript]]:
    """Case and transcript of each recorded output: `{"id", "calls": [{"name", "arguments"}] | null, "text"}`.

    Raises:
        InvalidFileError: a line is not such an output.
    """
    for line, row in enumerate(_rows(path), start=1):
        try:
            calls = tuple(ToolCall(name=call["name"], arguments=call["arguments"]) for call in row["calls"] or ())
            usage = Usage(input_tokens=row.get("input_token_count"), output_tokens=row.get("output_token_count"))
            step = Step(text=_text(row.get("text")), calls=calls, usage=usage, latency_s=row.get("latency"))
            yield (
                str(row["id"]),
                Transcript(invocations=(Invocation(user="", steps=(step,)),), ended="calls" if calls else "answer"),
            )
        except (KeyError, TypeError, ValueError) as error:
            problem = Problem(f"no BFCL output: {type(error).__name__} {error}", line=line, file=str(path))
            raise InvalidFileError([problem]) from None


# --- the two forms


def _converted(row: Mapping[str, Any]) -> dict[str, Any]:
    expect: dict[str, Any] = {"calls": [_call(call["name"], call["arguments"]) for call in row["expected_calls"] or ()]}
    if row.get("expect_no_call"):
        expect = {"calls": []}
    elif row.get("expect_any_call"):
        expect = {"any_call": True}
    return _case(row["id"], row["category"], row["messages"], row["tools"], expect)


def _packaged(row: Mapping[str, Any], path: Path, answers: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    if len(row["question"]) != 1:
        raise ValueError("several turns: only single-turn categories can be imported")
    expect: dict[str, Any]
    if "irrelevance" in path.name:
        expect = {"calls": []}
    elif "live_relevance" in path.name:
        expect = {"any_call": True}
    else:
        calls = [(name, arguments) for call in answers[row["id"]] for name, arguments in call.items()]
        expect = {"calls": [_call(name.replace(".", "_"), arguments) for name, arguments in calls]}
    tools = [
        {
            "name": tool["name"].replace(".", "_"),
            "description": tool.get("description", ""),
            "input_schema": _schema(tool["parameters"]),
        }
        for tool in row["function"]
    ]
    category = path.name.split(".")[0].removeprefix("BFCL_").split("_", 1)[-1]
    return _case(row["id"], category, row["question"][0], tools, expect)


def _case(
    case_id: str, category: str, messages: list[dict[str, Any]], tools: list[dict[str, Any]], expect: dict[str, Any]
) -> dict[str, Any]:
    system = [message["content"] for message in messages if message["role"] == "system"]
    said = [message for message in messages if message["role"] != "system"]
    history = [{"role": message["role"], "text": message["content"]} for message in said[:-1]]
    case = {"id": case_id, "tags": [category], "user": said[-1]["content"], "tools": tools, "expect": expect}
    return {**case, **({"system": "\n".join(system)} if system else {}), **({"history": history} if history else {})}


def _answers(path: Path) -> dict[str, list[dict[str, Any]]]:
    answers = path.parent / "possible_answer" / path.name
    if "live_relevance" in path.name:
        return {}
    if not answers.is_file():
        raise NotFoundError(f"no answers {answers}; they belong to {path.name}")
    return {row["id"]: row["ground_truth"] for row in _rows(answers)}


# --- expectations


def _call(name: str, arguments: Any) -> dict[str, Any]:
    if not isinstance(arguments, dict):
        # A slip in the published answers: no call can meet it, and here none does either.
        return {"tool": name, "args": {"(published answer)": arguments}}
    allowed: dict[str, list[Any]] = arguments
    args = {field: _allowed(values) for field, values in allowed.items()}
    return {
        "tool": name,
        "args": args,
        "critics": [{"field": field, "kind": "exact", "text": "bfcl"} for field in args],
    }


def _allowed(values: list[Any]) -> JsonValue:
    """One argument's allowed values; an empty text among them: it may be left out."""
    options = [_value(value) for value in values]
    choice: JsonValue = {"one_of": options}
    return {"optional": choice} if "" in values else choice


def _value(value: Any) -> JsonValue:
    if isinstance(value, dict):
        inner: dict[str, Any] = value
        return {key: _allowed(item) if isinstance(item, list) else _value(item) for key, item in inner.items()}
    if isinstance(value, list):
        items: list[Any] = value
        return [_value(item) for item in items]
    return value


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with the names of types that JSON Schema knows."""
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, str):
            if value.lower() != "any":
                found["type"] = TYPES.get(value.lower(), "string")
        elif key == "properties":
            found[key] = {name: _schema(inner) for name, inner in value.items()}
        elif isinstance(value, dict):
            found[key] = _schema(value)  # pyright: ignore[reportUnknownArgumentType]
        else:
            found[key] = value
    return found


# --- files


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    if not path.is_file():
        raise NotFoundError(f"no file {path}")
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise InvalidFileError([Problem(f"not JSON: {error}", line=number, file=str(path))]) from None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
