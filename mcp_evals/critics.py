"""Compare one argument of a call with what was expected: data and a pure `score`.

A critic that cannot read a value scores 0 and says why; it never raises on what a model wrote.
"""

import math
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, Self

from pydantic import Field, JsonValue, model_validator

from mcp_evals.json_match import ABSENT, Difference, Value, json_difference, json_equal, shown_value
from mcp_evals.matching import (
    PERFECT,
    Match,
    Weight,
    find_pattern,
    fits_schema,
    require_pattern,
    require_schema,
    similar_match,
    similarity,
)
from mcp_evals.model import Finite, Fraction, Model, NonNegative, parse_json
from mcp_evals.plugins import load_plugin


class _Critic(Model):
    field: str = Field(min_length=1)
    """The argument, as a dotted path: `amount`, `address.city`, `items.0.name`."""
    weight: Weight = "medium"
    """Importance beside the call's other arguments."""
    needs_expected: ClassVar[bool] = True
    """Whether it compares with an expected value, rather than judging the actual one alone."""

    def model_post_init(self, _context: Any) -> None:
        # A critic is its kind, whoever made it: a suite made in Python has the digest of the file it is written to.
        self.model_fields_set.add("kind")

    def score(self, expected: Value, actual: Value) -> Match:
        """How well `actual` fits, from 0 to 1, and why not better."""
        raise NotImplementedError

    def fit(self, expected: Value, actual: Value) -> float:
        """The score alone, for looking through many pairs."""
        return self.score(expected, actual).score


class Exact(_Critic):
    """The same JSON value."""

    kind: Literal["exact"] = "exact"
    """Chooses this critic."""
    cast: bool = False
    """Also accept a number, boolean or null that was written as text, and the other way round: `"5"` for 5."""
    text: Literal["exact", "ignore_case", "bfcl"] = "exact"
    """How texts compare; `bfcl` drops spaces and `,./-_*^`, ignores case and reads ' as "."""

    def score(self, expected: Value, actual: Value) -> Match:
        left, right = _folded(expected, self.text), _folded(actual, self.text)
        found = json_difference(left, right)
        if found and self.cast and json_equal(_cast(left), _cast(right)):
            found = None
        return PERFECT if found is None else Match(0.0, _difference_text(found, expected, actual))


class Numeric(_Critic):
    """A number near the expected one."""

    kind: Literal["numeric"] = "numeric"
    """Chooses this critic."""
    tolerance: NonNegative | None = None
    """Full score up to this distance, none beyond it."""
    low: Finite | None = None
    """Lower end of the scale: the score falls in a line from 1 to 0 over `high - low`."""
    high: Finite | None = None
    """Upper end of the scale."""
    cast: bool = False
    """Also read a number that was written as text."""

    @model_validator(mode="after")
    def _one_scale(self) -> Self:
        if (self.low is None) != (self.high is None) or (self.tolerance is None) == (self.low is None):
            raise ValueError("give either `tolerance`, or `low` and `high`")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"`low` {self.low:g} must be less than `high` {self.high:g}")
        return self

    def score(self, expected: Value, actual: Value) -> Match:
        wanted, got = _number(expected, cast=self.cast), _number(actual, cast=self.cast)
        if wanted is None or got is None:
            return Match(0.0, f"{shown_value(actual if got is None else expected)} is not a number")
        distance = abs(wanted - got)
        if self.tolerance is not None:
            # Decimal fractions such as 0.1 have no exact float, so the limit itself gets a hair of room.
            within = distance <= self.tolerance or math.isclose(distance, self.tolerance, rel_tol=1e-9)
            return (
                PERFECT
                if within
                else Match(0.0, f"{got:g} is {distance:g} from {wanted:g}; {self.tolerance:g} allowed")
            )
        assert self.low is not None and self.high is not None  # noqa: S101, PT018  the validator gave both
        score = max(0.0, 1.0 - distance / (self.high - self.low))
        return PERFECT if score == 1.0 else Match(score, f"{got:g} is {distance:g} from {wanted:g}")


