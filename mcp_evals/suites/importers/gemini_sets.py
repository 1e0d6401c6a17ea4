"""gemini-rs's eval sets: the expected side as cases, the actual side as transcripts. Its reader's rules hold.

A metric of gemini-rs is a mean over invocations, each a whole little conversation; cases are cut so that it stays one.
"""

from typing import Any, Final

from mcp_evals.conversation import Transcript
from mcp_evals.errors import InvalidFileError, Problem
from mcp_evals.model import canonical_json
from mcp_evals.scoring.gemini_files import (
    EvalsetFile,
    GeminiCase,
    GeminiError,
    GeminiInvocation,
    GeminiSet,
    GeminiTurn,
    read_case,
    read_evalset,
    read_set,
)
from mcp_evals.suite import Case, Expect, ExpectedCall, MetricSettings, Suite, Turn
from mcp_evals.suites.importers.gemini_turns import gemini_transcript
from mcp_evals.suites.importers.imported import Imported, Notes, case_of_turns, reference
from mcp_evals.suites.messages import MessageError, as_list, as_object, read_call
from mcp_evals.suites.places import Place, place_text


def gemini_form(value: Any) -> str | None:
    """Which of gemini-rs's forms a document has, if any."""
    fields = as_object(value)
    if "actual" in fields and "name" in fields:
        return "gemini_rs_case"
    listed = [as_object(case) for case in as_list(fields.get("cases"))]
    if any("actual" in case for case in listed) or (listed and "expected" in listed[0] and "inputs" not in listed[0]):
        return "gemini_rs_eval_set"
    conversations = [
        as_object(said)
        for case in map(as_object, as_list(fields.get("eval_cases")))
        for said in as_list(case.get("conversation"))
    ]
    if "eval_set_id" not in fields and any(isinstance(said.get("user_content"), str) for said in conversations):
        return "gemini_rs_evalset_file"
    return None


def read_gemini_set(value: Any, form: str, name: str) -> Imported:
    """A set, a case or an eval-set file of gemini-rs.

    Raises:
        InvalidFileError: its reader refuses the file; the message says where and why.
    """
    try:
        if form == "gemini_rs_case":
            found = GeminiSet(name, (read_case(value),))
        elif form == "gemini_rs_eval_set":
            found = read_set(value)
        else:
            found = _of_file(read_evalset(canonical_json(value)))
    except GeminiError as error:
        raise InvalidFileError([Problem(f"gemini-rs would refuse it: {error}", _where(value, form))]) from None
    return _imported(found, form, name)


GEMINI_METRICS: Final[dict[str, MetricSettings | float]] = {
    "trajectory_match": MetricSettings(),
    "response_match": MetricSettings(),
    "safety": MetricSettings(),
}
"""What gemini-rs computes without a model; it has no thresholds, so that they are shown and decide nothing."""


def _imported(found: GeminiSet, form: str, name: str) -> Imported:
    notes = Notes()
    cases: list[Case] = []
    done: list[tuple[str, Transcript]] = []
    problems: list[Problem] = []
    for index, case in enumerate(found.cases):
        for part_id, actual, expected in _parts(case):
            try:
                cases.append(_case(part_id, case, actual, expected, notes))
                if actual:
                    done.append((part_id, gemini_transcript(actual, notes.add)))
            except (ValueError, MessageError) as error:
                problems.append(Problem(str(error), f"cases[{index}]"))
        if len(case.expected) > len(case.actual):
            notes.add("gemini-rs passes over expected invocations beyond the actual ones; here they are missing")
    ids = [case.id for case in cases]
    problems += [
        Problem(f'"{one}" is the name of several cases; choose others') for one in {i for i in ids if ids.count(i) > 1}
    ]
    if not cases and not problems:
        problems.append(Problem("has no case"))
    if problems:
        raise InvalidFileError(problems)
    about = {"description": found.description} if found.description else {}
    suite = Suite.model_validate(
        {"name": name, "metrics": GEMINI_METRICS, "metadata": {"name": found.name}, **about, "cases": cases}
    )
    return Imported(suite, form, tuple(done), notes.listed())


def _parts(case: GeminiCase) -> list[tuple[str, tuple[GeminiInvocation, ...], tuple[GeminiInvocation, ...]]]:
    """A case as it is, unless it has several invocations of which one has several user messages: then one for each."""
    length = max(len(case.actual), len(case.expected))
    if length < 2 or all(len(_asked(said)) == 1 for said in (*case.actual, *case.expected)):
        return [(case.name, case.actual, case.expected)]
    pairs = [(case.actual[at : at + 1], case.expected[at : at + 1]) for at in range(length)]
    names = [next((said.id for side in pair for said in side if said.id), f"inv-{at}") for at, pair in enumerate(pairs)]
    return [(f"{case.name}/{name}", *pair) for name, pair in zip(names, pairs, strict=True)]


