"""Two runs become paired tables, and the statistics of these a verdict in plain words.

Refuses what cannot be compared, and says what would make it comparable. Knows no store, no target and no clock.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from mcp_evals.errors import UsageError
from mcp_evals.model import digest
from mcp_evals.results import (
    Arm,
    ChangedCase,
    Comparison,
    ComparisonTable,
    ComparisonVerdict,
    Estimate,
    Flag,
    Metric,
    Outcome,
    Run,
)
from mcp_evals.scoring.trials import result_of_trials
from mcp_evals.suite import Case, Suite

SHOWN: Final = 10
"""Changed cases that an answer names on each side."""
SMALL: Final = 30
"""Below so many cases the sentence begins with a warning."""


class RunData(NamedTuple):
    """A run with what it was scored with."""

    run: Run
    suite: Suite
    """As it is on the run's track."""
    outcomes: Sequence[Outcome]

    @property
    def name(self) -> str:
        """The target, with the track where there is one."""
        return f"{self.run.target} on {self.run.track}" if self.run.track else self.run.target


def compare_runs(
    runs: Sequence[RunData],
    *,
    metric: Metric = "passed",
    margin: float = 0.05,
    effect: float | None = None,
    all_pairs: bool = False,
) -> ComparisonTable:
    """The first run is the baseline; every other is compared with it on the cases that all have.

    Several comparisons are corrected by Holm. Formulas: `stats.paired.compare_paired`, `stats.families.compare_several`.

    Raises:
        UsageError: fewer than two runs, or the margin is not in 0..1.
    """
    from mcp_evals.stats.families import compare_several, compare_tags  # brings numpy and scipy
    from mcp_evals.stats.multiple import rank_ranges

    if len(runs) < 2:
        raise UsageError("a comparison needs two runs or targets")
    names = _distinct_names(runs)
    refusal = next((text for run in runs[1:] if (text := _not_comparable(runs[0], run))), None)
    ids = tuple(run.run.id for run in runs)
    if refusal:
        refused = Comparison(verdict="not_comparable", sentence=refusal, metric=metric, margin=margin)
        return ComparisonTable(sentence=refusal, comparisons=(refused,), runs=ids, next_step=_make_comparable(runs))
    cases = _common_cases(runs)
    tables = [_table(run, cases, metric) for run in runs]
    groups = _groups(cases)
    pairs = [(0, other) for other in range(1, len(runs))]
    if all_pairs:
        pairs = [(a, b) for a in range(len(runs)) for b in range(a + 1, len(runs))]
    binary = metric == "passed"
    results = compare_several(tables, pairs, binary=binary, groups=groups, margin=margin, effect=effect)
    left_out = _left_out(runs, cases)
    comparisons = tuple(
        _comparison(_Pair(runs[a], runs[b], names[a], names[b]), result, cases, metric, left_out)
        for (a, b), result in zip(pairs, results, strict=True)
    )
    by_tag: dict[str, str] = {}
    if len(runs) == 2:
        tags = _tag_rows(cases)
        found = compare_tags(tables[0], tables[1], tags, binary=binary, groups=groups, margin=margin) if tags else {}
        by_tag = {tag: _tag_line(result) for tag, result in found.items() if result.difference}
    ranks: dict[str, str] = {}
    if len(runs) > 2:
        beats = [
            (b, a) if r.verdict == "better" else (a, b)
            for (a, b), r in zip(pairs, results, strict=True)
            if r.verdict in {"better", "worse"}
        ]
        ranks = {
            names[arm]: f"{span.best}" if span.best == span.worst else f"{span.best}-{span.worst}"
            for arm, span in enumerate(rank_ranges(len(runs), beats))
        }
    sentence = comparisons[0].sentence if len(comparisons) == 1 else _several(comparisons)
    return ComparisonTable(
        sentence=sentence,
        comparisons=comparisons,
        ranks=ranks,
        by_tag=by_tag,
        runs=ids,
        next_step=comparisons[0].next_step,
    )


def gate_exit_code(table: ComparisonTable) -> int:
    """0 pass, 1 fail, 4 undecided, 3 where errors decide or nothing can be compared: worst comes first."""
    codes = [_gate_code(comparison) for comparison in table.comparisons]
    return next((code for code in (3, 1, 4) if code in codes), 0)


