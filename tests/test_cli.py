"""The entry: `serve` is told from everything else before anything heavy is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

from mcp_evals.cli import main, serve


def test_a_wrong_flag_of_serve_is_told_with_its_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        serve(["--suite", "x", "--nonsense"])

    assert "usage: mcp-evals serve" in capsys.readouterr().err


def test_a_configuration_that_is_not_there_ends_serve_with_2_and_nothing_on_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        serve(["--config", str(tmp_path / "none.toml")])

    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == f"no configuration file {tmp_path / 'none.toml'}\n"


def test_help_names_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["mcp-evals", "--help"])

    with pytest.raises(SystemExit, match="0"):
        main()

    shown = capsys.readouterr().out
    commands = ("run", "compare", "score", "validate", "import", "tools", "runs", "report", "schema", "doctor", "demo")
    assert [name for name in commands if f" {name} " not in shown] == []


def test_the_entry_loads_neither_the_server_nor_the_commands_before_it_knows_what_is_wanted() -> None:
    look = "import sys, mcp_evals.cli; print([name for name in ('mcp', 'typer', 'rich') if name in sys.modules])"

    assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout == "[]\n"
