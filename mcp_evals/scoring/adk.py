"""Google ADK's metrics that need no judge, as version 2.13 computes them, to the last bit and with its quirks.

Kept for comparison: equal numbers for equal input, whatever one thinks of the rule. Knows no suite and no transcript.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import reduce
from operator import add
from typing import Any, Final, Literal, NamedTuple

from pydantic import JsonValue

from mcp_evals.errors import UsageError, did_you_mean
from mcp_evals.text import rouge1

AdkStatus = Literal["PASSED", "FAILED", "NOT_EVALUATED", "INFORMATIONAL"]
MatchType = Literal["EXACT", "IN_ORDER", "ANY_ORDER"]
_MATCH_TYPES: Final[tuple[MatchType, ...]] = ("EXACT", "IN_ORDER", "ANY_ORDER")


class AdkError(UsageError):
    """ADK raises here, so there is no score; the message is its own."""

    def __init__(self, message: str, *, kind: str = "ValueError") -> None:
        super().__init__(message)
        self.kind = kind
        """Name of the exception that ADK raises."""


class AdkCall(NamedTuple):
    """A function call."""

    name: str
    """The function."""
    args: JsonValue = None
    """The arguments; None where the call was written without, which ADK tells from an empty object."""


class AdkUsage(NamedTuple):
    """What one model call reported; all None where it reported only its model."""

    prompt_tokens: int | None = None
    """Tokens of the prompt, cached ones included."""
    tool_use_tokens: int | None = None
    """Tokens that tools on the provider's side put in."""
    candidates_tokens: int | None = None
    """Tokens of the answer, without reasoning."""
    reasoning_tokens: int | None = None
    """Tokens of reasoning."""
    cached_tokens: int | None = None
    """Tokens of the prompt that came from the cache."""


class AdkInvocation(NamedTuple):
    """One user message and what the agent did about it, as far as a metric looks."""

    calls: tuple[AdkCall, ...] = ()
    """All function calls, in order."""
    final_response: tuple[str, ...] = ()
    """Text parts of the final response."""
    model_calls: tuple[AdkUsage, ...] | None = None
    """The model calls; None for data written by hand."""
    duration_s: float | None = None
    """Seconds from question to answer; None where the run did not measure it."""
    model_s: float | None = None
    """Seconds of these that the model took."""
    tool_s: float | None = None
    """Seconds of these that tools took."""


class AdkRubricScore(NamedTuple):
    """A judge's verdict on one rubric."""

    rubric_id: str
    """The rubric."""
    score: float | None
    """1 yes, 0 no, None unreadable; over several invocations their mean."""
    rationale: str | None = None
    """The judge's reason."""


class AdkScore(NamedTuple):
    """Score of one invocation."""

    score: float | None
    """None: not known."""
    status: AdkStatus
    """What the threshold makes of it."""
    rubric_scores: tuple[AdkRubricScore, ...] | None = None
    """Verdicts of a rubric metric; None where no judge was heard."""
    details: dict[str, float | None] | None = None
    """Parts of an efficiency metric, by ADK's names."""


class AdkResult(NamedTuple):
    """Score of a conversation."""

    overall_score: float | None = None
    """None: nothing was evaluated."""
    overall_status: AdkStatus = "NOT_EVALUATED"
    """What the threshold makes of it."""
    per_invocation: tuple[AdkScore, ...] = ()
    """Score of each invocation."""
    overall_rubric_scores: tuple[AdkRubricScore, ...] | None = None
    """Mean of each rubric over the invocations."""
    details: dict[str, float | None] | None = None
    """Means of an efficiency metric's parts."""
    judge_calls: int = 0
    """How many answers a judge was asked for."""


def tool_trajectory_avg_score(
    actual: Sequence[AdkInvocation],
    expected: Sequence[AdkInvocation] | None,
    *,
    threshold: float = 1.0,
    match_type: MatchType = "EXACT",
    ignore_args: bool = False,
) -> AdkResult:
    """Share of invocations whose calls match: all of them, or as a subsequence, or as a part in any order.

    Arguments are compared as Python does: `1 == True`, and none given is not `{}`. Ids do not matter.

    Raises:
        AdkError: nothing is expected, or for another number of invocations.
    """

    def matches(actual: AdkInvocation, expected: AdkInvocation) -> float:
        made, wanted = (_call_keys(side.calls, ignore_args) for side in (actual, expected))
        if match_type == "EXACT":
            return float(made == wanted)
        if match_type == "IN_ORDER":
            rest = iter(made)
            return float(all(call in rest for call in wanted))
        # Equal calls are interchangeable, so counting finds what trying every pairing would.
        return float(Counter(wanted) <= Counter(made))

    if expected is None:
        raise AdkError("expected_invocations is needed by this metric.")
    return _average(actual, expected, threshold, matches)


def response_match_score(
    actual: Sequence[AdkInvocation], expected: Sequence[AdkInvocation] | None, *, threshold: float = 0.8
) -> AdkResult:
    """Mean ROUGE-1 F of the final responses; two empty ones score 0.

    Raises:
        AdkError: nothing is expected, or for another number of invocations.
    """
    if expected is None:
        raise AdkError("expected_invocations is required for this metric.")
    return _average(
        actual,
        expected,
        threshold,
        lambda actual, expected: rouge1(response_text(expected), response_text(actual)).f,
    )


def tool_call_count_v1(actual: Sequence[AdkInvocation]) -> AdkResult:
    """Mean number of function calls."""
    return _informational([float(len(invocation.calls)) for invocation in actual])


