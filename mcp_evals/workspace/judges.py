"""The judge of a run: which target it is, whether it can be had, and asking it."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from mcp_evals.errors import EvalsError, UsageError
from mcp_evals.judging.asking import Price, TargetJudge, asks_judge
from mcp_evals.limits import price_usd
from mcp_evals.results import Run, RunSettings, TargetSpec
from mcp_evals.suite import Case, JudgeSettings, Suite
from mcp_evals.targets.base import Target
from mcp_evals.workspace.spending import Spending
from mcp_evals.workspace.targets import unknown_price

NOBODY: Final = "none"
"""Names no judge, where the suite or the configuration has one."""


class Judges(Spending):
    """Finds and opens judges."""

    async def _with_judge(self, suite: Suite, cases: Sequence[Case], settings: RunSettings) -> RunSettings:
        """Settings that name the judge: the caller's, else the suite's, else the configuration's; none where none is asked.

        Raises:
            UsageError: the judge cannot be had, so that nothing is spent on what would stay without a verdict.
        """
        if not asks_judge(suite, cases):
            return settings.model_copy(update={"judge": None})
        named = settings.judge or suite.judge.target or self.settings.judge or NOBODY
        settings = settings.model_copy(update={"judge": None if named == NOBODY else named})
        await self._check_judge(settings)
        return settings

    async def _check_judge(self, settings: RunSettings) -> None:
        if settings.judge is None:
            return
        try:
            target = await self._open_judge(settings.judge)
        except EvalsError as error:
            raise UsageError(
                f"judge {settings.judge}: {error}. Name another judge, or `{NOBODY}` to leave its questions open, for you"
                " or your agent to answer"
            ) from error
        await target.aclose()

    def _judge_of(self, run: Run, suite: Suite) -> TargetJudge | None:
        return None if run.settings.judge is None else self._judge(run.settings.judge, suite.judge, run.settings)

    def _judge(self, spec: str, how: JudgeSettings, settings: RunSettings) -> TargetJudge:
        provider = TargetSpec.parse(spec).provider
        price: Price = partial(price_usd, provider) if self._is_own_endpoint(provider) else unknown_price
        return TargetJudge(
            spec,
            how,
            partial(self._open_judge, spec),
            price,
            max_concurrency=settings.max_concurrency,
            timeout_s=settings.timeout_s,
        )

    async def _open_judge(self, spec: str) -> Target:
        # A judge is asked in the provider's own way: what a run is set to is for its subject.
        return (await self._open(TargetSpec.parse(spec), RunSettings())).target
