"""Commands that hold or score trials: run, compare, score."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mcp_evals.answers import RunAnswer
from mcp_evals.commands.door import (
    ERRORED,
    FAILED,
    PASSED,
    Config,
    Output,
    Servers,
    Suites,
    TextOrJson,
    app,
    named_suite,
    progress_bar,
    show,
    told,
    with_workspace,
    write,
)
from mcp_evals.compare import gate_exit_code
from mcp_evals.errors import UsageError
from mcp_evals.library import on_track
from mcp_evals.model import Model
from mcp_evals.reports.document import Report
from mcp_evals.reports.forms import Form, written
from mcp_evals.reports.text import trial_text
from mcp_evals.results import ComparisonTable, Trial
from mcp_evals.suites.importers.transcripts import read_transcripts
from mcp_evals.targets.recorded import RecordedTrial, write_recording
from mcp_evals.views import trial_answer
from mcp_evals.workspace import Workspace


@app.command()
@told
def run(
    suite: Annotated[str | None, typer.Argument(help="Suite by name, or a path to its file.")] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Such as openai:MODEL, NAME:MODEL, recorded:NAME.")
    ] = None,
    track: Annotated[str | None, typer.Option(help="Tool set of the suite.")] = None,
    all_tracks: Annotated[
        bool, typer.Option("--all-tracks", help="The suite's own tools and every tool set, side by side.")
    ] = False,
    case: Annotated[list[str] | None, typer.Option("--case", help="Only this case; may be repeated.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only cases with this tag; may be repeated.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials of each case; default by suite size.")] = None,
    seed: Annotated[str | None, typer.Option(help="none, constant, random or a number.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Sampling temperature.")] = None,
    max_cost: Annotated[float | None, typer.Option("--max-cost", help="Spend at most, in US dollars.")] = None,
    max_calls: Annotated[int | None, typer.Option("--max-calls", help="Model calls at most.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Trials at a time.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds that one trial may take.")] = None,
    judge: Annotated[
        str | None, typer.Option(help="Who judges, such as openai:MODEL; none leaves the questions open.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Name for the run.")] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with this run: only what is missing is run.")] = None,
    errored: Annotated[
        bool, typer.Option("--errored", help="With --resume: run the errored trials again, too.")
    ] = False,
    record: Annotated[Path | None, typer.Option(help="Also write the transcripts, as a recording.")] = None,
    form: Annotated[
        Form, typer.Option("--format", help="Form of the output; markdown, junit and html are whole reports.")
    ] = "text",
    fail_under: Annotated[
        float | None,
        typer.Option("--fail-under", min=0, max=1, help="Exit 0 where at least this share of the cases passes."),
    ] = None,
    output: Output = None,
    config: Config = None,
    suites: Suites = None,
    servers: Servers = None,
) -> None:
    """Run a suite against a target; the exit code says how it went."""
    settings: dict[str, Any] = {
        "trials": trials,
        "seed": int(seed) if seed and seed.lstrip("-").isdecimal() else seed,
        "temperature": temperature,
        "max_cost_usd": max_cost,
        "max_calls": max_calls,
        "max_concurrency": concurrency,
        "timeout_s": timeout,
        "judge": judge,
    }

    async def tracks(workspace: Workspace) -> tuple[list[RunAnswer], Report]:
        if not (suite and target) or track or resume or record or label:
            raise UsageError(
                "--all-tracks goes with a SUITE and a --target, and without --track, --resume, --record and --label"
            )
        with progress_bar() as hear:
            ids = await workspace.start_tracks(
                named_suite(suite), target, cases=case, tags=tag, settings=settings, on_event=hear
            )
            answers = [await workspace.get_run(run_id, wait_s=None) for run_id in ids]
        return answers, workspace.report(ids)

    async def go(workspace: Workspace) -> tuple[RunAnswer, Report | None]:
        with progress_bar() as hear:
            if resume:
                action = "rerun_errored" if errored else "resume"
                run_id = (await workspace.control_run(resume, action, wait_s=0, on_event=hear)).run_id
            elif suite and target:
                run_id = await workspace.start_run(
                    named_suite(suite),
                    target,
                    track=track,
                    cases=case,
                    tags=tag,
                    settings=settings,
                    label=label,
                    on_event=hear,
                )
            else:
                raise typer.BadParameter("name a SUITE and a --target, or --resume RUN_ID")
            answer = await workspace.get_run(run_id, wait_s=None)
        if record:
            _write_recording(workspace, answer, record)
        return answer, None if form in {"text", "json"} else workspace.report([answer.run_id])

    limits = {"max_concurrency": concurrency}
    if all_tracks:
        answers, report = with_workspace(tracks, config, suites, servers, limits)
        write(written(report, form), output)
        raise typer.Exit(max(exit_code(answer, fail_under) for answer in answers))
    answer, report = with_workspace(go, config, suites, servers, limits)
    _show_whole(answer, report, form, output)
    raise typer.Exit(exit_code(answer, fail_under))


@app.command()
@told
def rescore(
    run_id: Annotated[str, typer.Argument(help="Run handle, or a unique beginning of it.")],
    form: TextOrJson = "text",
    config: Config = None,
    suites: Suites = None,
    servers: Servers = None,
) -> None:
    """Score the stored transcripts of a run again with today's suite, without a model."""

    async def go(workspace: Workspace) -> RunAnswer:
        return await workspace.control_run(run_id, "rescore", wait_s=None)

    answer = with_workspace(go, config, suites, servers)
    show(answer, form, None)
    raise typer.Exit(exit_code(answer))


