"""Scores that a reader can check by hand."""

import pytest
from fakes import called, case_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mcp_evals.conversation import Invocation, Step, ToolCall, ToolDefinition, ToolResult, Transcript, Usage
from mcp_evals.results import Judgement
from mcp_evals.scoring.calls import Names, fit_calls, score_arguments
from mcp_evals.scoring.case import judged_questions, score_case
from mcp_evals.scoring.judge import NO_JUDGE
from mcp_evals.suite import Case, ExpectedCall, Rubric

RUBRIC = Rubric()
OSLO = {"tool": "get_weather", "args": {"city": "Oslo"}}
ROME = {"tool": "get_weather", "args": {"city": "Rome"}}
TIMER = {"tool": "set_timer", "args": {"minutes": 5}}


def statuses(case: Case, transcript: Transcript, rubric: Rubric = RUBRIC, **known: object) -> list[str]:
    score = score_case(case, transcript, rubric, **known)  # type: ignore[arg-type]
    return [row.status for rows in score.calls for row in rows]


def test_a_perfect_transcript_scores_one() -> None:
    case = case_of(expect={"calls": [OSLO, TIMER]})

    score = score_case(case, called(("set_timer", {"minutes": 5}), ("get_weather", {"city": "Oslo"})), RUBRIC)

    assert ("passed", 1.0, None) == (score.verdict, score.score, score.reason)


def test_a_missing_call_costs_its_full_weight() -> None:
    case = case_of(expect={"calls": [OSLO, TIMER]})

    score = score_case(case, called(("get_weather", {"city": "Oslo"})), RUBRIC)

    assert (0.5, "failed", "set_timer was not called") == (score.score, score.verdict, score.reason)


def test_an_extra_call_costs_as_much_as_a_missing_one() -> None:
    case = case_of(expect={"calls": [OSLO]})

    score = score_case(case, called(("get_weather", {"city": "Oslo"}), ("set_timer", {"minutes": 5})), RUBRIC)

    assert 0.5 == score.score
    assert ["matched", "extra"] == statuses(
        case, called(("get_weather", {"city": "Oslo"}), ("set_timer", {"minutes": 5}))
    )


def test_another_tool_in_the_place_of_an_expected_one_is_one_mistake_not_two() -> None:
    case = case_of(expect={"calls": [OSLO, TIMER]})
    transcript = called(("get_weather", {"city": "Oslo"}), ("alarm", {"minutes": 5}))

    assert 0.5 == score_case(case, transcript, RUBRIC).score
    assert ["matched", "wrong_tool"] == statuses(case, transcript)


def test_the_right_arguments_on_the_wrong_tool_earn_nothing() -> None:
    case = case_of(expect={"calls": [OSLO]})

    assert 0.0 == score_case(case, called(("get_time", {"city": "Oslo"})), RUBRIC).score


def test_a_wrong_argument_costs_the_share_of_the_arguments_and_says_why() -> None:
    case = case_of(expect={"calls": [{"tool": "move", "args": {"x": 1, "y": 2}}]})

    score = score_case(case, called(("move", {"x": 1, "y": 3})), RUBRIC)

    assert 0.75 == score.score
    assert "move: y 3 is not 2" == score.reason


def test_an_argument_that_nobody_expected_costs_like_a_wrong_one() -> None:
    case = case_of(expect={"calls": [OSLO]})
    transcript = called(("get_weather", {"city": "Oslo", "units": "kelvin"}))

    assert 0.75 == score_case(case, transcript, RUBRIC).score
    assert 1.0 == score_case(case, transcript, Rubric(extra_arguments="ignore")).score


