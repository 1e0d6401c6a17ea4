"""Fit expected calls to the calls that were made, so that the reported score is the greatest there is.

Calls of one tool are fitted by optimal assignment; where an order is asked for, by the best alignment that keeps it.
Knows no text, no limit and no verdict.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Final, NamedTuple, cast

from pydantic import JsonValue

from mcp_evals.conversation import ToolCall, ToolDefinition
from mcp_evals.critics import Critic, Exact, Present
from mcp_evals.json_match import ABSENT, Value, has_wildcard, json_equal, may_be_absent, value_key
from mcp_evals.matching import Match, weight_number
from mcp_evals.results import AlignedCall, ArgumentCheck, CallStatus
from mcp_evals.suite import ExpectedCall, Order, Rubric
from mcp_evals.text import fold_tool_name, shorten

_WHATEVER: Final[JsonValue] = {"any": True}
SURPLUS: Final = "not expected"
"""Reason of an argument that nobody expected."""
_HAIR: Final = 1e-9
"""Breaks ties for a pair over no pair without changing which sum is greatest."""


class Names:
    """Tool names under a rubric: when two are the same, and which are defined at all."""

    def __init__(self, rubric: Rubric, tools: Sequence[ToolDefinition]) -> None:
        self._loose = rubric.tool_names == "loose"
        self._tools = {self.key(tool.name): tool for tool in tools}

    def key(self, name: str) -> str:
        """The form in which equal names are equal."""
        return fold_tool_name(name) if self._loose else name

    def definition(self, name: str) -> ToolDefinition | None:
        """The tool of that name, where the tools are known."""
        return self._tools.get(self.key(name))

    def hallucinated(self, name: str) -> bool:
        """Whether the tools are known and none has that name."""
        return bool(self._tools) and self.key(name) not in self._tools


class Fit(NamedTuple):
    """All expected and actual calls of a turn, each once."""

    aligned: tuple[AlignedCall, ...]
    """Expected calls in their order, then the calls nobody expected."""
    optional_missing: frozenset[int]
    """Indices of expected calls that were left out and may be."""


def fit_calls(
    expected: Sequence[ExpectedCall], actual: Sequence[ToolCall], rubric: Rubric, order: Order, names: Names
) -> Fit:
    """The best fit of `actual` to `expected` under the rubric and the order."""
    pairs = _Pairs(expected, actual, rubric, names)
    if order == "any":
        matched = _assign(pairs, range(len(expected)), range(len(actual)))
        displaced: dict[int, int] = {}
    else:
        matched = _align_in_order(pairs)
        displaced = _assign(pairs, *_left_over(pairs, matched))
    swapped = _pair_off(pairs, {**matched, **displaced}) if rubric.wrong_tool != "ignore" else {}

    rows = [_row(pairs, index, matched, displaced, swapped) for index in range(len(expected))]
    taken = {*matched.values(), *displaced.values(), *swapped.values()}
    extra = [
        AlignedCall(
            status="hallucinated" if names.hallucinated(call.name) else "extra",
            tool=call.name,
            actual=index,
            called=call.name,
        )
        for index, call in enumerate(actual)
        if index not in taken
    ]
    left_out = frozenset(row.expected for row in rows if row.status == "missing" and row.expected is not None)
    return Fit((*rows, *extra), frozenset(index for index in left_out if expected[index].optional))


def score_arguments(
    expected: ExpectedCall, actual: ToolCall, rubric: Rubric, tool: ToolDefinition | None = None
) -> tuple[ArgumentCheck, ...]:
    """How the arguments of one call fit: one check for each that is expected, criticised or surplus."""
    if isinstance(actual.arguments, str):
        reason = f"the arguments are not a JSON object: {shorten(actual.arguments, 80)}"
        fields = [*expected.args] or ["(arguments)"]
        return tuple(
            _check(field, Match(0.0, reason), 1.0, expected.args.get(field, ABSENT), ABSENT) for field in fields
        )
    given = _Arguments(actual.arguments, tool)
    checks = [
        _check(field.path, field.critic.score(field.expected, found), field.weight, field.shown, found)
        for field, found in (
            (field, given.at(field.path, defaults=field.defaults)) for field in _fields(expected, tool)
        )
    ]
    if rubric.extra_arguments != "ignore":
        surplus = given.beyond(_known(expected))
        checks += [_check(name, Match(0.0, SURPLUS), 1.0, ABSENT, given.given[name]) for name in surplus]
    return tuple(checks)


# --- pair scores


class _Pairs:
    """Score of each expected call with each actual call: a row at a time, and why only for the pairs that are chosen."""

    def __init__(
        self, expected: Sequence[ExpectedCall], actual: Sequence[ToolCall], rubric: Rubric, names: Names
    ) -> None:
        self.expected, self.actual, self.rubric, self.names = expected, actual, rubric, names
        self.expected_keys = [names.key(call.tool) for call in expected]
        self.actual_keys = [names.key(call.name) for call in actual]
        self._tools = [names.definition(call.name) for call in actual]
        self._given = [
            None if isinstance(call.arguments, str) else _Arguments(call.arguments, tool)
            for call, tool in zip(actual, self._tools, strict=True)
        ]
        self._columns: dict[tuple[str, bool], list[Value]] = {}
        self._key_columns: dict[tuple[str, bool], list[Hashable]] = {}
        self._rows: dict[int, list[float]] = {}

    def same_tool(self, i: int, j: int) -> bool:
        return self.rubric.wrong_tool == "ignore" or self.expected_keys[i] == self.actual_keys[j]

    def score(self, i: int, j: int) -> float:
        return self.row(i)[j]

    def row(self, i: int) -> list[float]:
        """Scores of one expected call with all actual ones; those of another tool are not looked at."""
        if i not in self._rows:
            self._rows[i] = self._row(i)
        return self._rows[i]

    def arguments(self, i: int, j: int) -> tuple[ArgumentCheck, ...]:
        return score_arguments(self.expected[i], self.actual[j], self.rubric, self._tools[j])

    def _row(self, i: int) -> list[float]:
        columns = [j for j in range(len(self.actual)) if self.same_tool(i, j)]
        call, scores = self.expected[i], [0.0] * len(self.actual)
        earned, possible = dict.fromkeys(columns, 0.0), dict.fromkeys(columns, 0.0)
        known = _known(call)
        for j in columns:
            given = self._given[j]
            if given is None:
                possible[j] = 1.0
            elif self.rubric.extra_arguments != "ignore":
                possible[j] = float(len(given.beyond(known)))
        for field in _fields(call, self._tools[columns[0]] if columns else None):
            fits = self._fits(field, columns)
            for j in columns:
                if self._given[j] is not None:
                    earned[j] += field.weight * fits[j]
                    possible[j] += field.weight
        weight = 0.0 if self.rubric.wrong_tool == "ignore" else self.rubric.tool_weight
        for j in columns:
            fit = earned[j] / possible[j] if possible[j] > 0 else None
            scores[j] = 1.0 if fit is None else (weight + fit) / (weight + 1.0)
        return scores

    def _fits(self, field: "_Field", columns: Sequence[int]) -> dict[int, float]:
        keys = self._keys(field.path, field.defaults)
        if field.plain_key is not None:
            return {j: float(keys[j] == field.plain_key[0]) for j in columns}
        values, seen = self._values(field.path, field.defaults), dict[Hashable, float]()
        fits: dict[int, float] = {}
        for j in columns:
            if keys[j] not in seen:
                seen[keys[j]] = field.critic.fit(field.expected, values[j])
            fits[j] = seen[keys[j]]
        return fits

    def _values(self, path: str, defaults: bool) -> list[Value]:
        if (path, defaults) not in self._columns:
            self._columns[path, defaults] = [
                ABSENT if given is None else given.at(path, defaults=defaults) for given in self._given
            ]
        return self._columns[path, defaults]

    def _keys(self, path: str, defaults: bool) -> list[Hashable]:
        if (path, defaults) not in self._key_columns:
            self._key_columns[path, defaults] = [value_key(value) for value in self._values(path, defaults)]
        return self._key_columns[path, defaults]


# --- fitting


def _assign(pairs: _Pairs, rows: Sequence[int], columns: Sequence[int]) -> dict[int, int]:
    """Optimal assignment, tool by tool: calls of different tools never fit, so each tool is a matter of its own."""
    found: dict[int, int] = {}
    keys = dict.fromkeys("" if pairs.rubric.wrong_tool == "ignore" else pairs.expected_keys[i] for i in rows)
    for key in keys:
        block_rows = [i for i in rows if not key or pairs.expected_keys[i] == key]
        block_columns = [j for j in columns if not key or pairs.actual_keys[j] == key]
        found.update(_assign_block(pairs, block_rows, block_columns))
    return found


def _assign_block(pairs: _Pairs, rows: Sequence[int], columns: Sequence[int]) -> dict[int, int]:
    if not rows or not columns:
        return {}
    if len(rows) == len(columns) == 1:
        return {rows[0]: columns[0]}
    from scipy.optimize import linear_sum_assignment  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]  slow to load; one call a tool needs none of it

    # A required call outweighs an optional one: leaving it out costs a whole call, leaving out the other nothing.
    worth = [[pairs.row(i)[j] + (not pairs.expected[i].optional) for j in columns] for i in rows]
    chosen = cast("tuple[Sequence[int], Sequence[int]]", linear_sum_assignment(worth, maximize=True))
    return {rows[int(i)]: columns[int(j)] for i, j in zip(*chosen, strict=True)}


def _align_in_order(pairs: _Pairs) -> dict[int, int]:
    """Greatest sum over pairs that keep the order on both sides (the weighted longest common subsequence)."""
    n, m = len(pairs.expected), len(pairs.actual)
    best = [[0.0] * (m + 1) for _ in range(n + 1)]
    for i in range(n - 1, -1, -1):
        row, below, here = pairs.row(i), best[i + 1], best[i]
        for j in range(m - 1, -1, -1):
            here[j] = max(below[j], here[j + 1])
            if pairs.same_tool(i, j):
                here[j] = max(here[j], row[j] + _HAIR + below[j + 1])
    found: dict[int, int] = {}
    i = j = 0
    while i < n and j < m:
        if pairs.same_tool(i, j) and best[i][j] == pairs.score(i, j) + _HAIR + best[i + 1][j + 1]:
            found[i] = j
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return found


def _left_over(pairs: _Pairs, matched: dict[int, int]) -> tuple[list[int], list[int]]:
    taken = set(matched.values())
    rows = [i for i in range(len(pairs.expected)) if i not in matched]
    return rows, [j for j in range(len(pairs.actual)) if j not in taken]


def _pair_off(pairs: _Pairs, matched: dict[int, int]) -> dict[int, int]:
    """Leftovers side by side: another tool in the place of an expected one is one mistake, not two."""
    rows, columns = _left_over(pairs, matched)
    return dict(zip((i for i in rows if not pairs.expected[i].optional), columns, strict=False))


def _row(
    pairs: _Pairs, index: int, matched: dict[int, int], displaced: dict[int, int], swapped: dict[int, int]
) -> AlignedCall:
    tool = pairs.expected[index].tool
    partner = matched.get(index, displaced.get(index, swapped.get(index)))
    if partner is None:
        return AlignedCall(status="missing", tool=tool, expected=index)
    called = pairs.actual[partner].name
    status: CallStatus
    score, arguments = 0.0, tuple[ArgumentCheck, ...]()
    if index in swapped:
        status = "hallucinated" if pairs.names.hallucinated(called) else "wrong_tool"
    else:
        score, arguments = pairs.score(index, partner), pairs.arguments(index, partner)
        status = "matched" if score == 1.0 else "wrong_argument"
    if index in displaced:
        status, score = "out_of_order", 0.0
    return AlignedCall(
        status=status, tool=tool, expected=index, actual=partner, called=called, score=score, arguments=arguments
    )


# --- arguments


class _Field(NamedTuple):
    """One argument of an expected call and how it is compared."""

    path: str
    weight: float
    critic: Critic
    expected: Value
    """What the critic gets: with wildcards where critics of their own look."""
    shown: Value
    """What the evidence shows."""
    plain_key: tuple[Hashable] | None
    """Key to compare by, where nothing but equality matters; None: ask the critic."""

    @property
    def defaults(self) -> bool:
        """Whether the schema's default stands for an argument that is left out: not where leaving it out is the question."""
        return not isinstance(self.critic, Present) and (self.expected is ABSENT or not may_be_absent(self.expected))


