"""Tool definitions as providers take them, and arguments back as the tool's owner takes them."""

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mcp_evals.conversation import ToolCall, ToolDefinition
from mcp_evals.errors import TargetError
from mcp_evals.targets.schemas import (
    InexpressibleError,
    fill_defaults,
    strict_schema,
    wire_name,
    wire_tools,
    without_forced_nulls,
)

Schema = dict[str, Any]
FUZZ = settings(derandomize=True, deadline=None)


def closed(properties: Schema, required: list[str] | None = None, **further: Any) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
        **further,
    }


# --- names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("get_weather", "get_weather"),
        ("Shop.get-order", "Shop_get-order"),
        ("wetter/für", "wetter_f_r"),
        ("x" * 64, "x" * 64),
    ],
)
def test_a_name_is_written_as_every_provider_takes_it(name: str, expected: str) -> None:
    assert wire_name(name) == expected


def test_long_names_that_begin_alike_stay_apart() -> None:
    names = [wire_name("x" * 70 + end) for end in "ab"]

    assert [len(name) for name in names] == [64, 64]
    assert names[0] != names[1]


def test_two_tools_that_a_provider_cannot_tell_apart_are_an_error_that_names_both() -> None:
    with pytest.raises(TargetError, match=r'tools "a\.b" and "a_b" both become "a_b"') as caught:
        wire_tools([ToolDefinition(name="a.b"), ToolDefinition(name="a_b")])

    assert caught.value.kind == "bad_request"


def test_calls_come_back_under_the_owner_s_name_and_unknown_names_stay() -> None:
    tools = wire_tools([ToolDefinition(name="shop.get")])

    assert tools.read(ToolCall(name="shop_get")) == ToolCall(name="shop.get")
    assert tools.read(ToolCall(name="ls<|channel|>commentary")) == ToolCall(name="ls<|channel|>commentary")


# --- forms


def test_schemas_are_sent_as_they_are_with_their_keys_in_the_order_given() -> None:
    schema = {"required": ["z", "a"], "properties": {"z": {"type": "string"}, "a": {"$ref": "#/$defs/A"}}, "$defs": {}}
    tool = ToolDefinition(name="t", description="d", input_schema={"type": "object", **schema})

    (sent,) = wire_tools([tool]).sent

    assert json.dumps(sent.openai) == json.dumps(
        {"type": "function", "function": {"name": "t", "description": "d", "parameters": tool.input_schema}}
    )
    assert json.dumps(sent.anthropic) == json.dumps(
        {"name": "t", "description": "d", "input_schema": tool.input_schema}
    )


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"properties": {}}])
def test_a_tool_without_parameters_gets_the_type_and_properties_that_providers_insist_on(schema: Schema) -> None:
    (sent,) = wire_tools([ToolDefinition(name="t", input_schema=schema)]).sent

    assert sent.schema == {"type": "object", "properties": {}}


def test_a_strict_tool_says_so_and_one_that_cannot_be_strict_is_sent_as_it_is_with_a_note() -> None:
    strict = ToolDefinition(name="strict", input_schema={"type": "object", "properties": {"a": {"type": "string"}}})
    loose = ToolDefinition(name="loose", input_schema={"type": "object", "properties": {"map": {"type": "object"}}})

    tools = wire_tools([strict, loose], strict=True)

    assert [tool.openai["function"].get("strict") for tool in tools.sent] == [True, None]
    assert tools.sent[1].schema == loose.input_schema
    assert tools.notes == (
        'tool "loose" was not sent with a strict schema: it cannot say an object with keys of any name',
    )


# --- to strict form

