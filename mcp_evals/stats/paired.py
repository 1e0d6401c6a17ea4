"""Two arms on the same cases: what may be claimed of candidate minus baseline, and everything a reader may ask next.

A claim needs both the sign-flip test and the interval. Trials without a score are missing, never zero: only cases with
a valid run on both sides are compared, the rest is counted. The sentences are written elsewhere; here are the facts.
"""

from typing import Final, Literal, NamedTuple

import numpy as np

from mcp_evals.errors import UsageError
from mcp_evals.model import Model
from mcp_evals.results import Estimate
from mcp_evals.stats.distributions import beta_cdf, t_cdf
from mcp_evals.stats.intervals import DifferenceSummary, diff_interval
from mcp_evals.stats.planning import cases_needed, detectable
from mcp_evals.stats.repeats import VarianceParts, fixed_suite_interval, variance_parts
from mcp_evals.stats.signflip import SAME, SignFlip, SignFlipMethod, mcnemar_mid_p, signflip_p
from mcp_evals.stats.tables import Floats, Labels, Scores, ScoreTable, Whole, read_scores, unit_codes, unit_sums

PairedVerdict = Literal["better", "worse", "equivalent", "no_detectable_difference", "not_enough_data"]
"""What may be said of the candidate; never "same"."""
Gate = Literal["pass", "fail", "undecided"]
"""Answers to: is the candidate not worse than the baseline by more than the margin?"""

ALPHA: Final = 0.05
MARGIN: Final = 0.05
LEAST_UNITS: Final = 5
"""With fewer units no p-value can reach 0.05."""


class Decision(NamedTuple):
    """The verdict and its two footnotes."""

    verdict: PairedVerdict
    """What may be said."""
    borderline: bool
    """Exactly one of test and interval shows a difference."""
    negligible: bool
    """A claim whose 90 % interval lies inside the margin: real, but too small to matter."""


class Excluded(Model):
    """Cases that could not be compared, and whether that may have bent the answer."""

    cases: tuple[int, ...]
    """Their indices."""
    baseline_missing: int
    """How many of them lack a valid run of the baseline only."""
    candidate_missing: int
    """How many of them lack a valid run of the candidate only."""
    both_missing: int
    """How many of them lack both."""
    baseline_errors: int
    """Errored trials of the baseline, in all cases."""
    candidate_errors: int
    """Errored trials of the candidate, in all cases."""
    too_many: bool
    """More than 5 % of the cases are excluded."""
    more_errors_in: Literal["baseline", "candidate"] | None
    """The arm that errors in more cases than chance explains (McNemar mid-p < 0.05)."""


class Sensitivity(Model):
    """The verdict if the errored trials had a score after all."""

    failed_calls: int
    """How many errored trials were given one."""
    errors_as_zero: PairedVerdict
    """Verdict if each had scored 0."""
    errors_as_best: PairedVerdict
    """Verdict if each had scored the best that its arm reached."""
    changes_verdict: bool
    """The answer depends on these calls: rerun them."""


class Fragility(Model):
    """What a claim becomes without the one or two units that speak loudest for it."""

    removed: tuple[tuple[int, ...], ...]
    """The units whose removal undoes the claim, loudest first; each is given as the indices of its cases."""
    verdict_without: PairedVerdict
    """The verdict without them."""


