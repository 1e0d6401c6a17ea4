"""Resources hold what the tools say, whole; prompts lead through the tools; names complete themselves."""

import json
import re

import jsonschema
import pytest
from e2e.home import weather_suite
from e2e.host import Host, Mode, connected
from mcp import MCPError
from mcp.types import PromptReference, ResourceTemplateReference, TextContent, TextResourceContents

from mcp_evals.server.app import INSTRUCTIONS, build_server
from mcp_evals.server.tools import TOOLS
from mcp_evals.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Both ages of the protocol."""
    return request.param


async def read(host: Host, uri: str) -> str:
    content = (await host.client.read_resource(uri)).contents[0]
    assert isinstance(content, TextResourceContents)
    return content.text


async def test_suites_runs_and_reports_are_read_whole(settings: Settings, mode: Mode) -> None:
    async with connected(build_server(settings), mode) as host:
        run = await host.ask("run_suite", suite="weather", target="recorded:mixed")
        suite = json.loads(await read(host, "evals://suites/weather"))
        result = json.loads(await read(host, f"evals://runs/{run['run_id']}"))
        report = await read(host, f"evals://runs/{run['run_id']}/report")

    assert [case["id"] for case in suite["cases"]] == ["oslo", "bergen", "rome"]
    assert result["verdict"] == run["verdict"]
    assert run["verdict"] in report


async def test_what_is_withheld_from_a_subject_is_withheld_in_resources(settings: Settings) -> None:
    async with connected(build_server(settings)) as host:
        run = await host.ask("run_suite", suite="weather", target="recorded:mixed")
        await host.ask("take_case", suite="weather", case="rome")
        suite = json.loads(await read(host, "evals://suites/weather"))
        rest = await read(host, f"evals://runs/{run['run_id']}") + await read(
            host, f"evals://runs/{run['run_id']}/report"
        )

    assert suite["cases"][2]["expects"].startswith("(withheld: open as attempt")
    assert "milan" not in rest


async def test_the_schema_accepts_a_suite_and_the_guides_example_is_one(settings: Settings, mode: Mode) -> None:
    from ruamel.yaml import YAML

    async with connected(build_server(settings), mode) as host:
        schema = json.loads(await read(host, "evals://schema"))
        guide = await read(host, "evals://guide")

    example = re.search(r"```yaml\n(.*?)```", guide, re.DOTALL)
    assert example
    for suite in (weather_suite("oslo"), YAML(typ="safe").load(example[1])):
        jsonschema.validate(suite, schema)


@pytest.mark.parametrize("uri", ["evals://suites/wether", "evals://runs/none", "evals://runs/none/report"])
async def test_what_is_not_there_is_an_error_that_says_so(settings: Settings, mode: Mode, uri: str) -> None:
    async with connected(build_server(settings), mode) as host:
        with pytest.raises(MCPError, match=r"no suite|no run"):
            await read(host, uri)


async def test_prompts_lead_through_tools_that_are_there(settings: Settings, mode: Mode) -> None:
    given = {
        "write_cases": {"server": "shop"},
        "diagnose_run": {"run_id": "r1"},
        "improve_tool_descriptions": {"server": "shop", "suite": "s", "target": "t"},
        "compare_two_models": {"suite": "s", "baseline": "a", "candidate": "b"},
    }
    known = {spec.answer.__name__ for spec in TOOLS}

    async with connected(build_server(settings), mode) as host:
        listed = {prompt.name: prompt for prompt in (await host.client.list_prompts()).prompts}
        texts = [
            message.content.text
            for name, arguments in given.items()
            for message in (await host.client.get_prompt(name, arguments)).messages
            if isinstance(message.content, TextContent)
        ]

    assert listed.keys() == given.keys()
    assert all(prompt.title and prompt.description for prompt in listed.values())
    assert len(texts) == len(given)
    for text in [*texts, INSTRUCTIONS]:
        assert {*re.findall(r"\b([a-z]+_[a-z]+)\(", text)} <= known


async def test_names_complete_themselves(settings: Settings, mode: Mode) -> None:
    suite = ResourceTemplateReference(type="ref/resource", uri="evals://suites/{name}")
    prompt = PromptReference(type="ref/prompt", name="compare_two_models")

    async with connected(build_server(settings), mode) as host:
        run = await host.ask("run_suite", suite="weather", target="recorded:mixed")

        async def completed(ref: PromptReference | ResourceTemplateReference, name: str, value: str) -> list[str]:
            found = await host.client.complete(ref, {"name": name, "value": value}, {"suite": "weather"})
            return list(found.completion.values)

        assert await completed(suite, "name", "wea") == ["weather"]
        assert await completed(prompt, "case", "o") == ["oslo", "rome"]
        assert await completed(prompt, "baseline", "mixed") == ["recorded:mixed", "recorded:recordings/mixed.jsonl"]
        assert await completed(prompt, "run_id", "") == [run["run_id"]]
        assert await completed(prompt, "nothing", "x") == []


def test_the_instructions_are_short() -> None:
    assert len(INSTRUCTIONS.encode()) < 2_000
