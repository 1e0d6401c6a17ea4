"""The state that tools keep, worked out from what was called: the same for a live run, a recording and a re-score."""

import copy
import re
from collections.abc import Iterator, Sequence
from typing import Final, cast

from pydantic import JsonValue

from mcp_evals.conversation import Invocation, ToolCall
from mcp_evals.json_match import ABSENT, Value
from mcp_evals.suite import ToolState
from mcp_evals.text import fold_tool_name

_Container = dict[str, JsonValue] | list[JsonValue]
_PART: Final = re.compile(r"(?:[^.{}]|\{[^{}]*\})+")
_ARGUMENT: Final = re.compile(r"\{([^{}]*)\}")


def state_after(rules: ToolState, invocations: Sequence[Invocation]) -> JsonValue:
    """The state after these invocations; a call that failed, or whose arguments a change needs and does not get, changes nothing."""
    changes = {fold_tool_name(tool): listed for tool, listed in rules.changes.items()}
    state = cast("dict[str, JsonValue]", copy.deepcopy(rules.initial))
    for call in _calls(invocations):
        if isinstance(call.arguments, str):
            continue
        for path, value in changes.get(fold_tool_name(call.name), {}).items():
            parts = [_filled(part, call.arguments) for part in _PART.findall(path)]
            wanted = _resolved(value, call.arguments)
            if wanted is not ABSENT and None not in parts:
                _change(state, [part for part in parts if part is not None], wanted)
    return state


def state_arguments(path: str, value: JsonValue) -> set[str]:
    """The names of the arguments that a change speaks of."""
    named = {found.partition(".")[0] for found in _ARGUMENT.findall(path)}
    return named | {found.partition(".")[0] for found in _named(value)}


def _calls(invocations: Sequence[Invocation]) -> Iterator[ToolCall]:
    """The calls that did not fail, in order."""
    for step in (step for invocation in invocations for step in invocation.steps):
        failed = {result.call_id for result in step.results if result.is_error}
        unnamed = len(step.calls) == len(step.results) and all(result.call_id is None for result in step.results)
        for position, call in enumerate(step.calls):
            broke = step.results[position].is_error if unnamed else call.id is not None and call.id in failed
            if not broke:
                yield call


def _filled(part: str, arguments: dict[str, JsonValue]) -> str | None:
    found = [_at(arguments, name) for name in _ARGUMENT.findall(part)]
    if any(value is ABSENT or isinstance(value, dict | list) for value in found):
        return None
    texts = iter([value if isinstance(value, str) else _plain(value) for value in found])
    return _ARGUMENT.sub(lambda _: next(texts), part)


def _plain(value: Value) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _resolved(value: JsonValue, arguments: dict[str, JsonValue]) -> Value:
    if isinstance(value, dict) and [*value] == ["arg"]:
        return _at(arguments, str(value["arg"]))
    if isinstance(value, dict):
        inner = {key: _resolved(item, arguments) for key, item in value.items()}
        return ABSENT if ABSENT in inner.values() else inner  # pyright: ignore[reportReturnType]
    if isinstance(value, list):
        items = [_resolved(item, arguments) for item in value]
        return ABSENT if ABSENT in items else items  # pyright: ignore[reportReturnType]
    return value


def _named(value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict) and [*value] == ["arg"]:
        yield str(value["arg"])
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _named(item)


def _at(value: Value, path: str) -> Value:
    for part in path.split("."):
        value = value.get(part, ABSENT) if isinstance(value, dict) else ABSENT
    return value


def _change(state: dict[str, JsonValue], parts: Sequence[str], value: JsonValue) -> None:
    *way, last = parts
    place: _Container | None = state
    for part in way:
        place = _inner(place, part)
        if place is None:
            return
    if isinstance(place, list):
        if last.isdecimal() and int(last) < len(place):
            place[int(last)] = value
    elif value == {"delete": True}:
        place.pop(last, None)
    elif isinstance(value, dict) and [*value] == ["append"]:
        there = place.get(last)
        place[last] = [*(there if isinstance(there, list) else ()), value["append"]]
    else:
        place[last] = value


def _inner(place: _Container, part: str) -> _Container | None:
    """What lies inside; an entry that is not there is made, an item of a list is not."""
    if isinstance(place, list):
        item = place[int(part)] if part.isdecimal() and int(part) < len(place) else None
        return item if isinstance(item, dict | list) else None
    found = place.get(part)
    if not isinstance(found, dict | list):
        place[part] = found = {}
    return found
