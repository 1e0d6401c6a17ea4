"""Two clients of one HTTP server lend it their models: each answers for its own runs."""

import json
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from e2e.host import Host, Mode
from e2e.serving import Serving, serving
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CreateMessageRequestParams, CreateMessageResult, TextContent


async def pass_rate(server: Serving, mode: Mode, model: str, city: str | None) -> tuple[float, list[str]]:
    """Of a run on a client's model that asks for `city`, or the right one; and what the model was asked."""
    asked: list[str] = []

    async def sample(_: Any, params: CreateMessageRequestParams) -> CreateMessageResult:
        content = params.messages[-1].content
        assert isinstance(content, TextContent)
        asked.append(content.text)
        called = {"name": "get_weather", "arguments": {"city": city or content.text.rstrip("?").split()[-1]}}
        text = TextContent(type="text", text=json.dumps({"calls": [called]}))
        return CreateMessageResult(role="assistant", content=text, model=model)

    async with (
        httpx2.AsyncClient(headers=server.headers, timeout=60) as web,
        Client(streamable_http_client(server.url, http_client=web), mode=mode, sampling_callback=sample) as client,
    ):
        run = await Host(client).ask("run_suite", suite="weather", target="client", trials=1, wait_s=50)
        while run["status"] == "working":
            run = await Host(client).ask("get_run", run_id=run["run_id"], wait_s=50)
    return run["pass_rate"]["value"], sorted(asked)


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_each_client_answers_for_its_own_runs(folder: Path, mode: Mode) -> None:
    found: dict[str, tuple[float, list[str]]] = {}

    async def held(name: str, city: str | None) -> None:
        found[name] = await pass_rate(server, mode, name, city)

    with serving(folder) as server:
        async with anyio.create_task_group() as group:
            group.start_soon(held, "right", None)
            group.start_soon(held, "wrong", "nowhere")

    questions = ["Weather in bergen?", "Weather in oslo?", "Weather in rome?"]
    assert found == {"right": (1.0, questions), "wrong": (0.0, questions)}
