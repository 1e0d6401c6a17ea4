"""What arcade built, in our words where they reach, in arcade's where they do not. Numbers: see test_arcade_original.py."""

from typing import Any

import pytest

from mcp_evals.conversation import Message, ToolCall
from mcp_evals.errors import UsageError
from mcp_evals.suite import Case, Rubric, Suite
from mcp_evals.suites.importers.arcade import arcade_suites

WEATHER = {"name": "Weather.Get", "description": "Weather.", "inputSchema": {"type": "object", "properties": {}}}
RUBRIC = {
    "fail_threshold": 0.8,
    "warn_threshold": 0.9,
    "fail_on_tool_selection": True,
    "fail_on_tool_call_quantity": True,
    "tool_selection_weight": 1.0,
}
OSLO = {"name": "Weather.Get", "args": {"city": "Oslo", "days": 3}}
SEARCH = {"name": "Search", "args": {"text": "rain"}}
CITY = {"kind": "binary", "field": "city", "weight": 0.7}
DAYS = {"kind": "numeric", "field": "days", "weight": 0.3, "value_range": [0, 10], "match_threshold": 0.8}
TEXT = {"kind": "similarity", "field": "text", "weight": 1.0, "similarity_threshold": 0.8}
PLACEHOLDER = {"kind": "none", "field": "days"}


def written(*cases: dict[str, Any], **suite: Any) -> dict[str, Any]:
    """An export with one suite."""
    empty = {"tools": [WEATHER], "tracks": {}, "parameters": {}, "comparative": []}
    whole = {"name": "weather", "system_message": "Help.", "strict_mode": True, "rubric": RUBRIC, **empty, **suite}
    return {"version": "1.16.3", "suites": [{**whole, "cases": list(cases)}]}


