"""How much a subject is told of its answers: passed or not; also where it was wrong; also what would have been right."""

from typing import Final, Literal

from mcp_evals.answers import CallLine, CheckLine, TrialAnswer
from mcp_evals.results import Run

Reveal = Literal["verdict", "hints", "full"]
_BEGINNING: Final = "self-evaluation with reveal="
"""Of the note of a run that says how much is told."""


def reveal_note(reveal: Reveal) -> str:
    """The note of a run of a subject's own."""
    return f"{_BEGINNING}{reveal}: the subject handed in its own answers, nobody watched it"


def reveal_of(run: Run) -> Reveal:
    """How much is told of the answers of a run."""
    said = next((note for note in run.notes if note.startswith(_BEGINNING)), "")
    word = said.removeprefix(_BEGINNING).partition(":")[0]
    return "full" if word == "full" else "hints" if word == "hints" else "verdict"


def revealed(answer: TrialAnswer, reveal: Reveal) -> TrialAnswer:
    """As much of the evidence as a subject may see."""
    if reveal == "full":
        return answer
    if reveal == "verdict":
        return answer.model_copy(update={"calls": (), "checks": (), "reason": None})
    return answer.model_copy(
        update={
            "calls": tuple(map(_call_hint, answer.calls)),
            "checks": tuple(map(_check_hint, answer.checks)),
            "reason": None,
        }
    )


def _call_hint(line: CallLine) -> CallLine:
    """Which call is wrong, and in which arguments; not what they should be."""
    return line.model_copy(
        update={
            "expected": "(some call)" if line.status == "missing" else None,
            "why": tuple(f"{why.partition(':')[0]}: not as expected" for why in line.why),
        }
    )


def _check_hint(check: CheckLine) -> CheckLine:
    """Which check failed; not what it looks for."""
    return check.model_copy(update={"expected": None, "actual": None, "reason": None})
