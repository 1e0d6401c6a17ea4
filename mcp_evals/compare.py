"""Two runs become paired tables, and the statistics of these a verdict in plain words.

Refuses what cannot be compared, and says what would make it comparable. Knows no store, no target and no clock.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from typing import Any, Final, NamedTuple

from mcp_evals.errors import UsageError
from mcp_evals.loosening import loosened, scoring_digest
from mcp_evals.results import (
    Arm,
    ChangedCase,
    Comparison,
    ComparisonTable,
    ComparisonVerdict,
    Estimate,
    Flag,
    Gate,
    Metric,
    Outcome,
    Run,
    Verdict,
)
from mcp_evals.scoring.trials import result_of_trials
from mcp_evals.suite import Case, Suite
from mcp_evals.text import plural

MORE_TRIALS: Final = 3
"""More trials of each case that a next step speaks of."""
SHOWN: Final = 10
"""Changed cases that an answer names on each side."""
SMALL: Final = 30
"""Below so many independent cases the sentence begins with a warning."""
LEAST_TAGGED: Final = 5
"""A tag with fewer cases has no line: a gap on three cases says nothing and looks as if it did."""


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


class Noise(NamedTuple):
    """Variance of the difference on one case, where each side is tried once: what cases bring, and what trials bring."""

    between: float
    """Stays, however often a case is tried."""
    within: float
    """Shrinks with the trials."""


def compare_runs(
    runs: Sequence[RunData],
    *,
    metric: Metric = "passed",
    margin: float = 0.05,
    effect: float | None = None,
) -> ComparisonTable:
    """The first run is the baseline; every other is compared with it on the cases that all have.

    More than two are all held against each other, and corrected by Holm for all these pairs, so that ranks and table
    say one thing. Formulas: `stats.paired.compare_paired`, `stats.families.compare_several`.

    Raises:
        UsageError: fewer than two runs, or the margin is not in 0..1.
    """
    from mcp_evals.stats.families import compare_several  # brings numpy and scipy

    if len(runs) < 2:
        raise UsageError("a comparison needs two runs or targets")
    names = distinct_names(runs)
    for place, run in enumerate(runs[1:], 1):
        refusal = _not_comparable(runs[0], run, names[0], names[place])
        if refusal:
            return _refused(runs, run, refusal, metric, margin)
    cases = _common_cases(runs)
    tables = [table_of(run, cases, metric) for run in runs]
    groups = groups_of(cases)
    pairs = [(a, b) for a in range(len(runs)) for b in range(a + 1, len(runs))]
    results = compare_several(tables, pairs, binary=metric == "passed", groups=groups, margin=margin, effect=effect)
    left_out = _left_out(runs, cases)
    by_case = [outcomes_by_case(run, cases) for run in runs]
    comparisons = tuple(
        _comparison(Pair(runs[0], runs[b], names[0], names[b], by_case[0], by_case[b]), result, cases, metric, left_out)
        for (a, b), result in zip(pairs, results, strict=True)
        if not a
    )
    several = len(runs) > 2
    open_ones = [found for found in comparisons if found.verdict not in {"better", "worse", "equivalent"}]
    return ComparisonTable(
        sentence=_several(comparisons, len(pairs)) if several else comparisons[0].sentence,
        comparisons=comparisons,
        ranks=_ranks(names, pairs, results) if several else {},
        by_tag={} if several else _tag_lines(tables, cases, groups, metric, margin),
        runs=tuple(run.run.id for run in runs),
        next_step=(open_ones or comparisons)[0].next_step,
        gate=_worst_gate(comparisons),
    )


def gate_exit_code(table: ComparisonTable) -> int:
    """Exit code of the table's `gate`: 0 pass, 1 fail, 3 where errors decide or nothing can be compared, 4 undecided."""
    return {"pass": 0, "fail": 1, "errors": 3, "undecided": 4}[table.gate]


