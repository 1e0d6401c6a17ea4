"""What is asked and what is expected: suites, cases, turns, expected calls and rubrics. Data, no behaviour beyond reading it.

Knows no file, no target and no score.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Discriminator, Field, JsonValue, Tag, model_validator

from mcp_evals.conversation import Message, ToolDefinition
from mcp_evals.critics import Critic
from mcp_evals.json_match import wildcard_value
from mcp_evals.model import DIGEST_CONTEXT, Fraction, Model, NonNegative, digest
from mcp_evals.text_expectations import TextExpectation

Id = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A name that people read and write."""
Severity = Literal["fail", "penalize", "ignore"]
"""What a deviation does: fail the case, cost its share of the score, or nothing."""
Order = Literal["any", "in_order", "exact"]
"""Whether expected calls may come in any order, must come in order, or must be exactly the calls made."""
OverTrials = Literal["mean", "majority", "all", "any", "last"]


# --- where tools come from


class FileTools(Model):
    """Tools of a snapshot file, as `mcp-evals tools SERVER -o FILE` writes it."""

    file: str
    """Path, relative to the suite file."""


class ServerTools(Model):
    """Tools of an MCP server that the user's configuration names."""

    server: str
    """Name in the configuration; never a command or a URL."""
    only: tuple[str, ...] | None = None
    """Offer only these tools."""


def _source_kind(value: Any) -> str:
    if isinstance(value, dict):
        return next((key for key in ("file", "server") if key in value), "tool")
    if isinstance(value, FileTools):
        return "file"
    return "server" if isinstance(value, ServerTools) else "tool"


ToolSource = Annotated[
    Annotated[ToolDefinition, Tag("tool")] | Annotated[FileTools, Tag("file")] | Annotated[ServerTools, Tag("server")],
    Discriminator(_source_kind),
]
"""A tool written out, a snapshot file, or a configured server."""


# --- what is expected


class ExpectedCall(Model):
    """A tool call that a right answer makes."""

    tool: str = Field(min_length=1)
    """The tool's name."""
    args: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """The arguments. One without a critic is compared exactly; `{any: true}`, `{one_of: [...]}` and `{optional: ...}`
    stand for whatever, any of some values, and one that may be left out."""
    critics: tuple[Critic, ...] = ()
    """How arguments are compared where exactly is not right."""
    returns: JsonValue = None
    """What the stubbed tool answers; with it the conversation goes on after the call."""
    fails: str | None = None
    """The stubbed tool reports this error instead of answering."""
    optional: bool = False
    """The call may be left out; when it comes, it is scored like the others."""

    @property
    def stubbed(self) -> bool:
        """Whether the call has an answer of its own."""
        return self.fails is not None or "returns" in self.model_fields_set


class Limits(Model):
    """Upper bounds; going over one fails the case."""

    output_tokens: int | None = Field(default=None, ge=0)
    """Tokens that the model wrote."""
    input_tokens: int | None = Field(default=None, ge=0)
    """Tokens that the model read."""
    total_tokens: int | None = Field(default=None, ge=0)
    """Tokens read and written."""
    steps: int | None = Field(default=None, ge=0)
    """Responses of the model."""
    calls: int | None = Field(default=None, ge=0)
    """Tool calls."""
    latency_s: NonNegative | None = None
    """Seconds spent waiting for the model."""
    cost_usd: NonNegative | None = None
    """Price of the tokens; unknown prices leave the check not evaluated."""