NULL = {"type": "null"}


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        ({"type": "string"}, {"type": ["string", "null"]}),
        ({"type": ["integer", "null"]}, {"type": ["integer", "null"]}),
        ({"enum": ["a", 1]}, {"type": ["string", "integer", "null"], "enum": ["a", 1, None]}),
        ({"type": "string", "enum": ["a", None]}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"const": "a"}, {"type": ["string", "null"], "enum": ["a", None]}),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}, NULL]},
        ),
        ({"anyOf": [{"type": "string"}, NULL]}, {"anyOf": [{"type": "string"}, NULL]}),
        ({"$ref": "#/$defs/P"}, {"anyOf": [{"$ref": "#/$defs/P"}, NULL]}),
        (
            {"$ref": "#/$defs/P", "description": "where"},
            {"description": "where", "anyOf": [{"$ref": "#/$defs/P"}, NULL]},
        ),
        ({"allOf": [{"$ref": "#/$defs/P"}]}, {"anyOf": [{"$ref": "#/$defs/P"}, NULL]}),
        (
            {"type": "array", "items": {"type": "string"}},
            {"anyOf": [{"type": "array", "items": {"type": "string"}}, NULL]},
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"anyOf": [closed({"a": {"type": "string"}}), NULL]},
        ),
        (
            {"type": ["object", "null"], "properties": {"a": {"type": "string", "pattern": "^x"}}},
            {"anyOf": [closed({"a": {"type": ["string", "null"], "description": '(pattern "^x")'}}), NULL]},
        ),
    ],
)
def test_an_optional_property_becomes_one_that_may_be_null(original: Schema, expected: Schema) -> None:
    point = {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}
    definitions = {"$defs": {"P": point}} if "$ref" in json.dumps(original) else {}

    converted = strict_schema({"type": "object", "properties": {"p": original}, **definitions})

    kept = {"$defs": {"P": closed({"x": {"type": "number"}})}} if definitions else {}
    assert converted == closed({"p": expected}, **kept)


def test_what_strict_schemas_cannot_say_of_a_value_stands_in_its_description() -> None:
    limited = {"type": "integer", "title": "N", "description": "How many", "minimum": 1, "maximum": 9, "default": 3}

    converted = strict_schema({"type": "object", "properties": {"n": limited}, "required": ["n"], "title": "T"})

    told = {"type": "integer", "title": "N", "description": "How many (default 3, minimum 1, maximum 9)"}
    assert converted == closed({"n": told}, title="T")


def test_older_definitions_move_to_where_strict_schemas_have_them_and_unused_ones_go() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/definitions/A"}},
        "required": ["a"],
        "definitions": {"A": {"type": "string"}, "Unused": {"type": "object"}},
    }

    assert strict_schema(schema) == closed({"a": {"$ref": "#/$defs/A"}}, **{"$defs": {"A": {"type": "string"}}})


def test_a_shape_may_contain_itself_at_openai_and_not_at_anthropic() -> None:
    schema = {
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/T"}},
        "required": ["tree"],
        "$defs": {"T": {"type": "object", "properties": {"next": {"$ref": "#/$defs/T"}}}},
    }

    converted = strict_schema(schema)

    branch = closed({"next": {"anyOf": [{"$ref": "#/$defs/T"}, NULL]}})
    assert converted == closed({"tree": {"$ref": "#/$defs/T"}}, **{"$defs": {"T": branch}})
    with pytest.raises(InexpressibleError, match="a shape that contains itself"):
        strict_schema(schema, all_required=False)


def test_anthropic_s_strict_form_keeps_optional_properties_optional() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]}

    assert strict_schema(schema, all_required=False) == {**schema, "additionalProperties": False}


