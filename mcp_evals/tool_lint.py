"""What tool definitions cost and what is wrong with them, for those who write them. Pure: asks no server and no model.

Knows what models read and what providers refuse or drop; what a tool does, it does not know.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any, Final, Literal, cast

from mcp_evals.conversation import ToolDefinition
from mcp_evals.model import Model
from mcp_evals.text import tfidf_cosine

LONGEST_NAME: Final = 64
LONGEST_DESCRIPTION: Final = 1024
SHORTEST_DESCRIPTION: Final = 20
HEAVIEST_TOOL_TOKENS: Final = 1000
LIST_BUDGET_TOKENS: Final = 5000
ALIKE_FROM: Final = 0.75
"""Cosine from which two descriptions say the same; of real servers, twins such as `list_directory` and
`list_directory_with_sizes` are above 0.9 and siblings such as `git_diff_staged` and `git_diff_unstaged` below 0.55."""

Severity = Literal["error", "warning", "note"]


class ToolCost(Model):
    """What one tool costs each request that offers it."""

    tool: str
    """The tool's name."""
    tokens: int
    """Characters of name, description and input schema, divided by 4."""


class TokenCost(Model):
    """What a list of tools costs each request that offers it."""

    total_tokens: int
    """All tools together."""
    tools: tuple[ToolCost, ...]
    """Each tool, in their order."""


class Finding(Model):
    """One thing that is wrong with a tool, or with a list of tools."""

    tool: str | None
    """The tool; None: the list as a whole."""
    severity: Severity
    """`error`: refused, contradictory or dangerous; `warning`: models will do worse; `note`: good to know."""
    rule: str
    """Short name of the rule, such as `missing-description`."""
    message: str
    """What is wrong and what would be right."""


def token_cost(tools: Sequence[ToolDefinition]) -> TokenCost:
    """The estimate that needs no tokenizer: characters / 4 of what models see (name, description, input schema)."""
    sizes = [_size(tool) for tool in tools]
    costs = (ToolCost(tool=tool.name, tokens=_tokens(size)) for tool, size in zip(tools, sizes, strict=True))
    return TokenCost(total_tokens=_tokens(sum(sizes)), tools=tuple(costs))


def lint_tools(tools: Sequence[ToolDefinition], *, budget_tokens: int = LIST_BUDGET_TOKENS) -> tuple[Finding, ...]:
    """Everything that is wrong, errors first, otherwise in the order of the tools."""
    findings = [*_budget(tools, budget_tokens), *_names_that_collide(tools), *_descriptions_alike(tools)]
    for tool in tools:
        for rule in _RULES:
            findings += rule(tool)
    return tuple(sorted(findings, key=lambda finding: ("error", "warning", "note").index(finding.severity)))


def _size(tool: ToolDefinition) -> int:
    schema = json.dumps(tool.input_schema, separators=(",", ":"), ensure_ascii=False)
    return len(tool.name) + len(tool.description) + len(schema)