class Expect(Model):
    """What is expected after a user message, or of the whole conversation."""

    calls: tuple[ExpectedCall, ...] | None = None
    """The calls of a right answer; an empty list says that no tool must be called, no list says nothing about calls."""
    alternatives: tuple[tuple[ExpectedCall, ...], ...] = ()
    """Other lists of calls that are as right; the list that fits best counts."""
    order: Order = "any"
    """Whether the calls must come in this order."""
    credit: Literal["none", "subsequence"] = "none"
    """With an order: a wrong order fails the case, or calls out of order just earn nothing."""
    any_call: bool = False
    """Some tool must be called, whichever."""
    require: tuple[str, ...] = ()
    """Tools that must be called, whatever the arguments."""
    forbid: tuple[str, ...] = ()
    """Tools that must not be called."""
    text: tuple[TextExpectation, ...] = ()
    """What the answer must be like."""
    limits: Limits | None = None
    """Upper bounds on tokens, steps, time and money."""
    state: JsonValue = None
    """The final state of the tools, where they keep one; wildcards as in `args`."""

    @model_validator(mode="after")
    def _order_of_something(self) -> Self:
        if self.calls is None and {"order", "credit"} & self.model_fields_set:
            raise ValueError("`order` and `credit` need `calls`")
        if self.alternatives and self.calls is None:
            raise ValueError("`alternatives` need `calls`, to which they are alternatives")
        if self.any_call and self.calls == ():
            raise ValueError("`any_call` asks for a call and `calls: []` forbids all")
        return self

    @property
    def all_calls(self) -> tuple[ExpectedCall, ...]:
        """The calls of all lists, one list after the other: an alignment counts them so."""
        return tuple(call for calls in (self.calls or (), *self.alternatives) for call in calls)


class Rubric(Model):
    """How evidence becomes a score and a verdict."""

    fail_below: Fraction = 0.8
    """A case that scores less fails."""
    warn_below: Fraction = 0.9
    """A case that scores less, but does not fail, passes with a warning."""
    tool_weight: NonNegative = 1.0
    """Weight of the right tool beside all its arguments together, which weigh 1."""
    tool_names: Literal["loose", "exact"] = "loose"
    """Loose: case and the choice of `-`, `_` and `.` do not matter."""
    missing_calls: Severity = "penalize"
    """An expected call that never came."""
    extra_calls: Severity = "penalize"
    """A call that nobody expected."""
    wrong_tool: Severity = "penalize"
    """Another tool in the place of an expected one; `ignore` compares only arguments."""
    extra_arguments: Severity = "penalize"
    """An argument that nobody expected; one that repeats the schema's default is as good as left out."""
    over_trials: OverTrials = "mean"
    """How several trials make the verdict of a case."""
    convention: Literal["default", "arcade"] = "default"
    """Whose rules score the calls: ours, or those of arcade-evals, kept as they are for comparison."""

    @model_validator(mode="after")
    def _warn_above_fail(self) -> Self:
        if self.fail_below > self.warn_below:
            raise ValueError(
                f"`fail_below` {self.fail_below:g} must not be greater than `warn_below` {self.warn_below:g}"
            )
        return self

    def verdict_of(self, score: float) -> Literal["passed", "warned", "failed"]:
        """The verdict that a score alone makes."""
        return "failed" if score < self.fail_below else "warned" if score < self.warn_below else "passed"


class MetricSettings(Model):
    """A named metric of another system, as a check."""

    threshold: float | None = None
    """The least score that passes; None: the score is shown, and decides nothing."""
    match_type: str | None = None
    """For trajectory metrics: how the calls are compared, such as `IN_ORDER`."""
    ignore_args: bool | None = None
    """For trajectory metrics: compare only the names."""
    options: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """Further settings of the metric."""


# --- what is asked

Phrasings = Annotated[tuple[str, ...], Field(min_length=1)]


class Turn(Model):
    """One user message and what is expected after it."""

    user: str | Phrasings
    """The message; several phrasings are trials of the same case."""
    expect: Expect = Expect()
    """What is expected after it."""


class Scenario(Model):
    """A goal for a simulated user, instead of fixed messages."""

    opening: str
    """The first user message, as it is."""
    plan: str
    """What the user wants and how the conversation goes on."""
    persona: str | None = None
    """Who the user is: `expert`, `novice`, `evaluator`, or a description."""
    max_turns: int = Field(default=10, ge=1, le=100)
    """User messages at most, the opening among them."""
    replies: tuple[str, ...] | None = None
    """A scripted user: the messages after the opening; the conversation stops when they are used up."""
    target: str | None = None
    """Target that plays the user, such as `openai:gpt-5`; None: the `simulator` of the configuration."""
    stop_signal: str = Field(default="</finished>", min_length=1)
    """What the user says when the plan is done; the message that has it is not sent."""


class StateReading(Model):
    """A tool call that tells the state of a live server."""

    tool: str = Field(min_length=1)
    """The tool that is called when the conversation is over."""
    args: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """What it is called with."""


