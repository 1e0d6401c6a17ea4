"""Ask a target as a judge: what there is to ask about a transcript, and what comes of asking.

Knows no store: whoever asks looks there first and keeps what is fresh.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import anyio
from anyio import CapacityLimiter, Event, Lock

from mcp_evals.conversation import Task, ToolDefinition, Transcript, Usage
from mcp_evals.errors import EvalsError
from mcp_evals.results import Judgement
from mcp_evals.scoring.case import judged_questions
from mcp_evals.scoring.judge import (
    JudgeAnswer,
    JudgeFault,
    JudgeQuestion,
    OpenQuestion,
    judge_prompt,
    judgement_key,
    judgements,
)
from mcp_evals.suite import Case, JudgeSettings, Suite
from mcp_evals.targets.base import NoToolbox, Target
from mcp_evals.text_expectations import Judged

logger = logging.getLogger(__name__)

Price = Callable[[str | None, Usage | None], float | None]
"""What tokens of a model cost in US dollars; None: unknown."""


def questions_of(
    suite: Suite, case: Case, transcript: Transcript, tools: Sequence[ToolDefinition] = ()
) -> tuple[OpenQuestion, ...]:
    """What a judge has to answer before a transcript can be scored: judged expectations, then named metrics."""
    found = [
        OpenQuestion(criterion=check.judged, id=check.id, conversation=conversation, answer=answer)
        for _, check, conversation, answer in judged_questions(case, transcript)
    ]
    if metrics := suite.metrics_of(case):
        from mcp_evals.scoring.metrics import metric_questions  # few suites ask for them; the server starts without

        found += metric_questions(metrics, case, transcript, tools)
    return tuple({question.key: question for question in found}.values())


def asks_judge(suite: Suite, cases: Sequence[Case]) -> bool:
    """Whether something in these cases of a suite is for a judge."""
    if metrics := {name for case in cases for name in suite.metrics_of(case)}:
        from mcp_evals.scoring.metric_list import METRICS  # few suites ask for them; the server starts without

        if any("judge" in METRICS[name].needs for name in metrics if name in METRICS):
            return True
    expected = [
        expect
        for case in cases
        for expect in (
            case.expect,
            *(turn.expect for turn in case.turns),
            *(override.expect for override in case.by_track.values()),
        )
        if expect is not None
    ]
    return any(isinstance(check, Judged) for expect in expected for check in expect.text)


class Heard(NamedTuple):
    """What came of one message to a judge."""

    judgements: tuple[Judgement, ...]
    """One for each criterion, in order."""
    cost_usd: float | None
    """What it cost; None: unknown."""
    calls: int
    """Model calls that it took."""
    fresh: bool
    """Whether it is to be stored: another's answer is already, and one that a failed call left open is asked again."""


class TargetJudge:
    """A target that judges, opened when it is first asked; the same question at the same time is asked once."""

    def __init__(
        self,
        target: str,
        settings: JudgeSettings,
        open_target: Callable[[], Awaitable[Target]],
        price: Price,
        *,
        max_concurrency: int = 8,
        timeout_s: float = 300.0,
    ) -> None:
        self.name = judge_name(target, settings)
        """By which its judgements are stored."""
        self._settings, self._open, self._price, self._timeout_s = settings, open_target, price, timeout_s
        self._slots = CapacityLimiter(max_concurrency)
        self._opening = Lock()  # two first questions at once would open two targets
        self._target: Target | None = None
        self._asked: dict[JudgeQuestion, _Pending] = {}

    async def ask(self, question: JudgeQuestion) -> Heard:
        """The judgements on one message; a judge that fails is a judgement without a verdict, never an error."""
        while (other := self._asked.get(question)) is not None:
            await other.over.wait()
            if other.judgements is not None:
                return Heard(other.judgements, 0.0, 0, fresh=False)
        mine = self._asked[question] = _Pending()
        try:
            heard = await self._sampled(question)
            mine.judgements = heard.judgements
            return heard
        finally:
            del self._asked[question]
            mine.over.set()

    async def aclose(self) -> None:
        """Give back connections."""
        if self._target is not None:
            await self._target.aclose()

    async def _sampled(self, question: JudgeQuestion) -> Heard:
        samples: list[_Sample | None] = [None] * self._settings.samples

        async def sample(index: int) -> None:
            async with self._slots:
                samples[index] = await self._sample(question, index)

        async with anyio.create_task_group() as group:
            for index in range(len(samples)):
                group.start_soon(sample, index)
        taken = [sample for sample in samples if sample is not None]
        usages = [sample.usage for sample in taken if sample.usage is not None]
        costs = [sample.cost_usd for sample in taken]
        cost_usd = None if None in costs else sum(cost for cost in costs if cost is not None)
        found = judgements(
            question,
            [sample.answer for sample in taken],
            judge=self.name,
            quorum=self._settings.quorum,
            usage=sum(usages[1:], usages[0]) if usages else None,
            cost_usd=cost_usd,
        )
        failed = any(isinstance(sample.answer, JudgeFault) for sample in taken)
        decided = all(judgement.score is not None for judgement in found)
        return Heard(found, cost_usd, len(taken), fresh=decided or not failed)

    async def _sample(self, question: JudgeQuestion, index: int) -> "_Sample":
        task = Task(
            run_id="judge",
            # A recording of judges finds its answer by what is asked.
            case_id=judgement_key("\n".join(c.text for c in question.criteria), question.conversation, question.answer),
            trial=index,
            user_turns=(judge_prompt(question, secrets.token_hex(8)),),
            max_steps=1,
        )
        try:
            with anyio.move_on_after(self._timeout_s):
                target = await self._opened()
                transcript = await target.run(task, NoToolbox())
                return _Sample(transcript.final_text, transcript.usage, self._cost(transcript))
        except EvalsError as error:
            return _Sample(JudgeFault(str(error)), None, None)
        except Exception as error:
            # A judge that breaks in a way nobody foresaw must not take the trial with it.
            logger.exception("judge %s broke", self.name)
            return _Sample(JudgeFault(f"{type(error).__name__}: {error}"), None, None)
        return _Sample(JudgeFault(f"no answer after {self._timeout_s:g} s"), None, None)

    async def _opened(self) -> Target:
        async with self._opening:
            if self._target is None:
                self._target = await self._open()
            return self._target

    def _cost(self, transcript: Transcript) -> float | None:
        costs = [self._price(step.model, step.usage) for step in transcript.steps]
        return None if None in costs else sum(cost for cost in costs if cost is not None)


class _Pending:
    def __init__(self) -> None:
        self.over = Event()
        self.judgements: tuple[Judgement, ...] | None = None


class _Sample(NamedTuple):
    answer: JudgeAnswer
    usage: Usage | None
    cost_usd: float | None


def judge_name(target: str, settings: JudgeSettings) -> str:
    """The target, and how often it is asked: five votes are another judge than one, with another agreement."""
    samples = f" x{settings.samples}" if settings.samples > 1 else ""
    quorum = f" quorum {settings.quorum:g}" if settings.quorum != JudgeSettings().quorum else ""
    return f"{target}{samples}{quorum}"