def loosened(old: Suite, new: Suite) -> tuple[str, ...]:
    """Where `new` asks less of the same cases than `old` does, one line each."""
    lines: list[str] = []
    before = {case.id: case for case in old.cases}
    for case in new.cases:
        earlier = before.get(case.id)
        if earlier is not None and _scoring(old, earlier) != _scoring(new, case):
            lines += [f"{case.id}: {line}" for line in _looser(old, earlier, new, case)]
    gone = [case_id for case_id in before if case_id not in {case.id for case in new.cases}]
    return (*lines, *([f"{len(gone)} cases are gone: {', '.join(gone[:5])}"] if gone else []))


# --- what can be compared


def _not_comparable(baseline: RunData, candidate: RunData) -> str | None:
    if baseline.run.suite != candidate.run.suite:
        return (
            f'Cannot compare: {baseline.name} was run on suite "{baseline.run.suite}", {candidate.name} on '
            f'"{candidate.run.suite}".'
        )
    ours = {case.id: case for case in baseline.suite.cases if case.id in set(baseline.run.case_ids)}
    theirs = {case.id: case for case in candidate.suite.cases if case.id in set(candidate.run.case_ids)}
    common = [case_id for case_id in ours if case_id in theirs]
    if not common:
        return "Cannot compare: the two runs have no case in common."
    changed = [
        case_id
        for case_id in common
        if _scoring(baseline.suite, ours[case_id]) != _scoring(candidate.suite, theirs[case_id])
    ]
    if changed:
        shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        return f"Cannot compare: what is asked or expected differs in {len(changed)} of {len(common)} cases ({shown})."
    return None


def _make_comparable(runs: Sequence[RunData]) -> str:
    if len({run.run.suite for run in runs}) > 1:
        return "run both targets on one suite"
    return (
        f'control_run(run_id="{runs[0].run.id}", action="rescore") scores the stored transcripts with today\'s suite, '
        "without a model; do so for each run, or run both anew where the questions changed"
    )


def _scoring(suite: Suite, case: Case) -> str:
    """Content address of what decides a case's score: the question, the expectation, the rubric. Not its tools."""
    content = case.model_copy(update={"description": "", "tags": (), "metadata": {}, "tools": None, "group": None})
    # The system prompt is part of what is compared, when two prompts are.
    asked = content.model_copy(update={"system": None, "rubric": None, "by_track": {}})
    return digest(
        {"case": asked, "rubric": suite.rubric_of(case), "metrics": {**suite.metrics, **(case.metrics or {})}}
    )


def _common_cases(runs: Sequence[RunData]) -> list[Case]:
    there = [set(run.run.case_ids) for run in runs]
    return [case for case in runs[0].suite.cases if all(case.id in ids for ids in there)]


def _left_out(runs: Sequence[RunData], cases: Sequence[Case]) -> str | None:
    known = {case_id for run in runs for case_id in run.run.case_ids}
    missing = len(known) - len(cases)
    return f"{missing} cases are not in all of the runs and are left out" if missing else None


def _table(run: RunData, cases: Sequence[Case], metric: Metric) -> list[list[float | None]]:
    rows: dict[str, list[float | None]] = {case.id: [] for case in cases}
    for outcome in run.outcomes:
        if outcome.case_id in rows:
            rows[outcome.case_id].append(_value(outcome, metric))
    return [rows[case.id] or [None] for case in cases]


def _value(outcome: Outcome, metric: Metric) -> float | None:
    if outcome.verdict == "errored" or outcome.score is None:
        return None
    return float(outcome.verdict != "failed") if metric == "passed" else min(1.0, max(0.0, outcome.score))


def _groups(cases: Sequence[Case]) -> list[str | None] | None:
    return [case.group for case in cases] if any(case.group for case in cases) else None


