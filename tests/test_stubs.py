"""The tools answer what the case says that they answer."""

from typing import Any

import pytest
from fakes import case_of

from mcp_evals.conversation import ToolCall, ToolResult
from mcp_evals.stubs import StubToolbox

pytestmark = pytest.mark.anyio


def box(*calls: dict[str, Any]) -> StubToolbox:
    return StubToolbox(case_of(expect={"calls": list(calls)}))


async def answers(toolbox: StubToolbox, *calls: tuple[str, Any]) -> list[Any]:
    """What the tools answer to these calls."""
    found = [await toolbox.call(ToolCall(name=name, arguments=arguments)) for name, arguments in calls]
    return [result.content if result else None for result in found]


OSLO = {"tool": "weather", "args": {"city": "oslo"}, "returns": "rain"}
ROME = {"tool": "weather", "args": {"city": "rome"}, "returns": "sun"}


async def test_the_stub_whose_arguments_fit_answers_whatever_the_order() -> None:
    assert await answers(box(OSLO, ROME), ("weather", {"city": "rome"}), ("weather", {"city": "oslo"})) == [
        "sun",
        "rain",
    ]


async def test_calls_that_fit_none_get_the_stubs_in_their_order() -> None:
    assert await answers(box(OSLO, ROME), ("weather", {}), ("weather", {}), ("weather", {})) == ["rain", "sun", "rain"]


async def test_a_call_that_is_repeated_gets_its_answer_again() -> None:
    asked = ("weather", {"city": "oslo"})

    assert await answers(box(OSLO, ROME), asked, asked) == ["rain", "rain"]


async def test_equal_calls_with_two_answers_get_one_after_the_other() -> None:
    later = {**OSLO, "returns": "snow"}
    asked = ("weather", {"city": "oslo"})

    assert await answers(box(OSLO, later), asked, asked) == ["rain", "snow"]


async def test_a_tool_is_found_under_any_spelling_of_its_name() -> None:
    toolbox = box({"tool": "get_weather", "returns": 1})

    assert await answers(toolbox, ("Get-Weather", {}), ("get.weather", {})) == [1, 1]


async def test_a_number_fits_by_its_value_and_arguments_that_are_text_fit_nothing() -> None:
    toolbox = box({"tool": "f", "args": {"n": 17}, "returns": "n"}, {"tool": "f", "returns": "none"})

    assert await answers(toolbox, ("f", {"n": 17.0}), ("f", '{"n": 17}')) == ["n", "none"]


async def test_null_is_an_answer_and_no_answer_is_none() -> None:
    toolbox = box({"tool": "null", "returns": None}, {"tool": "silent"})

    assert await toolbox.call(ToolCall(name="null", id="1")) == ToolResult(content=None, call_id="1")
    assert await toolbox.call(ToolCall(name="silent")) is None
    assert await toolbox.call(ToolCall(name="unknown")) is None


async def test_a_stub_that_fails_reports_its_error() -> None:
    toolbox = box({"tool": "f", "fails": "no such order"})

    assert await toolbox.call(ToolCall(name="f", id="7")) == ToolResult(
        content="no such order", call_id="7", is_error=True
    )


async def test_stubs_of_every_turn_answer() -> None:
    case = case_of(
        turns=[
            {"user": "a", "expect": {"calls": [OSLO]}},
            {"user": "b", "expect": {"calls": [ROME]}},
        ],
        expect={"calls": [{"tool": "end", "returns": "bye"}]},
    )

    asked = (("weather", {"city": "rome"}), ("weather", {"city": "oslo"}), ("end", {}))
    assert await answers(StubToolbox(case), *asked) == ["sun", "rain", "bye"]


async def test_a_scripted_user_says_the_replies_and_then_nothing() -> None:
    case = case_of(scenario={"opening": "Hello", "plan": "p", "replies": ["one", "two"]})
    toolbox = StubToolbox(case)

    assert [await toolbox.next_user_turn(()) for _ in range(3)] == ["one", "two", None]
    assert await StubToolbox(case_of()).next_user_turn(()) is None
