"""Every tool, as an agent uses it: what comes back is the same in both halves, and holds what it promises."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from e2e.home import WEATHER, asked_for, weather_suite, write_recording, write_suite
from e2e.host import Host, Mode, connected, text_of
from mcp.types import ResourceLink

from mcp_evals.answers import RunAnswer, RunList, SuiteList, SuiteView, TargetList, TrialAnswer
from mcp_evals.model import Model
from mcp_evals.reports.text import HARD_CAP, answer_text
from mcp_evals.results import ComparisonTable
from mcp_evals.server.app import build_server
from mcp_evals.settings import Settings

pytestmark = pytest.mark.anyio

TOOL_LIST_TOKENS = 2_500
ANSWER_TOKENS = 2_000
CHANGING = {
    "run_case",
    "run_suite",
    "compare_models",
    "control_run",
    "score_transcript",
    "judge_run",
    "take_case",
    "save_case",
    "export_report",
}
"""Tools after which something is there that was not there before."""


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Both ages of the protocol."""
    return request.param


async def asked(host: Host, kind: type[Model], tool: str, /, **arguments: Any) -> Any:
    """The answer, which is whole in its structured half, and in its text half as the same facts."""
    result = await host.call(tool, **arguments)
    assert not result.is_error, text_of(result)
    answer = kind.model_validate(result.structured_content)
    assert answer_text(answer) == text_of(result)
    assert len(text_of(result)) / 4 < ANSWER_TOKENS
    return answer


async def test_suites_are_listed_with_their_tags_tracks_and_last_result(settings: Settings, mode: Mode) -> None:
    async with connected(build_server(settings), mode) as host:
        run = await host.ask("run_suite", suite="weather", target="here:m-1", trials=1)
        answer = await asked(host, SuiteList, "list_suites")

    weather = answer.suites[0]
    assert [suite.name for suite in answer.suites] == ["weather", "assistant"]
    assert weather.tags == {"north": 2, "south": 1}
    assert weather.tracks == ("terse",)
    assert weather.last_run.run_id == run["run_id"]
    assert weather.last_run.pass_rate.value == 1.0
    assert answer.folders == (str(settings.suites[0]),)


async def test_a_broken_suite_is_listed_with_its_problem_and_the_others_still_run(settings: Settings) -> None:
    (settings.suites[0] / "torn.yaml").write_text("version: 1\nname: torn\ncases:\n  - {id: a, usr: hello}\n")

    async with connected(build_server(settings)) as host:
        answer = await asked(host, SuiteList, "list_suites")
        refusal = await host.refused("run_suite", suite="torn", target="here:m-1")
        run = await host.ask("run_suite", suite="weather", target="here:m-1", trials=1)

    torn = next(suite for suite in answer.suites if suite.name == "torn")
    assert "usr" in torn.problems[0]
    assert "torn.yaml:4" in torn.problems[0]
    assert torn.problems[0] in refusal
    assert run["status"] == "completed"


async def test_a_suite_is_shown_in_pages_and_a_filter_says_how_many_fit(settings: Settings, mode: Mode) -> None:
    write_suite(settings.suites[0], weather_suite(*(f"city{n:02}" for n in range(45)), name="many"))

    async with connected(build_server(settings), mode) as host:
        pages = [await asked(host, SuiteView, "get_suite", suite="many", offset=offset) for offset in (0, 20, 40)]
        north = await asked(host, SuiteView, "get_suite", suite="weather", tag="north")
        found = await asked(host, SuiteView, "get_suite", suite="weather", search="ROME weather")

    assert [page.next_offset for page in pages] == [20, 40, None]
    assert [case.id for page in pages for case in page.cases] == [f"city{n:02}" for n in range(45)]
    assert north.total == 2
    assert [case.id for case in found.cases] == ["rome"]


async def test_one_case_is_shown_whole_in_both_halves(settings: Settings, mode: Mode) -> None:
    async with connected(build_server(settings), mode) as host:
        answer = await asked(host, SuiteView, "get_suite", suite="weather", case="oslo")
        text = await host.read("get_suite", suite="weather", case="oslo")

    whole = {
        "id": "oslo",
        "tags": ["north"],
        "user": "Weather in oslo?",
        "expect": {"calls": [{"tool": "get_weather", "args": {"city": "oslo"}}]},
    }
    assert answer.case == whole
    assert json.dumps(whole) in text


