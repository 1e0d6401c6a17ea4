"""Hashable stand-ins for JSON values: two values are equal when their stand-ins are.

They turn comparing every call with every other into looking one up. Knows no wildcard.
"""

from collections.abc import Hashable
from typing import Any

from pydantic import JsonValue


def json_stand_in(value: JsonValue) -> Hashable:
    """For JSON's idea of equal: `1 == 1.0`, `true != 1`, the order of keys does not matter."""
    return ("boolean", value) if isinstance(value, bool) else _container(value, json_stand_in)


def python_stand_in(value: JsonValue) -> Hashable:
    """For Python's `==`: as JSON's, but `True == 1` and `False == 0`."""
    return _container(value, python_stand_in)


def _container(value: Any, inner: Any) -> Hashable:
    if isinstance(value, list | tuple):
        return "list", tuple(inner(item) for item in value)  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return "object", frozenset((key, inner(item)) for key, item in value.items())  # pyright: ignore[reportUnknownVariableType]
    return value
