import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_evals.errors import UsageError
from mcp_evals.results import Estimate
from mcp_evals.stats.paired import (
    Decision,
    Excluded,
    Fragility,
    PairedResult,
    Sensitivity,
    compare_paired,
    decide,
    regression_gate,
)

MIRRORED = {"better": "worse", "worse": "better"}
trial = st.none() | st.sampled_from([0.0, 0.0, 1.0, 1.0])
tables = st.lists(
    st.tuples(st.lists(trial, min_size=2, max_size=2), st.lists(trial, min_size=2, max_size=2)), max_size=25
)


def single_runs(wins: int, losses: int, both: int = 0, neither: int = 0) -> tuple[list[list[float]], list[list[float]]]:
    """Baseline and candidate, one pass-fail run a case: wins, then losses, then ties."""
    a = [[0.0]] * wins + [[1.0]] * losses + [[1.0]] * both + [[0.0]] * neither
    b = [[1.0]] * wins + [[0.0]] * losses + [[1.0]] * both + [[0.0]] * neither
    return a, b


def interval(low: float, high: float) -> Estimate:
    return Estimate(value=(low + high) / 2, low=low, high=high, method="newcombe_paired", n=50)


def test_a_whole_comparison_of_hundred_cases():
    result = compare_paired(*single_runs(15, 5, both=60, neither=20), binary=True)

    assert ("better", False, False, "pass") == (result.verdict, result.borderline, result.negligible, result.gate)
    assert (100, 100, 20) == (result.cases, result.units, result.disagreeing_units)
    assert (tuple(range(15)), tuple(range(15, 20)), 80) == (
        result.better_cases,
        result.worse_cases,
        result.unchanged_cases,
    )
    assert Fragility(removed=((0,), (1,)), verdict_without="no_detectable_difference") == result.fragility
    assert (None, None, None) == (result.sensitivity, result.variance, result.fixed_suite)
    assert pytest.approx((0.0266037, 0.0266037, 0.98860), abs=5e-6) == (
        result.p_value,
        result.p_adjusted,
        result.chance_better,
    )
    assert (pytest.approx(0.12478243), 623) == (result.detectable, result.cases_needed)


@pytest.mark.parametrize(
    ("p_value", "wide", "narrow", "units", "expected"),
    [
        pytest.param(0.01, (0.1, 0.3), (0.12, 0.28), 4, ("not_enough_data", False, False), id="too few units"),
        pytest.param(0.05, (0.1, 0.3), (0.12, 0.28), 5, ("better", False, False), id="better"),
        pytest.param(0.01, (-0.3, -0.1), (-0.28, -0.12), 9, ("worse", False, False), id="worse"),
        pytest.param(
            0.01, (0.01, 0.05), (0.015, 0.045), 9, ("better", False, True), id="better by nothing that matters"
        ),
        pytest.param(0.01, (-0.01, 0.3), (0.01, 0.28), 9, ("no_detectable_difference", True, False), id="test alone"),
        pytest.param(
            0.06, (0.01, 0.3), (0.02, 0.28), 9, ("no_detectable_difference", True, False), id="interval alone"
        ),
        pytest.param(0.5, (-0.05, 0.04), (-0.04, 0.03), 9, ("equivalent", False, False), id="equivalent"),
        pytest.param(
            0.5, (-0.06, 0.04), (-0.05, 0.03), 9, ("no_detectable_difference", False, False), id="on the margin"
        ),
    ],
)
def test_a_claim_needs_test_and_interval(
    p_value: float,
    wide: tuple[float, float],
    narrow: tuple[float, float],
    units: int,
    expected: tuple[str, bool, bool],
):
    assert Decision(*expected) == decide(p_value, interval(*wide), interval(*narrow), units=units)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verdict", "low", "gate"),
    [
        ("worse", -0.20, "fail"),
        ("worse", -0.04, "pass"),
        ("better", 0.01, "pass"),
        ("no_detectable_difference", -0.20, "undecided"),
        ("no_detectable_difference", -0.05, "undecided"),
        ("no_detectable_difference", -0.04, "pass"),
        ("not_enough_data", 0.10, "undecided"),
    ],
)
def test_the_regression_gate_has_three_ways(verdict, low: float, gate: str):
    assert gate == regression_gate(verdict, interval(low, 0.5))