def _tag_rows(cases: Sequence[Case]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for index, case in enumerate(cases):
        for tag in case.tags:
            rows.setdefault(tag, []).append(index)
    return {tag: found for tag, found in rows.items() if len(found) < len(cases)}


def _distinct_names(runs: Sequence[RunData]) -> list[str]:
    names = [run.run.label or run.name for run in runs]
    return [name if names.count(name) == 1 else f"{name} ({run.run.id})" for name, run in zip(names, runs, strict=True)]


# --- in words


class _Pair(NamedTuple):
    a: RunData
    b: RunData
    name_a: str
    name_b: str


def _comparison(pair: _Pair, result: Any, cases: Sequence[Case], metric: Metric, left_out: str | None) -> Comparison:
    arms = (_arm(pair.a, pair.name_a, cases, result.baseline), _arm(pair.b, pair.name_b, cases, result.candidate))
    better = [_changed(pair, cases[index], metric) for index in result.better_cases]
    worse = [_changed(pair, cases[index], metric) for index in result.worse_cases]
    return Comparison(
        verdict=result.verdict,
        sentence=_sentence(pair, result, metric),
        baseline=arms[0],
        candidate=arms[1],
        metric=metric,
        difference=result.difference,
        flags=_flags(result),
        counts=_counts(pair, arms, result),
        better=tuple(better[:SHOWN]),
        worse=tuple(worse[:SHOWN]),
        notes=_notes(pair, result, cases, left_out),
        next_step=_next_step(pair, result),
        gate=result.gate,
        margin=result.margin,
        p_value=result.p_adjusted if result.p_adjusted is not None else result.p_value,
        test=result.test,
        details=_details(result),
    )


def _arm(run: RunData, name: str, cases: Sequence[Case], estimate: Estimate | None) -> Arm:
    ids = {case.id: case for case in cases}
    by_case: dict[str, list[Outcome]] = {}
    for outcome in run.outcomes:
        if outcome.case_id in ids:
            by_case.setdefault(outcome.case_id, []).append(outcome)
    results = [result_of_trials(found, run.suite.rubric_of(ids[case_id])) for case_id, found in by_case.items()]
    costs = [outcome.cost_usd for outcome in run.outcomes]
    waits = [outcome.latency_s for outcome in run.outcomes if outcome.latency_s is not None]
    return Arm(
        name=name,
        run_id=run.run.id,
        passed=sum(result.verdict in {"passed", "warned"} for result in results),
        scored=sum(result.verdict != "errored" for result in results),
        estimate=estimate,
        errored_trials=sum(outcome.verdict == "errored" for outcome in run.outcomes),
        cost_usd=None if None in costs or not costs else sum(cost for cost in costs if cost is not None),
        latency_s=sum(waits) / len(waits) if waits else None,
    )


def _sentence(pair: _Pair, result: Any, metric: Metric) -> str:
    n, b, a = result.cases, pair.name_b, pair.name_a
    if result.verdict == "not_enough_data":
        what = f"Only {result.units} {_units(result)} can be compared" if result.units else "Nothing can be compared"
        return f"{what}; a claim needs at least 5, and usually 30 or more."
    small = f"Small sample ({n} cases): " if n < SMALL else ""
    of = "passes" if metric == "passed" else "score"
    if result.verdict in {"better", "worse"}:
        points, span = _points(abs(result.difference.value), n), _span(result.difference, n)
        trifle = (
            f" The gap lies within the {_points(result.margin, n)} points that do not matter."
            if result.negligible
            else ""
        )
        way = "higher" if result.verdict == "better" else "lower"
        return f"{small}{b} is {result.verdict} than {a}: {points} points {way} ({of}) on the same {n} cases (likely {span}).{trifle}"
    if result.verdict == "equivalent":
        return f"{small}No difference that matters between {b} and {a}: any gap is smaller than {_points(result.margin, n)} points."
    hidden = max(abs(result.difference.low), abs(result.difference.high))
    more = _more_cases(result)
    needs = f" To see {_points(result.effect, n)} points you need about {more} more cases." if more else ""
    return f"{small}Could not tell {b} and {a} apart. A gap of up to about {_points(hidden, n)} points could be hiding.{needs}"


def _counts(pair: _Pair, arms: tuple[Arm, Arm], result: Any) -> str:
    a, b = arms
    return (
        f"{a.name} {a.passed} of {a.scored}, {b.name} {b.passed} of {b.scored}; {len(result.better_cases)} cases better, "
        f"{len(result.worse_cases)} worse, {result.unchanged_cases} unchanged"
    )


def _flags(result: Any) -> tuple[Flag, ...]:
    found: dict[Flag, bool] = {
        "borderline": result.borderline,
        "fragile": result.fragility is not None,
        "negligible": result.negligible,
        "small_sample": 0 < result.cases < SMALL,
        "errors_decide": result.sensitivity is not None and result.sensitivity.changes_verdict,
        "many_errors": result.excluded.too_many or result.excluded.more_errors_in is not None,
    }
    return tuple(flag for flag, there in found.items() if there)


def _notes(pair: _Pair, result: Any, cases: Sequence[Case], left_out: str | None) -> tuple[str, ...]:
    notes = [left_out] if left_out else []
    excluded = result.excluded
    if excluded.cases:
        notes.append(
            f"excluded {len(excluded.cases)} cases without a score on both sides ({pair.name_a} errored in "
            f"{excluded.baseline_missing + excluded.both_missing}, {pair.name_b} in {excluded.candidate_missing + excluded.both_missing})"
        )
    if excluded.more_errors_in:
        notes.append(
            f"{pair.name_a if excluded.more_errors_in == 'baseline' else pair.name_b} errors more often than chance explains"
        )
    if result.sensitivity is not None and result.sensitivity.changes_verdict:
        notes.append(f"the answer depends on {result.sensitivity.failed_calls} failed calls; rerun them")
    if result.fragility is not None:
        named = ", ".join(cases[index].id for unit in result.fragility.removed for index in unit)
        notes.append(f"the claim depends on {named}: without it, {_VERDICT_WORDS[result.fragility.verdict_without]}")
    if result.borderline:
        notes.append("borderline: the test and the interval do not agree; treat it as undecided")
    if 0 < result.disagreeing_units < 5:
        notes.append(f"only {result.disagreeing_units} {_units(result)} differ at all")
    if result.fixed_suite is not None:
        notes.append(
            f"on exactly these cases, counting only the noise of repeated trials: {_signed(result.fixed_suite.value, result.cases)} points (likely {_span(result.fixed_suite, result.cases)})"
        )
    if pair.a.suite.tools != pair.b.suite.tools:
        notes.append("the two were offered different tools")
    if pair.a.run.suite_digest != pair.b.run.suite_digest:
        notes += [
            f"less is asked now than in the baseline's suite: {line}" for line in loosened(pair.a.suite, pair.b.suite)
        ]
    return tuple(notes)


def _next_step(pair: _Pair, result: Any) -> str:
    if result.verdict in {"better", "worse", "equivalent"} and not result.borderline:
        return "look at the cases that changed: get_run with case=… shows the evidence"
    if (
        result.excluded.baseline_errors + result.excluded.candidate_errors
        and result.sensitivity
        and result.sensitivity.changes_verdict
    ):
        return 'control_run(action="rerun_errored") on both runs'
    if result.variance is not None and result.variance.run_share is not None and result.variance.run_share > 0.5:
        return f"more trials of each case{_price(pair, result)}: most of the noise is the models' own"
    more = _more_cases(result)
    if more:
        return f"about {more} more cases{_price(pair, result)} would show {_points(result.effect, result.cases)} points; more trials help less"
    return "write more cases"


def _price(pair: _Pair, result: Any) -> str:
    costs = [outcome.cost_usd for run in (pair.a, pair.b) for outcome in run.outcomes]
    if not costs or None in costs or not result.cases or not result.cases_needed:
        return ""
    total = sum(cost for cost in costs if cost is not None)
    more = max(0, result.cases_needed - result.cases)
    return f" (about ${total / result.cases * more:.2f})" if total and more else ""


def _more_cases(result: Any) -> int | None:
    from mcp_evals.stats.planning import two_figures  # with the statistics

    if not result.cases_needed or result.cases_needed <= result.cases:
        return None
    return two_figures(result.cases_needed - result.cases)


def _details(result: Any) -> dict[str, Any]:
    variance = result.variance
    found = {
        "cases": result.cases,
        "units": result.units,
        "disagreeing_units": result.disagreeing_units,
        "standard_error": result.standard_error,
        "correlation": result.correlation,
        "detectable": result.detectable,
        "cases_needed": result.cases_needed,
        "chance_better": None if result.chance_better is None else min(0.99, result.chance_better),
        "run_noise_share": variance.run_share if variance else None,
        "p_uncorrected": result.p_value,
    }
    return {
        key: round(value, 6) if isinstance(value, float) else value for key, value in found.items() if value is not None
    }


def _changed(pair: _Pair, case: Case, metric: Metric) -> ChangedCase:
    sides = [[o for o in run.outcomes if o.case_id == case.id and o.verdict != "errored"] for run in (pair.a, pair.b)]
    lost = next(
        (outcome.reason for outcome in (*sides[1], *sides[0]) if outcome.verdict == "failed" and outcome.reason), None
    )
    first, second = (_share(side, metric) for side in sides)
    return ChangedCase(case=case.id, baseline=first, candidate=second, reason=lost)


def _share(outcomes: Sequence[Outcome], metric: Metric) -> str:
    if metric == "passed":
        return f"{sum(outcome.verdict != 'failed' for outcome in outcomes)}/{len(outcomes)}"
    return f"{sum(outcome.score or 0.0 for outcome in outcomes) / len(outcomes):.2f}"


def _tag_line(result: Any) -> str:
    claim = f", {result.verdict}" if result.verdict in {"better", "worse"} else ""
    return f"{_signed(result.difference.value, result.cases)} points ({_span(result.difference, result.cases)}, n={result.cases}){claim}"


def _several(comparisons: Sequence[Comparison]) -> str:
    return f"{len(comparisons)} comparisons, corrected for their number. " + " ".join(c.sentence for c in comparisons)


def _gate_code(comparison: Comparison) -> int:
    if comparison.verdict == "not_comparable" or "errors_decide" in comparison.flags:
        return 3
    return {"pass": 0, "fail": 1, "undecided": 4}[comparison.gate]


def _looser(old: Suite, before: Case, new: Suite, after: Case) -> list[str]:
    lines: list[str] = []
    if new.rubric_of(after).fail_below < old.rubric_of(before).fail_below:
        lines.append(f"fail_below {old.rubric_of(before).fail_below:g} became {new.rubric_of(after).fail_below:g}")
    for earlier, later in zip(
        [turn.expect for turn in before.all_turns] or [before.expect],
        [turn.expect for turn in after.all_turns] or [after.expect],
        strict=False,
    ):
        sizes: Mapping[str, tuple[int, int]] = {
            "expected calls": (len(earlier.calls or ()), len(later.calls or ())),
            "expected arguments": tuple(sum(len(call.args) for call in e.calls or ()) for e in (earlier, later)),  # type: ignore[dict-item]
            "required tools": (len(earlier.require), len(later.require)),
            "forbidden tools": (len(earlier.forbid), len(later.forbid)),
            "text checks": (len(earlier.text), len(later.text)),
        }
        lines += [f"{was} {what} became {now}" for what, (was, now) in sizes.items() if now < was]
        lines += ["the calls may be left unsaid"] * (earlier.calls is not None and later.calls is None)
        lines += ["a limit is gone"] * (earlier.limits is not None and later.limits is None)
        lines += [f"order {earlier.order} became any"] * (earlier.order != "any" and later.order == "any")
    return lines


_VERDICT_WORDS: Final[Mapping[ComparisonVerdict, str]] = {
    "better": "better",
    "worse": "worse",
    "equivalent": "no difference that matters",
    "no_detectable_difference": "the two cannot be told apart",
    "not_enough_data": "there is not enough data",
    "not_comparable": "not comparable",
}


def _units(result: Any) -> str:
    return "cases" if result.units == result.cases else "groups of cases"


def _points(share: float, n: int) -> str:
    return f"{share * 100:.{0 if n < 200 else 1}f}"


def _signed(share: float, n: int) -> str:
    return f"{share * 100:+.{0 if n < 200 else 1}f}"


def _span(estimate: Estimate, n: int) -> str:
    return f"between {_signed(estimate.low, n)} and {_signed(estimate.high, n)}"
