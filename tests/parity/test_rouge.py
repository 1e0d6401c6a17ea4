"""Every recorded response match of ADK 2.13, to the last bit: tokens, precision, recall and F."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_evals.text import Rouge1, rouge1, rouge_tokens

ORACLE = Path(os.environ.get("MCP_EVALS_ORACLE_DIR", Path(__file__).parents[3] / "shared" / "oracle")) / "adk.json"
CASES: list[dict[str, Any]] = json.loads(ORACLE.read_text(encoding="utf-8"))["cases"] if ORACLE.exists() else []
SCORED = [case for case in CASES if case["oracle"]["response_match_score"].get("detail")]

pytestmark = pytest.mark.skipif(not CASES, reason=f"no recorded cases at {ORACLE}; set MCP_EVALS_ORACLE_DIR")


@pytest.fixture(scope="module")
def compared(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    case_ids: list[str] = []
    yield case_ids
    answers = sum(len(case["actual"]) for case in SCORED if case["id"] in case_ids)
    plugins = request.config.pluginmanager
    reporter, capture = plugins.getplugin("terminalreporter"), plugins.getplugin("capturemanager")
    if reporter is not None and capture is not None:
        with capture.global_and_fixture_disabled():
            reporter.write_line(f" compared {answers} answers of {len(case_ids)} recorded cases")


@pytest.mark.parametrize("case", SCORED, ids=[case["id"] for case in SCORED])
def test_answers_match_as_recorded(case: dict[str, Any], compared: list[str]):
    recorded = case["oracle"]["response_match_score"]
    pairs = [
        (_text(expected["final_response"]), _text(actual["final_response"]))
        for expected, actual in zip(case["expected"], case["actual"], strict=True)
    ]

    details = [
        {
            **_named(rouge1(reference, candidate)),
            "actual_tokens": rouge_tokens(candidate),
            "expected_tokens": rouge_tokens(reference),
        }
        for reference, candidate in pairs
    ]

    assert recorded["detail"] == details
    assert recorded["per_invocation"] == [detail["fmeasure"] for detail in details]
    compared.append(case["id"])


def _text(response: str | list[str] | None) -> str:
    """A recorded response is one text, several parts of a text, or nothing."""
    return "\n".join(filter(None, response)) if isinstance(response, list) else response or ""


def _named(score: Rouge1) -> dict[str, float]:
    return {"precision": score.precision, "recall": score.recall, "fmeasure": score.f}
