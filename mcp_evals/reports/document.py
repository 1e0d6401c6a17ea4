"""A report as values: what every form of it shows, whether text, Markdown, JSON, JUnit or HTML.

Two kinds: one run, or several side by side (models, tracks, the same target on two days). Pure: made from a run, its
suite and its trials; knows no store, no clock and no markup. Numbers count everything, also what is not shown.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import fsum, sqrt
from typing import Final, Literal, NamedTuple

from pydantic import Field, JsonValue

from mcp_evals.conversation import Message, ToolCall, Transcript, Usage
from mcp_evals.json_match import value_key
from mcp_evals.model import Model, canonical_json
from mcp_evals.results import (
    ArgumentCheck,
    CallStatus,
    CaseResult,
    Check,
    ComparisonTable,
    Judgement,
    Outcome,
    RunSummary,
    Trial,
    TrialError,
    Verdict,
)
from mcp_evals.suite import Case, Expect, ExpectedCall, Suite
from mcp_evals.views import call_text, case_line, run_answer


class CallRow(Model):
    """An expected call beside the one that was made."""

    turn: int | None = None
    """Index of the turn; None: of the whole conversation."""
    status: CallStatus | None = None
    """How the two stand to each other; None: nothing was expected of calls here."""
    expected: ToolCall | None = None
    """What was expected; critics may have allowed more than this."""
    actual: ToolCall | None = None
    """What the model called."""
    score: float | None = None
    """Share of full marks; None: it is not scored."""
    arguments: tuple[ArgumentCheck, ...] = ()
    """How each argument fits."""


class TrialReport(Model):
    """One trial with its evidence."""

    index: int
    """Number of the trial of its case, from 0."""
    phrasing: int = 0
    """Which way of asking."""
    seed: int | None = None
    """Seed that the target was given."""
    verdict: Verdict
    """Outcome."""
    score: float | None = None
    """From 0 to 1; None: it has none."""
    reason: str | None = None
    """The main reason of a verdict that is not `passed`, or the error's message."""
    error: TrialError | None = None
    """Why the trial could not be held."""
    calls: tuple[CallRow, ...] = ()
    """Expected calls beside those that were made, turn after turn."""
    checks: tuple[Check, ...] = ()
    """The evidence, one a line."""
    judgements: tuple[Judgement, ...] = ()
    """What a judge answered: who, how often, how sure, and whether it was compared with people."""
    answer: str = ""
    """The model's last words."""
    transcript: Transcript | None = None
    """What was said; None where nobody asked for it."""
    usage: Usage | None = None
    """Tokens of the target."""
    cost_usd: float | None = None
    """What they cost; None: unknown."""
    duration_s: float = 0.0
    """Seconds from start to end."""
    latency_s: float | None = None
    """Seconds spent waiting for the model; None: unknown."""
    self_scored: bool = False
    """Whether the subject gave itself the score."""


class Spread(Model):
    """One piece of evidence over the trials of a case that have a score."""

    name: str
    """The argument (`get_weather.city`), the call (`get_weather`), or the check (`text.contains`)."""
    trials: int
    """Trials in which it was evaluated; an argument of a call that never came counts as 0."""
    mean: float
    """Mean score."""
    deviation: float | None = None
    """Standard deviation of these scores, as of a whole population; None for one trial."""
    weight: float | None = None
    """Its weight; None: it is a gate, or the choice of the tool."""


class CaseReport(Model):
    """A case with its trials."""

    id: str
    """Name of the case."""
    description: str = ""
    """What it is about."""
    tags: tuple[str, ...] = ()
    """Its tags."""
    group: str | None = None
    """Cases of one group are counted once by the statistics."""
    asked: tuple[tuple[str, ...], ...] = ()
    """For each way of asking, the user's messages."""
    input: JsonValue = None
    """Body for an engine."""
    system: str | None = None
    """System prompt; only with transcripts."""
    history: tuple[Message, ...] = ()
    """What the conversation started from; only with transcripts."""
    expects: str = ""
    """What is expected, in a line, cut."""
    result: CaseResult | None = None
    """What the trials came to; None: none was held."""
    deviation: float | None = None
    """Standard deviation of the trials' scores, as of a whole population; None below two scores."""
    spreads: tuple[Spread, ...] = ()
    """How each piece of evidence varied, where several trials have a score."""
    trials: tuple[TrialReport, ...] = ()
    """The trials, in their order."""