class ToolState(Model):
    """A state that tools keep: of stubs, by what their calls change; of a live server, by asking it."""

    initial: JsonValue = None
    """The state before the first call, an object."""
    changes: dict[str, dict[str, JsonValue]] = Field(default_factory=dict[str, dict[str, JsonValue]])
    """What a call of a tool does, unless it fails: dotted path to new value. `{name}` in a path and `{arg: name}` as a value
    stand for the call's argument; `{append: value}` adds to a list, `{delete: true}` takes the entry away."""
    read: StateReading | None = None
    """Ask for the state instead, when the conversation is over."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.read is not None and (self.changes or self.initial is not None):
            raise ValueError("give either `read`, or `initial` and `changes`")
        if self.read is None and not isinstance(self.initial, dict):
            raise ValueError("`initial` must be an object, `{}` where nothing is there yet; or give `read`")
        return self


class TrackOverride(Model):
    """What is different about a case on one track."""

    expect: Expect | None = None
    """Replaces the case's expectation."""
    rubric: Rubric | None = None
    """Replaces the case's rubric."""
    skip: bool = False
    """The case is not run on this track."""


class Case(Model):
    """One question with its expectation."""

    id: Id
    """Name of the case, unique in its suite."""
    description: str = ""
    """What the case is about."""
    tags: tuple[str, ...] = ()
    """For filtering and for results by tag; `holdout` keeps a case out of self-evaluation feedback."""
    user: str | Phrasings | None = None
    """The user message; several phrasings are trials of the same case."""
    turns: tuple[Turn, ...] = ()
    """Several user messages with an expectation each."""
    scenario: Scenario | None = None
    """A simulated user."""
    input: dict[str, JsonValue] | None = None
    """Body for an engine, sent as it is."""
    history: tuple[Message, ...] = ()
    """Messages before the first turn."""
    system: str | None = None
    """Replaces the suite's system prompt."""
    extends: str | None = None
    """Id of an earlier case: its conversation becomes this one's history, and what is not given here is taken from it."""
    expect: Expect = Expect()
    """What is expected: after `user`, or of the whole conversation where there are several turns."""
    tools: tuple[ToolSource, ...] | None = None
    """Replaces the suite's tools."""
    rubric: Rubric | None = None
    """Replaces the suite's rubric."""
    metrics: dict[str, MetricSettings | float] | None = None
    """Named metrics for this case, beside the suite's."""
    by_track: dict[str, TrackOverride] = Field(default_factory=dict[str, TrackOverride])
    """What is different on a track."""
    group: str | None = None
    """Cases of one group stand or fall together: statistics count the group once."""
    state: ToolState | None = None
    """Replaces the suite's state."""
    max_steps: int | None = Field(default=None, ge=1, le=1000)
    """Responses of the model that one user message may take."""
    metadata: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """Whatever else belongs to the case."""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        asked = [
            name
            for name, given in (
                ("user", self.user is not None),
                ("turns", bool(self.turns)),
                ("scenario", self.scenario is not None),
            )
            if given
        ]
        if len(asked) > 1:
            raise ValueError(f"give only one of `user`, `turns` and `scenario`, not {' and '.join(asked)}")
        if not asked and self.input is None:
            raise ValueError("asks nothing: give `user`, `turns`, `scenario` or `input`")
        return self

    @property
    def all_turns(self) -> tuple[Turn, ...]:
        """The turns, also where the case is written with `user`."""
        if self.turns:
            return self.turns
        if self.user is not None:
            return (Turn(user=self.user, expect=self.expect),)
        return ()

    @property
    def phrasings(self) -> int:
        """How many ways of asking the case has."""
        return max((len(turn.user) for turn in self.all_turns if isinstance(turn.user, tuple)), default=1)

    def user_turns(self, phrasing: int = 0) -> tuple[str, ...]:
        """The user messages; `phrasing` chooses, round and round, where there are several."""
        return tuple(
            turn.user if isinstance(turn.user, str) else turn.user[phrasing % len(turn.user)] for turn in self.all_turns
        )

    def on_track(self, track: str | None) -> "Case":
        """The case as it is on a track."""
        override = self.by_track.get(track or "")
        if override is None:
            return self
        changes: dict[str, Any] = {"by_track": {}}
        if override.expect is not None:
            changes["expect"] = override.expect
        if override.rubric is not None:
            changes["rubric"] = override.rubric
        return self.model_copy(update=changes)


