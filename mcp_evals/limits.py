"""What calls cost, and how much of what is allowed is spent. Knows no target, no store and no network."""

from collections.abc import Iterable, Sequence
from math import fsum, sqrt
from typing import Final

from mcp_evals.conversation import Step, Usage
from mcp_evals.errors import LimitError
from mcp_evals.results import Estimate

PRICED_PROVIDERS: Final = frozenset({"openai", "anthropic"})
"""Names that mean one endpoint; any other is a name of the user's own, whatever it sounds like."""


def price_usd(provider: str, model: str | None, usage: Usage | None) -> float | None:
    """What tokens of a model cost by the price list that came with `genai-prices`; None: unknown, never a guess.

    `provider` is `openai`, `anthropic`, or the URL of an endpoint. The list is that of the installed package: nothing
    is fetched.
    """
    if model is None or usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    by_url = "://" in provider
    if not by_url and provider not in PRICED_PROVIDERS:
        return None
    from genai_prices import Usage as PricedUsage  # slow to load
    from genai_prices import calc_price

    tokens = PricedUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    try:
        priced = (
            calc_price(tokens, model, provider_api_url=provider)
            if by_url
            else calc_price(tokens, model, provider_id=provider)
        )
    except (LookupError, ValueError):  # unknown endpoint or model; counts that contradict each other
        return None
    return float(priced.total_price)


def price_steps_usd(provider: str, steps: Iterable[Step]) -> float | None:
    """What the responses of a trial cost, each priced by itself; None: one of them is unknown, or there is none.

    The sum of their tokens would be priced as one long request, and those cost more a token.
    """
    prices = [price_usd(provider, step.model, step.usage) for step in steps]
    known = [price for price in prices if price is not None]
    return sum(known) if known and len(known) == len(prices) else None


def expected_cost(n_trials: int, past_costs_usd: Sequence[float]) -> Estimate | None:
    """What trials will cost if they are like past ones; None: fewer than two tell nothing of how much they differ.

    Formula: prediction interval of a sum, n·m ± t·s·√(n + n²/k) for k past trials with mean m and deviation s.
    """
    k = len(past_costs_usd)
    if k < 2:
        return None
    from mcp_evals.stats.distributions import t_quantile  # brings scipy

    mean = fsum(past_costs_usd) / k
    deviation = sqrt(fsum((cost_usd - mean) ** 2 for cost_usd in past_costs_usd) / (k - 1))
    value = n_trials * mean
    margin = t_quantile(0.975, k - 1) * deviation * sqrt(n_trials + n_trials**2 / k)
    return Estimate(value=value, low=max(0.0, value - margin), high=value + margin, method="past_trials", n=k)


def estimate_cost(n_trials: int, past: tuple[float | None, int]) -> float | None:
    """What trials will cost if they are like past ones (their mean cost, their number); None: nothing is known."""
    mean_cost_usd, _ = past
    return None if mean_cost_usd is None else n_trials * mean_cost_usd


class Meter:
    """Counts what a run spends, and admits a trial only where it fits below the caps.

    A trial in flight is reserved the mean of the finished ones, and before there is one, `expected_usd`: without it,
    those admitted until the first has ended can go over the cap. A price that is unknown cannot be capped: see
    `unknown`. Every `admit` is followed by one `spend`.
    """

    def __init__(
        self, max_cost_usd: float | None = None, max_calls: int | None = None, expected_usd: float | None = None
    ) -> None:
        self.max_cost_usd = max_cost_usd
        self.max_calls = max_calls
        self.expected_usd = expected_usd
        self.spent_usd = 0.0
        """What the trials of known price have cost."""
        self.unknown = 0
        """Finished trials of unknown price."""
        self.calls = 0
        """Model calls of the finished trials."""
        self._in_flight = 0
        self._finished = 0

    def admit(self) -> None:
        """Let the next trial begin; `spend` ends it.

        Raises:
            LimitError: it would go over a cap.
        """
        ahead = self._in_flight + 1
        priced = self._finished - self.unknown
        cost_usd = self.spent_usd + ahead * (self.spent_usd / priced if priced else self.expected_usd or 0.0)
        # Sums of cents are not exact; a run that costs just the cap fits. Under a cap of 0 nothing does.
        if self.max_cost_usd is not None and (cost_usd > self.max_cost_usd * (1 + 1e-9) or self.max_cost_usd == 0):
            raise LimitError(
                f"${self.spent_usd:.4f} is spent and the next trial would go over the cap of ${self.max_cost_usd:g}; "
                "raise max_cost_usd, or run fewer cases or trials",
                kind="budget",
            )
        calls = self.calls + ahead * max(1.0, self.calls / self._finished if self._finished else 1.0)
        if self.max_calls is not None and calls > self.max_calls * (1 + 1e-9):
            raise LimitError(
                f"{self.calls} model calls are made and the next trial would go over the cap of {self.max_calls}; "
                "raise max_calls, or run fewer cases or trials",
                kind="budget",
            )
        self._in_flight += 1

    def spend(self, cost_usd: float | None, calls: int = 1) -> None:
        """End an admitted trial: what it cost (None: unknown) and how many model calls it made."""
        self._in_flight -= 1
        self._finished += 1
        self.calls += calls
        if cost_usd is None:
            self.unknown += 1
        else:
            self.spent_usd += cost_usd

    def add(self, cost_usd: float | None, calls: int) -> None:
        """Count what was spent beside the trials themselves, as on a judge (None: unknown)."""
        self.spent_usd += cost_usd or 0.0
        self.calls += calls
