"""Say what is wrong in a file for the person who wrote it: where, what is there, and what would be right.

Translates the validation errors of any of our values; knows no suite.
"""

import json
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Final, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from typing_extensions import TypeAliasType

from mcp_evals.errors import did_you_mean
from mcp_evals.suites.places import Place
from mcp_evals.text import shorten

M = TypeVar("M", bound=BaseModel)


class Complaint(NamedTuple):
    """One thing that is wrong."""

    place: Place
    """Where, from the top of the value that was validated."""
    message: str
    """What is wrong and what would be right."""


def complaints(error: ValidationError, model: type[BaseModel]) -> list[Complaint]:
    """The errors of validating something as `model`; of a choice only the errors of the branch that was meant."""
    groups: dict[Place, list[_Located]] = {}
    for detail in error.errors(include_url=False):
        if detail["type"] == "too_short" and detail["input"]:
            continue  # its items are wrong, which is said of each
        found = _located(detail, model)
        groups.setdefault(found.place if found.choice is None else found.choice, []).append(found)
    return [complaint for group in groups.values() for complaint in _complaints(group)]


def checked(model: type[M], value: Any) -> tuple[M | None, list[Complaint]]:
    """A JSON value as a model, or what is wrong with it. Strict: no type is taken for another."""
    try:
        text = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return None, [Complaint(_half_character(value), _HALF)]
    try:
        # Through JSON, because only there can pydantic be strict and still take lists for tuples.
        return model.model_validate_json(text, strict=True), []
    except ValidationError as error:
        return None, complaints(error, model)


class _Located(NamedTuple):
    """An error of pydantic, with its place in the document instead of its place among the types."""

    detail: Any
    place: Place
    choice: Place | None
    """The value that could be one of several types, when the error lies in one of these."""
    owner: type[BaseModel] | None
    """The object that the last key belongs to."""


# --- where


def _located(detail: Any, model: type[BaseModel]) -> _Located:
    walk = _Walk(model)
    for step in detail["loc"]:
        walk.step(step)
    return _Located(detail, tuple(walk.place), walk.choice, walk.owner)


