"""Comparisons of targets, tool sets and past runs."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from anyio import to_thread

from mcp_evals.compare import RunData, compare_runs
from mcp_evals.errors import (
    UsageError,
)
from mcp_evals.library import on_track, select_cases
from mcp_evals.loosening import loosened
from mcp_evals.results import ComparisonTable, Metric, TargetSpec
from mcp_evals.runner import TrialEvent
from mcp_evals.workspace.holding import Progress
from mcp_evals.workspace.pairs import PairwiseComparisons

_TOO_FEW: Final = "a comparison needs two: give two targets, one target and two tracks, or two runs"


class Comparisons(PairwiseComparisons):
    """Says which of two or more is better."""

    async def compare_models(
        self,
        suite: str | Path | None = None,
        targets: Sequence[str] = (),
        *,
        tracks: Sequence[str | None] = (),
        runs: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        cases: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        metric: Metric = "passed",
        margin: float = 0.05,
        adaptive: bool = False,
        wait_s: float | None = 20.0,
        progress: Progress | None = None,
        on_event: Callable[[TrialEvent], None] | None = None,
    ) -> ComparisonTable:
        """Compare targets, tracks or past runs on the same cases; the first is the baseline.

        A track of None, or "", is the suite's own tools.
        Runs that are there already, finished or at work, are taken as they are; so asking again is free and goes on
        waiting. New runs go on at the same time, trial by trial, so that the time of day hits all of them. With
        `adaptive` two sides are held pair by pair, until the answer is clear; asking again takes it up where it was.

        Raises:
            UsageError: nothing to compare, or a run cannot be started.
        """
        if len(targets) * max(1, len(tracks)) + len(runs) < 2:
            raise UsageError(_TOO_FEW)
        ids = [self.store.run(run).id for run in runs]
        known = self._adaptive_record(ids) if not targets else None
        if known is not None or (adaptive and not targets):
            if known is None:
                raise UsageError("these runs are no adaptive comparison; give the suite and two targets to start one")
            return await self._adaptive_answer(known, wait_s, progress, on_event, settings or {}, again=adaptive)
        if targets:
            if suite is None:
                raise UsageError("name the suite on which the targets are to be compared")
            arms = list(dict.fromkeys((target, track or None) for target in targets for track in tracks or (None,)))
            if len(arms) + len(set(ids)) < 2:
                raise UsageError(_TOO_FEW)
            if adaptive and (len(arms) != 2 or ids):
                raise UsageError("an adaptive comparison is of exactly two: two targets, or one target on two tracks")
            await self._check_arms(suite, targets, [track for _, track in arms], cases, tags)
            if adaptive:
                given = settings or {}
                record = await self._start_adaptive(suite, arms, cases, tags, given, metric, margin)
                return await self._adaptive_answer(record, wait_s, progress, on_event, given, again=True)
            for target, track in arms:
                given = (suite, target, track, cases, tags, settings or {})
                ids.append(await self._run_for(*given, on_event=on_event))
        if len(set(ids)) < 2:
            raise UsageError(_TOO_FEW)
        await self._wait_for(ids, wait_s, progress)
        data = self._run_data(ids)
        working = [found.run.id for found in data if found.run.status == "working"]
        if working:
            return await self._still_working(data)
        table = await to_thread.run_sync(partial(compare_runs, data, metric=metric, margin=margin))
        return self._with_notes(table, data)

    async def _check_arms(
        self,
        suite: str | Path,
        targets: Sequence[str],
        tracks: Sequence[str | None],
        cases: Sequence[str] | None,
        tags: Sequence[str] | None,
    ) -> None:
        """Look at every side, so that nothing is spent on the first where the last cannot be had."""
        ready = (await self.library.ready(suite)).suite
        for track in tracks:
            select_cases(on_track(ready, track), cases, tags)
        for target in targets:
            await (await self.open_probe(target)).aclose()

    async def _run_for(
        self,
        suite: str | Path,
        target: str,
        track: str | None,
        cases: Sequence[str] | None,
        tags: Sequence[str] | None,
        settings: Mapping[str, Any],
        *,
        on_event: Callable[[TrialEvent], None] | None,
    ) -> str:
        """A run of these cases that is there already, else a new one."""
        ready = (await self.library.ready(suite)).suite
        wanted = tuple(case.id for case in select_cases(on_track(ready, track), cases, tags))
        asked = {key: value for key, value in settings.items() if value is not None and not key.startswith("max_")}
        stopped_early = self._in_adaptive()
        for run in self.store.runs(suite=ready.name, target=str(TargetSpec.parse(target)), limit=50):
            if run.id in stopped_early:
                continue
            same = (run.suite_digest, run.track, run.case_ids) == (ready.digest, track, wanted)
            alike = all(getattr(run.settings, key) == value for key, value in asked.items())
            if same and alike and (run.status == "completed" or run.id in self._active):
                return run.id
        return await self.start_run(
            suite, target, track=track, cases=cases, tags=tags, settings=settings, on_event=on_event
        )

    def _with_notes(self, table: ComparisonTable, data: Sequence[RunData]) -> ComparisonTable:
        """What a reader has to know beyond the runs: that a baseline asked for more, that a run was stopped early."""
        stopped_early = self._in_adaptive()
        notes = [
            f"run {found.run.id} was stopped when its answer was clear; its numbers are probably overstated"
            for found in data
            if found.run.id in stopped_early
        ]
        baseline = data[0].run
        entries = self.library.entries() if baseline.label is not None else ()
        today = next((entry.loaded.suite for entry in entries if entry.name == baseline.suite and entry.loaded), None)
        # Where the candidate was run on today's suite, the comparison has said it.
        if today and today.digest not in {found.run.suite_digest for found in data}:
            lines = loosened(data[0].suite, today.on_track(baseline.track if baseline.track in today.tracks else None))
            notes += [f"today's suite asks less than the baseline's: {line}" for line in lines]
        if not notes:
            return table
        first, *others = table.comparisons
        first = first.model_copy(update={"notes": (*first.notes, *notes)})
        return table.model_copy(update={"comparisons": (first, *others)})
