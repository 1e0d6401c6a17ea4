"""What is said between a user, a model and its tools: the values that targets make and scoring reads.

Knows no provider, no suite and no score.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import Field, JsonValue, SerializationInfo, field_serializer, model_validator

from mcp_evals.errors import Problem
from mcp_evals.model import Model, NonNegative

Role = Literal["system", "user", "assistant", "tool"]
EndReason = Literal["answer", "calls", "max_steps", "user_stop", "turn_limit"]


class ToolDefinition(Model):
    """A tool as a model is shown it."""

    name: str = Field(min_length=1)
    """Name as its owner wrote it."""
    description: str = ""
    """What the tool does, as the model reads it."""
    input_schema: dict[str, JsonValue] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    """JSON Schema of the arguments; the order of its keys is kept, because it changes what real models answer."""
    title: str | None = None
    """Name for people."""
    output_schema: dict[str, JsonValue] | None = None
    """JSON Schema of the result, where the owner gives one."""
    annotations: dict[str, JsonValue] | None = None
    """Hints of an MCP server, such as `readOnlyHint`."""
    origin: str | None = Field(default=None, exclude_if=lambda name: name is None)
    """Configured server that runs the tool's calls; None: nobody does. Unsaid, it takes no part in a digest."""

    @model_validator(mode="before")
    @classmethod
    def _read_any_form(cls, value: Any) -> Any:
        """Accept the shapes of MCP, OpenAI and Anthropic as well as ours."""
        if not isinstance(value, dict):
            return value  # pyright: ignore[reportUnknownVariableType]
        fields: dict[str, Any] = dict(value)  # pyright: ignore[reportUnknownArgumentType]
        if fields.get("type") == "function":
            inner: Any = fields.get("function")
            fields = dict(inner) if isinstance(inner, dict) else {k: v for k, v in fields.items() if k != "type"}  # pyright: ignore[reportUnknownArgumentType]
            fields.pop("strict", None)
        for foreign, ours in (
            ("inputSchema", "input_schema"),
            ("parameters", "input_schema"),
            ("outputSchema", "output_schema"),
        ):
            if foreign in fields and ours not in fields:
                fields[ours] = fields.pop(foreign)
        for unused in ("_meta", "icons", "execution"):
            fields.pop(unused, None)
        if fields.get("description") is None:
            fields.pop("description", None)
        return fields

    @field_serializer("input_schema", "output_schema")
    def _keep_key_order(self, value: dict[str, JsonValue] | None, info: SerializationInfo) -> Any:
        # As text, the order of keys survives the sorting of canonical JSON.
        if value is not None and isinstance(info.context, dict) and info.context.get("digest"):  # pyright: ignore[reportUnknownMemberType]
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        return value

    @property
    def parameters(self) -> dict[str, Any]:
        """The schema's properties by name; empty where there are none."""
        properties = self.input_schema.get("properties")
        return properties if isinstance(properties, dict) else {}


class ToolCall(Model):
    """A model's request to run a tool."""

    name: str
    """Tool name as the model wrote it."""
    arguments: dict[str, JsonValue] | str = Field(default_factory=dict[str, JsonValue])
    """The arguments; the raw text where the model wrote no JSON object."""
    id: str | None = None
    """The provider's id of the call, by which a result refers to it."""


class ToolResult(Model):
    """What a tool answered."""

    content: JsonValue = None
    """The answer: text, or any JSON."""
    call_id: str | None = None
    """Id of the call that it answers."""
    is_error: bool = False
    """Whether the tool reported a failure."""

    @property
    def text(self) -> str:
        """The answer as a model is shown it."""
        return self.content if isinstance(self.content, str) else json.dumps(self.content, ensure_ascii=False)


class Image(Model):
    """A picture in a message."""

    url: str
    """An `https:` address or a `data:` URL with base64 content."""


class Message(Model):
    """One earlier message that a case starts from."""

    role: Role
    """Who speaks."""
    text: str = ""
    """What is said."""
    images: tuple[Image, ...] = ()
    """Pictures of a user message."""
    calls: tuple[ToolCall, ...] = ()
    """Tool calls of an assistant message."""
    results: tuple[ToolResult, ...] = ()
    """Tool results of a tool message."""


class Usage(Model):
    """Tokens that a provider counted. None where it did not say; never a guess."""

    input_tokens: int | None = Field(default=None, ge=0)
    """All tokens read, cached ones included."""
    output_tokens: int | None = Field(default=None, ge=0)
    """All tokens written, reasoning included."""
    cached_input_tokens: int | None = Field(default=None, ge=0)
    """Input tokens read from the provider's cache."""
    cache_write_tokens: int | None = Field(default=None, ge=0)
    """Input tokens written to the provider's cache."""

    def __add__(self, other: "Usage") -> "Usage":
        """Sum; a side that does not know a number leaves the other's."""
        return Usage(
            input_tokens=_add(self.input_tokens, other.input_tokens),
            output_tokens=_add(self.output_tokens, other.output_tokens),
            cached_input_tokens=_add(self.cached_input_tokens, other.cached_input_tokens),
            cache_write_tokens=_add(self.cache_write_tokens, other.cache_write_tokens),
        )