class _Arguments:
    """Arguments of a call, with the schema's defaults for what is left out."""

    def __init__(self, given: dict[str, JsonValue], tool: ToolDefinition | None) -> None:
        self.given = given
        self._properties: dict[str, Any] = {} if tool is None else tool.parameters

    def at(self, path: str, *, defaults: bool = True) -> Value:
        if path in self.given:
            return self.given[path]
        head, _, rest = path.partition(".")
        value = self.given[head] if head in self.given else self._default(head) if defaults else ABSENT
        for part in rest.split(".") if rest else ():
            value = _inside(value, part)
        return value

    def beyond(self, known: frozenset[str]) -> list[str]:
        """Arguments that nobody expected and that say more than the schema's default."""
        return [
            name
            for name, value in self.given.items()
            if name not in known and not (self._properties and json_equal(self._default(name), value))
        ]

    def _default(self, name: str) -> Value:
        schema: Any = self._properties.get(name)
        return schema["default"] if isinstance(schema, dict) and "default" in schema else ABSENT  # pyright: ignore[reportUnknownVariableType]


def _fields(call: ExpectedCall, tool: ToolDefinition | None) -> list[_Field]:
    wanted = _Arguments(call.args, tool)
    own = [
        _Field(critic.field, weight_number(critic.weight), _founded(critic, value, call), value, value, None)
        for critic, value in ((critic, wanted.at(critic.field)) for critic in call.critics)
    ]
    paths = {critic.field for critic in call.critics}
    return own + [_compared(name, value, paths) for name, value in call.args.items() if name not in paths]


