"""What all commands share: the application, common options, errors and exit codes, the progress bar, output.

Exit codes: 0 all passed, 1 some failed, 2 the call or a file is wrong, 3 trials errored, 4 undecided.
"""

import re
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final, Literal, ParamSpec, TypeVar

import anyio
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mcp_evals.errors import EvalsError
from mcp_evals.model import Model
from mcp_evals.reports.text import answer_text
from mcp_evals.runner import TrialEvent
from mcp_evals.settings import load_settings
from mcp_evals.whole_files import write_whole
from mcp_evals.workspace import Workspace, open_workspace

app = typer.Typer(
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Evals for models, prompts and tool descriptions. Without a command: serve MCP over stdio.",
)

PASSED, FAILED, WRONG, ERRORED = 0, 1, 2, 3

Config = Annotated[
    Path | None, typer.Option("--config", help="Configuration file; default mcp-evals.toml, found upward.")
]
Suites = Annotated[list[Path] | None, typer.Option("--suites", help="Folder with suites; may be repeated.")]
Servers = Annotated[Path | None, typer.Option("--servers", help="A host's mcpServers file.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file instead of the terminal.")]
TextOrJson = Annotated[Literal["text", "json"], typer.Option("--format", help="Form of the output.")]

P = ParamSpec("P")
R = TypeVar("R")


def told(command: Callable[P, None]) -> Callable[P, None]:
    """Errors as one message on stderr and exit code 2."""

    @wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except EvalsError as error:
            print(error, file=sys.stderr)
            raise typer.Exit(WRONG) from None
        except KeyboardInterrupt:
            print("interrupted; what was done is stored, --resume goes on", file=sys.stderr)
            raise typer.Exit(130) from None

    return told


def named_suite(suite: str) -> str | Path:
    """A suite's name, or its file: only the command line takes paths, for its user chose them."""
    path = Path(suite)
    return path if path.suffix and path.is_file() else suite


def with_workspace(
    go: Callable[[Workspace], Awaitable[R]],
    config: Path | None,
    suites: list[Path] | None = None,
    servers: Path | None = None,
    limits: dict[str, Any] | None = None,
) -> R:
    settings = load_settings(config=config, suites=tuple(suites or ()), servers=servers, limits=limits)

    async def opened() -> R:
        async with open_workspace(settings) as workspace:
            return await go(workspace)

    # Without it, SIGTERM would leave the servers of a run behind; an interrupted run ends them.
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return anyio.run(opened)
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)


class progress_bar:  # noqa: N801  reads as what it is: `with progress_bar() as hear`
    """A progress bar on a terminal, nothing elsewhere; plain lines go to stderr, so that output can be piped."""

    def __enter__(self) -> Callable[[TrialEvent], None]:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._progress.start()
        self._task = self._progress.add_task("trials", total=None)
        self._plain = not console.is_terminal
        return self._hear

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _hear(self, event: TrialEvent) -> None:
        self._progress.update(self._task, advance=1, description=event.case_id[:30])
        if self._plain:
            reason = f": {event.reason}" if event.reason else ""
            print(f"{event.verdict} {event.case_id} trial {event.index}{reason}", file=sys.stderr)


def show(answer: Model, form: str, output: Path | None) -> None:
    """Write an answer; as text, with the next step as a command."""
    if form == "json":
        write(answer.model_dump_json(indent=2, exclude_none=True), output)
    else:
        write(_CALL.sub(lambda call: _as_command(call["tool"], call["run"], call["more"]), answer_text(answer)), output)


_CALL: Final = re.compile(r'(?P<tool>get_run|control_run|judge_run)\(run_id="(?P<run>[^"]+)"(?P<more>[^()\n]*)\)')


def _as_command(tool: str, run: str, more: str) -> str:
    """What an agent would call, as a person types it."""
    if tool == "judge_run":
        return f"mcp-evals judge questions {run}"
    if "rescore" in more:
        return f"mcp-evals rescore {run}"
    if tool == "control_run":
        return f"mcp-evals run --resume {run}" + (" --errored" if "rerun_errored" in more else "")
    case = re.search(r'case="([^"]+)"', more)
    return f"mcp-evals report {run}" + (f" --case {case[1]}" if case else "")


def write(text: str, output: Path | None) -> None:
    if output is None:
        print(text)
    else:
        write_whole(output, text + "\n")
        print(output)
