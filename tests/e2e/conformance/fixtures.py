"""What the scenarios of the conformance suite call: its tools, resources and prompts, on the server of this package.

They stand beside our own tools and go through the same door, transport and gate.
"""

import json
from base64 import b64decode
from typing import Annotated, Any, Final

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts.base import Message, UserMessage
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPError
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CallToolResult,
    ContentBlock,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import Field

from mcp_evals.errors import UsageError
from mcp_evals.server.door import READS, ToolSpec, make_tool
from mcp_evals.workspace import Workspace

PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
SILENCE: Final = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA=="
Ctx = Context[Workspace]
Answer = CallToolResult | InputRequiredResult


def add_fixtures(server: MCPServer[Workspace]) -> None:
    """Put everything that the suite calls onto a server."""
    for tool in (*CONTENT, *SERVER_ASKS, *INPUT_REQUIRED, *CAPABILITIES):
        server.add_tool(tool, structured_output=False)
    rich = Tool.from_function(json_schema_2020_12_tool, structured_output=False)
    # Our own door: what a request cannot get is told as our tools tell it.
    refusing = make_tool(ToolSpec(test_error_handling, READS))
    for tool in (rich.model_copy(update={"parameters": RICH_SCHEMA}), refusing):
        server._tool_manager._tools[tool.name] = tool
    for method, params in (
        ("logging/setLevel", SetLevelRequestParams),
        ("resources/subscribe", SubscribeRequestParams),
        ("resources/unsubscribe", UnsubscribeRequestParams),
    ):
        server._lowlevel_server.add_request_handler(method, params, agree)
    server.resource("test://static-text", mime_type="text/plain")(static_text)
    server.resource("test://static-binary", mime_type="image/png")(static_binary)
    server.resource("test://template/{id}/data", mime_type="application/json")(template)
    for prompt in PROMPTS:
        server.prompt()(prompt)


# --- kinds of content


def test_simple_text() -> CallToolResult:
    """Text."""
    return said(text("This is a simple text response for testing."))


def test_image_content() -> CallToolResult:
    """An image."""
    return said(ImageContent(type="image", data=PIXEL, mime_type="image/png"))


def test_audio_content() -> CallToolResult:
    """A sound."""
    return said(AudioContent(type="audio", data=SILENCE, mime_type="audio/wav"))


def test_embedded_resource() -> CallToolResult:
    """A resource."""
    return said(embedded("test://embedded-resource", "text/plain", "This is an embedded resource content."))


def test_multiple_content_types() -> CallToolResult:
    """All at once."""
    return said(
        text("Multiple content types test:"),
        ImageContent(type="image", data=PIXEL, mime_type="image/png"),
        embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    )


async def test_tool_with_progress(ctx: Ctx) -> CallToolResult:
    """Progress in three steps."""
    for progress in (0, 50, 100):
        await ctx.report_progress(progress, 100, f"step {progress} of 100")
        await anyio.sleep(0.05)
    return said(text("done"))


def json_schema_2020_12_tool() -> CallToolResult:
    """Has a schema with everything."""
    return said(text("taken"))


def test_custom_headers(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})],
    priority: Annotated[int, Field(json_schema_extra={"x-mcp-header": "Priority"})],
) -> CallToolResult:
    """Has arguments that stand in headers, too."""
    return said(text(f"{region} {priority}"))


async def agree(_ctx: Any, _params: Any) -> EmptyResult:
    """What a server without logs and changing resources says to who wants to hear of them."""
    return EmptyResult()


def test_error_handling(ctx: Ctx) -> Any:
    """Always refuses."""
    raise UsageError("This tool intentionally returns an error for testing")


# --- the server asks, on connections that let it


async def test_tool_with_logging(ctx: Ctx) -> CallToolResult:
    """Three lines of a log."""
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(line)
        await anyio.sleep(0.05)
    return said(text("logged"))


async def test_logging_tool(ctx: Ctx) -> CallToolResult:
    """A line of a log, for who asked for one."""
    await ctx.info("a line")
    return said(text("logged"))


async def test_sampling(ctx: Ctx, prompt: str) -> CallToolResult:
    """Asks the client's model."""
    answer = await ctx.session.create_message([message(prompt)], max_tokens=100, related_request_id=ctx.request_id)
    content = answer.content
    return said(text(f"LLM response: {content.text if isinstance(content, TextContent) else content}"))


