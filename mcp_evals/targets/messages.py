"""Messages in the wire forms of OpenAI and Anthropic, both ways. Pure.

Knows no client: what goes in and comes out is JSON. Reading is tolerant, because servers that call themselves compatible
differ; what a model wrote is kept as it is, well-formed or not.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, Final, cast
from urllib.parse import unquote_to_bytes

from pydantic import JsonValue

from mcp_evals.conversation import Image, Message, ToolCall, ToolResult, Usage
from mcp_evals.model import parse_json
from mcp_evals.targets.base import ProviderMessage

Wire = dict[str, Any]
"""A JSON object as it goes over the wire."""

INVALID_ARGUMENTS: Final = "INVALID_JSON"
"""The key under which Anthropic takes arguments that are no JSON object."""


def openai_messages(
    system: str | None, messages: Iterable[Message], spell: Callable[[str], str] = str
) -> list[dict[str, Any]]:
    """A conversation for OpenAI's chat completions; `spell` writes the names of tools."""
    wire: list[Wire] = [{"role": "system", "content": system}] if system is not None else []
    for message in with_call_ids(messages, _ANY_ID):
        wire += _to_openai(message, spell)
    return wire


def anthropic_messages(
    system: str | None, messages: Iterable[Message], spell: Callable[[str], str] = str
) -> tuple[str | None, list[dict[str, Any]]]:
    """System prompt and conversation for Anthropic's messages: roles take turns, system messages join the prompt."""
    prompts = [system] if system is not None else []
    wire: list[Wire] = []
    for message in with_call_ids(messages, _PLAIN_ID):
        if message.role == "system":
            prompts.append(message.text)
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _anthropic_blocks(message, spell)
        if blocks and wire and wire[-1]["role"] == role:
            wire[-1]["content"] += blocks
        elif blocks:
            wire.append({"role": role, "content": blocks})
    return "\n\n".join(prompts) if prompts else None, wire


def read_openai_messages(messages: Sequence[Any]) -> tuple[Message, ...]:
    """Messages of OpenAI's chat completions as ours; tool messages in a row become one.

    Raises:
        ValueError: one is no such message; says which and why.
    """
    read: list[Message] = []
    for index, wire in enumerate(messages):
        message = _from_openai(json_object(wire, f"messages[{index}]"), f"messages[{index}]")
        if message.role == "tool" and read and read[-1].role == "tool":
            read[-1] = read[-1].model_copy(update={"results": (*read[-1].results, *message.results)})
        else:
            read.append(message)
    return tuple(read)


def read_anthropic_messages(messages: Sequence[Any], system: Any = None) -> tuple[Message, ...]:
    """Messages of Anthropic's API as ours, the system prompt first where there is one.

    Raises:
        ValueError: one is no such message; says which and why.
    """
    read: list[Message] = [Message(role="system", text=_text_of(system))] if system else []
    for index, wire in enumerate(messages):
        read += _from_anthropic(json_object(wire, f"messages[{index}]"), f"messages[{index}]")
    return tuple(read)


