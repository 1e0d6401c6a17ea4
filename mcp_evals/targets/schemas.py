"""Tool definitions as providers take them, and arguments back as the tool's owner takes them. Pure.

A strict schema makes a provider hold the model to it. It says less than JSON Schema: every object is closed, and at
OpenAI every property is required, so that an optional one becomes one that may be null. What it cannot say stands in the
description; a tool of which it cannot say the shape is sent as it is. Knows no provider's client.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from hashlib import blake2b
from typing import Any, Final, NamedTuple, cast
from urllib.parse import unquote

from mcp_evals.conversation import ToolCall, ToolDefinition, tool_name_problems
from mcp_evals.errors import TargetError

MAX_NAME: Final = 64
MAX_DEPTH: Final = 50

Schema = dict[str, Any]
"""A JSON Schema that is an object."""


def wire_name(name: str) -> str:
    """The name as every provider takes it: letters, digits, `_` and `-`, at most 64, a hash telling long ones apart."""
    spelled = _FOREIGN.sub("_", name)
    if len(spelled) <= MAX_NAME:
        return spelled
    return f"{spelled[: MAX_NAME - 9]}_{blake2b(name.encode(), digest_size=4).hexdigest()}"


_FOREIGN: Final = re.compile(r"[^a-zA-Z0-9_-]")


class WireTool(NamedTuple):
    """One tool as a provider is sent it."""

    tool: ToolDefinition
    """As its owner wrote it."""
    name: str
    """As the provider takes the name."""
    schema: Schema
    """Schema of the arguments, as it is sent."""
    strict: bool = False
    """Whether the provider is told to hold the model to the schema."""
    nullable: bool = False
    """Whether null stands for an optional argument that is left out."""

    @property
    def openai(self) -> dict[str, Any]:
        """The tool in OpenAI's form."""
        described = {"description": self.tool.description} if self.tool.description else {}
        strict = {"strict": True} if self.strict else {}
        return {"type": "function", "function": {"name": self.name, **described, "parameters": self.schema, **strict}}

    @property
    def anthropic(self) -> dict[str, Any]:
        """The tool in Anthropic's form."""
        described = {"description": self.tool.description} if self.tool.description else {}
        strict = {"strict": True} if self.strict else {}
        return {"name": self.name, **described, "input_schema": self.schema, **strict}


class WireTools(NamedTuple):
    """The tools of a task as a provider is sent them, and the way back."""

    sent: tuple[WireTool, ...]
    """In the order of the task."""
    notes: tuple[str, ...] = ()
    """What a reader has to know: which tools could not be sent in strict form, and why."""

    def read(self, call: ToolCall) -> ToolCall:
        """A call as the tool's owner knows it; one of a tool that nobody defined stays as it is."""
        known = next((tool for tool in self.sent if tool.name == call.name), None)
        if known is None:
            return call
        arguments = call.arguments
        if known.nullable and isinstance(arguments, dict):
            arguments = without_forced_nulls(known.tool.input_schema, arguments)
        return call.model_copy(update={"name": known.tool.name, "arguments": arguments})


def wire_tools(tools: Sequence[ToolDefinition], *, strict: bool = False, all_required: bool = True) -> WireTools:
    """Tools in a provider's spelling; `all_required` is OpenAI's strict form, without it the strict form is Anthropic's.

    Raises:
        TargetError: two tools have the same name there.
    """
    problems = tool_name_problems(tools, wire_name)
    if problems:
        raise TargetError("; ".join(problem.message for problem in problems), kind="bad_request")
    sent: list[WireTool] = []
    notes: list[str] = []
    for tool in tools:
        name, schema = wire_name(tool.name), object_schema(tool.input_schema)
        if strict:
            try:
                converted = strict_schema(schema, all_required=all_required)
            except InexpressibleError as error:
                notes.append(f'tool "{tool.name}" was not sent with a strict schema: it cannot say {error}')
            else:
                sent.append(WireTool(tool, name, converted, strict=True, nullable=all_required))
                continue
        sent.append(WireTool(tool, name, schema))
    return WireTools(tuple(sent), tuple(notes))


def object_schema(schema: Mapping[str, Any]) -> Schema:
    """The schema as it is, with the `type` and the `properties` that providers refuse to do without."""
    typed = dict(schema) if "type" in schema else {"type": "object", **schema}
    if typed["type"] == "object" and not typed.keys() & {"properties", "$ref", *_UNIONS}:
        typed["properties"] = {}
    return typed


