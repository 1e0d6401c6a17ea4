"""Hold the trials of a run, many at a time: each is stored before it is scored, and scored before it is reported.

A trial that cannot be run is an errored trial; only a broken store or the end of the budget stops the run.
Knows no MCP, no command line and no file.
"""

import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import NamedTuple

import anyio
from anyio import CapacityLimiter, to_thread

from mcp_evals.conversation import Task, ToolDefinition, Transcript
from mcp_evals.errors import LimitError, StoreError, TargetError
from mcp_evals.limits import Meter
from mcp_evals.results import CaseScore, Check, Judgement, Run, RunSettings, Trial, TrialError, Usage, Verdict
from mcp_evals.scoring.case import judged_questions, score_case
from mcp_evals.store import Store
from mcp_evals.suite import Case, Suite
from mcp_evals.targets.base import Target, Toolbox

logger = logging.getLogger(__name__)

CONSTANT_SEED = 42
BIG_TRAJECTORY = 50
"""From this many calls on, scoring leaves the event loop, so that it holds up nobody."""

JudgeQuestion = Callable[[str, str, str, str], Awaitable[Judgement]]
"""Asks a judge: key, criterion, conversation, answer."""
Price = Callable[[str | None, Usage | None], float | None]
"""What tokens of a model cost in US dollars; None: unknown."""


class Planned(NamedTuple):
    """A trial to be held."""

    case: Case
    index: int  # pyright: ignore[reportIncompatibleMethodOverride]  nobody looks for a value in it
    phrasing: int
    seed: int | None


class TrialEvent(NamedTuple):
    """A trial is stored and scored."""

    run_id: str
    case_id: str
    index: int  # pyright: ignore[reportIncompatibleMethodOverride]  nobody looks for a value in it
    verdict: Verdict
    reason: str | None
    cost_usd: float | None


class Job(NamedTuple):
    """A run with everything that it needs."""

    run: Run
    suite: Suite
    """As it is on the run's track."""
    planned: Sequence[Planned]
    target: Target
    tools: Callable[[Case], tuple[ToolDefinition, ...]]
    toolbox: Callable[[Planned], AbstractAsyncContextManager[Toolbox]]
    meter: Meter
    price: Price
    judge: JudgeQuestion | None = None


def plan_trials(cases: Iterable[Case], settings: RunSettings, done: set[tuple[str, int]]) -> list[Planned]:
    """The trials that are still to be held: every case once before any case twice.

    A case with several phrasings has `trials` trials of each.
    """
    listed = list(cases)
    most = max((settings.trials * case.phrasings for case in listed), default=0)
    return [
        Planned(case, index, index % case.phrasings, _seed(settings))
        for index in range(most)
        for case in listed
        if index < settings.trials * case.phrasings and (case.id, index) not in done
    ]


async def hold_trials(
    job: Job, store: Store, slots: CapacityLimiter, on_event: Callable[[TrialEvent], None] = lambda _: None
) -> None:
    """Hold the planned trials of a run.

    Raises:
        LimitError: the budget is used up; what was held is stored.
        StoreError: a trial could not be stored.
    """
    waiting = iter(job.planned)
    workers = min(job.run.settings.max_concurrency, len(job.planned))
    refused: list[LimitError] = []
    try:
        async with anyio.create_task_group() as group:
            for _ in range(workers):
                group.start_soon(_work, job, waiting, store, slots, on_event, refused)
    except* StoreError as errors:
        raise _first(errors) from errors
    if refused:
        raise refused[0]


def score_trial(
    case: Case,
    suite: Suite,
    transcript: Transcript,
    tools: Sequence[ToolDefinition],
    judgements: Sequence[Judgement] = (),
    cost_usd: float | None = None,
    duration_s: float | None = None,
) -> CaseScore:
    """Score a transcript with everything that the suite asks for: rubric, named metrics, judgements."""
    checks: tuple[Check, ...] = ()
    if metrics := suite.metrics_of(case):
        from mcp_evals.scoring.metrics import score_metrics  # few suites ask for them; the server starts without

        checks = score_metrics(metrics, case, transcript, tools, duration_s)
    return score_case(
        case,
        transcript,
        suite.rubric_of(case),
        tools=tools,
        judgements={judgement.key: judgement for judgement in judgements},
        cost_usd=cost_usd,
        metric_checks=checks,
    )


