"""The server over HTTP: who is let in, what clients share, and how it ends."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from e2e.conftest import Command
from e2e.home import environment, weather_suite, write_suite
from e2e.host import Mode
from e2e.serving import SERVE_HTTP, TOKEN, Serving, connected_over_http, serving
from e2e.stand_in import StandIn, call_reply
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from mcp_evals.server.http import Address, Gate

LOCAL = Address("127.0.0.1", 8765)
SHOP = Path(__file__).parent.parent / "fakes_mcp" / "shop.py"
WAITING = {
    "id": "parcel",
    "user": "Is it there?",
    "expect": {"calls": [{"tool": "wait_for_delivery", "args": {}}]},
}
LET_IN = 400
"""What the SDK answers to a request that names no session."""
EVERYWHERE = Address("0.0.0.0", 8765)


async def status_of(address: Address, path: str = "/mcp", **headers: str) -> int:
    """What a gate answers to a request with these headers."""
    gate = Gate(PlainTextResponse("in"), address, TOKEN)
    sent = {"host": "127.0.0.1:8765", "authorization": f"Bearer {TOKEN}", **headers}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=gate), base_url="http://127.0.0.1:8765") as client:
        return (await client.post(path, headers=sent)).status_code


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8765"}, 200),
        ({"host": "LOCALHOST:8765"}, 200),
        ({"host": "[::1]:8765"}, 200),
        ({"host": "localhost:8765", "origin": "http://localhost:8765"}, 200),
        ({"authorization": f"bearer {TOKEN}"}, 200),
        ({"host": "localhost:3000"}, 421),
        ({"host": "localhost"}, 421),
        ({"host": "evil.example:8765"}, 421),
        ({"host": "127.0.0.1.evil.example:8765"}, 421),
        ({"host": "192.168.0.7:8765"}, 421),
        ({"host": ""}, 421),
        ({"origin": "http://localhost:8765"}, 403),
        ({"origin": "http://127.0.0.1:3000"}, 403),
        ({"origin": "http://localhost:3000"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:8765.evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"authorization": ""}, 401),
        ({"authorization": TOKEN}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"authorization": f"Bearer {TOKEN}x"}, 401),
        ({"authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"authorization": "Bearer "}, 401),
    ],
)
async def test_only_the_token_s_owner_is_let_in_and_no_page_of_another_port(
    headers: dict[str, str], status: int
) -> None:
    assert await status_of(LOCAL, **headers) == status


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "192.168.0.7:80"}, 200),
        ({"host": "[fe80::1]:9000"}, 200),
        ({"host": f"{socket.gethostname()}:8765"}, 200),
        ({"host": "evil.example:8765"}, 421),
        ({"host": "192.168.0.7:8765", "origin": "http://192.168.0.7:3000"}, 403),
        ({"host": "192.168.0.7:8765", "authorization": "Bearer x"}, 401),
    ],
)
async def test_a_server_for_other_machines_is_reached_by_address_and_not_by_anyone_s_name(
    headers: dict[str, str], status: int
) -> None:
    assert await status_of(EVERYWHERE, **headers) == status


@pytest.mark.anyio
async def test_there_is_nothing_else_on_the_server_not_even_for_who_has_no_token() -> None:
    assert await status_of(LOCAL, "/.well-known/oauth-protected-resource", authorization="") == 404


@pytest.mark.anyio
async def test_who_still_waits_when_the_server_stops_is_told_so() -> None:
    reached = anyio.Event()

    async def never(_scope: Scope, _receive: Receive, _send: Send) -> None:
        reached.set()
        await anyio.sleep_forever()

    gate = Gate(never, LOCAL, TOKEN)
    answers: list[httpx.Response] = []

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=gate)) as client:
            headers = {"authorization": f"Bearer {TOKEN}"}
            answers.append(await client.post("http://127.0.0.1:8765/mcp", headers=headers))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await reached.wait()
        gate.close()

    assert [(answer.status_code, answer.json()["error"]["message"]) for answer in answers] == [
        (503, "the server stops; its runs can be resumed")
    ]


@pytest.fixture
def server(folder: Path) -> Iterator[Serving]:
    """A server in the user's folder."""
    with serving(folder) as found:
        yield found


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_host_lists_runs_and_scores_over_http(server: Serving, mode: Mode) -> None:
    right = {"calls": [{"name": "get_weather", "arguments": {"city": "rome"}}]}

    async with connected_over_http(server, mode) as host:
        version = host.client.protocol_version
        suites = await host.ask("list_suites")
        run = await host.ask("run_suite", suite="weather", target="recorded:mixed", wait_s=50)
        scored = await host.ask("score_transcript", suite="weather", case="rome", transcript=right)
        refusal = await host.refused("run_suite", suite="wether", target="recorded:mixed")

    assert version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[mode]
    assert [suite["name"] for suite in suites["suites"]] == ["weather", "assistant"]
    assert (run["status"], run["cases"]["passed"], run["cases"]["failed"]) == ("completed", 1, 2)
    assert scored["verdict"] == "passed"
    assert 'did you mean "weather"?' in refusal


