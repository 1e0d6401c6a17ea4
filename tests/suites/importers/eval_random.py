"""An eval file of arcade-evals with random suites. Run as a script, it prints random calls and what arcade says of them.

Both are made from one seed, so the importer reads the suites that the script scored.
"""

import asyncio
import json
import logging
import random
import sys
from datetime import timedelta
from types import SimpleNamespace
from typing import Annotated, Any

from arcade_evals import (
    BinaryCritic,
    DatetimeCritic,
    EvalRubric,
    EvalSuite,
    ExpectedMCPToolCall,
    ExpectedToolCall,
    FuzzyWeight,
    NumericCritic,
    SimilarityCritic,
    tool_eval,
)
from arcade_tdk import ToolCatalog, ToolContext, tool

SEED, CASES = 7, 200
WORDS = ["alpha", "beta", "the", "please", "meeting", "a", "foo_bar", "foo-bar", "Zürich", "12", "new", "York", "cold"]
MOMENTS = ["2024-01-01T10:00:00", "2024-01-01 10:05", "2024-01-01T10:09:00Z", "2024-01-01T12:00:00+02:00", "soon", ""]
NUMBERS = [0, 1, 5, 5.9, -3, 10, 0.3, 500, "5", "x", " 6 ", True, None, [], "nan", "Infinity"]
VALUES = [None, True, False, 0, 1, 5, "5", 5.9, "", [], {}, [1, 2], ["1"], "[1, 2]", {"a": 1}, "None", "false", "abc"]
NAMES = ["Mail.Send", "mail_send", "Search", "search", "Files-Read", "a.b"]
FIELDS = ("what", "n", "text", "when")

Call = tuple[str, dict[str, Any]]


def value(field: str, pick: random.Random) -> Any:
    if field == "text":
        return " ".join(pick.choices(WORDS, k=pick.randint(0, 5)))
    return pick.choice({"n": NUMBERS, "when": MOMENTS}.get(field, VALUES))


def call(names: list[str], pick: random.Random) -> Call:
    return pick.choice(names), {field: value(field, pick) for field in FIELDS if pick.random() < 0.6}


def attempt(expected: list[Call], names: list[str], pick: random.Random) -> list[Call]:
    """Calls near the expected ones."""
    made = [
        (
            name if pick.random() < 0.85 else pick.choice(names).replace(".", "_"),
            {
                field: given if pick.random() < 0.6 else value(field, pick)
                for field, given in args.items()
                if pick.random() < 0.9
            },
        )
        for name, args in expected
        if pick.random() < 0.9
    ]
    made += [call(names, pick)] * (pick.random() < 0.2)
    pick.shuffle(made)
    return made


def critics(pick: random.Random) -> list[Any]:
    words = pick.random() < 0.4

    def weight() -> Any:
        return pick.choice(list(FuzzyWeight)) if words else pick.choice([0, 0.1, 0.2, 0.3, 0.7, 1, 2.5])

    def one(field: str) -> Any:
        if field == "n" and pick.random() < 0.7:
            return NumericCritic(field, weight(), pick.choice([(0, 10), (-5.5, 5), (0, 100)]))
        if field == "text" and pick.random() < 0.7:
            return SimilarityCritic(field, weight(), similarity_threshold=pick.choice([0.8, 0.8, 0.8, 0.5]))
        if field == "when" and pick.random() < 0.8:
            return DatetimeCritic(field, weight(), tolerance=timedelta(seconds=pick.choice([500, 60])))
        return BinaryCritic(field, weight())

    return [
        one(field) for field in pick.sample([*FIELDS, *(["typo"] if pick.random() < 0.1 else [])], pick.randint(0, 4))
    ]


def rubric(pick: random.Random) -> EvalRubric | None:
    if pick.random() < 0.3:
        return None
    return EvalRubric(
        fail_threshold=pick.choice([0.5, 0.7, 0.8, 0.9, 1.0, 1.0, 1.2]),
        warn_threshold=pick.choice([0.3, 0.9]),
        fail_on_tool_selection=pick.random() < 0.3,
        fail_on_tool_call_quantity=pick.random() < 0.3,
        tool_selection_weight=pick.choice([0, 0.5, 1.0, 2]),
    )


def definitions(names: list[str], pick: random.Random) -> list[dict[str, Any]]:
    def schema(field: str) -> dict[str, Any]:
        return {"default": value(field, pick)} if pick.random() < 0.4 else {}

    return [
        {"name": name, "inputSchema": {"type": "object", "properties": {field: schema(field) for field in FIELDS}}}
        for name in names
    ]


@tool
def remind(
    context: ToolContext,
    text: Annotated[str, "What of"],
    n: Annotated[int, "How often"] = 3,
    when: Annotated[str | None, "When"] = None,
) -> str:
    """Remind somebody."""
    return text


