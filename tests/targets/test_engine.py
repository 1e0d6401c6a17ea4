"""The engine protocol: against an app in this process, and against servers that cut, hang and babble."""

import json
import logging
import socket
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import SocketStream
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from mcp_evals.conversation import (
    Invocation,
    Message,
    Step,
    Task,
    ToolCall,
    ToolDefinition,
    Transcript,
    Usage,
)
from mcp_evals.errors import TargetError
from mcp_evals.results import RunSettings
from mcp_evals.targets.base import NoToolbox
from mcp_evals.targets.endpoint import Endpoint, Kind
from mcp_evals.targets.engine import EngineTarget

pytestmark = pytest.mark.anyio

KEY = "engine-canary-4711"
TASK = Task(run_id="1a2b", case_id="c", trial=3, input={"prompt": "Hi", "depth": 2})


def event(name: str, **content: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(content)}\n\n"


class Engine:
    """An engine in this process that answers with the next of its answers, the last one again and again."""

    def __init__(self, *answers: str | Response) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[dict[str, str], Any]] = []
        self.app = Starlette(routes=[Route("/base/execute", self.execute, methods=["POST"])])

    async def execute(self, request: Request) -> Response:
        self.requests.append((dict(request.headers), await request.json()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Response):
            return answer

        async def characters() -> AsyncGenerator[bytes]:
            # A byte at a time: events do not keep to the borders of packets.
            for byte in answer.encode():
                yield bytes([byte])

        return StreamingResponse(characters(), media_type="text/event-stream; charset=utf-8")

    @property
    def bodies(self) -> list[Any]:
        return [body for _, body in self.requests]

    def target(self, settings: RunSettings | None = None, **changed: Any) -> EngineTarget:
        own = {name: changed.pop(name) for name in ("max_characters",) if name in changed}
        transport = httpx.ASGITransport(self.app)
        settings = settings or RunSettings()
        return EngineTarget(
            endpoint("http://engine.example/base/", **changed), settings, backoff_s=0, transport=transport, **own
        )


def endpoint(url: str, **changed: Any) -> Endpoint:
    reached = {"key_env": "ENGINE_KEY", "key": KEY, "max_retries": 0, **changed}
    return Endpoint(name="shop", url=url, **reached)


async def step_of(*answers: str | Response) -> Step:
    transcript = await Engine(*answers).target().run(TASK, NoToolbox())
    return transcript.steps[0].model_copy(update={"latency_s": None})


async def failure(target: EngineTarget, task: Task = TASK) -> TargetError:
    with pytest.raises(TargetError) as caught:
        await target.run(task, NoToolbox())
    return caught.value


# --- what is sent


async def test_the_case_s_input_is_sent_as_it_is_with_the_task_s_id() -> None:
    engine = Engine(event("text_delta", text="Hello."))

    transcript = await engine.target().run(TASK, NoToolbox())

    ((headers, body),) = engine.requests
    assert headers["x-engine-key"] == KEY
    assert body == {"prompt": "Hi", "depth": 2, "task_id": "eval-1a2b-c-3"}
    assert transcript.request == body
    assert (transcript.ended, [i.user for i in transcript.invocations]) == ("answer", ['{"prompt": "Hi", "depth": 2}'])


async def test_without_an_input_each_user_message_is_put_with_all_that_was_said_before() -> None:
    engine = Engine(event("text_delta", text="Hello.") + event("tool_call", tool="look"), event("done"))
    tool = ToolDefinition(name="shop.look", description="Look", input_schema={"type": "object", "properties": {}})
    earlier = (Message(role="user", text="Before"), Message(role="assistant", text="Yes."))
    task = Task(
        run_id="1a2b", case_id="c", system="Be brief.", history=earlier, user_turns=("Hi", "And?"), tools=(tool,)
    )

    transcript = await engine.target().run(task, NoToolbox())

    first = [
        {"role": "user", "content": "Before"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Hi"},
    ]
    sent = {
        "system": "Be brief.",
        "tools": [
            {
                "type": "function",
                "function": {"name": "shop.look", "description": "Look", "parameters": tool.input_schema},
            }
        ],
        "task_id": "eval-1a2b-c-0",
    }
    second = [*first, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "And?"}]
    assert engine.bodies == [{**sent, "messages": first}, {**sent, "messages": second}]
    assert transcript.request == sent
    assert [(i.user, i.final_text) for i in transcript.invocations] == [("Hi", "Hello."), ("And?", "")]
    assert (transcript.history, transcript.ended) == (earlier, "answer")


async def test_a_simulated_user_talks_to_an_engine_too() -> None:
    class Thankful(NoToolbox):
        async def next_user_turn(self, so_far: Any) -> str | None:
            return "Thanks!" if len(so_far) == 1 else None

    engine = Engine(event("text_delta", text="Hello."))

    transcript = await engine.target().run(Task(run_id="r", case_id="c", user_turns=("Hi",)), Thankful())

    assert [invocation.user for invocation in transcript.invocations] == ["Hi", "Thanks!"]
    assert transcript.ended == "user_stop"


async def test_an_engine_without_a_key_is_sent_none() -> None:
    engine = Engine(event("done"))

    await engine.target(key=None, key_env=None).run(TASK, NoToolbox())

    assert "x-engine-key" not in engine.requests[0][0]


async def test_settings_that_an_engine_does_not_know_are_told() -> None:
    settings = RunSettings(temperature=0, tool_choice="none", extra={"a": 1})
    task = TASK.model_copy(update={"seed": 7, "user_turns": ("Hi", "And?")})

    transcript = await Engine(event("done")).target(settings).run(task, NoToolbox())

    assert transcript.invocations[0].user == "Hi"
    assert transcript.notes == (
        "an engine takes no settings of this kind; not sent: seed, temperature, tool_choice, extra",
        "the engine was sent the case's input once; its further user messages were not said",
    )


async def test_a_case_that_says_nothing_is_an_error() -> None:
    error = await failure(Engine(event("done")).target(), Task(run_id="r", case_id="c"))

    assert (error.kind, str(error)) == ("bad_request", 'case "c" has nothing for an engine; give it `input` or `user`')


# --- what comes back


async def test_events_become_one_step() -> None:
    stream = (
        event("text_delta", text="It is ")
        + event("tool_call", tool="look", arguments={"in": ["shop"]}, id="t1")
        + event("usage", input_tokens=10, output_tokens=2, cache_hit_tokens=4)
        + event("tool_result", content="ignored")
        + event("tool_call", tool="count")
        + event("text_delta", text="zwölf.")
        + event("text_delta")
        + event("usage", input_tokens=20, output_tokens=3, model="m-1")
        + event("done")
        + "event: text_delta\ndata: never read"
    )

    assert await step_of(stream) == Step(
        text="It is zwölf.",
        calls=(ToolCall(name="look", arguments={"in": ["shop"]}, id="t1"), ToolCall(name="count")),
        usage=Usage(input_tokens=30, output_tokens=5, cached_input_tokens=4),
        model="m-1",
        stop_reason="done",
    )


async def test_an_engine_that_never_says_done_has_answered_when_its_stream_ends() -> None:
    assert await step_of(event("text_delta", text="Hello.")) == Step(text="Hello.")


@pytest.mark.parametrize(
    "stream",
    [
        'event: text_delta\ndata: {"text":\ndata: "Hello."}\n\n',
        'event: text_delta\r\ndata: {"text": "Hello."}\r\n\r\n',
        'event: text_delta\rdata: {"text": "Hello."}\r\r',
        ': a comment\n\nevent:text_delta\n: another\ndata:{"text": "Hello."}\n\n:\n\n',
        'id: 5\nretry: 100\nevent: text_delta\ndata: {"text": "Hello."}\n\nid: 6\n\n',
        '\ufeffevent: text_delta\ndata: {"text": "Hello."}\n\n',
        'data: {"text": "an event without a name"}\n\nevent: text_delta\ndata: {"text": "Hello."}\n\n',
        'event: text_delta\ndata: {"text": "Hello."}\n',
        'event: text_delta\ndata: {"text": "Hello."}',
        'event: text_delta\ndata: {"text": "Hello."}\nunknown: field\n\nevent: done\n\n',
    ],
)
async def test_every_way_of_writing_events_is_read(stream: str) -> None:
    step = await step_of(stream)

    assert step.text == "Hello."


async def test_line_separators_inside_of_a_text_are_no_ends_of_lines() -> None:
    step = await step_of('event: text_delta\ndata: {"text": "a\u2028b\u0085c"}\n\n')

    assert step.text == "a\u2028b\u0085c"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [('{"a": 1}', {"a": 1}), ('{"a": ', '{"a": '), (None, {}), ('{"a": NaN}', '{"a": NaN}'), ([1], "[1]")],
)
async def test_arguments_may_be_written_as_text_and_are_kept_when_malformed(arguments: Any, expected: Any) -> None:
    step = await step_of(event("tool_call", tool="look", arguments=arguments))

    assert step.calls == (ToolCall(name="look", arguments=expected),)


