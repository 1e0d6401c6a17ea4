"""What a run may cost, said before it starts: from past trials, else from what was read and written elsewhere, else from
the length of what would be sent. A price that is unknown stays unknown."""

from collections.abc import Sequence
from math import ceil
from typing import Final, Literal, NamedTuple

from mcp_evals.conversation import Usage
from mcp_evals.errors import OverBudgetError
from mcp_evals.limits import estimate_cost, price_usd
from mcp_evals.results import RunSettings, TargetSpec
from mcp_evals.suite import Case
from mcp_evals.workspace.targets import Targets

Cap = Literal["max_cost_usd", "max_calls"]
CHARACTERS_PER_TOKEN: Final = 4
OUTPUT_TOKENS: Final = 200
"""Of one trial, where nothing is known of the suite."""
HEADROOM: Final = 1.25
"""How far above the estimate a raised cap lies, so that the run is not cut off shortly before its end."""


class CapTooLowError(OverBudgetError):
    """It would cost more than a cap; says which one and what it would have to be."""

    def __init__(self, message: str, cap: Cap, needed: float) -> None:
        super().__init__(message)
        self.cap: Cap = cap
        self.needed = needed


class _Expected(NamedTuple):
    cost_usd: float
    basis: str


class Spending(Targets):
    """Refuses what would go over a cap."""

    def _check_budget(self, suite: str, target: str, cases: Sequence[Case], settings: RunSettings) -> None:
        trials = sum(settings.trials * case.phrasings for case in cases)
        if settings.max_calls is not None and trials > settings.max_calls:
            raise CapTooLowError(
                f"{trials} trials need at least {trials} model calls and the cap is {settings.max_calls}; "
                "raise max_calls, or run fewer cases or trials",
                "max_calls",
                ceil(trials * HEADROOM),
            )
        if settings.max_cost_usd is None:
            return
        expected = self._expected(suite, target, cases, trials)
        if expected is not None and expected.cost_usd > settings.max_cost_usd:
            raise CapTooLowError(
                f"about ${expected.cost_usd:.2f} for {trials} trials, {expected.basis}, and the cap is "
                f"${settings.max_cost_usd:.2f}; raise max_cost_usd, or run fewer cases or trials",
                "max_cost_usd",
                ceil(expected.cost_usd * HEADROOM * 100) / 100,
            )

    def _expected(self, suite: str, target: str, cases: Sequence[Case], trials: int) -> _Expected | None:
        past = estimate_cost(trials, self.store.past_cost(suite, target))
        if past is not None:
            return _Expected(past, "by what past trials cost")
        spec = TargetSpec.parse(target)
        if not self._is_own_endpoint(spec.provider):
            return None
        spent = [found.usage for found in self.store.past_spending(suite)]
        if spent:
            tokens = _mean(spent)
            basis = "by the tokens that past trials of the suite took"
        else:
            characters = sum(
                len(case.model_dump_json(include={"user", "turns", "history", "system"})) for case in cases
            )
            tokens = Usage(
                input_tokens=ceil(characters / len(cases) / CHARACTERS_PER_TOKEN) + self._tool_tokens(cases),
                output_tokens=OUTPUT_TOKENS,
            )
            basis = "by the length of its prompts"
        price = price_usd(spec.provider, spec.model, tokens)
        return None if price is None else _Expected(price * trials, basis)

    def _tool_tokens(self, cases: Sequence[Case]) -> int:
        """Of the tools that a case brings itself; those of the suite are not known here and count nothing."""
        written = sum(len(tool.model_dump_json()) for case in cases for tool in case.tools or ())
        return ceil(written / max(1, len(cases)) / CHARACTERS_PER_TOKEN)


def _mean(spent: Sequence[Usage]) -> Usage:
    return Usage(
        input_tokens=ceil(sum(usage.input_tokens or 0 for usage in spent) / len(spent)),
        output_tokens=ceil(sum(usage.output_tokens or 0 for usage in spent) / len(spent)),
    )
