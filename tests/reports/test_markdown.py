"""Markdown of hostile text, read back by a Markdown reader: cells, blocks and lines hold, and nothing becomes markup."""

from collections.abc import Iterator, Sequence
from typing import Final

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from reports.reported import both, called
from reports.test_forms import HOSTILE, hostile

from mcp_evals.conversation import ToolCall
from mcp_evals.reports.forms import written
from mcp_evals.reports.markdown import block, code, prose
from mcp_evals.text import shorten

READER: Final = MarkdownIt("commonmark").enable(["table", "strikethrough"])
MORE: Final = (
    "`",
    "``",
    "\\`",
    "trailing \\",
    "`|`",
    "\\|`|",
    " ",
    "",
    "    code",
    "[ref]: http://evil.example",
    "\\@x",
)
OURS: Final = {
    "paragraph", "inline", "text", "code_inline", "softbreak", "heading", "strong", "bullet_list", "list_item", "fence",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip


def read(markdown: str) -> list[Token]:
    def walk(tokens: Sequence[Token]) -> Iterator[Token]:
        for token in tokens:
            yield token
            yield from walk(token.children or ())

    return list(walk(READER.parse(markdown)))


def kinds(tokens: Sequence[Token]) -> set[str]:
    return {token.type.removesuffix("_open").removesuffix("_close") for token in tokens}


@pytest.mark.parametrize("make", [code, prose])
@pytest.mark.parametrize("text", [*HOSTILE, *MORE], ids=range(len(HOSTILE) + len(MORE)))
def test_a_cell_stays_a_cell_and_a_line_a_line(make: type[str], text: str) -> None:
    tokens = read(f"| a | b |\n|---|---|\n| {make(text)} | end |\n\nNote: {make(text)} end")

    assert [token.type for token in tokens].count("td_open") == 2
    assert [token.type for token in tokens].count("paragraph_open") == 1
    assert kinds(tokens) <= {*OURS, "html_inline"} - {"strong", "heading", "list_item", "fence"}
    assert {token.content for token in tokens if token.type == "html_inline"} <= {"<code>", "</code>"}


@pytest.mark.parametrize("text", [text for text in (*HOSTILE, *MORE) if "\\|" not in text and text.strip()])
def test_a_code_span_says_what_was_written(text: str) -> None:
    tokens = read(f"| a |\n|---|\n| {code(text)} |")

    assert [token.content for token in tokens if token.type == "code_inline"] == [shorten(text, 300)]


def test_a_pipe_behind_a_backslash_is_written_so_that_no_reader_takes_it_for_a_delimiter() -> None:
    assert code("\\|") == "<code>&#92;&#124;</code>"


@pytest.mark.parametrize("text", ["@everyone", "see #12", "http://evil.example", "www.evil.example", "GH-3"])
def test_what_a_host_would_make_lively_is_a_code_span(text: str) -> None:
    assert prose(text) == code(text)


def test_prose_keeps_the_names_of_tools_readable() -> None:
    assert prose("get_weather was called in the place of _this_; 5 * 3 < 20") == (
        "get_weather was called in the place of \\_this\\_; 5 \\* 3 \\< 20"
    )


@pytest.mark.parametrize("text", [*HOSTILE, *MORE], ids=range(len(HOSTILE) + len(MORE)))
def test_a_block_ends_where_it_is_meant_to(text: str) -> None:
    tokens = READER.parse(f"before\n\n{block(text, 1000)}\n\nafter")

    assert [token.type for token in tokens if token.level == 0] == [
        "paragraph_open", "paragraph_close", "fence", "paragraph_open", "paragraph_close",
    ]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_report_holds_no_markup_but_its_own(text: str) -> None:
    tokens = read(written(hostile(text), "markdown"))

    html = [token.content for token in tokens if token.type == "html_block"]
    # A section for each case; what stands in its summary is the case's name.
    assert [line for found in html for line in found.splitlines()] == [
        "<details><summary>FAIL <code>oslo</code></summary>", "</details>",
        "<details><summary>FAIL <code>rome</code></summary>", "</details>",
        "<details><summary>ERROR <code>joke</code></summary>", "</details>",
    ]  # fmt: skip
    assert kinds(tokens) <= {*OURS, "html_block", "html_inline"}
    assert {token.content for token in tokens if token.type == "html_inline"} <= {"<code>", "</code>"}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_runs_side_by_side_hold_no_markup_but_their_own(text: str) -> None:
    call = ToolCall(name=text, arguments={"city": text})
    raw = called(ToolCall(name="get_weather", arguments=text))
    report = both({"oslo": [called(call)], "rome": [raw]}, {"oslo": [raw], "rome": [called(call)]})

    tokens = read(written(report, "markdown"))

    assert sum(token.content.count("<details>") for token in tokens if token.type == "html_block") == 3
    assert kinds(tokens) <= {*OURS, "html_block", "html_inline"}
