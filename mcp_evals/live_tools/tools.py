"""Tool definitions of MCP servers: fetched, and kept for a while. Calls no tool."""

import os
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio

from mcp_evals.conversation import ToolDefinition
from mcp_evals.live_tools.settings import ServerSettings, fill_in
from mcp_evals.model import digest

if TYPE_CHECKING:
    from mcp import ClientSession


async def fetch_tools(name: str, settings: ServerSettings, timeout_s: float = 30.0) -> tuple[ToolDefinition, ...]:
    """The tools of a server as it lists them, all pages, names and key order untouched, even two of one name.

    A server program is started for it and is gone afterwards, with all its children: at the latest a few seconds after
    `timeout_s`.

    Raises:
        UsageError: the settings need an environment variable that is not set.
        TargetError: the server does not start, does not answer in time, or breaks the protocol.
    """
    from mcp_evals.live_tools.connection import Link  # loads the protocol library, which takes a second

    link = Link(name, settings)

    async def listing(session: "ClientSession", _: anyio.CancelScope) -> tuple[ToolDefinition, ...]:
        return await link.list_tools(session)

    return await link.converse(listing, timeout_s)


class ToolCache:
    """Remembers what servers offer. Failures are not remembered."""

    def __init__(self, max_age_s: float = 300.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_age_s = max_age_s
        self._clock = clock
        self._kept: dict[str, tuple[float, tuple[ToolDefinition, ...]]] = {}
        self._locks: dict[str, anyio.Lock] = {}

    async def get(
        self,
        name: str,
        settings: ServerSettings,
        fetch: Callable[[], Awaitable[tuple[ToolDefinition, ...]]] | None = None,
        *,
        refresh: bool = False,
    ) -> tuple[ToolDefinition, ...]:
        """The tools of this server with just these settings; asks the server where they are unknown, old or unwanted.

        Raises:
            UsageError, TargetError: as `fetch_tools` does.
        """
        # Variables filled in, since another token may see other tools; only the digest is kept of them.
        key = digest([name, settings.kind, fill_in(name, settings, os.environ).settings])
        # Two runs that begin together would start the server twice.
        async with self._locks.setdefault(key, anyio.Lock()):
            kept = self._kept.get(key)
            if kept is not None and not refresh and self._clock() - kept[0] < self._max_age_s:
                return kept[1]
            tools = await (fetch() if fetch is not None else fetch_tools(name, settings))
            self._kept[key] = (self._clock(), tools)
            return tools
