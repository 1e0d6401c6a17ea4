"""A small agent engine: `POST /execute`, answered by server-sent events, with a real model behind it.

    OPENAI_BASE_URL=http://127.0.0.1:8101/v1 ENGINE_MODEL=needle-3 uvicorn engine:app --port 8200

It asks the model, runs the tools that it calls, and goes on until the model answers. Its own tools are two small real
ones; tools that come with a request are offered to the model too, and since only the caller can run those, a call of one
ends the answer.
"""

import json
import os
import secrets
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

from openai import AsyncOpenAI, OpenAIError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

KEY = os.environ.get("ENGINE_KEY", "")
MODEL = os.environ.get("ENGINE_MODEL", "gpt-5-mini")
MAX_STEPS = int(os.environ.get("ENGINE_MAX_STEPS", "5"))
SYSTEM = "You answer questions about dates and temperatures. Use the tools to calculate."


def days_between(start: str, end: str) -> int:
    """Days from one date to another."""
    return (date.fromisoformat(end) - date.fromisoformat(start)).days


def convert_temperature(degrees: float, to: str) -> float:
    """A temperature in the other unit."""
    return round(degrees * 9 / 5 + 32 if to == "fahrenheit" else (degrees - 32) * 5 / 9, 1)


TOOLS = {"days_between": days_between, "convert_temperature": convert_temperature}
DEFINITIONS: list[dict[str, Any]] = [
    {
        "name": "days_between",
        "description": "Count the days from one date to another",
        "parameters": {
            "type": "object",
            "properties": {
                "start": {"type": "string", "description": "First date, YYYY-MM-DD"},
                "end": {"type": "string", "description": "Last date, YYYY-MM-DD"},
            },
            "required": ["start", "end"],
        },
    },
    {
        "name": "convert_temperature",
        "description": "Convert a temperature to celsius or fahrenheit",
        "parameters": {
            "type": "object",
            "properties": {
                "degrees": {"type": "number", "description": "Degrees in the other unit"},
                "to": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["degrees", "to"],
        },
    },
]


async def execute(request: Request) -> Response:
    """Check who asks and what, then stream the answer."""
    if KEY and not secrets.compare_digest(request.headers.get("X-Engine-Key", ""), KEY):
        return JSONResponse({"error": {"message": "wrong or missing X-Engine-Key"}}, 401)
    try:
        body = await request.json()
        messages = messages_of(body)
    except (ValueError, KeyError, TypeError) as error:
        return JSONResponse({"error": {"message": f"send `prompt`, or `messages`: {error}"}}, 400)
    return StreamingResponse(answer(messages, body.get("tools") or []), media_type="text/event-stream")


def messages_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The conversation of a request, whichever of its two forms it has."""
    asked = body["messages"] if "messages" in body else [{"role": "user", "content": body["prompt"]}]
    return [{"role": "system", "content": body.get("system") or SYSTEM}, *asked]


async def answer(messages: list[dict[str, Any]], offered: list[dict[str, Any]]) -> AsyncIterator[str]:
    """The events of one answer: model, tools, model again, until it has answered."""
    tools = [{"type": "function", "function": definition} for definition in DEFINITIONS] + offered
    try:
        async with AsyncOpenAI(api_key=os.environ.get("OPENAI_API_KEY", "none")) as client:
            for _ in range(MAX_STEPS):
                said, calls, usage = "", {}, None
                stream = await client.chat.completions.create(
                    model=MODEL, messages=messages, tools=tools, stream=True, stream_options={"include_usage": True}
                )
                async for chunk in stream:
                    usage = chunk.usage or usage
                    delta = chunk.choices[0].delta if chunk.choices else None
                    if delta and delta.content:
                        said += delta.content
                        yield event("text_delta", text=delta.content)
                    for part in (delta.tool_calls if delta else None) or []:
                        join_call(calls, part)
                if usage:
                    yield event("usage", **counts(usage), model=MODEL)
                messages.append({"role": "assistant", "content": said or None, **made(calls)})
                for call in calls.values():
                    function = call["function"]
                    yield event("tool_call", tool=function["name"], arguments=function["arguments"], id=call["id"])
                    if function["name"] in TOOLS:
                        result = run(function["name"], function["arguments"])
                        yield event("tool_result", tool=function["name"], content=result)
                        messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
                if not calls or any(call["function"]["name"] not in TOOLS for call in calls.values()):
                    break
    except OpenAIError as error:
        yield event("error", message=f"{type(error).__name__}: {error}")
    else:
        yield event("done")


def join_call(calls: dict[int, dict[str, Any]], part: Any) -> None:
    """Add a piece of a streamed call to what has come of it."""
    call = calls.setdefault(part.index, {"id": part.id, "type": "function", "function": {"name": "", "arguments": ""}})
    if part.function:
        call["function"]["name"] += part.function.name or ""
        call["function"]["arguments"] += part.function.arguments or ""


def made(calls: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """The calls as a message holds them."""
    return {"tool_calls": list(calls.values())} if calls else {}


def run(name: str, arguments: str) -> str:
    """A tool's result as the model reads it, or what was wrong with the call."""
    try:
        return json.dumps(TOOLS[name](**json.loads(arguments)))
    except (ValueError, TypeError) as error:
        return f"error: {error}"


def counts(usage: Any) -> dict[str, int]:
    """Tokens of one model response."""
    details = usage.prompt_tokens_details
    return {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "cache_hit_tokens": (details.cached_tokens if details else 0) or 0,
    }


def event(name: str, **content: Any) -> str:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(content)}\n\n"


app = Starlette(routes=[Route("/execute", execute, methods=["POST"])])
