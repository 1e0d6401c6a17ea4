"""A run belongs to the server, not to the call that started it."""

import json
from functools import partial

import anyio
import pytest
from anyio import to_thread
from e2e.home import asked_for, weather_suite, write_recording, write_suite
from e2e.host import Host, Mode, connected
from e2e.stand_in import Reply, StandIn, call_reply, right_city

from mcp_evals.server.app import build_server
from mcp_evals.settings import Settings

pytestmark = pytest.mark.anyio

FAILS_ONCE = Reply(json.dumps({"error": {"message": "overloaded"}}).encode(), status=500)


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Both ages of the protocol."""
    return request.param


async def held(model: StandIn, requests: int = 1) -> None:
    """Return when the model holds so many requests back."""
    await to_thread.run_sync(model.wait_until_held, requests)


async def begun(host: Host, model: StandIn) -> str:
    """A run of three cases of which one is done and two wait for the model."""
    model.hold_after(1)
    run = await host.ask("run_suite", suite="weather", target="here:m-1", trials=1, wait_s=0)
    await held(model, 2)
    return run["run_id"]


async def test_a_run_that_takes_longer_than_wait_s_gives_a_handle_and_goes_on(
    settings: Settings, model: StandIn, mode: Mode
) -> None:
    model.hold_after(0)

    async with connected(build_server(settings), mode) as host:
        handle = await host.ask("run_suite", suite="weather", target="here:m-1", trials=1, wait_s=0)
        await held(model, 2)
        model.let_go()
        answer = await host.ask("get_run", run_id=handle["run_id"], wait_s=50)

    assert (handle["status"], handle["done"], handle["total"]) == ("working", 0, 3)
    assert handle["next_step"] == f'get_run(run_id="{handle["run_id"]}", wait_s=30) until the status is completed'
    assert (answer["status"], answer["cases"]["passed"]) == ("completed", 3)


async def test_a_single_case_that_takes_longer_gives_a_handle_too(settings: Settings, model: StandIn) -> None:
    model.hold_after(0)

    async with connected(build_server(settings)) as host:
        handle = await host.ask("run_case", suite="weather", case="oslo", target="here:m-1", wait_s=0)
        model.let_go()
        answer = await host.ask("get_run", run_id=handle["run_id"], wait_s=50)

    assert (handle["status"], answer["status"], answer["done"]) == ("working", "completed", 1)


async def test_progress_is_told_while_a_run_is_waited_for(settings: Settings, model: StandIn, mode: Mode) -> None:
    told: list[tuple[float, float | None, str | None]] = []
    first = anyio.Event()

    async def hear(done: float, total: float | None, message: str | None) -> None:
        told.append((done, total, message))
        first.set()

    async with connected(build_server(settings), mode) as host, anyio.create_task_group() as group:
        model.hold_after(1)
        arguments = {"suite": "weather", "target": "here:m-1", "trials": 1, "wait_s": 50}
        group.start_soon(partial(host.client.call_tool, "run_suite", arguments, progress_callback=hear))
        await first.wait()
        model.let_go()

    assert told[0][:2] == (1, 3)
    assert told[0][2].startswith("1 of 3 trials, latest ")
    assert [done for done, _, _ in told] == sorted({done for done, _, _ in told})


async def test_a_cancelled_request_leaves_its_run_going(settings: Settings, model: StandIn, mode: Mode) -> None:
    model.hold_after(0)

    async with connected(build_server(settings), mode) as host:
        async with anyio.create_task_group() as group:
            group.start_soon(partial(host.call, "run_suite", suite="weather", target="here:m-1", trials=1, wait_s=50))
            await held(model, 2)
            group.cancel_scope.cancel()
        model.let_go()
        run_id = (await host.ask("list_runs"))["runs"][0]["run_id"]
        answer = await host.ask("get_run", run_id=run_id, wait_s=50)

    assert (answer["status"], answer["cases"]["passed"]) == ("completed", 3)
    assert sorted(model.counts.values()) == [1, 1, 1]


async def test_a_cancelled_run_keeps_what_is_done_and_resumes_with_the_rest(
    settings: Settings, model: StandIn, mode: Mode
) -> None:
    async with connected(build_server(settings), mode) as host:
        run_id = await begun(host, model)
        cancelled = await host.ask("control_run", run_id=run_id, action="cancel")
        model.let_go()
        resumed = await host.ask("control_run", run_id=run_id, action="resume", wait_s=50)
        again = await host.refused("control_run", run_id=run_id, action="resume")

    assert (cancelled["status"], cancelled["done"]) == ("cancelled", 1)
    assert cancelled["next_step"] == f'control_run(run_id="{run_id}", action="resume") for the missing trials'
    assert (resumed["status"], resumed["cases"]["passed"]) == ("completed", 3)
    assert sorted(model.counts.values()) == [1, 2, 2]
    assert "has no missing trial" in again


async def test_a_run_at_work_is_not_resumed_nor_scored_again(settings: Settings, model: StandIn) -> None:
    async with connected(build_server(settings)) as host:
        run_id = await begun(host, model)
        refusals = [
            await host.refused("control_run", run_id=run_id, action=action)
            for action in ("resume", "rerun_errored", "rescore")
        ]

    assert all(f"run {run_id} is still working; wait for it with get_run" in refusal for refusal in refusals)


async def test_a_run_that_is_resumed_twice_at_once_holds_no_trial_twice(settings: Settings, model: StandIn) -> None:
    async with connected(build_server(settings)) as host:
        run_id = await begun(host, model)
        await host.ask("control_run", run_id=run_id, action="cancel")
        before = model.counts.total()
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(partial(host.call, "control_run", run_id=run_id, action="resume", wait_s=0))
        model.let_go()
        answer = await host.ask("get_run", run_id=run_id, wait_s=50)

    assert (answer["status"], answer["done"]) == ("completed", 3)
    assert model.counts.total() - before == 2


async def test_many_runs_at_once_share_the_limit_on_trials_at_a_time(settings: Settings, model: StandIn) -> None:
    model.hold_after(0)

    async with connected(build_server(settings)) as host:
        started = [
            await host.ask("run_suite", suite="weather", target=f"here:m-{n}", trials=1, wait_s=0) for n in range(5)
        ]
        await held(model, 2)
        listed = await host.ask("list_runs")
        at_once = len(model.asked)
        model.let_go()
        ended = [await host.ask("get_run", run_id=run["run_id"], wait_s=50) for run in started]

    assert [run["status"] for run in listed["runs"]] == ["working"] * 5
    assert at_once == 2
    assert [(run["status"], run["cases"]["passed"]) for run in ended] == [("completed", 3)] * 5


async def test_errored_trials_are_run_again_and_the_others_are_not(settings: Settings, model: StandIn) -> None:
    model.behaviour = lambda asked, n: FAILS_ONCE if "rome" in asked and n == 1 else right_city(asked, n)

    async with connected(build_server(settings)) as host:
        run = await host.ask("run_suite", suite="weather", target="here:m-1", trials=1, wait_s=50)
        again = await host.ask("control_run", run_id=run["run_id"], action="rerun_errored", wait_s=50)

    assert (run["cases"]["passed"], run["cases"]["errored"], run["errors"]) == (2, 1, {"server_error": 1})
    assert run["next_step"].startswith(f'control_run(run_id="{run["run_id"]}", action="rerun_errored")')
    assert (again["cases"]["passed"], again.get("errors")) == (3, None)
    assert model.counts == {"Weather in oslo?": 1, "Weather in bergen?": 1, "Weather in rome?": 2}


async def test_a_mended_suite_scores_a_run_again_without_asking_the_model(settings: Settings, model: StandIn) -> None:
    model.behaviour = lambda *_: call_reply("get_weather", '{"city": "paris"}')

    async with connected(build_server(settings)) as host:
        run = await host.ask("run_suite", suite="weather", target="here:m-1", trials=1, wait_s=50)
        mended = weather_suite("oslo", "bergen", "rome", tracks={})
        mended["cases"][0]["expect"]["calls"][0]["args"]["city"] = "paris"
        write_suite(settings.suites[0], mended)
        again = await host.ask("control_run", run_id=run["run_id"], action="rescore")
        fewer = write_suite(settings.suites[0], weather_suite("oslo"))
        refusal = await host.refused("control_run", run_id=run["run_id"], action="rescore")

    assert run["cases"]["failed"] == 3
    assert (again["cases"]["passed"], again["cases"]["failed"]) == (1, 2)
    assert again["notes"][0].endswith("UTC with a changed suite")
    assert model.counts.total() == 3
    assert 'has no case "bergen"' in refusal, fewer


async def test_a_label_names_a_run_and_belongs_to_one_alone(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        runs = [
            (await host.ask("run_suite", suite="weather", target="recorded:mixed", cases=[case]))["run_id"]
            for case in ("oslo", "rome")
        ]
        await host.ask("control_run", run_id=runs[0], action="label", label="baseline")
        found = await host.ask("get_run", run_id="baseline")
        refusal = await host.refused("control_run", run_id=runs[1], action="label", label="baseline")

    assert found["run_id"] == runs[0]
    assert "baseline" in refusal


async def test_a_comparison_that_takes_longer_than_wait_s_says_how_to_go_on_and_gives_no_verdict(
    settings: Settings, model: StandIn, mode: Mode
) -> None:
    model.hold_after(0)

    async with connected(build_server(settings), mode) as host:
        wanted = {"suite": "weather", "targets": ["here:m-1", "here:m-2"], "trials": 1}
        early = await host.ask("compare_models", **wanted, wait_s=0)
        model.let_go()
        late = await host.ask("compare_models", **wanted, wait_s=50)

    assert (early["status"], early.get("comparisons")) == ("working", None)
    assert late["runs"] == early["runs"]
    assert late["comparisons"][0]["verdict"] == "not_enough_data"
    assert sorted(model.counts.values()) == [2, 2, 2]


async def test_a_past_run_is_a_target_of_which_every_transcript_is_scored_again(settings: Settings) -> None:
    write_recording(settings.suites[0], "all", [(city, 0, asked_for(city)) for city in ("oslo", "bergen", "rome")])

    async with connected(build_server(settings)) as host:
        run = await host.ask("run_suite", suite="weather", target="recorded:all")
        replayed = await host.ask("run_suite", suite="weather", target=f"run:{run['run_id']}")

    assert (replayed["total"], replayed["cases"]["passed"]) == (3, 3)


async def test_an_ended_server_leaves_its_run_interrupted_and_the_next_one_resumes_it(
    settings: Settings, model: StandIn
) -> None:
    async with connected(build_server(settings)) as host:
        run_id = await begun(host, model)
    model.let_go()

    async with connected(build_server(settings)) as host:
        left = await host.ask("get_run", run_id=run_id)
        resumed = await host.ask("control_run", run_id=run_id, action="resume", wait_s=50)

    assert (left["status"], left["done"]) == ("interrupted", 1)
    assert (resumed["status"], resumed["cases"]["passed"]) == ("completed", 3)
    assert sorted(model.counts.values()) == [1, 2, 2]
