"""Where a suite asks less than it did: an easier test is no better model. Knows no run and no score."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import JsonValue

from mcp_evals.critics import Critic
from mcp_evals.json_match import json_equal, shown_value, wildcard_value
from mcp_evals.model import digest
from mcp_evals.suite import Case, Expect, ExpectedCall, Rubric, Suite

_MILDER: Final = ("fail", "penalize", "ignore")
_SEVERITIES: Final = ("missing_calls", "extra_calls", "wrong_tool", "extra_arguments")
_WIDER: Final = ("tolerance", "tolerance_s", "zero_at_s")
"""What a critic allows; more of it is easier."""


def scoring_digest(suite: Suite, case: Case) -> str:
    """Content address of what decides a case's score: the question, the expectation, the rubric. Not its tools."""
    content = case.model_copy(update={"description": "", "tags": (), "metadata": {}, "tools": None, "group": None})
    # The system prompt is part of what is compared, when two prompts are.
    asked = content.model_copy(update={"system": None, "rubric": None, "by_track": {}})
    return digest({"case": asked, "rubric": suite.rubric_of(case), "metrics": suite.metrics_of(case)})


def loosened(old: Suite, new: Suite) -> tuple[str, ...]:
    """Where `new` asks less of the same cases than `old` does, one line each."""
    before = {case.id: case for case in old.cases}
    lines = [
        f"{case.id}: {line}"
        for case in new.cases
        if case.id in before and scoring_digest(old, before[case.id]) != scoring_digest(new, case)
        for line in _looser_case(old, before[case.id], new, case)
    ]
    gone = [case_id for case_id in before if case_id not in {case.id for case in new.cases}]
    return (*lines, *([f"{len(gone)} cases are gone: {', '.join(gone[:5])}"] if gone else []))


def _looser_case(old: Suite, before: Case, new: Suite, after: Case) -> Iterator[str]:
    yield from _looser_rubric(old.rubric_of(before), new.rubric_of(after))
    yield from _looser_metrics(old.metrics_of(before), new.metrics_of(after))
    earlier = [*(turn.expect for turn in before.all_turns), before.expect]
    later = [*(turn.expect for turn in after.all_turns), after.expect]
    lines = [line for pair in zip(earlier, later, strict=False) for line in _looser_expect(*pair)]
    yield from dict.fromkeys(lines)  # a case written with `user` has its expectation in both places


def _looser_rubric(earlier: Rubric, later: Rubric) -> Iterator[str]:
    if later.fail_below < earlier.fail_below:
        yield f"fail_below {earlier.fail_below:g} became {later.fail_below:g}"
    for name in _SEVERITIES:
        was, now = getattr(earlier, name), getattr(later, name)
        if _MILDER.index(now) > _MILDER.index(was):
            yield f"{name} {was} became {now}"
    if earlier.tool_names == "exact" and later.tool_names == "loose":
        yield "tool_names exact became loose"
    if earlier.over_trials != later.over_trials and (earlier.over_trials == "all" or later.over_trials == "any"):
        yield f"over_trials {earlier.over_trials} became {later.over_trials}"


def _looser_metrics(earlier: dict[str, Any], later: dict[str, Any]) -> Iterator[str]:
    for name, asked in earlier.items():
        was, now = (getattr(found, "threshold", found) for found in (asked, later.get(name)))
        if name not in later:
            yield f"metric {name} is gone"
        elif was is not None and (now is None or now < was):
            yield f"metric {name} {was:g} became " + ("informational" if now is None else f"{now:g}")


def _looser_expect(earlier: Expect, later: Expect) -> Iterator[str]:
    sizes = {
        "expected calls": (len(earlier.calls or ()), len(later.calls or ())),
        "required tools": (len(earlier.require), len(later.require)),
        "forbidden tools": (len(earlier.forbid), len(later.forbid)),
        "text checks": (len(earlier.text), len(later.text)),
    }
    yield from (f"{was} {what} became {now}" for what, (was, now) in sizes.items() if now < was)
    if len(later.alternatives) > len(earlier.alternatives) and earlier.calls is not None:
        yield f"{len(later.alternatives) - len(earlier.alternatives)} more ways are right"
    if earlier.calls is not None and later.calls is None:
        yield "the calls may be left unsaid"
    if earlier.state is not None and later.state is None:
        yield "the final state may be anything"
    if earlier.order != "any" and later.order == "any":
        yield f"order {earlier.order} became any"
    limits = earlier.limits.model_dump(exclude_none=True) if earlier.limits else {}
    for name, was in limits.items():
        now = getattr(later.limits, name, None)
        if now is None or now > was:
            yield f"limit {name} {was:g} " + ("is gone" if now is None else f"became {now:g}")
    for before, after in zip(earlier.calls or (), later.calls or (), strict=False):
        if before.tool == after.tool:
            yield from (f"{before.tool}: {line}" for line in _looser_call(before, after))


def _looser_call(earlier: ExpectedCall, later: ExpectedCall) -> Iterator[str]:
    if later.optional and not earlier.optional:
        yield "may be left out"
    was_compared = {critic.field: critic for critic in earlier.critics}
    now_compared = {critic.field: critic for critic in later.critics}
    for name, value in earlier.args.items():
        if name not in later.args and name not in now_compared:
            yield f"{name} is not expected any more"
        elif name in later.args and _opened(value, later.args[name]):
            yield f"{name} {shown_value(value)} became {shown_value(later.args[name])}"
    for name, critic in now_compared.items():
        if name not in was_compared and critic.kind != "exact":
            yield f"{name} is compared by {critic.kind}, not exactly"
        elif name in was_compared:
            yield from (f"{name}: {line}" for line in _looser_critic(was_compared[name], critic))


def _opened(earlier: JsonValue, later: JsonValue) -> bool:
    """Whether `later` takes all that `earlier` took, and more."""
    if earlier == later or not wildcard_value(later):
        return False
    options = earlier.get("one_of") if isinstance(earlier, dict) and wildcard_value(earlier) else [earlier]
    return isinstance(options, Sequence) and all(json_equal(later, option) for option in options)


def _looser_critic(earlier: Critic, later: Critic) -> Iterator[str]:
    if earlier.kind != later.kind:
        if earlier.kind == "exact":
            yield f"is compared by {later.kind}, not exactly"
        return
    for name in _WIDER:
        was, now = getattr(earlier, name, None), getattr(later, name, None)
        if was is not None and now is not None and now > was:
            yield f"{name} {was:g} became {now:g}"
    bar, lower = getattr(earlier, "pass_at", None), getattr(later, "pass_at", None)
    if bar is not None and lower is not None and lower < bar:
        yield f"pass_at {bar:g} became {lower:g}"
