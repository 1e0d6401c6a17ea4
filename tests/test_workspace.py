"""What a run needs before it spends anything, and what becomes of it when something around it breaks."""

import inspect
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from e2e.home import asked_for, weather_suite, write_recording, write_suite
from fakes import ScriptedTarget

from mcp_evals.conversation import Task, Transcript
from mcp_evals.errors import NotFoundError, NotPermittedError, OverBudgetError, UsageError
from mcp_evals.results import ComparisonTable
from mcp_evals.settings import Limits, Settings
from mcp_evals.targets.base import ProviderSettings
from mcp_evals.workspace import Workspace, default_trials, open_workspace
from mcp_evals.workspace import targets as workspace_module

pytestmark = pytest.mark.anyio

CITIES = ("oslo", "rome")


def right(task: Task) -> Transcript:
    return asked_for(task.case_id)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_suite(tmp_path / "suites", weather_suite(*CITIES))
    here = ProviderSettings(kind="openai", url="http://127.0.0.1:9/v1")
    return Settings(suites=(tmp_path / "suites",), data=tmp_path / "home", providers={"here": here})


@asynccontextmanager
async def opened(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, target: ScriptedTarget | None = None
) -> AsyncGenerator[tuple[Workspace, ScriptedTarget]]:
    """A workspace in which every provider's model is the scripted one."""
    scripted = target or ScriptedTarget(right)
    monkeypatch.setattr(workspace_module, "open_target", lambda *_, **__: scripted)
    async with open_workspace(settings, environ={}) as found:
        yield found, scripted


def test_no_part_of_the_workspace_hides_what_another_part_has() -> None:
    found: dict[str, list[type]] = {}
    for part in Workspace.__mro__[:-1]:
        for name, value in vars(part).items():
            if inspect.isfunction(value) and not name.startswith("__"):
                found.setdefault(name, []).append(part)

    assert [] == [
        f"{name} of {', '.join(part.__name__ for part in parts)}"
        for name, parts in found.items()
        for hiding in parts[:-1]
        if "super()" not in inspect.getsource(vars(hiding)[name])
    ]


@pytest.mark.parametrize(("cases", "trials"), [(1, 5), (49, 5), (50, 3), (199, 3), (200, 1)])
def test_a_small_suite_has_more_trials(cases: int, trials: int) -> None:
    assert default_trials(cases) == trials


async def test_trials_are_those_of_the_call_then_of_the_suite_then_of_its_size(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_suite(settings.suites[0], weather_suite("oslo", name="three", defaults={"trials": 3}))
    write_recording(settings.suites[0], "twice", [("oslo", n, asked_for("oslo")) for n in (0, 1)])

    async with opened(settings, monkeypatch) as (workspace, _):
        totals = [
            (await workspace.run_suite(suite, target, cases=["oslo"], settings=given, wait_s=None)).total
            for suite, target, given in (
                ("weather", "here:m", {"trials": 2}),
                ("three", "here:m", {"trials": None}),
                ("weather", "here:m", {}),
                ("weather", "recorded:twice", {}),
            )
        ]

    assert totals == [2, 3, 5, 2]


async def test_a_run_over_the_cap_of_calls_asks_nobody_and_leaves_no_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    capped = settings.model_copy(update={"limits": Limits(max_calls=9)})

    async with opened(capped, monkeypatch) as (workspace, target):
        with pytest.raises(OverBudgetError, match="10 trials need at least 10 model calls and the cap is 9"):
            await workspace.start_run("weather", "here:m")
        runs = workspace.list_runs().runs

    assert (runs, target.seen, target.closed) == ((), [], True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"trials": 0}, "trials"),
        ({"temperature": 3}, "temperature"),
        ({"sed": 1}, "sed"),
        ({"timeout_s": float("nan")}, "timeout_s"),
    ],
)
async def test_a_setting_that_cannot_be_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str
) -> None:
    async with opened(settings, monkeypatch) as (workspace, target):
        with pytest.raises(UsageError, match=f"^{said}: "):
            await workspace.start_run("weather", "here:m", settings=given)

    assert target.seen == []


