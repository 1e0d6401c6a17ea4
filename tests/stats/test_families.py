import numpy as np
import pytest

from mcp_evals.stats.families import compare_several, compare_tags
from mcp_evals.stats.multiple import benjamini_hochberg, holm
from mcp_evals.stats.paired import compare_paired

BASELINE = [[0.0]] * 40 + [[1.0]] * 40


def improved(wins: int, losses: int) -> list[list[float]]:
    """The baseline with so many cases turned to pass and so many to fail."""
    return [[1.0]] * wins + [[0.0]] * (40 - wins) + [[0.0]] * losses + [[1.0]] * (40 - losses)


def test_each_candidate_pays_for_the_others():
    candidates = [improved(11, 2), improved(9, 2), improved(5, 5)]
    pairs = [(0, 1), (0, 2), (0, 3)]

    together = compare_several([BASELINE, *candidates], pairs, binary=True)

    alone = [compare_paired(BASELINE, candidate, binary=True) for candidate in candidates]
    assert ["better", "better", "no_detectable_difference"] == [result.verdict for result in alone]
    assert [result.p_value for result in alone] == [result.p_value for result in together]
    assert pytest.approx(holm([result.p_value or 0 for result in alone])) == [result.p_adjusted for result in together]
    assert ["better", "no_detectable_difference", "no_detectable_difference"] == [r.verdict for r in together]
    assert together[1].borderline


def test_one_candidate_pays_nothing():
    candidate = improved(11, 2)

    assert (compare_paired(BASELINE, candidate, binary=True),) == compare_several(
        [BASELINE, candidate], [(0, 1)], binary=True
    )


def test_an_arm_that_cannot_be_compared_costs_the_others_nothing():
    errored: list[list[float | None]] = [[None]] * 80

    together = compare_several([BASELINE, improved(11, 2), errored], [(0, 1), (0, 2)], binary=True)

    assert compare_paired(BASELINE, improved(11, 2), binary=True) == together[0]
    assert "not_enough_data" == together[1].verdict


def test_overwhelming_evidence_is_no_division_by_zero():
    zeros, ones = np.zeros((1500, 1)), np.ones((1500, 1))

    together = compare_several([zeros, ones, ones], [(0, 1), (0, 2)], binary=True)

    assert ["better", "better"] == [result.verdict for result in together]


def test_tags_are_corrected_together_and_only_those_that_could_be_claimed():
    candidate = improved(12, 4)
    tags = {"wins": range(20), "losses": range(35, 60), "few": range(9, 13), "all": range(80)}

    results = compare_tags(BASELINE, candidate, tags, binary=True)

    claimable = [results[tag].p_value or 0 for tag in ("wins", "all")]
    assert pytest.approx(benjamini_hochberg(claimable)) == [results[tag].p_adjusted for tag in ("wins", "all")]
    assert [results[tag].p_value for tag in ("losses", "few")] == [results[tag].p_adjusted for tag in ("losses", "few")]
    assert {"wins": "better", "losses": "no_detectable_difference", "few": "not_enough_data", "all": "better"} == {
        tag: result.verdict for tag, result in results.items()
    }


def test_groups_go_with_the_cases_of_a_tag():
    results = compare_tags(
        np.array(BASELINE),
        np.array(improved(12, 4)),
        {"wins": range(12)},
        binary=True,
        groups=[i // 4 for i in range(80)],
    )

    assert (12, 3) == (results["wins"].cases, results["wins"].units)
