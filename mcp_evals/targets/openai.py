"""Models behind OpenAI's chat completions, at OpenAI or at any server that speaks the same.

The only module that knows the `openai` package.
"""

import re
from collections.abc import Sequence
from itertools import cycle
from typing import Any, Final, cast
from urllib.parse import urlsplit

from openai import AsyncOpenAI, DefaultAsyncHttpxClient, OpenAIError, Timeout

from mcp_evals.conversation import Message, Step, Task
from mcp_evals.errors import TargetError
from mcp_evals.results import RunSettings
from mcp_evals.targets.base import DEMANDED_ONCE, ChatTarget, ProviderStep, Sent
from mcp_evals.targets.endpoint import CONNECT_TIMEOUT_S, Endpoint, Kind, said_in
from mcp_evals.targets.messages import (
    json_list,
    json_object,
    openai_messages,
    read_json,
    read_openai_calls,
    read_openai_text,
    read_openai_usage,
)
from mcp_evals.targets.schemas import WireTools, wire_name, wire_tools

NO_KEY: Final = "none"
"""Sent where no key is needed: the client insists on one, and would otherwise take OpenAI's from the environment."""
CLIENTS: Final = 4
"""Clients that share the requests: one pool of connections slows down with many of them in flight."""
OFFICIAL: Final = "api.openai.com"
OTHER_LIMIT: Final = {"max_completion_tokens": "max_tokens", "max_tokens": "max_completion_tokens"}
"""OpenAI's newer models know only the first, servers that came before it only the second."""

KINDS: Final[dict[str, Kind]] = {
    "APITimeoutError": "timeout",
    "APIConnectionError": "connection",
    "APIResponseValidationError": "bad_response",
    "APIError": "server_error",
    "ContentFilterFinishReasonError": "bad_response",
    "LengthFinishReasonError": "bad_response",
    "SubjectTokenProviderError": "authentication",
    "WebSocketConnectionClosedError": "connection",
    "WebSocketQueueFullError": "connection",
    "OpenAIError": "bad_request",
}
"""What the package's errors say where there is no HTTP status, by name: not every version has all of them."""