@pytest.mark.parametrize(
    ("described", "reason"),
    [
        ({"type": "object"}, "an object with keys of any name"),
        ({"type": "object", "properties": {}}, "an object with keys of any name"),
        ({"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}, "an object with keys of"),
        ({"type": "object", "properties": {"a": {"type": "null"}}, "additionalProperties": True}, "with further keys"),
        ({"type": "object", "properties": {"a": {"type": "null"}}, "required": ["b"]}, "a required key that is not"),
        ({}, "a value of any kind"),
        (True, "a value of any kind"),
        ({"description": "whatever"}, "a value without a type"),
        ({"type": "array"}, "a list of anything"),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, "`prefixItems`"),
        ({"type": [{"type": "string"}]}, "the type"),
        ({"type": "string", "not": {"const": "a"}}, "`not`"),
        ({"allOf": [{"type": "string"}, {"minLength": 2}]}, "several conditions at once"),
        ({"type": "string", "anyOf": [{"type": "string"}]}, "`anyOf` beside other conditions"),
        ({"anyOf": []}, "`anyOf` without members"),
        ({"enum": [[1]]}, "a choice of lists or objects"),
        ({"enum": []}, "a choice of nothing"),
        ({"enum": "a"}, "a choice of nothing"),
        ({"$ref": "#/$defs/Nowhere"}, "the reference '#/$defs/Nowhere'"),
        ({"$ref": "https://example.com/schema"}, "the reference 'https://example.com/schema'"),
    ],
)
def test_what_a_strict_schema_cannot_say_is_told(described: Any, reason: str) -> None:
    with pytest.raises(InexpressibleError) as caught:
        strict_schema({"type": "object", "properties": {"p": described}})

    assert reason in str(caught.value)


@pytest.mark.parametrize("schema", [{"type": "array"}, {"type": "object", "anyOf": [{"required": ["a"]}]}])
def test_the_whole_must_be_one_plain_object(schema: Schema) -> None:
    with pytest.raises(InexpressibleError, match="anything but one plain object at its top"):
        strict_schema(schema)


def test_a_schema_that_unfolds_without_end_is_followed_once() -> None:
    doubling = {f"D{n}": {"anyOf": [{"$ref": f"#/$defs/D{n + 1}"}] * 2} for n in range(60)}
    schema = {
        "type": "object",
        "properties": {"p": {"$ref": "#/$defs/D0"}},
        "$defs": {**doubling, "D60": {"type": "string"}},
    }

    with pytest.raises(InexpressibleError, match="more than 50 levels"):
        strict_schema(schema)
    assert without_forced_nulls(schema, {"p": None}) == {}


# --- nulls and defaults on the way back


@pytest.mark.parametrize(
    ("described", "given_value", "expected"),
    [
        ({"type": "string"}, {"p": None}, {}),
        ({"type": "string"}, {"p": "x"}, {"p": "x"}),
        ({"type": ["string", "null"]}, {"p": None}, {}),
        ({"type": ["string", "null"], "default": None}, {"p": None}, {}),
        ({"type": ["string", "null"], "default": "x"}, {"p": None}, {"p": None}),
        ({"type": "string", "default": "x"}, {"p": None}, {}),
        (
            {"type": "array", "items": {"type": "object", "properties": {"q": {"type": "string"}}}},
            {"p": [{"q": None}]},
            {"p": [{}]},
        ),
        (
            {
                "anyOf": [
                    {"type": "object", "properties": {"kind": {"const": "a"}, "q": NULL}, "required": ["kind", "q"]},
                    {"type": "object", "properties": {"kind": {"const": "b"}, "q": NULL}, "required": ["kind"]},
                ]
            },
            {"p": {"kind": "a", "q": None}},
            {"p": {"kind": "a", "q": None}},
        ),
        ({"$ref": "#/$defs/T"}, {"p": {"next": {"next": None}}}, {"p": {"next": {}}}),
    ],
)
def test_a_null_that_only_fills_the_place_of_an_optional_argument_goes(
    described: Schema, given_value: Schema, expected: Schema
) -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#/$defs/T"}}}

    assert without_forced_nulls({"properties": {"p": described}, "$defs": {"T": tree}}, given_value) == expected


def test_a_null_of_a_required_or_an_unknown_argument_stays() -> None:
    schema = {"properties": {"a": {"type": "null"}}, "required": ["a"]}

    assert without_forced_nulls(schema, {"a": None, "b": None}) == {"a": None, "b": None}


def test_nulls_go_only_where_the_tool_was_sent_strictly() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    call = ToolCall(name="t", arguments={"a": None})

    read = {
        strict: wire_tools([ToolDefinition(name="t", input_schema=schema)], strict=strict) for strict in (True, False)
    }

    assert read[True].read(call).arguments == {}
    assert read[False].read(call).arguments == {"a": None}


def test_defaults_fill_what_is_left_out_or_null_where_null_is_not_allowed() -> None:
    schema = {
        "properties": {
            "unit": {"type": "string", "default": "C"},
            "days": {"type": "integer", "default": 1},
            "note": {"type": ["string", "null"], "default": "none"},
            "near": {"type": "object", "properties": {"km": {"type": "number", "default": 5}}},
            "city": {"type": "string"},
        }
    }
    arguments = {"unit": None, "note": None, "near": {}, "other": 1}

    filled = fill_defaults(schema, arguments)

    assert filled == {"unit": "C", "days": 1, "note": None, "near": {"km": 5}, "other": 1}
    assert arguments == {"unit": None, "note": None, "near": {}, "other": 1}


def test_a_default_that_is_filled_in_is_nobody_else_s() -> None:
    schema = {"properties": {"tags": {"type": "array", "default": ["a"]}}}

    fill_defaults(schema, {})["tags"].append("b")

    assert fill_defaults(schema, {}) == {"tags": ["a"]}


# --- properties


class Example(NamedTuple):
    """A value as the tool takes it, as a strict model writes it, and as it has to come back."""

    original: Any
    strict: Any
    back: Any


class Shape(NamedTuple):
    schema: Schema
    examples: st.SearchStrategy[Example]


def plain(schema: Schema, values: st.SearchStrategy[Any]) -> Shape:
    return Shape(schema, values.map(lambda value: Example(value, value, value)))


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.sampled_from(
    [
        plain({"type": "string", "maxLength": 5}, st.text(max_size=5)),
        plain({"type": "integer", "minimum": 0}, st.integers(min_value=0)),
        plain({"type": ["number", "null"]}, NUMBERS | st.none()),
        plain({"type": "boolean", "description": "whether"}, st.booleans()),
        plain({"enum": ["a", 2, True]}, st.sampled_from(["a", 2, True])),
        plain({"type": "string", "enum": ["x", "y"]}, st.sampled_from(["x", "y"])),
        plain({"const": 1.5}, st.just(1.5)),
        plain({"anyOf": [{"type": "string"}, NULL], "default": None}, st.text() | st.none()),
        plain({"oneOf": [{"type": "integer"}, {"type": "string"}]}, st.integers() | st.text()),
        plain({"$ref": "#/$defs/Name"}, st.text()),
        plain({"allOf": [{"$ref": "#/$defs/Name"}], "description": "who"}, st.text()),
    ]
)


def list_of(item: Shape) -> Shape:
    def joined(examples: list[Example]) -> Example:
        return Example(*([example[part] for example in examples] for part in range(3)))

    return Shape({"type": "array", "items": item.schema}, st.lists(item.examples, max_size=3).map(joined))


def or_null(shape: Shape) -> Shape:
    return Shape({"anyOf": [shape.schema, NULL]}, shape.examples | st.just(Example(None, None, None)))


@st.composite
def objects(draw: st.DrawFn, shapes: st.SearchStrategy[Shape]) -> Shape:
    properties = draw(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), shapes, min_size=1, max_size=3))
    required = [name for name in properties if draw(st.booleans())]
    parts = {name: st.none() | shape.examples for name, shape in properties.items()}
    for name in required:
        parts[name] = properties[name].examples

    def joined(given: dict[str, Example | None]) -> Example:
        there = {name: example for name, example in given.items() if example is not None}
        return Example(
            {name: example.original for name, example in there.items()},
            {name: example.strict if example else None for name, example in given.items()},
            {name: e.back for name, e in there.items() if e.back is not None or name in required},
        )

    closing = draw(st.sampled_from([{}, {"additionalProperties": False}]))
    schema = {"type": "object", "properties": {name: shape.schema for name, shape in properties.items()}}
    return Shape({**schema, "required": required, **closing}, st.fixed_dictionaries(parts).map(joined))


