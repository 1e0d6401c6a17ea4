"""Suites and tool sets, as a user looks at them."""

from pathlib import Path
from typing import Final

from pydantic import JsonValue

from mcp_evals.answers import (
    LastRun,
    LintLine,
    SuiteLine,
    SuiteList,
    SuiteView,
    ToolLine,
    ToolsAnswer,
)
from mcp_evals.library import select_cases
from mcp_evals.live_tools import write_snapshot
from mcp_evals.suites.files import SuiteEntry
from mcp_evals.text import shorten
from mcp_evals.views import case_line
from mcp_evals.workspace.shared import STORE_FILE, Shared

REVEAL_LIMIT: Final = 20
"""Cases that one page of a suite shows."""
SUITES: Final = 25
"""Suites that one page of the list shows."""
FINDINGS: Final = 30
"""Lint findings that an answer names."""
DESCRIPTION: Final = 100
"""Characters of a tool's description that a list shows."""


class Suites(Shared):
    """Shows suites, and tools of servers."""

    def list_suites(self, *, search: str | None = None, offset: int = 0, limit: int = SUITES) -> SuiteList:
        """A page of the suites, broken ones with their problems; of `search` every word occurs in name or description."""
        words = (search or "").casefold().split()
        fitting = [entry for entry in self.library.entries() if all(word in _about(entry) for word in words)]
        lines: list[SuiteLine] = []
        for entry in fitting[offset : offset + limit]:
            suite = entry.loaded.suite if entry.loaded else None
            tags: dict[str, int] = {}
            for tag in (tag for case in suite.cases for tag in case.tags) if suite else ():
                tags[tag] = tags.get(tag, 0) + 1
            lines.append(
                SuiteLine(
                    name=entry.name,
                    cases=len(suite.cases) if suite else 0,
                    description=suite.description if suite else "",
                    tags=tags,
                    tracks=tuple(suite.tracks) if suite else (),
                    last_run=self._last_run(entry.name),
                    problems=tuple(str(problem) for problem in entry.problems),
                    built_in=self.library.is_built_in(entry),
                )
            )
        return SuiteList(
            suites=tuple(lines),
            folders=tuple(str(folder) for folder in self.settings.suites),
            total=len(fitting),
            next_offset=offset + limit if offset + limit < len(fitting) else None,
        )

    async def get_suite(
        self,
        suite: str,
        *,
        tag: str | None = None,
        search: str | None = None,
        case: str | None = None,
        offset: int = 0,
        limit: int = REVEAL_LIMIT,
    ) -> SuiteView:
        """A page of a suite's cases, or one case whole.

        Raises:
            NotFoundError: no such suite, tag or case.
        """
        ready = (await self.library.ready(suite)).suite
        chosen = select_cases(ready, [case] if case else None, [tag] if tag else None)
        if search:
            words = search.casefold().split()
            lines = [(found, case_line(found)) for found in chosen]
            chosen = tuple(
                found
                for found, line in lines
                if all(word in f"{line.id} {line.user} {line.expects}".casefold() for word in words)
            )
        page = chosen[offset : offset + limit]
        whole: JsonValue = None
        if case:
            whole = chosen[0].model_dump(mode="json", exclude_defaults=True)
        return SuiteView(
            name=ready.name,
            description=ready.description,
            digest=ready.digest,
            tools=tuple(tool.name for tool in ready.tools_of(chosen[0] if chosen else ready.cases[0])),
            tracks=tuple(ready.tracks),
            total=len(chosen),
            cases=tuple(case_line(found) for found in page),
            next_offset=offset + limit if offset + limit < len(chosen) else None,
            case=whole,
        )

    async def inspect_tools(self, server: str, snapshot: Path | None = None) -> ToolsAnswer:
        """Tools of a configured MCP server: cost in tokens and lint; written down where a path is given.

        Raises:
            NotFoundError: the configuration names no such server.
            TargetError: the server does not answer as it should.
        """
        tools = await self.library.server_tools(server)
        from mcp_evals.tool_lint import lint_tools, token_cost  # few calls need it; the server starts without

        cost = token_cost(tools)
        findings = lint_tools(tools)
        if snapshot is not None:
            write_snapshot(snapshot, tools, server)
        return ToolsAnswer(
            server=server,
            total_tokens=cost.total_tokens,
            tools=tuple(
                ToolLine(name=each.tool, tokens=each.tokens, description=shorten(tool.description, DESCRIPTION))
                for each, tool in zip(cost.tools, tools, strict=True)
            ),
            findings=tuple(
                LintLine(severity=found.severity, tool=found.tool, message=found.message)
                for found in findings[:FINDINGS]
            ),
            more_findings=max(0, len(findings) - FINDINGS),
            snapshot=str(snapshot) if snapshot else None,
        )

    def _last_run(self, suite: str) -> LastRun | None:
        if "store" not in self.__dict__ and not (self.settings.data / STORE_FILE).exists():
            return None
        found = next((run for run in self.store.runs(suite=suite, limit=5) if run.status == "completed"), None)
        if found is None:
            return None
        return LastRun(run_id=found.id, target=found.target, pass_rate=self.summary(found.id)[0].pass_rate)


def _about(entry: SuiteEntry) -> str:
    return f"{entry.name} {entry.loaded.suite.description if entry.loaded else ''}".casefold()
