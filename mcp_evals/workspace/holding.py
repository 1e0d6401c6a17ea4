"""Holds runs: claims one, holds its trials in the background, tells that it is alive, writes how it ended.

A run belongs to the workspace, not to the call that started it.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import anyio
from anyio import CancelScope

from mcp_evals.conversation import Transcript
from mcp_evals.errors import (
    EvalsError,
    LimitError,
    StoreError,
    UsageError,
)
from mcp_evals.judging.asking import Price
from mcp_evals.limits import Meter, price_usd
from mcp_evals.results import Run, TargetSpec
from mcp_evals.runner import Job, Planned, TrialEvent, hold_trials
from mcp_evals.simulation import SimulatedUsers
from mcp_evals.suite import Suite
from mcp_evals.targets.base import Target
from mcp_evals.workspace.judges import Judges
from mcp_evals.workspace.shared import Active
from mcp_evals.workspace.targets import unknown_price
from mcp_evals.workspace.toolboxes import Toolboxes

logger = logging.getLogger(__name__)

MAX_WAIT_S: Final = 50.0
"""A call that waits longer may outlast a client that gives up after 60 s."""
HEARTBEAT_S: Final = 10.0
Progress = Callable[[int, int, str], Awaitable[None]]
"""Told about once a second: trials done, trials planned, the latest trial in words."""


class Holding(Judges):
    """Runs in the background, and waiting for them."""

    def _launch(
        self,
        run: Run,
        suite: Suite,
        target: Target,
        planned: Sequence[Planned],
        on_event: Callable[[TrialEvent], None] | None,
    ) -> None:
        job, active = self._claim(run, suite, target, planned)

        async def work() -> None:
            await hold_trials(job, self.store, self._slots, lambda event: active.hear(event, on_event))

        self._tasks.start_soon(self._hold, job, active, work)

    def _claim(self, run: Run, suite: Suite, target: Target, planned: Sequence[Planned]) -> tuple[Job, Active]:
        if not self.store.claim(run.id):
            raise UsageError(f"run {run.id} is being held by another process; wait for it, or cancel it there")
        on_track = suite.on_track(run.track)
        total = sum(run.settings.trials * case.phrasings for case in on_track.cases if case.id in run.case_ids)
        meter = Meter(run.settings.max_cost_usd, run.settings.max_calls, self._past_cost(run))
        toolboxes = Toolboxes(on_track, self.settings.servers, self._users_of(run, meter))
        self.store.update_run(run.id, notes=tuple(dict.fromkeys((*run.notes, *toolboxes.refusals()))))
        active = self._active[run.id] = Active(total, total - len(planned), toolboxes)
        provider = TargetSpec.parse(run.target).provider
        job = Job(
            run=run,
            suite=on_track,
            planned=planned,
            target=target,
            tools=on_track.tools_of,
            toolbox=toolboxes.of,
            meter=meter,
            price=self._price_of(provider),
            judge=self._judge_of(run, on_track),
        )
        return job, active

    def _past_cost(self, run: Run) -> float | None:
        return self.store.past_cost(run.suite, run.target).mean_cost_usd

    def _users_of(self, run: Run, meter: Meter) -> SimulatedUsers | None:
        """Those who play users in a run; none where what was said is replayed."""
        if TargetSpec.parse(run.target).provider in {"recorded", "run"}:
            return None

        def spent(name: str, said: Transcript) -> None:
            price = self._price_of(TargetSpec.parse(name).provider)
            costs = [price(step.model, step.usage) for step in said.steps]
            meter.add(None if None in costs else sum(cost for cost in costs if cost is not None), len(costs))

        async def opened(name: str) -> Target:
            return (await self._open(TargetSpec.parse(name), run.settings)).target

        return SimulatedUsers(self.settings.simulator, opened, spent)

    def _price_of(self, provider: str) -> Price:
        return partial(price_usd, provider) if self._is_own_endpoint(provider) else unknown_price

    async def _hold(self, job: Job, active: Active, work: Callable[[], Awaitable[None]]) -> None:
        run_id = job.run.id
        # What ends in no way below was cut off with the whole workspace.
        status, error = "interrupted", None
        try:
            with active.scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._beat, run_id)
                    try:
                        async with active.toolboxes:
                            await work()
                        status = "completed"
                    except LimitError as found:
                        status, error = "cancelled", str(found)
                    except StoreError as found:
                        status, error = "failed", str(found)
                    except Exception as found:
                        logger.exception("run %s broke", run_id)
                        status, error = "failed", f"{type(found).__name__}: {found}"
                    group.cancel_scope.cancel()
            if active.by_user:
                status = "cancelled"
        finally:
            with CancelScope(shield=True):
                await self._finish(job, active, status, error)

    async def _finish(self, job: Job, active: Active, status: str, error: str | None) -> None:
        for opened in (job.target, job.judge):
            try:
                if opened is not None:
                    await opened.aclose()
            except Exception:
                logger.exception("a target of run %s could not be closed", job.run.id)
        try:
            if status != "interrupted":
                self.store.update_run(job.run.id, status=status, error=error, finished_at=datetime.now(UTC))
            self.store.release(job.run.id)
        except EvalsError:
            logger.exception("the end of run %s could not be written", job.run.id)
        finally:
            self._active.pop(job.run.id, None)
            active.finished.set()

    async def _beat(self, run_id: str) -> None:
        while True:
            await anyio.sleep(HEARTBEAT_S)
            try:
                self.store.heartbeat(run_id)
            except StoreError:
                # The next trial tells whether the store is broken; a missed beat alone stops nothing.
                logger.exception("run %s could not say that it is alive", run_id)

    async def _wait(self, active: Active, wait_s: float | None, progress: Progress | None) -> None:
        deadline = anyio.current_time() + wait_s if wait_s is not None else float("inf")
        told = -1
        while not active.finished.is_set() and anyio.current_time() < deadline:
            with anyio.move_on_after(min(1.0, deadline - anyio.current_time())):
                await active.finished.wait()
            if progress is not None and active.done > told:
                told = active.done
                await progress(active.done, active.total, active.latest)

    async def _wait_for(self, ids: Sequence[str], wait_s: float | None, progress: Progress | None) -> None:
        deadline = None if wait_s is None else anyio.current_time() + wait_s
        held = {run_id: self._active[run_id] for run_id in ids if run_id in self._active}

        async def tell(_done: int, _total: int, latest: str) -> None:
            if progress is not None:
                done, total = (sum(getattr(active, name) for active in held.values()) for name in ("done", "total"))
                await progress(done, total, latest)

        for active in held.values():
            left = None if deadline is None else max(0.0, deadline - anyio.current_time())
            await self._wait(active, left, tell)
