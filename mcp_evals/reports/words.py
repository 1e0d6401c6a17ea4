"""Numbers and states in words, alike in every form of a report. Knows no markup."""

from collections.abc import Sequence
from typing import Final

from mcp_evals.conversation import Usage
from mcp_evals.results import CaseResult, Check, Estimate, RunSettings, Tally, Verdict
from mcp_evals.text import plural

MARKS: Final[dict[Verdict, str]] = {"passed": "pass", "warned": "warn", "failed": "FAIL", "errored": "ERROR"}
"""Verdicts as a reader sees them: what needs a look stands out, also without colour."""
LIMIT_OF_WHOLE_POINTS: Final = 200
"""With fewer cases a tenth of a point says nothing."""


def percent(estimate: Estimate) -> str:
    """A share with its interval and n: `82% (70% to 90%, n=40)`."""
    digits = _digits(estimate)
    ends = f"{estimate.low:.{digits}%} to {estimate.high:.{digits}%}"
    return f"{estimate.value:.{digits}%} ({ends}, n={estimate.n})"


def points(difference: Estimate) -> str:
    """A difference of two shares: `-16 points, likely between -31 and 0`."""
    digits = _digits(difference)
    ends = f"{signed(difference.low, digits)} and {signed(difference.high, digits)}"
    return f"{signed(difference.value, digits)} points, likely between {ends}"


def signed(share: float, digits: int) -> str:
    """Points with their sign; what rounds to nothing is `0`, never `+0` or `-0`."""
    text = f"{share * 100:+.{digits}f}"
    return "0" if not float(text) else text


def counts(tally: Tally) -> str:
    """`30 passed, 6 failed`: only what there is."""
    numbers = {"passed": tally.passed, "warned": tally.warned, "failed": tally.failed, "errored": tally.errored}
    return ", ".join(f"{number} {word}" for word, number in numbers.items() if number) or "nothing scored"


def by_tag(tallies: dict[str, Tally]) -> dict[str, str]:
    """For each tag, how many of its scored cases pass: `3 of 4`, and those that have no score."""
    return {
        tag: f"{tally.passed + tally.warned} of {tally.scored}"
        + (f" ({tally.errored} without a score)" if tally.errored else "")
        for tag, tally in tallies.items()
    }


def over_trials(result: CaseResult) -> str:
    """Passed of scored trials: `2/3`, and those that errored: `1/2, 1 errored`."""
    errored = f", {result.errored} errored" if result.errored else ""
    return f"{result.passed}/{result.trials - result.errored}{errored}"


def score(value: float | None, deviation: float | None = None) -> str:
    """A score from 0 to 1, with the spread of the trials where there is one."""
    spread = f" ± {deviation:.2f}" if deviation else ""
    return "no score" if value is None else f"{value:.2f}{spread}"


def check_name(check: Check) -> str:
    """What was checked, and in which turn."""
    return check.name if check.turn is None else f"turn {check.turn + 1}: {check.name}"


def check_state(score: float | None) -> str:
    """The score of a check, or that it has none."""
    return _NOT_EVALUATED if score is None else f"{score:.2f}"


def check_reason(reason: str | None) -> str:
    """The reason of a check, for a place where its state stands already."""
    return (reason or "").removeprefix(f"{_NOT_EVALUATED}: ")


_NOT_EVALUATED: Final = "not evaluated"


def price(cost_usd: float | None) -> str:
    """An unknown price is unknown and not zero."""
    return "price unknown" if cost_usd is None else f"${cost_usd:.4f}"


def tokens(usage: Usage | None) -> str:
    """What the target read and wrote; a number that nobody counted is left out."""
    if usage is None:
        return ""
    numbers = ((usage.input_tokens, "in"), (usage.output_tokens, "out"), (usage.cached_input_tokens, "cached"))
    return ", ".join(f"{number:,} tokens {word}" for number, word in numbers if number is not None)


def settings_line(settings: RunSettings) -> str:
    """How the run was made, as far as anybody asked for it."""
    said = [f"{settings.trials} trial{plural(settings.trials)} of each case"]
    if settings.seed != "none":
        said.append(f"seed {settings.seed}")
    if settings.temperature is not None:
        said.append(f"temperature {settings.temperature:g}")
    if settings.max_output_tokens is not None:
        said.append(f"at most {settings.max_output_tokens} tokens a response")
    if settings.tool_choice != "auto":
        said.append(f"tool choice {settings.tool_choice}")
    return ", ".join(said)


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names in a line, cut."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _digits(estimate: Estimate) -> int:
    return 0 if estimate.n < LIMIT_OF_WHOLE_POINTS else 1
