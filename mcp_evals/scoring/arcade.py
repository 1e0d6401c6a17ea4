"""arcade-evals' own rules for scoring tool calls, frozen: for suites that come from there and for telling conventions apart.

`score_arcade_calls` is `EvalCase.evaluate` of arcade-mcp 1.15 and 1.16, its oddities included. Written from a functional
specification of it, whose sections are named here: §1 critics, §2 weights, §3 evaluation, §3.1 assignment, §3.2 building
a case, §4.1 the tool registry. What a reader has to know:

- Critics belong to the case and run on every pair of calls; on a field that neither call has they mostly give full marks.
- A critic that raises, as a numeric one does on a missing number, leaves the score and its weight leaves the sum.
- Calls are paired by values that are both given; the score counts nulls, too. Calls without a partner cost nothing.
- Numbers are not clamped: one far outside the range makes the score negative.
- Where the original crashes (NaN or infinite numbers, arguments that are no JSON object), the case scores 0 and says why.
- Dates that say no year, month or day are filled from today, times zones from this machine, as dateutil does.

How a case of ours says what arcade's says. Rubric: a score from `warn_below` on passes, from `fail_below` on it warns, so
arcade's `fail_threshold` f and `warn_threshold` w are `warn_below: f`, `fail_below: min(f, w)`; `tool_weight` is
`tool_selection_weight`; the gate on the number of calls is off where `missing_calls` and `extra_calls` are `ignore`, the
gate on their names where `wrong_tool` is. Critics: those of all expected calls together, `exact` as BinaryCritic (which
always casts), `numeric` with `low` and `high`, `similarity` by TF-IDF, `datetime`; the same critic on two calls is one.
A case under `metadata: {arcade: {...}}`, as the importer writes it, is taken as arcade built it; what our critics and
rubric cannot hold stands there (`ArcadeSettings`). Any other case is built as `add_case` builds it: the schemas' defaults
fill the expected arguments, and arguments without a critic are not compared.

Knows no model and no network; knows the clock only through dates that are not whole, and not even then if `today` is given.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from pydantic import Field, JsonValue, ValidationError

from mcp_evals.conversation import ToolCall, ToolDefinition, Transcript
from mcp_evals.critics import Critic, Datetime, Exact, Numeric, Similarity
from mcp_evals.errors import UsageError
from mcp_evals.model import Model
from mcp_evals.results import CaseScore
from mcp_evals.scoring.arcade_critics import (
    ArcadeBinary,
    ArcadeCritic,
    ArcadeDatetime,
    ArcadeNone,
    ArcadeNumeric,
    ArcadeSimilarity,
)
from mcp_evals.scoring.arcade_evaluation import (
    ArcadeCall,
    ArcadeRubric,
    score_arcade_calls,
)
from mcp_evals.scoring.arcade_evidence import case_score
from mcp_evals.suite import Case, Expect, ExpectedCall, Rubric


class ArcadeSettings(Model):
    """What stands under a case's `metadata: {arcade: …}`: the case is as arcade built it, expected arguments are complete."""

    version: str | None = None
    """Version of arcade-mcp that built it."""
    critics: tuple[ArcadeCritic, ...] | None = None
    """All critics of the case, in their order; None: those on its expected calls say it."""
    order: tuple[str, ...] = ()
    """The critics' order by field, where they stand on the calls in another: sums of floats, and so ties, depend on it."""
    rubric: ArcadeRubric | None = None
    """The rubric; None: the case's own says it."""
    signatures: dict[str, dict[str, JsonValue]] = Field(default_factory=dict[str, dict[str, JsonValue]])
    """Python tools by name: each parameter that a critic looks at, with its default; arcade drops other arguments."""


# --- building a case (§3.2) and reading calls (§4.1)


