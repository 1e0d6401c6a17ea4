"""Every recorded result of ADK 2.13's judge metrics, from the recorded answers of a scripted judge."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mcp_evals.scoring.adk import AdkError, AdkResult
from mcp_evals.scoring.adk_judge import (
    RUBRIC_TYPES,
    AdkRubric,
    final_response_match_v2,
    hallucinations_v1,
    per_turn_user_simulator_quality_v1,
    rubric_based,
    rubric_based_multi_turn,
)
from mcp_evals.scoring.judge import JudgeAnswer, JudgeFault

ORACLE = (
    Path(os.environ.get("MCP_EVALS_ORACLE_DIR", Path(__file__).parents[3] / "shared" / "oracle")) / "adk_judge.json"
)
CASES: list[dict[str, Any]] = json.loads(ORACLE.read_text(encoding="utf-8"))["cases"] if ORACLE.exists() else []

pytestmark = pytest.mark.skipif(not CASES, reason=f"no recorded cases at {ORACLE}; set MCP_EVALS_ORACLE_DIR")


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_scores_are_as_recorded(case: dict[str, Any], compared_cases: list[str]):
    assert case["oracle"] == _outcome(case)
    compared_cases.append(case["id"])


def _outcome(case: dict[str, Any]) -> dict[str, Any]:
    try:
        result = _evaluated(case)
    except AdkError as error:
        return {"error": error.kind, "message": str(error)}
    return {
        "overall_score": result.overall_score,
        "overall_status": result.overall_status,
        "per_invocation": [
            {"score": row.score, "status": row.status, "rubric_scores": _rubric_scores(row.rubric_scores)}
            for row in result.per_invocation
        ],
        "overall_rubric_scores": _rubric_scores(result.overall_rubric_scores),
        "judge_calls": result.judge_calls,
    }


def _evaluated(case: dict[str, Any]) -> AdkResult:
    metric, threshold, recorded = case["metric"], case["threshold"], case["judge_responses"]
    if metric == "per_turn_user_simulator_quality_v1":
        size = case["num_samples"]
        answers = [_answers(recorded[start : start + size]) for start in range(0, len(recorded), size)]
        return per_turn_user_simulator_quality_v1(
            case["user_turns"], case["starting_prompt"], answers, threshold=threshold
        )
    answers = [_answers(samples) for samples in recorded]
    if metric == "final_response_match_v2":
        expected = None if case["note"] == "expected missing" else recorded
        return final_response_match_v2(answers, expected, threshold=threshold)
    if metric == "hallucinations_v1":
        return hallucinations_v1(answers, threshold=threshold)
    rubric_type = RUBRIC_TYPES[metric]
    rubrics = [AdkRubric(*rubric) for rubric in case["rubrics"]]
    own = [[_own_rubric(rubric, rubric_type) for rubric in rubrics] for rubrics in case.get("invocation_rubrics", ())]
    # Where the judge was never reached there was an invocation all the same.
    answers = answers or [[]] * max(len(own), 1)
    if metric == "rubric_based_multi_turn_trajectory_quality_v1":
        return rubric_based_multi_turn(answers[-1], rubrics, turns=len(answers), threshold=threshold)
    return rubric_based(answers, rubrics, own, rubric_type=rubric_type, threshold=threshold)


def _own_rubric(rubric: list[str], rubric_type: str) -> AdkRubric:
    """An invocation's rubric is of the metric's type unless the record says otherwise."""
    return AdkRubric(*rubric) if len(rubric) == 3 else AdkRubric(*rubric, rubric_type)


def _answers(recorded: list[Any]) -> list[JudgeAnswer]:
    return [_answer(answer) for answer in recorded]


def _answer(recorded: Any) -> JudgeAnswer:
    if isinstance(recorded, dict):
        return JudgeFault(str(recorded.get("raise", "no response")), silent="raise" not in recorded)
    return recorded


def _rubric_scores(scores: Any) -> list[dict[str, Any]] | None:
    return None if scores is None else [score._asdict() for score in scores]
