"""What `mcp-evals tools` says of a server, writes, and exits with."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from fakes_mcp.running import FAKES
from typer.testing import CliRunner

from mcp_evals.commands import app

PASSED, FAILED, WRONG = 0, 1, 2
Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `mcp-evals` in the folder of a user with two servers."""
    monkeypatch.setenv("MCP_EVALS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    twins = [str(FAKES / "misbehave.py"), "list_twins"]
    servers = {"shop": [str(FAKES / "shop.py")], "twins": twins}
    entries = {
        name: {"command": sys.executable, "args": args, "env": {"PIDS": str(tmp_path / "pids")}}
        for name, args in servers.items()
    }
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": entries}))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["tools", *arguments, "--servers", "servers.json"])

    return run


def test_a_server_s_tools_are_shown_with_their_cost_and_written_so_that_a_suite_can_name_them(command: Command):
    found = command("shop", "-o", "tools.json")

    first, second, *_ = found.stdout.splitlines()
    assert PASSED == found.exit_code
    assert first.startswith("shop: 6 tools, about ")
    assert second.startswith("- price_of (")
    assert found.stdout.endswith("snapshot: tools.json\n")
    listed = json.loads(Path("tools.json").read_text())["tools"]
    assert ["price_of", "cancel_order", "count_visitors"] == [tool["name"] for tool in listed][:3]


def test_two_tools_of_one_name_are_an_error(command: Command):
    found = command("twins", "--format", "json")

    errors = [
        (line["tool"], line["message"]) for line in json.loads(found.stdout)["findings"] if line["severity"] == "error"
    ]
    assert FAILED == found.exit_code
    assert ("echo", "a tool of this name comes earlier; providers refuse the list, so rename one") in errors


def test_a_server_that_nobody_configured_is_told(command: Command):
    found = command("shoe")

    assert WRONG == found.exit_code
    assert 'no server "shoe" is configured; did you mean "shop"?' in found.stderr


def test_a_command_that_is_ended_takes_its_server_with_it(tmp_path: Path):
    deaf = {"command": sys.executable, "args": [str(FAKES / "misbehave.py"), "flood_stdout_with_messages"]}
    pids, servers = tmp_path / "pids", tmp_path / "servers.json"
    os.mkfifo(pids)
    servers.write_text(json.dumps({"mcpServers": {"deaf": {**deaf, "env": {"PIDS": str(pids)}}}}))

    command = [sys.executable, "-m", "mcp_evals", "tools", "deaf", "--servers", str(servers)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        server = int(pids.read_text())  # waits until the server writes it
        process.terminate()
        _, told = process.communicate()

    assert (130, b"interrupted") == (process.returncode, told[:11])
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
