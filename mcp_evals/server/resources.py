"""Resources: suites, runs and their reports, the schema and the guide; the same facts as the tools give, whole."""

import json
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from anyio import to_thread
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

from mcp_evals.errors import EvalsError, NotFoundError
from mcp_evals.model import Model
from mcp_evals.server.door import workspace_of
from mcp_evals.workspace import Workspace

GUIDE: Final = Path(__file__).parent / "guide.md"
EVERYTHING: Final = 100_000
"""Cases or failures of a page that has them all."""

Made = Callable[..., Awaitable[str] | str]


def add_resources(server: MCPServer[Workspace]) -> None:
    """Offer the resources of a server."""
    for uri, made, mime_type in (
        ("evals://suites/{name}", suite, "application/json"),
        ("evals://runs/{run_id}", run, "application/json"),
        ("evals://runs/{run_id}/report", report, "text/markdown"),
        ("evals://schema", schema, "application/schema+json"),
        ("evals://guide", guide, "text/markdown"),
    ):
        server.resource(uri, name=made.__name__, mime_type=mime_type)(made)


async def suite(ctx: Context[Workspace], name: str) -> str:
    """A suite with all its cases; expectations as far as an agent may see them."""
    with _told():
        return _json(await workspace_of(ctx).get_suite(name, limit=EVERYTHING))


async def run(ctx: Context[Workspace], run_id: str) -> str:
    """A run with all cases that did not pass."""
    workspace = workspace_of(ctx)
    with _told():
        return _json(workspace.for_subject(await workspace.get_run(run_id, page=EVERYTHING)))


async def report(ctx: Context[Workspace], run_id: str) -> str:
    """The report of a run."""
    from mcp_evals.reports.markdown import markdown_report  # few hosts read it; the server starts without

    workspace = workspace_of(ctx)
    with _told():
        return markdown_report(await to_thread.run_sync(partial(workspace.report, [run_id], for_subject=True)))


def schema() -> str:
    """JSON Schema of suite files."""
    from mcp_evals.suites.schema import suite_schema  # made on first use

    return json.dumps(suite_schema(), ensure_ascii=False)


def guide() -> str:
    """How to write a good case."""
    return GUIDE.read_text(encoding="utf-8")


def _json(answer: Model) -> str:
    return answer.model_dump_json(exclude_defaults=True, indent=1)


@contextmanager
def _told() -> Generator[None]:
    """Errors of the workspace as those of a resource."""
    try:
        yield
    except NotFoundError as error:
        raise ResourceNotFoundError(str(error)) from error
    except EvalsError as error:
        raise ResourceError(str(error)) from error