class RunReport(Model):
    """One run."""

    kind: Literal["run"] = "run"
    """Kind of the report."""
    version: Literal[1] = 1
    """Version of this form."""
    description: str = ""
    """What the suite is about."""
    sentence: str
    """What the run came to, in plain words."""
    summary: RunSummary
    """The run and its numbers, over all cases; what each case came to stands with the case."""
    errors: dict[str, int] = Field(default_factory=dict[str, int])
    """Trials without a score, by kind."""
    latency_s: float | None = None
    """Mean seconds of a trial spent waiting for the model; None: unknown."""
    flaky: tuple[str, ...] = ()
    """Cases of which some trials pass and some fail."""
    notes: tuple[str, ...] = ()
    """What a reader has to know."""
    cases: tuple[CaseReport, ...] = ()
    """The cases that are shown, in the suite's order."""
    left_out: int = 0
    """Cases that pass and are not shown; the numbers count them."""
    next_step: str = ""
    """What to do next."""


class Difference(Model):
    """What one run did differently from the first, on one case."""

    what: str
    """An argument (`get_weather.city`), a call (`call 2`), a check, or `error`."""
    first: str | None = None
    """There; None: not at all."""
    here: str | None = None
    """Here; None: not at all."""


class Cell(Model):
    """One case in one of several runs."""

    result: CaseResult | None = None
    """What its trials came to; None: it has none, and `absent` says why."""
    deviation: float | None = None
    """Standard deviation of the trials' scores."""
    absent: Literal["not in this run", "not held yet"] | None = None
    """Why there is no result."""
    trial: int | None = None
    """The trial that the differences speak of: the one that tells most."""
    differences: tuple[Difference, ...] = ()
    """What this trial did differently from the first run's; empty for the first run."""


class Row(Model):
    """One case in all runs."""

    suite: str
    """Name of the suite."""
    case: str
    """Name of the case."""
    tags: tuple[str, ...] = ()
    """Its tags."""
    cells: tuple[Cell, ...]
    """One for each run, in their order."""
    best: tuple[str, ...] = ()
    """Names of the runs of which most trials pass, then of the highest mean score, all equals; empty where fewer than
    two have a score."""
    differs: bool = False
    """Whether the verdicts of the runs differ, or one has none."""


class SideBySide(Model):
    """The same cases in several runs: models, tracks, or days; with what may be claimed of the difference."""

    kind: Literal["side_by_side"] = "side_by_side"
    """Kind of the report."""
    version: Literal[1] = 1
    """Version of this form."""
    names: tuple[str, ...]
    """What each run is called here, no two alike."""
    runs: tuple[RunReport, ...]
    """Each run, with its cases and trials."""
    rows: tuple[Row, ...]
    """Every case of every run."""
    left_out: int = 0
    """Cases that pass in all runs and are not shown; the numbers count them."""
    best: tuple[str, ...] = ()
    """Names of the runs with the highest pass rate on the cases that all have a score for, all equals: what was seen,
    not what may be claimed."""
    comparison: ComparisonTable | None = None
    """What may be claimed; None: nobody asked."""
    notes: tuple[str, ...] = ()
    """What makes the runs less comparable."""


Report = RunReport | SideBySide


def run_report(
    summary: RunSummary,
    outcomes: Sequence[Outcome],
    suite: Suite,
    trials: Iterable[Trial],
    *,
    transcripts: bool = False,
    only_lost: bool = False,
) -> RunReport:
    """One run; `suite` is the one that scored it, on its track. `only_lost` leaves out the cases that pass."""
    answer = run_answer(summary, outcomes)
    waits = [outcome.latency_s for outcome in outcomes if outcome.latency_s is not None]
    results = {result.case_id: result for result in summary.results}
    by_id = {case.id: case for case in suite.cases}
    held = [case_id for case_id in summary.run.case_ids if case_id in by_id]
    shown = [case_id for case_id in held if not only_lost or _lost(results.get(case_id))]
    by_case: dict[str, list[TrialReport]] = {case_id: [] for case_id in shown}
    for trial in trials:
        if trial.case_id in by_case:
            by_case[trial.case_id].append(trial_report(by_id[trial.case_id], trial, transcript=transcripts))
    return RunReport(
        description=suite.description,
        sentence=answer.verdict,
        summary=summary.model_copy(update={"results": ()}),
        errors=answer.errors,
        latency_s=fsum(waits) / len(waits) if waits else None,
        flaky=tuple(result.case_id for result in summary.results if result.flaky),
        notes=answer.notes,
        cases=tuple(
            _case_report(by_id[case_id], suite, by_case[case_id], results.get(case_id), transcripts=transcripts)
            for case_id in shown
        ),
        left_out=len(held) - len(shown),
        next_step=answer.next_step,
    )


