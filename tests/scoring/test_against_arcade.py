"""What arcade-evals gets wrong, point by point: each test holds our rules against arcade's on the same case.

The numbers are those of the table "Against arcade-evals" in ARCHITECTURE.md, which names the tests of the other points.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fakes import called, case_of
from pydantic import TypeAdapter, ValidationError

from mcp_evals.conversation import ToolDefinition
from mcp_evals.critics import Critic
from mcp_evals.json_match import ABSENT
from mcp_evals.results import CaseScore, Outcome
from mcp_evals.scoring.case import score_case
from mcp_evals.scoring.trials import result_of_trials
from mcp_evals.suite import Rubric, Suite, TrackOverride
from mcp_evals.suites.validate import validate_suite

OURS = Rubric()
ARCADE = Rubric(
    convention="arcade", fail_below=0.8, warn_below=0.8, missing_calls="fail", extra_calls="fail", wrong_tool="fail"
)
"""arcade's defaults."""
OPEN: dict[str, Any] = {"missing_calls": "ignore", "extra_calls": "ignore", "wrong_tool": "ignore"}
"""The gates off, as arcade says it."""
ARCADE_OPEN = ARCADE.model_copy(update=OPEN)
CRITIC: TypeAdapter[Critic] = TypeAdapter(Critic)

Calls = list[tuple[str, Any]]


class Both(NamedTuple):
    ours: CaseScore
    arcade: CaseScore

    @property
    def scores(self) -> tuple[float | None, float | None]:
        return self.ours.score, self.arcade.score

    @property
    def verdicts(self) -> tuple[str, str]:
        return self.ours.verdict, self.arcade.verdict


def both(expected: list[dict[str, Any]], calls: Calls, arcade: Rubric = ARCADE, ours: Rubric = OURS) -> Both:
    case, said = case_of(expect={"calls": expected}), called(*calls)
    return Both(score_case(case, said, ours), score_case(case, said, arcade))


def wants(tool: str, args: dict[str, Any] | None = None, **critics: Any) -> dict[str, Any]:
    """An expected call; critics by field, as their kind or with more settings."""
    each = [{"field": field, **({"kind": said} if isinstance(said, str) else said)} for field, said in critics.items()]
    return {"tool": tool, "args": args or {}, "critics": each}


NUMBER = {"kind": "numeric", "low": 0, "high": 10, "weight": 1}


# --- scoring


def test_01_a_score_between_the_thresholds_is_a_warning_and_thresholds_make_sense() -> None:
    found = both([wants("set", {"n": 5}, n=NUMBER)], [("set", {"n": 8})])

    assert (0.85, 0.85) == found.scores
    assert ("warned", "passed") == found.verdicts
    with pytest.raises(ValidationError, match=r"`fail_below` .* must not be greater than `warn_below`"):
        Rubric(fail_below=0.9, warn_below=0.8)


def test_02_an_argument_that_cannot_be_read_costs_its_weight_and_says_so() -> None:
    found = both([wants("pay", {"amount": 5}, amount=NUMBER)], [("pay", {})])

    assert (0.5, 1.0) == found.scores
    assert "pay: amount nothing is not a number" == found.ours.reason


@pytest.mark.parametrize(("number", "arcades"), [(500, -23.75), ("nan", 0.0), ("Infinity", 0.0)])
def test_03_no_number_takes_away_more_than_its_own_weight(number: Any, arcades: float) -> None:
    assert (0.5, arcades) == both([wants("set", {"n": 5}, n=NUMBER)], [("set", {"n": number})]).scores


@pytest.mark.parametrize("calls", [[("a", {"x": 1})], [("a", {"x": 1}), ("b", {"x": 1}), ("c", {}), ("d", {})]])
def test_04_missing_and_extra_calls_cost_where_no_gate_stands(calls: Calls) -> None:
    expected = [wants("a", {"x": 1}, x="exact"), wants("b", {"x": 1}, x="exact")]

    assert (0.5, 1.0) == both(expected, calls, arcade=ARCADE_OPEN).scores


def test_05_the_verdict_does_not_depend_on_how_a_name_is_written_or_sorted() -> None:
    spelled = both([wants("Google_A"), wants("Google_B")], [("google.a", {}), ("Google.B", {})])
    lenient = Rubric(extra_calls="ignore")
    sorted_first = both([wants("b")], [("a", {}), ("b", {})], arcade=ARCADE.model_copy(update=OPEN | {"wrong_tool": "fail"}), ours=lenient)  # fmt: skip

    assert (("passed", "failed"), ("passed", "failed")) == (spelled.verdicts, sorted_first.verdicts)


def test_06_an_order_can_be_asked_for() -> None:
    expected, calls = [wants("look"), wants("buy")], [("buy", {}), ("look", {})]

    ordered = score_case(case_of(expect={"calls": expected, "order": "in_order"}), called(*calls), OURS)

    assert ("failed", "passed") == (ordered.verdict, both(expected, calls).arcade.verdict)


