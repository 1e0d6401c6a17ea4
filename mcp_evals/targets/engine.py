"""Agents behind the engine protocol: one POST, answered by a stream of server-sent events.

The body is the case's `input` as it is, or else `{"messages", "system", "tools"}`, messages and tools in OpenAI's form;
`task_id` is added. Events: `text_delta {text}`, `tool_call {tool, arguments?}`, `usage {input_tokens, output_tokens,
cache_hit_tokens}` (added up), `error {message}`, `done`; others are ignored. The engine runs its tools itself, and need
not say `done`: a stream that ends as HTTP streams end is whole, one that breaks off is an error.

The only module that knows `httpx`.
"""

import json
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple, cast

import anyio
import httpx
from httpx_sse import EventSource, ServerSentEvent

from mcp_evals.conversation import Invocation, Message, Step, Task, ToolCall, Transcript, Usage
from mcp_evals.errors import TargetError
from mcp_evals.results import RunSettings
from mcp_evals.targets.base import Toolbox, next_user
from mcp_evals.targets.endpoint import CONNECT_TIMEOUT_S, Endpoint, Kind, cause_text, kind_of_status, said_in
from mcp_evals.targets.messages import json_object, openai_messages, read_arguments, read_json, read_tokens
from mcp_evals.targets.schemas import WireTool

MAX_CHARACTERS: Final = 10_000_000
"""An engine that says more than this has lost its way."""
MAX_ERROR_CHARACTERS: Final = 10_000
"""What is read of a body that is no event stream."""
MAX_WAIT_S: Final = 120.0
"""An engine that wants to be left alone for longer is not asked again."""
MAX_BACKOFF_S: Final = 8.0


