"""What comes out: checks, scores, trials, runs, estimates and comparisons."""

from pydantic import Field

from mcp_evals.model import Finite, Fraction, Model


class Estimate(Model):
    """A number with its uncertainty."""

    value: Finite
    """The point estimate."""
    low: Finite
    """Lower end of the interval."""
    high: Finite
    """Upper end of the interval."""
    confidence: Fraction = 0.95
    """Share of intervals made this way that hold the truth."""
    method: str
    """How the interval was made, such as `wilson` or `newcombe_paired`."""
    n: int = Field(ge=0)
    """How many cases (units of evidence) it rests on."""
