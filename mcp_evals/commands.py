"""The command line: the same requests as the tools, for terminals and CI. Holds no logic of its own.

Exit codes: 0 all passed, 1 some failed, 2 the call or a file is wrong, 3 trials errored, 4 undecided.
"""

import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

import anyio
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mcp_evals.answers import RunAnswer
from mcp_evals.compare import gate_exit_code
from mcp_evals.doctor import diagnose
from mcp_evals.errors import EvalsError, UsageError
from mcp_evals.model import Model
from mcp_evals.reports.text import answer_text, trial_text
from mcp_evals.results import ComparisonTable, Trial
from mcp_evals.runner import TrialEvent
from mcp_evals.settings import load_settings
from mcp_evals.suites.importers.bfcl import read_bfcl, read_bfcl_outputs
from mcp_evals.suites.importers.engine import read_engine_cases
from mcp_evals.suites.importers.transcripts import read_transcripts
from mcp_evals.suites.saving import write_suite
from mcp_evals.suites.schema import suite_schema
from mcp_evals.suites.validate import validate_suite
from mcp_evals.targets.recorded import RecordedTrial, write_recording
from mcp_evals.views import trial_answer
from mcp_evals.workspace import Workspace, open_workspace

app = typer.Typer(
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Evals for models, prompts and tool descriptions. Without a command: serve MCP over stdio.",
)
importing = typer.Typer(no_args_is_help=True, help="Turn cases of other tools into a suite file.")
app.add_typer(importing, name="import")

PASSED, FAILED, WRONG, ERRORED = 0, 1, 2, 3

Config = Annotated[
    Path | None, typer.Option("--config", help="Configuration file; default mcp-evals.toml, found upward.")
]
Suites = Annotated[list[Path] | None, typer.Option("--suites", help="Folder with suites; may be repeated.")]
Servers = Annotated[Path | None, typer.Option("--servers", help="A host's mcpServers file.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file instead of the terminal.")]
TextOrJson = Annotated[Literal["text", "json"], typer.Option("--format", help="Form of the output.")]

P = ParamSpec("P")
R = TypeVar("R")


def _told(command: Callable[P, None]) -> Callable[P, None]:
    """Errors as one message on stderr and exit code 2."""

    @wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except EvalsError as error:
            print(error, file=sys.stderr)
            raise typer.Exit(WRONG) from None
        except KeyboardInterrupt:
            print("interrupted; what was done is stored, --resume goes on", file=sys.stderr)
            raise typer.Exit(130) from None

    return told


