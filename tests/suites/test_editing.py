"""Changing one case in a text: it says what was asked for, and every other character stays."""

import json
from difflib import unified_diff
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_evals.errors import UsageError
from mcp_evals.suites.documents import Form
from mcp_evals.suites.editing import put_case
from mcp_evals.suites.yaml_text import read_yaml
from mcp_evals.suites.yaml_writing import yaml_object

YAML = """# my suite
version: 1   # one
name: x
cases:
  # first
  - id: a   # the a
    user: 'Hello'     # greeting
    tags: [x,   y]

    expect:
      calls:
        # the call
        - {tool: f, args: {city: Oslo}}   # oslo
        - tool: g
          args:
            a: 1   # one
            b: "two"
      order: any
    # behind a

  # second
  - id: b
    system: |
      # heading
      text
    user:
  - {id: c, user: flow}

# the end
metadata: {k: v}
"""
A = read_yaml(YAML, "")["cases"][0]


def changed(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**json.loads(json.dumps(A)), **changes}.items() if value is not ...}


def difference(text: str, case: dict[str, Any], form: Form = "yaml") -> str:
    """The lines that are not as they were."""
    after = put_case(text, form, case).text
    lines = list(unified_diff(text.splitlines(keepends=True), after.splitlines(keepends=True), n=0))
    return "".join(line for line in lines[2:] if not line.startswith("@@"))


# --- YAML


def test_a_case_that_is_the_same_changes_nothing():
    assert (YAML, False) == put_case(YAML, "yaml", changed())


def test_one_argument_changes_one_line_and_keeps_its_comment():
    calls = changed()["expect"]["calls"]
    calls[1]["args"]["a"] = 2

    assert """-            a: 1   # one
+            a: 2   # one
""" == difference(YAML, changed(expect={**A["expect"], "calls": calls}))


def test_an_object_in_one_line_is_written_anew_in_its_line():
    calls = [{"tool": "f", "args": {"city": "Bergen"}}, A["expect"]["calls"][1]]

    assert """-        - {tool: f, args: {city: Oslo}}   # oslo
+        - {tool: f, args: {city: Bergen}}   # oslo
""" == difference(YAML, changed(expect={**A["expect"], "calls": calls}))


def test_keys_go_and_come_in_their_places():
    calls = [*A["expect"]["calls"], {"tool": "h"}]

    assert """-    tags: [x,   y]
-      order: any
+        - {tool: h}
+    description: d
+    group: g
""" == difference(YAML, changed(tags=..., description="d", group="g", expect={"calls": calls}))


def test_a_call_too_many_goes_with_all_its_lines():
    assert """-        - tool: g
-          args:
-            a: 1   # one
-            b: "two"
""" == difference(YAML, changed(expect={**A["expect"], "calls": A["expect"]["calls"][:1]}))


def test_the_first_key_may_go_and_the_next_moves_up():
    text = "name: x\ncases:\n  - description: d\n    id: a\n    user: u\n"

    assert "name: x\ncases:\n  - id: a\n    user: u\n" == put_case(text, "yaml", {"id": "a", "user": "u"}).text


def test_a_block_of_text_and_an_empty_value_are_replaced():
    assert """-    system: |
-      # heading
-      text
-    user:
+    system: short
+    user: |-
+      one
+      two
""" == difference(YAML, {"id": "b", "system": "short", "user": "one\ntwo"})


def test_a_new_case_comes_behind_the_last_written_as_that_is():
    edited = put_case(YAML, "yaml", {"id": "d", "user": "new"})

    assert edited.created
    assert "+  - {id: d, user: new}\n" == difference(YAML, {"id": "d", "user": "new"})
    assert "  - {id: c, user: flow}\n  - {id: d, user: new}\n\n# the end\n" in edited.text


def test_a_new_case_keeps_to_blank_lines_between_cases_and_to_the_indentation():
    text = "cases:\n- id: a\n  user: u\n\n- id: b\n  user: u\n# end\nname: x\n"

    assert "+\n+- id: c\n+  user: u\n" == difference(text, {"id": "c", "user": "u"})


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (
            "name: x\ncases: []  # none yet\nrubric: {}\n",
            "name: x\ncases:  # none yet\n  - id: a\n    user: u\nrubric: {}\n",
        ),
        ("name: x\ncases:\nmetadata: {}\n", "name: x\ncases:\n  - id: a\n    user: u\nmetadata: {}\n"),
        ("name: x\n# end\n", "name: x\n# end\ncases:\n  - id: a\n    user: u\n"),
        ("name: x", "name: x\ncases:\n  - id: a\n    user: u"),
        ("name: x\ncases: [{id: b}]\n", "name: x\ncases: [{id: b}, {id: a, user: u}]\n"),
        ("name: x\ncases: [{id: a, user: v}, {id: b}]\n", "name: x\ncases: [{id: a, user: u}, {id: b}]\n"),
        (
            "name: x\r\ncases:\r\n  - id: a # c\r\n    user: v\r\n",
            "name: x\r\ncases:\r\n  - id: a # c\r\n    user: u\r\n",
        ),
    ],
)
def test_a_case_finds_its_place_however_the_cases_are_written(text: str, after: str):
    assert after == put_case(text, "yaml", {"id": "a", "user": "u"}).text


