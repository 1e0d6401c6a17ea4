"""Open-ended comparison: bets whose wealth can hardly grow if there is nothing to find.

A betting e-process (Waudby-Smith, Ramdas 2024): each bet multiplies its wealth by 1 + stake * (x - null). If the mean of
x is the null value, wealth stays 1 on average, so it ever reaches 1/alpha with a chance of at most alpha (Ville 1939).
Nothing else is assumed; one may look after every unit, stop, resume and add cases for ever.
"""

from collections.abc import Sequence
from math import exp, log
from typing import Final, Literal

import numpy as np
from pydantic import Field

from mcp_evals.errors import UsageError
from mcp_evals.model import Finite, Model
from mcp_evals.results import Estimate
from mcp_evals.stats.tables import Floats

FRACTIONS: Final = (0.15, 0.35, 0.65, 0.95)
"""Shares of the highest stake that cannot lose everything."""
BAR_FRACTIONS: Final = (0.1, 0.25, 0.5, 0.8)
NOT_WORSE_FRACTIONS: Final = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
GATE_ALPHA: Final = 0.02
"""Error that a regression gate spends while it runs; the rest of its 5 % is for the last look."""
GATE_END_CONFIDENCE: Final = 0.94
"""Two-sided confidence of the interval that decides the gate at the end: one-sided .03."""
_GRID_STEPS: Final = 400


class Bets(Model):
    """A family of bets against one null value, and what they have won: all the state there is."""

    null: Finite
    """The mean that is bet against."""
    lowest: Finite
    """Smallest value that can come."""
    highest: Finite
    """Largest value that can come."""
    stakes: tuple[Finite, ...]
    """One a bet; positive ones win if the mean is above the null value."""
    alpha: float = Field(gt=0, lt=1)
    """Chance of a false decision, over all looks for ever."""
    log_wealth: tuple[Finite, ...]
    """Logarithm of each bet's wealth."""
    highest_log_e: Finite = 0.0
    """Logarithm of the largest e-value so far."""
    units: int = 0
    """Values so far."""
    total: Finite = 0.0
    """Sum of the values less the null value."""
    decision: Literal["above", "below"] | None = None
    """Where the mean lies, from the moment the e-value reached 1/alpha; None before."""

    def add(self, values: Sequence[float] | Floats) -> "Bets":
        """The bets after further values, one a unit, in their order.

        Raises:
            UsageError: a value lies outside what was bet on.
        """
        x = np.asarray(values, dtype=float)
        if not len(x):
            return self
        outside = x[~((x >= self.lowest) & (x <= self.highest))]
        if len(outside):
            raise UsageError(
                f"value {outside[0]:g} is not in {self.lowest:g}..{self.highest:g}, on which the bets rest"
            )
        gains = np.log1p(np.outer(x - self.null, self.stakes))
        wealth = np.asarray(self.log_wealth) + np.cumsum(gains, axis=0)
        log_e = _log_mean(wealth)
        totals = self.total + np.cumsum(x - self.null)
        decision = self.decision
        if decision is None and log_e.max() >= -log(self.alpha):
            # A bet that has won so much stands on the side of the total: log(1 + z) <= z.
            decision = "above" if totals[np.argmax(log_e >= -log(self.alpha))] > 0 else "below"
        return self.model_copy(
            update={
                "log_wealth": tuple(wealth[-1].tolist()),
                "highest_log_e": max(self.highest_log_e, float(log_e.max())),
                "units": self.units + len(x),
                "total": float(totals[-1]),
                "decision": decision,
            }
        )

    @property
    def e_value(self) -> float:
        """Mean wealth of the bets: evidence against the null value."""
        return exp(float(_log_mean(np.asarray(self.log_wealth))))

    @property
    def p_value(self) -> float:
        """Always-valid p-value: 1 / the largest e-value so far."""
        return min(1.0, exp(-self.highest_log_e))


def difference_bets(alpha: float = 0.05) -> Bets:
    """Is the mean of the unit differences, each in -1..1, other than 0?"""
    return _bets(0.0, -1.0, 1.0, tuple(sign * fraction for fraction in FRACTIONS for sign in (1, -1)), alpha)


def bar_bets(bar: float, alpha: float = 0.05) -> Bets:
    """Is the mean score of one model above or below this bar?

    Raises:
        UsageError: the bar is not between 0 and 1.
    """
    if not 0 < bar < 1:
        raise UsageError(f"the bar must lie between 0 and 1, but is {bar:g}")
    stakes = [fraction / bar for fraction in BAR_FRACTIONS] + [-fraction / (1 - bar) for fraction in BAR_FRACTIONS]
    return _bets(bar, 0.0, 1.0, tuple(stakes), alpha)


def not_worse_bets(margin: float, alpha: float = GATE_ALPHA) -> Bets:
    """Regression gate while it runs: `above` says that the candidate is not worse than the margin allows.

    At the end of the suite an undecided gate looks once at the interval of confidence `GATE_END_CONFIDENCE`.

    Raises:
        UsageError: the margin is not between 0 and 1.
    """
    if not 0 < margin < 1:
        raise UsageError(f"the margin must lie between 0 and 1, but is {margin:g}; 0.05 stands for 5 points")
    return _bets(-margin, -1.0, 1.0, tuple(fraction / (1 - margin) for fraction in NOT_WORSE_FRACTIONS), alpha)


def unit_differences(differences: Sequence[Sequence[float]], largest_unit: int) -> tuple[float, ...]:
    """What to bet on where units hold several cases: the sum of their differences over the size of the largest unit."""
    return tuple(sum(unit) / largest_unit for unit in differences)


def confidence_sequence(differences: Sequence[float] | Floats, alpha: float = 0.05) -> Estimate:
    """Interval for the mean of unit differences that holds at every look: the values that cannot be bet against.

    The ends are the values next to the mean, of a grid over -1..1, that bets as of `difference_bets` reject now. What is
    not rejected has no gaps: wealth is a convex function of the null value.

    Raises:
        UsageError: there is no difference, or one lies outside -1..1.
    """
    d = np.asarray(differences, dtype=float)
    if not len(d) or not bool(np.all(np.abs(d) <= 1)):
        raise UsageError("an interval needs at least one difference, and each in -1..1")
    grid = np.linspace(-1, 1, _GRID_STEPS + 1)
    inner = grid[1:-1, None]
    stakes = np.concatenate([side * np.array(FRACTIONS) for side in (1 / (1 + inner), -1 / (1 - inner))], axis=1)
    wealth = np.zeros_like(stakes)
    for value in d:
        wealth += np.log1p(stakes * (value - inner))
    rejected, mean = grid[1:-1][_log_mean(wealth) >= -log(alpha)], float(d.mean())
    low = float(np.max(rejected[rejected < mean], initial=-1.0))
    high = float(np.min(rejected[rejected > mean], initial=1.0))
    return Estimate(value=mean, low=low, high=high, confidence=1 - alpha, method="betting", n=len(d))


def _bets(null: float, lowest: float, highest: float, stakes: tuple[float, ...], alpha: float) -> Bets:
    return Bets(null=null, lowest=lowest, highest=highest, stakes=stakes, alpha=alpha, log_wealth=(0.0,) * len(stakes))


def _log_mean(log_wealth: Floats) -> Floats:
    """Logarithm of the mean wealth over the last axis."""
    return np.logaddexp.reduce(log_wealth, axis=-1) - log(log_wealth.shape[-1])