@app.command()
@_told
def run(
    suite: Annotated[str | None, typer.Argument(help="Suite by name, or a path to its file.")] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Such as openai:MODEL, NAME:MODEL, recorded:NAME.")
    ] = None,
    track: Annotated[str | None, typer.Option(help="Tool set of the suite.")] = None,
    case: Annotated[list[str] | None, typer.Option("--case", help="Only this case; may be repeated.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only cases with this tag; may be repeated.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials of each case; default by suite size.")] = None,
    seed: Annotated[str | None, typer.Option(help="none, constant, random or a number.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Sampling temperature.")] = None,
    max_cost: Annotated[float | None, typer.Option("--max-cost", help="Spend at most, in US dollars.")] = None,
    max_calls: Annotated[int | None, typer.Option("--max-calls", help="Model calls at most.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Trials at a time.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds that one trial may take.")] = None,
    label: Annotated[str | None, typer.Option(help="Name for the run.")] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with this run: only what is missing is run.")] = None,
    record: Annotated[Path | None, typer.Option(help="Also write the transcripts, as a recording.")] = None,
    form: TextOrJson = "text",
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
    }

    async def go(workspace: Workspace) -> RunAnswer:
        with _bar() as hear:
            if resume:
                run_id = (await workspace.control_run(resume, "resume", wait_s=0, on_event=hear)).run_id
            elif suite and target:
                run_id = await workspace.start_run(
                    _named(suite),
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
        return answer

    limits = {"max_concurrency": concurrency}
    answer = _with_workspace(go, config, suites, servers, limits)
    _show(answer, form, output)
    raise typer.Exit(exit_code(answer))


@app.command()
@_told
def compare(
    what: Annotated[list[str] | None, typer.Argument(help="A SUITE with --target …, or two or more RUNs.")] = None,
    target: Annotated[list[str] | None, typer.Option("--target", help="Two or more; the baseline first.")] = None,
    track: Annotated[
        list[str] | None, typer.Option("--track", help="Tool sets to compare; the baseline first.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Run, or name of a run, that the others are held against.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only cases with this tag; may be repeated.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials of each case; default by suite size.")] = None,
    metric: Annotated[Literal["passed", "score"], typer.Option(help="Pass rate or mean score.")] = "passed",
    margin: Annotated[float, typer.Option(help="A gap that does not matter; 0.05 is 5 points.")] = 0.05,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Two sides, pair by pair: stop as soon as the answer is clear.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what gap could be seen, and what it takes.")] = False,
    gate: Annotated[bool, typer.Option("--gate", help="Exit 0 not worse, 1 worse, 4 undecided, 3 errors.")] = False,
    form: TextOrJson = "text",
    output: Output = None,
    config: Config = None,
    suites: Suites = None,
    servers: Servers = None,
) -> None:
    """Say whether one target, tool set or past run is really better than another."""

    async def planned(workspace: Workspace) -> str:
        if not what or not target:
            raise UsageError("--plan needs a suite and --target")
        return await workspace.plan_comparison(_named(what[0]), target, trials, tags=tag)

    async def go(workspace: Workspace) -> ComparisonTable:
        named = list(what or [])
        suite = _named(named.pop(0)) if target and named else None
        held = [run for run in (baseline, *named) if run]
        with _bar() as hear:
            return await workspace.compare_models(
                suite,
                target or (),
                tracks=track or (),
                runs=held,
                tags=tag,
                settings={"trials": trials},
                metric=metric,
                margin=margin,
                adaptive=adaptive,
                wait_s=None,
                on_event=hear,
            )

    if plan:
        sentence = _with_workspace(planned, config, suites, servers)
        _write(json.dumps({"plan": sentence}, ensure_ascii=False) if form == "json" else sentence, output)
        return
    answer = _with_workspace(go, config, suites, servers)
    _show(answer, form, output)
    if gate:
        raise typer.Exit(gate_exit_code(answer))
    raise typer.Exit(ERRORED if any(found.verdict == "not_comparable" for found in answer.comparisons) else PASSED)


@app.command()
@_told
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

    found = _with_workspace(go, config, suites, servers)
    _write("\n".join(line for _, line in found), output)
    verdicts = {trial.verdict for trial, _ in found}
    raise typer.Exit(ERRORED if "errored" in verdicts else FAILED if "failed" in verdicts else PASSED)


@app.command()
@_told
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
                ready = await workspace.library.ready(_named(name))
                findings = validate_suite(ready.suite)
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

    raise typer.Exit(WRONG if _with_workspace(go, config, suites, servers) else PASSED)


@app.command()
@_told
def runs(
    suite: Annotated[str | None, typer.Option("--suite", help="Only runs of this suite.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    form: TextOrJson = "text",
    config: Config = None,
) -> None:
    """Past runs, newest first."""

    async def go(workspace: Workspace) -> Model:
        return workspace.list_runs(suite=suite, limit=limit)

    _show(_with_workspace(go, config), form, None)


@app.command()
@_told
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

    _show(_with_workspace(go, config), form, output)


@app.command()
@_told
def schema() -> None:
    """The JSON Schema of suite files, for editors."""
    print(json.dumps(suite_schema(), indent=2))


@app.command()
@_told
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

    raise typer.Exit(PASSED if _with_workspace(go, config, suites, servers) else FAILED)


@app.command()
@_told
def demo(
    target: Annotated[str | None, typer.Option("--target", help="Run live against this target instead.")] = None,
) -> None:
    """Talk to the real server as a host does, over stdio: no key and no network needed."""
    from mcp_evals.demo import show_demo  # brings the MCP client

    raise typer.Exit(anyio.run(show_demo, target))


@app.command()
@_told
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

    _show(_with_workspace(go, config, None, servers), form, None)


@importing.command("bfcl")
@_told
def import_bfcl(
    file: Annotated[Path, typer.Argument(help="Cases: JSON lines, also gzipped, or a file of the package bfcl-eval.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The suite file to write.")],
    category: Annotated[str | None, typer.Option(help="Only cases of this category.")] = None,
    outputs: Annotated[Path | None, typer.Option(help="Recorded outputs of a model on these cases.")] = None,
    record: Annotated[Path | None, typer.Option(help="Write the outputs here, as a recording.")] = None,
) -> None:
    """Cases of the Berkeley Function-Calling Leaderboard, and recorded outputs of models on them."""
    suite = read_bfcl(file, category)
    write_suite(suite, output)
    print(f"{output}: {len(suite.cases)} cases")
    if outputs and record:
        known = {case.id for case in suite.cases}
        rows = (RecordedTrial(case=case, transcript=said) for case, said in read_bfcl_outputs(outputs) if case in known)
        print(f"{record}: {write_recording(record, {'outputs': outputs.name, 'suite': suite.name}, rows)} trials")
    elif outputs or record:
        raise UsageError("--outputs and --record go together")


@importing.command("engine")
@_told
def import_engine(
    file: Annotated[Path, typer.Argument(help="Cases as JSON, JSON lines or YAML.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The suite file to write.")],
) -> None:
    """Cases of the agent engine harness: id, category, input, expected."""
    suite = read_engine_cases(file)
    write_suite(suite, output)
    print(f"{output}: {len(suite.cases)} cases")


def exit_code(answer: RunAnswer) -> int:
    """Exit code of a run: errors before failures, because a run with errors has not shown what it was to show."""
    if answer.cases.errored or answer.errors or answer.status in {"failed", "cancelled", "interrupted"}:
        return ERRORED
    return FAILED if answer.cases.failed else PASSED


def _named(suite: str) -> str | Path:
    """A suite's name, or its file: only the command line takes paths, for its user chose them."""
    path = Path(suite)
    return path if path.suffix and path.is_file() else suite


def _with_workspace(
    go: Callable[[Workspace], Awaitable[R]],
    config: Path | None,
    suites: list[Path] | None = None,
    servers: Path | None = None,
    limits: dict[str, Any] | None = None,
) -> R:
    settings = load_settings(config=config, suites=tuple(suites or ()), servers=servers, limits=limits)

    async def opened() -> R:
        async with open_workspace(settings) as workspace:
            return await go(workspace)

    return anyio.run(opened)


async def _scored(
    workspace: Workspace, suite: str, track: str | None, transcripts: Path, form: str
) -> AsyncGenerator[tuple[Trial, str]]:
    ready = (await workspace.library.ready(_named(suite))).suite.on_track(track)
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


class _bar:  # noqa: N801  reads as what it is: `with _bar() as hear`
    """A progress bar on a terminal, nothing elsewhere; plain lines go to stderr, so that output can be piped."""

    def __enter__(self) -> Callable[[TrialEvent], None]:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._progress.start()
        self._task = self._progress.add_task("trials", total=None)
        self._plain = not console.is_terminal
        return self._hear

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _hear(self, event: TrialEvent) -> None:
        self._progress.update(self._task, advance=1, description=event.case_id[:30])
        if self._plain:
            reason = f": {event.reason}" if event.reason else ""
            print(f"{event.verdict} {event.case_id} trial {event.index}{reason}", file=sys.stderr)


def _show(answer: Model, form: str, output: Path | None) -> None:
    text = answer.model_dump_json(indent=2, exclude_none=True) if form == "json" else answer_text(answer)
    _write(text, output)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        print(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")
        print(output)