async def test_a_taken_label_starts_nothing_and_closes_the_target(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(settings, monkeypatch) as (workspace, target):
        await workspace.run_suite("weather", "here:m", label="base", wait_s=None)
        seen, target.closed = len(target.seen), False
        with pytest.raises(UsageError, match="base"):
            await workspace.start_run("weather", "here:m", label="base")
        assert (len(target.seen), target.closed) == (seen, True)


async def test_a_target_that_cannot_be_closed_is_told_in_the_log_and_stops_nobody_else(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck(ScriptedTarget):
        async def aclose(self) -> None:
            raise RuntimeError("the connection is gone")

    async with opened(settings, monkeypatch, Stuck(right)) as (workspace, _):
        first = await workspace.run_suite("weather", "here:m", settings={"trials": 1}, wait_s=None)
        second = await workspace.run_suite("weather", "here:m", settings={"trials": 1}, wait_s=None)

    assert (first.status, second.status) == ("completed", "completed")
    assert "the connection is gone" in caplog.text


async def test_a_listener_that_breaks_stops_its_run_alone_and_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_event: object) -> None:
        raise BrokenPipeError("nobody reads")

    caplog.set_level(logging.CRITICAL)
    async with opened(settings, monkeypatch) as (workspace, _):
        given: dict[str, Any] = {"settings": {"trials": 1, "max_concurrency": 1}, "wait_s": None}
        broke = await workspace.run_suite("weather", "here:m", on_event=broken, **given)
        other = await workspace.run_suite("weather", "here:m", **given)
        resumed = await workspace.control_run(broke.run_id, "resume", wait_s=None)

    assert (broke.status, broke.done) == ("failed", 1)
    assert other.status == "completed"
    assert (resumed.status, resumed.done) == ("completed", 2)


async def test_the_end_of_the_budget_cancels_the_run_and_says_what_to_raise(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(task: Task) -> Transcript:
        said = asked_for(task.case_id).invocations[0]
        return Transcript(invocations=(said.model_copy(update={"steps": said.steps * 2}),))

    async with opened(settings, monkeypatch, ScriptedTarget(twice)) as (workspace, _):
        given = {"trials": 1, "max_calls": 2, "max_concurrency": 1}
        answer = await workspace.run_suite("weather", "here:m", settings=given, wait_s=None)

    assert (answer.status, answer.done, answer.total) == ("cancelled", 1, 2)
    assert "raise max_calls" in answer.notes[0]
    assert answer.next_step.startswith("control_run")


async def test_a_workspace_that_ends_closes_its_targets_and_leaves_its_runs_to_be_resumed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = ScriptedTarget(right, gate=anyio.Event())
    async with opened(settings, monkeypatch, held) as (workspace, _):
        run_id = await workspace.start_run("weather", "here:m", settings={"trials": 1})
        await anyio.wait_all_tasks_blocked()

    async with opened(settings, monkeypatch) as (workspace, target):
        left = await workspace.get_run(run_id)
        resumed = await workspace.control_run(run_id, "resume", wait_s=None)

    assert held.closed
    assert (left.status, left.done, resumed.status, resumed.done) == ("interrupted", 0, "completed", 2)
    assert sorted(target.seen) == [("oslo", 0), ("rome", 0)]


async def test_an_error_in_the_block_leaves_the_workspace_as_itself(settings: Settings) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with open_workspace(settings, environ={}):
            raise KeyError("mine")


async def test_a_comparison_takes_the_runs_that_are_there_and_begins_only_what_is_missing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(settings, monkeypatch) as (workspace, target):
        base = await workspace.run_suite("weather", "here:m", settings={"trials": 2}, wait_s=None)
        asked = len(target.seen)
        tables: list[ComparisonTable] = [
            await workspace.compare_models("weather", ["here:m", "here:n"], settings={"trials": 2}, wait_s=None)
            for _ in range(2)
        ]

    assert tables[0].runs[0] == base.run_id
    assert tables[1].runs == tables[0].runs
    assert len(target.seen) == asked + 4


async def test_the_same_target_twice_is_no_comparison(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(settings, monkeypatch) as (workspace, _):
        with pytest.raises(UsageError, match="a comparison needs two"):
            await workspace.compare_models("weather", ["here:m", "here:m"], wait_s=None)
        held = workspace.list_runs().runs

    assert held == ()


async def test_a_suites_own_tools_are_compared_with_a_track(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked = weather_suite("oslo", name="tracked")
    write_suite(settings.suites[0], {**tracked, "tracks": {"terse": tracked["tools"]}})

    async with opened(settings, monkeypatch) as (workspace, _):
        table = await workspace.compare_models("tracked", ["here:m"], tracks=["", "terse"], wait_s=None)
        tracks = [workspace.store.run(run).track for run in table.runs]

    assert tracks == [None, "terse"]


async def test_a_trial_that_is_not_there_names_those_that_are(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(settings, monkeypatch) as (workspace, _):
        run = await workspace.run_suite("weather", "here:m", settings={"trials": 2}, wait_s=None)
        with pytest.raises(NotFoundError, match=r'no trial 7 of case "oslo".*there is 0, 1'):
            workspace.get_trial(run.run_id, "oslo", 7)
        with pytest.raises(NotFoundError, match='did you mean "oslo"'):
            workspace.get_trial(run.run_id, "olso")


async def test_a_recording_is_opened_below_the_suite_folders_alone(settings: Settings, tmp_path: Path) -> None:
    outside = write_recording(tmp_path, "out", [("oslo", 0, asked_for("oslo"))])

    async with open_workspace(settings, environ={}) as workspace:
        for name in (str(outside), "../recordings/out.jsonl"):
            with pytest.raises(NotPermittedError, match="outside the suite folders"):
                await workspace.start_run("weather", f"recorded:{name}")
        with pytest.raises(NotFoundError, match="no recording"):
            await workspace.start_run("weather", "recorded:none")


async def test_a_transcript_with_the_history_of_its_case_is_scored_for_what_came_after(settings: Settings) -> None:
    suite = weather_suite("rome", name="later")
    suite["cases"][0]["history"] = [
        {"role": "user", "text": "Weather in oslo?"},
        {"role": "assistant", "calls": [{"name": "get_weather", "arguments": {"city": "oslo"}}]},
    ]
    write_suite(settings.suites[0], suite)

    def call(city: str) -> dict[str, Any]:
        function = {"name": "get_weather", "arguments": f'{{"city": "{city}"}}'}
        return {"role": "assistant", "tool_calls": [{"id": city, "type": "function", "function": function}]}

    messages = [
        {"role": "user", "content": "Weather in oslo?"}, call("oslo"),
        {"role": "user", "content": "Weather in rome?"}, call("rome"),
    ]  # fmt: skip

    async with open_workspace(settings, environ={}) as workspace:
        answer = await workspace.score_transcript({"messages": messages}, suite="later", case="rome")  # pyright: ignore[reportArgumentType]

    assert (answer.verdict, answer.score, answer.form) == ("passed", 1.0, "openai_messages")
