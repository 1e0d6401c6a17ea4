"""Saving into users' files: valid or not at all, whole at every moment, and nobody's change is lost."""

import stat
from pathlib import Path

import pytest

from mcp_evals.errors import InvalidFileError, NotFoundError, UsageError
from mcp_evals.suites import saving
from mcp_evals.suites.files import load_suite
from mcp_evals.suites.saving import new_suite, save_case, write_suite

DEMO = Path(__file__).parents[2] / "mcp_evals" / "demo" / "assistant.yaml"
SUITE = """# checked by hand
name: x
cases:
  - id: a   # keep me
    user: Hello

  # about b
  - {id: b, user: u}
"""


@pytest.fixture
def suite(tmp_path) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(SUITE)
    return path


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


# --- a case


def test_a_case_is_changed_and_comments_and_order_stay(suite):
    change = save_case(suite, {"id": "a", "user": "Hello", "expect": {"calls": []}})

    assert not change.created
    assert [
        f"--- {suite}",
        f"+++ {suite}",
        "@@ -3,6 +3,8 @@",
        " cases:",
        "   - id: a   # keep me",
        "     user: Hello",
        "+    expect:",
        "+      calls: []",
        " ",
        "   # about b",
        "   - {id: b, user: u}",
        "",
    ] == change.diff.split("\n")
    assert SUITE.replace("Hello\n", "Hello\n    expect:\n      calls: []\n") == suite.read_text()
    assert ["a", "b"] == [case.id for case in load_suite(suite).suite.cases]


def test_a_new_case_is_added_as_the_last(suite):
    change = save_case(suite, {"id": "c", "user": "v"})

    assert change.created
    assert SUITE + "\n  - {id: c, user: v}\n" == suite.read_text()


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ({"id": "c", "usr": "v"}, ':10: cases[2].usr: unknown key; did you mean "user"?'),
        ({"user": "v"}, ":10: cases[2].id: is missing"),
        ({"id": "b", "user": "v", "extends": "c"}, ':8: cases[1].extends: no earlier case "c"; there is a'),
        ({"id": "b", "user": float("nan")}, ": is no JSON: Out of range float values are not JSON compliant"),
    ],
)
def test_a_case_that_would_be_wrong_is_not_written(suite, case: dict[str, object], problem: str):
    with pytest.raises(InvalidFileError) as raised:
        save_case(suite, case)

    assert f"{suite}{problem}" == str(raised.value)
    assert SUITE == suite.read_text()
    assert ["s.yaml"] == names_in(suite.parent)


def test_a_broken_case_can_be_mended(suite):
    suite.write_text("name: x\ncases:\n  - {id: a, usr: u}\n")

    save_case(suite, {"id": "a", "user": "u"})

    assert "name: x\ncases:\n  - {id: a, user: u}\n" == suite.read_text()


def test_json_and_json_lines_are_saved_too(tmp_path):
    (tmp_path / "s.json").write_text('{\n  "name": "x",\n  "cases": [\n    {"id": "a", "user": "u"}\n  ]\n}\n')
    (tmp_path / "s.jsonl").write_text('{"name": "x"}\n{"id": "a", "user": "u"}\n')

    for name in ("s.json", "s.jsonl"):
        save_case(tmp_path / name, {"id": "a", "user": "v"})

    assert (
        '{\n  "name": "x",\n  "cases": [\n    {"id": "a", "user": "v"}\n  ]\n}\n' == (tmp_path / "s.json").read_text()
    )
    assert '{"name": "x"}\n{"id": "a", "user": "v"}\n' == (tmp_path / "s.jsonl").read_text()


def test_a_byte_order_mark_and_windows_line_ends_stay(suite):
    suite.write_bytes(b"\xef\xbb\xbfname: x\r\ncases:\r\n  - id: a\r\n    user: u\r\n")

    save_case(suite, {"id": "b", "user": "é"})

    assert (
        "\ufeffname: x\r\ncases:\r\n  - id: a\r\n    user: u\r\n  - id: b\r\n    user: é\r\n".encode()
        == suite.read_bytes()
    )


def test_the_mode_of_the_file_and_a_link_to_it_stay(suite):
    suite.chmod(0o640)
    link = suite.with_name("link.yaml")
    link.symlink_to(suite)

    save_case(link, {"id": "c", "user": "v"})

    assert link.is_symlink()
    assert 0o640 == stat.S_IMODE(suite.stat().st_mode)
    assert "c" == load_suite(suite).suite.cases[-1].id


def test_a_change_made_meanwhile_is_not_overwritten(suite, monkeypatch):
    def read_then_change(content: bytes, path: Path) -> None:
        suite.write_text("name: theirs\n")

    monkeypatch.setattr(saving, "read_suite", read_then_change)

    with pytest.raises(UsageError) as raised:
        save_case(suite, {"id": "c", "user": "v"})

    assert f"{suite} was changed by somebody else meanwhile; try again" == str(raised.value)
    assert "name: theirs\n" == suite.read_text()
    assert ["s.yaml"] == names_in(suite.parent)


