"""Calls to the tools of running servers: what is run, what is refused, and what happens when a server ends."""

import json
import os
import signal
from collections.abc import Callable

import anyio
import pytest

from mcp_evals.conversation import ToolCall, ToolResult
from mcp_evals.errors import TargetError, UsageError
from mcp_evals.live_tools import LiveToolbox, ServerSettings

pytestmark = pytest.mark.anyio
Server = Callable[..., ServerSettings]
Pids = Callable[[], list[int]]
CRASH, WORK = ToolCall(name="crash"), ToolCall(name="work")


async def test_a_call_is_answered_by_the_server(server: Server, survivors: Pids):
    async with LiveToolbox({"shop": server()}) as toolbox:
        result = await toolbox.call(ToolCall(name="price_of", arguments={"article": "A-17"}, id="call_1"))

    assert ToolResult(content="19.99 EUR", call_id="call_1") == result
    assert [] == survivors()


async def test_a_call_is_answered_over_http(remote_shop: ServerSettings):
    async with LiveToolbox({"shop": remote_shop}) as toolbox:
        result = await toolbox.call(ToolCall(name="price_of", arguments={"article": "A-17", "currency": "USD"}))

    assert ToolResult(content="19.99 USD") == result


async def test_what_a_tool_reports_as_its_failure_is_a_result(server: Server):
    async with LiveToolbox({"shop": server()}) as toolbox:
        unknown = await toolbox.call(ToolCall(name="price_of", arguments={"article": "A-0"}))
        wrong = await toolbox.call(ToolCall(name="price_of", arguments={"artikel": "A-17"}))

    assert unknown == ToolResult(content="Error executing tool price_of: There is no article A-0.", is_error=True)
    assert wrong is not None
    assert wrong.is_error
    assert "Field required" in wrong.text


async def test_what_is_not_text_is_named(server: Server):
    async with LiveToolbox({"shop": server()}) as toolbox:
        result = await toolbox.call(ToolCall(name="picture"))

    assert ToolResult(content="Here it is:\n[image image/png, 3 bytes]") == result


async def test_only_tools_that_declare_themselves_read_only_are_run(server: Server):
    cancel, count = ToolCall(name="cancel_order", arguments={"order_id": "7"}, id="1"), ToolCall(name="count_visitors")

    async with LiveToolbox({"shop": server()}) as toolbox:
        results = [await toolbox.call(cancel), await toolbox.call(count)]

    refusal = "was not run: it does not declare itself read-only, and only such tools are run here"
    assert results == [
        ToolResult(content=f"cancel_order {refusal}", call_id="1", is_error=True),
        ToolResult(content=f"count_visitors {refusal}", is_error=True),
    ]


async def test_all_tools_are_run_where_all_are_allowed(server: Server):
    cancel, count = ToolCall(name="cancel_order", arguments={"order_id": "7"}), ToolCall(name="count_visitors")

    async with LiveToolbox({"shop": server()}, allow="all") as toolbox:
        results = [await toolbox.call(cancel), await toolbox.call(count)]

    assert [ToolResult(content="cancelled 7"), ToolResult(content="1")] == results


async def test_a_tool_that_no_server_has_is_answered_by_nobody(server: Server):
    async with LiveToolbox({"odd": server("die_in_a_call")}) as toolbox:
        assert await toolbox.call(ToolCall(name="Work")) is None


async def test_arguments_that_are_no_object_do_not_reach_the_server(server: Server):
    async with LiveToolbox({"odd": server("die_in_a_call")}) as toolbox:
        result = await toolbox.call(ToolCall(name="crash", arguments='{"article": "A-1', id="x"))

    assert ToolResult(content="the arguments are not a JSON object", call_id="x", is_error=True) == result


async def test_a_server_gets_the_environment_it_is_given_and_its_keys_are_not_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "not-for-servers")
    monkeypatch.setenv("MY_KEY", "sk-4711-abc")

    async with LiveToolbox({"shop": server(SHOP_KEY="${MY_KEY}", LEVEL="debug")}) as toolbox:
        result = await toolbox.call(ToolCall(name="environment"))

    assert result is not None
    seen = json.loads(result.text)
    assert {"SHOP_KEY": "***", "LEVEL": "debug"} == {name: seen[name] for name in ("SHOP_KEY", "LEVEL")}
    given = {"SHOP_KEY", "LEVEL", "PIDS", "LC_CTYPE"}
    assert set(seen) - given <= {"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"}


async def test_a_call_that_takes_too_long_is_an_error_and_the_server_goes_on(server: Server):
    async with LiveToolbox({"shop": server()}, call_timeout_s=1) as toolbox:
        with pytest.raises(TargetError) as caught:
            await toolbox.call(ToolCall(name="wait_for_delivery"))
        after = await toolbox.call(ToolCall(name="price_of", arguments={"article": "A-17"}))

    assert 'server "shop" did not answer within 1 s while running wait_for_delivery' == str(caught.value)
    assert ToolResult(content="19.99 EUR") == after


async def test_a_trial_that_is_cancelled_in_a_call_leaves_the_server_to_the_others(server: Server, started: Pids):
    async with LiveToolbox({"shop": server()}) as toolbox:
        with anyio.move_on_after(0.2) as scope:
            await toolbox.call(ToolCall(name="wait_for_delivery"))
        after = await toolbox.call(ToolCall(name="price_of", arguments={"article": "A-17"}))

    assert scope.cancelled_caught
    assert ToolResult(content="19.99 EUR") == after
    assert 1 == len(started())


