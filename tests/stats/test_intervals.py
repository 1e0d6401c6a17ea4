import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_evals.errors import UsageError
from mcp_evals.results import Estimate
from mcp_evals.stats.intervals import arm_of_trials, arm_summary, diff_interval

score_lists = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30)


def test_one_group_has_no_interval_and_says_so():
    summary = arm_summary([1, 0.5, 0, 1], binary=False, groups=["a"] * 4)

    assert Estimate(value=0.625, low=0, high=1, method="none", n=4) == summary.estimate
    assert "one group only: no interval is possible" == summary.reason
    assert summary.effective_n is None


def test_one_case_has_no_interval_and_says_so():
    assert "one case only: no interval is possible" == arm_summary([1.0], binary=True).reason


def test_runs_of_a_case_are_not_counted_as_cases():
    # Each case always answers alike, so ten runs of it tell no more than one.
    once = arm_of_trials([[1.0]] * 7 + [[0.0]] * 3, binary=True)
    ten_times = arm_of_trials([[1.0] * 10] * 7 + [[0.0] * 10] * 3, binary=True)

    assert once is not None
    assert ten_times is not None
    assert pytest.approx(once.effective_n) == ten_times.effective_n
    assert ten_times.estimate.high - ten_times.estimate.low > once.estimate.high - once.estimate.low


def test_cases_of_a_group_that_agree_count_as_one():
    means = [1.0] * 5 + [0.0] * 5 + [1.0] * 5

    grouped = arm_summary(means, binary=True, groups=[0] * 5 + [1] * 5 + [2] * 5)

    assert 3 == grouped.units
    assert pytest.approx(2.0) == grouped.effective_n


def test_effective_n_of_passes_is_at_most_the_number_of_runs():
    # Each case passes exactly half of its runs: less spread than chance would give.
    trials = arm_of_trials([[1.0, 0.0]] * 9 + [[1.0, 1.0]], binary=True)

    assert trials is not None
    assert 20 == trials.effective_n


def test_errored_trials_are_missing_and_not_zero():
    with_errors = arm_of_trials([[1.0, None], [0.0, 0.0], [None, None], [1.0, 1.0]], binary=True)

    assert with_errors is not None
    assert (2 / 3, 3) == (with_errors.estimate.value, with_errors.estimate.n)


def test_nothing_scored_is_no_estimate():
    assert arm_of_trials([[None], [None]], binary=True) is None


def test_a_case_without_a_score_is_named():
    with pytest.raises(UsageError, match="case 1 has no score"):
        arm_summary([1.0, float("nan")], binary=True)


def test_no_case_at_all_is_refused():
    with pytest.raises(UsageError, match="no case has a score"):
        arm_summary([], binary=True)


def test_arms_of_different_length_are_refused():
    with pytest.raises(UsageError, match="2 baseline cases against 1"):
        diff_interval([1.0, 0.0], [1.0], binary=True)


def test_a_given_quantile_takes_the_place_of_the_usual_one():
    usual = diff_interval([1, 0, 1, 0, 1, 0], [1, 1, 1, 0, 1, 0], binary=True)
    wider = diff_interval([1, 0, 1, 0, 1, 0], [1, 1, 1, 0, 1, 0], binary=True, quantile=3.0)

    assert wider.estimate.low < usual.estimate.low < usual.estimate.high < wider.estimate.high


def test_an_arm_that_never_varies_has_no_correlation():
    assert 0.0 == diff_interval([0.7] * 6, [0.1, 0.5, 0.3, 0.9, 0.2, 0.4], binary=False).correlation


@settings(deadline=None)  # a shared machine may pause
@given(score_lists)
def test_an_interval_holds_its_estimate_and_stays_in_range(scores: list[tuple[float, float]]):
    a, b = (np.array(column) for column in zip(*scores, strict=True))

    summary = diff_interval(a, b, binary=False)

    for estimate, lowest in ((summary.baseline.estimate, 0), (summary.estimate, -1)):
        assert lowest <= estimate.low <= estimate.value <= estimate.high <= 1


@settings(deadline=None)  # a shared machine may pause
@given(score_lists)
def test_swapping_the_arms_mirrors_the_difference(scores: list[tuple[float, float]]):
    a, b = (np.array(column) for column in zip(*scores, strict=True))

    forth, back = diff_interval(a, b, binary=False).estimate, diff_interval(b, a, binary=False).estimate

    assert (-forth.value, -forth.high, -forth.low) == (back.value, back.low, back.high)


@settings(deadline=None)  # a shared machine may pause
@given(score_lists, st.randoms(use_true_random=False))
def test_the_order_of_cases_does_not_matter(scores: list[tuple[float, float]], random):
    shuffled = random.sample(scores, len(scores))

    first, second = (
        diff_interval(*(np.array(column) for column in zip(*order, strict=True)), binary=False).estimate
        for order in (scores, shuffled)
    )

    assert pytest.approx((first.value, first.low, first.high), abs=1e-6) == (second.value, second.low, second.high)


def test_each_coverage_of_the_pass_rate_interval_as_enumerated():
    # Exact coverage, averaged over pass rates .5 to .99; and the worst of them.
    rates = np.linspace(0.5, 0.99, 491)
    found = {}
    for cases in (10, 20, 50, 100):
        intervals = [arm_summary([1.0] * k + [0.0] * (cases - k), binary=True).estimate for k in range(cases + 1)]
        counts = np.arange(cases + 1)
        log_ways = np.cumsum(np.log(np.concatenate([[1.0], (cases - counts[:-1]) / (counts[:-1] + 1)])))
        chances = np.exp(log_ways + counts * np.log(rates)[:, None] + (cases - counts) * np.log1p(-rates)[:, None])
        lows, highs = (np.array([getattr(each, end) for each in intervals]) for end in ("low", "high"))
        coverage = np.sum(chances * ((lows <= rates[:, None]) & (rates[:, None] <= highs)), axis=1)
        found[cases] = (float(coverage.mean()), float(coverage.min()))

    means = {cases: mean for cases, (mean, _) in found.items()}
    assert pytest.approx({10: 0.954, 20: 0.954, 50: 0.951, 100: 0.950}, abs=0.006) == means
    worst = {cases: lowest for cases, (_, lowest) in found.items()}
    assert pytest.approx({10: 0.860, 20: 0.912, 50: 0.911, 100: 0.921}, abs=0.02) == worst
