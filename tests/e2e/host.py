"""A host as an agent's one: it calls tools and reads both halves of what comes back."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal

from mcp import StdioServerParameters
from mcp.client import Client
from mcp.server import MCPServer
from mcp.types import CallToolResult, TextContent

Mode = Literal["auto", "legacy"]


class Host:
    """Calls tools of one server."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, /, **arguments: Any) -> CallToolResult:
        """Whatever comes back."""
        return await self.client.call_tool(tool, arguments)

    async def ask(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """The structured half of an answer; an error fails the test."""
        result = await self.call(tool, **arguments)
        assert not result.is_error, text_of(result)
        assert result.structured_content is not None
        return dict(result.structured_content)

    async def read(self, tool: str, /, **arguments: Any) -> str:
        """The text half of an answer; an error fails the test."""
        result = await self.call(tool, **arguments)
        assert not result.is_error, text_of(result)
        return text_of(result)

    async def refused(self, tool: str, /, **arguments: Any) -> str:
        """What the error says; an answer fails the test."""
        result = await self.call(tool, **arguments)
        assert result.is_error, text_of(result)
        assert result.structured_content is None
        return text_of(result)


@asynccontextmanager
async def connected(server: MCPServer[Any] | StdioServerParameters, mode: Mode = "legacy") -> AsyncGenerator[Host]:
    """A host that is connected to a server, in memory or over stdio."""
    async with Client(server, mode=mode) as client:
        yield Host(client)


def text_of(result: CallToolResult) -> str:
    """The text half of a result."""
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))
