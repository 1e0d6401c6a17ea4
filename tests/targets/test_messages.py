"""Messages in the wire forms of OpenAI and Anthropic, both ways."""

import re
from typing import Any

import pytest

from mcp_evals.conversation import Image, Message, ToolCall, ToolResult, Usage
from mcp_evals.targets.base import ProviderMessage
from mcp_evals.targets.messages import (
    anthropic_messages,
    openai_messages,
    read_anthropic_messages,
    read_anthropic_usage,
    read_arguments,
    read_json,
    read_openai_messages,
    read_openai_usage,
    with_call_ids,
)
from mcp_evals.targets.schemas import wire_name

PIXEL = "data:image/png;base64,iVBORw0KGgo="
WEATHER = ToolCall(name="weather.get", arguments={"city": "Zürich"}, id="call_a")
BROKEN = ToolCall(name="add", arguments='{"a": 1,', id="call_b")
CONVERSATION = (
    Message(role="user", text="Look", images=(Image(url=PIXEL), Image(url="https://example.com/a.png"))),
    Message(role="assistant", text="I will.", calls=(WEATHER, BROKEN)),
    Message(
        role="tool",
        results=(
            ToolResult(content={"temp": 18}, call_id="call_a"),
            ToolResult(content="no JSON", call_id="call_b", is_error=True),
        ),
    ),
    Message(role="user", text="And?"),
    Message(role="assistant", text="Sun."),
)


# --- to OpenAI


def test_a_conversation_for_openai() -> None:
    assert openai_messages("Be brief.", CONVERSATION, wire_name) == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": PIXEL}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": "I will.",
            "tool_calls": [
                {
                    "id": "call_a",
                    "type": "function",
                    "function": {"name": "weather_get", "arguments": '{"city": "Zürich"}'},
                },
                {"id": "call_b", "type": "function", "function": {"name": "add", "arguments": '{"a": 1,'}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_a", "content": '{"temp": 18}'},
        {"role": "tool", "tool_call_id": "call_b", "content": "no JSON"},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": "Sun."},
    ]


def test_an_assistant_message_of_calls_alone_has_no_content() -> None:
    (wire,) = openai_messages(None, [Message(role="assistant", calls=(WEATHER,))])

    assert wire["content"] is None


def test_system_messages_of_the_history_stay_where_they_are_at_openai() -> None:
    messages = [Message(role="user", text="Hi"), Message(role="system", text="Now in French.")]

    assert openai_messages(None, messages) == [
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "Now in French."},
    ]


# --- to Anthropic


def test_a_conversation_for_anthropic_takes_turns() -> None:
    assert anthropic_messages("Be brief.", CONVERSATION, wire_name) == (
        "Be brief.",
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                    {"type": "text", "text": "Look"},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I will."},
                    {"type": "tool_use", "id": "call_a", "name": "weather_get", "input": {"city": "Zürich"}},
                    {"type": "tool_use", "id": "call_b", "name": "add", "input": {"INVALID_JSON": '{"a": 1,'}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_a", "content": '{"temp": 18}'},
                    {"type": "tool_result", "tool_use_id": "call_b", "content": "no JSON", "is_error": True},
                    {"type": "text", "text": "And?"},
                ],
            },
            {"role": "assistant", "content": [{"type": "text", "text": "Sun."}]},
        ],
    )


def test_system_messages_of_the_history_join_the_system_prompt_at_anthropic() -> None:
    messages = [Message(role="system", text="Now in French."), Message(role="user", text="Hi")]

    assert anthropic_messages("Be brief.", messages) == (
        "Be brief.\n\nNow in French.",
        [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    )


def test_messages_of_one_role_in_a_row_are_merged_and_blank_text_is_left_out() -> None:
    said = [
        Message(role="user", text="Hi"),
        Message(role="assistant", text=" \n"),
        Message(role="user", text="Are you there?"),
    ]

    assert anthropic_messages(None, said)[1] == [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "Are you there?"}]}
    ]


