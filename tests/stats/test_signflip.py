from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_evals.stats.distributions import normal_cdf
from mcp_evals.stats.signflip import _p_by_draws, signflip_p


def by_hand(sums: list[float]) -> float:
    """Mid-p over all patterns, written out."""
    totals = [
        abs(sum(sign * size for sign, size in zip(signs, sums, strict=True)))
        for signs in product((1, -1), repeat=len(sums))
    ]
    observed = abs(sum(sums))
    beyond = sum(total > observed + 1e-9 for total in totals)
    level = sum(abs(total - observed) <= 1e-9 for total in totals)
    return (beyond + level / 2) / len(totals)


def test_no_difference_anywhere_is_no_evidence():
    assert 1.0 == signflip_p([0.0] * 8).p_value


@settings(deadline=None)  # a shared machine may pause
@given(st.lists(st.sampled_from([-1, -2 / 3, -1 / 3, 1 / 3, 2 / 3, 1]), min_size=1, max_size=9))
def test_pass_rates_over_three_runs_are_counted_exactly(differences: list[float]):
    test = signflip_p(differences, run_counts=[3])

    assert pytest.approx(by_hand(differences)) == test.p_value
    assert "sign_flip_seeded" != test.method


@settings(deadline=None)  # a shared machine may pause
@given(st.lists(st.floats(-1, 1).filter(lambda d: abs(d) > 1e-3), min_size=1, max_size=9))
def test_any_grades_of_few_units_are_counted_exactly(differences: list[float]):
    assert pytest.approx(by_hand(differences)) == signflip_p(differences).p_value


def test_groups_flip_as_a_whole():
    differences, groups = [0.5, 0.5, -0.25, 1.0, 0.25, -0.5], ["a", "a", "b", "b", "c", "c"]

    assert by_hand([1.0, 0.75, -0.25]) == signflip_p(differences, groups=groups).p_value


def test_ties_carry_no_weight():
    differences = [0.5, 0.25, -0.25, 0.75]

    assert signflip_p(differences) == signflip_p([*differences, *[0.0] * 40])


def test_unequal_run_counts_are_counted_exactly_over_their_common_fraction():
    random = np.random.default_rng(3)
    differences = random.integers(0, 4, 40) / 3 - random.integers(0, 3, 40) / 2

    test = signflip_p(differences, run_counts=[2, 3])

    assert "sign_flip_exact" == test.method
    assert pytest.approx(_p_by_draws(differences, seed=1), abs=0.01) == test.p_value


def test_many_irregular_grades_are_drawn_with_a_seed_and_agree_with_the_normal_limit():
    differences = np.random.default_rng(11).normal(0.02, 0.2, 700).clip(-1, 1)

    test = signflip_p(differences, seed=5)

    normal = 2 * normal_cdf(-abs(differences.sum()) / np.sqrt((differences**2).sum()))
    assert "sign_flip_seeded" == test.method
    assert pytest.approx(normal, abs=0.01) == test.p_value
    assert test == signflip_p(differences, seed=5)


def test_a_drawn_p_is_never_zero():
    differences = np.random.default_rng(2).uniform(0.1, 1, 300)

    assert 1 / 20_001 == signflip_p(differences).p_value


@settings(deadline=None)  # a shared machine may pause
@given(st.lists(st.floats(-1, 1), max_size=40), st.integers(0, 3))
def test_swapping_the_arms_keeps_an_exact_p(differences: list[float], seed: int):
    forth, back = (signflip_p([sign * d for d in differences], seed=seed) for sign in (1, -1))

    assert forth.method == back.method
    assert pytest.approx(forth.p_value, abs=0 if forth.method != "sign_flip_seeded" else 0.02) == back.p_value
