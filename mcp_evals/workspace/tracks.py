"""Runs of one suite on all of its tool sets."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mcp_evals.errors import UsageError
from mcp_evals.library import on_track, select_cases
from mcp_evals.runner import TrialEvent
from mcp_evals.suite import Suite
from mcp_evals.workspace.runs import Runs


class Tracks(Runs):
    """Starts a run on every track."""

    async def start_tracks(
        self,
        suite: str | Path,
        target: str,
        *,
        cases: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        settings: Mapping[str, Any] | None = None,
        on_event: Callable[[TrialEvent], None] | None = None,
    ) -> tuple[str, ...]:
        """Start a run on the suite's own tools, where it has some, and on each track, in the suite's order; their
        handles. A track that skips all of these cases is left out.

        Raises:
            UsageError: the request cannot be carried out; nothing was started and nothing spent.
        """
        ready = (await self.library.ready(suite)).suite
        wanted = {case.id for case in select_cases(ready, cases, tags)}
        chosen = {
            track: [case.id for case in on_track(ready, track).cases if case.id in wanted] for track in _tracks(ready)
        }
        chosen = {track: ids for track, ids in chosen.items() if ids}
        if not chosen:
            raise UsageError(f'suite "{ready.name}" skips all of these cases on every track')
        await (await self.open_probe(target)).aclose()
        return tuple(
            [
                await self.start_run(suite, target, track=track, cases=ids, settings=settings, on_event=on_event)
                for track, ids in chosen.items()
            ]
        )


def _tracks(suite: Suite) -> tuple[str | None, ...]:
    return (*((None,) if suite.tools or not suite.tracks else ()), *suite.tracks)
