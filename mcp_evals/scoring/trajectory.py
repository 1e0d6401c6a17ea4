"""Our own scores of a trajectory: how many calls fit those expected, and what was called in vain.

A call fits or does not; `calls` gives partial credit for arguments. Knows no text, no verdict and no suite.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from pydantic import JsonValue

from mcp_evals.conversation import ToolCall, ToolDefinition
from mcp_evals.critics import Critic
from mcp_evals.json_match import (
    ABSENT,
    Value,
    has_wildcard,
    json_difference,
    json_equal,
    may_be_absent,
    value_key,
    wildcard_value,
)
from mcp_evals.scoring.calls import Names, score_arguments
from mcp_evals.suite import ExpectedCall, Order, Rubric

ArgumentMode = Literal["exact", "ignore", "subset", "superset"]
"""All the expected arguments and no other; whatever; nothing but expected ones; at least the expected ones."""
MAX_LOOP_PERIOD: Final = 50


class TrajectoryFit(NamedTuple):
    """The largest set of calls that fit, under an order."""

    pairs: tuple[tuple[int, int], ...]
    """Index of an expected call and of the actual call that fits it."""
    missing: tuple[int, ...]
    """Expected calls without a partner, optional ones left out."""
    extra: tuple[int, ...]
    """Actual calls without a partner."""

    @property
    def precision(self) -> float:
        """Share of the calls made that were expected; 1 where nothing was called or expected, 0 where one side is empty."""
        return self._share(len(self.pairs) + len(self.extra))

    @property
    def recall(self) -> float:
        """Share of the expected calls that were made; 1 where nothing was called or expected, 0 where one side is empty."""
        return self._share(len(self.pairs) + len(self.missing))

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall: 2 pairs / (expected + actual)."""
        both_sides = 2 * len(self.pairs) + len(self.missing) + len(self.extra)
        return 2 * len(self.pairs) / both_sides if both_sides else 1.0

    @property
    def share_of_longer(self) -> float:
        """Calls that fit over the longer side; with an order this is the partial credit of a common subsequence."""
        longer = len(self.pairs) + max(len(self.missing), len(self.extra))
        return len(self.pairs) / longer if longer else 1.0

    def _share(self, size: int) -> float:
        if not self.pairs:
            return float(not self.missing and not self.extra)
        return len(self.pairs) / size


class Loop(NamedTuple):
    """The same calls over and over, at least three times in a row."""

    start: int
    """Index of the first call."""
    period: int
    """Calls in one round."""
    rounds: int
    """How many rounds."""


def fit_trajectory(
    expected: Sequence[ExpectedCall],
    actual: Sequence[ToolCall],
    *,
    order: Order = "any",
    arguments: ArgumentMode = "exact",
    by_tool: Mapping[str, ArgumentMode] | None = None,
    tools: Sequence[ToolDefinition] = (),
    tool_names: Literal["loose", "exact"] = "loose",
) -> TrajectoryFit:
    """Pair expected with actual calls so that as many as possible fit, required ones before optional ones.

    `any`: a largest matching. `in_order`: a longest common subsequence. `exact`: position by position. Arguments are
    compared by `by_tool`'s mode for their tool, else by `arguments`; critics and wildcards of the expected call hold.
    """
    names = Names(Rubric(tool_names=tool_names), tools)
    modes: dict[str, ArgumentMode] = {names.key(tool): mode for tool, mode in (by_tool or {}).items()}
    fits = _Fits(actual, names)
    masks = [fits.of(call, modes.get(names.key(call.tool), arguments)) for call in expected]
    optional = [call.optional for call in expected]
    pairs = _FITTERS[order](masks, optional, len(actual))
    paired_rows, paired_columns = {i for i, _ in pairs}, {j for _, j in pairs}
    return TrajectoryFit(
        tuple(pairs),
        tuple(i for i in range(len(expected)) if i not in paired_rows and not optional[i]),
        tuple(j for j in range(len(actual)) if j not in paired_columns),
    )


def misfits(fit: TrajectoryFit, expected: Sequence[ExpectedCall], actual: Sequence[ToolCall]) -> str | None:
    """What did not fit, in one line; None where all did."""
    missing: list[str] = []
    otherwise: list[str] = []
    extra = [actual[j] for j in fit.extra]
    for wanted in (expected[i] for i in fit.missing):
        at = next((index for index, call in enumerate(extra) if call.name == wanted.tool), None)
        if at is None:
            missing.append(wanted.tool)
        else:
            otherwise.append(wanted.tool + _other_argument(wanted, extra.pop(at)))
    unexpected = [call.name for call in extra]
    listed = (("with other arguments or elsewhere", otherwise), ("missing", missing), ("not expected", unexpected))
    return "; ".join(f"{what}: {_listed(calls)}" for what, calls in listed if calls) or None


def _other_argument(wanted: ExpectedCall, made: ToolCall) -> str:
    """Where the arguments differ first; nothing where critics compare them by rules of their own."""
    difference = None if wanted.critics else json_difference(wanted.args, made.arguments)
    if difference is None:
        return ""
    return f" ({difference.path}: {difference.reason})" if difference.path else f" (the arguments: {difference.reason})"


