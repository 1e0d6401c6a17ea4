"""The connected client's own model as a target, over both ages of the protocol, with tools and without."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from e2e.home import weather_suite, write_suite
from e2e.host import Host, Mode
from mcp.client import Client
from mcp.types import (
    CreateMessageRequestParams,
    CreateMessageResult,
    CreateMessageResultWithTools,
    ErrorData,
    SamplingCapability,
    SamplingToolsCapability,
    TextContent,
    ToolUseContent,
)

from mcp_evals.server.app import build_server
from mcp_evals.settings import Settings

pytestmark = pytest.mark.anyio

Answer = Callable[[CreateMessageRequestParams], Any]


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Both ages of the protocol."""
    return request.param


@asynccontextmanager
async def sampling(settings: Settings, mode: Mode, answer: Answer, *, tools: bool = False) -> AsyncGenerator[Host]:
    """A host whose model answers so."""

    async def sample(_: Any, params: CreateMessageRequestParams) -> Any:
        return answer(params)

    able = SamplingCapability(tools=SamplingToolsCapability()) if tools else SamplingCapability()
    async with Client(
        build_server(settings), mode=mode, sampling_callback=sample, sampling_capabilities=able
    ) as client:
        yield Host(client)


def said(params: CreateMessageRequestParams) -> str:
    content = params.messages[-1].content
    assert isinstance(content, TextContent)
    return content.text


def in_words(params: CreateMessageRequestParams) -> CreateMessageResult:
    """The right city, as the JSON that the system prompt asks for."""
    assert '"name": "get_weather"' in (params.system_prompt or "")
    city = said(params).rstrip("?").split()[-1]
    text = f"```json\n{json.dumps({'calls': [{'name': 'get_weather', 'arguments': {'city': city}}]})}\n```"
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text=text), model="their-model")


def as_call(params: CreateMessageRequestParams) -> CreateMessageResultWithTools:
    """The right city, as a call."""
    assert params.tools is not None
    block = params.messages[-1].content
    text = getattr(block[-1], "text", "") if isinstance(block, list) else said(params)
    call = ToolUseContent(type="tool_use", name="get_weather", id="1", input={"city": text.rstrip("?").split()[-1]})
    return CreateMessageResultWithTools(role="assistant", content=[call], model="their-model")


@pytest.mark.parametrize(("answer", "tools"), [(in_words, False), (as_call, True)])
async def test_a_suite_is_run_on_the_clients_model(settings: Settings, mode: Mode, answer: Answer, tools: bool) -> None:
    async with sampling(settings, mode, answer, tools=tools) as host:
        targets = await host.ask("list_targets")
        run = await host.ask("run_suite", suite="weather", target="client", trials=1)
        one = await host.ask("run_case", suite="weather", case="rome", target="client")
        trial = await host.read("get_run", run_id=run["run_id"], case="oslo", transcript=True)

    assert next(line for line in targets["targets"] if line["target"] == "client")["ready"]
    assert (run["status"], run["cases"]["passed"], run["target"]) == ("completed", 3, "client")
    assert (one["verdict"], one["calls"][0]["actual"]) == ("passed", 'get_weather(city="rome")')
    assert "call: get_weather" in trial


async def test_more_questions_than_a_call_may_carry_go_on_with_the_next_one(settings: Settings, mode: Mode) -> None:
    cities = [f"city{n:02}" for n in range(30)]
    write_suite(settings.suites[0], weather_suite(*cities, name="many"))

    async with sampling(settings, mode, in_words) as host:
        run = await host.ask("run_suite", suite="many", target="client", trials=1)
        handed_over = run["status"]
        while run["status"] == "working":
            run = await host.ask("get_run", run_id=run["run_id"], wait_s=50)

    assert handed_over == ("working" if mode == "auto" else "completed")
    assert (run["status"], run["cases"]["passed"]) == ("completed", 30)


