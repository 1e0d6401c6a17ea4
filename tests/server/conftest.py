"""A server in memory over a user's folder: a suite, a recording of it, and a model that can be held back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.home import asked_for, weather_suite, write_recording, write_suite
from e2e.stand_in import StandIn, stand_in

from mcp_evals.settings import Limits, Settings
from mcp_evals.targets.base import ProviderSettings

CITIES = ("oslo", "bergen", "rome")


@pytest.fixture
def model() -> Iterator[StandIn]:
    """A model behind HTTP, right about every city."""
    with stand_in() as found:
        yield found


@pytest.fixture
def settings(tmp_path: Path, model: StandIn) -> Settings:
    """A configuration with the model as the provider `here`, two trials at a time."""
    folder = tmp_path / "suites"
    write_suite(folder, weather_suite(*CITIES, description="Weather of cities.", tracks={"terse": [TERSE]}))
    write_recording(folder, "mixed", [("oslo", 0, asked_for("oslo")), ("rome", 0, asked_for("milan"))])
    here = ProviderSettings(kind="openai", url=model.url, max_retries=0)
    return Settings(
        suites=(folder,), data=tmp_path / "home", providers={"here": here}, limits=Limits(max_concurrency=2)
    )


TERSE = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
