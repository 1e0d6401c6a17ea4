"""Several comparisons together: candidates against a baseline, all pairs, tags; each p-value pays for the others."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mcp_evals.stats.multiple import benjamini_hochberg, holm
from mcp_evals.stats.paired import LEAST_UNITS, MARGIN, PairedResult, compare_paired
from mcp_evals.stats.tables import Labels, Scores, unit_codes

Correction = Callable[[Sequence[float]], tuple[float, ...]]


def compare_several(
    arms: Sequence[Scores],
    pairs: Sequence[tuple[int, int]],
    *,
    binary: bool,
    groups: Labels | None = None,
    margin: float = MARGIN,
    effect: float | None = None,
    seed: int = 0,
) -> tuple[PairedResult, ...]:
    """The comparisons (baseline, candidate) of these arms on the primary metric, corrected by Holm.

    Raises:
        UsageError: as `compare_paired`.
    """

    def question(pair: tuple[int, int]) -> Callable[[float], PairedResult]:
        return lambda p_factor: compare_paired(
            arms[pair[0]],
            arms[pair[1]],
            binary=binary,
            groups=groups,
            margin=margin,
            effect=effect,
            seed=seed,
            p_factor=p_factor,
        )

    return _answer_together([question(pair) for pair in pairs], holm)


def compare_tags(
    baseline: Scores,
    candidate: Scores,
    tags: Mapping[str, Sequence[int]],
    *,
    binary: bool,
    groups: Labels | None = None,
    margin: float = MARGIN,
    effect: float | None = None,
    seed: int = 0,
) -> dict[str, PairedResult]:
    """One comparison for each tag's case indices, corrected by Benjamini and Hochberg: for exploring, not for claims.

    Raises:
        UsageError: as `compare_paired`.
    """
    codes = unit_codes(groups, len(baseline))

    def question(cases: Sequence[int]) -> Callable[[float], PairedResult]:
        return lambda p_factor: compare_paired(
            _rows(baseline, cases),
            _rows(candidate, cases),
            binary=binary,
            groups=None if codes is None else codes[list(cases)],
            margin=margin,
            effect=effect,
            seed=seed,
            p_factor=p_factor,
        )

    results = _answer_together([question(cases) for cases in tags.values()], benjamini_hochberg)
    return dict(zip(tags, results, strict=True))


def _answer_together(
    questions: Sequence[Callable[[float], PairedResult]], correct: Correction
) -> tuple[PairedResult, ...]:
    """Ask each by itself, correct those p-values that could support a claim at all, and ask these again."""
    alone = [ask(1.0) for ask in questions]
    p_values = {
        place: result.p_value
        for place, result in enumerate(alone)
        if result.p_value is not None and result.disagreeing_units >= LEAST_UNITS
    }
    corrected = dict(zip(p_values, correct(list(p_values.values())), strict=True))
    factors = {place: corrected[place] / p for place, p in p_values.items() if p > 0}
    return tuple(ask(factors[place]) if place in factors else alone[place] for place, ask in enumerate(questions))


def _rows(table: Scores, cases: Sequence[int]) -> Scores:
    return table[list(cases)] if isinstance(table, np.ndarray) else [table[case] for case in cases]
