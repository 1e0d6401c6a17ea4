"""Intervals: one model's mean score, and the difference of two models on the same cases.

One model: Wilson (1927) on the effective sample size (after Franco, Little, Louis, Slud 2019), with a t quantile where
the sample size itself is estimated. Difference: Newcombe (1998), method 10, square and add.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Final, NamedTuple

import numpy as np

from mcp_evals.errors import UsageError
from mcp_evals.results import Estimate
from mcp_evals.stats.distributions import normal_quantile, t_quantile
from mcp_evals.stats.tables import (
    Floats,
    Labels,
    Scores,
    Whole,
    check_scores,
    read_scores,
    unit_codes,
    unit_count,
    unit_sums,
)

NO_SPREAD: Final = 1e-12
"""A standard error below this is rounding, not spread."""


class ArmSummary(NamedTuple):
    """One model's mean score and how much it rests on."""

    estimate: Estimate
    """Mean over cases with its interval."""
    standard_error: float
    """Standard error of the mean; 0 where all units agree."""
    effective_n: float | None
    """Sample size of a plain pass rate that would be as uncertain; None where there is one unit only."""
    units: int
    """Independent units: cases, or groups."""
    reason: str | None
    """Why there is no interval; None where there is one."""


class DifferenceSummary(NamedTuple):
    """Candidate minus baseline on the same cases."""

    estimate: Estimate
    """Mean difference with its interval."""
    baseline: ArmSummary
    """The baseline on these cases."""
    candidate: ArmSummary
    """The candidate on these cases."""
    correlation: float
    """How the two arms go together over units; the more, the narrower the interval."""

    @property
    def standard_error(self) -> float:
        """Half the interval in normal quantiles; for planning only."""
        width = self.estimate.high - self.estimate.low
        return width / (2 * normal_quantile((1 + self.estimate.confidence) / 2))


def arm_summary(
    case_means: Sequence[float] | Floats,
    *,
    binary: bool,
    runs: float = 1.0,
    groups: Labels | None = None,
    confidence: float = 0.95,
    quantile: float | None = None,
) -> ArmSummary:
    """Mean and interval of one arm: Wilson on n_eff = m(1 - m) / SE².

    `runs` is the mean number of valid runs a case. With one run a case, pass or fail and no groups it is exactly the
    Wilson interval; otherwise the quantile is Student's with units - 1 degrees of freedom. `quantile` replaces it (for
    intervals that must hold at a stopping time).

    Raises:
        UsageError: no case has a score, or a score lies outside 0..1.
    """
    means = _known_means(case_means)
    codes = unit_codes(groups, len(means))
    units = unit_count(codes, len(means))
    mean = float(means.mean())
    classic = binary and runs == 1 and codes is None
    if units == 1:
        only = "case" if codes is None else "group"
        return ArmSummary(
            Estimate(value=mean, low=0, high=1, confidence=confidence, method="none", n=len(means)),
            standard_error=0.0,
            effective_n=None,
            units=1,
            reason=f"one {only} only: no interval is possible",
        )
    standard_error = _standard_error(means - mean, codes, units)
    effective_n = mean * (1 - mean) / standard_error**2 if standard_error > NO_SPREAD else float(units)
    if binary:
        effective_n = min(effective_n, len(means) * runs)
    if quantile is None:
        share = (1 + confidence) / 2
        quantile = normal_quantile(share) if classic else t_quantile(share, units - 1)
    low, high = _wilson(mean, effective_n, quantile)
    method = "wilson" if classic else "wilson_effective_n"
    estimate = Estimate(value=mean, low=low, high=high, confidence=confidence, method=method, n=len(means))
    return ArmSummary(estimate, standard_error, effective_n, units, None)


def arm_of_trials(
    table: Scores, *, binary: bool, groups: Labels | None = None, confidence: float = 0.95
) -> ArmSummary | None:
    """Mean and interval of one arm from the score of each trial; None while no trial has one.

    Raises:
        UsageError: a score lies outside 0..1, or is neither 0 nor 1 where it should be.
    """
    scores = read_scores(table, binary=binary)
    runs, codes = scores.runs, unit_codes(groups, len(scores.runs))
    scored = runs > 0
    if not scored.any():
        return None
    return arm_summary(
        scores.means[scored],
        binary=binary,
        runs=float(runs[scored].mean()),
        groups=None if codes is None else codes[scored],
        confidence=confidence,
    )