def test_of_several_right_ways_the_one_that_fits_best_counts() -> None:
    one = {"tool": "get_forecast", "args": {"city": "Oslo", "days": 2}}
    two = [{"tool": "get_weather", "args": {"city": city}} for city in ("Oslo", "Rome")]
    case = case_of(expect={"calls": [one], "alternatives": [two, []]})

    first = score_case(case, called(("get_forecast", {"city": "Oslo", "days": 2})), RUBRIC)
    second = score_case(case, called(*[("get_weather", {"city": city}) for city in ("Rome", "Oslo")]), RUBRIC)
    none = score_case(case, called(), RUBRIC)
    near = score_case(case, called(("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Bergen"})), RUBRIC)

    assert [1.0, 1.0, 1.0, 0.75] == [score.score for score in (first, second, none, near)]
    assert [1, 2] == [row.expected for row in second.calls[0]]
    assert ["get_forecast", "get_weather", "get_weather"] == [call.tool for call in case.expect.all_calls]
    assert 'get_weather: city "Bergen" is not "Rome"' == near.reason


def test_alternatives_to_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="`alternatives` need `calls`"):
        case_of(expect={"alternatives": [[{"tool": "a"}]]})


def test_an_argument_that_must_be_left_out_is_left_out_whatever_the_schemas_default() -> None:
    schema = {"type": "object", "properties": {"units": {"type": "string", "default": "c"}}}
    tool = ToolDefinition.model_validate({"name": "get_weather", "input_schema": schema})
    critics = [{"field": "units", "kind": "present", "present": False}]
    case = case_of(expect={"calls": [{"tool": "get_weather", "critics": critics}]})

    left_out, given = (
        score_case(case, called(("get_weather", arguments)), RUBRIC, tools=[tool]).score
        for arguments in ({}, {"units": "c"})
    )

    assert (1.0, 0.5) == (left_out, given)


def test_an_argument_that_repeats_the_schemas_default_is_as_good_as_left_out() -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "units": {"type": "string", "default": "celsius"}},
    }
    tool = ToolDefinition.model_validate({"name": "get_weather", "input_schema": schema})
    case = case_of(expect={"calls": [OSLO]})

    score = score_case(case, called(("get_weather", {"city": "Oslo", "units": "celsius"})), RUBRIC, tools=[tool])

    assert 1.0 == score.score


def test_numbers_compare_by_value_and_true_is_not_one() -> None:
    case = case_of(expect={"calls": [{"tool": "set", "args": {"n": 17, "on": True}}]})

    assert 1.0 == score_case(case, called(("set", {"n": 17.0, "on": True})), RUBRIC).score
    assert 0.75 == score_case(case, called(("set", {"n": 17, "on": 1})), RUBRIC).score


def test_calls_are_fitted_so_that_the_score_is_the_greatest() -> None:
    case = case_of(expect={"calls": [OSLO, ROME]})

    score = score_case(case, called(("get_weather", {"city": "Rome"}), ("get_weather", {"city": "Oslo"})), RUBRIC)

    assert 1.0 == score.score
    assert [1, 0] == [row.actual for row in score.calls[0]]


def test_in_order_a_call_out_of_order_fails_the_case_and_is_named() -> None:
    case = case_of(expect={"calls": [OSLO, TIMER], "order": "in_order"})
    transcript = called(("set_timer", {"minutes": 5}), ("get_weather", {"city": "Oslo"}))

    score = score_case(case, transcript, RUBRIC)

    assert "failed" == score.verdict
    assert 1 == statuses(case, transcript).count("out_of_order")


def test_in_order_with_credit_the_calls_in_order_still_earn() -> None:
    case = case_of(expect={"calls": [OSLO, TIMER], "order": "in_order", "credit": "subsequence"})

    score = score_case(case, called(("set_timer", {"minutes": 5}), ("get_weather", {"city": "Oslo"})), RUBRIC)

    assert 0.5 == score.score
    assert all(check.weight is not None for check in score.checks)


def test_in_order_lets_extra_calls_stand_between_and_exact_does_not() -> None:
    transcript = called(("get_weather", {"city": "Oslo"}), ("note", {}), ("set_timer", {"minutes": 5}))
    lenient = Rubric(extra_calls="ignore")

    in_order = score_case(case_of(expect={"calls": [OSLO, TIMER], "order": "in_order"}), transcript, lenient)
    exact = score_case(case_of(expect={"calls": [OSLO, TIMER], "order": "exact"}), transcript, lenient)

    assert ("passed", "failed") == (in_order.verdict, exact.verdict)


