"""How ADK reads a judge; tests/parity compares whole metrics with recordings."""

import pytest

from mcp_evals.scoring.adk import AdkError
from mcp_evals.scoring.adk_judge import (
    AdkRubric,
    final_response_match_v2,
    hallucinations_v1,
    per_turn_user_simulator_quality_v1,
    rubric_based,
    rubric_based_multi_turn,
)
from mcp_evals.scoring.judge import JudgeAnswer, JudgeFault

RUBRICS = [AdkRubric("short", "It is short."), AdkRubric("kind", "It is kind.")]
QUALITY = "FINAL_RESPONSE_QUALITY"
LONG = 20_000


def valid(answer: JudgeAnswer) -> float | None:
    return final_response_match_v2([[answer]], [None], threshold=0.5).overall_score


def verdict(rubric_id: str, text: str, verdict: str, rationale: str = "r") -> str:
    return f"ID: {rubric_id}\nProperty: {text}\nEvidence: e\nRationale: {rationale}\nVerdict: {verdict}\n\n"


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ('{"is_the_agent_response_valid": "valid"}', 1.0),
        ('{"is_the_agent_response_valid": ["invalid"], "reasoning": ""}', 0.0),
        ('{"is_the_agent_response_valid": almost,}', 0.0),
        ('{"is_the_agent_response_valid": "valid"', None),
        ('{"is_the_agent_response_valid": "valid"\n', 1.0),
        ('{"is_the_agent_response_valid": "Valid"}', None),
        ('{"is_the_agent_response_valid": valid, x}', 1.0),
        ('{"is_the_agent_response_valid":\n"quite valid"}', None),
        ('{"is_the_agent_response_invalid":\n"quite valid"}', 1.0),
        ('"is_the_agent_response_valid": ? "is_the_agent_response_valid": valid}', 1.0),
    ],
)
def test_a_label_is_found_where_adk_finds_it(answer: str, score: float | None):
    assert score == valid(answer)


@pytest.mark.parametrize("filler", [" ", "[", '"', "]", "x", ","], ids=repr)
def test_a_long_label_is_read_in_one_pass(filler: str):
    assert None is valid('"is_the_agent_response_valid":' + filler * LONG)


def test_one_failed_sample_leaves_its_invocation_unevaluated():
    yes = '{"is_the_agent_response_valid": "valid"}'

    result = final_response_match_v2([[yes, yes, JudgeFault("gone")], [yes]], [None, None], threshold=0.5)

    assert [None, 1.0] == [row.score for row in result.per_invocation]
    assert (1.0, 4) == (result.overall_score, result.judge_calls)


def test_a_rubric_is_found_by_id_before_text():
    answer = verdict("kind", "It is short.", "yes") + verdict("", "**It is SHORT.**", "no")

    result = rubric_based([[answer]], RUBRICS, rubric_type=QUALITY, threshold=0.5)

    assert [("kind", 1.0), ("short", 0.0)] == [row[:2] for row in result.per_invocation[0].rubric_scores or ()]


def test_invocation_rubrics_of_another_type_or_of_none_are_not_seen():
    own = [AdkRubric("a", "A.", "TOOL_USE_QUALITY"), AdkRubric("b", "B.")]

    with pytest.raises(AdkError, match=r"Rubrics are required\."):
        rubric_based([[]], [], [own], rubric_type=QUALITY, threshold=0.5)


def test_two_rubrics_of_one_id_are_refused():
    with pytest.raises(AdkError, match="'short' already exists"):
        rubric_based([[]], RUBRICS, [[AdkRubric("short", "x", QUALITY)]], rubric_type=QUALITY, threshold=0.5)


def test_the_last_turn_carries_the_verdict_on_a_conversation():
    result = rubric_based_multi_turn([verdict("short", "", "yes")], RUBRICS, turns=3, threshold=0.5)

    assert [None, None, 1.0] == [row.score for row in result.per_invocation]
    assert 1.0 == result.overall_score


def test_blank_lines_without_end_are_read_in_one_pass():
    result = rubric_based([["\n" * LONG + "Verdict: yes"]], RUBRICS, rubric_type=QUALITY, threshold=0.5)

    assert None is result.overall_score


def test_the_share_of_sentences_is_averaged_over_the_texts_of_an_invocation():
    block = "sentence: {0}\nlabel: {1}\nrationale: r\nsupporting_excerpt: null\ncontradicting_excerpt: null\n"
    half = block.format("A", "supported") + block.format("B", "disputed")
    answers = ["<sentence>A</sentence>", block.format("A", "not_applicable"), "<sentence>A</sentence>", half]

    result = hallucinations_v1([answers], responses=[2], threshold=0.5)

    assert (0.75, 4) == (result.overall_score, result.judge_calls)


@pytest.mark.parametrize("filler", ["<sentence>", "sentence:\nlabel:"], ids=repr)
def test_sentences_without_end_are_read_in_one_pass(filler: str):
    result = hallucinations_v1([[f"<sentence>A</sentence>{filler * LONG}", filler * LONG]], threshold=0.5)

    assert None is result.overall_score


def test_a_stop_signal_that_fails_takes_the_last_turns_place():
    yes, no = '{"is_valid": True}', '{"is_valid": False}'

    result = per_turn_user_simulator_quality_v1(["hi", "and?"], " hi ", [[yes], [no]], threshold=0.5)

    assert [1.0, 0.0] == [row.score for row in result.per_invocation]
    assert 0.5 == result.overall_score


def test_a_judge_that_fails_a_user_turn_fails_the_metric():
    with pytest.raises(AdkError, match="gone"):
        per_turn_user_simulator_quality_v1(["hi"], "hi", [[JudgeFault("gone")]], threshold=0.5)


def test_a_judge_that_says_nothing_of_a_user_turn_leaves_it_unscored():
    silence = JudgeFault("", silent=True)

    result = per_turn_user_simulator_quality_v1(["hi", "and?"], "hi", [[silence], [silence]], threshold=0.5)

    assert [1.0, None] == [row.score for row in result.per_invocation]
    assert 0.5 == result.overall_score


def test_no_user_turn_is_an_index_error_as_in_adk():
    with pytest.raises(AdkError) as refusal:
        per_turn_user_simulator_quality_v1([], "hi", [], threshold=0.5)

    assert "IndexError" == refusal.value.kind
