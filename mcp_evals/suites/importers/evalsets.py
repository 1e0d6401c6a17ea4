"""Eval sets and conversations of other systems as a suite: which form a file has, and what it says, with what is left out.

gemini-rs, Google ADK, LangChain agentevals, traces and transcripts. Every file is read or refused with the reason.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import JsonValue

from mcp_evals.conversation import Transcript
from mcp_evals.errors import InvalidFileError, Problem, UsageError
from mcp_evals.suite import Case, Suite
from mcp_evals.suites.documents import form_of, json_lines, open_file, read_document
from mcp_evals.suites.importers.adk_config import ADK_DEFAULTS, AdkConfig, is_config, read_config
from mcp_evals.suites.importers.adk_files import Reader, located
from mcp_evals.suites.importers.adk_sets import ADK_VERDICT, adk_form, read_adk_set
from mcp_evals.suites.importers.gemini_cli import is_gemini_cli_set, read_gemini_cli_set
from mcp_evals.suites.importers.gemini_sets import gemini_form, read_gemini_set
from mcp_evals.suites.importers.imported import Imported, golden_case
from mcp_evals.suites.importers.langchain_trajectories import is_langchain_trajectory, read_langchain_trajectory
from mcp_evals.suites.importers.traces import read_traces, trace_form
from mcp_evals.suites.importers.transcripts import read_transcript
from mcp_evals.suites.messages import as_list, as_object
from mcp_evals.suites.places import first_problems


def read_eval_set(
    path: Path, *, config: Path | None = None, session: Path | None = None, actual: Path | None = None
) -> Imported:
    """The eval set of a file as a suite; what was done comes from the file, or from `actual`, paired by user messages.

    `config` is a `test_config.json`; for ADK's sets the one beside the file, else ADK's own criteria. `session` is an ADK
    session, from whose state cases start that do not say it.

    Raises:
        NotFoundError: there is no such file.
        UsageError: its name does not say how it is written.
        InvalidFileError: it has no known form, or something in it is wrong; all problems at once.
    """
    value = _document(path)
    settled, notes = _config_of(path, value, config)
    read = _read(path, value, settled, _session_state(session))
    done, also = read.done, list[str]()
    if actual is not None:
        done, also = _paired(read.suite, _done_in(actual))
    kept: list[JsonValue] = [*notes, *read.notes, *also]
    said: dict[str, JsonValue] = {"form": read.form, **({"notes": kept} if kept else {})}
    suite = read.suite.model_copy(update={"metadata": {**read.suite.metadata, "imported": said}})
    return Imported(suite, read.form, done, (*notes, *read.notes, *also))


# --- files


def _document(path: Path) -> Any:
    """A file's value; of JSON lines the list of them."""
    if form_of(path) != "jsonl":
        return read_document(path).value
    with open_file(path) as file:
        lines = list(json_lines(file, str(path)))
    problems = [line.problem for line in lines if line.problem is not None]
    if problems:
        raise InvalidFileError(first_problems(problems))
    values = [line.value for line in lines]
    return values[0] if len(values) == 1 else values


def _config_of(path: Path, value: Any, config: Path | None) -> tuple[AdkConfig | None, tuple[str, ...]]:
    beside = path.parent / _CONFIG_NAME
    of_adk = gemini_form(value) is None and adk_form(value) is not None
    if config is None and of_adk and beside.is_file():
        config, found = beside, (f"the criteria are those of {_CONFIG_NAME} beside the file",)
    else:
        found = ()
    if config is None:
        if not of_adk:
            return None, ()
        listed = ", ".join(f"{name} {threshold:g}" for name, threshold in ADK_DEFAULTS.items())
        return AdkConfig(ADK_DEFAULTS), (f"no config was given; the criteria are ADK's own: {listed}",)
    given = read_document(config).value
    reader = Reader(given)
    settled = read_config(given, reader)
    if reader.problems:
        raise InvalidFileError(first_problems(located(reader.problems, str(config))))
    return settled, (*found, *reader.notes.listed())


_CONFIG_NAME: Final = "test_config.json"


