"""MCP servers: how to reach them, what they offer, and calls to their tools. Knows no suite and no score.

The protocol library loads when the first server is reached.
"""

from mcp_evals.live_tools.servers import LiveServers
from mcp_evals.live_tools.settings import ServerSettings, read_servers
from mcp_evals.live_tools.snapshots import ToolChange, ToolDiff, diff_tools, write_snapshot
from mcp_evals.live_tools.tools import ToolCache, fetch_tools

__all__ = [
    "LiveServers",
    "ServerSettings",
    "ToolCache",
    "ToolChange",
    "ToolDiff",
    "diff_tools",
    "fetch_tools",
    "read_servers",
    "write_snapshot",
]
