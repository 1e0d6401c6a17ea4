"""What is configured, what is missing, and, with one call, whether a target really uses tools.

Some servers answer 200 and silently ignore the tools; then every case fails and nothing says why.
"""

import sys
from collections.abc import AsyncGenerator
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from mcp_evals.conversation import Task, ToolDefinition
from mcp_evals.errors import EvalsError
from mcp_evals.targets.base import NoToolbox
from mcp_evals.text import plural
from mcp_evals.workspace import Workspace

_PROBE = ToolDefinition(
    name="get_weather",
    description="Get the current weather in a city.",
    input_schema={
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city"}},
        "required": ["city"],
    },
)


class Finding(NamedTuple):
    """One line of the diagnosis."""

    ok: bool
    text: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.ok else 'NOT '} {self.text}"


async def diagnose(workspace: Workspace, target: str | None = None) -> AsyncGenerator[Finding]:
    """Findings, one after the other; a target is probed with one call that any model with tools can make."""
    settings = workspace.settings
    yield Finding(
        True, f"Python {sys.version.split()[0]}, mcp-evals-server {_version('mcp-evals-server')}, mcp {_version('mcp')}"
    )
    yield Finding(True, f"configuration: {settings.file or 'none (no mcp-evals.toml here or above)'}")
    try:
        runs = len(workspace.store.runs(limit=1000))
        yield Finding(True, f"store: {settings.data}, {runs} runs")
    except EvalsError as error:
        yield Finding(False, f"store: {error}")
    for entry in workspace.library.entries():
        cases = len(entry.loaded.suite.cases) if entry.loaded else 0
        problems = f", broken: {entry.problems[0]}" if entry.problems else ""
        yield Finding(not entry.problems, f"suite {entry.name}: {cases} case{plural(cases)}{problems}")
    for line in workspace.list_targets().targets:
        yield Finding(
            True,
            f"target {line.target}: {'ready' if line.ready else 'not ready'}{', ' + line.note if line.note else ''}",
        )
    if target is not None:
        yield await _probe(workspace, target)


async def _probe(workspace: Workspace, target: str) -> Finding:
    task = Task(run_id="doctor", case_id="probe", user_turns=("What is the weather in Oslo?",), tools=(_PROBE,))
    try:
        opened = await workspace.open_probe(target)
        try:
            transcript = await opened.run(task, NoToolbox())
        finally:
            await opened.aclose()
    except EvalsError as error:
        return Finding(False, f"{target} does not answer: {error}")
    calls = transcript.trajectory
    if not calls:
        said = transcript.final_text[:80]
        return Finding(False, f"{target} answers but made no tool call ({said!r}): it may ignore tools altogether")
    right = calls[0].name == _PROBE.name and calls[0].arguments == {"city": "Oslo"}
    how = "as it should" if right else f"but not as it should: {calls[0].name} {calls[0].arguments}"
    return Finding(right, f"{target} calls tools, {how}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
