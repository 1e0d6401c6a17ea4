"""What the trials of a run came to: verdicts of the cases, pass rate and score with their intervals, tags, cost.

Reads outcomes, not transcripts; so a run of 15,000 trials is summed up at once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from mcp_evals.conversation import Usage
from mcp_evals.results import CaseResult, Estimate, Outcome, Run, RunSummary, Tally, Verdict
from mcp_evals.scoring.trials import result_of_trials
from mcp_evals.suite import Case, Suite


def summarize(run: Run, suite: Suite, outcomes: Iterable[Outcome], judge_cost_usd: float | None = None) -> RunSummary:
    """Sum up a run from the outcomes of its trials; `suite` is the one that scored them."""
    by_case: dict[str, list[Outcome]] = {}
    listed = list(outcomes)
    for outcome in listed:
        by_case.setdefault(outcome.case_id, []).append(outcome)
    cases = {case.id: case for case in suite.cases}
    results = tuple(
        result_of_trials(sorted(by_case[case_id], key=lambda outcome: outcome.index), suite.rubric_of(cases[case_id]))
        for case_id in run.case_ids
        if case_id in by_case and case_id in cases
    )
    planned = sum(run.settings.trials * cases[case_id].phrasings for case_id in run.case_ids if case_id in cases)
    return RunSummary(
        run=run,
        trials=tally((outcome.verdict for outcome in listed), planned),
        cases=tally((result.verdict for result in results), len(run.case_ids)),
        pass_rate=interval(by_case, cases, "passed"),
        score=interval(by_case, cases, "score"),
        results=results,
        by_tag=_by_tag(results, cases),
        usage=_usage(listed),
        cost_usd=_total(outcome.cost_usd for outcome in listed),
        judge_cost_usd=judge_cost_usd,
        duration_s=sum(outcome.duration_s for outcome in listed),
    )


def tally(verdicts: Iterable[Verdict], planned: int) -> Tally:
    """Count verdicts."""
    counts = Counter(verdicts)
    return Tally(planned=planned, **{verdict: counts[verdict] for verdict in ("passed", "warned", "failed", "errored")})


def interval(
    by_case: Mapping[str, Sequence[Outcome]], cases: Mapping[str, Case], metric: Literal["passed", "score"]
) -> Estimate | None:
    """Mean of the per-case means with its interval; errored trials are missing. None while nothing is scored.

    Formula: Wilson on the effective sample size, `stats.intervals.arm_of_trials`.
    """
    from mcp_evals.stats.intervals import arm_of_trials  # brings numpy and scipy

    table = [[_measured(outcome, metric) for outcome in outcomes] for outcomes in by_case.values()]
    groups = [cases[case_id].group or f"\0{case_id}" if case_id in cases else case_id for case_id in by_case]
    grouped = any(case_id in cases and cases[case_id].group for case_id in by_case)
    summary = arm_of_trials(table, binary=metric == "passed", groups=groups if grouped else None)
    return None if summary is None else summary.estimate


def _measured(outcome: Outcome, metric: str) -> float | None:
    if outcome.verdict == "errored" or outcome.score is None:
        return None
    # A few conventions of others leave 0..1; the statistics speak of a bounded score.
    return float(outcome.verdict != "failed") if metric == "passed" else min(1.0, max(0.0, outcome.score))


def _by_tag(results: Sequence[CaseResult], cases: Mapping[str, Case]) -> dict[str, Tally]:
    tags = sorted({tag for result in results for tag in cases[result.case_id].tags})
    of_tag: dict[str, list[Verdict]] = {
        tag: [result.verdict for result in results if tag in cases[result.case_id].tags] for tag in tags
    }
    return {tag: tally(verdicts, len(verdicts)) for tag, verdicts in of_tag.items()}


def _usage(outcomes: Sequence[Outcome]) -> Usage | None:
    known = [outcome.usage for outcome in outcomes if outcome.usage is not None]
    return sum(known[1:], known[0]) if known else None


def _total(costs: Iterable[float | None]) -> float | None:
    """Sum; None where one is unknown, because a sum with a hole in it is not what was spent."""
    listed = list(costs)
    return None if not listed or None in listed else sum(cost for cost in listed if cost is not None)
