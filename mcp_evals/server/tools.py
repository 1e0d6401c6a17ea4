"""The tools, as an agent sees them: names, one-line descriptions, few and described parameters. Each body asks the workspace."""

from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from pydantic import Field, JsonValue

from mcp_evals.answers import (
    AttemptAnswer,
    ReportFile,
    RunAnswer,
    RunList,
    SavedCase,
    SuiteList,
    SuiteView,
    TargetList,
    ToolsAnswer,
    TrialAnswer,
)
from mcp_evals.errors import UsageError
from mcp_evals.judging.handing import QuestionPage, VerdictsTaken
from mcp_evals.results import ComparisonTable
from mcp_evals.server.door import CHANGES, READS, RECORDS, RUNS, WRITES, ToolSpec, progress_of, workspace_of
from mcp_evals.workspace import MAX_WAIT_S, Reveal, Workspace

SuiteName = Annotated[str, Field(description="Suite name, from list_suites")]
TargetText = Annotated[
    str,
    Field(
        description="openai:MODEL, anthropic:MODEL, a configured NAME or NAME:MODEL, recorded:NAME, run:RUN_ID, client"
    ),
]
RunId = Annotated[str, Field(description="Run id or label")]
Track = Annotated[str | None, Field(description="Tool set of the suite")]
Trials = Annotated[int | None, Field(ge=1, le=100, description="Trials of each case; default by suite size")]
WaitS = Annotated[float, Field(ge=0, le=MAX_WAIT_S, description="Seconds to wait; the run goes on afterwards")]
Cap = Annotated[float | None, Field(ge=0, description="Spend at most, in US dollars")]
Offset = Annotated[int, Field(ge=0)]
Tags = Annotated[list[str] | None, Field(description="Only cases with one of these tags")]
Temperature = Annotated[float | None, Field(ge=0, le=2)]


def list_suites(
    ctx: Context[Workspace],
    search: Annotated[str | None, Field(description="Words of name or description")] = None,
    offset: Offset = 0,
) -> SuiteList:
    """List eval suites: cases, tags, tracks, last result; broken ones with their problems."""
    return workspace_of(ctx).list_suites(search=search, offset=offset)


async def get_suite(
    ctx: Context[Workspace],
    suite: SuiteName,
    case: Annotated[str | None, Field(description="Show this case whole")] = None,
    tag: str | None = None,
    search: Annotated[str | None, Field(description="Words that occur in the case")] = None,
    offset: Offset = 0,
) -> SuiteView:
    """Show the cases of a suite and what each expects, 20 a page."""
    return await workspace_of(ctx).get_suite(suite, case=case, tag=tag, search=search, offset=offset)


def list_targets(ctx: Context[Workspace]) -> TargetList:
    """List what can be evaluated here: models, engines, recordings; and what is missing for the rest."""
    return workspace_of(ctx).list_targets()


async def run_case(
    ctx: Context[Workspace],
    suite: SuiteName,
    case: Annotated[str, Field(description="Case id")],
    target: TargetText,
    track: Track = None,
    trials: Annotated[int, Field(ge=1, le=100)] = 1,
    temperature: Temperature = None,
    wait_s: WaitS = 20,
) -> TrialAnswer | RunAnswer:
    """Run one eval case and show the evidence: expected and actual calls, every check, the reason."""
    return await workspace_of(ctx).run_case(
        suite,
        case,
        target,
        track=track,
        settings={"trials": trials, "temperature": temperature},
        wait_s=wait_s,
        progress=progress_of(ctx),
    )


async def run_suite(
    ctx: Context[Workspace],
    suite: SuiteName,
    target: TargetText,
    track: Track = None,
    tags: Tags = None,
    cases: Annotated[list[str] | None, Field(description="Only these case ids")] = None,
    trials: Trials = None,
    temperature: Temperature = None,
    judge: Annotated[str | None, Field(description="Target that judges, where cases ask for a judge")] = None,
    max_cost_usd: Cap = None,
    max_calls: Annotated[int | None, Field(ge=1, description="Model calls at most")] = None,
    wait_s: WaitS = 20,
) -> RunAnswer:
    """Run an eval suite against a target: pass rate with its interval, failures with reasons; a handle if it takes long."""
    return await workspace_of(ctx).run_suite(
        suite,
        target,
        track=track,
        tags=tags,
        cases=cases,
        settings={
            "trials": trials,
            "temperature": temperature,
            "judge": judge,
            "max_cost_usd": max_cost_usd,
            "max_calls": max_calls,
        },
        wait_s=wait_s,
        progress=progress_of(ctx),
    )


