"""A report as plain text for a terminal: the same facts as in Markdown, in lines and columns; nothing that moves a cursor."""

from collections.abc import Iterator, Sequence
from typing import Final

from mcp_evals.reports.document import CallRow, CaseReport, Cell, Report, RunReport, SideBySide, TrialReport
from mcp_evals.reports.text import LINE, comparison_text
from mcp_evals.reports.words import (
    MARKS,
    by_tag,
    check_name,
    check_reason,
    check_state,
    counts,
    listed,
    over_trials,
    percent,
    price,
    score,
    settings_line,
    tokens,
)
from mcp_evals.text import plural, shorten
from mcp_evals.views import call_text, transcript_text

WIDEST: Final = 32
"""Characters of a case's name in a column."""


def report_text(report: Report) -> str:
    """The report as plain text."""
    lines = _run(report) if isinstance(report, RunReport) else _side_by_side(report)
    return "\n".join(line.rstrip() for line in lines)


# --- one run


def _run(report: RunReport) -> Iterator[str]:
    yield from _head(report)
    yield ""
    yield "cases:"
    width = _widest(case.id for case in report.cases)
    for case in report.cases:
        yield from _case(case, width)
    if report.left_out:
        yield f"  {report.left_out} that pass are not shown"
    if report.next_step:
        yield ""
        yield f"next: {report.next_step}"


def _head(report: RunReport) -> Iterator[str]:
    summary, run = report.summary, report.summary.run
    track = f", track {run.track}" if run.track else ""
    label = f' "{run.label}"' if run.label else ""
    yield report.sentence
    yield _one(f"run {run.id}{label}: {run.suite} against {run.target}{track}, {run.status}")
    yield f"begun {run.created_at:%Y-%m-%d %H:%M} UTC; {settings_line(run.settings)}"
    if summary.pass_rate:
        of = "" if run.settings.trials == 1 else " of trials"
        yield f"pass rate{of} {percent(summary.pass_rate)}"
    if summary.score:
        yield f"mean score {percent(summary.score)}"
    yield f"cases: {counts(summary.cases)} of {summary.cases.planned}"
    yield f"trials: {counts(summary.trials)} of {summary.trials.planned}"
    if report.errors:
        kinds = ", ".join(f"{kind} {number}" for kind, number in report.errors.items())
        yield _one(f"trials without a score, not counted as failed: {kinds}")
    if report.flaky:
        yield _one(f"flaky, some trials pass and some fail: {listed(report.flaky)}", 2000)
    if summary.by_tag:
        tags = [f"{tag} {said}" for tag, said in by_tag(summary.by_tag).items()]
        yield _one(f"cases passed, by tag: {listed(tags)}", 2000)
    judge = None if summary.judge_cost_usd is None else f"judge {price(summary.judge_cost_usd)}"
    yield f"spent: {', '.join(part for part in (price(summary.cost_usd), tokens(summary.usage), judge) if part)}"
    yield from (_one(f"note: {note}", 1000) for note in report.notes)


def _case(case: CaseReport, width: int) -> Iterator[str]:
    name = shorten(case.id, WIDEST).ljust(width)
    result = case.result
    if result is None:
        yield f"  -      {name}  not held yet"
        return
    flaky = ", flaky" if result.flaky else ""
    reason = f"  {shorten(result.reason, LINE)}" if result.reason else ""
    yield f"  {MARKS[result.verdict]:<5}  {name}  {score(result.score, case.deviation)} ({over_trials(result)}{flaky}){reason}"
    if result.verdict == "passed" and not result.flaky and not any(trial.transcript for trial in case.trials):
        return
    for asked in case.asked:
        yield f"         asked: {shorten(' / '.join(asked), LINE)}"
    for trial in case.trials:
        if len(case.trials) > 1:
            why = f": {shorten(trial.reason, LINE)}" if trial.reason else ""
            seed = "" if trial.seed is None else f", seed {trial.seed}"
            yield f"         trial {trial.index}: {MARKS[trial.verdict]}, {score(trial.score)}{seed}{why}"
        yield from (f"           {line}" for line in _trial(trial))
    for spread in case.spreads:
        deviation = "" if spread.deviation is None else f" ± {spread.deviation:.2f}"
        yield f"         {shorten(spread.name, LINE)}: {spread.mean:.2f}{deviation} over {spread.trials} trial{plural(spread.trials)}"


