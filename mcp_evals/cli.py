"""The entry of `mcp-evals`: the server starts without the libraries that only the other commands need."""

import gc
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PORT: Final = 8765


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] == "serve":
        serve(arguments[1:])
        return
    from mcp_evals.commands import app  # brings typer and rich

    app(prog_name="mcp-evals")


def serve(arguments: Sequence[str]) -> None:
    """Serve MCP over stdio, or over HTTP."""
    given = parsed(arguments)
    # Importing makes hundreds of thousands of objects that all stay: collecting among them only costs time.
    gc.disable()
    from mcp_evals.errors import EvalsError  # the whole server loads here, after the arguments are known to be right
    from mcp_evals.server.app import serve_stdio
    from mcp_evals.settings import load_settings

    try:
        settings = load_settings(config=given.config, suites=tuple(given.suites), servers=given.servers)
        if given.http:
            from mcp_evals.server.http import Address, serve_http  # brings a web server

            gc.enable()
            serve_http(settings, Address(given.host or "127.0.0.1", given.port), given.token_env, os.environ)
            return
    except EvalsError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    gc.enable()
    gc.freeze()
    serve_stdio(settings)


def parsed(arguments: Sequence[str]) -> Namespace:
    """The arguments of `serve`; a wrong one ends the process with 2."""
    parser = ArgumentParser(prog="mcp-evals serve", description="Serve evals to an MCP host over stdio, or over HTTP.")
    parser.add_argument("--config", type=Path, help="configuration file (default: mcp-evals.toml, found upward)")
    parser.add_argument("--suites", type=Path, action="append", default=[], help="folder with suites; may be repeated")
    parser.add_argument("--servers", type=Path, help="a host's mcpServers file, whose servers suites may name")
    parser.add_argument("--http", action="store_true", help="serve streamable HTTP; a token is made and printed")
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1, this machine only)")
    parser.add_argument("--port", type=_port, help=f"port to listen on (default: {PORT}; 0: any free one)")
    parser.add_argument("--token-env", metavar="NAME", help="environment variable that holds the token")
    given = parser.parse_args(arguments)
    if not given.http:
        for name in ("host", "port", "token_env"):
            if getattr(given, name) is not None:
                parser.error(f"--{name.replace('_', '-')} goes with --http")
    given.port = PORT if given.port is None else given.port
    return given


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ArgumentTypeError(f"not a port: {text}")
    return int(text)