class PairedResult(Model):
    """A whole comparison: candidate minus baseline on the same cases."""

    verdict: PairedVerdict
    """What may be said."""
    borderline: bool = False
    """Exactly one of test and interval shows a difference."""
    negligible: bool = False
    """A claim that lies inside the margin."""
    fragility: Fragility | None = None
    """The one or two units that the claim depends on; None where it does not, or where nothing is claimed."""
    gate: Gate = "undecided"
    """Pass (not worse than the margin allows), fail (worse), undecided. Pass with verdict `worse`: slightly worse, but allowed."""
    cases: int = 0
    """Cases compared: those with a valid run on both sides."""
    units: int = 0
    """Independent units among them: cases, or groups."""
    disagreeing_units: int = 0
    """Units in which the arms differ at all; the test rests on these."""
    baseline_runs: float = 0.0
    """Mean valid runs of the baseline in a compared case."""
    candidate_runs: float = 0.0
    """Mean valid runs of the candidate in a compared case."""
    baseline: Estimate | None = None
    """The baseline on the compared cases; None, as all estimates here, where no case can be compared."""
    candidate: Estimate | None = None
    """The candidate on the compared cases."""
    difference: Estimate | None = None
    """Candidate minus baseline, 95 % interval."""
    difference_90: Estimate | None = None
    """The same with the 90 % interval, which margins are held against."""
    correlation: float | None = None
    """How the arms go together over units."""
    p_value: float | None = None
    """Sign-flip mid-p."""
    p_adjusted: float | None = None
    """After correction for the other comparisons of its family; the verdict uses this one."""
    test: SignFlipMethod | None = None
    """How the p-value was found."""
    chance_better: float | None = None
    """Chance that the candidate is really better, a restatement for readers; not safe to watch while data come in."""
    margin: float
    """Gaps below this do not matter."""
    effect: float
    """The gap that the user wants to see, for which `cases_needed` is given."""
    standard_error: float | None = None
    """Of the difference; for planning."""
    detectable: float | None = None
    """The gap that 80 of 100 such comparisons would find."""
    cases_needed: int | None = None
    """Cases in all that would show `effect` in 80 of 100 comparisons."""
    variance: VarianceParts | None = None
    """Where the noise comes from; needs two runs a case."""
    fixed_suite: Estimate | None = None
    """The difference on exactly these cases, where only the runs are chance; needs two runs a case."""
    better_cases: tuple[int, ...] = ()
    """Indices of the cases where the candidate scored higher."""
    worse_cases: tuple[int, ...] = ()
    """Indices of the cases where it scored lower."""
    unchanged_cases: int = 0
    """How many cases scored alike."""
    excluded: Excluded
    """What could not be compared."""
    sensitivity: Sensitivity | None = None
    """The verdict with the errored trials filled in; None where none errored."""


def compare_paired(
    baseline: Scores,
    candidate: Scores,
    *,
    binary: bool,
    groups: Labels | None = None,
    margin: float = MARGIN,
    effect: float | None = None,
    seed: int = 0,
    p_factor: float = 1.0,
) -> PairedResult:
    """Compare two score tables whose rows are the same cases.

    `effect` is the gap that the user wants to see, by default the margin. `p_factor` multiplies the p-value that
    decides; a family of comparisons sets it.

    Raises:
        UsageError: the tables have not the same cases, a score lies outside 0..1, or the margin is not in 0..1.
    """
    if not 0 < margin < 1:
        raise UsageError(f"the margin must lie between 0 and 1, but is {margin:g}; 0.05 stands for 5 points")
    arm_a, arm_b = read_scores(baseline, binary=binary), read_scores(candidate, binary=binary)
    if len(arm_a.scores) != len(arm_b.scores):
        raise UsageError(
            f"{len(arm_a.scores)} baseline cases against {len(arm_b.scores)}; give both one row for each of the same cases"
        )
    codes = unit_codes(groups, len(arm_a.scores))
    question = _Question(binary, margin, seed, p_factor)
    effect = margin if effect is None else effect
    pairs = _complete_pairs(arm_a, arm_b, codes)
    excluded = _excluded(arm_a, arm_b, pairs)
    if not len(pairs.cases):
        sensitivity = _sensitivity(question, arm_a, arm_b, codes, "not_enough_data")
        return PairedResult(
            verdict="not_enough_data", margin=margin, effect=effect, excluded=excluded, sensitivity=sensitivity
        )
    finding = _find(question, pairs)
    verdict, standard_error = finding.decision.verdict, finding.wide.standard_error
    moved = pairs.candidate - pairs.baseline
    return PairedResult(
        verdict=verdict,
        borderline=finding.decision.borderline,
        negligible=finding.decision.negligible,
        fragility=_fragility(question, pairs, verdict),
        gate=regression_gate(verdict, finding.narrow.estimate, margin),
        cases=len(pairs.cases),
        units=finding.wide.baseline.units,
        disagreeing_units=int(np.count_nonzero(np.abs(unit_sums(moved, pairs.codes)) > SAME)),
        baseline_runs=float(pairs.baseline_runs.mean()),
        candidate_runs=float(pairs.candidate_runs.mean()),
        baseline=finding.wide.baseline.estimate,
        candidate=finding.wide.candidate.estimate,
        difference=finding.wide.estimate,
        difference_90=finding.narrow.estimate,
        correlation=finding.wide.correlation,
        p_value=finding.test.p_value,
        p_adjusted=finding.p_adjusted,
        test=finding.test.method,
        chance_better=_chance_better(question, pairs, finding.wide),
        margin=margin,
        effect=effect,
        standard_error=standard_error,
        detectable=detectable(standard_error),
        cases_needed=cases_needed(len(pairs.cases), standard_error, effect),
        variance=variance_parts(arm_a.scores, arm_b.scores),
        fixed_suite=fixed_suite_interval(arm_a.scores, arm_b.scores),
        better_cases=tuple(pairs.cases[moved > SAME].tolist()),
        worse_cases=tuple(pairs.cases[moved < -SAME].tolist()),
        unchanged_cases=int(np.count_nonzero(np.abs(moved) <= SAME)),
        excluded=excluded,
        sensitivity=_sensitivity(question, arm_a, arm_b, codes, verdict),
    )


