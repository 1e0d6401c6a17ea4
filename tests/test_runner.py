"""Many trials at a time, every one stored the moment it exists; an error is one trial's own affair."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter
from fakes import ScriptedTarget, called, case_of

from mcp_evals.conversation import Task, Transcript, Usage
from mcp_evals.errors import LimitError, StoreError, TargetError
from mcp_evals.limits import Meter
from mcp_evals.results import Run, RunSettings, TrialError
from mcp_evals.runner import CONSTANT_SEED, Job, Planned, TrialEvent, hold_trials, plan_trials
from mcp_evals.store import Store
from mcp_evals.stubs import StubToolbox
from mcp_evals.suite import Case, Suite
from mcp_evals.targets.base import Target, Toolbox

pytestmark = pytest.mark.anyio

CASES = tuple(case_of(name, expect={"calls": [{"tool": "f", "args": {"x": 1}}]}) for name in "abc")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "evals.sqlite") as found:
        yield found


def right(_task: Task) -> Transcript:
    return called(("f", {"x": 1}))


@asynccontextmanager
async def stubbed(planned: Planned) -> AsyncGenerator[StubToolbox]:
    yield StubToolbox(planned.case)


def job_of(store: Store, target: Target, cases: tuple[Case, ...] = CASES, **fields: Any) -> Job:
    """A run that is in the store, with everything it needs."""
    given = {name: fields.pop(name) for name in list(fields) if name in RunSettings.model_fields}
    settings = RunSettings(**given)
    suite = Suite(name="s", cases=cases)
    run = Run(
        id="r", suite="s", suite_digest=suite.digest, target="t", settings=settings,
        case_ids=tuple(case.id for case in cases), created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    store.create_run(run, suite)
    plan = plan_trials(cases, settings, set())
    defaults: dict[str, Any] = {"meter": Meter(), "price": lambda _model, _usage: None, "toolbox": stubbed}
    return Job(run=run, suite=suite, planned=plan, target=target, tools=suite.tools_of, **{**defaults, **fields})


def kept(store: Store) -> dict[tuple[str, int], str]:
    """Verdict of every stored trial."""
    return {(outcome.case_id, outcome.index): outcome.verdict for outcome in store.outcomes("r")}


# --- the plan


def test_every_case_is_planned_once_before_any_case_twice() -> None:
    plan = plan_trials(CASES, RunSettings(trials=2), set())

    assert [(planned.case.id, planned.index) for planned in plan] == [
        ("a", 0), ("b", 0), ("c", 0), ("a", 1), ("b", 1), ("c", 1),
    ]  # fmt: skip


def test_every_phrasing_has_as_many_trials_as_a_case_with_one() -> None:
    cases = (case_of("plain"), case_of("two", user=("one way", "another")))

    plan = plan_trials(cases, RunSettings(trials=2), set())

    assert sorted((planned.case.id, planned.index, planned.phrasing) for planned in plan) == [
        ("plain", 0, 0), ("plain", 1, 0), ("two", 0, 0), ("two", 1, 1), ("two", 2, 0), ("two", 3, 1),
    ]  # fmt: skip


def test_what_is_done_is_not_planned_again() -> None:
    plan = plan_trials(CASES, RunSettings(trials=2), {("a", 0), ("c", 1)})

    assert [(planned.case.id, planned.index) for planned in plan] == [("b", 0), ("c", 0), ("a", 1), ("b", 1)]


def test_a_plan_of_nothing_is_empty() -> None:
    assert plan_trials((), RunSettings(), set()) == []


@pytest.mark.parametrize(("policy", "seeds"), [("none", {None}), ("constant", {CONSTANT_SEED}), (7, {7})])
def test_a_seed_policy_gives_every_trial_its_seed(policy: Any, seeds: set[int | None]) -> None:
    assert {planned.seed for planned in plan_trials(CASES, RunSettings(seed=policy), set())} == seeds


def test_random_seeds_differ_from_trial_to_trial() -> None:
    seeds = [planned.seed for planned in plan_trials(CASES, RunSettings(seed="random", trials=10), set())]

    assert None not in seeds
    assert len(set(seeds)) > 1


# --- holding


async def test_trials_are_held_at_the_same_time(store: Store) -> None:
    class Meeting:
        """Nobody leaves before all three have come."""

        def __init__(self) -> None:
            self.present, self.all_here = 0, anyio.Event()

        async def run(self, task: Task, toolbox: Toolbox) -> Transcript:
            self.present += 1
            if self.present == 3:
                self.all_here.set()
            await self.all_here.wait()
            return right(task)

        async def aclose(self) -> None: ...

    with anyio.fail_after(30):
        await hold_trials(job_of(store, Meeting()), store, CapacityLimiter(8))

    assert kept(store) == {("a", 0): "passed", ("b", 0): "passed", ("c", 0): "passed"}


@pytest.mark.parametrize(("of_the_run", "of_all_runs"), [(2, 8), (8, 2)])
async def test_no_more_trials_are_at_work_than_the_run_and_the_process_allow(
    store: Store, of_the_run: int, of_all_runs: int
) -> None:
    class Counting:
        at_work = most = 0

        async def run(self, task: Task, toolbox: Toolbox) -> Transcript:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
            await anyio.lowlevel.checkpoint()
            self.at_work -= 1
            return right(task)

        async def aclose(self) -> None: ...

    target = Counting()

    await hold_trials(job_of(store, target, trials=5, max_concurrency=of_the_run), store, CapacityLimiter(of_all_runs))

    assert target.most == 2
    assert len(kept(store)) == 15


async def test_a_trial_is_stored_and_scored_before_it_is_told(store: Store) -> None:
    told: list[TrialEvent] = []

    def hear(event: TrialEvent) -> None:
        assert kept(store)[event.case_id, event.index] == event.verdict
        told.append(event)

    def answer(task: Task) -> Transcript:
        return right(task) if task.case_id == "a" else called(("f", {"x": 2}))

    await hold_trials(job_of(store, ScriptedTarget(answer), max_concurrency=1), store, CapacityLimiter(8), hear)

    assert [(event.case_id, event.verdict, event.reason) for event in told] == [
        ("a", "passed", None), ("b", "failed", "f: x 2 is not 1"), ("c", "failed", "f: x 2 is not 1"),
    ]  # fmt: skip


async def test_a_target_sees_the_question_and_nothing_of_what_is_expected(store: Store) -> None:
    seen: list[Task] = []
    asked = case_of("a", user="Do f.", system="Be brief.", max_steps=3, expect={"calls": [{"tool": "secret"}]})

    def answer(task: Task) -> Transcript:
        seen.append(task)
        return right(task)

    await hold_trials(job_of(store, ScriptedTarget(answer), (asked,), seed=7), store, CapacityLimiter(1))

    assert seen == [
        Task(run_id="r", case_id="a", trial=0, system="Be brief.", user_turns=("Do f.",), seed=7, max_steps=3)
    ]


# --- errors


def failing(error: Exception) -> Callable[[Task], Transcript]:
    def answer(task: Task) -> Transcript:
        if task.case_id == "b":
            raise error
        return right(task)

    return answer


@pytest.mark.parametrize(
    ("error", "kept_as"),
    [
        (TargetError("busy; wait", kind="rate_limit"), TrialError(kind="rate_limit", message="busy; wait")),
        (LimitError("too many steps", kind="steps"), TrialError(kind="steps", message="too many steps")),
        (KeyError("x"), TrialError(kind="internal", message="KeyError: 'x'")),
        (TimeoutError("the socket's own"), TrialError(kind="internal", message="TimeoutError: the socket's own")),
    ],
)
async def test_a_trial_that_breaks_is_errored_and_the_others_go_on(
    store: Store, error: Exception, kept_as: TrialError
) -> None:
    await hold_trials(job_of(store, ScriptedTarget(failing(error))), store, CapacityLimiter(8))

    assert kept(store) == {("a", 0): "passed", ("b", 0): "errored", ("c", 0): "passed"}
    trial = store.trial("r", "b", 0)
    assert (trial.error, trial.score, trial.transcript) == (kept_as, None, None)


async def test_a_trial_without_end_is_errored_after_its_time(store: Store) -> None:
    target = ScriptedTarget(right, gate=anyio.Event())

    await hold_trials(job_of(store, target, CASES[:1], timeout_s=0.01), store, CapacityLimiter(1))

    assert store.trial("r", "a", 0).error == TrialError(kind="timeout", message="no end after 0.01 s; raise timeout_s")


async def test_a_toolbox_that_cannot_be_had_is_an_errored_trial(store: Store) -> None:
    @asynccontextmanager
    async def missing(planned: Planned) -> AsyncGenerator[StubToolbox]:
        raise TargetError("the server does not start", kind="connection")
        yield StubToolbox(planned.case)

    await hold_trials(job_of(store, ScriptedTarget(right), CASES[:1], toolbox=missing), store, CapacityLimiter(1))

    assert store.trial("r", "a", 0).error == TrialError(kind="connection", message="the server does not start")


async def test_a_toolbox_that_breaks_at_its_end_leaves_an_error_and_no_score_beside_what_was_said(store: Store) -> None:
    @asynccontextmanager
    async def breaking(planned: Planned) -> AsyncGenerator[StubToolbox]:
        yield StubToolbox(planned.case)
        raise TargetError("the server did not end", kind="connection")

    await hold_trials(job_of(store, ScriptedTarget(right), CASES[:1], toolbox=breaking), store, CapacityLimiter(1))

    trial = store.trial("r", "a", 0)
    assert (trial.error, trial.score) == (TrialError(kind="connection", message="the server did not end"), None)
    assert trial.transcript == called(("f", {"x": 1}))


async def test_a_store_that_breaks_stops_the_run(store: Store) -> None:
    target = ScriptedTarget(lambda task: (store.close(), right(task))[1])

    with pytest.raises(StoreError):
        await hold_trials(job_of(store, target, trials=5, max_concurrency=1), store, CapacityLimiter(8))

    assert target.seen == [("a", 0)]


# --- money


async def test_the_end_of_the_budget_stops_the_run_and_loses_nothing_that_is_in_flight(store: Store) -> None:
    class Slow:
        """The first trial ends at once; the second ends only when the run was refused a third."""

        asked = 0

        async def run(self, task: Task, toolbox: Toolbox) -> Transcript:
            self.asked += 1
            if self.asked > 1:
                await refused.wait()
            return called(("f", {"x": 1}), usage=Usage(input_tokens=1, output_tokens=1))

        async def aclose(self) -> None: ...

    class Watched(Meter):
        def admit(self) -> None:
            try:
                super().admit()
            except LimitError:
                refused.set()
                raise

    refused, target = anyio.Event(), Slow()
    job = job_of(store, target, trials=2, max_concurrency=2, meter=Watched(max_calls=2))

    with anyio.fail_after(30), pytest.raises(LimitError, match="cap of 2; raise max_calls"):
        await hold_trials(job, store, CapacityLimiter(8))

    assert target.asked == 2
    assert kept(store) == {("a", 0): "passed", ("b", 0): "passed"}


async def test_a_trial_costs_the_sum_of_its_steps_and_nothing_known_where_one_is_unknown(store: Store) -> None:
    usage = Usage(input_tokens=10, output_tokens=5)

    def answer(task: Task) -> Transcript:
        return called(("f", {"x": 1}), usage=None if task.case_id == "b" else usage)

    job = job_of(store, ScriptedTarget(answer), price=lambda _, used: 0.25 if used else None)

    await hold_trials(job, store, CapacityLimiter(8))

    assert {outcome.case_id: outcome.cost_usd for outcome in store.outcomes("r")} == {"a": 0.25, "b": None, "c": 0.25}
    assert (job.meter.spent_usd, job.meter.unknown, job.meter.calls) == (0.5, 1, 3)
