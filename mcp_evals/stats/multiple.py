"""Several questions at once: corrected p-values, rank ranges, and which single cases changed."""

from collections.abc import Sequence
from functools import lru_cache
from math import comb
from typing import Literal, NamedTuple

import numpy as np

from mcp_evals.stats.tables import Floats


class RankRange(NamedTuple):
    """Where an arm may stand; equal ends: its place is settled."""

    best: int
    """1 + how many are shown to be better."""
    worst: int
    """How many there are, less those shown to be worse."""


class CaseChange(NamedTuple):
    """One case whose pass rate differs between the arms."""

    case: int
    """Index of the case."""
    direction: Literal["regressed", "improved"]
    """From the baseline to the candidate."""
    p_value: float
    """Fisher's exact test on the runs of this case, two-sided."""
    p_adjusted: float
    """After Benjamini and Hochberg over all compared cases."""
    shown: bool
    """p_adjusted <= 0.05; otherwise the change may be chance, as it often is with few runs."""


def holm(p_values: Sequence[float] | Floats) -> tuple[float, ...]:
    """p-values of which the smallest below 0.05 is false in at most 5 of 100 families (Holm 1979); order kept."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    return _in_place(np.minimum(steps, 1.0), order)


def benjamini_hochberg(p_values: Sequence[float] | Floats) -> tuple[float, ...]:
    """p-values of which those below 0.05 are false in 5 of 100 on average (Benjamini, Hochberg 1995); order kept."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = p[order] * len(p) / np.arange(1, len(p) + 1)
    return _in_place(np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0), order)


def rank_ranges(arms: int, beats: Sequence[tuple[int, int]]) -> tuple[RankRange, ...]:
    """The places that each arm may hold, given the pairs (winner, loser) that the corrected verdicts separate."""
    separated = set(beats)
    losses = [sum(loser == arm for _, loser in separated) for arm in range(arms)]
    wins = [sum(winner == arm for winner, _ in separated) for arm in range(arms)]
    return tuple(RankRange(1 + lost, arms - won) for lost, won in zip(losses, wins, strict=True))


def changed_cases(
    baseline_passes: Sequence[int],
    baseline_runs: Sequence[int],
    candidate_passes: Sequence[int],
    candidate_runs: Sequence[int],
) -> tuple[CaseChange, ...]:
    """The cases whose pass rate differs, with what may be claimed of each; cases without a run on a side are left out."""
    columns = zip(baseline_passes, baseline_runs, candidate_passes, candidate_runs, strict=True)
    rows = [(case, *counts) for case, counts in enumerate(columns) if counts[1] and counts[3]]
    p_values = [_fisher(a, a_runs, b, b_runs) for _, a, a_runs, b, b_runs in rows]
    return tuple(
        CaseChange(case, "improved" if b * a_runs > a * b_runs else "regressed", p, adjusted, adjusted <= 0.05)
        for (case, a, a_runs, b, b_runs), p, adjusted in zip(rows, p_values, benjamini_hochberg(p_values), strict=True)
        if a * b_runs != b * a_runs
    )


def _in_place(sorted_values: Floats, order: np.ndarray[tuple[int], np.dtype[np.intp]]) -> tuple[float, ...]:
    values = np.empty_like(sorted_values)
    values[order] = sorted_values
    return tuple(values.tolist())


@lru_cache(maxsize=4096)
def _fisher(a: int, a_runs: int, b: int, b_runs: int) -> float:
    """Fisher's exact test, two-sided: all tables with these margins that are no likelier than the one seen."""
    passes = a + b
    ways = [comb(a_runs, k) * comb(b_runs, passes - k) for k in range(max(0, passes - b_runs), min(a_runs, passes) + 1)]
    seen = comb(a_runs, a) * comb(b_runs, b)
    return sum(way for way in ways if way <= seen) / comb(a_runs + b_runs, passes)
