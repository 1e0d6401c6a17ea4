"""Servers to start, for runs against them."""

from fakes_mcp.running import pid_file, server, started, survivors

__all__ = ["pid_file", "server", "started", "survivors"]
