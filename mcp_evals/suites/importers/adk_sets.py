"""Google ADK's eval sets and their legacy forms as suites. The verdict is ADK's: its metrics decide, our scores stand beside.

Says whatever it does not carry over. Knows no file.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from pydantic import JsonValue, ValidationError

from mcp_evals.json_match import has_wildcard
from mcp_evals.scoring.metric_list import METRICS
from mcp_evals.suite import Case, Expect, ExpectedCall, MetricSettings, Rubric, Scenario, Suite, Turn
from mcp_evals.suites.importers.adk_config import AdkConfig
from mcp_evals.suites.importers.adk_files import (
    AdkFileRubric,
    Content,
    ConversationScenario,
    FileCase,
    FileInvocation,
    FileSet,
    FunctionCall,
    FunctionResponse,
    Intermediate,
    LegacyCase,
    LegacyTurn,
    Reader,
)
from mcp_evals.suites.importers.imported import case_of_turns, reference
from mcp_evals.suites.messages import as_list, as_object
from mcp_evals.suites.places import Place

ADK_VERDICT: Final = Rubric(fail_below=0.0, warn_below=0.0, over_trials="all")
"""Scores decide nothing, so that the metrics, which are gates, decide alone.

ADK takes the mean of a metric over all runs of a case, so that where it asks for 1 every run must have it.
"""
NO_TOOLS: Final = "the file defines no tools; before a model runs the suite, give it the agent's `tools`"


def adk_form(value: Any) -> str | None:
    """Which of ADK's forms of eval sets a document has, if any."""
    fields = as_object(value)
    if {"eval_cases", "evalCases"} & {*fields}:
        return "adk_eval_set"
    if isinstance(fields.get("scenarios"), list):
        return "adk_scenarios"
    first = as_object(as_list(value)[0]) if as_list(value) else {}
    if "data" in first:
        return "adk_legacy_eval_set"
    return "adk_legacy_turns" if "query" in first else None


def read_adk_set(value: Any, name: str, form: str, config: AdkConfig, session: Any, reader: Reader) -> Suite | None:
    """The eval set as a suite of this name; problems and notes are kept in `reader`.

    `session` is what cases start from that do not say it.
    """
    cases: list[_ReadCase] = []
    about: dict[str, Any] = {}
    if form == "adk_eval_set":
        about = _about(value, reader)
        key = "eval_cases" if "eval_cases" in as_object(value) else "evalCases"
        cases = _new_cases(as_object(value)[key], (key,), reader)
    elif form == "adk_scenarios":
        cases = list(_scenario_cases(as_object(value)["scenarios"], reader))
    elif form == "adk_legacy_eval_set":
        cases = list(_legacy_cases(as_list(value), reader))
    else:
        turns = _legacy_turns(as_list(value), (), reader)
        cases = [_ReadCase(name, turns, {})] * bool(turns)
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            reader.complain(case.place, f'"{case.id}" is already the id of another case; choose another')
        seen.add(case.id)
    if not cases and not reader.problems:
        reader.complain((), "has no case")
    if reader.problems:
        return None
    return _suite(name, about, cases, config, session, reader)


class _ReadCase(NamedTuple):
    id: str
    turns: list[Turn]
    about: dict[str, Any]
    rubrics: Sequence[AdkFileRubric] = ()
    place: Place = ()

    @property
    def has_reference(self) -> bool:
        return "scenario" not in self.about


# --- the suite


def _suite(
    name: str, about: dict[str, Any], cases: list[_ReadCase], config: AdkConfig, session: Any, reader: Reader
) -> Suite | None:
    # A simulated user's conversation has no reference, so that such metrics stay with the cases that have one.
    everywhere = all(case.has_reference for case in cases)
    shared = {
        metric: settings for metric, settings in config.metrics.items() if everywhere or not _needs_reference(metric)
    }
    own = {metric: settings for metric, settings in config.metrics.items() if metric not in shared}
    made: list[Case] = []
    for case in cases:
        metrics = {**(own if case.has_reference else {}), **_rubric_metrics(case.rubrics, config, reader)}
        fields: dict[str, Any] = {**case.about, **({"metrics": metrics} if metrics else {})}
        if session is not None and "session_input" not in as_object(fields.get("metadata")):
            fields["metadata"] = {**as_object(fields.get("metadata")), "session_input": session}
        try:
            made.append(
                case_of_turns(case.id, case.turns, fields)
                if case.turns
                else Case.model_validate({"id": case.id, **fields})
            )
        except ValidationError as error:
            reader.complain(case.place, str(error.errors()[0]["msg"]))
    if reader.problems:
        return None
    if any("session_input" in case.metadata for case in made):
        reader.notes.add(
            "the session's state stands in each case's `metadata.session_input`; no agent is given it here"
        )
    if any(turn.expect.calls for case in cases for turn in case.turns or ()):
        reader.notes.add(NO_TOOLS)
    settings = {"judge": config.judge} if config.judge else {}
    return Suite.model_validate(
        {"name": name, "rubric": ADK_VERDICT, "metrics": shared, **about, **settings, "cases": made}
    )