def test_a_case_that_others_refer_to_is_not_changed():
    text = "name: x\ncases:\n  - id: a\n    expect: &e {forbid: [rm]}\n  - {id: b, expect: *e}\n"

    with pytest.raises(UsageError) as raised:
        put_case(text, "yaml", {"id": "a", "expect": {}}, "s.yaml")

    assert 'case "a" cannot be written without changing others; edit s.yaml by hand' == str(raised.value)


def test_a_case_that_refers_to_others_gets_values_of_its_own():
    text = "name: x\ncases:\n  - id: a\n    expect: &e {forbid: [rm]}\n  - id: b   # b\n    expect: *e\n"

    assert "-    expect: *e\n+    expect:\n+      forbid: [mv]\n" == difference(
        text, {"id": "b", "expect": {"forbid": ["mv"]}}
    )


leaves = st.one_of(
    st.none(), st.integers(0, 3), st.sampled_from(["a", "a: b", "x\ny", "", "# no", "0123", "long " * 30])
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("kmnp"), inner, max_size=3)),
    max_leaves=8,
)
bodies = st.dictionaries(st.sampled_from(["user", "tags", "expect", "metadata", "group"]), values, max_size=4)


@settings(max_examples=200, deadline=None)
@given(bodies, bodies, bodies, st.sampled_from(["", "# c\n", "\n"]))
def test_any_case_becomes_any_other_and_nothing_else_changes(first: Any, second: Any, new: Any, between: str):
    before, behind = ({"id": name, **body} for name, body in (("a", first), ("b", second)))
    whole = yaml_object({"name": "x", "cases": [before, behind]})
    text = whole.replace("\n  - id: b", f"\n{between}  - id: b") + "\n# end\n"
    case = {"id": "a", **new}

    edited = put_case(text, "yaml", case)

    assert json.dumps({"name": "x", "cases": [case, behind]}, sort_keys=True) == json.dumps(read_yaml(edited.text, ""), sort_keys=True)  # fmt: skip
    assert edited.text.endswith(text[text.index("  - id: b") :])


# --- JSON

JSON = """{
    "name": "x",
    "cases": [
        {"id": "a", "user": "u"},
        {
            "id": "b",
            "user": "u"
        }
    ]
}
"""


def test_a_case_in_json_keeps_its_indentation_or_its_one_line():
    assert '-        {"id": "a", "user": "u"},\n+        {"id": "a", "user": "é"},\n' == difference(JSON, {"id": "a", "user": "é"}, "json")  # fmt: skip
    assert '-            "user": "u"\n+            "user": "v"\n' == difference(JSON, {"id": "b", "user": "v"}, "json")


def test_a_new_case_in_json_comes_last():
    assert """    "cases": [
        {"id": "a", "user": "u"},
        {
            "id": "b",
            "user": "u"
        },
        {
            "id": "c"
        }
    ]
}
""" == put_case(JSON, "json", {"id": "c"}).text[len('{\n    "name": "x",\n') :]
    assert '{"cases":[{"id":"a"}, {"id": "c"}]}' == put_case('{"cases":[{"id":"a"}]}', "json", {"id": "c"}).text
    assert '{\n\t"name": "x",\n\t"cases": [\n\t\t{\n\t\t\t"id": "c"\n\t\t}\n\t]\n}\n' == put_case('{\n\t"name": "x"\n}\n', "json", {"id": "c"}).text  # fmt: skip


# --- JSON lines


def test_a_case_in_json_lines_is_one_line():
    text = '{"name":"x"}\n{"id":"a"}\n{"id":"b"}'

    assert ('{"name":"x"}\n{"id": "a", "user": "u"}\n{"id":"b"}', False) == put_case(
        text, "jsonl", {"id": "a", "user": "u"}
    )
    assert ('{"name":"x"}\n{"id":"a"}\n{"id":"b"}\n{"id": "c"}\n', True) == put_case(text, "jsonl", {"id": "c"})
    assert ('{"id": "é", "user": 1}\r\n', False) == put_case('{"id": "\\u00e9"}\r\n', "jsonl", {"id": "é", "user": 1})
