"""The command line's own part: exit codes, what goes to which stream, files. As processes: see e2e/."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from e2e.home import asked_for, weather_suite, write_recording, write_suite
from typer.testing import CliRunner

from mcp_evals.answers import RunAnswer
from mcp_evals.commands import app
from mcp_evals.commands.running import exit_code
from mcp_evals.results import RunStatus, Tally

CITIES = ("oslo", "rome")
PASSED, FAILED, WRONG, ERRORED, UNDECIDED = 0, 1, 2, 3, 4
Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `mcp-evals` in a user's folder."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MCP_EVALS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    write_suite(tmp_path / "suites", weather_suite(*CITIES, description="Weather."))
    write_recording(tmp_path / "suites", "right", [(city, 0, asked_for(city)) for city in CITIES])
    write_recording(tmp_path / "suites", "wrong", [(city, 0, asked_for("paris")) for city in CITIES])
    (tmp_path / "mcp-evals.toml").write_text("[providers.here]\nkind = 'openai'\nurl = 'http://127.0.0.1:9/v1'\n")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    return run


@pytest.mark.parametrize(
    ("status", "cases", "errors", "code"),
    [
        ("completed", Tally(planned=2, passed=1, warned=1), {}, PASSED),
        ("completed", Tally(planned=2, passed=1, failed=1), {}, FAILED),
        ("completed", Tally(planned=2, failed=1, errored=1), {}, ERRORED),
        ("completed", Tally(planned=2, passed=2), {"timeout": 1}, ERRORED),
        ("cancelled", Tally(planned=2, passed=1), {}, ERRORED),
        ("failed", Tally(planned=2, passed=1), {}, ERRORED),
        ("interrupted", Tally(planned=2, failed=1), {}, ERRORED),
    ],
)
def test_the_exit_code_puts_errors_before_failures(
    status: RunStatus, cases: Tally, errors: dict[str, int], code: int
) -> None:
    answer = RunAnswer(
        run_id="r", status=status, suite="s", target="t", done=2, total=2, verdict="v", cases=cases, errors=errors,
        next_step="n",
    )  # fmt: skip

    assert exit_code(answer) == code


def test_the_next_step_is_told_as_a_command(command: Command) -> None:
    failed = command("run", "weather", "--target", "recorded:wrong")

    run_id = re.findall(r"run (\S+): weather", failed.stdout)[0]
    assert f"next: mcp-evals report {run_id} --case oslo for the evidence" in failed.stdout


def test_a_run_is_scored_again_with_todays_suite_and_without_a_model(command: Command, tmp_path: Path) -> None:
    run = json.loads(command("run", "weather", "--target", "recorded:wrong", "--format", "json").stdout)
    path = tmp_path / "suites" / "weather.json"
    path.write_text(
        path.read_text().replace('"city": "oslo"', '"city": "paris"').replace('"city": "rome"', '"city": "paris"')
    )

    again = command("rescore", run["run_id"], "--format", "json")

    assert (again.exit_code, json.loads(again.stdout)["cases"]["passed"]) == (PASSED, 2)


@pytest.mark.parametrize(("fail_under", "code"), [("0.83", PASSED), ("0.84", FAILED), ("0", PASSED), ("1", FAILED)])
def test_a_run_may_have_to_pass_only_a_share_of_its_cases(command: Command, fail_under: str, code: int) -> None:
    result = command("run", "assistant", "--target", "recorded:needle-3-strict", "--fail-under", fail_under)

    assert (result.exit_code, "30 of 36 cases passed" in result.stdout) == (code, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "weather", "--target", "recorded:rigth"), "no recording"),
        (("run", "weather", "--target", "hare:m"), 'did you mean "here"?'),
        (("run", "weather", "--target", "openai:m"), "OPENAI_API_KEY is not set"),
        (("run", "weather", "--target", "here"), "write here:MODEL"),
        (("run", "weather", "--target", "recorded:right", "--case", "olso"), 'did you mean "oslo"?'),
        (("run", "weather", "--target", "recorded:right", "--tag", "nort"), 'did you mean "north"?'),
        (("run", "weather", "--target", "recorded:right", "--track", "terse"), 'has no track "terse"'),
        (("run", "weather", "--target", "recorded:right", "--seed", "often"), "seed"),
        (("run", "weather", "--target", "recorded:right", "--suites", "nowhere"), "no folder nowhere"),
        (("run", "weather", "--target", "recorded:right", "--config", "none.toml"), "no configuration file none.toml"),
        (("run", "weather", "--target", "recorded:right", "--max-calls", "1"), "raise max_calls"),
        (("run", "weather", "--target", "recorded:right", "--trials", "0"), "--trials"),
        (("run", "weather"), "--target"),
        (("run", "none.yaml", "--target", "recorded:right"), 'no suite "none.yaml"'),
        (("report", "20200101-00000000"), 'no run "20200101-00000000"'),
        (("compare", "one"), "a comparison needs two"),
        (("compare", "--target", "recorded:right", "--target", "recorded:wrong"), "name the suite"),
        (("score", "wether", "said.jsonl"), 'did you mean "weather"?'),
        (("score", "weather", "none.jsonl"), "none.jsonl"),
        (("import", "engine", "none.json", "-o", "out.yaml"), "none.json"),
    ],
)
def test_a_wrong_call_exits_with_2_and_says_the_way_out_on_stderr(
    command: Command, arguments: tuple[str, ...], said: str
) -> None:
    result = command(*arguments)

    assert (result.exit_code, result.stdout) == (WRONG, "")
    assert said in re.sub(r"\s+", " ", re.sub(r"[│╭╮╰╯─]|\x1b\[[0-9;]*m", "", result.stderr))


def test_a_suite_may_be_named_by_its_file(command: Command, tmp_path: Path) -> None:
    path = write_suite(tmp_path / "elsewhere", weather_suite("oslo", name="far"))

    assert command("run", str(path), "--target", "recorded:right").exit_code == PASSED


def test_json_goes_to_stdout_alone_and_the_progress_to_stderr(command: Command) -> None:
    result = command("run", "weather", "--target", "recorded:wrong", "--format", "json")

    answer = RunAnswer.model_validate_json(result.stdout)
    assert (result.exit_code, answer.cases.failed) == (FAILED, 2)
    assert result.stderr.split("\n") == [
        'failed oslo trial 0: get_weather: city "paris" is not "oslo"',
        'failed rome trial 0: get_weather: city "paris" is not "rome"',
        "",
    ]


def test_output_goes_to_a_file_where_one_is_named(command: Command, tmp_path: Path) -> None:
    result = command("run", "weather", "--target", "recorded:right", "--format", "json", "-o", "out.json")

    assert (result.exit_code, result.stdout) == (PASSED, "out.json\n")
    assert json.loads((tmp_path / "out.json").read_text())["status"] == "completed"


def test_a_report_shows_every_failure_and_one_case_with_what_was_said(command: Command) -> None:
    run = json.loads(command("run", "weather", "--target", "recorded:wrong", "--format", "json").stdout)

    report = command("report", run["run_id"][:12])
    case = command("report", run["run_id"], "--case", "rome")

    assert re.findall(r"^  FAIL +(\w+)", report.stdout, re.MULTILINE) == ["oslo", "rome"]
    assert 'call: get_weather(city="paris")' in case.stdout


@pytest.mark.parametrize(
    ("arguments", "code"), [((), PASSED), (("--gate",), UNDECIDED), (("--gate", "--format", "json"), UNDECIDED)]
)
def test_a_gate_turns_a_comparison_into_an_exit_code(command: Command, arguments: tuple[str, ...], code: int) -> None:
    result = command("compare", "weather", "--target", "recorded:wrong", "--target", "recorded:right", *arguments)

    assert result.exit_code == code, result.stderr


@pytest.mark.parametrize(
    ("baseline", "candidate", "code"),
    [("needle-3-strict", "needle-3-sorted", FAILED), ("needle-3", "needle-3-strict", PASSED)],
    ids=["worse", "not worse"],
)
def test_a_gate_holds_a_candidate_against_a_run_that_was_named(
    command: Command, baseline: str, candidate: str, code: int
) -> None:
    command("run", "assistant", "--target", f"recorded:{baseline}", "--label", "release")

    run = json.loads(command("run", "assistant", "--target", f"recorded:{candidate}", "--format", "json").stdout)
    result = command("compare", run["run_id"], "--baseline", "release", "--gate")

    assert result.exit_code == code, result.stdout


def test_a_plan_says_what_can_be_seen_and_runs_nothing(command: Command) -> None:
    targets = ("--target", "recorded:needle-3", "--target", "recorded:needle-3-sorted")

    plan = command("compare", "assistant", *targets, "--plan", "--trials", "1")

    assert re.fullmatch(
        r"With 36 cases × 1 trial you can see gaps of about \d+ points; 10 points need about \d+ cases.*\n", plan.stdout
    )
    assert [] == json.loads(command("runs", "--format", "json").stdout)["runs"]


def test_an_adaptive_comparison_stops_when_it_is_clear_and_says_what_it_saved(command: Command) -> None:
    targets = ("--target", "recorded:smollm2-135m", "--target", "recorded:needle-3-strict")

    result = command("compare", "assistant", *targets, "--adaptive", "--format", "json")

    (found,) = json.loads(result.stdout)["comparisons"]
    assert ("better", True) == (found["verdict"], "stopped_early" in found["flags"])
    assert re.search(r"Stopped after \d+ of 36 cases because the answer was clear", found["sentence"])


def test_scores_are_one_json_object_a_line_in_the_order_of_the_file(command: Command, tmp_path: Path) -> None:
    def line(case: str, city: str) -> str:
        return json.dumps({"case": case, "transcript": asked_for(city).model_dump(mode="json")})

    (tmp_path / "said.jsonl").write_text("\n".join([line("rome", "rome"), line("oslo", "rome"), line("oslo", "oslo")]))

    result = command("score", "weather", "said.jsonl")

    found = [json.loads(text) for text in result.stdout.splitlines()]
    assert [(line["case"], line["verdict"], line["score"]) for line in found] == [
        ("rome", "passed", 1.0), ("oslo", "failed", 0.5), ("oslo", "passed", 1.0),
    ]  # fmt: skip
    assert result.exit_code == FAILED


def test_the_schema_of_suite_files_is_printed(command: Command) -> None:
    schema = json.loads(command("schema").stdout)

    assert "cases" in schema["properties"]


def test_the_doctor_names_what_is_wrong(command: Command, tmp_path: Path) -> None:
    healthy = command("doctor")
    (tmp_path / "suites" / "torn.yaml").write_text("version: 1\nname: torn\ncases: [{id: a, usr: x}]\n")
    torn = command("doctor")
    silent = command("doctor", "here:m")

    assert (healthy.exit_code, torn.exit_code, silent.exit_code) == (PASSED, FAILED, FAILED)
    assert re.search(r"^NOT +suite torn: .*usr", torn.stdout, re.MULTILINE)
    assert re.search(r"^NOT +here:m does not answer: .*is the server running", silent.stdout, re.MULTILINE)


def test_the_doctor_finds_a_damaged_store(command: Command, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mcp-evals.sqlite").write_bytes(b"this is no database " * 100)

    result = command("doctor")

    assert result.exit_code != PASSED
    assert re.search(r"^NOT +store: ", result.stdout, re.MULTILINE)
    assert isinstance(result.exception, SystemExit)


def test_a_recording_replays_to_the_same_verdicts(command: Command, tmp_path: Path) -> None:
    live = command("run", "weather", "--target", "recorded:wrong", "--record", "suites/recordings/again.jsonl")
    again = command("run", "weather", "--target", "recorded:again", "--format", "json")

    assert (live.exit_code, again.exit_code) == (FAILED, FAILED)
    assert json.loads(again.stdout)["cases"]["failed"] == 2
    header = json.loads((tmp_path / "suites" / "recordings" / "again.jsonl").read_text().split("\n")[0])
    assert header["recording"]["target"] == "recorded:wrong"


def test_several_runs_are_reported_side_by_side(command: Command) -> None:
    ids = [
        json.loads(command("run", "weather", "--target", f"recorded:{name}", "--format", "json").stdout)["run_id"]
        for name in ("wrong", "right")
    ]

    report = command("report", *ids, "--format", "markdown")

    assert report.exit_code == PASSED, report.stderr
    assert "| `oslo` | FAIL 0.50 | pass 1.00 | `recorded:right` |" in report.stdout


@pytest.mark.parametrize(
    ("form", "beginning"),
    [
        ("markdown", "# `weather`: `recorded:wrong`"),
        ("junit", '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="mcp-evals" tests="2" failures="2" '),
    ],
)
def test_a_run_is_written_as_a_report_and_ends_with_the_same_code(command: Command, form: str, beginning: str) -> None:
    result = command("run", "weather", "--target", "recorded:wrong", "--format", form)

    assert (result.exit_code, result.stdout[: len(beginning)]) == (FAILED, beginning)


def test_a_comparison_is_written_as_a_report_with_the_gate_it_was_asked_for(command: Command) -> None:
    sides = ("--target", "recorded:wrong", "--target", "recorded:right")

    result = command("compare", "weather", *sides, "--gate", "--format", "markdown", "-o", "out.md")

    assert (result.exit_code, result.stdout) == (UNDECIDED, "out.md\n")
    assert Path("out.md").read_text(encoding="utf-8").startswith("# `weather`: 2 runs side by side\n")


def test_the_evidence_of_one_case_is_of_one_run_and_no_report(command: Command) -> None:
    run_id = json.loads(command("run", "weather", "--target", "recorded:wrong", "--format", "json").stdout)["run_id"]

    result = command("report", run_id, "--case", "rome", "--format", "junit")

    assert (result.exit_code, result.stderr) == (WRONG, "--case shows one case of one run, as text or json\n")
