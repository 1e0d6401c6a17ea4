"""`mcp-evals import evalset` on the command line: what it says, what it writes, and that `score` takes it from there."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mcp_evals.commands import app
from mcp_evals.suites.importers.adk_sets import NO_TOOLS

ADK: dict[str, Any] = {
    "eval_set_id": "s",
    "eval_cases": [
        {
            "eval_id": "c",
            "conversation": [
                {
                    "user_content": {"parts": [{"text": "Oslo?"}]},
                    "final_response": {"parts": [{"text": "12"}]},
                    "intermediate_data": {"tool_uses": [{"name": "w", "args": {"c": "Oslo"}}]},
                }
            ],
        }
    ],
}
TALK: list[dict[str, Any]] = [
    {"role": "user", "content": "Oslo?"},
    {"role": "assistant", "tool_calls": [{"function": {"name": "w", "arguments": '{"c": "Oslo"}'}}]},
    {"role": "assistant", "content": "12"},
]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an eval set and conversations, in which commands run."""
    monkeypatch.setenv("MCP_EVALS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "adk.json").write_text(json.dumps(ADK))
    (tmp_path / "talk.json").write_text(json.dumps(TALK))
    (tmp_path / "other.json").write_text(json.dumps([TALK[0], {"role": "assistant", "content": "no idea"}]))
    return tmp_path


def test_an_import_says_the_form_on_stdout_and_what_to_know_on_stderr(files: Path):
    found = CliRunner().invoke(app, ["import", "evalset", "adk.json", "-o", "suite.yaml"])

    criteria = "no config was given; the criteria are ADK's own: tool_trajectory_avg_score 1, response_match_score 0.8"
    assert (0, "suite.yaml: 1 cases (adk_eval_set)\n") == (found.exit_code, found.stdout)
    assert f"note: {criteria}\nnote: {NO_TOOLS}\n" == found.stderr
    assert 0 == CliRunner().invoke(app, ["validate", "suite.yaml"]).exit_code


@pytest.mark.parametrize(("talk", "verdict", "code"), [("talk.json", "passed", 0), ("other.json", "failed", 1)])
def test_what_was_done_is_recorded_and_scored_without_a_model(files: Path, talk: str, verdict: str, code: int):
    imported = CliRunner().invoke(
        app, ["import", "evalset", "adk.json", "-o", "suite.yaml", "--actual", talk, "--record", "done.jsonl"]
    )
    of_recording = CliRunner().invoke(app, ["score", "suite.yaml", "done.jsonl"])
    of_file = CliRunner().invoke(app, ["score", "suite.yaml", talk])

    assert "suite.yaml: 1 cases (adk_eval_set)\ndone.jsonl: 1 trials\n" == imported.stdout
    assert (code, verdict) == (of_recording.exit_code, json.loads(of_recording.stdout)["verdict"])
    assert (code, verdict) == (of_file.exit_code, json.loads(of_file.stdout)["verdict"])
    run = CliRunner().invoke(
        app, ["run", "suite.yaml", "--target", "recorded:done.jsonl", "--trials", "1", "--suites", str(files)]
    )
    assert code == run.exit_code


def test_a_recording_of_a_file_that_tells_nothing_done_is_refused_before_anything_is_written(files: Path):
    found = CliRunner().invoke(app, ["import", "evalset", "adk.json", "-o", "suite.yaml", "--record", "done.jsonl"])

    assert (2, "") == (found.exit_code, found.stdout)
    assert (
        "adk.json (adk_eval_set) does not tell what was done; name a trace or transcripts by --actual\n" == found.stderr
    )
    assert not (files / "suite.yaml").exists()
