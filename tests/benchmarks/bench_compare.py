"""How long it takes to compare two stored runs of 5,000 cases and 3 trials: `python tests/benchmarks/bench_compare.py`.

The floor is to read the outcomes of both from the store; the ratio says what the comparison adds to that.
"""

import random
import resource
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import anyio

from mcp_evals.results import CaseScore, Run, RunSettings, Trial
from mcp_evals.settings import Settings
from mcp_evals.stats.sequential import AdaptiveComparison, AdaptivePlan, PairScore
from mcp_evals.store import Store
from mcp_evals.suite import Case, Expect, Suite
from mcp_evals.workspace import STORE_FILE, open_workspace

CASES, TRIALS, LOOKS = 5_000, 3, 500


def fill(store: Store) -> list[str]:
    """Two runs of one suite."""
    chance = random.Random(0)
    expect = Expect.model_validate({"calls": [{"tool": "weather", "args": {"city": "oslo"}}]})
    suite = Suite(
        name="big",
        cases=tuple(
            Case(id=f"c{n}", user=f"Weather, number {n}?", expect=expect, tags=(f"t{n % 20}",)) for n in range(CASES)
        ),
    )
    ids = tuple(case.id for case in suite.cases)
    rates = [chance.random() for _ in ids]
    for name in ("a", "b"):
        run = Run(
            id=name,
            suite=suite.name,
            suite_digest=suite.digest,
            target=name,
            settings=RunSettings(trials=TRIALS),
            case_ids=ids,
            status="completed",
            created_at=datetime.now(UTC),
        )
        store.create_run(run, suite)
        for index in range(TRIALS):
            for case, rate in zip(ids, rates, strict=True):
                passed = chance.random() < rate
                score = CaseScore(verdict="passed" if passed else "failed", score=float(passed))
                store.add_trial(name, Trial(case_id=case, index=index, score=score, cost_usd=0.0001))
    return ["a", "b"]


async def compare(folder: Path) -> None:
    """Both ways, each in a fresh workspace."""
    settings = Settings(data=folder)
    async with open_workspace(settings, {}) as workspace:
        await workspace.compare_models(runs=["a", "b"])  # loads the libraries
    start = perf_counter()
    async with open_workspace(settings, {}) as workspace:
        table = await workspace.compare_models(runs=["a", "b"])
    whole = perf_counter() - start
    start = perf_counter()
    with Store.open(folder / STORE_FILE) as store:
        outcomes = [store.outcomes(run) for run in ("a", "b")]
    floor = perf_counter() - start
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    print(table.sentence)
    print(f"compare 2 x {CASES:,} x {TRIALS}: {whole:.2f} s, peak {peak_mb:.0f} MB")
    print(f"read {sum(map(len, outcomes)):,} outcomes: {floor:.2f} s; ratio {whole / floor:.2f}")


def look() -> None:
    """An adaptive comparison that looks after each of 500 pairs."""
    chance = random.Random(0)
    start = perf_counter()
    comparison = AdaptiveComparison(AdaptivePlan(cases=LOOKS, binary=True, futility_gap=None))
    for case in range(LOOKS):
        if comparison.add(PairScore(case, float(chance.random() < 0.8), float(chance.random() < 0.8))):
            break
    print(f"adaptive, {comparison.result().looks} looks: {perf_counter() - start:.2f} s")


def main() -> None:
    if len(sys.argv) > 1:
        anyio.run(compare, Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        with Store.open(Path(folder) / STORE_FILE) as store:
            fill(store)
        anyio.run(compare, Path(folder))
    look()


if __name__ == "__main__":
    main()
