"""What the user has configured: later wins, every mistake is named, and a secret is only ever a name."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_evals.errors import InvalidFileError, NotFoundError, UsageError
from mcp_evals.settings import BUILT_IN_SUITES, Limits, Settings, load_settings
from mcp_evals.targets.base import ProviderSettings


def load(folder: Path, toml: str | None = None, **given: Any) -> Settings:
    """Settings of a process that starts in a folder with this configuration and no environment."""
    if toml is not None:
        (folder / "mcp-evals.toml").write_text(toml, encoding="utf-8")
    return load_settings(**{"cwd": folder, "environ": {}, **given})


def problems(folder: Path, toml: str) -> list[str]:
    """What is wrong with a configuration, without the name of its file."""
    with pytest.raises(InvalidFileError) as raised:
        load(folder, toml)
    assert all(problem.file == str(folder / "mcp-evals.toml") for problem in raised.value.problems)
    return [": ".join(part for part in (found.path, found.message) if part) for found in raised.value.problems]


def test_without_any_configuration_the_built_in_suite_is_there(tmp_path: Path) -> None:
    settings = load(tmp_path)

    assert settings.folders == (BUILT_IN_SUITES,)
    assert (settings.limits, settings.providers, settings.judge, settings.file) == (Limits(), {}, None, None)


def test_a_whole_configuration_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()

    settings = load(
        tmp_path,
        """
        judge = "openai:m"
        [paths]
        suites = "mine"
        data = "kept"
        [limits]
        max_cost_usd = 2.5
        max_concurrency = 3
        [providers.local]
        kind = "openai"
        url = "http://127.0.0.1:8000/v1"
        key_env = "LOCAL_KEY"
        [servers.shop]
        command = "shop"
        """,
    )

    assert settings.suites == (tmp_path / "mine",)
    assert settings.data == tmp_path / "kept"
    assert settings.limits == Limits(max_cost_usd=2.5, max_concurrency=3)
    assert settings.providers == {
        "local": ProviderSettings(kind="openai", url="http://127.0.0.1:8000/v1", key_env="LOCAL_KEY")
    }
    assert settings.servers["shop"].command == "shop"
    assert (settings.judge, settings.file) == ("openai:m", tmp_path / "mcp-evals.toml")


def test_the_file_is_found_upward_and_its_paths_count_from_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "mcp-evals.toml").write_text('paths = {suites = ["mine"]}')

    assert load(tmp_path / "deep" / "er").suites == (tmp_path / "mine",)


def test_folders_of_the_usual_names_need_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "evals").mkdir()
    (tmp_path / "suites").mkdir()

    assert load(tmp_path).suites == (tmp_path / "evals", tmp_path / "suites")


def test_later_wins_the_file_then_the_environment_then_the_flags(tmp_path: Path) -> None:
    for name in ("file", "env", "flag"):
        (tmp_path / name).mkdir()
    toml = 'judge = "file:m"\n[paths]\nsuites = "file"\ndata = "file"\n[limits]\nmax_concurrency = 2\nmax_calls = 9'
    environ = {
        "MCP_EVALS_SUITES": str(tmp_path / "env"),
        "MCP_EVALS_HOME": str(tmp_path / "env"),
        "MCP_EVALS_JUDGE": "env:m",
    }

    by_file = load(tmp_path, toml)
    by_environment = load(tmp_path, environ=environ)
    by_flag = load(
        tmp_path, environ=environ, suites=(tmp_path / "flag",), limits={"max_concurrency": 4, "max_calls": None}
    )

    assert (by_file.suites, by_file.data, by_file.judge) == ((tmp_path / "file",), tmp_path / "file", "file:m")
    assert (by_environment.suites, by_environment.data) == ((tmp_path / "env",), tmp_path / "env")
    assert by_environment.judge == "env:m"
    assert by_flag.suites == (tmp_path / "flag",)
    assert by_flag.limits == Limits(max_concurrency=4, max_calls=9)


def test_another_configuration_is_named_by_flag_or_environment(tmp_path: Path) -> None:
    for name in ("env", "flag"):
        (tmp_path / f"{name}.toml").write_text(f'judge = "{name}:m"')
    environ = {"MCP_EVALS_CONFIG": str(tmp_path / "env.toml")}

    assert load(tmp_path, environ=environ).judge == "env:m"
    assert load(tmp_path, environ=environ, config=tmp_path / "flag.toml").judge == "flag:m"


def test_a_hosts_servers_file_adds_to_the_configured_servers(tmp_path: Path) -> None:
    hosts = tmp_path / ".mcp.json"
    hosts.write_text(json.dumps({"mcpServers": {"shop": {"command": "theirs"}, "more": {"command": "more"}}}))

    settings = load(tmp_path, '[servers.shop]\ncommand = "ours"\n[servers.own]\ncommand = "own"', servers=hosts)

    assert {name: server.command for name, server in settings.servers.items()} == {
        "shop": "theirs", "own": "own", "more": "more",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("toml", "found"),
    [
        ("[limit]\nmax_calls = 1", ["limit: unknown key"]),
        ("[limits]\nmax_cost = 1\nmax_calls = -1", None),
        ("[providers.x]\nkind = 'opnai'", None),
        ("[providers.recorded]\nkind = 'openai'", ['providers.recorded: "recorded" is a word of ours; choose another']),
        ("[providers.run]\nkind = 'openai'", ['providers.run: "run" is a word of ours; choose another']),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, toml: str, found: list[str] | None) -> None:
    said = problems(tmp_path, toml)

    if found is None:
        assert all(line.startswith(("limits.", "providers.x.")) for line in said)
        assert len(said) == (2 if "limits" in toml else 1)
    else:
        assert said == found


@pytest.mark.parametrize("toml", ["[limits", "a = 1\na = 2", "judge = openai"])
def test_what_is_no_toml_is_told_with_its_place(tmp_path: Path, toml: str) -> None:
    (said,) = problems(tmp_path, toml)

    assert said.startswith("not TOML: ")
    assert "(at " in said


@pytest.mark.parametrize(
    "toml",
    [
        'providers = "openai"',
        "providers = [1]",
        "providers = 3",
        "[[providers]]\nrun = 1",
    ],
)
def test_providers_that_are_no_table_are_a_mistake_like_any_other(tmp_path: Path, toml: str) -> None:
    assert problems(tmp_path, toml)[0].startswith("providers: ")


def test_a_file_that_is_no_text_is_told_and_not_thrown(tmp_path: Path) -> None:
    (tmp_path / "mcp-evals.toml").write_bytes(b"judge = '\xff'")

    with pytest.raises(InvalidFileError, match="not TOML"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"suites": (Path("/nowhere"),)}, "no folder /nowhere"),
        ({"config": Path("/none.toml")}, "no configuration file"),
    ],
)
def test_what_was_named_and_is_not_there_is_told(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load(tmp_path, **given)


def test_an_unknown_provider_is_told_with_the_nearest_and_how_to_name_one(tmp_path: Path) -> None:
    settings = load(tmp_path, '[providers.local]\nkind = "openai"\nurl = "http://127.0.0.1/v1"')

    assert settings.provider("openai") is None
    assert settings.provider("local") is settings.providers["local"]
    with pytest.raises(NotFoundError, match=r'did you mean "local"\?.*\[providers\.locl\]'):
        settings.provider("locl")


def test_an_own_endpoint_may_take_the_name_of_a_known_provider(tmp_path: Path) -> None:
    settings = load(tmp_path, '[providers.openai]\nkind = "openai"\nurl = "http://127.0.0.1/v1"')

    assert settings.provider("openai") == ProviderSettings(kind="openai", url="http://127.0.0.1/v1")
