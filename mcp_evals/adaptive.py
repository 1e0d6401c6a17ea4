"""Compare two targets pair by pair, and stop as soon as the answer is clear.

Which case comes next was drawn before the first call; pairs are held a few at a time and looked at in that order, so that
neither luck nor speed chooses what is seen. Knows no target: who calls gives a function that holds a pair.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import anyio

from mcp_evals.compare import (
    Pair,
    RunData,
    arm_of,
    changed_case,
    distinct_names,
    gap_sentence,
    groups_of,
    hidden_sentence,
    outcomes_by_case,
)
from mcp_evals.errors import LimitError, UsageError
from mcp_evals.model import Model
from mcp_evals.results import Comparison, ComparisonTable, Flag, Gate, Metric
from mcp_evals.stats.sequential import (
    AdaptiveComparison,
    AdaptivePlan,
    AdaptiveResult,
    AdaptiveState,
    PairScore,
    shuffled_cases,
)
from mcp_evals.suite import Case
from mcp_evals.text import plural

SHOWN: Final = 10
"""Changed cases that an answer names on each side."""
SMALL: Final = 30
"""Below so many independent cases the sentence begins with a warning."""
SAVES: Final = 20
"""Times that the pairs are written down in each pass; what came after is read from the stored trials."""


class AdaptiveRecord(Model):
    """An adaptive comparison as it is stored: enough to take it up again with the guarantee kept."""

    runs: tuple[str, str]
    """Baseline and candidate."""
    metric: Metric
    """What is compared."""
    case_ids: tuple[str, ...]
    """The cases, in the suite's order."""
    order: tuple[int, ...]
    """The places of the cases in the order in which they are held, in every pass."""
    state: AdaptiveState
    """Plan and pairs."""
    ended: str | None = None
    """Why it ended before it was clear, such as a budget; None: it did not."""

    @property
    def id(self) -> str:
        """Name of the document."""
        return document_id(self.runs)

    @property
    def max_pairs(self) -> int:
        """Pairs at most."""
        return self.state.plan.max_pairs

    def place(self, number: int) -> tuple[int, int]:
        """Case and pass of the pair of that number."""
        turn, place = divmod(number, len(self.order))
        return self.order[place], turn


HoldPair = Callable[[str, int], Awaitable[tuple[float | None, float | None]]]
"""Holds both sides of a case, by its id and the number of the trial; the values of baseline and candidate."""


def document_id(runs: Sequence[str]) -> str:
    """Name of the document of these two runs."""
    return "+".join(runs)


def adaptive_plan(cases: Sequence[Case], trials: int, *, metric: Metric, margin: float, seed: int = 0) -> AdaptivePlan:
    """What has to be fixed before the first call.

    Raises:
        UsageError: the suite is so small that it would end without an answer.
    """
    groups = groups_of(cases)
    plan = AdaptivePlan(
        cases=len(cases),
        max_runs=trials,
        binary=metric == "passed",
        groups=None if groups is None else tuple(groups),
        margin=margin,
        seed=seed,
    )
    if not plan.can_see_gap:
        raise UsageError(
            f"with {len(cases)} case{plural(len(cases))} × {trials} trial{plural(trials)} even a gap of 10 points would "
            "hardly be found, so stopping early saves nothing; compare without `adaptive`, or write more cases"
        )
    return plan


def adaptive_record(runs: tuple[str, str], cases: Sequence[Case], plan: AdaptivePlan, metric: Metric) -> AdaptiveRecord:
    """A new comparison: the order is drawn here, spread evenly over the cases' first tags."""
    order = shuffled_cases(len(cases), seed=plan.seed, strata=[case.tags[0] if case.tags else "" for case in cases])
    ids = tuple(case.id for case in cases)
    return AdaptiveRecord(runs=runs, metric=metric, case_ids=ids, order=order, state=AdaptiveState(plan=plan, pairs=()))


