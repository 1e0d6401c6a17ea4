"""Recordings: what was said once, said again. A file of JSON lines, or trials that someone hands over.

Each line is `{"case": ID, "trial": N, "transcript": {...}}`, `trial` being 0 where it is left out; the first line may be
a header, `{"recording": {...}}`. Knows no model and no store.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, JsonValue, ValidationError

from mcp_evals.conversation import Task, Transcript
from mcp_evals.errors import InvalidFileError, NotFoundError, Problem, TargetError, did_you_mean
from mcp_evals.model import Model, parse_json
from mcp_evals.targets.base import Toolbox
from mcp_evals.whole_files import whole_file


class RecordedTrial(Model):
    """One line of a recording."""

    case: str
    """Id of the case."""
    trial: int = Field(default=0, ge=0)
    """Number of the trial of its case."""
    transcript: Transcript
    """What was said."""


class Recording(NamedTuple):
    """A whole recording."""

    header: dict[str, JsonValue]
    """What its maker says of it."""
    trials: tuple[RecordedTrial, ...]
    """In the order of the file."""


class RecordedTarget:
    """Answers every trial with the transcript that was recorded for it."""

    def __init__(self, trials: Iterable[RecordedTrial]) -> None:
        self._transcripts = {(trial.case, trial.trial): trial.transcript for trial in trials}
        self._counts = Counter(case for case, _ in self._transcripts)

    async def run(self, task: Task, toolbox: Toolbox) -> Transcript:
        """The recorded transcript of this trial.

        Raises:
            TargetError: kind `not_recorded`; says how many trials there are.
        """
        recorded = self._transcripts.get((task.case_id, task.trial))
        if recorded is not None:
            return recorded
        count = self._counts[task.case_id]
        if not count:
            raise TargetError(
                f'case "{task.case_id}" is not in the recording{did_you_mean(task.case_id, sorted(self._counts))}',
                kind="not_recorded",
            )
        raise TargetError(
            f'trial {task.trial} of case "{task.case_id}" is not in the recording, which has {count} of it; '
            f"ask for at most {count} trials",
            kind="not_recorded",
        )

    async def aclose(self) -> None:
        """Has nothing to give back."""


def read_recording(path: Path) -> Recording:
    """Read a recording from a file.

    Raises:
        NotFoundError: there is no such file.
        InvalidFileError: lines are wrong; all of them at once.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise NotFoundError(f"no recording {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFileError([Problem(f"cannot be read: {error}", file=str(path))]) from error
    header: dict[str, JsonValue] = {}
    trials: dict[tuple[str, int], RecordedTrial] = {}
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            read = _read_line(line, first=number == 1)
        except ValueError as error:
            problems.append(Problem(_said(error), line=number, file=str(path)))
            continue
        if isinstance(read, dict):
            header = read
        elif (read.case, read.trial) in trials:
            twice = f'trial {read.trial} of case "{read.case}" stands here twice; number them with `trial`'
            problems.append(Problem(twice, line=number, file=str(path)))
        else:
            trials[read.case, read.trial] = read
    if problems:
        raise InvalidFileError(problems)
    return Recording(header, tuple(trials.values()))


def write_recording(path: Path, header: Mapping[str, JsonValue], trials: Iterable[RecordedTrial]) -> int:
    """Write a recording and return its number of trials; the file is there whole or not at all."""
    count = 0
    with whole_file(path) as file:
        file.write(_Header(recording=dict(header)).model_dump_json().encode() + b"\n")
        for trial in trials:
            file.write(trial.model_dump_json(exclude_defaults=True).encode() + b"\n")
            count += 1
    return count


class _Header(Model):
    recording: dict[str, JsonValue]


def _read_line(line: str, *, first: bool) -> RecordedTrial | dict[str, JsonValue]:
    read = parse_json(line)
    if first and isinstance(read, dict) and "recording" in read:
        return _Header.model_validate(read).recording
    return RecordedTrial.model_validate(read)


def _said(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return f"not JSON: {error}"
    found = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
