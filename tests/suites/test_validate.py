"""Suites against the tools that they offer."""

from pathlib import Path

import pytest

from mcp_evals.suites.files import load_suite
from mcp_evals.suites.reading import read_suite
from mcp_evals.suites.validate import validate_suite

DEMO = Path(__file__).parents[2] / "mcp_evals" / "demo" / "assistant.yaml"
TOOLS = """name: x
tools:
  - name: get_weather
    input_schema:
      type: object
      properties:
        city: {type: string}
        days: {type: integer, default: 1}
        at: {type: object, properties: {lat: {type: number}}, additionalProperties: false}
        tags: {type: array, items: {type: string}}
      required: [city]
  - {name: delete_file, input_schema: {type: object, properties: {path: {type: string}}}}
  - {name: anything, input_schema: {type: object, additionalProperties: true, properties: {}}}
"""
CITY = "tool: get_weather, args: {city: Oslo"


def findings(cases: str, head: str = TOOLS) -> tuple[list[str], list[str]]:
    """Problems and warnings, without the name of the file."""
    loaded = read_suite(f"{head}cases:\n{cases}".encode(), Path("s.yaml"))
    found = validate_suite(loaded.suite, loaded)
    problems, warnings = ([str(problem).removeprefix("s.yaml:") for problem in group] for group in found)
    return problems, warnings


def expecting(expect: str) -> tuple[list[str], list[str]]:
    """What is found in a case with this expectation, without the place of the expectation."""
    problems, warnings = findings(f"  - {{id: a, user: u, expect: {{{expect}}}}}\n")
    return tuple([problem.removeprefix("15: cases[0].expect.") for problem in group] for group in (problems, warnings))  # pyright: ignore[reportReturnType]


def test_the_built_in_suite_has_nothing_wrong():
    loaded = load_suite(DEMO)

    assert ((), ()) == validate_suite(loaded.suite, loaded)


@pytest.mark.parametrize(
    "expect",
    [
        f"calls: [{{{CITY}, days: 2, at: {{lat: 1.5}}, tags: [a]}}}}]",
        "calls: [{tool: Get-Weather, args: {city: Oslo}}]",
        "calls: [{tool: get_weather, args: {city: {any: true}, days: {one_of: [1, 2]}, at: {optional: {lat: {any: true}}}, tags: [{any: true}]}}]",
        "calls: [{tool: anything, args: {whatever: 1}}]",
        f"calls: [{{{CITY}}}, critics: [{{field: days, kind: range, low: 1}}, {{field: days, kind: exact}}]}}]",
        f"calls: [{{{CITY}, at: {{lat: 1}}}}, critics: [{{field: at.lat, kind: numeric, tolerance: 1}}]}}]",
        "require: [get_weather], forbid: [delete_file]",
    ],
)
def test_what_fits_the_tools_is_not_complained_about(expect: str):
    assert ([], []) == expecting(expect)


