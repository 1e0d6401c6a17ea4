"""Calls to the tools of running servers: what is run, what is refused, and what happens when a server ends."""

import json
import os
import signal
from collections.abc import Callable

import anyio
import pytest

from mcp_evals.conversation import ToolCall, ToolResult
from mcp_evals.errors import TargetError
from mcp_evals.live_tools import LiveServers, ServerSettings

pytestmark = pytest.mark.anyio
Server = Callable[..., ServerSettings]
Pids = Callable[[], list[int]]
CRASH, WORK = ToolCall(name="crash"), ToolCall(name="work")
PRICE = ToolCall(name="price_of", arguments={"article": "A-17"})


async def test_a_call_is_answered_by_the_server(server: Server, survivors: Pids):
    async with LiveServers({"shop": server()}) as servers:
        result = await servers.call("shop", ToolCall(name="price_of", arguments={"article": "A-17"}, id="call_1"))

    assert ToolResult(content="19.99 EUR", call_id="call_1") == result
    assert [] == survivors()


async def test_a_call_is_answered_over_http(remote_shop: ServerSettings):
    async with LiveServers({"shop": remote_shop}) as servers:
        result = await servers.call("shop", ToolCall(name="price_of", arguments={"article": "A-17", "currency": "USD"}))

    assert ToolResult(content="19.99 USD") == result


async def test_what_a_tool_reports_as_its_failure_is_a_result(server: Server):
    async with LiveServers({"shop": server()}) as servers:
        unknown = await servers.call("shop", ToolCall(name="price_of", arguments={"article": "A-0"}))
        wrong = await servers.call("shop", ToolCall(name="price_of", arguments={"artikel": "A-17"}))

    assert unknown == ToolResult(content="Error executing tool price_of: There is no article A-0.", is_error=True)
    assert wrong.is_error
    assert "Field required" in wrong.text


async def test_what_is_not_text_is_named(server: Server):
    async with LiveServers({"shop": server()}) as servers:
        result = await servers.call("shop", ToolCall(name="picture"))

    assert ToolResult(content="Here it is:\n[image image/png, 3 bytes]") == result


async def test_only_tools_that_declare_themselves_read_only_are_run(server: Server):
    cancel, count = ToolCall(name="cancel_order", arguments={"order_id": "7"}, id="1"), ToolCall(name="count_visitors")

    async with LiveServers({"shop": server()}) as servers:
        results = [await servers.call("shop", cancel), await servers.call("shop", count)]

    refusal = "was not run: it does not declare itself read-only, and only such tools are run here"
    assert results == [
        ToolResult(content=f"cancel_order {refusal}", call_id="1", is_error=True),
        ToolResult(content=f"count_visitors {refusal}", is_error=True),
    ]


async def test_all_tools_are_run_where_all_are_allowed(server: Server):
    cancel, count = ToolCall(name="cancel_order", arguments={"order_id": "7"}), ToolCall(name="count_visitors")

    async with LiveServers({"shop": server().model_copy(update={"allow": "all"})}) as servers:
        results = [await servers.call("shop", cancel), await servers.call("shop", count)]

    assert [ToolResult(content="cancelled 7"), ToolResult(content="1")] == results


async def test_arguments_that_are_no_object_do_not_reach_the_server(server: Server):
    async with LiveServers({"odd": server("die_in_a_call")}) as servers:
        result = await servers.call("odd", ToolCall(name="crash", arguments='{"article": "A-1', id="x"))

    assert ToolResult(content="the arguments are not a JSON object", call_id="x", is_error=True) == result


async def test_a_server_gets_the_environment_it_is_given_and_its_keys_are_not_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "not-for-servers")
    monkeypatch.setenv("MY_KEY", "sk-4711-abc")

    async with LiveServers({"shop": server(SHOP_KEY="${MY_KEY}", LEVEL="debug")}) as servers:
        result = await servers.call("shop", ToolCall(name="environment"))

    seen = json.loads(result.text)
    assert {"SHOP_KEY": "***", "LEVEL": "debug"} == {name: seen[name] for name in ("SHOP_KEY", "LEVEL")}
    given = {"SHOP_KEY", "LEVEL", "PIDS", "LC_CTYPE"}
    assert set(seen) - given <= {"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"}


async def test_a_call_that_takes_too_long_is_an_error_and_the_server_goes_on(server: Server):
    async with LiveServers({"shop": server().model_copy(update={"call_timeout_s": 1.0})}) as servers:
        with pytest.raises(TargetError) as caught:
            await servers.call("shop", ToolCall(name="wait_for_delivery"))
        after = await servers.call("shop", PRICE)

    assert 'server "shop" did not answer within 1 s while running wait_for_delivery' == str(caught.value)
    assert ToolResult(content="19.99 EUR") == after


async def test_a_trial_that_is_cancelled_in_a_call_leaves_the_server_to_the_others(server: Server, started: Pids):
    async with LiveServers({"shop": server()}) as servers:
        await servers.call("shop", PRICE)
        with anyio.move_on_after(0.2) as scope:
            await servers.call("shop", ToolCall(name="wait_for_delivery"))
        after = await servers.call("shop", PRICE)

    assert scope.cancelled_caught
    assert ToolResult(content="19.99 EUR") == after
    assert 1 == len(started())


async def test_a_server_that_crashes_costs_one_call_and_is_started_again(
    server: Server, survivors: Pids, started: Pids
):
    async with LiveServers({"odd": server("die_in_a_call")}) as servers:
        with pytest.raises(TargetError) as caught:
            await servers.call("odd", CRASH)
        after = await servers.call("odd", WORK)

    assert ("tool_server", 'server "odd" ended with exit code 139 while running crash') == (
        caught.value.kind,
        str(caught.value).partition(";")[0],
    )
    assert str(caught.value).endswith('"Segmentation fault"')
    assert ToolResult(content="fine") == after
    assert 2 == len(started())
    assert [] == survivors()


