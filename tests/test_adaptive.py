"""Two targets are held pair by pair until the answer is clear; cut off, it goes on where it was."""

import re
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from mcp_evals.adaptive import AdaptiveRecord, adaptive_plan, adaptive_record, hold_pairs
from mcp_evals.errors import LimitError, UsageError
from mcp_evals.reports.text import answer_text
from mcp_evals.results import ComparisonTable
from mcp_evals.settings import Settings
from mcp_evals.workspace import Workspace, open_workspace
from mcp_evals.workspace.pairs import ADAPTIVE
from tests.e2e.home import asked_for, weather_suite, write_recording, write_suite
from tests.fakes import case_of

pytestmark = pytest.mark.anyio


def nothing(_: AdaptiveRecord) -> None: ...


def record_of(cases: int, trials: int = 1) -> AdaptiveRecord:
    listed = [case_of(f"c{number}", tags=("odd" if number % 2 else "even",)) for number in range(cases)]
    plan = adaptive_plan(listed, trials, metric="passed", margin=0.05)
    return adaptive_record(("a", "b"), listed, plan, "passed")


def home(tmp_path: Path, right: Sequence[bool], *, cases: int = 100) -> Settings:
    """A suite, a recording `poor` that is wrong everywhere, and `good`, right where it is said."""
    folder = tmp_path / "suites"
    cities = [f"city{number}" for number in range(cases)]
    write_suite(folder, weather_suite(*cities))
    write_recording(folder, "poor", [(city, 0, asked_for("nowhere")) for city in cities])
    answers = [asked_for(city if right[n % len(right)] else "nowhere") for n, city in enumerate(cities)]
    write_recording(folder, "good", [(city, 0, said) for city, said in zip(cities, answers, strict=True)])
    return Settings(suites=(folder,), data=tmp_path / "home")


TARGETS = ("recorded:poor", "recorded:good")


async def ask(workspace: Workspace, **settings: int) -> ComparisonTable:
    table = await workspace.compare_models(
        "weather", TARGETS, adaptive=True, settings={"trials": 1, **settings}, wait_s=None
    )
    assert not re.search(r"(?i)significan|\bsame\b|prove", answer_text(table) + table.model_dump_json())
    return table


async def test_it_stops_when_the_answer_is_clear_and_says_what_was_saved(tmp_path: Path) -> None:
    async with open_workspace(home(tmp_path, [True]), {}) as workspace:
        table = await ask(workspace)
        again = await workspace.compare_models(runs=table.runs)
        once_more = await ask(workspace)
        record = AdaptiveRecord.model_validate(workspace.store.document(ADAPTIVE, "+".join(table.runs)))

    pairs = len(record.state.pairs)
    assert pairs < 30
    assert (
        f"Small sample ({pairs} cases): recorded:good is better than recorded:poor: pass rate 100 points higher on the "
        f"{pairs} cases that both ran"
    ) in table.sentence
    assert table.sentence.endswith(
        f"Stopped after {pairs} of 100 cases because the answer was clear (at most a 5% chance of a false alarm, however "
        "often we looked). The size of the gap is probably overstated."
    )
    comparison = table.comparisons[0]
    assert ("better", "pass", ("small_sample", "stopped_early")) == (comparison.verdict, table.gate, comparison.flags)
    assert f"{200 - table.done} of 200 trials were saved" in comparison.notes
    assert table.done <= 2 * (pairs + 4)
    assert table == again == once_more


async def test_it_gives_up_where_the_rest_would_show_nothing(tmp_path: Path) -> None:
    async with open_workspace(home(tmp_path, [False]), {}) as workspace:
        table = await ask(workspace)

    assert (
        "Could not tell recorded:good and recorded:poor apart. Stopped after 80 of 100 cases because the rest would hardly "
        "have shown even a gap of 10 points. A gap of up to about 6 points could be hiding (likely between -6 and +6)."
    ) == table.sentence
    assert ("no_detectable_difference", "undecided") == (table.comparisons[0].verdict, table.gate)


async def test_a_budget_ends_it_without_a_claim_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    settings = home(tmp_path, [True])
    async with open_workspace(settings, {}) as workspace:
        short = await ask(workspace, max_calls=8)
        still = await workspace.compare_models(runs=short.runs)
    async with open_workspace(settings, {}) as workspace:
        whole = await ask(workspace, max_calls=100)
    async with open_workspace(home(tmp_path / "other", [True]), {}) as workspace:
        straight = await ask(workspace)

    assert "No claim: it ended after 4 of 100 cases, before the answer was clear." in short.sentence or (
        "Only 4 cases can be compared" in short.sentence
    )
    assert short == still
    assert short.runs == whole.runs
    assert whole.sentence == straight.sentence


async def test_cut_off_with_the_workspace_it_goes_on_when_its_runs_are_asked_for(tmp_path: Path) -> None:
    settings = home(tmp_path, [True, True, False])
    async with open_workspace(settings, {}) as workspace:
        begun = await workspace.compare_models("weather", TARGETS, adaptive=True, wait_s=0)
    async with open_workspace(settings, {}) as workspace:
        resumed = await workspace.compare_models(runs=begun.runs, wait_s=None)
    async with open_workspace(home(tmp_path / "other", [True, True, False]), {}) as workspace:
        straight = await ask(workspace)

    assert "working" == begun.status
    assert begun.next_step.endswith(
        "With 100 cases × 1 trial you can see gaps of about 11 points; 10 points need about 130 cases."
    )
    assert begun.runs == resumed.runs
    assert straight.sentence == resumed.sentence


