"""Clients that were not written here run a whole evaluation, over both transports and in both eras of the protocol."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.home import environment, weather_suite, write_suite
from e2e.host import Mode, connected
from e2e.nodejs import run_node
from e2e.serving import Serving, connected_over_http, serving
from e2e.stand_in import Behaviour, StandIn, right_city
from mcp import StdioServerParameters

NEEDLE = "recorded:needle-3-strict"
ENDED = {"status": "completed", "done": 37, "passed": 30, "failed": 6}
STDIO = [sys.executable, "-m", "mcp_evals", "serve"]
KINDS = [
    pytest.param("v1", "legacy", "2025-11-25", id="v1"),
    pytest.param("v2", "legacy", "2025-11-25", id="v2-legacy"),
    pytest.param("v2", "auto", "2026-07-28", id="v2-auto"),
]


@pytest.fixture
def server(folder: Path) -> Iterator[Serving]:
    """A server over HTTP in the user's folder."""
    with serving(folder) as found:
        yield found


def evaluate(server: dict[str, Any], sdk: str, era: str, **asked: Any) -> dict[str, Any]:
    """What a client of the TypeScript SDK saw of one evaluation."""
    wanted = {"suite": "assistant", "target": NEEDLE, "wait_s": 20, "timeout_ms": 60_000, **asked}
    finished = run_node("evaluate.mjs", json.dumps({"sdk": sdk, "era": era, "server": server, **wanted}), timeout=400)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def outcome(seen: dict[str, Any]) -> dict[str, Any]:
    return {name: seen.get(name, seen["cases"].get(name)) for name in ENDED}


@pytest.mark.node
@pytest.mark.parametrize(("sdk", "era", "protocol"), KINDS)
def test_a_typescript_client_runs_an_evaluation_over_stdio(folder: Path, sdk: str, era: str, protocol: str) -> None:
    started = {"command": STDIO[0], "args": STDIO[1:], "cwd": str(folder), "env": environment(folder / "home")}

    seen = evaluate(started, sdk, era)

    assert outcome(seen) == ENDED
    assert seen["protocol"] == protocol
    assert seen["text"].startswith("30 of 36 cases passed")


@pytest.mark.node
@pytest.mark.parametrize(("sdk", "era", "protocol"), KINDS)
def test_a_typescript_client_runs_an_evaluation_over_http(server: Serving, sdk: str, era: str, protocol: str) -> None:
    seen = evaluate({"url": server.url, "headers": server.headers}, sdk, era)

    assert outcome(seen) == ENDED
    assert seen["protocol"] == protocol


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_the_python_client_runs_an_evaluation(folder: Path, mode: Mode, transport: str) -> None:
    if transport == "stdio":
        started = StdioServerParameters(command=STDIO[0], args=STDIO[1:], cwd=folder, env=environment(folder / "home"))
        async with connected(started, mode) as host:
            seen = await evaluate_here(host)
    else:
        with serving(folder) as server:
            async with connected_over_http(server, mode) as host:
                seen = await evaluate_here(host)

    assert outcome(seen) == ENDED


async def evaluate_here(host: Any) -> dict[str, Any]:
    run = await host.ask("run_suite", suite="assistant", target=NEEDLE, wait_s=0)
    while run["status"] == "working":
        run = await host.ask("get_run", run_id=run["run_id"], wait_s=20)
    return run


@pytest.mark.node
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_a_run_of_two_minutes_is_followed_by_a_client_that_waits_ten_seconds_for_an_answer(
    folder: Path, model: StandIn, transport: str
) -> None:
    if not os.environ.get("MCP_EVALS_SLOW"):
        pytest.skip("takes two minutes: set MCP_EVALS_SLOW=1")
    write_suite(folder / "suites", weather_suite(*(f"city{n:02}" for n in range(48)), name="long"))
    model.behaviour = after(5)
    asked = {"suite": "long", "target": "here:m-1", "trials": 1, "wait_s": 6, "timeout_ms": 10_000}

    if transport == "stdio":
        env = environment(folder / "home")
        seen = evaluate(
            {"command": STDIO[0], "args": STDIO[1:], "cwd": str(folder), "env": env}, "v1", "legacy", **asked
        )
    else:
        with serving(folder) as server:
            seen = evaluate({"url": server.url, "headers": server.headers}, "v2", "auto", **asked)

    assert (seen["status"], seen["done"], seen["cases"]["passed"]) == ("completed", 48, 48)
    assert seen["slowest_ms"] < 10_000
    assert seen["calls"] > 10


def after(seconds: float) -> Behaviour:
    """A model that is right, and takes its time."""

    def answer(asked: str, times: int) -> Any:
        threading.Event().wait(seconds)
        return right_city(asked, times)

    return answer
