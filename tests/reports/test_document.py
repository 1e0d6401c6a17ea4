"""What a report is made of, before it has a form: alignment, spreads over trials, differences, what was best."""

from reports.reported import DOWN, FLAKY, STEADY, SUITE, both, called, report_of, weather

from mcp_evals.conversation import Invocation, Step, ToolCall, Transcript
from mcp_evals.reports.document import Cell, Difference, RunReport, Spread, shown_trial, side_by_side
from mcp_evals.suite import Suite

OSLO = ToolCall(name="get_weather", arguments={"city": "Oslo", "days": 1})


def case_of(report: RunReport, case_id: str):
    return next(case for case in report.cases if case.id == case_id)


def test_expected_calls_stand_beside_the_calls_that_were_made() -> None:
    lost = ToolCall(name="get_time", arguments={})

    row = case_of(report_of({"oslo": [called(lost)]}), "oslo").trials[0].calls[0]

    assert (row.status, row.expected, row.actual) == ("wrong_tool", OSLO, lost)


def test_calls_of_which_nothing_was_expected_are_shown_as_made() -> None:
    suite = Suite.model_validate({"name": "s", "cases": [{"id": "a", "user": "go"}]})

    rows = report_of({"a": [called(OSLO)]}, suite).cases[0].trials[0].calls

    assert [(row.status, row.expected, row.actual, row.turn) for row in rows] == [(None, None, OSLO, None)]


def test_calls_of_several_turns_stand_with_their_turn() -> None:
    first, second = ({"user": city, "expect": {"calls": [{"tool": city}]}} for city in ("oslo", "rome"))
    suite = Suite.model_validate({"name": "s", "cases": [{"id": "a", "turns": [first, {"user": "hm"}, second]}]})
    made = [ToolCall(name=name, arguments={}) for name in ("oslo", "between", "rome")]
    said = Transcript(invocations=tuple(Invocation(user="x", steps=(Step(calls=(call,)),)) for call in made))

    rows = report_of({"a": [said]}, suite).cases[0].trials[0].calls

    assert [(row.turn, row.status, row.actual) for row in rows] == [
        (0, "matched", made[0]),
        (2, "matched", made[2]),
        (1, None, made[1]),
    ]


def test_an_argument_of_a_call_that_never_came_counts_as_nothing_over_the_trials() -> None:
    case = case_of(report_of({"oslo": [weather("Oslo"), called(text="no"), DOWN]}), "oslo")

    assert case.spreads == (
        Spread(name="get_weather", trials=2, mean=0.5, deviation=0.5),
        Spread(name="get_weather.city", trials=2, mean=0.5, deviation=0.5, weight=1.0),
        Spread(name="get_weather.days", trials=2, mean=0.5, deviation=0.5, weight=1.0),
    )


def test_one_scored_trial_has_no_spread() -> None:
    case = case_of(report_of({"oslo": [weather("Oslo"), DOWN]}), "oslo")

    assert (case.spreads, case.deviation) == ((), None)


def test_the_trial_that_is_shown_is_one_that_failed_and_an_error_only_where_there_is_nothing_else() -> None:
    report = report_of({"oslo": [DOWN, weather("Oslo"), called()], "rome": [DOWN, weather("Rome")], "joke": [DOWN]})

    shown = [shown_trial(case) for case in report.cases]

    assert [trial and (trial.index, trial.verdict) for trial in shown] == [
        (2, "failed"), (1, "passed"), (0, "errored"),
    ]  # fmt: skip


def test_a_transcript_is_there_only_where_it_was_asked_for() -> None:
    said = weather("Oslo")

    held = [
        case_of(report_of({"oslo": [said]}, transcripts=asked), "oslo").trials[0].transcript for asked in (False, True)
    ]

    assert held == [None, said]


def test_the_numbers_count_what_is_not_shown() -> None:
    whole, lost = report_of(FLAKY), report_of(FLAKY, only_lost=True)

    assert [case.id for case in lost.cases] == ["rome"]
    assert (lost.left_out, lost.summary, lost.flaky, lost.latency_s) == (2, whole.summary, ("oslo",), 0.5)