def _tokens(characters: int) -> int:
    return -(-characters // 4)


# --- the list as a whole


def _budget(tools: Sequence[ToolDefinition], budget_tokens: int) -> Iterator[Finding]:
    cost = token_cost(tools)
    if cost.total_tokens > budget_tokens:
        heaviest = sorted(cost.tools, key=lambda each: -each.tokens)[:3]
        named = ", ".join(f"{each.tool} ({each.tokens})" for each in heaviest)
        yield Finding(
            tool=None,
            severity="warning",
            rule="heavy-list",
            message=f"{len(tools)} tools cost about {cost.total_tokens} tokens in every request, more than "
            f"{budget_tokens}; the heaviest are {named}. Shorten them, join tools, or offer fewer",
        )


def _names_that_collide(tools: Sequence[ToolDefinition]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for tool in tools:
        bare = re.sub(r"[-_.\s]", "", tool.name).lower()
        other = first.get(bare)
        first.setdefault(bare, tool.name)
        if other == tool.name:
            yield _error(
                tool, "duplicate-name", "a tool of this name comes earlier; providers refuse the list, so rename one"
            )
        elif other is not None:
            yield _error(tool, "names-alike", f'differs from "{other}" only in case or separators; rename one')


def _descriptions_alike(tools: Sequence[ToolDefinition]) -> Iterator[Finding]:
    for one, other in combinations(tools, 2):
        if not (one.description and other.description):
            continue
        likeness = tfidf_cosine(one.description, other.description)
        if likeness >= ALIKE_FROM:
            yield _warning(
                other,
                "descriptions-alike",
                f'reads almost like "{one.name}" (likeness {likeness:.2f}); say in both when to use which, or join them',
            )


# --- name and description


def _name(tool: ToolDefinition) -> Iterator[Finding]:
    if len(tool.name) > LONGEST_NAME:
        yield _error(
            tool,
            "name-refused",
            f"the name has {len(tool.name)} characters and providers take {LONGEST_NAME}, the prefix that hosts add "
            "included; shorten it",
        )
    refused = "".join(dict.fromkeys(re.findall(r"[^A-Za-z0-9_-]", tool.name)))
    if refused:
        message = f'providers take letters, digits, "_" and "-" in a name, not {json.dumps(refused)}; rename it'
        yield _error(tool, "name-refused", message)
    elif not re.match(r"[A-Za-z_]", tool.name):
        yield _warning(tool, "name-refused", "a provider wants names to begin with a letter or `_`; rename it")


def _description(tool: ToolDefinition) -> Iterator[Finding]:
    length = len(tool.description.strip())
    if not length:
        message = "has no description, and models choose a tool by it; say what it does and when to use it"
        yield _error(tool, "missing-description", message)
    elif length < SHORTEST_DESCRIPTION:
        message = f'"{tool.description.strip()}" is all that a model can choose by; say also when to use it and what it returns'
        yield _warning(tool, "short-description", message)
    elif length > LONGEST_DESCRIPTION:
        yield _warning(
            tool,
            "long-description",
            f"the description has {length} characters; some providers and hosts refuse or cut what is over "
            f"{LONGEST_DESCRIPTION}, and every request pays for it. Keep what decides when and how to call the tool",
        )


def _weight(tool: ToolDefinition) -> Iterator[Finding]:
    tokens = _tokens(_size(tool))
    if tokens > HEAVIEST_TOOL_TOKENS:
        message = f"costs about {tokens} tokens in every request; shorten its description and schema, or split it"
        yield _warning(tool, "heavy-tool", message)


def _annotations(tool: ToolDefinition) -> Iterator[Finding]:
    hints = tool.annotations or {}
    if "readOnlyHint" not in hints:
        message = (
            "does not say whether it only reads; with `readOnlyHint` hosts know when to ask the user before a call"
        )
        yield _note(tool, "no-read-only-hint", message)
    if hints.get("readOnlyHint") is not True:
        return
    if hints.get("destructiveHint") is True:
        yield _warning(
            tool, "hints-contradict", "claims to be read-only and destructive; set one of the hints to false"
        )
    elif re.match(
        r"(?i)(delete|remove|drop|write|update|create|insert|send|cancel|purge|overwrite)(?![a-z])", tool.name
    ):
        message = "claims to be read-only, which its name denies; set `readOnlyHint` to false, or rename it"
        yield _warning(tool, "hints-contradict", message)


# --- parameters


def _parameters(tool: ToolDefinition) -> Iterator[Finding]:
    silent: list[str] = []
    free: list[str] = []
    for place, schema in _places(tool.input_schema):
        for name, parameter in _objects(schema.get("properties")):
            path = f"{place}.{name}" if place else name
            if not str(parameter.get("description") or "").strip() and "$ref" not in parameter:
                silent.append(path)
            if _is_free_form(parameter):
                free.append(path)
            values = _values_in_prose(parameter)
            if values:
                shown = ", ".join(values[:6])
                yield _warning(
                    tool,
                    "values-in-prose",
                    f"{path} lists its values in words ({shown}); give them as `enum`, so that no model writes another",
                )
        yield from _required(tool, place, schema)
        if schema.get("type") == "array" and "items" not in schema and "prefixItems" not in schema:
            yield _error(
                tool,
                "array-without-items",
                f"{place} does not say what its items are; providers refuse it. Add `items`",
            )
    if silent:
        yield _warning(
            tool,
            "undescribed-parameters",
            f"no description of {_listed(silent)}; say what to write there, with an example",
        )
    if free:
        message = f"{_listed(free)} may hold anything, so models have to guess; name the properties, or the type"
        yield _warning(tool, "free-form", message)


def _required(tool: ToolDefinition, place: str, schema: dict[str, Any]) -> Iterator[Finding]:
    known = dict(_objects(schema.get("properties")))
    unknown = [name for name in _names(schema.get("required")) if name not in known]
    if unknown and (known or schema.get("type") == "object"):
        where = f" in {place}" if place else ""
        message = f"requires{where} {_listed(unknown)}, which is no property; define it, or drop it from `required`"
        yield _error(tool, "unknown-required", message)


def _is_free_form(parameter: dict[str, Any]) -> bool:
    shaped = {"$ref", "enum", "const", "anyOf", "oneOf", "allOf"} & parameter.keys()
    if shaped or parameter.get("properties"):
        return parameter.get("additionalProperties") is True
    if parameter.get("type") == "object":
        rest = parameter.get("additionalProperties")
        return not isinstance(rest, dict) and rest is not False and not parameter.get("patternProperties")
    return "type" not in parameter


_WORD: Final = r"[A-Za-z0-9](?:[\w.+-]{0,30}\w)?"
_BETWEEN: Final = r"(?:\s*(?:,|\||/|\bor\b|\band\b))+\s*"
_EXAMPLES: Final = re.compile(
    r"\b(?:e\.?g\.?|for example|for instance|examples?|such as|like)(?!\w)[^);\n]*", re.IGNORECASE
)
_QUOTED: Final = re.compile(rf"(?<!\w)['\"`]({_WORD})['\"`](?!\w)")
_LISTED: Final = re.compile(
    rf"(?:\bone of(?: the following)?(?: values)?:?|\b(?:options|choices|(?:allowed|possible|valid|accepted) values)(?: are)?:)\s*"
    rf"({_WORD}(?:{_BETWEEN}{_WORD})+)(?=[\s).;]|$)",
    re.IGNORECASE,
)
_PIPED: Final = re.compile(rf"(?<![\w|])({_WORD}(?:\s?\|\s?{_WORD})+)(?![\w|])")


def _values_in_prose(parameter: dict[str, Any]) -> list[str]:
    """The values that a description of a plain string lists, two at least; examples are no lists."""
    kinds = [parameter, *(kind for _, kind in _enumerated(parameter.get("anyOf")))]
    bound = {"enum", "const", "pattern", "format", "$ref"}
    if any(bound & kind.keys() for kind in kinds) or not any(kind.get("type") == "string" for kind in kinds):
        return []
    text = _EXAMPLES.sub("", str(parameter.get("description") or ""))
    quoted = list(dict.fromkeys(_QUOTED.findall(text)))
    if len(quoted) > 1:
        return quoted
    found = _LISTED.search(text) or _PIPED.search(text)
    return re.split(_BETWEEN, found[1]) if found else []


# --- what providers refuse or drop


def _root(tool: ToolDefinition) -> Iterator[Finding]:
    schema = tool.input_schema
    if schema.get("type") != "object":
        message = 'the input schema must be of `"type": "object"`; providers refuse all others'
        yield _error(tool, "root-not-object", message)
    combined = [key for key in ("anyOf", "oneOf", "allOf", "not", "enum") if key in schema]
    if combined:
        yield _error(
            tool,
            "root-combination",
            f"`{combined[0]}` at the top of the input schema makes OpenAI and Anthropic refuse the whole request; "
            "make the parameters optional and say the condition in the description",
        )


_DROPPED: Final = (
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "if",
    "not",
    "contains",
    "prefixItems",
    "unevaluatedProperties",
    "unevaluatedItems",
    "minProperties",
    "maxProperties",
)


def _dropped(tool: ToolDefinition) -> Iterator[Finding]:
    keys = {key for _, schema in _places(tool.input_schema) for key in _DROPPED if key in schema}
    keys -= {"not"} & tool.input_schema.keys()
    if keys:
        named = ", ".join(f"`{key}`" for key in _DROPPED if key in keys)
        message = f"{named}: some providers drop this and some refuse it; say it in words too, or do without"
        yield _warning(tool, "dropped-keyword", message)


def _references(tool: ToolDefinition) -> Iterator[Finding]:
    targets: dict[str, list[str]] = {}
    for place, schema in _places(tool.input_schema):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            continue
        if _resolved(tool.input_schema, reference) is None:
            message = f"{place or 'the schema'} refers to {reference}, which is not in the schema; write it out"
            yield _error(tool, "broken-reference", message)
        targets.setdefault(_home(place), []).append(reference)
    if _has_ring(targets):
        message = "the schema refers to itself; strict modes and Gemini refuse that. Limit the depth by writing it out"
        yield _warning(tool, "recursive-schema", message)


def _home(place: str) -> str:
    """The definition that a place lies in, as a reference would name it."""
    match = re.match(r"(\$defs|definitions)\.([^.\[]+)", place)
    return f"#/{match[1]}/{match[2]}" if match else "#"


def _has_ring(targets: dict[str, list[str]]) -> bool:
    for start, first in targets.items():
        seen: set[str] = set()
        todo = list(first)
        while todo:
            reference = todo.pop()
            if reference == start:
                return True
            if reference not in seen:
                seen.add(reference)
                todo += targets.get(reference, [])
    return False


def _resolved(root: dict[str, Any], reference: str) -> Any:
    if not reference.startswith("#"):
        return None
    found: Any = root
    for part in filter(None, reference[1:].split("/")):
        key = part.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return found  # pyright: ignore[reportUnknownVariableType]


# --- instructions that do not belong there

_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u200b\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)
_GAP: Final = r"[^.\n]"
_OVERRIDES: Final = (
    rf"\b(?:ignore|disregard|forget|override)\b{_GAP}{{0,40}}\b(?:instructions?|rules|prompts?|guidelines)\b"
)
_HIDES: Final = (
    r"\b(?:do not|don't|never|without|must not)\b"
    rf"{_GAP}{{0,25}}\b(?:tell|mention|inform|notify|reveal|alert)(?:ing)?\b{_GAP}{{0,25}}\buser\b"
)
_POSES: Final = r"<\s*/?\s*(?:important|system|instructions?|secret|hidden|admin)\s*>|\[/?INST\]|<\|[a-z_]+\|>"
_PRIVATE_FILES: Final = (
    r"\b(?:read|cat|open|include|pass|send|attach|copy|upload)\b[^\n]{0,60}"
    r"(?:~/\.|\bid_rsa\b|/etc/(?:passwd|shadow)|\.aws/|\.ssh/|\bmcp\.json\b)"
)
_CONVERSATION: Final = (
    rf"\b(?:include|pass|send|put|copy|attach|append)\b{_GAP}{{0,40}}"
    r"\b(?:system prompt|(?:conversation|chat) history|(?:entire|full|whole) conversation|previous messages)\b"
)
_PUSHES: Final = (
    rf"\b(?:always|must)\b{_GAP}{{0,40}}\b(?:call|use|run|invoke)\b{_GAP}{{0,40}}"
    rf"\b(?:before|instead of|prior to)\b{_GAP}{{0,25}}\b(?:any|all|every|other)\b{_GAP}{{0,20}}\btools?\b"
)
_SUSPICIOUS: Final[Sequence[tuple[Severity, str, str]]] = (
    ("error", "overrides other instructions", _OVERRIDES),
    ("error", "hides something from the user", _HIDES),
    ("error", "poses as the system", _POSES),
    ("error", "holds a comment that people may not be shown", r"<!--"),
    ("error", "asks for private files", _PRIVATE_FILES),
    ("error", "asks for the conversation", _CONVERSATION),
    ("warning", "puts itself before other tools", _PUSHES),
)


def _instructions(tool: ToolDefinition) -> Iterator[Finding]:
    shown = [tool.title, tool.description, tool.annotations, tool.input_schema, tool.output_schema]
    texts = list(dict.fromkeys(_texts(shown)))
    if any(_HIDDEN.search(text) for text in texts):
        yield _error(tool, "hidden-characters", "holds characters that people cannot see and models read; remove them")
    for severity, what, pattern in _SUSPICIOUS:
        found = next((match for text in texts if (match := re.search(pattern, text, re.IGNORECASE))), None)
        if found is not None:
            excerpt = json.dumps(" ".join(found[0].split())[:80], ensure_ascii=False)
            message = f"{what}: {excerpt}. A definition says what a tool does; take instructions to the model out"
            yield Finding(tool=tool.name, severity=severity, rule="suspicious-instruction", message=message)


def _texts(document: Any) -> Iterator[str]:
    """Every text in a JSON document, keys included."""
    todo: list[Any] = [document]
    while todo:
        current = todo.pop()
        if isinstance(current, str):
            yield current
        elif isinstance(current, dict):
            todo += [*cast("dict[str, Any]", current).values(), *cast("dict[str, Any]", current)]
        elif isinstance(current, list):
            todo += cast("list[Any]", current)


# --- walking a schema


def _places(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schema and every schema inside it, with its place: `filters.city`, `rows[].id`, `$defs.Point.x`."""
    todo = [("", schema)]
    while todo:
        place, current = todo.pop()
        yield place, current
        dot = f"{place}." if place else ""
        inner = [(dot + name, child) for name, child in _objects(current.get("properties"))]
        for key in ("$defs", "definitions"):
            inner += [(f"{dot}{key}.{name}", child) for name, child in _objects(current.get(key))]
        for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            inner += [(place, child) for _, child in _enumerated(current.get(key))]
        for key, suffix in (("items", "[]"), ("additionalProperties", "{}")):
            inner += [(place + suffix, child) for child in _schema(current.get(key))]
        todo += reversed(inner)


def _objects(value: Any) -> list[tuple[str, dict[str, Any]]]:
    """The members of an object that are objects themselves."""
    if not isinstance(value, dict):
        return []
    return [(name, child) for name, child in cast("dict[str, Any]", value).items() if isinstance(child, dict)]


def _enumerated(value: Any) -> list[tuple[int, dict[str, Any]]]:
    if not isinstance(value, list):
        return []
    return [(number, child) for number, child in enumerate(cast("list[Any]", value)) if isinstance(child, dict)]


def _names(value: Any) -> list[str]:
    return [name for name in cast("list[Any]", value) if isinstance(name, str)] if isinstance(value, list) else []


def _schema(value: Any) -> list[dict[str, Any]]:
    return [cast("dict[str, Any]", value)] if isinstance(value, dict) else []


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _error(tool: ToolDefinition, rule: str, message: str) -> Finding:
    return Finding(tool=tool.name, severity="error", rule=rule, message=message)


def _warning(tool: ToolDefinition, rule: str, message: str) -> Finding:
    return Finding(tool=tool.name, severity="warning", rule=rule, message=message)


def _note(tool: ToolDefinition, rule: str, message: str) -> Finding:
    return Finding(tool=tool.name, severity="note", rule=rule, message=message)


_RULES: Final[Sequence[Callable[[ToolDefinition], Iterable[Finding]]]] = (
    _name,
    _description,
    _root,
    _parameters,
    _references,
    _dropped,
    _annotations,
    _weight,
    _instructions,
)
