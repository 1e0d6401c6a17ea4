"""Small runs, scored by the real scorer, for the tests of reports."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mcp_evals.compare import RunData, compare_runs, distinct_names
from mcp_evals.conversation import Invocation, Step, ToolCall, Transcript, Usage
from mcp_evals.reports.document import RunReport, SideBySide, run_report, side_by_side
from mcp_evals.results import Outcome, Run, RunSettings, Trial, TrialError
from mcp_evals.runner import score_trial
from mcp_evals.suite import Case, Suite
from mcp_evals.summary import summarize

SUITE = Suite.model_validate(
    {
        "name": "weather",
        "description": "Asks for the weather.",
        "cases": [
            {
                "id": "oslo",
                "tags": ["north"],
                "user": "Weather in Oslo?",
                "expect": {"calls": [{"tool": "get_weather", "args": {"city": "Oslo", "days": 1}}]},
            },
            {
                "id": "rome",
                "user": "Weather in Rome?",
                "expect": {"calls": [{"tool": "get_weather", "args": {"city": "Rome", "days": 1}}]},
            },
            {
                "id": "joke",
                "tags": ["north"],
                "user": "Tell me a joke.",
                "expect": {"calls": [], "text": [{"contains": "ha"}]},
            },
        ],
    }
)
DOWN = TrialError(kind="rate_limit", message="429 too many requests")
Said = Transcript | TrialError
Answers = Mapping[str, Sequence[Said]]
"""For each case what came of its trials; a case that is not there was not held."""


def called(*calls: ToolCall, text: str = "") -> Transcript:
    step = Step(text=text, calls=calls, usage=Usage(input_tokens=10, output_tokens=2), latency_s=0.5)
    return Transcript(invocations=(Invocation(user="asked", steps=(step,)),))


def weather(city: str, days: int = 1) -> Transcript:
    return called(ToolCall(name="get_weather", arguments={"city": city, "days": days}))


FLAKY: Answers = {
    "oslo": [weather("Oslo"), weather("Bergen")],
    "rome": [DOWN, DOWN],
    "joke": [called(text="ha"), called(text="ha")],
}
STEADY: Answers = {
    "oslo": [weather("Oslo"), weather("Oslo")],
    "rome": [weather("Rome"), weather("Rome")],
    "joke": [called(text="no"), called(text="ha")],
}


def report_of(
    answers: Answers, suite: Suite = SUITE, *, transcripts: bool = False, only_lost: bool = False, **run: Any
) -> RunReport:
    found, trials = _held(answers, suite, **run)
    summary = summarize(*found)
    return run_report(summary, found.outcomes, suite, trials, transcripts=transcripts, only_lost=only_lost)


def both(first: Answers, second: Answers, suite: Suite = SUITE, *, only_lost: bool = False) -> SideBySide:
    held = [_held(first, suite, id="r1", target="openai:a"), _held(second, suite, id="r2", target="openai:b")]
    runs = [run_report(summarize(*found), found.outcomes, suite, trials) for found, trials in held]
    data = [found for found, _ in held]
    return side_by_side(runs, distinct_names(data), compare_runs(data), only_lost=only_lost)


def _held(answers: Answers, suite: Suite, **run: Any) -> tuple[RunData, list[Trial]]:
    cases = {case.id: case for case in suite.cases}
    trials = [_trial(cases[name], suite, index, said) for name in answers for index, said in enumerate(answers[name])]
    given: dict[str, Any] = {
        "id": "r1",
        "target": "openai:m",
        "settings": RunSettings(trials=max(map(len, answers.values())), seed=7),
        "case_ids": tuple(cases),
        "status": "completed",
        "created_at": datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC),
        **run,
    }
    head = Run(suite=suite.name, suite_digest=suite.digest, **given)
    return RunData(head, suite, [_outcome(trial) for trial in trials]), trials


def _trial(case: Case, suite: Suite, index: int, said: Said) -> Trial:
    head: dict[str, Any] = {"case_id": case.id, "index": index, "seed": 7, "duration_s": 1.5}
    if isinstance(said, TrialError):
        return Trial(**head, error=said)
    score = score_trial(case, suite, said, suite.tools_of(case))
    return Trial(**head, transcript=said, score=score, usage=said.usage, cost_usd=0.001)


def _outcome(trial: Trial) -> Outcome:
    score, error = trial.score, trial.error
    return Outcome(
        case_id=trial.case_id,
        index=trial.index,
        verdict=trial.verdict,
        score=score.score if score else None,
        reason=score.reason if score else error.message if error else None,
        error_kind=error.kind if error else None,
        usage=trial.usage,
        cost_usd=trial.cost_usd,
        duration_s=trial.duration_s,
        latency_s=trial.transcript.latency_s if trial.transcript else None,
    )
