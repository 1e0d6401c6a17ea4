"""Async tests run on asyncio; the summary says how many recorded cases each module compared."""

from collections import Counter
from collections.abc import Iterator

import pytest

COMPARED = "compared"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def compared_cases(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Ids of the recorded cases that were compared; a test adds them when all its assertions have held."""
    case_ids: list[str] = []
    yield case_ids
    request.node.user_properties.append((COMPARED, len(case_ids)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts: Counter[str] = Counter()
    # The reports of the end of a test, which also come from the processes that tests are spread over.
    for report in [report for reports in terminalreporter.stats.values() for report in reports]:
        if isinstance(report, pytest.TestReport) and report.when == "teardown":
            counts[report.nodeid.partition("::")[0]] += sum(
                count for name, count in report.user_properties if name == COMPARED
            )
    for module, count in counts.items():
        if count:
            terminalreporter.write_line(f"{module}: compared {count} recorded cases")