class ArcadeTools:
    """arcade's registry: finds tools by their own name or with `_` for `.`, and fills arguments from defaults.

    Raises:
        UsageError: two tools have one name.
    """

    def __init__(
        self, tools: Iterable[ToolDefinition], signatures: Mapping[str, Mapping[str, JsonValue]] | None = None
    ) -> None:
        self._tools: dict[str, ToolDefinition] = {}
        self._dotted: dict[str, str] = {}
        self._signatures = signatures or {}
        for tool in tools:
            if tool.name in self._tools:
                raise UsageError(
                    f"Tool '{tool.name}' already registered. Each tool name must be unique across all sources "
                    "(MCP servers, gateways, catalogs)."
                )
            wire_name = tool.name.replace(".", "_")
            if wire_name != tool.name and wire_name not in self._tools:
                self._dotted.setdefault(wire_name, tool.name)
            self._tools[tool.name] = tool

    def filled(self, name: str, args: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """The arguments with the schema's defaults in the place of missing ones and of nulls."""
        tool = self._tools.get(self._own_name(name))
        complete = dict(args)
        for field, schema in tool.parameters.items() if tool else ():
            if isinstance(schema, dict) and "default" in schema and complete.get(field) is None:
                complete[field] = schema["default"]
        return complete

    def read(self, call: ToolCall) -> ToolCall:
        """A call of a model as it is scored: the tool's own name, complete arguments."""
        if isinstance(call.arguments, str):
            return call
        name, args = self._own_name(call.name), self.filled(call.name, call.arguments)
        if name in self._signatures:
            args = {field: args.get(field, default) for field, default in self._signatures[name].items()}
        return ToolCall(name=name, arguments=args)

    def _own_name(self, name: str) -> str:
        return name if name in self._tools else self._dotted.get(name, name)


class ArcadeCase(NamedTuple):
    """What is expected, built."""

    expected: tuple[ArcadeCall, ...]
    """The calls, their arguments complete."""
    critics: tuple[ArcadeCritic, ...]
    """One for each argument that is expected or compared."""


def build_arcade_case(
    name: str, expected: Iterable[ArcadeCall], critics: Iterable[ArcadeCritic], tools: ArcadeTools
) -> ArcadeCase:
    """A case as `add_case` builds it: defaults fill the expected arguments, those without a critic are not compared.

    Raises:
        UsageError: an argument has two critics.
    """
    calls = tuple(ArcadeCall(call.name, tools.filled(call.name, call.args)) for call in expected)
    given = tuple(critics)
    times = Counter(critic.field for critic in given)
    twice = [field for field, count in times.items() if count > 1]
    if twice:
        raise UsageError(
            f"Multiple critics detected for the field(s) '{', '.join(twice)}' in evaluation case '{name}'. "
            "Only one critic per field is permitted."
        )
    return ArcadeCase(calls, with_placeholders(calls, given))


def with_placeholders(calls: Iterable[ArcadeCall], critics: Sequence[ArcadeCritic]) -> tuple[ArcadeCritic, ...]:
    """The critics, and one that compares nothing for each expected argument without any."""
    fields = dict.fromkeys(field for call in calls for field in call.args)
    known = {critic.field for critic in critics}
    return (*critics, *(ArcadeNone(field=field) for field in fields if field not in known))


def arcade_critics(calls: Iterable[ExpectedCall], order: Sequence[str] = ()) -> tuple[ArcadeCritic, ...]:
    """The critics on our expected calls as arcade's, each once; those of fields in `order` first, in that order.

    Raises:
        UsageError: arcade has no such critic.
    """
    found = dict.fromkeys(_arcade_critic(critic) for call in calls for critic in call.critics)
    return tuple(sorted(found, key=lambda critic: order.index(critic.field) if critic.field in order else len(order)))


def _arcade_critic(critic: Critic) -> ArcadeCritic:
    match critic:
        case Exact(text="exact"):
            return ArcadeBinary(field=critic.field, weight=critic.weight)
        case Numeric(low=float(low), high=float(high)):
            return ArcadeNumeric(field=critic.field, weight=critic.weight, value_range=(low, high))
        case Similarity(metric="tfidf"):
            return ArcadeSimilarity(field=critic.field, weight=critic.weight, similarity_threshold=critic.pass_at)
        case Datetime():
            return ArcadeDatetime(
                field=critic.field,
                weight=critic.weight,
                tolerance_s=critic.tolerance_s,
                max_difference_s=critic.zero_at_s,
            )
        case _:
            raise UsageError(
                f'arcade has no critic like the `{critic.kind}` one of "{critic.field}"; use `exact`, `numeric` with '
                "`low` and `high`, `similarity` by tfidf or `datetime`, or leave `convention: arcade` out"
            )


def arcade_rubric(rubric: Rubric) -> ArcadeRubric:
    """Our rubric as arcade's."""
    return ArcadeRubric(
        fail_threshold=rubric.warn_below,
        warn_threshold=rubric.fail_below,
        fail_on_tool_selection=rubric.wrong_tool != "ignore",
        fail_on_tool_call_quantity={rubric.missing_calls, rubric.extra_calls} != {"ignore"},
        tool_selection_weight=rubric.tool_weight,
    )


# --- a case of ours


def score_case_by_arcade(
    case: Case,
    transcript: Transcript,
    rubric: Rubric,
    *,
    tools: Sequence[ToolDefinition] = (),
    today: date | None = None,
) -> CaseScore:
    """Score, verdict and evidence of one conversation by arcade's rules; they speak of calls alone.

    `tools` are those that were on offer: their defaults fill arguments that the model left out. A case that expects
    anything besides calls, or calls that arcade cannot express, is not evaluated.
    """
    try:
        settings = _settings(case)
        registry = ArcadeTools(tools, settings.signatures if settings else None)
        built = _built(case, settings, registry)
    except UsageError as error:
        return CaseScore(verdict="errored", score=None, reason=f"not evaluated: {error}")
    actual = [registry.read(call) for call in transcript.trajectory]
    own = settings.rubric if settings else None
    result = score_arcade_calls(built.expected, actual, built.critics, own or arcade_rubric(rubric), today=today)
    return case_score(result, built.expected, actual, transcript.trajectory)


def _settings(case: Case) -> ArcadeSettings | None:
    if "arcade" not in case.metadata:
        return None
    try:
        return ArcadeSettings.model_validate(case.metadata["arcade"])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in ("metadata", "arcade", *first["loc"]))
        raise UsageError(f"{place}: {first['msg']}") from error