def _needs_reference(metric: str) -> bool:
    return bool({"expected_calls", "reference"} & {*METRICS[metric].needs})


_RUBRIC_METRICS: Final = {
    "FINAL_RESPONSE_QUALITY": "rubric_based_final_response_quality_v1",
    "TOOL_USE_QUALITY": "rubric_based_tool_use_quality_v1",
    "TRAJECTORY_QUALITY": "rubric_based_multi_turn_trajectory_quality_v1",
}


def _rubric_metrics(
    rubrics: Sequence[AdkFileRubric], config: AdkConfig, reader: Reader
) -> dict[str, MetricSettings | float]:
    """A case's rubrics as the metric of their type, which asks the config's rubrics too."""
    found: dict[str, list[JsonValue]] = {}
    for rubric in rubrics:
        if rubric.type not in _RUBRIC_METRICS:
            kind = "no type" if rubric.type is None else f'the type "{rubric.type}"'
            reader.notes.add(f"rubrics with {kind}, which ADK passes over, are asked of the answer")
        metric = _RUBRIC_METRICS.get(rubric.type or "", _RUBRIC_METRICS["FINAL_RESPONSE_QUALITY"])
        text: JsonValue = {"id": rubric.rubric_id, "text": rubric.rubric_content.text_property}
        if text not in found.setdefault(metric, []):
            found[metric].append(text)
    metrics: dict[str, MetricSettings | float] = {}
    for metric, texts in found.items():
        given = config.metrics.get(metric)
        settings = given if isinstance(given, MetricSettings) else MetricSettings(threshold=given)
        if given is None:
            reader.notes.add(f"{metric} is shown and decides nothing, for no criterion names it")
        shared = as_list(settings.options.get("rubrics"))
        metrics[metric] = MetricSettings.model_validate(
            {**settings.model_dump(exclude_unset=True), "options": {**settings.options, "rubrics": [*shared, *texts]}}
        )
    return metrics


def _about(value: Any, reader: Reader) -> dict[str, Any]:
    fields = {key: item for key, item in as_object(value).items() if key not in {"eval_cases", "evalCases"}}
    found = reader.read(FileSet, fields, ())
    if found is None:
        return {}
    reader.note_unknown(found, "the eval set")
    named = {} if found.name in {None, found.eval_set_id} else {"name": found.name}
    metadata = {"eval_set_id": found.eval_set_id, **named}
    return {"metadata": metadata, **({"description": found.description} if found.description else {})}


# --- eval sets


def _new_cases(listed: Any, place: Place, reader: Reader) -> list[_ReadCase]:
    if not isinstance(listed, list):
        reader.complain(place, "must be a list of cases")
        return []
    read = [(index, reader.read(FileCase, value, (*place, index))) for index, value in enumerate(as_list(listed))]
    found = [_new_case(case, (*place, index), reader) for index, case in read if case is not None]
    return [case for case in found if case is not None]