def test_no_call_expected_and_none_made_passes_and_one_made_fails() -> None:
    case = case_of(expect={"calls": []})

    assert ("passed", 1.0) == (score_case(case, called(), RUBRIC).verdict, score_case(case, called(), RUBRIC).score)
    assert 0.0 == score_case(case, called(("get_weather", {})), RUBRIC).score


def test_an_optional_call_may_be_left_out_and_counts_when_it_comes() -> None:
    case = case_of(expect={"calls": [OSLO, {**TIMER, "optional": True}]})

    assert 1.0 == score_case(case, called(("get_weather", {"city": "Oslo"})), RUBRIC).score
    assert (
        0.75 == score_case(case, called(("get_weather", {"city": "Oslo"}), ("set_timer", {"minutes": 9})), RUBRIC).score
    )


def test_a_gate_fails_the_case_whatever_its_score() -> None:
    case = case_of(expect={"calls": [OSLO], "forbid": ["delete"], "require": ["get_weather"]})
    lenient = Rubric(extra_calls="ignore")

    score = score_case(case, called(("get_weather", {"city": "Oslo"}), ("delete", {})), lenient)

    assert ("failed", 1.0, "forbidden tool call: delete") == (score.verdict, score.score, score.reason)


def test_the_engine_harness_notes_keep_their_wording() -> None:
    expect = {"require": ["search"], "forbid": ["buy"], "text": [{"contains": "Oslo"}], "limits": {"output_tokens": 10}}
    case = case_of(expect=expect)

    score = score_case(case, called(("buy", {}), text="Rome", usage=Usage(output_tokens=11)), RUBRIC)

    assert [
        "missing required tool call: search",
        "forbidden tool call: buy",
        "output missing: 'Oslo'",
        "output_tokens=11 > 10",
    ] == [check.reason for check in score.checks]
    assert 0.0 == score.score


def test_a_limit_of_zero_is_a_limit_and_an_unknown_usage_is_not_evaluated() -> None:
    case = case_of(expect={"limits": {"output_tokens": 0}})

    assert "failed" == score_case(case, called(usage=Usage(output_tokens=1)), RUBRIC).verdict
    unknown = score_case(case, called(), RUBRIC)
    assert ("errored", None, "not evaluated: output_tokens is not known") == (
        unknown.verdict,
        unknown.score,
        unknown.reason,
    )


def test_text_with_a_weight_counts_into_the_score_and_without_one_is_a_gate() -> None:
    weighted = case_of(expect={"calls": [OSLO], "text": [{"contains": "rain", "weight": 1}]})
    gate = case_of(expect={"calls": [OSLO], "text": [{"contains": "rain"}]})
    transcript = called(("get_weather", {"city": "Oslo"}), text="Sunny.")

    assert (0.5, "failed") == (
        score_case(weighted, transcript, RUBRIC).score,
        score_case(weighted, transcript, RUBRIC).verdict,
    )
    assert ("failed", 1.0) == (score_case(gate, transcript, RUBRIC).verdict, score_case(gate, transcript, RUBRIC).score)


def test_a_judged_criterion_without_a_judgement_never_passes() -> None:
    case = case_of(expect={"calls": [OSLO], "text": [{"judged": "Is polite."}]})

    score = score_case(case, called(("get_weather", {"city": "Oslo"})), RUBRIC)

    assert ("errored", None, f"not evaluated: {NO_JUDGE}") == (score.verdict, score.score, score.reason)


