"""What is too dear is refused before anything is spent, unless the user, where a client can ask one, raises the cap."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from e2e.host import Host, Mode
from e2e.stand_in import StandIn
from mcp.client import Client
from mcp.types import ElicitRequestParams, ElicitResult

from mcp_evals.server.app import build_server
from mcp_evals.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Both ages of the protocol."""
    return request.param


@asynccontextmanager
async def asked(settings: Settings, mode: Mode, answer: ElicitResult) -> AsyncGenerator[tuple[Host, list[str]]]:
    """A host whose user answers so, and what the user was asked."""
    questions: list[str] = []

    async def elicit(_: Any, params: ElicitRequestParams) -> ElicitResult:
        questions.append(params.message)
        return answer

    async with Client(build_server(settings), mode=mode, elicitation_callback=elicit) as client:
        yield Host(client), questions


YES = ElicitResult(action="accept", content={"raise_cap": True})
TOO_DEAR = {"suite": "weather", "target": "here:m-1", "trials": 2, "max_calls": 5}


async def test_a_user_who_agrees_raises_the_cap_for_this_run(settings: Settings, mode: Mode, model: StandIn) -> None:
    async with asked(settings, mode, YES) as (host, questions):
        run = await host.ask("run_suite", **TOO_DEAR)

    assert (run["status"], run["cases"]["passed"]) == ("completed", 3)
    assert len(questions) == 1
    assert "6 trials need at least 6 model calls and the cap is 5" in questions[0]
    assert "Raise the cap to 8 model calls for this run?" in questions[0]
    assert model.counts.total() == 6


@pytest.mark.parametrize(
    "answer",
    [
        ElicitResult(action="decline"),
        ElicitResult(action="cancel"),
        ElicitResult(action="accept", content={"raise_cap": False}),
    ],
)
async def test_a_user_who_does_not_agree_spends_nothing(
    settings: Settings, mode: Mode, model: StandIn, answer: ElicitResult
) -> None:
    async with asked(settings, mode, answer) as (host, questions):
        refusal = await host.refused("run_suite", **TOO_DEAR)
        runs = await host.ask("list_runs")

    assert "raise max_calls, or run fewer cases or trials" in refusal
    assert (len(questions), runs["runs"], model.counts.total()) == (1, [], 0)


async def test_where_nobody_can_be_asked_the_refusal_says_the_way_out(settings: Settings, mode: Mode) -> None:
    async with Client(build_server(settings), mode=mode) as client:
        refusal = await Host(client).refused("run_suite", **TOO_DEAR)

    assert "the cap is 5; raise max_calls" in refusal