def decide(
    p_value: float, difference: Estimate, difference_90: Estimate, *, units: int, margin: float = MARGIN
) -> Decision:
    """What may be said: a claim needs the test and the 95 % interval, equivalence needs the 90 % interval inside the margin."""
    if units < LEAST_UNITS:
        return Decision("not_enough_data", borderline=False, negligible=False)
    by_test, by_interval = p_value <= ALPHA, difference.low > 0 or difference.high < 0
    small = -margin < difference_90.low and difference_90.high < margin
    if by_test and by_interval:
        return Decision("better" if difference.low > 0 else "worse", borderline=False, negligible=small)
    return Decision(
        "equivalent" if small else "no_detectable_difference", borderline=by_test != by_interval, negligible=False
    )


def regression_gate(verdict: PairedVerdict, difference_90: Estimate, margin: float = MARGIN) -> Gate:
    """Pass where the candidate is shown to be not worse than the margin allows, fail where it is shown to be worse."""
    if verdict == "not_enough_data":
        return "undecided"
    if difference_90.low > -margin:
        return "pass"
    return "fail" if verdict == "worse" else "undecided"


def chance_better_single(only_candidate: int, only_baseline: int) -> float:
    """Chance that the candidate is better, from the disagreements of single pass-fail runs under a Beta(.5, .5) prior."""
    return beta_cdf(0.5, only_baseline + 0.5, only_candidate + 0.5)


class _Question(NamedTuple):
    """What stays fixed while the same question is put again to other data."""

    binary: bool
    margin: float
    seed: int
    p_factor: float


class _Pairs(NamedTuple):
    """The cases with a valid run on both sides."""

    cases: Whole
    """Their indices in the tables."""
    baseline: Floats
    candidate: Floats
    baseline_runs: Whole
    candidate_runs: Whole
    codes: Whole | None

    def only(self, kept: Whole) -> "_Pairs":
        """The pairs at these places."""
        return _Pairs(
            cases=self.cases[kept],
            baseline=self.baseline[kept],
            candidate=self.candidate[kept],
            baseline_runs=self.baseline_runs[kept],
            candidate_runs=self.candidate_runs[kept],
            codes=None if self.codes is None else unit_codes(self.codes[kept], len(kept)),
        )


class _Finding(NamedTuple):
    wide: DifferenceSummary
    """With the 95 % interval."""
    narrow: DifferenceSummary
    """With the 90 % interval."""
    test: SignFlip
    p_adjusted: float
    decision: Decision


def _complete_pairs(arm_a: ScoreTable, arm_b: ScoreTable, codes: Whole | None) -> _Pairs:
    every = _Pairs(np.arange(len(arm_a.scores)), arm_a.means, arm_b.means, arm_a.runs, arm_b.runs, codes)
    return every.only(np.flatnonzero((arm_a.runs > 0) & (arm_b.runs > 0)))


def _find(question: _Question, pairs: _Pairs) -> _Finding:
    runs = float(pairs.baseline_runs.mean()), float(pairs.candidate_runs.mean())
    wide, narrow = (
        diff_interval(
            pairs.baseline,
            pairs.candidate,
            binary=question.binary,
            runs=runs,
            groups=pairs.codes,
            confidence=confidence,
        )
        for confidence in (0.95, 0.90)
    )
    counts: list[int] = np.union1d(pairs.baseline_runs, pairs.candidate_runs).tolist()
    test = signflip_p(pairs.candidate - pairs.baseline, groups=pairs.codes, run_counts=counts, seed=question.seed)
    p_adjusted = min(1.0, test.p_value * question.p_factor)
    decision = decide(p_adjusted, wide.estimate, narrow.estimate, units=wide.baseline.units, margin=question.margin)
    return _Finding(wide, narrow, test, p_adjusted, decision)


