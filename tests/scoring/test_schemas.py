"""Arguments against the schemas of their tools, whoever wrote the schemas."""

from typing import Any

import pytest

from mcp_evals.conversation import ToolCall, ToolDefinition
from mcp_evals.scoring.calls import Names
from mcp_evals.scoring.schemas import ArgumentsVerdict, check_arguments
from mcp_evals.suite import Rubric

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def verdict(schema: dict[str, Any], arguments: Any) -> ArgumentsVerdict:
    tools = [ToolDefinition(name="get_weather", input_schema=schema)]
    return check_arguments([ToolCall(name="get_weather", arguments=arguments)], Names(Rubric(), tools))[0]


def test_arguments_that_fit_are_valid():
    assert ArgumentsVerdict(True) == verdict(CITY, {"city": "Oslo"})


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "get_weather: $: 'city' is a required property"),
        ({"city": 5}, "get_weather: $.city: 5 is not of type 'string'"),
        ("{oslo", "the arguments of get_weather are not a JSON object"),
    ],
)
def test_arguments_that_do_not_fit_say_where(arguments: Any, reason: str):
    assert ArgumentsVerdict(False, reason) == verdict(CITY, arguments)


def test_a_call_to_no_known_tool_is_not_valid():
    names = Names(Rubric(), [ToolDefinition(name="get_weather")])

    assert (
        ArgumentsVerdict(False, "there is no tool ls<|channel|>")
        == (check_arguments([ToolCall(name="ls<|channel|>")], names)[0])
    )


def test_a_schema_is_read_in_its_own_dialect():
    draft_4 = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "properties": {"n": {"minimum": 3, "exclusiveMinimum": True}},
    }

    assert False is verdict(draft_4, {"n": 3}).valid


def test_references_inside_a_schema_are_followed():
    tree = {"properties": {"child": {"$ref": "#"}}, "additionalProperties": False}

    assert True is verdict(tree, {"child": {"child": {}}}).valid
    assert False is verdict(tree, {"child": {"child": {"x": 1}}}).valid


def doubling(levels: int, **extra: Any) -> dict[str, Any]:
    definitions: dict[str, Any] = {
        f"d{level}": {**extra, "allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(levels)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{levels}": {}}}


@pytest.mark.parametrize(
    ("schema", "arguments", "reason"),
    [
        ({"type": "objekt"}, {}, "is not valid under any of the given schemas"),
        ({"$ref": "http://localhost:1/schema"}, {}, "Unresolvable: http://localhost:1/schema"),
        ({"$ref": "#"}, {}, "recursion"),
        (doubling(40), {}, "more than 10000 times"),
        (doubling(40, **{"$schema": "https://json-schema.org/draft/2020-12/schema"}), {}, "more than 10000 times"),
        ({"properties": {"x": {"pattern": "^(a|a)*$"}}}, {"x": "a" * 40 + "b"}, "backtracks without bound"),
        ({"patternProperties": {"^(a|a)*$": {}}}, {"a" * 40 + "b": 1}, "it has patternProperties"),
    ],
    ids=["wrong", "elsewhere", "endless", "doubling", "doubling-in-dialect", "pattern", "pattern-properties"],
)
def test_a_schema_that_cannot_be_used_is_nobodys_fault(schema: dict[str, Any], arguments: Any, reason: str):
    found = verdict(schema, arguments)

    assert None is found.valid
    assert "the schema of get_weather cannot be used: " in str(found.reason)
    assert reason in str(found.reason)


def test_an_argument_may_be_called_schema():
    named = {"properties": {"$schema": {"type": "string"}}}

    assert (True, False) == (verdict(named, {"$schema": "x"}).valid, verdict(named, {"$schema": 1}).valid)