class Datetime(_Critic):
    """A point in time near the expected one; parts that are missing are never filled from today."""

    kind: Literal["datetime"] = "datetime"
    """Chooses this critic."""
    tolerance_s: NonNegative = 0.0
    """Full score up to this many seconds apart."""
    zero_at_s: NonNegative = 0.0
    """No score from this many seconds on; between the two it falls in a line."""
    timezone: str = "UTC"
    """IANA zone of a time that names none."""

    @model_validator(mode="after")
    def _known_zone(self) -> Self:
        from zoneinfo import ZoneInfo  # reads the zone database only where a suite uses it

        try:
            ZoneInfo(self.timezone)
        except (ValueError, OSError, KeyError):
            raise ValueError(f'no time zone "{self.timezone}"; use an IANA name such as "Europe/Paris"') from None
        return self

    def score(self, expected: Value, actual: Value) -> Match:
        wanted, got = _moment(expected, self.timezone), _moment(actual, self.timezone)
        if wanted is None or got is None:
            return Match(0.0, f"{shown_value(actual if got is None else expected)} is not a date or time")
        if wanted.parts != got.parts:
            return Match(0.0, f"{shown_value(actual)} gives {got.parts}, {shown_value(expected)} gives {wanted.parts}")
        apart = abs(wanted.epoch_s - got.epoch_s)
        if apart <= self.tolerance_s:
            return PERFECT
        room = self.zero_at_s - self.tolerance_s
        score = max(0.0, 1.0 - (apart - self.tolerance_s) / room) if room > 0 else 0.0
        return Match(score, f"{apart:g} s apart; {self.tolerance_s:g} s allowed")


class Similarity(_Critic):
    """A text like the expected one."""

    kind: Literal["similarity"] = "similarity"
    """Chooses this critic."""
    metric: Literal["tfidf", "rouge1"] = "tfidf"
    """Cosine of TF-IDF vectors, or ROUGE-1 F with stemming."""
    pass_at: Fraction = 0.8
    """From this similarity on the score is 1; below it, the similarity itself."""

    def score(self, expected: Value, actual: Value) -> Match:
        if not isinstance(expected, str) or not isinstance(actual, str):
            return Match(0.0, f"{shown_value(expected if isinstance(actual, str) else actual)} is not text")
        return similar_match(expected, actual, self.metric, self.pass_at)

    def fit(self, expected: Value, actual: Value) -> float:
        if not isinstance(expected, str) or not isinstance(actual, str):
            return 0.0
        found = similarity(expected, actual, self.metric)
        return 1.0 if found >= self.pass_at else found


class OneOf(_Critic):
    """Any of some values."""

    kind: Literal["one_of"] = "one_of"
    """Chooses this critic."""
    values: tuple[JsonValue, ...] = Field(min_length=1)
    """The accepted values."""
    needs_expected: ClassVar[bool] = False

    def score(self, expected: Value, actual: Value) -> Match:
        if any(json_equal(value, actual) for value in self.values):
            return PERFECT
        return Match(0.0, f"{shown_value(actual)} is none of {shown_value(list(self.values))}")


class SetCritic(_Critic):
    """A list whose order does not matter."""

    kind: Literal["set"] = "set"
    """Chooses this critic."""
    relation: Literal["equal", "subset", "superset"] = "equal"
    """`subset`: nothing but expected items; `superset`: at least the expected items."""

    def score(self, expected: Value, actual: Value) -> Match:
        if not isinstance(expected, list) or not isinstance(actual, list):
            return Match(0.0, f"{shown_value(expected if isinstance(actual, list) else actual)} is not a list")
        missing, extra = _multiset_difference(expected, actual)
        lost = 0 if self.relation == "subset" else len(missing)
        surplus = 0 if self.relation == "superset" else len(extra)
        if not lost and not surplus:
            return PERFECT
        common = len(expected) - len(missing)
        named = [f"missing {shown_value(missing)}"] * bool(lost) + [f"not expected {shown_value(extra)}"] * bool(
            surplus
        )
        return Match(2 * common / (2 * common + lost + surplus), "; ".join(named))


