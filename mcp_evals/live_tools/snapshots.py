"""Tool definitions on disk and the difference between two sets of them. Asks no server."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from mcp_evals.conversation import ToolDefinition
from mcp_evals.model import Model
from mcp_evals.whole_files import write_whole


class ToolChange(Model):
    """One tool that is not as it was."""

    tool: str
    """Its name."""
    changes: tuple[str, ...]
    """What changed, one a line, such as `input_schema.properties.city.type: "string" -> "integer"`."""


class ToolDiff(Model):
    """What changed between two sets of tools; order counts, since it changes what real models answer."""

    added: tuple[str, ...] = ()
    """Tools that are new."""
    removed: tuple[str, ...] = ()
    """Tools that are gone."""
    changed: tuple[ToolChange, ...] = ()
    """Tools that are not as they were."""
    reordered: bool = False
    """The tools that stayed come in another order."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.reordered)


def write_snapshot(
    path: Path, tools: Sequence[ToolDefinition], source: str, *, taken_at: datetime | None = None
) -> None:
    """Keep tools in a file that a suite can name with `{file: ...}`; the file is whole at every moment.

    `tools` stand in it as a server lists them, so that other programs can read it too.
    """
    document = {
        "source": source,
        "taken_at": (taken_at or datetime.now(UTC)).isoformat(timespec="seconds"),
        "tools": [_as_listed(tool) for tool in tools],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    write_whole(path, text)


def diff_tools(old: Sequence[ToolDefinition], new: Sequence[ToolDefinition]) -> ToolDiff:
    """What has to be done to `old` to make it `new`. Of tools that share a name only the last is compared."""
    before, after = {tool.name: tool for tool in old}, {tool.name: tool for tool in new}
    kept = [name for name in before if name in after]
    changes = {name: tuple(_changes("", _as_listed(before[name]), _as_listed(after[name]))) for name in kept}
    return ToolDiff(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(ToolChange(tool=name, changes=found) for name, found in changes.items() if found),
        reordered=kept != [name for name in after if name in before],
    )


def _as_listed(tool: ToolDefinition) -> dict[str, Any]:
    fields = {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "outputSchema": tool.output_schema,
        "annotations": tool.annotations,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _changes(path: str, old: Any, new: Any) -> Iterator[str]:
    """The leaves that differ, and objects whose keys come in another order."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        if json.dumps(old) != json.dumps(new):
            yield f"{path}: {_brief(old)} -> {_brief(new)}"
        return
    yield from _object_changes(path, cast("dict[str, Any]", old), cast("dict[str, Any]", new))


def _object_changes(path: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys((*old, *new)):
        place = f"{path}.{key}" if path else key
        if key not in new:
            yield f"{place}: removed (was {_brief(old[key])})"
        elif key not in old:
            yield f"{place}: added ({_brief(new[key])})"
        else:
            yield from _changes(place, old[key], new[key])
    if [key for key in old if key in new] != [key for key in new if key in old]:
        yield f"{path}: keys in another order"


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:120] + "…"
