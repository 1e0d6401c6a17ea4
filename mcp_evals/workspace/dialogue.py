"""The conversation of an attempt: it waits for the subject's next step, and goes on from there.

It is held by the same loop as that of a chat model, replayed from its beginning each time, so that turns, stubs and step
limits mean the same for every subject.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from mcp_evals.conversation import Invocation, Message, Step, Task, ToolCall, ToolResult, Transcript
from mcp_evals.model import Model
from mcp_evals.results import Run
from mcp_evals.stubs import StubToolbox
from mcp_evals.suite import Case, Suite
from mcp_evals.targets.base import ChatTarget


class Attempt(Model):
    """A case that was handed out."""

    case_id: str
    """The case."""
    index: int
    """Number of the trial."""
    phrasing: int
    """Which way of asking."""
    taken_at: datetime
    """When it was handed out, UTC."""
    shown_before: bool
    """Whether its expectation had been shown by these tools already."""
    steps: tuple[Step, ...] = ()
    """What the subject has said so far."""
    done: bool = False
    """Whether it is answered to its end."""


class Asked(NamedTuple):
    """The conversation waits for the subject."""

    last: Message


async def go_on(attempt: Attempt, run: Run, suite: Suite) -> Asked | Transcript:
    """Hold the conversation as far as it goes: to the subject's next step, or to its end."""
    case = case_of(suite, attempt.case_id)
    opening = (case.scenario.opening,) if case.scenario else ()
    task = Task(
        run_id=run.id,
        case_id=case.id,
        trial=attempt.index,
        system=suite.system_of(case),
        history=case.history,
        user_turns=case.user_turns(attempt.phrasing) or opening,
        tools=suite.tools_of(case),
        max_steps=case.max_steps or suite.defaults.max_steps,
    )
    try:
        held = await _Replayed(attempt.steps).run(task, _SubjectToolbox(case, attempt.steps))
    except _NoMoreSteps as found:
        return Asked(found.last)
    return _untimed(held, attempt.steps)


def new_steps(said: Transcript, known: Sequence[Step]) -> tuple[Step, ...]:
    """The steps that are new, also where the whole conversation is handed in again."""
    steps = tuple(step for step in said.steps if step.text or step.calls or len(said.steps) == 1)
    again = len(steps) > len(known) and all(
        (one.text, one.calls) == (other.text, other.calls) for one, other in zip(steps, known, strict=False)
    )
    return steps[len(known) :] if again else steps


def case_of(suite: Suite, case_id: str) -> Case:
    """The case of that id."""
    return next(case for case in suite.cases if case.id == case_id)


class _NoMoreSteps(Exception):  # noqa: N818  a turn of the conversation, no failure
    def __init__(self, last: Message) -> None:
        self.last = last


class _Replayed(ChatTarget):
    """Says what the subject has said so far."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = iter(steps)

    async def complete(self, task: Task, messages: Sequence[Message]) -> Step:
        step = next(self._steps, None)
        if step is None:
            raise _NoMoreSteps(messages[-1])
        return step.model_copy(update={"results": ()})


class _SubjectToolbox:
    """The case's stubs, and where it has none, what the subject's own tools answered."""

    def __init__(self, case: Case, steps: Sequence[Step]) -> None:
        self._stubs = StubToolbox(case)
        self._given = iter([result for step in steps for result in _results_of(step)])

    async def call(self, call: ToolCall) -> ToolResult | None:
        given = next(self._given, None)
        return await self._stubs.call(call) or given

    async def next_user_turn(self, so_far: Sequence[Invocation]) -> str | None:
        return await self._stubs.next_user_turn(so_far)


def _untimed(held: Transcript, said: Sequence[Step]) -> Transcript:
    """The conversation with the times that the subject told, rather than those of replaying it."""
    told = iter(said)
    return held.model_copy(
        update={
            "invocations": tuple(
                invocation.model_copy(
                    update={
                        "steps": tuple(
                            step.model_copy(update={"latency_s": next(told).latency_s}) for step in invocation.steps
                        )
                    }
                )
                for invocation in held.invocations
            )
        }
    )


def _results_of(step: Step) -> list[ToolResult | None]:
    """The result of each call, by position."""
    by_id = {result.call_id: result for result in step.results if result.call_id is not None}
    if len(step.results) == len(step.calls):
        return list(step.results)
    return [by_id.get(call.id) if call.id is not None else None for call in step.calls]
