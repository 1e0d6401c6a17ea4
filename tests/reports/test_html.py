"""The HTML form of a report, without a browser: what stands in it, what is cut, and that nothing gets out of its place."""

import re
from base64 import b64encode
from hashlib import sha256

import pytest
from reports.reported import DOWN, SUITE, both, called, report_of, weather

from mcp_evals.conversation import Invocation, Step, ToolCall, ToolResult, Transcript
from mcp_evals.reports import html
from mcp_evals.reports.document import CallRow, SideBySide
from mcp_evals.reports.html import ArgumentRow, CallParts, GapScale, Place, Said, Talk, app_html, render_html
from mcp_evals.results import ArgumentCheck, Comparison, Estimate
from mcp_evals.suite import Suite

RIGHT = {"oslo": [weather("Oslo")], "rome": [weather("Rome")], "joke": [called(text="ha ha")]}
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> <a href='javascript:alert(1)'>x</a> {{ 7*7 }}"
REPORTS = {
    "run": report_of({**RIGHT, "rome": [DOWN]}, transcripts=True),
    "side by side": both(RIGHT, {**RIGHT, "oslo": [weather("Rome")]}),
}


@pytest.mark.parametrize("page", [*map(render_html, REPORTS.values()), app_html()], ids=[*REPORTS, "app"])
def test_the_policy_names_the_only_style_and_the_only_script_by_their_hashes(page: str) -> None:
    inside = {name: re.findall(f"<{name}>(.*?)</{name}>", page, re.DOTALL) for name in ("style", "script")}

    policy = re.search('Content-Security-Policy" content="([^"]+)"', page)

    hashes = {
        name: "'sha256-" + b64encode(sha256(found.encode()).digest()).decode() + "'" for name, [found] in inside.items()
    }
    assert policy
    assert (
        f"default-src 'none'; style-src {hashes['style']}; script-src {hashes['script']}; base-uri 'none'; form-action 'none'"
        == policy[1].replace("&#39;", "'")
    )
    assert [] == re.findall(r" (?:on\w+|style|src|srcset|srcdoc|action|formaction|background)=", _markup(page))
    assert [] == [link for link in re.findall(r' (?:xlink:)?href="([^"]*)"', page) if not link.startswith("#")]


def test_everything_that_a_model_wrote_is_text() -> None:
    said = Transcript(
        system=HOSTILE,
        invocations=(
            Invocation(
                user=HOSTILE,
                steps=(
                    Step(
                        text=HOSTILE,
                        calls=(
                            ToolCall(name=HOSTILE, arguments={HOSTILE: HOSTILE}),
                            ToolCall(name="x", arguments=HOSTILE),
                        ),
                        results=(ToolResult(content=HOSTILE, is_error=True),),
                    ),
                ),
            ),
        ),
    )
    answers = {"oslo": [said], "rome": [said], "joke": [said]}

    pages = [
        render_html(report_of(answers, transcripts=True, target="openai:<script>", label=HOSTILE)),
        render_html(both(answers, RIGHT)),
    ]

    for page in pages:
        markup = _markup(page)
        assert 1 == page.count("<script>")
        assert "&lt;script&gt;" in page
        assert [] == re.findall("<(?:img|a [^>]*javascript)", markup)
        assert "{{ 7*7 }}" in page


def test_what_turns_the_direction_of_writing_is_taken_away() -> None:
    said = called(ToolCall(name="get_weather", arguments={"city": "\u202eolsO"}), text="\u2067left\u202e")

    page = render_html(report_of({"oslo": [said]}, transcripts=True))

    assert [] == re.findall("[\u202a-\u202e\u2066-\u2069]", page)


def test_a_share_stands_where_it_is_on_its_scale() -> None:
    assert Place(20.0, 50.0, 80.0) == html.scale(Estimate(value=0.5, low=0.2, high=0.8, method="m", n=9))


@pytest.mark.parametrize(
    ("low", "value", "high", "margin", "drawn"),
    [
        (-0.64, -0.49, -0.28, 0.05, GapScale(80, Place(10.0, 19.37, 32.5), 46.88, 53.12)),
        (-0.01, 0.0, 0.01, 0.05, GapScale(10, Place(45.0, 50.0, 55.0), 25.0, 75.0)),
        (-1.0, 0.0, 1.0, 0.05, GapScale(100, Place(0.0, 50.0, 100.0), 47.5, 52.5)),
    ],
)
def test_a_difference_stands_on_a_scale_as_wide_to_both_sides(
    low: float, value: float, high: float, margin: float, drawn: GapScale
) -> None:
    gap = Estimate(value=value, low=low, high=high, method="m", n=9)

    assert drawn == html.gap_scale(Comparison(verdict="worse", sentence="s", difference=gap, margin=margin))


