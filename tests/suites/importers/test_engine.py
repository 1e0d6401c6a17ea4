"""Cases of the agent engine harness become suites."""

from pathlib import Path

import pytest

from mcp_evals.errors import InvalidFileError
from mcp_evals.suite import Case, Expect, Limits, Suite
from mcp_evals.suites.files import load_suite
from mcp_evals.suites.importers.engine import read_engine_cases
from mcp_evals.suites.saving import write_suite
from mcp_evals.text_expectations import Contains

JSON_LINES = """{"id": "sum", "category": "math", "input": {"prompt": "2+2"}, "expected": {"must_call_tools": ["calc"], \
"must_not_call_tools": ["rm"], "output_must_contain": ["4", "four"], "max_tokens": 0}}

{"id": "free", "category": "", "input": {}, "expected": {"max_tokens": null}}
{"id": "bare", "input": {}}
"""
YAML = """- id: sum
  category: math
  input: {prompt: 2+2}
  expected: {must_call_tools: [calc], must_not_call_tools: [rm], output_must_contain: ["4", four], max_tokens: 0}
- {id: free, category: "", input: {}, expected: {max_tokens: null}}
- {id: bare, input: {}}
"""
SUITE = Suite(
    name="cases",
    cases=(
        Case(
            id="sum",
            tags=("math",),
            input={"prompt": "2+2"},
            expect=Expect(
                require=("calc",),
                forbid=("rm",),
                text=(Contains(contains="4"), Contains(contains="four")),
                limits=Limits(output_tokens=0),
            ),
        ),
        Case(id="free", input={}),
        Case(id="bare", input={}),
    ),
)


@pytest.mark.parametrize(("name", "text"), [("cases.jsonl", JSON_LINES), ("cases.yaml", YAML)])
def test_category_becomes_a_tag_and_the_four_expectations_become_gates(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_text(text)

    assert SUITE == read_engine_cases(tmp_path / name)


def test_an_object_with_cases_is_read_too(tmp_path: Path):
    (tmp_path / "cases.json").write_text('{"cases": [{"id": "bare", "input": {}}]}')

    assert (Case(id="bare", input={}),) == read_engine_cases(tmp_path / "cases.json").cases


def test_the_suite_can_be_written_and_loaded(tmp_path: Path):
    write_suite(SUITE, tmp_path / "out.yaml")

    assert """version: 1
name: cases
cases:
  - id: sum
    tags: [math]
    input: {prompt: 2+2}
    expect:
      require: [calc]
      forbid: [rm]
      text:
        - {contains: "4"}
        - {contains: four}
      limits: {output_tokens: 0}
  - id: free
    input: {}
  - id: bare
    input: {}
""" == (tmp_path / "out.yaml").read_text()
    assert SUITE == load_suite(tmp_path / "out.yaml").suite


@pytest.mark.parametrize(
    ("name", "text", "problems"),
    [
        (
            "cases.yaml",
            "- {id: a, input: x, kategory: c}\n- {id: b, input: {}, expected: {must_call: [f], max_tokens: -1}}\n- {input: {}}\n- {id: d, input: {}}\n- {id: d, input: {}}\n",
            [
                'cases.yaml:1: [0].input: must be an object, not the text "x"',
                'cases.yaml:1: [0].kategory: unknown key; did you mean "category"?',
                "cases.yaml:2: [1].expected.max_tokens: must be at least 0, not the number -1",
                'cases.yaml:2: [1].expected.must_call: unknown key; did you mean "must_call_tools"?',
                "cases.yaml:3: [2].id: is missing",
                'cases.yaml:5: [4].id: "d" is already the id of another case; choose another',
            ],
        ),
        (
            "cases.jsonl",
            '{"id": "a"}\n{"id": "b", "input": {}, "expected": {"max_tokens": "5"}}\n{\n',
            [
                "cases.jsonl:1: input: is missing",
                'cases.jsonl:2: expected.max_tokens: must be a whole number, not the text "5"; write it without quotes',
                "cases.jsonl:3: not JSON: Expecting property name enclosed in double quotes (JSON has no comments and no comma after the last entry) (column 2)",
            ],
        ),
        ("cases.json", '{"case": []}', ['cases.json: must be a list of cases, or {"cases": [...]}']),
    ],
)  # fmt: skip
def test_every_mistake_is_named_with_its_place(tmp_path: Path, name: str, text: str, problems: list[str]):
    (tmp_path / name).write_text(text)

    with pytest.raises(InvalidFileError) as raised:
        read_engine_cases(tmp_path / name)

    assert problems == str(raised.value).replace(f"{tmp_path}/", "").split("\n")