class Step(Model):
    """One response of the model and what its tools returned."""

    text: str = ""
    """What the model said."""
    calls: tuple[ToolCall, ...] = ()
    """The calls it made, in order."""
    results: tuple[ToolResult, ...] = ()
    """What the tools returned, in the order of the calls; empty where none was run."""
    usage: Usage | None = None
    """Tokens of this response."""
    latency_s: NonNegative | None = None
    """Seconds from request to full response."""
    model: str | None = None
    """Model id as the provider answered it."""
    stop_reason: str | None = None
    """Why the model stopped, in the provider's word."""
    fingerprint: str | None = None
    """The provider's mark of the system that answered; another one means that something behind the model's name changed."""


class Invocation(Model):
    """One user message and everything until the final answer to it."""

    user: str
    """The user message."""
    steps: tuple[Step, ...] = ()
    """The model's responses, in order."""

    @property
    def trajectory(self) -> tuple[ToolCall, ...]:
        """All tool calls, in order."""
        return tuple(call for step in self.steps for call in step.calls)

    @property
    def final_text(self) -> str:
        """The last text that came without a tool call, else the last text at all."""
        closing = [step.text for step in self.steps if not step.calls and step.text]
        spoken = [step.text for step in self.steps if step.text]
        return (closing or spoken or [""])[-1]


class Transcript(Model):
    """A whole conversation as it took place."""

    system: str | None = None
    """System prompt that was in force."""
    history: tuple[Message, ...] = ()
    """Messages that the conversation started from."""
    invocations: tuple[Invocation, ...] = ()
    """One for each user message."""
    ended: EndReason | None = None
    """Why the conversation ended: the model answered, stopped at a call that nobody answers, ran out of steps, …"""
    request: dict[str, JsonValue] | None = None
    """What the provider was sent besides the messages: model, sampling parameters, tools as converted."""
    state: JsonValue = None
    """Final state of the tools, where they keep one."""
    notes: tuple[str, ...] = ()
    """What a reader has to know, such as a parameter that the provider ignored."""

    @property
    def trajectory(self) -> tuple[ToolCall, ...]:
        """All tool calls of all invocations, in order."""
        return tuple(call for invocation in self.invocations for call in invocation.trajectory)

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps of all invocations, in order."""
        return tuple(step for invocation in self.invocations for step in invocation.steps)

    @property
    def final_text(self) -> str:
        """The final answer of the last invocation."""
        return self.invocations[-1].final_text if self.invocations else ""

    @property
    def usage(self) -> Usage | None:
        """Sum over the steps; None where no step knows."""
        known = [step.usage for step in self.steps if step.usage is not None]
        return sum(known[1:], known[0]) if known else None

    @property
    def latency_s(self) -> float | None:
        """Seconds spent waiting for the model; None where a step does not know."""
        waits = [step.latency_s for step in self.steps]
        return sum(wait for wait in waits if wait is not None) if waits and None not in waits else None


class Task(Model):
    """All that a target may see of a case: never an expectation."""

    run_id: str
    """The run that asks."""
    case_id: str
    """The case that is asked."""
    trial: int = Field(default=0, ge=0)
    """Number of the trial of its case."""
    system: str | None = None
    """System prompt."""
    history: tuple[Message, ...] = ()
    """Earlier messages."""
    user_turns: tuple[str, ...] = ()
    """The user messages to be said, one after the other."""
    input: dict[str, JsonValue] | None = None
    """Body for an engine, sent as it is."""
    tools: tuple[ToolDefinition, ...] = ()
    """The tools on offer."""
    seed: int | None = None
    """Seed for the provider, where it takes one."""
    max_steps: int = Field(default=10, ge=1)
    """How many responses of the model one user message may take."""

    @property
    def task_id(self) -> str:
        """Names this trial to the outside."""
        return f"eval-{self.run_id}-{self.case_id}-{self.trial}"


def tool_name_problems(tools: Sequence[ToolDefinition], wire_name: Callable[[str], str] = str) -> tuple[Problem, ...]:
    """Tools that share one name, also where only `wire_name` (a provider's spelling) makes them the same."""
    first: dict[str, str] = {}
    problems: list[Problem] = []
    for tool in tools:
        spelled = wire_name(tool.name)
        if spelled in first:
            other = first[spelled]
            message = (
                f'tool "{tool.name}" is defined twice; remove one'
                if other == tool.name
                else f'tools "{other}" and "{tool.name}" both become "{spelled}" for the provider; rename one'
            )
            problems.append(Problem(message))
        first.setdefault(spelled, tool.name)
    return tuple(problems)


def _add(left: int | None, right: int | None) -> int | None:
    if left is None:
        return right
    return left if right is None else left + right
