"""Reports of stored runs: one, several side by side, and those that an agent may see."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from e2e.home import asked_for, weather_suite, write_recording, write_suite

from mcp_evals.answers import ReportFile
from mcp_evals.errors import NotFoundError, UsageError
from mcp_evals.model import digest
from mcp_evals.reports.document import RunReport, SideBySide
from mcp_evals.settings import Settings
from mcp_evals.workspace import Reveal, Workspace, open_workspace

pytestmark = pytest.mark.anyio


@pytest.fixture
async def workspace(tmp_path: Path) -> AsyncGenerator[Workspace]:
    suite = weather_suite("oslo", "rome", "paris")
    suite["cases"][1]["tags"] = ["holdout"]
    folder = tmp_path / "suites"
    write_suite(folder, suite)
    write_recording(folder, "right", [(city, 0, asked_for(city)) for city in ("oslo", "rome", "paris")])
    write_recording(folder, "paris", [(city, 0, asked_for("paris")) for city in ("oslo", "rome", "paris")])
    async with open_workspace(Settings(suites=(folder,), data=tmp_path / "home"), environ={}) as opened:
        yield opened


async def run_of(workspace: Workspace, target: str, **more: Any) -> str:
    return (await workspace.run_suite("weather", f"recorded:{target}", wait_s=None, **more)).run_id


def text_of(file: ReportFile) -> str:
    return Path(file.path).read_text(encoding="utf-8")


async def test_one_run_makes_a_report_of_a_run(workspace: Workspace) -> None:
    run_id = await run_of(workspace, "paris")

    report = workspace.report([run_id[:12]])

    assert isinstance(report, RunReport)
    assert [(case.id, case.result and case.result.verdict) for case in report.cases] == [
        ("oslo", "failed"), ("rome", "failed"), ("paris", "passed"),
    ]  # fmt: skip


async def test_several_runs_stand_side_by_side_in_the_order_given_with_what_may_be_claimed(
    workspace: Workspace,
) -> None:
    ids = [await run_of(workspace, "paris", label="before"), await run_of(workspace, "right")]

    report = workspace.report(ids, only_lost=True)

    assert isinstance(report, SideBySide)
    assert (report.names, [row.case for row in report.rows]) == (("before", "recorded:right"), ["oslo", "rome"])
    assert report.comparison is not None
    assert (report.comparison.runs, report.comparison.comparisons[0].verdict) == (tuple(ids), "not_enough_data")


async def test_a_report_needs_runs_that_are_there_each_once(workspace: Workspace) -> None:
    run_id = await run_of(workspace, "right")

    with pytest.raises(UsageError, match="name one or more runs"):
        workspace.report([])
    with pytest.raises(UsageError, match="named twice"):
        workspace.report([run_id, run_id[:12]])
    with pytest.raises(NotFoundError, match='no run "20200101-1"'):
        workspace.report(["20200101-1"])


async def test_an_exported_report_is_a_file_in_the_folder_of_the_store(workspace: Workspace, tmp_path: Path) -> None:
    run_id = await run_of(workspace, "right")

    made = [await workspace.export_report([run_id], form) for form in ("json", "junit")]

    assert [file.path for file in made] == [
        str(tmp_path / "home" / "reports" / f"{run_id}.{end}") for end in ("json", "xml")
    ]
    assert made[0].runs == (run_id,)
    assert made[0].sentence.startswith("Small sample: 3 of 3 cases passed")
    assert json.loads(text_of(made[0]))["kind"] == "run"
    assert ET.parse(made[1].path).getroot().get("tests") == "3"


@pytest.mark.parametrize("several", [False, True])
async def test_what_an_agent_exports_does_not_tell_what_holdout_cases_expect(
    workspace: Workspace, several: bool
) -> None:
    ids = [await run_of(workspace, "paris"), await run_of(workspace, "right")]

    file = await workspace.export_report(ids if several else ids[:1], "json", transcripts=True)
    text = text_of(file)

    report = json.loads(text)
    case = (report["runs"][0] if several else report)["cases"][1]
    assert (case["id"], case["expects"], case["trials"]) == ("rome", "(withheld: holdout, never shown)", [])
    assert '"rome"' in text
    assert 'is not \\"rome\\"' not in text
    assert 'is not \\"oslo\\"' in text


async def test_what_an_export_shows_is_remembered_for_a_later_self_evaluation(workspace: Workspace) -> None:
    await workspace.export_report([await run_of(workspace, "right", cases=["oslo", "rome"])], "text")

    suite = (await workspace.library.ready("weather")).suite
    assert workspace.store.documents("shown")["weather"] == [digest(suite.cases[0])]


@pytest.mark.parametrize(("reveal", "told"), [("verdict", False), ("full", True)])
async def test_of_its_own_run_an_agent_exports_no_holdout_case_and_as_much_as_it_was_allowed_to_see(
    workspace: Workspace, reveal: Reveal, told: bool
) -> None:
    taken = await workspace.take_case("weather", reveal=reveal)
    for number in range(3):
        await workspace.answer_attempt(
            taken.attempt_id, {"calls": [{"name": "get_weather", "arguments": {"city": "bern"}}]}
        )
        if number < 2:
            taken = await workspace.take_case(run_id=taken.run_id)

    text = text_of(await workspace.export_report([taken.run_id], "json", transcripts=True))

    report = json.loads(text)
    assert [(case["id"], bool(case["trials"])) for case in report["cases"]] == [("oslo", told), ("paris", told)]
    assert (report["summary"]["cases"]["planned"], report["summary"]["trials"]["failed"]) == (2, 2)
    assert ('is not \\"oslo\\"' in text) is told
    assert "rome" not in text
