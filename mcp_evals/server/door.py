"""How an answer or an error of the workspace becomes a tool result: one form, one translator, for all tools."""

import contextlib
import functools
import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, get_type_hints

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, ContentBlock, InputRequiredResult, ResourceLink, TextContent, ToolAnnotations
from pydantic import ValidationError

from mcp_evals.answers import ReportFile
from mcp_evals.errors import EvalsError, did_you_mean
from mcp_evals.model import Model
from mcp_evals.reports.text import HARD_CAP, answer_text, capped
from mcp_evals.server.client_model import MAX_ROUNDS, Call, Desk, carrying, deliver, input_requests
from mcp_evals.server.pictures import PICTURE_META, PICTURED
from mcp_evals.server.rounds import CallState, raise_cap
from mcp_evals.text import shorten
from mcp_evals.workspace import Progress, Workspace
from mcp_evals.workspace.spending import CapTooLowError

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
    made = PlainTool.from_function(
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
    content: list[ContentBlock] = [TextContent(type="text", text=answer_text(answer))]
    if isinstance(answer, ReportFile):
        content.append(_link_to(answer))
    facts = answer.model_dump(mode="json", exclude_defaults=True)
    return CallToolResult(content=content, structured_content=capped_facts(facts))


def capped_facts(facts: dict[str, Any], limit: int = HARD_CAP) -> dict[str, Any]:
    """Facts that stay within `limit` as JSON; what is left out of the longest parts stands under `left_out`."""
    left_out: dict[str, int] = {}
    while len(json.dumps(facts, ensure_ascii=False)) > limit:
        lengths = {key: len(json.dumps(value, ensure_ascii=False)) for key, value in facts.items() if key != "left_out"}
        longest = max(lengths, key=lambda key: lengths[key])
        value: Any = facts[longest]
        if isinstance(value, list | str) and len(value) > 1:  # pyright: ignore[reportUnknownArgumentType]
            size = len(value)  # pyright: ignore[reportUnknownArgumentType]
            kept: Any = value[: size // 2]  # pyright: ignore[reportUnknownVariableType]
            left_out[longest] = left_out.get(longest, 0) + size - size // 2
        else:
            kept = None
            left_out[longest] = 1
        facts = {**facts, longest: kept, "left_out": left_out}
    return facts


def _link_to(report: ReportFile) -> ResourceLink:
    path = Path(report.path)
    return ResourceLink(
        type="resource_link",
        name=path.name,
        uri=path.as_uri(),
        mime_type=_MIME_TYPES.get(report.form, "text/plain"),
        size=path.stat().st_size,
    )


_MIME_TYPES: Final = {
    "markdown": "text/markdown",
    "json": "application/json",
    "junit": "application/xml",
    "html": "text/html",
}


class PlainTool(Tool):
    """A tool that tells of wrong arguments in the caller's words, and of those that it does not know."""

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        known = list(self.parameters.get("properties", {}))
        problems = [f'no argument "{name}"{did_you_mean(name, known)}' for name in arguments if name not in known]
        try:
            self.fn_metadata.validate_arguments({name: value for name, value in arguments.items() if name in known})
        except ValidationError as error:
            problems += [_argument_problem(found, self.parameters) for found in error.errors(include_url=False)]
        if problems:
            raise ToolError(f"{self.name} was not called: {'; '.join(dict.fromkeys(problems))}")
        return await super().run(arguments, context, convert_result)


def _argument_problem(found: Any, parameters: dict[str, Any]) -> str:
    """What is wrong with an argument and what is allowed, such as `wait_s: must be less than or equal to 50, not 1000`."""
    name = str(found["loc"][0]) if found["loc"] else ""
    if found["type"] == "missing":
        about = parameters.get("properties", {}).get(name, {}).get("description")
        return f"`{name}` is missing" + (f" ({about})" if about else "")
    said = str(found["msg"]).replace("Input should be", "must be").removeprefix("Value error, ")
    place = "".join(f"[{part}]" if isinstance(part, int) else "" for part in found["loc"][1:])
    return f"`{name}{place}` {said}, not {shorten(json.dumps(found['input'], ensure_ascii=False, default=str), 80)}"


def _translated(answer: Answering) -> Callable[..., Awaitable[CallToolResult]]:
    @functools.wraps(answer)
    async def call(ctx: Context[Workspace], **arguments: Any) -> CallToolResult | InputRequiredResult:
        workspace = workspace_of(ctx)
        state = CallState.of(ctx)
        arguments |= {cap: needed for cap, needed in state.raised.items() if cap in arguments}
        named = [arguments.get("run_id"), *(arguments.get("runs") or ())]
        current = Call(ctx, [*state.run_ids, *_ids(workspace, named)])

        async def work() -> Model:
            if state.run_ids and "target" in arguments:  # an earlier round has begun the run
                return await _going_on(ctx, state.run_ids[0], arguments)
            found = answer(ctx, **arguments)
            return await found if inspect.isawaitable(found) else found

        try:
            desk = workspace.client_model
            if not isinstance(desk, Desk):
                return result_of(workspace.for_subject(await work()))
            deliver(desk, dict(ctx.input_responses or {}))
            if state.rounds >= MAX_ROUNDS and state.run_ids:
                return result_of(workspace.for_subject(await workspace.get_run(state.run_ids[0])))
            found = await carrying(desk, current, work)
            if isinstance(found, Model):
                return result_of(workspace.for_subject(found))
            run_ids = tuple(dict.fromkeys((*state.run_ids, *current.began)))
            following = state._replace(rounds=state.rounds + 1, run_ids=run_ids)
            return InputRequiredResult(input_requests=input_requests(found), request_state=following.sealed())
        except CapTooLowError as error:
            raised = await raise_cap(ctx, error, state) if error.cap in arguments else None
            if isinstance(raised, InputRequiredResult):
                return raised
            if raised is None:
                raise ToolError(capped(str(error), MAX_ERROR)) from error
            return await call(ctx, **{**arguments, error.cap: raised})
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
    return call  # pyright: ignore[reportReturnType]  a call may also ask for input first


async def _going_on(ctx: Context[Workspace], run_id: str, arguments: dict[str, Any]) -> Model:
    workspace = workspace_of(ctx)
    run = await workspace.get_run(run_id, wait_s=arguments["wait_s"], progress=progress_of(ctx))
    case = arguments.get("case")
    return workspace.get_trial(run_id, case) if case and run.status != "working" and run.done else run


def _ids(workspace: Workspace, named: Sequence[Any]) -> list[str]:
    """The runs that a call is about, by their whole ids."""
    found: list[str] = []
    for name in named:
        if isinstance(name, str):
            with contextlib.suppress(EvalsError):
                found.append(workspace.store.run(name).id)
    return found


_ANY_JSON: Final = {"$ref": "#/$defs/JsonValue"}


def _terse(schema: Any) -> Any:
    """A schema without titles, null alternatives and null defaults: an optional argument is one that is not required.

    Any JSON is said by saying nothing, which saves the definition that pydantic makes of it.
    """
    if isinstance(schema, list):
        return [_terse(item) for item in schema]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():  # pyright: ignore[reportUnknownVariableType]
        if (key == "title" and isinstance(value, str)) or key == "$defs" or value == _ANY_JSON:
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
