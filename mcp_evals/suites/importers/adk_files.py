"""Google ADK's eval files as values, keys in camel case or snake case: eval sets, their legacy forms, sessions, configs."""

import re
from typing import Any, Final, TypeVar

from pydantic import Field, JsonValue

from mcp_evals.errors import Problem, did_you_mean
from mcp_evals.model import Model
from mcp_evals.suites.importers.imported import Notes
from mcp_evals.suites.messages import as_list, as_object
from mcp_evals.suites.places import Place, place_text
from mcp_evals.suites.problems import checked


class Content(Model, extra="ignore"):
    """What somebody says."""

    role: str | None = None
    """Who."""
    parts: tuple[dict[str, JsonValue], ...] = ()
    """Texts, calls, results and more."""


class FunctionCall(Model, extra="ignore"):
    """A call of a tool."""

    name: str = Field(min_length=1)
    """The tool."""
    args: dict[str, JsonValue] | None = None
    """The arguments."""
    id: str | None = None
    """By which its response refers to it."""


class FunctionResponse(Model, extra="ignore"):
    """What a tool answered."""

    name: str | None = None
    """The tool."""
    response: JsonValue = None
    """The answer."""
    id: str | None = None
    """Id of the call."""


class Event(Model, extra="ignore"):
    """One event of a recorded invocation."""

    author: str | None = None
    """Who speaks."""
    content: Content | None = None
    """What is said."""


class Intermediate(Model):
    """What happens between question and answer, in either of its forms."""

    tool_uses: tuple[FunctionCall, ...] = ()
    """Calls."""
    tool_responses: tuple[FunctionResponse, ...] = ()
    """Answers of the tools."""
    intermediate_responses: tuple[JsonValue, ...] = ()
    """Pairs of author and parts."""
    invocation_events: tuple[Event, ...] = ()
    """The same as recorded events."""


class RubricContent(Model):
    """What a rubric asks."""

    text_property: str = Field(min_length=1)
    """A sentence that must be true."""


class AdkFileRubric(Model):
    """A rubric for a judge."""

    rubric_id: str = Field(min_length=1)
    """Its name."""
    rubric_content: RubricContent
    """What it asks."""
    description: str | None = None
    """What it is for."""
    type: str | None = None
    """Which metric asks it."""


class FileInvocation(Model):
    """One user message with what is expected after it."""

    user_content: Content
    """The message."""
    invocation_id: str = ""
    """Its name."""
    final_response: Content | None = None
    """The expected answer."""
    intermediate_data: Intermediate | None = None
    """The expected calls."""
    creation_timestamp: float = 0.0
    """When it was made."""
    duration: float | None = None
    """Seconds."""
    model_duration: float | None = None
    """Seconds in the model."""
    tool_duration: float | None = None
    """Seconds in tools."""
    rubrics: tuple[AdkFileRubric, ...] = ()
    """Rubrics of this message alone."""
    app_details: JsonValue = None
    """The agents and their tools."""


class ConversationScenario(Model):
    """A plan for a simulated user."""

    starting_prompt: str
    """The first message."""
    conversation_plan: str
    """How it goes on."""
    user_persona: str | dict[str, JsonValue] | None = None
    """Who the user is."""


class FileCase(Model, extra="allow"):
    """A case of an eval set."""

    eval_id: str = Field(min_length=1)
    """Its name."""
    conversation: tuple[FileInvocation, ...] | None = None
    """Fixed user messages."""
    conversation_scenario: ConversationScenario | None = None
    """A simulated user."""
    session_input: dict[str, JsonValue] | None = None
    """The session that it starts from."""
    rubrics: tuple[AdkFileRubric, ...] = ()
    """Rubrics of every message."""
    final_session_state: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """The state expected at the end, which ADK does not read."""
    creation_timestamp: float = 0.0
    """When it was made."""


class FileSet(Model, extra="allow"):
    """An eval set without its cases, which are read one by one."""

    eval_set_id: str
    """Its name."""
    name: str | None = None
    """Another name."""
    description: str | None = None
    """What it is about."""
    creation_timestamp: float = 0.0
    """When it was made."""


class LegacyCall(Model):
    """An expected call of a legacy file."""

    tool_name: str = Field(min_length=1)
    """The tool."""
    tool_input: dict[str, JsonValue]
    """The arguments."""
    mock_tool_output: JsonValue = None
    """What the tool answers."""


class LegacySaying(Model):
    """An expected answer of a sub-agent."""

    author: str
    """The sub-agent."""
    text: str
    """The answer."""


class LegacyTurn(Model, extra="allow"):
    """One user message of a legacy file."""

    query: str
    """The message."""
    reference: str = ""
    """The expected answer."""
    expected_tool_use: tuple[LegacyCall, ...] | None = None
    """The expected calls."""
    expected_intermediate_agent_responses: tuple[LegacySaying, ...] = ()
    """What sub-agents say."""


class LegacyCase(Model, extra="allow"):
    """A case of a legacy eval set; its turns are read one by one."""

    name: str = Field(min_length=1)
    """Its name."""
    initial_session: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """The session that it starts from."""


K = TypeVar("K", bound=Model)


class Reader:
    """Reads values of a file; problems and notes are kept until they are asked for."""

    def __init__(self, document: Any) -> None:
        self.problems: list[tuple[Place, str]] = []
        self.notes = Notes()
        self._document = document

    def read(self, kind: type[K], value: Any, place: Place) -> K | None:
        """A value as `kind`, or nothing and its problems kept."""
        found, wrong = checked(kind, snake_keys(value))
        self.problems += [(self._as_written((*place, *complaint.place)), complaint.message) for complaint in wrong]
        return found

    def complain(self, place: Place, message: str) -> None:
        """Something that is wrong."""
        self.problems.append((place, message))

    def note_unknown(self, found: Model, what: str) -> None:
        """Keys that nobody knows, which ADK passes over in silence."""
        for key in found.model_extra or {}:
            meant = did_you_mean(key, list(type(found).model_fields))
            self.notes.add(f'the key "{key}" of {what} is left out{meant}')

    def _as_written(self, place: Place) -> Place:
        value, written = self._document, list[str | int]()
        for step in place:
            names = [step, _camel(step)] if isinstance(step, str) else [step]
            inside = as_object(value)
            written.append(next((name for name in names if name in inside), step))
            listed = as_list(value)
            if isinstance(step, int):
                value = listed[step] if step < len(listed) else None
            else:
                value = inside.get(str(written[-1]))
        return tuple(written)


def located(problems: list[tuple[Place, str]], file: str) -> list[Problem]:
    """The problems with the path in the file."""
    return [Problem(message, place_text(place), file=file) for place, message in problems]


_FREE: Final = {"args", "response", "state", "final_session_state", "app_details", "tool_input", "mock_tool_output"}
"""Keys whose values are the user's own and stay as they are."""


def snake_keys(value: Any) -> Any:
    """A value with its keys in snake case; null, which stands for what is not given, is left out."""
    if isinstance(value, list):
        return [snake_keys(item) for item in as_list(value)]
    if not isinstance(value, dict):
        return value
    named = {_snake(key): item for key, item in as_object(value).items() if item is not None}
    return {key: item if key in _FREE else snake_keys(item) for key, item in named.items()}


def _snake(key: str) -> str:
    return re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", key)


def _camel(key: str) -> str:
    return re.sub("_([a-z])", lambda found: found[1].upper(), key)
