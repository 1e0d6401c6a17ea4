"""The commands that see what a target calls and make a suite of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from e2e.home import asked_for, weather_suite, write_recording, write_suite
from typer.testing import CliRunner

from mcp_evals.commands import app

PASSED, WRONG, ERRORED = 0, 2, 3
Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `mcp-evals` in a user's folder."""
    monkeypatch.setenv("MCP_EVALS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    cases = [{"id": city, "user": f"Weather in {city}?"} for city in ("oslo", "rome")]
    write_suite(tmp_path / "suites", {**weather_suite(), "cases": cases})
    said = [(city, trial, asked_for(city)) for city in ("oslo", "rome") for trial in (0, 1)]
    write_recording(tmp_path / "suites", "said", said)
    write_recording(tmp_path / "suites", "half", said[:2])

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    return run


def test_a_capture_shows_every_call_and_says_how_it_becomes_a_suite(command: Command):
    found = command("capture", "weather", "--target", "recorded:said", "--case", "oslo")

    assert (PASSED, "captured oslo trial 0\ncaptured oslo trial 1\n") == (found.exit_code, found.stderr)
    *lines, last = found.stdout.splitlines()
    call = '    get_weather {"city": "oslo"}'
    assert ["weather on recorded:said", "", "oslo", "  trial 0", call, "  trial 1", call, ""] == lines
    assert last.endswith("-o SUITE.yaml proposes a suite from this")


def test_a_capture_that_lacks_a_trial_exits_with_3(command: Command):
    found = command("capture", "weather", "--target", "recorded:half")

    assert ERRORED == found.exit_code


def test_a_capture_becomes_a_suite_that_can_be_validated_and_run(command: Command):
    captured = json.loads(command("capture", "weather", "--target", "recorded:said", "--format", "json").stdout)

    saved = command("save", captured["run_id"], "-o", "suites/seen.yaml")

    assert saved.stdout.splitlines() == [
        "suites/seen.yaml: 2 cases",
        "oslo: 2 of 2 trials made the same calls",
        "rome: 2 of 2 trials made the same calls",
    ]
    assert PASSED == command("validate", "seen").exit_code
    assert PASSED == command("run", "seen", "--target", "recorded:said").exit_code
    assert WRONG == command("save", captured["run_id"], "-o", "suites/seen.yaml").exit_code
