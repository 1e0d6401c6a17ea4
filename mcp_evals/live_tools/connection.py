"""One connection to an MCP server: opened, talked over and closed in one task, with its failures told for people.

Imports the protocol library, which takes about a second to load; the other modules here load this one on first use.
"""

import json
import logging
import math
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import httpx2  # the HTTP client that mcp's transports take
from anyio.abc import TaskStatus
from mcp import ClientSession, MCPError
from mcp.client._transport import TransportStreams
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import (
    CONNECTION_CLOSED,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    REQUEST_TIMEOUT,
    UNSUPPORTED_PROTOCOL_VERSION,
    AudioContent,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    PaginatedRequestParams,
    ResourceLink,
    TextContent,
    TextResourceContents,
    Tool,
)
from pydantic import ValidationError

from mcp_evals.conversation import ToolDefinition, ToolResult
from mcp_evals.errors import EvalsError, TargetError
from mcp_evals.live_tools.settings import ServerSettings, fill_in
from mcp_evals.live_tools.stdio import ChildServer

MAX_PAGES: Final = 1000
MAX_RESULT_CHARS: Final = 100_000
_CONTROL: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")

# Our errors say what goes wrong; these would say it again with tracebacks, and with addresses that may hold keys.
for _logger, _level in {
    "mcp.client.sse": logging.CRITICAL,
    "mcp.client.streamable_http": logging.CRITICAL,
    "httpx2": logging.WARNING,
}.items():
    logging.getLogger(_logger).setLevel(_level)

_MADE_OF_A_STATUS: Final = {METHOD_NOT_FOUND, INVALID_REQUEST, INTERNAL_ERROR}
"""Codes of the errors that mcp's transport makes of an HTTP status."""

_Said = TypeVar("_Said")