def plan_sentence(
    cases: int,
    trials: int,
    *,
    noise: Noise | None = None,
    cost_usd: float | None = None,
    effect: float = 0.10,
) -> str:
    """What gap so many cases can show, and how many would show `effect`.

    `noise` comes from past runs; without it the defaults of `stats.planning` stand, which know no trials and so promise
    too little rather than too much. `cost_usd` is what one trial of one case costs on all sides together.
    """
    from mcp_evals.stats.planning import cases_needed, detectable, standard_error_before, two_figures  # brings scipy

    error = standard_error_before(cases) if noise is None else sqrt((noise.between + noise.within / trials) / cases)
    visible = min(100, max(1, round(detectable(error) * 100)))
    needed = cases_needed(cases, error, effect)
    size = f"{cases} case{plural(cases)} × {trials} trial{plural(trials)}"
    said = f"With {size} you can see gaps of about {visible} points"
    if needed > cases:
        price = "" if cost_usd is None else f", about ${needed * trials * cost_usd:.2f}"
        return f"{said}; {effect * 100:g} points need about {two_figures(needed)} cases{price}."
    return said + ("." if cost_usd is None else f", for about ${cases * trials * cost_usd:.2f}.")


def noise_of(baseline: RunData, candidate: RunData, metric: Metric = "passed") -> Noise | None:
    """How much two past runs differ from case to case and from trial to trial; None below 10 cases with both.

    Formula: `stats.repeats.variance_parts`, where there are trials enough; else all of it counts as the cases'.
    """
    from mcp_evals.stats.paired import compare_paired  # brings numpy and scipy

    cases = _common_cases([baseline, candidate])
    if len(cases) < 10:
        return None
    tables = [table_of(run, cases, metric) for run in (baseline, candidate)]
    found = compare_paired(*tables, binary=metric == "passed", groups=groups_of(cases))
    if found.standard_error is None or found.cases < 10:
        return None
    total = found.standard_error**2 * found.cases
    share = found.variance.run_share if found.variance and found.variance.run_share is not None else 0.0
    runs = 2 / (1 / found.baseline_runs + 1 / found.candidate_runs)
    return Noise(total * (1 - share), total * share * runs)


# --- what can be compared


def _not_comparable(baseline: RunData, candidate: RunData, name: str, other: str) -> str | None:
    if baseline.run.suite != candidate.run.suite:
        return f'Cannot compare: {name} was run on suite "{baseline.run.suite}", {other} on "{candidate.run.suite}".'
    common = _common_cases((baseline, candidate))
    if not common:
        return f"Cannot compare: the runs of {name} and {other} have no case in common."
    # What one suite expects on its tracks is, by its author's word, the same question.
    if baseline.run.suite_digest == candidate.run.suite_digest:
        return None
    changed = _differing(baseline, candidate)
    if changed:
        shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        return (
            f"Cannot compare {other} with {name}: what is asked or expected differs in {len(changed)} of "
            f"{len(common)} cases ({shown})."
        )
    return None


def _differing(baseline: RunData, candidate: RunData) -> list[str]:
    """Cases of both runs that are not asked, expected or judged alike."""
    theirs = {case.id: case for case in candidate.suite.cases}
    return [
        case.id
        for case in _common_cases((baseline, candidate))
        if scoring_digest(baseline.suite, case) != scoring_digest(candidate.suite, theirs[case.id])
    ]


def _refused(
    runs: Sequence[RunData], candidate: RunData, refusal: str, metric: Metric, margin: float
) -> ComparisonTable:
    notes = _loosened_notes(runs[0], candidate) if runs[0].run.suite == candidate.run.suite else []
    refused = Comparison(
        verdict="not_comparable", sentence=refusal, metric=metric, margin=margin, notes=tuple(notes), gate="errors"
    )
    return ComparisonTable(
        sentence=refusal,
        comparisons=(refused,),
        runs=tuple(run.run.id for run in runs),
        next_step=_make_comparable(runs),
        gate="errors",
    )


def _make_comparable(runs: Sequence[RunData]) -> str:
    if len({run.run.suite for run in runs}) > 1:
        return "run both targets on one suite"
    return (
        f'control_run(run_id="{runs[0].run.id}", action="rescore") scores the stored transcripts with today\'s suite, '
        "without a model; do so for each run, or run both anew where the questions changed"
    )


def _common_cases(runs: Sequence[RunData]) -> list[Case]:
    there = [set(run.run.case_ids) & {case.id for case in run.suite.cases} for run in runs]
    return [case for case in runs[0].suite.cases if all(case.id in ids for ids in there)]


def _left_out(runs: Sequence[RunData], cases: Sequence[Case]) -> str | None:
    known = {case_id for run in runs for case_id in run.run.case_ids}
    missing = len(known) - len(cases)
    are = "case is" if missing == 1 else "cases are"
    return f"{missing} {are} not in all of the runs and left out" if missing else None


