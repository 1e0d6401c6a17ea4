"""gemini-rs's invocations as a transcript: what was done, turn by turn."""

from collections.abc import Callable, Iterable
from typing import Any

from mcp_evals.conversation import Message, ToolResult, Transcript
from mcp_evals.scoring.gemini_files import GeminiInvocation, GeminiTurn
from mcp_evals.suites.importers.joining import Conversation
from mcp_evals.suites.messages import Said, as_object, read_call


def gemini_transcript(invocations: Iterable[GeminiInvocation], note: Callable[[str], Any]) -> Transcript:
    """The invocations, one after the other, as one conversation.

    Raises:
        MessageError: a call has no name.
    """
    conversation = Conversation()
    for invocation in invocations:
        for turn in invocation.turns:
            _take(conversation, turn, note)
    return conversation.transcript()


def _take(conversation: Conversation, turn: GeminiTurn, note: Callable[[str], Any]) -> None:
    results = [ToolResult(content=value, call_id=_call_id(value)) for value in turn.tool_results]
    if turn.role == "user":
        conversation.take(_said(Message(role="user", text=turn.content)))
        if turn.tool_calls:
            note("calls of a user turn count as the model's, as gemini-rs counts them")
    elif turn.role == "system":
        conversation.take_system(turn.content, ())
    elif turn.role in {"tool", "function"} and not turn.tool_calls:
        results = results or [ToolResult(content=turn.content)]
    elif turn.role != "model":
        note(f'what the role "{turn.role}" says counts as the model\'s; gemini-rs knows only "model"')
    calls = tuple(read_call(call) for call in turn.tool_calls)
    speaks = turn.role not in {"user", "system", "tool", "function"}
    if speaks or calls:
        conversation.take(_said(Message(role="assistant", text=turn.content if speaks else "", calls=calls)))
    if results:
        conversation.take(_said(Message(role="tool", results=tuple(results))))


def _said(message: Message) -> Said:
    return Said((message,), "gemini")


def _call_id(value: Any) -> str | None:
    found: Any = as_object(value).get("id", as_object(value).get("call_id"))
    return found if isinstance(found, str) else None