def test_identical_perfect_scores_are_not_called_equal():
    result = compare_paired([[1.0]] * 10, [[1.0]] * 10, binary=True)

    assert ("no_detectable_difference", 1.0, None) == (result.verdict, result.p_value, result.fragility)


def test_two_thousand_agreeing_cases_are_equivalent():
    assert "equivalent" == compare_paired(*single_runs(20, 20, both=1400, neither=600), binary=True).verdict


def test_four_cases_are_not_enough_for_any_claim():
    result = compare_paired([[0.0] * 9] * 4, [[1.0] * 9] * 4, binary=True)

    assert ("not_enough_data", "undecided", False) == (result.verdict, result.gate, result.borderline)


def test_groups_are_the_units():
    tables = single_runs(12, 0, both=8)

    assert "better" == compare_paired(*tables, binary=True).verdict
    grouped = compare_paired(*tables, binary=True, groups=["one"] * 12 + ["two"] * 8)
    assert ("not_enough_data", 2, 1) == (grouped.verdict, grouped.units, grouped.disagreeing_units)


def test_a_fragile_claim_names_the_cases_of_the_unit_it_depends_on():
    groups = ["a", "a", "b", "b", "c", "c", "d", "d", "e", "e", "f", "g", "h"]

    result = compare_paired(*single_runs(10, 0, both=1, neither=2), binary=True, groups=groups)

    assert "better" == result.verdict
    assert Fragility(removed=((0, 1),), verdict_without="no_detectable_difference") == result.fragility


def test_no_claim_is_not_fragile():
    # Without cases 15 and 16 it would be a claim; to say so would invite to drop them.
    result = compare_paired(*single_runs(15, 7, both=58, neither=20), binary=True)

    assert ("no_detectable_difference", None) == (result.verdict, result.fragility)


def test_a_clear_claim_is_not_fragile():
    assert compare_paired(*single_runs(40, 2, both=58), binary=True).fragility is None


def test_only_cases_with_a_score_on_both_sides_are_compared():
    baseline = [[1, None], [None, None], [0, 1], [None, None], [1, 1], [0, 0], [1, 0]]
    candidate = [[1, 1], [1, 1], [None, None], [None, None], [1, 0], [0, 1], [1, 1]]

    result = compare_paired(baseline, candidate, binary=True)

    assert (4, 1.75, 2.0) == (result.cases, result.baseline_runs, result.candidate_runs)
    assert result.better_cases == (5, 6)
    assert result.worse_cases == (4,)
    assert (
        Excluded(
            cases=(1, 2, 3),
            baseline_missing=1,
            candidate_missing=1,
            both_missing=1,
            baseline_errors=5,
            candidate_errors=4,
            too_many=True,
            more_errors_in=None,
        )
        == result.excluded
    )


def test_one_excluded_case_of_twenty_is_not_too_many():
    result = compare_paired([[None], *[[1.0]] * 19], [[1.0]] * 20, binary=True)

    assert ((0,), False) == (result.excluded.cases, result.excluded.too_many)


def test_an_arm_that_errors_in_more_cases_is_named():
    baseline, candidate = single_runs(0, 0, both=40)

    result = compare_paired(baseline, [[None]] * 6 + candidate[6:], binary=True)

    assert "candidate" == result.excluded.more_errors_in
    assert "baseline" == compare_paired([[None]] * 6 + candidate[6:], baseline, binary=True).excluded.more_errors_in


def test_a_claim_that_errored_calls_could_undo_says_so():
    baseline, candidate = single_runs(7, 0, both=20, neither=13)

    result = compare_paired(baseline, candidate[:27] + [[None]] * 6 + candidate[33:], binary=True)
    turned = compare_paired(
        baseline[:20] + [[1.0]] * 6 + baseline[26:], candidate[:20] + [[None]] * 6 + candidate[26:], binary=True
    )

    assert (
        Sensitivity(failed_calls=6, errors_as_zero="better", errors_as_best="better", changes_verdict=False)
        == result.sensitivity
    )
    assert (
        Sensitivity(
            failed_calls=6, errors_as_zero="no_detectable_difference", errors_as_best="better", changes_verdict=True
        )
        == turned.sensitivity
    )


