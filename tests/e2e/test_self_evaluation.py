"""The example of an agent that evaluates itself: a process of its own, with the real server and a model behind HTTP."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.home import environment
from e2e.stand_in import StandIn, stand_in

FOLDER = Path(__file__).parents[2] / "examples" / "self_evaluation"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the server keeps its data."""
    return tmp_path / "home"


def looped(model: StandIn, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FOLDER / "loop.py"), *arguments],
        cwd=FOLDER,
        env=environment(home, SUBJECT_URL=model.url, SUBJECT_MODEL="m-1"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_agent_takes_cases_learns_from_hints_and_is_told_whether_it_helped(home: Path) -> None:
    with stand_in() as model:
        finished = looped(model, home, "front-desk")

    assert finished.returncode == 0, finished.stderr
    said = finished.stdout
    assert re.findall(r"^---.*$", said, re.MULTILINE) == [
        "--- run 1",
        "--- what the agent tells itself from now on",
        "--- run 2",
        "--- did it help?",
    ]
    assert said.count("12 of 12 trials done") == 2
    assert said.count("holdout, apart from the numbers above and never shown: passed 0%") == 2
    assert "Do not call get_weather unless the message asks for just what it does." in said
    assert "12 unchanged" in said
    assert not {"JPY", "CHF", "NOK", "150", "fahrenheit"} & set(re.findall(r"\w+", said))
    assert len(model.asked) == 24


def test_a_suite_that_is_not_there_ends_the_loop_with_what_is_wrong(home: Path) -> None:
    with stand_in() as model:
        finished = looped(model, home, "front-desc")

    assert finished.returncode == 1
    assert 'did you mean "front-desk"?' in finished.stderr
    assert model.asked == []