class OpenAITarget(ChatTarget):
    """One model; its client and connections are shared by all trials."""

    def __init__(
        self, endpoint: Endpoint, settings: RunSettings, *, http_client: DefaultAsyncHttpxClient | None = None
    ) -> None:
        self._endpoint = endpoint
        self._settings = settings
        official = urlsplit(endpoint.url).hostname == OFFICIAL
        self._first_limit = "max_completion_tokens" if official else "max_tokens"
        self._limit = self._first_limit
        self._clients = [
            AsyncOpenAI(
                api_key=endpoint.key or NO_KEY,
                base_url=endpoint.url,
                max_retries=endpoint.max_retries,
                timeout=Timeout(endpoint.timeout_s, connect=min(CONNECT_TIMEOUT_S, endpoint.timeout_s)),
                http_client=http_client,
            )
            for _ in range(1 if http_client else CLIENTS)
        ]
        if not official:
            # The client takes them from the environment; they are nobody else's business.
            for client in self._clients:
                client.organization = client.project = None
        if not endpoint.from_environment:
            for client in self._clients:
                # OPENAI_CUSTOM_HEADERS; the client has no other way to be without them.
                client._custom_headers = {}  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        self._next_client = cycle(self._clients)

    async def complete(self, task: Task, messages: Sequence[Message]) -> Step:
        """The model's next response after `messages`."""
        tools = self._tools(task)
        wire = openai_messages(task.system, messages, wire_name)
        after_results = bool(messages) and messages[-1].role == "tool"
        limit = self._limit
        answer = await self._post(self._request(task, tools, after_results=after_results), wire)
        if isinstance(answer, TargetError) and limit == self._first_limit and _refuses(answer, limit):
            self._limit = OTHER_LIMIT[limit]
            answer = await self._post(self._request(task, tools, after_results=after_results), wire)
        if isinstance(answer, TargetError):
            raise answer
        try:
            step = _read(answer, tools)
        except ValueError as error:
            detail = str(error)
        else:
            return self._endpoint.hide_in(step)
        raise self._endpoint.error("bad_response", detail)

    def describe(self, task: Task) -> Sent:
        """What the responses to this task were asked with."""
        tools = self._tools(task)
        request = {**self._request(task, tools), **self._settings.extra}
        demanded = (DEMANDED_ONCE,) if "tool_choice" in request and self._settings.tool_choice == "required" else ()
        return Sent(request, (*tools.notes, *demanded))

    async def aclose(self) -> None:
        """Give back connections."""
        for client in self._clients:
            await client.close()

    def _tools(self, task: Task) -> WireTools:
        return wire_tools(task.tools, strict=self._settings.strict_schemas is True)

    def _request(self, task: Task, tools: WireTools, *, after_results: bool = False) -> dict[str, Any]:
        settings = self._settings
        default = settings.tool_choice == "auto" or (settings.tool_choice == "required" and after_results)
        given = {
            "model": self._endpoint.model,
            "temperature": settings.temperature,
            "seed": task.seed,
            self._limit: settings.max_output_tokens,
            "tool_choice": settings.tool_choice if tools.sent and not default else None,
            "parallel_tool_calls": settings.parallel_calls if tools.sent else None,
            "tools": [tool.openai for tool in tools.sent] or None,
        }
        return {name: value for name, value in given.items() if value is not None}

    async def _post(self, request: dict[str, Any], messages: list[dict[str, Any]]) -> bytes | TargetError:
        create = cast(Any, next(self._next_client).chat.completions.with_raw_response.create)
        # The client walks through what it knows as messages and tools, for a third of the time that a call takes.
        body = {**request, "messages": messages, **self._settings.extra}
        try:
            response = await create(model=self._endpoint.model, messages=[], extra_body=body)
        except OpenAIError as error:
            return self._endpoint.client_error(error, KINDS)
        return cast(bytes, response.http_response.content)


def _refuses(error: TargetError, parameter: str) -> bool:
    """Whether a parameter is not known at all; one whose value is refused must not be left out in silence."""
    told = str(error)
    return error.kind == "bad_request" and parameter in told and _NOT_KNOWN.search(told) is not None


_NOT_KNOWN: Final = re.compile(
    "un(supported|recogni[sz]ed|known|expected)|not (supported|permitted|allowed)|max_completion_tokens.* instead",
    re.IGNORECASE,
)


def _read(body: bytes, tools: WireTools) -> Step:
    answer = json_object(read_json(body), "the answer")
    choices = json_list(answer.get("choices"))
    if not choices:
        raise ValueError(f"no choices in the answer: {said_in(answer)}")
    choice = json_object(choices[0], "choices[0]")
    message = json_object(choice.get("message"), "choices[0].message")
    text, calls = read_openai_text(message), read_openai_calls(message)
    model, reason, mark = answer.get("model"), choice.get("finish_reason"), answer.get("system_fingerprint")
    step = Step(
        text=text,
        calls=tuple(tools.read(call) for call in calls),
        usage=read_openai_usage(answer.get("usage")),
        model=model if isinstance(model, str) else None,
        stop_reason=reason if isinstance(reason, str) else None,
        fingerprint=mark if isinstance(mark, str) else None,
    )
    wire = _wire(message, text)
    return ProviderStep(**dict(step), wire=wire) if wire else step


def _wire(message: dict[str, Any], text: str) -> dict[str, Any] | None:
    """What goes back of a message with calls: with what some servers hang on them, signatures and thoughts."""
    calls = json_list(message.get("tool_calls"))
    if not calls:
        return None
    thought = {key: message[key] for key in ("reasoning_content",) if isinstance(message.get(key), str)}
    return {"role": "assistant", "content": text or None, "tool_calls": calls, **thought}
