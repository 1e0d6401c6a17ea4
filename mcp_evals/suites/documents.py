"""Read YAML, JSON and JSON lines as plain JSON values, and tell where in the file each value stands. Knows no suite."""

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final, Literal, NamedTuple

from mcp_evals.errors import InvalidFileError, NotFoundError, Problem, UsageError
from mcp_evals.suites.json_text import json_reason, json_spans, parse_strict, read_json
from mcp_evals.suites.places import LineNumbers, Place, Span
from mcp_evals.suites.yaml_text import read_yaml, yaml_spans

Form = Literal["yaml", "json", "jsonl"]
"""How a file is written."""

MAX_DOCUMENT_BYTES: Final = 20_000_000
MAX_JSON_LINES_BYTES: Final = 200_000_000
_FORMS: Final[dict[str, Form]] = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


class Places:
    """Finds values in a text; the text is searched only when somebody asks."""

    def __init__(self, text: str, form: Literal["yaml", "json"]) -> None:
        self.text = text
        self._form = form

    @cached_property
    def spans(self) -> dict[Place, Span]:
        """Where each value stands."""
        return yaml_spans(self.text) if self._form == "yaml" else json_spans(self.text)

    def line_of(self, place: Place) -> int:
        """Line of a value, or of the innermost value around it, counted from 1."""
        known = next((place[:size] for size in range(len(place), 0, -1) if place[:size] in self.spans), None)
        return 1 if known is None else self._lines.at(self.spans[known].entry)

    @cached_property
    def _lines(self) -> LineNumbers:
        return LineNumbers(self.text)


class Document(NamedTuple):
    """What a file says."""

    value: Any
    """The JSON value."""
    places: Places
    """Where its parts stand."""


class JsonLine(NamedTuple):
    """One line of a JSON lines file."""

    number: int
    """Counted from 1."""
    value: Any
    """The JSON value; None also where there is a problem."""
    problem: Problem | None = None
    """Why it cannot be read."""


def form_of(path: Path) -> Form:
    """How a file is written, by its name.

    Raises:
        UsageError: the name does not say.
    """
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise UsageError(f"{path}: the name must end in .yaml, .yml, .json, .jsonl or .ndjson")
    return form


def read_bytes(path: Path) -> bytes:
    """The whole of a file that is not too large for its form.

    Raises:
        NotFoundError: there is no such file.
        InvalidFileError: it is too large or cannot be read.
    """
    with open_file(path) as file:
        return file.read()


def open_file(path: Path) -> IO[bytes]:
    """A file that is not too large for its form, open for reading.

    Raises:
        NotFoundError: there is no such file.
        InvalidFileError: it is too large or cannot be read.
    """
    try:
        if not path.is_file():
            raise NotFoundError(f"no file {path}")
        size, lines = path.stat().st_size, form_of(path) == "jsonl"
        limit = MAX_JSON_LINES_BYTES if lines else MAX_DOCUMENT_BYTES
        if size > limit:
            advice = "split it" if lines else "write it as .jsonl, one case a line, or split it"
            message = f"has {size / 1e6:.0f} MB, more than the {limit / 1e6:.0f} MB that are read; {advice}"
            raise InvalidFileError([Problem(message, file=str(path))])
        return path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InvalidFileError([Problem(f"cannot be read: {error}", file=str(path))]) from error


def read_document(path: Path) -> Document:
    """What a YAML or JSON file says.

    Raises:
        NotFoundError: there is no such file.
        InvalidFileError: it cannot be read; all problems at once.
    """
    return parse_document(read_bytes(path), "yaml" if form_of(path) == "yaml" else "json", str(path))


def parse_document(content: bytes | str, form: Literal["yaml", "json"], file: str = "") -> Document:
    """What a YAML or JSON text says.

    Raises:
        InvalidFileError: it cannot be read; all problems at once.
    """
    text = content if isinstance(content, str) else decode(content, file)
    if not text.strip():
        raise InvalidFileError([Problem("is empty", file=file)])
    value = read_yaml(text, file) if form == "yaml" else read_json(text, file)
    return Document(value, Places(text, form))


def json_lines(lines: Iterable[bytes | str], file: str = "") -> Iterator[JsonLine]:
    """Each line that is not blank, read as it comes; a line that cannot be read has a problem and stops nothing."""
    offset = 0
    for number, line in enumerate(lines, 1):
        try:
            text = line if isinstance(line, str) else decode(line, file, offset=offset, line=number)
            if text.strip():
                yield _json_line(text, number, file)
        except InvalidFileError as error:
            yield JsonLine(number, None, error.problems[0])
        offset += len(line)


def decode(content: bytes, file: str, *, offset: int = 0, line: int = 1) -> str:
    """UTF-8 text, without a byte order mark; `offset` and `line` say where in the file `content` begins.

    Raises:
        InvalidFileError: it is not UTF-8.
    """
    if offset == 0 and content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidFileError([Problem("is UTF-16; save it as UTF-8", file=file)])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # With a byte order mark, the position is counted behind it.
        start = error.start + (3 if content.startswith(b"\xef\xbb\xbf") else 0)
        message = f"byte 0x{content[start]:02x} at offset {offset + start} is not UTF-8; save the file as UTF-8"
        problem = Problem(message, line=line + content.count(b"\n", 0, start), file=file)
        raise InvalidFileError([problem]) from error


def _json_line(text: str, number: int, file: str) -> JsonLine:
    try:
        return JsonLine(number, parse_strict(text.rstrip()))
    except json.JSONDecodeError as error:
        return JsonLine(number, None, Problem(f"{json_reason(error)} (column {error.colno})", line=number, file=file))
    except ValueError as error:
        return JsonLine(number, None, Problem(str(error), line=number, file=file))
