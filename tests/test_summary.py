"""What trials come to: per case, per tag, with intervals, and with unknown costs left unknown."""

from datetime import UTC, datetime
from typing import Any

from fakes import case_of

from mcp_evals.conversation import Usage
from mcp_evals.results import Outcome, Run, RunSettings, Tally, Verdict
from mcp_evals.suite import Suite
from mcp_evals.summary import summarize, tally

SUITE = Suite(
    name="s",
    cases=(
        case_of("a", tags=("x", "y")),
        case_of("b", tags=("y",)),
        case_of("c", user=("one", "another")),
    ),
)


def run_of(trials: int = 1, **fields: Any) -> Run:
    given = {"case_ids": ("a", "b", "c"), "settings": RunSettings(trials=trials), **fields}
    return Run(id="r", suite="s", suite_digest="d", target="t", created_at=datetime(2026, 1, 1, tzinfo=UTC), **given)


def outcome(case_id: str, index: int, verdict: Verdict, score: float | None, **fields: Any) -> Outcome:
    return Outcome(case_id, index, verdict, score, **fields)


def test_cases_and_trials_are_counted_apart_and_phrasings_are_trials() -> None:
    found = summarize(
        run_of(trials=2),
        SUITE,
        [
            outcome("a", 0, "passed", 1.0),
            outcome("a", 1, "failed", 0.0),
            outcome("b", 0, "errored", None, error_kind="timeout"),
            outcome("b", 1, "passed", 1.0),
            outcome("c", 0, "warned", 0.85),
        ],
    )

    assert found.trials == Tally(planned=2 + 2 + 4, passed=2, warned=1, failed=1, errored=1)
    assert found.cases == Tally(planned=3, passed=1, warned=1, failed=1)
    assert [(result.case_id, result.verdict, result.flaky) for result in found.results] == [
        ("a", "failed", True),
        ("b", "passed", False),
        ("c", "warned", False),
    ]
    assert found.by_tag == {
        "x": Tally(planned=1, failed=1),
        "y": Tally(planned=2, passed=1, failed=1),
    }


def test_an_errored_trial_is_missing_from_the_rate_and_never_a_zero() -> None:
    held = [outcome("a", 0, "passed", 1.0), outcome("b", 0, "passed", 1.0)]

    without = summarize(run_of(), SUITE, held)
    beside = summarize(run_of(), SUITE, [*held, outcome("c", 0, "errored", None)])

    assert without.pass_rate is not None
    assert (without.pass_rate.value, without.pass_rate.n) == (1.0, 2)
    assert (beside.pass_rate, beside.score) == (without.pass_rate, without.score)
    assert beside.cases.errored == 1


def test_while_nothing_is_scored_there_is_no_rate() -> None:
    nothing = summarize(run_of(), SUITE, [])
    errored = summarize(run_of(), SUITE, [outcome("a", 0, "errored", None)])

    assert (nothing.pass_rate, nothing.score, nothing.usage, nothing.cost_usd) == (None, None, None, None)
    assert nothing.trials == Tally(planned=4)
    assert (errored.pass_rate, errored.cases) == (None, Tally(planned=3, errored=1))


def test_a_warning_counts_as_passed_and_a_failed_gate_as_failed_whatever_its_score() -> None:
    found = summarize(run_of(), SUITE, [outcome("a", 0, "warned", 0.85), outcome("b", 0, "failed", 1.0)])

    assert found.pass_rate is not None
    assert found.pass_rate.value == 0.5


def test_cases_that_stand_or_fall_together_are_weaker_evidence_than_as_many_on_their_own() -> None:
    grouped = Suite(name="s", cases=tuple(case_of(name, group="g" if name != "c" else None) for name in "abc"))
    alone = Suite(name="s", cases=tuple(case_of(name) for name in "abc"))
    held = [outcome(name, 0, "passed", 1.0) for name in "abc"]

    together, apart = (summarize(run_of(), suite, held).pass_rate for suite in (grouped, alone))

    assert together is not None
    assert apart is not None
    assert together.value == apart.value == 1.0
    assert together.low < apart.low


def test_a_score_outside_0_and_1_is_bounded_for_the_statistics_alone() -> None:
    found = summarize(run_of(), SUITE, [outcome("a", 0, "failed", -0.5), outcome("b", 0, "passed", 1.0)])

    assert found.score is not None
    assert found.score.value == 0.5
    assert found.results[0].score == -0.5


def test_costs_are_a_sum_only_where_all_are_known_and_tokens_are_added_up() -> None:
    used = Usage(input_tokens=10, output_tokens=2)
    known = [outcome(name, 0, "passed", 1.0, cost_usd=0.25, usage=used, duration_s=1.5) for name in "ab"]

    whole = summarize(run_of(), SUITE, known, judge_cost_usd=0.5)
    holed = summarize(run_of(), SUITE, [*known, outcome("c", 0, "passed", 1.0)])

    assert (whole.cost_usd, whole.judge_cost_usd, whole.duration_s) == (0.5, 0.5, 3.0)
    assert whole.usage == Usage(input_tokens=20, output_tokens=4)
    assert (holed.cost_usd, holed.usage) == (None, whole.usage)


def test_only_the_cases_of_the_run_are_counted() -> None:
    found = summarize(run_of(case_ids=("b",)), SUITE, [outcome("b", 0, "passed", 1.0)])

    assert (found.trials, found.cases) == (Tally(planned=1, passed=1), Tally(planned=1, passed=1))


def test_verdicts_are_tallied() -> None:
    assert tally(["passed", "failed", "passed", "errored", "warned"], 9) == Tally(
        planned=9, passed=2, warned=1, failed=1, errored=1
    )
