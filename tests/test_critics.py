"""Every critic and text expectation: what it accepts, what it gives in part, and why not more."""

import sys
from typing import Any

import pytest
from pydantic import JsonValue, TypeAdapter, ValidationError

from mcp_evals.critics import Critic
from mcp_evals.json_match import ABSENT, Value
from mcp_evals.matching import Match, weight_number
from mcp_evals.text_expectations import TextExpectation

CRITIC: TypeAdapter[Critic] = TypeAdapter(Critic)
TEXT: TypeAdapter[TextExpectation] = TypeAdapter(TextExpectation)


def compared(critic: dict[str, JsonValue], expected: Value, actual: Value) -> tuple[float, str | None]:
    score, reason = CRITIC.validate_python({"field": "x", **critic}).score(expected, actual)
    return round(score, 4), reason


@pytest.mark.parametrize(
    ("critic", "expected", "actual", "score", "reason"),
    [
        ({"kind": "exact"}, 17, 17.0, 1.0, None),
        ({"kind": "exact"}, {"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]}, 1.0, None),
        ({"kind": "exact"}, True, 1, 0.0, "is a number, not a boolean"),
        ({"kind": "exact"}, "5", 5, 0.0, "is a number, not text"),
        ({"kind": "exact", "cast": True}, "5", 5, 1.0, None),
        ({"kind": "exact", "cast": True}, False, "false", 1.0, None),
        ({"kind": "exact", "cast": True}, None, "null", 1.0, None),
        ({"kind": "exact", "cast": True}, 1, "one", 0.0, "is text, not a number"),
        ({"kind": "exact", "text": "ignore_case"}, "Oslo", "OSLO", 1.0, None),
        ({"kind": "exact", "text": "bfcl"}, "New York, NY", "newyork NY", 1.0, None),
        ({"kind": "exact"}, "Oslo", ABSENT, 0.0, "not given"),
        ({"kind": "numeric", "tolerance": 0.1}, 0.2, 0.3, 1.0, None),
        ({"kind": "numeric", "tolerance": 0.1}, 0.2, 0.31, 0.0, "0.31 is 0.11 from 0.2; 0.1 allowed"),
        ({"kind": "numeric", "low": 0, "high": 100}, 50, 60, 0.9, "60 is 10 from 50"),
        ({"kind": "numeric", "low": 0, "high": 100}, 50, 5000, 0.0, "5000 is 4950 from 50"),
        ({"kind": "numeric", "tolerance": 1}, 5, "5", 0.0, '"5" is not a number'),
        ({"kind": "numeric", "tolerance": 1, "cast": True}, 5, "5.5", 1.0, None),
        ({"kind": "numeric", "tolerance": 1}, 1, True, 0.0, "true is not a number"),
        ({"kind": "numeric", "tolerance": 1, "cast": True}, 1, "NaN", 0.0, '"NaN" is not a number'),
        ({"kind": "datetime"}, "2026-03-01T10:00:00Z", "2026-03-01T11:00:00+01:00", 1.0, None),
        ({"kind": "datetime", "timezone": "Europe/Paris"}, "2026-03-01T10:00:00", "2026-03-01T09:00Z", 1.0, None),
        (
            {"kind": "datetime", "tolerance_s": 60, "zero_at_s": 120},
            "2026-03-01T10:00:00Z",
            "2026-03-01T10:01:30Z",
            0.5,
            "90 s apart; 60 s allowed",
        ),
        (
            {"kind": "datetime"},
            "2026-03-01T10:00:00Z",
            "soon",
            0.0,
            '"soon" is not a date or time',
        ),
        ({"kind": "similarity"}, "the parcel never came", "The parcel never came!", 1.0, None),
        ({"kind": "similarity"}, "text", 5, 0.0, "5 is not text"),
        ({"kind": "one_of", "values": ["a", 1]}, ABSENT, 1.0, 1.0, None),
        ({"kind": "one_of", "values": ["a", 1]}, ABSENT, "b", 0.0, '"b" is none of ["a", 1]'),
        ({"kind": "set"}, [1, 2, 2], [2, 1, 2.0], 1.0, None),
        ({"kind": "set"}, [1, 2], [2, 3], 0.5, "missing [1]; not expected [3]"),
        ({"kind": "set", "relation": "subset"}, [1, 2], [2], 1.0, None),
        ({"kind": "set", "relation": "superset"}, [1, 2], [1, 2, 3], 1.0, None),
        ({"kind": "set"}, [], [], 1.0, None),
        ({"kind": "set"}, [1], "1", 0.0, '"1" is not a list'),
        ({"kind": "pattern", "pattern": "^Os"}, ABSENT, "Oslo", 1.0, None),
        ({"kind": "pattern", "pattern": "^Os"}, ABSENT, 5, 0.0, "5 is not text"),
        ({"kind": "range", "low": 1, "high": 3}, ABSENT, 3, 1.0, None),
        ({"kind": "range", "low": 1}, ABSENT, 0.5, 0.0, "0.5 is below 1"),
        ({"kind": "range", "high": 3}, ABSENT, 4, 0.0, "4 is above 3"),
        ({"kind": "length", "low": 2, "high": 3}, ABSENT, "abc", 1.0, None),
        ({"kind": "length", "low": 2}, ABSENT, [1], 0.0, "has length 1, less than 2"),
        ({"kind": "length", "high": 1}, ABSENT, {"a": 1, "b": 2}, 0.0, "has length 2, more than 1"),
        ({"kind": "length", "high": 1}, ABSENT, 7, 0.0, "7 has no length"),
        ({"kind": "json_schema", "json_schema": {"type": "integer"}}, ABSENT, 7, 1.0, None),
        (
            {"kind": "json_schema", "json_schema": {"items": {"minimum": 3}}},
            ABSENT,
            [5, 1],
            0.0,
            "$[1]: 1 is less than the minimum of 3",
        ),
        ({"kind": "json_schema", "json_schema": {"type": "integer"}}, ABSENT, ABSENT, 0.0, "not given"),
        ({"kind": "present"}, ABSENT, None, 1.0, None),
        ({"kind": "present"}, ABSENT, ABSENT, 0.0, "not given"),
        ({"kind": "present", "present": False}, ABSENT, ABSENT, 1.0, None),
        ({"kind": "present", "present": False}, ABSENT, 1, 0.0, "given as 1; it must be left out"),
    ],
)
def test_a_critic_says_how_well_a_value_fits_and_why_not_better(
    critic: dict[str, JsonValue], expected: Value, actual: Value, score: float, reason: str | None
):
    assert (score, reason) == compared(critic, expected, actual)


@pytest.mark.parametrize(
    ("critic", "complaint"),
    [
        ({"kind": "numeric"}, "give either `tolerance`, or `low` and `high`"),
        ({"kind": "numeric", "low": 1, "high": 1}, "`low` 1 must be less than `high` 1"),
        ({"kind": "numeric", "tolerance": 1, "low": 0, "high": 2}, "give either `tolerance`, or `low` and `high`"),
        ({"kind": "numeric", "tolerance": float("nan")}, "finite number"),
        ({"kind": "datetime", "timezone": "Mars/Base"}, 'no time zone "Mars/Base"'),
        ({"kind": "range"}, "give `low`, `high` or both"),
        ({"kind": "range", "low": 2, "high": 1}, "`low` 2 must not be greater than `high` 1"),
        ({"kind": "pattern", "pattern": "("}, "missing )"),
        ({"kind": "one_of", "values": []}, "at least 1 item"),
        ({"kind": "exact", "wheight": 1}, "Extra inputs"),
        ({"kind": "exact", "weight": -1}, "greater than or equal to 0"),
        ({"kind": "length"}, "give `low`, `high` or both"),
        ({"kind": "length", "low": 3, "high": 2}, "`low` 3 must not be greater than `high` 2"),
        ({"kind": "json_schema", "json_schema": {"type": "int"}}, "not a JSON Schema"),
        ({"kind": "exakt"}, "does not match any of the expected tags"),
    ],
)
def test_a_critic_that_makes_no_sense_is_refused(critic: dict[str, JsonValue], complaint: str):
    with pytest.raises(ValidationError) as refused:
        CRITIC.validate_python({"field": "x", **critic})

    assert complaint in str(refused.value)


def test_weights_in_words_are_quarters():
    names = ("minimal", "very_low", "low", "medium", "high", "very_high", "critical", 3)

    assert [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 3.0] == [weight_number(name) for name in names]


@pytest.mark.parametrize(
    ("expectation", "answer", "score", "reason"),
    [
        ({"equals": "42"}, " 42\n", 1.0, None),
        ({"equals": "Yes"}, "yes", 0.0, "the answer is another text"),
        ({"equals": "Yes", "ignore_case": True}, "yes", 1.0, None),
        ({"contains": "refund"}, "You get a refund.", 1.0, None),
        ({"contains": "refund"}, "No.", 0.0, "output missing: 'refund'"),
        ({"not_contains": "sorry"}, "Sorry!", 1.0, None),
        ({"not_contains": "sorry", "ignore_case": True}, "Sorry!", 0.0, "output must not contain: 'sorry'"),
        ({"pattern": r"\d+ days"}, "in 3 days", 1.0, None),
        ({"similar": "The cat sat on the mat"}, "the cats sat on a mat", 1.0, None),
        ({"similar": "the cat"}, "a dog", 0.0, "rouge1 similarity 0.000 is below 0.5"),
        ({"json_schema": {"type": "object", "required": ["a"]}}, '{"a": 1}', 1.0, None),
        ({"json_schema": {"type": "object", "required": ["a"]}}, "{}", 0.0, "$: 'a' is a required property"),
    ],
)
def test_a_text_expectation_says_how_well_an_answer_fits(
    expectation: dict[str, JsonValue], answer: str, score: float, reason: str | None
):
    assert Match(score, reason) == TEXT.validate_python(expectation).score(answer)


def test_an_answer_that_is_no_json_says_so():
    score, reason = TEXT.validate_python({"json_schema": {"type": "object"}}).score("{,}")

    assert (0.0, True) == (score, str(reason).startswith("not JSON: "))


def test_a_schema_that_points_elsewhere_is_never_fetched():
    elsewhere = TEXT.validate_python({"json_schema": {"$ref": "http://127.0.0.1:9/schema.json"}})

    assert Match(
        0.0, "the schema refers to http://127.0.0.1:9/schema.json, which is not in it; nothing is fetched"
    ) == elsewhere.score("{}")


@pytest.mark.parametrize("written", ["refunded", ["refunded"], 5, None, {"contain": "x"}])
def test_what_is_no_text_expectation_is_refused_by_name(written: Any):
    with pytest.raises(ValidationError, match="needs one of the keys equals, contains"):
        TEXT.validate_python(written)


def test_a_pattern_that_backtracks_without_bound_is_given_up():
    score, reason = CRITIC.validate_python({"field": "x", "kind": "pattern", "pattern": "(a|aa)+$"}).score(
        ABSENT, "a" * 60 + "b"
    )

    assert 0.0 == score
    assert reason is not None
    assert "given up after 1 s" in reason


def test_a_pattern_inside_a_schema_has_the_same_limit():
    schema: dict[str, JsonValue] = {"pattern": "(a|aa)+$"}

    score, reason = TEXT.validate_python({"json_schema": schema}).score(f'"{"a" * 60}b"')

    assert (0.0, "$: /(a|aa)+$/ was given up after 1 s: it backtracks without bound") == (score, reason)
    assert Match(1.0) == TEXT.validate_python({"json_schema": schema}).score('"aaa"')


def test_a_deep_value_is_compared_and_no_stack_overflows():
    deep: Value = None
    for _ in range(sys.getrecursionlimit() * 2):
        deep = [deep]

    score, _ = CRITIC.validate_python({"field": "x", "kind": "exact"}).score([], deep)

    assert 0.0 == score
