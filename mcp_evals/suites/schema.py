"""The JSON Schema of suite files, for editors, agents and other programs."""

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from mcp_evals.model import Model, field_docs
from mcp_evals.suite import Suite

SCHEMA_ID: Final = "urn:mcp-evals:suite:1"


def suite_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a suite in YAML or JSON; in JSON lines, `cases` are the lines.

    It accepts what `load_suite` accepts, and all that a schema can say of what is refused it refuses too.
    """
    return deepcopy(_schema())


@cache
def _schema() -> dict[str, Any]:
    schema = Suite.model_json_schema(mode="validation", schema_generator=_Untitled)
    definitions: dict[str, Any] = schema["$defs"]
    _describe({"Suite": schema, **definitions})
    # Foreign tools and messages are translated before they are checked, so only ours can be checked here.
    definitions["ToolDefinition"] = {"anyOf": [definitions["ToolDefinition"], _FOREIGN_TOOL]}
    definitions["Message"] = {"anyOf": [definitions["Message"], _FOREIGN_MESSAGE]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}


def _describe(schemas: Mapping[str, dict[str, Any]]) -> None:
    """Put the string under each field into its schema."""
    kinds, open_kinds = dict[str, type[Model]](), [Model]
    while open_kinds:
        kind = open_kinds.pop()
        kinds[kind.__name__] = kind
        open_kinds += kind.__subclasses__()
    for name, schema in schemas.items():
        docs = field_docs(kinds[name]) if name in kinds else {}
        for field, property_schema in schema.get("properties", {}).items():
            said = docs.get("schema_url" if field == "$schema" else field)
            if said:
                property_schema.setdefault("description", said)


class _Untitled(GenerateJsonSchema):
    """Without a title under each field, which would only say its name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


_FOREIGN_TOOL: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A tool as MCP, OpenAI or Anthropic write it.",
    "anyOf": [{"required": ["inputSchema"]}, {"required": ["parameters"]}, {"required": ["function"]}],
}
_FOREIGN_MESSAGE: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A message as OpenAI, Anthropic, Gemini or LangChain write it.",
    "anyOf": [{"required": [key]} for key in ("content", "parts", "tool_calls", "kwargs", "type")],
}
