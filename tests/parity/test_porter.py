"""Every recorded stem of NLTK's Porter stemmer."""

import json
import os
from pathlib import Path

import pytest

from mcp_evals.stemmer import porter_stem

ORACLE = Path(os.environ.get("MCP_EVALS_ORACLE_DIR", Path(__file__).parents[3] / "shared" / "oracle"))
STEMS = ORACLE / "porter_stems.json"


@pytest.mark.skipif(not STEMS.exists(), reason=f"no recorded stems at {STEMS}; set MCP_EVALS_ORACLE_DIR")
def test_every_recorded_word_has_its_stem():
    recorded: dict[str, str] = json.loads(STEMS.read_text(encoding="utf-8"))["stems"]

    stems = {word: porter_stem(word) for word in recorded}

    assert recorded == stems
    assert len(stems) >= 5_000
