"""A report for machines: complete, every key always there, and JSON whatever a model wrote."""

import json
import re
from math import isfinite
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

# Valid in Python and in JSON's escapes, and in no UTF-8: strict readers refuse the whole file for one.
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def json_report(report: BaseModel) -> str:
    """The report as JSON; a lone surrogate becomes U+FFFD, a number that JSON does not know becomes null."""
    try:
        return report.model_dump_json(indent=2)
    except PydanticSerializationError:
        # Ten times as slow, and needed only for a lone surrogate.
        plain = _finite(report.model_dump(mode="json"))
        return _LONE_SURROGATE.sub("\ufffd", json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return [_finite(item) for item in value] if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType]
