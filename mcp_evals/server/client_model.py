"""The connected client's own model as a target or judge, by sampling, over both ages of the protocol.

A run asks, and whoever waits for the run carries its questions to the client: by requests of our own to clients up to
2025-11-25, as the input that a call still needs from 2026-07-28 on. While nobody waits, the questions wait too.
"""

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from itertools import count
from typing import Any, Final

import anyio
from anyio.lowlevel import checkpoint
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    ContentBlock,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    CreateMessageResultWithTools,
    InputRequest,
    SamplingMessage,
    TextContent,
    Tool,
    ToolResultContent,
    ToolUseContent,
)

from mcp_evals.conversation import Message, Step, Task, ToolCall, ToolDefinition
from mcp_evals.errors import EvalsError, TargetError, UsageError
from mcp_evals.results import RunSettings
from mcp_evals.targets.base import ChatTarget, Sent

MODERN: Final = "2026-07-28"
"""From this version on a server sends no requests of its own."""
MAX_ROUNDS: Final = 9
"""Of questions that one call may need; clients give up at 10."""
LINGER_S: Final = 25.0
"""Seconds beyond `wait_s` in which answers that the client is writing are still waited for."""
MAX_TOKENS: Final = 2_048
SETTLING: Final = 50
"""Turns of the event loop in which trials that begin at once put their questions."""
ELSEWHERE: Final = (
    "this client does not offer its model (no sampling). Instead: take_case(suite=…) and score_transcript(attempt_id=…) "
    "let you answer yourself, recorded:NAME replays a recording, or set a key; list_targets shows what is ready"
)
CAVEATS: Final = ("the connected client's own model: it chooses the model, tokens are not counted, not reproducible",)

Answered = CreateMessageResult | CreateMessageResultWithTools


class Question:
    """A request to the client's model that waits for its answer."""

    def __init__(self, target: "ClientTarget", params: CreateMessageRequestParams) -> None:
        self.target, self.params = target, params
        self.done = anyio.Event()
        self.answer: Answered | None = None
        self.problem: str | None = None
        self.carried = False
        """Whether somebody is carrying it to the client right now."""


class Desk:
    """Where runs leave their questions, and calls fetch them."""

    def __init__(self) -> None:
        self.waiting: dict[str, Question] = {}
        self.targets: dict[str, set[ClientTarget]] = {}
        """By run: subject and judge."""
        self._numbers = count(1)
        self._arrival = anyio.Event()

    def ready(self) -> bool:
        """Whether the client of the present call offers its model."""
        call = _CALL.get()
        return call is not None and call.samples

    def began(self, run_id: str) -> None:
        """Remember that the present call started or resumed a run."""
        call = _CALL.get()
        if call is not None and call.samples:
            call.began.append(run_id)
            # The call's own set, because a judge is opened later than the subject.
            self.targets[run_id] = call.targets

    def open(self, settings: RunSettings) -> "ClientTarget":
        """The model of the client that makes the present call.

        Raises:
            UsageError: it offers none.
        """
        call = _CALL.get()
        if call is None or not call.samples:
            raise UsageError(ELSEWHERE)
        target = ClientTarget(self, settings, with_tools=call.samples_tools)
        call.targets.add(target)
        return target

    async def ask(self, target: "ClientTarget", params: CreateMessageRequestParams) -> Answered:
        """The client's answer, whenever somebody fetches the question.

        Raises:
            TargetError: the client refused.
        """
        key = f"q{next(self._numbers)}"
        question = self.waiting[key] = Question(target, params)
        self._arrival.set()
        self._arrival = anyio.Event()
        try:
            await question.done.wait()
        finally:
            del self.waiting[key]
        if question.answer is None:
            raise TargetError(f"the client's model did not answer: {question.problem}", kind="client")
        return question.answer

    async def arrival(self) -> None:
        """Return when a question comes after this call."""
        await self._arrival.wait()


