"""Fixtures: settings of servers to start, and a look at which of their processes are left."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_evals.live_tools import ServerSettings

FAKES = Path(__file__).parent
Server = Callable[..., ServerSettings]
Pids = Callable[[], list[int]]


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    """Where the fake servers note their process ids."""
    path = tmp_path / "pids"
    path.touch()
    return path


@pytest.fixture
def server(pid_file: Path) -> Server:
    """Settings of a fake server: a name of `misbehave.py`, or none for the well-behaved shop."""

    def settings(misbehaviour: str | None = None, **env: str) -> ServerSettings:
        script = "shop.py" if misbehaviour is None else "misbehave.py"
        args = (str(FAKES / script), *([misbehaviour] if misbehaviour else []))
        return ServerSettings(command=sys.executable, args=args, env={"PIDS": str(pid_file), **env})

    return settings


@pytest.fixture
def started(pid_file: Path) -> Pids:
    """The processes of fake servers that were started, in order."""
    return lambda: [int(line) for line in pid_file.read_text().split()]


@pytest.fixture
def survivors(started: Pids) -> Pids:
    """Those that still run; asking fails where none was started at all."""

    def running() -> list[int]:
        pids = started()
        assert pids, "no server has started"
        return [pid for pid in pids if _runs(pid)]

    return running


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    # A zombie has ended; whoever is process 1 has only not looked yet.
    return stat.rpartition(")")[2].split()[0] != "Z"
