"""Write suites: a case into a user's file, or a file of our own. What would be wrong is not written.

A file is whole at every moment, and a change that somebody else made meanwhile is never overwritten.
"""

import json
import re
from collections.abc import Mapping, Sequence
from difflib import unified_diff
from pathlib import Path
from threading import Lock
from typing import Any, Final

from mcp_evals.errors import InvalidFileError, Problem, UsageError
from mcp_evals.model import Model
from mcp_evals.suite import Suite
from mcp_evals.suites.documents import decode, form_of, read_bytes
from mcp_evals.suites.editing import put_case
from mcp_evals.suites.messages import as_object
from mcp_evals.suites.reading import read_suite
from mcp_evals.suites.yaml_writing import yaml_object
from mcp_evals.whole_files import whole_file

_MARK: Final = b"\xef\xbb\xbf"
"""Byte order mark, which some editors write before UTF-8."""
_SAVING: Final = Lock()
"""Two calls that change one file at once would lose one of the changes."""


class Change(Model):
    """What was written, or would be."""

    diff: str
    """Unified diff of the file."""
    created: bool
    """Whether the case, or the suite, is new."""


def save_case(path: Path, case: Mapping[str, Any], *, write: bool = True) -> Change:
    """Put a case into a suite file, in the place of the one with its id; everything else in the file stays as it is.

    Without `write`, only look what would be written.

    Raises:
        NotFoundError: there is no such file.
        InvalidFileError: the suite would be wrong; nothing is written.
        UsageError: the case cannot be written alone, or somebody changed the file meanwhile; nothing is written.
    """
    _require_json(case, path)
    with _SAVING:
        before = read_bytes(path)
        text = decode(before, str(path))
        edited = put_case(text, form_of(path), case, str(path))
        after = (_MARK if before.startswith(_MARK) else b"") + edited.text.encode()
        read_suite(after, path)
        if write and after != before:
            _replace(path, after, before)
    return Change(diff=_diff(text, edited.text, path), created=edited.created)


def new_suite(
    path: Path,
    name: str,
    about: Mapping[str, Any] | None = None,
    cases: Sequence[Mapping[str, Any]] = (),
    *,
    write: bool = True,
) -> Change:
    """Write a suite file; `about` holds what else is said of the suite, such as `system` and `tools`.

    Without `write`, only look what would be written.

    Raises:
        InvalidFileError: the suite would be wrong; nothing is written.
        UsageError: there is such a file, or its name does not say how it is written.
    """
    head = {"version": 1, "name": name, **(about or {})}
    listed = [dict(case) for case in cases]
    _require_json([head, *listed], path)
    text = _file_text(path, head, listed)
    with _SAVING:
        if path.exists():
            raise UsageError(f"{path} exists; save a case into it, or choose another name")
        read_suite(text.encode(), path)
        if write:
            _replace(path, text.encode(), None)
    return Change(diff=_diff("", text, path), created=True)


def write_suite(suite: Suite, path: Path) -> None:
    """Write a suite as a file that loads as the same suite; only what is set, and in place of what was there.

    Raises:
        UsageError: the file's name does not say how it is written.
    """
    fields = as_object(_plain(suite))
    cases = fields.pop("cases", [])
    content = _file_text(path, {"version": 1, **fields}, cases).encode()
    with _SAVING:
        _replace(path, content, path.read_bytes() if path.exists() else None)


# --- what is written


def _file_text(path: Path, head: Mapping[str, Any], cases: list[Any]) -> str:
    form = form_of(path)
    if form == "jsonl":
        return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in (dict(head), *cases))
    whole = {**head, "cases": cases}
    if form == "json":
        return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    return yaml_object(whole) + "\n"


def _plain(value: Any) -> Any:
    """JSON of a value with only what was set, keys in the order of the fields."""
    if isinstance(value, Model):
        names = [name for name in type(value).model_fields if _is_said(value, name)]
        return {"$schema" if name == "schema_url" else name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in as_object(value).items()}
    return value


def _is_said(value: Model, name: str) -> bool:
    if name == "kind":
        return True
    if name not in value.model_fields_set:
        return False
    found, default = getattr(value, name), type(value).model_fields[name].get_default(call_default_factory=True)
    # `returns: null` is an answer of a stub. Emptiness that is the default says nothing anywhere else.
    return name == "returns" or bool(found) or found != default or isinstance(found, Model | bool | int | float)


def _require_json(value: Any, path: Path) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidFileError([Problem(f"is no JSON: {error}", file=str(path))]) from error


def _diff(before: str, after: str, path: Path) -> str:
    old, new = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (before, after))
    lines = unified_diff(old, new, str(path), str(path))
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


# --- files


def _replace(path: Path, content: bytes, before: bytes | None) -> None:
    """Put `content` in the place of `before` in one step.

    Raises:
        UsageError: the file does not hold `before` any more, or cannot be written.
    """
    with whole_file(path) as file:
        file.write(content)
        if (path.read_bytes() if path.exists() else None) != before:
            raise UsageError(f"{path} was changed by somebody else meanwhile; try again")
