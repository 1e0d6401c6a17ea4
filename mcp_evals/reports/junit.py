"""Runs as JUnit XML, as CI systems read it: a suite for each run, a test for each case, the verdict over its trials.

A case that fails is a `failure`; one that could not be scored is an `error`, and so is one that was never held because
the run broke off: half a run must not look green. While a run goes on, what is to come is `skipped`. A warned case passes.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final
from xml.etree import ElementTree as ET

from mcp_evals.reports.document import CallRow, CaseReport, Report, RunReport, TrialReport, shown_trial
from mcp_evals.reports.words import MARKS, check_name, check_reason, check_state, over_trials, score
from mcp_evals.results import RunStatus
from mcp_evals.text import shorten
from mcp_evals.views import call_text

ATTRIBUTE: Final = 500
"""Characters of an attribute; the whole evidence stands in the test's output."""
OUTPUT: Final = 20_000
"""Characters of a test's output."""
_BROKEN_OFF: Final[frozenset[RunStatus]] = frozenset({"failed", "cancelled", "interrupted"})
# What XML 1.0 cannot carry in any spelling, beyond what `shorten` takes away.
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_report(report: Report) -> str:
    """One run, or several, as JUnit XML."""
    runs: Sequence[tuple[str, RunReport]] = (
        [(report.summary.run.label or _target(report), report)]
        if isinstance(report, RunReport)
        else list(zip(report.names, report.runs, strict=True))
    )
    root = ET.Element("testsuites", name="mcp-evals")
    for name, run in runs:
        root.append(_suite(name, run))
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, 0)) for suite in root)))
    root.set("time", f"{sum(float(suite.get('time', 0)) for suite in root):.3f}")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")


def _suite(name: str, report: RunReport) -> ET.Element:
    run = report.summary.run
    verdicts = [case.result.verdict if case.result else None for case in report.cases]
    missing, broken = verdicts.count(None), run.status in _BROKEN_OFF
    suite = ET.Element(
        "testsuite",
        name=_attribute(f"{run.suite}: {name}"),
        id=_attribute(run.id),
        tests=str(len(verdicts)),
        failures=str(verdicts.count("failed")),
        errors=str(verdicts.count("errored") + (missing if broken else 0)),
        skipped=str(0 if broken else missing),
        time=f"{sum(_seconds(case) for case in report.cases):.3f}",
        timestamp=f"{run.created_at:%Y-%m-%dT%H:%M:%S}",
    )
    suite.append(_properties(_run_facts(report)))
    for case in report.cases:
        suite.append(_test(f"{run.suite}.{name}", case, run.status))
    said = [report.sentence, *report.notes]
    ET.SubElement(suite, "system-out").text = _text("\n".join(said))
    return suite


def _run_facts(report: RunReport) -> Iterator[tuple[str, str]]:
    summary, run = report.summary, report.summary.run
    yield "run", run.id
    yield "status", run.status
    yield "suite_digest", run.suite_digest
    yield "target", run.target
    if run.track:
        yield "track", run.track
    yield "trials_of_each_case", str(run.settings.trials)
    yield "seed", str(run.settings.seed)
    for name, estimate in (("pass_rate", summary.pass_rate), ("score", summary.score)):
        if estimate:
            yield name, f"{estimate.value:.4f}"
            yield f"{name}_low", f"{estimate.low:.4f}"
            yield f"{name}_high", f"{estimate.high:.4f}"
            yield f"{name}_n", str(estimate.n)
    yield "errored_trials", str(summary.trials.errored)
    for name, cost in (("cost_usd", summary.cost_usd), ("judge_cost_usd", summary.judge_cost_usd)):
        if cost is not None:
            yield name, f"{cost:.6f}"
    if report.left_out:
        yield "passed_cases_left_out", str(report.left_out)


def _test(classname: str, case: CaseReport, status: RunStatus) -> ET.Element:
    test = ET.Element(
        "testcase", name=_attribute(case.id), classname=_attribute(classname), time=f"{_seconds(case):.3f}"
    )
    result = case.result
    if result is None:
        tag = "error" if status in _BROKEN_OFF else "skipped"
        ET.SubElement(test, tag, message=f"not held: the run is {status}", type="not_held")
        return test
    facts = [("verdict", result.verdict), ("trials", over_trials(result)), ("score", score(result.score))]
    facts += [("deviation", f"{case.deviation:.4f}")] if case.deviation is not None else []
    facts += [("flaky", "true")] if result.flaky else []
    facts += [("tags", ", ".join(case.tags))] if case.tags else []
    test.append(_properties(facts))
    evidence = _text("\n".join(_evidence(case)))
    if result.verdict in {"failed", "errored"}:
        shown = shown_trial(case)
        kind = shown.error.kind if shown and shown.error else result.verdict
        element = ET.SubElement(
            test,
            "failure" if result.verdict == "failed" else "error",
            message=_attribute(result.reason or result.verdict),
            type=_attribute(kind),
        )
        element.text = evidence
    else:
        ET.SubElement(test, "system-out").text = evidence
    return test


def _evidence(case: CaseReport) -> Iterator[str]:
    """Each trial: verdict, reason, expected calls against those that were made, other checks that lost."""
    for number, asked in enumerate(case.asked):
        yield f"asked{f' ({number + 1})' if len(case.asked) > 1 else ''}: {' / '.join(asked)}"
    for trial in case.trials:
        reason = f": {trial.reason}" if trial.reason else ""
        yield f"trial {trial.index}: {MARKS[trial.verdict]}, {score(trial.score)}{reason}"
        for row in trial.calls:
            yield f"  {_call(row)}"
            yield from (f"    {check.field}: {check.reason}" for check in row.arguments if check.reason)
        yield from _lost_checks(trial)


def _lost_checks(trial: TrialReport) -> Iterator[str]:
    for check in trial.checks:
        if not check.name.startswith("call.") and check.score != 1:
            reason = f": {check_reason(check.reason)}" if check.reason else ""
            yield f"  {check_name(check)} {check_state(check.score)}{reason}"


def _call(row: CallRow) -> str:
    sides = (("expected", row.expected), ("called", row.actual))
    said = [f"{side} {call_text(call.name, call.arguments)}" for side, call in sides if call is not None]
    return f"{(row.status or 'call').replace('_', ' ')}: {', '.join(said)}"


def _properties(facts: Sequence[tuple[str, str]] | Iterator[tuple[str, str]]) -> ET.Element:
    element = ET.Element("properties")
    for name, value in facts:
        ET.SubElement(element, "property", name=name, value=_attribute(value))
    return element


def _target(report: RunReport) -> str:
    run = report.summary.run
    return f"{run.target} on {run.track}" if run.track else run.target


def _seconds(case: CaseReport) -> float:
    return sum(trial.duration_s for trial in case.trials)


def _attribute(text: str) -> str:
    return _NO_XML.sub("", shorten(text, ATTRIBUTE))


def _text(text: str) -> str:
    return _NO_XML.sub("", shorten(text, OUTPUT, keep_lines=True))
