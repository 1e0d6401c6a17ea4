"""The Inspector's command line, a client that was not written here, lists and calls every tool."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from e2e.home import environment
from e2e.nodejs import run_node
from e2e.serving import Serving, serving

INSPECTOR = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
SHOP = Path(__file__).parent.parent / "fakes_mcp" / "shop.py"

pytestmark = pytest.mark.node


def inspect(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The Inspector, which keeps what it keeps below the user's folder."""
    return run_node(INSPECTOR, "--cli", *arguments, variables={"HOME": str(folder)})


def test_every_schema_is_one_that_all_providers_take(folder: Path) -> None:
    variables = {"MCP_EVALS_HOME": str(folder / "home"), "PYTHONPATH": environment(folder).get("PYTHONPATH", "")}
    finished = inspect(
        folder, sys.executable, "-m", "mcp_evals", "serve", "--suites", str(folder / "suites"),
        *[part for name, value in variables.items() if value for part in ("-e", f"{name}={value}")],
        "--method", "tools/list", "--strict", "-q",
    )  # fmt: skip

    assert finished.returncode == 0, finished.stderr
    assert "list_suites" in [tool["name"] for tool in json.loads(finished.stdout)["tools"]]


@pytest.mark.timeout(240)
def test_every_tool_can_be_called(folder: Path) -> None:
    with (folder / "mcp-evals.toml").open("a") as file:
        file.write(f"[servers.shop]\ncommand = {json.dumps(sys.executable)}\nargs = [{json.dumps(str(SHOP))}]\n")

    with serving(folder) as server:
        listed = ask(folder, server, "--method", "tools/list")["result"]["tools"]
        calls = Calls(folder, server)
        run = calls.call("run_suite", suite="weather", target="recorded:mixed")["run_id"]
        attempt = calls.call("take_case", suite="weather", case="oslo")["attempt_id"]
        said = {"calls": [{"name": "get_weather", "arguments": {"city": "oslo"}}]}
        calls.call("score_transcript", transcript=said, attempt_id=attempt)
        calls.call("list_suites")
        calls.call("get_suite", suite="weather", case="oslo")
        calls.call("list_targets")
        calls.call("run_case", suite="weather", case="oslo", target="recorded:right")
        calls.call("compare_models", suite="weather", targets=["recorded:mixed", "recorded:right"], trials=1)
        calls.call("get_run", run_id=run, case="rome")
        calls.call("list_runs", limit=3)
        calls.call("control_run", run_id=run, action="label", label="first")
        calls.call("save_case", run_id=run, from_case="oslo", suite="weather", dry_run=True)
        calls.call("inspect_tools", server="shop")
        calls.call("export_report", runs=[run])
        calls.call("judge_run", run_id=run)

    assert calls.called == {tool["name"] for tool in listed}


class Calls:
    """Calls tools through the Inspector, and remembers which."""

    def __init__(self, folder: Path, server: Serving) -> None:
        self.called: set[str] = set()
        self._folder, self._server = folder, server

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured half of an answer."""
        given = [
            f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in arguments.items()
        ]
        pairs = ["--tool-arg", *given] if given else []
        answer = ask(self._folder, self._server, "--method", "tools/call", "--tool-name", tool, *pairs)
        self.called.add(tool)
        return answer["result"]["structuredContent"]


def ask(folder: Path, server: Serving, *arguments: str) -> Any:
    """What the Inspector prints; an error of the server or of a tool fails the test."""
    header = f"Authorization: Bearer {server.token}"
    # The method comes last: options that take several values would swallow what follows them.
    finished = inspect(folder, server.url, "--header", header, "--format", "json", *arguments)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return json.loads(finished.stdout)
