"""What a host or a registry reads about this package is true, and in the form that they take."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mcp_evals.cli import parsed

ROOT = Path(__file__).parent.parent
MCPB = ROOT / "tests/e2e/node/node_modules/@anthropic-ai/mcpb/dist/cli/cli.js"

TEXT = {"type": "string", "minLength": 1}
INPUT = {
    "description": TEXT,
    "format": {"enum": ["string", "number", "boolean", "filepath"]},
    "isRequired": {"type": "boolean"},
    "isSecret": {"type": "boolean"},
    "default": {"type": "string"},
    "value": {"type": "string"},
    "placeholder": {"type": "string"},
    "choices": {"type": "array", "items": {"type": "string"}},
}


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    """An object with these properties and no others."""
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


VERSION = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[0-9][^\s^~<>=*]*$"}
NAMED_VALUES = {"type": "array", "items": closed(["name"], name=TEXT, **INPUT)}
TRANSPORT = {
    "oneOf": [
        closed(["type"], type={"const": "stdio"}),
        closed(
            ["type", "url"],
            type={"const": "streamable-http"},
            url={"type": "string", "pattern": r"^https?://\S+$"},
            headers=NAMED_VALUES,
        ),
    ]
}
ARGUMENT = {
    "oneOf": [
        closed(["type", "value"], type={"const": "positional"}, isRepeated={"type": "boolean"}, **INPUT),
        closed(["type", "name"], type={"const": "named"}, name=TEXT, isRepeated={"type": "boolean"}, **INPUT),
    ]
}
PACKAGE = closed(
    ["registryType", "identifier", "version", "transport"],
    registryType={"const": "pypi"},
    identifier=TEXT,
    version=VERSION,
    runtimeHint={"const": "uvx"},
    transport=TRANSPORT,
    packageArguments={"type": "array", "items": ARGUMENT},
    environmentVariables=NAMED_VALUES,
)
SERVER = closed(
    ["$schema", "name", "description", "version", "packages"],
    **{"$schema": {"const": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"}},
    name={"type": "string", "minLength": 3, "maxLength": 200, "pattern": "^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$"},
    title={"type": "string", "minLength": 1, "maxLength": 100},
    description={"type": "string", "minLength": 1, "maxLength": 100},
    version=VERSION,
    packages={"type": "array", "minItems": 1, "items": PACKAGE},
)
"""What the registry's schema of 2025-12-11 asks, without what we do not use: an unknown key is an error here."""


def read(name: str) -> dict[str, Any]:
    return json.loads((ROOT / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_registry_s_entry_has_the_form_that_it_asks() -> None:
    jsonschema.validate(read("server.json"), SERVER)


def test_the_registry_s_entry_and_the_bundle_are_this_package_in_this_version(project: dict[str, Any]) -> None:
    entry, bundle = read("server.json"), read("manifest.json")

    named = [(package["identifier"], package["version"]) for package in entry["packages"]]
    assert named == [(project["name"], project["version"])] * 2
    assert (entry["version"], bundle["name"], bundle["version"]) == (
        project["version"],
        project["name"],
        project["version"],
    )
    assert project["name"] in project["scripts"]


def test_the_readme_says_the_name_by_which_the_registry_knows_the_package() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert re.findall(r"mcp-name: (\S+)", readme) == [read("server.json")["name"]]


@pytest.mark.parametrize("index", [0, 1], ids=["stdio", "http"])
def test_the_command_takes_what_the_registry_s_entry_gives_it(index: int) -> None:
    package = read("server.json")["packages"][index]
    command, *arguments = [
        argument["value"]
        if argument["type"] == "positional"
        else f"{argument['name']}={argument.get('value', argument.get('default', 'x'))}"
        for argument in package["packageArguments"]
    ]

    given = parsed(arguments)

    assert command == "serve"
    assert (given.http, given.token_env) == [(False, None), (True, "MCP_EVALS_TOKEN")][index]


def test_what_a_url_or_header_names_is_asked_for() -> None:
    for package in read("server.json")["packages"]:
        names = {
            item["name"]
            for key in ("packageArguments", "environmentVariables")
            for item in package[key]
            if "name" in item
        }
        transport = package["transport"]
        texts = [transport.get("url", ""), *(header["value"] for header in transport.get("headers", []))]

        assert {name for text in texts for name in re.findall(r"\{([^}]+)\}", text)} <= names


def test_every_secret_is_marked_and_no_file_names_a_place_to_download_from() -> None:
    entry, bundle = read("server.json"), read("manifest.json")

    asked = [variable for package in entry["packages"] for variable in package["environmentVariables"]]
    assert all(variable["isSecret"] for variable in asked if re.search("KEY|TOKEN", variable["name"]))
    assert all(option.get("sensitive") for name, option in bundle["user_config"].items() if "key" in name)
    assert "registryBaseUrl" not in json.dumps(entry)


def test_the_bundle_asks_for_what_it_hands_on_and_nothing_is_needed() -> None:
    bundle = read("manifest.json")
    config = bundle["server"]["mcp_config"]

    used = re.findall(r"\$\{user_config\.([a-z_]+)\}", json.dumps(config))
    assert sorted(used) == sorted(bundle["user_config"])
    # Without a default, a host hands the placeholder itself on.
    assert {name: option["default"] for name, option in bundle["user_config"].items()} == dict.fromkeys(used, "")
    assert (ROOT / bundle["server"]["entry_point"]).is_file()
    assert parsed(config["args"][config["args"].index("serve") + 1 :]).http is False


@pytest.mark.node
def test_the_bundle_s_own_validator_takes_the_manifest() -> None:
    node = shutil.which("node")
    if node is None or not MCPB.is_file():
        pytest.skip("needs Node, and `npm ci` in tests/e2e/node")

    finished = subprocess.run(
        [node, MCPB, "validate", ROOT / "manifest.json"], capture_output=True, text=True, check=False
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "passes" in finished.stdout