class Call:
    """A tool call in progress: what its client can do, and which runs it is about."""

    def __init__(self, ctx: Context[Any], run_ids: Sequence[str] = ()) -> None:
        sampling = ctx.client_capabilities.sampling if ctx.client_capabilities else None
        self.ctx = ctx
        self.samples = sampling is not None
        self.samples_tools = sampling is not None and sampling.tools is not None
        self.modern = (ctx.protocol_version or "") >= MODERN
        self.targets: set[ClientTarget] = set()
        self.run_ids = set(run_ids)
        self.began: list[str] = []
        """Runs that it has started or resumed."""

    def questions(self, desk: Desk) -> dict[str, Question]:
        """Those that this call may carry: of its own runs, and of those that it waits for."""
        of_runs = {target for run_id in self.run_ids for target in desk.targets.get(run_id, ())}
        return {
            key: question
            for key, question in desk.waiting.items()
            if not question.done.is_set() and (question.target in self.targets or question.target in of_runs)
        }


_CALL: ContextVar[Call | None] = ContextVar("call", default=None)


async def carrying(desk: Desk, call: Call, work: Callable[[], Awaitable[Any]]) -> Any:
    """The outcome of `work`, while the questions of its runs are carried to the client; or questions, as input requests.

    Raises:
        Exception: whatever `work` raises.
    """
    _CALL.set(call)
    if not call.samples:
        return await work()
    return await (_collected(desk, call, work) if call.modern else _carried(desk, call, work))


def deliver(desk: Desk, responses: dict[str, Any]) -> None:
    """Hand answers of a client to those who asked."""
    for key, response in responses.items():
        question = desk.waiting.get(key)
        if question is not None and isinstance(response, CreateMessageResult | CreateMessageResultWithTools):
            question.answer = response
            question.done.set()


# --- up to 2025-11-25: we send requests


async def _carried(desk: Desk, call: Call, work: Callable[[], Awaitable[Any]]) -> Any:
    outcome: Any = None
    failure: Exception | None = None
    async with anyio.create_task_group() as group, anyio.create_task_group() as carriers:
        carrier = anyio.CancelScope()

        async def fetch() -> None:
            with carrier:
                while True:
                    for question in call.questions(desk).values():
                        if not question.carried:
                            question.carried = True
                            carriers.start_soon(_carry, call.ctx, question)
                    await desk.arrival()

        group.start_soon(fetch)
        try:
            outcome = await work()
        except Exception as error:  # noqa: BLE001  raised below, as itself and not in a group
            failure = error
        carrier.cancel()
        # An answer that is being written is paid for: it is waited for, and no further question is carried.
        with anyio.move_on_after(LINGER_S if failure is None else 0):
            for question in [question for question in call.questions(desk).values() if question.carried]:
                await question.done.wait()
        carriers.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return outcome


async def _carry(ctx: Context[Any], question: Question) -> None:
    kind = CreateMessageResultWithTools if question.params.tools else CreateMessageResult
    try:
        # Not session.create_message, which warns of its deprecation each time.
        question.answer = await ctx.session.send_request(
            CreateMessageRequest(params=question.params),
            kind,
            metadata=ServerMessageMetadata(related_request_id=ctx.request_id),
        )
    except (MCPError, ValueError) as error:
        question.problem = str(error)
    finally:
        question.carried = False
    question.done.set()


# --- from 2026-07-28 on: we ask for input


async def _collected(desk: Desk, call: Call, work: Callable[[], Awaitable[Any]]) -> Any:
    outcome: Any = None
    failure: Exception | None = None
    questions: dict[str, Question] = {}
    async with anyio.create_task_group() as group:

        async def working() -> None:
            nonlocal outcome, failure
            try:
                outcome = await work()
            except Exception as error:  # noqa: BLE001  raised below, as itself and not in a group
                failure = error
            group.cancel_scope.cancel()

        group.start_soon(working)
        await checkpoint()
        while not call.questions(desk):
            await desk.arrival()
        for _ in range(SETTLING):
            await checkpoint()
        questions = call.questions(desk)
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return questions if outcome is None else outcome


def input_requests(questions: dict[str, Question]) -> dict[str, InputRequest]:
    """The questions as what a call still needs."""
    return {key: CreateMessageRequest(params=question.params) for key, question in questions.items()}


