"""Seeded simulations: do the intervals hold the truth as often, and the tests cry wolf as seldom, as they should?

Data as in the study behind the formulas: difficulties are Gaussian on the logit scale (sd 2), those of two models
correlate .8. Bounds leave three standard errors of the simulation.
"""

from collections.abc import Callable
from functools import cache
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from mcp_evals.stats.betting import GATE_END_CONFIDENCE, bar_bets, confidence_sequence, difference_bets, not_worse_bets
from mcp_evals.stats.intervals import arm_summary, diff_interval
from mcp_evals.stats.paired import decide
from mcp_evals.stats.repeats import fixed_suite_interval
from mcp_evals.stats.sequential import AdaptiveComparison, AdaptivePlan, PairScore
from mcp_evals.stats.signflip import signflip_p

pytestmark = pytest.mark.slow

Array = NDArray[np.float64]
SPREAD = 2.0
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def logistic(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


@cache
def centre(rate: float) -> float:
    """Mean difficulty that gives this pass rate."""
    low, high = -20.0, 20.0
    while high - low > 1e-10:
        middle = (low + high) / 2
        low, high = (middle, high) if WEIGHTS @ logistic(middle + SPREAD * NODES) < rate else (low, middle)
    return low


def draw(
    random: np.random.Generator,
    cases: int,
    rates: tuple[float, float],
    *,
    runs: int = 1,
    group: int = 1,
    tied: float = 0.8,
) -> tuple[Array, Array]:
    """Trials (cases, runs) of two models; `group` cases in a row share a third of their difficulty."""
    shared = random.standard_normal(cases)
    if group > 1:
        of_group = np.repeat(random.standard_normal((3, -(-cases // group))), group, axis=1)[:, :cases]
    arms = []
    for arm, rate in enumerate(rates):
        difficulty = sqrt(tied) * shared + sqrt(1 - tied) * random.standard_normal(cases)
        if group > 1:
            common = sqrt(tied) * of_group[2] + sqrt(1 - tied) * of_group[arm]
            difficulty = sqrt(0.6) * difficulty + sqrt(0.4) * common
        chance = logistic(centre(rate) + SPREAD * difficulty)
        arms.append((random.random((cases, runs)) < chance[:, None]).astype(float))
    return arms[0], arms[1]


def three_errors(share: float, draws: int) -> float:
    return 3 * sqrt(share * (1 - share) / draws)


@pytest.mark.parametrize(
    ("rate", "cases", "runs", "group", "coverage"),
    [
        pytest.param(0.7, 10, 5, 1, 0.950, id="5-runs-.7-n10"),
        pytest.param(0.7, 50, 5, 1, 0.952, id="5-runs-.7-n50"),
        pytest.param(0.9, 100, 5, 1, 0.945, id="5-runs-.9-n100"),
        pytest.param(0.7, 50, 1, 5, 0.958, id="groups-of-5-n50"),
        pytest.param(0.8, 50, 3, 5, 0.939, id="groups-of-5-3-runs-n50"),
    ],
)
def test_one_models_interval_holds_the_truth(rate: float, cases: int, runs: int, group: int, coverage: float):
    random, draws, held = np.random.default_rng(21), 3000, 0
    groups = None if group == 1 else [case // group for case in range(cases)]
    for _ in range(draws):
        trials, _ = draw(random, cases, (rate, rate), runs=runs, group=group)
        estimate = arm_summary(trials.mean(axis=1), binary=True, runs=runs, groups=groups).estimate
        held += estimate.low <= rate <= estimate.high

    assert pytest.approx(coverage, abs=0.02) == held / draws


@pytest.mark.parametrize(
    ("cases", "runs", "group", "rates"),
    [
        pytest.param(20, 1, 1, (0.7, 0.7), id="1-run-.7-n20"),
        pytest.param(100, 1, 1, (0.7, 0.7), id="1-run-.7-n100"),
        pytest.param(50, 1, 1, (0.9, 0.9), id="1-run-.9-n50"),
        pytest.param(50, 3, 1, (0.7, 0.7), id="3-runs-.7-n50"),
        pytest.param(100, 1, 5, (0.7, 0.7), id="groups-of-5-n100"),
    ],
)
def test_equal_models_are_seldom_told_apart(cases: int, runs: int, group: int, rates: tuple[float, float]):
    claims, held, draws = claims_and_coverage(cases, runs, group, rates, draws=2000)

    assert claims <= 0.052 + three_errors(0.05, draws)
    assert held >= 0.94 - three_errors(0.06, draws)


@pytest.mark.parametrize(
    ("cases", "runs", "power"), [pytest.param(100, 1, 0.45, id="1-run"), pytest.param(50, 3, 0.52, id="3-runs")]
)
def test_ten_points_are_found_as_often_as_planned(cases: int, runs: int, power: float):
    claims, held, _ = claims_and_coverage(cases, runs, 1, (0.7, 0.8), draws=1500)

    assert pytest.approx(power, abs=0.07) == claims
    assert held >= 0.94


def claims_and_coverage(
    cases: int, runs: int, group: int, rates: tuple[float, float], *, draws: int
) -> tuple[float, float, int]:
    random, claims, held = np.random.default_rng(22), 0, 0
    groups = None if group == 1 else [case // group for case in range(cases)]
    for _ in range(draws):
        a, b = (trials.mean(axis=1) for trials in draw(random, cases, rates, runs=runs, group=group))
        wide, narrow = (
            diff_interval(a, b, binary=True, runs=(runs, runs), groups=groups, confidence=confidence)
            for confidence in (0.95, 0.9)
        )
        p_value = signflip_p(b - a, groups=groups, run_counts=[runs]).p_value
        decision = decide(p_value, wide.estimate, narrow.estimate, units=wide.baseline.units)
        claims += decision.verdict in ("better", "worse")
        held += wide.estimate.low <= rates[1] - rates[0] <= wide.estimate.high
    return claims / draws, held / draws, draws


@pytest.mark.parametrize(("cases", "runs"), [(50, 1), (100, 1), (60, 3)])
def test_the_fixed_gate_seldom_passes_what_is_worse_by_the_margin(cases: int, runs: int):
    random, draws, passed = np.random.default_rng(23), 2500, 0
    for _ in range(draws):
        a, b = (trials.mean(axis=1) for trials in draw(random, cases, (0.8, 0.7), runs=runs))
        passed += diff_interval(a, b, binary=True, runs=(runs, runs), confidence=0.9).estimate.low > -0.1

    assert passed / draws <= 0.058 + three_errors(0.05, draws)


def test_the_fixed_suite_interval_holds_the_difference_of_these_cases():
    random, draws, held = np.random.default_rng(24), 2000, 0
    for _ in range(draws):
        chances = random.random((2, 40))
        a, b = ((random.random((5, 40)) < chance).T.astype(float) for chance in chances)
        interval = fixed_suite_interval(a, b)
        assert interval is not None
        held += interval.low <= chances[1].mean() - chances[0].mean() <= interval.high

    assert pytest.approx(0.95, abs=0.02) == held / draws


def adaptive_outcomes(
    cases: int,
    rates: tuple[float, float],
    *,
    runs: int = 1,
    gap: float | None = None,
    draws: int,
    counting: str = "drawn",
) -> tuple[float, float, float]:
    """Share of claims, share of pairs used, and coverage at the stop."""
    random, claims, used, held = np.random.default_rng(25), 0, 0, 0
    for seed in range(draws):
        a, b = draw(random, cases, rates, runs=runs)
        plan = {
            "cases": cases,
            "max_runs": runs,
            "binary": True,
            "futility_gap": gap,
            "seed": seed,
            "counting": counting,
        }
        comparison = AdaptiveComparison(AdaptivePlan.model_validate(plan))
        for place in range(cases * runs):
            case, run = place % cases, place // cases
            if comparison.add(PairScore(case, float(a[case, run]), float(b[case, run]))):
                break
        result = comparison.result()
        assert result.difference is not None
        claims += result.reason == "claim"
        used += result.attempted
        held += result.difference.low <= rates[1] - rates[0] <= result.difference.high
    return claims / draws, used / draws / cases / runs, held / draws


@pytest.mark.parametrize(
    ("cases", "runs", "gap", "draws"),
    [
        pytest.param(50, 1, None, 1000, id="50-cases"),
        pytest.param(100, 1, 0.10, 500, id="100-cases-futility"),
        pytest.param(30, 3, None, 500, id="30-cases-3-runs"),
    ],
)
def test_looking_after_every_case_seldom_tells_equal_models_apart(cases: int, runs: int, gap: float | None, draws: int):
    claims, _, held = adaptive_outcomes(cases, (0.7, 0.7), runs=runs, gap=gap, draws=draws)

    assert claims <= 0.05 + three_errors(0.05, draws)
    assert held >= 0.943 - three_errors(0.057, draws)


def test_looking_early_saves_calls_where_the_gap_is_large():
    claims, used, held = adaptive_outcomes(100, (0.7, 0.9), draws=300, counting="exact")

    assert claims >= 0.95
    assert pytest.approx(0.52, abs=0.06) == used
    assert held >= 0.94


def test_shuffled_labels_stop_in_at_most_5_of_100_comparisons():
    # The property that the guarantee rests on: whatever the data, arms that are exchangeable are told apart by chance.
    random, stops, draws = np.random.default_rng(26), 0, 2000
    for _ in range(draws):
        scores = (random.random((40, 2)) < [0.5, 0.9]).astype(float)
        scores = np.where(random.random((40, 1)) < 0.5, scores, scores[:, ::-1])
        comparison = AdaptiveComparison(AdaptivePlan(cases=40, binary=True, futility_gap=None, counting="exact"))
        stops += any(comparison.add(PairScore(case, *scores[case].tolist())) == "claim" for case in range(40))

    assert stops / draws <= 0.05


def test_bets_on_equal_models_seldom_win_and_the_sequence_holds_the_truth():
    random, draws, wins, held = np.random.default_rng(27), 1000, 0, 0
    for _ in range(draws):
        a, b = draw(random, 200, (0.7, 0.7))
        differences = (b - a)[:, 0]
        wins += difference_bets().add(differences).decision is not None
        interval = confidence_sequence(differences)
        held += interval.low <= 0 <= interval.high

    assert wins / draws <= 0.022 + three_errors(0.03, draws)
    assert held / draws >= 0.95


@pytest.mark.parametrize(
    ("rate", "decided", "calls"),
    [
        pytest.param(0.95, 0.97, 50, id="above"),
        pytest.param(0.6, 0.98, 44, id="below"),
        pytest.param(0.7, 0.67, 134, id="close"),
    ],
)
def test_one_model_against_a_bar_of_80_percent(rate: float, decided: float, calls: int):
    shares, used = bar_outcomes(rate)

    assert shares >= decided - 0.03
    assert pytest.approx(calls, abs=6) == used


def test_a_model_at_the_bar_is_seldom_told_from_it():
    assert bar_outcomes(0.8)[0] <= 0.045


def bar_outcomes(rate: float) -> tuple[float, float]:
    """Share decided within 200 calls, and the mean calls."""
    random, draws, decided, used = np.random.default_rng(28), 1500, 0, 0
    for _ in range(draws):
        scores = (random.random(200) < rate).astype(float)
        bets, calls = bar_bets(0.8), 0
        while bets.decision is None and calls < 200:
            bets, calls = bets.add(scores[calls : calls + 4]), calls + 4
        decided += bets.decision is not None
        used += calls
    return decided / draws, used / draws


@pytest.mark.parametrize(
    ("rates", "margin", "cases", "shown"),
    [
        pytest.param(
            (0.9, 0.8), 0.10, 100, lambda share: share <= 0.05 + three_errors(0.05, 1500), id="worse-by-the-margin"
        ),
        pytest.param((0.8, 0.8), 0.10, 200, lambda share: 0.75 <= share <= 0.92, id="equal"),
    ],
)
def test_a_gate_that_looks_while_it_runs(
    rates: tuple[float, float], margin: float, cases: int, shown: Callable[[float], bool]
):
    random, draws, passed = np.random.default_rng(29), 1500, 0
    for _ in range(draws):
        a, b = (trials[:, 0] for trials in draw(random, cases, rates))
        early = not_worse_bets(margin).add(b - a).decision is not None
        end = diff_interval(a, b, binary=True, confidence=GATE_END_CONFIDENCE).estimate
        passed += early or end.low > -margin

    assert shown(passed / draws)
