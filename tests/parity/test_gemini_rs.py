"""Every recorded output of gemini-rs's evaluation module: scores, explanations, files read and refused."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mcp_evals.scoring import gemini
from mcp_evals.scoring.gemini_files import (
    GeminiError,
    GeminiInvocation,
    GeminiTurn,
    read_case,
    read_evalset,
    read_set,
    read_test_config,
)
from mcp_evals.scoring.judge import JudgeAnswer, JudgeFault

ORACLE = (
    Path(os.environ.get("MCP_EVALS_ORACLE_DIR", Path(__file__).parents[3] / "shared" / "oracle")) / "gemini_rs.json"
)
EVALSETS = ORACLE.parent.parent / "evalsets"
CASES: list[dict[str, Any]] = json.loads(ORACLE.read_text(encoding="utf-8"))["cases"] if ORACLE.exists() else []
# Where serde found the shape wrong rather than the JSON, its words are compared; line and column never.
SHAPE_FAULTS = ("missing field", "invalid type", "invalid value", "invalid length", "data did not match")

pytestmark = pytest.mark.skipif(not CASES, reason=f"no recorded cases at {ORACLE}; set MCP_EVALS_ORACLE_DIR")


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_output_is_as_recorded(case: dict[str, Any], compared_cases: list[str]):
    outcome = _outcome(case["input"])

    assert _without_position(case["oracle"]) == _without_position(outcome)
    compared_cases.append(case["id"])


def _outcome(recorded: dict[str, Any]) -> Any:
    kind = recorded["kind"]
    if kind == "eval":
        return {which: _refusal_or(_evaluated, which, recorded) for which in recorded["which"]}
    if kind == "match_type":
        return {
            match_type: gemini.match_type_score(match_type, recorded["actual"], recorded["expected"])._asdict()
            for match_type in ("Exact", "InOrder", "AnyOrder")
        }
    if kind == "case":
        return _refusal_or(lambda: _plain(read_case(recorded["json"])))
    if kind == "set":
        return _refusal_or(lambda: _plain(read_set(recorded["json"])))
    if kind == "evalset":
        return _refusal_or(_evalset, recorded)
    assert "config" == kind
    return _refusal_or(_config, recorded)


def _evaluated(which: str, recorded: dict[str, Any]) -> dict[str, Any]:
    actual, expected = _invocations(recorded["actual"]), _invocations(recorded["expected"])
    answers = [_answer(answer) for answer in recorded.get("judge", ())]
    result = {
        "trajectory_strict": lambda: gemini.trajectory_match(actual, expected),
        "trajectory_set": lambda: gemini.trajectory_match(actual, expected, strict_order=False),
        "response_exact": lambda: gemini.response_match(actual, expected, strategy="exact"),
        "response_contains": lambda: gemini.response_match(actual, expected),
        "response_fuzzy_0.5": lambda: gemini.response_match(actual, expected, strategy="fuzzy", threshold=0.5),
        "safety": lambda: gemini.safety(actual),
        "usersim": lambda: gemini.user_simulator_fidelity(actual),
        "usersim_done": lambda: gemini.user_simulator_fidelity(actual, stop_signal="[DONE]"),
        "usersim_llm": lambda: gemini.user_simulator_fidelity(actual, answers=answers),
        "judge": lambda: gemini.llm_judge_score(actual, answers),
        "rubric": lambda: gemini.rubric_quality(actual, answers),
        "rubric_tool": lambda: gemini.rubric_quality(actual, answers, tool_use=True),
        "halluc": lambda: gemini.groundedness(actual, answers),
        "halluc_intermediate": lambda: gemini.groundedness(actual, answers, intermediate=True),
    }[which]()
    metric = {
        "name": result.metric,
        "score": result.score,
        "per_invocation": [row._asdict() for row in result.per_invocation],
    }
    return {"metrics": [metric], "overall_score": result.score}


def _evalset(recorded: dict[str, Any]) -> dict[str, Any]:
    text = recorded.get("text")
    if text is None:
        path = EVALSETS / recorded["file"]
        if not path.exists():
            pytest.skip(f"{recorded['file']} is not in {EVALSETS}")
        text = path.read_text(encoding="utf-8")
    file = read_evalset(text)
    return {"parsed": _plain(file), "pairs": _plain(file.eval_pairs())}


def _config(recorded: dict[str, Any]) -> dict[str, Any]:
    config = read_test_config(recorded["text"])
    return {
        "parsed": _plain(config),
        "check_all": {name: list(check) for name, check in config.check_all(recorded["scores"]).items()},
        "all_pass": config.all_pass(recorded["scores"]),
    }


def _invocations(recorded: list[dict[str, Any]] | None) -> list[GeminiInvocation] | None:
    if recorded is None:
        return None
    return [
        GeminiInvocation(
            id=invocation["id"],
            turns=tuple(
                GeminiTurn(
                    turn["role"],
                    turn["content"],
                    tuple(turn.get("tool_calls", ())),
                    tuple(turn.get("tool_results", ())),
                )
                for turn in invocation["turns"]
            ),
        )
        for invocation in recorded
    ]


def _answer(recorded: str) -> JudgeAnswer:
    return JudgeFault("boom") if recorded == "!raise" else recorded


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {key: _plain(item) for key, item in value._asdict().items()}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _refusal_or(outcome: Any, *arguments: Any) -> Any:
    try:
        return outcome(*arguments)
    except GeminiError as error:
        return {"error": str(error)}


def _without_position(outcome: Any) -> Any:
    error = outcome.get("error") if isinstance(outcome, dict) else None
    if not isinstance(error, str):
        return outcome
    what, colon, detail = error.rpartition("JSON: ")
    if colon and not detail.startswith(SHAPE_FAULTS):
        return {"error": f"{what}{colon}(a fault of syntax)"}
    return {"error": error.partition(" at line ")[0]}
