"""From a target string to a target: `openai:MODEL`, `anthropic:MODEL`, a configured name, `recorded:FILE`, a plugin.

The clients are heavy and load only when one of their models is evaluated. Knows no configuration file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mcp_evals.errors import NotFoundError, UsageError, did_you_mean
from mcp_evals.plugins import load_plugin, plugin_names
from mcp_evals.results import RunSettings, TargetSpec
from mcp_evals.targets.base import ProviderSettings, Target
from mcp_evals.targets.endpoint import Endpoint

BUILT_IN: Final = {
    "openai": ("https://api.openai.com/v1", "OPENAI_BASE_URL", "OPENAI_API_KEY"),
    "anthropic": ("https://api.anthropic.com", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"),
}
"""Default address, and the environment variables that hold another address and the key."""


def open_target(
    spec: TargetSpec, provider: ProviderSettings | None, settings: RunSettings, *, environ: Mapping[str, str]
) -> Target:
    """The target that a spec names, with `provider` where the configuration has one of that name.

    Custom targets are functions `(spec, settings, environ) -> Target`, registered in the entry-point group
    `mcp_evals.targets` under the name before the colon.

    Raises:
        UsageError: a key or a model is missing, or an address is no address; says what to set.
        NotFoundError: nobody knows a target of that name, or there is no such recording.
        InvalidFileError: a recording is wrong.
    """
    if spec.provider == "recorded":
        from mcp_evals.targets.recorded import RecordedTarget, read_recording  # not every run replays

        return RecordedTarget(read_recording(Path(_model(spec, "FILE"))).trials)
    if provider is None and spec.provider in BUILT_IN:
        provider = ProviderSettings(kind="openai" if spec.provider == "openai" else "anthropic")
    if provider is None:
        plugins = plugin_names("targets")
        if spec.provider not in plugins:
            known = sorted({*BUILT_IN, "recorded", *plugins})
            raise NotFoundError(f'nothing to evaluate is called "{spec}"{did_you_mean(spec.provider, known)}')
        return load_plugin("targets", spec.provider)(spec, settings, environ)
    endpoint = open_endpoint(spec, provider, environ)
    if provider.kind == "engine":
        from mcp_evals.targets.engine import EngineTarget  # loads an HTTP client

        return EngineTarget(endpoint, settings)
    if provider.kind == "openai":
        from mcp_evals.targets.openai import OpenAITarget  # takes half a second to load

        return OpenAITarget(endpoint, settings)
    from mcp_evals.targets.anthropic import AnthropicTarget  # takes half a second to load

    return AnthropicTarget(endpoint, settings)


def open_endpoint(spec: TargetSpec, provider: ProviderSettings, environ: Mapping[str, str]) -> Endpoint:
    """Address and key of a provider; the built-in ones are filled in from the environment.

    Raises:
        UsageError: a key or a model is missing, or an address is no address; says what to set.
    """
    if provider.kind == "engine" and spec.model:
        raise UsageError(f'"{spec.provider}" is an engine and takes no model; write {spec.provider} alone')
    model = "" if provider.kind == "engine" else _model(spec, "MODEL")
    url, key_env = provider.url, provider.key_env
    if url is None:
        if provider.kind == "engine":
            raise UsageError(f'engine "{spec.provider}" has no url; set url in [providers.{spec.provider}]')
        default, url_env, default_key_env = BUILT_IN[provider.kind]
        url, key_env = environ.get(url_env) or default, key_env or default_key_env
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise UsageError(f'the url of provider "{spec.provider}" is no http or https address')
    return Endpoint(
        name=spec.provider,
        url=url,
        model=model,
        key_env=key_env,
        key=_key(spec.provider, key_env, environ) if key_env else None,
        max_retries=provider.max_retries,
        timeout_s=provider.timeout_s,
        from_environment=provider.url is None,
    )


def _model(spec: TargetSpec, what: str) -> str:
    if not spec.model:
        raise UsageError(f'"{spec}" names no {what.lower()}; write {spec.provider}:{what}')
    return spec.model


def _key(name: str, key_env: str, environ: Mapping[str, str]) -> str:
    key = environ.get(key_env, "").strip()
    if not key:
        raise UsageError(
            f"{key_env} is not set, and {name} wants a key. Set it, or name an endpoint of your own in mcp-evals.toml "
            f'([providers.NAME] kind = "openai", url = "http://127.0.0.1:8000/v1"), or replay with recorded:FILE. '
            "Without any key, score_transcript (mcp-evals score) scores what somebody else did"
        )
    # A client would tell the whole key in its complaint.
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(f"the value of {key_env} has characters that no key has; was it copied whole and alone?")
    return key
