import pytest

from mcp_evals.stats.multiple import CaseChange, RankRange, benjamini_hochberg, changed_cases, holm, rank_ranges


def test_corrected_p_values_stay_at_most_1_and_in_order():
    assert (1.0, 1.0, 1.0) == holm([0.9, 0.5, 0.4])
    assert pytest.approx((0.9, 0.75, 0.75)) == benjamini_hochberg([0.9, 0.5, 0.4])


def test_no_p_values_need_no_correction():
    assert ((), ()) == (holm([]), benjamini_hochberg([]))


def test_arms_that_nothing_separates_share_all_ranks():
    assert (RankRange(1, 3),) * 3 == rank_ranges(3, [])


def test_an_arm_that_loses_to_one_cannot_be_first():
    assert (RankRange(1, 2), RankRange(1, 3), RankRange(2, 3)) == rank_ranges(3, [(0, 2)])


def test_arms_that_all_verdicts_separate_have_one_rank_each():
    assert (RankRange(2, 2), RankRange(1, 1), RankRange(3, 3)) == rank_ranges(3, [(1, 0), (1, 2), (0, 2)])


@pytest.mark.parametrize(("runs", "p_value"), [(3, 0.10), (4, 0.02857), (5, 0.00794)])
def test_a_case_that_turned_round_completely_needs_four_runs_to_be_shown(runs: int, p_value: float):
    (change,) = changed_cases([runs], [runs], [0], [runs])

    assert "regressed" == change.direction
    assert pytest.approx(p_value, abs=5e-6) == change.p_value
    assert (runs > 3) == change.shown


def test_all_compared_cases_pay_for_a_claim_about_one():
    changes = changed_cases([5, 3, 3, 0], [5, 3, 3, 0], [0, 3, 2, 5], [5, 3, 3, 5])

    assert (
        CaseChange(0, "regressed", pytest.approx(2 / 252), pytest.approx(6 / 252), shown=True),
        CaseChange(2, "regressed", pytest.approx(1.0), pytest.approx(1.0), shown=False),
    ) == changes


def test_rates_and_not_counts_are_compared():
    assert () == changed_cases([1], [2], [2], [4])
    assert "improved" == changed_cases([1], [4], [1], [2])[0].direction
