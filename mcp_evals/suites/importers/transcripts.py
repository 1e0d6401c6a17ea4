"""Read a conversation as whoever recorded it wrote it: a transcript of ours, and the name of the form.

One user message and everything up to the next is an invocation; one response of the model is a step. Results of tools
are put beside their calls. What has no place in a transcript is named in its notes. Knows no case and no score.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from mcp_evals.conversation import Invocation, Message, Step, ToolCall, Transcript
from mcp_evals.errors import InvalidFileError, Problem, did_you_mean
from mcp_evals.model import MAX_JSON_DEPTH, depth_exceeds, parse_json
from mcp_evals.scoring.gemini_files import GeminiError, read_case
from mcp_evals.suites.documents import json_lines, open_file, read_document
from mcp_evals.suites.importers.gemini_sets import gemini_form, read_gemini_set
from mcp_evals.suites.importers.gemini_turns import gemini_transcript
from mcp_evals.suites.importers.imported import Notes
from mcp_evals.suites.importers.joining import Conversation
from mcp_evals.suites.importers.traces import read_traces, trace_form
from mcp_evals.suites.messages import MessageError, as_list, as_object, read_call, read_usage, without_nulls
from mcp_evals.suites.places import TOO_DEEP, Place, first_problems, place_text
from mcp_evals.suites.problems import complaints
from mcp_evals.text import shorten


class ReadTranscript(NamedTuple):
    """A conversation in our form."""

    transcript: Transcript
    """The conversation."""
    form: str
    """How it was written, such as `openai_messages`."""


class TranscriptLine(NamedTuple):
    """One line of a file with transcripts to be scored."""

    line: int
    """Line in the file, counted from 1."""
    case_id: str
    """The case that it belongs to."""
    trial: int
    """Number of the trial of its case; where the file does not say, the lines of a case are counted."""
    read: ReadTranscript
    """The conversation."""


def read_transcript(value: Any) -> ReadTranscript:
    """A conversation in any form known here, as JSON text or as the value that it stands for.

    Raises:
        InvalidFileError: it is in none of them, or something in it is wrong; all problems at once.
    """
    if isinstance(value, Transcript):
        return ReadTranscript(value, "mcp_evals")
    plain = _plain_json(value)
    for form in _READERS:
        if form.fits(plain):
            return form.read(plain)
    raise InvalidFileError([Problem(f"is no transcript in a known form: it is {_seen(plain)}. {_EXAMPLES}")])


def read_transcripts(source: Path | str, known: Collection[str] | None = None) -> Iterator[TranscriptLine]:
    """The transcripts of a file of JSON lines `{"case": ID, "transcript": …}`, or of a text of such lines, one by one.

    A line may have a `trial`; further keys are passed over, and so is a first line `{"recording": …}`. `known` are the ids
    of the cases there are. A wrong line does not stop the others: the problems come when all lines are read. A file that
    is one JSON document may be an eval set of gemini-rs, or a conversation in any known form where there is only one case.

    Raises:
        NotFoundError: there is no such file.
        InvalidFileError: lines that are wrong, raised at the end.
    """
    if isinstance(source, Path):
        whole = _whole_document(source)
        if whole is not None:
            yield from _of_document(whole, str(source), known)
            return
        with open_file(source) as file:
            yield from _lines(file, str(source), known)
    else:
        yield from _lines(source.split("\n"), "transcripts", known)


def without_history(transcript: Transcript, history: Sequence[Message]) -> Transcript:
    """The transcript without the messages that its case began with, where whoever recorded it kept them.

    They are recognised by what the user says in them; then they stand in the transcript's `history`.
    """
    asked = [message.text for message in history if message.role == "user"]
    said = [invocation.user for invocation in transcript.invocations]
    if not asked or len(said) <= len(asked) or said[: len(asked)] != asked:
        return transcript
    return transcript.model_copy(
        update={"history": tuple(history), "invocations": transcript.invocations[len(asked) :]}
    )


# --- lines


def _lines(lines: Iterable[bytes | str], file: str, known: Collection[str] | None) -> Iterator[TranscriptLine]:
    seen: Counter[str] = Counter()
    problems: list[Problem] = []
    for line in json_lines(lines, file):
        fields = as_object(line.value)
        if line.problem is not None:
            problems.append(line.problem)
        elif not (line.number == 1 and "recording" in fields):
            wrong = _line_problems(fields, known)
            try:
                read = None if wrong else read_transcript(fields["transcript"])
            except InvalidFileError as error:
                wrong = [_within_line(problem) for problem in error.problems]
                read = None
            problems += [problem._replace(line=line.number, file=file) for problem in wrong]
            if read is not None:
                case_id: str = fields["case"]
                yield TranscriptLine(line.number, case_id, fields.get("trial", seen[case_id]), read)
                seen[case_id] += 1
    if problems:
        raise InvalidFileError(first_problems(problems))


def _line_problems(fields: dict[str, Any], known: Collection[str] | None) -> list[Problem]:
    if "case" not in fields or "transcript" not in fields:
        return [Problem('must be an object {"case": ID, "transcript": …}')]
    case_id, trial = fields["case"], fields.get("trial", 0)
    problems: list[Problem] = []
    if not isinstance(case_id, str):
        problems.append(Problem("must be the id of a case, as text", "case"))
    elif known is not None and case_id not in known:
        problems.append(Problem(f'no case "{shorten(case_id, 80)}"{did_you_mean(case_id, list(known))}', "case"))
    if not isinstance(trial, int) or isinstance(trial, bool) or trial < 0:
        problems.append(Problem("must be a whole number from 0", "trial"))
    return problems


def _within_line(problem: Problem) -> Problem:
    inner = problem.path
    return problem._replace(path=f"transcript{'' if inner.startswith('[') or not inner else '.'}{inner}")


# --- whole documents


def _whole_document(path: Path) -> Any:
    """The value of a `.json` file that is one document; None: it is read line by line."""
    if path.suffix.lower() != ".json":
        return None
    try:
        value = read_document(path).value
    except InvalidFileError:
        # Lines of JSON under this name; what is wrong with them is told line by line.
        return None
    return None if {"case", "recording"} & {*as_object(value)} else value


def _of_document(value: Any, file: str, known: Collection[str] | None) -> Iterator[TranscriptLine]:
    seen: Counter[str] = Counter()
    try:
        found = _by_case(value, known)
    except InvalidFileError as error:
        raise InvalidFileError(problem._replace(file=file) for problem in error.problems) from None
    for case_id, read in found:
        if known is None or case_id in known:
            yield TranscriptLine(1, case_id, seen[case_id], read)
            seen[case_id] += 1
    strange = [] if known is None else [case_id for case_id, _ in found if case_id not in known]
    if strange and known is not None:
        raise InvalidFileError(
            Problem(f'no case "{shorten(one, 80)}" in the suite{did_you_mean(one, list(known))}', file=file)
            for one in strange
        )


def _by_case(value: Any, known: Collection[str] | None) -> list[tuple[str, ReadTranscript]]:
    form = gemini_form(value)
    if form in {"gemini_rs_eval_set", "gemini_rs_evalset_file"}:
        return [(case_id, ReadTranscript(said, form)) for case_id, said in read_gemini_set(value, form, "set").done]
    if form is not None and as_object(value)["name"] in (known or ()):
        return [(as_object(value)["name"], read_transcript(value))]
    if known is None or len(known) != 1:
        message = (
            'does not say of which case it is; write lines {"case": ID, "transcript": …}, or pair it with its eval set by '
            "`mcp-evals import evalset SET --actual FILE --record OUT -o SUITE`"
        )
        raise InvalidFileError([Problem(message)])
    traced = trace_form(value)
    if traced is None:
        return [(next(iter(known)), read_transcript(value))]
    return [(next(iter(known)), ReadTranscript(found.transcript, traced)) for found in read_traces(value)]


# --- forms

_EXAMPLES: Final = """Give one of these:
- calls alone: {"calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}], "text": "12 degrees"}
- OpenAI: {"messages": [{"role": "user", "content": "Oslo?"}, {"role": "assistant", "tool_calls": [{"id": "1", "type": \
"function", "function": {"name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}}]}]}, or a response {"choices": […]}
- OpenAI Responses: {"output": [{"type": "function_call", "name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}]}
- Anthropic: {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "get_weather", \
"input": {"city": "Oslo"}}]}]}, or a response {"role": "assistant", "content": […]}
- Gemini: {"contents": [{"role": "model", "parts": [{"functionCall": {"name": "get_weather", "args": {"city": "Oslo"}}}]}]}
- LangChain: [{"type": "ai", "content": "", "tool_calls": [{"name": "get_weather", "args": {"city": "Oslo"}, "id": "1"}]}]
- ADK: {"conversation": [{"user_content": {"parts": [{"text": "Oslo?"}]}, "intermediate_data": {"tool_uses": [{"name": \
"get_weather", "args": {"city": "Oslo"}}]}}]}
- gemini-rs: {"turns": [{"role": "user", "content": "Oslo?"}, {"role": "model", "content": "", "tool_calls": [{"name": \
"get_weather", "args": {"city": "Oslo"}}]}]}
- trace, of OTLP or of Jaeger (`data`): {"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [{"key": \
"gen_ai.output.messages", "value": {"stringValue": "[{\\"role\\": \\"assistant\\", \\"parts\\": [{\\"type\\": \
\\"tool_call\\", \\"name\\": \\"get_weather\\", \\"arguments\\": {\\"city\\": \\"Oslo\\"}}]}]"}}]}]}]}]}
- ours: {"invocations": [{"user": "Oslo?", "steps": [{"calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]}]}]}"""


def _ours(value: dict[str, Any]) -> ReadTranscript:
    try:
        return ReadTranscript(Transcript.model_validate(value), "mcp_evals")
    except ValidationError as error:
        found = complaints(error, Transcript)
        raise InvalidFileError(
            first_problems(Problem(complaint.message, place_text(complaint.place)) for complaint in found)
        ) from None


_SHORT_KEYS: Final = ("calls", "text", "user", "system", "usage", "latency_s")


def _short(value: Any) -> ReadTranscript:
    """`{"calls": […], "text": …}`, or the calls alone: one step of one invocation."""
    fields: dict[str, Any] = {"calls": value} if isinstance(value, list) else value
    place: Place = () if isinstance(value, list) else ("calls",)
    problems = [
        Problem(f"unknown key{did_you_mean(key, _SHORT_KEYS)}", key) for key in fields if key not in _SHORT_KEYS
    ]
    calls: list[ToolCall] = []
    if not isinstance(fields.get("calls", []), list):
        problems.append(Problem("must be a list", "calls"))
    for index, call in enumerate(as_list(fields.get("calls"))):
        try:
            calls.append(read_call(call))
        except MessageError as error:
            problems.append(Problem(str(error), place_text((*place, index))))
    problems += [
        Problem("must be text", key)
        for key in ("text", "user", "system")
        if not isinstance(fields.get(key, ""), str) and fields[key] is not None
    ]
    latency: Any = fields.get("latency_s")
    if latency is not None and (isinstance(latency, bool) or not isinstance(latency, int | float) or latency < 0):
        problems.append(Problem("must be a number of seconds", "latency_s"))
    if problems:
        raise InvalidFileError(first_problems(problems))
    step = Step(
        text=fields.get("text") or "", calls=tuple(calls), usage=read_usage(fields.get("usage")), latency_s=latency
    )
    invocation = Invocation(user=fields.get("user") or "", steps=(step,))
    return ReadTranscript(Transcript(system=fields.get("system"), invocations=(invocation,)), "calls")


def _messages(value: dict[str, Any]) -> ReadTranscript:
    key = "contents" if "contents" in value else "messages"
    listed = as_list(value[key])
    if not listed:
        raise InvalidFileError([Problem("must be a list of messages", key)])
    conversation = Conversation()
    for name in ("system", "systemInstruction", "system_instruction"):
        prompt: Any = value.get(name)
        conversation.take_system(_parts_text(prompt) if isinstance(prompt, dict) else prompt, (name,))
    conversation.take_all(listed, (key,))
    return ReadTranscript(conversation.transcript(), conversation.form)


def _bare_messages(value: list[Any]) -> ReadTranscript:
    conversation = Conversation()
    conversation.take_all(value, ())
    return ReadTranscript(conversation.transcript(), conversation.form)


def _one_message(value: dict[str, Any]) -> ReadTranscript:
    read = _bare_messages([value])
    return read._replace(form="anthropic_response") if "stop_reason" in value else read


def _blocks(value: list[Any]) -> ReadTranscript:
    return _bare_messages([{"role": "assistant", "content": value}])


def _completion(value: dict[str, Any]) -> ReadTranscript:
    """A response of OpenAI's chat completions: its first choice."""
    choices = as_list(value["choices"])
    first = as_object(choices[0]) if choices else {}
    if not isinstance(first.get("message"), dict):
        raise InvalidFileError([Problem("must have a `message` in the first choice", "choices")])
    about = {"usage": value.get("usage"), "model": value.get("model"), "stop_reason": first.get("finish_reason")}
    conversation = Conversation()
    conversation.take_message({**first["message"], **about}, ("choices", 0, "message"))
    if len(choices) > 1:
        conversation.note("choices after the first are left out")
    return ReadTranscript(conversation.transcript(), "openai_completion")


def _responses(value: dict[str, Any]) -> ReadTranscript:
    """A response of OpenAI's Responses API, with its input where that is given."""
    conversation = Conversation()
    conversation.take_system(value.get("instructions"), ("instructions",))
    asked: Any = value.get("input")
    conversation.take_all(
        [{"role": "user", "content": asked}] if isinstance(asked, str) else as_list(asked), ("input",)
    )
    conversation.take_all(as_list(value["output"]), ("output",))
    conversation.describe_last_step(read_usage(value.get("usage")), value.get("model"))
    return ReadTranscript(conversation.transcript(), "openai_responses")


def _gemini_response(value: dict[str, Any]) -> ReadTranscript:
    candidates = as_list(value["candidates"])
    content = as_object(as_object(candidates[0]).get("content")) if candidates else {}
    conversation = Conversation()
    conversation.take_message({"role": "model", "parts": [], **content}, ("candidates", 0, "content"))
    usage = read_usage(value.get("usageMetadata", value.get("usage_metadata")))
    conversation.describe_last_step(usage, value.get("modelVersion", value.get("model_version")))
    return ReadTranscript(conversation.transcript(), "gemini_response")


def _session(value: list[Any]) -> ReadTranscript:
    """The lines of a Claude Code session: its own conversation, without those of its sub-agents."""
    conversation = Conversation()
    for index, entry in enumerate(map(as_object, value)):
        if _is_session_entry(entry) and not entry.get("isSidechain") and not entry.get("isMeta"):
            message = as_object(entry["message"])
            response: Any = message.get("id")
            conversation.take_message(message, (index, "message"), response if isinstance(response, str) else None)
    return ReadTranscript(conversation.transcript(), "claude_code")


def _is_session_entry(entry: dict[str, Any]) -> bool:
    return _kind(entry) in {"user", "assistant"} and isinstance(entry.get("message"), dict)


# --- ADK


def _adk_case(value: dict[str, Any]) -> ReadTranscript:
    return _adk_invocations(as_list(value["conversation"]), ("conversation",))


def _adk_invocation(value: dict[str, Any]) -> ReadTranscript:
    return _adk_invocations([value])


def _adk_invocations(value: list[Any], place: Place = ()) -> ReadTranscript:
    conversation = Conversation()
    for index, item in enumerate(value):
        fields = _snake_case(item)
        where = (*place, index)
        conversation.take_message(
            {"role": "user", "parts": [], **_said_parts(fields.get("user_content"))}, (*where, "user_content")
        )
        _take_intermediate(conversation, _snake_case(fields.get("intermediate_data")), (*where, "intermediate_data"))
        final = _said_parts(fields.get("final_response"))
        if final and _parts_text(final) != conversation.last_text:
            conversation.take_message({**final, "role": "model"}, (*where, "final_response"))
    return ReadTranscript(conversation.transcript(), "adk")


def _take_intermediate(conversation: Conversation, fields: dict[str, Any], place: Place) -> None:
    """What an agent did before its answer: as recorded events, or as calls, results and texts apart."""
    _take_events(conversation, as_list(fields.get("invocation_events")), (*place, "invocation_events"))
    calls = [{"functionCall": call} for call in as_list(fields.get("tool_uses"))]
    results = [{"functionResponse": result} for result in as_list(fields.get("tool_responses"))]
    for key, role, parts in (("tool_uses", "model", calls), ("tool_responses", "user", results)):
        if parts:
            conversation.take_message({"role": role, "parts": parts}, (*place, key))
    for index, said in enumerate(as_list(fields.get("intermediate_responses"))):
        parts = as_list(said)[-1:]  # a pair of author and parts
        content = _said_parts({"role": "model", "parts": parts[0] if parts else []})
        conversation.take_message(content, (*place, "intermediate_responses", index))


def _adk_session(value: dict[str, Any]) -> ReadTranscript:
    conversation = Conversation()
    _take_events(conversation, as_list(value["events"]), ("events",))
    return ReadTranscript(conversation.transcript(), "adk")


def _take_events(conversation: Conversation, events: list[Any], place: Place) -> None:
    for index, event in enumerate(map(as_object, events)):
        content = _said_parts(event.get("content"))
        if content.get("parts"):
            role = "user" if event.get("author") == "user" else "model"
            conversation.take_message({**content, "role": role}, (*place, index, "content"))


def _said_parts(content: Any) -> dict[str, Any]:
    """A content without the nulls that ADK writes for whatever a part is not."""
    fields = without_nulls(content)
    if not isinstance(fields.get("parts"), list):
        return fields
    parts = [without_nulls(part) if isinstance(part, dict) else part for part in as_list(fields["parts"])]
    return {**fields, "parts": [part for part in parts if part != {}]}


def _snake_case(value: Any) -> dict[str, Any]:
    return {re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", key): item for key, item in as_object(value).items()}


def _parts_text(content: Any) -> str:
    return "".join(str(as_object(part).get("text") or "") for part in as_list(as_object(content).get("parts")))


# --- gemini-rs and traces


def _gemini_case(value: dict[str, Any]) -> ReadTranscript:
    return _gemini_invocations(as_list(value["actual"]), "actual")


def _gemini_invocation(value: dict[str, Any]) -> ReadTranscript:
    return _gemini_invocations([value])


def _gemini_invocations(value: list[Any], place: str = "") -> ReadTranscript:
    notes = Notes()
    try:
        actual = read_case({"name": "", "actual": value}).actual
        transcript = gemini_transcript(actual, notes.add)
    except (GeminiError, MessageError) as error:
        raise InvalidFileError([Problem(str(error), place)]) from None
    return ReadTranscript(transcript.model_copy(update={"notes": (*transcript.notes, *notes.listed())}), "gemini_rs")


def _trace(value: dict[str, Any]) -> ReadTranscript:
    found = list(read_traces(value))
    if len(found) > 1:
        listed = ", ".join(shorten(conversation.id, 60) for conversation in found[:5])
        raise InvalidFileError([Problem(f"has {len(found)} conversations ({listed}); hand over a trace of one")])
    return ReadTranscript(found[0].transcript, trace_form(value) or "trace")


# --- which form it is


def _is_trace(value: Any) -> bool:
    return trace_form(value) is not None


def _is_gemini_case(value: Any) -> bool:
    return gemini_form(value) == "gemini_rs_case"


class _Form(NamedTuple):
    fits: Callable[[Any], bool]
    read: Callable[[Any], ReadTranscript]


def _has(*keys: str) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        return any(key in as_object(value) for key in keys)

    return fits


def _holds(fits: Callable[[dict[str, Any]], bool], *, whole: bool = False) -> Callable[[Any], bool]:
    """Whether a list has such an object; with `whole`, whether all its entries are such, if it has any or none."""
    check = all if whole else any

    def holds(value: Any) -> bool:
        return isinstance(value, list) and check(fits(as_object(item)) for item in as_list(value))

    return holds


def _is_call(item: dict[str, Any]) -> bool:
    named = isinstance(item.get("name", item.get("tool")), str) or "name" in as_object(item.get("function"))
    return (
        named
        and not {"role", "content", "parts"} & {*item}
        and _kind(item) not in {"function_call", "custom_tool_call", "mcp_call"}
    )


def _is_block(item: dict[str, Any]) -> bool:
    return _kind(item) in {"text", "thinking", "redacted_thinking", "tool_use"} and "role" not in item


def _kind(item: dict[str, Any]) -> str | None:
    kind: Any = item.get("type")
    return kind if isinstance(kind, str) else None


_READERS: Final = (
    _Form(_has("invocations"), _ours),
    _Form(_is_trace, _trace),
    _Form(_is_gemini_case, _gemini_case),
    _Form(_has("turns"), _gemini_invocation),
    _Form(_has("choices"), _completion),
    _Form(_has("output"), _responses),
    _Form(_has("candidates"), _gemini_response),
    _Form(_has("messages", "contents"), _messages),
    _Form(_has("conversation"), _adk_case),
    _Form(_has("user_content", "userContent"), _adk_invocation),
    _Form(_has("events"), _adk_session),
    _Form(_has("role", "kwargs", "parts"), _one_message),
    _Form(_has("calls", "text"), _short),
    _Form(_holds(_is_call, whole=True), _short),
    _Form(_holds(_is_block, whole=True), _blocks),
    _Form(_holds(_is_session_entry), _session),
    _Form(_holds(_has("user_content", "userContent")), _adk_invocations),
    _Form(_holds(_has("turns"), whole=True), _gemini_invocations),
    _Form(_holds(_has("role", "type", "parts", "kwargs", "content")), _bare_messages),
)


def _plain_json(value: Any) -> Any:
    """The JSON value, without halves of characters.

    Raises:
        InvalidFileError: it is none.
    """
    if isinstance(value, str):
        value = _parsed(value)
    if depth_exceeds(value, MAX_JSON_DEPTH):
        raise InvalidFileError([Problem(TOO_DEEP)])
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidFileError([Problem(f"is no JSON: {error}")]) from error
    try:
        text.encode()
    except UnicodeEncodeError:
        # A model's stream may end inside of an emoji, which leaves half of it.
        return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return value


def _parsed(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        lines = list(json_lines(text.split("\n")))
        if len(lines) > 1 and all(line.problem is None for line in lines):
            return [line.value for line in lines]
        message = (
            f'is text that is not JSON ({error}); for the words of an answer alone write {{"text": "…"}}. {_EXAMPLES}'
        )
        raise InvalidFileError([Problem(message)]) from None


def _seen(value: Any) -> str:
    if isinstance(value, dict):
        keys = ", ".join(shorten(str(key), 40) for key in [*as_object(value)][:8])
        return f"an object with the keys {keys}" if keys else "an empty object"
    if isinstance(value, list):
        return f"a list of which the first is {_seen(value[0])}" if value else "an empty list"
    return shorten(json.dumps(value, ensure_ascii=False), 60)
