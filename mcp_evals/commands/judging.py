"""Commands around judges: hand questions out, take verdicts in, hold a judge against people's labels."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from mcp_evals.commands.door import Config, Output, Suites, TextOrJson, app, told, with_workspace, write
from mcp_evals.errors import InvalidFileError, NotFoundError, Problem
from mcp_evals.judging.calibrating import Calibration, CalibrationReport
from mcp_evals.judging.handing import VerdictsTaken, read_handed_verdicts
from mcp_evals.judging.labels import Label, read_labels
from mcp_evals.text import shorten
from mcp_evals.workspace import Workspace

judging = typer.Typer(no_args_is_help=True, help="Judge by hand, and hold judges against people.")
app.add_typer(judging, name="judge")


@judging.command("questions")
@told
def judge_questions(
    run_id: Annotated[str, typer.Argument(help="The run.")],
    decided: Annotated[
        bool, typer.Option("--decided", help="Those that a judge has decided, without its verdict, to be labelled.")
    ] = False,
    output: Output = None,
    config: Config = None,
    suites: Suites = None,
) -> None:
    """Open judge questions of a run, one JSON object a line: write `verdict` and `reason` into each."""

    async def go(workspace: Workspace) -> tuple[Label, ...]:
        return await workspace.questions_to_label(run_id, decided=decided)

    found = with_workspace(go, config, suites)
    write("\n".join(label.model_dump_json() for label in found), output)


@judging.command("answer")
@told
def judge_answer(
    run_id: Annotated[str, typer.Argument(help="The run.")],
    file: Annotated[Path, typer.Argument(help="Questions with verdicts: JSON lines or CSV with `key` and `verdict`.")],
    by: Annotated[str, typer.Option(help="Who judged.")] = "user",
    form: TextOrJson = "text",
    config: Config = None,
    suites: Suites = None,
) -> None:
    """Take verdicts on open questions of a run, and score it again."""
    answers = read_handed_verdicts(_read(file), file=str(file), table=_is_table(file))

    async def go(workspace: Workspace) -> VerdictsTaken:
        return await workspace.answer_questions(run_id, answers, by=by)

    answer = with_workspace(go, config, suites)
    text = (
        f"{answer.taken} verdicts taken, {answer.passed_over} passed over (decided before), {answer.open} still open\n"
        f"next: mcp-evals report {answer.run_id}"
    )
    print(answer.model_dump_json(indent=2) if form == "json" else text)


@judging.command("calibrate")
@told
def judge_calibrate(
    labels: Annotated[Path, typer.Argument(help="Labelled questions: JSON lines or CSV.")],
    judge: Annotated[str | None, typer.Option("--judge", help="The judge, such as openai:MODEL.")] = None,
    suite: Annotated[str | None, typer.Option("--suite", help="Ask as this suite does: its judge, samples.")] = None,
    samples: Annotated[int | None, typer.Option(min=1, max=99, help="Answers asked for each question.")] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="Somebody who handed verdicts in, instead of a target.")
    ] = None,
    form: TextOrJson = "text",
    output: Output = None,
    config: Config = None,
    suites: Suites = None,
) -> None:
    """Compare a judge with people: agreement, Cohen's kappa, bias, flips; until then its no only warns."""
    read = read_labels(_read(labels), file=str(labels), table=_is_table(labels))

    async def go(workspace: Workspace) -> CalibrationReport:
        return await workspace.calibrate_judge(read, judge, suite=suite, samples=samples, by=by)

    report = with_workspace(go, config, suites)
    write(report.model_dump_json(indent=2) if form == "json" else "\n".join(_report_lines(report)), output)


def _report_lines(report: CalibrationReport) -> Iterable[str]:
    cost = "price unknown" if report.cost_usd is None else f"${report.cost_usd:.4f}"
    yield f"judge: {report.judge} ({report.asked} questions asked now, {cost})"
    for one in (*report.criteria, *((report.overall,) if report.overall else ())):
        yield ""
        yield from _calibration_lines(one, is_sum=one is report.overall)
    yield ""
    yield f"next: {report.next_step}"


def _calibration_lines(one: Calibration, *, is_sum: bool) -> Iterable[str]:
    yield (
        one.subject
        if is_sum
        else f"{shorten(one.subject, 100)}: {'calibrated' if one.calibrated else 'not calibrated'}"
    )
    yield f"  labels     {one.labels}, of which the judge decided {one.compared}"
    if one.agreement is not None:
        yield f"  agreement  {one.agreement:.0%}"
    if one.kappa is not None:
        yield f"  kappa      {one.kappa.value:.2f} ({one.kappa.low:.2f} to {one.kappa.high:.2f})"
    if one.bias is not None:
        tendency = "too lenient" if one.bias > 0 else "too strict" if one.bias < 0 else "neither lenient nor strict"
        yield f"  bias       {one.bias:+.0%} ({tendency})"
    yield f"  flips      {'unknown with one sample a question' if one.flip_rate is None else f'{one.flip_rate:.0%}'}"
    if one.why_not and not is_sum:
        yield f"  missing    {one.why_not}"


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError(f"no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFileError([Problem(f"cannot be read: {error}", file=str(path))]) from error
