"""Servers to start, and a look at which of their processes are left."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from mcp_evals.live_tools import ServerSettings

FAKES = Path(__file__).parents[1] / "fakes_mcp"
Server = Callable[..., ServerSettings]
Pids = Callable[[], list[int]]


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    """Where the fake servers note their process ids."""
    path = tmp_path / "pids"
    path.touch()
    return path


@pytest.fixture
def server(pid_file: Path) -> Server:
    """Settings of a fake server: a name of `misbehave.py`, or none for the well-behaved shop."""

    def settings(misbehaviour: str | None = None, **env: str) -> ServerSettings:
        script = "shop.py" if misbehaviour is None else "misbehave.py"
        args = (str(FAKES / script), *([misbehaviour] if misbehaviour else []))
        return ServerSettings(command=sys.executable, args=args, env={"PIDS": str(pid_file), **env})

    return settings


@pytest.fixture
def started(pid_file: Path) -> Pids:
    """The processes of fake servers that were started, in order."""
    return lambda: [int(line) for line in pid_file.read_text().split()]


@pytest.fixture
def survivors(started: Pids) -> Pids:
    """Those that still run; asking fails where none was started at all."""

    def running() -> list[int]:
        pids = started()
        assert pids, "no server has started"
        return [pid for pid in pids if _runs(pid)]

    return running


@pytest.fixture(params=["mcp", "sse"])
def remote_shop(request: pytest.FixtureRequest) -> Iterator[ServerSettings]:
    """The well-behaved shop, behind streamable HTTP and behind its forerunner."""
    command = [sys.executable, str(FAKES / "shop.py"), request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        yield ServerSettings(url=f"http://127.0.0.1:{port}/{request.param}")
        process.terminate()


@pytest.fixture
def refusing() -> Iterator[Callable[[int], ServerSettings]]:
    """A web server that answers everything with one status."""
    status = 500

    class Refuse(BaseHTTPRequestHandler):
        def _refuse(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = _refuse  # noqa: N815  the names that the base class calls

        def log_message(self, *_: object) -> None:
            pass

    def settings(answer: int) -> ServerSettings:
        nonlocal status
        status = answer
        return ServerSettings(url=f"http://127.0.0.1:{web.server_port}/secret-path-0123456789/mcp")

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as web:
        thread = Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield settings
        web.shutdown()
        thread.join()


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    # A zombie has ended; whoever is process 1 has only not looked yet.
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def plain_web() -> Iterator[ServerSettings]:
    """The least that streamable HTTP asks of a server: answers to POST alone, and an error for every call."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            tool = {"name": "fail", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
            hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
            answers: dict[str, Any] = {
                "initialize": {"result": hello},
                "tools/list": {"result": {"tools": [tool]}},
                "tools/call": {"error": {"code": -32602, "message": "no such thing"}},
            }
            answer = {"jsonrpc": "2.0", "id": request.get("id"), **answers.get(request["method"], {})}
            self.reply(200 if "id" in request else 202, json.dumps(answer).encode())

        def do_GET(self) -> None:
            self.reply(405, b"")

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Mcp-Session-Id", "1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_DELETE = do_GET  # noqa: N815  the name that the base class calls

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as web:
        thread = Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield ServerSettings(url=f"http://127.0.0.1:{web.server_port}/mcp")
        web.shutdown()
        thread.join()


@pytest.fixture
def unused_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]
