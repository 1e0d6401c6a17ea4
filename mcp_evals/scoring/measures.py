"""What each named metric says of one transcript: it pairs turns with expectations and calls the metric's own rule.

Knows no threshold and no verdict; what a metric cannot say it leaves unsaid, with the reason.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic import JsonValue

from mcp_evals.conversation import Invocation, Step, ToolCall, ToolDefinition, Transcript
from mcp_evals.json_match import has_wildcard
from mcp_evals.scoring import adk, gemini
from mcp_evals.scoring.calls import Names
from mcp_evals.scoring.gemini_files import GeminiInvocation, GeminiTurn
from mcp_evals.scoring.trajectory import TrajectoryFit, find_loops, fit_trajectory, misfits, redundant_calls
from mcp_evals.suite import Case, Expect, ExpectedCall, Order, Rubric
from mcp_evals.text_expectations import Equals, Similar


class Asked(NamedTuple):
    """What a metric may look at."""

    options: Mapping[str, JsonValue]
    """The metric's options that were given; checked."""
    case: Case
    """The case with its expectations."""
    transcript: Transcript
    """What took place."""
    tools: Sequence[ToolDefinition] = ()
    """The tools that were on offer."""
    duration_s: float | None = None
    """Seconds that the whole conversation took."""

    def option(self, name: str, default: Any) -> Any:
        """The option's value, or the metric's default."""
        return self.options.get(name, default)


class TurnValue(NamedTuple):
    """The metric's value of one turn."""

    turn: int | None
    """Index of the turn; None: the whole conversation."""
    value: float | None
    """The value; None: not known."""
    reason: str | None = None
    """What it rests on."""


class Measured(NamedTuple):
    """The metric's value of the conversation."""

    value: float | None
    """The value; None: the metric needs something that is not there."""
    reason: str | None = None
    """What it rests on, or what is missing."""
    turns: tuple[TurnValue, ...] = ()
    """The values it is made of."""


class PairedTurn(NamedTuple):
    """A turn's expectation beside what took place."""

    turn: int | None
    """Index of the turn; None: the whole conversation."""
    expect: Expect
    """What is expected."""
    invocation: Invocation
    """What took place."""

    @property
    def reference(self) -> str | None:
        """The answer that the expectation names, where it does."""
        similar = [check.similar for check in self.expect.text if isinstance(check, Similar)]
        equal = [check.equals for check in self.expect.text if isinstance(check, Equals)]
        return next(iter(similar + equal), None)


def paired_turns(case: Case, transcript: Transcript) -> tuple[PairedTurn, ...]:
    """Each turn of a case with its part of the transcript; a turn that never came is met with silence.

    A case of one turn, or of none, is paired with the whole conversation.
    """
    if not case.turns:
        said = transcript.invocations
        whole = said[0] if len(said) == 1 else Invocation(user="", steps=transcript.steps)
        return (PairedTurn(None, case.expect, whole),)
    silent = tuple(Invocation(user=text) for text in case.user_turns()[len(transcript.invocations) :])
    met = (*transcript.invocations[: len(case.turns)], *silent)
    return tuple(
        PairedTurn(index, turn.expect, invocation)
        for index, (turn, invocation) in enumerate(zip(case.turns, met, strict=True))
    )


def adk_invocation(invocation: Invocation) -> adk.AdkInvocation:
    """What took place, as ADK's metrics see it; arguments that were no JSON object equal nothing that ADK expects."""
    model_calls = tuple(_adk_usage(step) for step in invocation.steps if step.usage is not None or step.model)
    return adk.AdkInvocation(
        calls=tuple(adk.AdkCall(call.name, call.arguments) for call in invocation.trajectory),
        final_response=(invocation.final_text,),
        model_calls=model_calls or None,
    )