# --- what is no answer


@pytest.mark.parametrize(
    ("stream", "kind", "said"),
    [
        ("event: text_delta\ndata: {broken\n\n", "bad_response", "event 1: text_delta with bad data"),
        ('event: usage\ndata: {"input_tokens": NaN}\n\n', "bad_response", "NaN is not JSON"),
        (event("done")[:-1].replace("done", "usage") + "data: 5\n\n", "bad_response", "usage with bad data"),
        (event("usage", input_tokens=-1), "bad_response", "input_tokens is -1, not a number of tokens"),
        (event("usage", output_tokens="7"), "bad_response", "output_tokens is '7', not a number of tokens"),
        (event("text_delta", text=5), "bad_response", "text is 5, not a text"),
        (event("tool_call"), "bad_response", "tool_call without a tool"),
        (event("text_delta", text="a") + "event: text_delta\ndata: {", "bad_response", "event 2: text_delta with bad"),
        (event("text_delta", text="a") + "event: us", "bad_response", "event 2: the stream ends in the middle of it"),
        (event("error", message="no credit"), "server_error", "the engine reports: no credit"),
        ("event: error\ndata: no credit\n\n", "server_error", "the engine reports: no credit"),
        ("event: error\n\n", "server_error", "the engine reports: an error without a message"),
    ],
)
async def test_an_event_that_is_none_makes_the_trial_an_error_that_says_which(
    stream: str, kind: Kind, said: str
) -> None:
    error = await failure(Engine(stream).target())

    assert error.kind == kind
    assert str(error).startswith("shop at http://engine.example/base/: ")
    assert said in str(error)


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (JSONResponse({"error": {"message": "who?"}}, 401), "authentication", "401: who?; check the key in ENGINE_KEY"),
        (JSONResponse({"detail": "prompt missing"}, 422), "bad_request", "422: prompt missing"),
        (Response("gone", 404), "not_found", "404: gone; check the name of the engine and the url"),
        (Response("", 500), "server_error", "500: Internal Server Error; the provider failed, try again later"),
        (Response("", 302), "bad_response", "302: Found"),
        (
            JSONResponse({"text": "Hi"}),
            "bad_response",
            'answered application/json instead of text/event-stream: {"text":"Hi"}',
        ),
        (Response("x" * 20_000, 400), "bad_request", "400: xxx"),
    ],
)
async def test_a_refusal_says_status_and_words(answer: Response, kind: Kind, message: str) -> None:
    error = await failure(Engine(answer).target())

    assert error.kind == kind
    assert f"shop at http://engine.example/base/: {message}" in str(error)
    assert len(str(error)) < 420


