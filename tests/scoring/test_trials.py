"""Several trials of a case make one verdict by the rubric's rule; what errored is missing and never a zero."""

import pytest

from mcp_evals.results import CaseResult, Outcome, Verdict
from mcp_evals.scoring.trials import result_of_trials
from mcp_evals.suite import Rubric

PASS, WARN, FAIL, ERROR = ("passed", 1.0), ("warned", 0.85), ("failed", 0.5), ("errored", None)
GATED = ("failed", 1.0)
"""A gate failed the trial, whatever its score."""
DOUBTED = ("warned", 0.0)
"""A judge that nobody compared with people would fail the trial, alone."""


def trials(*given: tuple[Verdict, float | None]) -> list[Outcome]:
    return [
        Outcome("case", index, verdict, score, reason=None if verdict == "passed" else f"{verdict} {index}")
        for index, (verdict, score) in enumerate(given)
    ]


@pytest.mark.parametrize(
    ("rule", "given", "verdict"),
    [
        ("mean", (PASS, PASS), "passed"),
        ("mean", (PASS, FAIL), "failed"),  # 0.75
        ("mean", (PASS, PASS, PASS, FAIL), "warned"),  # 0.875
        ("mean", (WARN, PASS), "passed"),  # 0.925
        ("mean", (PASS, GATED), "failed"),  # a gate counts as 0
        ("mean", (DOUBTED, DOUBTED, PASS), "warned"),  # a doubt counts as 0.8
        ("mean", (DOUBTED, FAIL), "failed"),  # 0.65
        ("majority", (PASS, PASS, FAIL), "passed"),
        ("majority", (PASS, FAIL), "failed"),
        ("majority", (PASS, WARN, FAIL), "warned"),
        ("majority", (PASS, FAIL, FAIL), "failed"),
        ("all", (PASS, PASS), "passed"),
        ("all", (PASS, WARN), "warned"),
        ("all", (PASS, PASS, FAIL), "failed"),
        ("any", (FAIL, FAIL, PASS), "passed"),
        ("any", (FAIL, WARN), "warned"),
        ("any", (FAIL, FAIL), "failed"),
        ("last", (FAIL, PASS), "passed"),
        ("last", (PASS, FAIL), "failed"),
        ("last", (FAIL, PASS, ERROR), "passed"),
        ("all", (PASS, ERROR), "passed"),
        ("mean", (ERROR, FAIL), "failed"),
        ("any", (ERROR, ERROR), "errored"),
    ],
)
def test_a_rule_makes_the_verdict(rule: str, given: tuple[tuple[Verdict, float | None], ...], verdict: Verdict) -> None:
    result = result_of_trials(trials(*given), Rubric.model_validate({"over_trials": rule}))

    assert result.verdict == verdict


@pytest.mark.parametrize(
    ("given", "verdict"), [((GATED, GATED), "failed"), ((PASS, GATED), "failed"), ((PASS, PASS, GATED), "passed")]
)
def test_where_no_score_can_fail_a_case_most_trials_must_pass_their_gates(
    given: tuple[tuple[Verdict, float | None], ...], verdict: Verdict
) -> None:
    assert verdict == result_of_trials(trials(*given), Rubric(fail_below=0.0, warn_below=0.0)).verdict


def test_one_trial_keeps_its_own_verdict_under_every_rule() -> None:
    rules = ("mean", "majority", "all", "any", "last")

    found = {result_of_trials(trials(GATED), Rubric.model_validate({"over_trials": rule})).verdict for rule in rules}

    assert found == {"failed"}


def test_a_result_counts_what_passed_failed_and_errored() -> None:
    result = result_of_trials(trials(PASS, FAIL, ERROR, WARN), Rubric(over_trials="any"))

    assert result == CaseResult(
        case_id="case",
        verdict="passed",
        score=(1.0 + 0.5 + 0.85) / 3,
        trials=4,
        passed=2,
        errored=1,
        flaky=True,
        reason=None,
        rule="any",
    )


def test_the_reason_is_that_of_the_worst_trial() -> None:
    assert result_of_trials(trials(PASS, ERROR, FAIL), Rubric()).reason == "failed 2"
    assert result_of_trials(trials(ERROR), Rubric()).reason == "errored 0"


@pytest.mark.parametrize(
    ("given", "flaky"), [((PASS, FAIL), True), ((PASS, WARN), False), ((FAIL, FAIL), False), ((PASS, ERROR), False)]
)
def test_a_case_is_flaky_only_where_some_trials_pass_and_some_fail(
    given: tuple[tuple[Verdict, float | None], ...], flaky: bool
) -> None:
    assert result_of_trials(trials(*given), Rubric()).flaky is flaky