def read_openai_calls(message: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    """The calls of an assistant message, of its older `function_call` form too."""
    calls = [_openai_call(json_object(call, "tool_calls")) for call in json_list(message.get("tool_calls"))]
    if not calls and isinstance(message.get("function_call"), dict):
        calls.append(_openai_call({"function": message["function_call"]}))
    return tuple(calls)


def read_openai_text(message: Mapping[str, Any]) -> str:
    """What an assistant message says; a refusal is said too."""
    return _text_of(message.get("content")) or _text_of(message.get("refusal"))


def read_anthropic_calls(blocks: Iterable[Any]) -> tuple[ToolCall, ...]:
    """The calls among the content blocks of an assistant message."""
    return tuple(
        ToolCall(name=_name_of(block), arguments=read_arguments(block.get("input")), id=_id_of(block))
        for block in _blocks(blocks)
        if block.get("type") == "tool_use"
    )


def read_anthropic_text(blocks: Iterable[Any]) -> str:
    """What the content blocks of an assistant message say, thoughts left out."""
    return "".join(str(block.get("text", "")) for block in _blocks(blocks) if block.get("type") == "text")


def read_openai_usage(usage: Any) -> Usage | None:
    """Tokens as OpenAI counts them: cached ones are part of the input."""
    counted = _counts(usage)
    details = _counts(counted.get("prompt_tokens_details"))
    return _usage(
        input_tokens=read_tokens(counted.get("prompt_tokens")),
        output_tokens=read_tokens(counted.get("completion_tokens")),
        cached_input_tokens=read_tokens(details.get("cached_tokens")),
    )


def read_anthropic_usage(usage: Any) -> Usage | None:
    """Tokens as Anthropic counts them: its input leaves out what the cache read and wrote, ours has all."""
    counted = _counts(usage)
    fresh = read_tokens(counted.get("input_tokens"))
    read = read_tokens(counted.get("cache_read_input_tokens"))
    written = read_tokens(counted.get("cache_creation_input_tokens"))
    return _usage(
        input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        output_tokens=read_tokens(counted.get("output_tokens")),
        cached_input_tokens=read,
        cache_write_tokens=written,
    )


def read_arguments(arguments: Any) -> dict[str, JsonValue] | str:
    """Arguments as a model wrote them: an object, or the raw text of what is none. Nothing at all is no arguments."""
    if isinstance(arguments, dict):
        return cast(dict[str, JsonValue], arguments)
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        return {}
    text = arguments if isinstance(arguments, str) else str(arguments)
    try:
        read = read_json(text)
    except ValueError:
        return text
    return cast(dict[str, JsonValue], read) if isinstance(read, dict) else text


def read_json(text: str | bytes) -> Any:
    """Strict JSON in which every text is valid Unicode: half a surrogate pair becomes a replacement character.

    Raises:
        ValueError: it is no JSON; the message says why.
    """
    decoded = text if isinstance(text, str) else text.decode("utf-8-sig")
    read = parse_json(decoded)
    return _mended(read) if _ESCAPED_SURROGATE.search(decoded) else read


def read_tokens(count: Any) -> int | None:
    """A number of tokens; None where a provider wrote something else."""
    whole = isinstance(count, int | float) and not isinstance(count, bool) and count >= 0 and count == int(count)
    return int(count) if whole else None


def json_list(value: Any) -> list[Any]:
    """The list, or an empty one where there is none."""
    return cast(list[Any], value) if isinstance(value, list) else []


def json_object(value: Any, place: str) -> Wire:
    """The object.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{place} is no object")  # noqa: TRY004  the document is wrong, not the program
    return cast(Wire, value)


def with_call_ids(messages: Iterable[Message], usable: re.Pattern[str]) -> list[Message]:
    """The conversation with a usable id for every call, its own in the whole of it, and results that refer to them."""
    taken: set[str] = set()
    fresh = (name for name in (f"call_{number}" for number in count(1)) if name not in taken)
    unanswered: list[tuple[str | None, str]] = []
    named: list[Message] = []
    for message in messages:
        if message.calls:
            unanswered = []
        calls: list[ToolCall] = []
        for call in message.calls:
            kept = call.id if call.id and usable.fullmatch(call.id) and call.id not in taken else None
            name = kept or next(fresh)
            taken.add(name)
            unanswered.append((call.id, name))
            calls.append(call.model_copy(update={"id": name}))
        results = [result.model_copy(update={"call_id": _claim(result, unanswered)}) for result in message.results]
        named.append(_renamed(message, tuple(calls), tuple(results)))
    return named


_ANY_ID: Final = re.compile(r".+")
_PLAIN_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""All that Anthropic takes."""
_ESCAPED_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def _claim(result: ToolResult, unanswered: list[tuple[str | None, str]]) -> str | None:
    """The id of the call that a result answers: the one that it names, else the first that waits for an answer."""
    named = [pair for pair in unanswered if result.call_id is not None and result.call_id == pair[0]]
    waiting = named or (unanswered if result.call_id is None else [])
    if not waiting:
        return result.call_id
    answered = waiting[0]
    unanswered.remove(answered)
    return answered[1]


def _renamed(message: Message, calls: tuple[ToolCall, ...], results: tuple[ToolResult, ...]) -> Message:
    if calls == message.calls and results == message.results:
        return message
    changes: dict[str, Any] = {"calls": calls, "results": results}
    if isinstance(message, ProviderMessage):
        changes["wire"] = _with_ids(message.wire, [call.id for call in calls])
    return message.model_copy(update=changes)


def _with_ids(wire: Wire, ids: Sequence[str | None]) -> Wire:
    """A provider's own message with these ids for its calls."""
    fresh = iter(ids)
    if "tool_calls" in wire:
        return {**wire, "tool_calls": [{**call, "id": next(fresh)} for call in json_list(wire["tool_calls"])]}
    blocks = [
        {**block, "id": next(fresh)} if block.get("type") == "tool_use" else block for block in _blocks(wire["content"])
    ]
    return {**wire, "content": blocks}


# --- to the wire


def _to_openai(message: Message, spell: Callable[[str], str]) -> list[Wire]:
    if isinstance(message, ProviderMessage):
        return [message.wire]
    if message.role == "tool":
        return [
            {"role": "tool", "tool_call_id": result.call_id or "", "content": result.text} for result in message.results
        ]
    if message.role == "assistant":
        calls = [_to_openai_call(call, spell) for call in message.calls]
        said = message.text if message.text or not calls else None
        return [{"role": "assistant", "content": said, **({"tool_calls": calls} if calls else {})}]
    if not message.images:
        return [{"role": message.role, "content": message.text}]
    text = [{"type": "text", "text": message.text}] if message.text else []
    images = [{"type": "image_url", "image_url": {"url": image.url}} for image in message.images]
    return [{"role": message.role, "content": [*text, *images]}]


def _to_openai_call(call: ToolCall, spell: Callable[[str], str]) -> Wire:
    raw = call.arguments
    arguments = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": spell(call.name), "arguments": arguments}}


def _anthropic_blocks(message: Message, spell: Callable[[str], str]) -> list[Wire]:
    if isinstance(message, ProviderMessage):
        return list(cast(list[Wire], message.wire["content"]))
    results: list[Wire] = [
        {
            "type": "tool_result",
            "tool_use_id": result.call_id or "",
            "content": result.text,
            **({"is_error": True} if result.is_error else {}),
        }
        for result in message.results
    ]
    # A block of nothing but white space is refused.
    text: list[Wire] = [{"type": "text", "text": message.text}] if message.text.strip() else []
    calls: list[Wire] = [
        {
            "type": "tool_use",
            "id": call.id,
            "name": spell(call.name),
            "input": call.arguments if isinstance(call.arguments, dict) else {INVALID_ARGUMENTS: call.arguments},
        }
        for call in message.calls
    ]
    return [*results, *(_anthropic_image(image) for image in message.images), *text, *calls]


def _anthropic_image(image: Image) -> Wire:
    if not image.url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    head, _, content = image.url.removeprefix("data:").partition(",")
    media_type, *rest = head.split(";")
    if "base64" not in rest:
        content = base64.b64encode(unquote_to_bytes(content)).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": content}}


# --- from the wire


def _from_openai(wire: Wire, place: str) -> Message:
    role = wire.get("role")
    content = wire.get("content")
    if role in ("system", "developer"):
        return Message(role="system", text=_text_of(content))
    if role == "user":
        return Message(role="user", text=_text_of(content), images=_openai_images(content))
    if role == "assistant":
        return Message(role="assistant", text=read_openai_text(wire), calls=read_openai_calls(wire))
    if role in ("tool", "function"):
        return Message(
            role="tool", results=(ToolResult(content=_text_of(content), call_id=_id_of(wire, "tool_call_id")),)
        )
    raise ValueError(f"{place}.role is {role!r}; it can be system, developer, user, assistant or tool")


def _openai_images(content: Any) -> tuple[Image, ...]:
    addresses = [block.get("image_url") for block in _blocks(content) if block.get("type") in _IMAGE_PARTS]
    urls = [cast(Wire, address).get("url") if isinstance(address, dict) else address for address in addresses]
    return tuple(Image(url=url) for url in urls if isinstance(url, str))


_IMAGE_PARTS: Final = ("image_url", "input_image")


def _openai_call(wire: Wire) -> ToolCall:
    custom = wire.get("custom")
    if isinstance(custom, dict):
        free = cast(Wire, custom)
        return ToolCall(name=_name_of(free), arguments=str(free.get("input", "")), id=_id_of(wire))
    function = wire.get("function")
    described = cast(Wire, function) if isinstance(function, dict) else wire
    return ToolCall(name=_name_of(described), arguments=read_arguments(described.get("arguments")), id=_id_of(wire))


def _from_anthropic(wire: Wire, place: str) -> list[Message]:
    role, content = wire.get("role"), wire.get("content")
    if role not in ("user", "assistant", "system"):
        raise ValueError(f"{place}.role is {role!r}; it can be user or assistant")
    blocks: list[Wire] = [{"type": "text", "text": content}] if isinstance(content, str) else _blocks(content)
    text = read_anthropic_text(blocks)
    if role != "user":
        return [Message(role=role, text=text, calls=read_anthropic_calls(blocks))]
    results = tuple(_anthropic_result(block) for block in blocks if block.get("type") == "tool_result")
    images = tuple(
        Image(url=url) for block in blocks if block.get("type") == "image" and (url := _image_url(block.get("source")))
    )
    answered = [Message(role="tool", results=results)] if results else []
    asked = [Message(role="user", text=text, images=images)] if text or images or not results else []
    return [*answered, *asked]


def _anthropic_result(block: Wire) -> ToolResult:
    return ToolResult(
        content=_text_of(block.get("content")),
        call_id=_id_of(block, "tool_use_id"),
        is_error=block.get("is_error") is True,
    )


def _image_url(source: Any) -> str | None:
    if not isinstance(source, dict):
        return None
    described = cast(Wire, source)
    if described.get("type") == "base64":
        return f"data:{described.get('media_type', '')};base64,{described.get('data', '')}"
    url = described.get("url")
    return url if isinstance(url, str) else None


def _text_of(content: Any) -> str:
    """The text of a content, whether it is a string or a list of parts."""
    if isinstance(content, str):
        return content
    parts = [block.get("text") or block.get("refusal") for block in _blocks(content)]
    return "".join(part for part in parts if isinstance(part, str))


def _usage(**counted: int | None) -> Usage | None:
    known = {name: number for name, number in counted.items() if number is not None}
    return Usage(**known) if known else None


def _counts(usage: Any) -> Wire:
    return cast(Wire, usage) if isinstance(usage, dict) else {}


def _blocks(content: Any) -> list[Wire]:
    return [cast(Wire, block) for block in json_list(content) if isinstance(block, dict)]


def _name_of(wire: Wire) -> str:
    name = wire.get("name")
    if not isinstance(name, str):
        raise ValueError("a tool call without a name")  # noqa: TRY004  as above
    return name


def _id_of(wire: Wire, key: str = "id") -> str | None:
    found = wire.get(key)
    return found if isinstance(found, str) and found else None


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mended(item) for item in cast(list[Any], value)]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in cast(dict[str, Any], value).items()}
    return value
