"""A run survives its process: what is done stays done, and what was not is asked once more and no more."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import Command
from e2e.home import environment, weather_suite, write_suite
from e2e.stand_in import StandIn

CITIES = [f"city{n:02}" for n in range(12)]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Starts `mcp-evals` with these arguments; ends it after the test."""
    write_suite(folder / "suites", weather_suite(*CITIES, name="many"))
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "mcp_evals", *arguments],
            cwd=folder,
            env=environment(folder / "home"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def only_run(run_command: Command) -> dict[str, Any]:
    """The one run of the store."""
    (run,) = json.loads(run_command("runs", "--format", "json").stdout)["runs"]
    return run


def outcome(run_command: Command, run_id: str) -> Any:
    """What every case of a run came to."""
    report = json.loads(run_command("report", run_id, "--format", "json").stdout)
    summary, results = report["summary"], [case["result"] for case in report["cases"]]
    return summary["run"]["case_ids"], results, summary["trials"], summary["pass_rate"], summary["score"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_in_the_middle_is_resumed_without_holding_a_trial_twice(
    start: Start, run_command: Command, model: StandIn, how: signal.Signals
) -> None:
    model.hold_after(7)
    process = start("run", "many", "--target", "here:m-1", "--trials", "1", "--concurrency", "2")
    model.wait_until_held(2)
    process.send_signal(how)
    process.communicate(timeout=60)
    model.let_go()
    left = only_run(run_command)
    before = set(model.asked)

    resumed = run_command("run", "--resume", left["run_id"], "--format", "json")
    whole = run_command("run", "many", "--target", "here:m-2", "--trials", "1", "--format", "json")

    assert (left["status"], left["done"], left["total"]) == ("interrupted", 7, 12)
    assert resumed.returncode == whole.returncode == 0, resumed.stderr
    assert len(before) == 9
    assert sorted(model.counts.values()) == [2] * 10 + [3] * 2
    assert outcome(run_command, left["run_id"]) == outcome(run_command, json.loads(whole.stdout)["run_id"])


def test_a_run_that_a_live_process_holds_is_not_resumed_by_another(
    start: Start, run_command: Command, model: StandIn
) -> None:
    model.hold_after(1)
    start("run", "many", "--target", "here:m-1", "--trials", "1", "--concurrency", "2")
    model.wait_until_held(2)
    run = only_run(run_command)

    refused = run_command("run", "--resume", run["run_id"])

    assert run["status"] == "working"
    assert refused.returncode == 2
    assert f"run {run['run_id']} is still working" in refused.stderr
    assert model.counts.total() == 3


def test_a_resumed_run_is_the_same_as_one_that_was_never_stopped_also_with_several_trials(
    start: Start, run_command: Command, model: StandIn
) -> None:
    model.hold_after(20)
    process = start("run", "many", "--target", "here:m-1", "--trials", "3", "--concurrency", "4")
    model.wait_until_held(4)
    process.kill()
    process.communicate()
    model.let_go()
    run_id = only_run(run_command)["run_id"]

    resumed = run_command("run", "--resume", run_id, "--format", "json")

    answer = json.loads(resumed.stdout)
    assert (answer["done"], answer["cases"]["passed"]) == (36, 12)
    assert model.counts.total() == 36 + 4