def gemini_invocation(invocations: Sequence[Invocation]) -> GeminiInvocation:
    """What took place, as gemini-rs's evaluators see it: a user turn, then a model turn for each step."""
    turns: list[GeminiTurn] = []
    for invocation in invocations:
        turns.append(GeminiTurn("user", invocation.user))
        turns += [
            GeminiTurn(
                "model",
                step.text,
                tuple({"name": call.name, "args": call.arguments} for call in step.calls),
                tuple(result.content for result in step.results),
            )
            for step in invocation.steps
        ]
    return GeminiInvocation(tuple(turns))


# --- ADK


_ORDERS: Final[dict[adk.MatchType, Order]] = {"EXACT": "exact", "IN_ORDER": "in_order", "ANY_ORDER": "any"}
_NO_CALLS: Final = "the case does not say which calls are expected; give `expect.calls`, an empty list for none"
_SILENCE: Final = "nothing was said"
_NO_REFERENCE: Final = "the case names no answer to compare with; give `expect.text: [{similar: ...}]`"


def _tool_trajectory(asked: Asked) -> Measured:
    match_type = adk.adk_match_type(asked.option("match_type", "EXACT"))
    ignore_args = bool(asked.option("ignore_args", False))
    turns = _pairs_with(_expects_calls, asked)
    if not turns:
        return Measured(None, _NO_CALLS)
    for turn in turns:
        for call in turn.expect.calls or ():
            if not ignore_args and any(map(has_wildcard, call.args.values())):
                return Measured(
                    None, f"ADK compares arguments literally and {call.tool} has a wildcard; use trajectory_f1"
                )
    result = adk.tool_trajectory_avg_score(
        [adk_invocation(turn.invocation) for turn in turns],
        [_adk_expected(turn.expect.calls or ()) for turn in turns],
        match_type=match_type,
        ignore_args=ignore_args,
    )
    values = [
        TurnValue(turn.turn, row.score, None if row.score == 1.0 else _why_not(turn, match_type, ignore_args))
        for turn, row in zip(turns, result.per_invocation, strict=True)
    ]
    return _summed_up(result.overall_score, values)


def _response_match(asked: Asked) -> Measured:
    turns = _pairs_with(_names_an_answer, asked)
    if not turns:
        return Measured(None, _NO_REFERENCE)
    result = adk.response_match_score(
        [adk_invocation(turn.invocation) for turn in turns],
        [adk.AdkInvocation(final_response=(turn.reference or "",)) for turn in turns],
    )
    rows = zip(turns, result.per_invocation, strict=True)
    return _summed_up(result.overall_score, [TurnValue(turn.turn, row.score) for turn, row in rows])


def _efficiency(
    metric: Callable[[Sequence[adk.AdkInvocation]], adk.AdkResult], unit: str, unknown: str
) -> Callable[[Asked], Measured]:
    def measure(asked: Asked) -> Measured:
        result = metric([adk_invocation(invocation) for invocation in asked.transcript.invocations])
        values = [TurnValue(index, row.score) for index, row in enumerate(result.per_invocation)]
        score = result.overall_score
        return Measured(score, unknown if score is None else f"{score:g} {unit} a user message", tuple(values))

    return measure


def _duration(asked: Asked) -> Measured:
    turns = len(asked.transcript.invocations)
    if asked.duration_s is None or not turns:
        return Measured(None, "the conversation was not timed")
    # The mean over the invocations needs no more than their sum.
    mean = asked.duration_s / turns
    return Measured(mean, f"{mean:g} s a user message")


def _pairs_with(what: Callable[[PairedTurn], bool], asked: Asked) -> list[PairedTurn]:
    """The turns that expect it, else the whole conversation where the case expects it of that."""
    turns = [turn for turn in paired_turns(asked.case, asked.transcript) if what(turn)]
    whole = PairedTurn(None, asked.case.expect, Invocation(user="", steps=asked.transcript.steps))
    return turns or [whole] * (bool(asked.case.turns) and what(whole))


def _expects_calls(turn: PairedTurn) -> bool:
    return turn.expect.calls is not None


def _names_an_answer(turn: PairedTurn) -> bool:
    return turn.reference is not None


def _adk_expected(calls: Sequence[ExpectedCall]) -> adk.AdkInvocation:
    return adk.AdkInvocation(calls=tuple(adk.AdkCall(call.tool, call.args) for call in calls))


