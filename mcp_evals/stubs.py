"""A toolbox that answers from a case: what its expected calls say their tools return. Shows a target nothing else."""

from collections.abc import Sequence

from mcp_evals.conversation import Invocation, ToolCall, ToolResult
from mcp_evals.json_match import json_equal
from mcp_evals.suite import Case, Expect, ExpectedCall
from mcp_evals.text import fold_tool_name


class StubToolbox:
    """Plays the tools, and the scripted user, of one trial of a case."""

    def __init__(self, case: Case) -> None:
        expectations: list[Expect] = [*(turn.expect for turn in case.all_turns), case.expect]
        calls = [call for expect in expectations for call in expect.all_calls if call.stubbed]
        self._stubs = list({id(call): call for call in calls}.values())
        self._used: set[int] = set()
        self._replies = list(case.scenario.replies or ()) if case.scenario else []

    async def call(self, call: ToolCall) -> ToolResult | None:
        """The stub of that tool whose arguments fit, else the next one; a repeated call gets its answer again."""
        stubs = [stub for stub in self._stubs if fold_tool_name(stub.tool) == fold_tool_name(call.name)]
        if not stubs:
            return None
        stub = self._choose(stubs, call)
        self._used.add(id(stub))
        if stub.fails is not None:
            return ToolResult(content=stub.fails, call_id=call.id, is_error=True)
        return ToolResult(content=stub.returns, call_id=call.id)

    async def next_user_turn(self, so_far: Sequence[Invocation]) -> str | None:
        """The next scripted reply; None when they are used up."""
        return self._replies.pop(0) if self._replies else None

    def _choose(self, stubs: Sequence[ExpectedCall], call: ToolCall) -> ExpectedCall:
        fitting = [stub for stub in stubs if json_equal(dict(stub.args), call.arguments)]
        fresh = [stub for stub in fitting or stubs if id(stub) not in self._used]
        return (fresh or fitting or list(stubs))[0]
