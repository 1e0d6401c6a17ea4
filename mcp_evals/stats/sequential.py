"""Adaptive comparison: look after every case and stop as soon as the answer is clear, with the error rate kept.

Error spending (Lan, DeMets 1983), alpha * t^2, over the sign-flip test, with the suite as the planned maximum. If the arms
are equal, the observed row of signs is one of 10,000 exchangeable ones; at most alpha of them are ever removed, so its
chance to be removed is at most alpha, however often one looks.
State is data: a plan, and the pairs in the order in which they came. Replaying them gives the same looks.
"""

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Final, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from mcp_evals.errors import UsageError
from mcp_evals.model import Fraction, Model
from mcp_evals.results import Estimate
from mcp_evals.stats.distributions import normal_cdf, normal_quantile
from mcp_evals.stats.intervals import DifferenceSummary, diff_interval
from mcp_evals.stats.paired import LEAST_UNITS, MARGIN, Decision, PairedVerdict, decide
from mcp_evals.stats.sign_patterns import CountedPatterns, DrawnPatterns, SignPatterns
from mcp_evals.stats.signflip import SAME
from mcp_evals.stats.tables import unit_codes, unit_count

FUTILITY_FROM: Final = 20
"""Pairs before which nothing is given up."""
FUTILITY_CHANCE: Final = 0.10

StopReason = Literal["claim", "futility", "finished"]


class AdaptivePlan(Model):
    """What must be fixed before the first call; with more cases it is a new comparison."""

    cases: int = Field(ge=1)
    """Cases of the suite."""
    max_runs: int = Field(default=1, ge=1)
    """Passes over the suite at most."""
    binary: bool
    """Whether scores are pass (1) or fail (0)."""
    groups: tuple[str | None, ...] | None = None
    """The group of each case, None for a case that stands for itself; None where all do."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Chance of a false claim, over all looks together."""
    margin: float = Field(default=MARGIN, gt=0, lt=1)
    """Gaps below this do not matter."""
    futility_gap: float | None = Field(default=0.10, gt=0, lt=1)
    """Stop when a true gap of this size would hardly be found any more; None: never for this reason."""
    seed: int = Field(default=0, ge=0)
    """Of the sign patterns."""
    counting: Literal["drawn", "exact"] = "drawn"
    """Sign patterns drawn with the seed, or all counted: that needs one pass-fail run a case and no groups."""

    @property
    def max_pairs(self) -> int:
        """Pairs of calls at most."""
        return self.cases * self.max_runs

    @property
    def can_see_gap(self) -> bool:
        """False: the suite is too small for any claim or for `futility_gap`; the comparison would find nothing."""
        if unit_count(unit_codes(self.groups, self.cases), self.cases) < LEAST_UNITS:
            return False
        if self.futility_gap is None:
            return True
        return futility_reach(0, 0.0, 0.0, self.max_pairs, self.futility_gap) >= FUTILITY_CHANCE

    @model_validator(mode="after")
    def _fits_together(self) -> "AdaptivePlan":
        if self.groups is not None and len(self.groups) != self.cases:
            raise ValueError(f"{len(self.groups)} group labels for {self.cases} cases; give one a case, or none at all")
        if self.counting == "exact" and not (self.binary and self.max_runs == 1 and not any(self.groups or ())):
            raise ValueError("exact counting needs one pass-fail run a case and no groups; draw the patterns instead")
        return self


class PairScore(NamedTuple):
    """One call of each arm on one case."""

    case: int
    """Index of the case."""
    baseline: float | None
    """Score of the baseline; None where its call errored, and the pair is dropped."""
    candidate: float | None
    """Score of the candidate; None where its call errored, and the pair is dropped."""


class AdaptiveState(Model):
    """A comparison as it is stored; `AdaptiveComparison.from_state` takes it up again."""

    plan: AdaptivePlan
    """What was fixed."""
    pairs: tuple[PairScore, ...]
    """The pairs in the order in which they came."""


class Look(NamedTuple):
    """What one look at the data found."""

    attempted: int
    """Pairs so far, dropped ones included."""
    pairs: int
    """Pairs so far with both scores."""
    total: float
    """Sum of the differences over cases, the statistic whose size is judged."""
    boundary: float | None
    """Totals of this size or above were removed at this look; None where none was."""
    beyond: bool
    """The observed total was removed at this or an earlier look."""


class AdaptiveResult(Model):
    """Where an adaptive comparison stands."""

    verdict: PairedVerdict | None = None
    """What may be said; None while undecided, which is also the answer if a cost cap ends it here."""
    reason: StopReason | None = None
    """Why it stopped; None while it goes on."""
    borderline: bool = False
    """At the end, exactly one of boundary and interval shows a difference."""
    overstated: bool = False
    """A claim before the end: the size of the gap is probably overstated."""
    baseline: Estimate | None = None
    """The baseline on the cases so far; None before the first pair with both scores."""
    candidate: Estimate | None = None
    """The candidate on the cases so far."""
    difference: Estimate | None = None
    """Candidate minus baseline, with an interval that holds although one stopped at a good moment."""
    units: int = 0
    """Independent units so far."""
    looks: int
    """Times the data were looked at."""
    pairs: int
    """Pairs with both scores."""
    attempted: int
    """Pairs made, dropped ones included."""
    max_pairs: int
    """Pairs planned at most."""
    saved: Fraction
    """Share of the planned pairs that was not needed."""


