"""LangChain agentevals' trajectories: what an agent did beside what it should have done, both as message lists."""

from typing import Any

from mcp_evals.errors import InvalidFileError, Problem
from mcp_evals.suites.importers.transcripts import ReadTranscript, read_transcript
from mcp_evals.suites.messages import as_list, as_object


def is_langchain_trajectory(value: Any) -> bool:
    """Whether something has the keys of agentevals' evaluators."""
    fields = as_object(value)
    return bool({"outputs", "reference_outputs"} & {*fields})


def read_langchain_trajectory(value: Any, place: str = "") -> tuple[ReadTranscript | None, ReadTranscript | None]:
    """What was done (`outputs`) and what should have been (`reference_outputs`).

    Raises:
        InvalidFileError: a side is no list of messages.
    """
    fields = as_object(value)
    return _side(fields, "outputs", place), _side(fields, "reference_outputs", place)


def _side(fields: dict[str, Any], key: str, place: str) -> ReadTranscript | None:
    value = fields.get(key)
    if value is None:
        return None
    where = f"{place}.{key}" if place else key
    if "steps" in as_object(value):
        message = (
            "is a graph trajectory, whose steps are names of nodes and no tool calls; "
            "give the list of messages, such as `graph.invoke(...)['messages']`"
        )
        raise InvalidFileError([Problem(message, where)])
    try:
        return read_transcript({"messages": as_list(value)} if isinstance(value, list) else value)
    except InvalidFileError as error:
        problems = [problem._replace(path=f"{where}.{problem.path}".rstrip(".")) for problem in error.problems]
        raise InvalidFileError(problems) from None