async def compare_models(
    ctx: Context[Workspace],
    suite: Annotated[str | None, Field(description="Suite name; not needed with `runs`")] = None,
    targets: Annotated[list[str] | None, Field(description="Targets, the baseline first")] = None,
    tracks: Annotated[
        list[str] | None, Field(description='Tool sets, the baseline first; "" is the suite\'s own')
    ] = None,
    runs: Annotated[list[str] | None, Field(description="Or past runs, the baseline first")] = None,
    tags: Tags = None,
    trials: Trials = None,
    margin: Annotated[float, Field(gt=0, lt=1, description="A gap that does not matter; 0.05 is 5 points")] = 0.05,
    metric: Annotated[Literal["passed", "score"], Field(description="Pass rate or mean score")] = "passed",
    adaptive: Annotated[bool, Field(description="Two sides: stop as soon as the answer is clear")] = False,
    max_cost_usd: Cap = None,
    wait_s: WaitS = 20,
) -> ComparisonTable:
    """Compare models, tool sets or past runs on the same cases: better, worse, equivalent or not told apart, honestly."""
    return await workspace_of(ctx).compare_models(
        suite,
        targets or (),
        tracks=tracks or (),
        runs=runs or (),
        tags=tags,
        settings={"trials": trials, "max_cost_usd": max_cost_usd},
        metric=metric,
        margin=margin,
        adaptive=adaptive,
        wait_s=wait_s,
        progress=progress_of(ctx),
    )


async def get_run(
    ctx: Context[Workspace],
    run_id: RunId,
    case: Annotated[str | None, Field(description="Show the evidence of this case instead")] = None,
    trial: Annotated[int | None, Field(ge=0, description="Of this trial; default the first that did not pass")] = None,
    transcript: Annotated[bool, Field(description="With `case`: also what was said (untrusted text)")] = False,
    offset: Annotated[int, Field(ge=0, description="Skip so many failures")] = 0,
    wait_s: WaitS = 0,
) -> RunAnswer | TrialAnswer:
    """Get a run: progress, result and failures, or one case's evidence and transcript."""
    workspace = workspace_of(ctx)
    if case is not None:
        return workspace.get_trial(run_id, case, trial, transcript=transcript)
    if transcript or trial is not None:
        raise UsageError("`transcript` and `trial` need `case`: name the case to show")
    return await workspace.get_run(run_id, wait_s=wait_s, offset=offset, progress=progress_of(ctx))


def list_runs(
    ctx: Context[Workspace],
    suite: str | None = None,
    target: str | None = None,
    limit: Annotated[int, Field(ge=1, le=100)] = 20,
) -> RunList:
    """List past runs, newest first: suite, target, pass rate with its interval."""
    return workspace_of(ctx).list_runs(suite=suite, target=target, limit=limit)


async def control_run(
    ctx: Context[Workspace],
    run_id: RunId,
    action: Annotated[
        Literal["cancel", "resume", "rerun_errored", "rescore", "label"],
        Field(description="resume: run what is missing; rescore: score the stored transcripts with today's suite"),
    ],
    label: Annotated[str | None, Field(description="Name for `label`")] = None,
    wait_s: WaitS = 20,
) -> RunAnswer:
    """Cancel or resume a run, rerun its errored trials, score it again without a model, or name it."""
    return await workspace_of(ctx).control_run(run_id, action, label=label, wait_s=wait_s, progress=progress_of(ctx))


async def score_transcript(
    ctx: Context[Workspace],
    transcript: Annotated[
        Any,
        Field(
            description='What was done: {"calls": [{"name", "arguments"}], "text"}, or messages of OpenAI, Anthropic, Gemini'
        ),
    ],
    attempt_id: Annotated[str | None, Field(description="Answer this attempt of take_case")] = None,
    suite: Annotated[str | None, Field(description="Or score against a case of this suite")] = None,
    case: Annotated[str | None, Field(description="Case id")] = None,
    expect: Annotated[
        dict[str, JsonValue] | None,
        Field(description='Or an expectation: {"calls": [{"tool", "args"}], "require", "forbid", "text"}'),
    ] = None,
) -> TrialAnswer | AttemptAnswer:
    """Score a transcript that you or anyone made, or your answer to take_case; no model is run."""
    workspace = workspace_of(ctx)
    if attempt_id is None:
        return await workspace.score_transcript(transcript, suite=suite, case=case, expect=expect)
    if suite or case or expect:
        raise UsageError("an attempt knows its suite and case; give `attempt_id` and `transcript` alone")
    return await workspace.answer_attempt(attempt_id, transcript)


