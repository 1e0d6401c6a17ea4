"""Turn suites, runs and trials into answers: the few facts that a reader needs first. Pure."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydantic import JsonValue

from mcp_evals.answers import CallLine, CaseLine, CheckLine, FailedCase, RunAnswer, TrialAnswer
from mcp_evals.conversation import Transcript
from mcp_evals.results import AlignedCall, CaseResult, Check, Outcome, RunSummary, Trial
from mcp_evals.scoring.judge import NO_JUDGE
from mcp_evals.suite import Case, Expect
from mcp_evals.text import fence, shorten

PAGE: Final = 10
"""Failures that an answer names."""
VALUE: Final = 200
"""Characters of a value that a model wrote."""
TRANSCRIPT: Final = 12_000
"""Characters of a transcript that is shown on request."""


def run_answer(summary: RunSummary, outcomes: Sequence[Outcome], *, offset: int = 0, page: int = PAGE) -> RunAnswer:
    """What a run came to, with a page of the cases that did not pass."""
    run = summary.run
    lost = sorted((r for r in summary.results if r.verdict in {"failed", "errored"}), key=_worst_first)
    shown = lost[offset : offset + page]
    errors = Counter(outcome.error_kind for outcome in outcomes if outcome.error_kind)
    unevaluated = sum(outcome.verdict == "errored" and not outcome.error_kind for outcome in outcomes)
    return RunAnswer(
        run_id=run.id,
        status=run.status,
        suite=run.suite,
        target=run.target,
        track=run.track,
        done=summary.trials.done,
        total=summary.trials.planned,
        verdict=_sentence(summary),
        pass_rate=summary.pass_rate,
        score=summary.score,
        cases=summary.cases,
        failures=tuple(_failed(result) for result in shown),
        more_failures=max(0, len(lost) - offset - len(shown)),
        errors={**errors, **({"not_evaluated": unevaluated} if unevaluated else {})},
        by_tag={tag: f"{t.passed + t.warned}/{t.scored}" for tag, t in summary.by_tag.items()},
        cost_usd=summary.cost_usd,
        judge_cost_usd=summary.judge_cost_usd,
        input_tokens=summary.usage.input_tokens if summary.usage else None,
        output_tokens=summary.usage.output_tokens if summary.usage else None,
        notes=(*run.notes, *((f"the run stopped: {run.error}",) if run.error else ())),
        next_step=_next_step(summary, lost),
    )


def trial_answer(
    case: Case,
    trial: Trial,
    *,
    run_id: str | None = None,
    transcript_fence: str | None = None,
    others: Sequence[Outcome] = (),
    form: str | None = None,
    next_step: str = "",
) -> TrialAnswer:
    """One trial with its evidence; the transcript only where a fence for it is given."""
    score = trial.score
    shown = trial.transcript if transcript_fence else None
    return TrialAnswer(
        run_id=run_id,
        case=case.id,
        trial=trial.index,
        verdict=trial.verdict,
        score=score.score if score else None,
        reason=score.reason if score else trial.error.message if trial.error else "not scored yet",
        calls=call_lines(case, trial),
        checks=tuple(_check_line(check) for check in sorted(score.checks, key=_lost_first)) if score else (),
        transcript=fence(transcript_text(shown), transcript_fence) if shown and transcript_fence else None,
        form=form,
        other_trials=", ".join(f"{other.index} {other.verdict}" for other in others[:40]) or None,
        self_scored=trial.self_scored,
        next_step=next_step,
    )


def call_lines(case: Case, trial: Trial) -> tuple[CallLine, ...]:
    """Expected and actual calls side by side, turn after turn."""
    if trial.score is None or trial.transcript is None:
        return ()
    transcript = trial.transcript
    expects: list[Expect] = [turn.expect for turn in case.turns] or [case.expect]
    if case.turns:
        expects.append(case.expect)
    lines: list[CallLine] = []
    for index, (expect, rows) in enumerate(zip(expects, trial.score.calls, strict=False)):
        whole = index >= len(case.turns) or index >= len(transcript.invocations)
        made = transcript.trajectory if whole else transcript.invocations[index].trajectory
        lines += [_call_line(row, expect, made) for row in rows]
    return tuple(lines)


def case_line(case: Case) -> CaseLine:
    """One case in short."""
    asked = " / ".join(case.user_turns()) or (case.scenario.opening if case.scenario else _json(case.input))
    return CaseLine(id=case.id, tags=case.tags, user=shorten(asked, VALUE), expects=shorten(_expects(case), VALUE))


def call_text(name: str, arguments: Any) -> str:
    """A call as a reader knows it: `get_weather(city="Oslo")`."""
    if not isinstance(arguments, dict):
        return f"{name}({arguments})"
    inner = ", ".join(f"{key}={_json(value)}" for key, value in arguments.items())  # pyright: ignore[reportUnknownVariableType]
    return f"{name}({inner})"


def transcript_text(transcript: Transcript) -> str:
    """A conversation as plain lines, cut."""
    lines: list[str] = []
    if transcript.system:
        lines.append(f"system: {transcript.system}")
    lines += [
        f"{message.role} (earlier): {message.text}"
        + "".join(f" {call_text(c.name, c.arguments)}" for c in message.calls)
        for message in transcript.history
    ]
    for invocation in transcript.invocations:
        lines.append(f"user: {invocation.user}")
        for step in invocation.steps:
            lines += [f"assistant: {step.text}"] * bool(step.text)
            lines += [f"call: {call_text(call.name, call.arguments)}" for call in step.calls]
            lines += [f"{'tool error' if result.is_error else 'tool'}: {result.text}" for result in step.results]
    return shorten("\n".join(lines), TRANSCRIPT, keep_lines=True)


def _sentence(summary: RunSummary) -> str:
    cases, run = summary.cases, summary.run
    passed = cases.passed + cases.warned
    if not cases.scored:
        return "Nothing is scored yet." if not cases.errored else f"No case could be scored: {cases.errored} errored."
    small = "Small sample: " if cases.scored < 30 else ""
    missing = f" {cases.errored} could not be scored and are left out." if cases.errored else ""
    so_far = " so far" if run.status == "working" else ""
    low, high = (summary.pass_rate.low, summary.pass_rate.high) if summary.pass_rate else (0.0, 1.0)
    return (
        f"{small}{passed} of {cases.scored} cases passed{so_far}; on cases like these expect between {low:.0%} and {high:.0%}."
        f"{missing}"
    )


def _next_step(summary: RunSummary, lost: Sequence[CaseResult]) -> str:
    run = summary.run
    if run.status == "working":
        return f'get_run(run_id="{run.id}", wait_s=30) until the status is completed'
    if run.status == "interrupted":
        return f'control_run(run_id="{run.id}", action="resume"): only the missing trials are run'
    if summary.trials.done < summary.trials.planned:
        return f'control_run(run_id="{run.id}", action="resume") for the missing trials'
    if any(NO_JUDGE in (result.reason or "") for result in lost):
        return f'judge_run(run_id="{run.id}") to judge it yourself, or name a judge'
    if summary.trials.errored:
        return f'control_run(run_id="{run.id}", action="rerun_errored"), or get_run with case=… to see an error'
    if lost:
        return f'get_run(run_id="{run.id}", case="{lost[0].case_id}") for the evidence of the worst case'
    return "run another target on the same suite and compare the two"


def _failed(result: CaseResult) -> FailedCase:
    return FailedCase(
        case=result.case_id,
        verdict=result.verdict,
        score=result.score,
        trials=f"{result.passed}/{result.trials - result.errored}",
        reason=None if result.reason is None else shorten(result.reason, VALUE),
    )


def _worst_first(result: CaseResult) -> tuple[bool, float]:
    return result.verdict == "errored", result.score or 0.0


def _lost_first(check: Check) -> tuple[bool, float]:
    return check.informational, 2.0 if check.score is None else check.score


def _check_line(check: Check) -> CheckLine:
    return CheckLine(
        name=check.name,
        score=check.score,
        gate=check.weight is None and not check.informational,
        expected=_cut(check.expected),
        actual=_cut(check.actual),
        reason=check.reason,
        judge=check.judge,
    )


def _call_line(row: AlignedCall, expect: Expect, made: Sequence[Any]) -> CallLine:
    expected = actual = None
    if row.expected is not None:
        call = expect.all_calls[row.expected]
        expected = call_text(call.tool, call.args)
    if row.actual is not None and row.actual < len(made):
        actual = call_text(made[row.actual].name, made[row.actual].arguments)
    why = tuple(f"{check.field}: {check.reason}" for check in row.arguments if check.reason)
    return CallLine(
        status=row.status,
        expected=None if expected is None else shorten(expected, VALUE),
        actual=None if actual is None else shorten(actual, VALUE),
        why=tuple(shorten(line, VALUE) for line in why),
    )


def _expects(case: Case) -> str:
    return " / ".join(_expectation(expect) for expect in [*(turn.expect for turn in case.all_turns)] or [case.expect])


def _expectation(expect: Expect) -> str:
    parts: list[str] = []
    if expect.calls is not None:
        calls = ", ".join(call_text(call.tool, call.args) for call in expect.calls) or "no call"
        ways = len(expect.alternatives)
        calls += f" (or {ways} other way{'s' if ways > 1 else ''})" if ways else ""
        parts.append(calls + ("" if expect.order == "any" else f" {expect.order.replace('_', ' ')}"))
    parts += [f"require {tool}" for tool in expect.require]
    parts += [f"forbid {tool}" for tool in expect.forbid]
    parts += ["some call"] * expect.any_call
    parts += [f"{check.name} {_json(getattr(check, check.name))}" for check in expect.text]
    if expect.limits:
        parts += [f"{name} ≤ {limit}" for name, limit in expect.limits.model_dump(exclude_none=True).items()]
    parts += ["state"] * (expect.state is not None)
    return "; ".join(parts) or "nothing"


def _cut(value: JsonValue) -> JsonValue:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else _json(value)
    return value if len(text) <= VALUE and not isinstance(value, str) else shorten(text, VALUE)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def first_words(items: Iterable[str], most: int = 20) -> str:
    """A list in a line, cut."""
    listed = list(items)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