def _chance_better(question: _Question, pairs: _Pairs, summary: DifferenceSummary) -> float | None:
    if question.binary and pairs.codes is None and max(pairs.baseline_runs.max(), pairs.candidate_runs.max()) == 1:
        moved = pairs.candidate - pairs.baseline
        return chance_better_single(int(np.count_nonzero(moved > 0)), int(np.count_nonzero(moved < 0)))
    if summary.baseline.units < 2:
        return None
    return t_cdf(summary.estimate.value / summary.standard_error, summary.baseline.units - 1)


def _fragility(question: _Question, pairs: _Pairs, verdict: PairedVerdict) -> Fragility | None:
    """Take away the unit that speaks loudest for the claim, and once more.

    Only claims are tried: to say which case hides a difference would invite to drop it.
    """
    if verdict in ("no_detectable_difference", "not_enough_data"):
        return None
    total = float(np.sum(pairs.candidate - pairs.baseline))
    # A difference speaks for the claim that has its sign; for "no difference that matters" speaks what cancels the rest.
    speaks = np.sign(total) if verdict != "equivalent" else -1.0 if total >= 0 else 1.0
    removed: list[tuple[int, ...]] = []
    for _ in range(2):
        codes = np.arange(len(pairs.cases)) if pairs.codes is None else pairs.codes
        voices = speaks * unit_sums(pairs.candidate - pairs.baseline, pairs.codes)
        loudest = int(np.argmax(voices))
        if voices[loudest] <= SAME:
            return None
        removed.append(tuple(pairs.cases[codes == loudest].tolist()))
        pairs = pairs.only(np.flatnonzero(codes != loudest))
        without = _find(question, pairs).decision.verdict
        if without != verdict:
            return Fragility(removed=tuple(removed), verdict_without=without)
    return None


def _excluded(arm_a: ScoreTable, arm_b: ScoreTable, pairs: _Pairs) -> Excluded:
    no_a, no_b = arm_a.runs == 0, arm_b.runs == 0
    only_a = int(np.count_nonzero((arm_a.errored > 0) & (arm_b.errored == 0)))
    only_b = int(np.count_nonzero((arm_b.errored > 0) & (arm_a.errored == 0)))
    bent = mcnemar_mid_p(only_a, only_b) < ALPHA
    missing = np.flatnonzero(no_a | no_b)
    return Excluded(
        cases=tuple(missing.tolist()),
        baseline_missing=int(np.count_nonzero(no_a & ~no_b)),
        candidate_missing=int(np.count_nonzero(no_b & ~no_a)),
        both_missing=int(np.count_nonzero(no_a & no_b)),
        baseline_errors=int(arm_a.errored.sum()),
        candidate_errors=int(arm_b.errored.sum()),
        too_many=len(missing) > 0.05 * (len(missing) + len(pairs.cases)),
        more_errors_in=None if not bent else "baseline" if only_a > only_b else "candidate",
    )


def _sensitivity(
    question: _Question, arm_a: ScoreTable, arm_b: ScoreTable, codes: Whole | None, verdict: PairedVerdict
) -> Sensitivity | None:
    failed_calls = int(arm_a.errored.sum() + arm_b.errored.sum())
    if not failed_calls:
        return None
    as_zero = _verdict_of(question, _complete_pairs(arm_a.with_errors_as(0.0), arm_b.with_errors_as(0.0), codes))
    best_a, best_b = arm_a.with_errors_as(_best(arm_a)), arm_b.with_errors_as(_best(arm_b))
    as_best = _verdict_of(question, _complete_pairs(best_a, best_b, codes))
    return Sensitivity(
        failed_calls=failed_calls,
        errors_as_zero=as_zero,
        errors_as_best=as_best,
        changes_verdict=(as_zero, as_best) != (verdict, verdict),
    )


def _verdict_of(question: _Question, pairs: _Pairs) -> PairedVerdict:
    return _find(question, pairs).decision.verdict if len(pairs.cases) else "not_enough_data"


def _best(arm: ScoreTable) -> float:
    """The best score that the arm reached; 1 where it has none."""
    known = arm.scores[~np.isnan(arm.scores)]
    return float(known.max()) if len(known) else 1.0
