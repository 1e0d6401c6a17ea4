"""Verdicts of people and agents: open questions handed out, answers taken in, a judge held against labels."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

import anyio
from anyio import to_thread
from pydantic import ValidationError

from mcp_evals.errors import InvalidFileError, Problem, UsageError
from mcp_evals.judging.asking import TargetJudge, judge_name, questions_of
from mcp_evals.judging.calibrating import (
    Calibration,
    CalibrationReport,
    calibration,
    calibration_id,
    calibrations,
)
from mcp_evals.judging.handing import (
    INSTRUCTIONS,
    HandedVerdict,
    QuestionPage,
    VerdictsTaken,
    handed_in,
    handed_in_name,
    handed_out,
)
from mcp_evals.judging.labels import Label, label_of
from mcp_evals.results import Judgement, Run, Trial
from mcp_evals.runner import CALIBRATION, known_judgements, score_trial
from mcp_evals.scoring.judge import OpenQuestion, as_message, by_answer
from mcp_evals.suite import Case, JudgeSettings, Suite
from mcp_evals.workspace.withheld import SELF, Withheld

PAGE: Final = 20_000
"""Characters of conversations and answers that one page of questions shows."""


class Verdicts(Withheld):
    """Hands questions out, takes verdicts in, and holds judges against people."""

    async def judge_questions(
        self, run_id: str, limit: int = 5, offset: int = 0, *, for_subject: bool = False
    ) -> QuestionPage:
        """Questions of a run that no judge has decided, up to `limit` answers from `offset` on: as many as fit a page.

        `for_subject`: an agent asks, which may be a subject too. It does not judge itself, and is shown no criterion that
        is withheld from it.

        Raises:
            NotFoundError: no such run.
            UsageError: the subject asks for its own.
        """
        run = self._judged_run(run_id, for_subject=for_subject)
        withheld = self._why_of_run(run) if for_subject else {}
        left, case_of = await to_thread.run_sync(self._open_questions, run, withheld)
        groups = by_answer(left.values())
        page = _page(groups[offset : offset + limit])
        shown = [question for group in page for question in group]
        if for_subject:
            self._remember(run.suite, run.id, {case_of[question.key] for question in shown})
        return QuestionPage(
            run_id=run.id,
            open=len(left),
            instructions=INSTRUCTIONS if shown else "",
            questions=handed_out(shown),
            next_step=_how_to_answer(run.id, more=len(groups) > offset + len(page), offset=offset + len(page))
            if shown
            else f'no question is open here; get_run(run_id="{run.id}") shows what the run came to',
        )

    async def answer_questions(
        self,
        run_id: str,
        answers: Sequence[Mapping[str, Any] | HandedVerdict],
        by: str = "agent",
        *,
        for_subject: bool = False,
    ) -> VerdictsTaken:
        """Take verdicts on open questions of a run, as those of the judge `by`, and score the run again.

        Raises:
            NotFoundError: no such run.
            InvalidFileError: an answer has another form.
            UsageError: a key belongs to no question of the run; nothing was taken.
        """
        run = self._judged_run(run_id, for_subject=for_subject)
        read = _read(answers)
        handed_in_name(by)
        return await to_thread.run_sync(lambda: self._take(run, read, by))

    async def questions_to_label(self, run_id: str, *, decided: bool) -> tuple[Label, ...]:
        """Questions of a run, as lines of a file: those that a judge has `decided`, without its verdict, or the open ones.

        Raises:
            NotFoundError: no such run.
        """
        run = self.store.run(run_id)

        def found() -> tuple[Label, ...]:
            left, asked = set[str](), dict[str, OpenQuestion]()
            for one in self._judged_trials(run):
                left |= {question.key for question in one.open}
                asked |= {question.key: question for question in one.questions}
            return tuple(label_of(question) for key, question in asked.items() if (key not in left) == decided)

        return await to_thread.run_sync(found)

    async def calibrate_judge(
        self,
        labels: Sequence[Label],
        judge: str | None = None,
        *,
        suite: str | None = None,
        samples: int | None = None,
        by: str | None = None,
    ) -> CalibrationReport:
        """Hold a judge against people's labels, and remember on which criteria it agrees with them.

        What it has answered before is not asked again. `suite`: as that suite asks its judge. `by`: a judge that hands its
        verdicts in, and cannot be asked.

        Raises:
            UsageError: there is no judge to ask.
        """
        asked = await self._asked_judge(judge, suite, samples) if by is None else None
        name = handed_in_name(by or "") if asked is None else asked.name
        given: dict[str, Judgement] = {}
        costs: list[float | None] = []
        for group in by_answer(label.question for label in labels):
            known = [self.store.judgement(question.key, name) for question in group]
            given |= {judgement.key: judgement for judgement in known if judgement is not None}
        open_groups = by_answer(label.question for label in labels if label.question.key not in given)
        if asked is not None:
            try:
                async with anyio.create_task_group() as tasks:
                    for group in open_groups:
                        tasks.start_soon(self._ask_for_labels, asked, group, given, costs)
            finally:
                await asked.aclose()
        found = calibrations(name, labels, given)
        for one in found:
            self.store.save_document(
                CALIBRATION, calibration_id(name, one.subject), one.model_dump(mode="json", exclude_defaults=True)
            )
        return CalibrationReport(
            judge=name,
            criteria=found,
            overall=calibration(name, "all criteria", labels, given) if len(found) > 1 else None,
            asked=sum(map(len, open_groups)) if asked else 0,
            cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
            next_step=_after_calibration(found),
        )

    async def _ask_for_labels(
        self,
        judge: TargetJudge,
        group: Sequence[OpenQuestion],
        given: dict[str, Judgement],
        costs: list[float | None],
    ) -> None:
        heard = await judge.ask(as_message(group))
        costs.append(heard.cost_usd)
        given |= {judgement.key: judgement for judgement in heard.judgements}
        for judgement in heard.judgements if heard.fresh else ():
            self.store.save_judgement(judgement)

    async def _asked_judge(self, judge: str | None, suite: str | None, samples: int | None) -> TargetJudge:
        how = (await self.library.ready(suite)).suite.judge if suite else JudgeSettings()
        if samples is not None:
            how = how.model_copy(update={"samples": samples})
        spec = judge or how.target or self.settings.judge
        if spec is None:
            raise UsageError("no judge is named: give --judge SPEC, `judge` in mcp-evals.toml, or --by NAME")
        settings = self._run_settings({})
        await self._check_judge(settings.model_copy(update={"judge": spec}))
        return self._judge(spec, how, settings)

    def _judged_run(self, run_id: str, *, for_subject: bool) -> Run:
        run = self.store.run(run_id)
        if for_subject and run.target == SELF:
            raise UsageError(
                f"run {run.id} is your own, and a subject does not judge itself; the user can, with"
                f" `mcp-evals judge questions {run.id}`"
            )
        return run

    def _judged_trials(self, run: Run) -> "Iterator[_JudgedTrial]":
        suite = self.store.suite(run.suite_digest).on_track(run.track)
        cases = {case.id: case for case in suite.cases}
        for trial in self.store.trials(run.id):
            case = cases.get(trial.case_id)
            if case is not None and trial.transcript is not None and trial.error is None:
                questions = questions_of(suite, case, trial.transcript, suite.tools_of(case))
                if questions:
                    yield _JudgedTrial(trial, case, suite, questions)

    def _open_questions(self, run: Run, withheld: Collection[str]) -> tuple[dict[str, OpenQuestion], dict[str, str]]:
        """What no judge has decided, and the case of each, by key."""
        left, case_of = dict[str, OpenQuestion](), dict[str, str]()
        for one in self._judged_trials(run):
            if one.case.id not in withheld:
                left |= {question.key: question for question in one.open}
                case_of |= {question.key: one.case.id for question in one.open}
        return left, case_of

    def _take(self, run: Run, verdicts: Sequence[HandedVerdict], by: str) -> VerdictsTaken:
        known, left = set[str](), set[str]()
        for one in self._judged_trials(run):
            known |= {question.key for question in one.questions}
            left |= {question.key for question in one.open}
        unknown = [verdict.key for verdict in verdicts if verdict.key not in known]
        if unknown:
            raise UsageError(
                f'no question of run {run.id} has the key "{unknown[0]}"; copy keys as they were handed out'
            )
        taken = {
            judgement.key: judgement
            for verdict in verdicts
            if verdict.key in left and (judgement := handed_in(verdict, by)) is not None
        }
        for judgement in taken.values():
            self.store.save_judgement(judgement)
        for one in self._judged_trials(run):
            own = [taken[question.key] for question in one.open if question.key in taken]
            if own:
                self._score_with(run, one, own)
        decided = sum(verdict.verdict is not None and verdict.key not in left for verdict in verdicts)
        rest = len(left) - len(taken)
        return VerdictsTaken(
            run_id=run.id,
            taken=len(taken),
            passed_over=decided,
            open=rest,
            next_step=f'judge_run(run_id="{run.id}") hands out the rest'
            if rest
            else f'get_run(run_id="{run.id}") shows the result',
        )

    def _score_with(self, run: Run, one: "_JudgedTrial", own: Sequence[Judgement]) -> None:
        trial, transcript = one.trial, one.trial.transcript
        assert transcript is not None  # noqa: S101  what was judged was said
        judge = None if run.settings.judge is None else judge_name(run.settings.judge, one.suite.judge)
        judgements = tuple(known_judgements(self.store, one.questions, judge, (*trial.judgements, *own)).values())
        tools = one.suite.tools_of(one.case)
        score = score_trial(one.case, one.suite, transcript, tools, judgements, trial.cost_usd, trial.duration_s)
        self.store.set_score(run.id, trial.model_copy(update={"score": score, "judgements": judgements}))


class _JudgedTrial(NamedTuple):
    trial: Trial
    case: Case
    suite: Suite
    questions: tuple[OpenQuestion, ...]

    @property
    def open(self) -> tuple[OpenQuestion, ...]:
        """What no judge has decided."""
        decided = {judgement.key for judgement in self.trial.judgements if judgement.score is not None}
        return tuple(question for question in self.questions if question.key not in decided)


def _read(answers: Sequence[Mapping[str, Any] | HandedVerdict]) -> list[HandedVerdict]:
    read: list[HandedVerdict] = []
    problems: list[Problem] = []
    for index, answer in enumerate(answers):
        try:
            read.append(answer if isinstance(answer, HandedVerdict) else HandedVerdict.model_validate(answer))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in (f"answers[{index}]", *first["loc"]))
            problems.append(Problem(f'{first["msg"]}; write {{"key", "reason", "verdict": true or false}}', place))
    if problems:
        raise InvalidFileError(problems)
    return read


def _how_to_answer(run_id: str, *, more: bool, offset: int) -> str:
    answer = f'judge_run(run_id="{run_id}", verdicts=[{{"key", "reason", "verdict": true or false}}])'
    return answer + (f"; offset={offset} shows more questions" if more else "")


def _after_calibration(found: Sequence[Calibration]) -> str:
    missing = [one for one in found if not one.calibrated]
    if not missing:
        return "its no now fails cases by these criteria; score stored runs again to see it"
    more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"not calibrated on {missing[0].subject!r}{more}: {missing[0].why_not}; until then its no only warns"


def _page(groups: Sequence[Sequence[OpenQuestion]]) -> Sequence[Sequence[OpenQuestion]]:
    """The first of these that fit a page, at least one: what is cut off a page cannot be judged."""
    sizes = accumulate(len(group[0].conversation) + len(group[0].answer) for group in groups)
    return groups[: max(1, sum(size <= PAGE for size in sizes))]
