"""The sign-flip test (Fisher 1935), mid-p: could chance alone have made a gap this large?

If the two arms are equal, each unit's difference might as well have had the other sign. With one pass-fail run a case it
is McNemar's mid-p test (Fagerland, Lydersen, Laake 2013).
"""

from collections.abc import Sequence
from math import comb, lcm
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcp_evals.stats.distributions import fair_coin_cdf
from mcp_evals.stats.tables import Floats, Labels, Whole, unit_codes, unit_sums

SignFlipMethod = Literal["mcnemar_mid_p", "sign_flip_exact", "sign_flip_seeded"]

DRAWS: Final = 20_000
SAME: Final = 1e-9
"""Sums closer than this are one sum that was rounded twice."""
_DENOMINATORS: Final = (1, 10, 12, 60, 100, 420, 1000, 2520)
_MOST_STEPS: Final = 50_000_000
"""Beyond this, counting exactly takes longer than drawing."""
_MOST_PATTERNS_BITS: Final = 16


class SignFlip(NamedTuple):
    """The test and how it was carried out."""

    p_value: float
    """Mid-p: P(T* > T) + P(T* = T) / 2, two-sided."""
    method: SignFlipMethod
    """McNemar where each unit moved by a whole pass, all sign patterns counted, or patterns drawn with a seed."""


def signflip_p(
    differences: Sequence[float] | Floats,
    *,
    groups: Labels | None = None,
    run_counts: Sequence[int] = (1,),
    seed: int = 0,
) -> SignFlip:
    """Two-sided mid-p of no difference, from the difference of case means of each case.

    Ties carry no weight. Where the unit sums are whole multiples of one fraction, as pass rates over `run_counts` runs
    and most grades are, all sign patterns are counted by convolution; else all patterns of at most 16 units are written
    out; else 20,000 are drawn, and the observed one counts among them.
    """
    per_case = np.asarray(differences, dtype=float)
    sums = unit_sums(per_case, unit_codes(groups, len(per_case)))
    moved = sums[np.abs(sums) > SAME]
    if not len(moved):
        return SignFlip(1.0, "sign_flip_exact")
    sizes = np.abs(moved)
    if float(np.ptp(sizes)) < SAME:
        ups = int(np.count_nonzero(moved > 0))
        method = "mcnemar_mid_p" if abs(float(sizes[0]) - 1) < SAME else "sign_flip_exact"
        return SignFlip(mcnemar_mid_p(ups, len(moved) - ups), method)
    whole = _as_whole(moved, lcm(*run_counts))
    if whole is not None:
        return SignFlip(_p_by_convolution(whole), "sign_flip_exact")
    if len(moved) <= _MOST_PATTERNS_BITS:
        return SignFlip(_p_by_enumeration(moved), "sign_flip_exact")
    return SignFlip(_p_by_draws(moved, seed), "sign_flip_seeded")


def mcnemar_mid_p(one_way: int, other_way: int) -> float:
    """McNemar's mid-p test from the two counts of disagreeing cases."""
    total = one_way + other_way
    if total == 0:
        return 1.0
    point = comb(total, one_way) / 2**total
    if one_way == other_way:
        return 1 - point / 2
    return 2 * fair_coin_cdf(min(one_way, other_way), total) - point


def _as_whole(sums: Floats, denominator: int) -> Whole | None:
    """The sums as whole numbers in a common fraction, if there is one small enough to count with."""
    for factor in _DENOMINATORS:
        scaled = sums * (denominator * factor)
        if len(sums) * float(np.abs(scaled).sum()) > _MOST_STEPS:
            return None
        whole = np.rint(scaled)
        if float(np.abs(scaled - whole).max()) < SAME * denominator * factor:
            counted = whole.astype(np.intp)
            return counted // np.gcd.reduce(counted)
    return None


def _p_by_convolution(sums: Whole) -> float:
    """Chances of every total, one unit after the other; a total is told by the sum of the units that keep their sign."""
    sizes = np.sort(np.abs(sums))
    chances = np.zeros(int(sizes.sum()) + 1)
    chances[0] = 1.0
    width = 1
    for size in sizes.tolist():
        half = chances[:width] / 2
        chances[:width] = half
        chances[size : size + width] += half
        width += size
    totals = np.abs(2 * np.arange(len(chances)) - (len(chances) - 1))
    observed = abs(int(sums.sum()))
    return float(chances[totals > observed].sum() + chances[totals == observed].sum() / 2)


def _p_by_enumeration(sums: Floats) -> float:
    totals = np.zeros(1)
    for size in sums.tolist():
        totals = np.concatenate((totals + size, totals - size))
    return _mid_p(np.abs(totals), abs(float(sums.sum())), extra=0)


def _p_by_draws(sums: Floats, seed: int) -> float:
    # Eight units at a time: a random byte picks one of their 256 signed sums, so nothing of size draws x units is kept.
    padded = np.zeros(-(-len(sums) // 8) * 8)
    padded[: len(sums)] = sums
    signs = 1.0 - 2.0 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    signed_sums: NDArray[np.float64] = padded.reshape(-1, 8) @ signs.T
    picks = np.random.default_rng(seed).integers(0, 256, size=(len(signed_sums), DRAWS), dtype=np.uint8)
    totals = np.zeros(DRAWS)
    for block, pick in zip(signed_sums, picks, strict=True):
        totals += block[pick]
    return _mid_p(np.abs(totals), abs(float(sums.sum())), extra=1)


def _mid_p(totals: Floats, observed: float, *, extra: int) -> float:
    beyond = np.count_nonzero(totals > observed + SAME)
    level = np.count_nonzero(np.abs(totals - observed) <= SAME)
    return float((beyond + level / 2 + extra) / (len(totals) + extra))
