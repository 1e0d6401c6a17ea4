"""The named metrics there are: whose rule each is, what it needs, its values and its settings. Data alone."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from pydantic import Field, JsonValue

from mcp_evals.model import Model
from mcp_evals.scoring.trajectory import ArgumentMode
from mcp_evals.suite import Order

Need = Literal["expected_calls", "reference", "judge", "tools", "tokens", "duration", "google_cloud"]
"""What a metric cannot do without."""


class MetricOption(Model):
    """A setting of a metric."""

    description: str
    """What it does, and what holds without it."""
    values: tuple[JsonValue, ...] = ()
    """What it may be; empty: see the description."""


class MetricInfo(Model):
    """What a metric is."""

    name: str
    """Name by which a suite asks for it."""
    source: Literal["adk", "gemini-rs", "mcp_evals"]
    """Whose rule it is."""
    version: str
    """Version of the source that it reproduces."""
    description: str
    """What it says, in a sentence."""
    needs: tuple[Need, ...] = ()
    """Without these it is not evaluated."""
    low: float = 0.0
    """Least value."""
    high: float | None = 1.0
    """Greatest value; None: there is none."""
    better: Literal["higher", "lower"] = "higher"
    """Which values are good."""
    informational: bool = False
    """It reports a number and takes no threshold."""
    options: dict[str, MetricOption] = Field(default_factory=dict[str, MetricOption])
    """Its settings."""


_MATCH_TYPE: Final = MetricOption(
    description="EXACT, IN_ORDER or ANY_ORDER, in any case and with spaces or hyphens; EXACT without it"
)
_IGNORE_ARGS: Final = MetricOption(description="compare only names; false without it", values=(True, False))
_TOOL_NAMES: Final = MetricOption(
    description="loose: case and the choice of `-`, `_` and `.` do not matter; loose without it",
    values=("loose", "exact"),
)
_ARGUMENTS: Final = {
    "ignore_args": _IGNORE_ARGS,
    "arguments": MetricOption(
        description="exact, ignore, subset (nothing but expected ones) or superset (at least these); exact without it",
        values=get_args(ArgumentMode),
    ),
    "tools": MetricOption(description="another way of comparing arguments for some tools, such as {search: ignore}"),
    "tool_names": _TOOL_NAMES,
}
_TRAJECTORY: Final = {
    **_ARGUMENTS,
    "order": MetricOption(
        description="any, in_order or exact; the case's own order without it", values=get_args(Order)
    ),
    "match_type": MetricOption(description="the order in ADK's words: EXACT, IN_ORDER or ANY_ORDER"),
}
_JUDGED: Final = {
    "judge_model_options": MetricOption(
        description="as ADK's files have it; who judges and how often is the suite's `judge`"
    ),
    "include_intermediate_responses_in_final": MetricOption(description="judge what was said before calls too"),
}
_RUBRICS: Final = {**_JUDGED, "rubrics": MetricOption(description="what must be true of the answer")}


def _adk(
    name: str,
    description: str,
    *needs: Need,
    options: dict[str, MetricOption] | None = None,
    low: float = 0.0,
    high: float = 1.0,
) -> MetricInfo:
    return MetricInfo(
        name=name,
        source="adk",
        version="2.13.0",
        description=description,
        needs=needs,
        low=low,
        high=high,
        options=options or {},
    )


def _adk_number(name: str, description: str, *needs: Need) -> MetricInfo:
    return _adk(name, description, *needs).model_copy(update={"high": None, "better": "lower", "informational": True})


def _gemini(name: str, description: str, *needs: Need, options: dict[str, MetricOption] | None = None) -> MetricInfo:
    return MetricInfo(
        name=name,
        source="gemini-rs",
        version="35f2faca",
        description=description,
        needs=needs,
        options=options or {},
    )


def _ours(name: str, description: str, *needs: Need, options: dict[str, MetricOption] | None = None) -> MetricInfo:
    return MetricInfo(
        name=name, source="mcp_evals", version="1", description=description, needs=needs, options=options or {}
    )


METRICS: Final[Mapping[str, MetricInfo]] = {
    info.name: info
    for info in (
        _adk(
            "tool_trajectory_avg_score",
            "Share of turns whose calls match the expected ones, all or nothing.",
            "expected_calls",
            options={"match_type": _MATCH_TYPE, "ignore_args": _IGNORE_ARGS},
        ),
        _adk("response_match_score", "Mean ROUGE-1 F of the answers, with stemming.", "reference"),
        _adk_number("tool_call_count_v1", "Tool calls a turn."),
        _adk_number("inference_call_count_v1", "Model calls a turn."),
        _adk_number("token_usage_v1", "Tokens a turn, read and written.", "tokens"),
        _adk_number("invocation_duration_v1", "Seconds a turn.", "duration"),
        _adk(
            "final_response_match_v2",
            "Share of answers that a judge calls valid beside the reference.",
            "reference",
            "judge",
            options=_JUDGED,
        ),
        _adk("rubric_based_final_response_quality_v1", "Rubrics that hold of the answers.", "judge", options=_RUBRICS),
        _adk("rubric_based_tool_use_quality_v1", "Rubrics that hold of the tool use.", "judge", options=_RUBRICS),
        _adk(
            "rubric_based_multi_turn_trajectory_quality_v1",
            "Rubrics that hold of the whole conversation.",
            "judge",
            options=_RUBRICS,
        ),
        _adk(
            "hallucinations_v1",
            "Share of sentences that the context supports.",
            "judge",
            options={
                **_JUDGED,
                "evaluate_intermediate_nl_responses": MetricOption(description="judge what was said before calls too"),
            },
        ),
        _adk(
            "per_turn_user_simulator_quality_v1",
            "Share of simulated user turns that follow the plan.",
            "judge",
            options={**_JUDGED, "stop_signal": MetricOption(description="text that ends the conversation")},
        ),
        _adk("safety_v1", "Share of harmless answers; a judge decides it here, Google's service there.", "judge"),
        _adk("response_evaluation_score", "Coherence of the answers.", "google_cloud", low=1.0, high=5.0),
        _adk("multi_turn_task_success_v1", "Whether the conversation reached its goals.", "google_cloud"),
        _adk("multi_turn_trajectory_quality_v1", "Quality of the way to the goals.", "google_cloud"),
        _adk("multi_turn_tool_use_quality_v1", "Quality of the calls on the way.", "google_cloud"),
        _gemini(
            "trajectory_match",
            "Names of the calls in common: a subsequence over the longer side, or an overlap of sets.",
            "expected_calls",
            options={
                "strict_order": MetricOption(
                    description="subsequence, else sets; true without it", values=(True, False)
                ),
                "match_type": MetricOption(
                    description="Exact, InOrder or AnyOrder instead of strict_order, each with partial credit",
                    values=("Exact", "InOrder", "AnyOrder"),
                ),
            },
        ),
        _gemini(
            "response_match",
            "Answers that equal, contain or resemble the reference.",
            "reference",
            options={
                "strategy": MetricOption(
                    description="exact, contains (either way) or fuzzy; contains without it",
                    values=("exact", "contains", "fuzzy"),
                )
            },
        ),
        _gemini("safety", "Signs of personal data, injected instructions and secrets in the answers."),
        _gemini(
            "user_simulator_fidelity",
            "Form of the user turns: blank, repeated or doubled ones cost.",
            options={"stop_signal": MetricOption(description="text that only the last user turn may have")},
        ),
        _gemini("llm_judge_score", "A judge's number.", "judge"),
        _gemini("groundedness", "A judge's number for support by the context.", "judge"),
        _ours(
            "trajectory_precision",
            "Share of the calls made that were expected.",
            "expected_calls",
            options=_TRAJECTORY,
        ),
        _ours(
            "trajectory_recall", "Share of the expected calls that were made.", "expected_calls", options=_TRAJECTORY
        ),
        _ours(
            "trajectory_f1",
            "Harmonic mean of trajectory_precision and trajectory_recall.",
            "expected_calls",
            options=_TRAJECTORY,
        ),
        _ours(
            "trajectory_lcs",
            "Expected calls that came in order, over the longer of the two sides.",
            "expected_calls",
            options=_ARGUMENTS,
        ),
        _ours(
            "schema_valid_arguments",
            "Share of the calls that name a tool on offer and fit its schema.",
            "tools",
            options={"tool_names": _TOOL_NAMES},
        ),
        _ours(
            "redundant_calls", "How many calls repeat the one directly before; a threshold is the most that passes."
        ).model_copy(update={"high": None, "better": "lower"}),
    )
}
"""Every metric by name."""
