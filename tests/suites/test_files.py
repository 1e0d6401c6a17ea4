"""Suites below folders, and the tools that stand in files of their own."""

import json
import os
from pathlib import Path

import pytest

from mcp_evals.conversation import ToolDefinition
from mcp_evals.errors import InvalidFileError, NotFoundError, NotPermittedError, UsageError
from mcp_evals.suite import FileTools, ServerTools
from mcp_evals.suites.files import KnownFiles, SuiteEntry, find_suites, load_suite, resolve_tools

SUITE = "name: {name}\ncases: [{{id: a, user: u}}]\n"


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def shown(entries: tuple[SuiteEntry, ...], folder: Path) -> list[tuple[str, str, list[str]]]:
    return [
        (entry.name, str(entry.path.relative_to(folder)), [str(problem).replace(f"{folder}/", "") for problem in entry.problems])
        for entry in entries
    ]  # fmt: skip


# --- loading


def test_a_suite_loads_from_each_kind_of_file(tmp_path):
    put(
        tmp_path,
        {
            "s.yaml": SUITE.format(name="x"),
            "s.json": '{"name": "x", "cases": [{"id": "a", "user": "u"}]}',
            "s.jsonl": '{"name": "x"}\n{"id": "a", "user": "u"}\n',
        },
    )

    loaded = [load_suite(tmp_path / name) for name in ("s.yaml", "s.json", "s.jsonl")]

    assert 1 == len({each.suite.digest for each in loaded})


def test_json_lines_of_more_than_200_megabytes_are_not_read(tmp_path):
    path = tmp_path / "big.jsonl"
    with path.open("wb") as file:
        file.truncate(250_000_000)

    with pytest.raises(InvalidFileError) as raised:
        load_suite(path)

    assert f"{path}: has 250 MB, more than the 200 MB that are read; split it" == str(raised.value)


# --- finding


def test_every_suite_below_the_folders_is_found_and_what_is_something_else_is_not(tmp_path):
    put(
        tmp_path,
        {
            "a.yaml": SUITE.format(name="first"),
            "deep/er/b.yml": SUITE.format(name="second"),
            "c.json": '{"name": "third", "cases": []}',
            "d.jsonl": '{"name": "fourth"}\n{"id": "a", "user": "u"}\n',
            "e.jsonl": '\n{"id": "a", "turns": [{"user": "u"}]}\n',
            "new.yaml": "version: 1\nname: empty\n",
            # something else
            "package.json": '{"name": "pkg", "version": "1.0.0"}',
            "tools.json": '{"tools": [{"name": "f"}]}',
            "list.json": "[1, 2]",
            "summary.json": '{"run": {}, "cases": {"planned": 2}}',
            "recording.jsonl": '{"recording": 1}\n{"case": "a", "transcript": {}}\n',
            "engine.jsonl": '{"id": "a", "input": {}, "expected": {}}\n',
            "people.jsonl": '{"name": "Bob", "age": 5}\n',
            "compose.yaml": "services: {web: {image: x}}\n",
            "broken.yaml": "a: [1\n",
            "broken.json": "{",
            "broken.jsonl": "nonsense\n",
            "notes.txt": SUITE.format(name="no"),
            ".hidden.yaml": SUITE.format(name="no"),
            ".git/x.yaml": SUITE.format(name="no"),
            "node_modules/x.yaml": SUITE.format(name="no"),
        },
    )

    assert [
        ("first", "a.yaml", []),
        ("third", "c.json", []),
        ("fourth", "d.jsonl", []),
        ("e", "e.jsonl", []),
        ("empty", "new.yaml", []),
        ("second", "deep/er/b.yml", []),
    ] == shown(find_suites([tmp_path]), tmp_path)


def test_a_broken_suite_is_listed_with_its_problems(tmp_path):
    put(
        tmp_path,
        {
            "a.yaml": "name: called\ncases:\n  - {id: a, usr: u}\n",
            "b.yaml": "name: x\ncases: [\n",
            "c.json": '{"name": "x", "cases": [}',
            "d.jsonl": '{"id": "a", "user": }\n',
            "e.yaml": "name: x\nversion: 2\n",
        },
    )
    (tmp_path / "f.yaml").write_bytes("name: x\ncases:\n  - {id: a, user: caf\xe9}\n".encode("latin-1"))

    assert [
        ("called", "a.yaml", ['a.yaml:3: cases[0].usr: unknown key; did you mean "user"?']),
        ("b", "b.yaml", ["b.yaml:3: not YAML: expected the node content, but found '<stream end>'"]),
        (
            "c",
            "c.json",
            ["c.json:1: not JSON: Expecting value (text needs double quotes; JSON has no comments and no comma after the last entry)"],
        ),
        (
            "d",
            "d.jsonl",
            ["d.jsonl:1: not JSON: Expecting value (text needs double quotes; JSON has no comments and no comma after the last entry) (column 21)"],
        ),
        ("x", "e.yaml", ["e.yaml:2: version: must be 1, not the number 2"]),
        ("f", "f.yaml", ["f.yaml:3: byte 0xe9 at offset 36 is not UTF-8; save the file as UTF-8"]),
    ] == shown(find_suites([tmp_path]), tmp_path)  # fmt: skip


def test_two_suites_of_one_name_are_both_listed_and_name_each_other(tmp_path):
    put(tmp_path, {"a.yaml": SUITE.format(name="x"), "b.yaml": SUITE.format(name="x")})

    assert [
        ("x", "a.yaml", ['a.yaml: name: "x" is also the name of b.yaml; rename one']),
        ("x", "b.yaml", ['b.yaml: name: "x" is also the name of a.yaml; rename one']),
    ] == shown(find_suites([tmp_path]), tmp_path)


