"""gemini-rs's evaluation data, read from JSON by the rules of its reader (Rust's serde): types, defaults, refusals.

Unknown keys are ignored, null stands only for what is optional, and an object may be written as the list of its values.
Refusals say what serde says, without line and column. Knows no score.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from pydantic import JsonValue

from mcp_evals.errors import UsageError


class GeminiError(UsageError):
    """gemini-rs refuses this; the message is its own."""


class GeminiTurn(NamedTuple):
    """One message of a conversation with the calls that it makes."""

    role: str
    """`user`, `model` or anything."""
    content: str
    """What is said."""
    tool_calls: tuple[JsonValue, ...] = ()
    """Calls, as any JSON; a metric reads `name` where it is text."""
    tool_results: tuple[JsonValue, ...] = ()
    """What the tools answered."""


class GeminiInvocation(NamedTuple):
    """A little conversation: several turns of any role."""

    turns: tuple[GeminiTurn, ...]
    """The turns."""
    id: str = ""
    """Name, where it has one."""
    metadata: JsonValue = None
    """Whatever else belongs to it."""


class GeminiCase(NamedTuple):
    """What an agent did beside what was expected."""

    name: str
    """Name of the case."""
    actual: tuple[GeminiInvocation, ...]
    """What the agent did."""
    expected: tuple[GeminiInvocation, ...] = ()
    """What was expected."""
    scenario: str | None = None
    """What the case is about."""


class GeminiSet(NamedTuple):
    """A named list of cases."""

    name: str
    """Name of the set."""
    cases: tuple[GeminiCase, ...]
    """The cases."""
    description: str | None = None
    """What the set is about."""


class FileToolUse(NamedTuple):
    """A call that was made, in an eval-set file."""

    tool_name: str
    """The tool."""
    tool_input: JsonValue
    """The arguments."""
    tool_output: JsonValue
    """What it answered."""


class FileExpectedToolUse(NamedTuple):
    """An expected call in an eval-set file."""

    tool_name: str
    """The tool."""
    tool_input: JsonValue
    """The arguments."""


class FileIntermediate(NamedTuple):
    """What happened between question and answer."""

    tool_uses: tuple[FileToolUse, ...] = ()
    """Calls that were made."""
    intermediate_responses: tuple[str, ...] = ()
    """What was said."""


class FileInvocation(NamedTuple):
    """One user message in an eval-set file."""

    invocation_id: str
    """Name of the invocation."""
    user_content: str
    """The user message."""
    expected_tool_use: tuple[FileExpectedToolUse, ...] = ()
    """Calls that are expected."""
    expected_response: str | None = None
    """Answer that is expected."""
    intermediate_data: FileIntermediate | None = None
    """What was recorded."""


class FileCase(NamedTuple):
    """One case of an eval-set file."""

    eval_id: str
    """Name of the case."""
    conversation: tuple[FileInvocation, ...]
    """Its user messages."""


class EvalsetFile(NamedTuple):
    """An eval-set file."""

    name: str
    """Name of the set."""
    eval_cases: tuple[FileCase, ...]
    """The cases."""

    def eval_pairs(self) -> tuple[tuple[tuple[GeminiInvocation, ...], tuple[GeminiInvocation, ...]], ...]:
        """For each case what was done and what was expected; what was done never has the final answer."""
        return tuple(
            (
                tuple(_done(invocation) for invocation in case.conversation),
                tuple(_expected(invocation) for invocation in case.conversation),
            )
            for case in self.eval_cases
        )


class JudgeCriterion(NamedTuple):
    """A threshold with a judge, whose model and samples gemini-rs stores and never reads."""

    threshold: float
    """The least score that passes."""
    judge_model: str | None = None
    """Model of the judge."""
    num_samples: int | None = None
    """How often it is asked."""


class CriterionCheck(NamedTuple):
    """A score against its threshold."""

    passed: bool
    """Whether the score is at least the threshold."""
    score: float
    """The score; 0 where there is none."""
    threshold: float
    """The threshold."""


class TestConfig(NamedTuple):
    """Thresholds by metric."""

    __test__ = False  # pytest takes a class of this name for tests

    criteria: dict[str, float | JudgeCriterion]
    """A threshold, alone or with a judge."""

    def check_all(self, scores: Mapping[str, float]) -> dict[str, CriterionCheck]:
        """Each criterion's check; a missing score counts as 0."""
        thresholds = {
            name: criterion.threshold if isinstance(criterion, JudgeCriterion) else criterion
            for name, criterion in self.criteria.items()
        }
        return {
            name: CriterionCheck(scores.get(name, 0.0) >= threshold, scores.get(name, 0.0), threshold)
            for name, threshold in thresholds.items()
        }

    def all_pass(self, scores: Mapping[str, float]) -> bool:
        """Whether every criterion passes; none at all passes."""
        return all(check.passed for check in self.check_all(scores).values())


