"""What goes wrong between us and a provider, told the same way for each of them; run against their own clients."""

import json
import logging
import socket
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import anthropic
import anyio
import httpx2
import openai
import pytest
from anyio.abc import SocketStream

import mcp_evals.targets.anthropic as anthropic_module
import mcp_evals.targets.openai as openai_module
from mcp_evals.conversation import Task, Transcript
from mcp_evals.errors import TargetError
from mcp_evals.results import RunSettings
from mcp_evals.targets.anthropic import AnthropicTarget
from mcp_evals.targets.base import ChatTarget, NoToolbox
from mcp_evals.targets.endpoint import Endpoint, Kind
from mcp_evals.targets.openai import OpenAITarget

pytestmark = pytest.mark.anyio

KEY = "sk-canary-4711-do-not-tell"
TASK = Task(run_id="r", case_id="c", user_turns=("Hello",))
FINE: dict[str, Any] = {
    "choices": [{"message": {"role": "assistant", "content": "Hi."}}],
    "content": [{"type": "text", "text": "Hi."}],
}
Handler = Callable[[httpx2.Request], httpx2.Response]

both = pytest.mark.parametrize("make", [OpenAITarget, AnthropicTarget])


def target(make: Any, handler: Handler, **endpoint: Any) -> ChatTarget:
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(handler))
    return make(_endpoint(**endpoint), RunSettings(), http_client=client)


def _endpoint(**changed: Any) -> Endpoint:
    reached = {"url": "https://shop.example/v1", "model": "m", "key_env": "SHOP_KEY", "key": KEY, "max_retries": 0}
    return Endpoint(name="shop", **{**reached, **changed})


async def failure(found: ChatTarget) -> TargetError:
    with pytest.raises(TargetError) as caught:
        await found.run(TASK, NoToolbox())
    return caught.value


class Sequence:
    """Answers with one status after the other."""

    def __init__(self, *statuses: int, **headers: str) -> None:
        self.statuses = list(statuses)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.count = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.count += 1
        status = self.statuses.pop(0)
        body = FINE if status == 200 else {"error": {"message": "not now"}}
        return httpx2.Response(status, json=body, headers=self.headers)


# --- kinds


@both
@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (400, "bad_request", "400: not now"),
        (401, "authentication", "401: not now; check the key in SHOP_KEY"),
        (403, "permission", '403: not now; may the key in SHOP_KEY use model "m", and is it paid for?'),
        (404, "not_found", '404: not now; check the name of model "m" and the url'),
        (422, "bad_request", "422: not now"),
        (429, "rate_limit", "429: not now; wait, lower max_concurrency, or raise max_retries"),
        (500, "server_error", "500: not now; the provider failed, try again later"),
        (529, "server_error", "529: not now; the provider failed, try again later"),
    ],
)
async def test_a_refusal_says_what_the_provider_said_and_the_way_out(
    make: Any, status: int, kind: Kind, message: str
) -> None:
    error = await failure(target(make, Sequence(status)))

    assert (error.kind, str(error)) == (kind, f"shop at https://shop.example/v1: {message}")


@both
async def test_a_page_where_json_should_be_is_told_in_short(make: Any) -> None:
    page = "<html>\n" + "<p>bad gateway</p>\n" * 1000

    error = await failure(target(make, lambda _: httpx2.Response(502, text=page)))

    assert error.kind == "server_error"
    assert str(error).startswith("shop at https://shop.example/v1: 502: <html> <p>bad gateway</p>")
    assert len(str(error)) < 420


@both
async def test_a_rate_limit_is_waited_out_as_long_as_the_provider_asks(make: Any) -> None:
    server = Sequence(429, 500, 200, retry_after="0.001")

    transcript = await target(make, server, max_retries=2).run(TASK, NoToolbox())

    assert (transcript.final_text, server.count) == ("Hi.", 3)


@both
async def test_after_the_last_retry_the_provider_s_last_word_is_told(make: Any) -> None:
    server = Sequence(500, 429, 429, retry_after="0.001")

    error = await failure(target(make, server, max_retries=2))

    assert (error.kind, server.count) == ("rate_limit", 3)


@both
async def test_what_is_no_use_to_repeat_is_not_repeated(make: Any) -> None:
    server = Sequence(401)

    await failure(target(make, server, max_retries=5))

    assert server.count == 1


@both
async def test_a_server_that_is_not_there_is_a_connection_that_failed(make: Any, unused_port: int) -> None:
    error = await failure(make(_endpoint(url=f"http://127.0.0.1:{unused_port}"), RunSettings()))

    assert error.kind == "connection"
    assert "is the server running, and is the url right?" in str(error)