async def test_elicitation(ctx: Ctx, message: str) -> CallToolResult:
    """Asks the user."""
    return await elicited(
        ctx,
        message,
        {
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"},
        },
        ["username", "email"],
    )


async def test_elicitation_sep1034_defaults(ctx: Ctx) -> CallToolResult:
    """Asks with a default of every kind."""
    return await elicited(
        ctx,
        "Please check",
        {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
            "verified": {"type": "boolean", "default": True},
        },
    )


async def test_elicitation_sep1330_enums(ctx: Ctx) -> CallToolResult:
    """Asks with every kind of choice."""
    options = ["option1", "option2", "option3"]
    values = [{"const": f"value{n}", "title": title} for n, title in enumerate(("First", "Second", "Third"), 1)]
    return await elicited(
        ctx,
        "Please choose",
        {
            "untitledSingle": {"type": "string", "enum": options},
            "titledSingle": {"type": "string", "oneOf": values},
            "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
            "titledMulti": {"type": "array", "items": {"anyOf": values}},
        },
    )


# --- the server answers that it needs an answer first


def test_input_required_result_elicitation(ctx: Ctx) -> Answer:
    """Needs a name."""
    name = answered(ctx, "user_name", "name")
    return said(text(f"Hello, {name}!")) if name is not None else asks(user_name=ASK_NAME)


def test_input_required_result_sampling(ctx: Ctx) -> Answer:
    """Needs the client's model."""
    found = response(ctx, "capital_question")
    return (
        said(text(f"It said {found}"))
        if found
        else asks(capital_question=sample("What is the capital of France?", 100))
    )


def test_input_required_result_list_roots(ctx: Ctx) -> Answer:
    """Needs the client's roots."""
    found = response(ctx, "client_roots")
    return said(text(f"Roots: {json.dumps(found['roots'])}")) if found else asks(client_roots=ListRootsRequest())


def test_input_required_result_request_state(ctx: Ctx) -> Answer:
    """Needs a confirmation, and what it remembered."""
    if response(ctx, "confirm") and ctx.request_state == "remembered":
        return said(text("state-ok"))
    return asks("remembered", confirm=ask("Please confirm", ok="boolean"))


def test_input_required_result_multiple_inputs(ctx: Ctx) -> Answer:
    """Needs three answers at once."""
    if all(response(ctx, key) for key in ("user_name", "greeting", "client_roots")):
        return said(text("Thank you for all three"))
    return asks(
        "three", user_name=ASK_NAME, greeting=sample("Generate a greeting", 50), client_roots=ListRootsRequest()
    )


def test_input_required_result_multi_round(ctx: Ctx) -> Answer:
    """Needs one answer after the other."""
    if ctx.request_state == "second" and (color := answered(ctx, "step2", "color")) is not None:
        return said(text(f"You like {color}"))
    if ctx.request_state == "first" and answered(ctx, "step1", "name") is not None:
        return asks("second", step2=ask("Step 2: What is your favorite color?", color="string"))
    return asks("first", step1=ask("Step 1: What is your name?", name="string"))


def test_input_required_result_tampered_state(ctx: Ctx) -> Answer:
    """Needs what it remembered, untouched."""
    return (
        said(text("state-ok"))
        if response(ctx, "confirm")
        else asks("sealed", confirm=ask("Please confirm", ok="boolean"))
    )


def test_streaming_elicitation(ctx: Ctx) -> Answer:
    """Needs a name; says so in its answer and not in a request."""
    return test_input_required_result_elicitation(ctx)


# --- what a client can do, and what changes


def test_input_required_result_capabilities(ctx: Ctx) -> Answer:
    """Asks only what the client can answer."""
    can = ctx.client_capabilities
    questions: dict[str, InputRequest] = {}
    if can is not None and can.elicitation is not None:
        questions["user_name"] = ASK_NAME
    if can is not None and can.sampling is not None:
        questions["greeting"] = sample("Generate a greeting", 50)
    return asks(**questions) if questions and not ctx.input_responses else said(text("nothing to ask"))


def test_missing_capability(ctx: Ctx) -> CallToolResult:
    """Needs a client that can sample."""
    can = ctx.client_capabilities
    if can is None or can.sampling is None:
        data = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "sampling is needed", data)
    return said(text("it can sample"))


