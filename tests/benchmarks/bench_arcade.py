"""Scoring of one case with a similarity critic, beside arcade-evals on the same calls in the same run.

Run: python tests/benchmarks/bench_arcade.py --python INTERPRETER, one that has `arcade-mcp[evals]`. Rounds take turns, so
that both see the same load; times are of the processor, medians and least of all rounds. Without an interpreter only our
own times are told.
"""

import argparse
import json
import statistics
import subprocess
import time
from typing import Any

from mcp_evals.conversation import Invocation, Step, ToolCall, Transcript
from mcp_evals.scoring.case import score_case
from mcp_evals.suite import Case, Rubric

ROUNDS = 7
THEIRS = """
import json, sys, time
from arcade_evals import EvalRubric, SimilarityCritic
from arcade_evals._evalsuite._types import NamedExpectedToolCall
from arcade_evals.eval import EvalCase

wanted, given = json.loads(sys.stdin.readline())
calls = [NamedExpectedToolCall("search", args) for args in wanted]
case = EvalCase("x", "", "?", calls, critics=[SimilarityCritic("q", 1.0)], rubric=EvalRubric())
made = [("search", args) for args in given]
case.evaluate(made[:1])  # loads scikit-learn
print("ready", flush=True)
for _ in sys.stdin:
    started = time.process_time()
    score = case.evaluate(made).score
    print(json.dumps([time.process_time() - started, score]), flush=True)
"""
CONVENTIONS = {
    "ours": Rubric(),
    "ours, arcade's rules": Rubric(convention="arcade", fail_below=0.8, warn_below=0.8),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", help="interpreter that has arcade-mcp[evals]")
    parser.add_argument("--calls", type=int, nargs="*", default=[5, 20])
    chosen = parser.parse_args()
    for count in chosen.calls:
        wanted = [{"q": f"find the cheapest flight number {i} from oslo to rome on a friday"} for i in range(count)]
        given = [{"q": f"find a cheap flight number {i} from oslo to rome for friday"} for i in reversed(range(count))]
        times = {name: list[float]() for name in CONVENTIONS}
        theirs = Theirs(chosen.python, wanted, given) if chosen.python else None
        for _ in range(ROUNDS):
            scores = {name: score(rubric, wanted, given, times[name]) for name, rubric in CONVENTIONS.items()}
            if theirs is not None:
                assert abs(theirs.score() - scores["ours, arcade's rules"]) < 1e-9
        report(count, times, theirs.times if theirs else [])
    if chosen.python is None:
        print("arcade-evals was not run beside it: --python names no interpreter that has it")


def score(rubric: Rubric, wanted: list[Any], given: list[Any], times: list[float]) -> float:
    """Everything from the values on, as nothing of an earlier round may help."""
    critic = {"field": "q", "kind": "similarity", "weight": 1.0}
    calls = [{"tool": "search", "args": args, "critics": [critic]} for args in wanted]
    case = Case.model_validate({"id": "x", "user": "?", "expect": {"calls": calls}})
    made = tuple(ToolCall(name="search", arguments=args) for args in given)
    said = Transcript(invocations=(Invocation(user="?", steps=(Step(calls=made),)),))
    started = time.process_time()
    found = score_case(case, said, rubric).score
    times.append(time.process_time() - started)
    assert found is not None
    return found


class Theirs:
    """The original, in its own process."""

    def __init__(self, python: str, wanted: list[Any], given: list[Any]) -> None:
        self.times: list[float] = []
        self._process = subprocess.Popen(
            [python, "-c", THEIRS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._ask(json.dumps([wanted, given]))

    def score(self) -> float:
        took, found = json.loads(self._ask("again"))
        self.times.append(took)
        return found

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        return self._process.stdout.readline()


def report(count: int, times: dict[str, list[float]], theirs: list[float]) -> None:
    for name, each in times.items():
        told = (
            f"{count:3} calls, {name}: median {statistics.median(each) * 1000:.2f} ms, least {min(each) * 1000:.2f} ms"
        )
        if theirs:
            told += f"; arcade-evals {statistics.median(theirs) * 1000:.0f} ms, least {min(theirs) * 1000:.0f} ms"
            told += f"; {statistics.median(theirs) / statistics.median(each):.0f} times as fast"
            told += f", by the least {min(theirs) / min(each):.0f}"
        print(told)


if __name__ == "__main__":
    main()