SHAPES = st.recursive(LEAVES, lambda inner: inner.map(list_of) | inner.map(or_null) | objects(inner), max_leaves=8)


@st.composite
def tool_schemas(draw: st.DrawFn) -> tuple[Schema, Example]:
    shape = draw(objects(SHAPES))
    return {**shape.schema, "$defs": {"Name": {"type": "string"}}}, draw(shape.examples)


@FUZZ
@given(tool_schemas())
def test_a_strict_schema_accepts_what_the_original_accepts_once_what_is_left_out_is_null(
    drawn: tuple[Schema, Example],
) -> None:
    schema, example = drawn
    Draft202012Validator(schema).validate(example.original)

    strict = strict_schema(schema)

    Draft202012Validator.check_schema(strict)
    Draft202012Validator(strict).validate(example.strict)


@FUZZ
@given(tool_schemas())
def test_what_a_strict_model_writes_comes_back_as_the_tool_takes_it(drawn: tuple[Schema, Example]) -> None:
    schema, example = drawn

    back = without_forced_nulls(schema, example.strict)

    assert back == example.back
    Draft202012Validator(schema).validate(back)


@FUZZ
@given(tool_schemas())
def test_every_object_of_a_strict_schema_is_closed_and_asks_for_all_it_has(drawn: tuple[Schema, Example]) -> None:
    def objects_in(node: Any) -> list[Schema]:
        if isinstance(node, list):
            return [found for item in node for found in objects_in(item)]
        if not isinstance(node, dict):
            return []
        own = [node] if node.get("type") == "object" else []
        return own + [found for item in node.values() for found in objects_in(item)]

    found = objects_in(strict_schema(drawn[0]))

    assert found
    assert [(sorted(node["properties"]), False) for node in found] == [
        (sorted(node["required"]), node["additionalProperties"]) for node in found
    ]


@FUZZ
@given(tool_schemas())
def test_anthropic_s_strict_schema_accepts_what_the_original_accepts(drawn: tuple[Schema, Example]) -> None:
    schema, example = drawn

    Draft202012Validator(strict_schema(schema, all_required=False)).validate(example.original)
