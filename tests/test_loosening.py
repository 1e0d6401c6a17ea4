"""What became easier since a baseline is told, line by line; what became harder or stayed is not."""

from typing import Any

import pytest

from mcp_evals.loosening import loosened
from mcp_evals.suite import Suite

CALL: dict[str, Any] = {"tool": "pay", "args": {"to": "ann", "amount": 5}}


def suite_of(expect: dict[str, Any], **fields: Any) -> Suite:
    return Suite.model_validate({"name": "s", "cases": [{"id": "c", "user": "?", "expect": expect}], **fields})


def calls(**fields: Any) -> dict[str, Any]:
    return {"calls": [{**CALL, **fields}]}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (calls(), calls(args={"to": "ann", "amount": {"any": True}}), 'pay: amount 5 became {"any": true}'),
        (calls(), calls(args={"to": {"one_of": ["ann", "bob"]}, "amount": 5}), 'pay: to "ann" became {"one_of": ["ann", "bob"]}'),
        (calls(args={"to": {"one_of": ["ann"]}}), calls(args={"to": {"one_of": ["ann", "bob"]}}),
         'pay: to {"one_of": ["ann"]} became {"one_of": ["ann", "bob"]}'),
        (calls(), calls(args={"to": "ann"}), "pay: amount is not expected any more"),
        (calls(), calls(optional=True), "pay: may be left out"),
        (calls(), calls(critics=[{"field": "to", "kind": "similarity"}]), "pay: to is compared by similarity, not exactly"),
        (calls(critics=[{"field": "amount", "kind": "numeric", "tolerance": 0.1}]),
         calls(critics=[{"field": "amount", "kind": "numeric", "tolerance": 2}]), "pay: amount: tolerance 0.1 became 2"),
        (calls(critics=[{"field": "to", "kind": "similarity"}]),
         calls(critics=[{"field": "to", "kind": "similarity", "pass_at": 0.5}]), "pay: to: pass_at 0.8 became 0.5"),
        (calls(), {**calls(), "alternatives": [[]]}, "1 more ways are right"),
        (calls(), {"calls": None}, "the calls may be left unsaid"),
        ({"forbid": ["a"], "require": ["b"]}, {"require": ["b"]}, "1 forbidden tools became 0"),
        ({"text": [{"contains": "a"}]}, {}, "1 text checks became 0"),
        ({"limits": {"steps": 3}}, {"limits": {"steps": 4}}, "limit steps 3 became 4"),
        ({"limits": {"steps": 3}}, {"limits": {"calls": 1}}, "limit steps 3 is gone"),
        ({**calls(), "order": "exact"}, calls(), "order exact became any"),
        ({"state": {"a": 1}}, {}, "the final state may be anything"),
    ],
)  # fmt: skip
def test_what_is_asked_less_is_told(before: dict[str, Any], after: dict[str, Any], told: str):
    assert f"c: {told}" in loosened(suite_of(before), suite_of(after))
    assert () == loosened(suite_of(before), suite_of(before))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, {"rubric": {"fail_below": 0.5}}, "fail_below 0.8 became 0.5"),
        ({"rubric": {"extra_calls": "fail"}}, {}, "extra_calls fail became penalize"),
        ({"rubric": {"tool_names": "exact"}}, {}, "tool_names exact became loose"),
        ({"rubric": {"over_trials": "all"}}, {}, "over_trials all became mean"),
        ({"metrics": {"response_match_score": 0.8}}, {}, "metric response_match_score is gone"),
        ({"metrics": {"response_match_score": 0.8}}, {"metrics": {"response_match_score": 0.5}},
         "metric response_match_score 0.8 became 0.5"),
    ],
)  # fmt: skip
def test_a_rubric_or_metric_that_is_milder_is_told(before: dict[str, Any], after: dict[str, Any], told: str):
    assert (f"c: {told}",) == loosened(suite_of(calls(), **before), suite_of(calls(), **after))
    assert () == loosened(suite_of(calls(), **after), suite_of(calls(), **before))


def test_a_harder_suite_has_nothing_to_tell_and_a_case_that_is_gone_has():
    easy, hard = suite_of(calls(args={"to": {"any": True}})), suite_of(calls())

    assert () == loosened(easy, hard)
    assert ("1 cases are gone: c",) == loosened(
        hard, Suite.model_validate({"name": "s", "cases": [{"id": "d", "user": "?"}]})
    )
