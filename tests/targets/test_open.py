"""From a target string to a target."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mcp_evals.conversation import Task, Transcript
from mcp_evals.errors import NotFoundError, UsageError
from mcp_evals.results import RunSettings, TargetSpec
from mcp_evals.targets.anthropic import AnthropicTarget
from mcp_evals.targets.base import NoToolbox, ProviderSettings
from mcp_evals.targets.endpoint import Endpoint
from mcp_evals.targets.engine import EngineTarget
from mcp_evals.targets.open import open_endpoint, open_target
from mcp_evals.targets.openai import OpenAITarget
from mcp_evals.targets.recorded import RecordedTarget, RecordedTrial, write_recording

KEYS = {"OPENAI_API_KEY": " sk-openai-1234\n", "ANTHROPIC_API_KEY": "sk-anthropic-1234", "SHOP_KEY": "shop-1234"}


def opened(spec: str, provider: ProviderSettings | None = None, environ: dict[str, str] | None = None) -> Any:
    environ = KEYS if environ is None else environ
    return open_target(TargetSpec.parse(spec), provider, RunSettings(), environ=environ)


def endpoint(spec: str, environ: dict[str, str] | None = None, **provider: Any) -> Endpoint:
    environ = KEYS if environ is None else environ
    return open_endpoint(TargetSpec.parse(spec), ProviderSettings(**provider), environ)


@pytest.mark.parametrize(
    ("spec", "provider", "kind"),
    [
        ("openai:gpt-5", None, OpenAITarget),
        ("anthropic:claude-5", None, AnthropicTarget),
        ("shop:m", ProviderSettings(kind="openai", url="http://shop.example/v1"), OpenAITarget),
        ("shop:m", ProviderSettings(kind="anthropic", url="http://shop.example"), AnthropicTarget),
        ("shop", ProviderSettings(kind="engine", url="http://shop.example"), EngineTarget),
    ],
)
def test_a_target_string_opens_the_target_of_its_kind(spec: str, provider: ProviderSettings | None, kind: type) -> None:
    assert isinstance(opened(spec, provider), kind)


def test_a_built_in_provider_takes_address_and_key_from_the_environment() -> None:
    elsewhere = {**KEYS, "OPENAI_BASE_URL": "http://127.0.0.1:8101/v1"}

    own = endpoint("openai:gpt-5", kind="openai")
    other = endpoint("openai:gpt-5", elsewhere, kind="openai")

    assert own == Endpoint(
        name="openai",
        url="https://api.openai.com/v1",
        model="gpt-5",
        key_env="OPENAI_API_KEY",
        key="sk-openai-1234",
        from_environment=True,
    )
    assert other.url == "http://127.0.0.1:8101/v1"


def test_a_configured_provider_is_reached_as_configured() -> None:
    reached = endpoint(
        "shop:m", kind="anthropic", url="http://shop.example", key_env="SHOP_KEY", max_retries=5, timeout_s=7
    )

    assert reached == Endpoint(
        name="shop",
        url="http://shop.example",
        model="m",
        key_env="SHOP_KEY",
        key="shop-1234",
        max_retries=5,
        timeout_s=7,
    )


def test_a_configured_provider_without_a_key_gets_none_of_the_environment() -> None:
    assert endpoint("shop:m", kind="openai", url="http://shop.example").key is None


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": ""}, {"OPENAI_API_KEY": " \n"}])
def test_a_missing_key_is_told_by_the_name_of_its_variable_with_other_ways(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        opened("openai:gpt-5", None, environ)

    assert str(caught.value) == (
        "OPENAI_API_KEY is not set, and openai wants a key. Set it, or name an endpoint of your own in mcp-evals.toml "
        '([providers.NAME] kind = "openai", url = "http://127.0.0.1:8000/v1"), or replay with recorded:FILE. '
        "Without any key, score_transcript (mcp-evals score) scores what somebody else did"
    )


@pytest.mark.parametrize("key", ["sk-a\nsk-b", "sk-\u00fc", "export KEY=sk", "sk-\x00"])
def test_a_key_that_cannot_be_one_is_refused_without_telling_it(key: str) -> None:
    with pytest.raises(UsageError) as caught:
        opened("openai:gpt-5", None, {"OPENAI_API_KEY": key})

    assert "the value of OPENAI_API_KEY has characters that no key has" in str(caught.value)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "provider", "message"),
    [
        ("openai", None, '"openai" names no model; write openai:MODEL'),
        ("shop:", ProviderSettings(kind="openai", url="http://a.example"), '"shop:" names no model; write shop:MODEL'),
        ("recorded", None, '"recorded" names no file; write recorded:FILE'),
        ("shop", ProviderSettings(kind="engine"), 'engine "shop" has no url; set url in [providers.shop]'),
        (
            "shop:m",
            ProviderSettings(kind="engine", url="http://a.example"),
            '"shop" is an engine and takes no model; write shop alone',
        ),
        (
            "shop:m",
            ProviderSettings(kind="openai", url="localhost:8000"),
            'the url of provider "shop" is no http or https address',
        ),
    ],
)
def test_what_a_target_lacks_is_told(spec: str, provider: ProviderSettings | None, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        opened(spec, provider)

    assert str(caught.value) == message


def test_an_unknown_target_is_told_with_the_nearest_known() -> None:
    with pytest.raises(NotFoundError, match='nothing to evaluate is called "opnai:gpt-5"; did you mean "openai"'):
        opened("opnai:gpt-5")


@pytest.mark.anyio
async def test_a_recording_is_opened_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    write_recording(path, {}, [RecordedTrial(case="a", transcript=Transcript(system="as recorded"))])

    target = opened(f"recorded:{path}")

    assert isinstance(target, RecordedTarget)
    assert await target.run(Task(run_id="r", case_id="a"), NoToolbox()) == Transcript(system="as recorded")


def test_a_target_of_another_package_is_opened_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "quantum-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: quantum\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[mcp_evals.targets]\nquantum = quantum_target:open_quantum\n")
    (tmp_path / "quantum_target.py").write_text("def open_quantum(*given):\n    return given\n")
    monkeypatch.syspath_prepend(tmp_path)

    target = opened("quantum:q1")

    assert target == (TargetSpec(provider="quantum", model="q1"), RunSettings(), KEYS)


def test_no_client_is_loaded_before_one_of_its_models_is_evaluated() -> None:
    script = (
        "import sys, mcp_evals.targets.open; "
        "print(sorted({'openai', 'anthropic', 'httpx', 'httpx2', 'jsonschema'} & set(sys.modules)))"
    )

    root = Path(__file__).parents[2]
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)

    assert loaded.stdout.strip() == "[]"