def test_07_a_critic_looks_at_its_own_call_alone_and_inside_of_arguments() -> None:
    own = both(
        [
            wants("a", {"x": 1}, x={"kind": "exact", "weight": 1}),
            wants("b", {"y": 1}, y={"kind": "exact", "weight": 1}),
        ],
        [("a", {"x": 9}), ("b", {"y": 9})],
    )
    address: Any = {"city": "Oslo", "zip": "0150"}
    nested = both(
        [wants("move", {"to": address}, **{"to.zip": "present"})], [("move", {"to": {**address, "zip": "9"}})]
    )

    # Every argument is wrong; only the tools are right.
    assert (0.5, pytest.approx(4 / 6)) == own.scores
    assert (1.0, "errored") == (nested.ours.score, nested.arcade.verdict)


def test_08_a_critic_on_a_field_that_nobody_has_is_found_and_earns_nothing() -> None:
    expected = [wants("a", {"city": "Oslo"}, city="exact", ctiy="exact")]

    found = both(expected, [("a", {"city": "Oslo"})])

    assert (0.75, 1.0) == found.scores
    assert "a: ctiy is looked at by a critic, and nothing is expected of it" == found.ours.reason
    problems = validate_suite(Suite(name="s", cases=(case_of(expect={"calls": expected}),))).problems
    assert ['no argument "ctiy" is expected that it could compare with; did you mean "city"?'] == [
        problem.message for problem in problems
    ]


@pytest.mark.parametrize(
    ("expected", "actual"), [(True, "false"), (5, 5.9), (["a", "b"], "ab"), ({"a": 1}, [["a", 1]]), (False, "")]
)
def test_09_nothing_is_cast_into_a_match(expected: Any, actual: Any) -> None:
    assert (0.5, 1.0) == both([wants("a", {"x": expected}, x="exact")], [("a", {"x": actual})]).scores


@pytest.mark.parametrize(
    ("args", "ours"), [({"city": "Rome"}, (1 + 1 / 2) / 2), ({"city": "Oslo", "made_up": True}, (1 + 2 / 3) / 2)]
)
def test_10_arguments_without_a_critic_count_and_so_do_those_that_nobody_expected(
    args: dict[str, Any], ours: float
) -> None:
    found = both([wants("a", {"city": "Oslo", "days": 3})], [("a", {"days": 3, **args})])

    assert (pytest.approx(ours), 1.0) == found.scores


def test_11_a_case_without_critics_does_not_pass_by_itself() -> None:
    assert (0.0, 1.0) == both([wants("a")], [], arcade=ARCADE_OPEN).scores


def test_12_the_tool_has_the_same_share_whether_weights_are_words_or_numbers() -> None:
    def of(first: Any, second: Any) -> Both:
        critics = {"x": {"kind": "exact", "weight": first}, "y": {"kind": "exact", "weight": second}}
        return both([wants("a", {"x": 1, "y": 1}, **critics)], [("a", {"x": 2, "y": 1})])

    words, numbers = of("high", "low"), of(5, 3)

    assert words.ours.score == numbers.ours.score == (1 + 3 / 8) / 2
    assert (pytest.approx(1.375 / 2), pytest.approx(4 / 9)) == (words.arcade.score, numbers.arcade.score)


def test_12_a_critic_is_never_changed_by_a_case_that_uses_it() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        CRITIC.validate_python({"field": "x", "kind": "exact"}).weight = 1  # type: ignore[misc]


def test_13_the_pairs_are_those_of_the_best_score_whatever_the_order_of_calls() -> None:
    expected = [wants("a", {"x": 1}, x="exact"), wants("a")]
    one_way = both(expected, [("a", {"x": 2}), ("a", {})])
    other_way = both(expected, [("a", {}), ("a", {"x": 2})])

    assert (0.75, 0.75) == (one_way.ours.score, other_way.ours.score)
    assert (0.75, 0.5) == (one_way.arcade.score, other_way.arcade.score)


@pytest.mark.parametrize(
    ("critic", "expected", "fits", "fails"),
    [
        ({"kind": "range", "low": 10, "high": 20}, ABSENT, 15, 25),
        ({"kind": "one_of", "values": ["C", "F"]}, ABSENT, "F", "K"),
        ({"kind": "pattern", "pattern": "oslo"}, ABSENT, "in oslo", "in rome"),
        ({"kind": "pattern", "pattern": "^.{1,5}$"}, ABSENT, "short", "too long"),
        ({"kind": "set"}, [1, 2], [2, 1], [1, 3]),
        ({"kind": "present"}, ABSENT, 0, ABSENT),
        ({"kind": "present", "present": False}, ABSENT, ABSENT, 0),
        ({"kind": "similarity", "metric": "rouge1"}, "turn it hot", "turn it hot", "nothing alike"),
    ],
)  # fmt: skip
def test_14_there_is_a_critic_for_it(critic: dict[str, Any], expected: Any, fits: Any, fails: Any) -> None:
    found = CRITIC.validate_python({"field": "x", **critic})

    assert 1.0 == found.score(expected, fits).score
    assert 1.0 > found.score(expected, fails).score


