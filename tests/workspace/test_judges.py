"""A run with a judge: asked once, paid once, kept apart; and a run whose judge is whoever reads the questions."""

import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from e2e.home import write_suite
from fakes import ScriptedTarget, called

from mcp_evals.answers import RunAnswer
from mcp_evals.conversation import Task, Transcript, Usage
from mcp_evals.errors import InvalidFileError, TargetError, UsageError
from mcp_evals.judging.asking import Price
from mcp_evals.judging.labels import Label
from mcp_evals.results import Judgement, TargetSpec
from mcp_evals.scoring.judge import NO_JUDGE
from mcp_evals.settings import Settings
from mcp_evals.targets.base import ProviderSettings
from mcp_evals.workspace import Workspace, open_workspace
from mcp_evals.workspace import holding as holding_module
from mcp_evals.workspace import judges as judges_module
from mcp_evals.workspace import targets as targets_module

pytestmark = pytest.mark.anyio

POLITE, SHORT = {"judged": "Is polite.", "id": "polite"}, {"judged": "Is short."}
KIND_WORDS = "Yes, please."
USAGE = Usage(input_tokens=100, output_tokens=10)


def suite_of(**fields: Any) -> dict[str, Any]:
    cases = [{"id": name, "user": f"{name}?", "expect": {"text": [POLITE, SHORT]}} for name in ("kind", "rude")]
    return {"version": 1, "name": "manners", "cases": cases, **fields}


def subject(task: Task) -> Transcript:
    return called(text=KIND_WORDS if task.case_id == "kind" else "Go away!", usage=USAGE)


def judged(message: str) -> str:
    """What a judge says who looks for a please, and finds everything short."""
    answer = message.rpartition("The answer to judge:")[2]
    polite = "please" in re.findall(r"\n(.*?)\n\[\w+: end\]", answer, re.DOTALL)[0]
    said = {"polite": polite, "c2": True} if "- polite" in message else {"c1": True}
    return json.dumps({name: {"reason": f"please: {polite}", "verdict": holds} for name, holds in said.items()})