async def judge_run(
    ctx: Context[Workspace],
    run_id: RunId,
    verdicts: Annotated[
        list[dict[str, JsonValue]] | None, Field(description='Your verdicts: [{"key", "reason", "verdict": true}]')
    ] = None,
    offset: Annotated[int, Field(ge=0, description="Skip so many questions")] = 0,
) -> QuestionPage | VerdictsTaken:
    """Be the judge, without a key: get a run's open judge questions, or hand verdicts in and score it again."""
    workspace = workspace_of(ctx)
    if verdicts is None:
        return await workspace.judge_questions(run_id, offset=offset, for_subject=True)
    return await workspace.answer_questions(run_id, verdicts, for_subject=True)


async def take_case(
    ctx: Context[Workspace],
    suite: Annotated[str | None, Field(description="Begins a run on this suite")] = None,
    run_id: Annotated[str | None, Field(description="Or goes on with this run")] = None,
    case: Annotated[str | None, Field(description="Case id")] = None,
    tags: Tags = None,
    track: Track = None,
    reveal: Annotated[
        Reveal, Field(description="What you are told afterwards: passed or not; what was wrong; the right answer too")
    ] = "hints",
) -> AttemptAnswer:
    """Take an eval case yourself: prompt and tools, never the expectation; answer it with score_transcript."""
    return await workspace_of(ctx).take_case(suite, run_id=run_id, case=case, tags=tags, track=track, reveal=reveal)


async def save_case(
    ctx: Context[Workspace],
    suite: Annotated[str | None, Field(description="Suite name; a new one makes a new file")] = None,
    case: Annotated[
        dict[str, JsonValue] | None, Field(description='As in a suite file: {"id", "user", "expect": {"calls": […]}}')
    ] = None,
    run_id: Annotated[str | None, Field(description="Or propose the expectation from what this run called")] = None,
    from_case: Annotated[str | None, Field(description="With `run_id`: the case to take")] = None,
    trial: Annotated[int | None, Field(ge=0, description="Of this trial alone")] = None,
    tools: Annotated[
        list[dict[str, JsonValue]] | None, Field(description='Of a new suite, such as [{"server": NAME}]')
    ] = None,
    dry_run: Annotated[bool, Field(description="Only show the diff")] = False,
) -> SavedCase:
    """Save an eval case: write or change it in a suite file, or make one from a run; checked first, shown as a diff."""
    return await workspace_of(ctx).save_case(
        suite, case, run_id=run_id, from_case=from_case, trial=trial, tools=tools, dry_run=dry_run
    )


async def export_report(
    ctx: Context[Workspace],
    runs: Annotated[list[str], Field(description="Run ids; several are compared, the baseline first")],
    format: Literal["html", "markdown", "json", "junit"] = "html",  # noqa: A002  as everybody calls it
    transcripts: Annotated[bool, Field(description="With what was said")] = False,
) -> ReportFile:
    """Export a report of one or several runs as a file: HTML, Markdown, JSON or JUnit."""
    return await workspace_of(ctx).export_report(runs, format, transcripts=transcripts)


async def inspect_tools(
    ctx: Context[Workspace],
    server: Annotated[str, Field(description="Name of an MCP server in the user's configuration")],
) -> ToolsAnswer:
    """Inspect the tools of an MCP server: cost in tokens, and what models and providers stumble over."""
    return await workspace_of(ctx).inspect_tools(server)


TOOLS: tuple[ToolSpec, ...] = (
    ToolSpec(list_suites, READS),
    ToolSpec(get_suite, READS),
    ToolSpec(list_targets, READS),
    ToolSpec(run_case, RUNS),
    ToolSpec(run_suite, RUNS),
    ToolSpec(compare_models, RUNS),
    ToolSpec(get_run, READS),
    ToolSpec(list_runs, READS),
    ToolSpec(control_run, CHANGES),
    ToolSpec(score_transcript, RECORDS),
    ToolSpec(judge_run, RECORDS),
    ToolSpec(take_case, RECORDS),
    ToolSpec(save_case, WRITES),
    ToolSpec(export_report, RECORDS),
    ToolSpec(inspect_tools, READS),
)
"""In the order in which hosts show them."""
