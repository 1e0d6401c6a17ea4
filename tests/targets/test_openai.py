"""OpenAI's own client against servers that answer in every way."""

import json
from typing import Any

import httpx2
import pytest

from mcp_evals.conversation import Message, Step, Task, ToolCall, ToolDefinition, ToolResult, Usage
from mcp_evals.errors import TargetError
from mcp_evals.results import RunSettings
from mcp_evals.targets.base import NoToolbox
from mcp_evals.targets.endpoint import Endpoint
from mcp_evals.targets.openai import OpenAITarget

pytestmark = pytest.mark.anyio

Answer = dict[str, Any]
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

    def __init__(self, *answers: Answer | httpx2.Response) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests]

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, httpx2.Response) else httpx2.Response(200, json=answer)

    def target(self, settings: RunSettings | None = None, **endpoint: Any) -> OpenAITarget:
        reached = {"name": "shop", "url": "https://shop.example/v1", "model": "m", "key": "sk-1", **endpoint}
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(self))
        return OpenAITarget(Endpoint(**reached), settings or RunSettings(), http_client=client)


def answer(*, finish: str = "stop", **message: Any) -> Answer:
    said = {"role": "assistant", "content": None, **message}
    return {
        "id": "x",
        "object": "chat.completion",
        "model": "m-2026",
        "choices": [{"index": 0, "message": said, "finish_reason": finish}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}},
    }


def call(name: str, arguments: Any, id_: str | None = "call_a", **further: Any) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}, **further}


def task(*, tools: tuple[ToolDefinition, ...] = (WEATHER,), **fields: Any) -> Task:
    return Task(**{"run_id": "r", "case_id": "c", "user_turns": ("Weather in Oslo?",), "tools": tools, **fields})


class Sunny(NoToolbox):
    async def call(self, call: ToolCall) -> ToolResult:
        return ToolResult(content="sun", call_id=call.id)


# --- what is sent


async def test_a_request_holds_what_the_task_and_the_settings_say() -> None:
    server = Server(answer(content="Sun."))
    settings = RunSettings(
        temperature=0.5,
        max_output_tokens=99,
        tool_choice="required",
        parallel_calls=False,
        extra={"reasoning_effort": "low", "provider": {"order": ["a"]}},
    )

    transcript = await server.target(settings).run(task(system="Be brief.", seed=7), NoToolbox())

    assert server.requests[0].url == "https://shop.example/v1/chat/completions"
    assert server.requests[0].headers["authorization"] == "Bearer sk-1"
    asked = {
        "model": "m",
        "temperature": 0.5,
        "seed": 7,
        "max_tokens": 99,
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "weather_get",
                    "description": "Weather of a city",
                    "parameters": WEATHER.input_schema,
                },
            }
        ],
        "reasoning_effort": "low",
        "provider": {"order": ["a"]},
    }
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather in Oslo?"}]
    assert server.bodies == [{**asked, "messages": messages}]
    assert transcript.request == asked
    assert transcript.notes == (
        "a call was demanded of the first response to each user message, not after tool results",
    )


async def test_nothing_is_sent_that_nobody_asked_for() -> None:
    server = Server(answer(content="Sun."))

    await server.target(RunSettings(tool_choice="required", parallel_calls=True)).run(task(tools=()), NoToolbox())

    assert server.bodies == [{"model": "m", "messages": [{"role": "user", "content": "Weather in Oslo?"}]}]


async def test_tool_schemas_go_over_the_wire_with_their_keys_in_the_order_given() -> None:
    server = Server(answer(content="Sun."))

    await server.target().run(task(), NoToolbox())

    assert json.dumps(WEATHER.input_schema, separators=(",", ":")).encode() in server.requests[0].content


async def test_strict_schemas_are_sent_where_they_can_be_and_their_nulls_taken_out_again() -> None:
    loose = ToolDefinition(name="tag", input_schema={"type": "object", "properties": {"tags": {"type": "object"}}})
    calls = [call("weather_get", '{"unit": null, "city": "Oslo"}'), call("tag", '{"tags": null}', "call_b")]
    server = Server(answer(tool_calls=calls))

    transcript = await server.target(RunSettings(strict_schemas=True)).run(task(tools=(WEATHER, loose)), NoToolbox())

    strict, plain = (tool["function"] for tool in server.bodies[0]["tools"])
    assert (strict["strict"], strict["parameters"]["required"]) == (True, ["unit", "city"])
    assert (plain.get("strict"), plain["parameters"]) == (None, loose.input_schema)
    assert [made.arguments for made in transcript.trajectory] == [{"city": "Oslo"}, {"tags": None}]
    assert transcript.notes == (
        'tool "tag" was not sent with a strict schema: it cannot say an object with keys of any name',
    )


