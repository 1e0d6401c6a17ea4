"""Runs whose tools are those of running servers: who answers a call, what is refused, and what a broken server costs."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from e2e.home import write_suite

from mcp_evals.conversation import Message, Step, Task, ToolCall, ToolResult, Transcript
from mcp_evals.live_tools import ServerSettings
from mcp_evals.settings import Settings, load_settings
from mcp_evals.suite import ServerTools
from mcp_evals.suites.files import load_suite
from mcp_evals.targets.base import ChatTarget
from mcp_evals.workspace import Workspace, open_workspace
from mcp_evals.workspace import targets as workspace_module

pytestmark = pytest.mark.anyio
Server = Callable[..., ServerSettings]
Pids = Callable[[], list[int]]


class Caller(ChatTarget):
    """Calls the tool that the user names, with the arguments of the case, and then answers with what it said."""

    async def complete(self, task: Task, messages: Sequence[Message]) -> Step:
        last = messages[-1]
        if last.role == "tool":
            return Step(text=last.results[0].text)
        name, _, article = last.text.partition(" ")
        return Step(calls=(ToolCall(name=name, arguments={"article": article} if article else {}, id="1"),))


@pytest.fixture(autouse=True)
def caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_module, "open_target", lambda *_, **__: Caller())


def case(user: str, **call: Any) -> dict[str, Any]:
    tool, _, article = user.partition(" ")
    args = {"args": {"article": article}} if article else {}
    return {"id": tool, "user": user, "expect": {"calls": [{"tool": tool, **args, **call}]}}


PRICE = case("price_of A-17")


@asynccontextmanager
async def opened(folder: Path, server: ServerSettings | None, *cases: dict[str, Any]) -> AsyncGenerator[Workspace]:
    suite = {"version": 1, "name": "shop", "tools": [{"server": "shop"}], "cases": list(cases)}
    write_suite(folder / "suites", suite)
    servers = {} if server is None else {"shop": server}
    settings = Settings(suites=(folder / "suites",), data=folder / "home", servers=servers)
    async with open_workspace(settings, environ={}) as workspace:
        yield workspace


async def run(workspace: Workspace, trials: int = 1) -> str:
    """A finished run of the shop's suite."""
    answer = await workspace.run_suite("shop", "openai:m", settings={"trials": trials}, wait_s=None)
    return answer.run_id


def transcript(workspace: Workspace, run_id: str, case: str, trial: int = 0) -> Transcript:
    found = workspace.store.trial(run_id, case, trial).transcript
    assert found is not None
    return found


def errors(workspace: Workspace, run_id: str) -> dict[str, str | None]:
    """By case, what went wrong, up to the first `;`."""
    trials = list(workspace.store.trials(run_id))
    return {trial.case_id: trial.error.message.partition(";")[0] if trial.error else None for trial in trials}


async def test_the_conversation_goes_on_with_what_the_server_answers(
    tmp_path: Path, server: Server, survivors: Pids, started: Pids
):
    async with opened(tmp_path, server(), PRICE) as workspace:
        run_id = await run(workspace, trials=3)
        said = transcript(workspace, run_id, "price_of", 2)
        verdicts = [trial.verdict for trial in workspace.store.trials(run_id)]
        left = survivors()

    assert (ToolResult(content="19.99 EUR", call_id="1"),) == said.steps[0].results
    assert ("19.99 EUR", "answer") == (said.final_text, said.ended)
    assert ["passed"] * 3 == verdicts
    assert [] == left
    assert 2 == len(started()), "one start to list the tools, one for all trials"


async def test_a_stub_answers_instead_of_the_server(tmp_path: Path, server: Server, started: Pids):
    async with opened(tmp_path, server(), case("price_of A-17", returns="1.00 EUR")) as workspace:
        run_id = await run(workspace)
        assert "1.00 EUR" == transcript(workspace, run_id, "price_of").final_text

    assert 1 == len(started()), "only to list the tools"


async def test_a_refused_call_is_answered_recorded_and_told(tmp_path: Path, server: Server):
    async with opened(tmp_path, server(), PRICE, case("count_visitors")) as workspace:
        run_id = await run(workspace)
        said = transcript(workspace, run_id, "count_visitors")
        notes = (await workspace.get_run(run_id)).notes

    refusal = "count_visitors was not run: it does not declare itself read-only, and only such tools are run here"
    assert (ToolResult(content=refusal, call_id="1", is_error=True),) == said.steps[0].results
    note = (
        'server "shop" runs only tools that declare themselves read-only, and calls to count_visitors are refused; '
        'allow = "all" in [servers.shop] runs them'
    )
    assert (note,) == notes


async def test_where_all_tools_are_run_each_trial_has_a_server_of_its_own(
    tmp_path: Path, server: Server, survivors: Pids, started: Pids
):
    allowing = server().model_copy(update={"allow": "all"})

    async with opened(tmp_path, allowing, case("count_visitors")) as workspace:
        run_id = await run(workspace, trials=2)
        answers = [transcript(workspace, run_id, "count_visitors", trial).final_text for trial in (0, 1)]
        left = survivors()

    assert ["1", "1"] == answers
    assert [] == left
    assert 3 == len(started())


