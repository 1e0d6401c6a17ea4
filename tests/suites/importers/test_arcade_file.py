"""An eval file is run elsewhere: what it prints, raises or leaves behind does no harm, and every failure says what to do."""

import os
import re
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from mcp_evals.commands import app
from mcp_evals.errors import NotFoundError, UsageError
from mcp_evals.suites.files import load_suite
from mcp_evals.suites.importers.arcade_file import run_arcade_file

PYTHON = Path(sys.executable)
HEAD = """
import os, subprocess, sys, time
from arcade_evals import *
def one_case(name="weather"):
    suite = EvalSuite(name=name, system_message="Help.")
    suite.add_case("oslo", "Weather in Oslo?", [Call("get_weather", {"city": "Oslo"})], [BinaryCritic("city")])
    return suite
"""
SUITE = "@tool_eval()\ndef weather(): return one_case()\n"


@pytest.fixture
def arcade(monkeypatch: pytest.MonkeyPatch) -> None:
    """This interpreter has an arcade-evals."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).with_name("fake_arcade")))


def eval_file(folder: Path, text: str) -> Path:
    path = folder / "eval_weather.py"
    path.write_text(HEAD + text)
    return path


def imported(file: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["import", "arcade", str(file), "--python", sys.executable, *more])


@pytest.mark.usefixtures("arcade")
def test_a_suite_comes_back_through_a_file_apart_from_what_is_printed(tmp_path: Path) -> None:
    file = eval_file(tmp_path, 'print("{}" * 100_000)\nos.write(1, b"\\xff")\n' + SUITE)

    found = run_arcade_file(file, PYTHON)

    assert ["weather"] == [suite["name"] for suite in found["suites"]]


@pytest.mark.usefixtures("arcade")
def test_the_command_writes_one_suite_to_the_file_that_is_named(tmp_path: Path) -> None:
    file = eval_file(tmp_path, SUITE)

    result = imported(file, "-o", str(tmp_path / "suite.yaml"))

    assert (0, f"{tmp_path / 'suite.yaml'}: 1 case\n") == (result.exit_code, result.stdout)
    assert ["oslo"] == [case.id for case in load_suite(tmp_path / "suite.yaml").suite.cases]


@pytest.mark.usefixtures("arcade")
def test_each_of_several_suites_gets_a_file_with_its_number_and_name(tmp_path: Path) -> None:
    more = "standing = one_case('Second suite')\n@tool_eval()\nasync def same(): return standing\n"
    file = eval_file(tmp_path, SUITE + more)

    result = imported(file, "-o", str(tmp_path / "suite.yaml"))

    assert 0 == result.exit_code
    assert ["eval_weather.py", "suite-1-weather.yaml", "suite-2-second-suite.yaml"] == sorted(
        path.name for path in tmp_path.iterdir() if path.is_file()
    )


@pytest.mark.usefixtures("arcade")
def test_a_case_that_no_file_can_hold_is_named_and_the_others_are_taken(tmp_path: Path) -> None:
    more = """
class Own(BinaryCritic): pass
mine = one_case()
mine.add_case("own", "x", [Call("get_weather", {"city": "Oslo"})], [Own("city")])
mine.add_case("pair", "x", [Call("get_weather", {"city": ("Oslo", "Rome")})])
mine.add_case("picture", [{"type": "image_url"}], [])
"""
    result = imported(eval_file(tmp_path, more), "-o", str(tmp_path / "suite.yaml"))

    assert 0 == result.exit_code
    assert [
        'left out: case "own" of "weather": the critic of `city` is a Own, which is code of its own',
        'left out: case "pair" of "weather": argument of get_weather: city is a tuple, which a suite file cannot hold',
        'left out: case "picture" of "weather": its user message is no text: [{"type": "image_url"}]',
    ] == result.stderr.splitlines()
    assert ["oslo"] == [case.id for case in load_suite(tmp_path / "suite.yaml").suite.cases]


def test_a_name_that_no_suite_can_have_is_told_before_the_file_is_run(tmp_path: Path) -> None:
    result = imported(eval_file(tmp_path, SUITE), "-o", str(tmp_path / "suite.txt"))

    assert (2, True) == (result.exit_code, "the name must end in .yaml" in result.stderr)


def test_an_interpreter_without_arcade_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no arcade-evals .*pip install 'arcade-mcp\[evals\]'"):
        run_arcade_file(eval_file(tmp_path, SUITE), PYTHON)


@pytest.mark.usefixtures("arcade")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "makes no suite"),
        ("1 / 0", r"raised ZeroDivisionError: division by zero\n(?s:.*)eval_weather.py(?s:.*)1 / 0"),
        ("sys.exit(3)", "raised SystemExit: 3\n"),
        ("def broken(:", "raised SyntaxError: "),
        ("@tool_eval()\ndef wrong(): return 5", "wrong returned int, not an EvalSuite"),
        ("print('going down', flush=True); os._exit(7)", "ended with code 7 (?s:.*)going down"),
    ],
)
def test_an_eval_file_that_makes_nothing_is_told_in_its_own_words(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run_arcade_file(eval_file(tmp_path, text), PYTHON)


@pytest.mark.usefixtures("arcade")
def test_a_file_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    sign = sign_of_life(tmp_path)

    with pytest.raises(UsageError, match=r"was not read in 3 s; give it more with --timeout; its last words:\nwaiting"):
        run_arcade_file(
            eval_file(tmp_path, SERVER + "print('waiting', flush=True)\ntime.sleep(600)"), PYTHON, timeout_s=3
        )

    assert b"" == os.read(sign, 1)


@pytest.mark.usefixtures("arcade")
def test_what_a_file_leaves_running_is_ended(tmp_path: Path) -> None:
    sign = sign_of_life(tmp_path)

    run_arcade_file(eval_file(tmp_path, SERVER + SUITE), PYTHON)

    assert b"" == os.read(sign, 1)


SERVER = """
opened = f"import time; kept = open({os.path.dirname(__file__)!r} + '/sign', 'w'); print('here', flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", opened], stdout=subprocess.PIPE).stdout.readline()
"""
"""Starts a process that keeps a file open as long as it lives."""


def sign_of_life(folder: Path) -> int:
    """A file to read from: it ends when the last process that keeps it open has ended."""
    os.mkfifo(folder / "sign")
    reading = os.open(folder / "sign", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reading, True)
    return reading


@pytest.mark.parametrize(
    ("file", "python", "message"),
    [("none.py", sys.executable, "no eval file none.py"), (__file__, "none/python", "no interpreter none/python")],
)
def test_a_path_that_is_not_there_is_told(file: str, python: str, message: str) -> None:
    with pytest.raises(NotFoundError, match=re.escape(message)):
        run_arcade_file(Path(file), Path(python))
