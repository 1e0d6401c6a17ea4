"""Every recorded result of arcade-evals 1.15.2: scores within 1e-9, verdicts, reasons, evidence and errors."""

import json
import os
import re
from math import inf, isclose, isfinite, isnan
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import TypeAdapter, ValidationError

from mcp_evals.conversation import Invocation, Step, ToolCall, ToolDefinition, Transcript
from mcp_evals.errors import UsageError
from mcp_evals.scoring.arcade import ArcadeTools, arcade_rubric, build_arcade_case, score_case_by_arcade
from mcp_evals.scoring.arcade_critics import ArcadeCritic, resolved_weights
from mcp_evals.scoring.arcade_evaluation import ArcadeCall, ArcadeResult, ArcadeRubric, score_arcade_calls
from mcp_evals.suite import Case, Expect, ExpectedCall, Rubric

ORACLE = Path(os.environ.get("MCP_EVALS_ORACLE_DIR", Path(__file__).parents[3] / "shared" / "oracle")) / "arcade.json"
CASES: list[dict[str, Any]] = json.loads(ORACLE.read_text(encoding="utf-8"))["cases"] if ORACLE.exists() else []
CRITIC: TypeAdapter[ArcadeCritic] = TypeAdapter(ArcadeCritic)

pytestmark = pytest.mark.skipif(not CASES, reason=f"no recorded cases at {ORACLE}; set MCP_EVALS_ORACLE_DIR")


@pytest.mark.parametrize("case", CASES, ids=[case["input"]["id"] for case in CASES])
def test_results_are_as_recorded(case: dict[str, Any], compared_cases: list[str]):
    asked, recorded = _numbers(case["input"]), _numbers(case["output"])
    error = recorded["error"]
    if error and error["stage"] == "build":
        with pytest.raises((ValidationError, UsageError), match=re.escape(error["message"])):
            _build(asked)
    else:
        built = _build(asked)
        result = score_arcade_calls(built.expected, built.actual, built.critics, built.rubric)

        assert _same(recorded["critic_weights"], [*resolved_weights(built.critics)])
        if error:
            assert (0.0, False, False, ()) == (*result[:3], result.pairs)
            assert f"arcade-evals has no result: {error['message']}" == result.failure_reason
        else:
            assert _same({key: recorded[key] for key in _told(result)}, _told(result))
        _compare_case(asked, built, result)
    compared_cases.append(asked["id"])


class _Built(NamedTuple):
    expected: tuple[ArcadeCall, ...]
    actual: tuple[ToolCall, ...]
    critics: tuple[ArcadeCritic, ...]
    rubric: ArcadeRubric


def _build(asked: dict[str, Any]) -> _Built:
    """The case as the recorded mode builds it: as it is, or by way of `add_case` and a registry of tools."""
    expected = tuple(ArcadeCall(call["name"], call["args"]) for call in asked["expected"])
    critics = tuple(CRITIC.validate_python(_critic(critic)) for critic in asked["critics"] or ())
    actual = tuple(_calls(asked))
    if asked.get("mode") == "suite":
        tools = ArcadeTools(_tools(asked))
        expected, critics = build_arcade_case("c", expected, critics, tools)
        actual = tuple(map(tools.read, actual))
    return _Built(expected, actual, critics, ArcadeRubric.model_validate(asked["rubric"]))


