import pytest

from mcp_evals.errors import UsageError
from mcp_evals.stats.planning import (
    cases_needed,
    cases_needed_before,
    default_runs,
    detectable,
    standard_error_before,
    two_figures,
)


def test_cases_needed_before_any_call():
    assert [503, 126, 32] == [cases_needed_before(gap) for gap in (0.05, 0.10, 0.20)]


def test_sixty_cases_can_see_about_14_points_at_80_percent():
    assert pytest.approx(0.1447, abs=5e-5) == detectable(standard_error_before(60))


def test_as_many_cases_as_needed_can_just_see_the_gap():
    needed = cases_needed(60, standard_error_before(60), 0.07)

    assert detectable(standard_error_before(needed)) <= 0.07 < detectable(standard_error_before(needed - 1))


def test_a_gap_of_nothing_cannot_be_planned_for():
    with pytest.raises(UsageError, match=r"above 0, but is 0; 0\.05 stands for 5 points"):
        cases_needed(10, 0.1, 0.0)


def test_small_suites_deserve_more_runs():
    assert [5, 5, 3, 3, 1] == [default_runs(cases) for cases in (1, 49, 50, 199, 200)]


def test_needed_numbers_are_said_in_two_figures():
    assert [0, 7, 32, 130, 500, 1300] == [two_figures(count) for count in (0, 7, 32, 126, 503, 1296)]
