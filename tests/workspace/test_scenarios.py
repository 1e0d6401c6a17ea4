"""A scenario from start to end: a model plays the user, tools keep a state, and the state is what counts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mcp_evals.conversation import Message, Step, Task, ToolCall
from mcp_evals.errors import UsageError
from mcp_evals.results import TargetSpec
from mcp_evals.settings import Settings
from mcp_evals.targets.base import ChatTarget, ProviderSettings
from mcp_evals.workspace import open_workspace
from mcp_evals.workspace import targets as workspace_module
from tests.e2e.home import write_suite

pytestmark = pytest.mark.anyio


class Clerk(ChatTarget):
    """Refunds the order that the last message names."""

    async def complete(self, task: Task, messages: Sequence[Message]) -> Step:
        last = messages[-1]
        if last.role == "tool":
            return Step(text="Refunded.")
        order = "".join(letter for letter in str(last.text) if letter.isdigit())
        if not order:
            return Step(text="Which order?")
        return Step(calls=(ToolCall(id="1", name="refund", arguments={"order_id": order}),))


class Customer(ChatTarget):
    """Names its order when it is asked, and stops when it has its money."""

    async def complete(self, task: Task, messages: Sequence[Message]) -> Step:
        return Step(text="</finished>" if "Refunded." in str(messages[-1].text) else "Number 1234.")


def shop(**case: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"order_id": {"type": "string"}}}
    scenario = {"opening": "I want my money back.", "plan": "Get order 1234 refunded."}
    calls = [{"tool": "refund", "args": {"order_id": {"any": True}}, "returns": "ok"}]
    expect = {"calls": calls, "state": {"orders": {"1234": "refunded"}}}
    return {
        "version": 1,
        "name": "shop",
        "tools": [{"name": "refund", "description": "Refund an order.", "input_schema": schema}],
        "state": {"initial": {"orders": {}}, "changes": {"refund": {"orders.{order_id}": "refunded"}}},
        "cases": [{"id": "refund", "scenario": scenario, "expect": expect, **case}],
    }


def home(tmp_path: Path, suite: dict[str, Any], *, simulator: str | None) -> Settings:
    write_suite(tmp_path / "suites", suite)
    here = ProviderSettings(kind="openai", url="http://127.0.0.1:9/v1")
    providers = {"agent": here, "customer": here}
    return Settings(suites=(tmp_path / "suites",), data=tmp_path / "home", providers=providers, simulator=simulator)


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_target(spec: TargetSpec, *_: Any, **__: Any) -> ChatTarget:
        return Customer() if spec.provider == "customer" else Clerk()

    monkeypatch.setattr(workspace_module, "open_target", open_target)


async def test_a_model_plays_the_user_and_the_final_state_decides(tmp_path: Path) -> None:
    async with open_workspace(home(tmp_path, shop(), simulator="customer:m"), {}) as workspace:
        run_id = await workspace.start_run("shop", "agent:m", settings={"trials": 1})
        await workspace.get_run(run_id, wait_s=None)
        trial = workspace.store.trial(run_id, "refund", 0)

    assert trial.transcript is not None
    assert ["I want my money back.", "Number 1234."] == [said.user for said in trial.transcript.invocations]
    assert ("passed", "user_stop") == (trial.verdict, trial.transcript.ended)
    assert ("the user was played by customer:m, asked 2 times (0 tokens in, 0 out)",) == trial.transcript.notes


async def test_a_recorded_conversation_is_scored_again_without_anybody_playing(tmp_path: Path) -> None:
    async with open_workspace(home(tmp_path, shop(), simulator="customer:m"), {}) as workspace:
        run_id = await workspace.start_run("shop", "agent:m", settings={"trials": 1})
        await workspace.get_run(run_id, wait_s=None)
    async with open_workspace(home(tmp_path, shop(), simulator=None), {}) as workspace:
        again = await workspace.run_suite("shop", f"run:{run_id}", wait_s=None)

    assert (1, 0) == (again.cases.passed, again.cases.errored)


async def test_a_scenario_that_nobody_plays_is_refused_before_anything_is_spent(tmp_path: Path) -> None:
    async with open_workspace(home(tmp_path, shop(), simulator=None), {}) as workspace:
        with pytest.raises(UsageError, match=r'case "refund": nobody plays the user .*MCP_EVALS_SIMULATOR'):
            await workspace.start_run("shop", "agent:m")
        held = workspace.list_runs().runs

    assert () == held


async def test_written_replies_need_no_model(tmp_path: Path) -> None:
    scenario = {"opening": "I want my money back.", "plan": "Get it.", "replies": ["It is 77."]}
    expect = {
        "state": {"orders": {"77": "refunded"}},
        "calls": [{"tool": "refund", "args": {"order_id": "77"}, "returns": 1}],
    }
    suite = shop(scenario=scenario, expect=expect)
    async with open_workspace(home(tmp_path, suite, simulator=None), {}) as workspace:
        answer = await workspace.run_suite("shop", "agent:m", settings={"trials": 1}, wait_s=None)

    assert 1 == answer.cases.passed
