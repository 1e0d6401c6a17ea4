"""What a target called is kept whatever was expected, and becomes a suite that loads and that the same trials pass."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from e2e.home import WEATHER, asked_for, weather_suite, write_recording, write_suite

from mcp_evals.conversation import Invocation, Message, Step, ToolCall, ToolResult, Transcript
from mcp_evals.errors import UsageError
from mcp_evals.proposals import Proposal
from mcp_evals.settings import Settings
from mcp_evals.suite import Expect, ExpectedCall
from mcp_evals.suites.files import load_suite
from mcp_evals.workspace import Workspace, open_workspace
from mcp_evals.workspace.captures import Capture, CapturedCase, CapturedTrial

pytestmark = pytest.mark.anyio

UNKNOWN = {"id": "oslo", "user": "Weather in oslo?"}


@asynccontextmanager
async def opened(
    folder: Path, said: list[tuple[str, int, Transcript]], *cases: dict[str, Any], **fields: Any
) -> AsyncGenerator[Workspace]:
    """A workspace with a suite of these cases and a recording of what was said."""
    write_suite(folder / "suites", {**weather_suite(), "cases": list(cases), **fields})
    write_recording(folder / "suites", "said", said)
    async with open_workspace(Settings(suites=(folder / "suites",), data=folder / "home"), environ={}) as workspace:
        yield workspace


async def capture(workspace: Workspace, **given: Any) -> Capture:
    return await workspace.capture_suite("weather", "recorded:said", wait_s=None, **given)


async def test_every_call_of_every_trial_is_kept_where_nothing_is_expected(tmp_path: Path):
    case = {**UNKNOWN, "system": "Be short.", "history": [{"role": "user", "text": "Hi"}]}

    async with opened(tmp_path, [("oslo", 0, asked_for("oslo")), ("oslo", 1, asked_for("rome"))], case) as workspace:
        found = await capture(workspace)

    def trial(index: int, city: str) -> CapturedTrial:
        call = ToolCall(name="get_weather", arguments={"city": city})
        return CapturedTrial(trial=index, user=("?",), calls=(call,))

    held = CapturedCase(
        case="oslo",
        system="Be short.",
        history=(Message(role="user", text="Hi"),),
        trials=(trial(0, "oslo"), trial(1, "rome")),
    )
    assert found == Capture(
        run_id=found.run_id, suite="weather", target="recorded:said", status="completed", cases=(held,)
    )


async def test_a_trial_that_errored_says_why(tmp_path: Path):
    async with opened(tmp_path, [("rome", 0, asked_for("rome"))], UNKNOWN) as workspace:
        found = await capture(workspace)

    (trial,) = found.cases[0].trials
    assert trial.calls == ()
    assert trial.error is not None
    assert "oslo" in trial.error


async def test_a_capture_becomes_a_suite_that_its_own_trials_pass(tmp_path: Path):
    said = [("oslo", n, asked_for(city)) for n, city in enumerate(("oslo", "oslo", "Oslo"))]

    async with opened(tmp_path, said, UNKNOWN) as workspace:
        found = await capture(workspace)
        path = tmp_path / "suites" / "seen.yaml"
        saved = workspace.capture_to_suite(found.run_id, path)
        seen = load_suite(path).suite
        answer = await workspace.run_suite("seen", "recorded:said", wait_s=None)

    args = {"city": {"one_of": ["oslo", "Oslo"]}}
    note = "calls[0] get_weather.city: 2 different values in 3 trials, each is accepted"
    expect = Expect.model_validate({"calls": [{"tool": "get_weather", "args": args}]})
    assert {"oslo": Proposal(expect, 3, 2, (note,))} == saved.proposals
    assert ("seen", ("get_weather",), expect) == (
        seen.name,
        tuple(tool.name for tool in seen.tools_of(seen.cases[0])),
        seen.cases[0].expect,
    )
    captured = {"run": found.run_id, "target": "recorded:said", "trials": 3, "alike": 2, "notes": [note]}
    assert {"captured": captured} == seen.cases[0].metadata
    assert (1, 0, 0) == (answer.cases.passed, answer.cases.failed, answer.cases.errored)


async def test_a_case_that_expects_calls_keeps_them_unless_all_are_made_anew(tmp_path: Path):
    case = {**UNKNOWN, "expect": {"calls": [{"tool": "get_weather", "args": {"city": "rome"}}], "forbid": ["x"]}}

    async with opened(tmp_path, [("oslo", 0, asked_for("oslo"))], case) as workspace:
        found = await capture(workspace)
        kept = workspace.capture_to_suite(found.run_id, tmp_path / "kept.json")
        anew = workspace.capture_to_suite(found.run_id, tmp_path / "anew.json", anew=True)

    assert {"oslo": None} == kept.proposals
    assert Expect.model_validate(case["expect"]) == load_suite(kept.path).suite.cases[0].expect
    call = ExpectedCall(tool="get_weather", args={"city": "oslo"})
    assert Expect(calls=(call,), forbid=("x",)) == load_suite(anew.path).suite.cases[0].expect


async def test_each_turn_expects_what_was_called_in_it(tmp_path: Path):
    def step(city: str) -> Step:
        call = ToolCall(name="get_weather", arguments={"city": city})
        return Step(calls=(call,), results=(ToolResult(content="rain"),))

    said = Transcript(
        invocations=(Invocation(user="Oslo?", steps=(step("oslo"),)), Invocation(user="Rome?", steps=(step("rome"),)))
    )
    case = {"id": "two", "turns": [{"user": "Oslo?"}, {"user": "Rome?"}, {"user": "Bye."}]}

    async with opened(tmp_path, [("two", 0, said)], case) as workspace:
        found = await capture(workspace)
        proposed, proposal = workspace.capture_case(found.run_id, "two")

    def expects(city: str) -> Expect:
        return Expect(calls=(ExpectedCall(tool="get_weather", args={"city": city}, returns="rain"),))

    assert [expects("oslo"), expects("rome"), Expect()] == [turn.expect for turn in proposed.turns]
    assert ("turns[2]: never reached, since nobody answered the calls before it",) == proposal.notes


async def test_a_capture_on_a_track_becomes_a_suite_with_the_tools_of_that_track(tmp_path: Path):
    terse = {**WEATHER, "description": ""}

    async with opened(tmp_path, [("oslo", 0, asked_for("oslo"))], UNKNOWN, tracks={"terse": [terse]}) as workspace:
        found = await capture(workspace, track="terse")
        workspace.capture_to_suite(found.run_id, tmp_path / "terse.yaml")

    seen = load_suite(tmp_path / "terse.yaml").suite
    assert "terse" == found.track
    assert ([""], {}) == ([tool.description for tool in seen.tools_of(seen.cases[0])], seen.tracks)


async def test_nothing_is_written_over_a_file_or_from_nothing(tmp_path: Path):
    async with opened(tmp_path, [("rome", 0, asked_for("rome"))], UNKNOWN) as workspace:
        found = await capture(workspace)
        with pytest.raises(UsageError, match="no trial that an expectation could be made of"):
            workspace.capture_to_suite(found.run_id, tmp_path / "new.yaml")
        with pytest.raises(UsageError, match="exists; choose another name"):
            workspace.capture_to_suite(found.run_id, tmp_path / "suites" / "weather.json")

    assert not (tmp_path / "new.yaml").exists()
