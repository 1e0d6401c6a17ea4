"""The server of this package as the conformance suite can reach it: the suite sends no token, so one is added here.

`python server.py --port 0 [--fixtures]`: with them, what the suite's scenarios call is there too.
"""

import os
import sys
from argparse import ArgumentParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fixtures import add_fixtures
from starlette.types import Receive, Scope, Send

from mcp_evals.server.app import build_server
from mcp_evals.server.http import Address, Gate, http_app, listen, serve_app
from mcp_evals.settings import Settings

TOKEN = "token-of-the-conformance-suite"


class Admitting(Gate):
    """A gate that lets the suite in: every request comes with the token."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the token, then do what a gate does."""
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], (b"authorization", f"Bearer {TOKEN}".encode())]}
        await super().__call__(scope, receive, send)


def main() -> None:
    """Serve until the process is ended; says where, in the words of the real command."""
    parser = ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token-env", required=True)
    parser.add_argument("--fixtures", action="store_true")
    given = parser.parse_args()
    server = build_server(Settings(data=Path(os.environ["MCP_EVALS_HOME"])))
    if given.fixtures:
        add_fixtures(server)
    listening = listen(Address("127.0.0.1", given.port))
    address = Address("127.0.0.1", listening.getsockname()[1])
    sys.stderr.write(f"mcp-evals serves on {address.url}\ntoken: added to each request\n")
    serve_app(Admitting(http_app(server, address, TOKEN), address, TOKEN), listening)


main()