async def test_openai_itself_is_sent_the_newer_name_of_the_token_limit() -> None:
    server = Server(answer(content="Sun."))

    await server.target(RunSettings(max_output_tokens=9), url="https://api.openai.com/v1").run(task(), NoToolbox())

    assert server.bodies[0]["max_completion_tokens"] == 9
    assert "max_tokens" not in server.bodies[0]


async def test_a_server_that_knows_only_the_other_token_limit_is_sent_it_from_then_on() -> None:
    refusal = {"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}}
    server = Server(httpx2.Response(400, json=refusal), answer(content="Sun."))
    target = server.target(RunSettings(max_output_tokens=9))

    transcripts = [await target.run(task(), NoToolbox()) for _ in range(2)]

    sent = [{name: body[name] for name in body if "tokens" in name} for body in server.bodies]
    assert sent == [{"max_tokens": 9}, {"max_completion_tokens": 9}, {"max_completion_tokens": 9}]
    assert [transcript.request and transcript.request["max_completion_tokens"] for transcript in transcripts] == [9, 9]


async def test_a_token_limit_that_is_refused_for_its_value_is_not_given_up() -> None:
    refusal = {"error": {"message": "max_tokens is too large: 9. This model writes at most 5."}}
    server = Server(httpx2.Response(400, json=refusal))

    with pytest.raises(TargetError, match="max_tokens is too large"):
        await server.target(RunSettings(max_output_tokens=9)).run(task(), NoToolbox())

    assert len(server.requests) == 1


async def test_further_headers_of_the_environment_go_only_where_the_environment_leads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway: of-the-environment\nAuthorization: Bearer gateway")
    server = Server(answer(content="Sun."))

    await server.target().run(task(), NoToolbox())
    await server.target(from_environment=True).run(task(), NoToolbox())

    configured, named = (request.headers for request in server.requests)
    assert (configured.get("x-gateway"), configured["authorization"]) == (None, "Bearer sk-1")
    assert named["x-gateway"] == "of-the-environment"


async def test_no_key_of_the_environment_goes_to_a_server_that_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "of-the-environment")
    server = Server(answer(content="Sun."))

    await server.target(key=None).run(task(), NoToolbox())

    assert "of-the-environment" not in str(server.requests[0].headers.raw)


# --- the loop


