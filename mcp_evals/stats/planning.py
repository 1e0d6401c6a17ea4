"""Planning: what gap a comparison can see, and how many cases would show a given one. Never from the observed gap."""

from math import ceil, floor, log10, sqrt
from typing import Final

from mcp_evals.errors import UsageError
from mcp_evals.stats.distributions import normal_quantile

POWER: Final = 0.8
DETECTABLE_SE: Final = normal_quantile(0.975) + normal_quantile(POWER)
"""2.802: a gap of so many standard errors is found (two-sided 5 %) in 80 of 100 comparisons."""


def detectable(standard_error: float) -> float:
    """The gap that 80 of 100 such comparisons would find."""
    return DETECTABLE_SE * standard_error


def cases_needed(cases: int, standard_error: float, effect: float) -> int:
    """How many cases in all would show a gap of `effect`, from the standard error that so many cases gave.

    `effect` is the margin or the smallest gap that matters, never the observed difference.

    Raises:
        UsageError: the effect is not positive.
    """
    if effect <= 0:
        raise UsageError(f"the gap to be seen must be above 0, but is {effect:g}; 0.05 stands for 5 points")
    # Less a hair: an exact whole number must not be rounded up for its last bit.
    return ceil(cases * (DETECTABLE_SE * standard_error / effect) ** 2 - 1e-9)


def standard_error_before(cases: int, pass_rate: float = 0.8, correlation: float = 0.5) -> float:
    """Standard error of the difference to expect of one pass-fail run a case, before any is made."""
    return sqrt(2 * pass_rate * (1 - pass_rate) * (1 - correlation) / cases)


def cases_needed_before(effect: float, pass_rate: float = 0.8, correlation: float = 0.5) -> int:
    """How many cases would show a gap of `effect`, before any call is made."""
    return cases_needed(1, standard_error_before(1, pass_rate, correlation), effect)


def default_runs(cases: int) -> int:
    """Runs a case that pay best: 5 below 50 cases, 3 below 200, else 1."""
    return 5 if cases < 50 else 3 if cases < 200 else 1


def two_figures(count: int) -> int:
    """A needed number as it should be said: rounded to two figures, for it is no better known."""
    step = 10 ** max(0, floor(log10(count)) - 1) if count > 0 else 1
    return round(count / step) * step
