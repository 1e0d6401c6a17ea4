"""The few quantiles and distribution functions that are needed, with types."""

from typing import Any, Final

# scipy.special alone: scipy.stats takes several times as long to load, and nothing of it is needed.
from scipy import special as _untyped  # pyright: ignore[reportMissingTypeStubs]

_special: Final[Any] = _untyped


def normal_quantile(share: float) -> float:
    """The point below which this share of the standard normal distribution lies."""
    return float(_special.ndtri(share))


def normal_cdf(point: float) -> float:
    """Share of the standard normal distribution below a point."""
    return float(_special.ndtr(point))


def t_quantile(share: float, degrees: float) -> float:
    """The point below which this share of Student's t distribution lies."""
    return float(_special.stdtrit(degrees, share))


def t_cdf(point: float, degrees: float) -> float:
    """Share of Student's t distribution below a point."""
    return float(_special.stdtr(degrees, point))


def beta_cdf(point: float, a: float, b: float) -> float:
    """Share of the Beta(a, b) distribution below a point."""
    return float(_special.betainc(a, b, point))


def fair_coin_cdf(heads: int, tosses: int) -> float:
    """Chance of at most so many heads in tosses of a fair coin."""
    return float(_special.bdtr(heads, tosses, 0.5))
