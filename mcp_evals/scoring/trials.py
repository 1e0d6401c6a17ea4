"""Several trials of one case make one result, by the rubric's rule. Knows no transcript."""

from collections.abc import Sequence

from mcp_evals.results import CaseResult, Outcome, Verdict
from mcp_evals.suite import Rubric


def result_of_trials(outcomes: Sequence[Outcome], rubric: Rubric) -> CaseResult:
    """The verdict over the trials of one case, in their order; errored trials are missing, not zero.

    `mean` compares the mean score with the thresholds (a trial that a gate failed counts as 0, one that an uncalibrated
    judge alone would fail as a warning; where no score can fail a case, so that gates alone decide, it is `majority`),
    `majority` needs more than half, `all` and `any` say what they mean, `last` is the last trial that has a score.
    """
    scored = [outcome for outcome in outcomes if outcome.verdict != "errored"]
    verdicts = [outcome.verdict for outcome in scored]
    passed = sum(verdict != "failed" for verdict in verdicts)
    worst = min(outcomes, key=lambda outcome: _SEVERITY.index(outcome.verdict))
    scores = [outcome.score for outcome in scored if outcome.score is not None]
    verdict = _verdict_over(scored, rubric)
    return CaseResult(
        case_id=outcomes[0].case_id,
        verdict=verdict,
        score=sum(scores) / len(scores) if scores else None,
        trials=len(outcomes),
        passed=passed,
        errored=len(outcomes) - len(scored),
        flaky=0 < passed < len(scored),
        reason=None if verdict == "passed" else worst.reason,
        rule=rubric.over_trials,
    )


_SEVERITY: tuple[Verdict, ...] = ("failed", "errored", "warned", "passed")


def _verdict_over(scored: Sequence[Outcome], rubric: Rubric) -> Verdict:
    if not scored:
        return "errored"
    verdicts: list[Verdict] = [outcome.verdict for outcome in scored]
    if len(verdicts) == 1 or rubric.over_trials == "last":
        return verdicts[-1]
    n = len(verdicts)
    if rubric.over_trials == "mean" and rubric.fail_below > 0:
        return rubric.verdict_of(sum(_counted(outcome, rubric) for outcome in scored) / n)
    clean, passed = verdicts.count("passed"), n - verdicts.count("failed")
    needed = {"all": n, "any": 1}.get(rubric.over_trials, n // 2 + 1)
    return "passed" if clean >= needed else "warned" if passed >= needed else "failed"


def _counted(outcome: Outcome, rubric: Rubric) -> float:
    score = outcome.score or 0.0
    gated = outcome.verdict == "failed" and score >= rubric.fail_below
    return 0.0 if gated else max(score, rubric.fail_below) if outcome.verdict == "warned" else score
