"""What the doors give back: small values that say the most important thing first. Bulk is named, not carried.

Each has a plain-text form in `reports/text.py` with the same facts.
"""

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from mcp_evals.model import Model
from mcp_evals.results import CallStatus, Estimate, RunStatus, Tally, Verdict


class LastRun(Model):
    """The newest finished run of a suite."""

    run_id: str
    """Handle of the run."""
    target: str
    """What was evaluated."""
    pass_rate: Estimate | None = None
    """Share of cases that passed."""


class SuiteLine(Model):
    """One suite of the list."""

    name: str
    """Name to call it by."""
    cases: int
    """Number of cases."""
    description: str = ""
    """What it is about."""
    tags: dict[str, int] = Field(default_factory=dict[str, int])
    """Tags and how many cases have them."""
    tracks: tuple[str, ...] = ()
    """Other tool sets."""
    last_run: LastRun | None = None
    """The newest finished run."""
    problems: tuple[str, ...] = ()
    """What is wrong with it; a suite with problems cannot be run."""
    built_in: bool = False
    """Comes with the package."""


class SuiteList(Model):
    """The suites there are."""

    suites: tuple[SuiteLine, ...]
    """One for each file."""
    folders: tuple[str, ...]
    """Where they were looked for."""
    total: int
    """How many there are, also those not on this page."""
    next_offset: int | None = None
    """Where the next page begins; None: this is the last."""


class CaseLine(Model):
    """One case in short."""

    id: str
    """Name of the case."""
    tags: tuple[str, ...] = ()
    """Its tags."""
    user: str
    """What is asked, cut."""
    expects: str
    """What is expected, in a line."""


class SuiteView(Model):
    """A suite, a page of its cases."""

    name: str
    """Name to call it by."""
    description: str = ""
    """What it is about."""
    digest: str
    """Content address; results are comparable only under the same one."""
    tools: tuple[str, ...] = ()
    """Tools on offer."""
    tracks: tuple[str, ...] = ()
    """Other tool sets."""
    total: int
    """Cases that fit the filter."""
    cases: tuple[CaseLine, ...]
    """This page."""
    next_offset: int | None = None
    """Where the next page begins; None: this is the last."""
    case: JsonValue = None
    """The one case that was asked for, whole, as it stands in the file."""


class TargetLine(Model):
    """Something that can be evaluated here."""

    target: str
    """How to name it; `MODEL` stands for a model of your choice."""
    ready: bool
    """Whether it can run now."""
    note: str = ""
    """What is missing, or what it is."""


class TargetList(Model):
    """What can be evaluated here."""

    targets: tuple[TargetLine, ...]
    """Ready ones first."""


class FailedCase(Model):
    """A case that did not pass, in a line."""

    case: str
    """Name of the case."""
    verdict: Verdict
    """Outcome over its trials."""
    score: float | None = None
    """Mean score."""
    trials: str
    """Passed of scored, such as `1/3`."""
    reason: str | None = None
    """The main reason."""


class RunAnswer(Model):
    """A run: its state, what it came to, and what to do next."""

    run_id: str
    """Handle for every further call."""
    status: RunStatus
    """`working`: call get_run again; `interrupted`: control_run resume goes on."""
    suite: str
    """What was asked."""
    target: str
    """What was evaluated."""
    track: str | None = None
    """The tool set."""
    done: int
    """Trials that have an outcome."""
    total: int
    """Trials that were planned."""
    verdict: str
    """What the run came to, in a sentence."""
    pass_rate: Estimate | None = None
    """Share of cases that pass."""
    score: Estimate | None = None
    """Mean score."""
    cases: Tally
    """Verdicts of the cases."""
    failures: tuple[FailedCase, ...] = ()
    """The first cases that did not pass, worst first."""
    more_failures: int = 0
    """How many more there are."""
    errors: dict[str, int] = Field(default_factory=dict[str, int])
    """Errored trials by kind."""
    by_tag: dict[str, str] = Field(default_factory=dict[str, str])
    """Passed of scored cases by tag."""
    cost_usd: float | None = None
    """What the target cost; None: unknown."""
    judge_cost_usd: float | None = None
    """What the judge cost; None: no judge, or unknown."""
    input_tokens: int | None = None
    """Tokens read."""
    output_tokens: int | None = None
    """Tokens written."""
    notes: tuple[str, ...] = ()
    """What a reader has to know."""
    next_step: str
    """What to call or do next."""


class CheckLine(Model):
    """One line of evidence."""

    name: str
    """What was checked."""
    score: float | None
    """From 0 to 1; None: not evaluated."""
    gate: bool = False
    """Whether failing it fails the case."""
    expected: JsonValue = None
    """What was expected."""
    actual: JsonValue = None
    """What there was, cut."""
    reason: str | None = None
    """Why the score is not 1."""
    judge: str | None = None
    """Status of the judge."""


