"""Nine verified faults of ADK 2.13, each beside what we do instead."""

from typing import Any

import pytest
from fakes import called, case_of

from mcp_evals.conversation import Invocation, Transcript
from mcp_evals.errors import UsageError
from mcp_evals.results import Check, Judgement
from mcp_evals.scoring.adk_judge import AdkRubric, final_response_match_v2, hallucinations_v1, rubric_based
from mcp_evals.scoring.case import judged_questions, score_case
from mcp_evals.scoring.judge import Criterion, JudgeAnswer, JudgeFault, JudgeQuestion, judgements
from mcp_evals.scoring.metrics import score_metric, score_metrics
from mcp_evals.suite import Case, MetricSettings, Rubric

VALID = '{"is_the_agent_response_valid": "valid"}'
QUALITY = "FINAL_RESPONSE_QUALITY"


def adk_answer(rubric_id: str, verdict: str) -> str:
    return f"ID: {rubric_id}\nProperty: {rubric_id}\nRationale: r\nVerdict: {verdict}\n"


def judged(criteria: list[str], *answers: JudgeAnswer, quorum: float = 0.5) -> dict[str, float | None]:
    question = JudgeQuestion(criteria=tuple(Criterion(id=name, text=name) for name in criteria), answer="x")
    found = judgements(question, answers, judge="j", quorum=quorum)
    return dict(zip(criteria, [judgement.score for judgement in found], strict=True))


def scored(
    case: Case, verdicts: dict[str, float | None] | None = None, checks: tuple[Check, ...] = ()
) -> tuple[Any, Any]:
    """Verdict and score, where a judge gave each criterion its verdict and the agent said nothing."""
    transcript = Transcript(invocations=tuple(Invocation(user=text) for text in case.user_turns()))
    found = {
        key: Judgement(key=key, score=(verdicts or {})[criterion.judged], reason="r", judge="j")
        for key, criterion, _, _ in judged_questions(case, transcript)
    }
    score = score_case(case, transcript, Rubric(), judgements=found, metric_checks=checks)
    return score.verdict, score.score


def test_1_each_turns_rubrics_are_judged_and_a_no_in_the_first_turn_counts():
    own = [[AdkRubric("a", "a", QUALITY)], [AdkRubric("b", "b", QUALITY)]]
    theirs = rubric_based(
        [[adk_answer("a", "no")], [adk_answer("b", "yes")]], [], own, rubric_type=QUALITY, threshold=0.5
    )
    case = case_of(
        turns=[
            {"user": "one", "expect": {"text": [{"judged": "a", "weight": 1}]}},
            {"user": "two", "expect": {"text": [{"judged": "b", "weight": 1}]}},
        ]
    )

    ours = scored(case, {"a": 0.0, "b": 1.0})

    assert (1.0, "PASSED") == (theirs.overall_score, theirs.overall_status)
    assert ("failed", 0.5) == ours


def test_2_a_rubric_needs_no_type_to_be_asked():
    with pytest.raises(UsageError, match="Rubrics are required"):
        rubric_based([[]], [], [[AdkRubric("a", "a")]], rubric_type=QUALITY, threshold=0.5)

    assert {"a": 1.0} == judged(["a"], '{"a": {"reason": "r", "verdict": true}}')


def test_3_a_check_that_was_not_evaluated_is_no_pass_and_a_misspelt_metric_is_an_error():
    case = case_of(expect={"text": [{"similar": "sun"}], "calls": []})
    not_evaluated = score_metrics({"tool_trajectory_avg_score": 1.0, "safety_v1": 0.8}, case, called(text="sun"))

    assert [1.0, None] == [check.score for check in not_evaluated]
    assert "errored" == scored(case_of(expect={"calls": []}), checks=not_evaluated)[0]
    with pytest.raises(UsageError, match='no metric "no_such_metric"'):
        score_metrics({"no_such_metric": 1.0}, case, called())


