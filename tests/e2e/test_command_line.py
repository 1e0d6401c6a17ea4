"""The command line as CI uses it: exit codes, what stands on which stream, and what a failing model looks like."""

import json
from pathlib import Path

import pytest
from e2e.conftest import Command
from e2e.home import asked_for, weather_suite, write_recording, write_suite
from e2e.stand_in import Behaviour, Reply, StandIn, call_reply, choices_reply, right_city

PASSED, FAILED, WRONG, ERRORED = 0, 1, 2, 3


@pytest.mark.parametrize(
    ("target", "code"), [("recorded:right", PASSED), ("recorded:mixed", FAILED), ("recorded:partial", ERRORED)]
)
def test_run_exits_by_what_came_out(run_command: Command, target: str, code: int) -> None:
    finished = run_command("run", "weather", "--target", target, "--format", "json")

    assert finished.returncode == code, finished.stderr
    assert json.loads(finished.stdout)["total"] == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("wether", "--target", "recorded:right"), 'did you mean "weather"?'),
        (("--resume", "20200101-00000000"), 'no run "20200101-00000000"'),
    ],
)
def test_a_wrong_call_of_run_exits_with_2_and_the_way_out(
    run_command: Command, arguments: tuple[str, ...], said: str
) -> None:
    finished = run_command("run", *arguments)

    assert finished.returncode == WRONG
    assert said in finished.stderr
    assert finished.stdout == ""
    assert "Traceback" not in finished.stderr


def test_a_suite_file_that_is_wrong_exits_with_2_and_all_problems_with_their_lines(
    run_command: Command, folder: Path
) -> None:
    (folder / "suites" / "torn.yaml").write_text(
        "version: 1\nname: torn\ncases:\n  - {id: a, usr: hello}\n  - {id: b}\n"
    )

    finished = run_command("validate", "torn")

    assert finished.returncode == WRONG
    assert "torn.yaml:4" in finished.stdout
    assert "torn.yaml:5" in finished.stdout


def test_validate_exits_with_0_where_every_suite_is_right(run_command: Command) -> None:
    finished = run_command("validate", "weather", "assistant")

    assert (finished.returncode, finished.stdout) == (PASSED, "weather: 3 cases, ok\nassistant: 36 cases, ok\n")


def test_validate_finds_an_expectation_that_no_tool_can_meet(run_command: Command, folder: Path) -> None:
    wrong = weather_suite("oslo", name="wrong")
    wrong["cases"][0]["expect"]["calls"][0]["tool"] = "get_wether"
    write_suite(folder / "suites", wrong)

    finished = run_command("validate", "wrong")

    assert finished.returncode == WRONG
    assert 'did you mean "get_weather"?' in finished.stdout


def test_validate_exits_with_2_for_a_suite_that_is_not_there(run_command: Command) -> None:
    finished = run_command("validate", "wether")

    assert finished.returncode == WRONG
    assert 'did you mean "weather"?' in finished.stdout + finished.stderr


@pytest.mark.parametrize(
    ("line", "code", "verdict"),
    [
        (
            {"case": "oslo", "transcript": {"calls": [{"name": "get_weather", "arguments": {"city": "oslo"}}]}},
            0,
            "passed",
        ),
        ({"case": "oslo", "transcript": {"calls": []}}, 1, "failed"),
    ],
)
def test_score_exits_by_what_came_out(
    run_command: Command, folder: Path, line: object, code: int, verdict: str
) -> None:
    (folder / "said.jsonl").write_text(json.dumps(line) + "\n")

    finished = run_command("score", "weather", "said.jsonl")

    assert finished.returncode == code, finished.stderr
    assert [json.loads(found)["verdict"] for found in finished.stdout.splitlines()] == [verdict]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ('{"case": "olso", "transcript": {"calls": []}}', 'did you mean "oslo"?'),
        ('{"case": "oslo"', "said.jsonl:1"),
        ('{"case": "oslo", "transcript": 17}', "no transcript in a known form"),
    ],
)
def test_transcripts_that_are_wrong_exit_with_2_and_their_line(
    run_command: Command, folder: Path, said: str, message: str
) -> None:
    (folder / "said.jsonl").write_text(said + "\n")

    finished = run_command("score", "weather", "said.jsonl")

    assert finished.returncode == WRONG
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr


