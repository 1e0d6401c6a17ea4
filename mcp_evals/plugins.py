"""Extension points: objects of other packages by entry-point group and name.

Groups: `mcp_evals.critics` (a function `(expected, actual, params) -> float`), `mcp_evals.targets`, `mcp_evals.importers`.
"""

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from mcp_evals.errors import NotFoundError, did_you_mean


@cache
def load_plugin(group: str, name: str) -> Any:
    """The object registered under `name` in `mcp_evals.{group}`.

    Raises:
        NotFoundError: no installed package registers it.
    """
    found = {point.name: point for point in entry_points(group=f"mcp_evals.{group}")}
    if name not in found:
        raise NotFoundError(f'no plugin "{name}" in mcp_evals.{group}{did_you_mean(name, sorted(found))}')
    return found[name].load()


def plugin_names(group: str) -> tuple[str, ...]:
    """Names registered in `mcp_evals.{group}`, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=f"mcp_evals.{group}")}))