def _session_state(session: Path | None) -> Any:
    if session is None:
        return None
    value = read_document(session).value
    if not isinstance(as_object(value).get("state"), dict):
        problem = Problem("must be an ADK session: an object with `state`", file=str(session))
        raise InvalidFileError([problem])
    named = {"app_name", "appName", "user_id", "userId", "state"}
    return {key: item for key, item in as_object(value).items() if key in named}


# --- forms


def _read(path: Path, value: Any, config: AdkConfig | None, session: Any) -> Imported:
    name = _suite_name(path)
    try:
        return _read_form(name, value, config, session)
    except InvalidFileError as error:
        raise InvalidFileError(problem._replace(file=str(path)) for problem in error.problems) from None


def _read_form(name: str, value: Any, config: AdkConfig | None, session: Any) -> Imported:
    if is_config(value):
        message = (
            "is a config of criteria, not an eval set; import the eval set beside it with `--config` and this file"
        )
        raise InvalidFileError([Problem(message)])
    if "state" in as_object(value) and not as_object(value).get("events") and "app_name" in as_object(value):
        message = (
            "is an ADK session without events; import the eval set that starts from it with `--session` and this file"
        )
        raise InvalidFileError([Problem(message)])
    form = gemini_form(value)
    if form is not None:
        return _with_config(read_gemini_set(value, form, name), config)
    if is_gemini_cli_set(value):
        return _with_config(read_gemini_cli_set(value, name), config)
    form = adk_form(value)
    if form is not None:
        reader = Reader(value)
        suite = read_adk_set(value, name, form, config or AdkConfig(ADK_DEFAULTS), session, reader)
        if suite is None:
            raise InvalidFileError(first_problems(located(reader.problems, "")))
        return Imported(suite, form, (), reader.notes.listed())
    return _with_config(_golden(name, value), config)


def _golden(name: str, value: Any) -> Imported:
    """A suite that expects what was done, or what a reference says beside it."""
    if is_langchain_trajectory(value):
        return _langchain(name, [value])
    if as_list(value) and all(is_langchain_trajectory(item) for item in as_list(value)):
        return _langchain(name, as_list(value))
    form = trace_form(value)
    if form is not None:
        found = read_traces(value)
        ids = [name] if len(found) == 1 else [conversation.id for conversation in found]
        return _of_transcripts(name, form, list(zip(ids, (one.transcript for one in found), strict=True)))
    try:
        read = [read_transcript(item) for item in _conversations(value)]
    except InvalidFileError as error:
        raise InvalidFileError(map(_no_eval_set, error.problems)) from None
    ids = [name] if len(read) == 1 else [f"{name}-{number}" for number in range(1, len(read) + 1)]
    pairs = [(case_id, one.transcript) for case_id, one in zip(ids, read, strict=True)]
    return _of_transcripts(name, read[0].form, pairs)


def _no_eval_set(problem: Problem) -> Problem:
    """What is no transcript either could have been meant as an eval set."""
    if problem.path or not problem.message.startswith("is no transcript"):
        return problem
    known = (
        "`eval_cases` (ADK), `cases` with `actual` or `inputs` (gemini-rs) or a list of turns with `query` (legacy ADK)"
    )
    return problem._replace(message=f"is no eval set, which has {known}, and {problem.message}")


def _conversations(value: Any) -> list[Any]:
    """A list of whole conversations as such, anything else as one."""
    listed = as_list(value)
    whole = [isinstance(item, list) or {"messages", "contents", "invocations"} & {*as_object(item)} for item in listed]
    return listed if listed and all(whole) else [value]


def _of_transcripts(name: str, form: str, done: Sequence[tuple[str, Transcript]]) -> Imported:
    notes = ["the file tells what was done alone; the suite expects that it is done again"]
    notes += dict.fromkeys(note for _, transcript in done for note in transcript.notes)
    if empty := [case_id for case_id, transcript in done if not transcript.invocations]:
        raise InvalidFileError([Problem(f"the conversation {empty[0]} has no message")])
    if any(not said.user for _, transcript in done for said in transcript.invocations):
        notes.append("an answer has no user message before it; the case asks with an empty one")
    suite = Suite(name=name, cases=tuple(golden_case(case_id, transcript) for case_id, transcript in done))
    return Imported(suite, form, tuple(done), tuple(notes))


