"""Score one transcript against one case. Pure: no model, no network, no clock."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from mcp_evals.conversation import Invocation, Step, ToolCall, ToolDefinition, Transcript, Usage
from mcp_evals.json_match import json_difference
from mcp_evals.matching import weight_number
from mcp_evals.results import AlignedCall, CaseScore, Check, Judgement
from mcp_evals.scoring.calls import SURPLUS, Fit, Names, fit_calls
from mcp_evals.scoring.judge import NO_JUDGE, conversation_before, judge_status, judgement_key
from mcp_evals.scoring.state import state_after
from mcp_evals.suite import Case, Expect, ExpectedCall, Limits, Rubric, ToolState, Turn
from mcp_evals.text_expectations import Judged, TextExpectation


def score_case(
    case: Case,
    transcript: Transcript,
    rubric: Rubric,
    *,
    tools: Sequence[ToolDefinition] = (),
    judgements: Mapping[str, Judgement] | None = None,
    cost_usd: float | None = None,
    metric_checks: Iterable[Check] = (),
    state: ToolState | None = None,
) -> CaseScore:
    """Score, verdict and evidence of one conversation.

    `tools` are those that were on offer: they tell hallucinated tools and the schema's defaults. `judgements` are a
    judge's answers by question; a judged criterion without one is not evaluated. `metric_checks` are checks made
    elsewhere, of named metrics. `state` says what calls change, where the tools keep a state. A judge that was not compared with people fails no case alone: it warns.
    """
    if rubric.convention == "arcade":
        from mcp_evals.scoring.arcade import score_case_by_arcade  # few suites ask for it; the server starts without

        return _gated(score_case_by_arcade(case, transcript, rubric, tools=tools), tuple(metric_checks))
    evidence = _Evidence(rubric, Names(rubric, tools), judgements or {}, cost_usd)
    scopes = _scopes(case, transcript, state)
    parts = [evidence.of(expect, scope) for expect, scope in scopes]
    extra = tuple(metric_checks)
    # Named metrics are gates: where something else is scored, one that passes must not lift the mean.
    counted = [part.checks for part in parts] if any(part.checks for part in parts) else [extra]
    return _decide(
        (*(check for part in parts for check in part.checks), *extra),
        _mean(counted),
        _mean([_granted(check) for check in checks] for checks in counted),
        rubric,
        calls=tuple(part.aligned for part in parts),
        turn_scores=tuple(_weighted(part.checks) for part in parts[: len(case.turns)]),
    )


def judged_questions(case: Case, transcript: Transcript) -> tuple[tuple[str, Judged, str, str], ...]:
    """What a judge has to answer: key, criterion, the conversation so far and the answer, each question once."""
    questions = [
        (_question_key(check, scope), check, scope.conversation, scope.text)
        for expect, scope in _scopes(case, transcript)
        for check in expect.text
        if isinstance(check, Judged)
    ]
    return tuple({question[0]: question for question in questions}.values())


# --- what a check may look at


class _Scope(NamedTuple):
    """The part of a conversation that an expectation speaks of."""

    turn: int | None
    transcript: Transcript
    calls: tuple[ToolCall, ...]
    text: str
    steps: tuple[Step, ...]
    state: JsonValue

    @property
    def conversation(self) -> str:
        return conversation_before(self.transcript, self.turn)


def _scopes(case: Case, transcript: Transcript, rules: ToolState | None = None) -> list[tuple[Expect, _Scope]]:
    whole = _Scope(
        None,
        transcript,
        transcript.trajectory,
        transcript.final_text,
        transcript.steps,
        _state(rules, transcript, len(transcript.invocations)),
    )
    if not case.turns:
        return [(case.expect, whole)]
    turns = [(turn.expect, _turn_scope(turn, index, transcript, rules)) for index, turn in enumerate(case.turns)]
    return [*turns, (case.expect, whole)] if case.expect != Expect() else turns


def _turn_scope(turn: Turn, index: int, transcript: Transcript, rules: ToolState | None) -> _Scope:
    said = transcript.invocations
    # A conversation that broke off has no such turn: its expectations meet silence.
    invocation = said[index] if index < len(said) else Invocation(user=str(turn.user))
    state = _state(rules, transcript, index + 1)
    return _Scope(index, transcript, invocation.trajectory, invocation.final_text, invocation.steps, state)


def _state(rules: ToolState | None, transcript: Transcript, turns: int) -> JsonValue:
    """The state after so many turns: worked out where the suite says how, else as it was read at the end."""
    if rules is not None and rules.read is None:
        return state_after(rules, transcript.invocations[:turns])
    return transcript.state if turns >= len(transcript.invocations) else None


# --- evidence


class _Part(NamedTuple):
    checks: tuple[Check, ...]
    aligned: tuple[AlignedCall, ...]


class _Evidence:
    """Makes the checks of one scope after the other, under one rubric."""

    def __init__(
        self, rubric: Rubric, names: Names, judgements: Mapping[str, Judgement], cost_usd: float | None
    ) -> None:
        self._rubric, self._names, self._judgements, self._cost_usd = rubric, names, judgements, cost_usd

    def of(self, expect: Expect, scope: _Scope) -> _Part:
        checks: list[Check] = []
        aligned: tuple[AlignedCall, ...] = ()
        if expect.calls is not None:
            fitted = [self._calls_part(expect, calls, scope) for calls in (expect.calls, *expect.alternatives)]
            best = max(range(len(fitted)), key=lambda number: _worth(fitted[number].checks))
            before = sum(map(len, (expect.calls, *expect.alternatives)[:best]))
            aligned = tuple(_moved(row, before) for row in fitted[best].aligned)
            checks += fitted[best].checks
        checks += self._tool_gates(expect, scope)
        checks += [self._text_check(check, scope) for check in expect.text]
        if expect.limits is not None:
            checks += self._limit_checks(expect.limits, scope)
        if expect.state is not None:
            checks.append(_state_check(expect.state, scope))
        return _Part(tuple(check.model_copy(update={"turn": scope.turn}) for check in checks), aligned)

    def _calls_part(self, expect: Expect, calls: tuple[ExpectedCall, ...], scope: _Scope) -> _Part:
        """The checks of one list of calls, whose own indices the alignment has."""
        fit = fit_calls(calls, scope.calls, self._rubric, expect.order, self._names)
        alone = expect.model_copy(update={"calls": calls, "alternatives": ()})
        return _Part(tuple(self._call_checks(alone, scope, fit)), fit.aligned)

    def _call_checks(self, expect: Expect, scope: _Scope, fit: Fit) -> list[Check]:
        assert expect.calls is not None  # noqa: S101  the caller looked
        checks = [
            _call_check(row, expect, scope, self._counts(row))
            for row in fit.aligned
            if not (row.status == "missing" and row.expected in fit.optional_missing)
        ]
        if not checks:
            # Nothing expected and nothing called: that is right, and it is the whole of it.
            checks = [Check(name="calls.none", score=1.0, weight=1.0)]
        return checks + self._call_gates(expect, fit)

    def _counts(self, row: AlignedCall) -> bool:
        severity = {
            "missing": self._rubric.missing_calls,
            "extra": self._rubric.extra_calls,
            "hallucinated": self._rubric.extra_calls if row.expected is None else self._rubric.wrong_tool,
        }.get(row.status, "penalize")
        return severity != "ignore"

    def _call_gates(self, expect: Expect, fit: Fit) -> list[Check]:
        gates: list[Check] = []
        rows = [row for row in fit.aligned if row.expected is None or row.expected not in fit.optional_missing]
        for name, severity, found in (
            ("missing_calls", self._rubric.missing_calls, [r for r in rows if r.status == "missing"]),
            ("extra_calls", self._rubric.extra_calls, [r for r in rows if r.expected is None]),
            ("wrong_tool", self._rubric.wrong_tool, [r for r in rows if _swapped(r)]),
            ("extra_arguments", self._rubric.extra_arguments, [r for r in rows if _has_surplus(r)]),
        ):
            if severity == "fail" and found:
                gates.append(Check(name=name, score=0.0, reason=f"{name.replace('_', ' ')}: {_names(found)}"))
        if expect.order != "any" and expect.credit == "none":
            gates.append(_order_gate(expect, rows))
        return gates

    def _tool_gates(self, expect: Expect, scope: _Scope) -> list[Check]:
        called = {self._names.key(call.name) for call in scope.calls}
        listed: JsonValue = [call.name for call in scope.calls]
        gates: list[Check] = []
        for tool in expect.require:
            there = self._names.key(tool) in called
            reason = None if there else f"missing required tool call: {tool}"
            gates.append(Check(name="require", score=float(there), expected=tool, actual=listed, reason=reason))
        for tool in expect.forbid:
            there = self._names.key(tool) in called
            reason = f"forbidden tool call: {tool}" if there else None
            gates.append(Check(name="forbid", score=float(not there), expected=tool, actual=listed, reason=reason))
        if expect.any_call:
            reason = None if called else "no tool was called"
            gates.append(Check(name="any_call", score=float(bool(called)), actual=listed, reason=reason))
        return gates

    def _text_check(self, check: TextExpectation, scope: _Scope) -> Check:
        name = f"text.{check.name}"
        weight = None if check.weight is None else weight_number(check.weight)
        expected: JsonValue = getattr(check, check.name)
        if isinstance(check, Judged):
            return self._judged_check(check, scope, weight)
        match = check.score(scope.text)
        # A similarity below its bar is partial credit where it weighs, and a failed gate where it does not.
        score = match.score if weight is not None else float(match.score == 1.0)
        return Check(name=name, score=score, weight=weight, expected=expected, actual=scope.text, reason=match.reason)

    def _judged_check(self, check: Judged, scope: _Scope, weight: float | None) -> Check:
        found = self._judgements.get(_question_key(check, scope))
        base = Check(
            name=f"text.judged{'.' + check.id if check.id else ''}", score=None, weight=weight, expected=check.judged
        )
        if found is None:
            return base.model_copy(update={"reason": f"not evaluated: {NO_JUDGE}", "actual": scope.text})
        reason = found.reason if found.score is not None else f"not evaluated: {found.reason}"
        return base.model_copy(
            update={
                "score": found.score,
                "reason": None if found.score == 1 else reason,
                "actual": scope.text,
                "judge": judge_status([found]),
                "calibrated": found.calibrated,
            }
        )

    def _limit_checks(self, limits: Limits, scope: _Scope) -> list[Check]:
        usage = _usage(scope.steps)
        waits = [step.latency_s for step in scope.steps]
        measured: dict[str, float | None] = {
            "output_tokens": usage.output_tokens,
            "input_tokens": usage.input_tokens,
            "total_tokens": None
            if usage.input_tokens is None or usage.output_tokens is None
            else usage.input_tokens + usage.output_tokens,
            "steps": len(scope.steps),
            "calls": len(scope.calls),
            "latency_s": None if None in waits else sum(wait for wait in waits if wait is not None),
            "cost_usd": self._cost_usd,
        }
        return [
            _limit_check(name, limit, measured[name]) for name, limit in limits.model_dump(exclude_none=True).items()
        ]


def _worth(checks: Sequence[Check]) -> tuple[bool, float]:
    """How good a list of calls looks: failed gates decide, then the score."""
    return not any(check.weight is None and check.score == 0 for check in checks), _weighted(checks) or 0.0


def _moved(row: AlignedCall, places: int) -> AlignedCall:
    return row if row.expected is None or not places else row.model_copy(update={"expected": row.expected + places})


def _call_check(row: AlignedCall, expect: Expect, scope: _Scope, counts: bool) -> Check:
    expected: JsonValue = None
    if row.expected is not None and expect.calls is not None:
        call = expect.calls[row.expected]
        expected = {"tool": call.tool, "args": call.args}
    actual: JsonValue = None
    if row.actual is not None:
        made = scope.calls[row.actual]
        actual = {"tool": made.name, "args": made.arguments}
    return Check(
        name=f"call.{row.tool}",
        score=row.score,
        weight=1.0 if counts else 0.0,
        expected=expected,
        actual=actual,
        reason=_call_reason(row),
        informational=not counts,
    )


def _call_reason(row: AlignedCall) -> str | None:
    if row.status == "matched":
        return None
    if row.status == "missing":
        return f"{row.tool} was not called"
    if row.status == "extra":
        return f"{row.tool} was called and not expected"
    if row.status == "hallucinated":
        return f"{row.called} was called; there is no such tool"
    if row.status == "wrong_tool":
        return f"{row.called} was called in the place of {row.tool}"
    if row.status == "out_of_order":
        return f"{row.tool} was called out of order"
    wrong = [f"{check.field} {_telling(check.field, check.reason)}" for check in row.arguments if check.reason]
    return f"{row.tool}: " + "; ".join(wrong)


def _telling(field: str, reason: str | None) -> str:
    text = reason or ""
    return text.removeprefix(field).lstrip() if text.startswith(f"{field} ") else text


def _order_gate(expect: Expect, rows: Sequence[AlignedCall]) -> Check:
    displaced = [row for row in rows if row.status == "out_of_order"]
    if expect.order == "exact":
        displaced += [row for row in rows if row.status == "missing" or row.expected is None or _swapped(row)]
    reason = None
    if displaced:
        rule = "in exactly this order" if expect.order == "exact" else "in order"
        reason = f"calls must come {rule}: {_names(displaced)} {'do' if len(displaced) > 1 else 'does'} not"
    wanted: JsonValue = [call.tool for call in expect.calls or ()]
    return Check(name=f"order.{expect.order}", score=float(not displaced), expected=wanted, reason=reason)


def _swapped(row: AlignedCall) -> bool:
    return row.expected is not None and row.status in {"wrong_tool", "hallucinated"}


def _has_surplus(row: AlignedCall) -> bool:
    return any(check.reason == SURPLUS for check in row.arguments)


def _names(rows: Sequence[AlignedCall]) -> str:
    return ", ".join(row.called or row.tool for row in rows)


def _limit_check(name: str, limit: float, measured: float | None) -> Check:
    if measured is None:
        reason = f"not evaluated: {name} is not known"
        return Check(name=f"limits.{name}", score=None, expected=limit, reason=reason)
    within = measured <= limit
    reason = None if within else f"{name}={measured:g} > {limit:g}"
    return Check(name=f"limits.{name}", score=float(within), expected=limit, actual=measured, reason=reason)


def _state_check(expected: JsonValue, scope: _Scope) -> Check:
    if scope.state is None:
        return Check(
            name="state",
            score=None,
            expected=expected,
            reason="not evaluated: no state is known; say in the suite's `state` what calls change, or how to read it",
        )
    found = json_difference(expected, scope.state)
    reason = None if found is None else f"state{'.' if found.path else ''}{found.path} {found.reason}"
    return Check(name="state", score=float(found is None), expected=expected, actual=scope.state, reason=reason)


def _usage(steps: Iterable[Step]) -> Usage:
    known = [step.usage for step in steps if step.usage is not None]
    return sum(known, Usage())


def _question_key(check: Judged, scope: _Scope) -> str:
    return judgement_key(check.judged, scope.conversation, scope.text)


# --- from evidence to verdict


def _weighted(checks: Iterable[Check]) -> float | None:
    """Weighted mean; with gates alone 1 or 0; None where nothing was expected or something could not be evaluated."""
    deciding = [check for check in checks if not check.informational]
    weighing = [check for check in deciding if check.weight]
    if not deciding or any(check.score is None for check in weighing):
        return None
    if weighing:
        total = sum(check.weight or 0.0 for check in weighing)
        mean = sum((check.score or 0.0) * (check.weight or 0.0) for check in weighing) / total
        return min(1.0, max(0.0, mean))
    gates = [check for check in deciding if check.weight is None and check.score is not None]
    return float(all(check.score == 1 for check in gates)) if gates else None


def _mean(parts: Iterable[Sequence[Check]]) -> float | None:
    """Mean over the parts that have a score."""
    scored = [score for part in parts if (score := _weighted(part)) is not None]
    return sum(scored) / len(scored) if scored else None


def _only_warns(check: Check) -> bool:
    """Whether a gate fails by the word of a judge that nobody compared with people."""
    lost = check.weight is None and not check.informational and check.score is not None and check.score < 1
    return lost and check.calibrated is False


def _granted(check: Check) -> Check:
    return check.model_copy(update={"score": 1.0}) if _only_warns(check) else check


def _warning(check: Check) -> str:
    return f"{check.reason} (its judge is not calibrated, so it only warns: `mcp-evals judge calibrate`)"


def _decide(
    checks: tuple[Check, ...],
    score: float | None,
    granted: float | None,
    rubric: Rubric,
    *,
    calls: tuple[tuple[AlignedCall, ...], ...],
    turn_scores: tuple[float | None, ...],
) -> CaseScore:
    deciding = [check for check in checks if not check.informational]
    lost_gates = [check for check in deciding if check.weight is None and check.score is not None and check.score < 1]
    failed_gates = [check for check in lost_gates if not _only_warns(check)]
    open_checks = [check for check in deciding if check.score is None]
    evidence = CaseScore(verdict="errored", score=None, checks=checks, calls=calls, turn_scores=turn_scores)
    if failed_gates:
        # A failed gate decides, whatever could not be evaluated beside it.
        return evidence.model_copy(
            update={"verdict": "failed", "score": score or 0.0, "reason": failed_gates[0].reason}
        )
    if open_checks:
        return evidence.model_copy(update={"reason": open_checks[0].reason})
    if score is None or granted is None:
        return evidence.model_copy(update={"reason": "not evaluated: the case expects nothing"})
    if lost_gates and rubric.verdict_of(granted) != "failed":
        return evidence.model_copy(update={"verdict": "warned", "score": score, "reason": _warning(lost_gates[0])})
    lost = sorted((check for check in deciding if check.score != 1), key=lambda check: check.score or 0.0)
    verdict = rubric.verdict_of(score)
    reason = lost[0].reason if lost and verdict != "passed" else None
    return evidence.model_copy(update={"verdict": verdict, "score": score, "reason": reason})


def _gated(score: CaseScore, gates: tuple[Check, ...]) -> CaseScore:
    """A score by other rules than ours with gates beside it: one that fails decides, one that is open leaves no score."""
    whole = score.model_copy(update={"checks": (*score.checks, *gates)})
    lost = [gate for gate in gates if not gate.informational and gate.score != 1]
    if not lost or score.verdict in {"failed", "errored"}:
        return whole
    failed = next((gate for gate in lost if gate.score is not None and not _only_warns(gate)), None)
    if failed is not None:
        return whole.model_copy(update={"verdict": "failed", "reason": failed.reason})
    unknown = next((gate for gate in lost if gate.score is None), None)
    if unknown is not None:
        return whole.model_copy(update={"verdict": "errored", "score": None, "reason": unknown.reason})
    return whole.model_copy(update={"verdict": "warned", "reason": _warning(lost[0])})