def trial_report(case: Case, trial: Trial, *, transcript: bool = False) -> TrialReport:
    """One trial with its evidence."""
    score = trial.score
    return TrialReport(
        index=trial.index,
        phrasing=trial.phrasing,
        seed=trial.seed,
        verdict=trial.verdict,
        score=score.score if score else None,
        reason=score.reason if score else trial.error.message if trial.error else "not scored yet",
        error=trial.error,
        calls=tuple(_call_rows(case, trial)),
        checks=score.checks if score else (),
        judgements=trial.judgements,
        answer=trial.transcript.final_text if trial.transcript else "",
        transcript=trial.transcript if transcript else None,
        usage=trial.usage,
        cost_usd=trial.cost_usd,
        duration_s=trial.duration_s,
        latency_s=trial.transcript.latency_s if trial.transcript else None,
        self_scored=trial.self_scored,
    )


def side_by_side(
    runs: Sequence[RunReport],
    names: Sequence[str],
    comparison: ComparisonTable | None = None,
    *,
    only_lost: bool = False,
) -> SideBySide:
    """Several runs on the cases of all of them; the first is the one that the others are held against.

    `only_lost` leaves out the cases that pass in all runs.
    """
    keys = list(dict.fromkeys((run.summary.run.suite, case.id) for run in runs for case in run.cases))
    found = [{(run.summary.run.suite, case.id): case for case in run.cases} for run in runs]
    rows = [_row(key, runs, [cases.get(key) for cases in found], names) for key in keys]
    shown = [row for row in rows if not only_lost or any(_lost(cell.result) for cell in row.cells)]
    return SideBySide(
        names=tuple(names),
        runs=tuple(_without(run, shown) for run in runs) if len(shown) < len(rows) else tuple(runs),
        rows=tuple(shown),
        left_out=len(rows) - len(shown),
        best=_most_passed(rows, names),
        comparison=comparison,
        notes=tuple(_unlike(runs)),
    )


def shown_trial(case: CaseReport) -> TrialReport | None:
    """The trial that tells most: the first that failed, else warned, else passed, else could not be held."""
    return min(case.trials, key=lambda trial: (_TELLING.index(trial.verdict), trial.index), default=None)


_TELLING: Final[tuple[Verdict, ...]] = ("failed", "warned", "passed", "errored")


def _case_report(
    case: Case, suite: Suite, trials: Sequence[TrialReport], result: CaseResult | None, *, transcripts: bool
) -> CaseReport:
    ordered = tuple(sorted(trials, key=lambda trial: trial.index))
    asked = (case.scenario.opening,) if case.scenario else ()
    return CaseReport(
        id=case.id,
        description=case.description,
        tags=case.tags,
        group=case.group,
        asked=tuple(case.user_turns(phrasing) or asked for phrasing in range(case.phrasings)),
        input=case.input,
        system=suite.system_of(case) if transcripts else None,
        history=case.history if transcripts else (),
        expects=case_line(case).expects,
        result=result,
        deviation=_deviation([trial.score for trial in ordered if trial.score is not None]),
        spreads=tuple(_spreads(ordered)),
        trials=ordered,
    )


# --- calls


def _call_rows(case: Case, trial: Trial) -> Iterator[CallRow]:
    """The alignment of each turn, then of the whole conversation, and calls that nothing was expected of."""
    made = trial.transcript.trajectory if trial.transcript else ()
    parts = _parts(case, trial)
    seen: set[int] = set()
    for part, aligned in zip(parts, trial.score.calls if trial.score else (), strict=False):
        for row in aligned:
            place = None if row.actual is None else part.start + row.actual
            seen |= set() if place is None else {place}
            wanted = part.expect.all_calls
            yield CallRow(
                turn=part.turn,
                status=row.status,
                expected=_wanted(wanted[row.expected]) if row.expected is not None else None,
                actual=made[place] if place is not None and place < len(made) else None,
                score=row.score,
                arguments=row.arguments,
            )
    for place, call in enumerate(made):
        if place not in seen:
            turns = [part.turn for part in parts if part.turn is not None and part.start <= place]
            yield CallRow(turn=turns[-1] if turns else None, actual=call)


class _Part(NamedTuple):
    turn: int | None
    expect: Expect
    start: int
    """Place of its first call among all calls of the conversation."""


