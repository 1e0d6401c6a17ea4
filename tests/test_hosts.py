"""An entry gets into a host's file, and nothing else in that file changes."""

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mcp_evals.commands import app
from mcp_evals.errors import InvalidFileError, UsageError
from mcp_evals.hosts import HOSTS, HostName, configuration, host_file, write_entry

STARTED = {"command": sys.executable, "args": ["-m", "mcp_evals", "serve"]}
TYPED = {"type": "stdio", **STARTED}
HOME = Path("/home/anna")
PROJECT = Path("/home/anna/shop")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mcp.json"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("claude-desktop", {"mcpServers": {"mcp-evals": STARTED}}),
        ("claude-code", {"mcpServers": {"mcp-evals": STARTED}}),
        ("cursor", {"mcpServers": {"mcp-evals": STARTED}}),
        ("vscode", {"servers": {"mcp-evals": TYPED}}),
    ],
)
def test_an_entry_starts_the_server_with_this_interpreter(
    host: HostName, expected: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "new" / "mcp.json"

    written = write_entry(host, path)

    assert configuration(host) == expected
    assert json.loads(path.read_text()) == expected
    assert written == (path, None, True)


@pytest.mark.parametrize(
    ("host", "platform", "environ", "expected"),
    [
        ("claude-code", "linux", {}, PROJECT / ".mcp.json"),
        ("cursor", "linux", {}, PROJECT / ".cursor/mcp.json"),
        ("vscode", "linux", {}, PROJECT / ".vscode/mcp.json"),
        ("claude-desktop", "linux", {}, HOME / ".config/Claude/claude_desktop_config.json"),
        (
            "claude-desktop",
            "linux",
            {"XDG_CONFIG_HOME": "/home/anna/etc"},
            HOME / "etc/Claude/claude_desktop_config.json",
        ),
        (
            "claude-desktop",
            "darwin",
            {},
            HOME / "Library/Application Support/Claude/claude_desktop_config.json",
        ),
        ("claude-desktop", "win32", {"APPDATA": "/roaming"}, Path("/roaming/Claude/claude_desktop_config.json")),
        ("claude-desktop", "win32", {}, HOME / "AppData/Roaming/Claude/claude_desktop_config.json"),
    ],
)
def test_every_host_has_its_file(host: HostName, platform: str, environ: dict[str, str], expected: Path) -> None:
    assert host_file(host, platform=platform, environ=environ, home=HOME, cwd=PROJECT) == expected


def test_what_stands_in_the_file_stays_in_its_order_and_form(path: Path) -> None:
    before = '{\n\t"theme": "dark",\n\t"mcpServers": {\n\t\t"z": {"command": "z"},\n\t\t"a": {"url": "http://a"}\n\t},\n\t"last": 1.50\n}\n'
    path.write_text(before)

    written = write_entry("claude-desktop", path)

    entry = json.dumps(STARTED, indent="\t").replace("\n", "\n\t\t")
    assert path.read_text() == before.replace('"http://a"}\n', f'"http://a"}},\n\t\t"mcp-evals": {entry}\n')
    assert written.backup == path.with_name("mcp.json.bak")
    assert written.backup.read_text() == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '// mine\n{\n    "inputs": [], // none\n    "servers": {\n        "a": {"command": "a"} // the first\n        /* and last */\n    }\n}\n',
            '// mine\n{\n    "inputs": [], // none\n    "servers": {\n        "a": {"command": "a"}, // the first\n        /* and last */\n        "mcp-evals": ENTRY\n    }\n}\n',
        ),
        (
            '{\n    "servers": {\n        "a": {"command": "a,}", "args": ["//x", "/*"],},\n    },\n}',
            '{\n    "servers": {\n        "a": {"command": "a,}", "args": ["//x", "/*"],},\n        "mcp-evals": ENTRY\n    },\n}',
        ),
        (
            "{\n    // nothing yet\n}\n",
            '{\n    // nothing yet\n  "servers": {\n    "mcp-evals": ENTRY\n  }\n}\n',
        ),
        (
            '{\n    "servers": {}\n}',
            '{\n    "servers": {\n        "mcp-evals": ENTRY\n    }\n}',
        ),
        (
            '{\n    "inputs": []\n}',
            '{\n    "inputs": [],\n    "servers": {\n        "mcp-evals": ENTRY\n    }\n}',
        ),
        (
            '\ufeff{\r\n    "servers": {\r\n    }\r\n}\r\n',
            '\ufeff{\r\n    "servers": {\r\n        "mcp-evals": ENTRY\r\n    }\r\n}\r\n',
        ),
    ],
    ids=["comments", "last commas", "only a comment", "no server", "no servers", "windows"],
)
def test_comments_and_commas_of_a_person_stay(path: Path, before: str, after: str) -> None:
    path.write_bytes(before.encode())

    write_entry("vscode", path)

    newline = "\r\n" if "\r" in before else "\n"
    line = next(line for line in after.splitlines() if "ENTRY" in line)
    indent = line[: len(line) - len(line.lstrip())]
    unit = "  " if indent == "    " else "    "
    entry = json.dumps(TYPED, indent=unit).replace("\n", newline + indent)
    assert path.read_bytes().decode() == after.replace("ENTRY", entry)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{\n  "mcpServers": {\n    "mcp-evals": ENTRY\n  }\n}'),
        ('{"a": 1}', '{"a": 1, "mcpServers": {"mcp-evals": LINE}}'),
        ('{"mcpServers": {"a": {}}, "b": 2}', '{"mcpServers": {"a": {}, "mcp-evals": LINE}, "b": 2}'),
        ("", '{\n  "mcpServers": {\n    "mcp-evals": ENTRY\n  }\n}\n'),
        (" \n", '{\n  "mcpServers": {\n    "mcp-evals": ENTRY\n  }\n}\n'),
    ],
)
def test_a_file_on_one_line_or_without_anything_is_taken_as_well(path: Path, before: str, after: str) -> None:
    path.write_text(before)

    write_entry("claude-desktop", path)

    entry = json.dumps(STARTED, indent=2).replace("\n", "\n    ")
    assert path.read_text() == after.replace("ENTRY", entry).replace("LINE", json.dumps(STARTED))


