"""Python functions as tools: every way to say what a parameter is, and what is refused."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from fakes import called
from pydantic import BaseModel, Field

from mcp_evals.conversation import ToolDefinition
from mcp_evals.errors import UsageError
from mcp_evals.python_tools import tools_from_functions
from mcp_evals.scoring.case import score_case
from mcp_evals.suites.files import load_suite
from mcp_evals.suites.validate import validate_suite
from mcp_evals.tool_lint import lint_tools

EXAMPLE = Path(__file__).parent.parent / "examples" / "python_tools" / "suite.py"


class Unit(StrEnum):
    """Unit of temperature."""

    CELSIUS = "C"
    KELVIN = "K"


class Place(BaseModel):
    """Where."""

    title: str
    """What people call it."""
    height_m: float = 0


class Node(BaseModel):
    value: int
    following: "Node | None" = None


@dataclass
class Point:
    x: float
    y: float = 0


def parameters_of(function: Callable[..., Any]) -> dict[str, Any]:
    (tool,) = tools_from_functions(function)
    return tool.parameters


def test_a_function_becomes_the_tool_that_its_author_wrote():
    def forecast(
        city: Annotated[str, "City, such as Oslo."],
        days: Annotated[int, Field(description="How many days.", ge=1, le=14)] = 3,
        unit: Literal["C", "K"] = "C",
        station: str | None = None,
    ) -> str:
        """Weather of the next days.

        Uses the nearest station.

        Args:
            city: Not this one, the hint is nearer.
            unit (str, optional): Unit of temperature,
                in both columns.
            station: Number of the station: four digits.

        Returns:
            A table.
        """
        raise AssertionError(city, days, unit, station)

    (tool,) = tools_from_functions(forecast)

    assert tool == ToolDefinition(
        name="forecast",
        description="Weather of the next days.\n\nUses the nearest station.",
        input_schema={
            "type": "object",
            "properties": {
                "city": {"description": "City, such as Oslo.", "type": "string"},
                "days": {"default": 3, "description": "How many days.", "maximum": 14, "minimum": 1, "type": "integer"},
                "unit": {
                    "default": "C",
                    "description": "Unit of temperature, in both columns.",
                    "enum": ["C", "K"],
                    "type": "string",
                },
                "station": {"type": "string", "description": "Number of the station: four digits."},
            },
            "required": ["city"],
        },
    )
    assert ["city", "days", "unit", "station"] == list(tool.parameters)
    assert ["no-read-only-hint"] == [finding.rule for finding in lint_tools([tool])]


NUMPY = """Weather.

Parameters
----------
city : str
    City, such as Oslo.

    Or a village.
a, b : int, optional
    Bounds.

Returns
-------
table : str
    All of it.
"""
SPHINX = """Weather.

:param city: City, such as Oslo.

    Or a village.
