"""The page that hosts with MCP Apps show beside a result: the `ui://` resource, and what tells hosts to show it.

A host that knows nothing of this loses nothing: text and structured content are the same with and without it.
"""

from typing import Any, Final

from mcp.server.apps import APP_MIME_TYPE, Apps, ResourceCsp
from mcp.server.mcpserver.resources import FunctionResource

PICTURE_URI: Final = "ui://mcp-evals/report.html"
PICTURE_META: Final[dict[str, Any]] = {
    "ui": {"resourceUri": PICTURE_URI},
    # Some hosts read only the flat form of earlier days.
    "ui/resourceUri": PICTURE_URI,
}
"""`_meta` of a tool whose result the page can draw."""
PICTURED: Final = frozenset({"run_suite", "get_run", "compare_models"})
"""The tools whose results it draws."""


def _page() -> str:
    from mcp_evals.reports.html import app_html  # few clients read it; the server starts without

    return app_html()


def picture_extension() -> Apps:
    """The extension that serves the page; hosts are asked for no address at all."""
    apps = Apps()
    apps.add_resource(
        FunctionResource(
            uri=PICTURE_URI,
            name="report",
            title="Report",
            description="Draws the result of run_suite, get_run and compare_models.",
            mime_type=APP_MIME_TYPE,
            meta={"ui": {"csp": ResourceCsp().model_dump(by_alias=True, exclude_none=True), "prefersBorder": True}},
            fn=_page,
        )
    )
    return apps