def test_scoring_on_a_track_that_is_not_there_exits_with_2(run_command: Command, folder: Path) -> None:
    (folder / "said.jsonl").write_text('{"case": "oslo", "transcript": {"calls": []}}\n')

    finished = run_command("score", "weather", "said.jsonl", "--track", "terse")

    assert finished.returncode == WRONG
    assert 'has no track "terse"' in finished.stderr


def test_a_run_is_recorded_reported_and_listed(run_command: Command, folder: Path) -> None:
    finished = run_command(
        "run", "weather", "--target", "here:m-1", "--trials", "2", "--record", "suites/recordings/live.jsonl"
    )
    listed = json.loads(run_command("runs", "--format", "json").stdout)["runs"]
    report = run_command("report", listed[0]["run_id"], "--case", "oslo")
    replayed = run_command("run", "weather", "--target", "recorded:live")

    assert (finished.returncode, replayed.returncode) == (PASSED, PASSED), finished.stderr + replayed.stderr
    assert (listed[0]["done"], listed[0]["total"]) == (6, 6)
    assert report.stdout.startswith("PASSED: oslo, score 1.00")
    assert "6 of 6 trials done" in replayed.stdout


def test_two_runs_are_compared(run_command: Command) -> None:
    finished = run_command(
        "compare", "weather", "--target", "recorded:mixed", "--target", "recorded:right", "--format", "json"
    )

    assert finished.returncode == PASSED, finished.stderr
    assert json.loads(finished.stdout)["comparisons"][0]["verdict"] == "not_enough_data"


# --- models that fail


def broken(reply: Reply) -> Behaviour:
    """Rome gets this reply, every other city a right answer."""
    return lambda asked, times: reply if "rome" in asked else right_city(asked, times)


def refusal(status: int, message: str) -> Reply:
    return Reply(json.dumps({"error": {"message": message}}).encode(), status=status)


