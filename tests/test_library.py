"""Suites are found by name below the user's folders, and ready only when every tool is known."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from e2e.home import WEATHER, weather_suite, write_suite

from mcp_evals.errors import InvalidFileError, NotFoundError, UsageError
from mcp_evals.library import Library, on_track, select_cases
from mcp_evals.live_tools import ServerSettings
from mcp_evals.settings import Settings
from mcp_evals.suite import Suite

pytestmark = pytest.mark.anyio

SHOP = Path(__file__).parent / "fakes_mcp" / "shop.py"


def library(folder: Path, **fields: Any) -> Library:
    return Library(Settings(suites=(folder,), data=folder / "home", **fields))


def test_suites_of_all_folders_are_there_and_only_the_packages_own_are_built_in(tmp_path: Path) -> None:
    write_suite(tmp_path / "deep", weather_suite("oslo"))
    found = library(tmp_path)

    assert [(entry.name, found.is_built_in(entry)) for entry in found.entries()] == [
        ("weather", False), ("assistant", True),
    ]  # fmt: skip


def test_a_suite_of_a_taken_name_is_ambiguous_and_says_both_files(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_suite(tmp_path / folder, weather_suite("oslo"))

    with pytest.raises(InvalidFileError) as raised:
        library(tmp_path).entry("weather")

    assert "one/weather.json" in str(raised.value)
    assert "two/weather.json" in str(raised.value)


def test_a_suite_that_is_mended_is_read_again(tmp_path: Path) -> None:
    found = library(tmp_path)
    path = write_suite(tmp_path, weather_suite("oslo"))
    path.write_text(path.read_text().replace('"oslo"', '"olso", "usr": 1', 1))
    with pytest.raises(InvalidFileError, match="usr"):
        found.suite("weather")

    write_suite(tmp_path, weather_suite("oslo", "rome"))

    assert [case.id for case in found.suite("weather").cases] == ["oslo", "rome"]


async def test_tools_in_files_and_of_tracks_and_cases_are_filled_in(tmp_path: Path) -> None:
    (tmp_path / "tools.json").write_text(json.dumps([WEATHER]))
    suite = weather_suite("oslo", "rome", tracks={"file": [{"file": "tools.json"}]})
    suite["tools"] = []
    suite["cases"][0]["tools"] = [{"file": "tools.json"}]
    write_suite(tmp_path, suite)

    ready = (await library(tmp_path).ready("weather")).suite

    assert [[tool.name for tool in ready.tools_of(case)] for case in ready.cases] == [["get_weather"], []]
    on_file = on_track(ready, "file")
    assert [tool.name for tool in on_file.tools_of(on_file.cases[1])] == ["get_weather"]


async def test_tools_of_a_configured_server_are_asked_for_and_chosen(tmp_path: Path) -> None:
    servers = {"shop": ServerSettings(command=sys.executable, args=(str(SHOP),))}
    suite = weather_suite("oslo")
    suite["tools"] = [{"server": "shop", "only": ["price_of"]}]
    write_suite(tmp_path, suite)
    wrong = {**suite, "name": "wrong", "tools": [{"server": "shop", "only": ["prize_of"]}]}
    write_suite(tmp_path, wrong)
    found = library(tmp_path, servers=servers)

    ready = await found.ready("weather")

    assert [tool.name for tool in ready.suite.tools_of(ready.suite.cases[0])] == ["price_of"]
    assert ready.servers == ("shop",)
    assert [tool.origin for tool in ready.suite.tools] == ["shop"]
    with pytest.raises(InvalidFileError, match=r'did you mean "price_of"\?'):
        await found.ready("wrong")


async def test_a_server_that_nobody_configured_says_how_to_do_it(tmp_path: Path) -> None:
    suite = weather_suite("oslo")
    suite["tools"] = [{"server": "shop"}]
    write_suite(tmp_path, suite)

    with pytest.raises(NotFoundError, match=r'no server "shop" is configured.*Add \[servers\.shop\]'):
        await library(tmp_path).ready("weather")


@pytest.mark.parametrize("other", ["get_weather", "get.weather"])
async def test_two_tools_of_one_name_at_a_provider_are_no_suite(tmp_path: Path, other: str) -> None:
    suite = weather_suite("oslo")
    suite["tools"] = [WEATHER, {**WEATHER, "name": other}]
    write_suite(tmp_path, suite)

    with pytest.raises(InvalidFileError, match="get_weather"):
        await library(tmp_path).ready("weather")


async def test_a_tool_of_a_server_that_nobody_configured_is_no_suite(tmp_path: Path) -> None:
    write_suite(tmp_path, {**weather_suite("oslo"), "tools": [{**WEATHER, "origin": "shop"}]})

    with pytest.raises(NotFoundError, match='no server "shop" is configured'):
        await library(tmp_path).ready("weather")


async def test_a_path_is_a_suite_of_its_own(tmp_path: Path) -> None:
    path = write_suite(tmp_path / "elsewhere", weather_suite("oslo"))

    assert (await library(tmp_path / "elsewhere").ready(path)).suite.name == "weather"


SUITE = Suite.model_validate(weather_suite("oslo", "bergen", "rome"))


@pytest.mark.parametrize(
    ("ids", "tags", "chosen"),
    [
        (None, None, ["oslo", "bergen", "rome"]),
        (["rome", "oslo"], None, ["oslo", "rome"]),
        (None, ["north"], ["oslo", "bergen"]),
        (None, ["north", "south"], ["oslo", "bergen", "rome"]),
        (["rome", "oslo"], ["north"], ["oslo"]),
        ([], [], ["oslo", "bergen", "rome"]),
    ],
)
def test_cases_are_chosen_by_id_and_tag_in_the_suites_order(
    ids: list[str] | None, tags: list[str] | None, chosen: list[str]
) -> None:
    assert [case.id for case in select_cases(SUITE, ids, tags)] == chosen


@pytest.mark.parametrize(
    ("ids", "tags", "kind", "said"),
    [
        (["olso"], None, NotFoundError, 'did you mean "oslo"?'),
        (None, ["nort"], NotFoundError, 'did you mean "north"?'),
        (["rome"], ["north"], UsageError, "has no case to run"),
    ],
)
def test_a_choice_of_nothing_is_told(
    ids: list[str] | None, tags: list[str] | None, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said.replace("?", r"\?")):
        select_cases(SUITE, ids, tags)


def test_a_track_that_is_not_there_is_told() -> None:
    suite = Suite.model_validate(weather_suite("oslo", tracks={"terse": [WEATHER]}))

    with pytest.raises(NotFoundError, match='no track "ters"; did you mean "terse"'):
        on_track(suite, "ters")
    assert on_track(suite, None) is suite