async def test_a_run_that_was_stopped_early_is_no_run_for_an_ordinary_comparison(tmp_path: Path) -> None:
    async with open_workspace(home(tmp_path, [True]), {}) as workspace:
        early = await ask(workspace)
        plain = await workspace.compare_models("weather", TARGETS, settings={"trials": 1}, wait_s=None)
        mixed = await workspace.compare_models(runs=[early.runs[0], plain.runs[1]])

    assert not set(early.runs) & set(plain.runs)
    assert 200 == sum(side.scored for side in (plain.comparisons[0].baseline, plain.comparisons[0].candidate) if side)
    assert (
        f"run {early.runs[0]} was stopped when its answer was clear; its numbers are probably overstated"
        in mixed.comparisons[0].notes
    )


async def test_it_is_of_exactly_two(tmp_path: Path) -> None:
    async with open_workspace(home(tmp_path, [True]), {}) as workspace:
        with pytest.raises(UsageError, match="exactly two"):
            await workspace.compare_models("weather", [*TARGETS, "recorded:third"], adaptive=True)
        plain = await workspace.compare_models("weather", TARGETS, settings={"trials": 1}, wait_s=None)
        with pytest.raises(UsageError, match="no adaptive comparison"):
            await workspace.compare_models(runs=plain.runs, adaptive=True)


async def test_a_suite_that_can_show_nothing_is_refused_before_any_call(tmp_path: Path) -> None:
    async with open_workspace(home(tmp_path, [True], cases=8), {}) as workspace:
        with pytest.raises(UsageError, match="even a gap of 10 points would hardly be found"):
            await ask(workspace)

        assert () == workspace.list_runs().runs


async def test_pairs_are_looked_at_in_the_drawn_order_whoever_is_first() -> None:
    record = record_of(40)
    first = record.case_ids[record.order[0]]
    others = anyio.Event()
    held: list[str] = []

    async def hold(case: str, _: int) -> tuple[float, float]:
        held.append(case)
        if case == first:
            await others.wait()
        elif len(held) == 4:
            others.set()
        return 0.0, 1.0

    done = await hold_pairs(record, hold, window=4, save=nothing)

    assert [pair.case for pair in done.state.pairs] == list(record.order[: len(done.state.pairs)])
    assert len(held) <= len(done.state.pairs) + 4


async def test_cut_off_and_taken_up_again_it_comes_to_what_it_would_have_come_to() -> None:
    record = record_of(60, 2)
    calls = 0

    def score(case: str, index: int) -> tuple[float, float]:
        number = int(case[1:])
        return float(number % 3 > 0), float((number + index) % 5 > 0)

    async def whole(case: str, index: int) -> tuple[float, float]:
        return score(case, index)

    async def cut(case: str, index: int) -> tuple[float, float]:
        nonlocal calls
        calls += 1
        if calls > 25:
            raise LimitError("the budget is used up", kind="budget")
        return score(case, index)

    straight = await hold_pairs(record, whole, window=3, save=nothing)
    part = await hold_pairs(record, cut, window=3, save=nothing)
    resumed = await hold_pairs(part, whole, window=3, save=nothing)

    assert (25, "the budget is used up") == (len(part.state.pairs), part.ended)
    assert straight == resumed


async def test_a_pair_with_a_failed_call_is_left_out() -> None:
    record = record_of(30)

    async def hold(case: str, _: int) -> tuple[float | None, float | None]:
        return (None, 1.0) if case == record.case_ids[record.order[1]] else (0.0, 1.0)

    done = await hold_pairs(record, hold, window=2, save=nothing)

    assert (record.order[1], None, 1.0) == done.state.pairs[1]


async def test_each_tag_is_spread_from_first_to_last() -> None:
    tags = [place % 2 for place in record_of(40).order]

    assert 8 <= sum(tags[:20]) <= 12


async def test_a_plan_uses_past_runs_of_the_targets(tmp_path: Path) -> None:
    async with open_workspace(home(tmp_path, [True, False], cases=40), {}) as workspace:
        before = await workspace.plan_comparison("weather", TARGETS, 3)
        await workspace.compare_models("weather", TARGETS, settings={"trials": 1}, wait_s=None)
        after = await workspace.plan_comparison("weather", TARGETS, 3)

    assert "With 40 cases × 3 trials you can see gaps of about 18 points; 10 points need about 130 cases." == before
    assert after != before
    assert after.startswith("With 40 cases × 3 trials you can see gaps of about ")


async def test_what_was_loosened_since_a_pinned_baseline_is_said(tmp_path: Path) -> None:
    settings = home(tmp_path, [True], cases=9)
    async with open_workspace(settings, {}) as workspace:
        await workspace.run_suite("weather", "recorded:poor", settings={"trials": 1}, label="pinned", wait_s=None)
        old = await workspace.run_suite("weather", "recorded:good", settings={"trials": 1}, wait_s=None)
    suite = weather_suite(*(f"city{number}" for number in range(9)))
    suite["cases"][0]["expect"] = {"calls": [{"tool": "get_weather"}]}
    write_suite(settings.suites[0], suite)

    async with open_workspace(settings, {}) as workspace:
        with_today = await workspace.compare_models(
            "weather", ["recorded:good"], runs=["pinned"], settings={"trials": 1}, wait_s=None
        )
        both_old = await workspace.compare_models(runs=["pinned", old.run_id])

    line = "city0: get_weather: city is not expected any more"
    assert "errors" == with_today.gate
    assert f"less is asked now than in the baseline's suite: {line}" in with_today.comparisons[0].notes
    assert f"today's suite asks less than the baseline's: {line}" in both_old.comparisons[0].notes