def test_a_missing_file_is_not_made(tmp_path):
    with pytest.raises(NotFoundError):
        save_case(tmp_path / "none.yaml", {"id": "a", "user": "u"})

    assert [] == names_in(tmp_path)


# --- a new suite


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("new.yaml", "version: 1\nname: shop\nsystem: Be brief.\ntools:\n  - {server: shop}\ncases: []\n"),
        (
            "new.json",
            (
                '{\n  "version": 1,\n  "name": "shop",\n  "system": "Be brief.",\n  "tools": [\n    {\n      "server": "shop"\n    }\n'
                '  ],\n  "cases": []\n}\n'
            ),
        ),
        ("new.jsonl", '{"version": 1, "name": "shop", "system": "Be brief.", "tools": [{"server": "shop"}]}\n'),
    ],
)
def test_a_new_suite_can_take_cases(tmp_path, name: str, text: str):
    path = tmp_path / "folder" / name

    change = new_suite(path, "shop", {"system": "Be brief.", "tools": [{"server": "shop"}]})

    assert (True, text) == (change.created, path.read_text())
    assert f"+{text.splitlines()[0]}" in change.diff.splitlines()
    save_case(path, {"id": "a", "user": "u"})
    assert ["a"] == [case.id for case in load_suite(path).suite.cases]


def test_a_new_suite_does_not_replace_a_file_and_must_be_right(suite):
    with pytest.raises(UsageError) as raised:
        new_suite(suite, "y")
    assert f"{suite} exists; save a case into it, or choose another name" == str(raised.value)

    other = suite.with_name("other.yaml")
    with pytest.raises(InvalidFileError) as wrong:
        new_suite(other, "y", {"systm": "S"})
    assert f'{other}:3: systm: unknown key; did you mean "system"?' == str(wrong.value)
    assert not other.exists()


# --- a whole suite


@pytest.mark.parametrize("name", ["copy.yaml", "copy.json", "copy.jsonl"])
def test_a_suite_that_is_written_loads_as_the_same(tmp_path, name: str):
    loaded = load_suite(DEMO)

    write_suite(loaded.suite, tmp_path / name)

    copy = load_suite(tmp_path / name)
    assert (loaded.suite, loaded.suite.digest) == (copy.suite, copy.suite.digest)


def test_everything_that_a_suite_can_say_survives(tmp_path):
    path = tmp_path / "all.yaml"
    path.write_text(
        """$schema: ./schema.json
version: 1
name: all
description: d
system: |
  Be brief.
  Be kind.
tools:
  - {name: f, description: d, inputSchema: {type: object, properties: {b: {type: string}, a: {type: integer}}}}
  - {file: t.json}
  - {server: shop, only: [g]}
tracks: {terse: [{file: u.json}]}
rubric: {fail_below: 0.8, warn_below: 0.9}
defaults: {max_steps: 6, tags: [all]}
judge: {samples: 3}
metrics: {m: 0.5, n: {threshold: 1, options: {x: [1, null]}}}
metadata: {k: {l: [1.5, "1.5", true, null]}}
cases:
  - id: a
    user: [u, v]
    history: [{role: assistant, content: c, tool_calls: [{id: i, function: {name: f, arguments: "{oops"}}]}]
    expect:
      calls:
        - {tool: f, args: {b: "01", a: {one_of: [1, 2]}}, returns: null}
        - {tool: f, fails: no, critics: [{field: a, kind: numeric, tolerance: 0.5, weight: high}, {field: b, kind: exact}]}
      order: in_order
      text: [{contains: "yes: x", ignore_case: true}, {judged: is kind, weight: 2}, {json_schema: {type: object}}]
      limits: {steps: 4}
      state: {done: true}
    by_track: {terse: {expect: {forbid: [f]}, rubric: {fail_below: 0.5}}}
  - {id: b, extends: a, user: w, rubric: {fail_below: 0.8}, group: g}
  - {id: c, input: {x: 1}, tags: [t], tools: [], metrics: {}, max_steps: 2}
  - {id: d, scenario: {opening: o, plan: p, replies: [r]}}
  - {id: e, turns: [{user: t1, expect: {calls: []}}, {user: t2}]}
"""
    )
    loaded = load_suite(path)

    write_suite(loaded.suite, tmp_path / "copy.yaml")

    copy = load_suite(tmp_path / "copy.yaml").suite
    assert loaded.suite == copy
    assert loaded.suite.digest == copy.digest
    assert copy.cases[0].expect.calls is not None
    assert [True, True] == [call.stubbed for call in copy.cases[0].expect.calls]
