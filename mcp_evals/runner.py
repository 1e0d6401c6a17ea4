"""Hold the trials of a run, many at a time: each is stored before it is scored, and scored before it is reported.

A trial that cannot be run is an errored trial; only a broken store or the end of the budget stops the run.
Knows no MCP, no command line and no file.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime
from typing import NamedTuple

import anyio
from anyio import CapacityLimiter, to_thread

from mcp_evals.conversation import Task, ToolCall, ToolDefinition, Transcript
from mcp_evals.errors import LimitError, NotFoundError, StoreError, TargetError
from mcp_evals.judging.asking import Price, TargetJudge, questions_of
from mcp_evals.judging.calibrating import Calibration, calibration_id, subject_of
from mcp_evals.judging.handing import HANDED_IN
from mcp_evals.limits import Meter
from mcp_evals.model import parse_json
from mcp_evals.results import CaseScore, Check, Judgement, Run, RunSettings, Trial, TrialError, Verdict
from mcp_evals.scoring.case import score_case
from mcp_evals.scoring.judge import OpenQuestion, as_message, by_answer
from mcp_evals.simulation import PlayedUser
from mcp_evals.store import Store
from mcp_evals.suite import Case, Suite
from mcp_evals.targets.base import Target, Toolbox
from mcp_evals.targets.recorded import RecordedTarget
from mcp_evals.text import shorten

logger = logging.getLogger(__name__)

CONSTANT_SEED = 42
BIG_TRAJECTORY = 50
"""From this many calls on, scoring leaves the event loop, so that it holds up nobody."""

CALIBRATION = "calibration"
"""Kind of the documents that say how far a judge agrees with people on a criterion."""


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
    judge: TargetJudge | None = None


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
    given = {judgement.key: judgement for judgement in judgements}
    checks: tuple[Check, ...] = ()
    if metrics := suite.metrics_of(case):
        from mcp_evals.scoring.metrics import score_metrics  # few suites ask for them; the server starts without

        checks = score_metrics(metrics, case, transcript, tools, duration_s, given)
    return score_case(
        case,
        transcript,
        suite.rubric_of(case),
        tools=tools,
        judgements=given,
        cost_usd=cost_usd,
        metric_checks=checks,
        state=suite.state_of(case),
    )


def known_judgements(
    store: Store, questions: Iterable[OpenQuestion], judge: str | None, own: Iterable[Judgement] = ()
) -> dict[str, Judgement]:
    """Stored answers to questions by key: those that a trial has of its `own`, else the same judge's.

    Where there is no judge, those that somebody handed in. Whether a judge is calibrated is looked up anew.
    """
    had = {judgement.key: judgement for judgement in own}
    found: dict[str, Judgement] = {}
    for question in questions:
        known = had.get(question.key)
        if known is None or known.score is None:
            known = _stored_judgement(store, question.key, judge) or known
        if known is not None:
            found[question.key] = _with_calibration(store, known, question)
    return found


def _stored_judgement(store: Store, key: str, judge: str | None) -> Judgement | None:
    if judge is not None:
        return store.judgement(key, judge)
    return next((one for one in store.judgements(key) if one.judge.endswith(HANDED_IN)), None)


def _with_calibration(store: Store, judgement: Judgement, question: OpenQuestion) -> Judgement:
    try:
        stored = store.document(CALIBRATION, calibration_id(judgement.judge, subject_of(question)))
        calibrated = Calibration.model_validate(stored).calibrated
    except NotFoundError:
        calibrated = False
    return judgement.model_copy(update={"calibrated": calibrated})


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
                transcript = await _with_state(job, planned.case, transcript, toolbox)
                if isinstance(toolbox, PlayedUser):
                    transcript = transcript.model_copy(update={"notes": (*transcript.notes, toolbox.user.note)})
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


async def _with_state(job: Job, case: Case, transcript: Transcript, toolbox: Toolbox) -> Transcript:
    """The transcript with the tools' final state, where the suite says how to ask for it; one that has it keeps it."""
    rules = job.suite.state_of(case)
    # What a recording did is long past: a server that is asked now knows nothing of it.
    past = isinstance(job.target, RecordedTarget)
    if rules is None or rules.read is None or transcript.state is not None or past:
        return transcript
    answer = await toolbox.call(ToolCall(name=rules.read.tool, arguments=rules.read.args))
    if answer is None or answer.is_error:
        said = "nobody answers it" if answer is None else shorten(str(answer.content), 200)
        note = f"the final state could not be read with {rules.read.tool}: {said}"
        return transcript.model_copy(update={"notes": (*transcript.notes, note)})
    content = answer.content
    if isinstance(content, str):
        with suppress(ValueError):
            content = parse_json(content)
    return transcript.model_copy(update={"state": content})


async def _score(job: Job, case: Case, trial: Trial, store: Store) -> Trial:
    transcript = trial.transcript
    assert transcript is not None  # noqa: S101  the caller looked
    judgements: tuple[Judgement, ...] = ()
    try:
        judgements = await _judge(job, case, transcript, store)
        arguments = (case, job.suite, transcript, job.tools(case), judgements, trial.cost_usd, trial.duration_s)
        if len(transcript.trajectory) > BIG_TRAJECTORY:
            score = await to_thread.run_sync(score_trial, *arguments)
        else:
            score = score_trial(*arguments)
    except StoreError:
        raise
    except Exception as found:
        logger.exception("scoring case %s broke", case.id)
        error = TrialError(kind="internal", message=f"scoring broke: {type(found).__name__}: {found}")
        return trial.model_copy(update={"error": error})
    return trial.model_copy(update={"score": score, "judgements": judgements})


async def _judge(job: Job, case: Case, transcript: Transcript, store: Store) -> tuple[Judgement, ...]:
    judge, found = job.judge, dict[str, Judgement]()
    for questions in by_answer(questions_of(job.suite, case, transcript, job.tools(case))):
        # Looked up just before it is asked: another trial may have asked meanwhile.
        found |= known_judgements(store, questions, judge.name if judge else None)
        left = [question for question in questions if question.key not in found]
        if judge is not None and left:
            heard = await judge.ask(as_message(left))
            job.meter.add(heard.cost_usd, heard.calls)
            for judgement in heard.judgements if heard.fresh else ():
                store.save_judgement(judgement)
            answered = zip(left, heard.judgements, strict=True)
            found |= {question.key: _with_calibration(store, judgement, question) for question, judgement in answered}
    return tuple(found.values())


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
