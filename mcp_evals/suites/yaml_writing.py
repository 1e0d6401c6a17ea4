"""Write JSON values as YAML that people like to read: short things in one line, long texts as blocks.

`yaml_text` reads what is written here back as the same value. Knows no suite and no file.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from mcp_evals.suites.messages import as_list, as_object
from mcp_evals.suites.yaml_text import is_text

MAX_LINE: Final = 100
_ALWAYS_BLOCK: Final = frozenset({"cases", "expect", "calls", "text", "turns", "tools", "tracks", "history"})
"""Keys of lists and objects that get lines of their own, however short: that is where people edit."""
_STEP: Final = 2


def yaml_object(fields: Mapping[str, Any], column: int = 0) -> str:
    """The entries of an object, one below the other at a column; the first line is not indented, the last not ended."""
    return _lines(column, [yaml_entry(key, value, column) for key, value in fields.items()])


def yaml_entry(key: str, value: Any, column: int) -> str:
    """A key and its value at a column."""
    name = _scalar(key, in_flow=False)
    if value and isinstance(value, dict | list) and (key in _ALWAYS_BLOCK or not _fits(value, column + len(name) + 2)):
        inner = column + _STEP
        whole_cases = key == "cases" and isinstance(value, list)
        block = (
            yaml_list(as_list(value), inner, short_lines=not whole_cases)
            if isinstance(value, list)
            else yaml_object(as_object(value), inner)
        )
        return f"{name}:\n{' ' * inner}{block}"
    return f"{name}: {_leaf(value, column)}"


def yaml_list(items: list[Any], column: int, *, short_lines: bool = True) -> str:
    """The items of a list, one below the other, their dashes at a column."""
    return _lines(column, [f"- {yaml_item(item, column + _STEP, short_lines=short_lines)}" for item in items])


def yaml_item(item: Any, column: int, *, short_lines: bool = True) -> str:
    """An item behind its dash, at a column; an object stands in one line where it is short, if it may."""
    if not item or not isinstance(item, dict | list) or (short_lines and _fits(item, column)):
        return _leaf(item, column - _STEP)
    return yaml_list(as_list(item), column) if isinstance(item, list) else yaml_object(as_object(item), column)


def yaml_flow(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, dict):
        pairs = (f"{_scalar(key, in_flow=True)}: {yaml_flow(item)}" for key, item in as_object(value).items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(yaml_flow, as_list(value)))}]"
    return _scalar(value, in_flow=True)


def _lines(column: int, blocks: list[str]) -> str:
    return f"\n{' ' * column}".join(blocks)


def _fits(value: Any, column: int) -> bool:
    text = json.dumps(value, ensure_ascii=False)
    return len(text) + column <= MAX_LINE and "\\n" not in text


def _leaf(value: Any, column: int) -> str:
    """A value that begins in the line of its key or dash, which stand at a column."""
    if isinstance(value, dict | list):
        return yaml_flow(value)
    if isinstance(value, str) and _may_be_block(value):
        body = value.removesuffix("\n").split("\n")
        indented = "\n".join(f"{' ' * (column + _STEP)}{line}" if line else "" for line in body)
        return f"|{'' if value.endswith(chr(10)) else '-'}\n{indented}"
    return _scalar(value, in_flow=False)


def _may_be_block(text: str) -> bool:
    lines = text.removesuffix("\n").split("\n")
    return (
        len(lines) > 1
        and all(line.isprintable() and line == line.rstrip() for line in lines)
        and bool(lines[0].strip() and lines[-1])
        and not lines[0].startswith(" ")
    )


_NOT_FIRST: Final = frozenset("-?:,[]{}#&*!|>'\"%@`=<~")
_NOT_IN_FLOW: Final = re.compile(r"[,\[\]{}]")
_SEPARATOR: Final = re.compile(r": |:$| #")


def _scalar(value: Any, *, in_flow: bool) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    plain = (
        is_text(value)
        and value.isprintable()
        and value == value.strip()
        and value[0] not in _NOT_FIRST
        and not value.startswith("...")
        and not _SEPARATOR.search(value)
        and not (in_flow and _NOT_IN_FLOW.search(value))
    )
    return value if plain else _quoted(value)


def _quoted(text: str) -> str:
    return "".join(char if char.isprintable() else _escaped(char) for char in json.dumps(text, ensure_ascii=False))


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
