"""Repeated runs of a case: how consistent they are, and how much of the noise is the model's own."""

from math import comb, sqrt
from typing import Literal, NamedTuple

import numpy as np

from mcp_evals.errors import UsageError
from mcp_evals.model import Model
from mcp_evals.results import Estimate
from mcp_evals.stats.distributions import t_quantile
from mcp_evals.stats.intervals import arm_summary
from mcp_evals.stats.planning import detectable
from mcp_evals.stats.tables import Floats, Labels, Scores, ScoreTable, read_scores, unit_codes


class Consistency(NamedTuple):
    """What happens when each case is tried k times."""

    k: int
    """Tries."""
    pass_at_k: Estimate
    """pass@k: share of cases where at least one of k tries passes."""
    pass_hat_k: Estimate
    """pass^k: share of cases where all k tries pass."""


class Flaky(NamedTuple):
    """Cases that pass on some runs and fail on others."""

    cases: tuple[int, ...]
    """Indices of the flaky cases."""
    of: int
    """How many cases have at least two valid runs, so that it could be seen."""

    @property
    def share(self) -> float | None:
        """Flaky cases among those where it could be seen; None where there is none."""
        return len(self.cases) / self.of if self.of else None


class VarianceParts(Model):
    """Where the noise of the difference comes from, per case."""

    within: float
    """Variance that the runs themselves bring: a model does not answer twice alike."""
    between: float
    """Variance of the true differences from case to case."""
    total: float
    """Variance of the observed differences; divided by the cases it is the variance of their mean."""
    run_share: float | None
    """within / total: the share of noise that more runs can lower; None where nothing varies."""
    advice: Literal["more_runs", "more_cases", "either"]
    """What helps: more runs where over half of the noise is the runs', more cases where under a quarter is."""


def pass_at_k(runs: int, passes: int, k: int) -> float | None:
    """Chance that at least one of k runs passes: 1 - C(n-c,k) / C(n,k) (Chen 2021); None where runs < k."""
    return None if runs < k else 1 - comb(runs - passes, k) / comb(runs, k)


def pass_hat_k(runs: int, passes: int, k: int) -> float | None:
    """Chance that all of k runs pass: C(c,k) / C(n,k) (Yao 2024); None where runs < k."""
    return None if runs < k else comb(passes, k) / comb(runs, k)


def consistency(passes: Scores, k: int, *, groups: Labels | None = None) -> Consistency | None:
    """pass@k and pass^k averaged over the cases with at least k valid runs; None where there is no such case.

    Raises:
        UsageError: k is below 1, or a score is neither 0 nor 1.
    """
    if k < 1:
        raise UsageError(f"k must be at least 1, but is {k}; it is the number of tries")
    table = read_scores(passes, binary=True)
    kept = np.flatnonzero(table.runs >= k)
    if not len(kept):
        return None
    counts = zip(table.runs[kept].tolist(), np.nansum(table.scores[kept], axis=1).astype(int).tolist(), strict=True)
    pairs = [(runs, passed) for runs, passed in counts]
    codes = unit_codes(groups, len(table.runs))
    kept_groups = None if codes is None else codes[kept]
    at, hat = (
        arm_summary(
            [chance(runs, passed, k) or 0.0 for runs, passed in pairs], binary=False, groups=kept_groups
        ).estimate
        for chance in (pass_at_k, pass_hat_k)
    )
    return Consistency(k, at, hat)


def flaky_cases(passes: Scores) -> Flaky:
    """The cases that neither always pass nor always fail.

    Raises:
        UsageError: a score is neither 0 nor 1.
    """
    table = read_scores(passes, binary=True)
    passed, runs = np.nansum(table.scores, axis=1), table.runs
    return Flaky(tuple(np.flatnonzero((passed > 0) & (passed < runs)).tolist()), int(np.count_nonzero(runs >= 2)))


def variance_parts(baseline: Scores, candidate: Scores) -> VarianceParts | None:
    """The noise of candidate minus baseline, split in what the runs and what the cases bring; rows are the same cases.

    None where fewer than half of the compared cases have two valid runs on both sides. A case with one run (the others
    errored) borrows the mean run variance of its arm.
    """
    noise = _run_noise(read_scores(baseline), read_scores(candidate))
    if noise is None or len(noise.differences) < 2:
        return None
    within, total = float(noise.variance.mean()), float(np.var(noise.differences, ddof=1))
    run_share = min(1.0, within / total) if total > 0 else None
    if run_share is None or 0.25 <= run_share <= 0.5:
        advice = "either"
    else:
        advice = "more_runs" if run_share > 0.5 else "more_cases"
    return VarianceParts(
        within=within, between=max(0.0, total - within), total=total, run_share=run_share, advice=advice
    )


def fixed_suite_interval(baseline: Scores, candidate: Scores, *, confidence: float = 0.95) -> Estimate | None:
    """The difference on exactly these cases, where only the runs could have come out otherwise.

    d ± t · sqrt(Σ (s²_A/K_A + s²_B/K_B)) / n, with half of the runs' degrees of freedom (measured coverage .945-.956).
    None where `variance_parts` is.
    """
    noise = _run_noise(read_scores(baseline), read_scores(candidate))
    if noise is None:
        return None
    cases, difference = len(noise.differences), float(noise.differences.mean())
    half = t_quantile((1 + confidence) / 2, noise.degrees / 2) * sqrt(float(noise.variance.sum())) / cases
    return Estimate(
        value=difference,
        low=max(-1.0, difference - half),
        high=min(1.0, difference + half),
        confidence=confidence,
        method="t_run_noise",
        n=cases,
    )


def detectable_with_runs(parts: VarianceParts, cases: int, times: float) -> float:
    """The gap that could be seen if each case had `times` as many runs as now."""
    return detectable(sqrt((parts.between + parts.within / times) / cases))


class _RunNoise(NamedTuple):
    differences: Floats
    variance: Floats
    degrees: float


def _run_noise(baseline: ScoreTable, candidate: ScoreTable) -> _RunNoise | None:
    """Per compared case the difference of means and its variance by the runs alone."""
    compared = (baseline.runs > 0) & (candidate.runs > 0)
    arms = [ScoreTable(arm.scores[compared], arm.errored[compared]) for arm in (baseline, candidate)]
    repeated = np.logical_and(*(arm.runs >= 2 for arm in arms))
    if not len(repeated) or 2 * np.count_nonzero(repeated) < len(repeated):
        return None
    variance = np.zeros(len(repeated))
    for arm in arms:
        own = arm.variances
        variance += np.where(np.isnan(own), np.nanmean(own), own) / arm.runs
    degrees = float(sum(np.sum(arm.runs - 1) for arm in arms))
    return _RunNoise(arms[1].means - arms[0].means, variance, degrees)
