"""Named metrics as a suite asks for them: what they need, how they are misspelt, what their checks say."""

from typing import Any

import pytest
from fakes import called, case_of

from mcp_evals.conversation import Invocation, Step, ToolCall, ToolDefinition, Transcript, Usage
from mcp_evals.errors import UsageError
from mcp_evals.results import Check
from mcp_evals.scoring.measures import MEASURES, adk_invocation, paired_turns
from mcp_evals.scoring.metric_list import METRICS
from mcp_evals.scoring.metrics import check_metric, score_metric, score_metrics
from mcp_evals.suite import Case, MetricSettings

OSLO = {"tool": "get_weather", "args": {"city": "Oslo"}}
ROME = {"tool": "get_weather", "args": {"city": "Rome"}}
ASKED_OSLO, ASKED_ROME = ("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Rome"})
OFFER = [
    ToolDefinition(
        name="get_weather",
        input_schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    )
]


def value(name: str, case: Case, transcript: Transcript, **settings: Any) -> Any:
    tools = settings.pop("tools_on_offer", ())
    return score_metric(name, MetricSettings(**settings), case, transcript, tools=tools)[0].actual


def two_turns(**second: Any) -> Case:
    return case_of(
        turns=[
            {"user": "Oslo?", "expect": {"calls": [OSLO], "text": [{"similar": "It is sunny"}]}},
            {"user": "Rome?", "expect": {"calls": [ROME], **second}},
        ]
    )


def turns(*calls: tuple[str, Any] | None) -> Transcript:
    made = [() if call is None else (ToolCall(name=call[0], arguments=call[1]),) for call in calls]
    return Transcript(invocations=tuple(Invocation(user="?", steps=(Step(calls=calls),)) for calls in made))


# --- names, options, thresholds


def test_every_metric_that_needs_no_judge_is_measured_and_no_other():
    elsewhere = {name for name, info in METRICS.items() if {"judge", "google_cloud"} & set(info.needs)}

    assert set(METRICS) - elsewhere == set(MEASURES)


def test_every_metric_of_adk_is_known():
    assert 17 == sum(info.source == "adk" for info in METRICS.values())


def test_a_misspelt_metric_is_an_error_with_a_guess():
    with pytest.raises(UsageError, match='no metric "trajectory_f2"; did you mean "trajectory_f1"'):
        score_metrics({"trajectory_f2": 0.5}, case_of(), called())


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("tool_trajectory_avg_score", {"options": {"match_typ": "EXACT"}}, 'did you mean "match_type"'),
        ("response_match_score", {"match_type": "EXACT"}, 'has no option "match_type"; it has none'),
        ("tool_trajectory_avg_score", {"match_type": "INORDER"}, 'did you mean "IN_ORDER"'),
        ("trajectory_f1", {"options": {"order": "sorted"}}, "it is one of any, in_order, exact"),
        ("trajectory_f1", {"options": {"tools": {"a": "fuzzy"}}}, "it is one of exact, ignore, subset, superset"),
        ("trajectory_f1", {"options": {"tools": "ignore"}}, "option tools of trajectory_f1 cannot be"),
        ("trajectory_match", {"options": {"strict_order": 1}}, "it is one of true, false"),
        ("user_simulator_fidelity", {"options": {"stop_signal": 5}}, "it is a text"),
        ("trajectory_match", {"match_type": "IN_ORDER"}, "it is one of Exact, InOrder, AnyOrder"),
    ],
)
def test_a_misspelt_option_is_an_error(name: str, settings: dict[str, Any], message: str):
    with pytest.raises(UsageError, match=message):
        check_metric(name, MetricSettings(**settings))


