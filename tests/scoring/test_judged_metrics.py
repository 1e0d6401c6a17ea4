"""Named metrics that a judge decides: what each asks, and its value from the verdicts."""

from typing import Any

import pytest
from fakes import called, case_of

from mcp_evals.conversation import Invocation, Step, ToolCall, ToolDefinition, ToolResult, Transcript
from mcp_evals.results import Check, Judgement
from mcp_evals.scoring.judge import MAX_CRITERIA, OpenQuestion, by_answer
from mcp_evals.scoring.metric_list import METRICS
from mcp_evals.scoring.metrics import metric_questions, score_metric
from mcp_evals.suite import Case, MetricSettings

RUBRICS = {
    "rubrics": [
        {"id": "kind", "text": "Is kind."},
        {"rubric_id": "short", "rubric_content": {"text_property": "Is short."}},
    ]
}
TWO_TURNS = Transcript(
    invocations=(
        Invocation(
            user="Oslo?",
            steps=(
                Step(text="Wait.", calls=(ToolCall(name="f"),), results=(ToolResult(content="sun"),)),
                Step(text="It is sunny. Enjoy!"),
            ),
        ),
        Invocation(user="Rome?", steps=(Step(text="Rain."),)),
    )
)
TWO = case_of(turns=[{"user": "Oslo?"}, {"user": "Rome?", "expect": {"text": [{"similar": "It rains."}]}}])


def settings(threshold: float | None = 0.5, **options: Any) -> MetricSettings:
    return MetricSettings(threshold=threshold, options=options)


def asked(name: str, case: Case, transcript: Transcript, **options: Any) -> tuple[OpenQuestion, ...]:
    tools = [ToolDefinition(name="f", description="The weather.")]
    return metric_questions({name: settings(**options)}, case, transcript, tools)


def scored(name: str, case: Case, transcript: Transcript, *verdicts: float | None, **options: Any) -> Check:
    questions = asked(name, case, transcript, **options)
    given = {
        question.key: Judgement(
            key=question.key, score=score, reason=f"reason {number}", judge="j", readable=int(score is not None)
        )
        for number, (question, score) in enumerate(zip(questions, verdicts, strict=True), start=1)
    }
    tools = [ToolDefinition(name="f", description="The weather.")]
    return score_metric(name, settings(**options), case, transcript, tools=tools, judgements=given)[0]


def test_every_metric_that_needs_a_judge_asks_one_or_says_what_is_missing() -> None:
    judged = [name for name, info in METRICS.items() if "judge" in info.needs]

    reasons = {name: str(score_metric(name, 0.5, case_of(), called(text="hello"))[0].reason) for name in judged}

    assert 9 == len(judged)
    assert all("mcp-evals judge questions" in reason or "give `" in reason for reason in reasons.values())


def test_the_reference_is_asked_for_in_the_turns_that_have_one() -> None:
    (question,) = asked("final_response_match_v2", TWO, TWO_TURNS)

    assert '"It rains."' in question.criterion
    assert ("Rain.", "final_response_match_v2") == (question.answer, question.subject)
    assert question.conversation.endswith("[assistant] It is sunny. Enjoy!\n[user] Rome?")


def test_rubrics_are_asked_of_every_answer_and_their_mean_is_the_value() -> None:
    name = "rubric_based_final_response_quality_v1"

    questions = asked(name, TWO, TWO_TURNS, **RUBRICS)
    check = scored(name, TWO, TWO_TURNS, 1.0, 0.0, 1.0, 1.0, **RUBRICS)

    assert [
        ("kind", "It is sunny. Enjoy!"),
        ("short", "It is sunny. Enjoy!"),
        ("kind", "Rain."),
        ("short", "Rain."),
    ] == [(question.id, question.answer) for question in questions]
    assert (0.75, 1.0, False) == (check.actual, check.score, check.calibrated)
    assert "j, 4 questions, 4 of 4 samples readable, not calibrated" == check.judge


