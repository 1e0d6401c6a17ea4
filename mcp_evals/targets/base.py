"""The seam between the runner and whatever is evaluated, and the step loop that all chat models share.

Knows no provider, no expectation and no store.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

from pydantic import Field, JsonValue

from mcp_evals.conversation import EndReason, Invocation, Message, Step, Task, ToolCall, ToolResult, Transcript
from mcp_evals.errors import TargetError
from mcp_evals.model import Model


class ProviderSettings(Model):
    """How to reach a provider: `[providers.NAME]` of the configuration."""

    kind: Literal["openai", "anthropic", "engine"]
    """Wire format."""
    url: str | None = None
    """Base URL; None: the provider's own."""
    key_env: str | None = None
    """Name of the environment variable that holds the key; None: no key is needed."""
    max_retries: int = Field(default=2, ge=0, le=20)
    """How often a request is sent again after a 429, a 5xx or a lost connection."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Seconds that one request may take."""


class Toolbox(Protocol):
    """The world around a target: its tools, and the user where one is simulated."""

    async def call(self, call: ToolCall) -> ToolResult | None:
        """Run a tool; None: nobody answers, and the conversation stops at the call."""
        ...

    async def next_user_turn(self, so_far: Sequence[Invocation]) -> str | None:
        """What a simulated user says next; None: the conversation is over."""
        ...


class Target(Protocol):
    """Whatever is evaluated."""

    async def run(self, task: Task, toolbox: Toolbox) -> Transcript:
        """Hold the conversation of one trial.

        Raises:
            TargetError: the trial could not be run; its `kind` groups such errors.
        """
        ...

    async def aclose(self) -> None:
        """Give back connections."""
        ...


class NoToolbox:
    """Answers no call and plays no user: the conversation stops at the first calls."""

    async def call(self, call: ToolCall) -> ToolResult | None:
        return None

    async def next_user_turn(self, so_far: Sequence[Invocation]) -> str | None:
        return None


DEMANDED_ONCE: Final = "a call was demanded of the first response to each user message, not after tool results"
"""What to know of `tool_choice: required`: a model that had to call again after every result would never answer."""


class Sent(NamedTuple):
    """What a provider is sent besides the messages."""

    request: dict[str, JsonValue]
    """Model, sampling parameters and tools, as they go out."""
    notes: tuple[str, ...] = ()
    """What a reader has to know, such as a parameter that was not sent."""


class ProviderStep(Step):
    """A response with the provider's own form of it, which some providers want to see again unchanged.

    It lives as long as the conversation; a transcript keeps the plain step.
    """

    wire: dict[str, JsonValue]
    """The assistant message as the provider wrote it."""


class ProviderMessage(Message):
    """The message of a `ProviderStep`."""

    wire: dict[str, JsonValue]
    """The assistant message as the provider wrote it."""


class ChatTarget(ABC):
    """Owns the step loop; a provider writes only `complete`, and `describe` where it has something to tell."""

    @abstractmethod
    async def complete(self, task: Task, messages: Sequence[Message]) -> Step:
        """The model's next response after `messages`; the system prompt and the tools are the task's.

        Raises:
            TargetError: there was none.
        """

    def describe(self, task: Task) -> Sent | None:
        """What the responses to this task were asked with; None: nothing to tell."""
        return None

    async def aclose(self) -> None:  # noqa: B027  a target without connections has nothing to do
        """Give back connections."""

    async def run(self, task: Task, toolbox: Toolbox) -> Transcript:
        """Hold the conversation: every user message, and for each the model's responses and its tools' results.

        Raises:
            TargetError: a response could not be had, or the task says nothing to a chat model.
        """
        conversation = list(task.history)
        invocations: list[Invocation] = []
        ended: EndReason | None = None
        while ended is None:
            user = await next_user(task, toolbox, invocations)
            if user is None:
                ended = "answer" if len(invocations) <= len(task.user_turns) else "user_stop"
                break
            conversation.append(Message(role="user", text=user))
            steps, ended = await self._answer(task, toolbox, conversation)
            invocations.append(Invocation(user=user, steps=steps))
        if not invocations:
            raise TargetError(
                f'case "{task.case_id}" has no user message for a chat model; give it `user`, or run it on an engine',
                kind="bad_request",
            )
        sent = self.describe(task)
        return Transcript(
            system=task.system,
            history=task.history,
            invocations=tuple(invocations),
            ended=ended,
            request=sent.request if sent else None,
            notes=sent.notes if sent else (),
        )

    async def _answer(
        self, task: Task, toolbox: Toolbox, conversation: list[Message]
    ) -> tuple[tuple[Step, ...], EndReason | None]:
        """The steps that answer the last user message, and why the conversation ends with them, if it does."""
        steps: list[Step] = []
        while len(steps) < task.max_steps:
            started = time.perf_counter()
            step = await self.complete(task, conversation)
            latency_s = time.perf_counter() - started
            answers = [_answered(call, await toolbox.call(call)) for call in step.calls]
            results = tuple(answer for answer in answers if answer is not None)
            steps.append(_plain(step, results, latency_s))
            conversation.append(_said(step))
            if not step.calls:
                return tuple(steps), None
            if len(results) < len(step.calls):
                return tuple(steps), "calls"
            conversation.append(Message(role="tool", results=results))
        return tuple(steps), "max_steps"


async def next_user(task: Task, toolbox: Toolbox, so_far: Sequence[Invocation]) -> str | None:
    """The next message of the task, then whatever a simulated user says; None: the conversation is over."""
    if len(so_far) < len(task.user_turns):
        return task.user_turns[len(so_far)]
    return await toolbox.next_user_turn(so_far)


def _answered(call: ToolCall, result: ToolResult | None) -> ToolResult | None:
    """The result with the id of its call, also where the toolbox left it out."""
    if result is None or result.call_id is not None or call.id is None:
        return result
    return result.model_copy(update={"call_id": call.id})


def _plain(step: Step, results: tuple[ToolResult, ...], latency_s: float) -> Step:
    fields: dict[str, Any] = {name: getattr(step, name) for name in Step.model_fields}
    fields["results"] = results
    fields["latency_s"] = latency_s if step.latency_s is None else step.latency_s
    return Step.model_construct(**fields)


def _said(step: Step) -> Message:
    if isinstance(step, ProviderStep):
        return ProviderMessage(role="assistant", text=step.text, calls=step.calls, wire=step.wire)
    return Message(role="assistant", text=step.text, calls=step.calls)
