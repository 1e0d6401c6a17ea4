from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mcp_evals.errors import UsageError
from mcp_evals.stats.sequential import (
    AdaptiveComparison,
    AdaptivePlan,
    AdaptiveState,
    PairScore,
    futility_reach,
    shuffled_cases,
)

MIRRORED = {"better": "worse", "worse": "better"}


def compare(plan: AdaptivePlan, pairs: Iterable[tuple[int, float | None, float | None]]) -> AdaptiveComparison:
    """Feed pairs until it stops."""
    comparison = AdaptiveComparison(plan)
    for pair in pairs:
        if comparison.add(PairScore(*pair)):
            break
    return comparison


def passes(scores: np.ndarray) -> list[tuple[int, float, float]]:
    """Pairs pass by pass from (cases, runs, 2) scores."""
    return [(case, *map(float, scores[case, run])) for run in range(scores.shape[1]) for case in range(len(scores))]


def wins_and_losses(cases: int) -> list[tuple[int, float, float]]:
    """Wins and losses in turn."""
    return [(case, case % 2, (case + 1) % 2) for case in range(cases)]


def test_a_clear_claim_ends_early_and_says_that_the_gap_is_overstated():
    result = compare(AdaptivePlan(cases=50, binary=True), [(case, 0, 1) for case in range(50)]).result()

    assert ("better", "claim", True, 10, 50, 0.8) == (
        result.verdict,
        result.reason,
        result.overstated,
        result.attempted,
        result.max_pairs,
        result.saved,
    )
    assert result.difference is not None
    assert "newcombe_paired_repeated" == result.difference.method
    assert (10, 10, 10) == (result.looks, result.pairs, result.units)


def test_all_ties_never_stop_before_the_end():
    comparison = compare(AdaptivePlan(cases=60, binary=True, futility_gap=None), [(case, 1, 1) for case in range(60)])

    assert ("finished", 60) == (comparison.stopped, comparison.result().attempted)
    assert {(None, False)} == {(look.boundary, look.beyond) for look in comparison.looks}


def test_many_ties_end_as_equivalent():
    plan = AdaptivePlan(cases=2000, binary=True, futility_gap=None, margin=0.05, counting="exact")

    assert "equivalent" == compare(plan, [(case, case % 3 > 0, case % 3 > 0) for case in range(2000)]).result().verdict


def test_futility_ends_a_comparison_that_cannot_find_the_gap_any_more():
    plan = AdaptivePlan(cases=100, binary=True, futility_gap=0.10)

    result = compare(plan, wins_and_losses(100)).result()

    assert ("no_detectable_difference", "futility", False) == (result.verdict, result.reason, result.overstated)
    assert 20 <= result.attempted < 60


def test_futility_waits_for_twenty_pairs():
    plan = AdaptivePlan(cases=40, binary=True, futility_gap=0.05)

    result = compare(plan, wins_and_losses(40)).result()

    assert not plan.can_see_gap
    assert ("futility", 20) == (result.reason, result.attempted)


def test_a_plan_knows_before_any_call_whether_its_gap_can_be_seen():
    assert [False, True] == [AdaptivePlan(cases=cases, binary=True).can_see_gap for cases in (10, 100)]
    assert AdaptivePlan(cases=10, binary=True, futility_gap=None).can_see_gap


def test_reach_is_the_same_in_both_directions_and_falls_as_pairs_are_used_up():
    reaches = [futility_reach(pairs, 0.0, 0.3 * pairs, 200, 0.10) for pairs in (20, 80, 140, 190)]

    assert sorted(reaches, reverse=True) == reaches
    assert futility_reach(50, 6.0, 15.0, 200, 0.1) == futility_reach(50, -6.0, 15.0, 200, 0.1)


def test_dropped_pairs_leave_the_comparison_but_the_last_look_comes():
    plan = AdaptivePlan(cases=12, binary=True, futility_gap=None)

    comparison = compare(plan, [(case, 1, None if case in (3, 11) else 1) for case in range(12)])

    result = comparison.result()
    assert ("finished", 12, 10, 10) == (result.reason, result.attempted, result.pairs, result.units)


