"""How long statistics take, as ratios against floors in the same run: `python tests/benchmarks/bench_stats.py`.

The floors: numpy mean and standard deviation of the same arrays, and scipy's paired bootstrap of the mean difference.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np
from scipy import stats

from mcp_evals.stats.paired import compare_paired
from mcp_evals.stats.sequential import AdaptiveComparison, AdaptivePlan, PairScore
from mcp_evals.stats.signflip import signflip_p

CASES, TRIALS, LOOKS = 5_000, 3, 500
REPEATS = 5


def seconds(work: Callable[[], object]) -> float:
    """The fastest of a few runs."""
    times: list[float] = []
    for _ in range(REPEATS):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


def main() -> None:
    random = np.random.default_rng(0)
    rates = random.random((CASES, 1))
    baseline, candidate = ((random.random((CASES, TRIALS)) < rates).astype(float) for _ in range(2))
    grades = [np.clip(rates + random.normal(0, 0.1, (CASES, TRIALS)), 0, 1) for _ in range(2)]
    lists = [table.tolist() for table in (baseline, candidate)]
    groups = [f"group {case // 5}" for case in range(CASES)]
    gaps = candidate.mean(axis=1) - baseline.mean(axis=1)
    pairs = [
        PairScore(case, float(a), float(b))
        for case, (a, b) in enumerate(zip(baseline[:LOOKS, 0], candidate[:LOOKS, 0], strict=True))
    ]
    plan = AdaptivePlan(cases=LOOKS, binary=True, futility_gap=None)

    def adaptive() -> None:
        comparison = AdaptiveComparison(plan)
        for pair in pairs:
            if comparison.add(pair):
                break
        comparison.result()

    def numpy_floor() -> None:
        for table in (baseline, candidate):
            table.mean(axis=1).mean()
            table.mean(axis=1).std(ddof=1)
        gaps.std(ddof=1)

    floor = seconds(numpy_floor)
    bootstrap = seconds(lambda: stats.bootstrap((gaps,), np.mean, n_resamples=999, rng=0))
    works: dict[str, Callable[[], object]] = {
        f"compare 2 x {CASES:,} x {TRIALS} pass-fail": lambda: compare_paired(baseline, candidate, binary=True),
        "  the same from lists": lambda: compare_paired(*lists, binary=True),
        "  the same in groups of 5": lambda: compare_paired(baseline, candidate, binary=True, groups=groups),
        "  the same with grades": lambda: compare_paired(*grades, binary=False),
        f"sign-flip test of {CASES:,} differences": lambda: signflip_p(gaps, run_counts=[TRIALS]),
        f"adaptive, {LOOKS} looks over {LOOKS} cases": adaptive,
    }
    print(f"floors: numpy mean and sd {1e3 * floor:.2f} ms; scipy bootstrap, 999 draws, {1e3 * bootstrap:.0f} ms")
    print(f"{'':40} {'ms':>8} {'x numpy':>9} {'x bootstrap':>12}")
    for name, work in works.items():
        took = seconds(work)
        print(f"{name:40} {1e3 * took:8.1f} {took / floor:9.0f} {took / bootstrap:12.2f}")


if __name__ == "__main__":
    main()