def _new_case(case: FileCase, place: Place, reader: Reader) -> _ReadCase | None:
    reader.note_unknown(case, "a case")
    metadata: dict[str, JsonValue] = {}
    if case.session_input:
        metadata["session_input"] = case.session_input
    if case.final_session_state:
        metadata["final_session_state"] = case.final_session_state
        reader.notes.add(
            "`final_session_state`, which ADK does not read, stands in the case's `metadata`; "
            "say in `state` what calls change and expect it by `expect.state`"
        )
    if (case.conversation is None) == (case.conversation_scenario is None):
        reader.complain(place, "must have either `conversation` or `conversation_scenario`")
        return None
    if case.conversation_scenario is not None:
        about: dict[str, Any] = {"scenario": _scenario(case.conversation_scenario), "metadata": metadata}
        return _ReadCase(case.eval_id, [], about, case.rubrics, place)
    conversation = case.conversation or ()
    turns = [_turn(said, (*place, "conversation", at), reader) for at, said in enumerate(conversation)]
    if not turns:
        reader.complain((*place, "conversation"), "must have at least one message")
        return None
    if between := _said_between(conversation):
        metadata["intermediate_responses"] = between
        reader.notes.add("texts before the final answer stand in the case's `metadata.intermediate_responses`")
    rubrics = list(case.rubrics)
    if len(turns) == 1:
        rubrics += [rubric for said in conversation for rubric in said.rubrics]
    else:
        turns = [_with_rubrics(turn, said) for turn, said in zip(turns, conversation, strict=True)]
    return _ReadCase(case.eval_id, turns, {"metadata": metadata}, rubrics, place)


def _with_rubrics(turn: Turn, said: FileInvocation) -> Turn:
    """A turn that has rubrics of its own asks them as judged texts, for a metric asks the same of every turn."""
    judged = [
        {"judged": rubric.rubric_content.text_property, "id": rubric.rubric_id, "weight": 1.0}
        for rubric in said.rubrics
    ]
    if not judged:
        return turn
    expect = turn.expect.model_dump(exclude_unset=True)
    return Turn(user=turn.user, expect=Expect.model_validate({**expect, "text": [*expect.get("text", ()), *judged]}))


def _turn(said: FileInvocation, place: Place, reader: Reader) -> Turn:
    if said.app_details is not None:
        reader.notes.add("`app_details` (the agents' instructions and tools) is left out")
    between = said.intermediate_data
    if between is None and said.final_response is None:
        reader.notes.add("a message has no expected answer and no expected calls; nothing is expected after it")
        return Turn(user=_text(said.user_content, reader))
    if between is None:
        reader.notes.add("where nothing is said of calls, ADK expects none, and so does the suite")
    expect: dict[str, Any] = {"calls": _calls(between or Intermediate(), place, reader)}
    answer = _text(said.final_response, reader) if said.final_response is not None else ""
    if answer:
        expect["text"] = (reference(answer),)
    else:
        reader.notes.add("a message has no expected answer, which ADK would score 0; here that is left out of the mean")
    return Turn(user=_text(said.user_content, reader), expect=Expect.model_validate(expect))


def _text(content: Content, reader: Reader) -> str:
    """The text parts as ADK joins them."""
    texts: list[str] = []
    for part in content.parts:
        if isinstance(part.get("text"), str):
            texts.append(str(part["text"]))
        elif kind := next((key for key in part if key not in {"thought", "thought_signature"}), None):
            reader.notes.add(f"{kind} of a message is left out")
    return "\n".join(texts)


def _calls(between: Intermediate, place: Place, reader: Reader) -> list[ExpectedCall]:
    where = (*place, "intermediate_data")
    parts = [part for event in between.invocation_events if event.content for part in event.content.parts]
    calls = [*between.tool_uses, *_parts(parts, "function_call", FunctionCall, where, reader)]
    answers = [*between.tool_responses, *_parts(parts, "function_response", FunctionResponse, where, reader)]
    made: list[ExpectedCall] = []
    for call in calls:
        if call.args is None:
            reader.notes.add("a call without `args` counts as one with none; ADK would let no call match it")
        fields: dict[str, Any] = {"tool": call.name, "args": call.args or {}}
        for argument, value in fields["args"].items():
            if has_wildcard(value):
                reader.notes.add(f"the argument {argument} of {call.name} reads as a wildcard here")
        answer = _answer_to(call, answers)
        if answer is not None:
            answers.remove(answer)
            fields |= _returned(answer.response)
        made.append(ExpectedCall.model_validate(fields))
    reader.notes.add("tool responses without a call are left out", len(answers))
    return made


def _answer_to(call: FunctionCall, answers: list[FunctionResponse]) -> FunctionResponse | None:
    """The response of that id; without ids the first of the tool."""
    if call.id is not None:
        by_id = next((answer for answer in answers if answer.id == call.id), None)
        if by_id is not None:
            return by_id
    nameless = (answer for answer in answers if answer.id is None or call.id is None)
    return next((answer for answer in nameless if answer.name in {None, call.name}), None)


