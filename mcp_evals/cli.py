"""The entry of `mcp-evals`: the server starts without the libraries that only the other commands need."""

import gc
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] == "serve":
        serve(arguments[1:])
        return
    from mcp_evals.commands import app  # brings typer and rich

    app(prog_name="mcp-evals")


def serve(arguments: Sequence[str]) -> None:
    """Serve MCP over stdio."""
    parser = ArgumentParser(prog="mcp-evals serve", description="Serve evals to an MCP host over stdio.")
    parser.add_argument("--config", type=Path, help="configuration file (default: mcp-evals.toml, found upward)")
    parser.add_argument("--suites", type=Path, action="append", default=[], help="folder with suites; may be repeated")
    parser.add_argument("--servers", type=Path, help="a host's mcpServers file, whose servers suites may name")
    given = parser.parse_args(arguments)
    # Importing makes hundreds of thousands of objects that all stay: collecting among them only costs time.
    gc.disable()
    from mcp_evals.errors import EvalsError  # the whole server loads here, after the arguments are known to be right
    from mcp_evals.server.app import serve_stdio
    from mcp_evals.settings import load_settings

    try:
        settings = load_settings(config=given.config, suites=tuple(given.suites), servers=given.servers)
    except EvalsError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    gc.enable()
    gc.freeze()
    serve_stdio(settings)
