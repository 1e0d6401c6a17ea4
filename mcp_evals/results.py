"""What comes out: checks, scores, trials, runs, estimates and comparisons.

Knows no scoring rule, no store and no clock.
"""

from datetime import datetime
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, JsonValue, model_validator

from mcp_evals.conversation import Transcript, Usage
from mcp_evals.model import Finite, Fraction, Model, NonNegative
from mcp_evals.suite import OverTrials

Verdict = Literal["passed", "warned", "failed", "errored"]
"""Outcome of a trial or case. An error is never a fail and never a zero: it has no score and is counted apart."""
RunStatus = Literal["working", "completed", "failed", "cancelled", "interrupted"]
"""State of a run; `interrupted`: its process died, it can be resumed."""
CallStatus = Literal["matched", "wrong_argument", "wrong_tool", "missing", "extra", "out_of_order", "hallucinated"]
"""How an expected and an actual call stand to each other; `hallucinated`: no tool has that name."""


class Check(Model):
    """One line of evidence."""

    name: str
    """What was checked, such as `calls`, `text.contains` or `limits.output_tokens`."""
    score: Fraction | None
    """From 0 to 1; None: not evaluated."""
    weight: NonNegative | None = None
    """Share in the case's score; None: a gate, which fails the case when it fails."""
    expected: JsonValue = None
    """What was expected."""
    actual: JsonValue = None
    """What there was."""
    reason: str | None = None
    """Why the score is not 1, or why it was not evaluated."""
    turn: int | None = Field(default=None, ge=0)
    """Index of the turn; None: the whole conversation."""
    informational: bool = False
    """Shown, and decides nothing."""
    judge: str | None = None
    """Status of the judge behind the score: who, how many samples, agreement, calibrated or not."""
    calibrated: bool | None = None
    """Whether the judge behind the score was compared with people; one that was not fails no case alone; None: no judge."""

    @property
    def status(self) -> Literal["passed", "partial", "failed", "not_evaluated"]:
        """The score in a word."""
        if self.score is None:
            return "not_evaluated"
        return "passed" if self.score == 1 else "partial" if self.score > 0 else "failed"


class ArgumentCheck(Model):
    """How one argument fits."""

    field: str
    """Dotted path of the argument."""
    score: float
    """From 0 to 1 (the arcade convention knows values outside)."""
    weight: float
    """Share beside the call's other arguments."""
    expected: JsonValue = None
    """What was expected."""
    actual: JsonValue = None
    """What the model gave; None also where it gave nothing."""
    reason: str | None = None
    """Why the score is not 1."""


class AlignedCall(Model):
    """An expected call beside the actual call that fits it best, or one that has no partner."""

    status: CallStatus
    """How the two stand to each other."""
    tool: str
    """The expected tool, or the one that was called where none was expected."""
    expected: int | None = None
    """Index among the expected calls."""
    actual: int | None = None
    """Index among the actual calls."""
    called: str | None = None
    """Tool that was called, where it is another or written otherwise."""
    score: float = 0.0
    """Share of full marks."""
    arguments: tuple[ArgumentCheck, ...] = ()
    """How the arguments fit."""


class CaseScore(Model):
    """Score and verdict of one transcript, with all the evidence."""

    verdict: Verdict
    """Outcome."""
    score: float | None
    """From 0 to 1 (the arcade convention knows values below 0); None where the verdict is `errored`."""
    checks: tuple[Check, ...] = ()
    """The evidence, one a line."""
    calls: tuple[tuple[AlignedCall, ...], ...] = ()
    """For each turn, how expected and actual calls fit."""
    turn_scores: tuple[Fraction | None, ...] = ()
    """Score of each turn, where there are several."""
    reason: str | None = None
    """The main reason for a verdict that is not `passed`, in one line."""


