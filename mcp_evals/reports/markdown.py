"""A report as Markdown, for a pull request, a CI summary or a wiki.

Whatever a model, a server or a suite's author wrote is a code span, a fenced block or escaped prose: it can end no table
and no fence, and make no markup, link, image, mention or HTML. Values are cut; JSON has them whole.
"""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mcp_evals.conversation import ToolCall
from mcp_evals.model import canonical_json
from mcp_evals.reports.document import (
    CallRow,
    CaseReport,
    Cell,
    Report,
    Row,
    RunReport,
    SideBySide,
    TrialReport,
    shown_trial,
)
from mcp_evals.reports.words import (
    MARKS,
    by_tag,
    check_name,
    check_reason,
    check_state,
    counts,
    over_trials,
    percent,
    points,
    price,
    score,
    settings_line,
    tokens,
)
from mcp_evals.results import ChangedCase, Comparison, ComparisonTable
from mcp_evals.text import shorten
from mcp_evals.views import call_text, transcript_text

VALUE: Final = 300
"""Characters of a value in a table."""
ALIKE: Final = "·"
"""Stands where there is nothing to say."""


def markdown_report(report: Report) -> str:
    """The report as Markdown."""
    lines = _run(report) if isinstance(report, RunReport) else _side_by_side(report)
    return "\n".join(lines).rstrip("\n")


# --- what others wrote


def code(text: str, limit: int = VALUE) -> str:
    """Any text as a code span that no cell, line or backtick ends."""
    shown = shorten(text, limit)
    if not shown:
        return "(empty)"
    if re.search(r"\\+\|", shown):
        # Renderers differ on a pipe behind a backslash; as a character reference nobody takes it for a delimiter.
        return f"<code>{_references(shown)}</code>"
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return fence + pad + shown.replace("|", "\\|") + pad + fence


def prose(text: str, limit: int = VALUE) -> str:
    """Any text in a line of plain prose, without markup; what would become a link or a mention is a code span.

    Something of ours stands before it in its line: at the beginning of one it could become a list or a heading.
    """
    shown = shorten(text, limit)
    if _LIVELY.search(shown):
        return code(shown, limit)
    return _MARKUP.sub(r"\\\g<0>", shown)


def block(text: str, limit: int) -> str:
    """Any text as a fenced block that nothing inside can end."""
    shown = shorten(text, limit, keep_lines=True)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{shown}\n{fence}"


# GitHub finds mentions, issue numbers and addresses in what is rendered, so that no escape keeps them quiet.
_LIVELY: Final = re.compile(r"@|://|www\.|#\d|\bGH-\d", re.IGNORECASE)
# An underscore inside a word is plain, and names of tools stay readable.
_MARKUP: Final = re.compile(r"[\\`*\[\]<>|~&$#!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def _references(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9 ]", lambda found: f"&#{ord(found[0])};", text)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table whose cells are made by `code`, `prose` or from numbers."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell or ALIKE for cell in row)} |"
    yield ""


def _details(summary: str, inside: Iterable[str]) -> Iterator[str]:
    """A section that opens; its summary is HTML, so it is escaped as that."""
    yield f"<details><summary>{summary}</summary>"
    yield ""
    yield from inside
    yield "</details>"
    yield ""


def _in_summary(text: str) -> str:
    return f"<code>{html.escape(shorten(text, VALUE))}</code>"


# --- one run


def _run(report: RunReport) -> Iterator[str]:
    run = report.summary.run
    yield f"# {code(run.suite)}: {code(run.target)}" + (f" on {code(run.track)}" if run.track else "")
    yield ""
    yield f"**{prose(report.sentence, 1000)}**"
    yield ""
    yield from _table(("Run", code(run.id)), _facts(report))
    yield from (f"- Note: {prose(note, 1000)}" for note in report.notes)
    if report.notes:
        yield ""
    yield "## Results"
    yield ""
    if report.left_out:
        yield f"{report.left_out} cases that pass are not shown; all numbers above count them."
        yield ""
    yield from _results(report.cases)
    if report.summary.by_tag:
        yield "## By tag"
        yield ""
        yield from _table(
            ("Tag", "Cases passed"), ((code(tag), said) for tag, said in by_tag(report.summary.by_tag).items())
        )
    yield "## Evidence"
    yield ""
    for case in report.cases:
        yield from _details(f"{_case_mark(case)} {_in_summary(case.id)}", _case(case))


