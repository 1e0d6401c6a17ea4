"""The server over streamable HTTP: one workspace for all its clients, and a gate that lets in only who knows the token.

A program on this machine, or a page in its browser, can reach every local port: so the token is never optional, and
requests of pages (Origin) and of names that were made to point here (Host) are refused before it is looked at.
"""

import gc
import ipaddress
import logging
import secrets
import signal
import socket
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple

import anyio
import uvicorn
from anyio import CancelScope
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_evals.errors import UsageError
from mcp_evals.server.app import build_server
from mcp_evals.settings import Settings
from mcp_evals.targets.open import BUILT_IN
from mcp_evals.workspace import Workspace

PATH: Final = "/mcp"
LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
ANY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  compared with, not listened on


class Address(NamedTuple):
    """Where the server listens."""

    host: str
    """As the user wrote it."""
    port: int

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect."""
        return all(ipaddress.ip_address(found[4][0]).is_loopback for found in _resolved(self))

    @property
    def url(self) -> str:
        """What a client on this machine connects to."""
        name = "127.0.0.1" if self.host in ANY_ADDRESS else self.host
        return f"http://{f'[{name}]' if ':' in name else name}:{self.port}{PATH}"


def serve_http(settings: Settings, address: Address, token_env: str | None, environ: Mapping[str, str]) -> None:
    """Serve until SIGINT or SIGTERM; runs that are cut off by it can be resumed.

    Raises:
        UsageError: the address cannot be listened on, or is not safe to listen on without a token of the user's.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    token = _token(address, token_env, environ)
    listening = listen(address)
    bound = Address(address.host, listening.getsockname()[1])
    _load_what_is_slow(settings, environ)
    # All that is loaded stays: to look through it again would only make answers, and the end, slower.
    gc.freeze()
    said = f"token: the value of {token_env}" if token_env else f"token: {token}"
    sys.stderr.write(f"mcp-evals serves on {bound.url}\n{said} (send it as `Authorization: Bearer TOKEN`)\n")
    serve_app(http_app(build_server(settings), bound, token), listening)


def http_app(server: MCPServer[Workspace], address: Address, token: str) -> "Gate":
    """The server behind its gate."""
    # The gate is stricter than the SDK's own check, which lets pages of every local port in.
    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    return Gate(server.streamable_http_app(streamable_http_path=PATH, transport_security=unchecked), address, token)


def listen(address: Address) -> socket.socket:
    """A socket that listens there; port 0: any free one."""
    family, _, _, _, place = _resolved(address)[0]
    try:
        return socket.create_server(place[:2], family=family, backlog=2048)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {address.host} port {address.port}: {error.strerror}; "
            "name another with --port (0: any free one) or --host"
        ) from error


def serve_app(gate: "Gate", listening: socket.socket) -> None:
    """Answer requests until SIGINT or SIGTERM, and say so to those who still wait for an answer then."""
    config = uvicorn.Config(
        gate, log_config=None, access_log=False, lifespan="on", server_header=False, timeout_graceful_shutdown=5
    )
    before = signal.signal(signal.SIGTERM, _end)
    try:
        anyio.run(lambda: _Web(config, gate).serve(sockets=[listening]))
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)


