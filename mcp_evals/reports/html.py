"""One self-contained HTML page for a report: light and dark, printable, whole without JavaScript, nothing from outside.

What a model wrote is data everywhere: escaped by the template, cut, and each piece in a direction of its own. Scripts
and styles are named in the page's security policy by their hash, so that nothing else runs, whatever was written.
"""

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib.resources import files
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

from pydantic import JsonValue

from mcp_evals.conversation import Message, Step, ToolCall, Transcript
from mcp_evals.reports.document import (
    CallRow,
    CaseReport,
    Report,
    Row,
    RunReport,
    SideBySide,
    TrialReport,
    shown_trial,
)
from mcp_evals.reports.words import LIMIT_OF_WHOLE_POINTS, over_trials, settings_line, signed, tokens
from mcp_evals.results import Comparison, Estimate
from mcp_evals.text import shorten

CASES: Final = 2_000
"""Cases that a page lists; those that pass are left out first."""
TRIALS: Final = 4_000
"""Trials whose evidence a page holds; each case keeps the one that tells most."""
TRANSCRIPTS: Final = 3_000_000
"""Characters of all transcripts of a page together."""
TRANSCRIPT: Final = 20_000
"""Characters of one transcript at most."""
LEAST: Final = 600
"""Characters of one transcript where there are very many."""
ENTRY: Final = 40
"""Characters that an entry of a conversation counts beside its text."""
TEXT: Final = 2_000
"""Characters of a question, an answer or a prompt."""
ARGUMENTS: Final = 40
"""Arguments of one call."""
VALUE: Final = 400
"""Characters of an argument or of what a check found."""


