"""Hold a judge against people: does it agree with them often enough for its no to fail a case?"""

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import Field

from mcp_evals.judging.labels import Label
from mcp_evals.model import Fraction, Model, NonNegative, digest
from mcp_evals.results import Estimate, Judgement
from mcp_evals.scoring.agreement import agreement, bias, flip_rate, kappa_estimate
from mcp_evals.scoring.judge import OpenQuestion

MIN_LABELS: Final = 10
"""Labels of a criterion below which nobody can say that a judge agrees with people."""
MIN_KAPPA: Final = 0.6
"""Substantial agreement, by J. R. Landis and G. G. Koch, Biometrics 33, 1977."""


class Calibration(Model):
    """A judge beside people, on one criterion."""

    judge: str
    """Who judged."""
    subject: str
    """The criterion, or the metric whose criteria it stands for."""
    labels: int = Field(ge=0)
    """Questions that people have labelled."""
    compared: int = Field(ge=0)
    """Those on which the judge has a verdict too; the numbers below are of these."""
    agreement: Fraction | None = None
    """Share on which both say the same."""
    kappa: Estimate | None = None
    """Cohen's kappa: agreement beyond chance, with its interval; None where one side says the same of everything."""
    bias: float | None = None
    """How much more often the judge says yes: above 0 too lenient, below 0 too strict."""
    flip_rate: Fraction | None = None
    """Chance that the judge, asked again, says otherwise; None with one sample a question."""
    calibrated: bool = False
    """Whether its no fails a case."""
    why_not: str | None = None
    """What is missing to that."""


class CalibrationReport(Model):
    """A judge beside people, criterion by criterion."""

    judge: str
    """Who judged."""
    criteria: tuple[Calibration, ...]
    """Each criterion."""
    overall: Calibration | None = None
    """All of them together, where there are several; it calibrates none."""
    asked: int = 0
    """Questions that the judge was asked now; the others it had answered before."""
    cost_usd: NonNegative | None = None
    """What that cost; None: unknown."""
    next_step: str
    """What to do next."""


def calibration_id(judge: str, subject: str) -> str:
    """Where a calibration is stored: one for each judge and criterion."""
    return digest({"judge": judge, "subject": subject})


def subject_of(question: OpenQuestion) -> str:
    """What a question is counted under when a judge is compared with people."""
    return question.subject or question.criterion


def calibrations(judge: str, labels: Sequence[Label], given: Mapping[str, Judgement]) -> tuple[Calibration, ...]:
    """A judge beside people, by criterion in the order of the labels; `given` are its judgements by question."""
    by_subject: dict[str, list[Label]] = {}
    for label in labels:
        by_subject.setdefault(subject_of(label.question), []).append(label)
    return tuple(calibration(judge, subject, listed, given) for subject, listed in by_subject.items())


def calibration(judge: str, subject: str, labels: Sequence[Label], given: Mapping[str, Judgement]) -> Calibration:
    """A judge beside people, on labels that are counted together."""
    known = [given[label.question.key] for label in labels if label.question.key in given]
    pairs = [
        (judgement.score == 1, bool(label.verdict))
        for label in labels
        if (judgement := given.get(label.question.key)) is not None and judgement.score is not None
    ]
    judged, people = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    estimate = kappa_estimate(judged, people)
    why_not = _why_not(len(pairs), estimate)
    return Calibration(
        judge=judge,
        subject=subject,
        labels=len(labels),
        compared=len(pairs),
        agreement=agreement(judged, people),
        kappa=estimate,
        bias=bias(judged, people),
        flip_rate=flip_rate(known),
        calibrated=why_not is None,
        why_not=why_not,
    )


def _why_not(compared: int, estimate: Estimate | None) -> str | None:
    if compared < MIN_LABELS:
        return f"{compared} labels with a verdict of the judge, and {MIN_LABELS} are needed"
    if estimate is None:
        return "judge or people say the same of everything; label some that hold and some that do not"
    if estimate.value < MIN_KAPPA:
        return f"kappa is {estimate.value:.2f}, and {MIN_KAPPA:g} is needed"
    return None if estimate.low > 0 else f"kappa may be {estimate.low:.2f}: label more"
