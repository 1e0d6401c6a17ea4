"""An MCP server as a child process: the program, its pipes, and its certain end.

The server gets a process group of its own, and the whole group is gone when the context is left, whatever the server
does: ignores the end of its input, ignores SIGTERM, floods its pipes, or leaves children behind. Only a child that made
itself a session of its own escapes; it is not waited for.
"""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Final, TypeVar

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.os.posix.utilities import terminate_posix_process_tree
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter

from mcp_evals.live_tools.settings import ServerSettings

_Stream = TypeVar("_Stream", ByteReceiveStream, ByteSendStream)
Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]

MAX_LINE_BYTES: Final = 32 * 2**20
MAX_NOISE_BYTES: Final = 2**20
KEPT_BYTES: Final = 4096
GRACE_S: Final = 1.0
"""How long a server may take to end after its input has ended, and again after SIGTERM."""
KILL_S: Final = 0.25
"""How long SIGKILL may take; a group whose dead nobody buries takes all of it."""


class ChildServer:
    """One start of a server program."""

    def __init__(self, settings: ServerSettings, ended: anyio.Event) -> None:
        self._settings = settings
        self._ended = ended
        self._closing = False
        self._noise_bytes = 0
        self._output_read = anyio.Event()
        self._errors_read = anyio.Event()
        self.exit_code: int | None = None
        """Exit code of a program that ended before it was asked to."""
        self.stderr = ""
        """The last that it wrote on its standard error."""
        self.noise = ""
        """The first that it wrote on its standard output that is not MCP."""
        self.fault: str | None = None
        """Why the connection was given up, where the server went too far."""

    @asynccontextmanager
    async def streams(self) -> AsyncGenerator[Streams]:
        """Start the program; leaving ends it. Sets the event `ended` when its output ends.

        Raises:
            OSError: it cannot be started.
        """
        process = await _start(self._settings)
        # Nothing is awaited before the `try`: a cancellation there would leave the process behind.
        inbound, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        write, outbound = anyio.create_memory_object_stream[SessionMessage](0)
        # Who reads goes on when the caller is cancelled: a server that cannot write cannot end, and has last words.
        output, errors = anyio.CancelScope(shield=True), anyio.CancelScope(shield=True)
        async with anyio.create_task_group() as pipes:
            try:
                pipes.start_soon(self._read_output, process, inbound, output)
                pipes.start_soon(self._read_errors, process, errors)
                pipes.start_soon(_write_input, process, outbound)
                yield read, write
            finally:
                # First, so that what the server still writes is dropped.
                read.close()
                with anyio.CancelScope(shield=True):
                    await self._end(process)
                for stream in (inbound, write, outbound):
                    stream.close()
                for scope in (output, errors, pipes.cancel_scope):
                    scope.cancel()

    async def _read_output(
        self,
        process: Process,
        inbound: MemoryObjectSendStream[SessionMessage | Exception],
        scope: anyio.CancelScope,
    ) -> None:
        output = _pipe(process.stdout)
        with scope, suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            with inbound, suppress(anyio.BrokenResourceError):
                await self._pass_on(output, inbound)
                if not self.fault:
                    await self._note_exit(process)
            self._ended.set()
            async for _ in output:
                pass
        self._output_read.set()

    async def _pass_on(
        self, output: ByteReceiveStream, inbound: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> None:
        async with aclosing(_lines(output)) as lines:
            async for line in lines:
                message = self._message(line)
                if message is not None:
                    await inbound.send(message)
                if self.fault:
                    return

    def _message(self, line: bytes | None) -> SessionMessage | None:
        if line is None:
            self.fault = f"it wrote a line of more than {MAX_LINE_BYTES >> 20} MiB"
            return None
        try:
            return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
        except ValueError:
            self.noise = self.noise or line[:KEPT_BYTES].decode(errors="replace").strip()
            self._noise_bytes += len(line)
            if self._noise_bytes > MAX_NOISE_BYTES:
                self.fault = f"it wrote more than {MAX_NOISE_BYTES >> 20} MiB of text that is not MCP"
            return None

    async def _note_exit(self, process: Process) -> None:
        # Before the session learns that the connection ended, so that its error can say why.
        with anyio.move_on_after(GRACE_S):
            await process.wait()
        if not self._closing:
            self.exit_code = process.returncode

    async def _read_errors(self, process: Process, scope: anyio.CancelScope) -> None:
        kept = b""
        with scope, suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            async for chunk in _pipe(process.stderr):
                kept = (kept + chunk)[-KEPT_BYTES:]
                self.stderr = kept.decode(errors="replace")
        self._errors_read.set()

    async def _end(self, process: Process) -> None:
        """Ask, insist, kill: the order that the MCP specification gives, with every wait bounded."""
        self._closing = True
        with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await _pipe(process.stdin).aclose()
        with anyio.move_on_after(GRACE_S):
            await process.wait()
        # Also after a clean end: the group may hold children that the server left behind.
        await _kill_group(process)
        with anyio.move_on_after(GRACE_S):
            await self._errors_read.wait()
            await self._output_read.wait()
        with anyio.move_on_after(GRACE_S):
            await process.aclose()


async def _start(settings: ServerSettings) -> Process:
    command, args = settings.command or "", list(settings.args)
    env = get_default_environment() | settings.env
    if sys.platform == "win32":
        from mcp.os.win32.utilities import create_windows_process, get_windows_executable_command  # of that system only

        return await create_windows_process(
            get_windows_executable_command(command), args, env, subprocess.PIPE, settings.cwd
        )
    return await anyio.open_process([command, *args], env=env, cwd=settings.cwd, start_new_session=True)


async def _kill_group(process: Process) -> None:
    if sys.platform == "win32":
        from mcp.os.win32.utilities import close_process_job, terminate_windows_process_tree  # of that system only

        await terminate_windows_process_tree(process)
        close_process_job(process)
    else:
        await terminate_posix_process_tree(process, GRACE_S)
        # That returns when SIGKILL is sent; a moment later it has had its effect.
        with anyio.move_on_after(KILL_S), suppress(ProcessLookupError, PermissionError):
            while True:
                os.killpg(process.pid, 0)
                await anyio.sleep(0.005)


async def _write_input(process: Process, outbound: MemoryObjectReceiveStream[SessionMessage]) -> None:
    with outbound:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            async for sent in outbound:
                line = sent.message.model_dump_json(by_alias=True, exclude_unset=True)
                await _pipe(process.stdin).send(line.encode() + b"\n")
        # A server that takes no input has ended; its output says so, with the exit code, and no write needs to fail.
        async for _ in outbound:
            pass


async def _lines(stream: ByteReceiveStream) -> AsyncGenerator[bytes | None]:
    """Lines that are not blank; None, and the end, where one is too long."""
    parts: list[bytes] = []
    size = 0
    with suppress(anyio.EndOfStream, OSError):
        while True:
            *whole, rest = (await stream.receive()).split(b"\n")
            for line in whole:
                full = b"".join((*parts, line))
                parts, size = [], 0
                if full.strip():
                    yield full
            parts.append(rest)
            size += len(rest)
            if size > MAX_LINE_BYTES:
                yield None
                return


def _pipe(stream: _Stream | None) -> _Stream:
    if stream is None:
        raise RuntimeError("the server was started without pipes")
    return stream
