"""Scores what anybody did, without running a model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue, ValidationError

from mcp_evals.answers import (
    TrialAnswer,
)
from mcp_evals.errors import (
    InvalidFileError,
    Problem,
    UsageError,
)
from mcp_evals.library import select_cases
from mcp_evals.results import Trial
from mcp_evals.runner import score_trial
from mcp_evals.suite import Case, Expect, Suite
from mcp_evals.suites.places import place_text
from mcp_evals.suites.problems import complaints
from mcp_evals.views import trial_answer
from mcp_evals.workspace.shared import Shared

if TYPE_CHECKING:
    from mcp_evals.suites.importers.transcripts import ReadTranscript


class Transcripts(Shared):
    """Scores transcripts."""

    async def score_transcript(
        self,
        transcript: JsonValue,
        *,
        suite: str | None = None,
        case: str | None = None,
        expect: Mapping[str, Any] | None = None,
    ) -> TrialAnswer:
        """Score what anybody did: against a case of a suite, or against an expectation given here.

        Raises:
            InvalidFileError: the transcript is in no known form, or the expectation is wrong.
            UsageError: nothing to score against.
        """
        from mcp_evals.suites.importers.transcripts import (
            read_transcript,  # knows many forms; the server starts without
        )

        read = read_transcript(transcript)
        scored_suite, scored_case = await self._to_score(suite, case, expect)
        trial = self.score_read(scored_suite, scored_case, read)
        return trial_answer(scored_case, trial, form=read.form)

    def score_read(self, suite: Suite, case: Case, read: "ReadTranscript") -> Trial:
        """Score a transcript that was read from somewhere."""
        from mcp_evals.suites.importers.transcripts import without_history  # as above

        # Message lists are handed in whole; what the case begins with is not what the subject did.
        transcript = without_history(read.transcript, case.history)
        score = score_trial(case, suite, transcript, suite.tools_of(case))
        return Trial(case_id=case.id, index=0, transcript=transcript, score=score, usage=transcript.usage)

    async def _to_score(
        self, suite: str | None, case: str | None, expect: Mapping[str, Any] | None
    ) -> tuple[Suite, Case]:
        if expect is not None:
            try:
                read = Expect.model_validate(expect)
            except ValidationError as error:
                raise InvalidFileError(
                    Problem(found.message, place_text(("expect", *found.place))) for found in complaints(error, Expect)
                ) from None
            given = Case(id=case or "transcript", user="(given with the transcript)", expect=read)
            return Suite(name="(given here)", cases=(given,)), given
        if suite is None or case is None:
            raise UsageError("nothing to score against: give `suite` and `case`, or an `expect` of your own")
        ready = (await self.library.ready(suite)).suite
        return ready, select_cases(ready, [case])[0]