@pytest.mark.parametrize(
    ("expect", "problem"),
    [
        ("calls: [{tool: get_wether}]", 'calls[0].tool: no tool "get_wether"; did you mean "get_weather"?'),
        ("require: [xyz]", 'require[0]: no tool "xyz"; there is get_weather, delete_file, anything'),
        ("forbid: [delete]", 'forbid[0]: no tool "delete"; did you mean "delete_file"?'),
        (f"calls: [{{{CITY}, day: 1}}}}]", 'calls[0].args.day: "get_weather" has no argument "day"; did you mean "days"?'),
        (f"calls: [{{{CITY}, days: '2'}}}}]", "calls[0].args.days: does not fit the tool's schema: '2' is not of type 'integer'"),
        (f"calls: [{{{CITY}, days: {{one_of: [1, two]}}}}}}]", "calls[0].args.days: does not fit the tool's schema: 'two' is not of type 'integer'"),
        (f"calls: [{{{CITY}, days: {{optional: x}}}}}}]", "calls[0].args.days: does not fit the tool's schema: 'x' is not of type 'integer'"),
        (f"calls: [{{{CITY}, at: {{lat: x}}}}}}]", "calls[0].args.at.lat: does not fit the tool's schema: 'x' is not of type 'number'"),
        (f"calls: [{{{CITY}, tags: [a, 5]}}}}]", "calls[0].args.tags[1]: does not fit the tool's schema: 5 is not of type 'string'"),
        (f"calls: [{{{CITY}}}, critics: [{{field: at.lat, kind: exact}}]}}]", 'calls[0].critics[0].field: no argument "at.lat" is expected that it could compare with; there is city'),
        (f"calls: [{{{CITY}}}, critics: [{{field: town, kind: one_of, values: [x]}}]}}]", 'calls[0].critics[0].field: "get_weather" has no argument "town"; there is city, days, at, tags'),
        (f"calls: [{{{CITY}}}, critics: [{{field: city, kind: custom, name: mine}}]}}]", 'calls[0].critics[0].name: no critic "mine" is installed'),
        (f"calls: [{{{CITY}}}, critics: [{{field: city, kind: numeric, tolerance: 1}}]}}]", 'calls[0].args.city: even the expected value would lose score here: "Oslo" is not a number'),
        (f"calls: [{{{CITY}}}, critics: [{{field: city, kind: one_of, values: [Bergen]}}]}}]", 'calls[0].args.city: even the expected value would lose score here: "Oslo" is none of ["Bergen"]'),
        (f"calls: [{{{CITY}, at: {{lat: 5}}}}, critics: [{{field: at.lat, kind: range, high: 4}}]}}]", "calls[0].args.at.lat: even the expected value would lose score here: 5 is above 4"),
        (f"calls: [{{{CITY}}}}}], forbid: [GET_WEATHER]", 'forbid[0]: "GET_WEATHER" is forbidden, and expected'),
        ("require: [delete_file], forbid: [delete_file]", 'forbid[0]: "delete_file" is forbidden, and expected'),
        ("calls: [], require: [delete_file]", "require: asks for a call, and `calls: []` forbids all"),
    ],
)  # fmt: skip
def test_an_expectation_that_does_not_fit_the_tools_is_a_problem(expect: str, problem: str):
    assert ([problem], []) == expecting(expect)


def test_a_required_argument_that_nobody_expects_is_a_warning():
    message = '"get_weather" requires "city", and a value that nobody expects costs score; expect one, or {any: true}'

    assert ([], [f"calls[0]: {message}"]) == expecting("calls: [{tool: get_weather}]")
    assert ([], []) == expecting("calls: [{tool: get_weather, critics: [{field: city, kind: present}]}]")
    head = TOOLS + "rubric: {extra_arguments: ignore}\n"
    assert ([], []) == findings("  - {id: a, user: u, expect: {calls: [{tool: get_weather}]}}\n", head)


def test_a_metric_that_is_not_there_or_is_asked_wrongly_is_a_mistake():
    cases = "  - {id: a, user: u, metrics: {tool_trajectory_avg_scor: 1, response_match_score: 2}}\n"

    problems, _ = findings(cases)

    assert [
        '15: cases[0].metrics.tool_trajectory_avg_scor: no metric "tool_trajectory_avg_scor"; did you mean "tool_trajectory_avg_score"?',
        "15: cases[0].metrics.response_match_score: threshold 2 makes no sense: response_match_score goes from 0 to 1",
    ] == problems


def test_a_case_that_expects_nothing_is_a_warning():
    cases = "  - {id: a, user: u}\n  - {id: b, user: u, metrics: {response_match_score: 0.5}}\n  - {id: c, turns: [{user: u, expect: {forbid: [anything]}}]}\n"

    assert ([], ["15: cases[0]: expects nothing, so it is never scored"]) == findings(cases)
    assert ([], []) == findings(cases, TOOLS + "metrics: {response_match_score: 0.5}\n")


def test_what_a_turn_asks_for_the_whole_conversation_must_not_forbid():
    cases = """  - id: a
    turns:
      - {user: u, expect: {require: [delete_file]}}
      - {user: u, expect: {forbid: [delete_file]}}
    expect: {forbid: [delete_file]}
"""

    assert (
        ['19: cases[0].expect.forbid[0]: "delete_file" is forbidden, and expected in cases[0].turns[0].expect'],
        [],
    ) == findings(cases)


