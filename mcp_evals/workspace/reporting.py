"""Reports of runs: as values, and as files."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from anyio import to_thread

from mcp_evals.answers import ReportFile
from mcp_evals.compare import RunData, compare_runs, distinct_names
from mcp_evals.errors import UsageError
from mcp_evals.results import CaseResult, ComparisonTable
from mcp_evals.summary import summarize
from mcp_evals.whole_files import write_whole
from mcp_evals.workspace.feedback import reveal_of
from mcp_evals.workspace.withheld import SELF, Withheld

if TYPE_CHECKING:
    from mcp_evals.reports.document import CaseReport, Report, RunReport
    from mcp_evals.reports.forms import Form

REPORTS = "reports"
"""Folder of exported reports, in the folder of the store."""


class Reporting(Withheld):
    """Tells what runs came to, whole."""

    def report(
        self,
        run_ids: Sequence[str],
        *,
        transcripts: bool = False,
        only_lost: bool = False,
        comparison: ComparisonTable | None = None,
        for_subject: bool = False,
    ) -> "Report":
        """One run, or several side by side with what may be claimed of them; the first is the baseline.

        `only_lost` leaves out the cases that pass (in all runs), `for_subject` what an agent that may become the
        subject must not see. `comparison` is one that was made of these runs; without it, it is made here.

        Raises:
            NotFoundError: no such run.
            UsageError: no run is named, or one twice.
        """
        from mcp_evals.reports.document import side_by_side  # few calls need it; the server starts without

        if not run_ids:
            raise UsageError("name one or more runs; list_runs shows them")
        data = self._run_data(run_ids)
        if len({found.run.id for found in data}) < len(data):
            raise UsageError("a run is named twice")
        alone = len(data) == 1
        shown = [
            self._report_of(found, transcripts=transcripts, only_lost=only_lost and alone, for_subject=for_subject)
            for found in data
        ]
        if alone:
            return shown[0]
        table = comparison or self._with_notes(compare_runs(data), data)
        if for_subject:
            table = self._table_for_subject(table)
        return side_by_side(shown, distinct_names(data), table, only_lost=only_lost)

    async def export_report(
        self, run_ids: Sequence[str], form: "Form", *, transcripts: bool = False, only_lost: bool = False
    ) -> ReportFile:
        """Write a report for an agent to hand on, in the folder of the store; without what is withheld from a subject.

        Raises:
            NotFoundError: no such run.
        """
        from mcp_evals.reports.document import RunReport, SideBySide  # few calls need them; the server starts without
        from mcp_evals.reports.forms import ENDINGS, written

        make = partial(self.report, run_ids, transcripts=transcripts, only_lost=only_lost, for_subject=True)
        report = await to_thread.run_sync(make)
        text = await to_thread.run_sync(written, report, form)
        ids = [run.summary.run.id for run in (report.runs if isinstance(report, SideBySide) else (report,))]
        path = self.settings.data / REPORTS / f"{'-'.join(ids[:4])}.{ENDINGS[form]}"
        await to_thread.run_sync(write_whole, path, text if text.endswith("\n") else text + "\n")
        table = report.comparison if isinstance(report, SideBySide) else None
        return ReportFile(
            path=str(path),
            form=form,
            runs=tuple(ids),
            characters=len(text),
            sentence=report.sentence if isinstance(report, RunReport) else table.sentence if table else "",
        )

    def _report_of(self, found: RunData, *, transcripts: bool, only_lost: bool, for_subject: bool) -> "RunReport":
        from mcp_evals.reports.document import run_report  # as above

        run, suite, outcomes = found
        why = self._why_of_run(run) if for_subject else {}
        if why and run.target == SELF:
            # Not even what came of them is told, and numbers that count them could be taken apart.
            run = run.model_copy(update={"case_ids": tuple(case_id for case_id in run.case_ids if case_id not in why)})
            outcomes = [outcome for outcome in outcomes if outcome.case_id not in why]
        summary = summarize(run, suite, outcomes, self.store.judge_cost(run.id))
        report = run_report(
            summary, outcomes, suite, self.store.trials(run.id), transcripts=transcripts, only_lost=only_lost
        )
        if not for_subject:
            return report
        told = run.target != SELF or reveal_of(run) == "full"
        cases = tuple(
            _withheld(case, why.get(case.id) or "the answers of this run are not told")
            if case.id in why or not told
            else case
            for case in report.cases
        )
        self._remember(run.suite, run.id, {case.id for case in report.cases if case.id not in why} if told else set())
        return report.model_copy(update={"cases": cases})


def _withheld(case: "CaseReport", why: str) -> "CaseReport":
    """What is asked and what came of it; nothing that tells what is expected, nor what a model that may be right said."""
    result: CaseResult | None = case.result and case.result.model_copy(update={"reason": None})
    return case.model_copy(
        update={"expects": f"(withheld: {why})", "result": result, "spreads": (), "trials": (), "history": ()}
    )
