"""The server over HTTP as a process, and how clients of this package reach it."""

import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
from e2e.home import environment
from e2e.host import Host, Mode
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

SERVE_HTTP = [sys.executable, "-m", "mcp_evals", "serve", "--http"]
TOKEN = "token-of-a-test-4711"


class Serving(NamedTuple):
    """A server that listens."""

    process: "subprocess.Popen[str]"
    url: str
    said: str
    """What it printed about its token."""
    token: str = TOKEN

    @property
    def headers(self) -> dict[str, str]:
        """What lets a client in."""
        return {"Authorization": f"Bearer {self.token}"}


@contextmanager
def serving(
    folder: Path, *arguments: str, command: list[str] = SERVE_HTTP, variables: Mapping[str, str] | None = None
) -> Iterator[Serving]:
    """A server in a user's folder, which is gone after the block; its port is a free one."""
    given = {"TOKEN_OF_TEST": TOKEN} if variables is None else variables
    how = [
        *command,
        "--port",
        "0",
        *([] if "--token-env" in arguments or variables == {} else ["--token-env", "TOKEN_OF_TEST"]),
    ]
    process = subprocess.Popen(
        [*how, *arguments],
        cwd=folder,
        env=environment(folder / "home", **given),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        first, said = process.stderr.readline(), process.stderr.readline()
        assert "serves on http" in first, first + said + process.stderr.read()
        try:
            yield Serving(process, first.split()[-1], said, said.split()[1] if variables == {} else TOKEN)
        finally:
            process.kill()


@asynccontextmanager
async def connected_over_http(server: Serving, mode: Mode = "legacy") -> AsyncGenerator[Host]:
    """A host that is connected to a server over HTTP."""
    async with (
        httpx2.AsyncClient(headers=server.headers, timeout=60) as web,
        Client(streamable_http_client(server.url, http_client=web), mode=mode) as client,
    ):
        yield Host(client)