class Judgement(Model):
    """A judge's answer to one question, stored so that scoring again costs nothing."""

    key: str
    """Content address of the question: criterion, conversation and answer."""
    score: Fraction | None
    """1 holds, 0 does not, between for graded questions; None: no readable verdict."""
    reason: str
    """The judge's reason, given before its verdict."""
    judge: str
    """Who judged: a target, with how often it was asked, or who handed the verdict in."""
    samples: int = Field(default=1, ge=1)
    """Answers asked for."""
    readable: int = Field(default=1, ge=0)
    """Answers that could be read."""
    agreement: Fraction | None = None
    """Share of the readable answers that agree with the verdict; half in a tie."""
    calibrated: bool = False
    """Whether this judge was compared with people on this criterion, and agrees with them."""
    usage: Usage | None = None
    """Tokens it took."""
    cost_usd: NonNegative | None = None
    """What it cost; None: unknown."""


class TrialError(Model):
    """Why a trial has no score."""

    kind: str
    """A short word for grouping: `rate_limit`, `connection`, `timeout`, `authentication`, `bad_response`, `budget`, …"""
    message: str
    """What went wrong, for a reader."""


class Trial(Model):
    """One run of one case."""

    case_id: str
    """The case."""
    index: int = Field(ge=0)
    """Number of the trial of its case, from 0."""
    phrasing: int = Field(default=0, ge=0)
    """Which way of asking."""
    seed: int | None = None
    """Seed that the target was given."""
    transcript: Transcript | None = None
    """What was said; None where nothing was."""
    score: CaseScore | None = None
    """Score and evidence, or `error` instead."""
    error: TrialError | None = None
    """Why there is no score."""
    judgements: tuple[Judgement, ...] = ()
    """The judge's answers that the score rests on."""
    usage: Usage | None = None
    """Tokens of the target."""
    cost_usd: NonNegative | None = None
    """What the target's tokens cost; None: unknown."""
    duration_s: NonNegative = 0.0
    """Seconds from start to end."""
    started_at: datetime | None = None
    """When it began, UTC."""
    self_scored: bool = False
    """Whether the subject gave itself the score."""

    @model_validator(mode="after")
    def _score_or_error(self) -> Self:
        if self.score is not None and self.error is not None:
            raise ValueError("a trial has a score or an error, never both")
        return self

    @property
    def verdict(self) -> Verdict:
        """Outcome."""
        return self.score.verdict if self.score is not None else "errored"


class Outcome(NamedTuple):
    """A trial without its transcript and evidence: what sums are made of."""

    case_id: str
    """The case."""
    index: int  # pyright: ignore[reportIncompatibleMethodOverride]  nobody looks for a value in it
    """Number of the trial of its case."""
    verdict: Verdict
    """Outcome; `errored` also while there is no score yet."""
    score: float | None
    """Score, where there is one."""
    reason: str | None = None
    """The main reason of the verdict, or the error's message."""
    error_kind: str | None = None
    """Group of the error; None where the trial could be held."""
    usage: Usage | None = None
    """Tokens of the target."""
    cost_usd: float | None = None
    """What they cost; None: unknown."""
    duration_s: float = 0.0
    """Seconds from start to end."""
    latency_s: float | None = None
    """Seconds spent waiting for the model."""
    self_scored: bool = False
    """Whether the subject gave itself the score."""


class TargetSpec(Model):
    """What is evaluated, as a user writes it."""

    provider: str
    """`openai`, `anthropic`, `recorded`, `run`, `client`, `self`, or a name of the configuration."""
    model: str | None = None
    """Model, file or run id; None for an engine."""

    def __str__(self) -> str:
        return self.provider if self.model is None else f"{self.provider}:{self.model}"

    @classmethod
    def parse(cls, text: str) -> "TargetSpec":
        """Read `PROVIDER:MODEL` or `NAME`."""
        provider, colon, model = text.strip().partition(":")
        return cls(provider=provider, model=model if colon else None)


SeedPolicy = Literal["none", "constant", "random"] | int


