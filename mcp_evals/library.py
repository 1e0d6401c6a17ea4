"""The user's suites: found below the configured folders, loaded when asked for, their tools filled in.

Knows no run and no score.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mcp_evals.conversation import ToolDefinition, tool_name_problems
from mcp_evals.errors import InvalidFileError, NotFoundError, Problem, UsageError, did_you_mean
from mcp_evals.live_tools import ServerSettings, ToolCache, fetch_tools
from mcp_evals.settings import BUILT_IN_SUITES, Settings
from mcp_evals.suite import Case, ServerTools, Suite, ToolSource
from mcp_evals.suites.files import KnownFiles, SuiteEntry, find_suites, load_suite, resolve_tools
from mcp_evals.suites.reading import LoadedSuite
from mcp_evals.targets.schemas import wire_name

SERVER_TIMEOUT_S = 30.0


class ReadySuite(NamedTuple):
    """A suite that can be run: nothing in it refers to a file or server any more."""

    suite: Suite
    loaded: LoadedSuite
    """The suite as its file has it, which knows its lines."""
    servers: tuple[str, ...]
    """Configured servers that its tools came from."""


class Library:
    """Finds suites by name; a suite file that has not changed is not read twice."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tools = ToolCache()
        self._known: KnownFiles = {}

    def entries(self) -> Sequence[SuiteEntry]:
        """Every suite file, broken ones with their problems."""
        return find_suites(self._settings.folders, self._known)

    def entry(self, name: str) -> SuiteEntry:
        """The suite of that name.

        Raises:
            NotFoundError: there is none.
            InvalidFileError: it is broken, or its name is not unique.
        """
        entries = self.entries()
        found = [entry for entry in entries if entry.name == name]
        if not found:
            names = sorted(entry.name for entry in entries)
            raise NotFoundError(f'no suite "{name}"{did_you_mean(name, names)} (list_suites shows them all)')
        problems = [problem for entry in found for problem in entry.problems]
        if problems:
            raise InvalidFileError(problems)
        return found[0]

    def suite(self, name: str) -> Suite:
        """The suite as its file has it; tools may still refer to files and servers."""
        loaded = self.entry(name).loaded
        assert loaded is not None  # noqa: S101  an entry without problems is loaded
        return loaded.suite

    async def ready(self, name: str | Path) -> ReadySuite:
        """The suite with its tools filled in, from files and servers.

        Raises:
            NotFoundError: no such suite, tool file or configured server.
            InvalidFileError: the suite or a tool file is broken, or two tools share a name at a provider.
        """
        if isinstance(name, Path):
            loaded = load_suite(name)
        else:
            found = self.entry(name).loaded
            assert found is not None  # noqa: S101  an entry without problems is loaded
            loaded = found
        suite, folder = loaded.suite, loaded.path.parent
        servers = await self._servers(suite)

        def resolved(sources: Sequence[ToolSource]) -> tuple[ToolDefinition, ...]:
            tools = resolve_tools(sources, folder, lambda source: _chosen(source, servers[source.server]))
            for origin in {tool.origin for tool in tools if tool.origin is not None}:
                self._configured(origin)
            problems = tool_name_problems(tools, wire_name)
            if problems:
                raise InvalidFileError(problem._replace(file=str(loaded.path)) for problem in problems)
            return tools

        def ready_case(case: Case) -> Case:
            return case if case.tools is None else case.model_copy(update={"tools": resolved(case.tools)})

        filled = suite.model_copy(
            update={
                "tools": resolved(suite.tools),
                "tracks": {track: resolved(sources) for track, sources in suite.tracks.items()},
                "cases": tuple(ready_case(case) for case in suite.cases),
            }
        )
        return ReadySuite(filled, loaded, tuple(servers))

    def is_built_in(self, entry: SuiteEntry) -> bool:
        """Whether the suite comes with the package."""
        return entry.path.is_relative_to(BUILT_IN_SUITES)

    async def server_tools(self, name: str) -> tuple[ToolDefinition, ...]:
        """Tools of a configured server, asked at most once in a while.

        Raises:
            NotFoundError: the configuration names no such server.
            TargetError: the server does not answer as it should.
        """
        settings = self._configured(name)
        return await self._tools.get(name, settings, lambda: fetch_tools(name, settings, SERVER_TIMEOUT_S))

    def _configured(self, server: str) -> ServerSettings:
        settings = self._settings.servers.get(server)
        if settings is None:
            where = self._settings.file or "mcp-evals.toml"
            raise NotFoundError(
                f'no server "{server}" is configured{did_you_mean(server, sorted(self._settings.servers))}. '
                f"Add [servers.{server}] to {where}, or start with --servers FILE (a host's mcpServers file)"
            )
        return settings

    async def _servers(self, suite: Suite) -> dict[str, tuple[ToolDefinition, ...]]:
        sources = [*suite.tools, *(source for track in suite.tracks.values() for source in track)]
        sources += [source for case in suite.cases for source in case.tools or ()]
        names = dict.fromkeys(source.server for source in sources if isinstance(source, ServerTools))
        return {name: await self.server_tools(name) for name in names}


def on_track(suite: Suite, track: str | None) -> Suite:
    """The suite as it is on a track.

    Raises:
        NotFoundError: it has no track of that name.
    """
    if track is not None and track not in suite.tracks:
        raise NotFoundError(f'suite "{suite.name}" has no track "{track}"{did_you_mean(track, list(suite.tracks))}')
    return suite.on_track(track)


def select_cases(suite: Suite, ids: Sequence[str] | None = None, tags: Sequence[str] | None = None) -> tuple[Case, ...]:
    """The cases with these ids, or with one of these tags; all where neither is given.

    Raises:
        NotFoundError: an id or tag that no case has.
        UsageError: nothing is left.
    """
    known = {case.id: case for case in suite.cases}
    for case_id in ids or ():
        if case_id not in known:
            raise NotFoundError(f'no case "{case_id}" in suite "{suite.name}"{did_you_mean(case_id, list(known))}')
    there = {tag for case in suite.cases for tag in case.tags}
    for tag in tags or ():
        if tag not in there:
            raise NotFoundError(
                f'no case in suite "{suite.name}" has the tag "{tag}"{did_you_mean(tag, sorted(there))}'
            )
    wanted = set(ids or known)
    cases = tuple(case for case in suite.cases if case.id in wanted and (not tags or {*tags} & {*case.tags}))
    if not cases:
        raise UsageError(f'suite "{suite.name}" has no case to run')
    return cases


def _chosen(source: ServerTools, tools: tuple[ToolDefinition, ...]) -> tuple[ToolDefinition, ...]:
    offered = tuple(tool.model_copy(update={"origin": source.server}) for tool in tools)
    if source.only is None:
        return offered
    names = [tool.name for tool in tools]
    missing = [name for name in source.only if name not in names]
    if missing:
        problem = f'server "{source.server}" has no tool "{missing[0]}"{did_you_mean(missing[0], names)}'
        raise InvalidFileError([Problem(problem)])
    return tuple(tool for tool in offered if tool.name in source.only)
