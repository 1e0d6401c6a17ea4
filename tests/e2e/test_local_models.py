"""Whole conversations with a real model that runs on this machine, through both clients and through the example engine.

`MCP_EVALS_LOCAL_MODEL_URL` names a server that speaks both wire forms, such as `http://127.0.0.1:8101`.
"""

import os
from contextlib import aclosing
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx
import pytest

from mcp_evals.conversation import Task, ToolCall, ToolDefinition, ToolResult, Transcript
from mcp_evals.errors import TargetError
from mcp_evals.results import RunSettings, TargetSpec
from mcp_evals.targets.base import NoToolbox, ProviderSettings, Target
from mcp_evals.targets.endpoint import Endpoint
from mcp_evals.targets.engine import EngineTarget
from mcp_evals.targets.open import open_target
from mcp_evals.targets.recorded import RecordedTarget, RecordedTrial, read_recording, write_recording

URL = os.environ.get("MCP_EVALS_LOCAL_MODEL_URL", "").rstrip("/")
ENGINE = Path(__file__).parents[2] / "examples" / "engine" / "engine.py"

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(not URL, reason="MCP_EVALS_LOCAL_MODEL_URL names no server with a local model"),
]

Kind = Literal["openai", "anthropic"]
both = pytest.mark.parametrize("kind", ["openai", "anthropic"])

WEATHER = ToolDefinition(
    name="weather.get",
    description="Get the current weather of a city",
    input_schema={
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city"}},
        "required": ["city"],
    },
)


class Sunny(NoToolbox):
    async def call(self, call: ToolCall) -> ToolResult:
        return ToolResult(content={"temp": 18, "sky": "clear"}, call_id=call.id)


@pytest.fixture(scope="module")
def model() -> str:
    """The first model of the server."""
    return httpx.get(f"{URL}/v1/models").json()["data"][0]["id"]


def opened(kind: Kind, model: str, **settings: Any) -> Target:
    provider = ProviderSettings(kind=kind, url=f"{URL}/v1" if kind == "openai" else URL)
    return open_target(
        TargetSpec(provider="local", model=model), provider, RunSettings(temperature=0, **settings), environ={}
    )


def task(trial: int = 0, **fields: Any) -> Task:
    asked = {"user_turns": ("What is the weather in Oslo?",), "tools": (WEATHER,), **fields}
    return Task(run_id="r", case_id="oslo", trial=trial, **asked)


def calls(transcript: Transcript) -> list[tuple[str, Any]]:
    return [(call.name, call.arguments) for call in transcript.trajectory]


@both
async def test_a_real_model_calls_the_tool_under_its_owner_s_name_and_its_tokens_are_counted(
    kind: Kind, model: str
) -> None:
    async with aclosing(opened(kind, model)) as target:
        transcript = await target.run(task(), NoToolbox())

    assert calls(transcript) == [("weather.get", {"city": "Oslo"})]
    (step,) = transcript.steps
    assert (step.model, transcript.ended) == (model, "calls")
    assert step.usage is not None
    assert min(step.usage.input_tokens or 0, step.usage.output_tokens or 0) > 0


@both
async def test_a_strict_schema_changes_nothing_for_the_owner(kind: Kind, model: str) -> None:
    async with aclosing(
        opened(kind, model, strict_schemas=True, tool_choice="required", parallel_calls=False)
    ) as target:
        transcript = await target.run(task(), NoToolbox())

    assert calls(transcript) == [("weather.get", {"city": "Oslo"})]


@both
async def test_results_are_understood_by_the_server_that_made_the_calls(kind: Kind, model: str) -> None:
    async with aclosing(opened(kind, model)) as target:
        transcript = await target.run(task(max_steps=2), Sunny())

    first, second = transcript.steps
    assert [result.content for result in first.results] == [{"temp": 18, "sky": "clear"}]
    assert second.usage is not None
    assert (second.usage.input_tokens or 0) > (first.usage.input_tokens or 0 if first.usage else 0)


@both
async def test_many_trials_share_one_target(kind: Kind, model: str) -> None:
    made: list[list[tuple[str, Any]]] = []

    async def run_one(target: Target, trial: int) -> None:
        made.append(calls(await target.run(task(trial), NoToolbox())))

    async with aclosing(opened(kind, model)) as target, anyio.create_task_group() as group:
        for trial in range(8):
            group.start_soon(run_one, target, trial)

    assert made == [[("weather.get", {"city": "Oslo"})]] * 8


@both
async def test_a_model_that_is_not_there_is_told(kind: Kind) -> None:
    async with aclosing(opened(kind, "nobody")) as target:
        with pytest.raises(TargetError, match='check the name of model "nobody"') as caught:
            await target.run(task(), NoToolbox())

    assert caught.value.kind == "not_found"


async def test_what_a_real_model_said_is_said_again_from_a_recording(model: str, tmp_path: Path) -> None:
    async with aclosing(opened("openai", model)) as target:
        transcript = await target.run(task(), NoToolbox())
    write_recording(tmp_path / "r.jsonl", {"target": str(model)}, [RecordedTrial(case="oslo", transcript=transcript)])

    replayed = await RecordedTarget(read_recording(tmp_path / "r.jsonl").trials).run(task(), NoToolbox())

    assert replayed == transcript


async def test_the_example_engine_runs_its_tools_with_a_real_model(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{URL}/v1")
    monkeypatch.setenv("ENGINE_MODEL", model)
    monkeypatch.setenv("ENGINE_KEY", "engine-key-4711")
    spec = spec_from_file_location("example_engine", ENGINE)
    assert spec
    assert spec.loader
    engine = module_from_spec(spec)
    spec.loader.exec_module(engine)
    endpoint = Endpoint(name="calendar", url="http://engine", key_env="ENGINE_KEY", key="engine-key-4711")
    target = EngineTarget(endpoint, RunSettings(), transport=httpx.ASGITransport(engine.app))
    question = "How many days are there from 2024-02-01 to 2024-03-01?"

    transcript = await target.run(Task(run_id="r", case_id="days", input={"prompt": question}), NoToolbox())
    await target.aclose()

    assert "days_between" in [call.name for call in transcript.trajectory]
    assert transcript.usage is not None
    assert (transcript.usage.output_tokens or 0) > 0
    assert transcript.steps[0].stop_reason == "done"
