"""Servers to start, and a look at which of their processes are left."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from fakes_mcp.running import FAKES, pid_file, server, started, survivors

from mcp_evals.live_tools import ServerSettings

__all__ = ["pid_file", "server", "started", "survivors"]


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