async def test_trigger_tool_change(ctx: Ctx) -> CallToolResult:
    """Says that the tools have changed."""
    await ctx.notify_tools_changed()
    return said(text("told"))


async def test_trigger_prompt_change(ctx: Ctx) -> CallToolResult:
    """Says that the prompts have changed."""
    await ctx.notify_prompts_changed()
    return said(text("told"))


# --- resources and prompts


def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


def static_binary() -> bytes:
    """An image."""
    return b64decode(PIXEL)


def template(id: str) -> str:  # noqa: A002  the suite's name
    """A text of a template."""
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def test_simple_prompt() -> list[Message]:
    """A text."""
    return [UserMessage("This is a simple prompt for testing.")]


def test_prompt_with_arguments(arg1: str, arg2: str) -> list[Message]:
    """A text with two gaps."""
    return [UserMessage(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]


def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:  # noqa: N803  the suite's name
    """A resource and a text."""
    return [
        UserMessage(embedded(resourceUri, "text/plain", "Embedded resource content for testing.")),
        UserMessage("Please process the embedded resource above."),
    ]


def test_prompt_with_image() -> list[Message]:
    """An image and a text."""
    return [
        UserMessage(ImageContent(type="image", data=PIXEL, mime_type="image/png")),
        UserMessage("Please analyze the image above."),
    ]


def test_input_required_result_prompt(ctx: Context) -> list[Message] | InputRequiredResult:
    """Needs to know what for."""
    found = answered(ctx, "user_context", "context")
    if found is None:
        return asks(user_context=ask("What context should the prompt use?", context="string"))
    return [UserMessage(f"In the context of {found}")]


# --- how they say it


def said(*content: ContentBlock) -> CallToolResult:
    return CallToolResult(content=list(content))


def text(content: str) -> TextContent:
    return TextContent(type="text", text=content)


def embedded(uri: str, mime_type: str, content: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=content))


def message(content: str) -> SamplingMessage:
    return SamplingMessage(role="user", content=text(content))


async def elicited(
    ctx: Ctx, question: str, properties: dict[str, Any], required: list[str] | None = None
) -> CallToolResult:
    schema = {"type": "object", "properties": properties, "required": required or []}
    answer = await ctx.session.elicit_form(question, schema, ctx.request_id)
    return said(text(f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}"))


def asks(state: str | None = None, /, **questions: InputRequest) -> InputRequiredResult:
    return InputRequiredResult(input_requests=questions, request_state=state)


def ask(question: str, **types: str) -> ElicitRequest:
    schema = {"type": "object", "properties": {n: {"type": kind} for n, kind in types.items()}, "required": [*types]}
    return ElicitRequest(params=ElicitRequestFormParams(message=question, requested_schema=schema))


def sample(question: str, max_tokens: int) -> CreateMessageRequest:
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message(question)], max_tokens=max_tokens))


ASK_NAME: Final = ask("What is your name?", name="string")


def response(ctx: Annotated[Any, Context], key: str) -> dict[str, Any] | None:
    """What the client answered to one question."""
    found = (ctx.input_responses or {}).get(key)
    return None if found is None else found.model_dump(mode="json", by_alias=True, exclude_none=True)


def answered(ctx: Any, key: str, field: str) -> Any:
    """What the user filled in."""
    return ((response(ctx, key) or {}).get("content") or {}).get(field)


RICH_SCHEMA: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
CONTENT: Final = (
    test_custom_headers,
    test_simple_text,
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_tool_with_progress,
)
SERVER_ASKS: Final = (
    test_tool_with_logging,
    test_logging_tool,
    test_sampling,
    test_elicitation,
    test_elicitation_sep1034_defaults,
    test_elicitation_sep1330_enums,
)
INPUT_REQUIRED: Final = (
    test_input_required_result_elicitation,
    test_input_required_result_sampling,
    test_input_required_result_list_roots,
    test_input_required_result_request_state,
    test_input_required_result_multiple_inputs,
    test_input_required_result_multi_round,
    test_input_required_result_tampered_state,
    test_streaming_elicitation,
)
CAPABILITIES: Final = (
    test_input_required_result_capabilities,
    test_missing_capability,
    test_trigger_tool_change,
    test_trigger_prompt_change,
)
PROMPTS: Final = (
    test_simple_prompt,
    test_prompt_with_arguments,
    test_prompt_with_embedded_resource,
    test_prompt_with_image,
    test_input_required_result_prompt,
)