def test_cases_that_pass_in_all_runs_may_be_left_out_of_runs_side_by_side() -> None:
    whole, lost = both(FLAKY, STEADY), both(FLAKY, STEADY, only_lost=True)

    assert [row.case for row in lost.rows] == ["rome", "joke"]
    assert [[case.id for case in run.cases] for run in lost.runs] == [["rome", "joke"]] * 2
    assert (lost.left_out, lost.best, lost.comparison) == (1, whole.best, whole.comparison)


def test_differences_name_the_arguments_that_another_run_gave_otherwise() -> None:
    report = both({"oslo": [weather("Oslo", 3)]}, {"oslo": [weather("Bergen")]})

    assert report.rows[0].cells[1].differences == (
        Difference(what="get_weather.city", first='"Oslo"', here='"Bergen"'),
        Difference(what="get_weather.days", first="3", here="1"),
    )


def test_numbers_that_are_equal_do_not_differ_however_they_are_written() -> None:
    as_float = ToolCall(name="get_weather", arguments={"city": "Oslo", "days": 1.0})

    assert both({"oslo": [called(as_float)]}, {"oslo": [called(OSLO)]}).rows[0].cells[1].differences == ()


def test_calls_that_only_one_run_made_differ() -> None:
    more = ToolCall(name="get_time", arguments={"zone": "CET"})

    cells = both({"oslo": [called(OSLO)]}, {"oslo": [called(more)]}).rows[0].cells
    further = both({"oslo": [called(OSLO, more)]}, {"oslo": [called(OSLO)]}).rows[0].cells

    assert cells[1].differences == (
        Difference(what="get_weather", first='get_weather(city="Oslo", days=1)', here='get_time(zone="CET")'),
    )
    assert further[1].differences == (Difference(what="further call 1", first='get_time(zone="CET")'),)


def test_checks_and_errors_differ_by_name() -> None:
    cells = [row.cells[1].differences for row in both(FLAKY, STEADY).rows]

    assert cells[1:] == [
        (Difference(what="error", first="rate_limit"),),
        (Difference(what="text.contains", first="1.00", here="0.00"),),
    ]


def test_the_best_of_a_case_passes_more_trials_even_where_a_gate_hides_it_from_the_score() -> None:
    assert [row.best for row in both(FLAKY, STEADY).rows] == [("openai:b",), (), ("openai:a",)]


def test_the_best_run_is_said_of_the_cases_that_all_have() -> None:
    few, all_of_them = {"oslo": [weather("Oslo")]}, {"oslo": [weather("Oslo")], "rome": [called()]}

    assert both(few, all_of_them).best == ("openai:a", "openai:b")
    assert both({"oslo": [DOWN]}, all_of_them).best == ()


def test_a_case_that_a_run_does_not_hold_says_why() -> None:
    held = report_of({"oslo": [weather("Oslo")]})
    other = report_of({"oslo": [weather("Oslo")]}, id="r2", case_ids=("oslo", "rome"))

    cells = [row.cells for row in side_by_side([held, other], ["a", "b"]).rows]

    assert cells[1] == (Cell(absent="not held yet"), Cell(absent="not held yet"))
    assert cells[2] == (Cell(absent="not held yet"), Cell(absent="not in this run"))


def test_runs_that_are_unlike_say_in_what() -> None:
    changed = SUITE.model_copy(update={"system": "Be brief."})
    renamed = SUITE.model_copy(update={"name": "other"})
    one = report_of({"oslo": [weather("Oslo")]})
    two = report_of({"oslo": [weather("Oslo")] * 2}, changed, id="r2", status="cancelled")
    three = report_of({"oslo": [weather("Oslo")]}, renamed, id="r3")

    assert side_by_side([one, two], ["a", "b"]).notes == (
        "the suite was changed between these runs",
        "not completed: r2",
        "trials of each case differ: 1, 2",
    )
    several = side_by_side([one, three], ["a", "b"])
    assert several.notes == ("the runs are of different suites; only cases of one suite stand in one row",)
    assert [(row.suite, row.cells[0].absent is None) for row in several.rows][::3] == [
        ("weather", True), ("other", False),
    ]  # fmt: skip
