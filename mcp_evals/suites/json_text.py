"""Strict JSON: no key twice, no NaN, no number that overflows, at most 100 levels deep; and where its values stand."""

import json
import re
from typing import Any, Final, NoReturn

from mcp_evals.errors import InvalidFileError, Problem
from mcp_evals.model import MAX_JSON_DEPTH, depth_exceeds
from mcp_evals.suites.places import TOO_DEEP, LineNumbers, Place, Span, first_problems, place_text
from mcp_evals.text import shorten


class NotPlainError(ValueError):
    """JSON that Python reads and we do not: a key twice, a NaN, a number that is too large."""


def read_json(text: str, file: str) -> Any:
    """The value of a JSON text.

    Raises:
        InvalidFileError: it is not strict JSON; all problems at once.
    """
    try:
        return parse_strict(text)
    except json.JSONDecodeError as error:
        raise InvalidFileError([Problem(json_reason(error), line=error.lineno, file=file)]) from None
    except NotPlainError:
        scanner = _Scanner(text, file)
        scanner.scan()
        raise InvalidFileError(first_problems(scanner.problems)) from None
    except ValueError as error:
        raise InvalidFileError([Problem(str(error), file=file)]) from None


def json_spans(text: str) -> dict[Place, Span]:
    """Where each value of a text stands that was read as JSON."""
    scanner = _Scanner(text, "")
    scanner.scan()
    return scanner.spans


def parse_strict(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is not strict JSON; the message says why.
    """
    try:
        value = json.loads(
            text, parse_constant=_no_constant, parse_float=finite_float, parse_int=bounded_int, object_pairs_hook=_once
        )
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    if depth_exceeds(value, MAX_JSON_DEPTH):
        raise ValueError(TOO_DEEP)
    return value


def json_reason(error: json.JSONDecodeError) -> str:
    """What is wrong, and what it may come from."""
    hints = {
        "Expecting property name": " (JSON has no comments and no comma after the last entry)",
        "Illegal trailing comma": "",
        "Expecting value": " (text needs double quotes; JSON has no comments and no comma after the last entry)",
        "Extra data": " (one value is expected; several belong into a .jsonl file, one a line)",
    }
    return f"not JSON: {error.msg}" + next((hint for start, hint in hints.items() if error.msg.startswith(start)), "")


def _no_constant(name: str) -> NoReturn:
    raise NotPlainError(f"{name} is not JSON")


def finite_float(text: str) -> float:
    """The number that a text writes.

    Raises:
        NotPlainError: it is too large.
    """
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise NotPlainError(_too_large(text))
    return number


def bounded_int(text: str) -> int:
    """The whole number that a text writes.

    Raises:
        NotPlainError: it has more digits than Python reads.
    """
    try:
        return int(text)
    except ValueError:
        raise NotPlainError(_too_large(text)) from None


def _too_large(text: str) -> str:
    return f"{shorten(text, 40)} is too large for a number; put it in quotes if it is text"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise NotPlainError(f'the key "{shorten(twice, 80)}" is there twice; remove one')
    return found


_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class _Scanner:
    """Walks through a text that Python reads as JSON: where values stand, and what we do not take."""

    def __init__(self, text: str, file: str) -> None:
        self.problems: list[Problem] = []
        self.spans: dict[Place, Span] = {}
        self._file, self._lines = file, LineNumbers(text)
        self._tokens = _TOKEN.finditer(text)

    def scan(self) -> None:
        token = next(self._tokens)
        self._value(token, (), token.start())

    def _value(self, token: re.Match[str], place: Place, entry: int) -> None:
        if len(place) > MAX_JSON_DEPTH:
            raise InvalidFileError([Problem(TOO_DEEP, line=self._lines.at(entry), file=self._file)])
        end = token.end()
        if token[0] == "[":
            end = self._list(place)
        elif token[0] == "{":
            end = self._object(place)
        else:
            self._constant(token, place)
        self.spans[place] = Span(entry, token.start(), end)

    def _list(self, place: Place) -> int:
        index = 0
        while (token := next(self._tokens))[0] != "]":
            if token[0] != ",":
                self._value(token, (*place, index), token.start())
                index += 1
        return token.end()

    def _object(self, place: Place) -> int:
        seen: set[str] = set()
        while (token := next(self._tokens))[0] != "}":
            if token[0] == ",":
                continue
            key = json.loads(token[0])
            if key in seen:
                self._complain("this key is there twice; remove one", (*place, key), token)
            seen.add(key)
            next(self._tokens)  # the colon
            self._value(next(self._tokens), (*place, key), token.start())
        return token.end()

    def _constant(self, token: re.Match[str], place: Place) -> None:
        try:
            json.loads(token[0], parse_constant=_no_constant, parse_float=finite_float, parse_int=bounded_int)
        except NotPlainError as error:
            self._complain(str(error), place, token)

    def _complain(self, message: str, place: Place, token: re.Match[str]) -> None:
        self.problems.append(Problem(message, place_text(place), self._lines.at(token.start()), self._file))
