"""Each form of a small report, whole, as it stands in `data/reports`; hostile text cannot break any of them."""

import json
import re
import unicodedata
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree as ET

import pytest
from pydantic import JsonValue
from reports.reported import DOWN, FLAKY, STEADY, SUITE, both, called, report_of, weather

from mcp_evals.conversation import ToolCall, Transcript
from mcp_evals.reports.document import Report
from mcp_evals.reports.forms import ENDINGS, Form, written
from mcp_evals.suite import Suite

SHOWN = Path(__file__).parent.parent / "data" / "reports"
REPORTS: dict[str, Report] = {
    "run": report_of(FLAKY),
    "cut-off": report_of(
        {"oslo": [weather("Oslo")]}, transcripts=True, status="interrupted", track="terse", label="base"
    ),
    "only-lost": report_of(FLAKY, only_lost=True),
    "side-by-side": both(FLAKY, STEADY),
    "all-alike": both(STEADY, STEADY, only_lost=True),
}
HOSTILE = (
    "a | b",
    "\\| x \\\\| y",
    "`code` ``` </details>",
    "```\n</details>\n~~~",
    "<script>alert(1)</script></summary></details><img src=x onerror=1>",
    "[x](javascript:1) ![i](http://evil.example/x.png) <https://evil.example> www.evil.example",
    "@everyone #12 GH-3",
    "\x00\x08\x1b[31mred\x1b[0m\ufffe\ud800",
    "\u202eevil\u2066\u200b",
    "**bold** _it_ ~~s~~\n# heading\n- list\n> quote\n---\n1. one\n===",
    "&lt;b&gt; &#60; ]]> <!--",
    "$x$ \\",
    "| a | b |\n|---|---|\n| c | d |",
    "x" * 200_000,
)


@pytest.mark.parametrize("form", ["text", "markdown", "junit"])
@pytest.mark.parametrize("name", REPORTS)
def test_a_report_reads_as_it_is_kept(name: str, form: Form) -> None:
    kept = (SHOWN / f"{name}.{ENDINGS[form]}").read_text(encoding="utf-8")

    # What the address of a suite is made of grows with the format of suites, and is no matter of reports.
    assert written(REPORTS[name], form).replace(SUITE.digest, "DIGEST").rstrip("\n") + "\n" == kept


@pytest.mark.parametrize("name", REPORTS)
def test_json_is_the_whole_report(name: str) -> None:
    assert json.loads(written(REPORTS[name], "json")) == REPORTS[name].model_dump(mode="json")


@pytest.mark.parametrize("form", ["text", "junit", "markdown"])
def test_a_check_that_was_not_evaluated_says_so_once(form: Form) -> None:
    judged = Suite.model_validate(
        {"name": "s", "cases": [{"id": "a", "user": "?", "expect": {"text": [{"judged": "Is kind."}]}}]}
    )

    lines = written(report_of({"a": [called(text="ha")]}, judged), form).splitlines()

    assert [1] == [line.count("not evaluated") for line in lines if "text.judged" in line]


@pytest.mark.parametrize("form", ["text", "junit", "markdown"])
def test_a_check_of_one_turn_says_of_which(form: Form) -> None:
    turns = [{"user": "asked", "expect": {"text": [{"contains": text}]}} for text in ("ha", "ho")]
    suite = Suite.model_validate({"name": "s", "cases": [{"id": "a", "turns": turns}]})
    said = called(text="ha").invocations

    report = written(report_of({"a": [Transcript(invocations=said + said)]}, suite), form)

    # Markdown's table has the checks that passed too.
    assert "turn 2: text.contains" == re.findall("turn [0-9]: text.contains", report)[-1]


def test_every_form_has_a_file_ending() -> None:
    assert set(ENDINGS) == set(get_args(Form))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_json_carries_what_a_model_wrote_as_it_is_except_what_utf_8_cannot(text: str) -> None:
    found = json.loads(written(hostile(text), "json").encode())

    call = found["cases"][0]["trials"][0]["calls"][0]["actual"]
    assert call["name"] == text.replace("\ud800", "\ufffd")


@pytest.mark.parametrize("text", ["plain", "\ud800"])
def test_a_number_that_json_does_not_know_is_null(text: str) -> None:
    arguments: dict[str, JsonValue] = {"city": float("nan"), "days": float("inf")}
    made = called(ToolCall(name="get_weather", arguments=arguments), text=text)

    found = json.loads(written(report_of({"oslo": [made]}), "json"), parse_constant=pytest.fail)

    assert found["cases"][0]["trials"][0]["calls"][0]["actual"]["arguments"] == {"city": None, "days": None}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_junit_is_xml_whatever_a_model_wrote(text: str) -> None:
    root = ET.fromstring(written(hostile(text), "junit").encode())

    suite = root[0]
    assert [child.tag for child in suite] == ["properties", "testcase", "testcase", "testcase", "system-out"]
    assert [(case.get("name"), [child.tag for child in case]) for case in suite.iter("testcase")] == [
        ("oslo", ["properties", "failure"]),
        ("rome", ["properties", "failure"]),
        ("joke", ["properties", "error"]),
    ]


def test_junit_counts_failures_errors_and_what_is_still_to_come_apart() -> None:
    def counts(**run: Any) -> dict[str, str]:
        root = ET.fromstring(written(report_of({"oslo": [weather("Rome", 3)], "joke": [DOWN]}, **run), "junit"))
        return {key: root.get(key, "") for key in ("tests", "failures", "errors", "skipped", "time")}

    assert counts(status="working") == {"tests": "3", "failures": "1", "errors": "1", "skipped": "1", "time": "3.000"}
    assert counts(status="failed") == {"tests": "3", "failures": "1", "errors": "2", "skipped": "0", "time": "3.000"}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_terminal_is_sent_nothing_that_moves_it_and_no_endless_line(text: str) -> None:
    lines = written(hostile(text), "text").split("\n")

    # Controls, and formats such as those that turn the direction of writing.
    assert {unicodedata.category(character) for line in lines for character in line}.isdisjoint({"Cc", "Cf", "Cs"})
    assert max(map(len, lines)) < 13_000


def hostile(text: str) -> Report:
    """Text of a model in every place that it can reach: tool, argument, value, answer, and an error's message."""
    call = ToolCall(name=text, arguments={text: text})
    raw = ToolCall(name="get_weather", arguments=text)
    answers = {
        "oslo": [called(call, text=text)],
        "rome": [called(raw, call, text=text)],
        "joke": [DOWN.model_copy(update={"message": text})],
    }
    return report_of(answers, transcripts=True)