def test_a_judgement_scores_the_criterion_and_its_status_stands_beside_it() -> None:
    case = case_of(expect={"text": [{"judged": "Is polite."}]})
    transcript = called(text="Please wait.")
    ((key, criterion, asked, answer),) = judged_questions(case, transcript)
    judgement = Judgement(
        key=key, score=1.0, reason="It says please.", judge="openai:x", samples=3, readable=2, agreement=1.0
    )

    score = score_case(case, transcript, RUBRIC, judgements={key: judgement})

    assert ("Is polite.", "[user] ?", "Please wait.") == (criterion.judged, asked, answer)
    assert ("passed", "openai:x, 2 of 3 samples readable, agreement 100%, not calibrated") == (
        score.verdict,
        score.checks[0].judge,
    )


def judged_as(case: Case, transcript: Transcript, score: float | None, **fields: object) -> dict[str, Judgement]:
    """What a judge says, alike of every question of a case."""
    given = {"score": score, "reason": "It is rude.", "judge": "openai:x", "agreement": 1.0, **fields}
    return {key: Judgement.model_validate({"key": key, **given}) for key, _, _, _ in judged_questions(case, transcript)}


def verdict_of(case: Case, transcript: Transcript, score: float | None, **fields: object) -> tuple[str, float | None]:
    found = score_case(case, transcript, RUBRIC, judgements=judged_as(case, transcript, score, **fields))
    return found.verdict, found.score


def test_a_judge_that_was_not_compared_with_people_fails_no_case_alone() -> None:
    case = case_of(expect={"text": [{"judged": "Is polite."}]})
    transcript = called(text="Wait.")

    found = score_case(case, transcript, RUBRIC, judgements=judged_as(case, transcript, 0.0))

    assert ("warned", 0.0) == (found.verdict, found.score)
    assert found.reason == ("It is rude. (its judge is not calibrated, so it only warns: `mcp-evals judge calibrate`)")
    assert ("failed", 0.0) == verdict_of(case, transcript, 0.0, calibrated=True)
    assert ("passed", 1.0) == verdict_of(case, transcript, 1.0)
    assert ("errored", None) == verdict_of(case, transcript, None)


def test_beside_an_uncalibrated_judge_everything_else_decides_as_ever() -> None:
    right, wrong = ("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Rome"})
    polite = {"judged": "Is polite."}
    calls = case_of(expect={"calls": [OSLO], "text": [polite]})
    gate = case_of(expect={"text": [{"contains": "please"}, polite]})
    turns = case_of(turns=[{"user": "a", "expect": {"text": [polite]}}, {"user": "b", "expect": {"calls": []}}])
    two_turns = Transcript(invocations=(Invocation(user="a", steps=(Step(text="no"),)), Invocation(user="b")))

    assert ("warned", 1.0) == verdict_of(calls, called(right, text="Wait."), 0.0)
    assert ("failed", 0.5) == verdict_of(calls, called(wrong, text="Wait."), 0.0)
    assert ("failed", 0.0) == verdict_of(gate, called(text="Wait."), 0.0)
    assert ("warned", 0.5) == verdict_of(turns, two_turns, 0.0)


def test_a_weighed_verdict_counts_its_share_whoever_judged() -> None:
    case = case_of(expect={"text": [{"judged": "Is polite.", "weight": 1}, {"contains": "t", "weight": 3}]})

    assert ("failed", 0.75) == verdict_of(case, called(text="Wait."), 0.0)


def test_a_judge_sees_what_went_before_the_answer_with_calls_and_results() -> None:
    looked = Step(
        text="Let me see.",
        calls=(ToolCall(name="get_weather", arguments={"city": "Oslo"}),),
        results=(ToolResult(content={"sky": "blue"}),),
    )
    transcript = Transcript(
        system="Be kind.",
        invocations=(
            Invocation(user="Hi", steps=(Step(text="Hello."),)),
            Invocation(user="Oslo?", steps=(looked, Step(text="Blue."))),
            Invocation(user="Bye", steps=(Step(text="Goodbye."),)),
        ),
    )
    asks = {"expect": {"text": [{"judged": "Is right."}]}}
    case = case_of(turns=[{"user": "Hi"}, {"user": "Oslo?", **asks}, {"user": "Bye"}])

    ((_, _, conversation, answer),) = judged_questions(case, transcript)

    assert "Blue." == answer
    assert conversation.split("\n") == [
        "[system] Be kind.",
        "[user] Hi",
        "[assistant] Hello.",
        "[user] Oslo?",
        "[assistant] Let me see.",
        '[assistant calls get_weather] {"city": "Oslo"}',
        '[tool result] {"sky": "blue"}',
    ]


