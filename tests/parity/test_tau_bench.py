"""Recorded conversations of tau-bench: its published pass^k, and its rewards beside what the calls alone tell."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_evals.conversation import Invocation, Step, ToolCall, Transcript
from mcp_evals.scoring.case import score_case
from mcp_evals.stats.repeats import consistency
from mcp_evals.suite import Case, Expect, ExpectedCall, Rubric
from mcp_evals.suites.importers.transcripts import read_transcript

DATASETS = Path(os.environ.get("MCP_EVALS_DATASETS_DIR", Path(__file__).parents[3] / "shared" / "datasets"))
AIRLINE = DATASETS / "tau-bench_gpt-4o_airline"
ALL_RIGHT = Rubric(fail_below=1.0, warn_below=1.0, tool_names="exact")
WRITES = {
    "book_reservation",
    "cancel_reservation",
    "send_certificate",
    "update_reservation_baggages",
    "update_reservation_flights",
    "update_reservation_passengers",
}
"""Tools that change what the reward looks at."""

pytestmark = pytest.mark.skipif(not AIRLINE.is_dir(), reason=f"no tau-bench at {AIRLINE}; set MCP_EVALS_DATASETS_DIR")


def test_pass_hat_k_and_pass_at_k_are_the_published_ones():
    published = json.loads((AIRLINE / "published.json").read_text())
    trials = [json.loads(line) for line in (AIRLINE / "trial_calls.jsonl").read_text().splitlines()]
    rewards: dict[int, list[float]] = {}
    for trial in trials:
        rewards.setdefault(trial["task_id"], []).append(trial["reward"])

    found = [consistency(list(rewards.values()), k) for k in (1, 2, 3, 4)]

    assert [4] * 50 == [len(of_task) for of_task in rewards.values()]
    hat = {str(one.k): one.pass_hat_k.value for one in found if one}
    assert pytest.approx(published["pass_hat_k"], abs=1e-12) == hat
    assert pytest.approx(published["published_pass_hat_k"], abs=5e-4) == hat
    assert pytest.approx(published["pass_at_k"], abs=1e-12) == {str(one.k): one.pass_at_k.value for one in found if one}


def test_the_same_successful_writes_as_expected_are_the_reward_but_for_five_trials(compared_cases: list[str]):
    tasks = {task["task_id"]: case_of(task) for task in json.loads((AIRLINE / "tasks.json").read_text())}
    conversations = list(trajectories())

    passed = {
        key: score_case(tasks[key[0]], only_writes(said), ALL_RIGHT).verdict == "passed"
        for key, _, said in conversations
    }

    rewards = {key: bool(reward) for key, reward, _ in conversations}
    assert 200 == len(rewards)
    # The reward also asks for a spoken figure, and (5, 1) comes to the same state by other arguments. In (46, 3) the only
    # write that was not refused is the expected one; the reward was withheld for what its calls do not show.
    differing = {key: passed[key] for key in rewards if passed[key] != rewards[key]}
    assert {(2, 1): True, (44, 1): True, (44, 3): True, (46, 3): True, (5, 1): False} == differing
    compared_cases += map(str, rewards)


def test_every_call_is_read_and_stands_beside_its_own_result_also_where_ids_repeat():
    listed = [json.loads(line) for line in (AIRLINE / "trial_calls.jsonl").read_text().splitlines()]
    conversations = list(trajectories())

    read = {key: [(call.name, call.arguments) for call, _ in made(said)] for key, _, said in conversations}
    refused = sum(failed for _, _, said in conversations for _, failed in made(said))

    expected = {
        (trial["task_id"], trial["trial"]): [(call["name"], call["arguments"]) for call in trial["calls"]]
        for trial in listed
    }
    assert expected == read
    assert refused == sum(message_refuses(message) for trial in raw_trajectories() for message in trial["messages"])


def trajectories() -> Iterator[tuple[tuple[int, int], float, Transcript]]:
    """Task and trial, reward, conversation."""
    for trial in raw_trajectories():
        read = read_transcript({"messages": trial["messages"]})
        yield (trial["task_id"], trial["trial"]), trial["reward"], read.transcript


def raw_trajectories() -> Iterator[dict[str, Any]]:
    with gzip.open(AIRLINE / "trajectories.jsonl.gz", "rt") as lines:
        yield from map(json.loads, lines)


def message_refuses(message: dict[str, Any]) -> bool:
    return message["role"] == "tool" and message["content"].startswith("Error")


def case_of(task: dict[str, Any]) -> Case:
    calls = tuple(
        ExpectedCall(tool=action["name"], args=action["arguments"])
        for action in task["expected_actions"]
        if action["name"] in WRITES
    )
    return Case(id=str(task["task_id"]), user=task["instruction"], expect=Expect(calls=calls))


def only_writes(transcript: Transcript) -> Transcript:
    calls = tuple(call for call, failed in made(transcript) if call.name in WRITES and not failed)
    return Transcript(invocations=(Invocation(user="", steps=(Step(calls=calls),)),))


def made(transcript: Transcript) -> list[tuple[ToolCall, bool]]:
    """Each call, and whether its tool refused it."""
    return [
        (call, result.text.startswith("Error"))
        for step in transcript.steps
        for call, result in zip(step.calls, step.results, strict=True)
    ]