def render_html(report: Report) -> str:
    """The report as one HTML document."""
    from jinja2 import Environment, PackageLoader  # slow to load

    environment = Environment(
        loader=PackageLoader("mcp_evals.reports"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        value=_value, text=_text, line=_line, share=share, points=points, score=_score, money=_money, words=_words
    )
    style, script = _asset("report.css"), _asset("report.js")
    shown = _run_page(report) if isinstance(report, RunReport) else _side_by_side_page(report)
    asked: dict[str, Any] = {
        "argument_rows": argument_rows,
        "call_parts": call_parts,
        "talk": talk,
        "scale": scale,
        "gap_scale": gap_scale,
        "flags": FLAGS,
        "over_trials": over_trials,
        "settings_line": settings_line,
        "tokens": tokens,
    }
    return environment.get_template(shown.template).render(
        report=report, policy=_policy(style, script), style=style, script=script, **asked, **shown.values
    )


def app_html() -> str:
    """The page that a host shows beside a tool's result; it draws what the host hands it, and is the same for all."""
    style, script = _asset("report.css") + _asset("app.css"), _asset("app.js")
    page = _asset("app.html").replace("{{ policy }}", _policy(style, script))
    return page.replace("{{ style }}", style).replace("{{ script }}", script)


def _asset(name: str) -> str:
    return (files("mcp_evals.reports") / "templates" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Nothing from anywhere, and of what stands in the page only this style and this script."""
    hashes = [f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in (style, script)]
    return f"default-src 'none'; style-src {hashes[0]}; script-src {hashes[1]}; base-uri 'none'; form-action 'none'"


# --- pages


class _Page(NamedTuple):
    template: str
    values: dict[str, Any]


class _Listed(NamedTuple):
    """A case with the trials whose evidence is shown."""

    number: int
    case: CaseReport
    first: TrialReport | None
    """The trial that tells most."""
    others: Sequence[TrialReport]
    """Further trials, in their order."""
    hidden: Sequence[TrialReport]
    """Trials that are only named."""


def _run_page(report: RunReport) -> _Page:
    ordered = sorted(report.cases, key=_worst_first)
    kept = ordered[:CASES]
    each = max(1, TRIALS // max(1, len(kept)))
    listed = [_listed(number, case, each) for number, case in enumerate(kept, 1)]
    told = sum(
        bool(trial.transcript) for entry in listed for trial in (entry.first, *entry.others) if trial is not None
    )
    groups = [
        ("lost", "Did not pass", [entry for entry in listed if _group(entry.case) == 0]),
        ("unsure", "Passed, but not always or not clearly", [entry for entry in listed if _group(entry.case) == 1]),
        ("passed", "Passed", [entry for entry in listed if _group(entry.case) == 2]),
        ("open", "Not held yet", [entry for entry in listed if _group(entry.case) == 3]),
    ]
    return _Page(
        "run.html",
        {
            "groups": [group for group in groups if group[2]],
            "tags": sorted({tag for entry in listed for tag in entry.case.tags}),
            "unlisted": len(ordered) - len(kept),
            "limit": _transcript_limit(told),
        },
    )


def _listed(number: int, case: CaseReport, each: int) -> _Listed:
    first = shown_trial(case)
    rest = [trial for trial in case.trials if trial is not first]
    return _Listed(number, case, first, rest[: each - 1], rest[each - 1 :])


def _group(case: CaseReport) -> Literal[0, 1, 2, 3]:
    if case.result is None:
        return 3
    if case.result.verdict in {"failed", "errored"}:
        return 0
    return 1 if case.result.flaky or case.result.verdict == "warned" else 2


def _worst_first(case: CaseReport) -> tuple[int, bool, float]:
    score = case.result.score if case.result and case.result.score is not None else 0.0
    group = _group(case)
    errored = case.result is not None and case.result.verdict == "errored"
    return group, errored, score if group < 2 else 0.0


class _SideRow(NamedTuple):
    """A case in all runs, with the trial of each that is shown."""

    number: int
    row: Row
    case: CaseReport
    """As the first run that has it holds it."""
    trials: Sequence[TrialReport | None]


def _side_by_side_page(report: SideBySide) -> _Page:
    found = [{(run.summary.run.suite, case.id): case for case in run.cases} for run in report.runs]
    ordered = sorted(report.rows, key=lambda row: (not row.differs, not any(cell.differences for cell in row.cells)))
    rows: list[_SideRow] = []
    for number, row in enumerate(ordered[:CASES], 1):
        cases = [cases.get((row.suite, row.case)) for cases in found]
        held = next(case for case in cases if case is not None)
        rows.append(_SideRow(number, row, held, [None if case is None else shown_trial(case) for case in cases]))
    told = sum(bool(trial and trial.transcript) for entry in rows for trial in entry.trials)
    groups = [
        ("differs", "Verdicts differ", [entry for entry in rows if entry.row.differs]),
        ("alike", "Same verdict in all", [entry for entry in rows if not entry.row.differs]),
    ]
    return _Page(
        "side_by_side.html",
        {
            "sentence": report.comparison.sentence if report.comparison else _plain_sentence(report),
            "groups": [group for group in groups if group[2]],
            "tags": sorted({tag for entry in rows for tag in entry.row.tags}),
            "numbers": {entry.row.case: entry.number for entry in rows},
            "unlisted": len(ordered) - len(rows),
            "limit": _transcript_limit(told),
            "several_suites": len({row.suite for row in report.rows}) > 1,
        },
    )


def _plain_sentence(report: SideBySide) -> str:
    rates = {
        name: run.summary.pass_rate
        for name, run in zip(report.names, report.runs, strict=True)
        if run.summary.pass_rate is not None
    }
    seen = "; ".join(f"{name} {share(rate.value, rate.n)}" for name, rate in rates.items())
    return f"{len(report.rows)} cases in {len(report.runs)} runs. " + (
        f"Passed: {seen}. What may be claimed of the difference was not asked." if seen else "Nothing is scored yet."
    )


def _transcript_limit(count: int) -> int:
    return max(LEAST, min(TRANSCRIPT, TRANSCRIPTS // max(1, count)))


# --- calls


class CallParts(NamedTuple):
    """A call as it is printed."""

    name: str
    arguments: tuple[tuple[str, str], ...]
    raw: str | None
    """What the model wrote in the place of arguments, where that is no object."""


class ArgumentRow(NamedTuple):
    """One argument, as it was expected and as it was given."""

    field: str
    fits: Literal["fits", "partly", "wrong", "unasked"]
    """`unasked`: the model gave it and nothing was expected of it."""
    expected: str | None
    actual: str | None
    score: float | None
    reason: str | None


def call_parts(call: ToolCall) -> CallParts:
    """A call in pieces, each cut."""
    name = shorten(call.name, VALUE)
    if isinstance(call.arguments, str):
        return CallParts(name, (), shorten(call.arguments, TEXT))
    given = [(_line(key), _value(value)) for key, value in islice(call.arguments.items(), ARGUMENTS)]
    more = len(call.arguments) - len(given)
    return CallParts(name, (*given, *([("…", f"{more} more")] if more > 0 else [])), None)


def argument_rows(row: CallRow) -> list[ArgumentRow]:
    """The arguments of an expected and an actual call, one beside the other; empty where one side is missing."""
    if row.expected is None or row.actual is None:
        return []
    asked = _arguments(row.expected)
    given = _arguments(row.actual)
    rows = [
        ArgumentRow(
            field=_line(check.field),
            fits="fits" if check.score >= 1 else "partly" if check.score > 0 else "wrong",
            expected=_side(check.expected, asked, check.field),
            actual=_side(check.actual, given, check.field),
            score=check.score,
            reason=None if check.reason is None else shorten(check.reason, VALUE),
        )
        for check in row.arguments
    ]
    checked = {check.field for check in row.arguments} | {check.field.partition(".")[0] for check in row.arguments}
    further = [field for field in given if field not in checked]
    return [*rows, *(ArgumentRow(_line(field), "unasked", None, _value(given[field]), None, None) for field in further)]


def _arguments(call: ToolCall) -> dict[str, JsonValue]:
    return call.arguments if isinstance(call.arguments, dict) else {}


def _side(value: JsonValue, arguments: dict[str, JsonValue], field: str) -> str | None:
    """The value, or None where there is none; a null that was written is one."""
    return _value(value) if value is not None or arguments.get(field, ...) is None else None


# --- conversations


class Said(NamedTuple):
    """One thing that was said or done."""

    who: Literal["system", "user", "assistant", "call", "result", "failed result", "earlier"]
    text: str
    call: CallParts | None = None


class Talk(NamedTuple):
    """A conversation within a limit of characters."""

    said: tuple[Said, ...]
    left_out: int
    """Characters that were cut."""


def talk(transcript: Transcript, limit: int) -> Talk:
    """What was said, from the beginning on, up to `limit` characters."""
    kept: list[Said] = []
    used = left_out = 0
    for said, call in _said(transcript):
        size = len(said.text) + (len(str(call.arguments)) if call else 0)
        room = limit - used
        left_out += max(0, size - max(0, room))
        if room <= 0:
            continue
        used += ENTRY + size
        kept.append(said._replace(text=shorten(said.text, room, keep_lines=True)))
    return Talk(tuple(kept), left_out)


def _said(transcript: Transcript) -> Iterator[tuple[Said, ToolCall | None]]:
    if transcript.system:
        yield Said("system", transcript.system), None
    for message in transcript.history:
        yield from _earlier(message)
    for invocation in transcript.invocations:
        yield Said("user", invocation.user), None
        for step in invocation.steps:
            yield from _step(step)


def _earlier(message: Message) -> Iterator[tuple[Said, ToolCall | None]]:
    yield Said("earlier", f"{message.role}: {message.text}"), None
    for call in message.calls:
        yield Said("call", "", call_parts(call)), call
    for result in message.results:
        yield Said("failed result" if result.is_error else "result", result.text), None


def _step(step: Step) -> Iterator[tuple[Said, ToolCall | None]]:
    if step.text:
        yield Said("assistant", step.text), None
    for call in step.calls:
        yield Said("call", "", call_parts(call)), call
    for result in step.results:
        yield Said("failed result" if result.is_error else "result", result.text), None


# --- pictures: places on a scale, in percent of its width


class Place(NamedTuple):
    """An interval on a scale."""

    low: float
    value: float
    high: float


class GapScale(NamedTuple):
    """A difference on a scale that is as wide to the left as to the right of its zero."""

    bound: int
    """Points at its ends."""
    place: Place
    margin_low: float
    margin_high: float


def scale(estimate: Estimate) -> Place:
    """A share on the scale from 0 to 100."""
    return Place(*(round(100 * min(1.0, max(0.0, end)), 2) for end in (estimate.low, estimate.value, estimate.high)))


def gap_scale(comparison: Comparison) -> GapScale | None:
    """A difference on a scale that holds its interval and the margin; None where there is none."""
    gap = comparison.difference
    if gap is None:
        return None
    widest = 100 * max(abs(gap.low), abs(gap.high), comparison.margin * 1.5)
    bound = next((bound for bound in (5, 10, 20, 30, 40, 50, 60, 80) if widest <= bound), 100)

    def at(value: float) -> float:
        return round(50 + 50 * max(-1.0, min(1.0, 100 * value / bound)), 2)

    place = Place(at(gap.low), at(gap.value), at(gap.high))
    return GapScale(bound, place, at(-comparison.margin), at(comparison.margin))


FLAGS: Final = {
    "borderline": "Of test and interval only one shows a difference: treat it as undecided.",
    "fragile": "Without a case or two the answer would be another.",
    "negligible": "The gap is smaller than what was said to matter.",
    "small_sample": "Few independent cases: intervals are wide and claims are weak.",
    "errors_decide": "The answer depends on trials that could not be held.",
    "many_errors": "Many trials have no score and are left out.",
    "stopped_early": "The runs were stopped when the answer was clear: the gap is probably overstated.",
}
"""What a careful reader has to know of a comparison."""


# --- words and numbers


def share(value: float, n: int = 0) -> str:
    """A share in percent, with a decimal where so many cases carry one."""
    return f"{value:.{_digits(n)}%}"


def points(value: float, n: int = 0) -> str:
    """A difference in points, with its sign."""
    return signed(value, _digits(n)).replace("-", "\u2212")


def _digits(n: int) -> int:
    return 0 if n < LIMIT_OF_WHOLE_POINTS else 1


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _money(value: float | None) -> str:
    return "unknown" if value is None else f"${value:.4f}" if value < 1 else f"${value:,.2f}"


def _words(value: str) -> str:
    return value.replace("_", " ")


def _value(value: JsonValue) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), VALUE)


def _line(value: str) -> str:
    return shorten(value, VALUE)


def _text(value: str, limit: int = TEXT) -> str:
    return shorten(value, limit, keep_lines=True)