async def test_an_engine_that_never_stops_talking_is_stopped() -> None:
    error = await failure(Engine(event("text_delta", text="x" * 200)).target(max_characters=100))

    assert error.kind == "bad_response"
    assert "the answer is longer than 100 characters" in str(error)


# --- asking again


def busy(status: int, retry_after: str | None = "0") -> Response:
    return Response("busy", status, headers={} if retry_after is None else {"retry-after": retry_after})


@pytest.mark.parametrize("retry_after", ["0", None, "soon", "nan", "-1", "Wed, 21 Oct 2015 07:28:00 GMT"])
async def test_a_busy_engine_is_asked_again(retry_after: str | None) -> None:
    engine = Engine(busy(429, retry_after), busy(503, retry_after), event("text_delta", text="Hello."))

    transcript = await engine.target(max_retries=2).run(TASK, NoToolbox())

    assert (transcript.final_text, len(engine.requests)) == ("Hello.", 3)


async def test_after_the_last_retry_its_last_word_is_told() -> None:
    engine = Engine(busy(503), busy(429))

    error = await failure(engine.target(max_retries=1))

    assert (error.kind, len(engine.requests)) == ("rate_limit", 2)
    assert "429: busy" in str(error)


async def test_an_engine_that_wants_to_be_left_alone_for_long_is() -> None:
    tomorrow = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
    errors = [await failure(Engine(busy(429, asked)).target(max_retries=2)) for asked in ("3600", tomorrow)]

    assert [error.kind for error in errors] == ["rate_limit", "rate_limit"]
    assert "429, and asks to wait 3600 s: busy" in str(errors[0])


@pytest.mark.parametrize("answer", [Response("no", 400), event("error", message="no"), "event: usage\ndata: {\n\n"])
async def test_what_is_no_use_to_repeat_is_not_repeated(answer: str | Response) -> None:
    engine = Engine(answer)

    await failure(engine.target(max_retries=3))

    assert len(engine.requests) == 1


# --- servers that misbehave

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(text: str) -> bytes:
    return b"%x\r\n%s\r\n" % (len(text.encode()), text.encode())


@asynccontextmanager
async def serving(handle: Callable[[SocketStream], Awaitable[None]]) -> AsyncGenerator[str]:
    """A server on this machine that reads a request and hands over; yields its address."""

    async def serve(stream: SocketStream) -> None:
        async with stream:
            received = b""
            while b"task_id" not in received:
                received += await stream.receive()
            await handle(stream)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{port}"
        group.cancel_scope.cancel()
    await listener.aclose()