def test_an_image_written_out_without_base64_is_encoded() -> None:
    message = Message(role="user", images=(Image(url="data:image/svg+xml,%3Csvg/%3E"),))

    (wire,) = anthropic_messages(None, [message])[1]

    source = {"type": "base64", "media_type": "image/svg+xml", "data": "PHN2Zy8+"}
    assert wire["content"] == [{"type": "image", "source": source}]


# --- what a provider wrote goes back as it was


def test_a_provider_s_own_message_goes_back_unchanged() -> None:
    openai: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [{"id": "call_a", "signature": "s"}]}
    anthropic: dict[str, Any] = {"role": "assistant", "content": [{"type": "thinking", "signature": "s"}]}

    def said(wire: dict[str, Any]) -> Message:
        return ProviderMessage(role="assistant", calls=(WEATHER,), wire=wire)

    assert openai_messages(None, [said(openai)]) == [openai]
    assert anthropic_messages(None, [said(anthropic)])[1] == [anthropic]


def test_a_provider_s_own_message_gets_new_ids_where_its_own_would_be_mistaken() -> None:
    calls = (ToolCall(name="a", id="same"), ToolCall(name="b", id="same"))
    openai: dict[str, Any] = {"role": "assistant", "tool_calls": [{"id": "same", "signature": "s"}, {"id": "same"}]}
    use: dict[str, Any] = {"type": "tool_use", "id": "same"}
    thought: dict[str, Any] = {"type": "thinking", "signature": "s"}
    anthropic: dict[str, Any] = {"role": "assistant", "content": [thought, use, use]}

    def said(wire: dict[str, Any]) -> Message:
        return ProviderMessage(role="assistant", calls=calls, wire=wire)

    assert openai_messages(None, [said(openai)]) == [
        {"role": "assistant", "tool_calls": [{"id": "same", "signature": "s"}, {"id": "call_1"}]}
    ]
    assert anthropic_messages(None, [said(anthropic)])[1] == [
        {"role": "assistant", "content": [thought, use, {**use, "id": "call_1"}]}
    ]


# --- ids


def calling(*ids: str | None) -> Message:
    return Message(role="assistant", calls=tuple(ToolCall(name="add", id=id_) for id_ in ids))


def answering(*ids: str | None) -> Message:
    return Message(role="tool", results=tuple(ToolResult(call_id=id_) for id_ in ids))


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([calling("a"), answering("a")], [["a"], ["a"]]),
        ([calling(None, None), answering(None, None)], [["call_1", "call_2"], ["call_1", "call_2"]]),
        ([calling("a", "b"), answering("b", "a")], [["a", "b"], ["b", "a"]]),
        ([calling("0"), answering("0"), calling("0"), answering("0")], [["0"], ["0"], ["call_1"], ["call_1"]]),
        ([calling("get:0", ""), answering("get:0", "")], [["get:0", "call_1"], ["get:0", "call_1"]]),
        ([calling("call_1", None), answering("call_1", None)], [["call_1", "call_2"], ["call_1", "call_2"]]),
        ([calling("a"), answering("unknown")], [["a"], ["unknown"]]),
    ],
)
def test_every_call_has_an_id_of_its_own_and_results_find_theirs(
    messages: list[Message], expected: list[list[str]]
) -> None:
    named = with_call_ids(messages, re.compile(".+"))

    assert expected == [[c.id for c in m.calls] or [r.call_id for r in m.results] for m in named]


# --- reading


def test_openai_messages_read_back_are_those_that_were_written() -> None:
    read = read_openai_messages(openai_messages("Be brief.", CONVERSATION))

    results = (ToolResult(content='{"temp": 18}', call_id="call_a"), ToolResult(content="no JSON", call_id="call_b"))
    expected = [Message(role="system", text="Be brief."), *CONVERSATION]
    expected[3] = Message(role="tool", results=results)
    assert list(read) == expected


def test_anthropic_messages_read_back_are_those_that_were_written() -> None:
    system, messages = anthropic_messages("Be brief.", CONVERSATION)

    read = read_anthropic_messages(messages, system)

    results = (
        ToolResult(content='{"temp": 18}', call_id="call_a"),
        ToolResult(content="no JSON", call_id="call_b", is_error=True),
    )
    broken = BROKEN.model_copy(update={"arguments": {"INVALID_JSON": '{"a": 1,'}})
    expected = [Message(role="system", text="Be brief."), *CONVERSATION]
    expected[2] = Message(role="assistant", text="I will.", calls=(WEATHER, broken))
    expected[3] = Message(role="tool", results=results)
    assert list(read) == expected