:param int a: Bounds.
:type b: int
:param b: Bounds.
:returns: All of it.
"""


@pytest.mark.parametrize("docstring", [NUMPY, SPHINX])
def test_docstrings_of_other_schools_are_read(docstring: str):
    def forecast(city: str, a: int, b: int) -> None:
        raise AssertionError(city, a, b)

    forecast.__doc__ = docstring

    (tool,) = tools_from_functions(forecast)

    assert "Weather." == tool.description
    assert {"city": "City, such as Oslo. Or a village.", "a": "Bounds.", "b": "Bounds."} == {
        name: schema["description"] for name, schema in tool.parameters.items()
    }


def test_a_colon_in_a_description_begins_no_section():
    def count() -> None:
        """Count what is there.

        Known things:
            apples: Red or green.
        """

    (tool,) = tools_from_functions(count)

    assert "Count what is there.\n\nKnown things:\n    apples: Red or green." == tool.description


def test_types_are_written_out_where_they_are_used():
    def store(unit: Unit, place: Place, points: list[Point], day: date, tags: dict[str, int]) -> None:
        raise AssertionError(unit, place, points, day, tags)

    assert parameters_of(store) == {
        "unit": {"description": "Unit of temperature.", "enum": ["C", "K"], "type": "string"},
        "place": {
            "description": "Where.",
            "properties": {"title": {"type": "string"}, "height_m": {"default": 0, "type": "number"}},
            "required": ["title"],
            "type": "object",
        },
        "points": {
            "items": {
                "properties": {"x": {"type": "number"}, "y": {"default": 0, "type": "number"}},
                "required": ["x"],
                "type": "object",
            },
            "type": "array",
        },
        "day": {"format": "date", "type": "string"},
        "tags": {"additionalProperties": {"type": "integer"}, "type": "object"},
    }


def test_a_type_that_holds_itself_stays_a_reference():
    def walk(node: Node) -> None:
        raise AssertionError(node)

    (tool,) = tools_from_functions(walk)

    assert {"$ref": "#/$defs/Node"} == tool.parameters["node"]
    definitions: Any = tool.input_schema["$defs"]
    assert ["value", "following"] == list(definitions["Node"]["properties"])


def test_what_may_be_left_out_and_what_may_be_null_are_two_things():
    def search(
        must: str | None,
        may: str | None = None,
        either: int | str | None = None,
        odd: int = None,  # noqa: RUF013  some write it so
        said: str | None = "x",
    ) -> None:
        raise AssertionError(must, may, either, odd, said)

    (tool,) = tools_from_functions(search)

    nullable = [{"type": "string"}, {"type": "null"}]
    assert ["must"] == tool.input_schema["required"]
    assert tool.parameters == {
        "must": {"anyOf": nullable},
        "may": {"type": "string"},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "odd": {"type": "integer"},
        "said": {"anyOf": nullable, "default": "x"},
    }


def test_a_parameter_without_a_hint_takes_the_type_of_its_default():
    def search(anything, limit=10, exact=False, name="x"):
        raise AssertionError(anything, limit, exact, name)

    assert parameters_of(search) == {
        "anything": {},
        "limit": {"default": 10, "type": "integer"},
        "exact": {"default": False, "type": "boolean"},
        "name": {"default": "x", "type": "string"},
    }


def test_a_field_as_default_says_default_and_description():
    def search(limit: int = Field(10, description="How many.", le=50), key: str = Field(description="Which.")) -> None:
        raise AssertionError(limit, key)

    (tool,) = tools_from_functions(search)

    assert tool.parameters == {
        "limit": {"default": 10, "description": "How many.", "maximum": 50, "type": "integer"},
        "key": {"description": "Which.", "type": "string"},
    }
    assert ["key"] == tool.input_schema["required"]


def test_names_that_mean_something_to_pydantic_are_names_like_others():
    def f(schema: str, model_config: str, json: str, _private: int, copy: bool, title: str) -> None:
        raise AssertionError(schema, model_config, json, _private, copy, title)

    assert ["schema", "model_config", "json", "_private", "copy", "title"] == list(parameters_of(f))


def test_a_default_that_is_no_json_is_left_out():
    marker = object()

    def f(a: Any = marker, b: list[int] = [1]) -> None:  # noqa: B006
        raise AssertionError(a, b)

    (tool,) = tools_from_functions(f)

    assert {"a": {}, "b": {"default": [1], "items": {"type": "integer"}, "type": "array"}} == tool.parameters
    assert "required" not in tool.input_schema
    assert json.dumps(tool.input_schema)


def test_async_functions_and_bound_methods_are_functions_too():
    class Shop:
        def price(self, article: str) -> None:
            """Price."""
            raise AssertionError(article)

    async def order(article: str) -> None:
        """Order."""
        raise AssertionError(article)

    tools = tools_from_functions(Shop().price, order)

    assert [("price", "Price.", ["article"]), ("order", "Order.", ["article"])] == [
        (tool.name, tool.description, list(tool.parameters)) for tool in tools
    ]


def nameless(*, _f: Callable[[], None] = lambda: None) -> Callable[[], None]:
    return _f


def many(*names: str) -> None:
    raise AssertionError(names)


def more(**options: str) -> None:
    raise AssertionError(options)


def opaque(thing: object, call: Callable[[int], int]) -> None:
    raise AssertionError(thing, call)


class Unknown:
    def method(self) -> None:
        raise AssertionError


def stranger(unknown: Unknown) -> None:
    raise AssertionError(unknown)


def dangling(later: "NotDefinedAnywhere") -> None:  # noqa: F821
    raise AssertionError(later)


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (nameless(), "has no name that a model could call; define it with `def`"),
        (many, r"many\(\) takes \*names, which no schema can describe; name the parameters"),
        (more, r"more\(\) takes \*\*options"),
        (opaque, r"opaque\(\) cannot become a tool: Cannot generate a JsonSchema for core_schema.CallableSchema"),
        (stranger, r"stranger\(\) cannot become a tool: Unable to generate pydantic-core schema for .*Unknown"),
        (dangling, r"dangling\(\) cannot become a tool: name 'NotDefinedAnywhere' is not defined"),
        (Unknown.method, r"method\(\) is a method without its object; give the bound method"),
    ],
)
def test_what_no_schema_can_say_is_refused_with_the_reason(function: Callable[..., Any], problem: str):
    with pytest.raises(UsageError, match=problem):
        tools_from_functions(function)


def test_the_example_writes_a_suite_that_its_functions_answer_to(tmp_path: Path):
    path = tmp_path / "lights.yaml"

    subprocess.run([sys.executable, EXAMPLE, path], check=True, capture_output=True)

    suite = load_suite(path).suite
    assert ["switch_light", "dim_light"] == [tool.name for tool in suite.tools_of(suite.cases[0])]
    assert () == validate_suite(suite).problems
    # The default of `percent` is as good as 50 itself.
    (half,) = (case for case in suite.cases if case.id == "half")
    said = called(("dim_light", {"room": "hall"}))
    assert 1.0 == score_case(half, said, suite.rubric_of(half), tools=suite.tools_of(half)).score