class _Unfounded(Exact):
    """Stands for a critic that has nothing to compare with: two arguments that are not there would be equal."""

    def score(self, expected: Value, actual: Value) -> Match:
        return Match(0.0, "is looked at by a critic, and nothing is expected of it")


def _founded(critic: Critic, expected: Value, call: ExpectedCall) -> Critic:
    # Inside of an argument, a wildcard may hold what is not seen here.
    nothing = expected is ABSENT and critic.field.partition(".")[0] not in call.args
    return _Unfounded(field=critic.field) if nothing and critic.needs_expected else critic


def _compared(name: str, value: JsonValue, paths: Iterable[str]) -> _Field:
    inner = [path.split(".")[1:] for path in paths if path.partition(".")[0] == name]
    opened = _open_at(value, inner)
    plain = not inner and not has_wildcard(value)
    return _Field(name, 1.0, Exact(field=name), opened, value, (value_key(value),) if plain else None)


def _known(call: ExpectedCall) -> frozenset[str]:
    names = {*call.args, *(critic.field for critic in call.critics)}
    return frozenset(names | {name.partition(".")[0] for name in names})


def _inside(value: Value, part: str) -> Value:
    if isinstance(value, dict):
        return value.get(part, ABSENT)
    if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
        return value[int(part)]
    return ABSENT


def _open_at(value: JsonValue, paths: Sequence[Sequence[str]]) -> JsonValue:
    """`value` with a wildcard at each path, where a critic of its own looks."""
    if not paths:
        return value
    if any(not path for path in paths):
        return _WHATEVER
    if isinstance(value, dict):
        heads = {path[0] for path in paths}
        opened: dict[str, JsonValue] = {
            key: _open_at(item, [path[1:] for path in paths if path[0] == key]) if key in heads else item
            for key, item in value.items()
        }
        opened.update({head: {"optional": _WHATEVER} for head in heads if head not in value})
        return opened
    if isinstance(value, list):
        return [_open_at(item, [path[1:] for path in paths if path[0] == str(i)]) for i, item in enumerate(value)]
    return value


def _check(field: str, match: Match, weight: float, expected: Value, actual: Value) -> ArgumentCheck:
    return ArgumentCheck(
        field=field,
        score=match.score,
        weight=weight,
        expected=None if expected is ABSENT else expected,
        actual=None if actual is ABSENT else actual,
        reason=match.reason,
    )