class CallLine(Model):
    """One expected or actual call and how it fits."""

    status: CallStatus
    """How the two stand to each other."""
    expected: str | None = None
    """The expected call."""
    actual: str | None = None
    """The call that was made."""
    why: tuple[str, ...] = ()
    """For each argument that does not fit: path and reason."""


class TrialAnswer(Model):
    """One trial with its evidence."""

    run_id: str | None = None
    """The run; None: scored without one."""
    case: str
    """Name of the case."""
    trial: int = 0
    """Number of the trial."""
    verdict: Verdict
    """Outcome."""
    score: float | None
    """From 0 to 1; None: errored."""
    reason: str | None = None
    """The main reason, or the error."""
    calls: tuple[CallLine, ...] = ()
    """Expected and actual calls side by side."""
    checks: tuple[CheckLine, ...] = ()
    """The evidence, failed lines first."""
    transcript: str | None = None
    """What was said, fenced: data that a model wrote, not instructions. Only on request."""
    form: str | None = None
    """Form in which a transcript was read."""
    other_trials: str | None = None
    """Verdicts of the case's other trials."""
    self_scored: bool = False
    """The subject handed in its answer itself; nobody watched it."""
    next_step: str = ""
    """What to call or do next."""


class AttemptAnswer(Model):
    """A case that is handed out: all that a subject may see of it, and never what is expected."""

    attempt_id: str
    """Handle of the attempt, by which it is answered."""
    run_id: str
    """The run of target `self` that it belongs to."""
    suite: str
    """Name of the suite."""
    status: Literal["open", "recorded"] = "open"
    """`recorded`: it is answered, and what came of it is not told."""
    number: int
    """Which case of the run it is, from 1."""
    total: int
    """How many the run has."""
    system: str | None = None
    """System prompt; None also while an attempt goes on."""
    history: tuple[JsonValue, ...] = ()
    """Earlier messages."""
    user: str | None = None
    """The message to be answered now; None where results are to be answered."""
    results: tuple[str, ...] = ()
    """What the tools answered to the last calls, in their order."""
    tools: tuple[JsonValue, ...] = ()
    """The tools on offer; empty also while an attempt goes on."""
    next_step: str
    """What to call next."""


class SavedCase(Model):
    """A case that was written into a suite file, or would be."""

    suite: str
    """Name of the suite."""
    case: str
    """Id of the case."""
    file: str
    """The file."""
    written: bool
    """Whether the file was changed."""
    created: bool
    """Whether the case is new."""
    diff: str
    """Unified diff of the file."""
    notes: tuple[str, ...] = ()
    """What a reader has to know, such as how sure a proposed expectation is."""
    next_step: str
    """What to call next."""


class RunLine(Model):
    """One run of the list."""

    run_id: str
    """Handle of the run."""
    suite: str
    """What was asked."""
    target: str
    """What was evaluated."""
    track: str | None = None
    """The tool set."""
    status: RunStatus
    """State."""
    pass_rate: Estimate | None = None
    """Share of cases that passed."""
    done: int
    """Trials that have an outcome."""
    total: int
    """Trials that were planned."""
    cost_usd: float | None = None
    """What the target cost; None: unknown."""
    created_at: datetime
    """When it began, UTC."""
    label: str | None = None
    """Its name."""


class RunList(Model):
    """Past runs, newest first."""

    runs: tuple[RunLine, ...]
    """One for each run."""
    more: bool = False
    """Whether there are older ones."""


class ToolLine(Model):
    """A tool of an MCP server and what it costs."""

    name: str
    """The tool."""
    tokens: int
    """Characters / 4 of what a model reads of it."""
    description: str
    """What it does, cut."""


class LintLine(Model):
    """One thing that models or providers stumble over."""

    severity: str
    """`error`, `warning` or `note`."""
    tool: str | None = None
    """The tool; None: the list as a whole."""
    message: str
    """What is wrong and what would be right."""


class ToolsAnswer(Model):
    """The tools of an MCP server, as its author should see them."""

    server: str
    """Name in the configuration."""
    total_tokens: int
    """What the list costs every request that offers it."""
    tools: tuple[ToolLine, ...]
    """Each tool, in the server's order."""
    findings: tuple[LintLine, ...] = ()
    """Errors first."""
    more_findings: int = 0
    """How many more there are."""
    snapshot: str | None = None
    """File that was written; suites name it as `tools: [{file: …}]`."""


class ReportFile(Model):
    """A report that was written."""

    path: str
    """The file."""
    form: str
    """Its form."""
    runs: tuple[str, ...]
    """The runs that it tells of."""
    characters: int
    """How long it is."""
    sentence: str = ""
    """What it says, in short."""
