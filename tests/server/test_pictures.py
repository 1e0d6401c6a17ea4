"""The page that hosts with MCP Apps show: which tools name it, and how it is served."""

from pathlib import Path
from typing import Literal

import pytest
from mcp.client import Client

from mcp_evals.reports.html import app_html
from mcp_evals.server.app import build_server
from mcp_evals.server.pictures import PICTURE_URI, PICTURED
from mcp_evals.settings import Settings


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_tools_whose_results_can_be_drawn_name_the_page_in_both_forms(
    mode: Literal["auto", "legacy"], tmp_path: Path
) -> None:
    async with Client(build_server(Settings(data=tmp_path)), mode=mode) as client:
        tools = (await client.list_tools()).tools

    named = {tool.name: tool.meta for tool in tools if tool.meta}
    meta = {"ui": {"resourceUri": PICTURE_URI}, "ui/resourceUri": PICTURE_URI}
    assert dict.fromkeys(PICTURED, meta) == named


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_page_is_served_as_an_app_that_asks_for_no_address(
    mode: Literal["auto", "legacy"], tmp_path: Path
) -> None:
    async with Client(build_server(Settings(data=tmp_path)), mode=mode) as client:
        listed = {found.uri: found.mime_type for found in (await client.list_resources()).resources}
        [page] = (await client.read_resource(PICTURE_URI)).contents

    assert "text/html;profile=mcp-app" == listed[PICTURE_URI] == page.mime_type
    assert {"ui": {"csp": {}, "prefersBorder": True}} == page.meta
    assert app_html() == page.model_dump()["text"]