def case(*expected: dict[str, Any], critics: list[dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
    asked = {"name": "oslo", "system_message": "Help.", "user_message": "Weather?", "additional_messages": []}
    return {**asked, "rubric": RUBRIC, "expected": list(expected), "critics": critics or [], **fields}


def imported(*cases: dict[str, Any], **suite: Any) -> Suite:
    return arcade_suites(written(*cases, **suite)).suites[0]


def one(*expected: dict[str, Any], **fields: Any) -> Case:
    return imported(case(*expected, **fields)).cases[0]


def arcade_metadata(found: Case) -> Any:
    return found.metadata["arcade"]


def test_a_suite_has_arcades_convention_and_its_own_choices_for_several_runs() -> None:
    found = imported(case(OSLO))

    assert Rubric(
        convention="arcade", fail_below=0.8, warn_below=0.8, tool_weight=1.0, missing_calls="fail", extra_calls="fail",
        wrong_tool="fail", extra_arguments="ignore", over_trials="last",
    ) == found.rubric  # fmt: skip
    assert ("weather", "Help.", 1, ["Weather.Get"]) == (
        found.name,
        found.system,
        found.defaults.trials,
        [tool.name for tool in found.tools_of(found.cases[0])],
    )


def test_critics_stand_on_the_calls_whose_arguments_they_look_at() -> None:
    found = one(OSLO, SEARCH, critics=[CITY, DAYS, TEXT])

    assert found.expect.calls is not None
    assert [["exact", "numeric"], ["similarity"]] == [[c.kind for c in call.critics] for call in found.expect.calls]
    assert {"version": "1.16.3"} == arcade_metadata(found)


def test_the_order_of_critics_is_kept_where_the_calls_have_another() -> None:
    found = one(OSLO, SEARCH, critics=[TEXT, DAYS, CITY])

    assert {"version": "1.16.3", "order": ["text", "days", "city"]} == arcade_metadata(found)


@pytest.mark.parametrize(
    "critic",
    [
        {**CITY, "field": "typo"},
        {**DAYS, "match_threshold": 0.5},
        {**TEXT, "field": "city", "similarity_threshold": 2},
        {"kind": "datetime", "field": "city", "weight": 1, "tolerance_s": -1, "max_difference_s": 7200},
    ],
    ids=["a field of no call", "another threshold", "a threshold that is no share", "less than no time"],
)
def test_critics_that_our_words_do_not_reach_are_kept_as_arcades(critic: dict[str, Any]) -> None:
    found = one(OSLO, critics=[critic])

    assert found.expect.calls is not None
    assert ((),) == tuple(call.critics for call in found.expect.calls)
    assert [critic["field"]] == [kept["field"] for kept in arcade_metadata(found)["critics"]]


def test_weights_that_were_words_are_words_again() -> None:
    words = [{**CITY, "weight": 0.625, "original_weight": "high"}, {**DAYS, "weight": 0.375, "original_weight": "low"}]

    found = one(OSLO, critics=words)

    assert found.expect.calls is not None
    assert ["high", "low"] == [critic.weight for critic in found.expect.calls[0].critics]


def test_words_that_arcade_has_divided_twice_stay_numbers() -> None:
    found = one(OSLO, critics=[{**CITY, "weight": 0.172, "original_weight": "high"}])

    assert found.expect.calls is not None
    assert [0.172] == [critic.weight for critic in found.expect.calls[0].critics]


@pytest.mark.parametrize(
    ("arcade", "ours"),
    [
        ({"fail_threshold": 0.6, "warn_threshold": 0.4}, {"fail_below": 0.4, "warn_below": 0.6}),
        ({"fail_on_tool_selection": False}, {"wrong_tool": "ignore"}),
        ({"fail_on_tool_call_quantity": False}, {"missing_calls": "ignore", "extra_calls": "ignore"}),
        ({"tool_selection_weight": 3}, {"tool_weight": 3.0}),
    ],
)
def test_a_case_keeps_a_rubric_of_its_own(arcade: dict[str, Any], ours: dict[str, Any]) -> None:
    suite = imported(case(OSLO, rubric={**RUBRIC, **arcade}))

    assert suite.rubric.model_copy(update=ours) == suite.rubric_of(suite.cases[0])


def test_a_rubric_that_ours_cannot_be_is_kept_as_arcades() -> None:
    impossible = {**RUBRIC, "fail_threshold": 1.5, "tool_selection_weight": -1}

    found = one(OSLO, rubric=impossible)

    assert (None, impossible) == (found.rubric, arcade_metadata(found)["rubric"])


def test_parameters_that_nobody_gave_and_nothing_compares_are_left_away() -> None:
    filled = {"name": "Weather.Get", "args": {"city": "Oslo", "days": None, "context": None}}

    found = one(filled, critics=[CITY, PLACEHOLDER, {"kind": "none", "field": "context"}])

    assert found.expect.calls is not None
    assert {"city": "Oslo"} == found.expect.calls[0].args


def test_the_last_argument_is_kept_because_a_case_without_any_always_passes() -> None:
    found = one({"name": "Weather.Get", "args": {"city": None}}, critics=[{"kind": "none", "field": "city"}])

    assert found.expect.calls is not None
    assert {"city": None} == found.expect.calls[0].args


def test_defaults_of_python_tools_are_kept_where_a_critic_looks() -> None:
    parameters = {"Weather.Get": {"city": {"value": None}, "days": {"value": 3}, "unit": {"value": "celsius"}}}

    found = imported(case(OSLO, critics=[CITY, DAYS]), parameters=parameters).cases[0]

    assert {"Weather.Get": {"city": None, "days": 3}} == arcade_metadata(found)["signatures"]


def test_earlier_messages_become_history() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "Weather_Get", "arguments": '{"city": "Rome"}'}}
    messages = [{"role": "user", "content": "Rome?"}, {"role": "assistant", "tool_calls": [call]}]

    found = one(OSLO, additional_messages=messages, system_message="Be brief.")

    assert "Be brief." == found.system
    assert found.history == (
        Message(role="user", text="Rome?"),
        Message(role="assistant", calls=(ToolCall(name="Weather_Get", arguments={"city": "Rome"}, id="1"),)),
    )