class EngineTarget:
    """One engine. Each request in flight has a client of its own, because a shared one gets slow with many."""

    def __init__(
        self,
        endpoint: Endpoint,
        settings: RunSettings,
        *,
        backoff_s: float = 0.5,
        max_characters: int = MAX_CHARACTERS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._backoff_s = backoff_s
        self._max_characters = max_characters
        self._transport = transport
        self._tls = httpx.create_ssl_context()
        self._idle: list[httpx.AsyncClient] = []

    async def run(self, task: Task, toolbox: Toolbox) -> Transcript:
        """Put the case's input to the engine, or its user messages one after the other.

        Raises:
            TargetError: the engine could not be reached, did not accept the request, or broke off.
        """
        notes = self._unsent(task)
        if task.input is not None:
            asked = task.user_turns[0] if task.user_turns else json.dumps(task.input, ensure_ascii=False)
            if len(task.user_turns) > 1:
                notes += ("the engine was sent the case's input once; its further user messages were not said",)
            body = {**task.input, "task_id": task.task_id}
            answered = Invocation(user=asked, steps=(await self._execute(body),))
            return self._transcript(task, (answered,), request=body, notes=notes)
        invocations: list[Invocation] = []
        conversation = list(task.history)
        request = _body(task)
        while (user := await next_user(task, toolbox, invocations)) is not None:
            conversation.append(Message(role="user", text=user))
            step = await self._execute({"messages": openai_messages(None, conversation), **request})
            # What its tools returned, only the engine knows: the calls would stand there unanswered.
            conversation.append(Message(role="assistant", text=step.text))
            invocations.append(Invocation(user=user, steps=(step,)))
        if not invocations:
            raise TargetError(
                f'case "{task.case_id}" has nothing for an engine; give it `input` or `user`', kind="bad_request"
            )
        return self._transcript(task, tuple(invocations), request=request, notes=notes)

    async def aclose(self) -> None:
        """Give back connections."""
        while self._idle:
            await self._idle.pop().aclose()

    def _transcript(
        self, task: Task, invocations: tuple[Invocation, ...], *, request: dict[str, Any], notes: tuple[str, ...]
    ) -> Transcript:
        return Transcript(
            system=task.system,
            history=task.history,
            invocations=invocations,
            ended="answer" if len(invocations) <= max(len(task.user_turns), 1) else "user_stop",
            request=request,
            notes=notes,
        )

    def _unsent(self, task: Task) -> tuple[str, ...]:
        settings = self._settings
        asked = {
            "seed": task.seed is not None,
            "temperature": settings.temperature is not None,
            "max_output_tokens": settings.max_output_tokens is not None,
            "tool_choice": settings.tool_choice != "auto",
            "parallel_calls": settings.parallel_calls is not None,
            "strict_schemas": settings.strict_schemas is not None,
            "extra": bool(settings.extra),
        }
        unsent = ", ".join(name for name, given in asked.items() if given)
        return (f"an engine takes no settings of this kind; not sent: {unsent}",) if unsent else ()

    async def _execute(self, body: dict[str, Any]) -> Step:
        """One answer, asked for again while that may help and nothing of it has come."""
        for attempt in range(self._endpoint.max_retries + 1):
            outcome = await self._attempt(body)
            if isinstance(outcome, Step):
                return outcome
            if outcome.wait_s is None or attempt == self._endpoint.max_retries:
                raise outcome.error
            backoff_s = min(self._backoff_s * 2**attempt, MAX_BACKOFF_S)
            # Trials that failed together should not come back together.
            await anyio.sleep(max(outcome.wait_s, backoff_s * random.uniform(0.75, 1)))  # noqa: S311  no secret
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, body: dict[str, Any]) -> "Step | _Refused":
        endpoint, reading = self._endpoint, _Reading()
        started = time.perf_counter()
        try:
            with anyio.fail_after(endpoint.timeout_s):
                async with self._client() as client, self._post(client, body) as response:
                    refused = await self._refusal(response)
                    if refused is not None:
                        return refused
                    reading.begun = True
                    await self._read(response, reading)
        except TimeoutError as error:
            said = f"{endpoint.no_answer} ({reading.events} events came)" if reading.begun else endpoint.no_answer
            return _Refused(endpoint.error("timeout", said, error))
        except httpx.HTTPError as error:
            if reading.begun:
                said = f"the stream broke off after {reading.events} events ({cause_text(error)})"
                return _Refused(endpoint.error("connection", said, error))
            return _Refused(endpoint.error("connection", cause_text(error), error), wait_s=0.0)
        except TargetError as error:
            return _Refused(error)
        return endpoint.hide_in(reading.step(latency_s=time.perf_counter() - started))

    @asynccontextmanager
    async def _client(self) -> AsyncGenerator[httpx.AsyncClient]:
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        client = (
            self._idle.pop()
            if self._idle
            else httpx.AsyncClient(verify=self._tls, timeout=timeout, transport=self._transport)
        )
        try:
            yield client
        finally:
            self._idle.append(client)

    def _post(self, client: httpx.AsyncClient, body: dict[str, Any]) -> Any:
        key = {"X-Engine-Key": self._endpoint.key} if self._endpoint.key else {}
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store", **key}
        return client.stream("POST", self._endpoint.url.rstrip("/") + "/execute", json=body, headers=headers)

    async def _refusal(self, response: httpx.Response) -> "_Refused | None":
        """Why there will be no events; None where there will."""
        status = response.status_code
        kind = response.headers.get("content-type", "nothing").partition(";")[0].strip()
        if response.is_success and kind.lower() == "text/event-stream":
            return None
        text = await _beginning(response)
        if response.is_success:
            said = f"answered {kind} instead of text/event-stream: {text}"
            return _Refused(self._endpoint.error("bad_response", said))
        with suppress(ValueError):
            text = said_in(read_json(text)) or text
        wait_s = _retry_after_s(response) if status == 429 or status >= 500 else None
        error = self._endpoint.error(kind_of_status(status), f"{status}: {text}")
        if wait_s is not None and wait_s > MAX_WAIT_S:
            asked = f"{status}, and asks to wait {wait_s:g} s: {text}"
            return _Refused(self._endpoint.error(kind_of_status(status), asked))
        return _Refused(error, wait_s=wait_s)

    async def _read(self, response: httpx.Response, reading: "_Reading") -> None:
        """Take in events until the engine is done or the stream ends.

        Raises:
            TargetError: an event is no event of the protocol, reports an error, or the engine says too much.
        """
        bounded = _BoundedResponse(response, self._max_characters)
        failure: tuple[Kind, str] | None = None
        try:
            async with aclosing(EventSource(cast(httpx.Response, bounded)).aiter_sse()) as events:
                async for event in events:
                    if event.event == "error":
                        failure = "server_error", f"the engine reports: {_error_text(event.data)}"
                    if failure or reading.take(event, left_open=bounded.over):
                        break
        except ValueError as error:
            failure = "bad_response", f"event {reading.events + 1}: {error}"
        if failure:
            raise self._endpoint.error(*failure)


class _Refused(NamedTuple):
    """An attempt that came to nothing."""

    error: TargetError
    wait_s: float | None = None
    """How long the engine wants to be left alone; None: asking again would not help."""