@pytest.mark.anyio
async def test_a_run_that_one_client_began_is_waited_for_and_cancelled_by_another(
    server: Serving, model: StandIn
) -> None:
    model.hold_after(1)
    async with connected_over_http(server) as one:
        run = await one.ask("run_suite", suite="weather", target="here:m-1", trials=1, wait_s=0)
        await anyio.to_thread.run_sync(model.wait_until_held, 2)

    async with connected_over_http(server, "auto") as other:
        seen = await other.ask("get_run", run_id=run["run_id"])
        ended = await other.ask("control_run", run_id=run["run_id"], action="cancel", wait_s=50)

    assert (run["status"], seen["status"], seen["done"]) == ("working", "working", 1)
    assert (ended["status"], ended["done"]) == ("cancelled", 1)


def test_a_token_is_made_and_printed_once_and_nothing_goes_to_standard_output(folder: Path) -> None:
    with serving(folder, variables={}) as made, serving(folder, variables={}) as other:
        statuses = [httpx.get(made.url, headers=headers).status_code for headers in (made.headers, other.headers, {})]
        for server in (made, other):
            server.process.terminate()
        out, err = made.process.communicate(timeout=20)

    assert statuses == [LET_IN, 401, 401]
    assert len(made.token) >= 43
    assert (out, err, made.process.returncode) == ("", "", 0)