def test_a_case_that_expects_nothing_is_not_evaluated() -> None:
    assert "errored" == score_case(case_of(), called(text="hello"), RUBRIC).verdict


def test_malformed_arguments_are_wrong_and_shown() -> None:
    case = case_of(expect={"calls": [OSLO]})

    score = score_case(case, called(("get_weather", '{"city": "Oslo"')), RUBRIC)

    assert 0.5 == score.score
    assert score.reason is not None
    assert "not a JSON object" in score.reason


def test_a_tool_that_nobody_defined_is_called_hallucinated() -> None:
    case = case_of(expect={"calls": [OSLO]})

    found = statuses(case, called(("ls<|channel|>commentary", {})), tools=[ToolDefinition(name="get_weather")])

    assert ["hallucinated"] == found


def test_loose_names_ignore_case_and_separators_and_exact_names_do_not() -> None:
    case = case_of(expect={"calls": [OSLO]})
    transcript = called(("Get-Weather", {"city": "Oslo"}))

    assert 1.0 == score_case(case, transcript, RUBRIC).score
    assert 0.0 == score_case(case, transcript, Rubric(tool_names="exact")).score


def test_critics_on_dotted_paths_leave_the_rest_to_equality() -> None:
    critics = [{"field": "where.city", "kind": "pattern", "pattern": "^Os"}]
    case = case_of(
        expect={"calls": [{"tool": "go", "args": {"where": {"city": "Oslo", "zip": 1}}, "critics": critics}]}
    )

    assert 1.0 == score_case(case, called(("go", {"where": {"city": "Osaka", "zip": 1}})), RUBRIC).score
    assert 0.75 == score_case(case, called(("go", {"where": {"city": "Osaka", "zip": 2}})), RUBRIC).score


def test_wildcards_say_whatever_one_of_and_optional() -> None:
    args = {"id": {"any": True}, "unit": {"one_of": ["C", "F"]}, "lang": {"optional": "en"}}
    case = case_of(expect={"calls": [{"tool": "t", "args": args}]})

    assert 1.0 == score_case(case, called(("t", {"id": [1], "unit": "F"})), RUBRIC).score
    assert 1.0 == score_case(case, called(("t", {"id": None, "unit": "C", "lang": "en"})), RUBRIC).score
    lost = score_case(case, called(("t", {"unit": "K", "lang": "no"})), RUBRIC)
    assert 0.5 == lost.score
    assert ["not given", "is none of the accepted values", '"no" is not "en"'] == [
        row.reason for row in lost.calls[0][0].arguments
    ]


def test_turns_are_scored_one_by_one_and_a_conversation_that_broke_off_loses_the_rest() -> None:
    turns = [{"user": "a", "expect": {"calls": [OSLO]}}, {"user": "b", "expect": {"calls": [ROME]}}]
    case = case_of(turns=turns)
    first = Invocation(user="a", steps=(Step(calls=(ToolCall(name="get_weather", arguments={"city": "Oslo"}),)),))

    score = score_case(case, Transcript(invocations=(first,)), RUBRIC)

    assert ((1.0, 0.0), 0.5) == (score.turn_scores, score.score)
    assert [0, 1] == [check.turn for check in score.checks]


def test_the_final_state_is_compared_with_wildcards() -> None:
    case = case_of(expect={"state": {"orders": [{"id": {"any": True}, "open": False}]}})

    closed = Transcript(state={"orders": [{"id": 7, "open": False}]})
    left_open = Transcript(state={"orders": [{"id": 7, "open": True}]})

    assert "passed" == score_case(case, closed, RUBRIC).verdict
    assert "state.orders[0].open true is not false" == score_case(case, left_open, RUBRIC).reason


