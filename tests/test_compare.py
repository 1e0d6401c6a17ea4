"""What a reader is told of two runs: the whole sentence for each situation, so that nobody who reads only it is misled."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from mcp_evals.compare import Noise, RunData, compare_runs, gate_exit_code, noise_of, plan_sentence
from mcp_evals.errors import UsageError
from mcp_evals.loosening import loosened
from mcp_evals.reports.text import comparison_text
from mcp_evals.results import Comparison, ComparisonTable, Outcome, Run, RunSettings
from mcp_evals.suite import Suite
from tests.fakes import case_of

Trials = str
"""Trials of one case: `+` passes, `-` fails, `!` errors."""


def suite_of(
    cases: int, *, name: str = "weather", tags: Mapping[int, Sequence[str]] | None = None, **fields: Any
) -> Suite:
    listed = [case_of(f"c{number}", tags=tuple((tags or {}).get(number, ())), **fields) for number in range(cases)]
    return Suite(name=name, cases=tuple(listed))


def run_of(name: str, trials: Sequence[Trials], suite: Suite | None = None, **fields: Any) -> RunData:
    suite = suite or suite_of(len(trials))
    run = Run(
        id=f"run-{name}",
        suite=suite.name,
        suite_digest=suite.digest,
        target=name,
        case_ids=tuple(case.id for case in suite.cases),
        settings=RunSettings(trials=max(map(len, trials))),
        status="completed",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    ).model_copy(update=fields)
    verdicts = {"+": ("passed", 1.0, None), "-": ("failed", 0.0, "wrong city"), "!": ("errored", None, "no answer")}
    outcomes = [
        Outcome(case.id, index, *verdicts[mark], cost_usd=0.001)  # type: ignore[arg-type]
        for case, marks in zip(suite.cases, trials, strict=False)
        for index, mark in enumerate(marks)
    ]
    return RunData(run, suite, outcomes)


def graded(name: str, scores: Sequence[float]) -> RunData:
    data = run_of(name, ["+"] * len(scores))
    return data._replace(outcomes=[o._replace(score=score) for o, score in zip(data.outcomes, scores, strict=True)])


def one(table: ComparisonTable) -> Comparison:
    (comparison,) = table.comparisons
    return comparison


def counts(both: int, only_a: int, only_b: int, neither: int) -> tuple[list[Trials], list[Trials]]:
    """Single runs on cases that both pass, one passes, none passes."""
    return (
        ["+"] * both + ["+"] * only_a + ["-"] * only_b + ["-"] * neither,
        ["+"] * both + ["-"] * only_a + ["+"] * only_b + ["-"] * neither,
    )


def compared(trials: tuple[Sequence[Trials], Sequence[Trials]], **settings: Any) -> ComparisonTable:
    return compare_runs([run_of("a", trials[0]), run_of("b", trials[1])], **settings)


SITUATIONS: Mapping[str, ComparisonTable] = {
    "clear better": compared(counts(57, 5, 15, 23)),
    "clear worse": compared(counts(57, 15, 5, 23)),
    "large suite": compared(counts(400, 20, 60, 120)),
    "equivalent": compared(counts(300, 2, 3, 95)),
    "negligible": compared(counts(800, 2, 14, 184)),
    "cannot tell": compared(counts(30, 3, 5, 12)),
    "five cases": compared((["+"] * 5, ["-"] * 5)),
    "four cases": compared((["+"] * 4, ["-"] * 4)),
    "all ties": compared((["+"] * 40, ["+"] * 40)),
    "one outlier": compare_runs([graded("a", [0.5] * 39 + [0.0]), graded("b", [0.5] * 39 + [1.0])], metric="score"),
    "fragile": compared(counts(40, 0, 6, 14)),
    "half errors": compared((["+-"[n % 2] for n in range(40)], ["!" if n % 2 else "-+"[n % 3 > 0] for n in range(40)])),
    "all errors": compared((["+"] * 10, ["!"] * 10)),
    "lopsided": compared((["+"] * 40, ["+-+-+" if n % 2 else "+++++" for n in range(40)])),
    "different suites": compare_runs([run_of("a", ["+"] * 9), run_of("b", ["+"] * 9, suite_of(9, name="maps"))]),
    "changed": compare_runs([run_of("a", ["+"] * 9), run_of("b", ["+"] * 9, suite_of(9, user="Else?"))]),
    "several": compare_runs(
        [
            run_of("a", ["+"] * 30 + ["-"] * 70),
            run_of("b", ["+"] * 60 + ["-"] * 40),
            run_of("c", ["+"] * 62 + ["-"] * 38),
        ]
    ),
}

SENTENCES: Mapping[str, str] = {
    "clear better": "b is better than a: pass rate 10 points higher on the 100 cases that both ran (likely between +1 and +19)."
    " This depends on c62, c63: without them, the two cannot be told apart.",
    "clear worse": "b is worse than a: pass rate 10 points lower on the 100 cases that both ran (likely between -19 and -1)."
    " This depends on c57, c58: without them, the two cannot be told apart.",
    "large suite": "b is better than a: pass rate 6.7 points higher on the 600 cases that both ran (likely between +3.8 and +9.6).",
    "equivalent": "No difference that matters between b and a: any gap is smaller than 5 points.",
    "negligible": "b is better than a: pass rate 1.2 points higher on the 1000 cases that both ran (likely between +0.4 and +2.1)."
    " The gap lies within the 5 points that do not matter.",
    "cannot tell": "Could not tell b and a apart. A gap of up to about 16 points could be hiding (likely between -8 and +16)."
    " To see 5 points you need about 500 more cases.",
    "five cases": "Small sample (5 cases): b is worse than a: pass rate 100 points lower on the 5 cases that both ran"
    " (likely between -100 and -39). This depends on c0: without it, there is not enough data.",
    "four cases": "Only 4 cases can be compared; a claim needs at least 5, and usually 30 or more.",
    "all ties": "Could not tell b and a apart. A gap of up to about 9 points could be hiding (likely between -9 and +9)."
    " To see 5 points you need about 210 more cases.",
    "one outlier": "Could not tell b and a apart. A gap of up to about 7 points could be hiding (likely between -2 and +7)."
    " To see 5 points you need about 42 more cases.",
    "fragile": "b is better than a: pass rate 10 points higher on the 60 cases that both ran (likely between +2 and +19)."
    " This depends on c40, c41: without them, the two cannot be told apart.",
    "half errors": "Small sample (20 cases): b is worse than a: pass rate 35 points lower on the 20 cases that both ran"
    " (likely between -57 and -12). The answer depends on 20 failed calls; rerun them."
    " 20 of 40 cases have no score on both sides and are left out.",
    "all errors": "Nothing can be compared (10 of 10 cases have no score on both sides);"
    " a claim needs at least 5, and usually 30 or more.",
    "lopsided": "b is worse than a: pass rate 20 points lower on the 40 cases that both ran (likely between -27 and -10).",
    "different suites": 'Cannot compare: a was run on suite "weather", b on "maps".',
    "changed": "Cannot compare b with a: what is asked or expected differs in 9 of 9 cases (c0, c1, c2 and 6 more).",
    "several": "2 candidates against the baseline, corrected for all 3 pairs. "
    "b is better than a: pass rate 30 points higher on the 100 cases that both ran (likely between +20 and +39). "
    "c is better than a: pass rate 32 points higher on the 100 cases that both ran (likely between +22 and +41).",
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_each_situation_has_its_sentence(situation: str) -> None:
    assert SENTENCES[situation] == SITUATIONS[situation].sentence


@pytest.mark.parametrize("situation", SITUATIONS)
def test_no_text_speaks_of_significance_sameness_or_proof(situation: str) -> None:
    table = SITUATIONS[situation]

    assert not re.search(r"(?i)significan|\bsame\b|prove", comparison_text(table) + table.model_dump_json())


@pytest.mark.parametrize(
    ("situation", "gate", "code"),
    [
        ("clear better", "pass", 0),
        ("clear worse", "fail", 1),
        ("cannot tell", "undecided", 4),
        ("four cases", "undecided", 4),
        ("half errors", "errors", 3),
        ("changed", "errors", 3),
        ("different suites", "errors", 3),
    ],
)
def test_the_gate_in_json_and_the_exit_code_are_one(situation: str, gate: str, code: int) -> None:
    table = SITUATIONS[situation]

    assert (gate, code, gate) == (table.gate, gate_exit_code(table), one(table).gate)


def test_a_table_that_is_still_at_work_passes_no_gate() -> None:
    assert 4 == gate_exit_code(ComparisonTable(status="working", sentence="Not finished."))


def test_the_worst_candidate_decides_the_gate() -> None:
    a, (_, b) = run_of("a", ["+"] * 60 + ["-"] * 40), counts(30, 30, 0, 40)

    table = compare_runs([a, run_of("b", b), run_of("c", ["+"] * 100)])

    assert (["fail", "pass"], "fail") == ([found.gate for found in table.comparisons], table.gate)


def test_a_slight_loss_within_the_margin_passes_the_gate_and_says_so() -> None:
    comparison = one(compared(counts(800, 14, 2, 184)))

    assert ("worse", "pass") == (comparison.verdict, comparison.gate)
    assert comparison.sentence.endswith("The gap lies within the 5 points that do not matter.")


def test_counts_are_of_the_cases_that_both_scored() -> None:
    comparison = one(SITUATIONS["half errors"])

    assert "a 20 of 20, b 13 of 20; 0 cases better, 7 worse, 13 unchanged" == comparison.counts


def test_counts_tell_the_share_of_trials_where_verdicts_of_cases_hide_it() -> None:
    comparison = one(SITUATIONS["lopsided"])

    assert (
        "a passes 100% of trials (40 of 40 cases pass), b passes 80% of trials (20 of 40 cases pass); "
        "0 cases better, 20 worse, 20 unchanged"
    ) == comparison.counts
    assert ("c1", "1/1", "3/5", "wrong city") == tuple(comparison.worse[0].model_dump().values())


def test_ranks_come_from_all_pairs_and_the_table_lists_the_candidates() -> None:
    table = SITUATIONS["several"]

    assert {"a": "3", "b": "1-2", "c": "1-2"} == table.ranks
    assert ["b", "c"] == [found.candidate.name for found in table.comparisons if found.candidate]


def test_with_several_candidates_a_weak_claim_is_not_made() -> None:
    (_, weak), (_, weaker) = counts(62, 0, 6, 32), counts(62, 0, 5, 33)
    a = run_of("a", ["+"] * 62 + ["-"] * 38)

    alone = compare_runs([a, run_of("b", weak)])
    among = compare_runs([a, *(run_of(name, weak if name == "b" else weaker) for name in "bcdefg")])

    assert "better" == one(alone).verdict
    assert "no_detectable_difference" == among.comparisons[0].verdict


def test_only_tags_with_five_cases_have_a_line() -> None:
    suite = suite_of(40, tags={n: ["many"] if n < 30 else ["few"] * (n < 34) for n in range(40)})

    table = compare_runs([run_of("a", ["+"] * 40, suite), run_of("b", ["-"] * 20 + ["+"] * 20, suite)])

    assert {"many": "-67 points (likely between -81 and -45, n=30): worse"} == table.by_tag


def test_groups_count_as_one_case_each() -> None:
    listed = [case_of(f"c{number}", group=f"g{number // 10}") for number in range(60)]
    suite = Suite(name="weather", cases=tuple(listed))

    table = compare_runs([run_of("a", ["+"] * 60, suite), run_of("b", ["-"] * 60, suite)])

    assert table.sentence.startswith("Small sample (6 groups of cases): b is worse than a: pass rate 100 points lower")


def test_an_interval_that_ends_just_beside_zero_does_not_end_at_zero() -> None:
    comparison = one(compared(counts(85, 0, 6, 100)))

    assert "better" == comparison.verdict
    assert not re.search(r"between \+0 ", comparison.sentence)


def test_a_run_that_did_not_end_is_named() -> None:
    notes = one(compare_runs([run_of("a", ["+"] * 9), run_of("b", ["+"] * 9, status="cancelled")])).notes

    assert "the run of b is cancelled: what it did not hold is left out" in notes


def test_two_runs_of_one_target_are_told_apart() -> None:
    data = run_of("a", ["+"] * 9)

    table = compare_runs([data, data._replace(run=data.run.model_copy(update={"id": "run-z"}))])

    assert "Could not tell a (run-z) and a (run-a) apart." in table.sentence


def test_what_was_loosened_since_the_baseline_is_said_where_runs_cannot_be_compared() -> None:
    strict = suite_of(9, expect={"calls": [{"tool": "t", "args": {"a": 1}}], "forbid": ["x"]})
    loose = suite_of(8, expect={"calls": [{"tool": "t"}], "forbid": ["x"]})

    comparison = one(compare_runs([run_of("a", ["+"] * 9, strict), run_of("b", ["+"] * 8, loose)]))

    assert "not_comparable" == comparison.verdict
    assert "less is asked now than in the baseline's suite: c0: t: a is not expected any more" == comparison.notes[0]
    assert "less is asked now than in the baseline's suite: 1 cases are gone: c8" == comparison.notes[-1]
    assert (len(comparison.notes), ()) == (9, loosened(strict, strict))


def test_sides_that_were_not_judged_alike_are_told() -> None:
    judged = run_of("b", ["+"] * 9, settings=RunSettings(trials=1, judge="openai:j"))

    comparison = one(compare_runs([run_of("a", ["+"] * 9), judged]))

    assert "not judged alike: a by no judge, b by openai:j" in comparison.notes


def test_more_trials_are_priced_where_the_noise_is_the_models_own() -> None:
    trials = [("+-", "-+", "++", "--")[number % 4] for number in range(40)]

    step = compared((trials, trials[::-1])).next_step

    assert step.startswith("3 more trials of each case (240 calls, about $0.24) would show gaps of about ")


def test_one_run_is_no_comparison() -> None:
    with pytest.raises(UsageError, match="two runs or targets"):
        compare_runs([run_of("a", ["+"] * 9)])


def test_a_plan_says_what_can_be_seen_and_what_more_would_cost() -> None:
    assert (
        "With 40 cases × 3 trials you can see gaps of about 18 points; 10 points need about 130 cases, about $1.13."
        == plan_sentence(40, 3, cost_usd=0.003)
    )


def test_a_plan_from_past_runs_counts_what_trials_bring() -> None:
    noise = Noise(between=0.02, within=0.3)

    assert (
        "With 40 cases × 1 trial you can see gaps of about 25 points; 10 points need about 250 cases."
        == plan_sentence(40, 1, noise=noise)
    )
    assert "With 200 cases × 5 trials you can see gaps of about 6 points." == plan_sentence(200, 5, noise=noise)


def test_past_runs_tell_what_trials_and_what_cases_bring() -> None:
    trials = [("+-", "-+", "++", "--")[number % 4] for number in range(40)]
    noise = noise_of(run_of("a", trials), run_of("b", trials[::-1]))

    assert noise is not None
    assert noise.within > noise.between >= 0
    assert noise_of(run_of("a", ["+"] * 9), run_of("b", ["+"] * 9)) is None
