"""Running MCP servers as the world around a target: calls go to the tools of real servers. Knows no case and no score."""

from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import anyio

from mcp_evals.conversation import Invocation, ToolCall, ToolDefinition, ToolResult
from mcp_evals.errors import UsageError, did_you_mean
from mcp_evals.live_tools.settings import ServerSettings

if TYPE_CHECKING:
    from mcp_evals.live_tools.connection import Connection

Allow = Literal["read_only", "all"]
"""Which tools are run: those that declare themselves read-only, or all."""


class LiveToolbox:
    """Servers that run as long as the context is open, for one trial or for many at a time.

    A tool runs only where `allow` lets it: `read_only` takes tools with `readOnlyHint: true`, and what a server says of
    itself is all there is to go by. A server that ends is started again for the next call, so that it costs one trial
    and not the rest of the run.
    """

    def __init__(
        self,
        servers: Mapping[str, ServerSettings],
        *,
        only: Mapping[str, Collection[str]] | None = None,
        allow: Allow = "read_only",
        start_timeout_s: float = 30.0,
        call_timeout_s: float = 60.0,
    ) -> None:
        """`only` names, by server, the tools to offer where not all are."""
        self._servers = dict(servers)
        self._only = dict(only or {})
        self._allow = allow
        self._start_timeout_s = start_timeout_s
        self._call_timeout_s = call_timeout_s
        self._connections: dict[str, Connection] = {}
        self._homes: dict[str, _Home] = {}
        self._starting = anyio.Lock()

    async def __aenter__(self) -> Self:
        """Start every server.

        Raises:
            UsageError: a variable that a server needs is not set, two servers offer a tool of one name, or `only` names
                a tool that is not there.
            TargetError: a server does not start.
        """
        self._owners = anyio.create_task_group()
        await self._owners.__aenter__()
        try:
            for server in self._servers:
                await self._start(server)
                self._take_in(server)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every server."""
        await self._close()

    @property
    def tools(self) -> tuple[ToolDefinition, ...]:
        """All tools on offer, server by server."""
        return tuple(home.tool for home in self._homes.values())

    async def call(self, call: ToolCall) -> ToolResult | None:
        """Run the tool on its server; None where no server has it. What the tool reports as its failure is a result.

        Raises:
            TargetError: kind `tool_server`: the server broke, broke the protocol, or took too long.
        """
        home = self._homes.get(call.name)
        if home is None:
            return None
        if isinstance(call.arguments, str):
            result = ToolResult(content="the arguments are not a JSON object", is_error=True)
        elif self._allow == "read_only" and not _is_read_only(home.tool):
            refusal = f"{call.name} was not run: it does not declare itself read-only, and only such tools are run here"
            result = ToolResult(content=refusal, is_error=True)
        else:
            connection = await self._running(home.server)
            result = await connection.call(call.name, call.arguments)
        return result.model_copy(update={"call_id": call.id})

    async def next_user_turn(self, so_far: Sequence[Invocation]) -> str | None:
        """Plays no user."""
        return None

    async def _running(self, server: str) -> "Connection":
        # Two trials that find the server ended would start it twice.
        async with self._starting:
            if not self._connections[server].alive:
                await self._start(server)
            return self._connections[server]

    async def _start(self, server: str) -> None:
        from mcp_evals.live_tools.connection import Connection  # loads the protocol library, which takes a second

        connection = Connection(server, self._servers[server], self._start_timeout_s, self._call_timeout_s)
        # One task opens and closes the connection: it can end by itself without cancelling whoever calls.
        await self._owners.start(connection.run)
        self._connections[server] = connection

    def _take_in(self, server: str) -> None:
        tools = {tool.name: tool for tool in self._connections[server].tools}
        for name in self._only.get(server, tools):
            if name not in tools:
                raise UsageError(f'server "{server}" has no tool "{name}"{did_you_mean(name, list(tools))}')
            if name in self._homes:
                raise UsageError(
                    f'servers "{self._homes[name].server}" and "{server}" both offer a tool "{name}"; '
                    "choose with `only` which of them to use"
                )
            self._homes[name] = _Home(server, tools[name])

    async def _close(self) -> None:
        for connection in self._connections.values():
            connection.stop()
        await self._owners.__aexit__(None, None, None)


class _Home(NamedTuple):
    server: str
    tool: ToolDefinition


def _is_read_only(tool: ToolDefinition) -> bool:
    hints = tool.annotations or {}
    return hints.get("readOnlyHint") is True and hints.get("destructiveHint") is not True
