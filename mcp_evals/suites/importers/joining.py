"""Join messages, one after the other, into a transcript: who asked, what was answered, which result is whose.

Knows how messages follow each other, not how anybody writes them.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from mcp_evals.conversation import Invocation, Message, Step, ToolCall, ToolResult, Transcript, Usage
from mcp_evals.errors import InvalidFileError, Problem
from mcp_evals.suites.messages import UNTIL_RESULT, Dialect, MessageError, Said, content_text, read_message
from mcp_evals.suites.places import Place, first_problems, place_text

_FORMS: Final[dict[Dialect, str]] = {
    "openai": "openai_messages",
    "openai_responses": "openai_responses",
    "anthropic": "anthropic_messages",
    "gemini": "gemini",
    "langchain": "langchain",
}


class Conversation:
    """A conversation that grows message by message; problems are kept until it is asked for."""

    def __init__(self) -> None:
        self._system: list[str] = []
        self._invocations: list[_OpenInvocation] = []
        self._notes: Counter[str] = Counter()
        self._problems: list[Problem] = []
        self._dialects: list[Dialect] = []

    @property
    def form(self) -> str:
        """Who writes so: the first dialect that is not simply text under a role, as OpenAI has it."""
        return next((_FORMS[dialect] for dialect in self._dialects if dialect != "openai"), _FORMS["openai"])

    def take_all(self, values: Iterable[Any], place: Place) -> None:
        """Messages that stand in a list at `place`."""
        for index, value in enumerate(values):
            self.take_message(value, (*place, index))

    def take_message(self, value: Any, place: Place, response: str | None = None) -> None:
        """A message as somebody wrote it; `response` is the id of the model's response that it is part of."""
        try:
            said = read_message(value)
        except MessageError as error:
            self.complain(str(error), place)
            return
        self.take(said if response is None else said._replace(response=response))

    def take(self, said: Said) -> None:
        """A message that was read."""
        self._dialects.append(said.dialect)
        for kind in said.left_out:
            self._notes[f"content of type {kind} is left out"] += 1
        brings_results = False
        for message in said.messages:
            if message.role == "system":
                self._take_system(message.text)
            elif message.role == "user" and brings_results:
                # Such text comes from the harness, or interrupts; it is not the next question.
                self._notes["text beside tool results is left out"] += 1
            elif message.role == "user":
                self._notes["images of user messages are left out"] += len(message.images)
                self._invocations.append(_OpenInvocation(message.text))
            elif message.role == "assistant":
                self._current().take_step(message, said)
            else:
                brings_results = True
                lost = sum(not self._current().take_result(result) for result in message.results)
                self._notes["tool results without a call are left out"] += lost

    def take_system(self, value: Any, place: Place) -> None:
        """A system prompt that stands beside the messages, if it does."""
        try:
            text = content_text(value)
        except MessageError as error:
            self.complain(str(error), place)
            return
        if text:
            self._take_system(text)

    def describe_last_step(self, usage: Usage | None, model: Any) -> None:
        """What a response says of itself as a whole."""
        if self._invocations and self._invocations[-1].steps:
            self._invocations[-1].steps[-1].describe(usage, model if isinstance(model, str) else None, None)

    def note(self, text: str) -> None:
        """Something that a reader of the transcript has to know."""
        self._notes[text] += 1

    def complain(self, message: str, place: Place) -> None:
        """Something that is wrong."""
        self._problems.append(Problem(message, place_text(place)))

    @property
    def last_text(self) -> str:
        """What the model said last."""
        steps = self._invocations[-1].steps if self._invocations else []
        return steps[-1].text if steps else ""

    def transcript(self) -> Transcript:
        """The whole.

        Raises:
            InvalidFileError: something was wrong; all problems at once.
        """
        if self._problems:
            raise InvalidFileError(first_problems(self._problems))
        return Transcript(
            system="\n\n".join(self._system) or None,
            invocations=tuple(invocation.closed() for invocation in self._invocations),
            notes=tuple(f"{note} ({count})" if count > 1 else note for note, count in self._notes.items() if count),
        )

    def _take_system(self, text: str) -> None:
        if self._invocations:
            self._notes["system messages after the first question are left out"] += 1
        else:
            self._system.append(text)

    def _current(self) -> "_OpenInvocation":
        if not self._invocations:
            # Only what the model answered was kept, not what it was asked.
            self._invocations.append(_OpenInvocation(""))
        return self._invocations[-1]


class _OpenInvocation:
    """An invocation that may still get steps and results."""

    def __init__(self, user: str) -> None:
        self._user = user
        self.steps: list[_OpenStep] = []

    def take_step(self, message: Message, said: Said) -> None:
        if not (self.steps and self.steps[-1].goes_on_with(said.response)):
            self.steps.append(_OpenStep(said.response))
        self.steps[-1].take(message)
        self.steps[-1].describe(said.usage, said.model, said.stop_reason)

    def take_result(self, result: ToolResult) -> bool:
        """Put a result beside its call: the last one of that id, else the next of the last step."""
        by_id = (step for step in reversed(self.steps) if step.answer(result, by_id=True))
        return next(by_id, None) is not None or bool(self.steps and self.steps[-1].answer(result, by_id=False))

    def closed(self) -> Invocation:
        return Invocation(user=self._user, steps=tuple(step.closed() for step in self.steps))


class _OpenStep:
    """A step that may still get text, calls and results."""

    def __init__(self, response: str | None) -> None:
        self._response = response
        self._texts: list[str] = []
        self._calls: list[ToolCall] = []
        self._results: dict[int, ToolResult] = {}
        self._usage: Usage | None = None
        self._model: str | None = None
        self._stop_reason: str | None = None

    @property
    def text(self) -> str:
        return "\n".join(self._texts)

    def goes_on_with(self, response: str | None) -> bool:
        same = response is not None and response == self._response
        return same and not (response == UNTIL_RESULT and self._results)

    def take(self, message: Message) -> None:
        if message.text:
            self._texts.append(message.text)
        self._calls += message.calls

    def describe(self, usage: Usage | None, model: str | None, stop_reason: str | None) -> None:
        # Parts of one response repeat its usage; the last has it whole.
        self._usage = usage or self._usage
        self._model = model or self._model
        self._stop_reason = stop_reason or self._stop_reason

    def answer(self, result: ToolResult, *, by_id: bool) -> bool:
        for index, call in enumerate(self._calls):
            if index in self._results:
                continue
            if result.call_id == call.id if by_id else result.call_id is None or call.id is None:
                self._results[index] = result
                return True
        return False

    def closed(self) -> Step:
        return Step(
            text=self.text,
            calls=tuple(self._calls),
            results=tuple(self._results[index] for index in sorted(self._results)),
            usage=self._usage,
            model=self._model,
            stop_reason=self._stop_reason,
        )
