"""arcade-evals' critics: how one argument is compared (§1) and what it weighs (§2).

Their oddities are arcade's and stay: a critic raises on what it cannot read, and its points are not clamped.
Knows no call and no case; knows the clock only where a date is not whole and nobody says what day it is.
"""

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from mcp_evals.matching import WeightName, weight_number
from mcp_evals.model import Model
from mcp_evals.text import word_tokens

Number = int | float
"""Any number, infinite ones and NaN included, as arcade takes them; integers stay exact."""


class ArcadeMatch(NamedTuple):
    """What a critic says of one pair of values."""

    match: bool | None
    """Whether they fit by the critic's threshold; None: not compared."""
    score: float
    """Points, the weight already in them."""


class _Critic(Model):
    field: str
    """Name of the argument; no path into nested ones."""
    weight: WeightName | Number
    """Importance. If any critic of a case has a word, all are made to sum to 1, words counting 1 to 7."""

    @model_validator(mode="after")
    def _not_negative(self) -> Self:
        if not isinstance(self.weight, str) and self.weight < 0:
            raise ValueError(f"Critic weight must be non-negative, got {self.weight}")
        return self


class ArcadeBinary(_Critic):
    """Equal after the actual value was cast to the expected one's type: `5` for "5", but also 5.9, and "false" for true."""

    kind: Literal["binary"] = "binary"
    """Chooses this critic."""

    def compare(self, expected: Any, actual: Any, weight: float, today: date | None) -> ArcadeMatch:
        """Full marks or none. Raises what casting raises besides ValueError and TypeError."""
        same = bool(expected == _cast(expected, actual))
        return ArcadeMatch(same, weight if same else 0.0)


class ArcadeNumeric(_Critic):
    """Points fall in a line with the distance, 1 at none, 0 at the width of the range, and on below 0."""

    kind: Literal["numeric"] = "numeric"
    """Chooses this critic."""
    value_range: tuple[Number, Number]
    """Lower and upper end; only the width counts."""
    match_threshold: Number = 0.8
    """Share of the points from which on it is a match."""

    @model_validator(mode="after")
    def _some_width(self) -> Self:
        if self.value_range[0] >= self.value_range[1]:
            raise ValueError("Invalid value_range: minimum must be less than maximum.")
        return self

    def compare(self, expected: Any, actual: Any, weight: float, today: date | None) -> ArcadeMatch:
        """Points by distance. Raises what `float` raises on something that is no number."""
        low, high = self.value_range
        wanted, got = (float(expected) - low) / (high - low), (float(actual) - low) / (high - low)
        share = 1 - abs(wanted - got)
        return ArcadeMatch(share >= self.match_threshold, share * weight)


class ArcadeSimilarity(_Critic):
    """Cosine of the TF-IDF vectors of both values as text; the threshold decides only `match`."""

    kind: Literal["similarity"] = "similarity"
    """Chooses this critic."""
    similarity_threshold: Number = 0.8
    """Similarity from which on it is a match."""
    metric: str = "cosine"
    """There is no other."""

    @model_validator(mode="after")
    def _known_metric(self) -> Self:
        if self.metric != "cosine":
            raise ValueError(f"Unsupported similarity metric: {self.metric}")
        return self

    def compare(self, expected: Any, actual: Any, weight: float, today: date | None) -> ArcadeMatch:
        """Points by similarity; texts without words are compared as they are."""
        reference, text = _as_text(expected), _as_text(actual)
        if not reference.strip() or not text.strip():
            same = reference.strip() == text.strip()
        elif not (words := _word_counts(reference)) and not _word_counts(text):
            same = reference == text
        else:
            similarity = _cosine(words, _word_counts(text))
            return ArcadeMatch(similarity >= self.similarity_threshold, min(similarity * weight, weight))
        return ArcadeMatch(same, weight if same else 0.0)


