"""Imported suites give the numbers that arcade-evals itself gives on the same calls; it runs in an environment of its own."""

import json
import os
import subprocess
from collections import Counter
from math import isclose
from pathlib import Path
from typing import Any

import pytest

from mcp_evals.conversation import Invocation, Step, ToolCall, Transcript
from mcp_evals.runner import score_trial
from mcp_evals.suite import Suite
from mcp_evals.suites.files import load_suite
from mcp_evals.suites.importers.arcade import read_arcade_suites
from mcp_evals.suites.saving import write_suite

PYTHON = os.environ.get("MCP_EVALS_ARCADE_PYTHON")
EVAL_FILE = Path(__file__).with_name("eval_random.py")

pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="MCP_EVALS_ARCADE_PYTHON names no interpreter with arcade-mcp[evals]"
)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Suite]:
    """The suites as they come back from their files."""
    found = read_arcade_suites(EVAL_FILE, Path(str(PYTHON)))
    suites: dict[str, Suite] = {}
    for suite in found.suites:
        path = tmp_path_factory.mktemp("imported") / "suite.yaml"
        write_suite(suite, path)
        suites[suite.name] = load_suite(path).suite
    assert () == found.left_out
    return suites


@pytest.fixture(scope="module")
def original() -> list[dict[str, Any]]:
    """What arcade says of random calls."""
    told = subprocess.run([str(PYTHON), str(EVAL_FILE)], capture_output=True, check=True)
    return json.loads(told.stdout)


def test_imported_suites_score_like_the_original(imported: dict[str, Suite], original: list[dict[str, Any]]) -> None:
    differences = [
        (line, ours) for line in original if not agrees(line, ours := ours_of(imported[line["suite"]], line))
    ]

    assert [] == differences
    assert {"random cases": 400, "random tracks": 74, "random functions": 100} == Counter(
        line["suite"] for line in original
    )


def ours_of(suite: Suite, line: dict[str, Any]) -> dict[str, Any]:
    on_track = suite.on_track(line.get("track"))
    named = {line["case"], f"{line['case']} ({line.get('track')})"}
    case = next(case for case in on_track.cases if case.id in named)
    calls = tuple(ToolCall(name=name, arguments=arguments) for name, arguments in line["calls"])
    said = Transcript(invocations=(Invocation(user="?", steps=(Step(calls=calls),)),))
    score = score_trial(case, on_track, said, on_track.tools_of(case))
    return {"score": score.score, "verdict": score.verdict, "reason": score.reason}


def agrees(line: dict[str, Any], ours: dict[str, Any]) -> bool:
    if "crash" in line:
        return ours == {
            "score": 0.0,
            "verdict": "failed",
            "reason": f"arcade-evals has no result: {line['crash']}",
        }
    reason = line["reason"] and " ".join(line["reason"].split())
    return (
        isclose(line["score"], ours["score"], abs_tol=1e-9)
        and line["verdict"] == ours["verdict"]
        and (reason is None or reason == ours["reason"])
    )
