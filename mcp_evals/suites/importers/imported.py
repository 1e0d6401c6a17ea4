"""What an importer of eval sets hands over: a suite, what was done where the file tells it, and what was not carried over."""

from collections import Counter
from typing import Any, Final, NamedTuple

from pydantic import JsonValue, ValidationError

from mcp_evals.conversation import Invocation, Transcript
from mcp_evals.errors import InvalidFileError, Problem
from mcp_evals.suite import Case, Expect, ExpectedCall, Suite, Turn
from mcp_evals.text import shorten
from mcp_evals.text_expectations import Similar


class Imported(NamedTuple):
    """An eval set in our form."""

    suite: Suite
    """What is asked and expected."""
    form: str
    """How the file was written, such as `adk_eval_set`."""
    done: tuple[tuple[str, Transcript], ...] = ()
    """What was done, by case, where the file tells it."""
    notes: tuple[str, ...] = ()
    """What has no place here, or means something else here."""


class Notes:
    """What a reader has to know, each thing once with its count."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, text: str, count: int = 1) -> None:
        """Something that was met so often."""
        self._counts[text] += count

    def listed(self) -> tuple[str, ...]:
        """All, in the order in which they were met first."""
        return tuple(f"{text} ({count})" if count > 1 else text for text, count in self._counts.items() if count)


REFERENCE_WEIGHT: Final = 1.0
"""A reference answer counts into the score; as a gate it would fail what the metric of its file lets pass."""


def reference(text: str) -> Similar:
    """An answer that serves as reference."""
    return Similar(similar=text, weight=REFERENCE_WEIGHT)


def case_of_turns(case_id: str, turns: list[Turn], about: dict[str, Any]) -> Case:
    """A case with one message as `user`, or with several as `turns`."""
    if len(turns) == 1:
        return Case.model_validate({"id": case_id, "user": turns[0].user, "expect": turns[0].expect, **about})
    return Case.model_validate({"id": case_id, "turns": turns, **about})


def golden_case(case_id: str, transcript: Transcript) -> Case:
    """A case that expects what was done.

    Raises:
        InvalidFileError: a call without a name cannot be expected, nor such a name of a case be written.
    """
    try:
        turns = [Turn(user=said.user, expect=_as_done(said)) for said in transcript.invocations]
        return case_of_turns(case_id, turns, {"system": transcript.system} if transcript.system else {})
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = ".".join(map(str, found["loc"]))
        message = f"the conversation {shorten(case_id, 80)} makes no case: {place}: {found['msg']}"
        raise InvalidFileError([Problem(message)]) from None


def _as_done(invocation: Invocation) -> Expect:
    calls: list[ExpectedCall] = []
    for step in invocation.steps:
        answers = {result.call_id: result for result in step.results}
        in_order = len(step.results) == len(step.calls)
        for index, call in enumerate(step.calls):
            answer = step.results[index] if in_order else answers.get(call.id)
            args: JsonValue = call.arguments if isinstance(call.arguments, dict) else {}
            fields: dict[str, Any] = {"tool": call.name, "args": args}
            if answer is not None:
                fields |= {"fails": answer.text} if answer.is_error else {"returns": answer.content}
            calls.append(ExpectedCall.model_validate(fields))
    said = invocation.final_text
    return Expect(calls=tuple(calls), text=(reference(said),) if said else ())
