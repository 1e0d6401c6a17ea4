"""How many calls fit those expected, and what was called in vain."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_evals.conversation import ToolCall, ToolDefinition
from mcp_evals.scoring.trajectory import (
    ArgumentMode,
    Loop,
    TrajectoryFit,
    find_loops,
    fit_trajectory,
    misfits,
    redundant_calls,
)
from mcp_evals.suite import ExpectedCall, Order


def wanted(tool: str = "a", **fields: Any) -> ExpectedCall:
    return ExpectedCall.model_validate({"tool": tool, **fields})


def made(name: str = "a", arguments: Any = None) -> ToolCall:
    return ToolCall(name=name, arguments={} if arguments is None else arguments)


def fit(expected: str, actual: str, order: Order = "any") -> TrajectoryFit:
    return fit_trajectory([wanted(tool) for tool in expected], [made(name) for name in actual], order=order)


def fits(expected: ExpectedCall, arguments: Any, mode: ArgumentMode = "exact", tool: Any = None) -> bool:
    tools = [ToolDefinition.model_validate({"name": "a", "input_schema": tool})] if tool else []
    return 1 == len(fit_trajectory([expected], [made("a", arguments)], arguments=mode, tools=tools).pairs)


@pytest.mark.parametrize(
    ("expected", "actual", "precision", "recall", "f1", "of_longer"),
    [
        ("ab", "ab", 1.0, 1.0, 1.0, 1.0),
        ("ab", "abcd", 0.5, 1.0, 2 / 3, 0.5),
        ("abcd", "ab", 1.0, 0.5, 2 / 3, 0.5),
        ("aa", "a", 1.0, 0.5, 2 / 3, 0.5),
        ("ab", "cd", 0.0, 0.0, 0.0, 0.0),
        ("", "", 1.0, 1.0, 1.0, 1.0),
        ("", "a", 0.0, 0.0, 0.0, 0.0),
        ("a", "", 0.0, 0.0, 0.0, 0.0),
    ],
)
def test_precision_recall_and_f1_count_the_calls_that_fit(
    expected: str, actual: str, precision: float, recall: float, f1: float, of_longer: float
):
    found = fit(expected, actual)

    assert (precision, recall, f1, of_longer) == (found.precision, found.recall, found.f1, found.share_of_longer)


@pytest.mark.parametrize(
    ("actual", "any_order", "in_order", "exact"),
    [("abc", 3, 3, 3), ("cab", 3, 2, 0), ("xabc", 3, 3, 0), ("axc", 2, 2, 2), ("cba", 3, 1, 1)],
)
def test_an_order_leaves_fewer_calls_that_fit(actual: str, any_order: int, in_order: int, exact: int):
    pairs = [len(fit("abc", actual, order).pairs) for order in ("any", "in_order", "exact")]

    assert [any_order, in_order, exact] == pairs


@pytest.mark.parametrize(
    ("given_arguments", "exact", "ignore", "subset", "superset"),
    [
        ({"x": 1, "y": 2}, True, True, True, True),
        ({"x": 1}, False, True, True, False),
        ({"x": 1, "y": 2, "z": 3}, False, True, False, True),
        ({"x": 1, "y": 9}, False, True, False, False),
        ({}, False, True, True, False),
        ("not json", False, True, False, False),
    ],
)
def test_each_way_of_comparing_arguments_forgives_its_own(
    given_arguments: Any, exact: bool, ignore: bool, subset: bool, superset: bool
):
    expected = wanted(args={"x": 1, "y": 2})

    found = [fits(expected, given_arguments, mode) for mode in ("exact", "ignore", "subset", "superset")]

    assert [exact, ignore, subset, superset] == found


@pytest.mark.parametrize(
    ("expected", "actual", "equal"),
    [(1, 1.0, True), (1, True, False), (0, False, False), ([1, 2], [2, 1], False), (None, "null", False)],
)
def test_values_are_equal_as_in_json(expected: Any, actual: Any, equal: bool):
    assert equal == fits(wanted(args={"x": expected}), {"x": actual})


def test_null_is_not_the_same_as_nothing():
    assert not fits(wanted(args={"x": None}), {})


def test_wildcards_hold():
    open_call = wanted(args={"x": {"any": True}, "y": {"one_of": [1, 2]}, "z": {"optional": 3}, "w": [{"any": True}]})

    assert fits(open_call, {"x": None, "y": 2, "w": [7]})
    assert fits(open_call, {"x": None, "y": 2.0, "z": 3, "w": ["x"]})
    assert not fits(open_call, {"y": 2, "w": [7]})
    assert not fits(open_call, {"x": 1, "y": True, "w": [7]})
    assert not fits(open_call, {"x": 1, "y": 2, "z": 4, "w": [7]})


def test_a_tool_whose_argument_is_called_any_is_no_wildcard():
    assert not fits(wanted(args={"any": True}), {"any": False})


def test_critics_of_the_expected_call_hold():
    near = wanted(args={"x": 10}, critics=[{"field": "x", "kind": "numeric", "tolerance": 1}])

    assert fits(near, {"x": 11})
    assert not fits(near, {"x": 12})
    assert not fits(near, {"x": 11, "y": 1})
    assert fits(near, {"x": 11, "y": 1}, "superset")
    assert fits(near, {}, "subset")


def test_critics_of_nested_fields_hold():
    nested = wanted(
        args={"place": {"city": "Oslo", "size": 10}},
        critics=[{"field": "place.size", "kind": "numeric", "tolerance": 1}],
    )

    assert fits(nested, {"place": {"city": "Oslo", "size": 11}})
    assert not fits(nested, {"place": {"city": "Oslo", "size": 12}})
    assert not fits(nested, {"place": {"city": "Rome", "size": 10}})


def test_an_argument_that_repeats_the_schemas_default_is_as_good_as_left_out():
    schema = {"type": "object", "properties": {"unit": {"type": "string", "default": "C"}}}

    assert fits(wanted(args={}), {"unit": "C"}, tool=schema)
    assert fits(wanted(args={"unit": "C"}), {}, tool=schema)
    assert not fits(wanted(args={}), {"unit": "F"}, tool=schema)
    assert not fits(wanted(args={"unit": "F"}), {}, tool=schema)
    assert fits(wanted(args={"unit": {"optional": "F"}}), {}, tool=schema)


def test_one_tool_may_be_compared_in_another_way():
    expected = [wanted("search", args={"q": "x"}), wanted("pay", args={"sum": 5})]
    actual = [made("search", {"q": "other"}), made("pay", {"sum": 6})]

    found = fit_trajectory(expected, actual, by_tool={"Search": "ignore"})

    assert ((0, 0),) == found.pairs
    assert 0 == len(fit_trajectory(expected, actual, by_tool={"Search": "ignore"}, tool_names="exact").pairs)


def test_names_are_the_same_in_their_loose_form_unless_asked():
    expected, actual = [wanted("Get_Weather")], [made("get.weather")]

    assert 1.0 == fit_trajectory(expected, actual).f1
    assert 0.0 == fit_trajectory(expected, actual, tool_names="exact").f1


def test_open_expectations_are_dealt_out_so_that_as_many_as_possible_fit():
    expected = [wanted(args={"x": {"any": True}}), wanted(args={"x": {"one_of": [1, 2]}}), wanted(args={"x": 1})]
    actual = [made("a", {"x": 1}), made("a", {"x": 2}), made("a", {"x": 3})]

    assert ((0, 2), (1, 1), (2, 0)) == fit_trajectory(expected, actual).pairs


@pytest.mark.parametrize("order", ["any", "in_order"])
def test_an_optional_call_may_lack_and_never_takes_a_required_ones_place(order: Order):
    expected = [wanted(args={"x": {"any": True}}, optional=True), wanted(args={"x": 1})]

    found = fit_trajectory(expected, [made("a", {"x": 1})], order=order)

    assert TrajectoryFit(((1, 0),), (), ()) == found


def test_what_does_not_fit_is_told_in_a_line():
    expected = [wanted("pay", args={"sum": 5}), wanted("mail")]
    actual = [made("pay", {"sum": 6}), made("search")]

    text = misfits(fit_trajectory(expected, actual), expected, actual)

    assert "with other arguments or elsewhere: pay (sum: 6 is not 5); missing: mail; not expected: search" == text
    assert None is misfits(fit("a", "a"), [wanted()], [made()])


def test_a_call_that_repeats_the_one_before_is_redundant():
    calls = [made("a", {"x": 1}), made("a", {"x": 1.0}), made("a", {"x": True}), made("b"), made("a", {"x": 1})]

    assert (1,) == redundant_calls(calls)


@pytest.mark.parametrize(
    ("names", "loops"),
    [
        ("aaa", (Loop(0, 1, 3),)),
        ("aabb", ()),
        ("xababab", (Loop(1, 2, 3),)),
        ("abababa", (Loop(0, 2, 3),)),
        ("abcabcabcddd", (Loop(0, 3, 3), Loop(9, 1, 3))),
        ("abab", ()),
    ],
)
def test_a_loop_is_three_rounds_of_the_same_calls(names: str, loops: tuple[Loop, ...]):
    assert loops == find_loops([made(name) for name in names])


@given(st.text("abc", max_size=8), st.text("abc", max_size=8))
@settings(max_examples=200, deadline=None)
def test_an_order_never_helps_and_f1_lies_between_precision_and_recall(expected: str, actual: str):
    any_order, in_order, exact = (fit(expected, actual, order) for order in ("any", "in_order", "exact"))

    assert len(exact.pairs) <= len(in_order.pairs) <= len(any_order.pairs)
    for found in (any_order, in_order, exact):
        low, high = sorted((found.precision, found.recall))
        assert low - 1e-12 <= found.f1 <= high + 1e-12
        assert len(expected) == len(found.pairs) + len(found.missing)
        assert len(actual) == len(found.pairs) + len(found.extra)


@given(st.lists(st.sets(st.integers(0, 5)), max_size=6))
@settings(max_examples=200, deadline=None)
def test_no_dealing_out_of_open_expectations_fits_more_calls(choices: list[set[int]]):
    expected = [wanted(args={"x": {"one_of": sorted(options)}}) for options in choices]

    found = fit_trajectory(expected, [made("a", {"x": value}) for value in range(6)])

    assert most_by_trying_all(choices, frozenset(range(6))) == len(found.pairs)


def most_by_trying_all(choices: list[set[int]], free: frozenset[int]) -> int:
    if not choices:
        return 0
    skipped = most_by_trying_all(choices[1:], free)
    return max([skipped, *(1 + most_by_trying_all(choices[1:], free - {value}) for value in choices[0] & free)])


@pytest.mark.parametrize("order", ["any", "in_order", "exact"])
def test_five_hundred_open_calls_a_side_are_dealt_out(order: Order):
    # Each fits one call more than the one before: the worst there is for dealing out one by one.
    expected = [wanted(args={"x": {"one_of": list(range(index + 1))}}) for index in range(500)][::-1]
    actual = [made("a", {"x": index}) for index in range(500)]

    assert {"any": 500, "in_order": 250, "exact": 250}[order] == len(
        fit_trajectory(expected, actual, order=order).pairs
    )