def _case(
    case_id: str,
    case: GeminiCase,
    actual: tuple[GeminiInvocation, ...],
    expected: tuple[GeminiInvocation, ...],
    notes: Notes,
) -> Case:
    about: dict[str, Any] = {"description": case.scenario or ""}
    if case_id != case.name:
        about["group"] = case.name
    known = [said.metadata for said in (*actual, *expected) if said.metadata is not None]
    if known:
        about["metadata"] = {"invocations": known}
    asked = [_asked(said) for said in (expected if len(expected) >= len(actual) else actual)]
    expects = [_expect(expected[at] if at < len(expected) else None, notes) for at in range(len(asked))]
    if any(expect.calls == () for expect in expects):
        # An empty expectation accepts any trajectory there.
        about["rubric"] = {"extra_calls": "ignore"}
    if len(asked) == 1 and len(asked[0]) > 1:
        turns = [Turn(user=text) for text in asked[0]]
        return case_of_turns(case_id, turns, {**about, "expect": expects[0]})
    if not asked:
        raise ValueError("has neither an actual nor an expected invocation")
    if not all(asked):
        notes.add("an invocation has no user message; the case asks with an empty one")
    turns = [Turn(user=(texts or [""])[0], expect=expect) for texts, expect in zip(asked, expects, strict=True)]
    return case_of_turns(case_id, turns, about)


def _asked(invocation: GeminiInvocation) -> list[str]:
    return [turn.content for turn in invocation.turns if turn.role == "user"]


def _expect(expected: GeminiInvocation | None, notes: Notes) -> Expect:
    if expected is None:
        notes.add("an actual invocation has no expected one; nothing is expected of it")
        return Expect()
    calls: list[ExpectedCall] = []
    for turn in expected.turns:
        calls += _calls(turn, notes)
    answers = [turn.content for turn in expected.turns if turn.role == "model"]
    text = (reference(answers[-1]),) if answers and answers[-1] else ()
    if not text:
        notes.add(
            "an invocation has no expected answer, which gemini-rs takes for a match with any; here none is asked"
        )
    return Expect(calls=tuple(calls), text=text)


def _calls(turn: GeminiTurn, notes: Notes) -> list[ExpectedCall]:
    made: list[ExpectedCall] = []
    for index, value in enumerate(turn.tool_calls):
        if "name" not in as_object(value):
            notes.add("a call has its name elsewhere than in `name`, where alone gemini-rs looks; it counts here")
        call = read_call(value)
        args = call.arguments if isinstance(call.arguments, dict) else {}
        if isinstance(call.arguments, str):
            notes.add("arguments of an expected call that are no JSON object are left out")
        answer = {"returns": turn.tool_results[index]} if len(turn.tool_results) == len(turn.tool_calls) else {}
        made.append(ExpectedCall.model_validate({"tool": call.name, "args": args, **answer}))
    if turn.tool_results and len(turn.tool_results) != len(turn.tool_calls):
        notes.add("tool results of an expected turn that are not as many as its calls are left out")
    return made


def _of_file(file: EvalsetFile) -> GeminiSet:
    pairs = zip(file.eval_cases, file.eval_pairs(), strict=True)
    cases = [
        GeminiCase(case.eval_id, actual if any(len(said.turns) > 1 for said in actual) else (), expected)
        for case, (actual, expected) in pairs
    ]
    return GeminiSet(file.name, tuple(cases))


def _where(value: Any, form: str) -> str:
    """The innermost value that alone cannot be read; empty where the whole is wrong."""
    if form == "gemini_rs_case":
        return place_text(_blamed_in_case(value))
    for index, case in enumerate(as_list(as_object(value).get("cases"))):
        if _refused(case):
            return place_text(("cases", index, *_blamed_in_case(case)))
    for index, case in enumerate(as_list(as_object(value).get("eval_cases"))):
        try:
            read_evalset(canonical_json({"name": "", "eval_cases": [case]}))
        except GeminiError:
            return place_text(("eval_cases", index))
    return ""


def _blamed_in_case(case: Any) -> Place:
    for side in ("actual", "expected"):
        for index, invocation in enumerate(as_list(as_object(case).get(side))):
            if _refused({"name": "", "actual": [invocation]}):
                return (side, index, *_blamed_turn(invocation))
    return ()


def _blamed_turn(invocation: Any) -> Place:
    for index, turn in enumerate(as_list(as_object(invocation).get("turns"))):
        if _refused({"name": "", "actual": [{"turns": [turn]}]}):
            wrong = [key for key, item in as_object(turn).items() if _refused_with({key: item})]
            return ("turns", index, *wrong[:1])
    return ()


def _refused_with(fields: dict[str, Any]) -> bool:
    return _refused({"name": "", "actual": [{"turns": [{"role": "", "content": "", **fields}]}]})


def _refused(case: Any) -> bool:
    try:
        read_case(case)
    except GeminiError:
        return True
    return False