def test_nothing_but_dropped_pairs_is_not_enough_data():
    result = compare(AdaptivePlan(cases=3, binary=True), [(case, None, 1) for case in range(3)]).result()

    assert ("not_enough_data", "finished", None) == (result.verdict, result.reason, result.difference)


def test_an_unfinished_comparison_is_undecided_with_an_interval_that_holds_already():
    result = compare(AdaptivePlan(cases=50, binary=True), [(case, 0, 1) for case in range(4)]).result()

    assert (None, None, 4) == (result.verdict, result.reason, result.pairs)
    assert result.difference is not None


def test_four_cases_decide_nothing_however_often_they_are_run():
    plan = AdaptivePlan(cases=4, max_runs=10, binary=True, futility_gap=None)

    result = compare(plan, passes(np.tile([0, 1], (4, 10, 1)))).result()

    assert ("not_enough_data", "finished", 40) == (result.verdict, result.reason, result.attempted)


def test_looks_come_after_every_case_and_later_ten_times_a_pass():
    plan = AdaptivePlan(cases=20, max_runs=3, binary=True, futility_gap=None)

    comparison = compare(plan, passes(np.ones((20, 3, 2))))

    assert [*range(1, 21), *range(22, 61, 2)] == [look.attempted for look in comparison.looks]


def test_repeats_find_what_one_pass_cannot():
    # Each case passes 1 of 3 runs of the baseline and 2 of 3 of the candidate.
    scores = np.stack([np.tile([0, 0, 1], (14, 1)), np.tile([1, 1, 0], (14, 1))], axis=2)
    scores = np.where((np.arange(14) % 2 == 0)[:, None, None], scores, np.roll(scores, 1, axis=1))
    plan = AdaptivePlan(cases=14, max_runs=3, binary=True, futility_gap=None)

    result = compare(plan, passes(scores)).result()

    assert ("better", True) == (result.verdict, result.attempted > 14)


def test_a_group_is_one_unit():
    groups = tuple("abcd"[case % 4] for case in range(40))
    for gap, reason, pairs in (
        (None, "finished", [(case, 0, 1) for case in range(40)]),
        (0.1, "futility", wins_and_losses(40)),
    ):
        plan = AdaptivePlan(cases=40, binary=True, groups=groups, futility_gap=gap)

        result = compare(plan, pairs).result()

        assert ("not_enough_data", reason, 4) == (result.verdict, result.reason, result.units)
        assert not plan.can_see_gap


def test_grades_are_compared_too():
    random = np.random.default_rng(1)
    pairs = [(case, 0.5, float(random.uniform(0.5, 0.9))) for case in range(60)]

    result = compare(AdaptivePlan(cases=60, binary=False), pairs).result()

    assert ("better", "claim") == (result.verdict, result.reason)
    assert result.attempted < 60


@pytest.mark.parametrize("counting", ["drawn", "exact"])
def test_swapping_the_arms_mirrors_the_result(counting: str):
    random = np.random.default_rng(6)
    for _ in range(20):
        plan = AdaptivePlan.model_validate({"cases": 40, "binary": True, "counting": counting})
        scores = random.random((40, 1, 2)) < [0.5, 0.8]

        forth, back = (compare(plan, passes(order)).result() for order in (scores, scores[:, :, ::-1]))

        assert MIRRORED.get(forth.verdict or "", forth.verdict) == back.verdict
        assert (forth.reason, forth.attempted, forth.baseline) == (back.reason, back.attempted, back.candidate)
        assert forth.difference is not None
        assert back.difference is not None
        assert (-forth.difference.high, -forth.difference.low) == (back.difference.low, back.difference.high)


