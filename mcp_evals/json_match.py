"""Compare two JSON values by JSON's idea of equal, with wildcards on the expected side.

Knows no critic and no score.
"""

import json
from collections.abc import Hashable
from enum import Enum
from typing import Any, Final, NamedTuple

from pydantic import JsonValue


class Absent(Enum):
    """Marks an argument that is not there; `null` is there."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "(not given)"


ABSENT: Final = Absent.ABSENT
Value = JsonValue | Absent
"""An argument's value, or that there is none."""


class Difference(NamedTuple):
    """The first place where two JSON values differ."""

    path: str
    """Dotted path inside the value; empty for the value itself."""
    reason: str
    """What differs."""
    is_value: bool = False
    """Whether one plain value stands where another was expected."""


def json_equal(expected: Value, actual: Value) -> bool:
    """JSON's idea of equal: `1 == 1.0`, `true != 1`, order of keys does not matter; wildcards in `expected` hold."""
    return json_difference(expected, actual) is None


def json_difference(expected: Value, actual: Value, path: str = "") -> Difference | None:
    """Where `actual` first departs from `expected`.

    Inside `expected`, `{"any": true}` fits whatever is given, `{"one_of": [...]}` any of the values,
    and `{"optional": value}` fits the value or its absence.
    """
    wildcard = _wildcard(expected)
    if wildcard is not None:
        return _wildcard_difference(*wildcard, actual, path)
    if actual is ABSENT or expected is ABSENT:
        return None if actual is expected else Difference(path, "not given" if actual is ABSENT else "not expected")
    if isinstance(expected, dict) and isinstance(actual, dict):
        return _object_difference(expected, actual, path)
    if isinstance(expected, list) and isinstance(actual, list):
        return _list_difference(expected, actual, path)
    if _json_type(expected) != _json_type(actual):
        return Difference(path, f"is {_json_type(actual)}, not {_json_type(expected)}")
    if expected == actual:
        return None
    return Difference(path, f"{shown_value(actual)} is not {shown_value(expected)}", is_value=True)


def shown_value(value: Value, limit: int = 60) -> str:
    """The value as JSON, cut."""
    text = "nothing" if value is ABSENT else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else f"{text[:limit]}…"


def wildcard_value(expected: Value) -> bool:
    """Whether the value is a wildcard such as `{"any": true}`."""
    return _wildcard(expected) is not None


def may_be_absent(expected: Value) -> bool:
    """Whether an argument of this expected value may be left out."""
    wildcard = _wildcard(expected)
    return expected is ABSENT or (wildcard is not None and wildcard[0] == "optional")


def _wildcard(expected: Value) -> tuple[str, JsonValue] | None:
    if isinstance(expected, dict) and len(expected) == 1:
        ((key, value),) = expected.items()
        if (key == "any" and value is True) or (key == "one_of" and isinstance(value, list)) or key == "optional":
            return key, value
    return None


def _wildcard_difference(kind: str, value: JsonValue, actual: Value, path: str) -> Difference | None:
    if kind == "optional":
        return None if actual is ABSENT else json_difference(value, actual, path)
    if actual is ABSENT:
        return Difference(path, "not given")
    if kind == "any":
        return None
    options: list[JsonValue] = value if isinstance(value, list) else []
    if any(json_difference(option, actual) is None for option in options):
        return None
    return Difference(path, "is none of the accepted values")


def _object_difference(expected: dict[str, Any], actual: dict[str, Any], path: str) -> Difference | None:
    for key in [*expected, *(key for key in actual if key not in expected)]:
        inner = f"{path}.{key}" if path else key
        found = json_difference(expected.get(key, ABSENT), actual.get(key, ABSENT), inner)
        if found:
            return found
    return None


def _list_difference(expected: list[Any], actual: list[Any], path: str) -> Difference | None:
    for index, (left, right) in enumerate(zip(expected, actual, strict=False)):
        found = json_difference(left, right, f"{path}[{index}]")
        if found:
            return found
    if len(expected) != len(actual):
        return Difference(path, f"has {len(actual)} items, not {len(expected)}")
    return None


def _json_type(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"


def value_key(value: Value) -> Hashable:
    """A key that two values share when they are equal by JSON's idea; wildcards are not looked at."""
    if value is None or isinstance(value, str | Absent):
        return value
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, int | float):
        return ("number", value)
    if isinstance(value, list):
        return ("list", *map(value_key, value))
    return ("object", frozenset((key, value_key(item)) for key, item in value.items()))


def has_wildcard(value: Value) -> bool:
    """Whether a wildcard stands anywhere inside."""
    if wildcard_value(value):
        return True
    if isinstance(value, list):
        return any(map(has_wildcard, value))
    return isinstance(value, dict) and any(map(has_wildcard, value.values()))
