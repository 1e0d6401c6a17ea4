"""Just enough MCP over standard input and output, with the standard library alone, for servers that misbehave."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def tool(name: str, description: str = "A tool.", **annotations: bool) -> dict[str, Any]:
    """A tool without parameters."""
    found: dict[str, Any] = {"name": name, "description": description, "inputSchema": {"type": "object"}}
    return {**found, "annotations": annotations} if annotations else found


def requests() -> Iterator[dict[str, Any]]:
    """What the client asks, until it says goodbye. Notes the own process id where a test wants to know it."""
    note_pid(os.getpid())
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            yield message


def note_pid(pid: int) -> None:
    """Add a process id to the file that the test named."""
    with Path(os.environ["PIDS"]).open("a") as file:
        file.write(f"{pid}\n")


def send(message: dict[str, Any]) -> None:
    """Write one message."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def hello(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to `initialize`."""
    return {
        "protocolVersion": request["params"]["protocolVersion"],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "fake", "version": "1"},
    }


def serve(**answers: Answer) -> None:
    """Answer `initialize` and what `answers` knows (`tools_list` answers `tools/list`); refuse the rest."""
    known = {"initialize": hello, **{name.replace("_", "/"): answer for name, answer in answers.items()}}
    for request in requests():
        answer = known.get(request["method"])
        if answer is None:
            send({"id": request["id"], "error": {"code": -32601, "message": "Method not found"}})
            continue
        result = answer(request)
        send({"id": request["id"], **({"error": result["error"]} if "error" in result else {"result": result})})


def listing(*tools: dict[str, Any]) -> Answer:
    """Answers `tools/list` with these."""
    return lambda _: {"tools": list(tools)}
