"""What arcade says of a case, as evidence in our form: each call once, each argument with its share and a reason.

Knows no rule of scoring.
"""

import json
import math
from collections.abc import Sequence

from pydantic import JsonValue

from mcp_evals.conversation import ToolCall
from mcp_evals.results import AlignedCall, ArgumentCheck, CaseScore, Check
from mcp_evals.scoring.arcade_evaluation import ArcadeCall, ArcadePair, ArcadeResult, ArcadeRow
from mcp_evals.text import shorten


def case_score(
    result: ArcadeResult, expected: Sequence[ArcadeCall], actual: Sequence[ToolCall], said: Sequence[ToolCall]
) -> CaseScore:
    """The result with its evidence; `actual` are the calls as they were scored, `said` as the model made them."""
    wanted: JsonValue = [call.name for call in expected]
    called: JsonValue = [call.name for call in actual]
    if result.failure_reason is not None or not math.isfinite(result.score):
        reason = " ".join((result.failure_reason or "arcade's score is not a number").split())
        gate = Check(name="arcade", score=0.0, expected=wanted, actual=called, reason=reason)
        return CaseScore(verdict="failed", score=0.0, checks=(gate,), reason=reason)
    aligned = _aligned(result, expected, actual, said)
    checks = tuple(_check(row, result, expected, said) for row in aligned)
    if not checks:
        checks = (Check(name="arcade", score=1.0, weight=1.0, expected=wanted, actual=called),)
    verdict = "passed" if result.passed else "warned" if result.warning else "failed"
    lost = [check for check in checks if check.reason]
    worst = min(lost, key=lambda check: (check.informational, check.score or 0.0), default=None)
    reason = None if verdict == "passed" or worst is None else worst.reason
    return CaseScore(verdict=verdict, score=result.score, checks=checks, calls=(aligned,), reason=reason)


def _aligned(
    result: ArcadeResult, expected: Sequence[ArcadeCall], actual: Sequence[ToolCall], said: Sequence[ToolCall]
) -> tuple[AlignedCall, ...]:
    """Each call once; none where arcade compares nothing."""
    if not result.pairs and result.score == 1.0:
        return ()
    by_expected = {pair.expected: pair for pair in result.pairs}
    paired = {pair.actual for pair in result.pairs}
    rows = [
        _pair_row(by_expected[i], call, said)
        if i in by_expected
        else AlignedCall(status="missing", tool=call.name, expected=i)
        for i, call in enumerate(expected)
    ]
    extra = [
        AlignedCall(status="extra", tool=call.name, actual=j, called=said[j].name)
        for j, call in enumerate(actual)
        if j not in paired
    ]
    return (*rows, *extra)


def _pair_row(pair: ArcadePair, call: ArcadeCall, said: Sequence[ToolCall]) -> AlignedCall:
    name, *arguments = pair.rows
    whole = all(_share(row) > 1 - 1e-9 for row in arguments if row.is_criticized)
    spelled = said[pair.actual].name
    return AlignedCall(
        status="wrong_tool" if not name.match else "matched" if whole else "wrong_argument",
        tool=call.name,
        expected=pair.expected,
        actual=pair.actual,
        called=None if spelled == call.name else spelled,
        score=_share_of(pair.rows),
        arguments=tuple(_argument(row) for row in arguments),
    )


def _argument(row: ArcadeRow) -> ArgumentCheck:
    share = _share(row)
    reason = None
    if not row.is_criticized:
        reason = "not compared"
    elif row.error is not None:
        reason = f"left out of the score: {row.error}"
    elif share < 1:
        reason = f"{_shown(row.actual)} earns {share:.3g} of 1 where {_shown(row.expected)} is expected"
    return ArgumentCheck(
        field=row.field, score=share, weight=row.weight, expected=row.expected, actual=row.actual, reason=reason
    )


def _check(row: AlignedCall, result: ArcadeResult, expected: Sequence[ArcadeCall], said: Sequence[ToolCall]) -> Check:
    weight = sum(
        line.weight for pair in result.pairs if pair.expected == row.expected for line in pair.rows if not line.error
    )
    # arcade takes any number for a weight; evidence only such as can be one.
    weight = max(0.0, weight) if math.isfinite(weight) else 0.0
    wanted = None if row.expected is None else expected[row.expected]
    made = None if row.actual is None else said[row.actual]
    return Check(
        name=f"call.{row.tool}",
        score=min(1.0, max(0.0, row.score)),
        weight=weight,
        expected=None if wanted is None else {"tool": wanted.name, "args": dict(wanted.args)},
        actual=None if made is None else {"tool": made.name, "args": made.arguments},
        reason=_reason(row),
        informational=row.expected is None or row.actual is None,
    )


def _reason(row: AlignedCall) -> str | None:
    match row.status:
        case "missing":
            return f"{row.tool} was not called, which arcade does not count"
        case "extra":
            return f"{row.tool} was called and not expected, which arcade does not count"
        case "wrong_tool":
            return f"{row.called} was called in the place of {row.tool}"
        case _:
            wrong = [f"{check.field}: {check.reason}" for check in row.arguments if check.reason and check.weight]
            return f"{row.tool}: " + "; ".join(wrong) if wrong else None


def _share(row: ArcadeRow) -> float:
    return _divided(row.score, row.weight) if row.weight else float(row.match is True)


def _share_of(rows: Sequence[ArcadeRow]) -> float:
    return _divided(sum(row.score for row in rows), sum(row.weight for row in rows if row.error is None))


def _divided(points: float, weight: float) -> float:
    return points / weight if weight > 0 and math.isfinite(points / weight) else 0.0


def _shown(value: JsonValue) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), 60)
