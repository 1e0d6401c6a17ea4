"""Models behind Anthropic's messages, at Anthropic or at any server that speaks the same.

The only module that knows the `anthropic` package.
"""

from collections.abc import Sequence
from typing import Any, Final, cast

from anthropic import AnthropicError, AsyncAnthropic, DefaultAsyncHttpxClient, Timeout

from mcp_evals.conversation import Message, Step, Task
from mcp_evals.errors import TargetError
from mcp_evals.results import RunSettings
from mcp_evals.targets.base import DEMANDED_ONCE, ChatTarget, ProviderStep, Sent
from mcp_evals.targets.endpoint import CONNECT_TIMEOUT_S, Endpoint, Kind, said_in
from mcp_evals.targets.messages import (
    anthropic_messages,
    json_object,
    read_anthropic_calls,
    read_anthropic_text,
    read_anthropic_usage,
    read_json,
)
from mcp_evals.targets.schemas import WireTools, wire_name, wire_tools

NO_KEY: Final = "none"
"""Sent where no key is needed: the client insists on one, and would otherwise take Anthropic's from the environment."""
MAX_TOKENS: Final = 4096
"""The API wants a bound; this is ours where the run sets none."""

KINDS: Final[dict[str, Kind]] = {
    "APITimeoutError": "timeout",
    "APIConnectionError": "connection",
    "APIResponseValidationError": "bad_response",
    "APIWebhookValidationError": "bad_response",
    "APIError": "server_error",
    "CredentialsError": "authentication",
    "WorkloadIdentityError": "authentication",
    "RetryableError": "server_error",
    "AnthropicError": "bad_request",
}
"""What the package's errors say where there is no HTTP status, by name: not every version has all of them."""


class AnthropicTarget(ChatTarget):
    """One model; its client and connections are shared by all trials."""

    def __init__(
        self, endpoint: Endpoint, settings: RunSettings, *, http_client: DefaultAsyncHttpxClient | None = None
    ) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._client = AsyncAnthropic(
            api_key=endpoint.key or NO_KEY,
            base_url=endpoint.url,
            max_retries=endpoint.max_retries,
            timeout=Timeout(endpoint.timeout_s, connect=min(CONNECT_TIMEOUT_S, endpoint.timeout_s)),
            http_client=http_client,
        )
        if not endpoint.from_environment:
            # ANTHROPIC_CUSTOM_HEADERS are nobody else's business; the client has no other way to be without them.
            self._client._custom_headers = {}  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    async def complete(self, task: Task, messages: Sequence[Message]) -> Step:
        """The model's next response after `messages`."""
        tools = self._tools(task)
        system, wire = anthropic_messages(task.system, messages, wire_name)
        after_results = bool(messages) and messages[-1].role == "tool"
        prompt = {} if system is None else {"system": system}
        answer = await self._post({**self._request(tools, after_results=after_results), **prompt, "messages": wire})
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
        request = {**self._request(tools), **self._body()}
        seed = ("anthropic takes no seed; it was not sent",) if task.seed is not None else ()
        demanded = (DEMANDED_ONCE,) if "tool_choice" in request and self._settings.tool_choice == "required" else ()
        return Sent(request, (*tools.notes, *seed, *demanded))

    async def aclose(self) -> None:
        """Give back connections."""
        await self._client.close()

    def _tools(self, task: Task) -> WireTools:
        return wire_tools(task.tools, strict=self._settings.strict_schemas is True, all_required=False)

    def _request(self, tools: WireTools, *, after_results: bool = False) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self._endpoint.model,
            "max_tokens": self._settings.max_output_tokens or MAX_TOKENS,
        }
        if tools.sent:
            choice = self._tool_choice(after_results=after_results)
            request |= {"tool_choice": choice} if choice else {}
            request["tools"] = [tool.anthropic for tool in tools.sent]
        return request

    def _tool_choice(self, *, after_results: bool) -> dict[str, Any] | None:
        settings = self._settings
        if settings.tool_choice == "none":
            return {"type": "none"}
        demanded = settings.tool_choice == "required" and not after_results
        if settings.parallel_calls is not None:
            return {"type": "any" if demanded else "auto", "disable_parallel_tool_use": not settings.parallel_calls}
        return {"type": "any"} if demanded else None

    def _body(self) -> dict[str, Any]:
        """What the client has no parameter for."""
        temperature = self._settings.temperature
        return {**({} if temperature is None else {"temperature": temperature}), **self._settings.extra}

    async def _post(self, request: dict[str, Any]) -> bytes | TargetError:
        create = cast(Any, self._client.messages.with_raw_response.create)
        try:
            response = await create(**request, extra_body=self._body() or None)
        except AnthropicError as error:
            return self._endpoint.client_error(error, KINDS)
        return cast(bytes, response.http_response.content)


def _read(body: bytes, tools: WireTools) -> Step:
    answer = json_object(read_json(body), "the answer")
    blocks = answer.get("content")
    if not isinstance(blocks, list):
        raise ValueError(f"no content in the answer: {said_in(answer)}")  # noqa: TRY004  the answer is wrong
    content = cast(list[Any], blocks)
    model, reason = answer.get("model"), answer.get("stop_reason")
    step = Step(
        text=read_anthropic_text(content),
        calls=tuple(tools.read(call) for call in read_anthropic_calls(content)),
        usage=read_anthropic_usage(answer.get("usage")),
        model=model if isinstance(model, str) else None,
        stop_reason=reason if isinstance(reason, str) else None,
    )
    # Thoughts are signed: they have to come back as they were, before the calls that they led to.
    return ProviderStep(**dict(step), wire={"role": "assistant", "content": content}) if step.calls else step