def _facts(report: RunReport) -> Iterator[tuple[str, str]]:
    summary, run = report.summary, report.summary.run
    if run.label:
        yield "Name", code(run.label)
    if report.description:
        yield "Suite", prose(report.description)
    yield "State", f"{run.status}, begun {run.created_at:%Y-%m-%d %H:%M} UTC"
    yield (
        "Pass rate" if run.settings.trials == 1 else "Pass rate of trials",
        percent(summary.pass_rate) if summary.pass_rate else "nothing scored",
    )
    yield "Mean score", percent(summary.score) if summary.score else "nothing scored"
    yield "Cases", f"{counts(summary.cases)} of {summary.cases.planned}"
    yield "Trials", f"{counts(summary.trials)} of {summary.trials.planned}"
    if report.errors:
        yield "Trials without a score", ", ".join(f"{prose(kind)} {number}" for kind, number in report.errors.items())
    if report.flaky:
        yield "Flaky", ", ".join(code(case) for case in report.flaky[:20]) + _more(len(report.flaky) - 20)
    yield "Settings", prose(settings_line(run.settings))
    rules = {case.result.rule for case in report.cases if case.result and case.result.trials > 1}
    if rules:
        yield "Verdict over trials", f"by the rule {' or '.join(f'`{rule}`' for rule in sorted(rules))}"
    spent = [prose(price(summary.cost_usd)), tokens(summary.usage)]
    if summary.judge_cost_usd is not None:
        spent.append(f"judge {prose(price(summary.judge_cost_usd))}")
    yield "Spent", ", ".join(part for part in spent if part)
    yield "Suite digest", code(run.suite_digest)


def _results(cases: Sequence[CaseReport]) -> Iterator[str]:
    yield from _table(
        ("Verdict", "Case", "Trials passed", "Score", "Reason"),
        (
            (
                _case_mark(case),
                code(case.id),
                over_trials(case.result) if case.result else "",
                score(case.result.score, case.deviation) if case.result else "",
                prose(case.result.reason) if case.result and case.result.reason else "",
            )
            for case in cases
        ),
    )


def _case_mark(case: CaseReport) -> str:
    if case.result is None:
        return "not held"
    return MARKS[case.result.verdict] + (" (flaky)" if case.result.flaky else "")


def _case(case: CaseReport) -> Iterator[str]:
    if case.description:
        yield f"- About: {prose(case.description)}"
    if case.tags:
        yield f"- Tags: {', '.join(code(tag) for tag in case.tags)}"
    for number, asked in enumerate(case.asked, 1):
        which = f" ({number})" if len(case.asked) > 1 else ""
        yield f"- Asked{which}: {' then '.join(code(message) for message in asked)}"
    if case.input is not None:
        yield f"- Input: {code(canonical_json(case.input))}"
    yield f"- Expected: {code(case.expects)}"
    yield ""
    if len(case.trials) > 1:
        yield from _trials(case.trials)
        yield from _spreads(case)
        yield from (line for trial in case.trials if _told(trial) for line in _trial(trial, named=True))
    elif case.trials:
        yield from _trial(case.trials[0], named=False)


def _told(trial: TrialReport) -> bool:
    """Whether there is more to say of the trial than its line in the table."""
    return bool(trial.calls or trial.checks or trial.transcript)


def _trials(trials: Sequence[TrialReport]) -> Iterator[str]:
    seeded = any(trial.seed is not None for trial in trials)
    phrased = any(trial.phrasing for trial in trials)
    head = ["Trial", "Verdict", "Score"] + ["Asked"] * phrased + ["Seed"] * seeded + ["Seconds", "Reason"]
    rows: list[list[str]] = []
    for trial in trials:
        row = [str(trial.index), MARKS[trial.verdict], score(trial.score)]
        row += [f"({trial.phrasing + 1})"] * phrased
        row += ["" if trial.seed is None else str(trial.seed)] * seeded
        row += [f"{trial.duration_s:.2f}", prose(trial.reason or "")]
        rows.append(row)
    yield from _table(head, rows)


def _spreads(case: CaseReport) -> Iterator[str]:
    if not case.spreads:
        return
    yield "Over the trials that have a score:"
    yield ""
    yield from _table(
        ("Evidence", "Mean", "Deviation", "Weight", "Trials"),
        (
            (
                code(spread.name),
                f"{spread.mean:.2f}",
                "" if spread.deviation is None else f"{spread.deviation:.2f}",
                "" if spread.weight is None else f"{spread.weight:.3g}",
                str(spread.trials),
            )
            for spread in case.spreads
        ),
    )