CUT = right_city("Weather in rome?", 1)
FAILURES = {
    "authentication": (
        refusal(401, "bad key"),
        "401: bad key; the endpoint wants a key: set key_env in [providers.here]",
    ),
    "not_found": (refusal(404, "no such model"), 'check the name of model "m-1" and the url'),
    "rate_limit": (refusal(429, "slow down"), "wait, lower max_concurrency, or raise max_retries"),
    "server_error": (refusal(500, "oops"), "the provider failed, try again later"),
    "connection": (CUT._replace(announced=len(CUT.body) + 100), "is the server running, and is the url right?"),
    "bad_response": (choices_reply([]), "no choices in the answer"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_model_that_fails_makes_an_errored_trial_and_exit_code_3(
    run_command: Command, model: StandIn, kind: str
) -> None:
    reply, way_out = FAILURES[kind]
    model.behaviour = broken(reply)

    finished = run_command("run", "weather", "--target", "here:m-1", "--trials", "1", "--format", "json")

    answer = json.loads(finished.stdout)
    assert finished.returncode == ERRORED
    assert answer["errors"] == {kind: 1}
    assert (answer["cases"]["passed"], answer["cases"]["failed"], answer["cases"]["errored"]) == (2, 0, 1)
    assert answer["pass_rate"]["n"] == 2
    failed = answer["failures"][0]
    assert (failed["case"], failed["verdict"], failed.get("score")) == ("rome", "errored", None)
    assert way_out in finished.stderr
    assert "Traceback" not in finished.stderr


def test_an_answer_that_never_comes_is_an_errored_trial_after_the_time_that_was_given(
    run_command: Command, model: StandIn
) -> None:
    model.hold_after(2)

    finished = run_command(
        "run", "weather", "--target", "here:m-1", "--trials", "1", "--timeout", "2", "--format", "json"
    )

    answer = json.loads(finished.stdout)
    assert (finished.returncode, answer["errors"]) == (ERRORED, {"timeout": 1})
    assert "no end after 2 s; raise timeout_s" in answer["failures"][0]["reason"]


def test_a_model_that_asks_for_patience_gets_it_and_the_trial_passes(
    run_command: Command, folder: Path, model: StandIn
) -> None:
    (folder / "mcp-evals.toml").write_text(f"[providers.here]\nkind='openai'\nurl='{model.url}'\nmax_retries=1\n")
    busy = refusal(429, "slow down")._replace(headers=(("Retry-After", "0"),))
    model.behaviour = lambda asked, times: busy if "rome" in asked and times == 1 else right_city(asked, times)

    finished = run_command("run", "weather", "--target", "here:m-1", "--trials", "1")

    assert finished.returncode == PASSED, finished.stderr
    assert model.counts == {"Weather in oslo?": 1, "Weather in bergen?": 1, "Weather in rome?": 2}


@pytest.mark.parametrize("arguments", ['{"city": "rome', "rome", '{"city": NaN}', '["rome"]', ""])
def test_arguments_that_are_no_json_object_are_a_wrong_answer_and_no_error(
    run_command: Command, model: StandIn, arguments: str
) -> None:
    model.behaviour = broken(call_reply("get_weather", arguments))

    finished = run_command("run", "weather", "--target", "here:m-1", "--trials", "1", "--format", "json")

    answer = json.loads(finished.stdout)
    assert finished.returncode == FAILED, finished.stderr
    assert [(failed["case"], failed["verdict"]) for failed in answer["failures"]] == [("rome", "failed")]


def test_nobody_at_the_address_is_an_errored_run_that_asks_whether_the_server_runs(
    run_command: Command, folder: Path
) -> None:
    (folder / "mcp-evals.toml").write_text(
        "[providers.here]\nkind='openai'\nurl='http://127.0.0.1:9/v1'\nmax_retries=0\n"
    )

    finished = run_command("run", "weather", "--target", "here:m-1", "--trials", "1")

    assert finished.returncode == ERRORED
    assert "is the server running, and is the url right?" in finished.stderr
    assert "No case could be scored: 3 errored." in finished.stdout


# --- what is never told

CANARY = "sk-canary-7f3d9a5b1c"


def test_a_key_stands_in_no_file_and_no_output_even_where_the_model_sends_it_back(
    run_command: Command, folder: Path, model: StandIn
) -> None:
    def echo(asked: str, times: int) -> Reply:
        if "oslo" in asked:
            return refusal(401, f"Incorrect API key provided: {CANARY}")
        if "rome" in asked:
            return choices_reply([{"message": {"role": "assistant", "content": f"Your key is {CANARY}."}}])
        return right_city(asked, times)

    model.behaviour = echo
    keys = {"OPENAI_API_KEY": CANARY, "OPENAI_BASE_URL": model.url}
    finished = [
        run_command("run", "weather", "--target", "openai:m-1", "--trials", "1", "--record", "out.jsonl", **keys),
        run_command("doctor", **keys),
        run_command("runs", **keys),
    ]
    run_id = finished[2].stdout.split("\n")[1].split()[1].rstrip(":")
    finished += [run_command("report", run_id, "--case", case, **keys) for case in ("oslo", "rome")]

    assert {headers["authorization"] for headers in model.headers} == {f"Bearer {CANARY}"}
    assert "[key]" in finished[3].stdout
    assert "[key]" in finished[4].stdout
    assert not [found.args for found in finished if CANARY in found.stdout + found.stderr]
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert folder / "home" / "mcp-evals.sqlite" in written
    assert not [path for path in written if CANARY.encode() in path.read_bytes()]


# --- the demo


def test_the_demo_needs_no_key_and_ends_well(run_command: Command) -> None:
    finished = run_command("demo")

    assert finished.returncode == PASSED, finished.stderr
    assert "run_suite" in finished.stdout
    for host in ("Claude Desktop", "Claude Code", "Cursor", "VS Code", "mcp-evals config HOST --write"):
        assert host in finished.stdout


def test_a_recording_without_a_transcript_of_a_case_says_which(run_command: Command, folder: Path) -> None:
    write_recording(folder / "suites", "other", [("paris", 0, asked_for("paris"))])

    finished = run_command("run", "weather", "--target", "recorded:other")

    assert finished.returncode == ERRORED
    assert 'case "oslo" is not in the recording' in finished.stderr