def table_of(run: RunData, cases: Sequence[Case], metric: Metric) -> list[list[float | None]]:
    """The trials of each case on the metric; None stands for one without a score."""
    rows: dict[str, list[float | None]] = {case.id: [] for case in cases}
    for outcome in run.outcomes:
        if outcome.case_id in rows:
            rows[outcome.case_id].append(value_of(outcome.verdict, outcome.score, metric))
    return [rows[case.id] or [None] for case in cases]


def value_of(verdict: Verdict, score: float | None, metric: Metric) -> float | None:
    """What a trial counts on the metric, from 0 to 1; None where it has no score."""
    if verdict == "errored" or score is None:
        return None
    return float(verdict != "failed") if metric == "passed" else min(1.0, max(0.0, score))


def groups_of(cases: Sequence[Case]) -> list[str | None] | None:
    """The group of each case; None where there is none at all."""
    return [case.group for case in cases] if any(case.group for case in cases) else None


def _tag_rows(cases: Sequence[Case]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for index, case in enumerate(cases):
        for tag in case.tags:
            rows.setdefault(tag, []).append(index)
    return {tag: found for tag, found in rows.items() if LEAST_TAGGED <= len(found) < len(cases)}


def distinct_names(runs: Sequence[RunData]) -> list[str]:
    """What each run is called, so that no two are called alike."""
    names = [run.run.label or run.name for run in runs]
    return [name if names.count(name) == 1 else f"{name} ({run.run.id})" for name, run in zip(names, runs, strict=True)]


# --- in words


class Pair(NamedTuple):
    """Baseline and candidate, each with its trials by case."""

    a: RunData
    b: RunData
    name_a: str
    name_b: str
    of_a: Mapping[str, Sequence[Outcome]]
    of_b: Mapping[str, Sequence[Outcome]]


def outcomes_by_case(run: RunData, cases: Sequence[Case]) -> dict[str, list[Outcome]]:
    """The trials of each of these cases."""
    found: dict[str, list[Outcome]] = {case.id: [] for case in cases}
    for outcome in run.outcomes:
        if outcome.case_id in found:
            found[outcome.case_id].append(outcome)
    return found


def _comparison(pair: Pair, result: Any, cases: Sequence[Case], metric: Metric, left_out: str | None) -> Comparison:
    gone = set(result.excluded.cases)
    kept = [case for place, case in enumerate(cases) if place not in gone]
    arms = (
        arm_of(pair.a, pair.name_a, pair.of_a, kept, result.baseline),
        arm_of(pair.b, pair.name_b, pair.of_b, kept, result.candidate),
    )
    up: Sequence[int] = result.better_cases[:SHOWN]
    down: Sequence[int] = result.worse_cases[:SHOWN]
    flags = _flags(result)
    return Comparison(
        verdict=result.verdict,
        sentence=_sentence(pair, result, cases, metric),
        baseline=arms[0],
        candidate=arms[1],
        metric=metric,
        difference=result.difference,
        flags=flags,
        counts=_counts(arms, result, metric),
        better=tuple(changed_case(pair, cases[index], metric) for index in up),
        worse=tuple(changed_case(pair, cases[index], metric) for index in down),
        notes=_notes(pair, result, left_out),
        next_step=_next_step(pair, result),
        gate="errors" if "errors_decide" in flags else result.gate,
        margin=result.margin,
        p_value=result.p_adjusted if result.p_adjusted is not None else result.p_value,
        test=result.test,
        details=_details(result),
    )


def arm_of(
    run: RunData, name: str, by_case: Mapping[str, Sequence[Outcome]], kept: Sequence[Case], estimate: Estimate | None
) -> Arm:
    """One side: the compared cases counted, everything that it held paid for."""
    results = [result_of_trials(by_case[case.id], run.suite.rubric_of(case)) for case in kept]
    costs = [outcome.cost_usd for outcome in run.outcomes]
    waits = [outcome.latency_s for outcome in run.outcomes if outcome.latency_s is not None]
    return Arm(
        name=name,
        run_id=run.run.id,
        passed=sum(result.verdict in {"passed", "warned"} for result in results),
        scored=len(results),
        estimate=estimate,
        errored_trials=sum(outcome.verdict == "errored" for outcome in run.outcomes),
        cost_usd=None if None in costs or not costs else sum(cost for cost in costs if cost is not None),
        latency_s=sum(waits) / len(waits) if waits else None,
    )


def _sentence(pair: Pair, result: Any, cases: Sequence[Case], metric: Metric) -> str:
    missing = len(result.excluded.cases)
    if result.verdict == "not_enough_data":
        what = f"Only {result.units} {_units(result)} can be compared" if result.units else "Nothing can be compared"
        without = f" ({missing} of {len(cases)} cases have no score on both sides)" if missing else ""
        return f"{what}{without}; a claim needs at least 5, and usually 30 or more."
    small = f"Small sample ({result.units} {_units(result)}): " if result.units < SMALL else ""
    return small + _claim(pair, result, metric) + "".join(_caveats(result, cases))


def _claim(pair: Pair, result: Any, metric: Metric) -> str:
    n, b, a = result.cases, pair.name_b, pair.name_a
    if result.verdict in {"better", "worse"}:
        trifle = (
            f" The gap lies within the {_given(result.margin)} points that do not matter." if result.negligible else ""
        )
        return gap_sentence(a, b, result.difference, metric, n) + trifle
    if result.verdict == "equivalent":
        return (
            f"No difference that matters between {b} and {a}: any gap is smaller than {_given(result.margin)} points."
        )
    more = _more_cases(result)
    needs = f" To see {_given(result.effect)} points you need about {more} more cases." if more else ""
    return f"Could not tell {b} and {a} apart. {hidden_sentence(result.difference, n)}{needs}"


def gap_sentence(baseline: str, candidate: str, gap: Estimate, metric: Metric, cases: int) -> str:
    """The claim that one is better or worse, with the gap in points."""
    verdict, way = ("better", "higher") if gap.value > 0 else ("worse", "lower")
    what = "pass rate" if metric == "passed" else "mean score"
    return (
        f"{candidate} is {verdict} than {baseline}: {what} {_points(abs(gap.value), cases)} points {way} on the "
        f"{cases} cases that both ran (likely {_span(gap, cases)})."
    )


def hidden_sentence(gap: Estimate, cases: int) -> str:
    """How large a gap may be that was not seen."""
    hidden = max(abs(gap.low), abs(gap.high))
    return f"A gap of up to about {_points(hidden, cases)} points could be hiding (likely {_span(gap, cases)})."


def _caveats(result: Any, cases: Sequence[Case]) -> Iterator[str]:
    """What turns the claim round, or may have bent it: a reader of the sentence alone has to know."""
    if result.borderline:
        yield " Borderline: of test and interval only one shows a difference; treat it as undecided."
    if result.fragility is not None:
        removed: tuple[tuple[int, ...], ...] = result.fragility.removed
        named = ", ".join(cases[index].id for unit in removed for index in unit)
        alone = len(removed) == 1 and len(removed[0]) == 1
        them = "it" if alone else "them"
        yield f" This depends on {named}: without {them}, {_VERDICT_WORDS[result.fragility.verdict_without]}."
    if result.sensitivity is not None and result.sensitivity.changes_verdict:
        calls = result.sensitivity.failed_calls
        yield f" The answer depends on {calls} failed call{plural(calls)}; rerun {'it' if calls == 1 else 'them'}."
    if result.excluded.too_many:
        missing = len(result.excluded.cases)
        yield f" {missing} of {len(cases)} cases have no score on both sides and are left out."


def _counts(arms: tuple[Arm, Arm], result: Any, metric: Metric) -> str:
    plain = metric == "passed" and result.baseline_runs <= 1 and result.candidate_runs <= 1
    sides = ", ".join(_side(arm, metric, plain=plain) for arm in arms)
    return (
        f"{sides}; {len(result.better_cases)} case{plural(len(result.better_cases))} better, {len(result.worse_cases)} worse, "
        f"{result.unchanged_cases} unchanged"
    )


def _side(arm: Arm, metric: Metric, *, plain: bool) -> str:
    """Counts; with several trials, or graded, the compared number too, which the verdicts of the cases need not follow."""
    counted = f"{arm.passed} of {arm.scored}"
    if plain or arm.estimate is None:
        return f"{arm.name} {counted}"
    what = f"passes {arm.estimate.value:.0%} of trials" if metric == "passed" else f"scores {arm.estimate.value:.2f}"
    return f"{arm.name} {what} ({counted} cases pass)"


def _flags(result: Any) -> tuple[Flag, ...]:
    found: dict[Flag, bool] = {
        "borderline": result.borderline,
        "fragile": result.fragility is not None,
        "negligible": result.negligible,
        "small_sample": 0 < result.units < SMALL,
        "errors_decide": result.sensitivity is not None and result.sensitivity.changes_verdict,
        "many_errors": result.excluded.too_many or result.excluded.more_errors_in is not None,
    }
    return tuple(flag for flag, there in found.items() if there)


def _notes(pair: Pair, result: Any, left_out: str | None) -> tuple[str, ...]:
    notes = [left_out] if left_out else []
    sides = ((pair.a, pair.name_a), (pair.b, pair.name_b))
    notes += [
        f"the run of {name} is {run.run.status}: what it did not hold is left out"
        for run, name in sides
        if run.run.status != "completed"
    ]
    judges = [run.run.settings.judge or "no judge" for run, _ in sides]
    if judges[0] != judges[1]:
        notes.append(f"not judged alike: {pair.name_a} by {judges[0]}, {pair.name_b} by {judges[1]}")
    excluded = result.excluded
    if excluded.cases:
        notes.append(
            f"left out {len(excluded.cases)} case{plural(len(excluded.cases))} without a score on both sides "
            f"({pair.name_a} lacks {excluded.baseline_missing + excluded.both_missing}, "
            f"{pair.name_b} {excluded.candidate_missing + excluded.both_missing})"
        )
    if excluded.more_errors_in:
        more = pair.name_a if excluded.more_errors_in == "baseline" else pair.name_b
        notes.append(f"{more} errors more often than chance explains")
    if 0 < result.disagreeing_units < 5:
        notes.append(f"of {result.units} {_units(result)} only {result.disagreeing_units} went another way")
    if result.fixed_suite is not None:
        notes.append(
            "on exactly these cases, counting only the noise of repeated trials: "
            f"{_signed(result.fixed_suite.value, result.cases)} points (likely {_span(result.fixed_suite, result.cases)})"
        )
    notes += [
        f"{name} handed in its own answers, which nobody watched"
        for run, name in sides
        if any(o.self_scored for o in run.outcomes)
    ]
    if pair.a.suite.tools != pair.b.suite.tools:
        notes.append("the two were offered different tools")
    if pair.a.run.track != pair.b.run.track and (differing := len(_differing(pair.a, pair.b))):
        notes.append(
            f"on the other track the suite itself expects something else in {differing} case{plural(differing)}"
        )
    return (*notes, *_loosened_notes(pair.a, pair.b))


def _loosened_notes(baseline: RunData, candidate: RunData) -> list[str]:
    if baseline.run.suite_digest == candidate.run.suite_digest:
        return []
    return [
        f"less is asked now than in the baseline's suite: {line}" for line in loosened(baseline.suite, candidate.suite)
    ]


def _next_step(pair: Pair, result: Any) -> str:
    if result.sensitivity and result.sensitivity.changes_verdict:
        return 'control_run(action="rerun_errored") on both runs, then compare them again'
    if result.verdict == "not_enough_data":
        return "compare on more cases: at least 5, better 30"
    if result.verdict in {"better", "worse", "equivalent"} and not result.borderline:
        return "look at the cases that changed: get_run with case=… shows the evidence"
    if result.variance is not None and result.variance.advice == "more_runs":
        return _more_trials(pair, result)
    more = _more_cases(result)
    if more:
        per_case = _cost_usd(pair, result.cases)
        price = "" if per_case is None else f" (about ${per_case * more:.2f})"
        return f"about {more} more cases{price} would show {_given(result.effect)} points; more trials help less"
    return "write more cases"


def _more_trials(pair: Pair, result: Any) -> str:
    from mcp_evals.stats.repeats import detectable_with_runs  # with the statistics

    runs = (result.baseline_runs + result.candidate_runs) / 2
    visible = detectable_with_runs(result.variance, result.cases, (runs + MORE_TRIALS) / runs)
    calls = 2 * MORE_TRIALS * result.cases
    per_trial = _cost_usd(pair, len(pair.a.outcomes) + len(pair.b.outcomes))
    price = "" if per_trial is None else f", about ${per_trial * calls:.2f}"
    return (
        f"{MORE_TRIALS} more trials of each case ({calls} calls{price}) would show gaps of about "
        f"{max(1, round(visible * 100))} points; most of the noise is the models' own"
    )


def _cost_usd(pair: Pair, shares: int) -> float | None:
    """What both runs cost, by so many shares; None: unknown, or nothing."""
    costs = [outcome.cost_usd for run in (pair.a, pair.b) for outcome in run.outcomes]
    known = [cost for cost in costs if cost is not None]
    return sum(known) / shares if shares and len(known) == len(costs) and sum(known) > 0 else None


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
        "chance_better": None if result.chance_better is None else min(0.99, max(0.01, result.chance_better)),
        "run_noise_share": variance.run_share if variance else None,
        "p_uncorrected": result.p_value,
    }
    return {
        key: round(value, 6) if isinstance(value, float) else value for key, value in found.items() if value is not None
    }


