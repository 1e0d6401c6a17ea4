"""One message as OpenAI, Anthropic, Gemini or LangChain write it, read as ours.

Lenient about keys that carry nothing for us, strict about what is said: a text that is no text is an error. Arguments
that are no JSON object stay as the text they are. Knows no conversation and no case.
"""

import json
from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple, cast

from mcp_evals.conversation import Image, Message, Role, ToolCall, ToolResult, Usage
from mcp_evals.model import parse_json
from mcp_evals.text import shorten

Dialect = Literal["openai", "openai_responses", "anthropic", "gemini", "langchain"]
"""Who writes so."""
UNTIL_RESULT: Final = ""
"""Instead of the id of a response: items belong to one response until a tool result comes."""


class Said(NamedTuple):
    """What one foreign message says."""

    messages: tuple[Message, ...]
    """The same in our form; none where it carries nothing for us, two where it brings tool results and more."""
    dialect: Dialect
    """Who writes so."""
    response: str | None = None
    """Id of the model's response; messages that share one are one step."""
    usage: Usage | None = None
    """Tokens of the response."""
    model: str | None = None
    """Model that answered."""
    stop_reason: str | None = None
    """Why it stopped."""
    left_out: tuple[str, ...] = ()
    """Kinds of content that we have no place for."""


class MessageError(ValueError):
    """Something is no message; says what it would have to be."""


def is_foreign_message(value: Any) -> bool:
    """Whether something is written as another system writes a message, rather than as we do."""
    return bool({"content", "parts", "tool_calls", "tool_call_id", "kwargs", "type"} & {*as_object(value)})


def read_message(value: Any) -> Said:
    """What a message says, whoever's it is.

    Raises:
        MessageError: it is no message of any form known here.
    """
    fields = as_object(value)
    if not fields:
        raise MessageError(f'must be a message such as {{"role": "user", "content": "…"}}, not {_shown(value)}')
    kind = _optional_text(fields.get("type"))
    if "role" not in fields and ("kwargs" in fields or "data" in fields or kind in _LANGCHAIN_ROLES):
        return _langchain(fields)
    if "parts" in fields:
        return gemini_content(fields)
    if "role" not in fields and kind is not None:
        return _responses_item(fields)
    said = _chat_message(fields)
    if kind == "message" and said.dialect == "openai":
        return said._replace(dialect="openai_responses", response=UNTIL_RESULT)
    return said


def read_call(value: Any) -> ToolCall:
    """A tool call in any of the usual shapes.

    Raises:
        MessageError: it has no name.
    """
    fields = as_object(value)
    fields = {**fields, **as_object(fields.get("function")), **as_object(fields.get("custom"))}
    name = fields.get("name", fields.get("tool"))
    if not isinstance(name, str):
        example = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'
        raise MessageError(f"must be a call such as {example}, not {_shown(value)}")
    arguments = next((fields[key] for key in ("arguments", "args", "input", "parameters") if key in fields), None)
    return ToolCall(name=name, arguments=read_arguments(arguments), id=_id(fields, "call_id", "id", "tool_call_id"))


def read_arguments(value: Any) -> dict[str, Any] | str:
    """Arguments of a call; what is no JSON object stays as the text that the model wrote."""
    if isinstance(value, dict):
        return as_object(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        return {}
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    try:
        parsed = parse_json(value)
    except ValueError:
        return value
    return as_object(parsed) if isinstance(parsed, dict) else value


def read_usage(value: Any) -> Usage | None:
    """Tokens as any of the providers counts them; None where nothing is counted."""
    fields = as_object(value)
    read = _count(fields, "input_tokens", "prompt_tokens", "promptTokenCount", "prompt_token_count")
    written = _count(fields, "output_tokens", "completion_tokens", "candidatesTokenCount", "candidates_token_count")
    thoughts = _count(fields, "thoughtsTokenCount", "thoughts_token_count")
    cached = _count(fields, "cached_input_tokens", "cachedContentTokenCount", "cached_content_token_count")
    cache_write = _count(fields, "cache_write_tokens")
    for details in ("prompt_tokens_details", "input_tokens_details", "input_token_details"):
        if cached is None:
            cached = _count(as_object(fields.get(details)), "cached_tokens", "cache_read")
    # Anthropic alone counts what is cached beside the input tokens, not among them.
    beside = _count(fields, "cache_read_input_tokens"), _count(fields, "cache_creation_input_tokens")
    if beside != (None, None):
        cached, cache_write = beside
        read = (read or 0) + (cached or 0) + (cache_write or 0)
    counted = Usage(
        input_tokens=read,
        output_tokens=written if thoughts is None else (written or 0) + thoughts,
        cached_input_tokens=cached,
        cache_write_tokens=cache_write,
    )
    return None if counted == Usage() else counted


def content_text(value: Any) -> str:
    """The text of a content that may be text, a list of blocks, or nothing.

    Raises:
        MessageError: it is something else.
    """
    return _read_content(value).text


# --- OpenAI chat and Anthropic

_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}