def inference_call_count_v1(actual: Sequence[AdkInvocation]) -> AdkResult:
    """Mean number of model calls, over the invocations that were recorded."""
    return _informational(
        [None if invocation.model_calls is None else float(len(invocation.model_calls)) for invocation in actual]
    )


def token_usage_v1(actual: Sequence[AdkInvocation]) -> AdkResult:
    """Mean of tokens read and written; an invocation that reported none counts as 0 beside one that did."""
    details = [_token_details(invocation.model_calls or ()) for invocation in actual]
    return _with_details(details, "total_tokens", _mean_over_all)


def invocation_duration_v1(actual: Sequence[AdkInvocation]) -> AdkResult:
    """Mean seconds over the invocations that were timed."""
    details = [_duration_details(invocation) for invocation in actual]
    return _with_details(details, "total_seconds", _rounded_mean_of_known)


def adk_match_type(value: JsonValue) -> MatchType:
    """Read a match type in any spelling that ADK accepts: `in order`, `IN-ORDER`, 1.

    Raises:
        UsageError: ADK knows no such match type.
    """
    name = value.strip().upper().replace("-", "_").replace(" ", "_") if isinstance(value, str) else value
    for index, known in enumerate(_MATCH_TYPES):
        if name in (known, index):
            return known
    raise UsageError(f"no match type {value!r}{did_you_mean(str(value).upper(), _MATCH_TYPES)}")


def adk_status(score: float | None, threshold: float) -> AdkStatus:
    """What a threshold makes of a score."""
    if score is None:
        return "NOT_EVALUATED"
    return "PASSED" if score >= threshold else "FAILED"


def check_lengths(actual: Sequence[object], expected: Sequence[object] | None) -> None:
    """Refuse what cannot be paired.

    Raises:
        AdkError: the two are not of one length.
    """
    if expected is not None and len(actual) != len(expected):
        raise AdkError(
            "actual_invocations and expected_invocations must have the same length;"
            f" got {len(actual)} and {len(expected)}."
        )


def response_text(invocation: AdkInvocation) -> str:
    """The final response as one text."""
    return "\n".join(part for part in invocation.final_response if part)


def plain_sum(numbers: Iterable[float], start: float = 0.0) -> float:
    """The sum as a loop makes it, rounded at each step; `sum` rounds less from Python 3.12 on."""
    return reduce(add, numbers, start)


def _call_keys(calls: Sequence[AdkCall], ignore_args: bool) -> tuple[Hashable, ...]:
    return tuple(call.name if ignore_args else (call.name, _key(call.args)) for call in calls)


def _key(value: Any) -> Hashable:
    """A key that two values share when Python calls them equal: `1 == 1.0 == True`."""
    if isinstance(value, list):
        return ("list", *map(_key, value))  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, dict):
        return ("object", frozenset((name, _key(item)) for name, item in value.items()))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return value


def _average(
    actual: Sequence[AdkInvocation],
    expected: Sequence[AdkInvocation],
    threshold: float,
    score: Callable[[AdkInvocation, AdkInvocation], float],
) -> AdkResult:
    check_lengths(actual, expected)
    scores = [score(*pair) for pair in zip(actual, expected, strict=True)]
    if not scores:
        return AdkResult()
    mean = plain_sum(scores) / len(scores)
    return AdkResult(mean, adk_status(mean, threshold), tuple(AdkScore(s, adk_status(s, threshold)) for s in scores))


def _informational(values: Sequence[float | None]) -> AdkResult:
    known = [value for value in values if value is not None]
    return AdkResult(
        sum(known) / len(known) if known else None,
        "INFORMATIONAL",
        tuple(AdkScore(value, "INFORMATIONAL") for value in values),
    )


_Details = dict[str, float | None]


def _with_details(
    details: Sequence[_Details], score: str, mean: Callable[[Sequence[float | None]], float | None]
) -> AdkResult:
    if not details:
        return AdkResult(overall_status="INFORMATIONAL")
    overall = {part: mean([row[part] for row in details]) for part in details[0]}
    rows = tuple(AdkScore(row[score], "INFORMATIONAL", details=row) for row in details)
    return AdkResult(overall[score], "INFORMATIONAL", rows, details=overall)


def _token_details(model_calls: Sequence[AdkUsage]) -> _Details:
    prompt, tool_use, candidates, reasoning, cached = (
        _sum_of_known([usage[part] for usage in model_calls]) for part in range(5)
    )
    read, written = _sum_of_known([prompt, tool_use]), _sum_of_known([candidates, reasoning])
    return {
        "total_tokens": _sum_of_known([read, written]),
        "input_tokens": read,
        "prompt_tokens": prompt,
        "cached_tokens": cached,
        "tool_use_tokens": tool_use,
        "output_tokens": written,
        "candidates_tokens": candidates,
        "reasoning_tokens": reasoning,
    }


def _duration_details(invocation: AdkInvocation) -> _Details:
    total, model, tool = invocation.duration_s, invocation.model_s, invocation.tool_s
    if total is None:
        model = tool = None
    framework = None if total is None or model is None or tool is None else round(max(total - model - tool, 0.0), 3)
    return {"total_seconds": total, "model_seconds": model, "tool_seconds": tool, "framework_seconds": framework}


def _sum_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _mean_over_all(values: Sequence[float | None]) -> float | None:
    total = _sum_of_known(values)
    return None if total is None else total / len(values)


def _rounded_mean_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 3) if known else None