# --- the target


class ClientTarget(ChatTarget):
    """The client's model; where the client cannot offer tools to it, they are described in the system prompt."""

    def __init__(self, desk: Desk, settings: RunSettings, *, with_tools: bool) -> None:
        self._desk, self._settings, self._with_tools = desk, settings, with_tools

    async def complete(self, task: Task, messages: Sequence[Message]) -> Step:
        plain = not self._with_tools
        params = CreateMessageRequestParams(
            messages=[_sampling_message(message, plain=plain) for message in messages],
            system_prompt=_system(task, described=plain and bool(task.tools)),
            temperature=self._settings.temperature,
            max_tokens=self._settings.max_output_tokens or MAX_TOKENS,
            tools=[_tool(tool) for tool in task.tools] if task.tools and not plain else None,
        )
        return _step(await self._desk.ask(self, params), plain=plain and bool(task.tools))

    def describe(self, task: Task) -> Sent | None:
        described = "tools were described in the system prompt, because the client takes none for its model"
        notes = (*CAVEATS, described) if task.tools and not self._with_tools else CAVEATS
        return Sent({"model": "client", "tools": [tool.name for tool in task.tools]}, notes)


def _system(task: Task, *, described: bool) -> str | None:
    if not described:
        return task.system
    listed = "\n".join(
        json.dumps({"name": tool.name, "description": tool.description, "parameters": tool.input_schema})
        for tool in task.tools
    )
    return (
        f"{task.system or ''}\n\nYou have these tools:\n{listed}\n\nTo call tools, answer with nothing but one JSON object "
        '{"calls": [{"name": …, "arguments": {…}}]}. Otherwise answer in plain words.'
    ).strip()


def _tool(tool: ToolDefinition) -> Tool:
    return Tool(name=tool.name, description=tool.description, input_schema=dict(tool.input_schema))


def _sampling_message(message: Message, *, plain: bool) -> SamplingMessage:
    role = "assistant" if message.role == "assistant" else "user"
    if plain:
        said = [message.text] if message.text else []
        if message.calls:
            calls = [{"name": call.name, "arguments": call.arguments} for call in message.calls]
            said.append(json.dumps({"calls": calls}, ensure_ascii=False))
        said += [f"The tool answered: {result.text}" for result in message.results]
        return SamplingMessage(role=role, content=TextContent(type="text", text="\n".join(said)))
    blocks: list[Any] = [TextContent(type="text", text=message.text)] if message.text else []
    for number, call in enumerate(message.calls):
        given = call.arguments if isinstance(call.arguments, dict) else {"raw": call.arguments}
        blocks.append(ToolUseContent(type="tool_use", name=call.name, id=call.id or f"call_{number}", input=given))
    for number, result in enumerate(message.results):
        content: list[ContentBlock] = [TextContent(type="text", text=result.text)]
        called = result.call_id or f"call_{number}"
        blocks.append(
            ToolResultContent(type="tool_result", tool_use_id=called, content=content, is_error=result.is_error)
        )
    return SamplingMessage(role=role, content=blocks or TextContent(type="text", text=""))


def _step(answer: Answered, *, plain: bool) -> Step:
    blocks = answer.content if isinstance(answer.content, list) else [answer.content]
    text = "\n".join(block.text for block in blocks if isinstance(block, TextContent))
    calls = tuple(
        ToolCall(name=block.name, arguments=block.input, id=block.id)
        for block in blocks
        if isinstance(block, ToolUseContent)
    )
    if plain and not calls:
        calls = _calls_in(text)
    return Step(text="" if plain and calls else text, calls=calls, model=answer.model, stop_reason=answer.stop_reason)


def _calls_in(text: str) -> tuple[ToolCall, ...]:
    """The calls that a model wrote as the JSON it was asked for, with or without a code fence; none in plain words."""
    inner = re.sub(r"^\s*```(?:json)?\s*|\s*```\s*$", "", text)
    try:
        written = json.loads(inner)
        return tuple(ToolCall.model_validate(call) for call in written["calls"])
    except (ValueError, TypeError, KeyError, EvalsError):
        return ()
