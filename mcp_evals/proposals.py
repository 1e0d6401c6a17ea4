"""Proposes what to expect of a case from what was seen of it: an offer to a person, who decides. Judges nothing.

Knows no run, no file and no score.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from pydantic import JsonValue

from mcp_evals.conversation import Step, ToolCall, ToolDefinition, ToolResult, Transcript
from mcp_evals.errors import UsageError
from mcp_evals.json_match import ABSENT, Value, has_wildcard, value_key
from mcp_evals.suite import Expect, ExpectedCall
from mcp_evals.text import fold_tool_name, shorten

MAX_CHOICES: Final = 3
"""Different values of an argument that are still listed; with more of them any value is accepted."""
_ANY: Final[JsonValue] = {"any": True}


class Proposal(NamedTuple):
    """An expectation, and how sure one can be of it."""

    expect: Expect
    """What to expect."""
    trials: int
    """How many trials it was made from."""
    alike: int
    """How many of them made the same calls with the same arguments, at most: all is sure, one is a guess."""
    notes: tuple[str, ...]
    """What was not the same in all trials, and what was made of it."""


def propose_expect(transcripts: Sequence[Transcript], tools: Sequence[ToolDefinition] = ()) -> Expect:
    """What to expect by what was seen; `propose` also says how sure that is.

    Raises:
        UsageError: there is no transcript.
    """
    return propose(transcripts, tools).expect


def propose(transcripts: Sequence[Transcript], tools: Sequence[ToolDefinition] = ()) -> Proposal:
    """Expect what all trials did, and leave open what they did not do alike.

    A call of every trial is expected; one of at least half of them may come; a rarer one is left out. An argument that
    varied may be one of its values, or any where hardly two were alike. The order counts where every trial waited for
    one call before it made the next. What a tool answered becomes the answer of its stub. Arguments that are no JSON
    and tools that are not among `tools` (where they are given) are not proposed.

    Raises:
        UsageError: there is no transcript.
    """
    if not transcripts:
        raise UsageError("nothing was captured that an expectation could be made of; every trial errored")
    names = {fold_tool_name(tool.name): tool.name for tool in tools}
    notes: list[str] = []
    captured = [list(_usable(_calls(transcript), names, notes)) for transcript in transcripts]
    places = sorted(_aligned(captured), key=_mean_position)
    kept = [place for place in places if 2 * len(place.found) >= len(captured)]
    notes += [
        f"{place.tool}: called in {len(place.found)} of {len(captured)} trials; left out"
        for place in places
        if 2 * len(place.found) < len(captured)
    ]
    calls = tuple(
        _expected(place, f"calls[{index}] {place.tool}", len(captured), names, notes)
        for index, place in enumerate(kept)
    )
    in_order = _waited_for(kept, len(captured))
    if in_order:
        notes.append("order: every trial waited for one call before it made the next")
    expect = Expect(calls=calls, order="in_order") if in_order else Expect(calls=calls)
    return Proposal(expect, len(captured), _alike(captured), tuple(dict.fromkeys(notes)))


# --- what was called


class _Seen(NamedTuple):
    call: ToolCall
    arguments: dict[str, JsonValue]
    result: ToolResult | None
    step: int
    position: int


class _Place(NamedTuple):
    """One call of the proposal: the trials in which it was found, and how it came there."""

    tool: str
    found: dict[int, _Seen]


def _calls(transcript: Transcript) -> Iterator[tuple[ToolCall, ToolResult | None, int]]:
    for number, step in enumerate(transcript.steps):
        for call, result in _answered(step):
            yield call, result, number


def _answered(step: Step) -> Iterator[tuple[ToolCall, ToolResult | None]]:
    """Each call with its result; by position where all were answered, else by the id."""
    if len(step.results) == len(step.calls):
        yield from zip(step.calls, step.results, strict=True)
        return
    by_id = {result.call_id: result for result in step.results if result.call_id is not None}
    for call in step.calls:
        yield call, by_id.get(call.id or "")


def _usable(
    calls: Iterable[tuple[ToolCall, ToolResult | None, int]], names: dict[str, str], notes: list[str]
) -> Iterator[_Seen]:
    for position, (call, result, step) in enumerate(calls):
        if names and fold_tool_name(call.name) not in names:
            notes.append(f"{shorten(call.name, 80)}: no such tool; left out")
        elif isinstance(call.arguments, str):
            notes.append(f"{call.name}: called with arguments that are no JSON object; left out")
        else:
            yield _Seen(call, call.arguments, result, step, position)


def _alike(captured: Sequence[Sequence[_Seen]]) -> int:
    keys = [
        frozenset(Counter((fold_tool_name(seen.call.name), value_key(seen.arguments)) for seen in trial).items())
        for trial in captured
    ]
    return max(Counter(keys).values())


# --- which calls of the trials are one and the same


def _aligned(captured: Sequence[Sequence[_Seen]]) -> Iterator[_Place]:
    """A place for each call of the trial that called a tool most often; the other trials' calls fill the likest."""
    tools = dict.fromkeys(fold_tool_name(seen.call.name) for trial in captured for seen in trial)
    for tool in tools:
        by_trial = [[seen for seen in trial if fold_tool_name(seen.call.name) == tool] for trial in captured]
        most = max(by_trial, key=len)
        places = [_Place(seen.call.name, {}) for seen in most]
        for number, calls in enumerate(by_trial):
            pairs = sorted(
                (
                    (_likeness(seen, most[p]), -abs(c - p), -c, -p)
                    for c, seen in enumerate(calls)
                    for p in range(len(most))
                ),
                reverse=True,
            )
            taken: set[int] = set()
            for _, _, minus_c, minus_p in pairs:
                if -minus_c not in taken and number not in places[-minus_p].found:
                    taken.add(-minus_c)
                    places[-minus_p].found[number] = calls[-minus_c]
        yield from places


