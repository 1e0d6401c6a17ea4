"""YAML 1.2, held to JSON's types, so that a value is what it looks like.

`no`, `2024-05-01`, `0123`, `0x1F` and `1_000` are text; `true` (also `True`, `TRUE`), `null` (also `~`, nothing) and JSON's
numbers (also `.5` and `5.`) are not. Keys are text as they are written. Aliases and merge keys (`<<`) are filled in, up
to a bound; tags are refused.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from mcp_evals.errors import InvalidFileError, Problem
from mcp_evals.model import MAX_JSON_DEPTH, depth_exceeds
from mcp_evals.suites.json_text import NotPlainError, bounded_int, finite_float
from mcp_evals.suites.places import TOO_DEEP, Place, Span, first_problems, place_text
from mcp_evals.text import shorten

MAX_ALIASED_CHARACTERS: Final = 20_000_000
"""What aliases may repeat in one file, so that a few lines cannot become gigabytes."""
_NODE_CHARACTERS: Final = 10
"""What a value weighs beside its text."""
_NUMBER: Final = re.compile(r"-?(?:(?P<whole>0|[1-9][0-9]*)(?P<point>\.[0-9]*)?|\.[0-9]+)(?P<power>[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_CONSTANTS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TEXT_TAG: Final = "tag:yaml.org,2002:str"


def read_yaml(text: str, file: str) -> Any:
    """The value of a YAML text with one document.

    Raises:
        InvalidFileError: it is not such YAML; all problems at once.
    """
    return _Reader(text, file, None).read()


def yaml_spans(text: str) -> dict[Place, Span]:
    """Where each value of a text stands that was read as YAML."""
    spans: dict[Place, Span] = {}
    _Reader(text, "", spans).read()
    return spans


def is_text(scalar: str) -> bool:
    """Whether a plain scalar stands for itself, rather than for a number, `true`, `null` or nothing."""
    return not (scalar in _CONSTANTS or _NUMBER.fullmatch(scalar) or _NOT_FINITE.fullmatch(scalar))


class _Reader:
    """Builds JSON values from YAML's events; notes where they stand when `spans` is given."""

    def __init__(self, text: str, file: str, spans: dict[Place, Span] | None) -> None:
        self._text, self._file, self._spans = text, file, spans
        self._problems: list[Problem] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._weight = 0
        self._aliased = 0

    def read(self) -> Any:
        from ruamel.yaml import YAML  # slow to load
        from ruamel.yaml.error import YAMLError

        try:
            self._events: Iterator[Any] = iter(YAML(typ="safe", pure=True).parse(self._text))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
            value = self._document()
        except (YAMLError, ValueError, OverflowError) as error:
            # Escapes such as "\\UFFFFFFFF" break ruamel itself.
            raise InvalidFileError([self._syntax_problem(error)]) from None
        if self._problems:
            raise InvalidFileError(first_problems(self._problems))
        if self._aliased and depth_exceeds(value, MAX_JSON_DEPTH):
            raise InvalidFileError([Problem(f"{TOO_DEEP}, with what aliases repeat", file=self._file)])
        return value

    def _document(self) -> Any:
        next(self._events)
        event = next(self._events)
        if _kind(event) == "StreamEnd":
            raise InvalidFileError([Problem("is empty", file=self._file)])
        value = self._node(next(self._events), (), 0)
        next(self._events)
        following = next(self._events)
        if _kind(following) != "StreamEnd":
            self._complain("a second document begins; write each suite into a file of its own", (), following)
        return value

    def _node(self, event: Any, place: Place, entry: int) -> Any:
        if len(place) > MAX_JSON_DEPTH:
            raise InvalidFileError([Problem(TOO_DEEP, line=event.start_mark.line + 1, file=self._file)])
        kind, before = _kind(event), self._weight
        self._weight += _NODE_CHARACTERS
        end = event
        if kind == "Alias":
            value = self._alias(event, place)
        elif kind == "Scalar":
            value = self._scalar(event, place)
        else:
            self._refuse_tag(event, place, allowed=f"tag:yaml.org,2002:{'seq' if kind == 'SequenceStart' else 'map'}")
            value, end = self._list(place) if kind == "SequenceStart" else self._object(place)
        if kind != "Alias" and event.anchor:
            self._anchors[event.anchor] = value, self._weight - before
        if self._spans is not None:
            self._spans[place] = self._span(event, end, entry)
        return value

    def _span(self, event: Any, end: Any, entry: int) -> Span:
        start, stop = event.start_mark.index, end.end_mark.index
        if _kind(event) == "Scalar" and start == stop:
            # Nothing is written, which ruamel only sees where the next thing begins.
            start = stop = len(self._text[:start].rstrip())
        return Span(min(entry, start), start, stop, _kind(event) in {"Alias", "Scalar"} or bool(event.flow_style))

    def _list(self, place: Place) -> tuple[list[Any], Any]:
        items: list[Any] = []
        while _kind(event := next(self._events)) != "SequenceEnd":
            items.append(self._node(event, (*place, len(items)), event.start_mark.index))
        return items, event

    def _object(self, place: Place) -> tuple[dict[str, Any], Any]:
        found: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        while _kind(event := next(self._events)) != "MappingEnd":
            key = self._key(event, place)
            inner = (*place, key)
            value = self._node(next(self._events), inner, event.start_mark.index)
            if key == "<<" and _kind(event) == "Scalar" and event.style is None:
                merged += self._merged(value, inner, event)
            elif key in found:
                self._complain("this key is there twice; remove one", inner, event)
            else:
                found[key] = value
        for base in merged:
            found |= {key: value for key, value in base.items() if key not in found}
        return found, event

    def _key(self, event: Any, place: Place) -> str:
        if _kind(event) == "Scalar":
            self._refuse_tag(event, (*place, event.value), allowed=_TEXT_TAG)
            self._weight += len(event.value)
            if event.anchor:
                self._anchors[event.anchor] = event.value, len(event.value)
            return event.value
        key = self._node(event, place, event.start_mark.index)
        if not isinstance(key, str):
            self._complain("a key must be text", place, event)
        return str(key)

    def _merged(self, value: Any, place: Place, event: Any) -> list[dict[str, Any]]:
        bases: list[Any] = value if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType]
        if all(isinstance(base, dict) for base in bases):
            return bases
        self._complain("`<<` takes in an object, or a list of objects; there is something else", place, event)
        return []

    def _alias(self, event: Any, place: Place) -> Any:
        if event.anchor not in self._anchors:
            self._complain(f"nothing before *{event.anchor} is called &{event.anchor}", place, event)
            return None
        value, weight = self._anchors[event.anchor]
        self._weight += weight
        self._aliased += weight
        if self._aliased > MAX_ALIASED_CHARACTERS:
            message = f"aliases such as *{event.anchor} repeat more than {MAX_ALIASED_CHARACTERS / 1e6:.0f} MB of text"
            problem = Problem(message, place_text(place), event.start_mark.line + 1, self._file)
            raise InvalidFileError([problem])
        return value

    def _scalar(self, event: Any, place: Place) -> Any:
        text: str = event.value
        self._weight += len(text)
        self._refuse_tag(event, place, allowed=_TEXT_TAG)
        if event.style is not None or event.tag is not None:
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _NOT_FINITE.fullmatch(text):
            self._complain(f"{text} is not a JSON number; put it in quotes if it is text", place, event)
            return None
        number = _NUMBER.fullmatch(text)
        if number is None:
            return text
        try:
            return (
                bounded_int(text)
                if number["whole"] and not number["point"] and not number["power"]
                else finite_float(text)
            )
        except NotPlainError as error:
            self._complain(str(error), place, event)
            return None

    def _refuse_tag(self, event: Any, place: Place, allowed: str) -> None:
        if event.tag not in {None, "!", allowed}:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            self._complain(f"the tag {shorten(tag, 60)} is not allowed; write a plain value", place, event)

    def _complain(self, message: str, place: Place, event: Any) -> None:
        self._problems.append(Problem(message, place_text(place), event.start_mark.line + 1, self._file))

    def _syntax_problem(self, error: Any) -> Problem:
        mark = getattr(error, "problem_mark", None)
        offset = getattr(error, "position", None)
        line: int | None = None
        if mark is not None:
            line, reason = mark.line + 1, str(error.problem)
        elif offset is not None:
            line, reason = (
                self._text.count("\n", 0, offset) + 1,
                f"the character U+{error.character:04X} is not allowed",
            )
        else:
            reason = r"an escape such as \UFFFFFFFF stands for no character"
        hint = next((hint for part, hint in _YAML_HINTS.items() if part in reason), "")
        return Problem(f"not YAML: {reason}{hint}", line=line, file=self._file)


_YAML_HINTS: Final = {
    "mapping values are not allowed here": "; text with a colon and a space in it needs quotes",
    "'\\t'": "; indent with spaces",
    "cannot start any token": "; text that begins with this needs quotes",
    "could not find expected ':'": "; is a colon missing, or the indentation wrong?",
    "expected <block end>": "; is the indentation right?",
}


def _kind(event: Any) -> str:
    return type(event).__name__.removesuffix("Event")