def diff_interval(
    baseline: Sequence[float] | Floats,
    candidate: Sequence[float] | Floats,
    *,
    binary: bool,
    runs: tuple[float, float] = (1.0, 1.0),
    groups: Labels | None = None,
    confidence: float = 0.95,
    quantile: float | None = None,
) -> DifferenceSummary:
    """Mean difference of paired case means and its interval: Newcombe's square-and-add of the two arms' intervals.

    `runs` are the mean valid runs a case, baseline first.

    Raises:
        UsageError: the arms are not of one length, or empty, or a score lies outside 0..1.
    """
    a, b = _known_means(baseline), _known_means(candidate)
    if len(a) != len(b):
        raise UsageError(f"{len(a)} baseline cases against {len(b)} of the candidate; compare the same cases")
    codes = unit_codes(groups, len(a))
    arm_a = arm_summary(a, binary=binary, runs=runs[0], groups=codes, confidence=confidence, quantile=quantile)
    arm_b = arm_summary(b, binary=binary, runs=runs[1], groups=codes, confidence=confidence, quantile=quantile)
    if binary and runs == (1, 1) and codes is None:
        r = _newcombe_phi(a, b)
    else:
        r = _shrunk_correlation(unit_sums(a - a.mean(), codes), unit_sums(b - b.mean(), codes))
    difference = arm_b.estimate.value - arm_a.estimate.value
    down = _square_and_add(_below(arm_b), _above(arm_a), r)
    up = _square_and_add(_above(arm_b), _below(arm_a), r)
    estimate = Estimate(
        value=difference,
        low=max(-1.0, difference - down),
        high=min(1.0, difference + up),
        confidence=confidence,
        method="newcombe_paired",
        n=len(a),
    )
    return DifferenceSummary(estimate, arm_a, arm_b, r)


def _known_means(case_means: Sequence[float] | Floats) -> Floats:
    means = np.asarray(case_means, dtype=float)
    if not len(means):
        raise UsageError("no case has a score, so there is nothing to estimate; rerun the errored trials")
    if np.isnan(means).any():
        raise UsageError(f"case {int(np.argmax(np.isnan(means)))} has no score; leave out the cases without one")
    check_scores(means)
    return means


def _standard_error(deviations: Floats, codes: Whole | None, units: int) -> float:
    # Without groups there is no C/(C-1): with one pass-fail run a case n_eff is then exactly n.
    inflation = 1.0 if codes is None else units / (units - 1)
    return sqrt(inflation * float(np.sum(unit_sums(deviations, codes) ** 2))) / len(deviations)


def _wilson(mean: float, n: float, q: float) -> tuple[float, float]:
    centre = mean + q**2 / (2 * n)
    half = q * sqrt(mean * (1 - mean) / n + q**2 / (4 * n**2))
    scale = 1 + q**2 / n
    # Clipped, and held to the mean: at 0 and 1 the ends differ from it by rounding alone.
    return min(mean, max(0.0, (centre - half) / scale)), max(mean, min(1.0, (centre + half) / scale))


def _newcombe_phi(a: Floats, b: Floats) -> float:
    """Correlation of two pass-fail columns with Newcombe's continuity correction."""
    n = len(a)
    both, only_a, only_b = float(a @ b), float(a @ (1 - b)), float((1 - a) @ b)
    neither = n - both - only_a - only_b
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    if margins == 0:
        return 0.0
    numerator = both * neither - only_a * only_b
    if numerator > 0:
        numerator = max(0.0, numerator - n / 2)
    return numerator / sqrt(margins)


def _shrunk_correlation(a: Floats, b: Floats) -> float:
    """Correlation of centred unit sums; a positive one is shrunk, because it narrows the interval."""
    units = len(a)
    spread = sqrt(float(a @ a) * float(b @ b))
    if spread <= NO_SPREAD:
        return 0.0
    r = float(np.clip(a @ b / spread, -1, 1))
    return r * (units - 2) / units if r > 0 else r


def _square_and_add(x: float, y: float, r: float) -> float:
    return sqrt(max(0.0, x**2 + y**2 - 2 * r * (x * y)))


def _below(arm: ArmSummary) -> float:
    return arm.estimate.value - arm.estimate.low


def _above(arm: ArmSummary) -> float:
    return arm.estimate.high - arm.estimate.value
