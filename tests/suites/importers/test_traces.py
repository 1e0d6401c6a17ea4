"""Traces of Jaeger and OTLP become conversations: ADK's spans, and those of the `gen_ai` conventions old and new."""

import json
from typing import Any

import pytest

from mcp_evals.conversation import Invocation, Step, ToolCall, ToolResult, Transcript, Usage
from mcp_evals.errors import InvalidFileError
from mcp_evals.suites.importers.traces import read_traces, trace_form
from mcp_evals.suites.importers.transcripts import read_transcript

CALL = ToolCall(name="w", arguments={"c": "Oslo"}, id="1")


def jaeger(*spans: dict[str, Any]) -> dict[str, Any]:
    return {"data": [{"traceID": "t", "spans": list(spans), "processes": {}}]}


def span(name: str, at: int, parent: str | None = None, **tags: Any) -> dict[str, Any]:
    """A span of half a second whose id is its start; `__` in the name of a tag is a dot."""
    return {
        "traceID": "t",
        "spanID": str(at),
        "operationName": name,
        "references": [{"refType": "CHILD_OF", "spanID": parent}] * (parent is not None),
        "startTime": at,
        "duration": 500_000,
        "tags": [{"key": key.replace("__", "."), "value": value} for key, value in tags.items()],
    }


def adk_call(at: int, asked: list[dict[str, Any]], parts: list[dict[str, Any]], turn: str = "i") -> dict[str, Any]:
    request = {"model": "m", "config": {"system_instruction": "be brief"}, "contents": asked}
    response = {"content": {"role": "model", "parts": parts}, "usage_metadata": {"prompt_token_count": at}}
    return span(
        "call_llm",
        at,
        gcp__vertex__agent__llm_request=json.dumps(request),
        gcp__vertex__agent__llm_response=json.dumps(response),
        gcp__vertex__agent__invocation_id=turn,
    )


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "parts": [{"text": text}]}


def step(text: str = "", tokens: int | None = None, model: str | None = "m", **fields: Any) -> Step:
    usage = None if tokens is None else Usage(input_tokens=tokens)
    return Step(text=text, latency_s=0.5, model=model, usage=usage, **fields)


def test_adks_spans_tell_questions_calls_results_and_tokens_of_every_turn():
    made = {"function_call": {"id": "1", "name": "w", "args": {"c": "Oslo"}}}
    ran = span("execute_tool w", 15, gen_ai__tool__call__id="1", gcp__vertex__agent__tool_response='{"t": 12}')
    again = span("openai.chat", 11, parent="10", gen_ai__completion__0__content="the same once more")

    # Spans come in any order.
    (found,) = read_traces(
        jaeger(
            adk_call(30, [user("Oslo?"), user("Thanks")], [{"text": "bye"}], "j"),
            ran,
            again,
            adk_call(20, [user("Oslo?")], [{"text": "12"}]),
            adk_call(10, [user("Oslo?")], [made]),
        )
    )

    result = ToolResult(content={"t": 12}, call_id="1")
    assert "t" == found.id
    assert (
        Transcript(
            system="be brief",
            invocations=(
                Invocation(user="Oslo?", steps=(step(tokens=10, calls=(CALL,), results=(result,)), step("12", 20))),
                Invocation(user="Thanks", steps=(step("bye", 30),)),
            ),
            ended="answer",
        )
        == found.transcript
    )


def test_numbered_tags_tell_the_same_as_lists_of_messages():
    asked = [
        {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
        {"role": "user", "parts": [{"type": "text", "content": "Oslo?"}]},
    ]
    made = {"type": "tool_call", "id": "1", "name": "w", "arguments": {"c": "Oslo"}}
    answered = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": "12"}]}
    first = {"gen_ai.input.messages": asked, "gen_ai.output.messages": [{"role": "assistant", "parts": [made]}]}
    said = {"role": "assistant", "parts": [{"type": "text", "content": "12 degrees"}]}
    second = {
        "gen_ai.input.messages": [*asked, {"role": "assistant", "parts": [made]}, answered],
        "gen_ai.output.messages": [said],
    }
    otlp = {"resourceSpans": [{"scopeSpans": [{"spans": [otlp_span(1, first), otlp_span(2, second)]}]}]}
    prompt: dict[str, Any] = {
        "gen_ai__prompt__0__role": "system",
        "gen_ai__prompt__0__content": "be brief",
        "gen_ai__prompt__1__role": "user",
        "gen_ai__prompt__1__content": "Oslo?",
    }
    numbered = jaeger(
        span(
            "chat",
            1,
            **prompt,
            gen_ai__completion__0__role="assistant",
            gen_ai__completion__0__tool_calls__0__id="1",
            gen_ai__completion__0__tool_calls__0__name="w",
            gen_ai__completion__0__tool_calls__0__arguments='{"c": "Oslo"}',
        ),
        span(
            "chat",
            2,
            **prompt,
            gen_ai__prompt__2__role="tool",
            gen_ai__prompt__2__content="12",
            gen_ai__prompt__2__tool_call_id="1",
            gen_ai__completion__0__content='[{"type": "text", "text": "12 degrees"}]',
        ),
    )

    steps = (
        step(model=None, calls=(CALL,), results=(ToolResult(content="12", call_id="1"),)),
        step("12 degrees", model=None),
    )
    transcript = Transcript(system="be brief", invocations=(Invocation(user="Oslo?", steps=steps),), ended="answer")
    assert ("otlp_trace", transcript) == (trace_form(otlp), read_transcript(otlp).transcript)
    assert ("jaeger_trace", transcript) == (trace_form(numbered), read_transcript(numbered).transcript)


def otlp_span(at: int, tags: dict[str, Any]) -> dict[str, Any]:
    return {
        "traceId": "t",
        "spanId": str(at),
        "name": "chat",
        "startTimeUnixNano": str(at * 10**9),
        "endTimeUnixNano": str(at * 10**9 + 5 * 10**8),
        "attributes": [{"key": key, "value": {"stringValue": json.dumps(value)}} for key, value in tags.items()],
    }


def test_conversations_are_told_apart_by_their_id_and_only_one_can_be_scored():
    value = jaeger(
        span("chat", 1, gen_ai__completion__0__content="a", gen_ai__conversation__id="x"),
        span("chat", 2, gen_ai__completion__0__content="b", gen_ai__conversation__id="y"),
    )

    assert [("x", "a"), ("y", "b")] == [(found.id, found.transcript.final_text) for found in read_traces(value)]
    with pytest.raises(InvalidFileError, match=r"has 2 conversations \(x, y\); hand over a trace of one"):
        read_transcript(value)


def test_a_trace_without_what_was_said_tells_how_to_record_it():
    with pytest.raises(InvalidFileError, match="OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true"):
        read_traces(jaeger(span("GET", 1)))


@pytest.mark.parametrize(
    "tags",
    [
        {"gen_ai__completion__0__role": ["x"]},
        {"gen_ai__completion__0__role": "assistant", "gen_ai__completion__0__tool_calls__0__id": "1"},
    ],
)
def test_a_span_that_says_something_wrong_is_named(tags: dict[str, Any]):
    with pytest.raises(InvalidFileError, match=r'the span "chat" \(7\) cannot be read: '):
        read_traces(jaeger(span("chat", 7, **tags)))
