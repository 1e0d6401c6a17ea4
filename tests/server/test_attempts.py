"""The agent as the subject: it sees no expectation before it answers, and what it is told is as much as was allowed."""

import json
from typing import Any

import pytest
from e2e.home import WEATHER, weather_suite, write_suite
from e2e.host import Host, Mode, connected, text_of

from mcp_evals.answers import AttemptAnswer
from mcp_evals.reports.text import answer_text
from mcp_evals.server.app import build_server
from mcp_evals.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Both ages of the protocol."""
    return request.param


def asked_weather(city: str) -> dict[str, Any]:
    return {"calls": [{"name": "get_weather", "arguments": {"city": city}}]}


async def answered(host: Host, attempt: dict[str, Any], city: str) -> dict[str, Any]:
    return await host.ask("score_transcript", attempt_id=attempt["attempt_id"], transcript=asked_weather(city))


def with_holdout(**fields: Any) -> dict[str, Any]:
    """Four cities of which the last is a holdout case."""
    suite = weather_suite("oslo", "bergen", "rome", "lima", **fields)
    suite["cases"][-1]["tags"] = ["holdout"]
    return suite


async def test_a_case_is_handed_out_with_prompt_and_tools_and_nothing_that_is_expected(
    settings: Settings, mode: Mode
) -> None:
    write_suite(settings.suites[0], weather_suite("oslo", system="Be brief.", tracks={}))

    async with connected(build_server(settings), mode) as host:
        result = await host.call("take_case", suite="weather")

    attempt = AttemptAnswer.model_validate(result.structured_content)
    assert answer_text(attempt) == text_of(result)
    assert (attempt.number, attempt.total, attempt.system, attempt.user) == (1, 1, "Be brief.", "Weather in oslo?")
    assert attempt.tools == (WEATHER,)
    assert attempt.attempt_id in attempt.next_step
    assert not {"expect", "north", '"oslo"'} & set(text_of(result).split())
    assert "args" not in text_of(result)


async def test_answered_cases_become_the_trials_of_a_run_of_target_self(settings: Settings, mode: Mode) -> None:
    async with connected(build_server(settings), mode) as host:
        attempt = await host.ask("take_case", suite="weather")
        run_id = attempt["run_id"]
        said = [await answered(host, attempt, "oslo")]
        early = await host.ask("get_run", run_id=run_id)
        said.append(await answered(host, await host.ask("take_case", run_id=run_id), "bergen"))
        said.append(await answered(host, await host.ask("take_case", run_id=run_id), "milan"))
        run = await host.ask("get_run", run_id=run_id)
        listed = await host.ask("list_runs", target="self")
        refusal = await host.refused("take_case", run_id=run_id)

    assert [answer["verdict"] for answer in said] == ["passed", "passed", "failed"]
    assert all(answer["self_scored"] for answer in said)
    assert said[0]["next_step"] == f'take_case(run_id="{run_id}") for the next of 2 cases'
    assert (early["status"], early["done"], early["total"]) == ("working", 1, 3)
    assert (run["status"], run["target"], run["cases"]["passed"], run["cases"]["failed"]) == ("completed", "self", 2, 1)
    assert any(note.startswith("suite digest b2:") for note in run["notes"])
    assert any("nobody watched it" in note for note in run["notes"])
    assert [line["run_id"] for line in listed["runs"]] == [run_id]
    assert f"run {run_id} is completed" in refusal


@pytest.mark.parametrize(
    ("reveal", "told"),
    [
        ("verdict", {"verdict", "score"}),
        ("hints", {"verdict", "score", "calls", "checks"}),
        ("full", {"verdict", "score", "calls", "checks", "reason"}),
    ],
)
async def test_feedback_is_as_much_as_was_allowed_also_when_the_run_is_looked_at(
    settings: Settings, mode: Mode, reveal: str, told: set[str]
) -> None:
    async with connected(build_server(settings), mode) as host:
        attempt = await host.ask("take_case", suite="weather", case="rome", reveal=reveal)
        answer = await answered(host, attempt, "milan")
        again = await host.ask("get_run", run_id=attempt["run_id"], case="rome")
        run = await host.ask("get_run", run_id=attempt["run_id"])
        other = await host.ask("take_case", suite="weather", case="rome", reveal="full")
        await answered(host, other, "rome")
        late = await host.ask("get_run", run_id=other["run_id"])
        table = await host.ask("compare_models", runs=[attempt["run_id"], other["run_id"]])

    told_all = reveal == "full"
    assert ("reason" in run["failures"][0]) == told_all
    assert ("milan" in json.dumps(table)) == told_all
    assert any("had shown" in note for note in late["notes"]) == told_all
    for seen in (answer, again):
        assert {"verdict", "score", "calls", "checks", "reason"} & seen.keys() == told
        assert ("rome" in json.dumps({**seen, "case": "", "next_step": ""})) == (reveal == "full")
    if reveal == "hints":
        assert answer["calls"] == [
            {
                "status": "wrong_argument",
                "actual": 'get_weather(city="milan")',
                "why": ["city: not as expected"],
            }
        ]


async def test_what_is_handed_out_is_withheld_everywhere_until_it_is_answered(settings: Settings, mode: Mode) -> None:
    async with connected(build_server(settings), mode) as host:
        before = await host.ask("run_suite", suite="weather", target="recorded:mixed")
        attempt = await host.ask("take_case", suite="weather", case="rome")
        page = await host.ask("get_suite", suite="weather")
        whole = await host.ask("get_suite", suite="weather", case="rome")
        run = await host.read("get_run", run_id=before["run_id"])
        trial = await host.read("get_run", run_id=before["run_id"], case="rome", transcript=True)
        refusal = await host.refused("score_transcript", suite="weather", case="rome", transcript={"calls": []})
        await answered(host, attempt, "rome")
        after = await host.ask("get_suite", suite="weather", case="rome")

    withheld = f"(withheld: open as attempt {attempt['attempt_id']})"
    assert [case["expects"] == withheld for case in page["cases"]] == [False, False, True]
    assert whole["case"] == {"id": "rome", "tags": ["south"], "user": "Weather in rome?"}
    assert withheld in run
    assert withheld in trial
    assert "milan" not in run + trial
    assert "answer that attempt" in refusal
    assert after["case"]["expect"]["calls"][0]["args"] == {"city": "rome"}


async def test_a_search_finds_a_withheld_case_by_its_question_and_not_by_its_expectation(settings: Settings) -> None:
    suite = with_holdout()
    suite["cases"][-1]["user"] = "Weather in the capital of Peru?"
    write_suite(settings.suites[0], suite)

    async with connected(build_server(settings)) as host:
        found = {
            words: [case["id"] for case in (await host.ask("get_suite", suite="weather", search=words))["cases"]]
            for words in ("PERU", "get_weather", "oslo get_weather", "city lima")
        }

    assert found == {
        "PERU": ["lima"],
        "get_weather": ["oslo", "bergen", "rome"],
        "oslo get_weather": ["oslo"],
        "city lima": [],
    }


async def test_holdout_cases_are_told_apart_at_the_end_and_never_shown(settings: Settings, mode: Mode) -> None:
    write_suite(settings.suites[0], with_holdout())

    async with connected(build_server(settings), mode) as host:
        attempt = await host.ask("take_case", suite="weather", reveal="full")
        run_id = attempt["run_id"]
        for city in ("oslo", "bergen", "milan"):
            await answered(host, attempt, city)
            attempt = await host.ask("take_case", run_id=run_id)
        before = await host.ask("get_run", run_id=run_id)
        recorded = await answered(host, attempt, "lima")
        run = await host.ask("get_run", run_id=run_id)
        refusal = await host.refused("get_run", run_id=run_id, case="lima")
        suite = await host.ask("get_suite", suite="weather", case="lima")
        scoring = await host.refused("score_transcript", suite="weather", case="lima", transcript=asked_weather("x"))

    assert (recorded["status"], recorded.keys() & {"verdict", "score"}) == ("recorded", set())
    assert any(note.startswith("1 holdout cases are reported apart when the run has ended") for note in before["notes"])
    assert (run["pass_rate"]["n"], run["done"], run["total"]) == (3, 4, 4)
    assert any(
        note.startswith("holdout, apart from the numbers above and never shown: passed 100%") for note in run["notes"]
    )
    assert "holdout, never shown" in refusal
    assert (suite["case"].get("expect"), suite["cases"][0]["expects"]) == (None, "(withheld: holdout, never shown)")
    assert "take_case" in scoring


async def test_a_run_on_cases_whose_answers_were_shown_before_says_so(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        fresh = await host.ask("take_case", suite="weather", case="oslo")
        await answered(host, fresh, "oslo")
        clean = await host.ask("get_run", run_id=fresh["run_id"])
        await host.ask("get_suite", suite="weather", case="oslo")
        known = await host.ask("take_case", suite="weather", case="oslo")
        await answered(host, known, "oslo")
        told = await host.ask("get_run", run_id=known["run_id"])

    assert not any("had shown" in note for note in clean["notes"])
    assert any("had shown what is expected of 1 of 1 cases" in note for note in told["notes"])


async def test_a_suite_that_asks_less_than_at_the_baseline_is_told(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        first = await host.ask("take_case", suite="weather", case="oslo")
        await answered(host, first, "oslo")
        looser = weather_suite("oslo", "bergen", "rome", tracks={})
        looser["cases"][0]["expect"]["calls"][0]["args"] = {}
        write_suite(settings.suites[0], looser)
        second = await host.ask("take_case", suite="weather", case="oslo")
        await answered(host, second, "paris")
        run = await host.ask("get_run", run_id=second["run_id"])
        table = await host.read("compare_models", runs=[first["run_id"], second["run_id"]])

    assert any(note.startswith(f"asks less than run {first['run_id']}: oslo:") for note in run["notes"])
    assert f"changed since run {first['run_id']}: oslo" in run["notes"]
    assert "Cannot compare" in table


async def test_turns_and_stubbed_tools_are_gone_through_one_after_the_other(settings: Settings, mode: Mode) -> None:
    stubbed = {"calls": [{"tool": "get_weather", "args": {"city": "oslo"}, "returns": "snow"}]}
    case = {
        "id": "two",
        "turns": [
            {"user": "Weather in Oslo?", "expect": stubbed},
            {"user": "Thanks!", "expect": {"calls": [], "text": [{"contains": "welcome"}]}},
        ],
    }
    write_suite(settings.suites[0], {"version": 1, "name": "talk", "tools": [WEATHER], "cases": [case]})

    async with connected(build_server(settings), mode) as host:
        attempt = await host.ask("take_case", suite="talk")
        handle = attempt["attempt_id"]
        result = await host.ask("score_transcript", attempt_id=handle, transcript=asked_weather("oslo"))
        turn = await host.ask("score_transcript", attempt_id=handle, transcript={"text": "Snow."})
        end = await host.ask("score_transcript", attempt_id=handle, transcript={"text": "You are welcome."})

    assert (attempt["user"], attempt["number"]) == ("Weather in Oslo?", 1)
    assert (result["results"], result.get("user")) == (["snow"], None)
    assert turn["user"] == "Thanks!"
    assert (end["verdict"], end["score"]) == ("passed", 1.0)


async def test_a_whole_conversation_that_is_handed_in_again_counts_once(settings: Settings) -> None:
    stubbed = {"calls": [{"tool": "get_weather", "args": {"city": "oslo"}, "returns": "snow"}]}
    case = {"id": "one", "user": "Weather in Oslo?", "expect": stubbed}
    write_suite(settings.suites[0], {"version": 1, "name": "talk", "tools": [WEATHER], "cases": [case]})
    call = {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "oslo"}'}}
    said: list[dict[str, Any]] = [
        {"role": "user", "content": "Weather in Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]

    async with connected(build_server(settings)) as host:
        handle = (await host.ask("take_case", suite="talk"))["attempt_id"]
        result = await host.ask("score_transcript", attempt_id=handle, transcript={"messages": said})
        said += [{"role": "tool", "tool_call_id": "1", "content": "snow"}, {"role": "assistant", "content": "Snow."}]
        end = await host.ask("score_transcript", attempt_id=handle, transcript={"messages": said})
        trial = await host.read("get_run", run_id=end["run_id"], case="one", transcript=True)

    assert result["results"] == ["snow"]
    assert end["verdict"] == "passed"
    assert trial.count("call: get_weather") == 1


async def test_an_attempt_is_answered_once_and_only_on_the_suite_that_it_was_taken_from(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        attempt = await host.ask("take_case", suite="weather")
        same = await host.ask("take_case", run_id=attempt["run_id"], case="oslo")
        await answered(host, attempt, "oslo")
        twice = await host.refused(
            "score_transcript", attempt_id=attempt["attempt_id"], transcript=asked_weather("oslo")
        )
        unknown = await host.refused("score_transcript", attempt_id="none", transcript=asked_weather("oslo"))
        mixed = await host.refused("score_transcript", attempt_id="none", suite="weather", transcript={"calls": []})
        empty = await host.ask("take_case", run_id=attempt["run_id"])
        nothing = await host.refused("score_transcript", attempt_id=empty["attempt_id"], transcript={"invocations": []})
        write_suite(settings.suites[0], weather_suite("oslo", "bergen", "paris"))
        changed = await host.refused(
            "score_transcript", attempt_id=empty["attempt_id"], transcript=asked_weather("oslo")
        )

    assert same["attempt_id"] == attempt["attempt_id"]
    assert "is answered already" in twice
    assert 'no attempt "none"; take_case hands one out' in unknown
    assert "alone" in mixed
    assert "holds nothing that you did" in nothing
    assert "was changed since run" in changed
    assert 'take_case(suite="weather") begins a run' in changed


async def test_a_run_of_a_subject_is_cancelled_like_others_and_cannot_be_called(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        attempt = await host.ask("take_case", suite="weather")
        resumed = await host.refused("control_run", run_id=attempt["run_id"], action="resume")
        cancelled = await host.ask("control_run", run_id=attempt["run_id"], action="cancel")
        late = await host.refused(
            "score_transcript", attempt_id=attempt["attempt_id"], transcript=asked_weather("oslo")
        )
        called = await host.refused("run_suite", suite="weather", target="self")
        page = await host.ask("get_suite", suite="weather")

    assert "take_case" in resumed
    assert cancelled["status"] == "cancelled"
    assert "is cancelled" in late
    assert "take_case(suite=…)" in called
    assert not any("withheld" in case["expects"] for case in page["cases"])


async def test_another_server_goes_on_with_a_subjects_run(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        attempt = await host.ask("take_case", suite="weather")
        await answered(host, attempt, "oslo")

    async with connected(build_server(settings)) as host:
        following = await host.ask("take_case", run_id=attempt["run_id"])
        answer = await answered(host, following, "bergen")

    assert (following["number"], answer["verdict"]) == (2, "passed")


async def test_the_first_and_the_last_run_of_a_subject_are_compared(settings: Settings) -> None:
    cities = [f"city{n}" for n in range(12)]
    write_suite(settings.suites[0], weather_suite(*cities, name="many"))

    async with connected(build_server(settings)) as host:
        runs: list[str] = []
        for said in ("nowhere", None):
            attempt = await host.ask("take_case", suite="many")
            runs.append(attempt["run_id"])
            for _ in cities[1:]:
                await answered(host, attempt, said or attempt["user"].rstrip("?").split()[-1])
                attempt = await host.ask("take_case", run_id=attempt["run_id"])
            await answered(host, attempt, said or attempt["user"].rstrip("?").split()[-1])
        table = await host.ask("compare_models", runs=runs)

    assert table["comparisons"][0]["verdict"] == "better"