def redundant_calls(calls: Sequence[ToolCall]) -> tuple[int, ...]:
    """Indices of calls that repeat the one directly before, arguments and all."""
    keys = [_call_key(call) for call in calls]
    return tuple(index for index in range(1, len(keys)) if keys[index] == keys[index - 1])


def find_loops(calls: Sequence[ToolCall], *, max_period: int = MAX_LOOP_PERIOD) -> tuple[Loop, ...]:
    """Stretches where the same calls come three times or more in a row, from left to right, the shortest round first."""
    numbers: dict[Hashable, int] = {}
    keys = [numbers.setdefault(_call_key(call), len(numbers)) for call in calls]
    loops: list[Loop] = []
    start = 0
    while start < len(keys):
        loop = next((loop for loop in _loops_at(keys, start, max_period) if loop.rounds >= 3), None)
        if loop is None:
            start += 1
        else:
            loops.append(loop)
            start += loop.period * loop.rounds
    return tuple(loops)


# --- which calls fit


class _Wanted(NamedTuple):
    """What one argument at the top must be."""

    name: str
    keys: frozenset[Hashable] | None
    """Keys of the values that fit; None where `fits` has to look."""
    fits: Callable[[Value], bool]
    defaults: bool
    """Whether the schema's default stands for an argument left out."""


class _Alike(NamedTuple):
    """A value of an argument and the calls that have it, as set bits."""

    value: Value
    calls: int


class _CallsOfTool:
    """The actual calls of one tool by what their arguments are, so that each value is looked at once."""

    def __init__(self, tool: ToolDefinition | None) -> None:
        self._defaults = _schema_defaults(tool)
        self._default_keys = {name: value_key(value) for name, value in self._defaults.items()}
        self._given: dict[int, dict[str, JsonValue]] = {}
        self._by_value: dict[tuple[str, bool], dict[Hashable, _Alike]] = {}
        self._by_surplus: dict[frozenset[str], int] = {}
        self.all = 0

    def add(self, index: int, arguments: dict[str, JsonValue] | str) -> None:
        self.all |= 1 << index
        if isinstance(arguments, dict):
            self._given[index] = arguments
            said = frozenset(
                name for name, value in arguments.items() if value_key(value) != self._default_keys.get(name, ABSENT)
            )
            self._by_surplus[said] = self._by_surplus.get(said, 0) | 1 << index

    @property
    def readable(self) -> int:
        """The calls whose arguments are an object."""
        return sum(self._by_surplus.values())

    def of(self, wanted: _Wanted) -> int:
        """The calls whose argument fits."""
        alike = self._alike(wanted.name, wanted.defaults)
        if wanted.keys is None:
            return sum(group.calls for group in alike.values() if wanted.fits(group.value))
        return sum(alike[key].calls for key in wanted.keys & alike.keys())

    def without(self, name: str) -> int:
        """The calls that do not give the argument."""
        found = self._alike(name, False).get(ABSENT)
        return 0 if found is None else found.calls

    def saying_only(self, known: frozenset[str]) -> int:
        """The calls that give no other argument, or only its default."""
        return sum(calls for said, calls in self._by_surplus.items() if said <= known)

    def _alike(self, name: str, defaults: bool) -> dict[Hashable, _Alike]:
        if (name, defaults) not in self._by_value:
            found: dict[Hashable, _Alike] = {}
            left_out: Value = self._defaults.get(name, ABSENT) if defaults else ABSENT
            for index, arguments in self._given.items():
                value: Value = arguments.get(name, left_out)
                key = value_key(value)
                found[key] = _Alike(value, (found[key].calls if key in found else 0) | 1 << index)
            self._by_value[name, defaults] = found
        return self._by_value[name, defaults]


class _Fits:
    """For an expected call the actual calls that fit it, as set bits."""

    def __init__(self, actual: Sequence[ToolCall], names: Names) -> None:
        self._actual, self._names = actual, names
        self._by_tool: dict[str, _CallsOfTool] = {}
        for index, call in enumerate(actual):
            key = names.key(call.name)
            if key not in self._by_tool:
                self._by_tool[key] = _CallsOfTool(names.definition(call.name))
            self._by_tool[key].add(index, call.arguments)

    def of(self, expected: ExpectedCall, mode: ArgumentMode) -> int:
        calls = self._by_tool.get(self._names.key(expected.tool))
        if calls is None or mode == "ignore":
            return 0 if calls is None else calls.all
        heads = {critic.field.partition(".")[0] for critic in expected.critics}
        known = frozenset({*expected.args, *heads})
        fitting = calls.readable if mode == "superset" else calls.saying_only(known)
        for wanted in _wanted(expected):
            fitting &= calls.of(wanted) | (calls.without(wanted.name) if mode == "subset" else 0)
        if any("." in critic.field for critic in expected.critics):
            fitting &= sum(
                1 << j for j in range(len(self._actual)) if fitting >> j & 1 and self._deep(expected, j, mode)
            )
        return fitting

    def _deep(self, expected: ExpectedCall, index: int, mode: ArgumentMode) -> bool:
        """Whether critics of nested fields agree too."""
        call, tool = self._actual[index], self._names.definition(expected.tool)
        checks = score_arguments(expected, call, Rubric(extra_arguments="ignore"), tool)
        return all(
            check.score == 1.0
            for check in checks
            if mode != "subset" or check.field.partition(".")[0] in call.arguments
        )


