"""A well-behaved server of mcp's own kind: `python shop.py` over stdio, `python shop.py http|sse` on a free port."""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import anyio
import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ImageContent, TextContent, ToolAnnotations
from pydantic import Field

READ_ONLY = ToolAnnotations(read_only_hint=True)
shop = MCPServer("shop")


@shop.tool(annotations=READ_ONLY)
async def price_of(
    article: Annotated[str, Field(description="Article number, such as A-17.")],
    currency: Annotated[str, Field(description="ISO code.")] = "EUR",
) -> str:
    """Price of an article."""
    if article == "A-0":
        raise ToolError("There is no article A-0.")
    return f"19.99 {currency}"


@shop.tool(annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True))
async def cancel_order(order_id: Annotated[str, Field(description="Order number.")]) -> str:
    """Cancel an order for good."""
    return f"cancelled {order_id}"


@shop.tool()
async def count_visitors() -> int:
    """Count one more visitor."""
    return 1


@shop.tool(annotations=READ_ONLY)
async def wait_for_delivery() -> str:
    """Wait until the parcel is there."""
    await anyio.sleep_forever()
    return "there"


@shop.tool(annotations=READ_ONLY)
async def picture() -> CallToolResult:
    """Picture of an article."""
    picture = ImageContent(type="image", mime_type="image/png", data="AAAA")
    return CallToolResult(content=[TextContent(type="text", text="Here it is:"), picture])


@shop.tool(annotations=READ_ONLY)
async def environment() -> dict[str, str]:
    """All environment variables of the server."""
    return dict(os.environ)


def main() -> None:
    if "PIDS" in os.environ:
        with Path(os.environ["PIDS"]).open("a") as file:
            file.write(f"{os.getpid()}\n")
    if len(sys.argv) == 1:
        shop.run()
        return
    app = shop.sse_app() if sys.argv[1] == "sse" else shop.streamable_http_app()
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1)).run(sockets=[listening])


if __name__ == "__main__":
    main()
