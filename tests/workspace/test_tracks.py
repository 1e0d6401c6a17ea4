"""One call runs the plain cases and every track, in the suite's order, and shows them side by side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from e2e.home import WEATHER, asked_for, weather_suite, write_recording, write_suite
from typer.testing import CliRunner

from mcp_evals.commands import app
from mcp_evals.errors import UsageError
from mcp_evals.settings import Settings
from mcp_evals.workspace import open_workspace

pytestmark = pytest.mark.anyio

OTHER = {**WEATHER, "name": "weather_in", "description": "Weather."}
PASSED, FAILED, WRONG = 0, 1, 2
Command = Callable[..., Result]


def suite(**by_track: Any) -> dict[str, Any]:
    """Two tracks in an order that is not the alphabet's; `rome` says what is different about it."""
    whole = weather_suite("oslo", "rome", tracks={"z": [WEATHER], "a": [OTHER]})
    whole["cases"][1]["by_track"] = by_track
    return whole


async def started(folder: Path, whole: dict[str, Any], **given: Any) -> list[tuple[str | None, tuple[str, ...]]]:
    """Track and cases of each run that a call starts."""
    write_suite(folder / "suites", whole)
    write_recording(folder / "suites", "said", [(city, 0, asked_for(city)) for city in ("oslo", "rome")])
    async with open_workspace(Settings(suites=(folder / "suites",), data=folder / "home"), environ={}) as workspace:
        ids = await workspace.start_tracks("weather", "recorded:said", **given)
        runs = [workspace.store.run(run_id) for run_id in ids]
    return [(run.track, run.case_ids) for run in runs]


async def test_the_suite_s_own_tools_come_first_and_the_tracks_in_its_order(tmp_path: Path):
    assert [(None, ("oslo", "rome")), ("z", ("oslo", "rome")), ("a", ("oslo",))] == await started(
        tmp_path, suite(a={"skip": True})
    )


async def test_a_suite_without_tools_of_its_own_has_only_its_tracks(tmp_path: Path):
    assert [("z", ("oslo", "rome")), ("a", ("oslo", "rome"))] == await started(tmp_path, {**suite(), "tools": []})


async def test_a_track_that_skips_all_chosen_cases_is_left_out(tmp_path: Path):
    assert [(None, ("rome",)), ("z", ("rome",))] == await started(tmp_path, suite(a={"skip": True}), cases=["rome"])
    with pytest.raises(UsageError, match="skips all of these cases on every track"):
        await started(tmp_path, {**suite(a={"skip": True}, z={"skip": True}), "tools": []}, cases=["rome"])


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `mcp-evals` in a user's folder."""
    monkeypatch.setenv("MCP_EVALS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    elsewhere = {"expect": {"calls": [{"tool": "weather_in", "args": {"city": "rome"}}]}}
    write_suite(tmp_path / "suites", suite(a=elsewhere))
    write_recording(tmp_path / "suites", "said", [(city, 0, asked_for(city)) for city in ("oslo", "rome")])

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    return run


def test_all_tracks_are_shown_side_by_side_and_the_worst_of_them_is_the_exit_code(command: Command):
    found = command("run", "weather", "--target", "recorded:said", "--all-tracks", "--format", "markdown")

    assert FAILED == found.exit_code
    assert "<code>rome</code>: pass, pass, FAIL" in found.stdout
    assert '| `weather_in` | · | `get_weather(city="rome")` |' in found.stdout


def test_all_tracks_take_no_single_one(command: Command):
    assert WRONG == command("run", "weather", "--target", "recorded:said", "--all-tracks", "--track", "a").exit_code


async def test_tracks_are_compared_by_what_the_suite_expects_on_each(tmp_path: Path):
    right = [(city, 0, asked_for(city)) for city in ("oslo", "rome")]
    write_suite(tmp_path / "suites", suite(a={"expect": {"calls": [{"tool": "weather_in"}]}}))
    write_recording(tmp_path / "suites", "said", right)

    async with open_workspace(Settings(suites=(tmp_path / "suites",), data=tmp_path / "home"), environ={}) as workspace:
        table = await workspace.compare_models("weather", ["recorded:said"], tracks=["z", "a"], wait_s=None)

    (comparison,) = table.comparisons
    assert ("rome",) == tuple(case.case for case in comparison.worse)
    assert "on the other track the suite itself expects something else in 1 case" in comparison.notes