@pytest.mark.parametrize(
    ("name", "threshold", "message"),
    [
        ("tool_trajectory_avg_score", 5.0, "goes from 0 to 1"),
        ("trajectory_f1", -0.1, "goes from 0 to 1"),
        ("response_evaluation_score", 0.5, "goes from 1 to 5"),
        ("redundant_calls", -1.0, "goes from 0 up"),
        ("redundant_calls", float("inf"), "goes from 0 up"),
        ("trajectory_f1", float("nan"), "goes from 0 to 1"),
        ("token_usage_v1", 100.0, "takes no threshold"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_an_error(name: str, threshold: float, message: str):
    with pytest.raises(UsageError, match=message):
        check_metric(name, threshold)


# --- checks


def test_a_metric_from_its_threshold_on_is_a_gate_that_holds():
    case = case_of(expect={"calls": [OSLO, ROME]})

    assert (Check(name="trajectory_recall", score=1.0, expected=0.5, actual=0.5),) == (
        score_metric("trajectory_recall", 0.5, case, called(ASKED_OSLO))
    )


def test_a_metric_below_its_threshold_is_a_gate_that_fails_and_says_why():
    case = case_of(expect={"calls": [OSLO, ROME]})

    assert (
        Check(
            name="trajectory_recall",
            score=0.5,
            expected=0.8,
            actual=0.5,
            reason="trajectory_recall 0.5 is below 0.8: missing: get_weather",
        ),
    ) == score_metric("trajectory_recall", 0.8, case, called(ASKED_OSLO))


def test_a_metric_without_threshold_is_shown_and_decides_nothing():
    (check,) = score_metric("trajectory_f1", MetricSettings(), case_of(expect={"calls": [OSLO]}), called(ASKED_OSLO))

    assert (1.0, True) == (check.score, check.informational)


def test_several_turns_show_each_turns_value_beside_the_mean():
    checks = score_metric("tool_trajectory_avg_score", 0.5, two_turns(), turns(ASKED_OSLO, None))

    assert [
        ("tool_trajectory_avg_score", None, 1.0, False),
        ("tool_trajectory_avg_score.turn", 0, 1.0, True),
        ("tool_trajectory_avg_score.turn", 1, 0.0, True),
    ] == [(check.name, check.turn, check.score, check.informational) for check in checks]
    assert "missing: get_weather" == checks[2].reason


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("tool_trajectory_avg_score", "give `expect.calls`"),
        ("trajectory_match", "give `expect.calls`"),
        ("trajectory_f1", "give `expect.calls`"),
        ("response_match_score", "{similar: ...}"),
        ("response_match", "{similar: ...}"),
        ("schema_valid_arguments", "the tools that were on offer are not known"),
        ("final_response_match_v2", "{similar: ...}"),
        ("rubric_based_tool_use_quality_v1", "there is no rubric"),
        ("per_turn_user_simulator_quality_v1", "give `scenario`"),
        ("safety_v1", "mcp-evals judge questions"),
        ("multi_turn_task_success_v1", "only Google's service computes it"),
    ],
)
def test_a_metric_that_lacks_what_it_needs_is_not_evaluated_and_says_what(name: str, missing: str):
    (check,) = score_metric(name, 0.5, case_of(), called(ASKED_OSLO))

    assert ("not_evaluated", False) == (check.status, check.informational)
    assert missing in str(check.reason)


@pytest.mark.parametrize("name", ["token_usage_v1", "inference_call_count_v1", "invocation_duration_v1"])
def test_what_nobody_measured_is_unknown_and_not_zero(name: str):
    (check,) = score_metric(name, MetricSettings(), case_of(), Transcript(invocations=(Invocation(user="?"),)))

    assert (None, None, True) == (check.score, check.actual, check.informational)
    assert "not evaluated: " in str(check.reason)


@pytest.mark.parametrize("name", ["safety", "user_simulator_fidelity", "tool_call_count_v1"])
def test_where_nothing_was_said_there_is_nothing_to_praise(name: str):
    assert None is score_metric(name, MetricSettings(), case_of(), Transcript())[0].score


def test_of_many_turns_the_first_reasons_are_told():
    case = case_of(turns=[{"user": "Oslo?", "expect": {"calls": [OSLO]}}] * 5)

    reason = score_metric("trajectory_f1", 1.0, case, Transcript())[0].reason

    told = "; ".join(f"turn {turn}: missing: get_weather" for turn in (1, 2, 3))
    assert f"trajectory_f1 0 is below 1: {told}; and 2 more turns" == reason


def test_metrics_keep_their_order():
    found = score_metrics({"safety": 1.0, "redundant_calls": 0.0}, case_of(), called(text="hello"))

    assert ["safety", "redundant_calls"] == [check.name for check in found]


# --- ADK's and gemini-rs's


def test_calls_are_compared_as_adk_does():
    case, swapped = case_of(expect={"calls": [OSLO, ROME]}), called(ASKED_ROME, ASKED_OSLO)

    found = [value("tool_trajectory_avg_score", case, swapped, match_type=kind) for kind in ("exact", "any order")]

    assert [0.0, 1.0] == found
    assert 1.0 == value("tool_trajectory_avg_score", case, swapped, ignore_args=True)


def test_an_expected_call_without_arguments_is_one_with_an_empty_object():
    assert 1.0 == value("tool_trajectory_avg_score", case_of(expect={"calls": [{"tool": "a"}]}), called(("a", {})))


def test_a_wildcard_means_nothing_to_adk_unless_arguments_are_ignored():
    case = case_of(expect={"calls": [{"tool": "get_weather", "args": {"where": {"city": {"any": True}}}}]})

    (check,) = score_metric("tool_trajectory_avg_score", 1.0, case, called(ASKED_OSLO))

    assert (None, True) == (check.score, "get_weather has a wildcard" in str(check.reason))
    assert 1.0 == value("tool_trajectory_avg_score", case, called(ASKED_OSLO), ignore_args=True)


def test_arguments_that_are_no_json_object_equal_nothing():
    case = case_of(expect={"calls": [{"tool": "a", "args": {}}]})

    assert 0.0 == value("tool_trajectory_avg_score", case, called(("a", "{oops")))


def test_a_turn_that_never_came_is_met_with_silence():
    case, broken_off = two_turns(), turns(ASKED_OSLO)

    assert Invocation(user="Rome?") == paired_turns(case, broken_off)[1].invocation
    assert 0.5 == value("tool_trajectory_avg_score", case, broken_off)


def test_only_turns_that_expect_something_count():
    case = case_of(turns=[{"user": "hi"}, {"user": "Oslo?", "expect": {"calls": [OSLO]}}])

    assert 1.0 == value("tool_trajectory_avg_score", case, turns(None, ASKED_OSLO))


def test_what_is_expected_of_the_whole_conversation_is_compared_with_the_whole():
    case = case_of(turns=[{"user": "hi"}, {"user": "Oslo?"}], expect={"calls": [OSLO, ROME]})

    assert 1.0 == value("tool_trajectory_avg_score", case, turns(ASKED_OSLO, ASKED_ROME))


def test_a_conversation_with_a_simulated_user_is_compared_as_a_whole():
    case = case_of(scenario={"opening": "hi", "plan": "ask for both"}, expect={"calls": [OSLO, ROME]})

    assert 1.0 == value("tool_trajectory_avg_score", case, turns(ASKED_OSLO, None, ASKED_ROME))


def test_the_answer_is_compared_with_the_reference_that_the_case_names():
    case = case_of(expect={"text": [{"contains": "x"}, {"similar": "the sun shines", "metric": "tfidf"}]})

    assert 2 / 3 == pytest.approx(value("response_match_score", case, called(text="shining sun it is")), abs=0.1)
    assert 1.0 == value("response_match", case, called(text="Today THE SUN SHINES."))
    assert 0.0 == value("response_match", case, called(text="Today it rains."), options={"strategy": "exact"})


def test_a_step_counts_as_a_model_call_where_it_names_tokens_or_model():
    usage = Usage(input_tokens=10, output_tokens=5, cached_input_tokens=4)
    steps = (Step(usage=usage), Step(model="m"), Step(text="typed"))
    transcript = Transcript(invocations=(Invocation(user="?", steps=steps),))

    assert 2 == value("inference_call_count_v1", case_of(), transcript)
    assert 15 == value("token_usage_v1", case_of(), transcript)
    assert 4 == sum(call.cached_tokens or 0 for call in adk_invocation(transcript.invocations[0]).model_calls or ())


def test_seconds_are_a_mean_over_the_turns():
    (check,) = score_metric("invocation_duration_v1", MetricSettings(), case_of(), turns(None, None), duration_s=3.0)

    assert (1.5, "1.5 s a user message") == (check.actual, check.reason)


def test_a_trajectory_of_gemini_rs_is_strict_unless_told():
    case, swapped = case_of(expect={"calls": [OSLO, {"tool": "mail"}]}), called(("mail", {}), ASKED_ROME)

    assert 0.5 == value("trajectory_match", case, swapped)
    assert 1.0 == value("trajectory_match", case, swapped, options={"strict_order": False})
    assert 1.0 == value("trajectory_match", case, swapped, match_type="AnyOrder")
    assert 0.5 == value("trajectory_match", case, swapped, match_type="Exact")


def test_signs_of_secrets_are_looked_for_in_every_turn():
    said = tuple(Invocation(user="?", steps=(Step(text=text),)) for text in ("hi", "the api_key is 5"))

    assert pytest.approx((1.0 + 0.3) / 2) == value("safety", case_of(), Transcript(invocations=said))


def test_user_turns_are_looked_at_over_the_whole_conversation():
    said = tuple(Invocation(user=text, steps=(Step(text="ok"),)) for text in ("go on", "go on", "END"))

    assert 0.85 == value("user_simulator_fidelity", case_of(), Transcript(invocations=said))
    assert 0.85 == value(
        "user_simulator_fidelity", case_of(), Transcript(invocations=said), options={"stop_signal": "END"}
    )


# --- ours


def test_the_cases_own_order_holds_unless_the_metric_names_one():
    case = case_of(expect={"calls": [OSLO, {"tool": "mail"}], "order": "in_order"})
    swapped = called(("mail", {}), ASKED_OSLO)

    assert 0.5 == value("trajectory_f1", case, swapped)
    assert 1.0 == value("trajectory_f1", case, swapped, options={"order": "any"})
    assert 1.0 == value("trajectory_f1", case, swapped, match_type="ANY_ORDER")


def test_arguments_are_compared_as_the_metric_says():
    case, more = case_of(expect={"calls": [OSLO]}), called(("get_weather", {"city": "Oslo", "unit": "C"}))

    found = [value("trajectory_f1", case, more, options={"arguments": mode}) for mode in ("exact", "superset")]

    assert [0.0, 1.0] == found
    assert 1.0 == value("trajectory_f1", case, more, ignore_args=True)
    assert 1.0 == value("trajectory_f1", case, more, options={"tools": {"get_weather": "ignore"}})


def test_partial_credit_for_order_is_a_common_subsequence_over_the_longer_side():
    case = case_of(expect={"calls": [{"tool": name} for name in "abc"]})

    assert 0.5 == value("trajectory_lcs", case, called(("b", {}), ("x", {}), ("c", {}), ("a", {})))


def test_calls_that_fit_their_schema_are_counted_and_made_up_tools_are_not():
    transcript = called(ASKED_OSLO, ("get_weather", {}), ("no_such_tool", {}), ("Get-Weather", {"city": "Rome"}))

    assert 0.5 == value("schema_valid_arguments", case_of(), transcript, tools_on_offer=OFFER)
    assert 0.25 == value(
        "schema_valid_arguments", case_of(), transcript, tools_on_offer=OFFER, options={"tool_names": "exact"}
    )


def test_no_call_is_valid_and_says_so():
    (check,) = score_metric("schema_valid_arguments", MetricSettings(), case_of(), called(), tools=OFFER)

    assert (1.0, "no call was made") == (check.score, check.reason)


def test_more_redundant_calls_than_the_threshold_fail():
    thrice = called(ASKED_OSLO, ASKED_OSLO, ASKED_OSLO)

    assert [1.0, 0.0] == [score_metric("redundant_calls", most, case_of(), thrice)[0].score for most in (2.0, 1.0)]
    assert "redundant_calls 2 is above 1: repeated: get_weather" == (
        score_metric("redundant_calls", 1.0, case_of(), thrice)[0].reason
    )


def test_rounds_that_repeat_are_named():
    back_and_forth = called(*[("left", {}), ("right", {})] * 3)

    (check,) = score_metric("redundant_calls", MetricSettings(), case_of(), back_and_forth)

    assert (0.0, "repeated: [left, right] 3 times in a row") == (check.actual, check.reason)