class Link:
    """What is known of one connection while it lasts and after."""

    def __init__(self, name: str, settings: ServerSettings) -> None:
        self._name = name
        self.server = fill_in(name, settings, os.environ)
        self.over = anyio.Event()
        """Set to end the connection, and when the server program ends it."""
        self.doing = "connecting"
        """What goes on, for errors."""
        self._child: ChildServer | None = None
        self._statuses: list[int] = []

    async def converse(
        self, talk: Callable[[ClientSession, anyio.CancelScope], Awaitable[_Said]], timeout_s: float
    ) -> _Said:
        """Connect, let `talk` use the session, and leave nothing behind; `talk` may move the deadline of its scope.

        Raises:
            TargetError: the server did not do as it should, or not in time.
        """
        said: list[_Said] = []
        try:
            with anyio.move_on_after(timeout_s) as scope:
                async with self._transport() as (read, write), ClientSession(read, write) as session:
                    await _shake_hands(session)
                    said.append(await talk(session, scope))
        except Exception as error:
            # A failure of the farewell takes nothing back.
            if not said:
                raise self.explain(error) from error
        if not said:
            raise self.late(timeout_s)
        return said[0]

    async def list_tools(self, session: ClientSession) -> tuple[ToolDefinition, ...]:
        """Every page of the server's tools, in its order."""
        self.doing = "listing its tools"
        tools: list[ToolDefinition] = []
        cursors: set[str] = set()
        try:
            page = await session.list_tools()
        except MCPError as error:
            if error.code != METHOD_NOT_FOUND:
                raise
            raise self._trouble("offers no tools: it does not know tools/list") from error
        while True:
            tools += [_definition(tool) for tool in page.tools]
            cursor = page.next_cursor
            if not cursor:
                return tuple(tools)
            if cursor in cursors or len(cursors) >= MAX_PAGES:
                raise self._trouble(f"never ends its list of tools ({len(cursors) + 1} pages, {len(tools)} tools)")
            cursors.add(cursor)
            page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))

    def explain(self, error: Exception, doing: str | None = None) -> EvalsError:
        """The error for people: what the server did, and its last words."""
        leaf, doing = _telling(error), doing or self.doing
        if isinstance(leaf, EvalsError):
            return leaf
        child = self._child
        if child is not None and child.fault is not None:
            return self._trouble(f"was given up: {child.fault}")
        if child is not None and child.exit_code is not None:
            return self._trouble(f"ended with exit code {child.exit_code} while {doing}")
        return self._trouble(self._what_went_wrong(leaf, doing))

    def late(self, timeout_s: float, doing: str | None = None) -> TargetError:
        """The error of a server that takes too long."""
        return self._trouble(f"did not answer within {timeout_s:g} s while {doing or self.doing}")

    @property
    def refusals(self) -> int:
        """How many requests the server refused on the level of HTTP."""
        return len(self._statuses)

    @asynccontextmanager
    async def _transport(self) -> AsyncGenerator[TransportStreams]:
        settings = self.server.settings
        url, headers = settings.url or "", dict(settings.headers)
        if settings.kind == "stdio":
            self._child = ChildServer(settings, self.over)
            async with self._child.streams() as streams:
                yield streams
        elif settings.kind == "sse":
            async with sse_client(url, headers, httpx_client_factory=self._http_client) as streams:
                yield streams
        else:
            async with self._http_client(headers) as client, streamable_http_client(url, http_client=client) as streams:
                yield streams

    def _http_client(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        async def note_refusal(response: httpx2.Response) -> None:
            # Many a server refuses the GET for its own messages, and the DELETE at the end: both are optional.
            if response.is_error and response.request.method == "POST":
                self._statuses.append(response.status_code)

        # A server may hold its answer open for long; how long at most is the caller's decision.
        return httpx2.AsyncClient(
            headers=headers,
            timeout=timeout or httpx2.Timeout(30, read=300),
            auth=auth,
            event_hooks={"response": [note_refusal]},
        )

    def _what_went_wrong(self, error: Exception, doing: str) -> str:
        settings = self.server.settings
        match error:
            case OSError() if settings.kind == "stdio":
                return f"cannot be started: {_why_not_started(error, settings)}"
            case httpx2.HTTPStatusError():
                return _refused(error.response.status_code, settings.kind)
            case httpx2.TransportError():
                return f"cannot be reached at {settings.place}: {self._first_words(str(error)) or type(error).__name__}"
            case MCPError() if self._statuses and error.code in _MADE_OF_A_STATUS:
                return _refused(self._statuses[-1], settings.kind)
            case MCPError() if error.code == CONNECTION_CLOSED:
                return f"closed the connection while {doing}"
            case MCPError():
                return f"answered with error {error.code} while {doing}: {self._first_words(error.message)}"
            case ValidationError():
                first = error.errors(include_url=False, include_input=False, include_context=False)[0]
                where = ".".join(str(part) for part in first["loc"])
                return f"answered what is not valid MCP while {doing}: {where}: {first['msg']}"
            case _:
                return f"failed while {doing}: {self._first_words(str(error)) or type(error).__name__}"

    def _trouble(self, what: str) -> TargetError:
        parts = [f'server "{self._name}" {what}']
        if self._child is not None and self._child.noise:
            parts.append(f'it wrote on its standard output what is not MCP: "{self._first_words(self._child.noise)}"')
        if self._child is not None and self._child.stderr.strip():
            parts.append(f'its last words on standard error: "{self._last_words(self._child.stderr)}"')
        return TargetError("; ".join(parts), kind="tool_server")

    # What others wrote loses its secrets before it is cut, or a part of one could stay.

    def _first_words(self, text: str) -> str:
        words = " ".join(_plain(self.server.conceal(text)).split())
        return words if len(words) <= 300 else words[:300] + "…"

    def _last_words(self, text: str) -> str:
        lines = [line.strip() for line in _plain(self.server.conceal(text)).splitlines() if line.strip()]
        words = " | ".join(lines[-5:])
        return words if len(words) <= 600 else "…" + words[-600:]


class Connection:
    """A server that one task keeps running, for calls from many."""

    def __init__(self, name: str, settings: ServerSettings, start_timeout_s: float, call_timeout_s: float) -> None:
        self._link = Link(name, settings)
        self._start_timeout_s = start_timeout_s
        self._call_timeout_s = call_timeout_s
        self._session: ClientSession | None = None
        self._started = False
        self._ended = anyio.Event()
        self._failure: EvalsError | None = None
        self.tools: tuple[ToolDefinition, ...] = ()
        """What the server offered when it started."""

    @property
    def alive(self) -> bool:
        """Whether calls can be made."""
        return self._session is not None

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own the connection until it is stopped or breaks. A failure to start is raised, a later one is kept for `call`."""

        async def stay(session: ClientSession, scope: anyio.CancelScope) -> None:
            self.tools = await self._link.list_tools(session)
            self._session, self._started = session, True
            self._link.doing = "waiting for calls"
            scope.deadline = math.inf
            task_status.started()
            await self._link.over.wait()

        try:
            await self._link.converse(stay, self._start_timeout_s)
        except EvalsError as error:
            if not self._started:
                raise
            self._failure = error
        finally:
            self._session = None
            self._ended.set()

    def stop(self) -> None:
        """Let the owner close the connection."""
        self._link.over.set()

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolResult:
        """Run a tool. What a better call would have avoided comes back as a result; all else is raised.

        Raises:
            TargetError: the server broke, broke the protocol, or took too long.
        """
        doing, refusals = f"running {name}", self._link.refusals
        conceal = self._link.server.conceal_keys
        session = self._session
        if session is None:
            raise self._failure or self._link.explain(MCPError(CONNECTION_CLOSED, "closed"), doing)
        try:
            result = await session.call_tool(name, arguments, self._call_timeout_s)
        except MCPError as error:
            if error.code == REQUEST_TIMEOUT:
                raise self._link.late(self._call_timeout_s, doing) from error
            # Servers refuse arguments, and report what a tool threw, in this form too.
            if error.code in {INVALID_PARAMS, INTERNAL_ERROR} and self._link.refusals == refusals:
                return ToolResult(content=conceal(error.message), is_error=True)
            self.stop()
            await self._ended.wait()
            raise self._failure or self._link.explain(error, doing) from error
        except (ValidationError, RuntimeError) as error:
            raise self._link.explain(error, doing) from error
        return ToolResult(content=conceal(_answer(result)), is_error=result.is_error)


async def _shake_hands(session: ClientSession) -> None:
    try:
        await session.initialize()
    except MCPError as error:
        # Only servers of the newest protocol refuse. To ask for that one first would end many an older server, which
        # leaves at any message but `initialize`.
        if error.code not in {UNSUPPORTED_PROTOCOL_VERSION, METHOD_NOT_FOUND}:
            raise
        await session.discover()


def _definition(tool: Tool) -> ToolDefinition:
    hints = tool.annotations
    return ToolDefinition(
        name=tool.name,
        description=tool.description or "",
        input_schema=tool.input_schema,
        title=tool.title,
        output_schema=tool.output_schema,
        annotations=None if hints is None else hints.model_dump(mode="json", by_alias=True, exclude_none=True),
    )


def _answer(result: CallToolResult) -> str:
    """What a model would be shown: the text, and for the rest what it is."""
    texts = [_block(block) for block in result.content]
    if not texts and result.structured_content is not None:
        texts = [json.dumps(result.structured_content, ensure_ascii=False)]
    text = "\n".join(texts)
    left = len(text) - MAX_RESULT_CHARS
    return text if left <= 0 else f"{text[:MAX_RESULT_CHARS]}\n[{left} more characters were cut]"


def _block(block: ContentBlock) -> str:
    match block:
        case TextContent():
            return block.text
        case ImageContent() | AudioContent():
            return f"[{block.type} {block.mime_type}, {len(block.data) * 3 // 4} bytes]"
        case ResourceLink():
            return f"[resource {block.uri}: {block.title or block.name}]"
        case EmbeddedResource(resource=TextResourceContents() as resource):
            return resource.text
        case EmbeddedResource():
            return f"[resource {block.resource.uri}]"


def _telling(error: Exception) -> Exception:
    """The exception of a group that says most: ours, then what broke the transport, then what the session made of it."""
    leaves = list(_leaves(error))
    ours = [leaf for leaf in leaves if isinstance(leaf, EvalsError)]
    causes = [leaf for leaf in leaves if not isinstance(leaf, MCPError)]
    return (ours or causes or leaves)[0]


def _leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
            yield from _leaves(inner)  # pyright: ignore[reportUnknownArgumentType]
    else:
        yield error


def _why_not_started(error: OSError, settings: ServerSettings) -> str:
    if isinstance(error, FileNotFoundError) and settings.cwd is not None and not Path(settings.cwd).is_dir():
        return "there is no such folder as its `cwd`"
    if isinstance(error, FileNotFoundError):
        return f"there is no program {settings.command}; install it, or give its full path"
    return error.strerror or type(error).__name__


def _refused(status: int, kind: str) -> str:
    if status in {401, 403}:
        return f"refused access (HTTP {status}); set the token that it wants in `headers`"
    if status in {404, 405}:
        other = ', or an older server that wants `transport = "sse"`' if kind == "http" else ""
        return f"answered HTTP {status}: this is not the address of an MCP endpoint{other}"
    return f"answered HTTP {status}"


def _plain(text: str) -> str:
    return _CONTROL.sub("", text).strip()