class RunSettings(Model):
    """How a run is made."""

    trials: int = Field(default=1, ge=1, le=1000)
    """Trials of each case."""
    seed: SeedPolicy = "none"
    """`none`: no seed is sent; `constant`: 42 for every trial; `random`: a new one for each, recorded; or a number."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Sampling temperature; None: the provider's own."""
    max_output_tokens: int | None = Field(default=None, ge=1)
    """Tokens that one response may have; None: the provider's own."""
    tool_choice: Literal["auto", "required", "none"] = "auto"
    """Whether the model may, must or must not call a tool."""
    parallel_calls: bool | None = None
    """Whether one response may make several calls; None: the provider's own."""
    strict_schemas: bool | None = None
    """Send tool schemas in the provider's strict form; None: as they are."""
    timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """Seconds that one trial may take."""
    max_concurrency: int = Field(default=8, ge=1, le=1000)
    """Trials at a time."""
    max_cost_usd: NonNegative | None = None
    """Stop before spending more."""
    max_calls: int | None = Field(default=None, ge=0)
    """Model calls at most."""
    judge: str | None = None
    """Target that judges; None: the suite's, or that of the configuration; `none`: nobody."""
    extra: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """Further parameters, put into the request as they are."""


class Tally(Model):
    """Counts of verdicts; the sum is what was planned and done so far."""

    planned: int = Field(ge=0)
    """Trials, or cases, that the run is made of."""
    passed: int = 0
    """Passed."""
    warned: int = 0
    """Passed with a warning."""
    failed: int = 0
    """Failed."""
    errored: int = 0
    """Without a score."""

    @property
    def done(self) -> int:
        """Those that have an outcome."""
        return self.passed + self.warned + self.failed + self.errored

    @property
    def scored(self) -> int:
        """Those that have a score."""
        return self.passed + self.warned + self.failed


class Run(Model):
    """All trials of one suite, track and target: the head, without the trials themselves."""

    id: str
    """Handle of the run."""
    suite: str
    """Name of the suite."""
    suite_digest: str
    """Content address of the suite as it was."""
    track: str | None = None
    """The tool set, where the suite has several."""
    target: str
    """What was evaluated."""
    settings: RunSettings = RunSettings()
    """How the run was made."""
    case_ids: tuple[str, ...] = ()
    """The cases that belong to it, in the suite's order."""
    status: RunStatus = "working"
    """State."""
    created_at: datetime
    """When it began, UTC."""
    finished_at: datetime | None = None
    """When it ended, UTC."""
    label: str | None = None
    """A name that the user gave it, such as that of a baseline."""
    error: str | None = None
    """Why the run as a whole stopped."""
    notes: tuple[str, ...] = ()
    """What a reader has to know."""


class CaseResult(Model):
    """All trials of one case together."""

    case_id: str
    """The case."""
    verdict: Verdict
    """Verdict over the trials, by the rubric's rule."""
    score: float | None
    """Mean of the scored trials; None where none is."""
    trials: int
    """Trials that were made."""
    passed: int
    """Trials that passed, with or without a warning."""
    errored: int
    """Trials without a score."""
    flaky: bool = False
    """Some trials pass and some fail."""
    reason: str | None = None
    """The main reason of the worst trial."""
    rule: OverTrials = "mean"
    """How the trials made the verdict."""


class Estimate(Model):
    """A number with its uncertainty."""

    value: Finite
    """The point estimate."""
    low: Finite
    """Lower end of the interval."""
    high: Finite
    """Upper end of the interval."""
    confidence: Fraction = 0.95
    """Share of intervals made this way that hold the truth."""
    method: str
    """How the interval was made, such as `wilson` or `newcombe_paired`."""
    n: int = Field(ge=0)
    """How many cases (units of evidence) it rests on."""


class RunSummary(Model):
    """What a run came to."""

    run: Run
    """The run."""
    trials: Tally
    """Verdicts of the trials."""
    cases: Tally
    """Verdicts of the cases."""
    pass_rate: Estimate | None = None
    """Share of cases that pass, with its interval; None while nothing is scored."""
    score: Estimate | None = None
    """Mean score, with its interval."""
    results: tuple[CaseResult, ...] = ()
    """Each case."""
    by_tag: dict[str, Tally] = Field(default_factory=dict[str, Tally])
    """Verdicts of the cases of each tag."""
    usage: Usage | None = None
    """Tokens of the target."""
    cost_usd: NonNegative | None = None
    """What the target cost; None: unknown for at least one trial."""
    judge_cost_usd: NonNegative | None = None
    """What the judge cost; None: no judge, or unknown."""
    duration_s: NonNegative = 0.0
    """Seconds of all trials together."""