def test_a_comparison_without_a_difference_has_no_scale() -> None:
    assert None is html.gap_scale(Comparison(verdict="not_comparable", sentence="s"))


def test_arguments_are_told_one_by_one_also_those_that_nobody_asked_for() -> None:
    row = CallRow(
        status="wrong_argument",
        expected=ToolCall(name="f", arguments={"city": "Oslo", "days": None, "unit": "C"}),
        actual=ToolCall(name="f", arguments={"city": "Rome", "days": None, "extra": [1]}),
        arguments=(
            ArgumentCheck(field="city", score=0, weight=1, expected="Oslo", actual="Rome", reason="another"),
            ArgumentCheck(field="days", score=1, weight=1),
            ArgumentCheck(field="unit", score=0.5, weight=1, expected="C"),
        ),
    )

    assert [
        ArgumentRow("city", "wrong", '"Oslo"', '"Rome"', 0, "another"),
        ArgumentRow("days", "fits", "null", "null", 1, None),
        ArgumentRow("unit", "partly", '"C"', None, 0.5, None),
        ArgumentRow("extra", "unasked", None, "[1]", None, None),
    ] == html.argument_rows(row)


def test_a_call_with_very_many_arguments_says_how_many_more_there_are() -> None:
    parts = html.call_parts(ToolCall(name="f", arguments={f"a{index}": index for index in range(1000)}))

    assert html.ARGUMENTS + 1 == len(parts.arguments)
    assert ("…", "960 more") == parts.arguments[-1]


def test_a_conversation_is_cut_at_its_limit_and_says_how_much_is_missing() -> None:
    call = ToolCall(name="f", arguments={})
    said = Transcript(
        invocations=(Invocation(user="a" * 50, steps=(Step(text="b" * 5000, calls=(call,)), Step(text="later"))),)
    )

    room = 1000 - 50 - html.ENTRY
    kept = "b" * (room - len("… (+4110 characters)")) + "… (+4110 characters)"
    left_out = 5000 - room + len("{}") + len("later")
    assert Talk((Said("user", "a" * 50), Said("assistant", kept)), left_out) == html.talk(said, 1000)


def test_a_whole_conversation_is_told_in_order() -> None:
    said = Transcript(
        system="s",
        invocations=(
            Invocation(
                user="u",
                steps=(
                    Step(text="t", calls=(ToolCall(name="f", arguments={"a": 1}),), results=(ToolResult(content="r"),)),
                ),
            ),
        ),
    )

    assert Talk(
        (
            Said("system", "s"),
            Said("user", "u"),
            Said("assistant", "t"),
            Said("call", "", CallParts("f", (("a", "1"),), None)),
            Said("result", "r"),
        ),
        0,
    ) == html.talk(said, 1000)


def test_a_run_of_a_thousand_long_cases_stays_a_page_that_a_browser_opens() -> None:
    case = SUITE.cases[1].model_dump(exclude_defaults=True)
    suite = Suite.model_validate(
        {"name": "many", "cases": [{**case, "id": f"case-{number}"} for number in range(1000)]}
    )
    answers = {case.id: [called(text="long " * 4000)] for case in suite.cases}

    page = render_html(report_of(answers, suite, transcripts=True))

    assert 1000 == page.count('<details class="case ')
    assert "more characters of this conversation were cut" in page
    assert 8_000_000 > len(page.encode())


def test_cases_beyond_what_a_page_lists_are_counted_and_those_that_pass_go_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(html, "CASES", 1)

    page = render_html(report_of({**RIGHT, "joke": [called(text="no")]}))

    assert ["joke"] == re.findall(r'<span class="name"><bdi>([^<]+)', page)
    assert "2 more cases are not listed here" in page


def test_trials_without_room_for_their_evidence_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "TRIALS", 3)

    page = render_html(report_of({**RIGHT, "oslo": [weather("Oslo"), weather("Rome"), weather("Oslo")]}))

    assert "Without their evidence: trial 1 passed, trial 3 passed." in page


def test_runs_that_nobody_compared_claim_nothing() -> None:
    report = both(RIGHT, {**RIGHT, "oslo": [weather("Rome")]})
    plain = SideBySide(names=report.names, runs=report.runs, rows=report.rows)

    page = render_html(plain)

    assert "Passed: openai:a 100%; openai:b 67%. What may be claimed of the difference was not asked." in page
    assert 'class="difference"' not in page


def _markup(page: str) -> str:
    """The tags alone: without what our style and our script say."""
    bare = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.findall(r"<[a-zA-Z][^>]*>", bare))
