"""One method for each thing that a user can ask. The MCP server and the command line are doors to it.

Knows no MCP and no terminal. Each part stands on the one before: what is shared, targets, spending, judges, holding, runs,
comparisons, what is withheld from a subject, attempts, saving; captures, verdicts and reports beside them.
"""

import gc
import os
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio

from mcp_evals.settings import Settings
from mcp_evals.workspace.captures import Captures
from mcp_evals.workspace.feedback import Reveal
from mcp_evals.workspace.holding import MAX_WAIT_S, Progress
from mcp_evals.workspace.reporting import Reporting
from mcp_evals.workspace.runs import Action, default_trials
from mcp_evals.workspace.saving import Saving
from mcp_evals.workspace.shared import STORE_FILE
from mcp_evals.workspace.tracks import Tracks
from mcp_evals.workspace.verdicts import Verdicts

__all__ = ["MAX_WAIT_S", "STORE_FILE", "Action", "Progress", "Reveal", "Workspace", "default_trials", "open_workspace"]


SELDOM: Final = (50_000, 20, 100)
"""Thresholds of the garbage collector while a workspace is open."""


class Workspace(Saving, Captures, Tracks, Verdicts, Reporting):
    """The user's suites, runs and targets."""


@asynccontextmanager
async def open_workspace(settings: Settings, environ: Mapping[str, str] | None = None) -> AsyncGenerator[Workspace]:
    """A workspace whose runs end with the block: what is unfinished then can be resumed."""
    failure: Exception | None = None
    tasks = anyio.create_task_group()
    workspace = Workspace(settings, tasks, os.environ if environ is None else environ)
    with _collecting_seldom():
        async with tasks:
            try:
                yield workspace
            except Exception as error:  # noqa: BLE001  kept and raised below, so that it leaves as itself, not in a group
                failure = error
            finally:
                tasks.cancel_scope.cancel()
    workspace.close()
    if failure is not None:
        raise failure


@contextmanager
def _collecting_seldom() -> Generator[None]:
    """Trials leave few cycles behind; to look for them among thousands of cases would cost a run a quarter of its time."""
    thresholds = gc.get_threshold()
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