def _trial(trial: TrialReport, *, named: bool) -> Iterator[str]:
    if named:
        yield f"**Trial {trial.index}: {MARKS[trial.verdict]}, {score(trial.score)}**"
        yield ""
    if trial.reason and not named:
        yield f"Because: {prose(trial.reason, 1000)}"
        yield ""
    if trial.self_scored:
        yield "The subject handed in this answer itself; nobody watched it."
        yield ""
    if trial.calls:
        yield from _calls(trial.calls)
    checks = [check for check in trial.checks if not check.name.startswith("call.")]
    if checks:
        yield from _table(
            ("Check", "Score", "Expected", "Actual", "Reason"),
            (
                (
                    code(check_name(check)) + (" (gate)" if check.weight is None and not check.informational else ""),
                    check_state(check.score),
                    "" if check.expected is None else code(_value(check.expected)),
                    "" if check.actual is None else code(_value(check.actual)),
                    " ".join(
                        prose(text) for text in (check_reason(check.reason), check.judge and f"[{check.judge}]") if text
                    ),
                )
                for check in checks
            ),
        )
    if trial.transcript is not None:
        yield "What was said (a model wrote it; it is no instruction):"
        yield ""
        yield block(transcript_text(trial.transcript), 20_000)
        yield ""


def _calls(rows: Sequence[CallRow]) -> Iterator[str]:
    turns = any(row.turn is not None for row in rows)
    head = ["Turn"] * turns + ["Fit", "Expected", "Called", "Score", "What does not fit"]
    yield from _table(head, ([_turn(row)] * turns + _call(row) for row in rows))


def _turn(row: CallRow) -> str:
    return "whole" if row.turn is None else str(row.turn + 1)


def _call(row: CallRow) -> list[str]:
    return [
        (row.status or "made").replace("_", " "),
        _call_code(row.expected),
        _call_code(row.actual),
        "" if row.score is None else f"{row.score:.2f}",
        "; ".join(f"{code(check.field)}: {prose(check.reason)}" for check in row.arguments if check.reason),
    ]


def _call_code(call: ToolCall | None) -> str:
    return "" if call is None else code(call_text(call.name, call.arguments))


def _value(value: object) -> str:
    return value if isinstance(value, str) else canonical_json(value)


# --- several runs


def _side_by_side(report: SideBySide) -> Iterator[str]:
    suites = list(dict.fromkeys(run.summary.run.suite for run in report.runs))
    yield f"# {', '.join(code(suite) for suite in suites)}: {len(report.runs)} runs side by side"
    yield ""
    if report.comparison:
        yield f"**{prose(report.comparison.sentence, 1000)}**"
        yield ""
    yield from _heads(report)
    if report.best:
        claim = " What may be claimed of it is said above." if report.comparison else ""
        yield f"Highest pass rate seen on common cases: {_best(report.best, report.names)}.{claim}"
        yield ""
    yield from (f"- Note: {prose(note, 1000)}" for note in report.notes)
    if report.notes:
        yield ""
    if report.comparison:
        yield from _comparison(report.comparison)
    yield from _matrix(report, several_suites=len(suites) > 1)
    yield from _evidence(report)


def _heads(report: SideBySide) -> Iterator[str]:
    yield from _table(
        ("Run", "Pass rate", "Mean score", "Cases", "Trials without a score", "Spent", "Seconds a trial", "Handle"),
        (
            (
                code(name),
                percent(run.summary.pass_rate) if run.summary.pass_rate else "nothing scored",
                percent(run.summary.score) if run.summary.score else "",
                counts(run.summary.cases),
                str(run.summary.trials.errored or ""),
                prose(price(run.summary.cost_usd)),
                "" if run.latency_s is None else f"{run.latency_s:.2f}",
                code(run.summary.run.id),
            )
            for name, run in zip(report.names, report.runs, strict=True)
        ),
    )


def _comparison(table: ComparisonTable) -> Iterator[str]:
    yield "## What may be claimed"
    yield ""
    for found in table.comparisons:
        if len(table.comparisons) > 1 and found.candidate and found.baseline:
            yield f"### {code(found.candidate.name)} against {code(found.baseline.name)}: {_words(found.verdict)}"
            yield ""
        yield from _claim(found)
    if table.ranks:
        yield from _table(("Run", "Rank"), ((code(name), rank) for name, rank in table.ranks.items()))
    if table.by_tag:
        yield "By tag, exploratory; no claim unless it says so:"
        yield ""
        yield from _table(("Tag", "Difference"), ((code(tag), prose(line)) for tag, line in table.by_tag.items()))
    if table.next_step:
        yield f"Next: {prose(table.next_step, 1000)}"
        yield ""


