"""Anthropic's own client against servers that answer in every way."""

import json
from typing import Any

import httpx2
import pytest

from mcp_evals.conversation import Message, Step, Task, ToolCall, ToolDefinition, ToolResult, Usage
from mcp_evals.errors import TargetError
from mcp_evals.results import RunSettings
from mcp_evals.targets.anthropic import AnthropicTarget
from mcp_evals.targets.base import NoToolbox
from mcp_evals.targets.endpoint import Endpoint

pytestmark = pytest.mark.anyio

WEATHER = ToolDefinition(
    name="weather.get",
    description="Weather of a city",
    input_schema={
        "type": "object",
        "properties": {"unit": {"type": "string"}, "city": {"type": "string", "minLength": 2}},
        "required": ["city"],
    },
)


class Server:
    """Answers each request with the next of its answers, the last one again and again; keeps what it was sent."""

    def __init__(self, *answers: dict[str, Any] | httpx2.Response) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests]

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, httpx2.Response) else httpx2.Response(200, json=answer)

    def target(self, settings: RunSettings | None = None, **endpoint: Any) -> AnthropicTarget:
        reached = {"name": "shop", "url": "https://shop.example", "model": "m", "key": "sk-1", **endpoint}
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(self))
        return AnthropicTarget(Endpoint(**reached), settings or RunSettings(), http_client=client)


def answer(*blocks: dict[str, Any], stop: str = "end_turn") -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-2026",
        "content": list(blocks),
        "stop_reason": stop,
        "usage": {
            "input_tokens": 9,
            "output_tokens": 2,
            "cache_read_input_tokens": 80,
            "cache_creation_input_tokens": 11,
        },
    }


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def use(name: str, arguments: Any, id_: str = "toolu_a") -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": arguments}


def task(*, tools: tuple[ToolDefinition, ...] = (WEATHER,), **fields: Any) -> Task:
    return Task(**{"run_id": "r", "case_id": "c", "user_turns": ("Weather in Oslo?",), "tools": tools, **fields})


class Sunny(NoToolbox):
    async def call(self, call: ToolCall) -> ToolResult:
        return ToolResult(content="sun", call_id=call.id)


# --- what is sent


async def test_a_request_holds_what_the_task_and_the_settings_say() -> None:
    server = Server(answer(text("Sun.")))
    settings = RunSettings(
        temperature=0.5, max_output_tokens=99, tool_choice="required", parallel_calls=False, extra={"top_k": 5}
    )

    transcript = await server.target(settings).run(task(system="Be brief.", seed=7), NoToolbox())

    assert server.requests[0].url == "https://shop.example/v1/messages"
    asked = {
        "model": "m",
        "max_tokens": 99,
        "temperature": 0.5,
        "top_k": 5,
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "tools": [{"name": "weather_get", "description": "Weather of a city", "input_schema": WEATHER.input_schema}],
    }
    messages = [{"role": "user", "content": [text("Weather in Oslo?")]}]
    assert server.bodies == [{**asked, "system": "Be brief.", "messages": messages}]
    assert transcript.request == asked
    assert transcript.notes == (
        "anthropic takes no seed; it was not sent",
        "a call was demanded of the first response to each user message, not after tool results",
    )


async def test_nothing_is_sent_that_nobody_asked_for_but_the_bound_that_the_api_wants() -> None:
    server = Server(answer(text("Sun.")))

    await server.target(RunSettings(tool_choice="required", parallel_calls=True)).run(task(tools=()), NoToolbox())

    messages = [{"role": "user", "content": [text("Weather in Oslo?")]}]
    assert server.bodies == [{"model": "m", "max_tokens": 4096, "messages": messages}]


@pytest.mark.parametrize(
    ("settings", "choice"),
    [
        (RunSettings(), None),
        (RunSettings(tool_choice="none"), {"type": "none"}),
        (RunSettings(tool_choice="required"), {"type": "any"}),
        (RunSettings(parallel_calls=True), {"type": "auto", "disable_parallel_tool_use": False}),
    ],
)
async def test_the_choice_of_tools_is_said_in_anthropic_s_words(settings: RunSettings, choice: Any) -> None:
    server = Server(answer(text("Sun.")))

    await server.target(settings).run(task(), NoToolbox())

    assert server.bodies[0].get("tool_choice") == choice


async def test_tool_schemas_go_over_the_wire_with_their_keys_in_the_order_given() -> None:
    server = Server(answer(text("Sun.")))

    await server.target().run(task(), NoToolbox())

    assert json.dumps(WEATHER.input_schema, separators=(",", ":")).encode() in server.requests[0].content


async def test_strict_schemas_leave_optional_arguments_optional() -> None:
    server = Server(answer(use("weather_get", {"city": "Oslo", "unit": None})))

    transcript = await server.target(RunSettings(strict_schemas=True)).run(task(), NoToolbox())

    (tool,) = server.bodies[0]["tools"]
    assert tool["strict"] is True
    assert (tool["input_schema"]["required"], tool["input_schema"]["additionalProperties"]) == (["city"], False)
    assert transcript.trajectory[0].arguments == {"city": "Oslo", "unit": None}