class Gate:
    """Lets a request through whose Host and Origin are this server's own and which carries the token."""

    def __init__(self, app: ASGIApp, address: Address, token: str) -> None:
        self._app, self._address = app, address
        self._authorization = f"Bearer {token}".encode()
        self._is_local = address.is_local
        self._open: set[CancelScope] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on what may pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope["path"], Headers(scope=scope))
        answering = _Answering(refusal or self._app, send)
        with CancelScope() as open_scope:
            self._open.add(open_scope)
            try:
                await answering(scope, receive)
            finally:
                self._open.discard(open_scope)
        if open_scope.cancelled_caught:
            await answering.cut(scope, receive)

    def close(self) -> None:
        """End the requests that still wait for their answer."""
        for open_scope in self._open:
            open_scope.cancel()

    def _refusal(self, path: str, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "").lower()
        if not self._is_own(host):
            return _refused(421, "this Host is not served here")
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in {f"http://{host}", f"https://{host}"}:
            return _refused(403, "pages of other origins may not call this server")
        if path != PATH:
            return _refused(404, f"there is only {PATH}")
        scheme, _, given = headers.get("authorization", "").partition(" ")
        sent = f"{scheme.capitalize()} {given.strip()}".encode("utf-8", "surrogateescape")
        if not secrets.compare_digest(sent, self._authorization):
            refused = _refused(
                401, "send the token that the server printed at its start as Authorization: Bearer TOKEN"
            )
            refused.headers["WWW-Authenticate"] = "Bearer"
            return refused
        return None

    def _is_own(self, host: str) -> bool:
        name, port = _split(host)
        if self._is_local:
            return name in LOCAL_NAMES | {self._address.host.lower()} and port == self._address.port
        # Another port is no sign of an attack here: containers publish theirs under other numbers.
        if name in LOCAL_NAMES | {self._address.host.lower(), socket.gethostname().lower()}:
            return True
        # A name can be made to point here by anyone, an address cannot.
        return self._address.host in ANY_ADDRESS and _is_address(name)


class _Answering:
    """One answer, which can be ended properly wherever it stands."""

    def __init__(self, app: ASGIApp, send: Send) -> None:
        self._app, self._send = app, send
        self._is_begun = self._is_whole = False

    async def __call__(self, scope: Scope, receive: Receive) -> None:
        await self._app(scope, receive, self._noted)

    async def cut(self, scope: Scope, receive: Receive) -> None:
        if not self._is_begun:
            await _refused(503, "the server stops; its runs can be resumed")(scope, receive, self._send)
        elif not self._is_whole:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _noted(self, message: Message) -> None:
        self._is_begun = True
        self._is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)


class _Web(uvicorn.Server):
    """Does not wait for answers that take long: their runs are stored and can be resumed."""

    def __init__(self, config: uvicorn.Config, gate: Gate) -> None:
        super().__init__(config)
        self._gate = gate

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._gate.close()
        await super().shutdown(sockets)


def _load_what_is_slow(settings: Settings, environ: Mapping[str, str]) -> None:
    """Load now what else the first call that needs it would load, while all other clients wait."""
    kinds = {provider.kind for provider in settings.providers.values()}
    kinds |= {kind for kind, (_, _, key) in BUILT_IN.items() if environ.get(key)}
    for name in ("mcp_evals.stats.intervals", "ruamel.yaml", *(f"mcp_evals.targets.{kind}" for kind in sorted(kinds))):
        import_module(name)


def _token(address: Address, token_env: str | None, environ: Mapping[str, str]) -> str:
    if token_env is None:
        if not address.is_local:
            raise UsageError(
                f"{address.host} lets other machines in: put a secret token into an environment variable "
                "and name it with --token-env NAME, or serve on 127.0.0.1"
            )
        return secrets.token_urlsafe(32)
    token = environ.get(token_env, "").strip()
    if not token:
        raise UsageError(f"--token-env: the environment variable {token_env} is not set or empty")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageError(
            f"--token-env: {token_env} must hold visible ASCII characters only, to fit into an HTTP header"
        )
    return token


def _resolved(address: Address) -> list[Any]:
    try:
        return socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise UsageError(f"--host: no address {address.host} ({error.strerror})") from error


def _split(host: str) -> tuple[str, int]:
    """Name and port of a Host header; a name without a port is on the port of HTTP."""
    name, separator, port = host.rpartition(":")
    if not separator or host.endswith("]"):
        name, port = host, "80"
    return name.removeprefix("[").removesuffix("]"), int(port) if port.isascii() and port.isdecimal() else 0


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _refused(status: int, why: str) -> JSONResponse:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": why}}
    return JSONResponse(error, status)


def _end(*_: object) -> None:
    raise SystemExit(0)