def _returned(response: JsonValue) -> dict[str, Any]:
    if isinstance(response, dict) and response.get("isError") is True:
        return {"fails": json.dumps(response.get("content"), ensure_ascii=False)}
    return {"returns": response}


def _parts(parts: Sequence[dict[str, JsonValue]], key: str, kind: Any, place: Place, reader: Reader) -> Iterator[Any]:
    for part in parts:
        if part.get(key) is not None:
            found = reader.read(kind, part[key], place)
            if found is not None:
                yield found


def _said_between(conversation: Sequence[FileInvocation]) -> dict[str, JsonValue]:
    """Texts before the final answers, by the number of the message."""
    found: dict[str, JsonValue] = {}
    for index, said in enumerate(conversation):
        between = said.intermediate_data or Intermediate()
        texts: list[JsonValue] = [*between.intermediate_responses]
        for event in between.invocation_events:
            texts += [part["text"] for part in (event.content or Content()).parts if isinstance(part.get("text"), str)]
        if texts:
            found[str(index)] = texts
    return found


# --- scenarios


def _scenario_cases(listed: Any, reader: Reader) -> Iterator[_ReadCase]:
    for index, value in enumerate(as_list(listed)):
        place = ("scenarios", index)
        found = reader.read(ConversationScenario, value, place)
        if found is not None:
            # As `adk eval_set add_eval_case` names it.
            name = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]
            yield _ReadCase(name, [], {"scenario": _scenario(found)}, (), place)


def _scenario(found: ConversationScenario) -> Scenario:
    persona = found.user_persona
    if isinstance(persona, dict):
        persona = _described(persona)
    named = {} if persona is None else {"persona": persona.lower() if persona in _PERSONAS else persona}
    return Scenario.model_validate({"opening": found.starting_prompt, "plan": found.conversation_plan, **named})


_PERSONAS: Final = {"EXPERT", "NOVICE", "EVALUATOR"}


def _described(persona: dict[str, JsonValue]) -> str:
    lines = [str(persona.get("description") or persona.get("id") or "")]
    for behavior in map(as_object, as_list(persona.get("behaviors"))):
        lines += [str(line) for line in as_list(behavior.get("behavior_instructions"))] or [
            str(behavior.get("description") or behavior.get("name") or "")
        ]
    return "\n".join(line for line in lines if line)


# --- legacy


def _legacy_cases(listed: list[Any], reader: Reader) -> Iterator[_ReadCase]:
    for index, value in enumerate(listed):
        fields = {key: item for key, item in as_object(value).items() if key != "data"}
        found = reader.read(LegacyCase, fields, (index,))
        turns = _legacy_turns(as_object(value).get("data"), (index, "data"), reader)
        if found is not None and turns:
            reader.note_unknown(found, "a case")
            metadata = {"metadata": {"session_input": found.initial_session}} if found.initial_session else {}
            yield _ReadCase(found.name, turns, metadata, (), (index,))


def _legacy_turns(listed: Any, place: Place, reader: Reader) -> list[Turn]:
    if not as_list(listed):
        reader.complain(place, "must be a list of turns with `query`, and at least one")
    read = [reader.read(LegacyTurn, value, (*place, index)) for index, value in enumerate(as_list(listed))]
    return [_legacy_turn(turn, reader) for turn in read if turn is not None]


def _legacy_turn(turn: LegacyTurn, reader: Reader) -> Turn:
    reader.note_unknown(turn, "a turn")
    reader.notes.add(
        "expected texts of sub-agents, which ADK compares with nothing, are left out",
        len(turn.expected_intermediate_agent_responses),
    )
    if turn.expected_tool_use is None:
        reader.notes.add("where nothing is said of calls, ADK expects none, and so does the suite")
    calls = [
        ExpectedCall.model_validate(
            {"tool": call.tool_name, "args": call.tool_input}
            | ({"returns": call.mock_tool_output} if call.mock_tool_output is not None else {})
        )
        for call in turn.expected_tool_use or ()
    ]
    if not turn.reference:
        reader.notes.add("a message has no expected answer, which ADK would score 0; here that is left out of the mean")
    text = (reference(turn.reference),) if turn.reference else ()
    return Turn(user=turn.query, expect=Expect(calls=tuple(calls), text=text))