class AdaptiveComparison:
    """Takes pairs one by one and says when to stop.

    Cases come in the order of `shuffled_cases`, in each pass over the suite the same: the first pass has a look after
    every case, a later one has ten, and the last pair has the last look.
    """

    def __init__(self, plan: AdaptivePlan, pairs: Iterable[PairScore] = ()) -> None:
        self.plan = plan
        self._codes = unit_codes(plan.groups, plan.cases)
        units = unit_count(self._codes, plan.cases)
        exact = plan.counting == "exact"
        self._patterns: SignPatterns = CountedPatterns(units) if exact else DrawnPatterns(units, plan.seed)
        self._pairs: list[PairScore] = []
        self._looks: list[Look] = []
        self._attempts = np.zeros(plan.cases, dtype=np.intp)
        self._scored = np.zeros(plan.cases, dtype=np.intp)
        self._sums = np.zeros((2, plan.cases))
        self._unit_totals = np.zeros(units)
        self._pair_total = self._pair_squares = 0.0
        self._boundary: float | None = None
        self._stopped: StopReason | None = None
        for pair in pairs:
            self.add(pair)

    @classmethod
    def from_state(cls, state: AdaptiveState) -> "AdaptiveComparison":
        """Take a stored comparison up again, by replaying its pairs."""
        return cls(state.plan, state.pairs)

    @property
    def state(self) -> AdaptiveState:
        """All that is needed to take it up again."""
        return AdaptiveState(plan=self.plan, pairs=tuple(self._pairs))

    @property
    def looks(self) -> tuple[Look, ...]:
        """Every look so far."""
        return tuple(self._looks)

    @property
    def stopped(self) -> StopReason | None:
        """Why no more pairs are wanted; None while more are."""
        return self._stopped

    def add(self, pair: PairScore) -> StopReason | None:
        """Take one pair in; the answer is the reason to stop, if there is one now.

        Raises:
            UsageError: it has stopped, the case is not planned or has had its runs, or a score is not as planned.
        """
        self._check(pair)
        self._pairs.append(pair)
        self._attempts[pair.case] += 1
        if pair.baseline is not None and pair.candidate is not None:
            self._take(pair.case, pair.baseline, pair.candidate)
        if self._look_is_due():
            self._look()
        return self._stopped

    def result(self) -> AdaptiveResult:
        """Where it stands."""
        attempted, scored = len(self._pairs), int(self._scored.sum())
        interval = self._interval(self._quantile()) if scored else None
        decision = self._decision(interval)
        return AdaptiveResult(
            verdict=decision.verdict if decision else None,
            reason=self._stopped,
            borderline=decision is not None and decision.borderline,
            overstated=self._stopped == "claim" and attempted < self.plan.max_pairs,
            baseline=interval.baseline.estimate if interval else None,
            candidate=interval.candidate.estimate if interval else None,
            difference=interval.estimate if interval else None,
            units=interval.baseline.units if interval else 0,
            looks=len(self._looks),
            pairs=scored,
            attempted=attempted,
            max_pairs=self.plan.max_pairs,
            saved=1 - attempted / self.plan.max_pairs,
        )

    def _check(self, pair: PairScore) -> None:
        plan = self.plan
        if self._stopped:
            raise UsageError(f"the comparison has stopped ({self._stopped}); for more cases start a new one")
        if not 0 <= pair.case < plan.cases:
            raise UsageError(f"case {pair.case} is not among the {plan.cases} planned ones; start a new comparison")
        if self._attempts[pair.case] >= plan.max_runs:
            raise UsageError(
                f"case {pair.case} has had its {plan.max_runs} runs; more had to be planned before the start"
            )
        for score in (pair.baseline, pair.candidate):
            if score is not None and not (score in (0, 1) if plan.binary else 0 <= score <= 1):
                raise UsageError(f"score {score:g} of case {pair.case} is not {'0 or 1' if plan.binary else 'in 0..1'}")

    def _take(self, case: int, baseline: float, candidate: float) -> None:
        before = self._case_difference(case)
        self._sums[:, case] += baseline, candidate
        self._scored[case] += 1
        self._pair_total += candidate - baseline
        self._pair_squares += (candidate - baseline) ** 2
        unit, change = case if self._codes is None else int(self._codes[case]), self._case_difference(case) - before
        self._unit_totals[unit] += change
        if change:
            self._patterns.shift(unit, change)

    def _case_difference(self, case: int) -> float:
        runs = self._scored[case]
        return float((self._sums[1, case] - self._sums[0, case]) / runs) if runs else 0.0

    def _look_is_due(self) -> bool:
        attempted, cases = len(self._pairs), self.plan.cases
        if attempted <= cases or attempted == self.plan.max_pairs:
            return True
        place = (attempted - 1) % cases
        return 10 * (place + 1) // cases > 10 * place // cases

    def _look(self) -> None:
        attempted, scored, last = len(self._pairs), int(self._scored.sum()), len(self._pairs) == self.plan.max_pairs
        time = 1.0 if last else scored / self.plan.max_pairs
        boundary = None
        if np.count_nonzero(np.abs(self._unit_totals) > SAME) >= LEAST_UNITS:
            boundary = self._patterns.spend(self.plan.alpha * time**2)
        self._boundary = self._boundary if boundary is None else boundary
        beyond = self._patterns.observed_removed
        self._looks.append(Look(attempted, scored, float(self._unit_totals.sum()), boundary, beyond))
        if beyond and _excludes_zero(self._interval(self._quantile()).estimate):
            self._stopped = "claim"
        elif last:
            self._stopped = "finished"
        elif self._is_futile():
            self._stopped = "futility"

    def _is_futile(self) -> bool:
        scored, gap = int(self._scored.sum()), self.plan.futility_gap
        if gap is None or scored < FUTILITY_FROM:
            return False
        reachable = scored + self.plan.max_pairs - len(self._pairs)
        return futility_reach(scored, self._pair_total, self._pair_squares, reachable, gap) < FUTILITY_CHANCE

    def _quantile(self) -> float:
        """z of the interval: the last boundary in standard deviations of the total, at least the fixed-sample one."""
        if self._boundary is None:
            return round(normal_quantile(1 - self.plan.alpha / 4), 2)  # 2.24 at alpha .05
        spread = sqrt(float(self._unit_totals @ self._unit_totals))
        return max(normal_quantile(1 - self.plan.alpha / 2), self._boundary / spread if spread > SAME else 0.0)

    def _interval(self, quantile: float | None, confidence: float | None = None) -> DifferenceSummary:
        seen = np.flatnonzero(self._scored)
        runs = float(self._scored[seen].mean())
        summary = diff_interval(
            *(self._sums[:, seen] / self._scored[seen]),
            binary=self.plan.binary,
            runs=(runs, runs),
            groups=None if self._codes is None else self._codes[seen],
            confidence=1 - self.plan.alpha if confidence is None else confidence,
            quantile=quantile,
        )
        if quantile is None:
            return summary
        return summary._replace(estimate=summary.estimate.model_copy(update={"method": "newcombe_paired_repeated"}))

    def _decision(self, interval: DifferenceSummary | None) -> Decision | None:
        if self._stopped is None:
            return None
        if interval is None or interval.baseline.units < LEAST_UNITS:
            return Decision("not_enough_data", borderline=False, negligible=False)
        if self._stopped == "futility":
            return Decision("no_detectable_difference", borderline=False, negligible=False)
        # The end is one fixed moment, so the plain 90 % interval may be held against the margin there.
        fixed = self._interval(None, 0.90).estimate
        # The boundary takes the place of the test: beyond it, p is small enough.
        p_value = 0.0 if self._patterns.observed_removed else 1.0
        return decide(p_value, interval.estimate, fixed, units=interval.baseline.units, margin=self.plan.margin)


