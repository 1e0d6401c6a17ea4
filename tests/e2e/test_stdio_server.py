"""The server as a host starts it: a process that speaks over its standard input and output."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import Command
from e2e.home import environment
from e2e.host import Mode, connected
from e2e.stand_in import StandIn
from mcp import StdioServerParameters

SERVE = [sys.executable, "-m", "mcp_evals", "serve"]


@pytest.fixture
def server(folder: Path) -> StdioServerParameters:
    """How a host's configuration starts the server."""
    return StdioServerParameters(command=SERVE[0], args=SERVE[1:], cwd=folder, env=environment(folder / "home"))


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_host_lists_runs_and_scores_over_stdio(server: StdioServerParameters, mode: Mode) -> None:
    right = {"calls": [{"name": "get_weather", "arguments": {"city": "rome"}}]}

    async with connected(server, mode) as host:
        suites = await host.ask("list_suites")
        run = await host.ask("run_suite", suite="weather", target="recorded:mixed", wait_s=50)
        failure = await host.ask("get_run", run_id=run["run_id"], case="rome")
        scored = await host.ask("score_transcript", suite="weather", case="rome", transcript=right)
        refusal = await host.refused("run_suite", suite="wether", target="recorded:mixed")

    assert [suite["name"] for suite in suites["suites"]] == ["weather", "assistant"]
    assert (run["status"], run["cases"]["passed"], run["cases"]["failed"]) == ("completed", 1, 2)
    assert failure["calls"][0]["actual"] == 'get_weather(city="oslo")'
    assert scored["verdict"] == "passed"
    assert 'did you mean "weather"?' in refusal


class Wire:
    """A server and the lines that it writes; speaks the protocol without any library."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            SERVE,
            cwd=folder,
            env=environment(folder / "home"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._asked = 0
        self.lines: list[str] = []
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "wire", "version": "1"}}
        self.ask("initialize", **hello)
        self.send({"method": "notifications/initialized"})

    def send(self, message: dict[str, Any]) -> None:
        """Write one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a request, whatever else comes before it."""
        self._asked += 1
        self.send({"id": self._asked, "method": method, "params": params})
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            message = json.loads(line)
            if message.get("id") == self._asked:
                return message
        raise AssertionError("the server closed its output")

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The result of a tool."""
        return self.ask("tools/call", name=tool, arguments=arguments)["result"]

    def hang_up(self) -> tuple[str, str]:
        """Close the input, wait for the end of the process; what else it wrote, and to stderr."""
        return self.process.communicate(timeout=60)


@pytest.fixture
def wire(folder: Path) -> Iterator[Wire]:
    """A started server, which is gone after the test whatever happens."""
    found = Wire(folder)
    with found.process:
        yield found
        found.process.kill()


def test_standard_output_carries_nothing_but_the_protocol(folder: Path, wire: Wire, model: StandIn) -> None:
    (folder / "suites" / "torn.yaml").write_text("version: 1\nname: torn\ncases: [{id: a, usr: x}]\n")
    (folder / "suites" / "ruin.json").write_text("{")

    wire.call("list_suites")
    wire.call("run_suite", suite="torn", target="here:m-1")
    wire.call("run_suite", suite="weather", target="here:m-1", trials=1)
    model.behaviour = lambda *_: 1 / 0  # pyright: ignore[reportArgumentType]  the connection is dropped
    broken = wire.call("run_suite", suite="weather", target="here:m-2", trials=1)
    wire.call("get_run", run_id="none")
    wire.call("nonsense")
    wire.ask("nonsense/method")
    rest, _ = wire.hang_up()

    assert broken["structuredContent"]["errors"] == {"connection": 3}
    messages = [json.loads(line) for line in [*wire.lines, *rest.splitlines()]]
    assert all(message["jsonrpc"] == "2.0" for message in messages)
    assert wire.process.returncode == 0


def test_the_end_of_the_input_in_the_middle_of_a_run_ends_the_server_and_loses_no_trial(
    folder: Path, wire: Wire, model: StandIn, run_command: Command
) -> None:
    model.hold_after(1)
    run = wire.call("run_suite", suite="weather", target="here:m-1", trials=1, wait_s=0)["structuredContent"]
    model.wait_until_held(2)

    wire.hang_up()
    model.let_go()
    summary = json.loads(run_command("report", run["run_id"], "--format", "json").stdout)["summary"]
    resumed = run_command("run", "--resume", run["run_id"], "--format", "json")

    assert wire.process.returncode == 0
    assert _children_in(folder) == []
    assert (summary["run"]["status"], summary["trials"]["passed"]) == ("interrupted", 1)
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["done"] == 3
    assert sorted(model.counts.values()) == [1, 2, 2]


def _children_in(folder: Path) -> list[str]:
    """Processes of this machine that work in a folder."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_a_wrong_configuration_ends_the_server_with_2_and_its_line(folder: Path) -> None:
    (folder / "mcp-evals.toml").write_text("[limits]\nmax_costs_usd = 1\n")

    finished = subprocess.run(
        SERVE,
        cwd=folder,
        env=environment(folder / "home"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (finished.returncode, finished.stdout) == (2, "")
    assert "mcp-evals.toml: limits.max_costs_usd: unknown key" in finished.stderr