def test_older_and_looser_forms_of_openai_are_read() -> None:
    read = read_openai_messages(
        [
            {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
            {"role": "assistant", "content": None, "function_call": {"name": "add", "arguments": "{}"}},
            {"role": "function", "name": "add", "content": "3"},
            {"role": "assistant", "content": None, "refusal": "I cannot."},
            {
                "role": "assistant",
                "tool_calls": [{"type": "custom", "id": "c", "custom": {"name": "sh", "input": "ls"}}],
            },
            {"role": "assistant", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1}}}]},
        ]
    )

    assert read == (
        Message(role="system", text="Be brief."),
        Message(role="assistant", calls=(ToolCall(name="add"),)),
        Message(role="tool", results=(ToolResult(content="3"),)),
        Message(role="assistant", text="I cannot."),
        Message(role="assistant", calls=(ToolCall(name="sh", arguments="ls", id="c"),)),
        Message(role="assistant", calls=(ToolCall(name="add", arguments={"a": 1}),)),
    )


def test_thoughts_are_not_what_an_assistant_said() -> None:
    blocks = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Sun."}]

    assert read_anthropic_messages([{"role": "assistant", "content": blocks}]) == (
        Message(role="assistant", text="Sun."),
    )


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (["hello"], r"messages\[0\] is no object"),
        ([{"role": "user", "content": "a"}, {"role": "narrator"}], r"messages\[1\]\.role is 'narrator'"),
        ([{"role": "assistant", "tool_calls": [{"function": {}}]}], "a tool call without a name"),
    ],
)
def test_what_is_no_message_is_told(messages: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_openai_messages(messages)


# --- arguments, JSON, tokens


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ({"a": 1}, {"a": 1}),
        ("", {}),
        (" ", {}),
        (None, {}),
        ('{"a": 1', '{"a": 1'),
        ("[1]", "[1]"),
        ("null", "null"),
        ("5", "5"),
        ('{"a": NaN}', '{"a": NaN}'),
        ('{"a": -Infinity}', '{"a": -Infinity}'),
        ('{"a": 1e999}', '{"a": 1e999}'),
        ("[" * 200 + "]" * 200, "[" * 200 + "]" * 200),
        ('{"a": ' + "9" * 5000 + "}", '{"a": ' + "9" * 5000 + "}"),
    ],
)
def test_arguments_that_are_no_json_object_are_kept_as_text(written: Any, expected: Any) -> None:
    assert read_arguments(written) == expected


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    assert read_json('{"a\\ud800": ["x\\udc00", "\\ud83d\\ude00"]}') == {"a\ufffd": ["x\ufffd", "😀"]}
    assert read_arguments('{"a": "\\ud800"}') == {"a": "\ufffd"}


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        (
            {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 64}},
            Usage(input_tokens=100, output_tokens=7, cached_input_tokens=64),
        ),
        ({"prompt_tokens": 5.0, "completion_tokens": None}, Usage(input_tokens=5)),
        ({"prompt_tokens": -1, "completion_tokens": "7"}, None),
        (None, None),
    ],
)
def test_tokens_as_openai_counts_them(counted: Any, expected: Usage | None) -> None:
    assert read_openai_usage(counted) == expected


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        (
            {
                "input_tokens": 10,
                "output_tokens": 7,
                "cache_read_input_tokens": 80,
                "cache_creation_input_tokens": 20,
            },
            Usage(input_tokens=110, output_tokens=7, cached_input_tokens=80, cache_write_tokens=20),
        ),
        ({"input_tokens": 10, "output_tokens": 7}, Usage(input_tokens=10, output_tokens=7)),
        ({}, None),
    ],
)
def test_tokens_as_anthropic_counts_them_become_ours(counted: Any, expected: Usage | None) -> None:
    assert read_anthropic_usage(counted) == expected