def test_the_order_of_cases_inside_a_look_does_not_matter():
    random = np.random.default_rng(9)
    plan = AdaptivePlan(cases=40, max_runs=3, binary=True, futility_gap=None)
    pairs = passes(random.random((40, 3, 2)) < [0.6, 0.75])
    # In the second and third pass a look comes after every fourth case.
    swapped = pairs[:40] + [
        pair for at in range(40, 120, 4) for pair in random.permutation(pairs[at : at + 4]).tolist()
    ]

    first, second = compare(plan, pairs), compare(plan, [(int(case), a, b) for case, a, b in swapped])

    assert first.result() == second.result()
    assert pytest.approx([look.boundary or 0 for look in first.looks]) == [look.boundary or 0 for look in second.looks]


def test_exact_and_drawn_counting_agree_on_the_boundary():
    random = np.random.default_rng(12)
    pairs = passes(random.random((150, 1, 2)) < [0.6, 0.65])

    looks = [
        compare(
            AdaptivePlan.model_validate({"cases": 150, "binary": True, "counting": counting, "futility_gap": None}),
            pairs,
        ).looks
        for counting in ("drawn", "exact")
    ]

    last = [[look.boundary for look in each if look.boundary is not None][-1] for each in looks]
    assert abs(last[0] - last[1]) <= 2


def test_a_stored_comparison_is_taken_up_again_without_spoiling_anything():
    random = np.random.default_rng(2)
    plan = AdaptivePlan(cases=30, max_runs=2, binary=False, groups=tuple(f"g{case // 2}" for case in range(30)))
    pairs = [PairScore(*pair) for pair in passes(random.random((30, 2, 2)))]
    whole, begun = AdaptiveComparison(plan), AdaptiveComparison(plan, pairs[:17])

    resumed = AdaptiveComparison.from_state(AdaptiveState.model_validate_json(begun.state.model_dump_json()))
    for comparison in (whole, resumed):
        for pair in pairs[0 if comparison is whole else 17 :]:
            if comparison.add(pair):
                break

    assert whole.result() == resumed.result()
    assert whole.looks == resumed.looks
    assert whole.state == resumed.state


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (PairScore(9, 1, 1), "case 9 is not among the 5 planned ones"),
        (PairScore(0, 1, 1), "case 0 has had its 1 runs"),
        (PairScore(1, 0.5, 1), r"score 0\.5 of case 1 is not 0 or 1"),
    ],
)
def test_a_pair_that_was_not_planned_is_refused(pair: PairScore, message: str):
    comparison = AdaptiveComparison(AdaptivePlan(cases=5, binary=True), [PairScore(0, 1, 1)])

    with pytest.raises(UsageError, match=message):
        comparison.add(pair)
    assert 1 == comparison.result().attempted


def test_after_the_end_no_pair_is_taken():
    comparison = compare(AdaptivePlan(cases=20, binary=True), [(case, 1, 0) for case in range(20)])

    assert "worse" == comparison.result().verdict
    with pytest.raises(UsageError, match=r"has stopped \(claim\); for more cases start a new one"):
        comparison.add(PairScore(19, 1, 0))


def test_exact_counting_is_for_single_pass_fail_runs():
    with pytest.raises(ValidationError, match="draw the patterns instead"):
        AdaptivePlan(cases=5, binary=False, counting="exact")


@settings(deadline=None)  # a shared machine may pause
@given(st.integers(1, 80), st.integers(0, 5), st.integers(1, 4))
def test_a_shuffle_spreads_each_stratum_evenly(cases: int, seed: int, strata: int):
    tags = [f"tag{case % strata}" for case in range(cases)]

    order = shuffled_cases(cases, seed=seed, strata=tags)

    assert list(range(cases)) == sorted(order)
    assert order == shuffled_cases(cases, seed=seed, strata=tags)
    for tag in set(tags):
        size = tags.count(tag)
        seen = np.cumsum([tags[case] == tag for case in order])
        even = size * np.arange(1, cases + 1) / cases
        assert np.abs(seen - even).max() <= strata


def test_a_shuffle_without_strata_is_any_order():
    orders = {shuffled_cases(4, seed=seed) for seed in range(400)}

    assert 24 == len(orders)
