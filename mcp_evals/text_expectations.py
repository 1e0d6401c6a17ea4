"""Compare an answer with what was expected of it: data and a pure `score`, but for what a judge decides."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator

from mcp_evals.matching import (
    PERFECT,
    Match,
    Weight,
    find_pattern,
    fits_schema,
    require_pattern,
    require_schema,
    similar_match,
)
from mcp_evals.model import Fraction, Model, parse_json


class _TextExpectation(Model):
    weight: Weight | None = None
    """None: a gate, which fails the case when it fails. A weight: it counts into the score instead."""

    def score(self, answer: str) -> Match:
        """How well the answer fits, from 0 to 1."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The key by which the expectation is written, such as `contains`."""
        return next(key for key in _TEXT_KEYS if key in type(self).model_fields)


class _CaseOption(_TextExpectation):
    ignore_case: bool = False
    """Upper and lower case are the same."""

    def _case(self, text: str) -> str:
        return text.casefold() if self.ignore_case else text


class Equals(_CaseOption):
    """The whole answer, without blanks around it."""

    equals: str
    """The answer."""

    def score(self, answer: str) -> Match:
        same = self._case(answer.strip()) == self._case(self.equals.strip())
        return PERFECT if same else Match(0.0, "the answer is another text")


class Contains(_CaseOption):
    """A text that must occur."""

    contains: str
    """The text."""

    def score(self, answer: str) -> Match:
        return (
            PERFECT
            if self._case(self.contains) in self._case(answer)
            else Match(0.0, f"output missing: {self.contains!r}")
        )


class NotContains(_CaseOption):
    """A text that must not occur."""

    not_contains: str
    """The text."""

    def score(self, answer: str) -> Match:
        found = self._case(self.not_contains) in self._case(answer)
        return Match(0.0, f"output must not contain: {self.not_contains!r}") if found else PERFECT


class Pattern(_TextExpectation):
    """A regular expression that must find something."""

    pattern: str
    """Regular expression; it may match anywhere."""

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        require_pattern(self.pattern)
        return self

    def score(self, answer: str) -> Match:
        return find_pattern(self.pattern, answer)


class Similar(_TextExpectation):
    """An answer like a reference."""

    similar: str
    """The reference."""
    metric: Literal["rouge1", "tfidf"] = "rouge1"
    """ROUGE-1 F with stemming, or the cosine of TF-IDF vectors."""
    pass_at: Fraction = 0.5
    """From this similarity on the score is 1; below it, the similarity itself."""

    def score(self, answer: str) -> Match:
        return similar_match(self.similar, answer, self.metric, self.pass_at)


class JsonSchema(_TextExpectation):
    """An answer that is JSON and fits a schema."""

    json_schema: dict[str, JsonValue]
    """JSON Schema, 2020-12 unless `$schema` says otherwise."""

    @model_validator(mode="after")
    def _is_schema(self) -> Self:
        require_schema(self.json_schema)
        return self

    def score(self, answer: str) -> Match:
        try:
            value = parse_json(answer)
        except ValueError as error:
            return Match(0.0, f"not JSON: {error}")
        return fits_schema(self.json_schema, value)


class Judged(_TextExpectation):
    """A criterion that a model judges; scored from a judgement that was made elsewhere."""

    judged: str = Field(min_length=1)
    """What must be true of the answer, in a sentence."""
    id: str | None = None
    """Name of the criterion in reports and for calibration."""

    def score(self, answer: str) -> Match:
        raise NotImplementedError("a judged criterion is scored from a Judgement")


_TEXT_KEYS: Final = ("equals", "contains", "not_contains", "pattern", "similar", "json_schema", "judged")


def _text_kind(value: Any) -> str | None:
    keys: Sequence[str] = list(value if isinstance(value, dict) else getattr(type(value), "model_fields", ()))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return next((key for key in _TEXT_KEYS if key in keys), None)


TextExpectation = Annotated[
    Annotated[Equals, Tag("equals")]
    | Annotated[Contains, Tag("contains")]
    | Annotated[NotContains, Tag("not_contains")]
    | Annotated[Pattern, Tag("pattern")]
    | Annotated[Similar, Tag("similar")]
    | Annotated[JsonSchema, Tag("json_schema")]
    | Annotated[Judged, Tag("judged")],
    Discriminator(
        _text_kind,
        custom_error_type="text_expectation",
        custom_error_message=f"needs one of the keys {', '.join(_TEXT_KEYS)}",
    ),
]
"""What an answer must be like."""
