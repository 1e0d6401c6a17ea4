"""What a comparison could show and what it takes, said before anything is spent."""

from collections.abc import Sequence
from pathlib import Path

from anyio import to_thread

from mcp_evals.compare import RunData, noise_of, plan_sentence
from mcp_evals.library import select_cases
from mcp_evals.results import ComparisonTable, Run, TargetSpec
from mcp_evals.workspace.runs import Runs, default_trials


class Plans(Runs):
    """Plans comparisons."""

    async def plan_comparison(
        self,
        suite: str | Path,
        targets: Sequence[str],
        trials: int | None = None,
        *,
        tags: Sequence[str] | None = None,
        effect: float = 0.10,
    ) -> str:
        """What gap a comparison of these targets could show, and what more would take; nothing is run.

        From past runs of these targets on the suite as it is today where there are any, else from defaults.
        """
        ready = (await self.library.ready(suite)).suite
        chosen = select_cases(ready, None, tags)
        return await self._plan(
            ready.name,
            ready.digest,
            [str(TargetSpec.parse(target)) for target in targets],
            len(chosen),
            trials or ready.defaults.trials or default_trials(len(chosen)),
            effect=effect,
        )

    async def _plan(
        self, suite: str, digest: str, targets: Sequence[str], cases: int, trials: int, *, effect: float = 0.10
    ) -> str:
        costs = [self.store.past_cost(suite, target).mean_cost_usd for target in targets]
        known = [cost for cost in costs if cost is not None]
        past = [
            next((run.id for run in self.store.runs(suite, target) if _is_past(run, digest)), None)
            for target in targets[:2]
        ]
        held = self._run_data([run_id for run_id in past if run_id is not None])

        def said() -> str:
            return plan_sentence(
                cases,
                trials,
                noise=noise_of(held[0], held[1]) if len(held) == 2 and past[0] != past[1] else None,
                cost_usd=sum(known) if known and len(known) == len(costs) else None,
                effect=effect,
            )

        return await to_thread.run_sync(said)

    async def _still_working(self, data: Sequence[RunData]) -> ComparisonTable:
        done = sum(len(found.outcomes) for found in data)
        total = sum(_planned(found) for found in data)
        first = data[0].run
        targets = [found.run.target for found in data]
        plan = await self._plan(first.suite, first.suite_digest, targets, len(first.case_ids), first.settings.trials)
        return ComparisonTable(
            status="working",
            sentence=f"Not finished: {done} of {total} trials are done; a verdict before the end would mislead.",
            runs=tuple(found.run.id for found in data),
            done=done,
            total=total,
            next_step=f"call compare_models again with runs={[found.run.id for found in data]} and wait_s=50. {plan}",
        )


def _planned(data: RunData) -> int:
    phrasings = {case.id: case.phrasings for case in data.suite.cases}
    return sum(data.run.settings.trials * phrasings.get(case_id, 1) for case_id in data.run.case_ids)


def _is_past(run: Run, digest: str) -> bool:
    return run.status == "completed" and run.suite_digest == digest