@app.command()
@told
def compare(
    what: Annotated[list[str] | None, typer.Argument(help="A SUITE with --target …, or two or more RUNs.")] = None,
    target: Annotated[list[str] | None, typer.Option("--target", help="Two or more; the baseline first.")] = None,
    track: Annotated[
        list[str] | None,
        typer.Option("--track", help="Tool sets to compare, the baseline first; '' is the suite's own."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Run, or name of a run, that the others are held against.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only cases with this tag; may be repeated.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials of each case; default by suite size.")] = None,
    judge: Annotated[
        str | None, typer.Option(help="Who judges, such as openai:MODEL; none leaves the questions open.")
    ] = None,
    metric: Annotated[Literal["passed", "score"], typer.Option(help="Pass rate or mean score.")] = "passed",
    margin: Annotated[float, typer.Option(help="A gap that does not matter; 0.05 is 5 points.")] = 0.05,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Two sides, pair by pair: stop as soon as the answer is clear.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what gap could be seen, and what it takes.")] = False,
    gate: Annotated[bool, typer.Option("--gate", help="Exit 0 not worse, 1 worse, 4 undecided, 3 errors.")] = False,
    form: Annotated[
        Literal["text", "json", "markdown", "html"],
        typer.Option("--format", help="Form of the output; markdown and html show every case side by side."),
    ] = "text",
    output: Output = None,
    config: Config = None,
    suites: Suites = None,
    servers: Servers = None,
) -> None:
    """Say whether one target, tool set or past run is really better than another."""

    async def planned(workspace: Workspace) -> str:
        if not what or not target:
            raise UsageError("--plan needs a suite and --target")
        return await workspace.plan_comparison(named_suite(what[0]), target, trials, tags=tag)

    async def go(workspace: Workspace) -> tuple[ComparisonTable, Report | None]:
        named = list(what or [])
        suite = named_suite(named.pop(0)) if target and named else None
        held = [run for run in (baseline, *named) if run]
        with progress_bar() as hear:
            table = await workspace.compare_models(
                suite,
                target or (),
                tracks=track or (),
                runs=held,
                tags=tag,
                settings={"trials": trials, "judge": judge},
                metric=metric,
                margin=margin,
                adaptive=adaptive,
                wait_s=None,
                on_event=hear,
            )
        return table, None if form in {"text", "json"} else workspace.report(table.runs, comparison=table)

    if plan:
        sentence = with_workspace(planned, config, suites, servers)
        write(json.dumps({"plan": sentence}, ensure_ascii=False) if form == "json" else sentence, output)
        return
    answer, report = with_workspace(go, config, suites, servers)
    _show_whole(answer, report, form, output)
    if gate:
        raise typer.Exit(gate_exit_code(answer))
    raise typer.Exit(ERRORED if any(found.verdict == "not_comparable" for found in answer.comparisons) else PASSED)


@app.command()
@told
def score(
    suite: Annotated[str, typer.Argument(help="Suite by name, or a path to its file.")],
    transcripts: Annotated[Path, typer.Argument(help='JSON lines: {"case": ID, "transcript": …}')],
    form: Annotated[Literal["json", "text"], typer.Option("--format", help="Form of the output.")] = "json",
    track: Annotated[str | None, typer.Option(help="Tool set of the suite.")] = None,
    output: Output = None,
    config: Config = None,
    suites: Suites = None,
    servers: Servers = None,
) -> None:
    """Score transcripts without running a model; one JSON object a line."""

    async def go(workspace: Workspace) -> list[tuple[Trial, str]]:
        return [found async for found in _scored(workspace, suite, track, transcripts, form)]

    found = with_workspace(go, config, suites, servers)
    write("\n".join(line for _, line in found), output)
    verdicts = {trial.verdict for trial, _ in found}
    raise typer.Exit(ERRORED if "errored" in verdicts else FAILED if "failed" in verdicts else PASSED)


def exit_code(answer: RunAnswer, fail_under: float | None = None) -> int:
    """Exit code of a run: errors before failures, because a run with errors has not shown what it was to show.

    With `fail_under`, a share from 0 to 1, cases may fail as long as at least so many of those with a verdict pass.
    """
    if answer.cases.errored or answer.errors or answer.status in {"failed", "cancelled", "interrupted"}:
        return ERRORED
    cases = answer.cases
    if fail_under is None:
        return FAILED if cases.failed else PASSED
    passed = cases.passed + cases.warned
    # Shares such as 0.29 have no exact float; one that is just met is met.
    return PASSED if passed >= fail_under * (passed + cases.failed) - 1e-9 else FAILED


def _show_whole(answer: Model, report: Report | None, form: Form, output: Path | None) -> None:
    """The short answer, or the whole report where its form was asked for."""
    if report is None:
        show(answer, form, output)
    else:
        write(written(report, form), output)


async def _scored(
    workspace: Workspace, suite: str, track: str | None, transcripts: Path, form: str
) -> AsyncGenerator[tuple[Trial, str]]:
    ready = on_track((await workspace.library.ready(named_suite(suite))).suite, track)
    cases = {case.id: case for case in ready.cases}
    for line in read_transcripts(transcripts, known=list(cases)):
        trial = workspace.score_read(ready, cases[line.case_id], line.read)
        if form == "text":
            yield trial, trial_text(trial_answer(cases[line.case_id], trial, form=line.read.form)) + "\n"
        elif trial.score is not None:
            checks = [check.model_dump(mode="json", exclude_defaults=True) for check in trial.score.checks]
            answer: dict[str, Any] = {"case": line.case_id, "verdict": trial.verdict, "score": trial.score.score}
            yield trial, json.dumps({**answer, "reason": trial.score.reason, "checks": checks}, ensure_ascii=False)


def _write_recording(workspace: Workspace, answer: RunAnswer, path: Path) -> None:
    held = workspace.store.run(answer.run_id)
    rows = (
        RecordedTrial(case=trial.case_id, trial=trial.index, transcript=trial.transcript)
        for trial in workspace.store.trials(held.id)
        if trial.transcript is not None
    )
    header = {
        "suite": held.suite,
        "suite_digest": held.suite_digest,
        "target": held.target,
        "created_at": f"{held.created_at:%Y-%m-%d}",
    }
    write_recording(path, header, rows)
