"""Commands that turn the cases of other tools into a suite file."""

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue

from mcp_evals.commands.door import app, told
from mcp_evals.errors import UsageError
from mcp_evals.suites.documents import form_of
from mcp_evals.suites.importers.arcade import read_arcade_suites
from mcp_evals.suites.importers.arcade_file import TIMEOUT_S
from mcp_evals.suites.importers.bfcl import read_bfcl, read_bfcl_outputs
from mcp_evals.suites.importers.engine import read_engine_cases
from mcp_evals.suites.importers.evalsets import read_eval_set
from mcp_evals.suites.saving import write_suite
from mcp_evals.targets.recorded import RecordedTrial, write_recording
from mcp_evals.text import plural

importing = typer.Typer(no_args_is_help=True, help="Turn cases of other tools into a suite file.")
app.add_typer(importing, name="import")


@importing.command("bfcl")
@told
def import_bfcl(
    file: Annotated[Path, typer.Argument(help="Cases: JSON lines, also gzipped, or a file of the package bfcl-eval.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The suite file to write.")],
    category: Annotated[str | None, typer.Option(help="Only cases of this category.")] = None,
    outputs: Annotated[Path | None, typer.Option(help="Recorded outputs of a model on these cases.")] = None,
    record: Annotated[Path | None, typer.Option(help="Write the outputs here, as a recording.")] = None,
) -> None:
    """Cases of the Berkeley Function-Calling Leaderboard, and recorded outputs of models on them."""
    suite = read_bfcl(file, category)
    write_suite(suite, output)
    print(f"{output}: {len(suite.cases)} case{plural(len(suite.cases))}")
    if outputs and record:
        known = {case.id for case in suite.cases}
        rows = (RecordedTrial(case=case, transcript=said) for case, said in read_bfcl_outputs(outputs) if case in known)
        print(f"{record}: {write_recording(record, {'outputs': outputs.name, 'suite': suite.name}, rows)} trials")
    elif outputs or record:
        raise UsageError("--outputs and --record go together")


@importing.command("engine")
@told
def import_engine(
    file: Annotated[Path, typer.Argument(help="Cases as JSON, JSON lines or YAML.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The suite file to write.")],
) -> None:
    """Cases of the agent engine harness: id, category, input, expected."""
    suite = read_engine_cases(file)
    write_suite(suite, output)
    print(f"{output}: {len(suite.cases)} case{plural(len(suite.cases))}")


@importing.command("arcade")
@told
def import_arcade(
    file: Annotated[Path, typer.Argument(help="Eval file, such as eval_weather.py; it is run.")],
    python: Annotated[Path, typer.Option(help="Interpreter that has arcade-evals installed.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The suite file to write; each of several gets a number and its name."),
    ],
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds that the eval file may take.")] = TIMEOUT_S,
) -> None:
    """Suites of an arcade-evals file, scored by arcade's rules."""
    form_of(output)  # tells a wrong name before the file is run
    found = read_arcade_suites(file, python, timeout_s)
    for number, suite in enumerate(found.suites, start=1):
        name = re.sub(r"\W+", "-", suite.name.lower()).strip("-")
        path = output if len(found.suites) == 1 else output.with_stem(f"{output.stem}-{number}-{name}".rstrip("-"))
        write_suite(suite, path)
        print(f"{path}: {len(suite.cases)} case{plural(len(suite.cases))}")
    for reason in found.left_out:
        print(f"left out: {reason}", file=sys.stderr)


@importing.command("evalset")
@told
def import_evalset(
    file: Annotated[
        Path,
        typer.Argument(
            help="Eval set of gemini-rs or ADK (also legacy), LangChain trajectory, trace, or message transcript."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The suite file to write.")],
    config: Annotated[
        Path | None, typer.Option(help="Criteria: a test_config.json; for ADK the one beside the file without it.")
    ] = None,
    session: Annotated[Path | None, typer.Option(help="ADK session from whose state the cases start.")] = None,
    actual: Annotated[
        Path | None, typer.Option(help="What was done: a trace or transcripts, paired by the user messages.")
    ] = None,
    record: Annotated[Path | None, typer.Option(help="Write what was done here, as a recording.")] = None,
) -> None:
    """Eval sets and conversations of other systems, in whichever form; says which it saw and what it left out."""
    found = read_eval_set(file, config=config, session=session, actual=actual)
    if record and not found.done:
        raise UsageError(f"{file} ({found.form}) does not tell what was done; name a trace or transcripts by --actual")
    write_suite(found.suite, output)
    print(f"{output}: {len(found.suite.cases)} cases ({found.form})")
    if record:
        counts: Counter[str] = Counter()
        rows: list[RecordedTrial] = []
        for case, said in found.done:
            rows.append(RecordedTrial(case=case, trial=counts[case], transcript=said))
            counts[case] += 1
        about: dict[str, JsonValue] = {"actual": (actual or file).name, "suite": found.suite.name}
        print(f"{record}: {write_recording(record, about, rows)} trials")
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
