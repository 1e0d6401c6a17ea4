import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_evals.errors import UsageError
from mcp_evals.stats.betting import (
    Bets,
    bar_bets,
    confidence_sequence,
    difference_bets,
    not_worse_bets,
    unit_differences,
)


def test_wealth_does_not_depend_on_how_the_values_come():
    values = [1, 0, -1, 1, 1, 0.5, -0.25]
    at_once, one_by_one = difference_bets().add(values), difference_bets()
    for value in values:
        one_by_one = Bets.model_validate_json(one_by_one.add([value]).model_dump_json())

    assert pytest.approx(at_once.e_value) == one_by_one.e_value
    assert pytest.approx(at_once.p_value) == one_by_one.p_value


def test_eight_wins_decide_and_the_decision_stays():
    decided = difference_bets().add([1.0] * 8)
    regretted = decided.add([-1.0] * 3)

    assert (None, "above") == (difference_bets().add([1.0] * 7).decision, decided.decision)
    assert ("above", decided.p_value) == (regretted.decision, regretted.p_value)
    assert regretted.e_value < decided.e_value
    assert "below" == difference_bets().add([-1.0] * 8).decision


def test_ties_win_and_lose_nothing():
    bets = difference_bets().add([0.0] * 30)

    assert (1.0, 1.0, None, 30) == (bets.e_value, bets.p_value, bets.decision, bets.units)


def test_no_values_change_nothing():
    assert difference_bets() == difference_bets().add([])


def test_a_bar_is_passed_or_missed():
    assert "above" == bar_bets(0.8).add([1.0] * 40).decision
    assert "below" == bar_bets(0.8).add([0.0] * 5).decision
    assert bar_bets(0.8).add([1.0, 1.0, 1.0, 1.0, 0.0] * 10).decision is None


def test_a_gate_bets_on_not_worse_only():
    gate = not_worse_bets(0.10)

    assert "above" == gate.add([0.0] * 60).decision
    assert gate.add([-1.0] * 60).decision is None


def test_a_value_that_was_not_bet_on_is_refused():
    with pytest.raises(UsageError, match=r"value -0\.5 is not in 0\.\.1"):
        bar_bets(0.8).add([-0.5])


@pytest.mark.parametrize("build", [bar_bets, not_worse_bets])
def test_bars_and_margins_lie_between_0_and_1(build):
    with pytest.raises(UsageError, match="must lie between 0 and 1, but is 5"):
        build(5)


def test_cases_of_a_unit_are_bet_on_together():
    assert (0.75, -0.25) == unit_differences([[1.0, 1.0, 1.0, 0.0], [-1.0]], largest_unit=4)


@settings(deadline=None)  # a shared machine may pause
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40))
def test_the_confidence_sequence_leaves_0_out_exactly_when_the_bets_reject_now(differences: list[float]):
    interval = confidence_sequence(differences)

    assert -1 <= interval.low <= interval.value <= interval.high <= 1
    excludes = interval.low >= 0 or interval.high <= 0
    assert excludes == (difference_bets().add(differences).e_value >= 20)


def test_the_confidence_sequence_narrows_to_the_mean():
    random = np.random.default_rng(3)
    widths = []
    for units in (50, 500, 5000):
        interval = confidence_sequence(random.choice([-1.0, 0.0, 1.0], units, p=[0.1, 0.6, 0.3]))
        widths.append(interval.high - interval.low)
        assert interval.low <= 0.2 <= interval.high

    assert widths[2] < widths[1] / 2 < widths[0] / 4


def test_a_mean_that_lies_between_two_grid_points_still_has_an_interval():
    interval = confidence_sequence(np.tile([0.0, 0.0045], 3_000))

    assert interval.low < interval.value < interval.high


def test_an_interval_needs_a_difference():
    with pytest.raises(UsageError, match="at least one difference"):
        confidence_sequence([])
