"""How to reach a server: what hosts write, what the environment adds, what is never repeated."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mcp_evals.errors import InvalidFileError, NotFoundError, UsageError
from mcp_evals.live_tools import ServerSettings, read_servers
from mcp_evals.live_tools.settings import fill_in

SECRET = "sk-live-4711-do-not-show"


def written(folder: Path, content: Any) -> Path:
    path = folder / ".mcp.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("key", ["mcpServers", "servers"])
def test_the_servers_of_every_host_s_file_are_read(tmp_path: Path, key: str):
    path = written(
        tmp_path,
        {
            "inputs": [],
            key: {
                "git": {
                    "command": "uvx",
                    "args": ["mcp-server-git", 7],
                    "env": {"LEVEL": "${LEVEL}", "PORT": 8080},
                    "cwd": "~/work",
                    "disabled": False,
                    "timeout": 60000,
                    "alwaysAllow": ["git_log"],
                    "envFile": ".env",
                },
                "shop": {"type": "streamable-http", "url": "https://shop.example/mcp", "headers": {"X": "${TOKEN}"}},
                "old": {"url": "https://old.example/sse"},
            },
        },
    )

    servers = read_servers(path)

    assert servers == {
        "git": ServerSettings(
            command="uvx", args=("mcp-server-git", "7"), env={"LEVEL": "${LEVEL}", "PORT": "8080"}, cwd="~/work"
        ),
        "shop": ServerSettings(url="https://shop.example/mcp", headers={"X": "${TOKEN}"}, transport="http"),
        "old": ServerSettings(url="https://old.example/sse"),
    }
    assert ["stdio", "http", "sse"] == [server.kind for server in servers.values()]


def test_comments_and_a_last_comma_are_read_as_hosts_read_them(tmp_path: Path):
    path = written(
        tmp_path,
        '\ufeff{ // of the team\n  "servers": {\n    /* two\n lines */ "a": {"url": "http://x//y", "args": ["/*", ",}"],},\n  },\n}',
    )

    assert {"a": ServerSettings(url="http://x//y", args=("/*", ",}"))} == read_servers(path)


def test_every_wrong_server_is_named_at_once_and_no_value_is_repeated(tmp_path: Path):
    path = written(
        tmp_path,
        {
            "mcpServers": {
                "both": {"command": "x", "url": "http://y"},
                "neither": {"comand": "x"},
                "wrong": {"command": "x", "env": {"KEY": [SECRET]}},
                "pipes": {"url": "http://y", "type": "stdio"},
                "ftp": {"url": f"ftp://{SECRET}"},
                "list": [SECRET],
            }
        },
    )

    with pytest.raises(InvalidFileError) as caught:
        read_servers(path)

    assert [problem.path for problem in caught.value.problems] == [
        "mcpServers.both",
        "mcpServers.neither",
        "mcpServers.wrong.env.KEY",
        "mcpServers.pipes",
        "mcpServers.ftp",
        "mcpServers.list",
    ]
    assert "give either `command` (a program to start) or `url` (a server that runs)" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_file_that_is_not_json_is_told_with_its_line(tmp_path: Path):
    path = written(tmp_path, '{\n  // comment\n  "mcpServers": {x}\n}')

    with pytest.raises(InvalidFileError, match=r"\.mcp\.json:3: not JSON"):
        read_servers(path)


def test_a_file_without_servers_says_what_would_be_one(tmp_path: Path):
    with pytest.raises(InvalidFileError, match=r"has no object of servers.*mcpServers"):
        read_servers(written(tmp_path, {"tools": []}))


def test_a_missing_file_is_not_found(tmp_path: Path):
    with pytest.raises(NotFoundError, match=r"no file .*absent"):
        read_servers(tmp_path / "absent.json")


def test_an_unknown_key_is_an_error_outside_a_host_s_file():
    with pytest.raises(ValidationError, match="Extra inputs"):
        ServerSettings.model_validate({"command": "x", "disabled": True})


def test_variables_are_filled_in_by_name_when_the_server_is_reached():
    settings = ServerSettings(
        command="${BIN:-uvx}", args=("--dir=${HOME}", "$HOME"), env={"A": "${env:TOKEN}"}, cwd="${HOME}/x"
    )

    reachable = fill_in("a", settings, {"TOKEN": SECRET, "HOME": "/home/me"})

    assert reachable.settings == ServerSettings(
        command="uvx", args=("--dir=/home/me", "$HOME"), env={"A": SECRET}, cwd="/home/me/x"
    )


def test_a_variable_that_is_not_set_is_named():
    settings = ServerSettings(url="https://x/mcp", headers={"Authorization": "Bearer ${TOKEN}"})

    with pytest.raises(UsageError, match='server "shop" needs the environment variable TOKEN, which is not set'):
        fill_in("shop", settings, {})


def test_a_variable_that_only_a_host_knows_is_refused_with_the_way_out():
    settings = ServerSettings(command="x", env={"KEY": "${input:key}"})

    with pytest.raises(UsageError, match=r"uses \$\{input:key\}.*write the value itself, or \$\{NAME\}"):
        fill_in("a", settings, {"input": "x"})


def test_no_message_repeats_what_may_be_a_secret():
    settings = ServerSettings(
        command="server",
        args=("--api-key", "arg-one-1", "--token=arg-two-2", "/public/folder"),
        env={"PLAIN": "plain-value", "JSON": 'a"b"c'},
    )
    reachable = fill_in("a", settings, {})

    told = reachable.conceal('arg-one-1 arg-two-2 plain-value a\\"b\\"c /public/folder server')

    assert told == "*** *** *** *** /public/folder server"


def test_secrets_of_a_url_and_its_headers_are_concealed_in_each_spelling():
    settings = ServerSettings(
        url="https://me:pass%20word@x.example/api/0123456789abcdef01/mcp?k=a%2Fb-c-d",
        headers={"Authorization": f"Bearer {SECRET}"},
    )
    reachable = fill_in("a", settings, {})

    told = reachable.conceal(f"me pass%20word 0123456789abcdef01 a/b-c-d a%2Fb-c-d {SECRET} Bearer x.example api")

    assert told == "me *** *** *** *** *** Bearer x.example api"
    assert "https://x.example" == settings.place


def test_what_every_program_knows_is_no_secret():
    reachable = fill_in("a", ServerSettings(command="x", args=("${HOME}/data",)), {"HOME": "/home/me"})

    assert "no file /home/me/data" == reachable.conceal("no file /home/me/data")


def test_answers_of_a_server_lose_only_what_is_called_a_key():
    settings = ServerSettings(command="x", args=("${FOLDER}",), env={"LEVEL": "debug", "API_KEY": "${MY_KEY}"})
    reachable = fill_in("a", settings, {"FOLDER": "/data", "MY_KEY": SECRET})

    assert "/data/file debug ***" == reachable.conceal_keys(f"/data/file debug {SECRET}")


def test_settings_show_no_secret_when_printed():
    settings = ServerSettings(command="x", args=(SECRET,), env={"A": SECRET}, headers={"A": SECRET})

    assert SECRET not in repr(settings)
    assert SECRET not in repr(ServerSettings(url=f"http://x/{SECRET}"))
