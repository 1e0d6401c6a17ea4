"""What calls cost, and how much of what is allowed is spent. Knows no target, no store and no network."""

from mcp_evals.conversation import Usage
from mcp_evals.errors import LimitError


def price_usd(provider: str, model: str | None, usage: Usage | None) -> float | None:
    """What tokens of a model cost by the price list that came with `genai-prices`; None: unknown, never a guess.

    `provider` must be named as the list names it: an endpoint of the user's own has prices of its own.
    """
    from genai_prices import Usage as PricedUsage  # slow to load
    from genai_prices import calc_price

    if model is None or usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    tokens = PricedUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    try:
        priced = calc_price(tokens, model, provider_id=provider)
    except (LookupError, ValueError):  # unknown model; counts that contradict each other
        return None
    # The list also finds a provider by a part of its name, such as that of a proxy.
    return float(priced.total_price) if priced.provider.id == provider else None


def estimate_cost(n_trials: int, past: tuple[float | None, int]) -> float | None:
    """What trials will cost if they are like past ones (their mean cost, their number); None: nothing is known."""
    mean_cost_usd, _ = past
    return None if mean_cost_usd is None else n_trials * mean_cost_usd


class Meter:
    """Counts what a run spends, and admits a trial only where it fits below the caps.

    A trial in flight is reserved the mean of the finished ones. Nothing is known before the first has ended, so those
    admitted until then can go over the cap; and a price that is unknown cannot be capped: see `unknown`.
    """

    def __init__(self, max_cost_usd: float | None = None, max_calls: int | None = None) -> None:
        self.max_cost_usd = max_cost_usd
        self.max_calls = max_calls
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
        cost_usd = self.spent_usd + (ahead * self.spent_usd / priced if priced else 0.0)
        # Sums of cents are not exact; a run that costs just the cap fits.
        if self.max_cost_usd is not None and cost_usd > self.max_cost_usd * (1 + 1e-9):
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