def _claim(found: Comparison) -> Iterator[str]:
    yield f"- Verdict: **{_words(found.verdict)}**; gate at a margin of {found.margin * 100:g} points: {found.gate}"
    if found.counts:
        yield f"- Counts: {prose(found.counts, 1000)}"
    if found.difference:
        yield f"- Difference: {points(found.difference)}"
    if found.p_value is not None:
        yield f"- p = {found.p_value:.3g}" + (f", {prose(found.test)}" if found.test else "")
    if found.flags:
        yield f"- Flags: {', '.join(_words(flag) for flag in found.flags)}"
    yield from (f"- Note: {prose(note, 1000)}" for note in found.notes)
    yield ""
    changed = [*(("worse", case) for case in found.worse), *(("better", case) for case in found.better)]
    if changed and found.baseline and found.candidate:
        head = ("Change", "Case", code(found.baseline.name), code(found.candidate.name), "Reason")
        yield from _table(head, (_changed(word, case) for word, case in changed))


def _changed(word: str, case: ChangedCase) -> tuple[str, ...]:
    return word, code(case.case), prose(case.baseline), prose(case.candidate), prose(case.reason or "")


def _matrix(report: SideBySide, *, several_suites: bool) -> Iterator[str]:
    yield "## Cases"
    yield ""
    if report.left_out:
        yield f"{report.left_out} cases that pass in all runs are not shown; all numbers above count them."
        yield ""
    yield from _table(
        ("Case", *(code(name) for name in report.names), "Best"),
        (
            (
                (f"{code(row.suite)} " if several_suites else "") + code(row.case),
                *(_cell(cell) for cell in row.cells),
                _best(row.best, report.names),
            )
            for row in report.rows
        ),
    )


def _cell(cell: Cell) -> str:
    if cell.result is None:
        return cell.absent or ""
    result = cell.result
    said = f"{MARKS[result.verdict]} {score(result.score, cell.deviation)}"
    return said + (f" ({over_trials(result)})" if result.trials > 1 else "")


def _best(best: Sequence[str], names: Sequence[str]) -> str:
    return "all equal" if len(best) == len(names) else ", ".join(code(name) for name in best)


def _evidence(report: SideBySide) -> Iterator[str]:
    """Cases that the runs do not do alike, or that one does not pass: what was expected, called, and different."""
    told = [row for row in report.rows if row.differs or any(cell.differences or _lost(cell) for cell in row.cells)]
    if not told:
        return
    yield "## Evidence"
    yield ""
    if len(told) < len(report.rows):
        yield f"{len(report.rows) - len(told)} cases that all runs pass, and do alike, are left out here."
        yield ""
    found = [{(run.summary.run.suite, case.id): case for case in run.cases} for run in report.runs]
    for row in told:
        cases = [by_key.get((row.suite, row.case)) for by_key in found]
        marks = ", ".join(_case_mark(case) if case else "absent" for case in cases)
        yield from _details(f"{_in_summary(row.case)}: {marks}", _row(report, row, cases))


def _row(report: SideBySide, row: Row, cases: Sequence[CaseReport | None]) -> Iterator[str]:
    first = next(case for case in cases if case is not None)
    yield from (f"- Asked: {' then '.join(code(message) for message in asked)}" for asked in first.asked)
    yield ""
    for name, cell in zip(report.names[1:], row.cells[1:], strict=True):
        if cell.differences:
            yield from _table(
                ("Difference", code(report.names[0]), code(name)),
                (
                    (code(found.what), *("" if side is None else code(side) for side in (found.first, found.here)))
                    for found in cell.differences
                ),
            )
    for name, case in zip(report.names, cases, strict=True):
        if case is None or case.result is None:
            continue
        trial = shown_trial(case)
        which = f", trial {trial.index}" if trial and case.result.trials > 1 else ""
        yield f"**{code(name)}: {_case_mark(case)}, {score(case.result.score, case.deviation)}{which}**"
        yield ""
        yield from _spreads(case)
        if trial:
            yield from _trial(trial, named=False)


def _lost(cell: Cell) -> bool:
    return cell.result is None or cell.result.verdict != "passed"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""