def test_folders_inside_each_other_list_a_suite_once(tmp_path):
    put(tmp_path, {"deep/a.yaml": SUITE.format(name="x")})

    assert [("x", "deep/a.yaml", [])] == shown(find_suites([tmp_path, tmp_path / "deep"]), tmp_path)


def test_a_folder_may_be_a_single_file_or_missing(tmp_path):
    put(tmp_path, {"a.yaml": SUITE.format(name="x"), "b.yaml": SUITE.format(name="y")})

    assert [("x", "a.yaml", [])] == shown(find_suites([tmp_path / "a.yaml", tmp_path / "none"]), tmp_path)


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path):
    put(tmp_path, {"outside.yaml": SUITE.format(name="secret"), "evals/a.yaml": SUITE.format(name="x")})
    (tmp_path / "evals" / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    (tmp_path / "evals" / "folder").symlink_to(tmp_path)

    assert [
        ("x", "evals/a.yaml", []),
        ("link", "evals/link.yaml", ["evals/link.yaml: is a link that leads out of the folder; put the file itself here"]),
    ] == shown(find_suites([tmp_path / "evals"]), tmp_path)  # fmt: skip


def test_a_file_that_has_not_changed_is_not_read_again(tmp_path):
    put(tmp_path, {"a.yaml": SUITE.format(name="one"), "tools.json": '{"tools": []}'})
    known: KnownFiles = {}
    first = find_suites([tmp_path], known)

    again = find_suites([tmp_path], known)
    (tmp_path / "a.yaml").write_text(SUITE.format(name="another"))
    changed = find_suites([tmp_path], known)

    assert first[0].loaded is again[0].loaded
    assert (["one"], ["another"]) == ([entry.name for entry in again], [entry.name for entry in changed])
    assert {tmp_path / "a.yaml", tmp_path / "tools.json"} == {*known}


# --- tools


def server_tools(source: ServerTools) -> tuple[ToolDefinition, ...]:
    return (ToolDefinition(name=f"{source.server}_tool"),)


def test_tools_come_from_the_suite_from_files_and_from_servers_in_order(tmp_path):
    mcp = {"name": "g", "description": "G", "inputSchema": {"type": "object", "properties": {"b": {}, "a": {}}}}
    openai = {"type": "function", "function": {"name": "h", "parameters": {"type": "object"}}}
    put(
        tmp_path,
        {
            "snapshot.json": json.dumps({"source": "shop", "taken_at": "2026-01-01", "tools": [mcp]}),
            "sub/list.json": json.dumps([openai]),
            "more.yaml": "- {name: i, input_schema: {type: object}}\n",
        },
    )
    sources = [
        ToolDefinition(name="f"),
        FileTools(file="snapshot.json"),
        ServerTools(server="shop"),
        FileTools(file="sub/list.json"),
        FileTools(file="more.yaml"),
    ]

    tools = resolve_tools(sources, tmp_path, server_tools)

    assert ["f", "g", "shop_tool", "h", "i"] == [tool.name for tool in tools]
    assert ["b", "a"] == list(tools[1].parameters)


@pytest.mark.parametrize(
    "name", ["../outside.json", "/etc/passwd", "sub/../../outside.json", "link.json", "linked/outside.json"]
)
def test_a_tool_file_outside_of_the_suites_folder_is_not_read(tmp_path, name: str):
    folder = tmp_path / "evals"
    put(tmp_path, {"outside.json": '[{"name": "secret"}]', "evals/sub/x.json": "[]"})
    (folder / "link.json").symlink_to(tmp_path / "outside.json")
    (folder / "linked").symlink_to(tmp_path)

    with pytest.raises(NotPermittedError) as raised:
        resolve_tools([FileTools(file=name)], folder, server_tools)

    assert (
        f'the tool file "{name}" lies outside of {folder}, the folder of its suite; put it there, or into a folder below'
    ) == str(raised.value)


def test_a_missing_tool_file_says_how_to_make_one(tmp_path):
    with pytest.raises(NotFoundError) as raised:
        resolve_tools([FileTools(file="tools.json")], tmp_path, server_tools)

    assert (
        f'no tool file "tools.json" in {tmp_path}; `mcp-evals tools SERVER -o FILE` writes the tools of a server into one'
    ) == str(raised.value)


def test_a_name_that_is_no_path_is_an_error_of_the_caller(tmp_path):
    with pytest.raises(UsageError) as raised:
        resolve_tools([FileTools(file="a\0b")], tmp_path, server_tools)

    assert '"a\0b" is no path: embedded null byte' == str(raised.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"name": "f"}', "tools.json: must be a list of tools, or {\"tools\": [...]}"),
        ('{"tools": [{"name": "f"},\n {"nam": "g"}]}', "tools.json:2: tools[1].name: is missing\ntools.json:2: tools[1].nam: unknown key; did you mean \"name\"?"),
        ('[5]', "tools.json:1: [0]: must be an object, not the number 5"),
        ('[', "tools.json:1: not JSON: Expecting value (text needs double quotes; JSON has no comments and no comma after the last entry)"),
    ],
)  # fmt: skip
def test_a_tool_file_that_holds_something_else_says_so(tmp_path, text: str, problem: str):
    put(tmp_path, {"tools.json": text})

    with pytest.raises(InvalidFileError) as raised:
        resolve_tools([FileTools(file="tools.json")], tmp_path, server_tools)

    assert problem == str(raised.value).replace(f"{tmp_path}{os.sep}", "")
