"""The world around each trial of a run: what its case stubs, and the live servers that its tools came from.

Knows no target and no score.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from mcp_evals.conversation import Invocation, ToolCall, ToolDefinition, ToolResult
from mcp_evals.live_tools import LiveServers, ServerSettings
from mcp_evals.runner import Planned
from mcp_evals.simulation import PlayedUser, SimulatedUsers
from mcp_evals.stubs import StubToolbox
from mcp_evals.suite import Case, Suite
from mcp_evals.targets.base import Toolbox
from mcp_evals.text import fold_tool_name


class Toolboxes:
    """The toolboxes of one run, on one track; live servers run as long as the context is open.

    A server of which only read-only tools are run is shared by all trials: none of them can see what another did, and
    its start, which takes a second or more, is paid once. A server of which all tools are run is started anew for each
    trial, since a trial would find what another one changed. Nothing is started before the first call.
    """

    def __init__(
        self, suite: Suite, servers: Mapping[str, ServerSettings], users: SimulatedUsers | None = None
    ) -> None:
        self._suite = suite
        self._users = users
        self._own = {name: settings for name, settings in servers.items() if settings.allow == "all"}
        self._shared = LiveServers({name: settings for name, settings in servers.items() if name not in self._own})

    async def __aenter__(self) -> Self:
        await self._shared.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every server, and give back those who played users."""
        try:
            await self._shared.__aexit__(kind, error, trace)
        finally:
            if self._users is not None:
                await self._users.aclose()

    def refusals(self) -> tuple[str, ...]:
        """For people: which expected calls will be refused, by what the servers say of their tools."""
        refused: dict[str, dict[str, None]] = {}
        for case in self._suite.cases:
            expected = _to_be_called(case)
            for tool in self._suite.tools_of(case):
                if fold_tool_name(tool.name) in expected and self._shared.refuses(tool):
                    refused.setdefault(tool.origin or "", {})[tool.name] = None
        return tuple(
            f'server "{server}" runs only tools that declare themselves read-only, and calls to {", ".join(tools)} are '
            f'refused; allow = "all" in [servers.{server}] runs them'
            for server, tools in refused.items()
        )

    @asynccontextmanager
    async def of(self, planned: Planned) -> AsyncGenerator[Toolbox]:
        """The toolbox of a trial; where a model plays the user, with that user."""
        scenario = planned.case.scenario
        async with self._tools_of(planned) as toolbox:
            if scenario is None or scenario.replies is not None or self._users is None:
                yield toolbox
            else:
                yield PlayedUser(toolbox, await self._users.user(scenario))

    @asynccontextmanager
    async def _tools_of(self, planned: Planned) -> AsyncGenerator[Toolbox]:
        stubs = StubToolbox(planned.case)
        live = [tool for tool in self._suite.tools_of(planned.case) if tool.origin is not None]
        if not live:
            yield stubs
            return
        own = {tool.origin: self._own[tool.origin] for tool in live if tool.origin and tool.origin in self._own}
        if not own:
            yield _LiveToolbox(stubs, live, {}, self._shared)
            return
        async with LiveServers(own) as servers:
            yield _LiveToolbox(stubs, live, dict.fromkeys(own, servers), self._shared)


class _LiveToolbox:
    """Stubs first, then the server that a tool came from.

    A tool that the case stubs never reaches its server, whatever the arguments: who stubs it may mean to protect it.
    """

    def __init__(
        self, stubs: StubToolbox, live: Sequence[ToolDefinition], own: Mapping[str, LiveServers], shared: LiveServers
    ) -> None:
        self._stubs = stubs
        self._tools = {tool.name: tool for tool in live}
        self._folded = {fold_tool_name(tool.name): tool for tool in live}
        self._own = own
        self._shared = shared

    async def call(self, call: ToolCall) -> ToolResult | None:
        """The stub's answer, else the server's; None: nobody answers."""
        answer = await self._stubs.call(call)
        tool = self._tools.get(call.name) or self._folded.get(fold_tool_name(call.name))
        if answer is not None or tool is None or tool.origin is None:
            return answer
        servers = self._own.get(tool.origin, self._shared)
        return await servers.call(tool.origin, call.model_copy(update={"name": tool.name}))

    async def next_user_turn(self, so_far: Sequence[Invocation]) -> str | None:
        """The next scripted reply of the case; None when they are used up."""
        return await self._stubs.next_user_turn(so_far)


def _to_be_called(case: Case) -> set[str]:
    """Folded names of the tools that must really run for a case to pass."""
    expects = (case.expect, *(turn.expect for turn in case.turns))
    calls = [call for expect in expects for call in expect.all_calls]
    stubbed = {fold_tool_name(call.tool) for call in calls if call.stubbed}
    return {fold_tool_name(call.tool) for call in calls} - stubbed
