"""Whether the arguments of calls fit the schemas of their tools.

A schema comes from a server that nobody vouches for: it is never fetched from anywhere, and it cannot take all day.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from jsonschema import SchemaError, ValidationError, validators
from pydantic import JsonValue
from referencing import Registry
from referencing.exceptions import Unresolvable

from mcp_evals.conversation import ToolCall, ToolDefinition
from mcp_evals.scoring.calls import Names
from mcp_evals.text import shorten

MAX_REFERENCES: Final = 10_000
"""References followed for one call; schemas that refer to themselves twice over would double without end."""
PATTERN_TIMEOUT_S: Final = 0.1
"""A pattern that takes longer on one text backtracks without bound."""


class ArgumentsVerdict(NamedTuple):
    """Whether one call fits its tool's schema."""

    valid: bool | None
    """None: the schema itself cannot be used."""
    reason: str | None = None
    """What is wrong."""


def check_arguments(calls: Sequence[ToolCall], names: Names) -> tuple[ArgumentsVerdict, ...]:
    """Each call against the schema of the tool it names; a call to no known tool is not valid."""
    checks: dict[str, Callable[[JsonValue], ArgumentsVerdict]] = {}
    verdicts: list[ArgumentsVerdict] = []
    for call in calls:
        tool = names.definition(call.name)
        if tool is None:
            verdicts.append(ArgumentsVerdict(False, f"there is no tool {shorten(call.name, 60)}"))
        elif isinstance(call.arguments, str):
            verdicts.append(ArgumentsVerdict(False, f"the arguments of {tool.name} are not a JSON object"))
        else:
            if tool.name not in checks:
                checks[tool.name] = _checker(tool)
            verdicts.append(checks[tool.name](call.arguments))
    return tuple(verdicts)


class _GivenUpError(Exception):
    """The schema is given up."""


def _checker(tool: ToolDefinition) -> Callable[[JsonValue], ArgumentsVerdict]:
    def unusable(reason: str) -> Callable[[JsonValue], ArgumentsVerdict]:
        verdict = ArgumentsVerdict(None, f"the schema of {tool.name} cannot be used: {shorten(reason, 200)}")
        return lambda _: verdict

    if _mentions(tool.input_schema, "patternProperties"):
        return unusable("it has patternProperties")
    library: Any = validators
    base: Any = library.validator_for(tool.input_schema, default=library.Draft202012Validator)
    # A `$schema` further in would bring back the validator's own, unbounded keywords.
    schema = _without_dialects(tool.input_schema)
    try:
        base.check_schema(schema)
    except (SchemaError, RecursionError) as error:
        return unusable(getattr(error, "message", "it is nested too deep"))
    left = [0]
    bounded = {name: _counted(base.VALIDATORS[name], left) for name in _REFERENCES if name in base.VALIDATORS}
    # An empty registry: a reference to an address is an error, and nothing is fetched.
    nowhere: Any = Registry
    validator: Any = library.extend(base, {**bounded, "pattern": _bounded_pattern})(schema, registry=nowhere())

    def check(arguments: JsonValue) -> ArgumentsVerdict:
        left[0] = MAX_REFERENCES
        try:
            error: Any = next(validator.iter_errors(arguments), None)
        except (Unresolvable, RecursionError, _GivenUpError) as given_up:
            return unusable(str(given_up) or type(given_up).__name__)(arguments)
        if error is None:
            return ArgumentsVerdict(True)
        return ArgumentsVerdict(False, f"{tool.name}: {error.json_path}: {shorten(error.message, 200)}")

    return check


_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_Keyword = Callable[[Any, Any, Any, Any], Iterator[Any] | None]


def _counted(keyword: _Keyword, left: list[int]) -> _Keyword:
    def follow(validator: Any, reference: Any, instance: Any, schema: Any) -> Iterator[Any]:
        left[0] -= 1
        if left[0] < 0:
            raise _GivenUpError(f"it refers to itself more than {MAX_REFERENCES} times")
        yield from keyword(validator, reference, instance, schema) or ()

    return follow


def _bounded_pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    import regex  # slow to load; the standard library's `re` has no time limit

    if not isinstance(instance, str):
        return
    try:
        found = regex.search(pattern, instance, timeout=PATTERN_TIMEOUT_S)
    except TimeoutError:
        raise _GivenUpError(f"its pattern {pattern!r} backtracks without bound") from None
    except regex.error as error:
        raise _GivenUpError(f"its pattern {pattern!r} cannot be read: {error}") from None
    if found is None:
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _mentions(value: JsonValue, key: str) -> bool:
    if isinstance(value, dict):
        return key in value or any(_mentions(item, key) for item in value.values())
    return isinstance(value, list) and any(_mentions(item, key) for item in value)


def _without_dialects(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        # Only where it is text: an argument may be called "$schema" as well, and its value is then a schema.
        return {k: _without_dialects(v) for k, v in value.items() if not (k == "$schema" and isinstance(v, str))}
    return [_without_dialects(item) for item in value] if isinstance(value, list) else value
