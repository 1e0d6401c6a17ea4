"""What an arcade case expects, in our words as far as they reach, else in arcade's.

Knows no conversation and no file.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic import JsonValue, TypeAdapter, ValidationError

from mcp_evals.critics import Critic, Datetime, Exact, Numeric, Similarity
from mcp_evals.model import Model
from mcp_evals.scoring.arcade import arcade_critics, with_placeholders
from mcp_evals.scoring.arcade_critics import (
    ArcadeBinary,
    ArcadeCritic,
    ArcadeDatetime,
    ArcadeNone,
    ArcadeNumeric,
    ArcadeSimilarity,
    resolved_weights,
)
from mcp_evals.scoring.arcade_evaluation import ArcadeCall, ArcadeRubric
from mcp_evals.suite import ExpectedCall, Rubric


class LeftOut(Exception):  # noqa: N818  no error of the import: the case is named and the others are taken
    """A suite file cannot hold the case."""


class WrittenCall(Model):
    """An expected call, its arguments complete."""

    name: str
    """The tool."""
    args: dict[str, JsonValue]
    """Its arguments."""


class WrittenExpectation(Model):
    """Expected calls, and the critics that look at all of them."""

    expected: tuple[WrittenCall, ...] = ()
    """The calls."""
    critics: tuple[dict[str, Any], ...] = ()
    """As `ArcadeCritic`, some with an `original_weight` as the eval file has it."""


class Said(NamedTuple):
    """What a case expects, in our words and, as far as they do not reach, in arcade's."""

    calls: tuple[ExpectedCall, ...]
    """The calls, with the critics where they can stand there."""
    critics: tuple[ArcadeCritic, ...]
    """All critics of the case."""
    settings: dict[str, Any]
    """What has to stand under `metadata.arcade`."""


def said_by_us(read: WrittenExpectation, rubric: ArcadeRubric) -> Said:
    """What arcade expects, as a case of ours says it.

    Raises:
        LeftOut: it cannot.
    """
    critics = _critics(read.critics)
    calls = _bare_calls(read.expected, critics)
    said = tuple(
        call.model_copy(update={"critics": ours}) if ours else call
        for call, ours in ((call, _our_critics(critics, call)) for call in calls)
    )
    settings: dict[str, Any] = {}
    order = _compared_fields(critics)
    if not _says_the_same(said, order, critics):
        said, settings["critics"] = calls, [critic.model_dump() for critic in critics]
    elif not _says_the_same(said, (), critics):
        settings["order"] = order
    if our_rubric(rubric.model_dump()) is None:
        settings["rubric"] = rubric.model_dump()
    return Said(said, critics, settings)


def shared_settings(said: Sequence[Said]) -> dict[str, Any] | None:
    """Settings under which each of them means what it says; None where there are none."""
    if any("critics" in found.settings for found in said):
        return None
    shared = {key: value for key, value in said[0].settings.items() if key != "order"}
    if all(_says_the_same(found.calls, (), found.critics) for found in said):
        return shared
    order = tuple(dict.fromkeys(field for found in said for field in _compared_fields(found.critics)))
    return {**shared, "order": order} if all(_says_the_same(f.calls, order, f.critics) for f in said) else None


def _compared_fields(critics: Iterable[ArcadeCritic]) -> tuple[str, ...]:
    return tuple(critic.field for critic in critics if not isinstance(critic, ArcadeNone))


_CRITIC: Final[TypeAdapter[ArcadeCritic]] = TypeAdapter(ArcadeCritic)


def _critics(written: Iterable[dict[str, Any]]) -> tuple[ArcadeCritic, ...]:
    """The critics, weighing by the words in which they were written where that gives the same weights."""
    counted = [{key: value for key, value in critic.items() if key != "original_weight"} for critic in written]
    worded = [
        {**critic, "weight": original["original_weight"]} if "original_weight" in original else critic
        for critic, original in zip(counted, written, strict=True)
    ]
    try:
        as_counted, as_worded = (tuple(map(_CRITIC.validate_python, form)) for form in (counted, worded))
    except ValidationError as error:
        raise LeftOut(f"a critic: {first_complaint(error)}") from None
    return as_worded if resolved_weights(as_worded) == resolved_weights(as_counted) else as_counted


def _bare_calls(expected: Sequence[WrittenCall], critics: Sequence[ArcadeCritic]) -> tuple[ExpectedCall, ...]:
    """The calls without the parameters that nobody gave and nothing compares, which arcade fills in as null."""
    if any(not call.name for call in expected):
        raise LeftOut("it expects a tool without a name")
    compared = _compared_fields(critics)
    # Without any critic, placeholders counted, arcade scores 1 whatever happens: the last one must not get lost.
    keep_nulls = not compared and all(value is None for call in expected for value in call.args.values())
    return tuple(
        ExpectedCall(
            tool=call.name,
            args={
                name: value for name, value in call.args.items() if keep_nulls or value is not None or name in compared
            },
        )
        for call in expected
    )


def _our_critics(critics: Iterable[ArcadeCritic], call: ExpectedCall) -> tuple[Critic, ...]:
    """Those that look at an argument of the call and that our words can say."""
    ours = (_our_critic(critic) for critic in critics if critic.field in call.args)
    return tuple(critic for critic in ours if critic is not None)


def _our_critic(critic: ArcadeCritic) -> Critic | None:
    if isinstance(critic, ArcadeNone):
        return None
    field = critic.field
    try:
        match critic:
            case ArcadeBinary():
                return Exact(field=field, weight=critic.weight, cast=True)
            case ArcadeNumeric():
                low, high = critic.value_range
                return Numeric(field=field, weight=critic.weight, low=low, high=high)
            case ArcadeSimilarity():
                return Similarity(field=field, weight=critic.weight, pass_at=critic.similarity_threshold)
            case ArcadeDatetime():
                return Datetime(
                    field=field, weight=critic.weight, tolerance_s=critic.tolerance_s, zero_at_s=critic.max_difference_s
                )
    except ValidationError:
        return None


def _says_the_same(calls: Sequence[ExpectedCall], order: Sequence[str], critics: Sequence[ArcadeCritic]) -> bool:
    """Whether the critics on the calls are those of the case, in their order."""
    back = with_placeholders([ArcadeCall(call.tool, call.args) for call in calls], arcade_critics(calls, order))
    compared, compared_back = ([each for each in found if each.kind != "none"] for found in (critics, back))
    return compared == compared_back and bool(critics) == bool(back)


def our_rubric(written: Mapping[str, Any]) -> dict[str, Any] | None:
    """The rubric in our words; None where they cannot say it."""
    try:
        rubric = ArcadeRubric.model_validate(written)
        calls = "fail" if rubric.fail_on_tool_call_quantity else "ignore"
        fields: dict[str, Any] = {
            "convention": "arcade",
            "fail_below": min(rubric.fail_threshold, rubric.warn_threshold),
            "warn_below": rubric.fail_threshold,
            "tool_weight": rubric.tool_selection_weight,
            "missing_calls": calls,
            "extra_calls": calls,
            "wrong_tool": "fail" if rubric.fail_on_tool_selection else "ignore",
            "extra_arguments": "ignore",
        }
        Rubric.model_validate(fields)
    except ValidationError:
        return None
    return fields


def first_complaint(error: ValidationError) -> str:
    """What pydantic says first, in a line."""
    found = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"