async def test_results_go_back_with_what_the_server_hung_on_its_calls() -> None:
    signed = call("weather_get", '{"city": "Oslo"}', extra_content={"google": {"thought_signature": "s"}})
    server = Server(answer(tool_calls=[signed], reasoning_content="hm"), answer(content="Sun."))

    transcript = await server.target(RunSettings(tool_choice="required")).run(task(), Sunny())

    assert server.bodies[1]["messages"] == [
        {"role": "user", "content": "Weather in Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [signed], "reasoning_content": "hm"},
        {"role": "tool", "tool_call_id": "call_a", "content": "sun"},
    ]
    assert [body.get("tool_choice") for body in server.bodies] == ["required", None]
    weather = ToolCall(name="weather.get", arguments={"city": "Oslo"}, id="call_a")
    usage = Usage(input_tokens=9, output_tokens=2, cached_input_tokens=4)
    assert [step.model_copy(update={"latency_s": None}) for step in transcript.steps] == [
        Step(
            calls=(weather,),
            results=(ToolResult(content="sun", call_id="call_a"),),
            usage=usage,
            model="m-2026",
            stop_reason="stop",
        ),
        Step(text="Sun.", usage=usage, model="m-2026", stop_reason="stop"),
    ]
    assert transcript.ended == "answer"


async def test_a_server_without_call_ids_gets_results_that_fit_its_calls() -> None:
    unnamed = call("weather_get", "{}", None, signature="s")
    server = Server(answer(tool_calls=[unnamed]), answer(content="Sun."))

    await server.target().run(task(), Sunny())

    assistant, tool = server.bodies[1]["messages"][1:]
    assert assistant["tool_calls"] == [{**unnamed, "id": "call_1"}]
    assert tool == {"role": "tool", "tool_call_id": "call_1", "content": "sun"}


async def test_call_ids_of_a_server_s_own_making_are_kept() -> None:
    server = Server(answer(tool_calls=[call("weather_get", "{}", "functions.weather_get:0")]), answer(content="Sun."))

    await server.target().run(task(), Sunny())

    assert server.bodies[1]["messages"][2]["tool_call_id"] == "functions.weather_get:0"


# --- what comes back


@pytest.mark.parametrize(
    ("message", "text", "calls"),
    [
        ({"content": "Sun."}, "Sun.", ()),
        ({"content": [{"type": "text", "text": "Su"}, {"type": "text", "text": "n."}]}, "Sun.", ()),
        ({"refusal": "I cannot help."}, "I cannot help.", ()),
        ({}, "", ()),
        ({"tool_calls": None, "content": ""}, "", ()),
        ({"content": "half a pair \ud83d"}, "half a pair \ufffd", ()),
        (
            {"tool_calls": [call("ls<|channel|>commentary", '{"a": NaN}')]},
            "",
            (ToolCall(name="ls<|channel|>commentary", arguments='{"a": NaN}', id="call_a"),),
        ),
        (
            {"content": "So:", "tool_calls": [call("weather_get", '{"city": "Os')]},
            "So:",
            (ToolCall(name="weather.get", arguments='{"city": "Os', id="call_a"),),
        ),
        (
            {"tool_calls": [call("weather_get", '["Oslo"]'), call("weather_get", {"city": "Oslo"}, "call_b")]},
            "",
            (
                ToolCall(name="weather.get", arguments='["Oslo"]', id="call_a"),
                ToolCall(name="weather.get", arguments={"city": "Oslo"}, id="call_b"),
            ),
        ),
        (
            {"function_call": {"name": "weather_get", "arguments": ""}},
            "",
            (ToolCall(name="weather.get", arguments={}),),
        ),
    ],
)
async def test_whatever_a_model_says_becomes_a_step(
    message: dict[str, Any], text: str, calls: tuple[ToolCall, ...]
) -> None:
    body = json.dumps(answer(**message)).encode()
    server = Server(httpx2.Response(200, content=body, headers={"content-type": "text/plain"}))

    transcript = await server.target().run(task(), NoToolbox())

    (step,) = transcript.steps
    assert (step.text, step.calls) == (text, calls)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"choices": []}', "no choices in the answer"),
        (b'{"error": {"message": "model is loading"}}', "no choices in the answer: model is loading"),
        (b'{"choices": [null]}', "choices[0] is no object"),
        (b'{"choices": [{"finish_reason": "stop"}]}', "choices[0].message is no object"),
        (b'{"choices": [{"message": {"tool_calls": [{"function": {}}]}}]}', "a tool call without a name"),
        (b"[]", "the answer is no object"),
        (b"<html>Welcome</html>", "Expecting value"),
        (b"", "Expecting value"),
        (b'{"choices": [{"message": {"content": NaN}}]}', "NaN is not JSON"),
        (b'{"choices": "\xff"}', "can't decode byte 0xff"),
    ],
)
async def test_an_answer_that_is_none_is_an_error_and_no_empty_step(body: bytes, said: str) -> None:
    server = Server(httpx2.Response(200, content=body))

    with pytest.raises(TargetError) as caught:
        await server.target().run(task(), NoToolbox())

    assert caught.value.kind == "bad_response"
    assert str(caught.value).startswith("shop at https://shop.example/v1: ")
    assert said in str(caught.value)


async def test_an_earlier_conversation_is_sent_as_it_was() -> None:
    server = Server(answer(content="Sun."))
    earlier = ToolCall(name="weather.get", arguments={"city": "Oslo"}, id="call_z")
    history = (
        Message(role="user", text="Hi"),
        Message(role="assistant", calls=(earlier,)),
        Message(role="tool", results=(ToolResult(content="rain", call_id="call_z"),)),
    )

    await server.target().run(task(history=history), NoToolbox())

    assert server.bodies[0]["messages"][:3] == [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call("weather_get", '{"city": "Oslo"}', "call_z")],
        },
        {"role": "tool", "tool_call_id": "call_z", "content": "rain"},
    ]


async def test_two_tools_of_one_wire_name_are_an_error_before_anything_is_sent() -> None:
    server = Server(answer(content="Sun."))
    tools = (ToolDefinition(name="a.b"), ToolDefinition(name="a-b"), ToolDefinition(name="a b"))

    with pytest.raises(TargetError, match='tools "a.b" and "a b" both become "a_b"'):  # noqa: RUF043  a dot is a dot
        await server.target().run(task(tools=tools), NoToolbox())

    assert server.requests == []