def test_an_entry_of_ours_is_brought_up_to_date_and_keeps_what_the_user_added(path: Path) -> None:
    before = (
        '{\n  "servers": {\n    "mcp-evals": {\n      "command": "/old/python", // was here\n'
        '      "env": {"OPENAI_API_KEY": "${input:key}"}\n    },\n    "z": {}\n  }\n}\n'
    )
    path.write_text(before)

    write_entry("vscode", path, ["--suites", "/evals"])

    text = path.read_text()
    assert f'"command": {json.dumps(sys.executable)}, // was here\n' in text
    kept = json.loads(text.replace("// was here", ""))
    assert kept == {
        "servers": {
            "mcp-evals": {
                "command": sys.executable,
                "env": {"OPENAI_API_KEY": "${input:key}"},
                "type": "stdio",
                "args": ["-m", "mcp_evals", "serve", "--suites", "/evals"],
            },
            "z": {},
        }
    }


@pytest.mark.parametrize("host", HOSTS)
def test_a_second_time_changes_nothing_and_makes_no_second_copy(host: HostName, path: Path) -> None:
    path.write_text("{}")
    write_entry(host, path)
    once = path.read_bytes()

    again = write_entry(host, path)

    assert again == (path, None, False)
    assert path.read_bytes() == once
    assert sorted(found.name for found in path.parent.iterdir()) == ["mcp.json", "mcp.json.bak"]


def test_a_copy_never_takes_the_place_of_an_older_one_and_is_no_more_readable_than_the_file(path: Path) -> None:
    path.write_text("{}")
    path.chmod(0o600)
    write_entry("cursor", path)

    second = write_entry("cursor", path, ["--config", "/x.toml"])

    assert path.with_name("mcp.json.bak").read_text() == "{}"
    assert second.backup == path.with_name("mcp.json.bak1")
    assert [stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()] == [0o600] * 3


@pytest.mark.parametrize(
    ("host", "text", "said"),
    [
        ("claude-desktop", '{\n  "a": 1,\n  "b": }\n', ":3: column 8: not JSON: Expecting value"),
        ("claude-desktop", '{\n  // mine\n  "a": 1\n}', ":2: column 3: not JSON: Expecting property name"),
        ("claude-desktop", '{\n  "a": 1,\n}', ": not JSON: "),
        ("vscode", '{\n  // mine\n  "a": 1\n  "b": 2\n}', ":4: column 3: not JSON: Expecting ',' delimiter"),
        ("vscode", '{\n  /* "a": 1\n}', ":2: column 3: not JSON"),
        ("cursor", "[]", ":1: column 1: an object is expected"),
        ("cursor", '{\n  "mcpServers": []\n}', ":2: column 17: mcpServers: an object is expected"),
        ("cursor", '{"a": 1, "a": 2}', ':1: column 10: the key "a" is there twice'),
        ("cursor", '{"a": "\xff"}', "not UTF-8"),
    ],
)
def test_a_file_that_is_broken_is_told_with_line_and_column_and_stays_as_it_is(
    path: Path, host: HostName, text: str, said: str
) -> None:
    before = text.encode("latin-1")
    path.write_bytes(before)

    with pytest.raises(InvalidFileError) as caught:
        write_entry(host, path)

    assert said in str(caught.value)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_entry_that_is_connected_to_elsewhere_is_not_overwritten(path: Path) -> None:
    before = '{"mcpServers": {"mcp-evals": {"url": "http://127.0.0.1:8765/mcp"}}}'
    path.write_text(before)

    with pytest.raises(UsageError, match="connects to a url; remove it there first"):
        write_entry("cursor", path)

    assert path.read_text() == before


def test_a_folder_in_the_file_s_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        write_entry("cursor", tmp_path)


def test_the_command_prints_an_entry_that_can_be_piped_and_where_it_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evals").mkdir()

    result = CliRunner().invoke(app, ["config", "vscode", "--suites", "evals"])

    expected = {**TYPED, "args": [*STARTED["args"], "--suites", str(tmp_path / "evals")]}
    assert json.loads(result.stdout) == {"servers": {"mcp-evals": expected}}
    assert result.stderr == f"VS Code reads it from {tmp_path}/.vscode/mcp.json; --write puts it there\n"


def test_the_command_writes_into_the_project_and_says_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".mcp.json").write_text("{}")

    first = CliRunner().invoke(app, ["config", "claude-code", "--write"])
    second = CliRunner().invoke(app, ["config", "claude-code", "--write"])

    place = tmp_path / ".mcp.json"
    assert (
        first.stdout == f"{place}: the entry is written; what it was: {place}.bak. Start Claude Code anew to see it\n"
    )
    assert second.stdout == f"{place}: the entry is there already; nothing was changed\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--path", "x.json"], "--path goes with --write"),
        (["--suites", "no-such-folder"], "--suites: there is no no-such-folder"),
        (["--write", "--path", "torn.json"], "torn.json:1: column 2: not JSON"),
    ],
)
def test_the_command_refuses_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "torn.json").write_text("{")

    result = CliRunner().invoke(app, ["config", "cursor", *arguments])

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
