"""Every error that a caller may want to catch.

    EvalsError
    ├── UsageError              the request cannot be carried out as it was put
    │   ├── NotFoundError       no suite, case, run, target or file of that name
    │   ├── NotPermittedError   the user's configuration would have to allow it
    │   └── OverBudgetError     it would cost more than the cap
    ├── InvalidFileError        a suite, configuration, transcript or import file is wrong; carries every problem
    ├── StoreError              the store cannot be read or written
    └── TargetError             one trial could not be run; recorded as an errored trial, never as a failed one
        └── LimitError          a limit on time, steps or spending ended the trial

The message of each is written for its reader: what is wrong, where, and what would be right.
Errors of other libraries are translated where they arise and kept as `__cause__`.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NamedTuple


class EvalsError(Exception):
    """Base of all errors of this package: `except EvalsError as error: print(error)` is enough for a user."""


class UsageError(EvalsError):
    """The request cannot be carried out as it was put."""


class NotFoundError(UsageError):
    """There is nothing of that name."""


class NotPermittedError(UsageError):
    """The user's configuration would have to allow this."""


class OverBudgetError(UsageError):
    """It would cost more than the cap; says how to raise the cap."""


class Problem(NamedTuple):
    """One thing that is wrong in a file."""

    message: str
    """What is wrong and what would be right."""
    path: str = ""
    """Where in the document, such as `cases[3].expect.calls[1].args.city`; empty for the whole."""
    line: int | None = None
    """Line in the file, counted from 1, where it is known."""
    file: str = ""
    """The file, as the user named it."""

    def __str__(self) -> str:
        place = self.file + (f":{self.line}" if self.line is not None else "")
        return ": ".join(part for part in (place, self.path, self.message) if part)


class InvalidFileError(EvalsError):
    """A file is wrong; all its problems at once, one a line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class StoreError(EvalsError):
    """The store cannot be read or written; nothing that it held is lost."""


class TargetError(EvalsError):
    """One trial could not be run."""

    def __init__(self, message: str, *, kind: str = "target") -> None:
        super().__init__(message)
        self.kind = kind
        """A short word for grouping, such as `rate_limit`, `connection`, `bad_response`."""


class LimitError(TargetError):
    """A limit ended the trial."""


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """A hint such as `; did you mean "oslo"?`, or what there is, or nothing where nothing is known."""
    close = get_close_matches(name, known, n=1)
    if close:
        return f'; did you mean "{close[0]}"?'
    if not known:
        return ""
    shown = ", ".join(known[:8])
    return f"; there is {shown}" + (f" and {len(known) - 8} more" if len(known) > 8 else "")
