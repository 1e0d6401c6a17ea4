"""Snapshots of tools, and what changed between two of them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mcp_evals.conversation import ToolDefinition
from mcp_evals.live_tools import ToolChange, ToolDiff, diff_tools, write_snapshot
from mcp_evals.model import digest

WEATHER = ToolDefinition.model_validate(
    {
        "name": "weather",
        "title": "Weather",
        "description": "Wetter für eine Stadt.",
        "inputSchema": {
            "type": "object",
            "required": ["city"],
            "properties": {"unit": {"enum": ["K", "C"]}, "city": {"type": "string"}},
        },
        "outputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": True},
    }
)
NEWS = ToolDefinition(name="news", description="What happened.")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_a_snapshot_holds_the_tools_as_a_server_lists_them(tmp_path: Path):
    path = tmp_path / "new folder" / "tools.json"

    write_snapshot(path, (WEATHER, NEWS), "shop", taken_at=NOON)

    document = json.loads(path.read_text(encoding="utf-8"))
    assert ["source", "taken_at", "tools"] == list(document)
    assert ("shop", "2026-01-02T12:00:00+00:00") == (document["source"], document["taken_at"])
    assert ["name", "title", "description", "inputSchema", "outputSchema", "annotations"] == list(document["tools"][0])
    read = [ToolDefinition.model_validate(tool) for tool in document["tools"]]
    assert [digest(WEATHER), digest(NEWS)] == [digest(tool) for tool in read]
    assert "Wetter für eine Stadt." in path.read_text(encoding="utf-8")


def test_a_snapshot_that_cannot_be_written_leaves_the_old_one_and_no_draft(tmp_path: Path):
    path = tmp_path / "tools.json"
    write_snapshot(path, (NEWS,), "shop", taken_at=NOON)
    before = path.read_bytes()
    broken = WEATHER.model_copy(update={"input_schema": {"not json": {1, 2}}})

    with pytest.raises(TypeError):
        write_snapshot(path, (broken,), "shop")

    assert before == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_equal_tools_do_not_differ():
    assert ToolDiff() == diff_tools((WEATHER, NEWS), (WEATHER, NEWS))
    assert not ToolDiff()


def test_a_diff_tells_what_is_new_gone_and_changed_and_how():
    changed = ToolDefinition.model_validate(
        {
            "name": "weather",
            "description": "Weather of a city.",
            "inputSchema": {
                "type": "object",
                "properties": {"city": {"type": "string", "minLength": 1}, "unit": {"enum": ["K", "C", "F"]}},
            },
            "annotations": {"readOnlyHint": True},
            "outputSchema": {"type": "object"},
        }
    )

    diff = diff_tools((WEATHER, NEWS), (ToolDefinition(name="stocks"), changed))

    assert diff == ToolDiff(
        added=("stocks",),
        removed=("news",),
        changed=(
            ToolChange(
                tool="weather",
                changes=(
                    'title: removed (was "Weather")',
                    'description: "Wetter für eine Stadt." -> "Weather of a city."',
                    'inputSchema.required: removed (was ["city"])',
                    'inputSchema.properties.unit.enum: ["K", "C"] -> ["K", "C", "F"]',
                    "inputSchema.properties.city.minLength: added (1)",
                    "inputSchema.properties: keys in another order",
                ),
            ),
        ),
    )
    assert diff


def test_tools_in_another_order_differ():
    assert ToolDiff(reordered=True) == diff_tools((WEATHER, NEWS), (NEWS, WEATHER))


def test_a_long_value_is_shown_cut():
    long = NEWS.model_copy(update={"description": "x" * 500})

    (change,) = diff_tools((NEWS,), (long,)).changed[0].changes

    assert f'description: "What happened." -> "{"x" * 119}…' == change
