"""Scoring: one case of many calls with a similarity critic, beside the floor of fitting the same texts naively.

The floor compares every pair of texts once with a plain TF-IDF in the same run. Run: python tests/benchmarks/bench_scoring.py
"""

import math
import statistics
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from mcp_evals.conversation import Invocation, Step, ToolCall, Transcript
from mcp_evals.scoring.case import score_case
from mcp_evals.suite import Case, Rubric


def naive(texts: list[str], others: list[str]) -> None:
    for a in texts:
        for b in others:
            in_a, in_b = Counter(a.split()), Counter(b.split())
            dot = sum(n * in_b[word] for word, n in in_a.items())
            dot / math.sqrt(sum(n * n for n in in_a.values()) * sum(n * n for n in in_b.values()))


def milliseconds(work: Callable[[], object], rounds: int = 9) -> float:
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def main() -> None:
    for count in (1, 5, 20, 50):
        wanted = [f"find the cheapest flight number {i} from oslo to rome on a friday" for i in range(count)]
        given = [f"find a cheap flight number {i} from oslo to rome for friday" for i in range(count)]
        calls = [
            {"tool": "search", "args": {"q": q, "n": i}, "critics": [{"field": "q", "kind": "similarity"}]}
            for i, q in enumerate(wanted)
        ]
        case = Case.model_validate({"id": "x", "user": "?", "expect": {"calls": calls}})
        made = tuple(ToolCall(name="search", arguments={"q": q, "n": i}) for i, q in enumerate(given))
        transcript = Transcript(invocations=(Invocation(user="?", steps=(Step(calls=made),)),))
        score_case(case, transcript, Rubric())
        ours, floor = (
            milliseconds(partial(score_case, case, transcript, Rubric())),
            milliseconds(partial(naive, wanted, given)),
        )
        print(f"{count:3} calls: {ours:.2f} ms; naive TF-IDF of all pairs {floor:.2f} ms; ratio {ours / floor:.2f}")


if __name__ == "__main__":
    main()