def changed_case(pair: Pair, case: Case, metric: Metric) -> ChangedCase:
    """How the two sides did on one case."""
    sides = [[o for o in of_case[case.id] if o.verdict != "errored"] for of_case in (pair.of_a, pair.of_b)]
    lost = next(
        (outcome.reason for outcome in (*sides[1], *sides[0]) if outcome.verdict == "failed" and outcome.reason), None
    )
    first, second = (_share(side, metric) for side in sides)
    return ChangedCase(case=case.id, baseline=first, candidate=second, reason=lost)


def _share(outcomes: Sequence[Outcome], metric: Metric) -> str:
    if metric == "passed":
        return f"{sum(outcome.verdict != 'failed' for outcome in outcomes)}/{len(outcomes)}"
    return f"{sum(outcome.score or 0.0 for outcome in outcomes) / len(outcomes):.2f}"


def _tag_lines(
    tables: Sequence[list[list[float | None]]],
    cases: Sequence[Case],
    groups: list[str | None] | None,
    metric: Metric,
    margin: float,
) -> dict[str, str]:
    from mcp_evals.stats.families import compare_tags  # brings numpy and scipy

    tags = _tag_rows(cases)
    if not tags:
        return {}
    found = compare_tags(tables[0], tables[1], tags, binary=metric == "passed", groups=groups, margin=margin)
    # Calls that failed may have left fewer than the suite has.
    return {tag: _tag_line(result) for tag, result in found.items() if result.cases >= LEAST_TAGGED}


