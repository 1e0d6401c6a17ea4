"""The command line: the same requests as the tools, for terminals and CI. Holds no logic of its own."""

from mcp_evals.commands import capturing, hosts, importing, judging, looking, running
from mcp_evals.commands.door import app

__all__ = ["app", "capturing", "hosts", "importing", "judging", "looking", "running"]