def test_errors_as_best_use_the_best_that_the_arm_reached():
    baseline = [[0.5]] * 9 + [[0.55]]
    candidate = [[None]] * 9 + [[0.5]]

    result = compare_paired(baseline, candidate, binary=False)

    assert result.sensitivity is not None
    # Filled with 1, the candidate would be better.
    assert ("worse", "no_detectable_difference") == (
        result.sensitivity.errors_as_zero,
        result.sensitivity.errors_as_best,
    )


def test_nothing_comparable_is_not_enough_data_and_says_what_is_missing():
    result = compare_paired([[None]] * 8, [[1.0]] * 8, binary=True)

    assert ("not_enough_data", 0, None, None) == (result.verdict, result.cases, result.difference, result.p_value)
    assert (
        Sensitivity(
            failed_calls=8, errors_as_zero="better", errors_as_best="no_detectable_difference", changes_verdict=True
        )
        == result.sensitivity
    )
    assert "baseline" == result.excluded.more_errors_in


def test_no_cases_at_all_can_be_compared_without_a_crash():
    assert "not_enough_data" == compare_paired([], [], binary=True).verdict


def test_repeats_show_where_the_noise_comes_from():
    random = np.random.default_rng(8)
    rates = random.random(60)[:, None]
    baseline, candidate = ((random.random((60, 3)) < rates).astype(float) for _ in range(2))

    result = compare_paired(baseline, candidate, binary=True)

    assert result.variance is not None
    assert result.fixed_suite is not None
    assert "more_runs" == result.variance.advice
    assert result.difference is not None
    assert result.fixed_suite.value == pytest.approx(result.difference.value)


def test_one_unit_has_no_chance_to_state():
    assert compare_paired([[0.5]], [[0.7]], binary=False).chance_better is None


def test_tables_of_different_cases_are_refused():
    with pytest.raises(UsageError, match="2 baseline cases against 1"):
        compare_paired([[1.0], [0.0]], [[1.0]], binary=True)


def test_a_margin_in_points_instead_of_shares_is_refused():
    with pytest.raises(UsageError, match=r"but is 5; 0\.05 stands for 5 points"):
        compare_paired([[1.0]], [[1.0]], binary=True, margin=5)


def test_a_result_survives_its_json():
    result = compare_paired([[1, None], [0, 1]] * 6, [[1, 1], [1, 1]] * 6, binary=True)

    assert result == PairedResult.model_validate_json(result.model_dump_json())


@settings(deadline=None)  # a shared machine may pause
@given(tables)
def test_swapping_the_arms_mirrors_everything(rows: list[tuple[list[float | None], list[float | None]]]):
    a, b = [row[0] for row in rows], [row[1] for row in rows]

    forth, back = compare_paired(a, b, binary=True), compare_paired(b, a, binary=True)

    assert MIRRORED.get(forth.verdict, forth.verdict) == back.verdict
    assert (forth.p_value, forth.borderline, forth.negligible) == (back.p_value, back.borderline, back.negligible)
    assert (forth.better_cases, forth.worse_cases) == (back.worse_cases, back.better_cases)
    assert (forth.baseline, forth.variance) == (back.candidate, back.variance)
    if forth.difference is not None and back.difference is not None:
        assert (-forth.difference.high, -forth.difference.low) == (back.difference.low, back.difference.high)
    if forth.chance_better is not None and back.chance_better is not None:
        assert pytest.approx(1 - forth.chance_better) == back.chance_better
    assert (forth.fragility is None) == (back.fragility is None)


@settings(deadline=None)  # a shared machine may pause
@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_cases_does_not_matter(rows: list[tuple[list[float | None], list[float | None]]], random):
    shuffled = random.sample(rows, len(rows))

    first, second = (
        compare_paired([row[0] for row in order], [row[1] for row in order], binary=True) for order in (rows, shuffled)
    )

    assert (first.verdict, first.cases, first.gate) == (second.verdict, second.cases, second.gate)
    assert pytest.approx(first.p_value) == second.p_value