def _langchain(name: str, values: list[Any]) -> Imported:
    cases: list[Case] = []
    done: list[tuple[str, Transcript]] = []
    notes: list[str] = []
    for index, value in enumerate(values):
        place = f"[{index}]" if len(values) > 1 else ""
        case_id = name if len(values) == 1 else f"{name}-{index + 1}"
        outputs, wanted = read_langchain_trajectory(value, place)
        side = wanted or outputs
        if side is None or not side.transcript.invocations:
            raise InvalidFileError([Problem("must have messages in `outputs` or `reference_outputs`", place)])
        if wanted is None:
            notes.append("there is no `reference_outputs`; the suite expects that the same is done again")
        cases.append(golden_case(case_id, side.transcript))
        if outputs is not None:
            done.append((case_id, outputs.transcript))
        left = {*as_object(value)} - {"outputs", "reference_outputs", "inputs"}
        notes += [f'the key "{key}" of a trajectory is left out' for key in sorted(left)]
        notes += [note for read in (outputs, wanted) if read is not None for note in read.transcript.notes]
    suite = Suite(name=name, cases=tuple(cases))
    return Imported(suite, "langchain_trajectory", tuple(done), tuple(dict.fromkeys(notes)))


def _with_config(read: Imported, config: AdkConfig | None) -> Imported:
    """The metrics of a config in the place of those of the form; they decide alone, as where the config comes from."""
    if config is None:
        return read
    about: dict[str, Any] = {"metrics": config.metrics, "rubric": ADK_VERDICT}
    if config.judge is not None:
        about["judge"] = config.judge
    return read._replace(suite=read.suite.model_copy(update=about))


def _suite_name(path: Path) -> str:
    name = path.name
    for ending in (path.suffix, ".test", ".evalset"):
        name = name.removesuffix(ending)
    return name or path.stem


# --- what was done, in another file


def _done_in(path: Path) -> list[Transcript]:
    value = _document(path)
    try:
        form = gemini_form(value)
        if form is not None:
            return [transcript for _, transcript in read_gemini_set(value, form, path.stem).done]
        if adk_form(value) == "adk_eval_set":
            cases = as_list(as_object(value).get("eval_cases", as_object(value).get("evalCases")))
            return [read_transcript(case).transcript for case in cases if "conversation" in as_object(case)]
        return [transcript for _, transcript in _golden(path.stem, value).done]
    except InvalidFileError as error:
        raise InvalidFileError(problem._replace(file=str(path)) for problem in error.problems) from None


def _paired(suite: Suite, done: Iterable[Transcript]) -> tuple[tuple[tuple[str, Transcript], ...], list[str]]:
    """Each conversation beside the case whose user messages it has."""
    conversations = list(done)
    pairs: list[tuple[str, Transcript]] = []
    lost = 0
    for transcript in conversations:
        said = [_folded(invocation.user) for invocation in transcript.invocations]
        fitting = [case.id for case in suite.cases if [_folded(text) for text in case.user_turns()] == said]
        if fitting:
            pairs.append((min(fitting, key=[case_id for case_id, _ in pairs].count), transcript))
        else:
            lost += 1
    if lost and len(conversations) == len(suite.cases) == 1:
        note = "the conversation has other user messages than the case; it is paired for there is only one of each"
        return ((suite.cases[0].id, conversations[0]),), [note]
    if not pairs:
        raise UsageError("no conversation has the user messages of a case; was it the right file for `--actual`?")
    silent = len({case.id for case in suite.cases} - {case_id for case_id, _ in pairs})
    notes = [f"{lost} conversations have the user messages of no case and are left out"] * bool(lost)
    notes += [f"{silent} cases have no conversation"] * bool(silent)
    return tuple(pairs), notes


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