class PatternCritic(_Critic):
    """A text that a regular expression finds something in."""

    kind: Literal["pattern"] = "pattern"
    """Chooses this critic."""
    pattern: str
    """Regular expression; it may match anywhere, so anchor it with `^` and `$` where it must be the whole."""
    needs_expected: ClassVar[bool] = False

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        require_pattern(self.pattern)
        return self

    def score(self, expected: Value, actual: Value) -> Match:
        if not isinstance(actual, str):
            return Match(0.0, f"{shown_value(actual)} is not text")
        return find_pattern(self.pattern, actual)


class Range(_Critic):
    """A number between two bounds."""

    kind: Literal["range"] = "range"
    """Chooses this critic."""
    low: Finite | None = None
    """Least accepted value."""
    high: Finite | None = None
    """Greatest accepted value."""
    needs_expected: ClassVar[bool] = False

    @model_validator(mode="after")
    def _some_bound(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("give `low`, `high` or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"`low` {self.low:g} must not be greater than `high` {self.high:g}")
        return self

    def score(self, expected: Value, actual: Value) -> Match:
        number = _number(actual)
        if number is None:
            return Match(0.0, f"{shown_value(actual)} is not a number")
        if self.low is not None and number < self.low:
            return Match(0.0, f"{number:g} is below {self.low:g}")
        if self.high is not None and number > self.high:
            return Match(0.0, f"{number:g} is above {self.high:g}")
        return PERFECT


class Length(_Critic):
    """A text, list or object of some length."""

    kind: Literal["length"] = "length"
    """Chooses this critic."""
    low: int | None = Field(default=None, ge=0)
    """Least number of characters, items or keys."""
    high: int | None = Field(default=None, ge=0)
    """Greatest number of characters, items or keys."""
    needs_expected: ClassVar[bool] = False

    @model_validator(mode="after")
    def _some_bound(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("give `low`, `high` or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"`low` {self.low} must not be greater than `high` {self.high}")
        return self

    def score(self, expected: Value, actual: Value) -> Match:
        if not isinstance(actual, str | list | dict):
            return Match(0.0, f"{shown_value(actual)} has no length")
        if self.low is not None and len(actual) < self.low:
            return Match(0.0, f"has length {len(actual)}, less than {self.low}")
        if self.high is not None and len(actual) > self.high:
            return Match(0.0, f"has length {len(actual)}, more than {self.high}")
        return PERFECT


class SchemaCritic(_Critic):
    """A value that fits a JSON Schema."""

    kind: Literal["json_schema"] = "json_schema"
    """Chooses this critic."""
    json_schema: dict[str, JsonValue]
    """JSON Schema, 2020-12 unless `$schema` says otherwise."""
    needs_expected: ClassVar[bool] = False

    @model_validator(mode="after")
    def _is_schema(self) -> Self:
        require_schema(self.json_schema)
        return self

    def score(self, expected: Value, actual: Value) -> Match:
        return Match(0.0, "not given") if actual is ABSENT else fits_schema(self.json_schema, actual)


class Present(_Critic):
    """An argument that is given, whatever its value; or one that is not."""

    kind: Literal["present"] = "present"
    """Chooses this critic."""
    present: bool = True
    """False: the argument must be left out."""
    needs_expected: ClassVar[bool] = False

    def score(self, expected: Value, actual: Value) -> Match:
        if (actual is not ABSENT) == self.present:
            return PERFECT
        return Match(0.0, "not given" if self.present else f"given as {shown_value(actual)}; it must be left out")


class Custom(_Critic):
    """A function that an installed package registers in the entry-point group `mcp_evals.critics`."""

    kind: Literal["custom"] = "custom"
    """Chooses this critic."""
    name: str
    """Name of the registered function `(expected, actual, params) -> number from 0 to 1`."""
    params: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """Handed to the function as they are."""
    needs_expected: ClassVar[bool] = False

    def score(self, expected: Value, actual: Value) -> Match:
        function = load_plugin("critics", self.name)
        plain = [None if value is ABSENT else value for value in (expected, actual)]
        try:
            score = float(function(*plain, self.params))
        except Exception as error:  # noqa: BLE001  foreign code may raise anything; it costs its weight, not the run
            return Match(0.0, f"critic {self.name} raised {type(error).__name__}: {error}")
        if not 0.0 <= score <= 1.0:
            return Match(0.0, f"critic {self.name} returned {score}, which is not from 0 to 1")
        return PERFECT if score == 1.0 else Match(score, f"critic {self.name} gave {score:g}")


Critic = Annotated[
    Exact
    | Numeric
    | Datetime
    | Similarity
    | OneOf
    | SetCritic
    | PatternCritic
    | Range
    | Length
    | SchemaCritic
    | Present
    | Custom,
    Field(discriminator="kind"),
]
"""How one argument is compared."""


# --- reading values


class _Moment(NamedTuple):
    epoch_s: float
    parts: str


def _number(value: Value, *, cast: bool = False) -> float | None:
    if cast and isinstance(value, str):
        value = _cast(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _cast(value: Value) -> Value:
    if not isinstance(value, str):
        return value
    try:
        parsed = parse_json(
            value.strip().lower() if value.strip().lower() in {"true", "false", "null", "none"} else value
        )
    except ValueError:
        return None if value.strip().lower() == "none" else value
    return parsed if not isinstance(parsed, list | dict | str) else value


def _folded(value: Value, rule: str) -> Value:
    if rule == "exact" or value is None:
        return value
    if isinstance(value, str):
        return value.casefold() if rule == "ignore_case" else value.translate(_BFCL_FOLD).lower()
    if isinstance(value, list):
        return [_folded(item, rule) for item in value]  # pyright: ignore[reportReturnType]
    if isinstance(value, dict):
        return {key: _folded(item, rule) for key, item in value.items()}  # pyright: ignore[reportReturnType]
    return value


_BFCL_FOLD: Final = str.maketrans({**dict.fromkeys(" ,./-_*^"), "'": '"'})


def _moment(value: Value, zone: str) -> _Moment | None:
    from datetime import datetime  # with dateutil, which is slow to load and used by few suites
    from zoneinfo import ZoneInfo

    from dateutil.parser import parse  # # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    if not isinstance(value, str):
        return None
    # Parsed over two unlike defaults, what the text itself does not say shows as a difference.
    bases = (datetime(2001, 2, 3, 4, 5, 6), datetime(2010, 11, 20, 17, 48, 39))  # noqa: DTZ001
    try:
        first, second = (parse(value, default=base) for base in bases)
        if first.tzinfo is None:
            first = first.replace(tzinfo=ZoneInfo(zone))
        has_date = first.date() == second.date()
        epoch_s = first.timestamp()
    except (ValueError, OverflowError, TypeError, AttributeError):
        return None
    has_time = (first.hour, first.minute) == (second.hour, second.minute)
    if not has_time:
        epoch_s = first.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    elif first.second != second.second:
        epoch_s = first.replace(second=0, microsecond=0).timestamp()
    # A date alone is compared with a date and time as its midnight, so only a missing date divides the two.
    return _Moment(epoch_s, "a date" if has_date else "no date")


def _multiset_difference(expected: list[Any], actual: list[Any]) -> tuple[list[Any], list[Any]]:
    extra = list(actual)
    missing: list[Any] = []
    for item in expected:
        index = next((i for i, other in enumerate(extra) if json_equal(item, other)), None)
        if index is None:
            missing.append(item)
        else:
            del extra[index]
    return missing, extra


def _difference_text(found: Difference, expected: Value, actual: Value) -> str:
    if found.path:
        return f"{found.path} {found.reason}"
    if found.is_value:
        if isinstance(expected, dict) and "optional" in expected:
            expected = expected["optional"]
        return f"{shown_value(actual)} is not {shown_value(expected)}"
    return found.reason