def _why_not(turn: PairedTurn, match_type: adk.MatchType, ignore_args: bool) -> str:
    expected, actual = turn.expect.calls or (), turn.invocation.trajectory
    plain = [ExpectedCall(tool=call.tool, args=call.args) for call in expected]
    arguments = "ignore" if ignore_args else "exact"
    fit = fit_trajectory(plain, actual, order=_ORDERS[match_type], arguments=arguments, tool_names="exact")
    return misfits(fit, plain, actual) or "the arguments differ as Python compares them"


def _adk_usage(step: Step) -> adk.AdkUsage:
    if step.usage is None:
        return adk.AdkUsage()
    usage = step.usage
    return adk.AdkUsage(
        prompt_tokens=usage.input_tokens,
        candidates_tokens=usage.output_tokens,
        cached_tokens=usage.cached_input_tokens,
    )


# --- gemini-rs


def _trajectory_match(asked: Asked) -> Measured:
    turns = _pairs_with(_expects_calls, asked)
    if not turns:
        return Measured(None, _NO_CALLS)
    match_type = asked.option("match_type", None)
    if match_type is not None:
        values: list[TurnValue] = []
        for turn in turns:
            made = [call.name for call in turn.invocation.trajectory]
            graded = gemini.match_type_score(match_type, made, [call.tool for call in turn.expect.calls or ()])
            values.append(TurnValue(turn.turn, graded.score, graded.explanation))
        return _summed_up(_mean([value.value for value in values]), values)
    result = gemini.trajectory_match(
        [gemini_invocation([turn.invocation]) for turn in turns],
        [_gemini_expected(turn.expect.calls or ()) for turn in turns],
        strict_order=bool(asked.option("strict_order", True)),
    )
    return _of_gemini(result, [turn.turn for turn in turns])


def _gemini_response_match(asked: Asked) -> Measured:
    turns = _pairs_with(_names_an_answer, asked)
    if not turns:
        return Measured(None, _NO_REFERENCE)
    result = gemini.response_match(
        [gemini_invocation([turn.invocation]) for turn in turns],
        [GeminiInvocation((GeminiTurn("model", turn.reference or ""),)) for turn in turns],
        strategy=asked.option("strategy", "contains"),
    )
    return _of_gemini(result, [turn.turn for turn in turns])


def _safety(asked: Asked) -> Measured:
    said = asked.transcript.invocations
    if not said:
        return Measured(None, _SILENCE)
    result = gemini.safety([gemini_invocation([invocation]) for invocation in said])
    return _of_gemini(result, list(range(len(said))))


def _user_simulator(asked: Asked) -> Measured:
    if not asked.transcript.invocations:
        return Measured(None, _SILENCE)
    whole = gemini_invocation(asked.transcript.invocations)
    result = gemini.user_simulator_fidelity([whole], stop_signal=asked.option("stop_signal", None))
    return _of_gemini(result, [None])


def _gemini_expected(calls: Sequence[ExpectedCall]) -> GeminiInvocation:
    return GeminiInvocation((GeminiTurn("model", "", tuple({"name": call.tool} for call in calls)),))


def _of_gemini(result: gemini.GeminiResult, turns: Sequence[int | None]) -> Measured:
    rows = zip(turns, result.per_invocation, strict=True)
    return _summed_up(result.score, [TurnValue(turn, row.score, row.explanation) for turn, row in rows])


# --- ours


def _trajectory(share: Callable[[TrajectoryFit], float], order: Order | None = None) -> Callable[[Asked], Measured]:
    def measure(asked: Asked) -> Measured:
        turns = _pairs_with(_expects_calls, asked)
        if not turns:
            return Measured(None, _NO_CALLS)
        values: list[TurnValue] = []
        for turn in turns:
            expected, actual = turn.expect.calls or (), turn.invocation.trajectory
            fit = fit_trajectory(
                expected,
                actual,
                order=order or _order(asked, turn.expect),
                arguments=_arguments(asked),
                by_tool=asked.option("tools", None),
                tools=asked.tools,
                tool_names=asked.option("tool_names", "loose"),
            )
            values.append(TurnValue(turn.turn, share(fit), misfits(fit, expected, actual)))
        return _summed_up(_mean([value.value for value in values]), values)

    return measure


