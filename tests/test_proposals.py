"""What a proposal makes of captured trials: what is expected, what is left open, how sure it is."""

from typing import Any

import pytest
from pydantic import JsonValue

from mcp_evals.conversation import Invocation, Step, ToolCall, ToolDefinition, ToolResult, Transcript
from mcp_evals.errors import UsageError
from mcp_evals.proposals import Proposal, propose, propose_expect
from mcp_evals.scoring.case import score_case
from mcp_evals.suite import Case, Expect, ExpectedCall, Rubric


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(name=name, arguments=arguments)


def said(*steps: ToolCall | tuple[ToolCall, ...] | Step) -> Transcript:
    """A trial, one response for each argument."""
    made = [
        step if isinstance(step, Step) else Step(calls=step if isinstance(step, tuple) else (step,)) for step in steps
    ]
    return Transcript(invocations=(Invocation(user="Hi", steps=(*made, Step(text="Done."))),))


def test_what_all_trials_did_alike_is_expected_as_it_was():
    trial = said(call("weather", city="Rome"))

    assert Proposal(Expect(calls=(ExpectedCall(tool="weather", args={"city": "Rome"}),)), 2, 2, ()) == propose(
        [trial, trial]
    )


def test_trials_without_calls_expect_that_no_tool_is_called():
    assert Expect(calls=()) == propose_expect([said(), said()])


def test_a_call_of_half_the_trials_may_be_left_out_and_a_rarer_one_is_no_part():
    often, twice, once = call("read"), call("stat"), call("list")

    found = propose([said(often, twice), said(often, once), said(often, twice), said(often)])

    assert (ExpectedCall(tool="read"), ExpectedCall(tool="stat", optional=True)) == found.expect.calls
    assert (
        "list: called in 1 of 4 trials; left out",
        "calls[1] stat: in 2 of 4 trials, so it may be left out",
    ) == found.notes
    assert (4, 2) == (found.trials, found.alike)


def test_an_argument_that_varied_is_one_of_its_values_or_any_or_may_be_left_out():
    found = propose(
        [
            said(call("find", text="a", unit="C", deep=True)),
            said(call("find", text="b", unit="F")),
            said(call("find", text="c", unit="C")),
        ]
    )

    args: dict[str, JsonValue] = {"text": {"any": True}, "unit": {"one_of": ["C", "F"]}, "deep": {"optional": True}}
    assert (ExpectedCall(tool="find", args=args),) == found.expect.calls
    assert (
        "calls[0] find.text: 3 different values in 3 trials, any is accepted",
        "calls[0] find.unit: 2 different values in 3 trials, each is accepted",
        "calls[0] find.deep: given in 1 of 3 trials, so it may be left out",
    ) == found.notes


def test_objects_are_left_open_only_where_they_differ():
    first, second = {"path": "a", "mode": 1}, {"path": "b", "mode": 1.0}

    found = propose_expect([said(call("edit", file=first)), said(call("edit", file=second))])

    assert (ExpectedCall(tool="edit", args={"file": {"path": {"any": True}, "mode": 1}}),) == found.calls


def test_a_value_that_reads_like_a_wildcard_is_not_taken_for_one():
    trial = said(call("store", value={"optional": 1}))

    assert (ExpectedCall(tool="store", args={"value": {"any": True}}),) == propose_expect([trial]).calls


def test_calls_of_one_tool_find_each_other_by_their_arguments():
    rome, oslo = call("weather", city="Rome", days=1), call("weather", city="Oslo", days=2)

    found = propose([said((rome, oslo)), said((oslo, rome)), said((rome, oslo))])

    assert (
        ExpectedCall(tool="weather", args={"city": "Rome", "days": 1}),
        ExpectedCall(tool="weather", args={"city": "Oslo", "days": 2}),
    ) == found.expect.calls
    assert (3, ()) == (found.alike, found.notes)


def test_the_order_counts_only_where_every_trial_waited_for_one_call_before_the_next():
    get, pay = call("get"), call("pay")

    assert "in_order" == propose_expect([said(get, pay), said(get, pay)]).order
    assert "any" == propose_expect([said((get, pay)), said(get, pay)]).order
    assert "any" == propose_expect([said(get, pay), said(pay, get)]).order
    assert "any" == propose_expect([said(get, pay)]).order
    look = call("look")
    assert "in_order" == propose_expect([said(get, look, pay), said(get, pay)]).order
    assert "any" == propose_expect([said(get, look, pay), said(get, pay, look), said(get, pay)]).order


def test_what_the_tool_answered_becomes_its_stub():
    def trial(*results: ToolResult) -> Transcript:
        return said(Step(calls=(call("get"), call("put")), results=results))

    right, wrong = ToolResult(content="42", call_id="1"), ToolResult(content="no such key", is_error=True)
    found = propose([trial(right, wrong), trial(right.model_copy(update={"content": "43"}), wrong)])

    assert (ExpectedCall(tool="get", returns="42"), ExpectedCall(tool="put", fails="no such key")) == found.expect.calls
    assert (
        "calls[0] get: the tool answered differently; its stub gives the first answer",
        "calls[1] put: the tool reported a failure; should the call be expected?",
    ) == found.notes


def test_a_result_belongs_to_the_call_of_its_id_where_not_every_call_was_answered():
    calls = (ToolCall(name="get", id="1"), ToolCall(name="put", id="2"))

    found = propose_expect([said(Step(calls=calls, results=(ToolResult(content="ok", call_id="2"),)))])

    assert (ExpectedCall(tool="get"), ExpectedCall(tool="put", returns="ok")) == found.calls


def test_what_no_right_answer_does_is_not_proposed():
    tools = (ToolDefinition(name="Shop.get_order"),)
    trial = said(
        call("made_up"), ToolCall(name="shop_get_order", arguments="{broken"), call("shop_get_order", order="1")
    )

    found = propose([trial], tools)

    assert (ExpectedCall(tool="Shop.get_order", args={"order": "1"}),) == found.expect.calls
    assert (
        "made_up: no such tool; left out",
        "shop_get_order: called with arguments that are no JSON object; left out",
    ) == found.notes


def test_every_captured_trial_passes_what_was_proposed_from_it():
    trials = [
        said(call("find", text="a", deep=True), call("read", path="x")),
        said(call("find", text="b"), call("read", path="x")),
        said(call("find", text="c"), call("read", path="y")),
    ]

    case = Case(id="c", user="Hi", expect=propose_expect(trials))

    assert [1.0, 1.0, 1.0] == [score_case(case, trial, Rubric()).score for trial in trials]


def test_nothing_is_proposed_from_nothing():
    with pytest.raises(UsageError, match="nothing was captured"):
        propose([])
