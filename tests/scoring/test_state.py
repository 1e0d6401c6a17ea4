"""The final state of tools: worked out from the calls, or read; and an expectation on it."""

from typing import Any

import pytest
from pydantic import JsonValue, ValidationError

from mcp_evals.conversation import Invocation, Step, ToolCall, ToolResult, Transcript
from mcp_evals.scoring.case import score_case
from mcp_evals.scoring.state import state_after, state_arguments
from mcp_evals.suite import Rubric, ToolState
from tests.fakes import case_of

SHOP: dict[str, Any] = {
    "initial": {"orders": {"1234": {"status": "paid"}, "7": {"status": "paid"}}},
    "changes": {
        "refund": {"orders.{order_id}.status": "refunded", "orders.{order_id}.amount": {"arg": "amount"}},
        "cancel": {"orders.{order_id}": {"delete": True}},
        "send_email": {"outbox": {"append": {"to": {"arg": "to"}, "about": {"arg": "order.id"}}}},
    },
}


def said(*calls: tuple[str, dict[str, JsonValue] | str], failed: tuple[int, ...] = ()) -> Invocation:
    made = tuple(ToolCall(name=name, arguments=given, id=str(n)) for n, (name, given) in enumerate(calls))
    results = tuple(ToolResult(call_id=call.id, is_error=n in failed) for n, call in enumerate(made))
    return Invocation(user="?", steps=(Step(calls=made, results=results),))


def after(*calls: tuple[str, dict[str, JsonValue] | str], failed: tuple[int, ...] = ()) -> Any:
    return state_after(ToolState.model_validate(SHOP), [said(*calls, failed=failed)])


def test_calls_change_what_the_suite_says_with_the_arguments_that_were_given():
    state = after(
        ("Refund", {"order_id": "1234", "amount": 19.99}),
        ("cancel", {"order_id": 7.0}),
        ("send_email", {"to": "ann", "order": {"id": 1}}),
        ("send_email", {"to": "bob", "order": {"id": 2}}),
        ("look", {}),
    )

    assert {
        "orders": {"1234": {"status": "refunded", "amount": 19.99}},
        "outbox": [{"to": "ann", "about": 1}, {"to": "bob", "about": 2}],
    } == state


def test_a_call_that_failed_or_lacks_an_argument_changes_nothing():
    state = after(
        ("refund", {"order_id": "1234", "amount": 5}),
        ("cancel", {}),
        ("cancel", {"order_id": {"deep": 1}}),
        ("cancel", "not JSON"),
        ("send_email", {"to": "ann"}),
        failed=(0,),
    )

    assert SHOP["initial"] == state


def test_the_first_state_is_never_touched():
    rules = ToolState.model_validate(SHOP)

    state_after(rules, [said(("cancel", {"order_id": "7"}))])

    assert SHOP["initial"] == rules.initial


def test_an_expectation_on_the_state_says_where_it_differs():
    case = case_of(
        expect={"state": {"orders": {"1234": {"status": "refunded", "amount": {"any": True}}, "7": {"any": True}}}}
    )
    rules = ToolState.model_validate(SHOP)

    right, wrong = (
        score_case(
            case, Transcript(invocations=(said(("refund", {"order_id": order, "amount": 1})),)), Rubric(), state=rules
        )
        for order in ("1234", "7")
    )

    assert ("passed", 1.0, None) == (right.verdict, right.score, right.reason)
    assert "failed" == wrong.verdict
    assert 'state.orders.1234.status "paid" is not "refunded"' in str(wrong.reason)


def test_every_turn_sees_the_state_after_it():
    turns = [{"user": "?", "expect": {"state": {"n": n}}} for n in (1, 2)]
    case = case_of(user=None, turns=turns)
    rules = ToolState.model_validate({"initial": {"n": 0}, "changes": {"put": {"n": {"arg": "n"}}}})
    transcript = Transcript(invocations=tuple(said(("put", {"n": n})) for n in (1, 2)))

    score = score_case(case, transcript, Rubric(), state=rules)

    assert ("passed", (1.0, 1.0)) == (score.verdict, score.turn_scores)


def test_a_state_that_was_read_is_that_of_the_end_and_an_unknown_one_is_not_evaluated():
    case = case_of(expect={"state": {"n": 1}})
    read = ToolState.model_validate({"read": {"tool": "dump"}})

    known = score_case(case, Transcript(invocations=(said(),), state={"n": 1}), Rubric(), state=read)
    unknown = score_case(case, Transcript(invocations=(said(),)), Rubric(), state=read)

    assert ("passed", "errored") == (known.verdict, unknown.verdict)
    assert "not evaluated: no state is known" in str(unknown.reason)


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        ({}, "`initial` must be an object"),
        ({"initial": [1]}, "`initial` must be an object"),
        ({"initial": {}, "read": {"tool": "dump"}}, "give either `read`, or `initial` and `changes`"),
    ],
)
def test_a_state_without_a_source_is_refused(state: dict[str, Any], complaint: str):
    with pytest.raises(ValidationError, match=complaint):
        ToolState.model_validate(state)


def test_the_arguments_of_a_change_are_found_for_validation():
    assert {"order_id", "to", "order"} == state_arguments(
        "orders.{order_id}.x", {"append": [{"to": {"arg": "to"}, "about": {"arg": "order.id"}}]}
    )
