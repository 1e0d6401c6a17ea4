"""The arcade convention where a suite asks for it, from the rubric to the command line. The numbers: see tests/parity."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from fakes import called, case_of
from typer.testing import CliRunner

from mcp_evals.commands import app
from mcp_evals.conversation import ToolDefinition
from mcp_evals.results import CaseScore, Check
from mcp_evals.scoring.case import score_case
from mcp_evals.suite import Rubric

ARCADE = Rubric(convention="arcade", fail_below=0.8, warn_below=0.8, missing_calls="fail", extra_calls="fail")
OPEN = ARCADE.model_copy(update={"missing_calls": "ignore", "extra_calls": "ignore", "wrong_tool": "ignore"})
OSLO = {
    "tool": "get_weather",
    "args": {"city": "Oslo"},
    "critics": [{"field": "city", "kind": "exact", "weight": 1.0}],
}


def scored(
    *calls: tuple[str, Any], expect: Any = (OSLO,), rubric: Rubric = ARCADE, **known: Any
) -> tuple[str, float | None, str | None]:
    score = score_case(case_of(expect={"calls": list(expect)}), called(*calls), rubric, **known)
    return score.verdict, score.score, score.reason


def test_the_rubric_chooses_whose_rules_score() -> None:
    cast = {**OSLO, "args": {"city": 5}}

    assert ("passed", 1.0, None) == scored(("get_weather", {"city": 5.9}), expect=[cast])
    assert "failed" == scored(("get_weather", {"city": 5.9}), expect=[cast], rubric=Rubric())[0]


def test_arguments_without_a_critic_are_not_compared() -> None:
    plain = {"tool": "get_weather", "args": {"city": "Oslo"}}

    assert ("passed", 1.0, None) == scored(("get_weather", {"city": "Rome"}), expect=[plain])


def test_schema_defaults_fill_what_is_left_out() -> None:
    schema: Any = {"type": "object", "properties": {"city": {"default": "Oslo"}}}
    tool = ToolDefinition(name="get_weather", input_schema=schema)

    assert ("passed", 1.0, None) == scored(("get_weather", {}), tools=[tool])


def test_a_closed_gate_says_what_arcade_says() -> None:
    reason = "Expected 1 tool call(s), but got 0. Expected tool calls: get_weather. Actual tool calls: "

    assert ("failed", 0.0, reason.strip()) == scored()


def test_a_score_may_be_far_below_zero() -> None:
    number = {"field": "n", "kind": "numeric", "low": 0, "high": 10, "weight": 1}
    wanted = {"tool": "set", "args": {"n": 5}, "critics": [number]}

    assert -23.75 == scored(("set", {"n": 500}), expect=[wanted])[1]


def test_where_arcade_crashes_the_case_scores_zero_and_says_why() -> None:
    number = {"field": "n", "kind": "numeric", "low": 0, "high": 10, "weight": 1}
    wanted = {"tool": "set", "args": {"n": 5}, "critics": [number]}

    reason = "arcade-evals has no result: matrix contains invalid numeric entries"
    assert ("failed", 0.0, reason) == scored(("set", {"n": "nan"}), expect=[wanted])
    reason = "arcade-evals has no result: the arguments of set are no JSON object: {n: 5"
    assert ("failed", 0.0, reason) == scored(("set", "{n: 5"), expect=[wanted])


@pytest.mark.parametrize("weight", [-1.0, float("inf"), float("nan")])
def test_a_weight_that_no_evidence_can_have_is_shown_as_none(weight: float) -> None:
    settings = {"rubric": {"tool_selection_weight": weight}, "critics": [{"kind": "binary", "field": "x", "weight": 0}]}
    case = case_of(expect={"calls": [{"tool": "a", "args": {"x": 1}}]}, metadata={"arcade": settings})

    score = score_case(case, called(("a", {"x": 2})), ARCADE)

    assert ("failed", 0.0) == (score.verdict, score.score)


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        ({}, "the case expects no calls; write `calls: []` where none is right"),
        ({"calls": [], "forbid": ["x"]}, "arcade scores calls alone, not `forbid`; leave `convention: arcade` out"),
        ({"calls": [{**OSLO, "optional": True}]}, "arcade knows no `optional` call; leave `convention: arcade` out"),
        (
            {"calls": [{**OSLO, "critics": [{"field": "city", "kind": "present"}]}]},
            (
                'arcade has no critic like the `present` one of "city"; use `exact`, `numeric` with `low` and `high`, '
                "`similarity` by tfidf or `datetime`, or leave `convention: arcade` out"
            ),
        ),
    ],
)
def test_what_arcade_cannot_say_is_not_evaluated(expect: dict[str, Any], reason: str) -> None:
    score = score_case(case_of(expect=expect), called(), ARCADE)

    assert CaseScore(verdict="errored", score=None, reason=f"not evaluated: {reason}") == score


FAILED_GATE = Check(name="metric", score=0.0, reason="too dear")
OPEN_GATE = Check(name="metric", score=None, reason="not evaluated: nobody knows")


@pytest.mark.parametrize(
    ("city", "gate", "outcome"),
    [
        ("Oslo", Check(name="metric", score=1.0), ("passed", 1.0, None)),
        ("Oslo", FAILED_GATE, ("failed", 1.0, "too dear")),
        ("Oslo", OPEN_GATE, ("errored", None, "not evaluated: nobody knows")),
        ("Oslo", FAILED_GATE.model_copy(update={"informational": True}), ("passed", 1.0, None)),
        (
            "Rome",
            OPEN_GATE,
            ("failed", 0.5, 'get_weather: city: "Rome" earns 0 of 1 where "Oslo" is expected'),
        ),
    ],
)
def test_named_metrics_are_gates_beside_arcades_score(
    city: str, gate: Check, outcome: tuple[str, float | None, str | None]
) -> None:
    assert outcome == scored(("get_weather", {"city": city}), metric_checks=[gate])


def test_a_suite_file_is_scored_by_arcades_rules_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_EVALS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    text = {"tool": "say", "args": {"text": "hello world"}, "critics": [{"field": "text", "kind": "similarity"}]}
    suite = {
        "version": 1,
        "name": "greeting",
        "rubric": {"convention": "arcade", "fail_below": 0.8, "warn_below": 0.8},
        "cases": [{"id": "hello", "user": "Greet.", "expect": {"calls": [text]}}],
    }
    Path("suite.json").write_text(json.dumps(suite))
    said = {"case": "hello", "transcript": {"calls": [{"name": "say", "arguments": {"text": "hello"}}]}}
    Path("said.jsonl").write_text(json.dumps(said))

    result: Result = CliRunner().invoke(app, ["score", "suite.json", "said.jsonl"])

    found = json.loads(result.stdout)
    # One point of two for the tool, and the other times the cosine of "hello world" and "hello".
    assert ("failed", pytest.approx((1 + 0.5797386715376657) / 2, abs=1e-9)) == (found["verdict"], found["score"])
