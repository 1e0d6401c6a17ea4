"""A user's folder on disk and the real command, as a process of its own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e.home import asked_for, environment, weather_suite, write_recording, write_suite
from e2e.stand_in import StandIn, stand_in

CITIES = ("oslo", "bergen", "rome")
Finished = subprocess.CompletedProcess[str]
Command = Callable[..., Finished]


@pytest.fixture
def model() -> Iterator[StandIn]:
    """A model behind HTTP, right about every city."""
    with stand_in() as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path, model: StandIn) -> Path:
    """Suites, recordings and a configuration that calls the model `here`, two trials at a time; data go to `home` below it."""
    suites = tmp_path / "suites"
    write_suite(suites, weather_suite(*CITIES))
    write_recording(suites, "right", [(city, 0, asked_for(city)) for city in CITIES])
    write_recording(suites, "mixed", [(city, 0, asked_for("oslo")) for city in CITIES])
    write_recording(suites, "partial", [("oslo", 0, asked_for("oslo"))])
    (tmp_path / "mcp-evals.toml").write_text(
        f"[providers.here]\nkind = 'openai'\nurl = '{model.url}'\nmax_retries = 0\ntimeout_s = 30\n"
        "[limits]\nmax_concurrency = 2\n"
    )
    return tmp_path


@pytest.fixture
def run_command(folder: Path) -> Command:
    """`mcp-evals` with these arguments, run to its end in the user's folder."""

    def run(*arguments: str | Path, **further: str) -> Finished:
        return subprocess.run(
            [sys.executable, "-m", "mcp_evals", *map(str, arguments)],
            cwd=folder,
            env=environment(folder / "home", **further),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
