"""arcade-evals' `EvalCase.evaluate` (§3): gates, pairing of calls (§3.1), points and verdict.

Knows no case of ours, no transcript and no registry of tools.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from pydantic import JsonValue

from mcp_evals.conversation import ToolCall
from mcp_evals.model import Model
from mcp_evals.scoring.arcade_critics import ArcadeCritic, Number, resolved_weights
from mcp_evals.text import fold_tool_name, shorten


class ArcadeRubric(Model):
    """arcade's EvalRubric."""

    fail_threshold: Number = 0.8
    """A score from here on passes."""
    warn_threshold: Number = 0.9
    """A score from here on that does not pass is a warning."""
    fail_on_tool_selection: bool = True
    """Fail if the names, sorted, are not those expected."""
    fail_on_tool_call_quantity: bool = True
    """Fail if there are more or fewer calls than expected."""
    tool_selection_weight: Number = 1.0
    """Points for the right tool."""


class ArcadeCall(NamedTuple):
    """A call with complete arguments."""

    name: str
    """The tool."""
    args: Mapping[str, JsonValue]
    """Its arguments."""


class ArcadeRow(NamedTuple):
    """One line of arcade's evidence."""

    field: str
    """Name of the argument, or `tool_selection`."""
    match: bool | None
    """Whether it fits; None: not compared."""
    score: float
    """Points."""
    weight: float
    """Points that could be had."""
    expected: JsonValue
    """What was expected; None also where nothing was."""
    actual: JsonValue
    """What was given; None also where nothing was."""
    error: str | None = None
    """What the critic raised; the weight is then left out of the sum."""

    @property
    def is_criticized(self) -> bool:
        """Whether it was compared at all."""
        return self.match is not None


class ArcadePair(NamedTuple):
    """An expected call and the actual one that it was paired with."""

    expected: int
    """Index among the expected calls."""
    actual: int
    """Index among the actual calls."""
    rows: tuple[ArcadeRow, ...]
    """The tool's name, then each critic."""


class ArcadeResult(NamedTuple):
    """arcade's EvaluationResult."""

    score: float
    """At most 1; may be far below 0."""
    passed: bool
    """Whether it reaches `fail_threshold`."""
    warning: bool
    """Whether it does not, but reaches `warn_threshold`."""
    failure_reason: str | None = None
    """Which gate failed the case, or why arcade crashes here."""
    pairs: tuple[ArcadePair, ...] = ()
    """The evidence; empty where a gate failed or nothing is compared."""
    crashed: bool = False
    """Whether arcade has no result here at all."""

    @property
    def rows(self) -> tuple[ArcadeRow, ...]:
        """The evidence line by line."""
        return tuple(row for pair in self.pairs for row in pair.rows)


def score_arcade_calls(
    expected: Sequence[ArcadeCall],
    actual: Sequence[ToolCall],
    critics: Sequence[ArcadeCritic],
    rubric: ArcadeRubric,
    *,
    today: date | None = None,
) -> ArcadeResult:
    """What arcade says of the actual calls.

    `today` fills up dates that are not whole; None: the day it is.
    """
    made: list[ArcadeCall] = []
    for call in actual:
        if isinstance(call.arguments, str):
            return _crash(f"the arguments of {call.name} are no JSON object: {shorten(call.arguments, 80)}")
        made.append(ArcadeCall(call.name, call.arguments))
    closed = _closed_gate(expected, made, rubric)
    if closed is not None:
        return ArcadeResult(0.0, passed=False, warning=False, failure_reason=closed)
    if not critics or not (expected or made):
        return ArcadeResult(1.0, passed=True, warning=False)
    points = _Points(tuple(critics), resolved_weights(critics), float(rubric.tool_selection_weight), today)
    try:
        partners = _assign(points.matrix(expected, made))
    except _NoAssignment as error:
        return _crash(str(error))
    pairs = tuple(
        ArcadePair(i, j, points.rows(expected[i], made[j]))
        for i, j in enumerate(partners)
        if i < len(expected) and j < len(made)
    )
    return _result(pairs, rubric)


def _result(pairs: tuple[ArcadePair, ...], rubric: ArcadeRubric) -> ArcadeResult:
    rows = [row for pair in pairs for row in pair.rows]
    weight = sum(row.weight for row in rows if row.error is None)
    score = sum(row.score for row in rows) / weight if weight > 0 else 0.0
    passed = score >= rubric.fail_threshold
    return ArcadeResult(score, passed, not passed and score >= rubric.warn_threshold, pairs=pairs)


def _closed_gate(expected: Sequence[ArcadeCall], actual: Sequence[ArcadeCall], rubric: ArcadeRubric) -> str | None:
    wanted, called = [call.name for call in expected], [call.name for call in actual]
    if rubric.fail_on_tool_call_quantity and len(wanted) != len(called):
        return (
            f"Expected {len(wanted)} tool call(s), but got {len(called)}. \n"
            f"Expected tool calls: {', '.join(wanted)}.\nActual tool calls: {', '.join(called)}"
        )
    # Sorted as they are written and cut to the shorter side: the verdict depends on the alphabet.
    if rubric.fail_on_tool_selection and not all(
        fold_tool_name(left) == fold_tool_name(right)
        for left, right in zip(sorted(wanted), sorted(called), strict=False)
    ):
        return f"Tool selection mismatch. Expected tools: {wanted}, but got: {called}"
    return None


