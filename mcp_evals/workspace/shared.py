"""What all parts of the workspace stand on: settings, the library, the store, and the runs that this process holds."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Final

from anyio import CancelScope, CapacityLimiter, Event
from anyio.abc import TaskGroup

from mcp_evals.compare import RunData
from mcp_evals.library import Library
from mcp_evals.results import Outcome, RunSummary
from mcp_evals.runner import TrialEvent
from mcp_evals.settings import Settings
from mcp_evals.store import Store
from mcp_evals.suite import Suite
from mcp_evals.summary import summarize
from mcp_evals.workspace.toolboxes import Toolboxes

STORE_FILE: Final = "mcp-evals.sqlite"


class Active:
    """A run that this process holds."""

    def __init__(self, total: int, done: int, toolboxes: Toolboxes) -> None:
        self.total, self.done, self.latest = total, done, ""
        self.toolboxes = toolboxes
        self.scope = CancelScope()
        self.finished = Event()
        self.by_user = False

    def hear(self, event: TrialEvent, on_event: Callable[[TrialEvent], None] | None) -> None:
        self.done += 1
        self.latest = f"{event.case_id} {event.verdict}"
        if on_event is not None:
            on_event(event)


class Shared:
    """Settings, suites, store and held runs."""

    def __init__(self, settings: Settings, tasks: TaskGroup, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self.library = Library(settings)
        self._tasks = tasks
        self._environ = environ
        self._slots = CapacityLimiter(settings.limits.max_concurrency)
        self._active: dict[str, Active] = {}

    @cached_property
    def store(self) -> Store:
        """The store, opened when first asked for."""
        return Store.open(self.settings.data / STORE_FILE)

    def close(self) -> None:
        """Close the store, where it was opened."""
        if "store" in self.__dict__:
            self.store.close()

    def summary(self, run_id: str) -> tuple[RunSummary, Sequence[Outcome]]:
        """Everything that a run came to, and the outcomes that it is made of."""
        run = self.store.run(run_id)
        suite = self.store.suite(run.suite_digest).on_track(run.track)
        outcomes = self.store.outcomes(run.id)
        return summarize(run, suite, outcomes, self.store.judge_cost(run.id)), outcomes

    def run_data(self, run_id: str) -> RunData:
        """A run with what it was scored with, for a comparison."""
        return self._run_data([run_id])[0]

    def _run_data(self, ids: Sequence[str]) -> list[RunData]:
        """Runs with their outcomes; a suite that several share is read once."""
        suites: dict[str, Suite] = {}
        found: list[RunData] = []
        for run_id in ids:
            run = self.store.run(run_id)
            if run.suite_digest not in suites:
                suites[run.suite_digest] = self.store.suite(run.suite_digest)
            found.append(RunData(run, suites[run.suite_digest].on_track(run.track), self.store.outcomes(run.id)))
        return found