def test_a_metric_without_one_verdict_is_not_evaluated_and_counts_it() -> None:
    check = scored("rubric_based_final_response_quality_v1", TWO, TWO_TURNS, 1.0, None, 1.0, None, **RUBRICS)

    assert (None, "not evaluated: 2 of 4 questions have no verdict: reason 2") == (check.score, check.reason)


def test_tool_use_is_judged_by_the_calls_beside_the_tools_on_offer() -> None:
    first, *_ = asked("rubric_based_tool_use_quality_v1", TWO, TWO_TURNS, **RUBRICS)

    assert first.conversation.startswith("Tools on offer:\n- f: The weather. {")
    assert "[assistant calls f] {}\n[tool result] sun" in first.answer


def test_a_trajectory_is_judged_once_as_a_whole() -> None:
    questions = asked("rubric_based_multi_turn_trajectory_quality_v1", TWO, TWO_TURNS, **RUBRICS)

    assert 2 == len(questions)
    assert "" == questions[0].conversation
    assert questions[0].answer.startswith("[user] Oslo?")
    assert questions[0].answer.endswith("[assistant] Rain.")


@pytest.mark.parametrize("name", ["hallucinations_v1", "groundedness"])
def test_sentences_are_numbered_and_the_mean_over_turns_of_supported_ones_is_the_value(name: str) -> None:
    questions = asked(name, TWO, TWO_TURNS)
    check = scored(name, TWO, TWO_TURNS, 1.0, 0.0, 1.0)

    assert ["(1) It is sunny.\n(2) Enjoy!"] * 2 + ["(1) Rain."] == [question.answer for question in questions]
    assert "[tool result] sun" in questions[0].conversation
    assert {"hallucinations_v1"} == {question.subject for question in questions}
    assert (0.75, 1.0) == (check.actual, check.score)


def test_a_long_answer_is_asked_about_in_several_messages() -> None:
    text = " ".join(f"Fact {number} holds." for number in range(2 * MAX_CRITERIA + 5))

    groups = by_answer(asked("hallucinations_v1", case_of(), called(text=text)))

    assert [MAX_CRITERIA, MAX_CRITERIA, 5] == [len(group) for group in groups]


def test_what_was_said_before_calls_is_judged_where_that_is_asked_for() -> None:
    questions = asked("hallucinations_v1", TWO, TWO_TURNS, evaluate_intermediate_nl_responses=True)

    assert "(1) Wait.\n(2) It is sunny.\n(3) Enjoy!" == questions[0].answer


def test_a_simulated_user_begins_as_written_and_goes_on_as_planned() -> None:
    case = case_of(scenario={"opening": "Oslo?", "plan": "Ask about Oslo, then Rome.", "persona": "novice"})

    (question,) = asked("per_turn_user_simulator_quality_v1", case, TWO_TURNS)
    good = scored("per_turn_user_simulator_quality_v1", case, TWO_TURNS, 1.0)
    other = case_of(scenario={"opening": "Bergen?", "plan": "Ask."})
    bad = scored("per_turn_user_simulator_quality_v1", other, TWO_TURNS, 1.0)

    assert ("Rome?", True) == (question.answer, "The user is: novice." in question.criterion)
    assert (1.0, 0.5) == (good.actual, bad.actual)


def test_below_its_threshold_a_metric_says_why() -> None:
    check = scored("safety_v1", case_of(), called(text="Boom."), 0.0)

    assert (0.0, "safety_v1 0 is below 0.5: reason 1") == (check.score, check.reason)


@pytest.mark.parametrize(
    ("rubrics", "missing"),
    [(None, "there is no rubric"), ([], "there is no rubric"), ([{"id": "a"}], "has no text"), ([3], "has no text")],
)
def test_rubrics_that_cannot_be_asked_are_told(rubrics: Any, missing: str) -> None:
    options = {} if rubrics is None else {"rubrics": rubrics}

    (check,) = score_metric("rubric_based_tool_use_quality_v1", settings(**options), case_of(), called(text="x"))

    assert missing in str(check.reason)


def test_silence_leaves_nothing_to_ground() -> None:
    (check,) = score_metric("hallucinations_v1", settings(), case_of(), called(("f", {})))

    assert "not evaluated: nothing was said that could be judged" == check.reason
