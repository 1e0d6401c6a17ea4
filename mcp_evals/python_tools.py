"""Tool definitions from Python functions: signature, hints and docstring become what a model is shown.

For programs only: nothing that stands in a suite leads here, and no function is called.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from inspect import Parameter
from textwrap import dedent
from typing import Annotated, Any, Final, NamedTuple, cast, get_type_hints

from pydantic import Field, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from mcp_evals.conversation import ToolDefinition
from mcp_evals.errors import UsageError


def tools_from_functions(*functions: Callable[..., Any]) -> tuple[ToolDefinition, ...]:
    """One tool for each function, in this order; async functions and bound methods are functions too.

    The description is the docstring up to its first section. A parameter is described by `Annotated[T, "..."]`,
    `Annotated[T, Field(description=...)]`, or its entry in the docstring (Google, NumPy or Sphinx form), in this order.
    A parameter with a default need not be given; where the default is None, null is not on offer.

    Raises:
        UsageError: a function has no name, takes `*args` or `**kwargs`, or has a type that JSON Schema cannot say.
    """
    return tuple(_tool(function) for function in functions)


def _tool(function: Callable[..., Any]) -> ToolDefinition:
    name = getattr(function, "__name__", "<nameless>")
    if not name.isidentifier():
        raise UsageError(f"{function!r} has no name that a model could call; define it with `def`")
    docs = _read_docstring(inspect.getdoc(function) or "")
    fields: dict[str, Any] = {}
    try:
        hints = get_type_hints(function, include_extras=True)
        for number, parameter in enumerate(inspect.signature(function).parameters.values()):
            _check(name, parameter)
            # Pydantic refuses some names of parameters as names of fields, but none as an alias.
            fields[f"p{number}"] = _field(parameter, hints.get(parameter.name), docs.parameters.get(parameter.name))
        schema = create_model(name, **fields).model_json_schema(schema_generator=_Schema)
    except (PydanticUserError, NameError, TypeError) as error:
        raise UsageError(f"{name}() cannot become a tool: {str(error).splitlines()[0]}") from error
    return ToolDefinition(name=name, description=docs.description, input_schema=_tidied(schema))


def _check(function: str, parameter: Parameter) -> None:
    if parameter.kind in {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}:
        stars = "*" if parameter.kind is Parameter.VAR_POSITIONAL else "**"
        raise UsageError(
            f"{function}() takes {stars}{parameter.name}, which no schema can describe; name the parameters"
        )
    if parameter.name in {"self", "cls"}:
        raise UsageError(f"{function}() is a method without its object; give the bound method")


def _field(parameter: Parameter, hint: Any, documented: str | None) -> tuple[Any, Any]:
    default = ... if parameter.default is Parameter.empty else parameter.default
    if hint is None:
        hint = type(default) if isinstance(default, bool | int | float | str) else Any
    notes: tuple[Any, ...] = getattr(hint, "__metadata__", ())
    given = [note.description for note in (*notes, default) if isinstance(note, FieldInfo)]
    texts = [note for note in notes if isinstance(note, str)]
    description = next((text for text in (*texts, *given, documented) if text), None)
    return Annotated[hint, Field(alias=parameter.name, description=description)], default


class _Schema(GenerateJsonSchema):
    # A default that is no JSON is left out; the parameter is still one that need not be given.
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  as the base class has it


# --- schemas as models read them best


def _tidied(schema: dict[str, Any]) -> dict[str, Any]:
    """Without titles, null defaults and, unless a definition holds itself, references."""
    bare = cast("dict[str, Any]", _without_titles(schema))
    definitions = bare.pop("$defs", {})
    try:
        tidy = cast("dict[str, Any]", _written_out(bare, definitions, ()))
    except RecursionError:
        tidy = {**bare, "$defs": definitions}
    properties = {name: _offered(value) for name, value in tidy.get("properties", {}).items()}
    return {"type": "object", "properties": properties, **{k: v for k, v in tidy.items() if k in {"required", "$defs"}}}


def _without_titles(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_titles(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, Any]", value)
    # What is a text is the schema's own title; a property of that name is a schema.
    return {
        key: inner if key in {"default", "examples", "enum", "const"} else _without_titles(inner)
        for key, inner in fields.items()
        if not (key == "title" and isinstance(inner, str))
    }


def _written_out(value: Any, definitions: dict[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_written_out(item, definitions, inside) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, Any]", value)
    reference = fields.get("$ref")
    if not isinstance(reference, str):
        return {key: _written_out(inner, definitions, inside) for key, inner in fields.items()}
    name = reference.rpartition("/")[2]
    if name in inside:
        raise RecursionError
    target = _written_out(definitions[name], definitions, (*inside, name))
    return {**target, **{key: inner for key, inner in fields.items() if key != "$ref"}}


def _offered(parameter: dict[str, Any]) -> dict[str, Any]:
    """A parameter whose default is None is one that may be left out, not one that may be null."""
    if "default" not in parameter or parameter["default"] is not None:
        return parameter
    rest = {key: value for key, value in parameter.items() if key not in {"default", "anyOf"}}
    kinds = [kind for kind in parameter.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        return {**kinds[0], **rest}
    return {"anyOf": kinds, **rest} if kinds else rest


# --- docstrings


class _Docstring(NamedTuple):
    description: str
    parameters: dict[str, str]


_SECTION: Final = re.compile(r"^([A-Z][A-Za-z ]*)(?::[ \t]*$|[ \t]*\n(---+)[ \t]*$)", re.MULTILINE)
_OF_PARAMETERS: Final = {"args", "arguments", "parameters", "params", "other parameters", "keyword args"}
_OF_OTHER_THINGS: Final = {
    "example",
    "examples",
    "note",
    "notes",
    "raises",
    "references",
    "return",
    "returns",
    "see also",
    "warning",
    "warnings",
    "warns",
    "yields",
}
_GOOGLE_ENTRY: Final = re.compile(r"^\*{0,2}(\w+)[ \t]*(?:\([^\n]*?\))?[ \t]*:[ \t]*(.*(?:\n(?!\S).*)*)", re.MULTILINE)
_NUMPY_ENTRY: Final = re.compile(r"^(\w+(?:[ \t]*,[ \t]*\w+)*)(?:[ \t]*:[^\n]*)?((?:\n(?!\S).*)+)", re.MULTILINE)
_SPHINX_FIELD: Final = re.compile(r"^:(\w+)([^:\n]*):[ \t]*(.*(?:\n(?!:).*)*)", re.MULTILINE)


def _read_docstring(text: str) -> _Docstring:
    headers = [found for found in _SECTION.finditer(text) if found[1].lower() in _OF_PARAMETERS | _OF_OTHER_THINGS]
    fields = list(_SPHINX_FIELD.finditer(text))
    starts = [found.start() for found in (*headers, *fields)]
    parameters = {found[2].split()[-1]: found[3] for found in fields if found[1] == "param" and found[2].strip()}
    for header in headers:
        if header[1].lower() in _OF_PARAMETERS:
            end = min((start for start in starts if start >= header.end()), default=len(text))
            parameters |= dict(_entries(dedent(text[header.end() : end]), numpy=header[2] is not None))
    described = {name: " ".join(words.split()) for name, words in parameters.items()}
    return _Docstring(text[: min(starts, default=len(text))].strip(), described)


def _entries(body: str, *, numpy: bool) -> Iterator[tuple[str, str]]:
    for found in (_NUMPY_ENTRY if numpy else _GOOGLE_ENTRY).finditer(body):
        for name in found[1].split(","):
            yield name.strip(), found[2]