def _chat_message(fields: dict[str, Any]) -> Said:
    role = _role(fields.get("role"))
    if role == "tool":
        return Said((Message(role="tool", results=(_tool_answer(fields),)),), "openai")
    content = _read_content(fields.get("content"))
    calls = [*content.calls, *(read_call(call) for call in as_list(fields.get("tool_calls")))]
    if fields.get("function_call"):
        calls.append(read_call(fields["function_call"]))
    text = content.text or _text(fields.get("refusal"))
    results = [Message(role="tool", results=content.results)] if content.results else []
    says = bool(text or content.images or calls or not results)
    said = [Message(role=role, text=text, images=content.images, calls=tuple(calls))] if says else []
    return Said(
        # Results of tools that the provider ran stand behind their calls; a user's stand before the next question.
        tuple(said + results if role == "assistant" else results + said),
        "anthropic" if content.anthropic else "openai",
        usage=read_usage(fields.get("usage")),
        model=_optional_text(fields.get("model")),
        stop_reason=_optional_text(fields.get("stop_reason")),
        left_out=content.left_out,
    )


def _role(value: Any) -> Role:
    role = _ROLES.get(value) if isinstance(value, str) else None
    if role is None:
        raise MessageError(f"the role must be one of {', '.join(_ROLES)}, not {_shown(value)}")
    return role


def _tool_answer(fields: dict[str, Any]) -> ToolResult:
    content: Any = fields.get("content")
    answer = content_text(content) if isinstance(content, list) else content
    return ToolResult(content=answer, call_id=_id(fields, "tool_call_id"), is_error=fields.get("is_error") is True)


