"""Score tables: one row a case, one entry a trial; a trial without a score is missing, never zero."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcp_evals.errors import UsageError

Floats = NDArray[np.float64]
Whole = NDArray[np.intp]
Labels = Sequence[str | None] | Sequence[int] | Whole
"""The group of each case: cases with the same label stand or fall together, one without a label stands for itself."""
Scores = Sequence[Sequence[float | None]] | Floats
"""One row a case, one score in 0..1 a trial: None, NaN or masked where the trial errored; a shorter row had fewer trials."""


class ScoreTable(NamedTuple):
    """The scores of one arm; NaN marks a missing score and never leaves this room."""

    scores: Floats
    """(cases, trials); NaN where there is no score."""
    errored: Whole
    """Trials a case that were run and gave no score."""

    @property
    def runs(self) -> Whole:
        """Valid runs a case."""
        return np.count_nonzero(~np.isnan(self.scores), axis=1)

    @property
    def means(self) -> Floats:
        """Mean score a case; NaN where no run is valid."""
        runs = self.runs
        return np.divide(np.nansum(self.scores, axis=1), runs, out=np.full(len(runs), np.nan), where=runs > 0)

    @property
    def variances(self) -> Floats:
        """Variance of the runs a case (ddof 1); NaN where fewer than two runs are valid."""
        runs = self.runs
        squares = np.nansum((self.scores - self.means[:, None]) ** 2, axis=1)
        return np.divide(squares, runs - 1, out=np.full(len(runs), np.nan), where=runs > 1)

    def with_errors_as(self, score: float) -> "ScoreTable":
        """The table in which each errored trial has this score."""
        missing = np.isnan(self.scores)
        filled = missing & (np.cumsum(missing, axis=1) <= self.errored[:, None])
        return ScoreTable(np.where(filled, score, self.scores), np.zeros_like(self.errored))


def read_scores(table: Scores, *, binary: bool = False) -> ScoreTable:
    """A table as arrays.

    Raises:
        UsageError: a score lies outside 0..1, or is neither 0 nor 1 where it should be pass or fail.
    """
    if isinstance(table, np.ndarray):
        scores = np.array(table, dtype=float)
        scores[np.ma.getmaskarray(table)] = np.nan
        scores = scores if scores.ndim == 2 else scores[:, None]
        errored = np.count_nonzero(np.isnan(scores), axis=1)
    else:
        lengths = [len(row) for row in table]
        widest = max(lengths, default=0)
        rows = table if min(lengths, default=0) == widest else [[*row, *[None] * (widest - len(row))] for row in table]
        scores = np.array(rows, dtype=float).reshape(len(rows), widest)
        errored = np.array(lengths, dtype=np.intp) - np.count_nonzero(~np.isnan(scores), axis=1)
    check_scores(scores, binary=binary)
    return ScoreTable(scores, errored)


def check_scores(scores: Floats, *, binary: bool = False) -> None:
    """Refuse scores that the formulas do not hold for; NaN passes as missing."""
    known = scores[~np.isnan(scores)]
    outside = known[(known < 0) | (known > 1)]
    if len(outside):
        raise UsageError(f"a score must lie in 0..1, but one is {outside[0]:g}; divide by the highest possible score")
    halves = known[(known != 0) & (known != 1)] if binary else known[:0]
    if len(halves):
        raise UsageError(f"pass or fail must be 1 or 0, but one score is {halves[0]:g}; pass binary=False for grades")


def unit_codes(groups: Labels | None, cases: int) -> Whole | None:
    """The number of each case's unit, from 0 without gaps; None where no case is in a group.

    Raises:
        UsageError: there is not one label a case.
    """
    if groups is None:
        return None
    if len(groups) != cases:
        raise UsageError(f"{len(groups)} group labels for {cases} cases; give one label a case, or none at all")
    if isinstance(groups, np.ndarray):
        return np.unique(groups, return_inverse=True)[1].astype(np.intp)
    if all(label is None for label in groups):
        return None
    numbers: dict[object, int] = {}
    keys = ((place,) if label is None else label for place, label in enumerate(groups))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)


def unit_count(codes: Whole | None, cases: int) -> int:
    """How many independent units of evidence there are."""
    return cases if codes is None else len(np.unique(codes))


def unit_sums(values: Floats, codes: Whole | None) -> Floats:
    """Sum of the values within each unit."""
    return values if codes is None else np.bincount(codes, weights=values).astype(np.float64)