async def hold_pairs(
    record: AdaptiveRecord, hold: HoldPair, *, window: int, save: Callable[[AdaptiveRecord], None]
) -> AdaptiveRecord:
    """Hold pairs, at most `window` beyond the last one looked at, until it is clear, futile, finished or paid out."""
    comparison = AdaptiveComparison.from_state(record.state)
    free = anyio.Semaphore(window)
    finished: dict[int, PairScore] = {}
    refused: list[LimitError] = []
    start = added = len(record.state.pairs)
    every = max(1, record.state.plan.cases // SAVES)

    async def one(number: int) -> None:
        case, turn = record.place(number)
        try:
            finished[number] = PairScore(case, *await hold(record.case_ids[case], turn))
        except LimitError as error:
            refused.append(error)
            free.release()  # wakes who waits, so that no further pair begins
            return
        looked()

    def looked() -> None:
        nonlocal added
        while not comparison.stopped and added in finished:
            comparison.add(finished.pop(added))
            added += 1
            free.release()
            if added % every == 0:
                save(record.model_copy(update={"state": comparison.state}))
        if comparison.stopped:
            free.release()

    async with anyio.create_task_group() as group:
        for number in range(start, record.max_pairs if comparison.stopped is None else start):
            await free.acquire()
            if comparison.stopped or refused:
                break
            group.start_soon(one, number)
    ended = str(refused[0]) if refused and not comparison.stopped else None
    record = record.model_copy(update={"state": comparison.state, "ended": ended})
    save(record)
    return record


def is_over(record: AdaptiveRecord) -> bool:
    """Whether no more pairs are wanted."""
    return AdaptiveComparison.from_state(record.state).stopped is not None


def adaptive_table(record: AdaptiveRecord, baseline: RunData, candidate: RunData) -> ComparisonTable:
    """Where it stands, in words."""
    result = AdaptiveComparison.from_state(record.state).result()
    names = distinct_names([baseline, candidate])
    scored = {
        (record.case_ids[pair.case], turn)
        for pair, turn in zip(record.state.pairs, _turns(record), strict=True)
        if pair.baseline is not None and pair.candidate is not None
    }
    seen = {case_id for case_id, _ in scored}
    cases = [case for case in baseline.suite.cases if case.id in seen]
    kept = [
        data._replace(outcomes=[found for found in data.outcomes if (found.case_id, found.index) in scored])
        for data in (baseline, candidate)
    ]
    of_a, of_b = (outcomes_by_case(data, cases) for data in kept)
    pair = Pair(baseline, candidate, names[0], names[1], of_a, of_b)
    better, worse = _moved(record)
    comparison = Comparison(
        verdict=result.verdict or "no_detectable_difference",
        sentence=_sentence(record, result, names, len(cases)),
        baseline=arm_of(baseline, names[0], pair.of_a, cases, result.baseline),
        candidate=arm_of(candidate, names[1], pair.of_b, cases, result.candidate),
        metric=record.metric,
        difference=result.difference,
        flags=_flags(record, result),
        counts=(
            f"{len(better)} case{plural(len(better))} better, {len(worse)} worse, "
            f"{len(cases) - len(better) - len(worse)} unchanged"
        ),
        better=tuple(changed_case(pair, case, record.metric) for case in cases if case.id in better)[:SHOWN],
        worse=tuple(changed_case(pair, case, record.metric) for case in cases if case.id in worse)[:SHOWN],
        notes=_notes(record, result, len(baseline.outcomes) + len(candidate.outcomes)),
        next_step=_next_step(record, result),
        gate=_gate(result),
        margin=record.state.plan.margin,
        test="adaptive_sign_flip",
        details={
            "looks": result.looks,
            "pairs": result.pairs,
            "max_pairs": result.max_pairs,
            "seed": record.state.plan.seed,
            "alpha": record.state.plan.alpha,
            "units": result.units,
        },
    )
    return ComparisonTable(
        sentence=comparison.sentence,
        comparisons=(comparison,),
        runs=record.runs,
        done=len(baseline.outcomes) + len(candidate.outcomes),
        total=2 * record.max_pairs,
        next_step=comparison.next_step,
        gate=comparison.gate,
    )


def _turns(record: AdaptiveRecord) -> list[int]:
    return [record.place(number)[1] for number in range(len(record.state.pairs))]


def _moved(record: AdaptiveRecord) -> tuple[set[str], set[str]]:
    sums: dict[int, float] = {}
    for pair in record.state.pairs:
        if pair.baseline is not None and pair.candidate is not None:
            sums[pair.case] = sums.get(pair.case, 0.0) + pair.candidate - pair.baseline
    up, down = ({record.case_ids[case] for case, total in sums.items() if sign * total > 1e-9} for sign in (1.0, -1.0))
    return up, down


def _sentence(record: AdaptiveRecord, result: AdaptiveResult, names: Sequence[str], cases: int) -> str:
    a, b = names
    gap = result.difference
    whole = result.max_pairs
    what = "cases" if record.state.plan.max_runs == 1 else "pairs of trials"
    if gap is None:
        return f"No claim: none of the {result.attempted} {what} has a score on both sides."
    if result.verdict == "not_enough_data":
        return f"Only {result.units} cases can be compared; a claim needs at least 5, and usually 30 or more."
    alarm = f"at most a {record.state.plan.alpha:.0%} chance of a false alarm, however often we looked"
    hidden = hidden_sentence(gap, cases)
    small = f"Small sample ({result.units} case{plural(result.units)}): " if result.units < SMALL else ""
    if result.reason is None:
        return f"{small}No claim: it ended after {result.attempted} of {whole} {what}, before the answer was clear. {hidden}"
    if result.verdict in {"better", "worse"}:
        claim = small + gap_sentence(a, b, gap, record.metric, cases)
        if not result.overstated:
            return f"{claim} All {whole} {what} were held ({alarm})."
        return (
            f"{claim} Stopped after {result.attempted} of {whole} {what} because the answer was clear ({alarm}). "
            "The size of the gap is probably overstated."
        )
    if result.verdict == "equivalent":
        return (
            f"{small}No difference that matters between {b} and {a}: any gap is smaller than "
            f"{record.state.plan.margin * 100:g} points."
        )
    border = " Borderline: of test and interval only one shows a difference." if result.borderline else ""
    early = (
        f" Stopped after {result.attempted} of {whole} {what} because the rest would hardly have shown even a gap of "
        f"{(record.state.plan.futility_gap or 0) * 100:g} points."
        if result.reason == "futility"
        else ""
    )
    return f"{small}Could not tell {b} and {a} apart.{early} {hidden}{border}"


def _flags(record: AdaptiveRecord, result: AdaptiveResult) -> tuple[Flag, ...]:
    found: dict[Flag, bool] = {
        "borderline": result.borderline,
        "small_sample": 0 < result.units < SMALL,
        "many_errors": result.attempted - result.pairs > 0.05 * result.attempted,
        "stopped_early": result.attempted < record.max_pairs,
    }
    return tuple(flag for flag, there in found.items() if there)


def _notes(record: AdaptiveRecord, result: AdaptiveResult, held: int) -> tuple[str, ...]:
    planned, dropped = 2 * result.max_pairs, result.attempted - result.pairs
    notes = [f"{planned - held} of {planned} trials were saved"] if result.reason and held < planned else []
    if dropped:
        notes.append(f"{dropped} pair{plural(dropped)} left out: a call failed")
    if record.ended:
        notes.append(record.ended)
    return tuple(notes)


def _next_step(record: AdaptiveRecord, result: AdaptiveResult) -> str:
    if result.reason is None:
        return f"compare_models(runs={list(record.runs)}, adaptive=true) goes on where it ended"
    if result.verdict in {"better", "worse", "equivalent"}:
        return "look at the cases that changed: get_run with case=… shows the evidence"
    return "write more cases and start a new comparison; this one may not be prolonged"


def _gate(result: AdaptiveResult) -> Gate:
    """The repeated interval may not be held against the margin: only a claim, or the planned end, can pass."""
    if result.verdict == "worse":
        return "fail"
    return "pass" if result.verdict in {"better", "equivalent"} else "undecided"