def expected_of(case: Any) -> list[Call]:
    return [(call.name, call.args) for call in case.expected_tool_calls]


@tool_eval()
def random_cases() -> EvalSuite:
    pick = random.Random(SEED)
    suite = EvalSuite(name="random cases", system_message="Help.", rubric=EvalRubric(fail_threshold=0.7))
    suite.add_tool_definitions(definitions(pick.sample(NAMES, 4), pick))
    for index in range(CASES):
        names = pick.sample(NAMES, pick.randint(1, 3))
        wanted = [ExpectedMCPToolCall(*call(names, pick)) for _ in range(pick.choice([0, 1, 1, 2, 3, 4]))]
        if index and pick.random() < 0.2:
            suite.extend_case(f"case {index}", f"ask {index}", expected_tool_calls=wanted, rubric=rubric(pick))
        else:
            suite.add_case(f"case {index}", f"ask {index}", wanted, critics=critics(pick), rubric=rubric(pick))
    return suite


@tool_eval()
async def random_tracks() -> EvalSuite:
    pick = random.Random(SEED + 1)
    # What an unreadable number does to a whole run of arcade is no matter of tracks.
    suite = EvalSuite(name="random tracks", system_message="Help.")
    tracks = {"left": pick.sample(NAMES, 3), "right": pick.sample(NAMES, 3)}
    for track, names in tracks.items():
        suite.add_tool_definitions(definitions(names, pick), track=track)
    for index in range(CASES // 4):
        case = suite.add_comparative_case(f"case {index}", f"ask {index}", rubric=rubric(pick))
        for track in pick.sample(list(tracks), pick.randint(1, 2)):
            wanted = [ExpectedMCPToolCall(*call(tracks[track], pick)) for _ in range(pick.randint(1, 2))]
            case.for_track(track, wanted, [critic for critic in critics(pick) if critic.critic_field != "n"])
    return suite


@tool_eval()
def random_functions() -> EvalSuite:
    pick = random.Random(SEED + 2)
    catalog = ToolCatalog()
    catalog.add_tool(remind, "Notes")
    suite = EvalSuite(name="random functions", system_message="Help.", catalog=catalog)
    for index in range(CASES // 4):
        args = {field: value(field, pick) for field in ("text", "n", "when") if pick.random() < 0.6}
        wanted = [ExpectedToolCall(remind, args)] * pick.randint(1, 2)
        suite.add_case(f"case {index}", f"ask {index}", wanted, critics=critics(pick), rubric=rubric(pick))
    return suite


# --- what arcade says


def scored(suite: EvalSuite, names: list[str], pick: random.Random) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for case in suite.cases:
        for calls in (attempt(expected_of(case), names, pick), expected_of(case)):
            line = {"suite": suite.name, "case": case.name, "calls": calls}
            try:
                found = case.evaluate(suite._process_tool_calls(calls))
            except ValueError as error:
                lines.append({**line, "crash": str(error)})
            else:
                lines.append({**line, **verdict(found)})
    return lines


def verdict(found: Any) -> dict[str, Any]:
    word = "passed" if found.passed else "warned" if found.warning else "failed"
    return {"score": float(found.score), "verdict": word, "reason": found.failure_reason}


def scored_on_tracks(suite: EvalSuite, pick: random.Random) -> list[dict[str, Any]]:
    """By way of `run_comparative` and a model that says random things."""
    said: dict[tuple[str, str], list[Call]] = {}
    tracks = {name: suite.list_tool_names(name) for name in suite.get_tracks()}

    async def create(*, messages: list[dict[str, Any]], tools: list[dict[str, Any]], **_: Any) -> Any:
        shown = {each["function"]["name"] for each in tools}
        track = next(name for name, known in tracks.items() if {each.replace(".", "_") for each in known} == shown)
        calls = [call(tracks[track], pick) for _ in range(pick.randint(1, 2))]
        said[messages[-1]["content"], track] = calls
        functions = [SimpleNamespace(function=SimpleNamespace(name=n, arguments=json.dumps(a))) for n, a in calls]
        return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(tool_calls=functions))])

    client = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))
    results = asyncio.run(suite.run_comparative(client, "none"))
    return [
        {
            "suite": suite.name,
            "track": track,
            "case": case["name"],
            "calls": said[case["input"], track],
            **verdict(case["evaluation"]),
        }
        for track, result in results.items()
        for case in result["cases"]
    ]


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    pick = random.Random(SEED + 3)
    lines = scored(random_cases.__wrapped__(), NAMES, pick)
    lines += scored_on_tracks(asyncio.run(random_tracks.__wrapped__()), pick)
    lines += scored(random_functions.__wrapped__(), ["Notes_Remind", "Notes.Remind"], pick)
    json.dump(lines, sys.stdout)
