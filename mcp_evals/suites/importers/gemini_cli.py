"""The eval sets that gemini-rs's command line reads: inputs and the keywords that an answer must hold.

gemini-rs asks a model for a score and counts keywords where that fails; here they are what counts, so no judge is needed.
"""

from typing import Any, Final

from pydantic import Field

from mcp_evals.errors import InvalidFileError
from mcp_evals.model import Model
from mcp_evals.suite import Case, Expect, Rubric, Suite
from mcp_evals.suites.importers.adk_files import Reader, located
from mcp_evals.suites.importers.imported import Imported
from mcp_evals.suites.messages import as_list, as_object
from mcp_evals.suites.places import first_problems
from mcp_evals.text_expectations import Contains

FORM: Final = "gemini_rs_cli"
PASS_THRESHOLD: Final = 0.7
"""What gemini-rs passes where its config says nothing."""


def is_gemini_cli_set(value: Any) -> bool:
    """Whether a document has cases with inputs."""
    return any("inputs" in as_object(case) for case in as_list(as_object(value).get("cases")))


def read_gemini_cli_set(value: Any, name: str) -> Imported:
    """A set of cases, the inputs of each joined to one message as gemini-rs does.

    Raises:
        InvalidFileError: something in it is wrong; all problems at once.
    """
    reader = Reader(value)
    found = reader.read(_CliSet, value, ())
    cases: dict[str, Case] = {}
    for index, case in enumerate(found.cases if found else ()):
        reader.note_unknown(case, "a case")
        if case.id in cases:
            reader.complain(("cases", index, "id"), f'"{case.id}" is the name of several cases; choose others')
        cases[case.id] = _case(case)
    if found is None or reader.problems:
        raise InvalidFileError(first_problems(located(reader.problems, "")))
    reader.note_unknown(found, "the set")
    reader.notes.add(
        f"a case scores the share of its keywords in the answer, upper or lower case, and passes from {PASS_THRESHOLD:g} on; "
        "gemini-rs asks a model for the score first"
    )
    reader.notes.add(
        "the inputs of a case are one message, as gemini-rs joins them",
        sum(len(case.inputs) > 1 for case in found.cases),
    )
    reader.notes.add(
        "a case expects nothing, which gemini-rs passes; here it is not evaluated",
        sum(not case.expected for case in found.cases),
    )
    rubric = Rubric(fail_below=PASS_THRESHOLD, warn_below=PASS_THRESHOLD)
    suite = Suite(name=name, rubric=rubric, metadata={"name": found.name}, cases=tuple(cases.values()))
    return Imported(suite, FORM, (), reader.notes.listed())


class _CliCase(Model, extra="allow"):
    id: str = Field(min_length=1)
    inputs: tuple[str, ...] = Field(min_length=1)
    expected: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class _CliSet(Model, extra="allow"):
    name: str
    cases: tuple[_CliCase, ...] = Field(min_length=1)


def _case(case: _CliCase) -> Case:
    keywords = tuple(Contains(contains=keyword, ignore_case=True, weight=1.0) for keyword in case.expected)
    return Case(id=case.id, tags=case.tags, user="\n".join(case.inputs), expect=Expect(text=keywords))