def _parts(case: Case, trial: Trial) -> list[_Part]:
    """What the scorer looked at, in its order: each turn, then the whole conversation."""
    if not case.turns:
        return [_Part(None, case.expect, 0)]
    said = trial.transcript.invocations if trial.transcript else ()
    starts = [sum(len(before.trajectory) for before in said[:index]) for index in range(len(case.turns))]
    turns = [_Part(index, turn.expect, starts[index]) for index, turn in enumerate(case.turns)]
    return [*turns, _Part(None, case.expect, 0)]


def _wanted(call: ExpectedCall) -> ToolCall:
    return ToolCall(name=call.tool, arguments=call.args)


# --- several trials


def _spreads(trials: Sequence[TrialReport]) -> Iterator[Spread]:
    """Every expected call, its arguments, and every other check, over the trials that have a score."""
    scored = [trial for trial in trials if trial.score is not None]
    if len(scored) < 2:
        return
    rows = [_expected_rows(trial) for trial in scored]
    for name in dict.fromkeys(name for found in rows for name in found):
        there = [found[name] for found in rows if name in found]
        yield _spread(name, [float(row.status in _RIGHT_TOOL) for row in there], None)
        for field in dict.fromkeys(check.field for row in there for check in row.arguments):
            checks = [next((check for check in row.arguments if check.field == field), None) for row in there]
            weights = [check.weight for check in checks if check is not None]
            scores = [check.score if check else 0.0 for check in checks]
            yield _spread(f"{name}.{field}", scores, max(weights))
    named = [_named_checks(trial) for trial in scored]
    for name in dict.fromkeys(name for found in named for name in found):
        checks = [found[name] for found in named if name in found]
        scores = [check.score for check in checks if check.score is not None]
        if scores:
            yield _spread(name, scores, checks[0].weight)


_RIGHT_TOOL: Final = frozenset({"matched", "wrong_argument", "out_of_order"})


def _expected_rows(trial: TrialReport) -> dict[str, CallRow]:
    """The expected calls by a name that tells equal ones apart: `get_weather`, `get_weather 2`, `turn 2: …`."""
    found: dict[str, CallRow] = {}
    for row in trial.calls:
        if row.expected is not None:
            found[_numbered(_of_turn(row.expected.name, row.turn), found)] = row
    return found


def _named_checks(trial: TrialReport) -> dict[str, Check]:
    found: dict[str, Check] = {}
    for check in trial.checks:
        if not check.name.startswith("call."):
            found[_numbered(_of_turn(check.name, check.turn), found)] = check
    return found


def _of_turn(name: str, turn: int | None) -> str:
    return name if turn is None else f"turn {turn + 1}: {name}"


def _numbered(name: str, taken: Mapping[str, object]) -> str:
    number = 1
    while (name if number == 1 else f"{name} {number}") in taken:
        number += 1
    return name if number == 1 else f"{name} {number}"


def _spread(name: str, scores: Sequence[float], weight: float | None) -> Spread:
    mean = fsum(scores) / len(scores)
    return Spread(name=name, trials=len(scores), mean=mean, deviation=_deviation(scores), weight=weight)


def _deviation(scores: Sequence[float]) -> float | None:
    if len(scores) < 2:
        return None
    mean = fsum(scores) / len(scores)
    return sqrt(fsum((score - mean) ** 2 for score in scores) / len(scores))


# --- several runs


def _row(
    key: tuple[str, str], runs: Sequence[RunReport], cases: Sequence[CaseReport | None], names: Sequence[str]
) -> Row:
    first = cases[0]
    cells = tuple(
        _cell(key, run, case, first if place else None)
        for place, (run, case) in enumerate(zip(runs, cases, strict=True))
    )
    marks = [_mark(cell) for cell in cells]
    return Row(
        suite=key[0],
        case=key[1],
        tags=next(case.tags for case in cases if case is not None),
        cells=cells,
        best=_highest(marks, names) if len(marks) - marks.count(None) > 1 else (),
        differs=len({cell.result.verdict if cell.result else None for cell in cells}) > 1,
    )


def _without(run: RunReport, rows: Sequence[Row]) -> RunReport:
    shown = {(row.suite, row.case) for row in rows}
    cases = tuple(case for case in run.cases if (run.summary.run.suite, case.id) in shown)
    return run.model_copy(update={"cases": cases, "left_out": len(run.cases) - len(cases)})