def _wanted(expected: ExpectedCall) -> list[_Wanted]:
    """The arguments at the top, without those whose inside a critic looks at."""
    nested = {critic.field.partition(".")[0] for critic in expected.critics if "." in critic.field}
    criticised = {critic.field for critic in expected.critics}
    compared = [
        _Wanted(name, _fitting_keys(value), partial(json_equal, value), not may_be_absent(value))
        for name, value in expected.args.items()
        if name not in criticised | nested
    ]
    judged = [
        _Wanted(critic.field, None, partial(_satisfies, critic, expected.args.get(critic.field, ABSENT)), True)
        for critic in expected.critics
        if "." not in critic.field
    ]
    return [*compared, *judged]


def _satisfies(critic: Critic, expected: Value, actual: Value) -> bool:
    return critic.fit(expected, actual) == 1.0


def _fitting_keys(value: JsonValue) -> frozenset[Hashable] | None:
    """Keys of all values that fit, where these can be listed."""
    if not has_wildcard(value):
        return frozenset((value_key(value),))
    options: Any = value.get("one_of") if wildcard_value(value) and isinstance(value, dict) else None
    if not isinstance(options, list) or any(map(has_wildcard, options)):  # pyright: ignore[reportUnknownArgumentType]
        return None
    return frozenset(map(value_key, options))  # pyright: ignore[reportUnknownArgumentType]


def _schema_defaults(tool: ToolDefinition | None) -> dict[str, JsonValue]:
    parameters: dict[str, Any] = {} if tool is None else tool.parameters
    return {
        name: schema["default"]
        for name, schema in parameters.items()
        if isinstance(schema, dict) and "default" in schema
    }


# --- fitting


_Pairs = list[tuple[int, int]]


def _largest_matching(masks: Sequence[int], optional: Sequence[bool], width: int) -> _Pairs:
    """Augmenting paths: H. W. Kuhn, Naval Research Logistics Quarterly 2, 1955. Once paired, a row stays paired."""
    partner: dict[int, int] = {}
    owner: dict[int, int] = {}
    for root in sorted(range(len(masks)), key=lambda row: optional[row]):
        came_from: dict[int, int] = {}
        unseen, waiting = (1 << width) - 1, [root]
        free: int | None = None
        for row in waiting:
            fresh = masks[row] & unseen
            unseen &= ~fresh
            while fresh and free is None:
                column = (fresh & -fresh).bit_length() - 1
                fresh &= fresh - 1
                came_from[column] = row
                if column in owner:
                    waiting.append(owner[column])
                else:
                    free = column
            if free is not None:
                break
        while free is not None:
            # Each row on the path takes the column it found and hands its old one to the row before.
            row = came_from[free]
            owner[free] = row
            partner[row], free = free, partner.get(row)
    return sorted(partner.items())


def _longest_chain(masks: Sequence[int], optional: Sequence[bool], width: int) -> _Pairs:
    """A longest common subsequence, one required call outweighing all optional ones."""
    worth = [1 if may_lack else len(masks) + 1 for may_lack in optional]
    best = [[0] * (width + 1) for _ in range(len(masks) + 1)]
    for i in range(len(masks) - 1, -1, -1):
        row, below, mask = best[i], best[i + 1], masks[i]
        for j in range(width - 1, -1, -1):
            skipped = max(below[j], row[j + 1])
            row[j] = max(skipped, worth[i] + below[j + 1]) if mask >> j & 1 else skipped
    pairs: _Pairs = []
    i = j = 0
    while i < len(masks) and j < width:
        if masks[i] >> j & 1 and best[i][j] == worth[i] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _same_place(masks: Sequence[int], optional: Sequence[bool], width: int) -> _Pairs:
    return [(index, index) for index in range(min(len(masks), width)) if masks[index] >> index & 1]


_FITTERS: Final[dict[Order, Callable[[Sequence[int], Sequence[bool], int], _Pairs]]] = {
    "any": _largest_matching,
    "in_order": _longest_chain,
    "exact": _same_place,
}


# --- loops


def _call_key(call: ToolCall) -> Hashable:
    return call.name, value_key(call.arguments)


def _loops_at(keys: Sequence[int], start: int, max_period: int) -> Iterator[Loop]:
    for period in range(1, min(max_period, (len(keys) - start) // 3) + 1):
        if keys[start] != keys[start + period]:
            continue
        end = start + period
        while end < len(keys) and keys[end] == keys[end - period]:
            end += 1
        yield Loop(start, period, (end - start) // period)


def _listed(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