class JudgeSettings(Model):
    """Which model judges, and how."""

    target: str | None = None
    """Target that judges, such as `openai:gpt-5`; None: the one that the configuration names."""
    samples: int = Field(default=1, ge=1, le=99)
    """Answers asked for each question; the majority decides, a tie is no verdict."""
    quorum: Fraction = 0.5
    """Share of the samples that must be readable for a verdict."""


class Defaults(Model):
    """What holds for every case that does not say otherwise."""

    max_steps: int = Field(default=10, ge=1, le=1000)
    """Responses of the model that one user message may take."""
    tags: tuple[str, ...] = ()
    """Tags of every case."""
    expect: Expect | None = None
    """Expectation of every case that has none."""
    trials: int | None = Field(default=None, ge=1, le=1000)
    """Trials of every case, where the caller does not say; None: by the suite's size."""


class Suite(Model):
    """A named set of cases with their tools."""

    version: Literal[1] = 1
    """Version of the file format."""
    name: Id
    """Name of the suite; tools and commands find it by this name."""
    description: str = ""
    """What the suite is about."""
    system: str | None = None
    """System prompt of every case."""
    tools: tuple[ToolSource, ...] = ()
    """The tools on offer."""
    tracks: dict[str, tuple[ToolSource, ...]] = Field(default_factory=dict[str, tuple[ToolSource, ...]])
    """Other tool sets for the same cases, by name, in this order."""
    rubric: Rubric = Rubric()
    """How evidence becomes a score and a verdict."""
    defaults: Defaults = Defaults()
    """What holds for every case that does not say otherwise."""
    judge: JudgeSettings = JudgeSettings()
    """Which model judges, and how."""
    state: ToolState | None = None
    """The state that the tools keep, for `expect.state`."""
    metrics: dict[str, MetricSettings | float] = Field(default_factory=dict[str, MetricSettings | float])
    """Named metrics of other systems, for every case."""
    metadata: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """Whatever else belongs to the suite."""
    schema_url: str | None = Field(default=None, validation_alias=AliasChoices("$schema", "schema_url"))
    """For editors."""
    cases: tuple[Case, ...] = ()
    """The cases."""

    @property
    def digest(self) -> str:
        """Content address of everything that decides results: cases, tools, rubric, prompts; not prose or tags."""
        content = self.model_copy(update={"description": "", "metadata": {}, "schema_url": None})
        # What was given counts beside what holds: `returns: null` is a stub, and a case's rubric only what it sets.
        given = content.model_dump(mode="json", exclude_unset=True, exclude={"version"}, context=DIGEST_CONTEXT)
        return digest({"suite": content, "given": given})

    def rubric_of(self, case: Case) -> Rubric:
        """The rubric that scores a case: its own fields over the suite's."""
        if case.rubric is None:
            return self.rubric
        own = {name: getattr(case.rubric, name) for name in case.rubric.model_fields_set}
        return Rubric.model_validate({**self.rubric.model_dump(), **own})

    def metrics_of(self, case: Case) -> dict[str, MetricSettings | float]:
        """The named metrics that score a case: its own over the suite's."""
        return {**self.metrics, **(case.metrics or {})}

    def state_of(self, case: Case) -> ToolState | None:
        """The state that the tools of a case keep."""
        return case.state or self.state

    def on_track(self, track: str | None) -> "Suite":
        """The suite as it is on a track: its tools, and its cases as they are there."""
        if track is None:
            return self
        cases = tuple(case.on_track(track) for case in self.cases if not case.by_track.get(track, TrackOverride()).skip)
        return self.model_copy(update={"tools": self.tracks[track], "cases": cases})

    def tools_of(self, case: Case) -> tuple[ToolDefinition, ...]:
        """The tools that a case offers, of those that are written out."""
        sources = self.tools if case.tools is None else case.tools
        return tuple(source for source in sources if isinstance(source, ToolDefinition))

    def system_of(self, case: Case) -> str | None:
        """The system prompt of a case."""
        return case.system if case.system is not None else self.system


def plain_arguments(call: ExpectedCall) -> dict[str, JsonValue] | None:
    """The expected arguments as a model would have to write them; None where a wildcard leaves them open."""
    return None if any(wildcard_value(value) for value in call.args.values()) else call.args