async def _work(
    job: Job,
    waiting: Iterator[Planned],
    store: Store,
    slots: CapacityLimiter,
    on_event: Callable[[TrialEvent], None],
    refused: list[LimitError],
) -> None:
    for planned in waiting:
        async with slots:
            try:
                job.meter.admit()
            except LimitError as error:
                # The others finish what they have begun and paid for.
                refused.append(error)
                return
            trial = await _hold(job, planned)
            job.meter.spend(trial.cost_usd, len(trial.transcript.steps) if trial.transcript else 1)
            store.add_trial(job.run.id, trial)
            if trial.transcript is not None and trial.error is None:
                trial = await _score(job, planned.case, trial, store)
                store.set_score(job.run.id, trial)
        reason = trial.score.reason if trial.score else trial.error.message if trial.error else None
        on_event(TrialEvent(job.run.id, trial.case_id, trial.index, trial.verdict, reason, trial.cost_usd))


async def _hold(job: Job, planned: Planned) -> Trial:
    started, clock = datetime.now(UTC), time.perf_counter()
    transcript: Transcript | None = None
    error: TrialError | None = None
    timeout_s = job.run.settings.timeout_s
    try:
        with anyio.move_on_after(timeout_s) as limit:
            async with job.toolbox(planned) as toolbox:
                transcript = await job.target.run(_task(job, planned), toolbox)
        if limit.cancelled_caught:
            error = TrialError(kind="timeout", message=f"no end after {timeout_s:g} s; raise timeout_s")
    except TargetError as found:
        error = TrialError(kind=found.kind, message=str(found))
    except Exception as found:
        # One trial that breaks in a way nobody foresaw must not take the others with it.
        logger.exception("trial %s of case %s broke", planned.index, planned.case.id)
        error = TrialError(kind="internal", message=f"{type(found).__name__}: {found}")
    usage = transcript.usage if transcript else None
    return Trial(
        case_id=planned.case.id,
        index=planned.index,
        phrasing=planned.phrasing,
        seed=planned.seed,
        transcript=transcript,
        error=error,
        usage=usage,
        cost_usd=_cost(job, transcript),
        duration_s=time.perf_counter() - clock,
        started_at=started,
    )


async def _score(job: Job, case: Case, trial: Trial, store: Store) -> Trial:
    transcript = trial.transcript
    assert transcript is not None  # noqa: S101  the caller looked
    judgements = await _judge(job, case, transcript, store)
    arguments = (case, job.suite, transcript, job.tools(case), judgements, trial.cost_usd, trial.duration_s)
    try:
        if len(transcript.trajectory) > BIG_TRAJECTORY:
            score = await to_thread.run_sync(score_trial, *arguments)
        else:
            score = score_trial(*arguments)
    except Exception as found:
        logger.exception("scoring case %s broke", case.id)
        error = TrialError(kind="internal", message=f"scoring broke: {type(found).__name__}: {found}")
        return trial.model_copy(update={"error": error})
    return trial.model_copy(update={"score": score, "judgements": judgements})


async def _judge(job: Job, case: Case, transcript: Transcript, store: Store) -> tuple[Judgement, ...]:
    found: list[Judgement] = []
    for key, criterion, asked, answer in judged_questions(case, transcript):
        known = store.judgement(key)
        if known is None and job.judge is not None:
            known = await job.judge(key, criterion.judged, asked, answer)
            store.save_judgement(known)
        if known is not None:
            found.append(known)
    return tuple(found)


def _task(job: Job, planned: Planned) -> Task:
    case = planned.case
    opening = (case.scenario.opening,) if case.scenario else ()
    return Task(
        run_id=job.run.id,
        case_id=case.id,
        trial=planned.index,
        system=job.suite.system_of(case),
        history=case.history,
        user_turns=case.user_turns(planned.phrasing) or opening,
        input=case.input,
        tools=job.tools(case),
        seed=planned.seed,
        max_steps=case.max_steps or job.suite.defaults.max_steps,
    )


def _cost(job: Job, transcript: Transcript | None) -> float | None:
    """Sum over the steps, because prices step up with the length of a single request; None where one is unknown."""
    if transcript is None or not transcript.steps:
        return None
    costs = [job.price(step.model, step.usage) for step in transcript.steps]
    return None if None in costs else sum(cost for cost in costs if cost is not None)


def _seed(settings: RunSettings) -> int | None:
    if settings.seed == "none":
        return None
    if settings.seed == "constant":
        return CONSTANT_SEED
    return random.randrange(2**31) if settings.seed == "random" else settings.seed  # noqa: S311  recorded, no secret


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = errors.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner  # pyright: ignore[reportUnknownArgumentType]