def _trial(trial: TrialReport) -> Iterator[str]:
    for row in trial.calls:
        yield _call(row)
        yield from (f"  {shorten(f'{check.field}: {check.reason}', LINE)}" for check in row.arguments if check.reason)
    for check in trial.checks:
        if not check.name.startswith("call.") and check.score != 1:
            reason = f": {shorten(check_reason(check.reason), LINE)}" if check.reason else ""
            yield f"{check_name(check)} {check_state(check.score)}{reason}"
    if trial.transcript is not None:
        yield "what was said (a model wrote it; it is no instruction):"
        yield from (f"| {line}" for line in transcript_text(trial.transcript).splitlines())


def _call(row: CallRow) -> str:
    sides = [None if call is None else call_text(call.name, call.arguments) for call in (row.expected, row.actual)]
    status = (row.status or "made").replace("_", " ")
    if None in sides or sides[0] == sides[1]:
        return f"{status}: {shorten(sides[0] or sides[1] or '', LINE)}"
    return f"{status}: expected {shorten(sides[0] or '', LINE)}, called {shorten(sides[1] or '', LINE)}"


# --- several runs


def _side_by_side(report: SideBySide) -> Iterator[str]:
    letters = [_letter(place) for place in range(len(report.names))]
    if report.comparison:
        yield comparison_text(report.comparison)
        yield ""
    for letter, name, run in zip(letters, report.names, report.runs, strict=True):
        rate = f"pass rate {percent(run.summary.pass_rate)}" if run.summary.pass_rate else "nothing scored"
        points = f", mean score {percent(run.summary.score)}" if run.summary.score else ""
        yield _one(f"{letter} = {name}: {rate}{points}, {price(run.summary.cost_usd)}", 500)
    yield from (_one(f"note: {note}", 1000) for note in report.notes)
    yield ""
    cells = [[_cell(cell) for cell in row.cells] for row in report.rows]
    names = [shorten(row.case, WIDEST) for row in report.rows]
    width = _widest(names)
    columns = [max([len(letter), *(len(row[place]) for row in cells)]) for place, letter in enumerate(letters)]
    yield _columns(" " * width, letters, columns)
    for name, row in zip(names, cells, strict=True):
        yield _columns(name.ljust(width), row, columns)
    if report.left_out:
        yield f"{report.left_out} that pass in all runs are not shown"
    yield from _differences(report, letters)


def _differences(report: SideBySide, letters: Sequence[str]) -> Iterator[str]:
    told = [row for row in report.rows if any(cell.differences for cell in row.cells)]
    if not told:
        return
    yield ""
    yield f"what differs from {letters[0]}:"
    for row in told:
        yield f"  {shorten(row.case, LINE)}"
        for letter, cell in zip(letters, row.cells, strict=True):
            for found in cell.differences:
                sides = [shorten(side, LINE) if side is not None else "nothing" for side in (found.first, found.here)]
                yield f"    {letter}: {shorten(found.what, LINE)}: {sides[1]} instead of {sides[0]}"


def _cell(cell: Cell) -> str:
    if cell.result is None:
        return cell.absent or ""
    trials = f" ({over_trials(cell.result)})" if cell.result.trials > 1 else ""
    return f"{MARKS[cell.result.verdict]:<5} {score(cell.result.score, cell.deviation)}{trials}"


def _columns(first: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join([first, *(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))])


def _letter(place: int) -> str:
    """A to Z, then AA: names of runs are too long for columns."""
    return (_letter(place // 26 - 1) if place >= 26 else "") + chr(ord("A") + place % 26)


def _widest(names: "Iterator[str] | Sequence[str]") -> int:
    return max((len(shorten(name, WIDEST)) for name in names), default=0)


def _one(line: str, limit: int = 500) -> str:
    return shorten(line, limit)
