"""The forms that a report can take, by name."""

from typing import Final, Literal

from mcp_evals.reports.document import Report
from mcp_evals.reports.json_report import json_report
from mcp_evals.reports.junit import junit_report
from mcp_evals.reports.markdown import markdown_report
from mcp_evals.reports.terminal import report_text

Form = Literal["text", "markdown", "json", "junit", "html"]
ENDINGS: Final[dict[Form, str]] = {
    "text": "txt",
    "markdown": "md",
    "json": "json",
    "junit": "xml",
    "html": "html",
}
"""How the name of a file ends."""


def written(report: Report, form: Form) -> str:
    """The report in a form."""
    match form:
        case "text":
            return report_text(report)
        case "markdown":
            return markdown_report(report)
        case "json":
            return json_report(report)
        case "junit":
            return junit_report(report)
        case "html":
            from mcp_evals.reports.html import render_html  # reads its style and script

            return render_html(report)