ComparisonVerdict = Literal[
    "better", "worse", "equivalent", "no_detectable_difference", "not_enough_data", "not_comparable"
]
Metric = Literal["passed", "score"]
"""What is compared: the share of trials that pass, or the mean score."""
Gate = Literal["pass", "fail", "undecided", "errors"]
"""Answers of the regression gate."""
Flag = Literal["borderline", "fragile", "negligible", "small_sample", "errors_decide", "many_errors", "stopped_early"]


class Arm(Model):
    """One side of a comparison, on the cases that both sides have."""

    name: str
    """Target, with the track where there is one."""
    run_id: str
    """The run."""
    passed: int
    """Cases that pass over their trials."""
    scored: int
    """Cases that have a score on both sides."""
    estimate: Estimate | None = None
    """The metric with its interval, on the compared cases."""
    errored_trials: int = 0
    """Trials without a score."""
    cost_usd: NonNegative | None = None
    """What its trials cost; None: unknown."""
    latency_s: NonNegative | None = None
    """Mean seconds of a trial spent waiting for the model."""


class ChangedCase(Model):
    """A case that the two sides do not do alike."""

    case: str
    """Name of the case."""
    baseline: str
    """Passed of scored trials, such as `3/3`, or the mean score."""
    candidate: str
    """As `baseline`."""
    reason: str | None = None
    """Why the worse side does not pass."""


class Comparison(Model):
    """Candidate against baseline on the same cases."""

    verdict: ComparisonVerdict
    """What may be said."""
    sentence: str
    """The verdict in plain words; it can be read alone."""
    baseline: Arm | None = None
    """The first side."""
    candidate: Arm | None = None
    """The second side."""
    metric: Metric = "passed"
    """What is compared."""
    difference: Estimate | None = None
    """Candidate minus baseline, with its interval."""
    flags: tuple[Flag, ...] = ()
    """What a careful reader has to know."""
    counts: str = ""
    """How many cases got better, worse, stayed."""
    better: tuple[ChangedCase, ...] = ()
    """Cases that the candidate does better."""
    worse: tuple[ChangedCase, ...] = ()
    """Cases that it does worse."""
    notes: tuple[str, ...] = ()
    """What was left out, and what the answer depends on."""
    next_step: str = ""
    """The cheapest thing that would tell more."""
    gate: Gate = "undecided"
    """Regression gate at the margin: not worse, worse, cannot tell; or errors decide, or nothing can be compared."""
    margin: Fraction = 0.05
    """Gaps below this do not matter."""
    p_value: Fraction | None = None
    """Sign-flip mid-p, after correction where several were compared."""
    test: str | None = None
    """How the p-value was found."""
    details: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """For experts: standard error, units, correlation, variance parts, chance to be better."""


class ComparisonTable(Model):
    """Several candidates against one baseline, corrected for their number."""

    status: RunStatus = "completed"
    """`working`: the runs are still going on; ask again with the same arguments."""
    sentence: str
    """The whole in plain words."""
    comparisons: tuple[Comparison, ...] = ()
    """One for each candidate, in the order asked for."""
    ranks: dict[str, str] = Field(default_factory=dict[str, str])
    """Where each target may stand, such as `1` or `1-3`, where there are more than two."""
    by_tag: dict[str, str] = Field(default_factory=dict[str, str])
    """Exploratory: the difference on the cases of each tag."""
    runs: tuple[str, ...] = ()
    """The runs behind it."""
    done: int = 0
    """Trials that have an outcome, over all runs."""
    total: int = 0
    """Trials that were planned."""
    next_step: str = ""
    """What to call or do next."""
    gate: Gate = "undecided"
    """The worst gate of the comparisons; the exit code of the command line says it too."""
