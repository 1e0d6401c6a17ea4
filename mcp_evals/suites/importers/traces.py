"""Conversations out of traces: Jaeger's JSON and OTLP's, with the spans of ADK or of OpenTelemetry's `gen_ai` conventions.

A model call is a step, a user message an invocation, a conversation id a transcript. Knows no case.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from mcp_evals.conversation import Invocation, Message, Step, ToolResult, Transcript, Usage
from mcp_evals.errors import InvalidFileError, Problem
from mcp_evals.model import parse_json
from mcp_evals.suites.messages import (
    MessageError,
    as_list,
    as_object,
    content_text,
    gemini_content,
    read_call,
    read_usage,
)


class TracedConversation(NamedTuple):
    """A conversation that a trace tells."""

    id: str
    """Id of the conversation, or of the trace."""
    transcript: Transcript
    """What was said."""


def trace_form(value: Any) -> str | None:
    """Which form of traces a document has, if any."""
    fields = as_object(value)
    if "resourceSpans" in fields or "resource_spans" in fields:
        return "otlp_trace"
    listed = fields.get("data", [value] if "spans" in fields else [])
    traces = [as_object(trace) for trace in as_list(listed)]
    return "jaeger_trace" if traces and all("spans" in trace for trace in traces) else None


def read_traces(value: Any) -> tuple[TracedConversation, ...]:
    """The conversations of a document with traces, in the order in which they began.

    Raises:
        InvalidFileError: no span tells what a model said, or one tells it wrongly.
    """
    spans = sorted(_spans(value), key=lambda span: span.start_s)
    by_id = {(span.trace, span.id): span for span in spans}
    calls = [call for span in spans if (call := _model_call(span)) is not None]
    # A client's own span inside of ADK's tells the same once more.
    own = {(call.span.trace, call.span.id) for call in calls if call.from_adk}
    calls = [call for call in calls if call.from_adk or not own & {*_ancestors(call.span, by_id)}]
    if not calls:
        message = (
            "no span tells what a model said: there is neither `gcp.vertex.agent.llm_response`, nor "
            "`gen_ai.output.messages`, nor `gen_ai.completion.0.role`; record the content of messages "
            "(OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true)"
        )
        raise InvalidFileError([Problem(message)])
    results = _results(spans)
    grouped: dict[str, list[_ModelCall]] = {}
    for call in calls:
        grouped.setdefault(call.conversation, []).append(call)
    return tuple(TracedConversation(name, _transcript(group, results)) for name, group in grouped.items())


# --- spans


class _Span(NamedTuple):
    trace: str
    id: str
    parent: str | None
    name: str
    start_s: float
    duration_s: float
    tags: Mapping[str, Any]


def _spans(value: Any) -> Iterator[_Span]:
    fields = as_object(value)
    for resource in map(as_object, as_list(fields.get("resourceSpans", fields.get("resource_spans")))):
        for scope in map(as_object, as_list(resource.get("scopeSpans", resource.get("scope_spans")))):
            yield from map(_otlp_span, map(as_object, as_list(scope.get("spans"))))
    for trace in map(as_object, as_list(fields.get("data", [value] if "spans" in fields else []))):
        yield from map(_jaeger_span, map(as_object, as_list(trace["spans"])))


def _jaeger_span(span: dict[str, Any]) -> _Span:
    parents = [as_object(link) for link in as_list(span.get("references"))]
    parent = next((link.get("spanID") for link in parents if link.get("refType", "CHILD_OF") == "CHILD_OF"), None)
    tags = {str(tag.get("key")): tag.get("value") for tag in map(as_object, as_list(span.get("tags")))}
    return _Span(
        str(span.get("traceID", "")),
        str(span.get("spanID", "")),
        _text(parent),
        str(span.get("operationName", "")),
        _number(span.get("startTime")) / 1e6,
        _number(span.get("duration")) / 1e6,
        tags,
    )


def _otlp_span(span: dict[str, Any]) -> _Span:
    start = _number(span.get("startTimeUnixNano"))
    tags = {
        str(tag.get("key")): _otlp_value(tag.get("value")) for tag in map(as_object, as_list(span.get("attributes")))
    }
    for event in map(as_object, as_list(span.get("events"))):
        for tag in map(as_object, as_list(event.get("attributes"))):
            tags.setdefault(str(tag.get("key")), _otlp_value(tag.get("value")))
    return _Span(
        str(span.get("traceId", "")),
        str(span.get("spanId", "")),
        _text(span.get("parentSpanId")),
        str(span.get("name", "")),
        start / 1e9,
        max(_number(span.get("endTimeUnixNano")) - start, 0.0) / 1e9,
        tags,
    )


def _otlp_value(value: Any) -> Any:
    fields = as_object(value)
    if "arrayValue" in fields:
        return [_otlp_value(item) for item in as_list(as_object(fields["arrayValue"]).get("values"))]
    if "kvlistValue" in fields:
        pairs = map(as_object, as_list(as_object(fields["kvlistValue"]).get("values")))
        return {str(pair.get("key")): _otlp_value(pair.get("value")) for pair in pairs}
    if "intValue" in fields:
        return int(_number(fields["intValue"]))
    return next(iter(fields.values()), None)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _ancestors(span: _Span, by_id: Mapping[tuple[str, str], _Span]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    parent = span.parent
    while parent is not None and parent not in seen:
        seen.add(parent)
        yield span.trace, parent
        above = by_id.get((span.trace, parent))
        parent = None if above is None else above.parent


# --- what a model was asked and said


class _ModelCall(NamedTuple):
    span: _Span
    conversation: str
    turn: str | int
    """What the calls that answer one user message share."""
    user: str
    system: str | None
    said: Message
    usage: Usage | None
    model: str | None
    seen_results: tuple[ToolResult, ...]
    from_adk: bool = False

    def step(self, results: Mapping[str, ToolResult]) -> Step:
        found = [results.get(call.id or "") for call in self.said.calls]
        return Step(
            text=self.said.text,
            calls=self.said.calls,
            results=tuple(result for result in found if result is not None),
            usage=self.usage,
            latency_s=self.span.duration_s,
            model=self.model,
        )


def _model_call(span: _Span) -> _ModelCall | None:
    try:
        if _json(span.tags.get("gcp.vertex.agent.llm_response")) and span.name.startswith("call_llm"):
            return _adk_call(span)
        if "gen_ai.output.messages" in span.tags:
            return _conventional_call(span, _messages(span, "input"), _messages(span, "output"))
        if "gen_ai.completion.0.role" in span.tags or "gen_ai.completion.0.content" in span.tags:
            return _conventional_call(span, _numbered(span, "prompt"), _numbered(span, "completion"))
    except (MessageError, ValueError) as error:
        raise InvalidFileError([Problem(f'the span "{span.name}" ({span.id}) cannot be read: {error}')]) from None
    return None


def _adk_call(span: _Span) -> _ModelCall:
    request = as_object(_json(span.tags.get("gcp.vertex.agent.llm_request")))
    response = as_object(_json(span.tags.get("gcp.vertex.agent.llm_response")))
    contents = [as_object(content) for content in as_list(request.get("contents"))]
    read = [gemini_content(content).messages for content in contents if content.get("parts")]
    asked = [message.text for messages in read for message in messages if message.role == "user" and message.text]
    content = as_object(response.get("content"))
    said = gemini_content({**content, "role": "model"}).messages if content.get("parts") else ()
    usage = read_usage(response.get("usage_metadata", response.get("usageMetadata")))
    prompt: Any = as_object(request.get("config")).get("system_instruction")
    turn = span.tags.get("gcp.vertex.agent.invocation_id")
    return _ModelCall(
        span,
        _conversation(span),
        turn if isinstance(turn, str) else len(asked),
        asked[-1] if asked else "",
        prompt if isinstance(prompt, str) else None,
        next((message for message in said if message.role == "assistant"), Message(role="assistant")),
        usage or _tag_usage(span),
        _text(span.tags.get("gen_ai.request.model")) or _text(request.get("model")),
        tuple(result for messages in read for message in messages for result in message.results),
        from_adk=True,
    )


def _conventional_call(span: _Span, asked: list[Message], said: list[Message]) -> _ModelCall:
    users = [message.text for message in asked if message.role == "user" and message.text]
    systems = [message.text for message in asked if message.role == "system"]
    answers = [message for message in said if message.role == "assistant"]
    return _ModelCall(
        span,
        _conversation(span),
        len(users),
        users[-1] if users else "",
        "\n\n".join(systems) or None,
        Message(
            role="assistant",
            text="\n".join(message.text for message in answers if message.text),
            calls=tuple(call for message in answers for call in message.calls),
        ),
        _tag_usage(span),
        _text(span.tags.get("gen_ai.response.model")) or _text(span.tags.get("gen_ai.request.model")),
        tuple(result for message in asked for result in message.results),
    )


def _messages(span: _Span, side: str) -> list[Message]:
    """`gen_ai.input.messages` and `gen_ai.output.messages`: a role and parts with a `type` each."""
    read = [_message(as_object(item)) for item in as_list(_json(span.tags.get(f"gen_ai.{side}.messages")))]
    system = as_list(_json(span.tags.get("gen_ai.system_instructions"))) if side == "input" else []
    text = "\n".join(str(as_object(part).get("content", "")) for part in system)
    return [*([Message(role="system", text=text)] if text else []), *read]


def _message(fields: dict[str, Any]) -> Message:
    parts = [as_object(part) for part in as_list(fields.get("parts"))]
    kinds = {kind: [part for part in parts if part.get("type") == kind] for kind in _PARTS}
    results = [
        ToolResult(content=part.get("response", part.get("result")), call_id=_text(part.get("id")))
        for part in kinds["tool_call_response"]
    ]
    return Message(
        role="tool" if results else _role(fields.get("role")),
        text="\n".join(str(part.get("content", "")) for part in kinds["text"]),
        calls=tuple(read_call(part) for part in kinds["tool_call"]),
        results=tuple(results),
    )


_PARTS = ("text", "tool_call", "tool_call_response")


def _numbered(span: _Span, side: str) -> list[Message]:
    """`gen_ai.prompt.0.role`, `gen_ai.prompt.0.content` and so on: each key a place in a list of messages."""
    fields: dict[int, dict[str, Any]] = {}
    calls: dict[int, dict[int, dict[str, Any]]] = {}
    for key, value in span.tags.items():
        steps = key.split(".")
        if steps[:2] != ["gen_ai", side] or len(steps) < 4 or not steps[2].isdecimal():
            continue
        if steps[3] == "tool_calls" and len(steps) == 6 and steps[4].isdecimal():
            calls.setdefault(int(steps[2]), {}).setdefault(int(steps[4]), {})[steps[5]] = value
        elif len(steps) == 4:
            fields.setdefault(int(steps[2]), {})[steps[3]] = value
    read: list[Message] = []
    for index in sorted({*fields, *calls}):
        found = fields.get(index, {})
        role = _role(found.get("role", "assistant"))
        text = _content(found.get("content"))
        if role == "tool":
            read.append(
                Message(role=role, results=(ToolResult(content=text, call_id=_text(found.get("tool_call_id"))),))
            )
        else:
            made = calls.get(index, {})
            read.append(Message(role=role, text=text, calls=tuple(read_call(made[at]) for at in sorted(made))))
    return read


def _content(value: Any) -> str:
    """Text, or a list of blocks written as JSON."""
    if isinstance(value, str) and value.startswith("[{"):
        try:
            return content_text(parse_json(value))
        except ValueError:
            return value
    return "" if value is None else str(value)


def _role(value: Any) -> Any:
    if not isinstance(value, str):
        raise MessageError("a message must have its role as text")
    return {"model": "assistant", "developer": "system", "function": "tool"}.get(value, value)


# --- around a model call


def _conversation(span: _Span) -> str:
    tags = ("gen_ai.conversation.id", "gcp.vertex.agent.session_id")
    return next((found for tag in tags if (found := _text(span.tags.get(tag)))), span.trace)


def _tag_usage(span: _Span) -> Usage | None:
    prefix = "gen_ai.usage."
    return read_usage({key.removeprefix(prefix): value for key, value in span.tags.items() if key.startswith(prefix)})


def _results(spans: Iterable[_Span]) -> dict[str, ToolResult]:
    """What tools answered, by the id of the call, as their own spans tell it."""
    results: dict[str, ToolResult] = {}
    for span in spans:
        call_id = _text(span.tags.get("gen_ai.tool.call.id"))
        for tag in ("gcp.vertex.agent.tool_response", "gen_ai.tool.call.result"):
            if call_id and tag in span.tags:
                content = _json(span.tags[tag])
                failed = as_object(content).get("isError") is True
                results[call_id] = ToolResult(content=content, call_id=call_id, is_error=failed)
    return results


def _transcript(calls: list[_ModelCall], results: Mapping[str, ToolResult]) -> Transcript:
    seen = {result.call_id: result for call in calls for result in call.seen_results if result.call_id}
    known = {**seen, **results}
    invocations: list[Invocation] = []
    turn: str | int | None = None
    for call in calls:
        if call.turn != turn:
            invocations.append(Invocation(user=call.user))
            turn = call.turn
        last = invocations[-1]
        invocations[-1] = Invocation(user=last.user, steps=(*last.steps, call.step(known)))
    system = next((call.system for call in calls if call.system), None)
    return Transcript(
        system=system, invocations=tuple(invocations), ended="answer" if not calls[-1].said.calls else "calls"
    )


def _json(value: Any) -> Any:
    """The value of a tag that holds JSON as text; text that is none stays as it is."""
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value)
    except ValueError:
        return value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