def _compare_case(asked: dict[str, Any], built: _Built, result: ArcadeResult) -> None:
    """The same through a case and a transcript: once with the rubric as arcade has it, once as ours says it."""
    critics = json.loads(json.dumps([critic.model_dump() for critic in built.critics]))
    settings = {"critics": critics, "rubric": built.rubric.model_dump()}
    # Our suites have no tool without a name; the recorded cases do.
    calls = tuple(ExpectedCall.model_construct(tool=call.name, args=dict(call.args)) for call in built.expected)
    expect = Expect.model_construct({"calls"}, calls=calls)
    case = Case(id="c", user="?", metadata={"arcade": settings}).model_copy(update={"expect": expect})
    transcript = Transcript(invocations=(Invocation(user="?", steps=(Step(calls=tuple(_calls(asked))),)),))

    score = score_case_by_arcade(case, transcript, Rubric(), tools=_tools(asked))

    # A score is a number with us.
    assert _same(result.score if isfinite(result.score) else 0.0, score.score)
    assert ("passed" if result.passed else "warned" if result.warning else "failed") == score.verdict
    if result.failure_reason is not None:
        assert " ".join(result.failure_reason.split()) == score.reason
    shown = [
        (check.field, check.weight, check.expected, check.actual, check.score * check.weight if check.score else 0.0)
        for row in (score.calls[0] if score.calls else ())
        for check in row.arguments
    ]
    told = [
        (row.field, row.weight, row.expected, row.actual, row.score if isfinite(row.weight) else 0.0)
        for row in (result.rows if isfinite(result.score) else ())
        if row.field != "tool_selection"
    ]
    assert _same([*told], [*shown])
    ours = _our_rubric(built.rubric)
    if ours is not None:
        own = case.model_copy(update={"metadata": {"arcade": {"critics": critics}}})
        # As text, because a NaN among the arguments is not equal to itself.
        assert str(score) == str(score_case_by_arcade(own, transcript, ours, tools=_tools(asked)))


def _our_rubric(rubric: ArcadeRubric) -> Rubric | None:
    passes, warns = rubric.fail_threshold, min(rubric.fail_threshold, rubric.warn_threshold)
    if not (0 <= warns <= passes <= 1 and 0 <= rubric.tool_selection_weight < inf):
        return None
    calls = "fail" if rubric.fail_on_tool_call_quantity else "ignore"
    ours = Rubric(
        convention="arcade",
        fail_below=warns,
        warn_below=passes,
        tool_weight=rubric.tool_selection_weight,
        missing_calls=calls,
        extra_calls=calls,
        wrong_tool="fail" if rubric.fail_on_tool_selection else "ignore",
    )
    assert arcade_rubric(ours) == rubric.model_copy(update={"warn_threshold": warns})
    return ours


def _calls(asked: dict[str, Any]) -> list[ToolCall]:
    return [ToolCall(name=call["name"], arguments=call["args"]) for call in asked["actual"]]


def _tools(asked: dict[str, Any]) -> list[ToolDefinition]:
    return [ToolDefinition.model_validate(tool) for tool in asked.get("tools") or ()]


def _critic(recorded: dict[str, Any]) -> dict[str, Any]:
    fields = {("kind" if key == "type" else key): value for key, value in recorded.items()}
    if fields["kind"] == "none":
        fields.pop("weight", None)
    elif isinstance(fields.get("weight"), str):
        fields["weight"] = fields["weight"].lower()
    return fields


def _told(result: ArcadeResult) -> dict[str, Any]:
    rows = [
        {name: value for name, value in row._asdict().items() if name != "error"}
        | ({} if row.is_criticized else {"is_criticized": False})
        for row in result.rows
    ]
    return {
        "score": result.score,
        "passed": result.passed,
        "warning": result.warning,
        "failure_reason": result.failure_reason,
        "results": rows,
    }


def _numbers(value: Any) -> Any:
    """The recorded value with its non-finite numbers."""
    if isinstance(value, dict):
        return float(value["$float"]) if {*value} == {"$float"} else {k: _numbers(v) for k, v in value.items()}
    return [_numbers(item) for item in value] if isinstance(value, list) else value


def _same(recorded: Any, ours: Any) -> bool:
    """Equal, numbers within 1e-9, NaN and NaN alike."""
    if isinstance(recorded, dict):
        return isinstance(ours, dict) and {*recorded} == {*ours} and all(_same(recorded[k], ours[k]) for k in recorded)
    if isinstance(recorded, list | tuple):
        return (
            isinstance(ours, list | tuple)
            and len(recorded) == len(ours)
            and all(_same(left, right) for left, right in zip(recorded, ours, strict=True))
        )
    if isinstance(recorded, float) and not isinstance(ours, bool) and isinstance(ours, int | float):
        return isclose(recorded, ours, rel_tol=0, abs_tol=1e-9) or (isnan(recorded) and isnan(ours))
    return recorded == ours and isinstance(recorded, bool) == isinstance(ours, bool)
