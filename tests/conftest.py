"""Async tests run on asyncio; the package is found from the checkout."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
