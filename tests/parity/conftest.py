"""Prints how many recorded cases a module compared."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def compared_cases(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Ids of the cases that were compared; a test adds its own when all its assertions have held."""
    case_ids: list[str] = []
    yield case_ids
    plugins = request.config.pluginmanager
    reporter, capture = plugins.getplugin("terminalreporter"), plugins.getplugin("capturemanager")
    if reporter is not None and capture is not None:
        with capture.global_and_fixture_disabled():
            reporter.write_line(f" compared {len(case_ids)} recorded cases")
