"""How far a judge agrees with people, checked by hand."""

import pytest

from mcp_evals.results import Estimate, Judgement
from mcp_evals.scoring.agreement import agreement, bias, flip_rate, kappa, kappa_estimate


def table(both: int, only_judge: int, only_people: int, neither: int) -> tuple[list[bool], list[bool]]:
    """Labels of judge and people from the four cells of their table."""
    judge = [True] * (both + only_judge) + [False] * (only_people + neither)
    people = [True] * both + [False] * only_judge + [True] * only_people + [False] * neither
    return judge, people


def judgement(readable: int, agreed: float | None) -> Judgement:
    return Judgement(key="k", score=1.0, reason="r", judge="j", samples=9, readable=readable, agreement=agreed)


def test_kappa_is_agreement_beyond_chance() -> None:
    # Observed 35/50; by chance 25/50 · 30/50 + 25/50 · 20/50 = 0.5; (0.7 - 0.5) / 0.5.
    judge, people = table(20, 5, 10, 15)

    assert 0.7 == agreement(judge, people)
    assert pytest.approx(0.4) == kappa(judge, people)
    assert -1.0 == kappa([True, False], [False, True])


@pytest.mark.parametrize(
    ("cells", "value"),
    [
        # As sklearn.metrics.cohen_kappa_score has them, to 12 digits.
        ((45, 15, 25, 15), 0.130434782609),
        ((25, 35, 5, 35), 0.259259259259),
        ((8, 1, 1, 10), 0.797979797980),
        ((1, 0, 0, 1), 1.0),
        ((0, 3, 4, 0), -0.96),
    ],
)
def test_kappa_is_that_of_the_textbooks(cells: tuple[int, int, int, int], value: float) -> None:
    assert pytest.approx(value, abs=1e-12) == kappa(*table(*cells))


def test_kappa_is_unknown_where_chance_alone_agrees_on_everything() -> None:
    assert None is kappa([True, True], [True, True])
    assert None is kappa([], [])
    assert None is kappa_estimate([True, True], [True, True])
    assert None is kappa_estimate([], [])


def test_kappas_interval_is_that_of_agreement_beyond_chance() -> None:
    # Wilson's interval of 35/50 is 0.562496 to 0.808964; with chance at 0.5 that is twice itself less 1.
    found = kappa_estimate(*table(20, 5, 10, 15))

    assert found is not None
    assert (0.4, 0.124993, 0.617929, 50) == (
        pytest.approx(found.value),
        pytest.approx(found.low, abs=1e-6),
        pytest.approx(found.high, abs=1e-6),
        found.n,
    )


def test_a_few_labels_that_all_agree_leave_room_for_doubt() -> None:
    found = kappa_estimate(*table(5, 0, 0, 5))

    assert Estimate(value=1.0, low=found.low if found else 0, high=1.0, method="cohen_wilson", n=10) == found
    assert pytest.approx(0.444935, abs=1e-5) == found.low


def test_no_interval_leaves_minus_one_to_one() -> None:
    found = kappa_estimate([True, False], [False, True])

    assert found is not None
    assert -1.0 == found.low == found.value < found.high <= 1.0


def test_a_lenient_judge_has_a_positive_bias() -> None:
    assert 0.25 == bias([True, True, True, False], [True, False, True, False])
    assert None is bias([], [])


def test_flips_are_pairs_of_answers_to_one_question_that_disagree() -> None:
    steady, torn, tied = judgement(2, 1.0), judgement(3, 2 / 3), judgement(2, 0.5)
    alone, unread = judgement(1, 1.0), judgement(0, None)

    assert pytest.approx((0 + 2 / 3 + 1) / 3) == flip_rate([steady, torn, tied, alone, unread])
    assert None is flip_rate([alone, unread])
