"""What tests of several rooms share: short ways to say what was asked and what was done, and a scripted target."""

from collections.abc import Callable
from typing import Any

import anyio

from mcp_evals.conversation import Invocation, Step, Task, ToolCall, Transcript, Usage
from mcp_evals.suite import Case
from mcp_evals.targets.base import Toolbox


def called(*calls: tuple[str, Any], text: str = "", usage: Usage | None = None) -> Transcript:
    """A conversation of one turn with these calls and this answer."""
    made = tuple(ToolCall(name=name, arguments=arguments) for name, arguments in calls)
    return Transcript(
        invocations=(Invocation(user="?", steps=(Step(text=text, calls=made, usage=usage, latency_s=0.5),)),)
    )


def case_of(id: str = "case", user: str | None = "?", **fields: Any) -> Case:  # noqa: A002  the field's name
    """A case as a suite file would have it."""
    asked = {} if {"turns", "scenario", "input"} & fields.keys() else {"user": user}
    return Case.model_validate({"id": id, **asked, **fields})


class ScriptedTarget:
    """Answers each task with what a function says, after an optional gate."""

    def __init__(self, answer: Callable[[Task], Transcript], gate: anyio.Event | None = None) -> None:
        self.answer, self.gate = answer, gate
        self.seen: list[tuple[str, int]] = []
        self.closed = False

    async def run(self, task: Task, toolbox: Toolbox) -> Transcript:
        self.seen.append((task.case_id, task.trial))
        if self.gate is not None:
            await self.gate.wait()
        return self.answer(task)

    async def aclose(self) -> None:
        self.closed = True