async def test_targets_name_what_is_missing_and_never_a_key(
    settings: Settings, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary-0123456789")

    async with connected(build_server(settings), mode) as host:
        answer = await asked(host, TargetList, "list_targets")
        text = await host.read("list_targets")

    known = {line.target: (line.ready, line.note) for line in answer.targets}
    assert known["openai:MODEL"] == (False, "set OPENAI_API_KEY to use it")
    assert known["anthropic:MODEL"][0]
    assert known["here:MODEL"][0]
    assert known["recorded:recordings/mixed.jsonl"][0]
    assert "sk-canary" not in text + answer.model_dump_json()


async def test_a_case_that_fails_shows_what_was_expected_beside_what_was_called(settings: Settings, mode: Mode) -> None:
    async with connected(build_server(settings), mode) as host:
        answer = await asked(host, TrialAnswer, "run_case", suite="weather", case="rome", target="recorded:mixed")

    assert (answer.verdict, answer.score) == ("failed", 0.5)
    call = answer.calls[0]
    assert (call.status, call.expected, call.actual) == (
        "wrong_argument",
        'get_weather(city="rome")',
        'get_weather(city="milan")',
    )
    assert call.why == ('city: "milan" is not "rome"',)
    assert answer.transcript is None


async def test_a_run_gives_a_rate_with_its_interval_and_the_failures_with_their_reasons(
    settings: Settings, mode: Mode
) -> None:
    async with connected(build_server(settings), mode) as host:
        answer = await asked(
            host, RunAnswer, "run_suite", suite="weather", target="recorded:mixed", cases=["oslo", "rome"]
        )

    assert (answer.status, answer.done, answer.total) == ("completed", 2, 2)
    assert answer.verdict.startswith("Small sample: 1 of 2 cases passed")
    assert (answer.pass_rate.value, answer.pass_rate.n, answer.pass_rate.method) == (0.5, 2, "wilson")
    assert [(failed.case, failed.trials) for failed in answer.failures] == [("rome", "0/1")]
    assert answer.by_tag == {"north": "1/1", "south": "0/1"}
    assert answer.next_step == f'get_run(run_id="{answer.run_id}", case="rome") for the evidence of the worst case'


async def test_a_case_that_no_recording_has_is_errored_and_no_fail(settings: Settings, mode: Mode) -> None:
    async with connected(build_server(settings), mode) as host:
        answer = await asked(host, RunAnswer, "run_suite", suite="weather", target="recorded:mixed")

    assert answer.cases.model_dump() == {"planned": 3, "passed": 1, "warned": 0, "failed": 1, "errored": 1}
    assert answer.errors == {"not_recorded": 1}
    assert answer.pass_rate.n == 2
    assert "1 could not be scored and are left out" in answer.verdict


async def test_the_next_offset_of_the_failures_leads_through_all_of_them_once(settings: Settings) -> None:
    cities = [f"city{n:02}" for n in range(25)]
    write_suite(settings.suites[0], weather_suite(*cities, name="many"))
    write_recording(settings.suites[0], "wrong", [(city, 0, asked_for("nowhere")) for city in cities])

    async with connected(build_server(settings)) as host:
        run = await host.ask("run_suite", suite="many", target="recorded:wrong")
        seen: list[str] = []
        offset: int | None = 0
        while offset is not None:
            page = await host.read("get_run", run_id=run["run_id"], offset=offset)
            seen += re.findall(r"^- FAIL (\w+)", page, re.MULTILINE)
            more = re.search(r"more: call get_run with offset=(\d+)", page)
            assert more is None or int(more[1]) > offset
            offset = int(more[1]) if more else None

    assert sorted(seen) == cities


async def test_a_transcript_is_shown_only_on_request_and_between_fences(settings: Settings, mode: Mode) -> None:
    async with connected(build_server(settings), mode) as host:
        run = await host.ask("run_suite", suite="weather", target="recorded:mixed", cases=["oslo", "rome"])
        without = await asked(host, TrialAnswer, "get_run", run_id=run["run_id"], case="rome")
        shown = await asked(host, TrialAnswer, "get_run", run_id=run["run_id"], case="rome", transcript=True)

    assert without.transcript is None
    fences = re.findall(r"\[([0-9a-f]{12}):", shown.transcript)
    assert len(fences) == 2
    assert len(set(fences)) == 1
    assert 'call: get_weather(city="milan")' in shown.transcript


async def test_a_run_without_a_case_shows_the_first_that_did_not_pass(settings: Settings) -> None:
    write_recording(settings.suites[0], "second", [("rome", 0, asked_for("rome")), ("rome", 1, asked_for("milan"))])

    async with connected(build_server(settings)) as host:
        run = await host.ask("run_suite", suite="weather", target="recorded:second", cases=["rome"])
        answer = await asked(host, TrialAnswer, "get_run", run_id=run["run_id"], case="rome")
        first = await asked(host, TrialAnswer, "get_run", run_id=run["run_id"], case="rome", trial=0)

    assert (run["total"], answer.trial, answer.verdict) == (2, 1, "failed")
    assert answer.other_trials == "0 passed, 1 failed"
    assert first.verdict == "passed"


async def test_runs_are_listed_newest_first_and_by_suite(settings: Settings, mode: Mode) -> None:
    async with connected(build_server(settings), mode) as host:
        empty = await asked(host, RunList, "list_runs")
        ids = [
            (await host.ask("run_suite", suite="weather", target="recorded:mixed", cases=[case]))["run_id"]
            for case in ("oslo", "rome")
        ]
        answer = await asked(host, RunList, "list_runs")
        one = await asked(host, RunList, "list_runs", suite="weather", limit=1)
        none = await asked(host, RunList, "list_runs", suite="other")

    assert empty.runs == none.runs == ()
    assert [run.run_id for run in answer.runs] == ids[::-1]
    assert ([run.run_id for run in one.runs], one.more) == ([ids[1]], True)


async def test_two_targets_are_compared_on_the_same_cases(settings: Settings, mode: Mode) -> None:
    async with connected(build_server(settings), mode) as host:
        answer = await asked(
            host, ComparisonTable, "compare_models", suite="weather", targets=["recorded:mixed", "here:m-1"], trials=1
        )
        again = await asked(host, ComparisonTable, "compare_models", runs=list(answer.runs))

    assert answer.status == "completed"
    assert len(answer.runs) == 2
    assert answer.comparisons[0].verdict == "not_enough_data"
    assert again.comparisons == answer.comparisons


async def test_a_transcript_is_scored_without_a_model(settings: Settings, mode: Mode) -> None:
    right = {"calls": [{"name": "get_weather", "arguments": {"city": "rome"}}]}

    async with connected(build_server(settings), mode) as host:
        answer = await asked(host, TrialAnswer, "score_transcript", transcript=right, suite="weather", case="rome")
        own = await asked(
            host,
            TrialAnswer,
            "score_transcript",
            transcript=json.dumps(right),
            expect={"calls": [{"tool": "get_weather", "args": {"city": "oslo"}}]},
        )

    assert (answer.verdict, answer.score, answer.form) == ("passed", 1.0, "calls")
    assert (own.verdict, own.score) == ("failed", 0.5)


async def test_a_run_on_a_track_offers_the_tools_of_the_track(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        run = await host.ask("run_suite", suite="weather", target="here:m-1", track="terse", trials=1)
        refusal = await host.refused("run_suite", suite="weather", target="here:m-1", track="ters")

    assert (run["track"], run["cases"]["passed"]) == ("terse", 3)
    assert 'did you mean "terse"?' in refusal


# --- what it costs to know the tools


async def test_the_tool_list_costs_less_than_2500_tokens(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        tools = (await host.client.list_tools()).tools

    listed = [{"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema} for tool in tools]
    tokens = len(json.dumps(listed, ensure_ascii=False, separators=(",", ":"))) / 4
    print(f"{len(tools)} tools cost {tokens:.0f} tokens")  # noqa: T201  the figure is what the test is read for
    assert tokens < TOOL_LIST_TOKENS


async def test_no_tool_needs_a_definition_from_elsewhere_to_be_understood(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        tools = (await host.client.list_tools()).tools

    assert not [tool.name for tool in tools if re.search(r"\$ref|\$defs|\bnull\b", json.dumps(tool.input_schema))]


async def test_default_answers_cost_less_than_2000_tokens_in_either_half(settings: Settings) -> None:
    """On the suite that comes with the package: 36 cases, two recorded models, 20 runs in the list."""
    costs: dict[str, tuple[int, int]] = {}

    async with connected(build_server(settings)) as host:

        async def measured(tool: str, **arguments: Any) -> dict[str, Any]:
            result = await host.call(tool, **arguments)
            assert not result.is_error, text_of(result)
            facts = json.dumps(result.structured_content, ensure_ascii=False)
            costs[tool] = max(costs.get(tool, (0, 0)), (len(text_of(result)) // 4, len(facts) // 4))
            return dict(result.structured_content or {})

        weak, strong = "recorded:smollm2-135m", "recorded:needle-3"
        await measured("list_suites")
        await measured("get_suite", suite="assistant")
        await measured("list_targets")
        run = await measured("run_suite", suite="assistant", target=weak, wait_s=50)
        await measured("run_case", suite="assistant", case="follow-up", target=weak)
        await measured("compare_models", suite="assistant", targets=[weak, strong], wait_s=50)
        await measured("get_run", run_id=run["run_id"])
        await measured("get_run", run_id=run["run_id"], case=run["failures"][0]["case"])
        for _ in range(20):
            await host.ask("run_suite", suite="weather", target="recorded:mixed", cases=["oslo"])
        await measured("list_runs")
        await measured("control_run", run_id=run["run_id"], action="rescore")
        attempt = await measured("take_case", suite="assistant")
        await measured("score_transcript", attempt_id=attempt["attempt_id"], transcript={"text": "Hm."})
        case = {"id": "new", "user": "Weather in Rome?", "expect": {"calls": []}}
        await measured("save_case", suite="weather", case=case, dry_run=True)
        await measured("export_report", runs=[run["run_id"]])

    for tool, (text, facts) in costs.items():
        print(f"{tool}: {text} tokens as text, {facts} as structured content")  # noqa: T201  read for the figures
    assert [] == [tool for tool, halves in costs.items() if max(halves) >= ANSWER_TOKENS]


async def test_every_tool_has_a_description_and_says_what_a_host_may_assume(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        tools = (await host.client.list_tools()).tools

    assert all(tool.description and tool.annotations for tool in tools)
    read_only = {tool.name for tool in tools if tool.annotations and tool.annotations.read_only_hint}
    assert {tool.name for tool in tools} - read_only == CHANGING


async def test_hundreds_of_suites_are_listed_in_pages_and_found_by_words(settings: Settings) -> None:
    for n in range(400):
        write_suite(settings.suites[0], weather_suite("oslo", name=f"suite{n:03}", description="long " * 40))

    async with connected(build_server(settings)) as host:
        first = await asked(host, SuiteList, "list_suites")
        last = await asked(host, SuiteList, "list_suites", offset=400)
        found = await asked(host, SuiteList, "list_suites", search="LONG 399")

    assert (len(first.suites), first.total, first.next_offset) == (25, 402, 25)
    assert (len(last.suites), last.next_offset) == (2, None)
    assert [suite.name for suite in found.suites] == ["suite399"]


async def test_no_answer_is_longer_than_the_hard_cap_in_either_half_and_both_say_what_is_left_out(
    settings: Settings,
) -> None:
    many = {"name": "many", "description": "word " * 400, "input_schema": WEATHER["input_schema"]}
    tools = [{**many, "name": f"tool{n:03}"} for n in range(40)]
    write_suite(settings.suites[0], weather_suite("oslo", name="wide", tools=tools))

    async with connected(build_server(settings)) as host:
        result = await host.call("take_case", suite="wide")

    text = text_of(result)
    facts = dict(result.structured_content or {})
    assert max(len(text), len(json.dumps(facts, ensure_ascii=False))) <= HARD_CAP
    assert re.search(r"\((\d+) more lines: ", text)
    assert len(facts["tools"]) + facts["left_out"]["tools"] == 40


# --- what is refused, and how


REFUSALS = [
    ("run_suite", {"suite": "wether", "target": "here:m"}, 'no suite "wether"; did you mean "weather"?'),
    ("get_suite", {"suite": "weather", "case": "olso"}, 'did you mean "oslo"?'),
    ("get_suite", {"suite": "weather", "tag": "nort"}, 'did you mean "north"?'),
    ("run_case", {"suite": "weather", "case": "roma", "target": "here:m"}, 'did you mean "rome"?'),
    ("run_suite", {"suite": "weather", "target": "hare:m"}, 'no provider "hare"; did you mean "here"?'),
    ("run_suite", {"suite": "weather", "target": "here"}, "write here:MODEL"),
    ("run_suite", {"suite": "weather", "target": "recorded:mixd"}, 'no recording "mixd"'),
    ("run_suite", {"suite": "weather", "target": "run:20200101-00000000"}, 'no run "20200101-00000000"'),
    ("get_run", {"run_id": "20200101-00000000"}, 'no run "20200101-00000000"'),
    ("get_run", {"run_id": "20200101-00000000", "transcript": True}, "name the case to show"),
    ("control_run", {"run_id": "20200101-00000000", "action": "cancel"}, 'no run "20200101-00000000"'),
    ("compare_models", {"suite": "weather", "targets": ["here:m"]}, "a comparison needs two"),
    ("compare_models", {"targets": ["here:m", "here:n"]}, "name the suite"),
    ("compare_models", {"suite": "weather", "targets": ["here:m", "hare:m"]}, 'no provider "hare"'),
    ("compare_models", {"suite": "weather", "targets": ["here:m"], "tracks": ["terse", "long"]}, 'has no track "long"'),
    ("score_transcript", {"transcript": {"calls": []}}, "give `suite` and `case`, or an `expect`"),
    ("score_transcript", {"transcript": 17, "suite": "weather", "case": "oslo"}, "is no transcript in a known form"),
    ("score_transcript", {"transcript": {"calls": []}, "expect": {"cals": []}}, "expect.cals"),
    ("run_suite", {"suite": "weather", "target": "here:m", "max_calls": 2}, "the cap is 2; raise max_calls"),
]


@pytest.mark.parametrize(("tool", "arguments", "way_out"), REFUSALS)
async def test_a_refusal_says_what_is_wrong_and_the_way_out(
    settings: Settings, mode: Mode, tool: str, arguments: dict[str, Any], way_out: str
) -> None:
    async with connected(build_server(settings), mode) as host:
        refusal = await host.refused(tool, **arguments)
        runs = await host.ask("list_runs")

    assert way_out in refusal
    assert not re.search(r'Traceback|File "|\.py\b|site-packages', refusal)
    assert runs["runs"] == []


@pytest.mark.parametrize("name", ["../weather", "../../etc/passwd", "/etc/passwd", "weather.json", ".", ""])
async def test_a_suite_is_a_name_and_never_a_path(settings: Settings, name: str) -> None:
    write_suite(settings.suites[0].parent, weather_suite("oslo", name="outside"))

    async with connected(build_server(settings)) as host:
        refusal = await host.refused("get_suite", suite=name)

    assert f'no suite "{name}"' in refusal


@pytest.mark.parametrize("name", ["../secret.jsonl", "{outside}", "recordings/link.jsonl"])
async def test_a_recording_outside_the_suite_folders_is_not_opened(
    settings: Settings, tmp_path: Path, name: str
) -> None:
    outside = write_recording(tmp_path, "out", [("oslo", 0, asked_for("oslo"))]).rename(tmp_path / "secret.jsonl")
    (settings.suites[0] / "recordings" / "link.jsonl").symlink_to(outside)

    async with connected(build_server(settings)) as host:
        refusal = await host.refused("run_suite", suite="weather", target=f"recorded:{name.format(outside=outside)}")

    assert "lies outside the suite folders" in refusal


WRONG = [
    ({"run_id": "x", "wait_s": 1000}, "`wait_s` must be less than or equal to 50, not 1000"),
    ({"wait_s": 1}, "`run_id` is missing (Run id or label)"),
    ({"run_id": "x", "wait": 1}, 'no argument "wait"; did you mean "wait_s"?'),
    ({"run_id": "x", "trial": "many"}, "`trial` must be a valid integer"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
async def test_a_wrong_argument_is_named_with_what_is_allowed(
    settings: Settings, mode: Mode, arguments: dict[str, Any], said: str
) -> None:
    async with connected(build_server(settings), mode) as host:
        refusal = await host.refused("get_run", **arguments)

    assert said in refusal
    assert "pydantic" not in refusal


async def test_a_report_is_a_file_and_a_link_to_it(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        run = await host.ask("run_suite", suite="weather", target="recorded:mixed")
        results = [
            await host.call("export_report", runs=[run["run_id"]], format=form)
            for form in ("html", "markdown", "json", "junit")
        ]

    for result in results:
        link = result.content[1]
        assert isinstance(link, ResourceLink)
        assert link.size == sizes_of([link.uri])[0]
        assert str(settings.data / "reports") in link.uri


def sizes_of(uris: list[str]) -> list[int]:
    return [Path(urlsplit(uri).path).stat().st_size for uri in uris]
