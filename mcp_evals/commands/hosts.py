"""The command that gets this server into an MCP host."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mcp_evals.commands.door import Config, Servers, Suites, app, told
from mcp_evals.errors import UsageError
from mcp_evals.hosts import HostName, configuration_text, own_host_file, title_of, write_entry


@app.command("config")
@told
def host_config(
    host: Annotated[HostName, typer.Argument(help="The host that is to start this server.", show_default=False)],
    write: Annotated[bool, typer.Option("--write", help="Merge the entry into the host's file.")] = False,
    path: Annotated[Path | None, typer.Option("--path", help="With --write: this file instead.")] = None,
    config: Config = None,
    suites: Suites = None,
    servers: Servers = None,
) -> None:
    """The entry for an MCP host; the options become the server's, because a host may start it in any folder."""
    arguments = [
        part
        for option, paths in (("--config", [config]), ("--suites", suites or []), ("--servers", [servers]))
        for given in paths
        if given is not None
        for part in (option, str(_existing(option, given)))
    ]
    if not write:
        if path is not None:
            raise UsageError("--path goes with --write")
        print(configuration_text(host, arguments))
        print(f"{title_of(host)} reads it from {own_host_file(host)}; --write puts it there", file=sys.stderr)
        return
    written = write_entry(host, path or own_host_file(host), arguments)
    if not written.is_changed:
        print(f"{written.path}: the entry is there already; nothing was changed")
        return
    kept = f"; what it was: {written.backup}" if written.backup else ""
    print(f"{written.path}: the entry is written{kept}. Start {title_of(host)} anew to see it")


def _existing(option: str, given: Path) -> Path:
    if not given.exists():
        raise UsageError(f"{option}: there is no {given}")
    return given.resolve()
