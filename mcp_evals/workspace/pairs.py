"""Adaptive comparisons: two runs held pair by pair, until the answer is clear."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio
from anyio import CapacityLimiter, Event, to_thread

from mcp_evals.compare import value_of
from mcp_evals.errors import (
    LimitError,
    NotFoundError,
)
from mcp_evals.library import on_track, select_cases
from mcp_evals.limits import Meter
from mcp_evals.results import ComparisonTable, Metric, Run, RunSettings, TargetSpec
from mcp_evals.runner import Job, Planned, TrialEvent, hold_trials, plan_trials
from mcp_evals.store import Store
from mcp_evals.targets.base import Target
from mcp_evals.workspace.holding import Progress
from mcp_evals.workspace.plans import Plans
from mcp_evals.workspace.runs import default_trials
from mcp_evals.workspace.shared import Active

if TYPE_CHECKING:
    from mcp_evals.adaptive import AdaptiveRecord  # brings numpy

ADAPTIVE: Final = "adaptive"
"""Kind of the documents that keep adaptive comparisons; their ids are the two runs, joined."""


class Side(NamedTuple):
    """One of the two runs of an adaptive comparison."""

    job: Job
    active: Active
    on_event: Callable[[TrialEvent], None] | None

    async def hold(self, store: Store, slots: CapacityLimiter, planned: Planned) -> None:
        job = self.job._replace(planned=[planned])
        await hold_trials(job, store, slots, lambda event: self.active.hear(event, self.on_event))


class PairHolder:
    """Holds the two sides of a case at once; the first run leads, the second lives as long."""

    def __init__(self, sides: Sequence[Side], store: Store, slots: CapacityLimiter, record: "AdaptiveRecord") -> None:
        self._sides, self._store, self._slots, self._record = sides, store, slots, record
        self._missing = [{(trial.case.id, trial.index): trial for trial in side.job.planned} for side in sides]
        self._over = Event()
        self._ended: str | None = "the other side of the comparison was cut off"

    async def lead(self) -> None:
        """Hold pairs until the comparison wants no more.

        Raises:
            LimitError: it ended before that.
        """
        from mcp_evals.adaptive import hold_pairs  # brings numpy

        window = max(1, min(4, self._sides[0].job.run.settings.max_concurrency // 2))
        try:
            self._ended = (await hold_pairs(self._record, self._pair, window=window, save=self._save)).ended
        finally:
            self._over.set()
        await self.follow()

    async def follow(self) -> None:
        """Wait for the end.

        Raises:
            LimitError: it came before the answer.
        """
        await self._over.wait()
        if self._ended is not None:
            raise LimitError(self._ended, kind="budget")

    def _save(self, record: "AdaptiveRecord") -> None:
        self._store.save_document(ADAPTIVE, record.id, record.model_dump(mode="json"))

    async def _pair(self, case: str, index: int) -> tuple[float | None, float | None]:
        if any(side.active.by_user for side in self._sides):
            raise LimitError("the comparison was cancelled", kind="cancelled")
        refused: list[LimitError] = []

        async def hold(side: Side, planned: Planned) -> None:
            try:
                await side.hold(self._store, self._slots, planned)
            except LimitError as error:
                refused.append(error)

        async with anyio.create_task_group() as group:
            for side, missing in zip(self._sides, self._missing, strict=True):
                if (case, index) in missing:
                    group.start_soon(hold, side, missing[case, index])
        if refused:
            raise refused[0]
        baseline, candidate = (self._value(side, case, index) for side in self._sides)
        return baseline, candidate

    def _value(self, side: Side, case: str, index: int) -> float | None:
        trial = self._store.trial(side.job.run.id, case, index)
        return value_of(trial.verdict, trial.score.score if trial.score else None, self._record.metric)


class PairwiseComparisons(Plans):
    """Holds two targets pair by pair."""

    def _adaptive_record(self, ids: Sequence[str]) -> "AdaptiveRecord | None":
        from mcp_evals.adaptive import AdaptiveRecord, document_id  # brings numpy

        try:
            return AdaptiveRecord.model_validate(self.store.document(ADAPTIVE, document_id(ids)))
        except NotFoundError:
            return None

    def _in_adaptive(self) -> set[str]:
        return {run_id for both in self.store.documents(ADAPTIVE) for run_id in both.split("+")}

    async def _start_adaptive(
        self,
        suite: str | Path,
        arms: Sequence[tuple[str, str | None]],
        cases: Sequence[str] | None,
        tags: Sequence[str] | None,
        settings: Mapping[str, Any],
        metric: Metric,
        margin: float,
    ) -> "AdaptiveRecord":
        """The stored comparison of these targets, else a new one, of which nothing is held yet."""
        from mcp_evals.adaptive import adaptive_plan, adaptive_record  # brings numpy

        ready = (await self.library.ready(suite)).suite
        chosen = [select_cases(on_track(ready, track), cases, tags) for _, track in arms]
        run_settings = await self._with_judge(ready, chosen[0], self._run_settings(settings))
        trials = settings.get("trials") or ready.defaults.trials
        for target, _ in arms:
            opened = await self._open(TargetSpec.parse(target), run_settings)
            await opened.target.aclose()
            if not settings.get("trials") and opened.trials:
                trials = min(trials or opened.trials, opened.trials)
        trials = trials or default_trials(len(chosen[0]))
        run_settings = run_settings.model_copy(update={"trials": trials})
        plan = await to_thread.run_sync(partial(adaptive_plan, chosen[0], trials, metric=metric, margin=margin))
        heads = [
            Run(
                id=f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}",
                suite=ready.name,
                suite_digest=ready.digest,
                track=track,
                target=str(TargetSpec.parse(target)),
                settings=run_settings,
                case_ids=tuple(case.id for case in wanted),
                created_at=datetime.now(UTC),
                notes=("held pair by pair, and stopped when the comparison was clear",),
            )
            for (target, track), wanted in zip(arms, chosen, strict=True)
        ]
        record = adaptive_record((heads[0].id, heads[1].id), chosen[0], plan, metric)
        for both in self.store.documents(ADAPTIVE):
            known = self._adaptive_record(both.split("+"))
            runs = [self.store.run(run_id) for run_id in both.split("+")]
            alike = all(
                (run.suite_digest, run.track, run.target, run.case_ids)
                == (head.suite_digest, head.track, head.target, head.case_ids)
                and _asked(run.settings) == _asked(head.settings)
                for run, head in zip(runs, heads, strict=True)
            )
            if known is not None and alike and (known.metric, known.state.plan) == (metric, plan):
                return known
        for head in heads:
            self.store.create_run(head, ready)
        self.store.save_document(ADAPTIVE, record.id, record.model_dump(mode="json"))
        return record

    async def _adaptive_answer(
        self,
        record: "AdaptiveRecord",
        wait_s: float | None,
        progress: Progress | None,
        on_event: Callable[[TrialEvent], None] | None,
        settings: Mapping[str, Any],
        *,
        again: bool,
    ) -> ComparisonTable:
        """Where it stands; what was cut off goes on, what a budget ended only where that is asked for."""
        from mcp_evals.adaptive import adaptive_table, is_over  # brings numpy

        runs = [self.store.run(run_id) for run_id in record.runs]
        idle = not any(run.status == "working" for run in runs)
        stopped = any(run.status in {"cancelled", "failed"} for run in runs)
        if idle and not await to_thread.run_sync(is_over, record) and (again or not stopped):
            await self._go_on(record, runs, on_event, settings)
        await self._wait_for(record.runs, wait_s, progress)
        data = self._run_data(record.runs)
        if any(found.run.status == "working" for found in data):
            return await self._still_working(data)
        latest = self._adaptive_record(record.runs) or record
        return await to_thread.run_sync(adaptive_table, latest, data[0], data[1])

    async def _go_on(
        self,
        record: "AdaptiveRecord",
        runs: Sequence[Run],
        on_event: Callable[[TrialEvent], None] | None,
        settings: Mapping[str, Any],
    ) -> None:
        """Hold the pairs that are still to be held: two ordinary runs, of which the first leads."""
        caps = {key: value for key, value in settings.items() if key in {"max_cost_usd", "max_calls"} and value}
        limits = runs[0].settings.model_copy(update=caps)
        # One purse for both: the cap is on the comparison.
        meter = Meter(limits.max_cost_usd, limits.max_calls)
        sides = [Side(job._replace(meter=meter), active, on_event) for job, active in await self._claim_both(runs)]
        pairs = PairHolder(sides, self.store, self._slots, record)
        for side, work in zip(sides, (pairs.lead, pairs.follow), strict=True):
            self._tasks.start_soon(self._hold, side.job, side.active, work)

    async def _claim_both(self, runs: Sequence[Run]) -> list[tuple[Job, Active]]:
        opened: list[Target] = []
        claimed: list[tuple[Job, Active]] = []
        try:
            for run in runs:
                target = (await self._open(TargetSpec.parse(run.target), run.settings)).target
                opened.append(target)
                suite = self.store.suite(run.suite_digest)
                cases = [case for case in suite.on_track(run.track).cases if case.id in set(run.case_ids)]
                planned = plan_trials(cases, run.settings, self.store.done_keys(run.id, errored=False))
                claimed.append(self._claim(run, suite, target, planned))
        except BaseException:
            for job, active in claimed:
                self._active.pop(job.run.id, None)
                self.store.release(job.run.id)
                active.finished.set()
            for target in opened:
                await target.aclose()
            raise
        for run in runs:
            self.store.update_run(run.id, status="working", error=None, finished_at=None)
        return claimed


def _asked(settings: RunSettings) -> dict[str, Any]:
    """What decides a run's answers; not what it may cost or how fast it goes."""
    return settings.model_dump(exclude={"max_cost_usd", "max_calls", "max_concurrency"})
