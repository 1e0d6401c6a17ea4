"""What README.md shows is what happens."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_evals.settings import load_settings
from mcp_evals.suites.files import load_suite
from mcp_evals.suites.validate import validate_suite

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(marker: str, language: str) -> str:
    part = README.split(f"<!-- {marker} -->", 1)[1]
    return part.split(f"```{language}\n", 1)[1].split("```", 1)[0]


def run(arguments: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MCP_EVALS_HOME": str(home), "COLUMNS": "120"}
    command = [sys.executable, "-m", "mcp_evals", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=home, timeout=100)


def without_handles(text: str) -> list[str]:
    """Lines without what differs from run to run: handles, fences, times."""
    text = re.sub(r"\d{8}-[0-9a-f]{8}", "RUN", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "FENCE", text)
    return [
        re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", line).rstrip() for line in text.splitlines() if line.strip("─ ")
    ]


def test_the_suite_that_it_shows_loads_and_fits_its_tools(tmp_path: Path) -> None:
    path = tmp_path / "support-bot.yaml"
    path.write_text(block("suite: support-bot.yaml", "yaml"), encoding="utf-8")

    suite = load_suite(path).suite

    assert ("support-bot", ["refund"]) == (suite.name, [case.id for case in suite.cases])
    assert () == validate_suite(suite).problems


def test_the_configuration_that_it_shows_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mcp-evals.toml"
    path.write_text(README.split("```toml\n", 1)[1].split("```", 1)[0], encoding="utf-8")

    settings = load_settings(config=path, environ={}, cwd=tmp_path)

    assert (["local"], ["shop"], 2.0) == (
        list(settings.providers),
        list(settings.servers),
        settings.limits.max_cost_usd,
    )


def test_the_demo_prints_what_it_shows(tmp_path: Path) -> None:
    shown = without_handles(block("demo-output", "text"))

    done = run(["demo"], tmp_path)

    assert 0 == done.returncode, done.stderr
    printed = without_handles(done.stdout)
    assert shown
    assert [] == [line for line in shown if line not in printed]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "assistant", "--target", "recorded:needle-3-strict"], 1),
        (["compare", "assistant", "--target", "recorded:needle-3", "--target", "recorded:needle-3-sorted"], 0),
    ],
    ids=["run", "compare"],
)
def test_the_commands_that_it_shows_end_as_it_says(arguments: list[str], code: int, tmp_path: Path) -> None:
    assert f"mcp-evals {' '.join(arguments)}" in README

    assert code == run(arguments, tmp_path).returncode


def test_ci_runs_exactly_the_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert "README.md" in script
    assert "test-command" in script
    assert "pytest" in block("test-command", "sh")
