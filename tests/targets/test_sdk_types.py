"""What is sent is what the providers' own packages take, and messages that come back are those that went."""

from collections.abc import Iterable
from typing import Any, Literal

from anthropic.types import MessageParam, ToolParam
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import TypeAdapter

from mcp_evals.conversation import Image, Message, ToolCall, ToolDefinition, ToolResult
from mcp_evals.targets.messages import (
    anthropic_messages,
    openai_messages,
    read_anthropic_messages,
    read_openai_messages,
)
from mcp_evals.targets.schemas import wire_name, wire_tools

FUZZ = settings(derandomize=True, deadline=None, max_examples=60)
OPENAI_MESSAGE = TypeAdapter[Any](ChatCompletionMessageParam)
OPENAI_TOOL = TypeAdapter[Any](ChatCompletionToolParam)
ANTHROPIC_MESSAGE = TypeAdapter[Any](MessageParam)
ANTHROPIC_TOOL = TypeAdapter[Any](ToolParam)


def taken(adapter: TypeAdapter[Any], value: Any) -> Any:
    """The value as the package's type takes it, without the keys that it does not know, looked at to its depth."""
    return looked_through(adapter.validate_python(value))


def looked_through(value: Any) -> Any:
    # What is typed as iterable is looked at only when somebody goes through it.
    if isinstance(value, dict):
        return {key: looked_through(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [looked_through(item) for item in value]
    return value


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
SAID = st.text(min_size=1).filter(lambda text: text == text.strip())
NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,20}", fullmatch=True)
IMAGES = st.sampled_from([Image(url="https://example.com/a.png"), Image(url="data:image/png;base64,iVBORw0KGgo=")])


@st.composite
def conversations(draw: st.DrawFn, errors: Literal["errors", "no errors"]) -> tuple[Message, ...]:
    """A user, an assistant that may call tools, their results, and so on."""
    messages: list[Message] = []
    for turn in range(draw(st.integers(1, 3))):
        images = tuple(draw(st.lists(IMAGES, max_size=2)))
        messages.append(Message(role="user", text=draw(SAID), images=images))
        for step in range(draw(st.integers(0, 2))):
            ids = [f"call_{turn}_{step}_{number}" for number in range(draw(st.integers(1, 3)))]
            made = tuple(
                ToolCall(name=draw(NAMES), arguments=draw(st.dictionaries(st.text(), JSON, max_size=3)), id=id_)
                for id_ in ids
            )
            messages.append(Message(role="assistant", text=draw(st.just("") | SAID), calls=made))
            failed = st.booleans() if errors == "errors" else st.just(False)
            results = tuple(ToolResult(content=draw(SAID), call_id=id_, is_error=draw(failed)) for id_ in ids)
            messages.append(Message(role="tool", results=results))
        messages.append(Message(role="assistant", text=draw(SAID)))
    return tuple(messages)


@FUZZ
@given(conversations("errors"))
def test_openai_takes_every_conversation(conversation: tuple[Message, ...]) -> None:
    sent = openai_messages("Be brief.", conversation, wire_name)

    assert sent == [taken(OPENAI_MESSAGE, message) for message in sent]


@FUZZ
@given(conversations("errors"))
def test_anthropic_takes_every_conversation(conversation: tuple[Message, ...]) -> None:
    _, sent = anthropic_messages("Be brief.", conversation, wire_name)

    assert sent == [taken(ANTHROPIC_MESSAGE, message) for message in sent]
    assert ["user", "assistant"] * (len(sent) // 2) == [message["role"] for message in sent]


@FUZZ
@given(conversations("no errors"))
def test_openai_s_messages_read_back_are_those_that_were_sent(conversation: tuple[Message, ...]) -> None:
    assert conversation == tuple(read_openai_messages(openai_messages(None, conversation)))


@FUZZ
@given(conversations("errors"))
def test_anthropic_s_messages_read_back_are_those_that_were_sent(conversation: tuple[Message, ...]) -> None:
    system, messages = anthropic_messages(None, conversation)

    assert conversation == tuple(read_anthropic_messages(messages, system))


@FUZZ
@given(st.text(min_size=1), st.text(), st.booleans())
def test_both_take_every_tool(name: str, description: str, strict: bool) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}
    tools = (ToolDefinition(name=name, description=description, input_schema=schema),)

    for_openai = wire_tools(tools, strict=strict).sent[0].openai
    for_anthropic = wire_tools(tools, strict=strict, all_required=False).sent[0].anthropic

    assert for_openai == taken(OPENAI_TOOL, for_openai)
    assert for_anthropic == taken(ANTHROPIC_TOOL, for_anthropic)


@FUZZ
@given(st.text(min_size=1), st.dictionaries(st.text(), JSON, max_size=3))
def test_a_call_comes_back_under_the_name_that_its_owner_gave_the_tool(name: str, arguments: dict[str, Any]) -> None:
    tools = wire_tools((ToolDefinition(name=name),))

    back = tools.read(ToolCall(name=tools.sent[0].name, arguments=arguments))

    assert ToolCall(name=name, arguments=arguments) == back
