"""Our own scores of a trajectory: how many calls fit those expected, and what was called in vain.

A call fits or does not; `calls` gives partial credit for arguments. Knows no text, no verdict and no suite.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from pydantic import JsonValue

from mcp_evals.conversation import ToolCall, ToolDefinition
from mcp_evals.json_match import ABSENT, json_equal, wildcard_value
from mcp_evals.scoring.calls import Names, score_arguments
from mcp_evals.scoring.equality import json_stand_in
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
    modes = {names.key(tool): mode for tool, mode in (by_tool or {}).items()}
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
    missing = [expected[i].tool for i in fit.missing]
    extra = [actual[j].name for j in fit.extra]
    otherwise: list[str] = []
    for tool in [name for name in missing if name in extra]:
        if tool in extra:
            missing.remove(tool)
            extra.remove(tool)
            otherwise.append(tool)
    listed = (("with other arguments or elsewhere", otherwise), ("missing", missing), ("not expected", extra))
    return "; ".join(f"{what}: {_listed(calls)}" for what, calls in listed if calls) or None


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


class _Fits:
    """For an expected call the actual calls that fit it, as set bits."""

    def __init__(self, actual: Sequence[ToolCall], names: Names) -> None:
        self._actual, self._names = actual, names
        self._defaults = {key: _schema_defaults(names.definition(key)) for key in {names.key(c.name) for c in actual}}
        self._by_tool: dict[str, list[int]] = {}
        self._by_arguments: dict[Hashable, int] = {}
        self._given: dict[int, _Given] = {}
        for index, call in enumerate(actual):
            key = names.key(call.name)
            self._by_tool.setdefault(key, []).append(index)
            if isinstance(call.arguments, dict):
                given = _Given(call.arguments, self._defaults[key])
                self._given[index] = given
                place = key, given.filled_key
                self._by_arguments[place] = self._by_arguments.get(place, 0) | 1 << index

    def of(self, expected: ExpectedCall, mode: ArgumentMode) -> int:
        key = self._names.key(expected.tool)
        candidates = self._by_tool.get(key, ())
        if mode == "ignore":
            return sum(1 << index for index in candidates)
        if not candidates:
            return 0
        wanted = _Given(expected.args, self._defaults[key])
        if expected.critics:
            fits = self._by_critics(expected, mode)
        elif _open(expected.args):
            fits = _by_wildcards(wanted, mode)
        elif mode == "exact":
            return self._by_arguments.get((key, wanted.filled_key), 0)
        elif mode == "superset":
            fits = lambda index, given: wanted.key <= given.filled_key  # noqa: E731  one line each
        else:
            fits = lambda index, given: given.key <= wanted.filled_key  # noqa: E731
        return sum(1 << index for index in candidates if index in self._given and fits(index, self._given[index]))

    def _by_critics(self, expected: ExpectedCall, mode: ArgumentMode) -> Callable[[int, "_Given"], bool]:
        rubric = Rubric(extra_arguments="ignore" if mode == "superset" else "penalize")
        tool = self._names.definition(expected.tool)

        def fits(index: int, given: _Given) -> bool:
            checks = score_arguments(expected, self._actual[index], rubric, tool)
            if mode == "subset":
                checks = tuple(check for check in checks if check.field.partition(".")[0] in given.plain)
            return all(check.score == 1.0 for check in checks if check.weight > 0)

        return fits


class _Given:
    """Arguments of a call, as they are and with the schema's defaults for those left out."""

    def __init__(self, arguments: dict[str, JsonValue], defaults: Mapping[str, JsonValue]) -> None:
        self.plain = arguments
        self.filled = {**defaults, **arguments}
        self.key = _argument_key(self.plain)
        self.filled_key = _argument_key(self.filled)


def _argument_key(arguments: Mapping[str, JsonValue]) -> frozenset[tuple[str, Hashable]]:
    return frozenset((name, json_stand_in(value)) for name, value in arguments.items())


def _by_wildcards(wanted: _Given, mode: ArgumentMode) -> Callable[[int, _Given], bool]:
    def fits(index: int, given: _Given) -> bool:
        expected = wanted.plain if mode == "superset" else wanted.filled
        compared = expected if mode == "superset" else given.plain if mode == "subset" else {**expected, **given.filled}
        return all(
            json_equal(expected.get(name, ABSENT), given.plain.get(name, ABSENT))
            or json_equal(expected.get(name, ABSENT), given.filled.get(name, ABSENT))
            for name in compared
        )

    return fits


def _schema_defaults(tool: ToolDefinition | None) -> dict[str, JsonValue]:
    parameters: dict[str, Any] = {} if tool is None else tool.parameters
    return {
        name: schema["default"]
        for name, schema in parameters.items()
        if isinstance(schema, dict) and "default" in schema
    }


def _open(value: JsonValue) -> bool:
    """Whether a wildcard stands anywhere in the arguments."""
    if isinstance(value, dict):
        return any(wildcard_value(item) or _open(item) for item in value.values())
    return isinstance(value, list) and any(wildcard_value(item) or _open(item) for item in value)


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
    return call.name, json_stand_in(call.arguments)


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