async def test_a_server_that_dies_costs_the_trials_that_met_it_and_no_zero(
    tmp_path: Path, server: Server, survivors: Pids
):
    async with opened(tmp_path, server("die_in_a_call"), case("crash"), case("work")) as workspace:
        answer = await workspace.run_suite(
            "shop", "openai:m", settings={"trials": 1, "max_concurrency": 1}, wait_s=None
        )
        found = errors(workspace, answer.run_id)
        left = survivors()

    assert {"crash": 'server "shop" ended with exit code 139 while running crash', "work": None} == found
    assert (1, 1) == (answer.cases.errored, answer.cases.passed)
    assert [] == left


async def test_a_server_that_hangs_costs_the_trial_and_ends_with_the_run(
    tmp_path: Path, server: Server, survivors: Pids
):
    hanging = server("hang_in_a_call").model_copy(update={"call_timeout_s": 1.0})

    async with opened(tmp_path, hanging, case("slow")) as workspace:
        found = errors(workspace, await run(workspace))
        left = survivors()

    assert {"slow": 'server "shop" did not answer within 1 s while running slow'} == found
    assert [] == left


async def test_a_server_that_floods_is_given_up_and_costs_the_trial(tmp_path: Path, server: Server, survivors: Pids):
    async with opened(tmp_path, server("flood_in_a_call"), case("slow")) as workspace:
        found = errors(workspace, await run(workspace))
        left = survivors()

    assert {"slow": 'server "shop" was given up: it wrote a line of more than 32 MiB'} == found
    assert [] == left


async def test_a_trial_that_is_cut_off_in_a_call_leaves_no_server(tmp_path: Path, server: Server, survivors: Pids):
    for allow in ("read_only", "all"):
        hanging = server("hang_in_a_call").model_copy(update={"allow": allow})
        async with opened(tmp_path, hanging, case("slow")) as workspace:
            answer = await workspace.run_suite("shop", "openai:m", settings={"trials": 1, "timeout_s": 2}, wait_s=None)
            found = errors(workspace, answer.run_id)

        assert {"slow": "no end after 2 s"} == found
        assert [] == survivors()


async def test_a_stored_run_goes_on_with_the_server_of_today(tmp_path: Path, server: Server):
    async with opened(
        tmp_path, server("hang_in_a_call").model_copy(update={"call_timeout_s": 0.5}), case("slow")
    ) as it:
        run_id = await run(it)
    async with opened(tmp_path, None, case("slow")) as it:
        await it.control_run(run_id, "rerun_errored", wait_s=None)
        without = errors(it, run_id)
    async with opened(tmp_path, server("answer_slowly"), case("slow")) as it:
        await it.control_run(run_id, "rerun_errored", wait_s=None)
        answer = transcript(it, run_id, "slow").final_text

    assert {"slow": 'no server "shop" is configured'} == without
    assert "at last" == answer


async def test_a_tool_written_out_is_answered_by_the_server_that_it_names(tmp_path: Path, server: Server):
    described = {"name": "price_of", "description": "What does it cost?", "origin": "shop"}

    async with opened(tmp_path, server(), {**PRICE, "tools": [described]}) as workspace:
        run_id = await run(workspace)
        assert "19.99 EUR" == transcript(workspace, run_id, "price_of").final_text


def test_the_example_names_a_server_that_its_configuration_has():
    folder = Path(__file__).parents[2] / "examples" / "git_server"

    settings = load_settings(config=folder / "mcp-evals.toml", suites=(folder / "evals",), environ={})
    suite = load_suite(folder / "evals" / "git.yaml").suite

    assert [source.server for source in suite.tools if isinstance(source, ServerTools)] == list(settings.servers)
    assert ("read_only", 20.0) == (settings.servers["git"].allow, settings.servers["git"].call_timeout_s)


async def test_the_final_state_is_read_from_the_server_when_the_conversation_is_over(tmp_path: Path, server: Server):
    right = {**PRICE, "id": "right", "state": {"read": {"tool": "price_of", "args": {"article": "A-1"}}}}
    right["expect"] = {**PRICE["expect"], "state": "19.99 EUR"}
    wrong = {**right, "id": "wrong", "expect": {"state": "5 EUR"}}
    gone = {**wrong, "id": "gone", "state": {"read": {"tool": "price_of", "args": {"article": "A-0"}}}}
    refused = {**wrong, "id": "refused", "state": {"read": {"tool": "cancel_order", "args": {"order_id": "1"}}}}

    async with opened(tmp_path, server(), right, wrong, gone, refused) as workspace:
        run_id = await run(workspace)
        trials = {trial.case_id: trial for trial in workspace.store.trials(run_id)}
        notes = {case: transcript(workspace, run_id, case).notes for case in trials}

    assert {"right": "passed", "wrong": "failed", "gone": "errored", "refused": "errored"} == {
        case: trial.verdict for case, trial in trials.items()
    }
    assert "There is no article A-0." in notes["gone"][0]
    assert "cancel_order" in notes["refused"][0]
    score = trials["wrong"].score
    assert score is not None
    assert 'state "19.99 EUR" is not "5 EUR"' == score.reason
