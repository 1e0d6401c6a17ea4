"""Every recorded score of ADK 2.13's metrics without a judge, to the last bit."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mcp_evals.scoring.adk import (
    AdkCall,
    AdkError,
    AdkInvocation,
    AdkResult,
    adk_match_type,
    response_match_score,
    tool_trajectory_avg_score,
)

ORACLE = Path(os.environ.get("MCP_EVALS_ORACLE_DIR", Path(__file__).parents[3] / "shared" / "oracle")) / "adk.json"
CASES: list[dict[str, Any]] = json.loads(ORACLE.read_text(encoding="utf-8"))["cases"] if ORACLE.exists() else []
IGNORE_ARGS = "_IGNORE_ARGS"

pytestmark = pytest.mark.skipif(not CASES, reason=f"no recorded cases at {ORACLE}; set MCP_EVALS_ORACLE_DIR")


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_scores_are_as_recorded(case: dict[str, Any], compared_cases: list[str]):
    actual, expected = _invocations(case["actual"]), _invocations(case["expected"])
    recorded = case["oracle"]

    trajectory = {
        mode: _outcome(
            lambda mode=mode: tool_trajectory_avg_score(
                actual or (),
                expected,
                threshold=1.0,
                match_type=adk_match_type(mode.removesuffix(IGNORE_ARGS)),
                ignore_args=mode.endswith(IGNORE_ARGS),
            )
        )
        for mode in recorded["tool_trajectory_avg_score"]
    }
    response = _outcome(lambda: response_match_score(actual or (), expected, threshold=0.8))

    assert recorded["tool_trajectory_avg_score"] == trajectory
    assert {key: value for key, value in recorded["response_match_score"].items() if key != "detail"} == response
    compared_cases.append(case["id"])


def _invocations(recorded: list[dict[str, Any]] | None) -> list[AdkInvocation] | None:
    if recorded is None:
        return None
    return [
        AdkInvocation(
            calls=tuple(AdkCall(call["name"], call.get("args")) for call in invocation["tool_calls"]),
            final_response=_parts(invocation["final_response"]),
        )
        for invocation in recorded
    ]


def _parts(response: str | list[str] | None) -> tuple[str, ...]:
    return () if response is None else (response,) if isinstance(response, str) else tuple(response)


def _outcome(score: Any) -> dict[str, Any]:
    try:
        result: AdkResult = score()
    except AdkError as error:
        return {"error": error.kind, "message": str(error)}
    return {
        "overall_score": result.overall_score,
        "overall_status": result.overall_status,
        "per_invocation": [row.score for row in result.per_invocation],
        "per_invocation_status": [row.status for row in result.per_invocation],
    }
