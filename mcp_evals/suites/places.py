"""Where things stand in a document, and how much of what is wrong is worth telling. Knows no format."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, NamedTuple

from mcp_evals.errors import Problem
from mcp_evals.model import MAX_JSON_DEPTH
from mcp_evals.text import shorten

Place = tuple[str | int, ...]
"""Where in a document: keys and indices from the top."""

TOO_DEEP: Final = f"nested more than {MAX_JSON_DEPTH} levels deep"
MAX_PROBLEMS: Final = 100


class Span(NamedTuple):
    """Character offsets of a value in its text."""

    entry: int
    """Where its key, or in a list the value itself, begins."""
    start: int
    """Where the value begins."""
    end: int
    """Behind the value; behind the blanks and comments after it where it is a YAML block."""
    flow: bool = True
    """False: a YAML block, which ends by indentation."""


class LineNumbers:
    """Which line of a text a character stands in."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer(r"\r\n|\r|\n", text))]

    def at(self, offset: int) -> int:
        """Line of a character, counted from 1."""
        return bisect_right(self._starts, offset)


def place_text(place: Place) -> str:
    """A place as people write it: `cases[3].expect.calls[1].args.city`."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[\w$-]+", step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(shorten(step, 80), ensure_ascii=False)}]"
    return text


def first_problems(problems: Iterable[Problem]) -> list[Problem]:
    """At most as many problems as somebody may read, and how many more there are."""
    listed = list(problems)
    if len(listed) <= MAX_PROBLEMS:
        return listed
    left = len(listed) - MAX_PROBLEMS
    return [*listed[:MAX_PROBLEMS], Problem(f"and {left} more problems", file=listed[0].file)]