DATE = {"kind": "datetime", "tolerance_s": 500, "zero_at_s": 7200, "weight": 1}


def test_15_times_are_compared_in_a_zone_that_the_suite_names_and_never_filled_from_today() -> None:
    def of(expected: str, actual: str) -> Both:
        return both([wants("a", {"at": expected}, at=DATE)], [("a", {"at": actual})])

    assert (0.5, 1.0) == of("2024-01-01T10:00:00", "2024-01-01T10:00:00+02:00").scores
    assert 'a: at "10:00" gives no date, "2024-01-01T10:00" gives a date' == of("2024-01-01T10:00", "10:00").ours.reason
    one_second_more = of("2024-01-01T10:00:00", "2024-01-01T10:08:21")
    assert (pytest.approx(1, abs=1e-4), pytest.approx(0.9652, abs=1e-4)) == one_second_more.scores


def test_16_where_no_call_is_right_every_call_is_wrong_and_none_is_right() -> None:
    called_anyway, silent = (both([], calls, arcade=ARCADE_OPEN) for calls in ([("a", {})], []))

    assert ((0.0, 1.0), (1.0, 1.0)) == (called_anyway.scores, silent.scores)


# --- running


def test_17_malformed_arguments_are_wrong_and_the_rest_of_the_case_counts() -> None:
    found = both([wants("a", {"x": 1}), wants("b", {"x": 1})], [("a", "{x: 1"), ("b", {"x": 1})])

    assert (0.75, 0.0) == found.scores
    assert "a: x the arguments are not a JSON object: {x: 1" == found.ours.reason


def test_21_the_mean_decides_over_several_trials_and_not_the_last() -> None:
    trials = [Outcome("a", 0, "failed", 0.0), Outcome("a", 1, "failed", 0.0), Outcome("a", 2, "passed", 1.0)]

    ours, arcade = result_of_trials(trials, OURS), result_of_trials(trials, Rubric(over_trials="last"))

    assert (("failed", True), ("passed", True)) == ((ours.verdict, ours.flaky), (arcade.verdict, arcade.flaky))


# --- tracks


WITH_DEFAULT: Any = {"type": "object", "properties": {"q": {}, "limit": {"default": 10}}}


def test_30_defaults_are_those_of_the_tracks_own_tools_and_plain_cases_run_beside() -> None:
    expect = {"calls": [wants("search", {"q": "x", "limit": 10})]}
    tools = {
        track: (ToolDefinition(name="search", input_schema=schema),)
        for track, schema in (("new", WITH_DEFAULT), ("old", {}))
    }
    plain = case_of(id="plain", expect=expect, by_track={"new": {"skip": True}, "old": {"skip": True}})
    suite = Suite(name="s", tools=tools["old"], tracks=tools, cases=(case_of(expect=expect), plain))

    def score(track: str) -> float | None:
        on_track = suite.on_track(track)
        (case,) = on_track.cases
        return score_case(case, called(("search", {"q": "x"})), OURS, tools=on_track.tools_of(case)).score

    assert {"new": 1.0, "old": 0.75} == {track: score(track) for track in suite.tracks}
    assert ["case", "plain"] == [case.id for case in suite.on_track(None).cases]
    assert TrackOverride(skip=True) == plain.by_track["new"]


# --- the command line


WATCHED = """
import sys

def refuse(event, args):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
        raise RuntimeError(f"{event} {args}")

sys.addaudithook(refuse)
from mcp_evals.commands import app
app(sys.argv[1:])
"""


def test_34_nothing_is_sent_anywhere_by_a_run_of_a_recording(tmp_path: Path) -> None:
    suite = {"version": 1, "name": "s", "cases": [{"id": "a", "user": "?", "expect": {"calls": []}}]}
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    (tmp_path / "said.jsonl").write_text(json.dumps({"case": "a", "transcript": {"calls": [], "text": "hello"}}))

    for command in (["validate", "suite.json"], ["score", "suite.json", "said.jsonl"], ["doctor"]):
        done = subprocess.run(
            [sys.executable, "-c", WATCHED, *command], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={"MCP_EVALS_HOME": str(tmp_path / "home"), "PATH": ""},
        )  # fmt: skip

        assert 0 == done.returncode, done.stderr


def test_every_point_has_a_line_and_a_test() -> None:
    """The table in ARCHITECTURE.md names 34 points; each has a test here, by its number, or names one that exists."""
    root = Path(__file__).parents[2]
    table = (root / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## Against arcade-evals")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]*)\|$", table, re.MULTILINE)
    here = {int(name[5:7]) for name in globals() if re.match(r"test_\d\d_", name)}

    assert [str(number) for number in range(1, 35)] == [number for number, _ in rows]
    assert [] == [number for number, tests in rows if not tests.strip() and int(number) not in here]
    named = [test for _, tests in rows for test in re.findall(r"`([^`]+)::([^`]+)`", tests)]
    assert [] == [
        (file, test) for file, test in named if f"def {test}(" not in (root / file).read_text(encoding="utf-8")
    ]
