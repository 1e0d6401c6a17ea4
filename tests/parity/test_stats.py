"""The recorded outputs of the reference statistics, entry by entry."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_evals.stats.intervals import arm_summary
from mcp_evals.stats.paired import compare_paired
from mcp_evals.stats.sequential import AdaptiveComparison, AdaptivePlan, PairScore

ORACLE = Path(os.environ.get("MCP_EVALS_ORACLE_DIR", Path(__file__).parents[3] / "shared" / "oracle")) / "stats.json"
ENTRIES: dict[str, list[dict[str, Any]]] = json.loads(ORACLE.read_text()) if ORACLE.exists() else {}
# Recorded with 8 decimals.
RECORDED = 6e-9

pytestmark = pytest.mark.skipif(not ENTRIES, reason=f"no recorded statistics at {ORACLE}; set MCP_EVALS_ORACLE_DIR")


@pytest.fixture(scope="module", autouse=True)
def compared(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    names: list[str] = []
    yield names
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f" compared {len(names)} of {sum(map(len, ENTRIES.values()))} recorded statistics")


def entries(kind: str) -> Any:
    return pytest.mark.parametrize("entry", ENTRIES.get(kind, []), ids=lambda entry: entry["name"])


@entries("arm")
def test_one_model_has_the_recorded_interval(entry: dict[str, Any], compared: list[str]):
    summary = arm_summary(entry["case_means"], binary=entry["binary"], runs=entry["runs"], groups=entry["clusters"])

    estimate = summary.estimate
    got = {"mean": estimate.value, "lo": estimate.low, "hi": estimate.high, "n": estimate.n, "units": summary.units}
    got["n_eff"] = float("nan") if summary.effective_n is None else summary.effective_n
    expected = {key: value for key, value in entry["expect"].items() if key != "note"}
    assert pytest.approx(expected, abs=RECORDED, nan_ok=True) == got
    assert ("note" in entry["expect"]) == (summary.reason is not None)
    compared.append(entry["name"])


@entries("compare")
def test_a_comparison_has_the_recorded_numbers_and_verdict(entry: dict[str, Any], compared: list[str]):
    baseline, candidate = (trials(entry, entry[arm]) for arm in ("a", "b"))

    result = compare_paired(baseline, candidate, binary=entry["binary"], groups=entry["clusters"])

    assert result.difference is not None
    assert result.difference_90 is not None
    got: dict[str, Any] = {
        "diff": result.difference.value,
        "lo": result.difference.low,
        "hi": result.difference.high,
        "p": result.p_value,
        "lo90": result.difference_90.low,
        "hi90": result.difference_90.high,
        "r": result.correlation,
        "units": result.units,
        "se": result.standard_error,
        "detectable": result.detectable,
        "need": result.cases_needed,
    }
    words = {"verdict": result.verdict, "not_worse": result.difference_90.low > -result.margin}
    numbers = {key: value for key, value in entry["expect"].items() if key not in words}
    assert pytest.approx(numbers, abs=1.2 * RECORDED) == got
    assert {key: entry["expect"][key] for key in words} == words
    compared.append(entry["name"])


@entries("adaptive")
def test_an_adaptive_comparison_stops_where_recorded(entry: dict[str, Any], compared: list[str]):
    cases = int(re.fullmatch(r"B wins every case, max (\d+) cases", entry["name"])[1])  # type: ignore[index]

    stops = {}
    for counting in ("drawn", "exact"):
        comparison = AdaptiveComparison(AdaptivePlan(cases=cases, binary=True, counting=counting))
        stops[counting] = next(case + 1 for case in range(cases) if comparison.add(PairScore(case, 0, 1)) == "claim")

    assert {"drawn": entry["stops_at_mc"], "exact": entry["stops_at_exact"]} == stops
    compared.append(entry["name"])


def trials(entry: dict[str, Any], case_means: list[float]) -> list[list[float]]:
    """Runs that have these means: passes first, or the same grade each time."""
    runs = entry["runs"]
    if not entry["binary"]:
        return [[mean] * runs for mean in case_means]
    return [[1.0] * round(mean * runs) + [0.0] * (runs - round(mean * runs)) for mean in case_means]
