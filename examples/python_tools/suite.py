"""Python functions as tools: their signatures and docstrings become what a model is shown, and a suite that asks for them.

    python examples/python_tools/suite.py evals/lights.yaml
    mcp-evals run lights --target openai:MODEL

No function is called, and no suite file names one: the file holds the schemas. Write it again when a function changes.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mcp_evals import Case, Expect, ExpectedCall, Suite, tools_from_functions
from mcp_evals.suites.saving import write_suite

Room = Literal["kitchen", "bath", "hall"]


def switch_light(room: Room, on: bool) -> None:
    """Switch the light of a room on or off.

    Args:
        room: Which room.
        on: True for on.
    """


async def dim_light(room: Room, percent: Annotated[int, Field(description="Brightness.", ge=1, le=100)] = 50) -> None:
    """Set how bright the light of a room is; it is switched on if it was off."""


def lights() -> Suite:
    """The suite."""
    return Suite(
        name="lights",
        system="You control the lights of a flat. Do what you are asked with the tools.",
        tools=tools_from_functions(switch_light, dim_light),
        cases=(
            Case(
                id="off",
                user=("Lights out in the kitchen.", "Switch the kitchen light off."),
                expect=Expect(calls=(ExpectedCall(tool="switch_light", args={"room": "kitchen", "on": False}),)),
            ),
            Case(
                id="half",
                user="Dim the light in the hall to half.",
                expect=Expect(calls=(ExpectedCall(tool="dim_light", args={"room": "hall", "percent": 50}),)),
            ),
        ),
    )


if __name__ == "__main__":
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "lights.yaml")
    write_suite(lights(), path)
    print(path)