def engine_at(url: str, **changed: Any) -> EngineTarget:
    return EngineTarget(endpoint(url, **changed), RunSettings(), backoff_s=0)


async def test_a_stream_that_breaks_off_is_an_error_and_no_short_answer() -> None:
    tries: list[bool] = []

    async def cut(stream: SocketStream) -> None:
        tries.append(True)
        await stream.send(HEAD + chunk(event("text_delta", text="Hel")))

    async with serving(cut) as url:
        error = await failure(engine_at(url, max_retries=2))

    assert (error.kind, len(tries)) == ("connection", 1)
    assert "the stream broke off after 1 events" in str(error)


async def test_a_lost_connection_is_tried_again() -> None:
    tries: list[bool] = []

    async def lose_the_first(stream: SocketStream) -> None:
        tries.append(True)
        if len(tries) > 1:
            await stream.send(HEAD + chunk(event("text_delta", text="Hello.")) + b"0\r\n\r\n")

    async with serving(lose_the_first) as url:
        transcript = await engine_at(url, max_retries=1).run(TASK, NoToolbox())

    assert (transcript.final_text, len(tries)) == ("Hello.", 2)


async def test_an_engine_that_is_not_there_is_a_connection_that_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    error = await failure(engine_at(f"http://127.0.0.1:{port}", max_retries=1))

    assert error.kind == "connection"
    assert "is the server running, and is the url right?" in str(error)


@pytest.mark.parametrize(
    ("sent", "said"), [(b"", "no answer within 0.2 s"), (HEAD + chunk(event("text_delta")), "(1 events came)")]
)
async def test_an_engine_that_goes_silent_is_a_timeout(sent: bytes, said: str) -> None:
    async def hang(stream: SocketStream) -> None:
        if sent:
            await stream.send(sent)
        await anyio.sleep_forever()

    async with serving(hang) as url:
        error = await failure(engine_at(url, timeout_s=0.2, max_retries=3))

    assert error.kind == "timeout"
    assert said in str(error)


async def test_an_engine_that_only_keeps_the_connection_warm_is_a_timeout_too() -> None:
    async def drip(stream: SocketStream) -> None:
        await stream.send(HEAD)
        while True:
            await stream.send(chunk(": ping\n\n"))
            await anyio.sleep(0.01)

    async with serving(drip) as url:
        error = await failure(engine_at(url, timeout_s=0.2))

    assert error.kind == "timeout"


async def test_120_trials_are_in_flight_at_a_time_and_connections_are_used_again() -> None:
    connections: list[SocketStream] = []
    waiting: list[bool] = []
    all_here = anyio.Event()
    transcripts: list[Transcript] = []

    async def answer_together(stream: SocketStream) -> None:
        connections.append(stream)
        while True:
            waiting.append(True)
            if len(waiting) == 120:
                all_here.set()
            await all_here.wait()
            await stream.send(HEAD + chunk(event("text_delta", text="Hello.")) + b"0\r\n\r\n")
            received = b""
            while b"task_id" not in received:
                received += await stream.receive()

    async def answer_until_closed(stream: SocketStream) -> None:
        with suppress(anyio.EndOfStream):
            await answer_together(stream)

    async with serving(answer_until_closed) as url:
        target = engine_at(url)

        async def run_one() -> None:
            transcripts.append(await target.run(TASK, NoToolbox()))

        for _ in range(2):
            async with anyio.create_task_group() as group:
                for _ in range(120):
                    group.start_soon(run_one)
        await target.aclose()

    assert [transcript.final_text for transcript in transcripts] == ["Hello."] * 240
    assert len(connections) == 120


# --- the key


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse({"error": f"you sent {KEY}"}, 401),
        Response(f"you sent {KEY}", 500),
        Response(f"you sent {KEY}"),
        event("error", message=KEY),
        f"event: usage\ndata: {KEY}\n\n",
        event("tool_call", tool=5, key=KEY),
    ],
)
async def test_a_key_that_an_engine_sends_back_is_in_nothing_that_is_told(
    answer: str | Response, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    target = Engine(answer).target()

    error = await failure(target)

    told = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(target)) + repr(error.__context__)
    assert KEY not in told + caplog.text


async def test_a_key_that_an_engine_says_bit_by_bit_is_in_no_transcript() -> None:
    stream = "".join(event("text_delta", text=letter) for letter in KEY) + event("tool_call", tool="f", arguments=KEY)

    transcript = await Engine(stream).target().run(TASK, NoToolbox())

    assert transcript.invocations[0] == Invocation(
        user='{"prompt": "Hi", "depth": 2}',
        steps=(Step(text="[key]", calls=(ToolCall(name="f", arguments="[key]"),), latency_s=transcript.latency_s),),
    )