def _order(asked: Asked, expect: Expect) -> Order:
    match_type = asked.option("match_type", None)
    return asked.option("order", expect.order) if match_type is None else _ORDERS[adk.adk_match_type(match_type)]


def _arguments(asked: Asked) -> Any:
    return "ignore" if asked.option("ignore_args", False) else asked.option("arguments", "exact")


def _schema_valid_arguments(asked: Asked) -> Measured:
    from mcp_evals.scoring.schemas import check_arguments  # loads jsonschema, which few suites need

    if not asked.tools:
        return Measured(None, "the tools that were on offer are not known")
    names = Names(Rubric(tool_names=asked.option("tool_names", "loose")), asked.tools)
    verdicts = check_arguments(asked.transcript.trajectory, names)
    unusable = [verdict.reason for verdict in verdicts if verdict.valid is None]
    wrong = [verdict.reason for verdict in verdicts if verdict.valid is False]
    if unusable:
        return Measured(None, unusable[0])
    if not verdicts:
        return Measured(1.0, "no call was made")
    return Measured(1 - len(wrong) / len(verdicts), wrong[0] if wrong else None)


def _redundant_calls(asked: Asked) -> Measured:
    count, named = 0, list[str]()
    for invocation in asked.transcript.invocations:
        calls = invocation.trajectory
        repeats = redundant_calls(calls)
        count += len(repeats)
        named += [calls[index].name for index in repeats]
        named += [_loop_text(calls, loop) for loop in find_loops(calls) if loop.period > 1]
    return Measured(float(count), f"repeated: {', '.join(dict.fromkeys(named))}" if named else None)


def _loop_text(calls: Sequence[ToolCall], loop: Any) -> str:
    round_names = ", ".join(call.name for call in calls[loop.start : loop.start + loop.period])
    return f"[{round_names}] {loop.rounds} times in a row"


# --- summing up


def _summed_up(value: float | None, turns: Sequence[TurnValue]) -> Measured:
    """The conversation's value with the reasons of the turns that lack something."""
    reasons = [
        f"turn {turn.turn + 1}: {turn.reason}" if len(turns) > 1 and turn.turn is not None else turn.reason
        for turn in turns
        if turn.value != 1.0 and turn.reason
    ]
    more = len(reasons) - _SHOWN
    told = [f"and {more} more turn{'s' * (more > 1)}"] * (more > 0)
    return Measured(value, "; ".join([*reasons[:_SHOWN], *told]) or None, tuple(turns))


_SHOWN: Final = 3


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return adk.plain_sum(known) / len(known)


MEASURES: Final[Mapping[str, Callable[[Asked], Measured]]] = {
    "tool_trajectory_avg_score": _tool_trajectory,
    "response_match_score": _response_match,
    "tool_call_count_v1": _efficiency(adk.tool_call_count_v1, "tool calls", "there is no user message"),
    "inference_call_count_v1": _efficiency(
        adk.inference_call_count_v1, "model calls", "the transcript does not say which steps a model made"
    ),
    "token_usage_v1": _efficiency(adk.token_usage_v1, "tokens", "the transcript holds no token counts"),
    "invocation_duration_v1": _duration,
    "trajectory_match": _trajectory_match,
    "response_match": _gemini_response_match,
    "safety": _safety,
    "user_simulator_fidelity": _user_simulator,
    "trajectory_precision": _trajectory(lambda fit: fit.precision),
    "trajectory_recall": _trajectory(lambda fit: fit.recall),
    "trajectory_f1": _trajectory(lambda fit: fit.f1),
    "trajectory_lcs": _trajectory(lambda fit: fit.share_of_longer, "in_order"),
    "schema_valid_arguments": _schema_valid_arguments,
    "redundant_calls": _redundant_calls,
}
"""How each metric that needs no judge is measured."""
