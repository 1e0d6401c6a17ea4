"""A user's folder: suites about the weather, recordings of it, and a configuration."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fakes import called

from mcp_evals.conversation import Transcript

WEATHER = {
    "name": "get_weather",
    "description": "Weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def weather_suite(*cities: str, name: str = "weather", **fields: Any) -> dict[str, Any]:
    """A suite with a case for each city, which is right where the weather of that city is asked for."""
    cases = [
        {
            "id": city,
            "tags": ["north" if city in {"oslo", "bergen"} else "south"],
            "user": f"Weather in {city}?",
            "expect": {"calls": [{"tool": "get_weather", "args": {"city": city}}]},
        }
        for city in cities
    ]
    return {"version": 1, "name": name, "tools": [WEATHER], "cases": cases, **fields}


def write_suite(folder: Path, suite: dict[str, Any]) -> Path:
    """Put a suite into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{suite['name']}.json"
    path.write_text(json.dumps(suite), encoding="utf-8")
    return path


def write_recording(folder: Path, name: str, said: Iterable[tuple[str, int, Transcript]]) -> Path:
    """Put a recording beside the suites of a folder."""
    path = folder / "recordings" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps(
            {"case": case, "trial": trial, "transcript": transcript.model_dump(mode="json", exclude_defaults=True)}
        )
        for case, trial, transcript in said
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def asked_for(city: str) -> Transcript:
    """A conversation in which the weather of that city was asked for."""
    return called(("get_weather", {"city": city}))


def environment(home: Path, **further: str) -> dict[str, str]:
    """Environment of a process that keeps everything below `home` and knows no key but those given."""
    mine = ("OPENAI_", "ANTHROPIC_", "MCP_EVALS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    return {**kept, "MCP_EVALS_HOME": str(home), **further}
