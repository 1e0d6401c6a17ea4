"""Suites on disk: load one, find all below some folders, fill in the tools that stand in files of their own.

Only what lies below the given folders is read, whatever a suite names. Starts no server.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from mcp_evals.conversation import ToolDefinition
from mcp_evals.errors import InvalidFileError, NotFoundError, NotPermittedError, Problem, UsageError
from mcp_evals.suite import FileTools, ServerTools, Suite, ToolSource
from mcp_evals.suites.documents import (
    MAX_DOCUMENT_BYTES,
    Document,
    form_of,
    json_lines,
    open_file,
    parse_document,
    read_document,
)
from mcp_evals.suites.messages import as_object
from mcp_evals.suites.places import place_text
from mcp_evals.suites.problems import complaints
from mcp_evals.suites.reading import LoadedSuite, is_head, read_suite, read_suite_lines, suite_of


def load_suite(path: Path) -> LoadedSuite:
    """The suite in a file.

    Raises:
        NotFoundError: there is no such file.
        UsageError: its name does not say how it is written.
        InvalidFileError: it is no suite; all problems at once.
    """
    with open_file(path) as file:
        return read_suite_lines(file, path) if form_of(path) == "jsonl" else read_suite(file.read(), path)


# --- finding


class SuiteEntry(NamedTuple):
    """A file that holds a suite, or is meant to."""

    name: str
    """Name of the suite; of a file that does not say one, the file's."""
    path: Path
    """The file."""
    loaded: LoadedSuite | None
    """The suite; None where it cannot be read."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with it; it cannot be used before this is mended."""


Stamp = tuple[int, int]
"""Time of change and size of a file."""
KnownFiles = dict[Path, tuple[Stamp, SuiteEntry | None]]
"""What is known of files that were read before; None: no suite."""


def find_suites(folders: Iterable[Path], known: KnownFiles | None = None) -> tuple[SuiteEntry, ...]:
    """Every suite below the folders, broken ones with their problems; files that are something else are passed over.

    Files in `known` that have not changed are not read again; what is read is added to it.
    """
    known = {} if known is None else known
    found: dict[Path, SuiteEntry] = {}
    for folder in folders:
        for path in _candidates(folder):
            entry = _entry(path, folder, known)
            if entry is not None:
                found.setdefault(path.resolve(), entry)
    by_name: dict[str, list[SuiteEntry]] = {}
    for entry in found.values():
        by_name.setdefault(entry.name, []).append(entry)
    return tuple(_with_rivals(entry, by_name[entry.name]) for entry in found.values())


