"""The protocol's own conformance suite, for both eras, against the server over HTTP.

Most of its scenarios call fixtures that only a test server has: those stand in the baselines, one file for each revision.
A scenario of a baseline that passes fails the run as well, so that a baseline never says less than is true.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from e2e.nodejs import node, run_node
from e2e.serving import Serving, serving

HERE = Path(__file__).parent / "conformance"
SUITE = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
REVISIONS = ("2025-11-25", "2026-07-28")

pytestmark = pytest.mark.node


class Outcome(NamedTuple):
    """What the suite said."""

    code: int
    passed: int
    said: str


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    """The server, reached without a token."""
    node()
    with serving(tmp_path, command=[sys.executable, str(HERE / "server.py")]) as found:
        yield found


@pytest.fixture
def test_server(tmp_path: Path) -> Iterator[Serving]:
    """The same, with the suite's fixtures."""
    node()
    with serving(tmp_path, "--fixtures", command=[sys.executable, str(HERE / "server.py")]) as found:
        yield found


def conform(server: Serving, revision: str, baseline: str, folder: Path) -> Outcome:
    """Run the suite of one revision."""
    finished = run_node(
        SUITE, "server", "--url", server.url, "--requirements", revision,
        "--expected-failures", HERE / baseline, "--output-dir", folder,
    )  # fmt: skip
    said = re.sub(r"\x1b\[\d+m", "", finished.stdout + finished.stderr)
    total = re.search(r"Total: (\d+) passed", said)
    return Outcome(finished.returncode, int(total[1]) if total else 0, said[said.find("=== SUMMARY") :])


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_server_conforms_to_the_protocol(
    server: Serving, revision: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    outcome = conform(server, revision, f"baseline.{revision}.yml", tmp_path / "results")

    record_property("checks passed", outcome.passed)
    assert outcome.code == 0, outcome.said


@pytest.mark.parametrize("revision", REVISIONS)
def test_with_the_suite_s_fixtures_more_of_it_passes(
    test_server: Serving, revision: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    outcome = conform(test_server, revision, f"fixtures.{revision}.yml", tmp_path / "results")

    record_property("checks passed", outcome.passed)
    assert outcome.code == 0, outcome.said
