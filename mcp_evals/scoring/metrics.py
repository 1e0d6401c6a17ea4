"""Named metrics as checks: whether a suite asks for them rightly, and what they say of a transcript.

A misspelt name or option is an error, and a metric that lacks what it needs is not evaluated: neither passes in silence.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import get_args

from pydantic import JsonValue

from mcp_evals.conversation import ToolDefinition, Transcript
from mcp_evals.errors import UsageError, did_you_mean
from mcp_evals.results import Check, Judgement
from mcp_evals.scoring.adk import adk_match_type
from mcp_evals.scoring.judge import OpenQuestion
from mcp_evals.scoring.judged_metrics import JudgedMeasure, judged_parts, measure_judged
from mcp_evals.scoring.measures import MEASURES, Asked, Measured
from mcp_evals.scoring.metric_list import METRICS, MetricInfo, MetricOption
from mcp_evals.scoring.trajectory import ArgumentMode
from mcp_evals.suite import Case, MetricSettings


def check_metric(name: str, settings: MetricSettings | float) -> MetricInfo:
    """The metric, where the name and the settings are right.

    Raises:
        UsageError: there is no such metric or option, or the threshold can never be reached or missed.
    """
    info = METRICS.get(name)
    if info is None:
        raise UsageError(f'no metric "{name}"{did_you_mean(name, tuple(METRICS))}')
    for option, value in _options(_settings(settings)).items():
        if option not in info.options:
            hint = did_you_mean(option, tuple(info.options)) if info.options else "; it has none"
            raise UsageError(f'metric {name} has no option "{option}"{hint}')
        _check_option(name, option, value, info.options[option])
    _check_threshold(info, _settings(settings).threshold)
    return info


def score_metric(
    name: str,
    settings: MetricSettings | float,
    case: Case,
    transcript: Transcript,
    *,
    tools: Sequence[ToolDefinition] = (),
    duration_s: float | None = None,
    judgements: Mapping[str, Judgement] | None = None,
) -> tuple[Check, ...]:
    """The check of one metric, and where the case has several turns one for each, which decides nothing.

    With a threshold the check is a gate: 1 from the threshold on, else the metric's value. `actual` is always the value.

    Raises:
        UsageError: there is no such metric or option, or the threshold makes no sense.
    """
    info, settings = check_metric(name, settings), _settings(settings)
    asked = Asked(_options(settings), case, transcript, tools, duration_s)
    judged = JudgedMeasure(Measured(None, "only Google's service computes it; write it as `text: [{judged: ...}]`"))
    if "judge" in info.needs:
        judged = measure_judged(name, asked, judgements or {})
    elif "google_cloud" not in info.needs:
        judged = JudgedMeasure(MEASURES[name](asked))
    measured = judged.measured
    status = {"judge": judged.judge, "calibrated": judged.calibrated}
    checks = [_check(info, settings.threshold, measured).model_copy(update=status)]
    if len(measured.turns) > 1:
        checks += [
            Check(
                name=f"{name}.turn",
                score=turn.value if _is_fraction(info) else None,
                actual=turn.value,
                reason=turn.reason,
                turn=turn.turn,
                informational=True,
            )
            for turn in measured.turns
        ]
    return tuple(checks)


def score_metrics(
    metrics: Mapping[str, MetricSettings | float],
    case: Case,
    transcript: Transcript,
    tools: Sequence[ToolDefinition] = (),
    duration_s: float | None = None,
    judgements: Mapping[str, Judgement] | None = None,
) -> tuple[Check, ...]:
    """The checks of several metrics, in their order.

    Raises:
        UsageError: a name, an option or a threshold is wrong; nothing is scored then.
    """
    for name, settings in metrics.items():
        check_metric(name, settings)
    return tuple(
        check
        for name, settings in metrics.items()
        for check in score_metric(
            name, settings, case, transcript, tools=tools, duration_s=duration_s, judgements=judgements
        )
    )


def metric_questions(
    metrics: Mapping[str, MetricSettings | float],
    case: Case,
    transcript: Transcript,
    tools: Sequence[ToolDefinition] = (),
) -> tuple[OpenQuestion, ...]:
    """What a judge has to answer for these metrics, each question once."""
    found: dict[str, OpenQuestion] = {}
    for name, settings in metrics.items():
        if "judge" in check_metric(name, settings).needs:
            parts = judged_parts(name, Asked(_options(_settings(settings)), case, transcript, tools))
            questions = [] if isinstance(parts, str) else [part.question for part in parts]
            found |= {question.key: question for question in questions if question is not None}
    return tuple(found.values())


# --- settings


def _settings(settings: MetricSettings | float) -> MetricSettings:
    return settings if isinstance(settings, MetricSettings) else MetricSettings(threshold=settings)


def _options(settings: MetricSettings) -> dict[str, JsonValue]:
    named: dict[str, JsonValue] = {"match_type": settings.match_type, "ignore_args": settings.ignore_args}
    return {**settings.options, **{name: value for name, value in named.items() if value is not None}}


def _check_option(metric: str, option: str, value: JsonValue, info: MetricOption) -> None:
    if info.values:
        _check_choice(metric, option, value, info.values)
    elif option == "match_type":
        adk_match_type(value)
    elif option == "tools":
        modes = value.values() if isinstance(value, dict) else [None]
        for mode in modes:
            _check_choice(metric, option, mode, get_args(ArgumentMode))
    elif option == "stop_signal" and not isinstance(value, str):
        raise UsageError(f"option {option} of {metric} cannot be {value!r}; it is a text")


def _check_choice(metric: str, option: str, value: JsonValue, choices: Sequence[JsonValue]) -> None:
    # A boolean is not the number that equals it.
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        listed = ", ".join(choice if isinstance(choice, str) else json.dumps(choice) for choice in choices)
        raise UsageError(f"option {option} of {metric} cannot be {value!r}; it is one of {listed}")


def _check_threshold(info: MetricInfo, threshold: float | None) -> None:
    if threshold is None:
        return
    if info.informational:
        raise UsageError(f"{info.name} takes no threshold: it reports a number; bound it by `expect.limits`")
    high = math.inf if info.high is None else info.high
    if not (math.isfinite(threshold) and info.low <= threshold <= high):
        upper = "up" if info.high is None else f"to {info.high:g}"
        raise UsageError(f"threshold {threshold:g} makes no sense: {info.name} goes from {info.low:g} {upper}")


# --- checks


def _check(info: MetricInfo, threshold: float | None, measured: Measured) -> Check:
    value = measured.value
    blank = Check(name=info.name, score=None, expected=threshold, actual=value, informational=threshold is None)
    if value is None:
        return blank.model_copy(update={"reason": f"not evaluated: {measured.reason}"})
    if threshold is None:
        return blank.model_copy(update={"score": value if _is_fraction(info) else None, "reason": measured.reason})
    passed = value >= threshold if info.better == "higher" else value <= threshold
    if passed:
        return blank.model_copy(update={"score": 1.0})
    side = "below" if info.better == "higher" else "above"
    reason = f"{info.name} {value:.4g} is {side} {threshold:g}" + (f": {measured.reason}" if measured.reason else "")
    return blank.model_copy(update={"score": value if _is_fraction(info) else 0.0, "reason": reason})


def _is_fraction(info: MetricInfo) -> bool:
    return info.low == 0 and info.high == 1 and info.better == "higher"
