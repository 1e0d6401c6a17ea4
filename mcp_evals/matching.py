"""What critics and text expectations share: a match with its reason, weights, and comparisons that both make."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast

from pydantic import JsonValue

from mcp_evals.model import NonNegative
from mcp_evals.text import rouge1, tfidf_cosine

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError  # slow to load

WeightName = Literal["minimal", "very_low", "low", "medium", "high", "very_high", "critical"]
Weight = WeightName | NonNegative
"""Importance beside its neighbours: a number, or a word; `medium` is 1, each step is a quarter."""
_WEIGHT_NAMES: Final = ("minimal", "very_low", "low", "medium", "high", "very_high", "critical")

SEARCH_TIMEOUT_S: Final = 1.0
"""A pattern that takes longer than this on one text is given up: it backtracks without bound."""


def weight_number(weight: Weight) -> float:
    """The number behind a weight: `minimal` 0.25, `medium` 1, `critical` 1.75."""
    return (_WEIGHT_NAMES.index(weight) + 1) / 4 if isinstance(weight, str) else float(weight)


class Match(NamedTuple):
    """How well one value fits."""

    score: float
    """From 0 to 1."""
    reason: str | None = None
    """Why it is not 1."""


PERFECT: Final = Match(1.0)


def similar_match(reference: str, text: str, metric: str, pass_at: float) -> Match:
    """How like a text is to its reference: full marks from `pass_at` on, below it the similarity itself."""
    found = similarity(reference, text, metric)
    if found >= pass_at:
        return PERFECT
    return Match(found, f"{metric} similarity {found:.3f} is below {pass_at:g}")


def similarity(reference: str, text: str, metric: str) -> float:
    """From 0 to 1: the cosine of TF-IDF vectors (`tfidf`), or ROUGE-1 F with stemming."""
    if reference == text:
        return 1.0
    return tfidf_cosine(reference, text) if metric == "tfidf" else rouge1(reference, text).f


def require_pattern(pattern: str) -> None:
    """Refuse what is no regular expression.

    Raises:
        ValueError: it is none; says why.
    """
    import regex  # slow to load, used by few suites

    try:
        regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"not a regular expression: {error}") from None


def require_schema(schema: dict[str, JsonValue]) -> None:
    """Refuse what is no JSON Schema.

    Raises:
        ValueError: it is none; says why.
    """
    from jsonschema import SchemaError  # slow to load, used by few suites
    from jsonschema.validators import validator_for

    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"not a JSON Schema: {error.message}") from None


def fits_schema(schema: dict[str, JsonValue], value: Any) -> Match:
    """Whether a JSON value fits a schema; nothing that the schema refers to is fetched, and its patterns have a time limit."""
    from jsonschema.exceptions import best_match  # pyright: ignore[reportUnknownVariableType]  slow to load, used by few suites
    from jsonschema.validators import extend, validator_for  # pyright: ignore[reportUnknownVariableType]
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import EMPTY_REGISTRY

    limited = cast("Callable[..., Any]", extend(validator_for(schema), {"pattern": _find_in_schema}))
    validator = limited(schema, registry=EMPTY_REGISTRY)
    try:
        found = cast("ValidationError | None", best_match(validator.iter_errors(value)))
    except Unresolvable as error:
        return Match(0.0, f"the schema refers to {error.ref}, which is not in it; nothing is fetched")
    return PERFECT if found is None else Match(0.0, f"{found.json_path}: {found.message}")


def _find_in_schema(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator["ValidationError"]:
    from jsonschema.exceptions import ValidationError  # slow to load, used by few suites

    if isinstance(value, str) and (reason := find_pattern(pattern, value).reason):
        yield ValidationError(reason)


def find_pattern(pattern: str, text: str) -> Match:
    """Whether a regular expression finds something in a text; one that backtracks without bound is given up."""
    import regex  # slow to load; the standard library's `re` has no time limit

    try:
        found = regex.search(pattern, text, timeout=SEARCH_TIMEOUT_S)
    except TimeoutError:
        return Match(0.0, f"/{pattern}/ was given up after {SEARCH_TIMEOUT_S:g} s: it backtracks without bound")
    return PERFECT if found else Match(0.0, f"/{pattern}/ finds nothing")
