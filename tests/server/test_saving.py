"""Cases are saved where the user's own suites are, checked first, and everything else in the file stays as it is."""

from pathlib import Path
from typing import Any

import pytest
from e2e.home import WEATHER
from e2e.host import connected

from mcp_evals.server.app import build_server
from mcp_evals.settings import Settings

pytestmark = pytest.mark.anyio

KEPT = """\
# Ours.
version: 1
name: kept
tools:
  - name: get_weather
    input_schema: {type: object, properties: {city: {type: string}}, required: [city]}
cases:
  # The first.
  - id: oslo  # capital
    user: Weather in Oslo?
    expect: {calls: [{tool: get_weather, args: {city: Oslo}}]}
"""
ROME = {
    "id": "rome",
    "user": "Weather in Rome?",
    "expect": {"calls": [{"tool": "get_weather", "args": {"city": "Rome"}}]},
}


def text(path: Path) -> str:
    return path.read_text()


def files(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.suites[0].glob("*.*"))


@pytest.fixture
def kept(settings: Settings) -> Path:
    """A suite file with comments."""
    path = settings.suites[0] / "kept.yaml"
    path.write_text(KEPT)
    return path


async def test_a_new_case_is_added_behind_the_others_and_comments_stay(settings: Settings, kept: Path) -> None:
    async with connected(build_server(settings)) as host:
        look = await host.ask("save_case", suite="kept", case=ROME, dry_run=True)
        before = text(kept)
        saved = await host.ask("save_case", suite="kept", case=ROME)
        run = await host.ask("run_case", suite="kept", case="rome", target="here:m-1")

    assert (look["written"], before) == (False, KEPT)
    assert (saved["written"], saved["created"], saved["file"]) == (True, True, str(kept))
    assert saved["diff"] == look["diff"]
    assert text(kept).startswith(KEPT)
    assert "+  - id: rome" in saved["diff"]
    assert run["case"] == "rome"


async def test_a_changed_case_takes_the_place_of_the_one_with_its_id(settings: Settings, kept: Path) -> None:
    case = {
        "id": "oslo",
        "user": "Weather in Oslo now?",
        "expect": {"calls": [{"tool": "get_weather", "args": {"city": "Oslo"}}]},
    }

    async with connected(build_server(settings)) as host:
        saved = await host.ask("save_case", suite="kept", case=case)
        again = await host.ask("save_case", suite="kept", case=case)

    assert text(kept) == KEPT.replace("Weather in Oslo?", "Weather in Oslo now?")
    assert (saved["created"], again["written"], again["diff"]) == (False, False, "")


async def test_a_new_suite_is_a_new_file_with_its_tools(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        saved = await host.ask("save_case", suite="fresh", case=ROME, tools=[WEATHER])
        view = await host.ask("get_suite", suite="fresh")

    assert saved["file"] == str(settings.suites[0] / "fresh.yaml")
    assert (view["tools"], view["total"]) == (["get_weather"], 1)


async def test_a_trial_becomes_a_case_that_expects_what_was_called(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        run = await host.ask("run_suite", suite="weather", target="recorded:mixed", cases=["rome"])
        saved = await host.ask(
            "save_case", run_id=run["run_id"], from_case="rome", case={"id": "milan", "user": "Weather in Milan?"}
        )
        case = (await host.ask("get_suite", suite="weather", case="milan"))["case"]

    assert case["expect"] == {"calls": [{"tool": "get_weather", "args": {"city": "milan"}}]}
    assert case["user"] == "Weather in Milan?"
    assert saved["notes"][0].startswith("proposed from one trial of recorded:mixed")


async def test_a_new_suite_that_is_made_from_a_run_has_the_tools_of_the_run(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        run = await host.ask("run_suite", suite="weather", target="recorded:mixed", cases=["rome"])
        await host.ask("save_case", suite="fresh", run_id=run["run_id"], from_case="rome")
        view = await host.ask("get_suite", suite="fresh")

    assert (view["tools"], view["cases"][0]["expects"]) == (["get_weather"], 'get_weather(city="milan")')


def wrong(**fields: Any) -> dict[str, Any]:
    return {**ROME, **fields}


REFUSED = [
    ({"suite": "assistant", "case": ROME}, "comes with the package"),
    ({"suite": "kep", "case": ROME}, 'did you mean "kept"?'),
    ({"suite": "../out", "case": ROME, "tools": []}, "is no name for a new suite"),
    ({"suite": "kept", "case": {"user": "?"}}, "needs an `id`"),
    ({"suite": "kept"}, "nothing to save"),
    ({"suite": "kept", "case": ROME, "tools": []}, "`tools` is for a new suite"),
    ({"suite": "kept", "case": wrong(usr="x")}, "usr"),
    (
        {"suite": "kept", "case": wrong(expect={"calls": [{"tool": "get_wether", "args": {}}]})},
        'case "rome".expect.calls[0]',
    ),
    (
        {"suite": "fresh", "tools": [WEATHER], "case": wrong(expect={"calls": [{"tool": "get_wether", "args": {}}]})},
        'did you mean "get_weather"?',
    ),
    ({"run_id": "none", "from_case": "rome"}, 'no run "none"'),
]


@pytest.mark.parametrize(("arguments", "way_out"), REFUSED)
async def test_what_would_be_wrong_is_not_written(
    settings: Settings, kept: Path, arguments: dict[str, Any], way_out: str
) -> None:
    async with connected(build_server(settings)) as host:
        refusal = await host.refused("save_case", **arguments)

    assert way_out in refusal
    assert text(kept) == KEPT
    assert files(settings) == ["kept.yaml", "weather.json"]


async def test_no_case_is_made_of_a_run_whose_expectation_is_withheld(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        run = await host.ask("run_suite", suite="weather", target="here:m-1", trials=1)
        await host.ask("take_case", suite="weather", case="rome")
        refusal = await host.refused("save_case", run_id=run["run_id"], from_case="rome", dry_run=True)

    assert "is withheld (open as attempt" in refusal
