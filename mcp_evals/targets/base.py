"""The seam between the runner and whatever is evaluated, and the step loop that all chat models share.

Knows no provider, no expectation and no store.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, Protocol

from pydantic import Field

from mcp_evals.conversation import Invocation, Message, Step, Task, ToolCall, ToolResult, Transcript
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


class ChatTarget(ABC):
    """Owns the step loop; a provider writes only `complete`."""

    @abstractmethod
    async def complete(self, task: Task, messages: Sequence[Message]) -> Step:
        """The model's next response after `messages`."""
