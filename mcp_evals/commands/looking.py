"""Commands that look: suites, past runs, targets, tools; and the demo."""

import json
from pathlib import Path
from typing import Annotated

import anyio
import typer

from mcp_evals.commands.door import (
    FAILED,
    PASSED,
    WRONG,
    Config,
    Output,
    Servers,
    Suites,
    TextOrJson,
    app,
    named_suite,
    show,
    told,
    with_workspace,
)
from mcp_evals.doctor import diagnose
from mcp_evals.errors import EvalsError
from mcp_evals.model import Model
from mcp_evals.suites.schema import suite_schema
from mcp_evals.suites.validate import validate_suite
from mcp_evals.workspace import Workspace


@app.command()
@told
def validate(
    suite: Annotated[list[str] | None, typer.Argument(help="Suites by name or path; default all.")] = None,
    config: Config = None,
    suites: Suites = None,
    servers: Servers = None,
) -> None:
    """Check suites: the files, and every expectation against the tools' schemas."""

    async def go(workspace: Workspace) -> int:
        names = suite or [entry.name for entry in workspace.library.entries()]
        wrong = 0
        for name in names:
            try:
                ready = await workspace.library.ready(named_suite(name))
                findings = validate_suite(ready.suite, ready.loaded)
            except EvalsError as error:
                print(f"{name}: {error}")
                wrong += 1
                continue
            for problem in findings.problems:
                print(f"{name}: {problem}")
            for warning in findings.warnings:
                print(f"{name}: warning: {warning}")
            wrong += bool(findings.problems)
            if not findings.problems:
                print(f"{name}: {len(ready.suite.cases)} cases, ok")
        return wrong

    raise typer.Exit(WRONG if with_workspace(go, config, suites, servers) else PASSED)


@app.command()
@told
def runs(
    suite: Annotated[str | None, typer.Option("--suite", help="Only runs of this suite.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    form: TextOrJson = "text",
    config: Config = None,
) -> None:
    """Past runs, newest first."""

    async def go(workspace: Workspace) -> Model:
        return workspace.list_runs(suite=suite, limit=limit)

    show(with_workspace(go, config), form, None)


@app.command()
@told
def report(
    run_id: Annotated[str, typer.Argument(help="Run handle, or a unique beginning of it.")],
    case: Annotated[str | None, typer.Option("--case", help="The evidence of one case.")] = None,
    form: TextOrJson = "text",
    output: Output = None,
    config: Config = None,
) -> None:
    """What a run came to: verdict, intervals, every failure."""

    async def go(workspace: Workspace) -> Model:
        if case:
            return workspace.get_trial(run_id, case, transcript=True)
        if form == "json":
            return workspace.summary(run_id)[0]
        return await workspace.get_run(run_id, page=1000)

    show(with_workspace(go, config), form, output)


@app.command()
@told
def schema() -> None:
    """The JSON Schema of suite files, for editors."""
    print(json.dumps(suite_schema(), indent=2))


@app.command()
@told
def doctor(
    target: Annotated[str | None, typer.Argument(help="Also probe this target with one call.")] = None,
    config: Config = None,
    suites: Suites = None,
    servers: Servers = None,
) -> None:
    """What is configured, what is missing, and whether a target really calls tools."""

    async def go(workspace: Workspace) -> bool:
        healthy = True
        async for finding in diagnose(workspace, target):
            print(finding)
            healthy &= finding.ok
        return healthy

    raise typer.Exit(PASSED if with_workspace(go, config, suites, servers) else FAILED)


@app.command()
@told
def demo(
    target: Annotated[str | None, typer.Option("--target", help="Run live against this target instead.")] = None,
) -> None:
    """Talk to the real server as a host does, over stdio: no key and no network needed."""
    from mcp_evals.demo import show_demo  # brings the MCP client

    raise typer.Exit(anyio.run(show_demo, target))


@app.command()
@told
def tools(
    server: Annotated[str, typer.Argument(help="Name of a server in the configuration.")],
    form: TextOrJson = "text",
    snapshot: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write a snapshot that suites can name.")
    ] = None,
    config: Config = None,
    servers: Servers = None,
) -> None:
    """Tools of an MCP server: what they cost in tokens, and what models and providers stumble over."""

    async def go(workspace: Workspace) -> Model:
        return await workspace.inspect_tools(server, snapshot)

    show(with_workspace(go, config, None, servers), form, None)