def test_inherited_expectations_are_complained_about_once_where_they_are_written():
    cases = "  - {id: a, user: u, expect: {require: [xyz]}}\n  - {id: b, extends: a, user: v}\n  - {id: c, user: w}\n"
    head = TOOLS + "defaults: {expect: {forbid: [nothing]}}\n"

    assert [
        '14: defaults.expect.forbid[0]: no tool "nothing"; did you mean "anything"?',
        '16: cases[0].expect.require[0]: no tool "xyz"; there is get_weather, delete_file, anything',
    ] == findings(cases, head)[0]


# --- tracks


def test_each_track_is_checked_with_its_tools():
    head = TOOLS + "tracks:\n  short: [{name: weather}]\n  same: [{name: get_weather}, {name: delete_file}]\n"
    cases = """  - id: a
    user: u
    expect: {require: [get_weather, nope], forbid: [delete_file]}
    by_track: {terse: {skip: true}}
  - id: b
    user: u
    expect: {require: [get_weather]}
    by_track: {short: {expect: {require: [wether]}}}
  - {id: c, user: u, expect: {require: [delete_file]}, by_track: {short: {skip: true}}}
"""

    assert [
        '20: cases[0].expect.require[1]: no tool "nope"; there is get_weather, delete_file, anything',
        '20: cases[0].expect.require[0]: no tool "get_weather"; did you mean "weather"? (on track "short")',
        '20: cases[0].expect.require[1]: no tool "nope"; there is weather (on track "short")',
        '20: cases[0].expect.require[1]: no tool "nope"; there is get_weather, delete_file (on track "same")',
        '21: cases[0].by_track.terse: no track "terse"; there is short, same',
        '25: cases[1].by_track.short.expect.require[0]: no tool "wether"; did you mean "weather"? (on track "short")',
    ] == findings(cases, head)[0]


def test_a_case_with_tools_of_its_own_is_checked_with_those():
    cases = "  - {id: a, user: u, tools: [{name: own}], expect: {require: [own, get_weather]}}\n"

    assert ['15: cases[0].expect.require[1]: no tool "get_weather"; there is own'] == findings(cases)[0]


def test_without_tools_nothing_is_said_of_tools():
    assert ([], []) == findings("  - {id: a, input: {}, expect: {require: [whatever]}}\n", "name: x\n")


def test_tools_that_share_a_name_are_a_problem():
    head = "name: x\ntools: [{name: f}, {name: f}]\ntracks:\n  t: [{name: g}, {name: g}]\n"

    assert [
        '2: tools: tool "f" is defined twice; remove one',
        '4: tracks.t: tool "g" is defined twice; remove one',
    ] == findings("  - {id: a, user: u, expect: {calls: []}}\n", head)[0]


# --- schemas that are no schemas


def test_a_schema_that_cannot_be_used_is_a_warning_and_nothing_is_fetched():
    head = """name: x
tools:
  - {name: odd, input_schema: {type: 5}}
  - {name: far, input_schema: {type: object, properties: {a: {$ref: "http://127.0.0.1:9/schema"}}}}
  - {name: ring, input_schema: {type: object, properties: {a: {$ref: "#/properties/a"}}}}
  - {name: bad, input_schema: {type: object, properties: {a: {type: string, pattern: "("}}}}
"""
    calls = ", ".join(f"{{tool: {name}, args: {{a: x}}}}" for name in ("odd", "far", "ring", "bad"))

    problems, warnings = findings(f"  - {{id: a, user: u, expect: {{calls: [{calls}]}}}}\n", head)

    assert [] == problems
    assert [
        '2: tools: the input schema of "odd" is no JSON Schema: 5 is not valid under any of the given schemas',
        '2: tools: the input schema of "far" cannot be followed: Unresolvable: http://127.0.0.1:9/schema',
        '2: tools: the input schema of "ring" cannot be followed',
        "2: tools: the input schema of \"bad\" is no JSON Schema: '(' is not a 'regex'",
    ] == [warning.partition(": maximum recursion")[0] for warning in warnings]


def test_without_the_file_places_are_named_without_lines():
    loaded = read_suite(
        b"name: x\ntools: [{name: f}]\ncases: [{id: a, user: u, expect: {require: [g]}}]\n", Path("s.yaml")
    )

    assert ['cases[0].expect.require[0]: no tool "g"; there is f'] == [
        str(p) for p in validate_suite(loaded.suite).problems
    ]