def _likeness(one: _Seen, other: _Seen) -> int:
    """How many arguments are equal."""
    return sum(
        value_key(value) == value_key(other.arguments.get(name, ABSENT)) for name, value in one.arguments.items()
    )


def _mean_position(place: _Place) -> float:
    return sum(seen.position for seen in place.found.values()) / len(place.found)


def _waited_for(places: Sequence[_Place], trials: int) -> bool:
    """Whether the calls came in this order in every trial that made them, each in a later response."""
    in_all = [place for place in places if len(place.found) == trials]
    steps = [[place.found[trial].step for place in places if trial in place.found] for trial in range(trials)]
    in_order = all(earlier < later for row in steps for earlier, later in pairwise(row))
    return trials > 1 and len(in_all) > 1 and in_order


# --- what is made of it


def _expected(place: _Place, said: str, trials: int, names: dict[str, str], notes: list[str]) -> ExpectedCall:
    seen = list(place.found.values())
    arguments = {name: None for found in seen for name in found.arguments}
    fields: dict[str, Any] = {"tool": names.get(fold_tool_name(place.tool), place.tool)}
    args = {
        name: _open(f"{said}.{name}", [found.arguments.get(name, ABSENT) for found in seen], notes)
        for name in arguments
    }
    if args:
        fields["args"] = args
    if len(seen) < trials:
        fields["optional"] = True
        notes.append(f"{said}: in {len(seen)} of {trials} trials, so it may be left out")
    return ExpectedCall(**fields, **_stub(said, [found.result for found in seen], notes))


def _open(said: str, values: Sequence[Value], notes: list[str]) -> JsonValue:
    """A value as it was in all trials, with wildcards where it varied."""
    given = [value for value in values if value is not ABSENT]
    if len(given) < len(values):
        notes.append(f"{said}: given in {len(given)} of {len(values)} trials, so it may be left out")
        return {"optional": _open(said, given, notes)}
    if any(map(has_wildcard, given)):
        notes.append(f"{said}: reads like a wildcard, so any value is accepted")
        return _ANY
    distinct = list({value_key(value): value for value in given}.values())
    if len(distinct) == 1:
        return distinct[0]
    objects = [value for value in given if isinstance(value, dict)]
    if len(objects) == len(given):
        keys = dict.fromkeys(key for value in objects for key in value)
        return {key: _open(f"{said}.{key}", [value.get(key, ABSENT) for value in objects], notes) for key in keys}
    if len(distinct) <= MAX_CHOICES and len(distinct) < len(given):
        notes.append(f"{said}: {len(distinct)} different values in {len(given)} trials, each is accepted")
        return {"one_of": distinct}
    notes.append(f"{said}: {len(distinct)} different values in {len(given)} trials, any is accepted")
    return _ANY


def _stub(said: str, results: Sequence[ToolResult | None], notes: list[str]) -> dict[str, Any]:
    answers = [result for result in results if result is not None]
    if not answers:
        return {}
    first = next((answer for answer in answers if not answer.is_error), answers[0])
    if len({(value_key(answer.content), answer.is_error) for answer in answers}) > 1:
        notes.append(f"{said}: the tool answered differently; its stub gives the first answer")
    if first.is_error:
        notes.append(f"{said}: the tool reported a failure; should the call be expected?")
        return {"fails": first.text}
    return {"returns": first.content}
