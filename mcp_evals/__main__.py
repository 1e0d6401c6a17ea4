"""`python -m mcp_evals`: the same as the command `mcp-evals`."""

from mcp_evals.cli import main

main()
