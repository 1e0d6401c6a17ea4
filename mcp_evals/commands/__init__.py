"""The command line: the same requests as the tools, for terminals and CI. Holds no logic of its own."""

from mcp_evals.commands import importing, looking, running
from mcp_evals.commands.door import app

__all__ = ["app", "importing", "looking", "running"]