class ArcadeDatetime(_Critic):
    """Full points within a tolerance, then as many as the distance leaves of `max_difference_s`."""

    kind: Literal["datetime"] = "datetime"
    """Chooses this critic."""
    tolerance_s: Number = 500
    """Full points up to this many seconds apart."""
    max_difference_s: Number = 7200
    """No points from this many seconds on."""

    def compare(self, expected: Any, actual: Any, weight: float, today: date | None) -> ArcadeMatch:
        """Points by distance, none where a value is no date. Raises OverflowError outside the calendar."""
        try:
            moments = _moment(expected, today), _moment(actual, today)
        except (ValueError, TypeError):
            return ArcadeMatch(False, 0.0)
        apart_s = _seconds_apart(*moments)
        if apart_s <= self.tolerance_s:
            return ArcadeMatch(True, weight)
        if apart_s >= self.max_difference_s:
            return ArcadeMatch(False, 0.0)
        return ArcadeMatch(False, weight * (1 - apart_s / self.max_difference_s))


class ArcadeNone(Model):
    """Stands for an argument that is not compared."""

    field: str
    """Name of the argument."""
    kind: Literal["none"] = "none"
    """Chooses this critic."""
    weight: ClassVar[float] = 0.0

    def compare(self, expected: Any, actual: Any, weight: float, today: date | None) -> ArcadeMatch:
        """Nothing."""
        return ArcadeMatch(None, 0.0)


ArcadeCritic = Annotated[
    ArcadeBinary | ArcadeNumeric | ArcadeSimilarity | ArcadeDatetime | ArcadeNone, Field(discriminator="kind")
]
"""How one argument is compared, in all pairs of calls."""


def resolved_weights(critics: Sequence[ArcadeCritic]) -> tuple[float, ...]:
    """The weights as they count (§2): as they are, or, where any is a word, divided by their sum."""
    raw = [4 * weight_number(c.weight) if isinstance(c.weight, str) else float(c.weight) for c in critics]
    if not any(isinstance(critic.weight, str) for critic in critics):
        return tuple(raw)
    total = sum(raw)
    return tuple(
        0.0 if total <= 0 or isinstance(critic, ArcadeNone) else weight / total
        for critic, weight in zip(critics, raw, strict=True)
    )


# --- what critics see


def _cast(expected: Any, actual: Any) -> Any:
    wanted = None if expected == "None" else expected
    given = None if actual == "None" else actual
    if wanted is None or given is None:
        return given
    try:
        return type(wanted)(given)
    except (ValueError, TypeError):
        return given


def _as_text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownArgumentType]


def _cosine(first: Mapping[str, int], second: Mapping[str, int]) -> float:
    """TF-IDF cosine in the order in which scikit-learn adds and divides: its last bits decide ties of the assignment.

    Smoothed over two texts, the idf of a word is ln((1 + 2) / (1 + 2)) + 1 in both and ln((1 + 2) / (1 + 1)) + 1 in one.
    """
    # scikit-learn numbers the words as they first occur, those of the first text before those of the second.
    left = _unit([times if word in second else times * _IDF_ALONE for word, times in first.items()])
    shared = [word for word in first if word in second]
    alone = [times * _IDF_ALONE for word, times in second.items() if word not in first]
    right = _unit([float(second[word]) for word in shared] + alone)
    total = 0.0
    common = (length for word, length in zip(first, left, strict=True) if word in second)
    for length, other in zip(common, right, strict=False):
        total += length * other
    return total


_IDF_ALONE: Final = math.log(1.5) + 1


@lru_cache(maxsize=1024)
def _word_counts(text: str) -> Mapping[str, int]:
    return Counter(word_tokens(text))


def _unit(vector: list[float]) -> list[float]:
    """The vector at length 1; twice, because scikit-learn does so."""
    for _ in range(2):
        square = 0.0
        for length in vector:
            square += length * length
        norm = math.sqrt(square)
        vector = [length / norm for length in vector]
    return vector


def _moment(value: Any, today: date | None) -> datetime:
    from dateutil.parser import UnknownTimezoneWarning, parse  # slow to load, used by few suites

    with warnings.catch_warnings():
        # A zone that dateutil does not know is passed over, as arcade does.
        warnings.simplefilter("ignore", UnknownTimezoneWarning)
        return parse(value, default=None if today is None else datetime.combine(today, time()))


def _seconds_apart(expected: datetime, actual: datetime) -> float:
    if expected.tzinfo is not None and actual.tzinfo is not None:
        # Not a plain difference: one that leaves the calendar in UTC raises.
        return abs((expected.astimezone(UTC) - actual.astimezone(UTC)).total_seconds())
    return abs((expected.replace(tzinfo=None) - actual.replace(tzinfo=None)).total_seconds())