def _crash(reason: str) -> ArcadeResult:
    return ArcadeResult(
        0.0, passed=False, warning=False, failure_reason=f"arcade-evals has no result: {reason}", crashed=True
    )


class _Points(NamedTuple):
    """What is to be had for a pair of calls."""

    critics: tuple[ArcadeCritic, ...]
    weights: tuple[float, ...]
    tool_weight: float
    today: date | None

    def matrix(self, expected: Sequence[ArcadeCall], actual: Sequence[ArcadeCall]) -> list[list[float]]:
        """Points of each pair, counting only values that are both given; filled up with zeros to a square."""
        size = max(len(expected), len(actual))
        wanted, called = ([fold_tool_name(call.name) for call in calls] for calls in (expected, actual))
        gains = [[0.0] * size for _ in range(size)]
        for i, left in enumerate(expected):
            for j, right in enumerate(actual):
                gains[i][j] = self._gain(left, right, same_tool=wanted[i] == called[j])
        return gains

    def rows(self, expected: ArcadeCall, actual: ArcadeCall) -> tuple[ArcadeRow, ...]:
        """The evidence of a pair."""
        same = fold_tool_name(expected.name) == fold_tool_name(actual.name)
        points = self.tool_weight if same else 0.0
        rows = [ArcadeRow("tool_selection", same, points, self.tool_weight, expected.name, actual.name)]
        for critic, weight in zip(self.critics, self.weights, strict=True):
            left, right = expected.args.get(critic.field), actual.args.get(critic.field)
            try:
                found = critic.compare(left, right, weight, self.today)
            except Exception as error:  # noqa: BLE001  arcade, too, catches whatever a critic raises
                raised = f"{type(error).__name__}: {error}"
                rows.append(ArcadeRow(critic.field, False, 0.0, weight, left, right, raised))
            else:
                rows.append(ArcadeRow(critic.field, found.match, found.score, weight, left, right))
        return tuple(rows)

    def _gain(self, expected: ArcadeCall, actual: ArcadeCall, *, same_tool: bool) -> float:
        gain = self.tool_weight if same_tool else 0.0
        for critic, weight in zip(self.critics, self.weights, strict=True):
            left, right = expected.args.get(critic.field), actual.args.get(critic.field)
            if left is None or right is None:
                continue
            try:
                gain += critic.compare(left, right, weight, self.today).score
            except Exception:  # noqa: BLE001, S112  as above; it adds nothing
                continue
        return gain


# --- assignment (§3.1)


class _NoAssignment(Exception):  # noqa: N818  it is what arcade raises in words, never seen outside
    """There is no best assignment; in scipy's words."""


def _assign(gains: Sequence[Sequence[float]]) -> list[int]:
    """The column of each row in the assignment of greatest sum, ties broken as `scipy.optimize.linear_sum_assignment` does.

    Shortest augmenting paths: D. F. Crouse, "On implementing 2D rectangular assignment algorithms", IEEE Transactions on
    Aerospace and Electronic Systems 52(4), 2016. Of a constant matrix the answer is the diagonal.
    """
    costs = [[-gain for gain in row] for row in gains]
    if any(math.isnan(cost) or cost == -math.inf for row in costs for cost in row):
        raise _NoAssignment("matrix contains invalid numeric entries")
    size = len(costs)
    row_prices, column_prices = [0.0] * size, [0.0] * size
    row_of: list[int | None] = [None] * size
    column_of = [-1] * size
    for start in range(size):
        path = _shortest_path(start, costs, row_prices, column_prices, row_of)
        row_prices[start] += path.length
        for column in path.settled[:-1]:
            row = row_of[column]
            assert row is not None  # noqa: S101  only the last column of a path is free
            row_prices[row] += path.length - path.distance[column]
        for column in path.settled:
            column_prices[column] -= path.length - path.distance[column]
        column, row = path.settled[-1], -1
        while row != start:
            row = path.reached_from[column]
            row_of[column] = row
            column_of[row], column = column, column_of[row]
    return column_of


class _Path(NamedTuple):
    length: float
    settled: list[int]
    """Columns in the order in which their distance became final; the last one is free."""
    distance: list[float]
    reached_from: list[int]


def _shortest_path(
    start: int,
    costs: Sequence[Sequence[float]],
    row_prices: Sequence[float],
    column_prices: Sequence[float],
    row_of: Sequence[int | None],
) -> _Path:
    size = len(costs)
    distance, reached_from = [math.inf] * size, [-1] * size
    open_columns = list(range(size - 1, -1, -1))
    settled: list[int] = []
    row, length = start, 0.0
    while True:
        nearest, lowest = -1, math.inf
        for place, column in enumerate(open_columns):
            reached = length + costs[row][column] - row_prices[row] - column_prices[column]
            if reached < distance[column]:
                reached_from[column], distance[column] = row, reached
            # Among the nearest a free column ends the search.
            if distance[column] < lowest or (distance[column] == lowest and row_of[column] is None):
                nearest, lowest = place, distance[column]
        if lowest == math.inf:
            raise _NoAssignment("cost matrix is infeasible")
        length = lowest
        column = open_columns[nearest]
        open_columns[nearest] = open_columns[-1]
        open_columns.pop()
        settled.append(column)
        owner = row_of[column]
        if owner is None:
            return _Path(length, settled, distance, reached_from)
        row = owner