def _cell(key: tuple[str, str], run: RunReport, case: CaseReport | None, first: CaseReport | None) -> Cell:
    held = run.summary.run
    if case is None or case.result is None:
        there = key[0] == held.suite and key[1] in held.case_ids
        return Cell(absent="not held yet" if there else "not in this run")
    shown = shown_trial(case)
    other = shown_trial(first) if first else None
    return Cell(
        result=case.result,
        deviation=case.deviation,
        trial=shown.index if shown else None,
        differences=tuple(_differences(other, shown)) if other and shown else (),
    )


def _differences(first: TrialReport, here: TrialReport) -> Iterator[Difference]:
    """Calls and arguments that differ, then checks whose score differs."""
    if first.error or here.error:
        kinds = [trial.error.kind if trial.error else None for trial in (first, here)]
        if kinds[0] != kinds[1]:
            yield Difference(what="error", first=kinds[0], here=kinds[1])
        return
    calls = [_expected_rows(trial) for trial in (first, here)]
    for name in dict.fromkeys([*calls[0], *calls[1]]):
        yield from _call_differences(name, *(_made(found.get(name)) for found in calls))
    surplus = [[row.actual for row in trial.calls if row.expected is None] for trial in (first, here)]
    for place in range(max(len(calls) for calls in surplus)):
        pair = [calls[place] if place < len(calls) else None for calls in surplus]
        yield from _call_differences(f"further call {place + 1}", *pair)
    checks = [_named_checks(trial) for trial in (first, here)]
    for name in dict.fromkeys([*checks[0], *checks[1]]):
        scores = [found[name].score if name in found else None for found in checks]
        if scores[0] != scores[1] and all(name in found for found in checks):
            yield Difference(what=name, first=_points(scores[0]), here=_points(scores[1]))


def _call_differences(what: str, first: ToolCall | None, here: ToolCall | None) -> Iterator[Difference]:
    if first is None or here is None or first.name != here.name:
        if first is not here:
            shown = [None if call is None else call_text(call.name, call.arguments) for call in (first, here)]
            yield Difference(what=what, first=shown[0], here=shown[1])
        return
    one, two = first.arguments, here.arguments
    if isinstance(one, str) or isinstance(two, str):
        if one != two:
            yield Difference(what=what, first=call_text(first.name, one), here=call_text(here.name, two))
        return
    for field in dict.fromkeys([*one, *two]):
        if field in one and field in two and value_key(one[field]) == value_key(two[field]):
            continue
        values = [canonical_json(given[field]) if field in given else None for given in (one, two)]
        yield Difference(what=f"{what}.{field}", first=values[0], here=values[1])


def _made(row: CallRow | None) -> ToolCall | None:
    return row.actual if row else None


def _points(score: float | None) -> str | None:
    return None if score is None else f"{score:.2f}"


def _most_passed(rows: Sequence[Row], names: Sequence[str]) -> tuple[str, ...]:
    marks = [[_mark(cell) for cell in row.cells] for row in rows]
    common = [row for row in marks if None not in row]
    rates = [_Mark(fsum(mark.passed for mark in column if mark), 0.0) for column in zip(*common, strict=True)]
    return _highest(rates, names) if rates else ()


class _Mark(NamedTuple):
    """What a case came to, for a ranking: a gate fails trials whose score is high."""

    passed: float
    score: float


def _mark(cell: Cell) -> _Mark | None:
    result = cell.result
    if result is None or result.score is None:
        return None
    return _Mark(result.passed / (result.trials - result.errored), result.score)


def _highest(marks: Sequence[_Mark | None], names: Sequence[str]) -> tuple[str, ...]:
    best = max(mark for mark in marks if mark is not None)
    return tuple(name for name, mark in zip(names, marks, strict=True) if mark == best)


def _unlike(runs: Sequence[RunReport]) -> Iterator[str]:
    heads = [run.summary.run for run in runs]
    if len({head.suite for head in heads}) > 1:
        yield "the runs are of different suites; only cases of one suite stand in one row"
    elif len({head.suite_digest for head in heads}) > 1:
        yield "the suite was changed between these runs"
    unfinished = [head.id for head in heads if head.status != "completed"]
    if unfinished:
        yield f"not completed: {', '.join(unfinished)}"
    trials = [head.settings.trials for head in heads]
    if len(set(trials)) > 1:
        yield f"trials of each case differ: {', '.join(str(count) for count in trials)}"


def _lost(result: CaseResult | None) -> bool:
    return result is None or result.verdict in {"failed", "errored"}