def test_a_token_of_the_user_is_never_printed(server: Serving) -> None:
    assert httpx.get(server.url, headers=server.headers).status_code == LET_IN

    server.process.terminate()
    out, err = server.process.communicate(timeout=20)

    assert server.said.startswith("token: the value of TOKEN_OF_TEST ")
    assert (TOKEN in server.said + out + err, server.process.returncode) == (False, 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "0.0.0.0 lets other machines in: put a secret token into an environment variable"),
        (["--host", "::"], "lets other machines in"),
        (["--host", "0.0.0.0", "--token-env", "NO_TOKEN"], "the environment variable NO_TOKEN is not set or empty"),
        (["--token-env", "NO_TOKEN"], "the environment variable NO_TOKEN is not set or empty"),
        (["--token-env", "TORN"], "TORN must hold visible ASCII characters only"),
        (["--host", "no.such.host.invalid"], "--host: no address no.such.host.invalid"),
        (["--port", "70000"], "not a port: 70000"),
    ],
)
def test_a_server_that_would_not_be_safe_does_not_start(folder: Path, arguments: list[str], said: str) -> None:
    finished = start(folder, SERVE_HTTP, *arguments)

    assert (finished.returncode, finished.stdout) == (2, "")
    assert said in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_taken_port_is_told_with_the_way_out(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finished = start(folder, SERVE_HTTP, "--port", str(taken.getsockname()[1]))

    assert finished.returncode == 2
    assert "name another with --port (0: any free one)" in finished.stderr


def test_options_of_http_are_not_ignored_without_it(folder: Path) -> None:
    finished = start(folder, SERVE_HTTP[:-1], "--port", "8765")

    assert finished.returncode == 2
    assert "--port goes with --http" in finished.stderr


def start(folder: Path, command: list[str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment(folder / "home", TORN="a token with blanks"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def begin(server: Serving, model: StandIn) -> dict[str, Any]:
    """A run of three trials, one done and two held back by the model."""
    model.hold_after(1)
    async with connected_over_http(server) as host:
        run = await host.ask("run_suite", suite="weather", target="here:m-1", trials=1, wait_s=0)
    await anyio.to_thread.run_sync(model.wait_until_held, 2)
    return run


@pytest.mark.anyio
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_in_the_middle_of_a_run_tells_who_waits_and_loses_no_trial(
    folder: Path, server: Serving, model: StandIn, run_command: Command, how: signal.Signals
) -> None:
    run = await begin(server, model)
    said: list[str] = []

    async def wait(begun: Callable[[], None]) -> None:
        call = {"name": "get_run", "arguments": {"run_id": run["run_id"], "wait_s": 50}}
        async with (
            httpx.AsyncClient(timeout=60) as web,
            web.stream("POST", server.url, headers=MODERN | server.headers, json=modern(call)) as answer,
        ):
            begun()
            said.append(f"{answer.status_code} {(await answer.aread()).decode()}")

    # One answer is a stream that is already open, when the signal comes.
    begun = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(wait, begun.set)
        with anyio.fail_after(30):
            await begun.wait()
        server.process.send_signal(how)
        out, err = await anyio.to_thread.run_sync(lambda: server.process.communicate(timeout=20))
    model.let_go()
    summary = json.loads(run_command("report", run["run_id"], "--format", "json").stdout)["summary"]
    resumed = run_command("run", "--resume", run["run_id"], "--format", "json")

    assert (out, err, server.process.returncode) == ("", "", 0)
    assert [answer[:3] for answer in said] == ["200"]
    assert children_in(folder) == []
    assert (summary["run"]["status"], summary["trials"]["passed"]) == ("interrupted", 1)
    assert json.loads(resumed.stdout)["done"] == 3
    assert sorted(model.counts.values()) == [1, 2, 2]


@pytest.mark.anyio
async def test_a_killed_server_leaves_a_run_that_the_next_one_resumes(
    folder: Path, server: Serving, model: StandIn
) -> None:
    run = await begin(server, model)
    server.process.kill()
    server.process.communicate()
    model.let_go()

    with serving(folder) as next_one:
        async with connected_over_http(next_one) as host:
            left = await host.ask("get_run", run_id=run["run_id"])
            ended = await host.ask("control_run", run_id=run["run_id"], action="resume", wait_s=50)

    assert children_in(folder) == []
    assert (left["status"], left["done"]) == ("interrupted", 1)
    assert (ended["status"], ended["done"], ended["cases"]["passed"]) == ("completed", 3, 3)
    assert sorted(model.counts.values()) == [1, 2, 2]


@pytest.mark.anyio
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_no_tool_server_outlives_the_server_that_was_calling_it(
    folder: Path, model: StandIn, how: signal.Signals
) -> None:
    pids = folder / "pids"
    pids.touch()
    with (folder / "mcp-evals.toml").open("a") as file:
        file.write(f"[servers.shop]\ncommand = {json.dumps(sys.executable)}\nargs = [{json.dumps(str(SHOP))}]\n")
        file.write(f"env = {{PIDS = {json.dumps(str(pids))}}}\n")
    write_suite(
        folder / "suites", {**weather_suite("oslo", name="shop"), "tools": [{"server": "shop"}], "cases": [WAITING]}
    )
    model.behaviour = lambda *_: call_reply("wait_for_delivery", "{}")

    with serving(folder) as server:
        async with connected_over_http(server) as host:
            run = await host.ask("run_suite", suite="shop", target="here:m-1", trials=1, wait_s=0)
            await anyio.to_thread.run_sync(until, lambda: model.asked)
        server.process.send_signal(how)
        await anyio.to_thread.run_sync(lambda: server.process.communicate(timeout=20))

    assert run["status"] == "working"
    assert pids.read_text().split()
    await anyio.to_thread.run_sync(until, lambda: not children_in(folder))


MODERN = {
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "get_run",
}


def modern(call: dict[str, Any]) -> dict[str, Any]:
    """A request of the 2026 protocol, which needs no session; its progress opens a stream at once."""
    meta = {
        "progressToken": 1,
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {**call, "_meta": meta}}


def until(holds: Callable[[], object]) -> None:
    """Return when something holds."""
    for _ in range(1200):
        if holds():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it never did")


def children_in(folder: Path) -> list[str]:
    """Processes of this machine that work in a folder."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found
