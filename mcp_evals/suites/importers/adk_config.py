"""ADK's `test_config.json`, and gemini-rs's of the same shape, as metrics of a suite: an unknown name or option is an error."""

from typing import Any, Final, NamedTuple

from mcp_evals.errors import UsageError
from mcp_evals.scoring.metrics import check_metric
from mcp_evals.suite import JudgeSettings, MetricSettings
from mcp_evals.suites.importers.adk_files import Reader, snake_keys
from mcp_evals.suites.messages import as_object


class AdkConfig(NamedTuple):
    """What decides in a run of ADK."""

    metrics: dict[str, MetricSettings | float]
    """Each criterion."""
    judge: JudgeSettings | None = None
    """How often a judge is asked."""


ADK_DEFAULTS: Final[dict[str, MetricSettings | float]] = {
    "tool_trajectory_avg_score": 1.0,
    "response_match_score": 0.8,
}
"""The criteria of ADK where no file says otherwise."""


def is_config(value: Any) -> bool:
    """Whether something is such a config."""
    return isinstance(as_object(value).get("criteria"), dict)


def read_config(value: Any, reader: Reader) -> AdkConfig:
    """The criteria as metrics; what is wrong and what is left out is kept in `reader`."""
    fields = as_object(value)
    criteria = fields.get("criteria")
    if not isinstance(criteria, dict):
        reader.complain(("criteria",), 'must be an object such as {"tool_trajectory_avg_score": 1.0}')
        return AdkConfig({})
    for key in fields:
        if key != "criteria":
            reader.notes.add(f'"{key}" of the config is left out')
    metrics: dict[str, MetricSettings | float] = {}
    samples: list[int] = []
    for name, criterion in as_object(criteria).items():
        settings, asked = _criterion(name, criterion, reader)
        samples += asked
        if settings is None:
            continue
        try:
            info = check_metric(name, settings)
        except UsageError as error:
            reader.complain(("criteria", name), str(error))
            continue
        if "google_cloud" in info.needs:
            reader.notes.add(f"{name} is computed by Google's service alone and is not evaluated here")
        metrics[name] = settings
    if len(set(samples)) > 1:
        reader.notes.add("metrics ask a judge differently often; the greatest number holds for all")
    return AdkConfig(metrics, JudgeSettings(samples=min(max(samples), 99)) if samples else None)


_MATCH_TYPES: Final = ("EXACT", "IN_ORDER", "ANY_ORDER")
_JUDGE_KEYS: Final = {"judge_model_options", "judge_model", "num_samples"}


def _criterion(name: str, value: Any, reader: Reader) -> tuple[MetricSettings | float | None, list[int]]:
    place = ("criteria", name)
    if not isinstance(value, dict):
        return _threshold(value, place, reader), []
    fields = as_object(snake_keys(value))
    threshold = _threshold(fields.get("threshold"), (*place, "threshold"), reader)
    judge = {**fields, **as_object(fields.get("judge_model_options"))}
    samples = judge.get("num_samples")
    if judge.get("judge_model"):
        reader.notes.add(f"the judge model {judge['judge_model']} of {name} is left out; name one by `judge.target`")
    match_type = fields.get("match_type")
    if isinstance(match_type, int) and not isinstance(match_type, bool) and 0 <= match_type < len(_MATCH_TYPES):
        match_type = _MATCH_TYPES[match_type]
    known = {"threshold", "match_type", "ignore_args", *_JUDGE_KEYS}
    given: dict[str, Any] = {
        "threshold": threshold,
        "match_type": match_type,
        "ignore_args": fields.get("ignore_args"),
        "options": {key: item for key, item in fields.items() if key not in known},
    }
    if threshold is None:
        return None, []
    try:
        settings = MetricSettings.model_validate({key: item for key, item in given.items() if item not in (None, {})})
    except ValueError:
        reader.complain(place, "`match_type` must be text such as IN_ORDER, `ignore_args` true or false")
        return None, []
    return settings, [samples] if isinstance(samples, int) and samples >= 1 else []


def _threshold(value: Any, place: tuple[str, ...], reader: Reader) -> float | None:
    try:
        # ADK takes a number written as text too.
        return float("no number" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        reader.complain(place, 'must be a number such as 0.8, or an object such as {"threshold": 0.8}')
        return None