async def test_a_server_that_crashes_costs_one_call_and_is_started_again(
    server: Server, survivors: Pids, started: Pids
):
    async with LiveToolbox({"odd": server("die_in_a_call")}) as toolbox:
        with pytest.raises(TargetError) as caught:
            await toolbox.call(CRASH)
        after = await toolbox.call(WORK)

    assert ("tool_server", 'server "odd" ended with exit code 139 while running crash') == (
        caught.value.kind,
        str(caught.value).partition(";")[0],
    )
    assert str(caught.value).endswith('"Segmentation fault"')
    assert ToolResult(content="fine") == after
    assert 2 == len(started())
    assert [] == survivors()


async def test_trials_that_find_the_server_ended_start_it_once(server: Server, started: Pids):
    results: list[ToolResult | None] = []

    async def work(toolbox: LiveToolbox) -> None:
        results.append(await toolbox.call(WORK))

    async with LiveToolbox({"odd": server("die_in_a_call")}) as toolbox:
        with pytest.raises(TargetError):
            await toolbox.call(CRASH)
        async with anyio.create_task_group() as trials:
            for _ in range(3):
                trials.start_soon(work, toolbox)

    assert [ToolResult(content="fine")] * 3 == results
    assert 2 == len(started())


async def test_a_server_that_is_killed_takes_the_calls_under_way_with_it(server: Server, started: Pids):
    errors: list[str] = []

    async def wait(toolbox: LiveToolbox) -> None:
        with pytest.raises(TargetError) as caught:
            await toolbox.call(ToolCall(name="wait_for_delivery"))
        errors.append(str(caught.value))

    async with LiveToolbox({"shop": server()}) as toolbox:
        async with anyio.create_task_group() as trials:
            trials.start_soon(wait, toolbox)
            trials.start_soon(wait, toolbox)
            await toolbox.call(ToolCall(name="price_of", arguments={"article": "A-17"}))
            os.kill(started()[0], signal.SIGKILL)
        after = await toolbox.call(ToolCall(name="price_of", arguments={"article": "A-17"}))

    assert ['server "shop" ended with exit code -9 while running wait_for_delivery'] * 2 == errors
    assert ToolResult(content="19.99 EUR") == after


async def test_errors_of_the_protocol_that_a_call_causes_are_results_and_others_are_raised(server: Server):
    call = ToolCall(name="fail")

    async with LiveToolbox({"odd": server("answer_calls_with_errors")}) as toolbox:
        results = [await toolbox.call(call), await toolbox.call(call)]
        with pytest.raises(TargetError, match="answered with error -32099 while running fail: error -32099"):
            await toolbox.call(call)

    assert results == [
        ToolResult(content="error -32602", is_error=True),
        ToolResult(content="error -32603", is_error=True),
    ]


async def test_a_web_server_that_answers_nothing_but_posts_is_no_broken_one(plain_web: ServerSettings):
    async with LiveToolbox({"web": plain_web}) as toolbox:
        results = [await toolbox.call(ToolCall(name="fail")) for _ in range(3)]

    assert [ToolResult(content="no such thing", is_error=True)] * 3 == results


async def test_an_error_inside_comes_out_as_it_is_and_no_server_is_left(server: Server, survivors: Pids):
    with pytest.raises(ZeroDivisionError):
        async with LiveToolbox({"odd": server("list_twins")}):
            raise ZeroDivisionError

    assert [] == survivors()


async def test_a_cancelled_run_leaves_no_server(server: Server, survivors: Pids):
    with anyio.CancelScope() as scope:
        async with LiveToolbox({"a": server("ignore_every_farewell"), "b": server("die_in_a_call")}):
            scope.cancel()
            await anyio.sleep_forever()

    assert scope.cancelled_caught
    assert [] == survivors()


async def test_a_server_that_does_not_start_ends_those_that_did(server: Server, survivors: Pids):
    with pytest.raises(TargetError, match='server "bad" ended with exit code 1'):
        async with LiveToolbox({"good": server("list_twins"), "bad": server("die_at_once")}):
            pytest.fail("it must not open")

    assert [] == survivors()


async def test_a_server_that_does_not_start_in_time_ends(server: Server, survivors: Pids):
    with pytest.raises(TargetError, match="did not answer within 2 s while connecting"):
        async with LiveToolbox({"odd": server("hang_at_initialize")}, start_timeout_s=2):
            pytest.fail("it must not open")

    assert [] == survivors()


async def test_one_name_on_two_servers_must_be_chosen(server: Server):
    servers = {"a": server("die_in_a_call"), "b": server("die_in_a_call")}

    with pytest.raises(UsageError, match='servers "a" and "b" both offer a tool "crash"; choose with `only`'):
        async with LiveToolbox(servers):
            pytest.fail("it must not open")
    async with LiveToolbox(servers, only={"a": ("work",), "b": ("crash",)}) as toolbox:
        assert ["work", "crash"] == [tool.name for tool in toolbox.tools]


async def test_a_chosen_tool_must_be_there(server: Server):
    with pytest.raises(UsageError, match='server "a" has no tool "wrok"; did you mean "work"'):
        async with LiveToolbox({"a": server("die_in_a_call")}, only={"a": ("wrok",)}):
            pytest.fail("it must not open")


async def test_a_tool_that_is_not_chosen_is_not_run(server: Server):
    async with LiveToolbox({"a": server("die_in_a_call")}, only={"a": ("work",)}) as toolbox:
        assert await toolbox.call(CRASH) is None