class Bench:
    """The targets of these tests by the model's name: a subject, and judges."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, ScriptedTarget]] = []
        self.closed_to: str | None = None

    def open(self, spec: TargetSpec, *_: object, **__: object) -> ScriptedTarget:
        if str(spec) == self.closed_to:
            raise UsageError("KEY is not set")
        answers: dict[str | None, Callable[[Task], Transcript]] = {
            "m": subject,
            "judge": lambda task: called(text=judged(task.user_turns[0]), usage=USAGE),
            "mumbler": lambda _task: called(text="Hm.", usage=USAGE),
            "broken": self.fail,
        }
        target = ScriptedTarget(answers[spec.model])
        self.opened.append((str(spec), target))
        return target

    def fail(self, _task: Task) -> Transcript:
        raise TargetError("429", kind="rate_limit")

    def asked(self, spec: str) -> int:
        """How often a target was asked."""
        return sum(len(target.seen) for name, target in self.opened if name == spec)


def priced(cost_usd: float) -> Price:
    """A model whose every response costs this."""

    def price(_model: str | None, _usage: Usage | None) -> float:
        return cost_usd

    return price


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_suite(tmp_path / "suites", suite_of())
    here = ProviderSettings(kind="openai", url="http://127.0.0.1:9/v1")
    return Settings(suites=(tmp_path / "suites",), data=tmp_path / "home", providers={"here": here})


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    found = Bench()
    monkeypatch.setattr(targets_module, "open_target", found.open)
    # Our own endpoint has no price: here a subject's response costs 1 and a judge's 0.25.
    monkeypatch.setattr(holding_module, "unknown_price", priced(1.0))
    monkeypatch.setattr(judges_module, "unknown_price", priced(0.25))
    return found


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Workspace]:
    async with open_workspace(settings, environ={}) as workspace:
        yield workspace


async def run(workspace: Workspace, judge: str | None, trials: int = 1, **given: Any) -> RunAnswer:
    held = {"trials": trials, "judge": judge, **given}
    return await workspace.run_suite("manners", "here:m", settings=held, wait_s=None)


def verdicts(workspace: Workspace, run_id: str) -> dict[str, str]:
    return {outcome.case_id: outcome.verdict for outcome in workspace.store.outcomes(run_id)}


def judgements(workspace: Workspace, run_id: str, case: str) -> list[Judgement]:
    return list(workspace.store.trial(run_id, case, 0).judgements)


# --- a target that judges


async def test_a_judge_decides_and_what_it_cost_stands_apart(settings: Settings, bench: Bench) -> None:
    async with opened(settings) as workspace:
        answer = await run(workspace, "here:judge")

        assert {"kind": "passed", "rude": "warned"} == verdicts(workspace, answer.run_id)
        assert (2.0, 0.5) == (answer.cost_usd, answer.judge_cost_usd)
        assert 2 == bench.asked("here:judge")
        check = workspace.store.trial(answer.run_id, "rude", 0).score
        assert check is not None
        assert [
            ("text.judged.polite", 0.0, "here:judge, 1 of 1 samples readable, agreement 100%, not calibrated"),
            ("text.judged", 1.0, "here:judge, 1 of 1 samples readable, agreement 100%, not calibrated"),
        ] == [(one.name, one.score, one.judge) for one in check.checks]
    assert all(target.closed for _, target in bench.opened)


@pytest.mark.parametrize("where", ["suite", "configuration"])
async def test_a_judge_is_named_by_the_suite_or_the_configuration(settings: Settings, bench: Bench, where: str) -> None:
    if where == "suite":
        write_suite(settings.suites[0], suite_of(judge={"target": "here:judge", "samples": 3}))
    else:
        settings = settings.model_copy(update={"judge": "here:judge"})

    async with opened(settings) as workspace:
        answer = await run(workspace, None)
        open_run = await run(workspace, "none")

        name = "here:judge x3" if where == "suite" else "here:judge"
        assert {name} == {one.judge for one in judgements(workspace, answer.run_id, "kind")}
        assert {"kind": "errored", "rude": "errored"} == verdicts(workspace, open_run.run_id)
    assert (6 if where == "suite" else 2) == bench.asked("here:judge")


async def test_a_judge_that_cannot_be_had_is_told_before_anything_is_spent(settings: Settings, bench: Bench) -> None:
    bench.closed_to = "here:judge"

    async with opened(settings) as workspace:
        with pytest.raises(UsageError, match=r"judge here:judge: KEY is not set.*`none` to leave"):
            await run(workspace, "here:judge")
        runs = workspace.store.runs()

    assert () == runs
    assert 0 == bench.asked("here:m")


async def test_a_suite_that_asks_no_judge_needs_none(settings: Settings, bench: Bench) -> None:
    bench.closed_to = "here:judge"
    plain = {"id": "kind", "user": "?", "expect": {"text": [{"contains": "please"}]}}
    write_suite(settings.suites[0], suite_of(cases=[plain], judge={"target": "here:judge"}))

    async with opened(settings) as workspace:
        answer = await run(workspace, None)

        assert ({"kind": "passed"}, None) == (verdicts(workspace, answer.run_id), answer.judge_cost_usd)


async def test_trials_that_say_the_same_are_judged_once_and_so_are_later_runs(settings: Settings, bench: Bench) -> None:
    async with opened(settings) as workspace:
        first = await run(workspace, "here:judge", trials=5)
        second = await run(workspace, "here:judge", trials=5)

    assert 2 == bench.asked("here:judge")
    assert (0.5, 0.0) == (first.judge_cost_usd, second.judge_cost_usd)


async def test_another_judge_is_asked_anew(settings: Settings, bench: Bench) -> None:
    async with opened(settings) as workspace:
        await run(workspace, "here:judge")
        other = await run(workspace, "here:mumbler")
        nobody = await run(workspace, None)

        assert {"here:mumbler"} == {one.judge for one in judgements(workspace, other.run_id, "kind")}
        assert [] == judgements(workspace, nobody.run_id, "kind")


async def test_what_cannot_be_read_is_not_evaluated_kept_and_paid_once(settings: Settings, bench: Bench) -> None:
    async with opened(settings) as workspace:
        first = await run(workspace, "here:mumbler")
        second = await run(workspace, "here:mumbler")

        assert {"kind": "errored", "rude": "errored"} == verdicts(workspace, second.run_id)
        assert [0, 0] == [one.readable for one in judgements(workspace, second.run_id, "kind")]
        assert (0.5, 0.0) == (first.judge_cost_usd, second.judge_cost_usd)
    assert 2 == bench.asked("here:mumbler")


async def test_a_judge_that_could_not_be_heard_is_asked_again_another_time(settings: Settings, bench: Bench) -> None:
    async with opened(settings) as workspace:
        first = await run(workspace, "here:broken")
        reason = workspace.store.trial(first.run_id, "kind", 0).judgements[0].reason
        await run(workspace, "here:broken")

    assert "the judge failed: 429" in reason
    assert 4 == bench.asked("here:broken")


async def test_the_judge_spends_from_the_same_purse(settings: Settings, bench: Bench) -> None:
    async with opened(settings) as workspace:
        answer = await run(workspace, "here:judge", max_cost_usd=2.4, max_concurrency=1)
        calls = await run(workspace, "here:mumbler", max_calls=3, max_concurrency=1)

    assert ("cancelled", 1, 1.0, 0.25) == (answer.status, answer.done, answer.cost_usd, answer.judge_cost_usd)
    assert ("cancelled", 1) == (calls.status, calls.done)


async def test_scoring_again_asks_nobody(settings: Settings, bench: Bench) -> None:
    async with opened(settings) as workspace:
        answer = await run(workspace, "here:judge")
        before = bench.asked("here:judge")
        write_suite(settings.suites[0], suite_of(rubric={"warn_below": 1.0}))
        again = await workspace.control_run(answer.run_id, "rescore")

        assert {"kind": "passed", "rude": "warned"} == verdicts(workspace, answer.run_id)
        assert (before, answer.judge_cost_usd) == (bench.asked("here:judge"), again.judge_cost_usd)


async def test_a_criterion_that_is_new_since_the_run_is_not_evaluated_until_somebody_judges(
    settings: Settings, bench: Bench
) -> None:
    async with opened(settings) as workspace:
        answer = await run(workspace, "here:judge")
        changed = {"id": "kind", "user": "kind?", "expect": {"text": [POLITE, {"judged": "Is warm."}]}}
        write_suite(settings.suites[0], suite_of(cases=[changed, suite_of()["cases"][1]]))
        await workspace.control_run(answer.run_id, "rescore")

        assert {"kind": "errored", "rude": "warned"} == verdicts(workspace, answer.run_id)
        assert f"not evaluated: {NO_JUDGE}" == workspace.store.outcomes(answer.run_id)[0].reason
        assert 1 == (await workspace.judge_questions(answer.run_id)).open


# --- verdicts from whoever reads


async def test_questions_are_handed_out_and_verdicts_score_the_run_again(settings: Settings, bench: Bench) -> None:
    async with opened(settings) as workspace:
        answer = await run(workspace, None, trials=2)
        page = await workspace.judge_questions(answer.run_id, limit=1)
        rest = await workspace.judge_questions(answer.run_id, limit=5, offset=1)
        keys = {one.criterion: one.key for one in page.questions[0].criteria}
        taken = await workspace.answer_questions(
            answer.run_id,
            [
                {"key": keys["Is polite."], "reason": "Says please.", "verdict": True},
                {"key": keys["Is short."], "verdict": "yes"},
                {"key": rest.questions[0].criteria[0].key, "verdict": None},
            ],
            by="claude",
        )

        assert (4, 1, 1) == (page.open, len(page.questions), len(rest.questions))
        assert KIND_WORDS in page.questions[0].answer
        assert (2, 0, 2) == (taken.taken, taken.passed_over, taken.open)
        assert {"kind": "passed", "rude": "errored"} == verdicts(workspace, answer.run_id)
        assert ["claude (handed in)"] * 2 == [one.judge for one in judgements(workspace, answer.run_id, "kind")]
        assert (2, 0.0) == (
            (await workspace.judge_questions(answer.run_id)).open,
            workspace.store.judge_cost(answer.run_id),
        )


async def test_a_verdict_is_not_changed_afterwards(settings: Settings, bench: Bench) -> None:
    async with opened(settings) as workspace:
        answer = await run(workspace, "here:judge")
        label = (await workspace.questions_to_label(answer.run_id, decided=True))[0]
        taken = await workspace.answer_questions(answer.run_id, [{"key": label.key, "verdict": False}])

        assert (0, 1, 0) == (taken.taken, taken.passed_over, taken.open)
        assert {"kind": "passed", "rude": "warned"} == verdicts(workspace, answer.run_id)


async def test_what_a_judge_could_not_decide_somebody_can(settings: Settings, bench: Bench) -> None:
    async with opened(settings) as workspace:
        answer = await run(workspace, "here:mumbler")
        page = await workspace.judge_questions(answer.run_id)
        keys = [one.key for question in page.questions for one in question.criteria]
        await workspace.answer_questions(answer.run_id, [{"key": key, "verdict": True} for key in keys])
        rescored = await workspace.control_run(answer.run_id, "rescore")

        assert {"kind": "passed", "rude": "passed"} == verdicts(workspace, answer.run_id)
        assert 0.5 == rescored.judge_cost_usd


async def test_what_was_handed_in_holds_for_the_same_answer_in_a_later_run_without_a_judge(
    settings: Settings, bench: Bench
) -> None:
    async with opened(settings) as workspace:
        first = await run(workspace, None)
        page = await workspace.judge_questions(first.run_id)
        keys = [one.key for question in page.questions for one in question.criteria]
        await workspace.answer_questions(first.run_id, [{"key": key, "verdict": True} for key in keys])
        second = await run(workspace, None)

        assert {"kind": "passed", "rude": "passed"} == verdicts(workspace, second.run_id)


@pytest.mark.parametrize(
    ("answers", "error", "complaint"),
    [
        ([{"key": "b2:nothing", "verdict": True}], UsageError, 'has the key "b2:nothing"'),
        ([{"verdict": True}], InvalidFileError, r"answers\[0\].key"),
        ([{"key": "b2:1", "verdict": "well"}], InvalidFileError, "true or false"),
    ],
)
async def test_a_wrong_answer_changes_nothing(
    settings: Settings, bench: Bench, answers: list[dict[str, Any]], error: type[Exception], complaint: str
) -> None:
    async with opened(settings) as workspace:
        run_id = (await run(workspace, None)).run_id
        with pytest.raises(error, match=complaint):
            await workspace.answer_questions(run_id, answers)

        assert 4 == (await workspace.judge_questions(run_id)).open


async def test_a_subject_is_not_shown_criteria_of_holdout_cases(settings: Settings, bench: Bench) -> None:
    kept = [{**case, "tags": ["holdout"]} if case["id"] == "rude" else case for case in suite_of()["cases"]]
    write_suite(settings.suites[0], suite_of(cases=kept))

    async with opened(settings) as workspace:
        run_id = (await run(workspace, None)).run_id

        assert (2, 4) == (
            (await workspace.judge_questions(run_id, for_subject=True)).open,
            (await workspace.judge_questions(run_id)).open,
        )


async def test_a_subject_does_not_judge_itself(settings: Settings, bench: Bench) -> None:
    async with opened(settings) as workspace:
        attempt = await workspace.take_case("manners")
        await workspace.answer_attempt(attempt.attempt_id, {"text": "Please."})

        with pytest.raises(UsageError, match="does not judge itself"):
            await workspace.judge_questions(attempt.run_id, for_subject=True)
        assert 2 == (await workspace.judge_questions(attempt.run_id)).open


# --- a judge beside people


def people(rude_too: bool = False) -> list[Label]:
    """Twelve answers of which half are polite, labelled by people."""
    return [
        Label(
            criterion="Is polite.",
            id="polite",
            answer=f"{'please' if number < 6 else 'no'} {number}",
            verdict=number < 6,
        )
        for number in range(12)
    ] + ([Label(criterion="Is short.", answer="x", verdict=False)] if rude_too else [])


@pytest.fixture
def obliging(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> Bench:
    """A judge that answers any one criterion."""

    def answer(task: Task) -> Transcript:
        text = judged(task.user_turns[0])
        polite = json.loads(text).get("polite", {"verdict": True})
        return called(text=json.dumps(polite | {"reason": "r"}), usage=USAGE)

    plain = bench.open

    def opening(spec: TargetSpec, *_: object, **__: object) -> ScriptedTarget:
        target = plain(spec)
        if spec.model == "judge":
            target.answer = answer
        return target

    monkeypatch.setattr(targets_module, "open_target", opening)
    return bench


async def test_a_judge_that_agrees_with_people_fails_cases_from_then_on(settings: Settings, obliging: Bench) -> None:
    rude = {"id": "rude", "user": "rude?", "expect": {"text": [POLITE]}}
    write_suite(settings.suites[0], suite_of(cases=[rude]))

    async with opened(settings) as workspace:
        before = await run(workspace, "here:judge")
        report = await workspace.calibrate_judge(people(), "here:judge")
        after = await run(workspace, "here:judge")

        (found,) = report.criteria
        assert ("here:judge", 12, 3.0) == (report.judge, report.asked, report.cost_usd)
        assert (12, 1.0, 0.0, None, True) == (
            found.compared,
            found.agreement,
            found.bias,
            found.flip_rate,
            found.calibrated,
        )
        assert ({"rude": "warned"}, {"rude": "failed"}) == (
            verdicts(workspace, before.run_id),
            verdicts(workspace, after.run_id),
        )
        await workspace.control_run(before.run_id, "rescore")
        assert {"rude": "failed"} == verdicts(workspace, before.run_id)


async def test_what_the_judge_answered_before_is_not_asked_again(settings: Settings, obliging: Bench) -> None:
    async with opened(settings) as workspace:
        await workspace.calibrate_judge(people(), "here:judge")
        report = await workspace.calibrate_judge(people(rude_too=True), "here:judge")

        assert (1, 0.25, ["Is polite.", "Is short."]) == (
            report.asked,
            report.cost_usd,
            [one.subject for one in report.criteria],
        )
        assert report.overall is not None
        assert 13 == report.overall.labels
        assert "not calibrated on 'Is short.': 1 labels" in report.next_step


async def test_a_judge_is_calibrated_as_the_suite_asks_it(settings: Settings, obliging: Bench) -> None:
    write_suite(settings.suites[0], suite_of(judge={"target": "here:judge", "samples": 3}))

    async with opened(settings) as workspace:
        report = await workspace.calibrate_judge(people(), suite="manners")

    assert ("here:judge x3", 0.0) == (report.judge, report.criteria[0].flip_rate)
    assert 36 == obliging.asked("here:judge")


async def test_who_hands_verdicts_in_is_held_against_people_too(settings: Settings, bench: Bench) -> None:
    async with opened(settings) as workspace:
        run_id = (await run(workspace, None)).run_id
        handed_out = await workspace.questions_to_label(run_id, decided=False)
        await workspace.answer_questions(
            run_id, [{"key": label.key, "verdict": True} for label in handed_out], "claude"
        )
        labels = [label.model_copy(update={"verdict": "please" in label.answer}) for label in handed_out]
        report = await workspace.calibrate_judge(labels, by="claude")

        assert ("claude (handed in)", 0) == (report.judge, report.asked)
        assert [("Is polite.", 2, 0.5), ("Is short.", 2, 0.5)] == [
            (one.subject, one.compared, one.agreement) for one in report.criteria
        ]


async def test_a_judge_to_calibrate_must_be_named(settings: Settings, bench: Bench) -> None:
    async with opened(settings) as workspace:
        with pytest.raises(UsageError, match="no judge is named"):
            await workspace.calibrate_judge(people())


# --- named metrics


async def test_named_metrics_are_judged_by_the_same_judge(settings: Settings, obliging: Bench) -> None:
    case = {"id": "kind", "user": "kind?", "expect": {"text": [{"similar": "Yes, please.", "weight": 1}]}}
    metrics = {
        "final_response_match_v2": 1.0,
        "safety_v1": 1.0,
        "rubric_based_final_response_quality_v1": {
            "threshold": 1.0,
            "options": {"rubrics": [{"id": "polite", "text": "Is polite."}]},
        },
    }
    write_suite(settings.suites[0], suite_of(cases=[case], metrics=metrics))

    async with opened(settings) as workspace:
        answer = await run(workspace, None)
        open_questions = await workspace.judge_questions(answer.run_id)

        assert {"kind": "errored"} == verdicts(workspace, answer.run_id)
        assert (3, 1) == (open_questions.open, len(open_questions.questions))
        keys = [one.key for one in open_questions.questions[0].criteria]
        await workspace.answer_questions(answer.run_id, [{"key": key, "verdict": True} for key in keys])
        score = workspace.store.trial(answer.run_id, "kind", 0).score
        assert score is not None
        assert ("passed", [1.0, 1.0, 1.0, 1.0]) == (score.verdict, [check.score for check in score.checks])
        assert {"agent (handed in), 1 of 1 samples readable, agreement 100%, not calibrated"} == {
            check.judge for check in score.checks[1:]
        }
