"""The published schema and the loader agree."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from mcp_evals.errors import InvalidFileError
from mcp_evals.suites.documents import parse_document
from mcp_evals.suites.reading import read_suite
from mcp_evals.suites.schema import suite_schema

DEMO = Path(__file__).parents[2] / "mcp_evals" / "demo" / "assistant.yaml"


def accepts(document: object) -> bool:
    return Draft202012Validator(suite_schema()).is_valid(document)


def test_the_schema_is_one_of_2020_12_and_names_no_host_of_ours():
    schema = suite_schema()

    Draft202012Validator.check_schema(schema)
    assert ("https://json-schema.org/draft/2020-12/schema", "urn:mcp-evals:suite:1") == (
        schema["$schema"],
        schema["$id"],
    )
    assert 1 == json.dumps(schema).count("://")


def test_every_field_of_a_suite_and_a_case_is_described():
    schema = suite_schema()

    for properties in (
        schema["properties"],
        schema["$defs"]["Case"]["properties"],
        schema["$defs"]["Expect"]["properties"],
    ):
        assert {} == {name: field for name, field in properties.items() if not field.get("description")}


def test_the_built_in_suite_fits_the_schema():
    assert accepts(parse_document(DEMO.read_bytes(), "yaml").value)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"user": ["u", "v"]},
        {"tools": [{"name": "f", "inputSchema": {}}, {"type": "function", "function": {"name": "g"}}, {"file": "t.json"}, {"server": "s"}]},
        {"history": [{"role": "user", "content": "u"}, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}]},
        {"expect": {"calls": [{"tool": "f", "args": {"a": {"any": True}}, "critics": [{"field": "a", "kind": "range", "low": 1, "weight": "high"}]}]}},
        {"expect": {"text": [{"contains": "x"}, {"judged": "y", "weight": 2}, {"json_schema": {"type": "object"}}]}},
        {"metrics": {"m": 0.5, "n": {"threshold": 1}}},
        {"usr": "u"},
        {"user": 5},
        {"user": []},
        {"tags": "x"},
        {"max_steps": 0},
        {"tools": [{"server": "s", "x": 1}]},
        {"history": [{"role": "bot", "text": "x"}]},
        {"expect": {"text": [{"contain": "x"}]}},
        {"expect": {"calls": [{"tool": "f", "critics": [{"field": "a"}]}]}},
        {"expect": {"calls": [{"tool": "f", "critics": [{"field": "a", "kind": "numerc"}]}]}},
        {"metrics": {"m": "x"}},
        {"by_track": {"t": {"expct": {}}}},
    ],
)  # fmt: skip
def test_the_schema_accepts_what_loads_and_refuses_what_does_not(change: dict[str, object]):
    document = {"$schema": "./suite.schema.json", "name": "x", "cases": [{"id": "a", "user": "u", **change}]}
    try:
        read_suite(json.dumps(document).encode(), Path("s.json"))
        loads = True
    except InvalidFileError:
        loads = False

    assert loads == accepts(document)