def _built(case: Case, settings: ArcadeSettings | None, tools: ArcadeTools) -> ArcadeCase:
    calls = _calls_alone(case)
    expected = tuple(ArcadeCall(call.tool, call.args) for call in calls)
    if settings is None:
        return build_arcade_case(case.id, expected, _flat(arcade_critics(calls), calls), tools)
    if settings.critics is not None:
        return ArcadeCase(expected, settings.critics)
    return ArcadeCase(expected, with_placeholders(expected, arcade_critics(calls, settings.order)))


def _calls_alone(case: Case) -> tuple[ExpectedCall, ...]:
    calls = case.expect.calls
    if calls is None:
        raise UsageError("the case expects no calls; write `calls: []` where none is right")
    if any(turn.expect != Expect() for turn in case.turns):
        raise UsageError("arcade knows one turn only; leave `convention: arcade` out")
    others = sorted(case.expect.model_fields_set - {"calls"})
    others = [name for name in others if getattr(case.expect, name) != getattr(Expect(), name)]
    if others:
        raise UsageError(f"arcade scores calls alone, not `{'`, `'.join(others)}`; leave `convention: arcade` out")
    if any(call.optional for call in calls):
        raise UsageError("arcade knows no `optional` call; leave `convention: arcade` out")
    return calls


def _flat(critics: tuple[ArcadeCritic, ...], calls: Sequence[ExpectedCall]) -> tuple[ArcadeCritic, ...]:
    # A path finds nothing on either side, which arcade would take for a perfect match.
    names = {name for call in calls for name in call.args}
    nested = [c.field for c in critics if c.field not in names and c.field.partition(".")[0] in names]
    if nested:
        raise UsageError(f'arcade compares whole arguments, not "{nested[0]}" inside one')
    return critics
