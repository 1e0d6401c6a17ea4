"""How an answer or an error of the workspace becomes a tool result: one form, one translator, for all tools."""

import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, get_type_hints

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, TextContent, ToolAnnotations

from mcp_evals.errors import EvalsError
from mcp_evals.model import Model
from mcp_evals.reports.text import answer_text, capped
from mcp_evals.server.pictures import PICTURE_META, PICTURED
from mcp_evals.workspace import Progress, Workspace

logger = logging.getLogger(__name__)

READS: Final = ToolAnnotations(read_only_hint=True, open_world_hint=False)
RUNS: Final = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
CHANGES: Final = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=True
)
RECORDS: Final = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
)
WRITES: Final = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)
MAX_ERROR: Final = 8_000
"""Characters of an error; hosts trim longer ones."""

Answering = Callable[..., Awaitable[Model] | Model]


class ToolSpec(NamedTuple):
    """A tool before it is made: the function that answers, and what hosts may assume of it."""

    answer: Answering
    annotations: ToolAnnotations


def make_tool(spec: ToolSpec) -> Tool:
    """The tool that the server offers; its schema without the noise that costs tokens and tells nothing."""
    # Without an output schema: making one for each tool would cost a twentieth of the server's start.
    made = Tool.from_function(
        _translated(spec.answer),
        annotations=spec.annotations,
        meta=PICTURE_META if spec.answer.__name__ in PICTURED else None,
        structured_output=False,
    )
    return made.model_copy(update={"parameters": _terse(made.parameters)})


def workspace_of(ctx: Context[Workspace]) -> Workspace:
    """The workspace of this server."""
    return ctx.request_context.lifespan_context


def progress_of(ctx: Context[Workspace]) -> Progress:
    """Progress of a run, told to the client."""

    async def tell(done: int, total: int, latest: str) -> None:
        await ctx.report_progress(done, total, f"{done} of {total} trials" + (f", latest {latest}" if latest else ""))

    return tell


def result_of(answer: Model) -> CallToolResult:
    """The same facts twice: as text, and as structured content, because hosts differ in which of them a model sees."""
    return CallToolResult(
        content=[TextContent(type="text", text=answer_text(answer))],
        structured_content=answer.model_dump(mode="json", exclude_defaults=True),
    )


def _translated(answer: Answering) -> Callable[..., Awaitable[CallToolResult]]:
    @functools.wraps(answer)
    async def call(ctx: Context[Workspace], **arguments: Any) -> CallToolResult:
        try:
            found = answer(ctx, **arguments)
            found = await found if inspect.isawaitable(found) else found
            return result_of(workspace_of(ctx).for_subject(found))
        except EvalsError as error:
            raise ToolError(capped(str(error), MAX_ERROR)) from error
        except Exception as error:
            logger.exception("%s broke", answer.__name__)
            raise ToolError(
                f"this is a bug in mcp_evals, not in your call ({type(error).__name__}); the server's log on stderr has the details"
            ) from error

    hints = {**get_type_hints(answer, include_extras=True), "return": CallToolResult}
    signature = inspect.signature(answer)
    parameters = [p.replace(annotation=hints[p.name]) for p in signature.parameters.values()]
    call.__annotations__ = hints
    call.__signature__ = signature.replace(parameters=parameters, return_annotation=CallToolResult)  # pyright: ignore[reportAttributeAccessIssue]
    return call


def _terse(schema: Any) -> Any:
    """A schema without titles, null alternatives and null defaults: an optional argument is one that is not required."""
    if isinstance(schema, list):
        return [_terse(item) for item in schema]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():  # pyright: ignore[reportUnknownVariableType]
        if key == "title" and isinstance(value, str):
            continue
        if key == "properties":
            kept[key] = {name: _terse(inner) for name, inner in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        else:
            kept[key] = _terse(value)
    alternatives = kept.get("anyOf")
    if isinstance(alternatives, list) and {"type": "null"} in alternatives and kept.get("default", 0) is None:
        others = [option for option in alternatives if option != {"type": "null"}]  # pyright: ignore[reportUnknownVariableType]
        del kept["default"]
        del kept["anyOf"]
        kept = {**kept, **(others[0] if len(others) == 1 else {"anyOf": others})}  # pyright: ignore[reportUnknownArgumentType]
    return kept
