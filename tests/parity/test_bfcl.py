"""Recorded outputs of real models on the Berkeley Function-Calling Leaderboard, case by case beside its own verdicts."""

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mcp_evals.compare import RunData, compare_runs
from mcp_evals.results import Outcome, Run
from mcp_evals.scoring.case import score_case
from mcp_evals.suite import Suite
from mcp_evals.suites.importers.bfcl import read_bfcl, read_bfcl_outputs

DATASETS = Path(os.environ.get("MCP_EVALS_DATASETS_DIR", Path(__file__).parents[3] / "shared" / "datasets"))
OUTPUTS = sorted(DATASETS.glob("bfcl_*/outputs_*.jsonl*"))
FIRST = DATASETS / "bfcl_v1_2024-08-11"
GPT_4O, GPT_4O_MINI, SONNET = "gpt-4o-2024-08-06-FC", "gpt-4o-mini-2024-07-18-FC", "claude-3-5-sonnet-20240620-FC"

pytestmark = pytest.mark.skipif(not OUTPUTS, reason=f"no BFCL outputs below {DATASETS}; set MCP_EVALS_DATASETS_DIR")
each_model = pytest.mark.parametrize("outputs", OUTPUTS, ids=lambda path: f"{path.parent.name}/{model_of(path)}")


@each_model
def test_a_case_fails_only_where_bfcl_fails_it_too(outputs: Path, compared_cases: list[str]):
    published = {row["id"]: row["published_valid"] for row in rows(outputs)}

    passed = verdicts(outputs)

    assert published.keys() == passed.keys()
    assert [] == [case for case, valid in published.items() if valid and not passed[case]]
    compared_cases += passed


@each_model
def test_a_case_passes_here_alone_only_for_integers_among_floats_or_a_required_argument_that_may_be_missing(
    outputs: Path,
):
    questions = {row["id"]: row for row in rows(cases_beside(outputs))}
    answers = {row["id"]: row for row in rows(outputs)}
    passed = verdicts(outputs)

    alone = [case for case, answer in answers.items() if passed[case] and not answer["published_valid"]]

    assert [] == [case for case in alone if not bfcl_is_stricter(questions[case], answers[case]["calls"])]


@each_model
def test_the_passes_of_each_category_are_the_published_ones_and_those_that_pass_here_alone(outputs: Path):
    published = json.loads((outputs.parent / "published_scores.json").read_text()).get(model_of(outputs))
    if published is None:
        pytest.skip("no published scores of this model")
    answers = list(rows(outputs))
    passed = verdicts(outputs)

    ours = Counter(row["category"] for row in answers if passed[row["id"]])
    alone = Counter(row["category"] for row in answers if passed[row["id"]] and not row["published_valid"])

    expected = {category: published[category]["correct_count"] for category in ours}
    assert expected == {category: ours[category] - alone[category] for category in ours}


@pytest.mark.skipif(not FIRST.is_dir(), reason=f"no outputs of 2024 at {FIRST}")
@pytest.mark.parametrize(
    ("candidate", "category", "better", "worse", "verdict"),
    [
        (GPT_4O_MINI, None, 35, 66, "worse"),
        (GPT_4O_MINI, "simple", 16, 16, "equivalent"),
        (SONNET, "parallel", 2, 64, "worse"),
        (SONNET, "simple", 23, 14, "equivalent"),
    ],
)
def test_as_many_cases_tell_two_models_apart_as_by_the_published_verdicts(
    candidate: str, category: str | None, better: int, worse: int, verdict: str
):
    table = compare_runs([run_of(GPT_4O, category), run_of(candidate, category)], metric="passed")

    found = table.comparisons[0]
    assert f"{better} cases better, {worse} worse" in found.counts
    assert verdict == found.verdict


def bfcl_is_stricter(question: dict[str, Any], calls: list[dict[str, Any]]) -> bool:
    """Whether a call has integers in a list of floats, or lacks a required argument that the answer lets be missing."""
    return any(integers_among_floats(question, call) or lacks_required(question, call) for call in calls)


def integers_among_floats(question: dict[str, Any], call: dict[str, Any]) -> bool:
    properties = schema_of(question, call)["properties"]
    return any(
        properties[name]["type"] == "array"
        and properties[name]["items"].get("type") == "number"
        and any(type(item) is int for item in value)
        for name, value in call["arguments"].items()
    )


def lacks_required(question: dict[str, Any], call: dict[str, Any]) -> bool:
    lacking = {*schema_of(question, call)["required"]} - {*call["arguments"]}
    answers = [other["arguments"] for other in question["expected_calls"] if other["name"] == call["name"]]
    return any("" in answer.get(name, ()) for answer in answers for name in lacking)


def schema_of(question: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
    return next(
        tool["function"]["parameters"] for tool in question["tools"] if tool["function"]["name"] == call["name"]
    )


def run_of(model: str, category: str | None) -> RunData:
    path = next(path for path in OUTPUTS if path.parent == FIRST and model_of(path) == model)
    suite = read_bfcl(cases_beside(path), category)
    held = {case.id for case in suite.cases}
    run = Run(
        id=model,
        suite=suite.name,
        suite_digest=suite.digest,
        target=model,
        case_ids=tuple(held),
        created_at=datetime(2024, 8, 14, tzinfo=UTC),
    )
    outcomes = [
        Outcome(case, 0, "passed" if passed else "failed", float(passed))
        for case, passed in verdicts(path).items()
        if case in held
    ]
    return RunData(run, suite, outcomes)


@cache
def verdicts(outputs: Path) -> dict[str, bool]:
    """Whether each case of a model's outputs passes."""
    suite = imported(cases_beside(outputs))
    cases = {case.id: case for case in suite.cases}
    scored = {
        case: score_case(cases[case], said, suite.rubric_of(cases[case]), tools=suite.tools_of(cases[case]))
        for case, said in read_bfcl_outputs(outputs)
    }
    return {case: score.verdict == "passed" for case, score in scored.items()}


@cache
def imported(cases: Path) -> Suite:
    return read_bfcl(cases)


def cases_beside(outputs: Path) -> Path:
    return next(outputs.parent.glob("cases.jsonl*"))


def model_of(outputs: Path) -> str:
    return outputs.name.removesuffix(".gz").removesuffix(".jsonl").removeprefix("outputs_")


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        yield from map(json.loads, file)
