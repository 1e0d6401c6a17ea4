"""The HTML report and the MCP App in a real browser: headless Chromium, driven by Playwright."""

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
from e2e.home import environment
from reports.reported import DOWN, SUITE, both, called, report_of, weather

from mcp_evals.conversation import Invocation, Step, ToolCall, ToolResult, Transcript
from mcp_evals.model import Model
from mcp_evals.reports.document import Report, run_report, side_by_side
from mcp_evals.reports.html import app_html, render_html
from mcp_evals.server.door import result_of
from mcp_evals.settings import load_settings
from mcp_evals.suite import Suite
from mcp_evals.workspace import Workspace, open_workspace

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install -e '.[pages]'")
CHROMIUM = os.environ.get("MCP_EVALS_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH, or its path in MCP_EVALS_CHROMIUM"),
]
HOST_PAGE = Path(__file__).parent / "host_page" / "host.html"
RIGHT = {"oslo": [weather("Oslo")], "rome": [weather("Rome")], "joke": [called(text="ha ha")]}
MIXED = {"oslo": [weather("Bergen", 2)], "rome": [DOWN], "joke": [called(text="ha"), called(text="no")]}
HOSTILE = (
    "</script><script>parent.postMessage('hacked', '*'); window.hacked = 1</script>"
    "<img src=x onerror=\"parent.postMessage('hacked', '*'); window.hacked = 1\">"
    "<a href=\"javascript:window.hacked = 1\">press</a><iframe srcdoc='<script>top.hacked = 1</script>'></iframe>"
    "\u202edesrever\u202c مرحبا بالعالم "
)


# --- what is shown


@pytest.fixture(scope="module")
def workspace_answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The built-in suite against three recordings: the reports, and what the tools answer."""
    home = tmp_path_factory.mktemp("home")
    settings = load_settings(environ=environment(home), cwd=home)

    async def hold() -> dict[str, Any]:
        async with open_workspace(settings) as workspace:
            targets = [f"recorded:{name}" for name in ("needle-3-strict", "smollm2-135m", "needle-3-sorted")]
            table = await workspace.compare_models("assistant", targets, wait_s=None)
            first = await workspace.get_run(table.runs[1])
            cases = {found.case for found in (*first.failures, *table.comparisons[0].worse)}
            trials = {
                _key(run_id=run_id, case=case): _result(workspace.get_trial(run_id, case))
                for run_id in table.runs
                for case in cases
            }
            reports = [_report(workspace, run_id) for run_id in table.runs]
            return {
                "run": reports[0],
                "comparison": side_by_side(reports[:2], ["strict", "smol"], table),
                "several": side_by_side(reports, ["strict", "smol", "sorted"], table),
                "run_result": _result(first),
                "table_result": _result(table),
                "answers": trials
                | {_key(run_id=first.run_id, offset=10): _result(await workspace.get_run(first.run_id, offset=10))},
                "first_failure": first.failures[0].case,
                "first_worse": table.comparisons[0].worse[0].case,
            }

    # In a thread of its own, because Playwright's loop runs in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(anyio.run, hold).result()


def _report(workspace: Workspace, run_id: str) -> Any:
    summary, outcomes = workspace.summary(run_id)
    data = workspace.run_data(run_id)
    return run_report(summary, outcomes, data.suite, workspace.store.trials(run_id), transcripts=True)


def _result(answer: Model) -> dict[str, Any]:
    """What the server sends of it."""
    return result_of(answer).model_dump(mode="json", by_alias=True, exclude_none=True)


def _key(**arguments: Any) -> str:
    """Arguments of a tool call, as the host page looks them up."""
    return json.dumps(arguments, separators=(",", ":"), ensure_ascii=False)


# --- browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        # Without a sandbox of its own, because continuous integration often runs as root.
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


class Shown:
    """A page that is open, and what it complained about or asked of the network."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: self.asked.append(request.url))


