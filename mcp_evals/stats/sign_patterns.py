"""Rows of signs that an adaptive comparison spends its error on: the observed row, and what it might as well have been.

Rows are exchangeable if the arms are equal. Each look may remove the rows with the largest totals, up to a share of all
rows that only grows; the observed row is gone when its total is among them.
"""

from math import floor
from typing import Final, Protocol

import numpy as np

from mcp_evals.stats.signflip import SAME

ROWS: Final = 10_000
"""Rows when drawn, the observed one (row 0) among them."""


class SignPatterns(Protocol):
    """What a look needs of the rows."""

    @property
    def observed_removed(self) -> bool:
        """Whether the observed row is gone."""
        ...

    def shift(self, unit: int, change: float) -> None:
        """The sum of a unit has changed by so much: every row's total follows with its sign."""
        ...

    def spend(self, share: float) -> float | None:
        """Remove the rows with the largest totals, at most this share of all since the start.

        Rows that tie with the first one that must stay, stay too. The answer is the smallest total removed now; None
        where none was.
        """
        ...


class DrawnPatterns:
    """9,999 rows drawn with a seed, and the observed one."""

    def __init__(self, units: int, seed: int) -> None:
        self._signs = np.ones((ROWS, units), dtype=np.int8)
        self._signs[1:] -= 2 * np.random.default_rng(seed).integers(0, 2, size=(ROWS - 1, units), dtype=np.int8)
        self._totals = np.zeros(ROWS)
        self._alive = np.arange(ROWS)

    @property
    def observed_removed(self) -> bool:
        """Whether the observed row is gone."""
        return bool(self._alive[0] != 0)

    def shift(self, unit: int, change: float) -> None:
        """The sum of a unit has changed by so much."""
        self._totals += self._signs[:, unit] * change

    def spend(self, share: float) -> float | None:
        """Remove the rows with the largest totals."""
        # Plus a hair: 0.05 * 0.04 * 10,000 is 20 rows, whatever its last bit says.
        budget = floor(share * ROWS + SAME) - (ROWS - len(self._alive))
        if budget <= 0:
            return None
        sizes = np.abs(self._totals[self._alive])
        first_to_stay = np.partition(sizes, len(sizes) - 1 - budget)[len(sizes) - 1 - budget]
        removed = sizes > first_to_stay + SAME
        if not removed.any():
            return None
        self._alive = self._alive[~removed]
        return float(sizes[removed].min())


class CountedPatterns:
    """All 2^n rows, counted by their totals: for units that each move once, by -1, 0 or 1."""

    def __init__(self, units: int) -> None:
        self._middle = units
        self._share = np.zeros(2 * units + 1)
        """Share of all rows that are alive and have each total, from -units up."""
        self._share[units] = 1.0
        self._removed = 0.0
        self._observed = 0
        self._observed_removed = False

    @property
    def observed_removed(self) -> bool:
        """Whether the observed row is gone."""
        return self._observed_removed

    def shift(self, unit: int, change: float) -> None:
        """A new unit has come; as rows are counted and not kept, it does not matter which."""
        step = round(change)
        self._share = (np.roll(self._share, step) + np.roll(self._share, -step)) / 2
        self._observed += step

    def spend(self, share: float) -> float | None:
        """Remove the rows with the largest totals."""
        by_size = self._share[self._middle :] + self._share[self._middle :: -1]
        by_size[0] /= 2
        beyond = np.cumsum(by_size[::-1])[::-1]
        affordable = np.flatnonzero((beyond <= share - self._removed + 1e-12) & (by_size > 0))
        if not len(affordable):
            return None
        boundary = int(affordable[0])
        self._removed += float(beyond[boundary])
        self._share[self._middle + boundary :] = 0
        self._share[: self._middle - boundary + 1] = 0
        self._observed_removed = self._observed_removed or abs(self._observed) >= boundary
        return float(boundary)
