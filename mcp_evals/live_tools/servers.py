"""Running MCP servers that answer calls to their tools. Knows no case and no score."""

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import anyio

from mcp_evals.conversation import ToolCall, ToolDefinition, ToolResult
from mcp_evals.errors import TargetError, UsageError
from mcp_evals.live_tools.settings import ServerSettings

if TYPE_CHECKING:
    from mcp_evals.live_tools.connection import Connection

MAX_STARTS: Final = 3
"""How often in a row a server may fail to start before it is not started again."""


class LiveServers:
    """Servers that run as long as the context is open, for one trial or for many at a time.

    Each is started with the first call to one of its tools. One that ends is started again for the next call, so that
    it costs one trial and not the rest of the run.
    """

    def __init__(self, servers: Mapping[str, ServerSettings], *, start_timeout_s: float = 30.0) -> None:
        self._servers = dict(servers)
        self._start_timeout_s = start_timeout_s
        self._connections: dict[str, Connection] = {}
        self._starting = {server: anyio.Lock() for server in servers}
        self._failures: dict[str, list[TargetError]] = {}

    async def __aenter__(self) -> Self:
        self._owners = anyio.create_task_group()
        await self._owners.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every server."""
        for connection in self._connections.values():
            connection.stop()
        await self._owners.__aexit__(None, None, None)

    def refuses(self, tool: ToolDefinition) -> bool:
        """Whether calls to a tool are refused, going by what is known of it before its server runs."""
        settings = self._servers.get(tool.origin or "")
        return settings is not None and not _is_allowed(tool, settings)

    async def call(self, server: str, call: ToolCall) -> ToolResult:
        """Run a tool of a server. What the tool reports as its failure is a result, and so is a refusal to run it.

        Only tools that the running server declares to be read-only are run, unless its settings allow all: what a
        suite says of a tool counts for nothing here.

        Raises:
            TargetError: kind `tool_server`: the server cannot be started, has no such tool, broke, broke the protocol,
                or took too long.
        """
        if isinstance(call.arguments, str):
            return ToolResult(content="the arguments are not a JSON object", call_id=call.id, is_error=True)
        connection = await self._running(server)
        tool = next((tool for tool in connection.tools if tool.name == call.name), None)
        if tool is None:
            raise TargetError(f'server "{server}" does not offer the tool "{call.name}" any more', kind="tool_server")
        if not _is_allowed(tool, self._servers[server]):
            refusal = f"{call.name} was not run: it does not declare itself read-only, and only such tools are run here"
            result = ToolResult(content=refusal, is_error=True)
        else:
            result = await connection.call(call.name, call.arguments)
        return result.model_copy(update={"call_id": call.id})

    async def _running(self, server: str) -> "Connection":
        if server not in self._servers:
            raise TargetError(f'no server "{server}" is configured', kind="tool_server")
        # Two trials that find the server ended would start it twice.
        async with self._starting[server]:
            connection = self._connections.get(server)
            if connection is None or not connection.alive:
                connection = self._connections[server] = await self._start(server)
            return connection

    async def _start(self, server: str) -> "Connection":
        from mcp_evals.live_tools.connection import Connection  # loads the protocol library, which takes a second

        failures = self._failures.setdefault(server, [])
        # All trials would wait, one after the other, for a server that hangs.
        if len(failures) >= MAX_STARTS:
            raise failures[-1]
        settings = self._servers[server]
        try:
            connection = Connection(server, settings, self._start_timeout_s, settings.call_timeout_s)
            # One task opens and closes the connection: it can end by itself without cancelling whoever calls.
            await self._owners.start(connection.run)
        except TargetError as error:
            failures.append(error)
            raise
        except UsageError as error:
            failures.append(TargetError(str(error), kind="tool_server"))
            raise failures[-1] from error
        failures.clear()
        return connection


def _is_allowed(tool: ToolDefinition, settings: ServerSettings) -> bool:
    """What a server says of its tools is all there is to go by."""
    hints = tool.annotations or {}
    return settings.allow == "all" or (hints.get("readOnlyHint") is True and hints.get("destructiveHint") is not True)