def test_names_that_are_not_unique_are_made_so() -> None:
    found = imported(case(OSLO), case(OSLO), case(OSLO, name=" \n"))

    assert ["oslo", "oslo (2)", "case"] == [each.id for each in found.cases]


TRACKS = {"left": [WEATHER], "right": [WEATHER], "other": [WEATHER]}


def comparative(**tracks: Any) -> dict[str, Any]:
    asked = {key: value for key, value in case().items() if key not in {"expected", "critics"}}
    return {**asked, "tracks": tracks}


def test_a_comparative_case_expects_what_each_track_expects() -> None:
    both = comparative(left={"expected": [OSLO], "critics": [CITY]}, right={"expected": [SEARCH], "critics": [TEXT]})

    suite = imported(comparative=[both], tracks=TRACKS, tools=[])

    tools = {
        track: [call.tool for call in suite.on_track(track).cases[0].expect.calls or ()] for track in both["tracks"]
    }
    assert {"left": ["Weather.Get"], "right": ["Search"]} == tools
    assert () == suite.on_track("other").cases


def test_a_track_that_our_words_do_not_reach_gets_a_case_of_its_own() -> None:
    typo = {"expected": [OSLO], "critics": [{**CITY, "field": "typo"}]}
    both = comparative(left=typo, right={"expected": [SEARCH], "critics": [TEXT]})

    suite = imported(comparative=[both], tracks=TRACKS, tools=[])

    found = {track: [each.id for each in suite.on_track(track).cases] for track in TRACKS}
    assert {"left": ["oslo (left)"], "right": ["oslo (right)"], "other": []} == found


def test_tracks_whose_critics_have_another_order_share_one_order_or_none() -> None:
    swapped = {"expected": [OSLO, SEARCH], "critics": [TEXT, CITY]}
    alike = comparative(left=swapped, right={"expected": [OSLO], "critics": [CITY]})
    against = comparative(left=swapped, right={"expected": [OSLO, SEARCH], "critics": [CITY, TEXT]})

    suite = imported(comparative=[alike, {**against, "name": "rome"}], tracks=TRACKS, tools=[])

    assert {"oslo": ["text", "city"], "rome (left)": ["text", "city"], "rome (right)": None} == {
        case.id: arcade_metadata(case).get("order") for case in suite.cases
    }


def test_plain_and_comparative_cases_become_two_suites() -> None:
    both = comparative(left={"expected": [OSLO], "critics": []})

    suites = arcade_suites(written(case(OSLO), comparative=[both], tracks=TRACKS)).suites

    assert [("weather", []), ("weather (tracks)", ["left", "right", "other"])] == [
        (suite.name, [*suite.tracks]) for suite in suites
    ]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"expected": [{"name": "", "args": {}}]}, "it expects a tool without a name"),
        ({"user_message": None}, "its user message is no text: null"),
        ({"additional_messages": [{"role": "friend", "content": "x"}]}, "a message before it"),
        ({"critics": [{**CITY, "field": "typo", "weight": float("nan")}]}, "a number in it is NaN or infinite"),
        ({"rubric": {**RUBRIC, "fail_threshold": "high"}}, "its rubric: fail_threshold"),
        ({"left_out": "it is code"}, "it is code"),
    ],
)
def test_a_case_that_no_suite_can_hold_is_left_out_by_name(wrong: dict[str, Any], reason: str) -> None:
    found = arcade_suites(written(case(OSLO, name="rome"), {**case(OSLO), **wrong}))

    assert ["rome"] == [each.id for each in found.suites[0].cases]
    assert [True] == [line.startswith(f'case "oslo" of "weather": {reason}') for line in found.left_out]


def test_tools_that_are_none_are_told() -> None:
    with pytest.raises(UsageError, match=r"arcade's suites cannot be read: suites\.0\.tools\.0\.name"):
        arcade_suites(written(tools=[{**WEATHER, "name": ""}]))
