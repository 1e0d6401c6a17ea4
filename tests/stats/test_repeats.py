import numpy as np
import pytest

from mcp_evals.errors import UsageError
from mcp_evals.stats.repeats import (
    Flaky,
    consistency,
    detectable_with_runs,
    fixed_suite_interval,
    flaky_cases,
    pass_at_k,
    pass_hat_k,
    variance_parts,
)


def test_cases_with_fewer_runs_than_k_are_left_out():
    trials = [[1, 1, 0], [1, None, None], [0, 0, 0]]

    found = consistency(trials, 2)

    assert found is not None
    assert (pytest.approx(1 / 2), 2) == (found.pass_at_k.value, found.pass_at_k.n)
    assert pytest.approx(1 / 6) == found.pass_hat_k.value


def test_fewer_runs_than_k_everywhere_is_no_answer():
    assert (None, None, None) == (consistency([[1], [0]], 2), pass_at_k(1, 1, 2), pass_hat_k(1, 1, 2))


def test_k_counts_from_1():
    with pytest.raises(UsageError, match="k must be at least 1"):
        consistency([[1]], 0)


def test_groups_widen_the_interval_of_consistency():
    trials = [[1, 1]] * 4 + [[0, 0]] * 4 + [[1, 1]] * 4
    groups = [0] * 4 + [1] * 4 + [2] * 4

    apart, together = consistency(trials, 2), consistency(trials, 2, groups=groups)

    assert apart is not None
    assert together is not None
    assert together.pass_hat_k.low < apart.pass_hat_k.low


def test_flaky_is_neither_always_nor_never():
    flaky = flaky_cases([[1, 0], [1, 1], [0, 0], [None, 1], [None, 1, 0]])

    assert Flaky(cases=(0, 4), of=4) == flaky
    assert 0.5 == flaky.share


def test_flakiness_cannot_be_seen_in_single_runs():
    assert flaky_cases([[1], [0]]).share is None


def test_noise_parts_of_a_table_worked_by_hand():
    baseline, candidate = [[1, 0], [0, 0], [1, 1]], [[1, 1], [1, 0], [1, 1]]

    parts = variance_parts(baseline, candidate)

    # Run variances .5/2, .5/2, 0; differences .5, .5, 0.
    assert parts is not None
    assert pytest.approx(1 / 6) == parts.within
    assert pytest.approx(1 / 12) == parts.total
    assert (0.0, 1.0, "more_runs") == (parts.between, parts.run_share, parts.advice)


def test_models_that_always_answer_alike_need_more_cases():
    parts = variance_parts([[1, 1], [0, 0], [1, 1], [0, 0]], [[1, 1], [1, 1], [0, 0], [0, 0]])

    assert parts is not None
    assert (0.0, 0.0, "more_cases") == (parts.within, parts.run_share, parts.advice)
    assert detectable_with_runs(parts, 4, 1) == detectable_with_runs(parts, 4, 100)


def test_where_nothing_varies_there_is_no_share():
    parts = variance_parts([[1, 1]] * 3, [[1, 1]] * 3)

    assert parts is not None
    assert (None, "either") == (parts.run_share, parts.advice)


def test_single_runs_cannot_tell_where_noise_comes_from():
    assert (None, None) == (variance_parts([[1]] * 4, [[0]] * 4), fixed_suite_interval([[1]] * 4, [[0]] * 4))


def test_a_case_that_lost_a_run_borrows_the_mean_run_variance():
    baseline = [[1, 0], [1, 0], [0, None]]
    candidate = [[1, 1], [1, 1], [1, 1]]

    parts = variance_parts(baseline, candidate)

    # .5/2 and .5/2, and .5/1 for the one that is left.
    assert parts is not None
    assert pytest.approx((0.25 + 0.25 + 0.5) / 3) == parts.within


def test_more_runs_lower_only_the_runs_part():
    random = np.random.default_rng(4)
    rates = random.random(60)[:, None]
    tables = [(random.random((60, 4)) < rates).astype(float) for _ in range(2)]

    parts = variance_parts(*tables)

    assert parts is not None
    now, fourfold, endless = (detectable_with_runs(parts, 60, times) for times in (1, 4, 1e12))
    assert pytest.approx(2.8016 * (parts.total / 60) ** 0.5, rel=1e-3) == now
    assert endless < fourfold < now
    assert pytest.approx(2.8016 * (parts.between / 60) ** 0.5, abs=1e-3) == endless


def test_the_interval_for_exactly_these_cases_knows_only_run_noise():
    # Case 0 varies on both sides, the rest never: variance (1/3)/3 twice, over 4 cases; 8 degrees of freedom.
    baseline = [[1, 0, 0], [1, 1, 1], [0, 0, 0], [0, 0, 0]]
    candidate = [[1, 1, 0], [1, 1, 1], [1, 1, 1], [0, 0, 0]]

    interval = fixed_suite_interval(baseline, candidate)

    half = 2.306004135 * (2 / 9) ** 0.5 / 4
    assert interval is not None
    assert pytest.approx((1 / 3, 1 / 3 - half, 1 / 3 + half)) == (interval.value, interval.low, interval.high)