def _tag_line(result: Any) -> str:
    claim = result.verdict if result.verdict in {"better", "worse"} else "no claim"
    gap = f"{_signed(result.difference.value, result.cases)} points (likely {_span(result.difference, result.cases)}, n={result.cases})"
    return f"{gap}: {claim}"


def _ranks(names: Sequence[str], pairs: Sequence[tuple[int, int]], results: Sequence[Any]) -> dict[str, str]:
    from mcp_evals.stats.multiple import rank_ranges  # brings numpy

    beats = [
        (b, a) if result.verdict == "better" else (a, b)
        for (a, b), result in zip(pairs, results, strict=True)
        if result.verdict in {"better", "worse"}
    ]
    return {
        names[arm]: f"{span.best}" if span.best == span.worst else f"{span.best}-{span.worst}"
        for arm, span in enumerate(rank_ranges(len(names), beats))
    }


def _several(comparisons: Sequence[Comparison], pairs: int) -> str:
    said = " ".join(found.sentence for found in comparisons)
    return f"{len(comparisons)} candidates against the baseline, corrected for all {pairs} pairs. {said}"


def _worst_gate(comparisons: Sequence[Comparison]) -> Gate:
    found = {comparison.gate for comparison in comparisons}
    return (
        "errors"
        if "errors" in found
        else "fail"
        if "fail" in found
        else "undecided"
        if "undecided" in found
        else "pass"
    )


_VERDICT_WORDS: Final[Mapping[ComparisonVerdict, str]] = {
    "better": "better",
    "worse": "worse",
    "equivalent": "no difference that matters",
    "no_detectable_difference": "the two cannot be told apart",
    "not_enough_data": "there is not enough data",
    "not_comparable": "not comparable",
}


def _units(result: Any) -> str:
    what = "case" if result.units == result.cases else "group"
    return f"{what}{plural(result.units)}" + (" of cases" if what == "group" else "")


def _given(share: float) -> str:
    """A gap that the user named, as precise as it was named."""
    return f"{share * 100:g}"


def _points(share: float, n: int) -> str:
    digits = 0 if n < 200 else 1
    if round(share * 100, digits) == 0:
        digits = 1  # so that an end just beside 0 is not read as 0
    return f"{round(share * 100, digits) + 0.0:.{digits}f}" if round(share * 100, digits) else "0"


def _signed(share: float, n: int) -> str:
    text = _points(share, n)
    return text if text == "0" or text.startswith("-") else f"+{text}"


def _span(estimate: Estimate, n: int) -> str:
    return f"between {_signed(estimate.low, n)} and {_signed(estimate.high, n)}"
