"""Commands that see what a target calls, and turn it into a suite: capture, save."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from mcp_evals.commands.door import (
    ERRORED,
    PASSED,
    Config,
    Output,
    Servers,
    Suites,
    TextOrJson,
    app,
    named_suite,
    progress_bar,
    told,
    with_workspace,
    write,
)
from mcp_evals.text import plural, shorten
from mcp_evals.workspace import Workspace
from mcp_evals.workspace.captures import Capture, ProposedSuite

LINE = 160
"""Characters of a call or an answer in one line."""


@app.command()
@told
def capture(
    suite: Annotated[str, typer.Argument(help="Suite by name, or a path to its file.")],
    target: Annotated[str, typer.Option("--target", help="Such as openai:MODEL, NAME:MODEL, recorded:NAME.")],
    track: Annotated[str | None, typer.Option(help="Tool set of the suite.")] = None,
    case: Annotated[list[str] | None, typer.Option("--case", help="Only this case; may be repeated.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only cases with this tag; may be repeated.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials of each case; default by suite size.")] = None,
    max_cost: Annotated[float | None, typer.Option("--max-cost", help="Spend at most, in US dollars.")] = None,
    max_calls: Annotated[int | None, typer.Option("--max-calls", help="Model calls at most.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Trials at a time.")] = None,
    form: TextOrJson = "text",
    output: Output = None,
    config: Config = None,
    suites: Suites = None,
    servers: Servers = None,
) -> None:
    """See what a target calls, whatever is expected; `save` makes a suite of it."""
    settings: dict[str, Any] = {
        "trials": trials,
        "max_cost_usd": max_cost,
        "max_calls": max_calls,
        "max_concurrency": concurrency,
    }

    async def go(workspace: Workspace) -> Capture:
        with progress_bar() as hear:
            return await workspace.capture_suite(
                named_suite(suite),
                target,
                track=track,
                cases=case,
                tags=tag,
                settings=settings,
                wait_s=None,
                # What the cases may expect is no matter here.
                on_event=lambda event: hear(event._replace(verdict="captured", reason=None)),
            )

    found = with_workspace(go, config, suites, servers, {"max_concurrency": concurrency})
    write(found.model_dump_json(indent=2, exclude_none=True) if form == "json" else capture_text(found), output)
    whole = found.status == "completed" and not any(trial.error for each in found.cases for trial in each.trials)
    raise typer.Exit(PASSED if whole else ERRORED)


@app.command()
@told
def save(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Run handle, or a unique beginning of it.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The suite file to write.")],
    anew: Annotated[
        bool, typer.Option("--anew", help="Also where a case says already which calls it expects.")
    ] = False,
    config: Config = None,
) -> None:
    """Write the cases of a run as a suite that expects what was captured: alike in all trials is expected, what varied
    is left open. Read it before you trust it."""

    async def go(workspace: Workspace) -> ProposedSuite:
        return workspace.capture_to_suite(run_id, output, anew=anew)

    print("\n".join(_saved_lines(with_workspace(go, config))))


def capture_text(found: Capture) -> str:
    """A capture for reading: every call of every trial."""
    lines = [f"{found.suite} on {found.target}" + (f", track {found.track}" if found.track else "")]
    for each in found.cases:
        lines.append(f"\n{each.case}")
        for trial in each.trials:
            lines.append(f"  trial {trial.trial}" + (f": {shorten(trial.error, LINE)}" if trial.error else ""))
            for call in trial.calls:
                arguments = (
                    call.arguments
                    if isinstance(call.arguments, str)
                    else json.dumps(call.arguments, ensure_ascii=False)
                )
                lines.append(f"    {shorten(f'{call.name} {arguments}', LINE)}")
            if trial.text:
                lines.append(f"    said: {shorten(trial.text, LINE)}")
    lines.append(f"\nmcp-evals save {found.run_id} -o SUITE.yaml proposes a suite from this")
    return "\n".join(lines)


def _saved_lines(saved: ProposedSuite) -> Iterator[str]:
    yield f"{saved.path}: {len(saved.proposals)} case{plural(len(saved.proposals))}"
    for case, proposal in saved.proposals.items():
        if proposal is None:
            yield f"{case}: as it was"
            continue
        yield f"{case}: {proposal.alike} of {proposal.trials} trials made the same calls"
        for note in proposal.notes:
            yield f"  {shorten(note, LINE)}"
