"""Runs an arcade eval file in the interpreter that has arcade-evals, and brings back what `arcade_export` writes of it.

Knows no suite of ours.
"""

import json
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import IO, Any, Final

from mcp_evals.errors import NotFoundError, UsageError
from mcp_evals.suites.messages import as_object

TIMEOUT_S: Final = 120.0
_LAST_WORDS: Final = 4000
"""Characters of what a file printed that an error shows."""


def run_arcade_file(file: Path, python: Path, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """The suites of the file, as `arcade_export` describes them; what the file starts is ended with it.

    Raises:
        NotFoundError: there is no such file or interpreter.
        UsageError: the interpreter has no arcade-evals, the file raises, hangs or makes no suite.
    """
    for path, what in ((file, "eval file"), (python, "interpreter")):
        if not path.is_file():
            raise NotFoundError(f"no {what} {path}")
    script = files("mcp_evals.suites.importers").joinpath("arcade_export.py").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="mcp-evals-") as folder, tempfile.TemporaryFile() as printed:
        answer = Path(folder, "answer.json")
        code = _run([str(python), "-c", script, str(file), str(answer)], printed, file, timeout_s)
        if not answer.exists():
            raise UsageError(f"{python} ended with code {code} before {file} was read{_last_words(printed)}")
        found = as_object(json.loads(answer.read_text(encoding="utf-8")))
    if "error" in found:
        raise UsageError(_explained(found, file, python))
    return found


def _run(command: list[str], printed: IO[bytes], file: Path, timeout_s: float) -> int:
    try:
        # A session of its own, so that the servers that the file starts can be ended with it.
        child = subprocess.Popen(  # noqa: S603  the user names the interpreter and the file
            command, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be run: {error.strerror or error}") from error
    try:
        return child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        message = f"{file} was not read in {timeout_s:g} s; give it more with --timeout"
        raise UsageError(message + _last_words(printed)) from None
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    if os.name == "posix":
        with suppress(ProcessLookupError, PermissionError):  # all of them have ended
            os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    child.wait()


def _explained(found: dict[str, Any], file: Path, python: Path) -> str:
    match found["error"]:
        case "no_arcade":
            return (
                f"{python} has no arcade-evals ({found['message']}); name the interpreter of the environment in which "
                "`pip install 'arcade-mcp[evals]'` was run"
            )
        case "no_suites":
            return f"{file} makes no suite: it has no function with @tool_eval() and no EvalSuite"
        case _:
            return f"{file} raised {found['message']}"


def _last_words(printed: IO[bytes]) -> str:
    length = printed.seek(0, os.SEEK_END)
    printed.seek(max(0, length - _LAST_WORDS))
    text = printed.read().decode(errors="replace").strip()
    return f"; its last words:\n{text}" if text else ""