class Opener:
    """Opens reports and Apps."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self.browser, self.folder = browser, folder
        self.contexts: list[Any] = []

    def report(self, report: Report, *, width: int = 1200, **context: Any) -> Shown:
        path = self.folder / "report.html"
        path.write_text(render_html(report), encoding="utf-8")
        shown = self._page(width, **context)
        shown.page.goto(path.as_uri())
        return shown

    def app(self, result: dict[str, Any], *, width: int = 720, **given: Any) -> Shown:
        shown = self._page(width)
        shown.page.goto(HOST_PAGE.as_uri())
        shown.page.evaluate("([page, given]) => open(page, given)", [app_html(), {"result": result, **given}])
        shown.page.frame_locator("#view").locator("main[aria-busy=false]").wait_for()
        return shown

    def _page(self, width: int, **context: Any) -> Shown:
        self.contexts.append(self.browser.new_context(viewport={"width": width, "height": 900}, **context))
        return Shown(self.contexts[-1].new_page())


@pytest.fixture
def opener(browser: Any, tmp_path: Path) -> Iterator[Opener]:
    made = Opener(browser, tmp_path)
    yield made
    for context in made.contexts:
        context.close()


# --- the report


def test_a_run_says_its_verdict_first_and_opens_a_case(opener: Opener, workspace_answers: dict[str, Any]) -> None:
    shown = opener.report(workspace_answers["run"])
    page = shown.page
    case = page.locator(".case.failed").first

    case.locator("summary").first.click()

    assert "30 of 36 cases passed; on cases like these expect between 67% and 92%." == page.locator("h1").inner_text()
    assert "Pass rate: 83%, interval from 67% to 92%, on a scale from 0 to 100 percent" == page.locator(
        "svg.scale[role=img]"
    ).first.get_attribute("aria-label")
    assert "What is 12 plus 30?" in case.inner_text()
    assert "never called expected add_numbers(a=12, b=30) called nothing" in " ".join(case.inner_text().split())
    assert [] == shown.complaints
    assert 1 == len(shown.asked)


def test_wrong_arguments_stand_beside_the_expected_ones(opener: Opener) -> None:
    page = opener.report(report_of(MIXED)).page
    page.locator("#expand").click()

    rows = page.locator(".case", has_text="oslo").locator("table.diff tbody tr")

    assert [["city", '"Oslo"', '"Bergen"'], ["days", "1", "2"]] == [
        [row.locator("code").nth(place).inner_text() for place in range(3)] for row in rows.all()
    ]


def test_filters_leave_what_fits_and_say_how_many(opener: Opener) -> None:
    page = opener.report(report_of(MIXED)).page
    names = page.locator(".case:visible .name bdi")

    def left() -> tuple[list[str], str]:
        return names.all_inner_texts(), page.locator("#found").inner_text()

    assert (["oslo", "rome", "joke"], "") == (sorted(left()[0], key=["oslo", "rome", "joke"].index), left()[1])
    page.get_by_label("errored").uncheck()
    assert "rome" not in left()[0]
    page.get_by_label("errored").check()
    page.get_by_label("Tag", exact=True).select_option("north")
    assert {"oslo", "joke"} == set(left()[0])
    page.get_by_label("Search").fill("  tell JOKE ")
    assert (["joke"], "1 of 3 cases") == left()
    page.get_by_label("Search").fill("nothing of this kind")
    assert ([], "0 of 3 cases") == left()
    assert page.get_by_text("No case fits these filters.").is_visible()


def test_all_cases_and_all_conversations_open_at_once(opener: Opener) -> None:
    page = opener.report(report_of(MIXED, transcripts=True)).page

    page.get_by_role("button", name="Expand all").click()
    page.get_by_role("button", name="Conversations").click()

    assert 3 == page.locator(".case[open]").count()
    assert page.locator(".transcript").count() == page.locator(".transcript[open]").count() > 0
    page.get_by_role("button", name="Collapse").click()
    assert 0 == page.locator(".case[open]").count()


def test_a_comparison_draws_the_difference_and_leads_to_the_cases_that_changed(
    opener: Opener, workspace_answers: dict[str, Any]
) -> None:
    shown = opener.report(workspace_answers["comparison"])
    page = shown.page
    case = page.locator(".changed a").first.inner_text()

    page.locator(".changed a").first.click()

    opened = page.locator(".case[open]")
    assert "Difference −49 points, interval from −64 to −28; gaps within 5.0 points were said not to matter" == (
        page.locator("svg.difference").first.get_attribute("aria-label")
    )
    assert case == opened.locator("> summary .name bdi").inner_text()
    assert ["strict", "smol"] == opened.locator(".column h4 bdi").all_inner_texts()
    assert opened.locator("> summary").evaluate("it => it === document.activeElement")
    assert [] == shown.complaints


def test_several_runs_stand_side_by_side_with_their_ranks(opener: Opener, workspace_answers: dict[str, Any]) -> None:
    page = opener.report(workspace_answers["several"]).page

    page.locator(".case > summary").first.click()

    assert ["strict", "smol", "sorted"] == page.locator(".case[open] .column h4 bdi").all_inner_texts()
    assert ["strict", "smol", "sorted"] == page.locator(".arms h3 bdi").all_inner_texts()
    assert "1" == page.locator(".ranks .rank").first.inner_text()
    assert 2 == page.locator("svg.difference").count()


def test_runs_of_several_days_stand_side_by_side_without_a_claim(opener: Opener) -> None:
    runs = [report_of(RIGHT, id="monday"), report_of(MIXED, id="friday")]
    page = opener.report(side_by_side(runs, ["monday", "friday"])).page

    assert "What may be claimed of the difference was not asked." in page.locator("h1").inner_text()
    assert ["Verdicts differ 3"] == page.locator(".group h3").all_inner_texts()
    page.get_by_label("same verdict").wait_for(state="hidden")


def test_without_javascript_every_fact_is_there(opener: Opener) -> None:
    page = opener.report(report_of(MIXED, transcripts=True), java_script_enabled=False).page
    text = page.locator("main").text_content()

    page.locator(".case > summary").first.click()

    assert not page.locator("#filters").is_visible()
    assert not page.locator("#theme").is_visible()
    assert 1 == page.locator(".case[open]").count()
    for fact in ("Weather in Oslo?", '"Bergen"', "429 too many requests", "flaky", "weather", "r1", "Conversation"):
        assert fact in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["run", "comparison", "mixed"])
def test_all_text_has_the_contrast_that_readers_need(
    opener: Opener, workspace_answers: dict[str, Any], kind: str, scheme: str
) -> None:
    report = report_of(MIXED, transcripts=True) if kind == "mixed" else workspace_answers[kind]
    page = opener.report(report, color_scheme=scheme, reduced_motion="reduce").page
    page.evaluate("() => document.querySelectorAll('details').forEach(it => it.open = true)")

    assert [] == page.evaluate(LOW_CONTRAST)


def test_the_theme_can_be_chosen(opener: Opener) -> None:
    page = opener.report(report_of(RIGHT), color_scheme="dark").page
    paper = "() => getComputedStyle(document.body).backgroundColor"
    system = page.evaluate(paper)

    page.locator("#theme").click()

    assert ("Theme: light", True) == (page.locator("#theme").inner_text(), system != page.evaluate(paper))
    page.locator("#theme").click()
    assert ("Theme: dark", system) == (page.locator("#theme").inner_text(), page.evaluate(paper))


@pytest.mark.parametrize("kind", ["run", "comparison", "several"])
def test_a_narrow_screen_shows_the_page_without_scrolling_sideways(
    opener: Opener, workspace_answers: dict[str, Any], kind: str
) -> None:
    page = opener.report(workspace_answers[kind], width=400).page
    page.evaluate("() => document.querySelectorAll('details').forEach(it => it.open = true)")

    assert 400 == page.evaluate("document.documentElement.scrollWidth")


def test_paper_shows_what_did_not_pass_open_and_no_buttons(opener: Opener) -> None:
    page = opener.report(report_of(MIXED, transcripts=True), color_scheme="dark").page

    page.emulate_media(media="print")

    assert not page.locator("#filters").is_visible()
    assert not page.locator("#theme").is_visible()
    assert 0 == page.locator(".case[open]").count()
    assert page.locator(".case", has_text="oslo").locator("table.diff").first.is_visible()
    assert "rgb(255, 255, 255)" == page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert page.pdf().startswith(b"%PDF")


def test_keys_alone_lead_through_the_page(opener: Opener) -> None:
    page = opener.report(report_of(MIXED)).page
    focused = "() => document.activeElement.textContent.trim().split(/\\s+/).slice(0, 4).join(' ')"

    page.keyboard.press("Tab")
    assert "Skip to the report" == page.evaluate(focused)
    page.keyboard.press("Enter")
    assert "main" == page.evaluate("document.activeElement.id")
    page.keyboard.press("/")
    assert "search" == page.evaluate("document.activeElement.id")
    page.locator("main").focus()
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.locator(".case > summary").nth(1)
    assert second.evaluate("it => it === document.activeElement")
    page.keyboard.press("Enter")
    assert page.locator(".case").nth(1).evaluate("it => it.open")
    page.keyboard.press("k")
    assert page.locator(".case > summary").nth(0).evaluate("it => it === document.activeElement")


@pytest.mark.parametrize("kind", ["run", "several", "mixed"])
def test_a_screen_reader_finds_its_way(opener: Opener, workspace_answers: dict[str, Any], kind: str) -> None:
    report = report_of(MIXED, transcripts=True) if kind == "mixed" else workspace_answers[kind]
    page = opener.report(report).page
    page.evaluate("() => document.querySelectorAll('details').forEach(it => it.open = true)")

    for landmark in ("banner", "main", "contentinfo", "search"):
        assert 1 == page.get_by_role(landmark).count()
    assert 1 == page.locator("h1").count()
    assert [] == page.evaluate(UNNAMED)
    assert [] == page.evaluate(SKIPPED_HEADINGS)


def test_nothing_that_a_model_wrote_runs_or_turns_the_page_round(opener: Opener) -> None:
    said = _hostile_transcript()
    answers = {"oslo": [said], "rome": [said, called(text=HOSTILE)], "joke": [called(text=HOSTILE * 2000)]}
    suite = Suite.model_validate(
        {**SUITE.model_dump(exclude_defaults=True, by_alias=True), "description": HOSTILE, "system": HOSTILE}
    )
    for report in (report_of(answers, suite, transcripts=True, label=HOSTILE), both(answers, RIGHT)):
        shown = opener.report(report)
        page = shown.page
        page.evaluate("() => document.querySelectorAll('details').forEach(it => it.open = true)")

        assert None is page.evaluate("window.hacked ?? null")
        assert (1, 0, 0) == tuple(
            page.locator(made).count() for made in ("script", "img, iframe", "a[href^=javascript]")
        )
        assert "<script>parent.postMessage" in page.locator("main").inner_text()
        assert "مرحبا" in page.locator("main").inner_text()
        assert "desrever" in page.locator("main").inner_text()
        assert 1200 == page.evaluate("document.documentElement.scrollWidth")
        assert [] == shown.complaints
        assert 1 == len(shown.asked)
    assert 2_000_000 > (opener.folder / "report.html").stat().st_size


def test_a_run_of_a_thousand_cases_can_be_searched(opener: Opener) -> None:
    case = SUITE.cases[0].model_dump(exclude_defaults=True)
    suite = Suite.model_validate({"name": "many", "cases": [{**case, "id": f"case-{n}"} for n in range(1000)]})
    answers = {case.id: [weather("Oslo" if n % 3 else "Rome")] for n, case in enumerate(suite.cases)}
    page = opener.report(report_of(answers, suite, transcripts=True)).page

    page.get_by_label("Search").fill("case-777")

    assert ["case-777"] == page.locator(".case:visible .name bdi").all_inner_texts()
    assert "1 of 1000 cases" == page.locator("#found").inner_text()


# --- the App


def test_the_app_introduces_itself_draws_a_run_and_tells_its_size(
    opener: Opener, workspace_answers: dict[str, Any]
) -> None:
    shown = opener.app(workspace_answers["run_result"], context={"theme": "dark"})
    view = shown.page.frame_locator("#view")

    heard = shown.page.evaluate("heard")
    expected = "12 of 36 cases passed; on cases like these expect between 21% and 51%."
    assert expected == view.locator("h1").inner_text()
    assert ["ui/initialize", "ui/notifications/initialized"] == [message["method"] for message in heard[:2]]
    assert {
        "protocolVersion": "2026-01-26",
        "appInfo": {"name": "mcp-evals", "version": "1"},
        "appCapabilities": {},
    } == heard[0]["params"]
    shown.page.wait_for_function("heard.some(it => it.method?.endsWith('size-changed') && it.params.height > 500)")
    assert "dark" == view.locator("html").get_attribute("data-theme")
    assert [] == shown.page.evaluate("refused")
    assert [] == shown.complaints


def test_the_app_opens_a_case_through_the_host(opener: Opener, workspace_answers: dict[str, Any]) -> None:
    shown = opener.app(workspace_answers["run_result"], answers=workspace_answers["answers"])
    view = shown.page.frame_locator("#view")

    view.locator("summary").first.click()
    view.locator(".calls").first.wait_for()
    view.get_by_role("button", name="Show more of 14").click()
    view.locator(".case").nth(19).wait_for()

    asked = shown.page.evaluate("heard.filter(it => it.method === 'tools/call').map(it => it.params)")
    run_id = workspace_answers["run_result"]["structuredContent"]["run_id"]
    assert [
        {"name": "get_run", "arguments": {"run_id": run_id, "case": workspace_answers["first_failure"]}},
        {"name": "get_run", "arguments": {"run_id": run_id, "offset": 10}},
    ] == asked
    assert "another tool" in view.locator(".case").first.inner_text()
    assert view.get_by_role("button", name="Show more of 4").is_visible()


def test_where_the_host_lets_nobody_call_the_app_shows_what_it_has(
    opener: Opener, workspace_answers: dict[str, Any]
) -> None:
    view = opener.app(workspace_answers["run_result"]).page.frame_locator("#view")

    assert (0, 0) == (view.locator("details").count(), view.locator("button").count())
    assert 10 == view.locator(".case").count()
    assert workspace_answers["first_failure"] in view.locator(".case").first.inner_text()
    assert "14 more" in view.locator("main").inner_text()


def test_the_app_draws_a_comparison_and_opens_both_sides_of_a_case(
    opener: Opener, workspace_answers: dict[str, Any]
) -> None:
    shown = opener.app(workspace_answers["table_result"], answers=workspace_answers["answers"])
    view = shown.page.frame_locator("#view")

    view.locator("summary").first.click()
    view.locator(".column .calls").nth(1).wait_for()

    assert 2 == view.locator("svg.difference").count()
    assert "Difference −49 points, interval from −64 to −28; gaps within 5 points were said not to matter" == (
        view.locator("svg.difference").first.get_attribute("aria-label")
    )
    assert ["recorded:needle-3-strict", "recorded:smollm2-135m"] == view.locator(".column h3").all_inner_texts()
    assert [] == shown.complaints


def test_a_run_that_goes_on_is_looked_at_again(opener: Opener, workspace_answers: dict[str, Any]) -> None:
    done = workspace_answers["run_result"]["structuredContent"]
    working = {**done, "status": "working", "done": 7, "next_step": "get_run again"}
    answers = {_key(run_id=done["run_id"], wait_s=20): workspace_answers["run_result"]}
    view = opener.app({"structuredContent": working, "content": []}, answers=answers).page.frame_locator("#view")

    assert "7" == view.locator("progress").get_attribute("value")
    view.get_by_role("button", name="Look again").click()
    view.locator("progress").wait_for(state="detached")

    assert "Did not pass" in view.locator("main").inner_text()


def test_a_comparison_that_goes_on_is_asked_for_with_the_same_arguments(
    opener: Opener, workspace_answers: dict[str, Any]
) -> None:
    working = {"status": "working", "sentence": "Still working.", "done": 3, "total": 9}
    answers = {_key(suite="assistant", targets=["a", "b"], wait_s=20): workspace_answers["table_result"]}
    page = opener.app(
        {"structuredContent": working, "content": []},
        answers=answers,
        input={"suite": "assistant", "targets": ["a", "b"]},
    ).page
    view = page.frame_locator("#view")

    view.get_by_role("button", name="Look again").click()

    view.locator("svg.difference").first.wait_for()


def test_the_app_follows_the_hosts_theme_and_colours(opener: Opener, workspace_answers: dict[str, Any]) -> None:
    page = opener.app(
        workspace_answers["run_result"],
        context={
            "theme": "light",
            "styles": {
                "variables": {
                    "--color-background-primary": "rgb(1, 2, 3)",
                    "background": "red",
                    "--bad": "url(http://x.test/)",
                }
            },
        },
    ).page
    view = page.frame_locator("#view")
    painted = "it => getComputedStyle(it).backgroundColor"

    assert "rgb(1, 2, 3)" == view.locator("main").evaluate(painted)
    assert "--color-background-primary: rgb(1, 2, 3);" == view.locator("html").get_attribute("style")
    page.evaluate("tell('ui/notifications/host-context-changed', {theme: 'dark'})")
    view.locator("html[data-theme=dark]").wait_for()


def test_nothing_hostile_runs_in_the_app(opener: Opener) -> None:
    failures = [{"case": HOSTILE, "verdict": "failed", "score": 0, "trials": HOSTILE, "reason": HOSTILE * 500}]
    run = {
        "run_id": HOSTILE,
        "status": "completed",
        "suite": HOSTILE,
        "target": HOSTILE,
        "done": 1,
        "total": 1,
        "verdict": HOSTILE * 50,
        "cases": {"planned": 1, "failed": 1, HOSTILE: 1},
        "failures": failures * 300,
        "errors": {HOSTILE: 1},
        "notes": [HOSTILE],
        "next_step": HOSTILE,
    }
    arm = {"name": HOSTILE, "run_id": HOSTILE, "estimate": {"value": HOSTILE, "low": -9, "high": 9, "n": 3}}
    comparison = {
        "verdict": f'worse" onload="{HOSTILE}',
        "sentence": HOSTILE,
        "baseline": arm,
        "candidate": arm,
        "difference": {"value": 0.1, "low": -0.1, "high": 0.3, "n": 3},
        "flags": [HOSTILE],
        "worse": [{"case": HOSTILE, "baseline": HOSTILE, "candidate": HOSTILE, "reason": HOSTILE}],
    }
    evidence = {
        "case": HOSTILE,
        "verdict": HOSTILE,
        "score": 0,
        "reason": HOSTILE,
        "calls": [{"status": HOSTILE, "expected": HOSTILE, "actual": HOSTILE * 10_000, "why": [HOSTILE]}],
        "checks": [{"name": HOSTILE, "score": 0.5, "actual": {HOSTILE: HOSTILE}, "judge": HOSTILE}],
        "transcript": HOSTILE * 5000,
    }
    answers = {_key(run_id=HOSTILE, case=HOSTILE): {"structuredContent": evidence}}
    for found in (run, {"sentence": HOSTILE, "comparisons": [comparison], "ranks": {HOSTILE: HOSTILE}}, evidence):
        shown = opener.app({"structuredContent": found, "content": []}, answers=answers)
        view = shown.page.frame_locator("#view")
        if found is not evidence:
            view.locator("summary").first.click()
            view.locator(".calls").first.wait_for()

        assert (1, 0, 0) == tuple(
            view.locator(made).count() for made in ("script", "img, iframe, a", "[onload], [onerror]")
        )
        assert None is view.locator("body").evaluate("() => window.hacked ?? null")
        assert "<script>parent.postMessage" in view.locator("h1").inner_text()
        assert 200_000 > len(view.locator("body").inner_text())
        assert [] == shown.page.evaluate("refused")
        assert [] == shown.complaints


@pytest.mark.parametrize(
    "result",
    [
        {"content": [{"type": "text", "text": "no suite <b>x</b>"}], "isError": True},
        {"content": [{"type": "text", "text": "no suite <b>x</b>"}]},
        {"content": [{"type": "text", "text": "no suite <b>x</b>"}], "structuredContent": {"other": 1}},
    ],
    ids=["error", "text alone", "another answer"],
)
def test_a_result_that_cannot_be_drawn_is_shown_in_words(opener: Opener, result: dict[str, Any]) -> None:
    view = opener.app(result).page.frame_locator("#view")

    assert "no suite <b>x</b>" == view.locator("main").inner_text()


def test_a_case_that_the_server_does_not_find_says_so(opener: Opener, workspace_answers: dict[str, Any]) -> None:
    view = opener.app(workspace_answers["run_result"], answers={}).page.frame_locator("#view")

    view.locator("summary").first.click()

    view.get_by_text("no answer for").first.wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_apps_text_has_the_contrast_that_readers_need(
    opener: Opener, workspace_answers: dict[str, Any], theme: str
) -> None:
    for result in (workspace_answers["run_result"], workspace_answers["table_result"]):
        given = {"answers": workspace_answers["answers"], "context": {"theme": theme}}
        view = opener.app(result, **given).page.frame_locator("#view")
        view.locator("summary").first.click()
        view.locator(".calls").first.wait_for()

        assert [] == view.locator("body").evaluate(LOW_CONTRAST)
        assert [] == view.locator("body").evaluate(UNNAMED)
        assert [] == view.locator("body").evaluate(SKIPPED_HEADINGS)


def test_the_app_fits_a_narrow_host(opener: Opener, workspace_answers: dict[str, Any]) -> None:
    page = opener.app(workspace_answers["table_result"], width=400).page

    assert 400 == page.frame_locator("#view").locator("html").evaluate("it => it.scrollWidth")


def _hostile_transcript() -> Transcript:
    calls = (
        ToolCall(name=HOSTILE, arguments={HOSTILE: HOSTILE}),
        ToolCall(name="get_weather", arguments=HOSTILE * 1000),
        ToolCall(name="get_weather", arguments={"city": HOSTILE, "days": [HOSTILE] * 100}),
    )
    step = Step(text=HOSTILE, calls=calls, results=(ToolResult(content=HOSTILE, is_error=True),))
    return Transcript(system=HOSTILE, invocations=(Invocation(user=HOSTILE, steps=(step,)),))


LOW_CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (color) => {
    const [r, g, b] = color.slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (it) => {
    for (let at = it; at; at = at.parentElement) {
      const color = rgb(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const low = [];
  for (const it of document.querySelectorAll("body *")) {
    const own = [...it.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !it.checkVisibility() || it.closest(".unseen, script, style, option")) continue;
    const style = getComputedStyle(it);
    const ink = rgb(it.closest("svg") ? style.fill : style.color);
    const [high, dark] = [light(ink), light(behind(it))].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (dark + 0.05);
    if (ratio < 4.5) low.push(`${it.tagName}.${it.className} ${ratio.toFixed(2)} ${it.textContent.trim().slice(0, 40)}`);
  }
  return [...new Set(low)].slice(0, 20);
}"""
"""Texts below the ratio of 4.5 to 1 that WCAG 2.2 asks for at level AA."""
UNNAMED = """() => [
  ...[...document.querySelectorAll("table")].filter((it) => !it.caption?.textContent.trim()),
  ...[...document.querySelectorAll("svg")].filter((it) => !it.getAttribute("aria-label") && it.getAttribute("aria-hidden") !== "true"),
  ...[...document.querySelectorAll("input, select")].filter((it) => !it.labels.length),
  ...[...document.querySelectorAll("button")].filter((it) => !it.textContent.trim()),
  ...[...document.querySelectorAll("th")].filter((it) => !it.scope),
  ...[...document.querySelectorAll("[aria-labelledby]")].filter((it) => !document.getElementById(it.getAttribute("aria-labelledby"))),
].map((it) => it.outerHTML.slice(0, 120))"""
"""What a screen reader would have no name for."""
SKIPPED_HEADINGS = """() => {
  const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((it) => [Number(it.tagName[1]), it.textContent.trim()]);
  return levels.filter(([level], at) => at > 0 && level > levels[at - 1][0] + 1).map(([level, text]) => `h${level} ${text.slice(0, 60)}`);
}"""
"""Headings that lie more than one level below the one before."""