def test_4_what_could_not_be_judged_stays_in_the_count():
    theirs = final_response_match_v2([[VALID], ["mumble"], ["mumble"]], [None] * 3, threshold=0.8)
    case = case_of(expect={"text": [{"judged": name, "weight": 1} for name in "abc"]})

    ours = scored(case, {"a": 1.0, "b": None, "c": None})

    assert "PASSED" == theirs.overall_status
    assert "errored" == ours[0]


def test_5_one_readable_answer_of_five_is_no_majority_and_one_failed_answer_spoils_nothing():
    lonely = final_response_match_v2([[VALID, *["mumble"] * 4]], [None], threshold=0.5)
    spoilt = final_response_match_v2([[VALID, VALID, VALID, VALID, JudgeFault("x")]], [None], threshold=0.5)
    yes = '{"a": true}'

    assert (1.0, None) == (lonely.overall_score, spoilt.overall_score)
    assert {"a": None} == judged(["a"], yes, *["mumble"] * 4)
    assert {"a": 1.0} == judged(["a"], yes, yes, yes, yes, JudgeFault("x"))


@pytest.mark.parametrize(
    ("label", "theirs", "ours"),
    [
        ('"is_the_agent_response_valid": "VALID"}', None, 1.0),
        ('"is_the_agent_response_valid": "yes"}', None, 1.0),
        ('"is_the_agent_response_valid": "True"}', None, 1.0),
        ('"is_the_agent_response_valid": "partially valid"}', None, None),
        ('"is_the_agent_response_invalid": "hmm"}', 1.0, None),
    ],
)
def test_6_a_label_is_read_whatever_its_case_and_nonsense_is_no_yes(
    label: str, theirs: float | None, ours: float | None
):
    assert theirs == final_response_match_v2([["{" + label]], [None], threshold=0.5).overall_score
    said = label.split(": ")[1]
    assert {"a": ours} == judged(["a"], '{"a": ' + said)


@pytest.mark.parametrize(
    ("verdict", "theirs", "ours"),
    [("unknown", 0.0, None), ("not applicable", 0.0, None), ("cannot say yes", 1.0, None), ("true", None, 1.0)],
)
def test_7_a_verdict_is_a_word_and_not_part_of_one(verdict: str, theirs: float | None, ours: float | None):
    found = rubric_based([[adk_answer("a", verdict)]], [AdkRubric("a", "a")], rubric_type=QUALITY, threshold=0.5)

    assert theirs == found.overall_score
    assert {"a": ours} == judged(["a"], f'{{"a": {{"reason": "it quotes Verdict: no", "verdict": "{verdict}"}}}}')


def test_8_a_rubric_that_the_judge_leaves_out_is_not_evaluated_and_does_not_raise_the_score():
    rubrics = [AdkRubric("a", "a"), AdkRubric("b", "b")]
    theirs = rubric_based([[adk_answer("a", "yes")]], rubrics, rubric_type=QUALITY, threshold=0.5)

    assert 1.0 == theirs.overall_score
    assert {"a": 1.0, "b": None} == judged(["a", "b"], '{"a": true}')


def test_9_a_sentence_that_the_judge_forgets_is_not_supported_by_that():
    block = "sentence: 1\nlabel: supported\nrationale: r\nsupporting_excerpt: null\ncontradicting_excerpt: null"
    segments = "".join(f"<sentence>{number}</sentence>" for number in range(1, 5))
    theirs = hallucinations_v1([[segments, block]], threshold=0.5)

    ours = judged(["s1", "s2", "s3", "s4"], '{"s1": {"reason": "r", "verdict": true}}')

    assert 1.0 == theirs.overall_score
    assert {"s1": 1.0, "s2": None, "s3": None, "s4": None} == ours


def test_a_metric_that_is_only_shown_leaves_the_verdict_alone():
    case = case_of(expect={"calls": []})
    shown = score_metric("response_match_score", MetricSettings(), case, called())

    assert ("passed", 1.0) == scored(case, checks=shown)
