"""Commands that look: suites, past runs, targets, tools; and the demo."""

import json
from pathlib import Path
from typing import Annotated

import anyio
import typer

from mcp_evals.answers import ToolsAnswer
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
    write,
)
from mcp_evals.doctor import diagnose
from mcp_evals.errors import EvalsError, UsageError
from mcp_evals.model import Model
from mcp_evals.reports.document import Report
from mcp_evals.reports.forms import Form, written
from mcp_evals.suites.schema import suite_schema
from mcp_evals.suites.validate import validate_suite
from mcp_evals.text import plural
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
                print(f"{name}: {len(ready.suite.cases)} case{plural(len(ready.suite.cases))}, ok")
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
    run_ids: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Run handles, or unique beginnings; several side by side.")
    ],
    case: Annotated[str | None, typer.Option("--case", help="The evidence of one case of one run.")] = None,
    form: Annotated[Form, typer.Option("--format", help="Form of the report.")] = "text",
    only_failed: Annotated[bool, typer.Option("--only-failed", help="Leave out cases that pass.")] = False,
    transcripts: Annotated[bool, typer.Option("--transcripts", help="Also what was said.")] = False,
    output: Output = None,
    config: Config = None,
) -> None:
    """What runs came to: verdicts, intervals, expected and actual calls; several runs side by side."""

    async def one_case(workspace: Workspace) -> Model:
        return workspace.get_trial(run_ids[0], case or "", transcript=True)

    async def go(workspace: Workspace) -> Report:
        return workspace.report(run_ids, transcripts=transcripts, only_lost=only_failed)

    if case is None:
        write(written(with_workspace(go, config), form), output)
        return
    if len(run_ids) > 1 or form not in {"text", "json"}:
        raise UsageError("--case shows one case of one run, as text or json")
    show(with_workspace(one_case, config), form, output)


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
    """Tools of an MCP server: what they cost in tokens, and what models and providers stumble over; exit code 1 where a
    provider would refuse them."""

    async def go(workspace: Workspace) -> ToolsAnswer:
        return await workspace.inspect_tools(server, snapshot)

    answer = with_workspace(go, config, None, servers)
    show(answer, form, None)
    raise typer.Exit(FAILED if any(found.severity == "error" for found in answer.findings) else PASSED)