class _Walk:
    """Follows the location of an error through the types; leaves out what only names a branch of a choice."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.place: list[str | int] = []
        self.choice: Place | None = None
        self.owner: type[BaseModel] | None = None
        self._here: list[Any] = [model]

    def step(self, step: str | int) -> None:
        members = [member for hint in self._here for member in _members(hint)]
        branch = [hint for name, hint in members if name == step] if len(members) > 1 else []
        if branch:
            self._here = branch
            return
        if len(members) > 1 and self.choice != tuple(self.place) and _names_branch(step, members):
            self.choice = tuple(self.place)
            return
        self.owner = next((hint for _, hint in members if _is_model(hint)), None)
        self.place.append(step)
        self._here = [hint for _, member in members for hint in _inside(member, step)]


def _names_branch(step: str | int, members: Sequence[tuple[str | None, Any]]) -> bool:
    """Whether a step is the name of a type: so pydantic calls the branches of a choice that have no tag."""
    return isinstance(step, str) and (
        step in {"str", "int", "float", "bool", *(hint.__name__ for _, hint in members if _is_model(hint))}
        or step.startswith("constrained-")
        or "[" in step
    )


def _members(hint: Any, tag: str | None = None) -> Iterator[tuple[str | None, Any]]:
    """The types that a type stands for, each with the tag that chooses it."""
    if isinstance(hint, TypeAliasType):
        hint = hint.__value__
    if get_origin(hint) is Annotated:
        inner, *extra = get_args(hint)
        yield from _members(inner, next((item.tag for item in extra if isinstance(item, Tag)), tag))
    elif get_origin(hint) in {Union, UnionType}:
        for inner in get_args(hint):
            yield from _members(inner)
    elif _is_model(hint) and tag is None and "kind" in hint.model_fields:
        yield hint.model_fields["kind"].default, hint
    elif hint is not NoneType:
        yield tag, hint


def _inside(hint: Any, step: str | int) -> list[Any]:
    """The type of what is one step inside, where there is such a thing."""
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(step, int):
        return [arguments[0]] if origin in {tuple, list} else []
    if _is_model(hint):
        return [hint.model_fields[step].annotation] if step in hint.model_fields else []
    return [arguments[1]] if origin is dict else []


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)


# --- what


def _complaints(group: Sequence[_Located]) -> Iterator[Complaint]:
    """Of several branches, the one that accepts the kind of value is meant; where none does, all are named."""
    meant = [item for item in group if item.place != item.choice or item.detail["type"] not in _KINDS]
    if meant:
        yield from (Complaint(item.place, _message(item)) for item in meant)
    else:
        yield Complaint(group[0].place, _wrong_kind([item.detail for item in group]))


def _message(item: _Located) -> str:
    detail, kind = item.detail, item.detail["type"]
    context: dict[str, Any] = detail.get("ctx") or {}
    if kind in _KINDS:
        return _wrong_kind([detail])
    if kind == "extra_forbidden":
        return f"unknown key{did_you_mean(str(item.place[-1]), list(item.owner.model_fields) if item.owner else ())}"
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return str(context["error"])
    if kind == "union_tag_invalid":
        kinds = re.findall(r"'([^']*)'", context["expected_tags"])
        return f'there is no kind "{shorten(context["tag"], 60)}"{did_you_mean(context["tag"], kinds)}'
    if kind == "union_tag_not_found":
        return f"needs the key {context['discriminator']}".replace("'", '"')
    if kind in _BOUNDS:
        bound = next((context[name] for name in ("ge", "le", "gt", "lt", "max_length") if name in context), 0)
        return f"{_BOUNDS[kind].format(bound)}, not {_seen(detail['input'])}"
    return detail["msg"] + _missed_key(detail)


def _wrong_kind(details: Sequence[Any]) -> str:
    # What is listed comes last, where an "or" of its own does not mislead.
    ordered = sorted(details, key=lambda detail: detail["type"] == "literal_error")
    wanted = " or ".join(dict.fromkeys(_wanted(detail) for detail in ordered))
    value: Any = details[0]["input"]
    return f"must be {wanted}, not {_seen(value)}{_advice(details, value)}"


_KINDS: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "literal_error": "",
}
_BOUNDS: Final = {
    "greater_than_equal": "must be at least {:g}",
    "greater_than": "must be greater than {:g}",
    "less_than_equal": "must be at most {:g}",
    "less_than": "must be less than {:g}",
    "string_too_short": "must have some text",
    "string_too_long": "must have at most {} characters",
    "string_pattern_mismatch": "must be one line without control characters",
    "too_short": "must have an item",
}


def _wanted(detail: Any) -> str:
    if detail["type"] != "literal_error":
        return _KINDS[detail["type"]]
    expected = detail["ctx"]["expected"].replace("'", '"')
    return f"one of {expected}" if " or " in expected else expected


def _seen(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    shown = shorten(json.dumps(value, ensure_ascii=False), 60)
    return shown if isinstance(value, bool) else f"the {'text' if isinstance(value, str) else 'number'} {shown}"


def _advice(details: Sequence[Any], value: Any) -> str:
    kinds = {detail["type"] for detail in details}
    if "literal_error" in kinds and isinstance(value, str):
        options = re.findall(r"'([^']*)'", " ".join(detail["ctx"]["expected"] for detail in details if "ctx" in detail))
        close = get_close_matches(value, options, n=1)
        return f'; did you mean "{close[0]}"?' if close else ""
    if "string_type" in kinds and isinstance(value, int | float):
        return f'; put it in quotes: "{json.dumps(value)}"'
    if kinds <= {"tuple_type", "list_type"} and isinstance(value, str):
        return f"; put it in brackets: {shorten(json.dumps([value], ensure_ascii=False), 60)}"
    if kinds & {"int_type", "float_type", "bool_type"} and isinstance(value, str) and _UNQUOTED.fullmatch(value):
        return "; write it without quotes"
    return ""


_UNQUOTED: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?|true|false")


def _missed_key(detail: Any) -> str:
    """What a key of an object without the key that tells its kind may have been meant to be."""
    keys: list[str] = list(detail["input"]) if isinstance(detail["input"], dict) else []
    known = re.findall(r"\w+", detail["msg"].partition(" keys ")[2])
    close = [match for key in keys for match in get_close_matches(key, known, n=1)]
    return f'; did you mean "{close[0]}"?' if close else ""


_HALF: Final = "has half of a character that UTF-16 writes in two, such as \\ud83d; write it whole"


def _half_character(value: Any) -> Place:
    """Where a text is that UTF-8 cannot write."""
    parts: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType, reportUnknownVariableType]
    for key, item in parts:
        try:
            json.dumps(item, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return (key, *_half_character(item))
    return ()