@pytest.mark.parametrize(("score", "verdict"), [(0.79, "failed"), (0.8, "warned"), (0.89, "warned"), (0.9, "passed")])
def test_the_rubric_turns_a_score_into_a_verdict(score: float, verdict: str) -> None:
    assert verdict == RUBRIC.verdict_of(score)


# --- properties

_names = st.sampled_from(["a", "b", "c"])
_arguments = st.dictionaries(st.sampled_from(["x", "y"]), st.integers(0, 2), max_size=2)
_calls = st.lists(st.tuples(_names, _arguments), max_size=5)
_rubrics = st.builds(
    Rubric,
    missing_calls=st.sampled_from(["fail", "penalize", "ignore"]),
    extra_calls=st.sampled_from(["fail", "penalize", "ignore"]),
    wrong_tool=st.sampled_from(["fail", "penalize", "ignore"]),
    extra_arguments=st.sampled_from(["fail", "penalize", "ignore"]),
    tool_weight=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
)


def expecting(calls: list[tuple[str, dict[str, int]]], order: str = "any") -> Case:
    return case_of(expect={"calls": [{"tool": name, "args": args} for name, args in calls], "order": order})


@settings(max_examples=150, deadline=None)
@given(_calls, _calls, _rubrics, st.sampled_from(["any", "in_order", "exact"]))
def test_a_score_lies_between_zero_and_one(
    expected: list[tuple[str, dict[str, int]]], actual: list[tuple[str, dict[str, int]]], rubric: Rubric, order: str
) -> None:
    score = score_case(expecting(expected, order), called(*actual), rubric)

    assert score.score is None or 0.0 <= score.score <= 1.0
    assert (score.score is None) == (score.verdict == "errored")


@settings(max_examples=100, deadline=None)
@given(_calls, _rubrics, st.sampled_from(["any", "in_order", "exact"]))
def test_doing_exactly_what_is_expected_scores_one(
    expected: list[tuple[str, dict[str, int]]], rubric: Rubric, order: str
) -> None:
    assert 1.0 == score_case(expecting(expected, order), called(*expected), rubric).score


@settings(max_examples=100, deadline=None)
@given(_calls, _calls, st.randoms())
def test_without_an_order_the_order_of_calls_does_not_matter(expected, actual, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = random.sample(actual, len(actual))

    first = score_case(expecting(expected), called(*actual), RUBRIC).score
    second = score_case(expecting(expected), called(*shuffled), RUBRIC).score

    assert first == pytest.approx(second)


@settings(max_examples=100, deadline=None)
@given(_calls, st.data())
def test_taking_a_right_call_away_never_helps(expected, data) -> None:  # type: ignore[no-untyped-def]
    if not expected:
        return
    gone = data.draw(st.integers(0, len(expected) - 1))
    rest = [call for index, call in enumerate(expected) if index != gone]

    whole = score_case(expecting(expected), called(*expected), RUBRIC).score
    less = score_case(expecting(expected), called(*rest), RUBRIC).score

    assert whole is not None
    assert less is not None
    assert less < whole


@settings(max_examples=150, deadline=None)
@given(_arguments, _arguments, _rubrics)
def test_the_quick_score_of_a_pair_is_what_its_evidence_says(expected, actual, rubric) -> None:  # type: ignore[no-untyped-def]
    call, made = ExpectedCall(tool="a", args=expected), ToolCall(name="a", arguments=actual)
    fit = fit_calls([call], [made], rubric, "any", Names(rubric, ()))

    rows = score_arguments(call, made, rubric)
    possible = sum(row.weight for row in rows)
    shown = sum(row.score * row.weight for row in rows) / possible if possible else None
    weight = 0.0 if rubric.wrong_tool == "ignore" else rubric.tool_weight

    assert fit.aligned[0].score == pytest.approx(1.0 if shown is None else (weight + shown) / (weight + 1))