def _candidates(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")) and name != "node_modules")
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and _has_form(path) and path.is_file():
                yield path


def _has_form(path: Path) -> bool:
    try:
        form_of(path)
    except UsageError:
        return False
    return True


def _entry(path: Path, folder: Path, known: KnownFiles) -> SuiteEntry | None:
    try:
        status = path.stat()
        if not path.resolve().is_relative_to(folder.resolve()):
            problem = Problem("is a link that leads out of the folder; put the file itself here", file=str(path))
            return SuiteEntry(path.stem, path, None, (problem,))
        stamp = status.st_mtime_ns, status.st_size
        if path not in known or known[path][0] != stamp:
            known[path] = stamp, _read_entry(path)
    except (OSError, NotFoundError):  # gone since it was listed
        return None
    return known[path][1]


def _read_entry(path: Path) -> SuiteEntry | None:
    try:
        document = None if form_of(path) == "jsonl" else _document(path)
    except InvalidFileError as error:
        return SuiteEntry(path.stem, path, None, error.problems) if _mentions_cases(path) else None
    if not (_begins_like_suite(path) if document is None else _looks_like_suite(as_object(document.value))):
        return None
    name: Any = path.stem if document is None else as_object(document.value).get("name")
    try:
        loaded = load_suite(path) if document is None else suite_of(document, path)
    except InvalidFileError as error:
        return SuiteEntry(name if isinstance(name, str) else path.stem, path, None, error.problems)
    return SuiteEntry(loaded.suite.name, path, loaded)


def _document(path: Path) -> Document:
    """What the file says, if it can be a suite; nothing where it cannot, which is cheaper to tell."""
    with open_file(path) as file:
        content = file.read()
    words = (b"cases",) if b"cases" in content else (b"name", b"version")
    form = "yaml" if form_of(path) == "yaml" else "json"
    return parse_document(content if all(word in content for word in words) else "{}", form, str(path))


_CASES_KEY: Final = re.compile(rb"""(?:^|[{,])\s*["']?cases["']?\s*:""", re.MULTILINE)
_CASE_KEYS: Final = re.compile(rb'"id"\s*:.*"(?:user|turns)"\s*:')


def _mentions_cases(path: Path) -> bool:
    """Whether a file that cannot be read as a whole is likely to be a suite."""
    with path.open("rb") as file:
        return _CASES_KEY.search(file.read(MAX_DOCUMENT_BYTES)) is not None


def _looks_like_suite(value: dict[str, Any]) -> bool:
    named = isinstance(value.get("name"), str)
    # A package.json has a version too, but as text.
    return isinstance(value.get("cases"), list) or (
        named and ("cases" in value or isinstance(value.get("version"), int))
    )


def _begins_like_suite(path: Path) -> bool:
    """Whether the first line of a JSON lines file is one of a suite."""
    with path.open("rb") as file:
        line = next((line for line in iter(lambda: file.readline(MAX_DOCUMENT_BYTES), b"") if line.strip()), b"")
    read = next(json_lines([line]), None)
    if read is None or read.problem is not None:
        return _CASE_KEYS.search(line) is not None
    value = as_object(read.value)
    if is_head(value):
        return {*value} <= {*Suite.model_fields, "$schema"}
    # Cases with `expected` are those of an engine harness, which are imported.
    asks = {"user", "turns", "scenario", "extends", "input"} & {*value}
    return "id" in value and bool(asks) and "expected" not in value


def _with_rivals(entry: SuiteEntry, same_name: Sequence[SuiteEntry]) -> SuiteEntry:
    rivals = [other for other in same_name if other.path != entry.path]
    problems = [Problem(f'"{entry.name}" is also the name of {other.path}; rename one', "name", file=str(entry.path)) for other in rivals]  # fmt: skip
    return entry._replace(problems=(*entry.problems, *problems))


# --- tools


def resolve_tools(
    sources: Sequence[ToolSource], folder: Path, server_tools: Callable[[ServerTools], tuple[ToolDefinition, ...]]
) -> tuple[ToolDefinition, ...]:
    """The tools of some sources: written out, from snapshot files below `folder`, from what servers offer.

    Raises:
        NotPermittedError: a file lies outside the folder.
        NotFoundError: there is no such file.
        InvalidFileError: a file holds no tools.
    """
    tools: list[ToolDefinition] = []
    for source in sources:
        if isinstance(source, FileTools):
            tools += _read_tools(_below(folder, source.file))
        elif isinstance(source, ServerTools):
            tools += server_tools(source)
        else:
            tools.append(source)
    return tuple(tools)


def _below(folder: Path, name: str) -> Path:
    try:
        path = (folder / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in the name, a ring of links
        raise UsageError(f'"{name}" is no path: {error}') from None
    if not path.is_relative_to(folder.resolve()):
        raise NotPermittedError(
            f'the tool file "{name}" lies outside of {folder}, the folder of its suite; put it there, or into a folder below'
        )
    if not path.is_file():
        raise NotFoundError(
            f'no tool file "{name}" in {folder}; `mcp-evals tools SERVER -o FILE` writes the tools of a server into one'
        )
    return path


def _read_tools(path: Path) -> list[ToolDefinition]:
    document = read_document(path)
    inside = isinstance(document.value, dict)
    listed: Any = as_object(document.value).get("tools") if inside else document.value
    if not isinstance(listed, list):
        raise InvalidFileError([Problem('must be a list of tools, or {"tools": [...]}', file=str(path))])
    tools: list[ToolDefinition] = []
    problems: list[Problem] = []
    for index, value in enumerate(listed):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        try:
            tools.append(ToolDefinition.model_validate(value))
        except ValidationError as error:
            for complaint in complaints(error, ToolDefinition):
                place = (*(("tools",) if inside else ()), index, *complaint.place)
                line = document.places.line_of(place)
                problems.append(Problem(complaint.message, place_text(place), line, str(path)))
    if problems:
        raise InvalidFileError(problems)
    return tools