async def test_further_headers_of_the_environment_go_only_where_the_environment_leads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Gateway: of-the-environment\nAuthorization: Bearer gateway")
    server = Server(answer(text("Sun.")))

    await server.target().run(task(), NoToolbox())
    await server.target(from_environment=True).run(task(), NoToolbox())

    configured, named = (request.headers for request in server.requests)
    assert (configured.get("x-gateway"), configured["authorization"]) == (None, "Bearer sk-1")
    assert named["x-gateway"] == "of-the-environment"


async def test_no_key_of_the_environment_goes_to_a_server_that_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, "of-the-environment")
    server = Server(answer(text("Sun.")))

    await server.target(key=None).run(task(), NoToolbox())

    assert "of-the-environment" not in str(server.requests[0].headers.raw)


# --- the loop


async def test_thoughts_and_calls_go_back_as_they_were_and_results_after_them() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        text("Let me look."),
        use("weather_get", {"city": "Oslo"}),
    ]
    server = Server(answer(*blocks, stop="tool_use"), answer(text("Sun.")))

    transcript = await server.target(RunSettings(tool_choice="required")).run(task(), Sunny())

    assert server.bodies[1]["messages"] == [
        {"role": "user", "content": [text("Weather in Oslo?")]},
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_a", "content": "sun"}]},
    ]
    assert [body.get("tool_choice") for body in server.bodies] == [{"type": "any"}, None]
    usage = Usage(input_tokens=100, output_tokens=2, cached_input_tokens=80, cache_write_tokens=11)
    assert [step.model_copy(update={"latency_s": None}) for step in transcript.steps] == [
        Step(
            text="Let me look.",
            calls=(ToolCall(name="weather.get", arguments={"city": "Oslo"}, id="toolu_a"),),
            results=(ToolResult(content="sun", call_id="toolu_a"),),
            usage=usage,
            model="m-2026",
            stop_reason="tool_use",
        ),
        Step(text="Sun.", usage=usage, model="m-2026", stop_reason="end_turn"),
    ]
    assert transcript.ended == "answer"


async def test_a_history_of_another_provider_is_understood() -> None:
    server = Server(answer(text("Sun.")))
    history = (
        Message(role="system", text="Be kind."),
        Message(role="user", text="Hi"),
        Message(role="assistant", calls=(ToolCall(name="weather.get", arguments="{", id="call:1"),)),
        Message(role="tool", results=(ToolResult(content="rain", call_id="call:1", is_error=True),)),
    )

    await server.target().run(task(system="Be brief.", history=history), NoToolbox())

    assert server.bodies[0]["system"] == "Be brief.\n\nBe kind."
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": "rain", "is_error": True}
    assert server.bodies[0]["messages"] == [
        {"role": "user", "content": [text("Hi")]},
        {"role": "assistant", "content": [use("weather_get", {"INVALID_JSON": "{"}, "call_1")]},
        {"role": "user", "content": [result, text("Weather in Oslo?")]},
    ]


# --- what comes back


@pytest.mark.parametrize(
    ("blocks", "said", "calls"),
    [
        ([text("Su"), text("n.")], "Sun.", ()),
        ([], "", ()),
        ([{"type": "redacted_thinking", "data": "x"}, {"type": "from_the_future"}], "", ()),
        ([text("half a pair \ud83d")], "half a pair \ufffd", ()),
        (
            [use("ls<|channel|>commentary", {}), use("weather_get", "Oslo", "toolu_b")],
            "",
            (
                ToolCall(name="ls<|channel|>commentary", arguments={}, id="toolu_a"),
                ToolCall(name="weather.get", arguments="Oslo", id="toolu_b"),
            ),
        ),
    ],
)
async def test_whatever_a_model_says_becomes_a_step(
    blocks: list[dict[str, Any]], said: str, calls: tuple[ToolCall, ...]
) -> None:
    server = Server(httpx2.Response(200, content=json.dumps(answer(*blocks)).encode()))

    transcript = await server.target().run(task(), NoToolbox())

    (step,) = transcript.steps
    assert (step.text, step.calls) == (said, calls)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"type": "error", "error": {"message": "loading"}}', "no content in the answer: loading"),
        (b'{"content": null}', "no content in the answer"),
        (b'{"content": [{"type": "tool_use"}]}', "a tool call without a name"),
        (b'{"content": [{"type": "tool_use", "name": "f", "input": {"a": NaN}}]}', "NaN is not JSON"),
        (b"[]", "the answer is no object"),
        (b"<html>Welcome</html>", "Expecting value"),
    ],
)
async def test_an_answer_that_is_none_is_an_error_and_no_empty_step(body: bytes, said: str) -> None:
    server = Server(httpx2.Response(200, content=body))

    with pytest.raises(TargetError) as caught:
        await server.target().run(task(), NoToolbox())

    assert caught.value.kind == "bad_response"
    assert said in str(caught.value)