class InexpressibleError(Exception):
    """A strict schema cannot say this; the message completes `it cannot say …`."""


def strict_schema(schema: Mapping[str, Any], *, all_required: bool = True) -> Schema:
    """The schema in strict form: it accepts all that the original accepts, null standing for what is left out.

    Raises:
        InexpressibleError: it cannot be said strictly.
    """
    return _Strict(schema, all_required=all_required).convert()


def without_forced_nulls(schema: Mapping[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments without the nulls by which a model, held to a strict schema, leaves out what is optional.

    A null stays where the tool takes null and would do something else without it: where the default is another value.
    """
    return _rewritten(arguments, schema, schema, _drop_nulls, 0)


def fill_defaults(schema: Mapping[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with the schema's defaults for those left out, or null where null is not allowed; nested too."""
    return _rewritten(arguments, schema, schema, _add_defaults, 0)


# --- to strict form

_UNIONS: Final = ("anyOf", "oneOf", "allOf")
_SHAPES: Final = (*_UNIONS, "$ref", "enum", "const")
_PARTS: Final = ("type", "properties", "required", "additionalProperties", "items", "$defs", "definitions")
_KEPT: Final = ("title", "description")
_TOLD: Final = (
    *("default", "examples", "format", "pattern", "minLength", "maxLength", "multipleOf", "minItems", "maxItems"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "uniqueItems", "minProperties", "maxProperties"),
)
"""What strict schemas cannot hold a model to everywhere; the description tells it."""
_SILENT: Final = (
    *("$schema", "$id", "$comment", "nullable", "deprecated", "readOnly", "writeOnly", "discriminator"),
    *("contentEncoding", "contentMediaType"),
)
_KNOWN: Final = frozenset({*_SHAPES, *_PARTS, *_KEPT, *_TOLD, *_SILENT})
_NULL: Final = {"type": "null"}
_DEFINITION: Final = re.compile(r"#/(?:\$defs|definitions)/([^/]+)")


class _Strict:
    """One conversion: the definitions are converted as references to them come up."""

    def __init__(self, root: Mapping[str, Any], *, all_required: bool) -> None:
        self._root = root
        self._all_required = all_required
        self._definitions: dict[str, Schema] = {}
        self._pointers: dict[str, str] = {}
        self._open: list[str] = []

    def convert(self) -> Schema:
        """The whole schema."""
        root = self._root
        if root.get("type") != "object" or any(shape in root for shape in _SHAPES):
            raise InexpressibleError("anything but one plain object at its top")
        self._refuse_unknown(root)
        converted = _described(root, self._object(root, depth=0))
        return {**converted, "$defs": self._definitions} if self._definitions else converted

    def _node(self, schema: Any, depth: int) -> Schema:
        if not isinstance(schema, dict) or not schema:
            raise InexpressibleError("a value of any kind")
        if depth > MAX_DEPTH:
            raise InexpressibleError(f"more than {MAX_DEPTH} levels")
        node = cast(Schema, schema)
        self._refuse_unknown(node)
        shapes = [shape for shape in _SHAPES if shape in node]
        if len(shapes) > 1 or (shapes and shapes[0] not in {"enum", "const"} and node.keys() & {*_PARTS[:5]}):
            raise InexpressibleError(f"`{shapes[0]}` beside other conditions")
        converted = self._shape(shapes[0], node, depth) if shapes else self._typed(node, depth)
        if node.get("nullable") is True and not allows_null(node, self._root):
            converted = _nullable(converted)
        return _described(node, converted)

    def _shape(self, shape: str, node: Schema, depth: int) -> Schema:
        if shape in {"enum", "const"}:
            return _enumerated(_list(node, "enum") if shape == "enum" else [node["const"]])
        if shape == "$ref":
            return self._reference(node["$ref"], depth)
        members = _list(node, shape)
        if not members:
            raise InexpressibleError(f"`{shape}` without members")
        if shape == "allOf" and len(members) > 1:
            raise InexpressibleError("several conditions at once (`allOf`)")
        return {"anyOf": [self._node(member, depth + 1) for member in members]}

    def _reference(self, pointer: Any, depth: int) -> Schema:
        if pointer == "#":
            self._recursive()
            return {"$ref": "#"}
        found = _DEFINITION.fullmatch(pointer) if isinstance(pointer, str) else None
        target = _resolve(pointer, self._root, set())
        if found is None or target is None:
            raise InexpressibleError(f"the reference {pointer!r}")
        name = _unescaped(found[1])
        if self._pointers.setdefault(name, pointer) != pointer:
            raise InexpressibleError(f"two definitions named {name!r}")
        if name in self._open:
            self._recursive()
        elif name not in self._definitions:
            self._open.append(name)
            self._definitions[name] = {}
            self._definitions[name] = self._node(target, depth + 1)
            self._open.pop()
        return {"$ref": "#/$defs/" + found[1]}

    def _recursive(self) -> None:
        if not self._all_required:
            raise InexpressibleError("a shape that contains itself")

    def _typed(self, node: Schema, depth: int) -> Schema:
        types = _list(node, "type") or [node.get("type")]
        converted = [self._of_type(kind, node, depth) for kind in types]
        if len(converted) == 1:
            return converted[0]
        return {"anyOf": converted} if "object" in types or "array" in types else {"type": types}

    def _of_type(self, kind: Any, node: Schema, depth: int) -> Schema:
        if kind == "object":
            if "properties" not in node or (not node["properties"] and node.get("additionalProperties") is not False):
                raise InexpressibleError("an object with keys of any name")
            return self._object(node, depth)
        if kind == "array":
            if "items" not in node:
                raise InexpressibleError("a list of anything")
            return {"type": "array", "items": self._node(node["items"], depth + 1)}
        if kind not in ("string", "number", "integer", "boolean", "null"):
            raise InexpressibleError("a value without a type" if kind is None else f"the type {kind!r}")
        return {"type": kind}

    def _object(self, node: Mapping[str, Any], depth: int) -> Schema:
        if node.get("additionalProperties", False) is not False:
            raise InexpressibleError("an object with further keys")
        properties, required = _properties(node), _list(node, "required")
        if any(name not in list(properties) for name in required):
            raise InexpressibleError("a required key that is not described")
        converted: Schema = {}
        for name, described in properties.items():
            value = self._node(described, depth + 1)
            forced = self._all_required and name not in required and not allows_null(described, self._root)
            converted[name] = _nullable(value) if forced else value
        return {
            "type": "object",
            "properties": converted,
            "required": list(converted) if self._all_required else required,
            "additionalProperties": False,
        }

    @staticmethod
    def _refuse_unknown(node: Mapping[str, Any]) -> None:
        for key in node:
            if key not in _KNOWN and not key.startswith("x-"):
                raise InexpressibleError(f"`{key}`")


def _enumerated(values: list[Any]) -> Schema:
    if not values:
        raise InexpressibleError("a choice of nothing")
    types = list(dict.fromkeys(_SCALARS.get(kind, "") for kind in map(type, values)))
    if "" in types:
        raise InexpressibleError("a choice of lists or objects")
    if "number" in types and "integer" in types:
        types.remove("integer")
    return {"type": types[0] if len(types) == 1 else types, "enum": values}


_SCALARS: Final[dict[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


def _nullable(converted: Schema) -> Schema:
    if "anyOf" in converted:
        return {**converted, "anyOf": [*converted["anyOf"], _NULL]}
    if "$ref" in converted or converted["type"] in ("object", "array"):
        annotations = {key: converted[key] for key in _KEPT if key in converted}
        bare = {key: value for key, value in converted.items() if key not in _KEPT}
        return {**annotations, "anyOf": [bare, _NULL]}
    types = _list(converted, "type") or [converted["type"]]
    if "null" in types:
        return converted
    choice = {"enum": [*converted["enum"], None]} if "enum" in converted else {}
    return {**converted, "type": [*types, "null"], **choice}


def _described(node: Mapping[str, Any], converted: Schema) -> Schema:
    """The converted node with the title and description of the original, which also tells what got lost."""
    told = ", ".join(f"{key} {json.dumps(node[key], ensure_ascii=False)}" for key in _TOLD if node.get(key) is not None)
    description = f"{node.get('description', '')} ({told})".lstrip() if told else node.get("description")
    title = {"title": node["title"]} if "title" in node else {}
    annotations = title if description is None else {**title, "description": description}
    # Nothing may stand beside a reference.
    referring = bool(annotations) and "$ref" in converted
    return {**annotations, "anyOf": [converted]} if referring else {**converted, **annotations}


# --- reading schemas


def allows_null(schema: Any, root: Mapping[str, Any], seen: set[str] | None = None) -> bool:
    """Whether a schema, with its references and alternatives, takes null."""
    if not isinstance(schema, dict):
        return schema is True
    node = cast(Schema, schema)
    # Each reference is followed once: circles end, and a schema made to be slow is not.
    seen = set() if seen is None else seen
    if "$ref" in node and not allows_null(_resolve(node["$ref"], root, seen), root, seen):
        return False
    choices = [
        key not in node or None in values
        for key, values in (("enum", _list(node, "enum")), ("const", [node.get("const")]))
    ]
    unions = [
        union not in node or enough(allows_null(member, root, seen) for member in _list(node, union))
        for union, enough in (("anyOf", any), ("oneOf", any), ("allOf", all))
    ]
    return "null" in (_list(node, "type") or [node.get("type", "null")]) and all(choices) and all(unions)


def _resolve(pointer: Any, root: Mapping[str, Any], seen: set[str]) -> Any:
    """What a reference of the same document stands for; None where there is nothing, or nothing new."""
    if not isinstance(pointer, str) or not pointer.startswith("#") or pointer in seen:
        return None
    seen.add(pointer)
    found: Any = root
    for part in pointer[1:].split("/")[1:]:
        found = cast(Any, found).get(_unescaped(part)) if isinstance(found, Mapping) else None
    return found


def _unescaped(part: str) -> str:
    return unquote(part).replace("~1", "/").replace("~0", "~")


def _list(node: Mapping[str, Any], key: str) -> list[Any]:
    """The list under a key; empty where a careless author wrote something else."""
    found = node.get(key)
    return cast(list[Any], found) if isinstance(found, list) else []


def _properties(node: Mapping[str, Any]) -> dict[str, Schema]:
    """What is said of each property; nothing of one that may be anything."""
    found = node.get("properties")
    described = cast(dict[str, Any], found) if isinstance(found, dict) else {}
    return {key: cast(Schema, schema) if isinstance(schema, dict) else {} for key, schema in described.items()}


_Rewrite = Callable[[dict[str, Any], Schema, Mapping[str, Any]], dict[str, Any]]
"""Changes the keys of one object: value, its schema, the whole schema."""


def _rewritten(value: Any, schema: Any, root: Mapping[str, Any], rewrite: _Rewrite, depth: int) -> Any:
    """The value with every object in it rewritten by the schema that describes it."""
    if depth > MAX_DEPTH or not isinstance(value, dict | list):
        return value
    shapes = list(_shapes(schema, root, set()))
    if isinstance(value, list):
        items = {"anyOf": [shape["items"] for shape in shapes if "items" in shape]}
        return [_rewritten(item, items, root, rewrite, depth + 1) for item in cast(list[Any], value)]
    given = cast(dict[str, Any], value)
    described = [shape for shape in shapes if _properties(shape)]
    if not described:
        return given
    shape = min(described, key=lambda candidate: _misfit(candidate, given))
    properties = _properties(shape)
    return {
        key: _rewritten(item, properties.get(key), root, rewrite, depth + 1)
        for key, item in rewrite(given, shape, root).items()
    }


def _shapes(schema: Any, root: Mapping[str, Any], seen: set[str]) -> Iterator[Schema]:
    """The schema, what it refers to, and its alternatives."""
    if not isinstance(schema, dict):
        return
    node = cast(Schema, schema)
    yield node
    if "$ref" in node:
        yield from _shapes(_resolve(node["$ref"], root, seen), root, seen)
    for union in _UNIONS:
        for member in _list(node, union):
            yield from _shapes(member, root, seen)


def _misfit(shape: Schema, value: dict[str, Any]) -> tuple[int, int]:
    """How far an object is from a shape: wrong constants first, then keys that only one of the two has."""
    properties = _properties(shape)
    fixed = {
        key: _list(described, "enum") or [described.get("const")]
        for key, described in properties.items()
        if described.keys() & {"enum", "const"}
    }
    wrong = sum(key in value and value[key] is not None and value[key] not in allowed for key, allowed in fixed.items())
    return wrong, len(properties.keys() ^ value.keys())


def _drop_nulls(value: dict[str, Any], schema: Schema, root: Mapping[str, Any]) -> dict[str, Any]:
    optional = {
        key: described for key, described in _properties(schema).items() if key not in _list(schema, "required")
    }
    meant = {
        key
        for key, described in optional.items()
        if described.get("default") is not None and allows_null(described, root)
    }
    return {key: item for key, item in value.items() if item is not None or key not in optional or key in meant}


def _add_defaults(value: dict[str, Any], schema: Schema, root: Mapping[str, Any]) -> dict[str, Any]:
    filled = dict(value)
    for key, described in _properties(schema).items():
        if "default" not in described:
            continue
        if key not in value or (value[key] is None and not allows_null(described, root)):
            filled[key] = deepcopy(described["default"])
    return filled
