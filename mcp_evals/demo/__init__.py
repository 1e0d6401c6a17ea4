"""The built-in suite with its recordings, and the demo: the real server, spoken to over stdio as a host does.

The recordings are answers of real models; `recordings/README.md` has the commands that made them.
"""

import json
import os
import sys
from typing import Any, Final

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import TextContent
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from mcp_evals.hosts import HOSTS, configuration_text, title_of

SUITE: Final = "assistant"
BASELINE: Final = "recorded:needle-3-strict"
OTHER: Final = "recorded:smollm2-135m"
SAID: Final = {"calls": [{"name": "get_weather", "arguments": {"city": "Bergen"}}]}


async def show_demo(target: str | None = None) -> int:
    """Hold a conversation with the server and print it; 0 where every call was answered.

    `target` is evaluated live; without one, recordings of real local models are.
    """
    console = Console(highlight=False)
    server = StdioServerParameters(command=sys.executable, args=["-m", "mcp_evals", "serve"], env=_environment())
    async with Client(server, mode="legacy") as client:
        talk = _Conversation(client, console)
        info = client.server_info
        tools = (await client.list_tools()).tools
        console.print(
            f"Connected over stdio to {info.name if info else 'the server'}: {', '.join(tool.name for tool in tools)}.\n"
        )
        await talk.call("What can I evaluate?", "list_suites")
        await talk.call("With what?", "list_targets")
        chosen = target or BASELINE
        await talk.call("Try one case, closely.", "run_case", suite=SUITE, case="weather-two-cities", target=chosen)
        run = await talk.call("Now the whole suite.", "run_suite", suite=SUITE, target=chosen, wait_s=50)
        run = await talk.finish(run)
        if run.get("failures"):
            worst = run["failures"][0]["case"]
            await talk.call("Why did the worst one fail?", "get_run", run_id=run["run_id"], case=worst, transcript=True)
        if target is None:
            question = "Is that model really better than the smaller one, or is it noise?"
            await talk.call(question, "compare_models", suite=SUITE, targets=[OTHER, chosen], trials=1, wait_s=50)
        await talk.call(
            "I answered a case myself: how did I do?",
            "score_transcript",
            suite=SUITE,
            case="weather-oslo",
            transcript=SAID,
        )
        await talk.call("What is stored?", "list_runs", limit=5)
    console.print(Rule("Put it into your host"))
    console.print(Text(host_configurations()), soft_wrap=True)
    return talk.refused


class _Conversation:
    """Calls tools and prints what is asked and what an agent would read."""

    def __init__(self, client: Client, console: Console) -> None:
        self._client, self._console = client, console
        self.refused = 0

    async def call(self, question: str, tool: str, **arguments: Any) -> dict[str, Any]:
        self._console.print(Rule(question, align="left"))
        self._console.print(Text(f"→ {tool} {json.dumps(arguments, ensure_ascii=False)}", style="bold"), soft_wrap=True)
        result = await self._client.call_tool(tool, arguments)
        text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
        self._console.print(Text(text + "\n"), soft_wrap=True)
        self.refused += bool(result.is_error)
        return dict(result.structured_content or {})

    async def finish(self, run: dict[str, Any]) -> dict[str, Any]:
        while run.get("status") == "working":
            run = await self.call("It goes on; wait for it.", "get_run", run_id=run["run_id"], wait_s=50)
        return run


def host_configurations() -> str:
    """The entry that each host needs, with the interpreter of this process; hosts that share one, together."""
    titles: dict[str, list[str]] = {}
    for host in HOSTS:
        titles.setdefault(configuration_text(host), []).append(title_of(host))
    entries = (f"{', '.join(names)}:\n{entry}\n" for entry, names in titles.items())
    return (
        "\n".join(entries) + f"\n`mcp-evals config HOST --write` puts it into the host's file: {', '.join(HOSTS)}.\n"
        'Add keys as "env": {"OPENAI_API_KEY": "…"}, or name local endpoints in mcp-evals.toml.'
    )


def _environment() -> dict[str, str]:
    wanted = ("MCP_EVALS_", "OPENAI_", "ANTHROPIC_", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if name.startswith(wanted)}