async def test_trials_that_find_the_server_ended_start_it_once(server: Server, started: Pids):
    results: list[ToolResult] = []

    async def work(servers: LiveServers) -> None:
        results.append(await servers.call("odd", WORK))

    async with LiveServers({"odd": server("die_in_a_call")}) as servers:
        with pytest.raises(TargetError):
            await servers.call("odd", CRASH)
        async with anyio.create_task_group() as trials:
            for _ in range(3):
                trials.start_soon(work, servers)

    assert [ToolResult(content="fine")] * 3 == results
    assert 2 == len(started())


async def test_a_server_that_is_killed_takes_the_calls_under_way_with_it(server: Server, started: Pids):
    errors: list[str] = []

    async def wait(servers: LiveServers) -> None:
        with pytest.raises(TargetError) as caught:
            await servers.call("shop", ToolCall(name="wait_for_delivery"))
        errors.append(str(caught.value))

    async with LiveServers({"shop": server()}) as servers:
        async with anyio.create_task_group() as trials:
            trials.start_soon(wait, servers)
            trials.start_soon(wait, servers)
            await servers.call("shop", PRICE)
            os.kill(started()[0], signal.SIGKILL)
        after = await servers.call("shop", PRICE)

    assert ['server "shop" ended with exit code -9 while running wait_for_delivery'] * 2 == errors
    assert ToolResult(content="19.99 EUR") == after


async def test_errors_of_the_protocol_that_a_call_causes_are_results_and_others_are_raised(server: Server):
    call = ToolCall(name="fail")

    async with LiveServers({"odd": server("answer_calls_with_errors")}) as servers:
        results = [await servers.call("odd", call), await servers.call("odd", call)]
        with pytest.raises(TargetError, match="answered with error -32099 while running fail: error -32099"):
            await servers.call("odd", call)

    assert results == [
        ToolResult(content="error -32602", is_error=True),
        ToolResult(content="error -32603", is_error=True),
    ]


async def test_a_web_server_that_answers_nothing_but_posts_is_no_broken_one(plain_web: ServerSettings):
    async with LiveServers({"web": plain_web}) as servers:
        results = [await servers.call("web", ToolCall(name="fail")) for _ in range(3)]

    assert [ToolResult(content="no such thing", is_error=True)] * 3 == results


async def test_a_server_starts_with_its_first_call(server: Server, started: Pids):
    async with LiveServers({"a": server(), "b": server("die_at_once")}) as servers:
        assert [] == started()
        await servers.call("a", PRICE)
        await servers.call("a", PRICE)
        assert 1 == len(started())


async def test_a_tool_that_the_server_does_not_have_and_a_server_that_is_not_there_are_errors(server: Server):
    async with LiveServers({"shop": server()}) as servers:
        with pytest.raises(TargetError, match='server "shop" does not offer the tool "Price_Of" any more'):
            await servers.call("shop", ToolCall(name="Price_Of"))
        with pytest.raises(TargetError, match='no server "shoe" is configured'):
            await servers.call("shoe", PRICE)


async def test_an_error_inside_comes_out_as_it_is_and_no_server_is_left(server: Server, survivors: Pids):
    async def work() -> None:
        async with LiveServers({"shop": server()}) as servers:
            await servers.call("shop", PRICE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()

    assert [] == survivors()


async def test_a_cancelled_run_leaves_no_server(server: Server, survivors: Pids):
    with anyio.CancelScope() as scope:
        async with LiveServers({"a": server("ignore_every_farewell"), "b": server("die_in_a_call")}) as servers:
            await servers.call("b", WORK)
            await servers.call("a", ToolCall(name="echo"))
            scope.cancel()
            await anyio.sleep_forever()

    assert scope.cancelled_caught
    assert [] == survivors()


async def test_a_server_that_does_not_start_is_an_error_and_takes_no_other_with_it(server: Server, survivors: Pids):
    async with LiveServers({"good": server(), "bad": server("die_at_once")}) as servers:
        await servers.call("good", PRICE)
        with pytest.raises(TargetError, match='server "bad" ended with exit code 1') as caught:
            await servers.call("bad", WORK)
        after = await servers.call("good", PRICE)

    assert "tool_server" == caught.value.kind
    assert ToolResult(content="19.99 EUR") == after
    assert [] == survivors()


async def test_a_server_that_never_starts_is_given_up_after_three_times(server: Server, started: Pids):
    messages: set[str] = set()

    async with LiveServers({"bad": server("die_at_once")}) as servers:
        for _ in range(5):
            with pytest.raises(TargetError) as caught:
                await servers.call("bad", WORK)
            messages.add(str(caught.value).partition(";")[0])

    assert {'server "bad" ended with exit code 1 while connecting'} == messages
    assert 3 == len(started())


async def test_a_server_that_does_not_start_in_time_ends(server: Server, survivors: Pids):
    async with LiveServers({"odd": server("hang_at_initialize")}, start_timeout_s=2) as servers:
        with pytest.raises(TargetError, match="did not answer within 2 s while connecting"):
            await servers.call("odd", WORK)

    assert [] == survivors()


async def test_a_variable_that_is_not_set_costs_the_trial_and_is_named(server: Server, started: Pids):
    async with LiveServers({"shop": server(SHOP_KEY="${NOT_SET_ANYWHERE}")}) as servers:
        with pytest.raises(TargetError, match='server "shop" needs the environment variable NOT_SET_ANYWHERE'):
            await servers.call("shop", PRICE)

    assert [] == started()