def futility_reach(pairs: int, total: float, squares: float, max_pairs: int, gap: float) -> float:
    """Chance that a true gap of this size, in the better direction, would still reach the final boundary.

    From the pairs so far: their number, the sum of their differences and the sum of the squares of these.
    """
    left = max_pairs - pairs
    variance = max((squares + 0.5) / (pairs + 2), 1.01 * gap**2)
    to_go = abs(total) + left * gap - 2.1 * sqrt(max_pairs * variance)
    return normal_cdf(to_go / sqrt(left * (variance - gap**2)))


def shuffled_cases(cases: int, *, seed: int, strata: Sequence[str] | None = None) -> tuple[int, ...]:
    """A seeded order of the cases in which each stratum, such as a tag, is spread evenly from first to last.

    Raises:
        UsageError: there is not one stratum a case.
    """
    codes = unit_codes(strata, cases)
    random = np.random.default_rng(seed)
    if codes is None:
        return tuple(random.permutation(cases).tolist())
    places = np.empty(cases)
    for stratum in range(unit_count(codes, cases)):
        members = random.permutation(np.flatnonzero(codes == stratum))
        places[members] = (np.arange(len(members)) + random.random(len(members))) / len(members)
    return tuple(np.argsort(places, kind="stable").tolist())


def _excludes_zero(estimate: Estimate) -> bool:
    return estimate.low > 0 or estimate.high < 0
