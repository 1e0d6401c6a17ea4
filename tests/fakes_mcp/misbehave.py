"""Servers that misbehave, by name: `python misbehave.py NAME`."""

import itertools
import os
import signal
import subprocess
import sys
import time
from typing import Any

import wire

TOOLS = wire.listing(wire.tool("echo"))
FOREVER = 3600


def hang_at_initialize() -> None:
    for _ in wire.requests():
        time.sleep(FOREVER)


def ignore_every_farewell() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wire.serve(tools_list=TOOLS)
    time.sleep(FOREVER)


def die_at_once() -> None:
    wire.note_pid(os.getpid())
    sys.stderr.write("".join(f"line {n}\n" for n in range(1000)))
    sys.exit("\x1b[31mcannot log in\x1b[0m with token " + os.environ.get("API_TOKEN", ""))


def die_in_a_call() -> None:
    def call(request: dict[str, Any]) -> dict[str, Any]:
        if request["params"]["name"] == "crash":
            sys.stderr.write("Segmentation fault\n")
            sys.stderr.flush()
            os._exit(139)
        return {"content": [{"type": "text", "text": "fine"}]}

    tools = wire.listing(wire.tool("crash", readOnlyHint=True), wire.tool("work", readOnlyHint=True))
    wire.serve(tools_list=tools, tools_call=call)


def hang_in_a_call() -> None:
    def call(_: dict[str, Any]) -> dict[str, Any]:
        time.sleep(FOREVER)
        return {}

    wire.serve(tools_list=wire.listing(wire.tool("slow", readOnlyHint=True)), tools_call=call)


def answer_slowly() -> None:
    answer = {"content": [{"type": "text", "text": "at last"}]}
    wire.serve(tools_list=wire.listing(wire.tool("slow", readOnlyHint=True)), tools_call=lambda _: answer)


def flood_in_a_call() -> None:
    def call(_: dict[str, Any]) -> dict[str, Any]:
        while True:
            sys.stdout.write("x" * 65536)

    wire.serve(tools_list=wire.listing(wire.tool("slow", readOnlyHint=True)), tools_call=call)


def flood_stderr() -> None:
    def tools(_: dict[str, Any]) -> dict[str, Any]:
        sys.stderr.write("noise " * 1_000_000)
        sys.stderr.flush()
        return TOOLS(_)

    wire.serve(tools_list=tools)


def flood_stdout_with_text() -> None:
    wire.note_pid(os.getpid())
    while True:
        sys.stdout.write("loading model weights\n")


def flood_stdout_with_one_line() -> None:
    wire.note_pid(os.getpid())
    while True:
        sys.stdout.write("x" * 65536)


def flood_stdout_with_messages() -> None:
    wire.note_pid(os.getpid())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        wire.send({"method": "notifications/message", "params": {"level": "info", "data": "still here"}})


def greet_on_stdout() -> None:
    sys.stdout.write("Server v1.0 is ready\n\n")
    wire.serve(tools_list=TOOLS)


def leave_children() -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)"
    child = subprocess.Popen([sys.executable, "-c", deaf])
    wire.note_pid(child.pid)
    wire.serve(tools_list=TOOLS)
    os._exit(0)


def leave_a_daemon() -> None:
    daemon = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
    wire.note_pid(daemon.pid)
    wire.serve(tools_list=TOOLS)
    os._exit(0)


def list_pages() -> None:
    pages = {None: ("a", "b", "2"), "2": ("c", "d", "3"), "3": ("e", "f", "")}

    def tools(request: dict[str, Any]) -> dict[str, Any]:
        *names, following = pages[request.get("params", {}).get("cursor")]
        return {"tools": [wire.tool(name) for name in names], "nextCursor": following}

    wire.serve(tools_list=tools)


def list_without_end() -> None:
    wire.serve(tools_list=lambda _: {"tools": [wire.tool("again")], "nextCursor": "more"})


def list_twins() -> None:
    wire.serve(tools_list=wire.listing(wire.tool("echo", "First."), wire.tool("echo", "Second.")))


def list_nonsense() -> None:
    wire.serve(tools_list=lambda _: {"tools": [wire.tool("fine"), {"name": "broken"}]})


def have_no_tools() -> None:
    wire.serve()


def speak_only_the_newest() -> None:
    refusal = {"error": {"code": -32022, "message": "too old", "data": {"supported": ["2026-07-28"], "requested": ""}}}
    discovered = {
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {}},
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "private",
    }

    def tools(_: dict[str, Any]) -> dict[str, Any]:
        return {**TOOLS(_), "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}

    wire.serve(initialize=lambda _: refusal, server_discover=lambda _: discovered, tools_list=tools)


def answer_calls_with_errors() -> None:
    codes = itertools.cycle([-32602, -32603, -32099])

    def call(_: dict[str, Any]) -> dict[str, Any]:
        code = next(codes)
        return {"error": {"code": code, "message": f"error {code}"}}

    wire.serve(tools_list=wire.listing(wire.tool("fail", readOnlyHint=True)), tools_call=call)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