def read_case(value: JsonValue) -> GeminiCase:
    """Read a case.

    Raises:
        GeminiError: gemini-rs refuses it.
    """
    return _CASE(_in_key_order(value))


def read_set(value: JsonValue) -> GeminiSet:
    """Read a set of cases.

    Raises:
        GeminiError: gemini-rs refuses it.
    """
    return _SET(_in_key_order(value))


def read_evalset(text: str) -> EvalsetFile:
    """Read the text of an eval-set file, whose form is gemini-rs's own: no file of Google's ADK is one.

    Raises:
        GeminiError: gemini-rs refuses it.
    """
    return _read_text(text, _EVALSET_FILE, "Invalid evalset JSON")


def read_test_config(text: str) -> TestConfig:
    """Read the text of a `test_config.json`.

    Raises:
        GeminiError: gemini-rs refuses it.
    """
    return _read_text(text, _TEST_CONFIG, "Invalid test config JSON")


def rust_json(text: str) -> Any:
    """Read JSON as serde does: no NaN, no infinity, integers beyond 64 bits as floats, no half characters.

    Raises:
        ValueError: serde refuses it.
    """
    try:
        value = json.loads(text, parse_int=_rust_integer, parse_float=_rust_float, parse_constant=_refuse)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("recursion limit exceeded") from None
    return value


# --- serde's rules


_Read = Callable[[Any], Any]
_REQUIRED: Final = object()


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong_type(value, "a string")
    return value


def _anything(value: Any) -> Any:
    return value


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type(value, "f64")
    return float(value)