@pytest.mark.parametrize(("module", "base"), [(openai, "OpenAIError"), (anthropic, "AnthropicError")])
def test_no_error_of_a_provider_s_client_is_left_without_a_kind(module: ModuleType, base: str) -> None:
    kinds = {openai: openai_module.KINDS, anthropic: anthropic_module.KINDS}[module]
    found = [getattr(module, name) for name in dir(module) if not name.startswith("_")]
    errors = [cls for cls in found if isinstance(cls, type) and issubclass(cls, getattr(module, base))]

    # The base stands for what is nothing else: an error of its own has to have a kind of its own.
    unmapped = [
        cls.__name__
        for cls in errors
        if cls.__name__ != base and not {"APIStatusError", *kinds} - {base} & {c.__name__ for c in cls.__mro__}
    ]

    assert len(errors) > 10
    assert unmapped == []


# --- servers that misbehave


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@asynccontextmanager
async def serving(handle: Callable[[SocketStream], Awaitable[None]]) -> AsyncGenerator[str]:
    """A server on this machine; yields its address."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        yield f"http://127.0.0.1:{port}"
        group.cancel_scope.cancel()
    await listener.aclose()


async def take_request(stream: SocketStream) -> None:
    """Read one request, headers and body."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += await stream.receive()
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += await stream.receive()


def response(body: bytes, *, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (size, body)


@both
async def test_a_server_that_never_answers_is_a_timeout(make: Any) -> None:
    async def hang(stream: SocketStream) -> None:
        async with stream:
            await anyio.sleep_forever()

    async with serving(hang) as url:
        error = await failure(make(_endpoint(url=url, timeout_s=0.2), RunSettings()))

    assert error.kind == "timeout"
    assert str(error) == f"shop at {url}: no answer within 0.2 s; raise timeout_s in [providers.shop], now 0.2"


@both
async def test_an_answer_that_breaks_off_is_a_connection_that_failed(make: Any) -> None:
    async def cut(stream: SocketStream) -> None:
        async with stream:
            await take_request(stream)
            await stream.send(response(b'{"choices": [', length=1000))

    async with serving(cut) as url:
        error = await failure(make(_endpoint(url=url), RunSettings()))

    assert error.kind == "connection"


@both
async def test_a_lost_connection_is_tried_again(make: Any) -> None:
    lost: list[bool] = []

    async def lose_the_first(stream: SocketStream) -> None:
        async with stream:
            await take_request(stream)
            if lost:
                await stream.send(response(json.dumps(FINE).encode()))
            lost.append(True)

    async with serving(lose_the_first) as url:
        transcript = await make(_endpoint(url=url, max_retries=1), RunSettings()).run(TASK, NoToolbox())

    assert (transcript.final_text, len(lost)) == ("Hi.", 2)


@both
async def test_one_client_holds_120_requests_at_a_time(make: Any) -> None:
    waiting: list[SocketStream] = []
    all_here = anyio.Event()
    transcripts: list[Transcript] = []

    async def answer_together(stream: SocketStream) -> None:
        async with stream:
            await take_request(stream)
            waiting.append(stream)
            if len(waiting) == 120:
                all_here.set()
            await all_here.wait()
            await stream.send(response(json.dumps(FINE).encode()))

    async with serving(answer_together) as url:
        found: ChatTarget = make(_endpoint(url=url), RunSettings())

        async def run_one() -> None:
            transcripts.append(await found.run(TASK, NoToolbox()))

        async with anyio.create_task_group() as group:
            for _ in range(120):
                group.start_soon(run_one)
        await found.aclose()

    assert [transcript.final_text for transcript in transcripts] == ["Hi."] * 120


# --- the key


@both
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
async def test_a_key_that_a_server_sends_back_is_in_nothing_that_is_told(make: Any, status: int) -> None:
    def echo(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, json={"error": {"message": f"you sent {request.headers['authorization']}"}})

    found = target(make, echo)

    error = await failure(found)

    told = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(found)) + repr(error.__context__)
    assert KEY not in told
    assert "[key]" in str(error)


@both
async def test_a_key_that_a_model_says_is_in_no_transcript(make: Any) -> None:
    said = {"choices": [{"message": {"content": f"{KEY}!"}}], "content": [{"type": "text", "text": f"{KEY}!"}]}

    transcript = await target(make, lambda _: httpx2.Response(200, json=said)).run(TASK, NoToolbox())

    assert transcript.final_text == "[key]!"
    assert KEY not in transcript.model_dump_json()


@both
async def test_the_key_is_in_no_log(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    await failure(target(make, Sequence(401)))

    assert caplog.records
    assert KEY not in caplog.text