async def test_two_sides_of_a_comparison_may_be_the_clients_model_and_another(settings: Settings, mode: Mode) -> None:
    async with sampling(settings, mode, in_words) as host:
        table = await host.ask("compare_models", suite="weather", targets=["client", "here:m-1"], trials=1, wait_s=50)

    assert (table.get("status"), len(table["runs"])) == (None, 2)
    assert table["comparisons"][0]["verdict"] == "not_enough_data"


async def test_tools_are_answered_and_the_conversation_goes_on(settings: Settings, mode: Mode) -> None:
    suite = weather_suite("oslo", name="talk")
    suite["cases"][0]["expect"] = {
        "calls": [{"tool": "get_weather", "args": {"city": "oslo"}, "returns": "snow"}],
        "text": [{"contains": "snow"}],
    }
    write_suite(settings.suites[0], suite)

    def talk(params: CreateMessageRequestParams) -> Any:
        if said(params) == "The tool answered: snow":
            return CreateMessageResult(
                role="assistant", content=TextContent(type="text", text="There is snow."), model="their-model"
            )
        return in_words(params)

    async with sampling(settings, mode, talk) as host:
        one = await host.ask("run_case", suite="talk", case="oslo", target="client")

    assert (one["verdict"], one["score"]) == ("passed", 1.0)


async def test_the_clients_model_may_be_the_judge(settings: Settings, mode: Mode) -> None:
    suite = weather_suite("oslo", name="judged", judge={"target": "client"})
    suite["cases"][0]["expect"] = {"text": [{"judged": "Says that it snows."}]}
    write_suite(settings.suites[0], suite)
    asked: list[str] = []

    def judge(params: CreateMessageRequestParams) -> Any:
        asked.append(said(params))
        text = json.dumps({"reason": "it says so", "verdict": "pass"})
        return CreateMessageResult(role="assistant", content=TextContent(type="text", text=text), model="their-model")

    async with sampling(settings, mode, judge) as host:
        run = await host.ask("run_suite", suite="judged", target="here:m-1", trials=1, wait_s=50)

    assert (run["status"], run["done"]) == ("completed", 1)
    assert len(asked) == 1
    assert "Says that it snows." in asked[0]


async def test_a_client_that_refuses_makes_errored_trials_and_no_failed_ones(settings: Settings) -> None:
    async with sampling(settings, "legacy", lambda _: ErrorData(code=-1, message="the user said no")) as host:
        run = await host.ask("run_suite", suite="weather", target="client", trials=1)
        one = await host.read("get_run", run_id=run["run_id"], case="oslo")

    assert (run["status"], run["errors"]) == ("completed", {"client": 3})
    assert "the user said no" in one


async def test_a_client_without_a_model_is_told_the_alternatives(settings: Settings, mode: Mode) -> None:
    async with Client(build_server(settings), mode=mode) as client:
        refusal = await Host(client).refused("run_suite", suite="weather", target="client")
        targets = await Host(client).ask("list_targets")

    assert all(way in refusal for way in ("score_transcript", "take_case", "recorded:NAME"))
    assert not next(line for line in targets["targets"] if line["target"] == "client").get("ready")


async def test_no_question_is_asked_twice_however_the_answers_come(settings: Settings) -> None:
    asked: list[str] = []
    two, free = anyio.Event(), anyio.Event()

    async def slow(_: Any, params: CreateMessageRequestParams) -> Any:
        asked.append(said(params))
        if len(asked) == 2:
            two.set()
        await free.wait()
        return in_words(params)

    async with Client(build_server(settings), mode="legacy", sampling_callback=slow) as client:
        host = Host(client)
        runs: list[str] = []

        async def begin() -> None:
            arguments = {"suite": "weather", "target": "client", "trials": 1, "wait_s": 0.2}
            runs.append((await host.ask("run_suite", **arguments))["run_id"])

        async with anyio.create_task_group() as group:
            group.start_soon(begin)
            await two.wait()
            free.set()
        run = await host.ask("get_run", run_id=runs[0], wait_s=50)

    assert (run["status"], run["cases"]["passed"]) == ("completed", 3)
    assert sorted(asked) == ["Weather in bergen?", "Weather in oslo?", "Weather in rome?"]