def _unsigned_32(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(value, "u32")
    if not 0 <= value < 2**32:
        raise GeminiError(f"invalid value: integer `{value}`, expected u32")
    return value


def _optional(read: _Read) -> _Read:
    return lambda value: None if value is None else read(value)


def _list_of(read: _Read) -> _Read:
    def read_list(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _wrong_type(value, "a sequence")
        return tuple(read(item) for item in value)  # pyright: ignore[reportUnknownVariableType]

    return read_list


def _map_of(read: _Read) -> _Read:
    def read_map(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong_type(value, "a map")
        return {key: read(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]

    return read_map


def _struct(rust_name: str, build: type[Any], reads: Mapping[str, _Read]) -> _Read:
    """A struct from an object, or from the list of its fields in order; a field is required unless it has a default."""
    defaults: dict[str, Any] = build._field_defaults

    def read_struct(value: Any) -> Any:
        if isinstance(value, list):
            given = _from_list(value)  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(value, dict):
            given = {key: reads[key](item) for key, item in value.items() if key in reads}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        else:
            raise _wrong_type(value, f"struct {rust_name}")
        for name in reads:
            if name not in given and name not in defaults:
                raise GeminiError(f"missing field `{name}`")
        return build(**given)

    def _from_list(items: list[Any]) -> dict[str, Any]:
        given = {name: reads[name](item) for name, item in zip(reads, items, strict=False)}
        if len(items) > len(reads):
            raise GeminiError("trailing characters")
        if any(name not in defaults for name in list(reads)[len(items) :]):
            raise GeminiError(f"invalid length {len(items)}, expected struct {rust_name} with {len(reads)} elements")
        return given

    return read_struct


def _criterion(value: Any) -> float | JudgeCriterion:
    for read in (_float, _JUDGE_CRITERION):
        try:
            return read(value)
        except GeminiError:
            continue
    raise GeminiError("data did not match any variant of untagged enum CriterionConfig")


def _wrong_type(value: Any, expected: str) -> GeminiError:
    return GeminiError(f"invalid type: {_named(value)}, expected {expected}")


def _named(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, str):
        return f"string {json.dumps(value, ensure_ascii=False)}"
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float):
        return f"floating point `{value}`"
    return "sequence" if isinstance(value, list) else "map"


_TURN: Final = _struct(
    "InvocationTurn",
    GeminiTurn,
    {
        "role": _string,
        "content": _string,
        "tool_calls": _list_of(_anything),
        "tool_results": _list_of(_anything),
    },
)
_INVOCATION: Final = _struct(
    "Invocation", GeminiInvocation, {"id": _string, "turns": _list_of(_TURN), "metadata": _anything}
)
_CASE: Final = _struct(
    "EvalCase",
    GeminiCase,
    {
        "name": _string,
        "actual": _list_of(_INVOCATION),
        "expected": _list_of(_INVOCATION),
        "scenario": _optional(_string),
    },
)
_SET: Final = _struct(
    "EvalSet", GeminiSet, {"name": _string, "cases": _list_of(_CASE), "description": _optional(_string)}
)
_INTERMEDIATE: Final = _struct(
    "IntermediateData",
    FileIntermediate,
    {
        "tool_uses": _list_of(
            _struct(
                "ToolUseRecord",
                FileToolUse,
                {"tool_name": _string, "tool_input": _anything, "tool_output": _anything},
            )
        ),
        "intermediate_responses": _list_of(_string),
    },
)
_EVALSET_FILE: Final = _struct(
    "EvalSetFile",
    EvalsetFile,
    {
        "name": _string,
        "eval_cases": _list_of(
            _struct(
                "EvalCaseFile",
                FileCase,
                {
                    "eval_id": _string,
                    "conversation": _list_of(
                        _struct(
                            "InvocationFile",
                            FileInvocation,
                            {
                                "invocation_id": _string,
                                "user_content": _string,
                                "expected_tool_use": _list_of(
                                    _struct(
                                        "ExpectedToolUse",
                                        FileExpectedToolUse,
                                        {"tool_name": _string, "tool_input": _anything},
                                    )
                                ),
                                "expected_response": _optional(_string),
                                "intermediate_data": _optional(_INTERMEDIATE),
                            },
                        )
                    ),
                },
            )
        ),
    },
)
_JUDGE_CRITERION: Final = _struct(
    "variant CriterionConfig::LlmJudge",
    JudgeCriterion,
    {"threshold": _float, "judge_model": _optional(_string), "num_samples": _optional(_unsigned_32)},
)
_TEST_CONFIG: Final = _struct("TestConfig", TestConfig, {"criteria": _map_of(_criterion)})


def _read_text(text: str, read: _Read, what: str) -> Any:
    try:
        return read(rust_json(text))
    except (ValueError, GeminiError) as error:
        raise GeminiError(f"Parse error: {what}: {error}") from None


def _in_key_order(value: Any) -> Any:
    """A value whose objects are walked by sorted keys, as serde's own values are."""
    if isinstance(value, dict):
        return {key: _in_key_order(value[key]) for key in sorted(value)}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return [_in_key_order(item) for item in value] if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType]


def _rust_integer(text: str) -> int | float:
    value = int(text)
    return value if -(2**63) <= value < 2**64 else _rust_float(text)


def _rust_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("number out of range")
    return number


def _refuse(name: str) -> Any:
    raise ValueError(f"expected value, not {name}")


# --- what a file's invocation stands for


def _done(invocation: FileInvocation) -> GeminiInvocation:
    recorded = invocation.intermediate_data or FileIntermediate()
    calls = [
        GeminiTurn("model", "", ({"name": use.tool_name, "args": use.tool_input},), (use.tool_output,))
        for use in recorded.tool_uses
    ]
    said = [GeminiTurn("model", text) for text in recorded.intermediate_responses]
    return GeminiInvocation((GeminiTurn("user", invocation.user_content), *calls, *said), invocation.invocation_id)


def _expected(invocation: FileInvocation) -> GeminiInvocation:
    turns = [GeminiTurn("user", invocation.user_content)]
    if invocation.expected_tool_use:
        calls = tuple({"name": use.tool_name, "args": use.tool_input} for use in invocation.expected_tool_use)
        turns.append(GeminiTurn("model", "", calls))
    if invocation.expected_response is not None:
        turns.append(GeminiTurn("model", invocation.expected_response))
    return GeminiInvocation(tuple(turns), invocation.invocation_id)