class _Reading:
    """What has come of one answer."""

    def __init__(self) -> None:
        self.begun = False
        self.events = 0
        self._texts: list[str] = []
        self._calls: list[ToolCall] = []
        self._usage: Usage | None = None
        self._model: str | None = None
        self._done = False

    def take(self, event: ServerSentEvent, *, left_open: bool) -> bool:
        """Take in one event; whether it was the last.

        Raises:
            ValueError: it is none of the protocol, or the stream ended before it did.
        """
        if left_open and not event.data and event.event not in ("message", "done"):
            raise ValueError("the stream ends in the middle of it")
        if event.event == "done":
            self._done = True
        elif event.event in ("text_delta", "tool_call", "usage"):
            self._take(event.event, _content(event))
        self.events += 1
        return self._done

    def step(self, latency_s: float) -> Step:
        """The answer as one step."""
        return Step(
            text="".join(self._texts),
            calls=tuple(self._calls),
            usage=self._usage,
            latency_s=latency_s,
            model=self._model,
            stop_reason="done" if self._done else None,
        )

    def _take(self, name: str, content: dict[str, Any]) -> None:
        if name == "text_delta":
            self._texts.append(_text(content, "text") or "")
        elif name == "tool_call":
            tool = _text(content, "tool")
            if not tool:
                raise ValueError("tool_call without a tool")
            arguments = read_arguments(content.get("arguments"))
            self._calls.append(ToolCall(name=tool, arguments=arguments, id=_text(content, "id")))
        else:
            counted = Usage(
                input_tokens=_tokens(content, "input_tokens"),
                output_tokens=_tokens(content, "output_tokens"),
                cached_input_tokens=_tokens(content, "cache_hit_tokens"),
            )
            self._usage = counted if self._usage is None else self._usage + counted
            self._model = _text(content, "model") or self._model


class _BoundedResponse:
    """A response that ends when it gets too long, and closes an event that the engine left open at its end."""

    def __init__(self, response: httpx.Response, limit: int) -> None:
        self._response = response
        self._limit = limit
        self.headers = response.headers
        self.over = False
        """Whether all has come: what is read from then on was left open."""

    async def aiter_text(self) -> AsyncIterator[str]:
        """The text as it comes."""
        length = 0
        async for text in self._response.aiter_text():
            # An event stream may begin with a byte order mark, which is no part of it.
            yield text if length else text.removeprefix("\ufeff")
            length += len(text)
            if length > self._limit:
                raise ValueError(f"the answer is longer than {self._limit:,} characters")
        self.over = True
        yield "\n\n"


def _body(task: Task) -> dict[str, Any]:
    """What an engine is sent besides the messages, where the case has no input of its own."""
    tools = [WireTool(tool, tool.name, tool.input_schema).openai for tool in task.tools]
    prompt = {} if task.system is None else {"system": task.system}
    return {**prompt, "tools": tools, "task_id": task.task_id}


async def _beginning(response: httpx.Response) -> str:
    """The first of a body that is read only to be shown."""
    text = ""
    async for part in response.aiter_text():
        text += part
        if len(text) > MAX_ERROR_CHARACTERS:
            break
    return text.strip() or response.reason_phrase


def _retry_after_s(response: httpx.Response) -> float:
    """How long the engine asks to be left alone, in seconds or until a date; 0 where it does not say."""
    asked = response.headers.get("retry-after", "").strip()
    if asked.replace(".", "", 1).isdecimal():
        return float(asked)
    try:
        until = parsedate_to_datetime(asked)
    except ValueError:
        return 0.0
    return max((until - datetime.now(UTC)).total_seconds(), 0.0) if until.tzinfo else 0.0


def _content(event: ServerSentEvent) -> dict[str, Any]:
    try:
        return json_object(read_json(event.data), "its data")
    except ValueError as error:
        raise ValueError(f"{event.event} with bad data ({error}): {event.data}") from None


def _error_text(data: str) -> str:
    try:
        return said_in(read_json(data)) or "an error without a message"
    except ValueError:
        return data or "an error without a message"


def _text(content: dict[str, Any], key: str) -> str | None:
    found = content.get(key)
    if found is not None and not isinstance(found, str):
        raise ValueError(f"{key} is {found!r}, not a text")
    return found


def _tokens(content: dict[str, Any], key: str) -> int | None:
    found = content.get(key)
    tokens = read_tokens(found)
    if found is not None and tokens is None:
        raise ValueError(f"{key} is {found!r}, not a number of tokens")
    return tokens
