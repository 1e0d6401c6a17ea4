"""Fetching tool definitions from real processes and real HTTP servers, also from those that misbehave."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from mcp_evals.conversation import ToolDefinition
from mcp_evals.errors import TargetError, UsageError
from mcp_evals.live_tools import ServerSettings, ToolCache, fetch_tools

pytestmark = pytest.mark.anyio
Server = Callable[..., ServerSettings]
Pids = Callable[[], list[int]]


def tool(name: str, description: str = "A tool.") -> ToolDefinition:
    return ToolDefinition(name=name, description=description, input_schema={"type": "object"})


async def test_a_server_s_tools_come_as_it_lists_them(server: Server, survivors: Pids):
    tools = await fetch_tools("shop", server())

    assert [
        "price_of",
        "cancel_order",
        "count_visitors",
        "wait_for_delivery",
        "picture",
        "environment",
    ] == [found.name for found in tools]
    assert "Price of an article." == tools[0].description
    assert {"readOnlyHint": True} == tools[0].annotations
    assert ["article", "currency"] == list(tools[0].parameters)
    assert json.dumps(tools[0].parameters["article"]) == json.dumps(
        {"description": "Article number, such as A-17.", "title": "Article", "type": "string"}
    )
    assert [] == survivors()


async def test_tools_come_over_http_as_they_come_over_pipes(remote_shop: ServerSettings, server: Server):
    assert await fetch_tools("shop", remote_shop) == await fetch_tools("shop", server())


@pytest.mark.parametrize(
    ("misbehaviour", "tools"),
    [
        ("list_pages", tuple(tool(name) for name in "abcdef")),
        ("list_twins", (tool("echo", "First."), tool("echo", "Second."))),
        ("greet_on_stdout", (tool("echo"),)),
        ("flood_stderr", (tool("echo"),)),
        ("speak_only_the_newest", (tool("echo"),)),
        ("ignore_every_farewell", (tool("echo"),)),
        ("leave_children", (tool("echo"),)),
    ],
)
async def test_tools_are_read_whatever_else_the_server_does_and_nothing_of_it_is_left(
    server: Server, survivors: Pids, misbehaviour: str, tools: tuple[ToolDefinition, ...]
):
    assert tools == await fetch_tools("odd", server(misbehaviour))
    assert [] == survivors()


@pytest.mark.parametrize(
    ("misbehaviour", "message"),
    [
        ("hang_at_initialize", 'server "odd" did not answer within 2 s while connecting'),
        ("flood_stdout_with_messages", 'server "odd" did not answer within 2 s while connecting'),
        (
            "flood_stdout_with_text",
            (
                'server "odd" was given up: it wrote more than 1 MiB of text that is not MCP; '
                'it wrote on its standard output what is not MCP: "loading model weights"'
            ),
        ),
        ("flood_stdout_with_one_line", 'server "odd" was given up: it wrote a line of more than 32 MiB'),
        ("list_without_end", 'server "odd" never ends its list of tools (2 pages, 2 tools)'),
        (
            "list_nonsense",
            'server "odd" answered what is not valid MCP while listing its tools: tools.1.inputSchema: Field required',
        ),
        ("have_no_tools", 'server "odd" offers no tools: it does not know tools/list'),
    ],
)
async def test_a_server_that_goes_wrong_is_told_and_nothing_of_it_is_left(
    server: Server, survivors: Pids, misbehaviour: str, message: str
):
    with pytest.raises(TargetError) as caught:
        await fetch_tools("odd", server(misbehaviour), timeout_s=2)

    assert ("tool_server", message) == (caught.value.kind, str(caught.value))
    assert [] == survivors()


async def test_a_server_that_dies_is_told_with_its_exit_code_and_last_words_but_no_secret(
    server: Server, survivors: Pids, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MY_TOKEN", "tok-4711-abc")

    with pytest.raises(TargetError) as caught:
        await fetch_tools("odd", server("die_at_once", API_TOKEN="${MY_TOKEN}"))

    assert str(caught.value) == (
        'server "odd" ended with exit code 1 while connecting; its last words on standard error: '
        '"line 996 | line 997 | line 998 | line 999 | cannot log in with token ***"'
    )
    assert [] == survivors()


async def test_a_daemon_that_a_server_leaves_does_not_hold_up_its_end(server: Server, survivors: Pids):
    assert (tool("echo"),) == await fetch_tools("odd", server("leave_a_daemon"))

    # It made itself a session of its own, as daemons do, so that it would survive.
    (daemon,) = survivors()
    await anyio.run_process(["kill", str(daemon)])


async def test_a_caller_that_is_cancelled_leaves_no_server(server: Server, survivors: Pids):
    with anyio.move_on_after(2) as scope:
        await fetch_tools("odd", server("hang_at_initialize"))

    assert scope.cancelled_caught
    assert [] == survivors()


async def test_many_servers_at_once_do_not_disturb_each_other(server: Server, survivors: Pids):
    found: dict[str, tuple[ToolDefinition, ...] | str] = {}

    async def fetch(misbehaviour: str) -> None:
        try:
            found[misbehaviour] = await fetch_tools("odd", server(misbehaviour), timeout_s=3)
        except TargetError as error:
            found[misbehaviour] = str(error)

    async with anyio.create_task_group() as fetching:
        for misbehaviour in ("list_twins", "hang_at_initialize", "die_in_a_call"):
            fetching.start_soon(fetch, misbehaviour)

    assert {"list_twins": 2, "hang_at_initialize": "did not", "die_in_a_call": 2} == {
        name: len(value) if isinstance(value, tuple) else value[13:20] for name, value in found.items()
    }
    assert [] == survivors()


async def test_a_program_that_is_not_there_is_told():
    with pytest.raises(TargetError, match="there is no program no-such-program; install it, or give its full path"):
        await fetch_tools("git", ServerSettings(command="no-such-program", args=("--key", "secret-value")))


async def test_a_folder_that_is_not_there_is_told(server: Server, tmp_path: Path):
    settings = server().model_copy(update={"cwd": str(tmp_path / "absent")})

    with pytest.raises(TargetError, match="there is no such folder as its `cwd`"):
        await fetch_tools("git", settings)


async def test_a_variable_that_is_not_set_starts_nothing(server: Server, started: Pids):
    with pytest.raises(UsageError, match='server "odd" needs the environment variable NEVER_SET_HERE'):
        await fetch_tools("odd", server("list_twins", X="${NEVER_SET_HERE}"))
    assert [] == started()


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "refused access (HTTP 401); set the token that it wants in `headers`"),
        (
            404,
            (
                "answered HTTP 404: this is not the address of an MCP endpoint, "
                'or an older server that wants `transport = "sse"`'
            ),
        ),
        (503, "answered HTTP 503"),
    ],
)
async def test_a_refusal_over_http_says_what_to_do(
    refusing: Callable[[int], ServerSettings], status: int, message: str
):
    with pytest.raises(TargetError) as caught:
        await fetch_tools("web", refusing(status))

    assert f'server "web" {message}' == str(caught.value)


async def test_a_refusal_of_an_sse_server_says_what_to_do(refusing: Callable[[int], ServerSettings]):
    settings = refusing(403).model_copy(update={"transport": "sse"})

    with pytest.raises(TargetError, match=r"^server \"web\" refused access \(HTTP 403\)"):
        await fetch_tools("web", settings)


@pytest.mark.parametrize("path", ["mcp", "sse"])
async def test_a_server_that_cannot_be_reached_is_named_by_its_host_alone(path: str, unused_port: int):
    settings = ServerSettings(url=f"http://127.0.0.1:{unused_port}/{path}?key=secret-value")

    with pytest.raises(TargetError) as caught:
        await fetch_tools("web", settings)

    assert f'server "web" cannot be reached at http://127.0.0.1:{unused_port}: All connection attempts failed' == str(
        caught.value
    )


async def test_the_protocol_library_is_not_loaded_before_a_server_is_reached():
    script = "import sys, mcp_evals.live_tools; print([name for name in ('mcp', 'httpx2') if name in sys.modules])"

    loaded = await anyio.run_process([sys.executable, "-c", script])

    assert b"[]" == loaded.stdout.strip()


class Shelf:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def fetch(self) -> tuple[ToolDefinition, ...]:
        self.asked += 1
        await anyio.lowlevel.checkpoint()
        return (tool(f"tool_{self.asked}"),)


async def test_a_cache_asks_once_until_what_it_holds_is_too_old():
    now, shelf, settings = [0.0], Shelf(), ServerSettings(command="x")
    cache = ToolCache(max_age_s=10, clock=lambda: now[0])

    names: list[str] = []
    for time in (0.0, 9.9, 10.0, 19.9):
        now[0] = time
        names += [found.name for found in await cache.get("a", settings, shelf.fetch)]

    assert ["tool_1", "tool_1", "tool_2", "tool_2"] == names


async def test_a_cache_can_be_told_to_ask_again():
    shelf, settings, cache = Shelf(), ServerSettings(command="x"), ToolCache()
    await cache.get("a", settings, shelf.fetch)

    again = await cache.get("a", settings, shelf.fetch, refresh=True)

    assert (tool("tool_2"),) == again == await cache.get("a", settings, shelf.fetch)


async def test_a_cache_tells_servers_apart_by_name_transport_and_environment(monkeypatch: pytest.MonkeyPatch):
    shelf, cache = Shelf(), ToolCache()
    plain = ServerSettings(url="http://x/mcp")
    sse = ServerSettings(url="http://x/mcp", transport="sse")
    keyed = ServerSettings(url="http://x/mcp", headers={"A": "${MY_TOKEN}"})
    monkeypatch.setenv("MY_TOKEN", "one")
    for name, settings in (("a", plain), ("b", plain), ("a", sse), ("a", keyed)):
        await cache.get(name, settings, shelf.fetch)
    monkeypatch.setenv("MY_TOKEN", "two")

    await cache.get("a", keyed, shelf.fetch)

    assert 5 == shelf.asked


async def test_two_that_ask_at_once_share_one_answer():
    shelf, settings, cache = Shelf(), ServerSettings(command="x"), ToolCache()

    async with anyio.create_task_group() as asking:
        for _ in range(3):
            asking.start_soon(cache.get, "a", settings, shelf.fetch)

    assert 1 == shelf.asked


async def test_a_failure_is_not_remembered(server: Server):
    cache = ToolCache()
    broken = server("die_at_once")
    for _ in range(2):
        with pytest.raises(TargetError, match="exit code 1"):
            await cache.get("a", broken)
