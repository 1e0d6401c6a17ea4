"""ADK's metrics by hand; tests/parity compares them with recordings."""

import pytest

from mcp_evals.errors import UsageError
from mcp_evals.scoring.adk import (
    AdkCall,
    AdkError,
    AdkInvocation,
    AdkResult,
    AdkScore,
    AdkUsage,
    MatchType,
    adk_match_type,
    inference_call_count_v1,
    invocation_duration_v1,
    plain_sum,
    response_match_score,
    token_usage_v1,
    tool_call_count_v1,
    tool_trajectory_avg_score,
)


def calling(*calls: tuple[str, object]) -> AdkInvocation:
    return AdkInvocation(calls=tuple(AdkCall(name, args) for name, args in calls))  # type: ignore[arg-type]


def matches(actual: AdkInvocation, expected: AdkInvocation, match_type: MatchType) -> bool:
    return tool_trajectory_avg_score([actual], [expected], match_type=match_type).overall_score == 1.0


@pytest.mark.parametrize(
    ("made", "exact", "in_order", "any_order"),
    [("ab", True, True, True), ("axb", False, True, True), ("ba", False, False, True), ("a", False, False, False)],
)
def test_each_match_type_allows_what_it_says(made: str, exact: bool, in_order: bool, any_order: bool):
    expected = calling(("a", {}), ("b", {}))
    actual = calling(*((name, {}) for name in made))

    found = [matches(actual, expected, match_type) for match_type in ("EXACT", "IN_ORDER", "ANY_ORDER")]

    assert [exact, in_order, any_order] == found


def test_any_order_needs_every_repetition():
    twice = calling(("a", {}), ("a", {}))

    assert not matches(calling(("a", {})), twice, "ANY_ORDER")
    assert matches(calling(("a", {}), ("b", {}), ("a", {})), twice, "ANY_ORDER")


@pytest.mark.parametrize(
    ("actual", "expected", "equal"),
    [
        ({"x": 1}, {"x": True}, True),
        ({"x": [0]}, {"x": [False]}, True),
        ({"x": 1}, {"x": 1.0}, True),
        ({"x": 1}, {"x": "1"}, False),
        ({"x": [1, 2]}, {"x": [2, 1]}, False),
        ({"x": ["a", None]}, {"x": ["a", None]}, True),
        ({"x": []}, {"x": {}}, False),
        ({"x": None}, {}, False),
        (None, {}, False),
        (None, None, True),
    ],
)
def test_arguments_are_equal_where_python_says_so(actual: object, expected: object, equal: bool):
    assert equal == matches(calling(("a", actual)), calling(("a", expected)), "EXACT")


def test_a_list_is_no_object_that_looks_like_it():
    assert not matches(calling(("a", {"x": ["object"]})), calling(("a", {"x": {}})), "ANY_ORDER")


def test_no_invocations_are_not_evaluated():
    assert AdkResult(None, "NOT_EVALUATED", ()) == tool_trajectory_avg_score([], [])


def test_another_number_of_invocations_is_refused_in_adks_words():
    with pytest.raises(AdkError, match="same length; got 1 and 2") as refusal:
        response_match_score([AdkInvocation()], [AdkInvocation()] * 2)

    assert "ValueError" == refusal.value.kind


@pytest.mark.parametrize("spelling", ["IN_ORDER", "in_order", "In-Order", " in order ", 1, 1.0, True])
def test_a_match_type_is_read_in_every_spelling_that_adk_reads(spelling: object):
    assert "IN_ORDER" == adk_match_type(spelling)  # type: ignore[arg-type]


@pytest.mark.parametrize("spelling", ["ordered", "1", "", 3, 0.5, None, [0]])
def test_another_match_type_is_refused(spelling: object):
    with pytest.raises(UsageError, match="no match type"):
        adk_match_type(spelling)  # type: ignore[arg-type]


def test_a_misspelt_match_type_is_met_with_a_guess():
    with pytest.raises(UsageError, match='did you mean "ANY_ORDER"'):
        adk_match_type("anyorder")


def test_two_empty_answers_do_not_match():
    assert 0.0 == response_match_score([AdkInvocation()], [AdkInvocation()]).overall_score


def test_text_parts_are_joined_and_empty_ones_left_out():
    split = AdkInvocation(final_response=("Sunny", "", "today"))

    assert 1.0 == response_match_score([split], [AdkInvocation(final_response=("sunny today",))]).overall_score


def test_calls_are_counted_a_turn():
    result = tool_call_count_v1([calling(("a", {}), ("b", {})), calling()])

    assert AdkResult(1.0, "INFORMATIONAL", (AdkScore(2.0, "INFORMATIONAL"), AdkScore(0.0, "INFORMATIONAL"))) == result


def test_model_calls_of_data_written_by_hand_are_unknown_and_not_zero():
    result = inference_call_count_v1([AdkInvocation(model_calls=(AdkUsage(), AdkUsage())), AdkInvocation()])

    assert (2.0, [2.0, None]) == (result.overall_score, [row.score for row in result.per_invocation])


def test_tokens_are_summed_by_direction_and_averaged_over_all_turns():
    first = AdkUsage(prompt_tokens=10, tool_use_tokens=2, candidates_tokens=3, reasoning_tokens=4, cached_tokens=6)
    second = AdkUsage(prompt_tokens=5, candidates_tokens=1)

    result = token_usage_v1([AdkInvocation(model_calls=(first, second)), AdkInvocation()])

    assert (12.5, [25, None]) == (result.overall_score, [row.score for row in result.per_invocation])
    assert {
        "total_tokens": 12.5,
        "input_tokens": 8.5,
        "prompt_tokens": 7.5,
        "cached_tokens": 3.0,
        "tool_use_tokens": 1.0,
        "output_tokens": 4.0,
        "candidates_tokens": 2.0,
        "reasoning_tokens": 2.0,
    } == result.details


def test_tokens_that_nobody_reported_are_unknown():
    result = token_usage_v1([AdkInvocation(model_calls=(AdkUsage(),))])

    assert None is result.overall_score


def test_the_framework_has_what_model_and_tools_leave_but_never_less_than_nothing():
    timed = AdkInvocation(duration_s=2.0, model_s=1.2, tool_s=0.5)
    too_long = AdkInvocation(duration_s=1.0, model_s=1.0, tool_s=0.1)
    part_unknown = AdkInvocation(duration_s=4.0, model_s=1.0)

    result = invocation_duration_v1([timed, too_long, part_unknown, AdkInvocation()])

    assert 2.333 == result.overall_score
    framework = [row.details["framework_seconds"] for row in result.per_invocation if row.details]
    assert [0.3, 0.0, None, None] == framework
    assert {"total_seconds": 2.333, "model_seconds": 1.067, "tool_seconds": 0.3, "framework_seconds": 0.15} == (
        result.details
    )


def test_a_plain_sum_rounds_at_every_step():
    assert 0.30000000000000004 + 0.3 == plain_sum([0.1, 0.2, 0.3])


def test_five_hundred_calls_a_side_are_compared_in_any_order():
    wide = calling(*(("a", {"x": [index] * 20}) for index in range(500)))
    turned = AdkInvocation(calls=wide.calls[::-1])

    assert [False, False, True] == [
        matches(turned, wide, match_type) for match_type in ("EXACT", "IN_ORDER", "ANY_ORDER")
    ]