class _Content(NamedTuple):
    text: str = ""
    images: tuple[Image, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()
    left_out: tuple[str, ...] = ()
    anthropic: bool = False


def _read_content(value: Any) -> _Content:
    if value is None or isinstance(value, str):
        return _Content(value or "")
    if not isinstance(value, list):
        raise MessageError(f"`content` must be text or a list of blocks, not {_shown(value)}")
    found = [_read_block(block) for block in as_list(value)]
    return _Content(
        "".join(part.text for part in found),
        tuple(image for part in found for image in part.images),
        tuple(call for part in found for call in part.calls),
        tuple(result for part in found for result in part.results),
        tuple(kind for part in found for kind in part.left_out),
        any(part.anthropic for part in found),
    )


def _read_block(block: Any) -> _Content:
    if isinstance(block, str):
        return _Content(block)
    fields = as_object(block)
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise MessageError(f"a content block must be an object with a `type`, not {_shown(block)}")
    if kind in {"text", "input_text", "output_text"}:
        return _Content(_text(fields.get("text")))
    if kind == "refusal":
        return _Content(_text(fields.get("refusal")))
    if kind in {"thinking", "redacted_thinking", "reasoning"}:
        return _Content(anthropic=kind != "reasoning")
    if kind.endswith("tool_use"):
        return _Content(calls=(read_call(fields),), anthropic=True)
    if kind.endswith("tool_result"):
        return _Content(results=(_tool_result(fields),), anthropic=True)
    url = _image_url(fields)
    if url is None:
        return _Content(left_out=(kind,))
    return _Content(images=(Image(url=url),), anthropic=kind == "image")


def _tool_result(fields: dict[str, Any]) -> ToolResult:
    content: Any = fields.get("content")
    blocks = [as_object(block) for block in as_list(content)]
    if blocks and all(block.get("type") == "text" for block in blocks):
        content = "\n".join(_text(block.get("text")) for block in blocks)
    return ToolResult(content=content, call_id=_id(fields, "tool_use_id"), is_error=fields.get("is_error") is True)


def _image_url(fields: dict[str, Any]) -> str | None:
    """Address of a picture in an OpenAI or Anthropic block; None where it has none."""
    source = as_object(fields.get("source"))
    if source.get("type") == "base64":
        return f"data:{source.get('media_type')};base64,{source.get('data')}"
    found: Any = fields.get("image_url")
    return _optional_text(found) or _optional_text(as_object(found).get("url")) or _optional_text(source.get("url"))


# --- OpenAI Responses


def _responses_item(fields: dict[str, Any]) -> Said:
    kind: str = fields["type"]
    if kind in {"function_call", "custom_tool_call"}:
        return _response(Message(role="assistant", calls=(read_call(fields),)))
    if kind in {"function_call_output", "custom_tool_call_output"}:
        output: Any = fields.get("output")
        answer = content_text(output) if isinstance(output, list) else output
        return _response(Message(role="tool", results=(ToolResult(content=answer, call_id=_id(fields, "call_id")),)))
    if kind == "mcp_call":
        failed: Any = fields.get("error")
        result = ToolResult(content=failed or fields.get("output"), call_id=_id(fields, "id"), is_error=bool(failed))
        call = Message(role="assistant", calls=(read_call(fields),))
        return _response(call, Message(role="tool", results=(result,)))
    if kind == "reasoning":
        return Said((), "openai_responses")
    if kind.endswith(("_call", "_call_output", "_list_tools", "_request", "_response", "_reference")):
        return Said((), "openai_responses", left_out=(kind,))
    raise MessageError(f'needs `role` and `content`; "{shorten(kind, 60)}" is no known type of an item')


def _response(*messages: Message) -> Said:
    return Said(messages, "openai_responses", response=UNTIL_RESULT)


# --- Gemini

_GEMINI_PARTS: Final = ("text", "functionCall", "function_call", "functionResponse", "function_response", "inlineData", "inline_data")  # fmt: skip
_GEMINI_NOTHING: Final = frozenset({"thought", "thoughtSignature", "thought_signature"})


def gemini_content(fields: dict[str, Any]) -> Said:
    """A `Content` of Gemini: a role and parts.

    Raises:
        MessageError: it is none.
    """
    written: Any = fields.get("parts")
    parts = [as_object(part) for part in as_list(written)]
    if not all(parts) or not (written is None or isinstance(written, list)):
        raise MessageError('`parts` must be a list of objects such as {"text": "…"}')
    parts = [without_nulls(part) for part in parts if part.get("thought") is not True]
    calls = [read_call(call) for call in _each(parts, "functionCall", "function_call")]
    results = [
        ToolResult(content=found.get("response"), call_id=_id(found, "id"))
        for found in _each(parts, "functionResponse", "function_response")
    ]
    blobs = _each(parts, "inlineData", "inline_data")
    images = [
        Image(url=f"data:{blob.get('mimeType', blob.get('mime_type'))};base64,{blob.get('data')}") for blob in blobs
    ]
    text = "".join(_text(part.get("text")) for part in parts)
    role = _role(fields.get("role") or ("model" if calls else "user"))
    messages = [Message(role="tool", results=tuple(results))] if results else []
    if text or images or calls or not results:
        speaker = "user" if role == "tool" else role
        messages.append(Message(role=speaker, text=text, images=tuple(images), calls=tuple(calls)))
    strange = [part for part in parts if not {*_GEMINI_PARTS} & {*part} and not {*part} <= _GEMINI_NOTHING]
    kinds = [next(key for key in part if key not in _GEMINI_NOTHING) for part in strange]
    return Said(tuple(messages), "gemini", left_out=tuple(kinds))


# --- LangChain

_LANGCHAIN_ROLES: Final = {
    "human": "user",
    "ai": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "function",
}


def _langchain(fields: dict[str, Any]) -> Said:
    """A message as LangChain dumps it: plain, `{type, data}` or `{lc, id, kwargs}`."""
    inner = as_object(fields.get("kwargs", fields.get("data", fields)))
    path = as_list(fields.get("id"))
    class_name = str(path[-1]).removesuffix("Chunk").removesuffix("Message").lower() if path else ""
    named = (_optional_text(inner.get("type")), _optional_text(fields.get("type")), class_name)
    kind = next((name for name in named if name in _LANGCHAIN_ROLES), None)
    if kind is None:
        raise MessageError(f"a LangChain message must be of type {', '.join(_LANGCHAIN_ROLES)}")
    calls = [*as_list(inner.get("tool_calls")), *as_list(inner.get("invalid_tool_calls"))]
    content: Any = inner.get("content")
    if calls and isinstance(content, list):
        # A block for a call repeats what stands in `tool_calls`.
        content = [block for block in as_list(content) if not str(as_object(block).get("type")).endswith("tool_use")]
    said = _chat_message(
        {
            "role": _LANGCHAIN_ROLES[kind],
            "content": content,
            "tool_calls": calls,
            "tool_call_id": inner.get("tool_call_id"),
            "is_error": inner.get("status") == "error",
            "usage": inner.get("usage_metadata"),
        }
    )
    return said._replace(dialect="langchain")


# --- foreign values


def as_object(value: Any) -> dict[str, Any]:
    """The value where it is an object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The value where it is a list, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def without_nulls(value: Any) -> dict[str, Any]:
    """An object without the keys that a full dump writes for what is not there."""
    return {key: item for key, item in as_object(value).items() if item is not None}


def _each(parts: Iterable[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    """The objects under any of these keys."""
    return [as_object(part[key]) for part in parts for key in keys if key in part]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MessageError(f"a text must be text, not {_shown(value)}")
    return value


def _optional_text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _id(fields: dict[str, Any], *keys: str) -> str | None:
    found = next((fields[key] for key in keys if fields.get(key) is not None), None)
    return None if found is None else str(found)


def _count(fields: dict[str, Any], *keys: str) -> int | None:
    found = (fields.get(key) for key in keys)
    return next(
        (count for count in found if isinstance(count, int) and not isinstance(count, bool) and count >= 0), None
    )


def _shown(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), 60)
