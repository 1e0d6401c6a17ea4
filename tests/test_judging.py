"""What a user does with `mcp-evals judge`: export questions, label them, hand verdicts in, calibrate."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e.home import write_recording, write_suite
from fakes import called
from typer.testing import CliRunner, Result

from mcp_evals.commands import app
from mcp_evals.scoring.judge import judgement_key

PASSED, FAILED, WRONG, ERRORED = 0, 1, 2, 3
POLITE = "Is polite."
NAMES = tuple(f"case-{number}" for number in range(12))
Command = Callable[..., Result]


def said(name: str) -> str:
    return f"please, {name}" if int(name[5:]) < 6 else f"no, {name}"


def verdict(holds: bool) -> str:
    return json.dumps({"polite": {"reason": "the word", "verdict": holds}})


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `mcp-evals` in the folder of a user with a suite, answers to it, and a judge that has judged them."""
    monkeypatch.setenv("MCP_EVALS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    expect = {"text": [{"judged": POLITE, "id": "polite"}]}
    cases = [{"id": name, "user": "?", "expect": expect} for name in NAMES]
    write_suite(tmp_path / "suites", {"version": 1, "name": "manners", "cases": cases})
    write_recording(tmp_path / "suites", "subject", [(name, 0, called(text=said(name))) for name in NAMES])
    write_recording(
        tmp_path / "suites",
        "judge",
        [
            (judgement_key(POLITE, "[user] ?", said(name)), 0, called(text=verdict("please" in said(name))))
            for name in NAMES
        ],
    )

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments])

    return run


def held(command: Command, judge: str, case: str | None = None) -> tuple[int, dict[str, Any]]:
    only = ["--case", case] if case else []
    found = command("run", "manners", "--target", "recorded:subject", "--judge", judge, *only, "--format", "json")
    return found.exit_code, json.loads(found.stdout)


def lines_of(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def write_lines(path: str, lines: list[dict[str, Any]]) -> None:
    Path(path).write_text("\n".join(json.dumps(line) for line in lines))


def test_open_questions_are_written_answered_and_the_run_is_scored_again(command: Command) -> None:
    code, run = held(command, "none", "case-0")
    command("judge", "questions", run["run_id"], "-o", "open.jsonl")
    (question,) = lines_of("open.jsonl")
    write_lines("open.jsonl", [question | {"verdict": "yes", "reason": "Says please."}])
    answered = command("judge", "answer", run["run_id"], "open.jsonl", "--by", "anna")
    after = command("report", run["run_id"], "--format", "json")

    assert ERRORED == code
    assert (POLITE, "[user] ?", "please, case-0", None) == tuple(
        question[name] for name in ("criterion", "conversation", "answer", "verdict")
    )
    assert "1 verdicts taken, 0 passed over (decided before), 0 still open" in answered.stdout
    assert "anna (handed in)" in after.stdout


def test_a_table_of_verdicts_is_taken_too(command: Command) -> None:
    _, run = held(command, "none", "case-0")
    Path("answers.csv").write_text(f"key,verdict\n{judgement_key(POLITE, '[user] ?', said('case-0'))},1\n")

    found = command("judge", "answer", run["run_id"], "answers.csv", "--format", "json")

    assert (1, 0) == (json.loads(found.stdout)["taken"], json.loads(found.stdout)["open"])


def test_a_judge_is_calibrated_by_labels_of_what_it_decided_and_then_fails_cases(command: Command) -> None:
    code, run = held(command, "recorded:judge")
    command("judge", "questions", run["run_id"], "--decided", "-o", "labels.jsonl")
    labels = [line | {"verdict": "please" in line["answer"]} for line in lines_of("labels.jsonl")]
    write_lines("labels.jsonl", labels)
    found = command("judge", "calibrate", "labels.jsonl", "--judge", "recorded:judge")
    again, _ = held(command, "recorded:judge")

    assert (PASSED, 12, FAILED) == (code, len(labels), again)
    assert found.stdout.splitlines()[:8] == [
        "judge: recorded:judge (0 questions asked now, $0.0000)",
        "",
        "Is polite.: calibrated",
        "  labels     12, of which the judge decided 12",
        "  agreement  100%",
        "  kappa      1.00 (0.52 to 1.00)",
        "  bias       +0% (neither lenient nor strict)",
        "  flips      unknown with one sample a question",
    ]


def test_a_judge_that_is_too_lenient_says_so_and_what_is_missing(command: Command) -> None:
    rows = "\n".join(f'"{POLITE}","[user] ?","{said(name)}",{int(name == "case-0")},polite' for name in NAMES)
    Path("labels.csv").write_text(f"criterion,conversation,answer,verdict,id\n{rows}\n")

    found = command("judge", "calibrate", "labels.csv", "--judge", "recorded:judge")

    # The judge says yes to 6, people to 1 of those: agreement 7/12, bias 5/12.
    assert "(12 questions asked now, price unknown)" in found.stdout
    assert "  bias       +42% (too lenient)" in found.stdout
    assert "  missing    kappa is 0.17, and 0.6 is needed" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("judge", "calibrate", "nowhere.jsonl"), "no file nowhere.jsonl"),
        (("judge", "calibrate", "empty.jsonl", "--judge", "recorded:judge"), "has no label"),
        (("judge", "calibrate", "one.jsonl"), "no judge is named"),
        (("judge", "questions", "nothing"), 'no run "nothing"'),
    ],
)
def test_what_cannot_be_done_is_told(command: Command, arguments: tuple[str, ...], complaint: str) -> None:
    Path("empty.jsonl").write_text("")
    write_lines("one.jsonl", [{"criterion": POLITE, "answer": "x", "verdict": True}])

    found = command(*arguments)

    assert WRONG == found.exit_code
    assert complaint in found.stderr
