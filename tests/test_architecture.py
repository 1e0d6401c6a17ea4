"""The floors hold: a room imports only from floors below its own, and heavy libraries load only where they are used."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "mcp_evals"

FLOORS = (
    ("errors", "stemmer"),
    ("text", "model", "plugins", "whole_files"),
    ("conversation", "json_match", "hosts"),
    ("matching",),
    ("critics", "text_expectations"),
    ("suite", "python_tools"),
    ("results",),
    ("answers", "loosening", "proposals", "scoring", "stats", "targets"),
    (
        "store",
        "limits",
        "live_tools",
        "tool_lint",
        "suites",
        "stubs",
        "summary",
        "views",
        "judging",
        "simulation",
        "compare",
    ),
    ("reports", "settings"),
    ("runner", "library", "adaptive"),
    ("workspace",),
    ("server", "doctor", "demo"),
    ("commands",),
    ("cli",),
    ("__main__", "__init__"),
)
HOMES = {
    "mcp": {"server", "live_tools", "demo"},
    "openai": {"targets/openai.py"},
    "anthropic": {"targets/anthropic.py"},
    "httpx": {"targets/engine.py"},
    "httpx_sse": {"targets/engine.py"},
    "sqlite3": {"store.py"},
    "scipy": {"scoring/calls.py", "stats"},
    "ruamel": {"suites"},
    "typer": {"commands"},
    "jinja2": {"reports"},
    "genai_prices": {"limits.py"},
}
LATE = {
    "numpy", "scipy", "openai", "anthropic", "httpx", "httpx_sse", "jinja2", "typer", "rich", "ruamel", "dateutil",
    "genai_prices", "jsonschema", "referencing", "regex", "mcp", "zoneinfo", "mcp_evals",
}  # fmt: skip
"""What may be imported inside a function: what is slow to load, and rooms that stand on it."""
SOURCES = sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for name in imported(node):
            yield getattr(node, "lineno", 0), name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_from_floors_below(path: Path) -> None:
    if path == ROOT / "__init__.py":
        return
    own = room(path)

    wrong = [
        f"line {line}: {name}"
        for line, name in imports(path)
        if name.startswith("mcp_evals.") and (other := name.split(".")[1]) != own and floor(other) >= floor(own)
    ]

    assert [] == wrong


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_library_is_imported_only_in_its_home(path: Path) -> None:
    place = str(path.relative_to(ROOT))

    wrong = [
        f"line {line}: {name}"
        for line, name in imports(path)
        if (homes := HOMES.get(name.split(".")[0])) and not any(place.startswith(home) for home in homes)
    ]

    assert [] == wrong


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_slow_libraries_are_imported_inside_a_function(path: Path) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    inside = {name for function in functions for node in ast.walk(function) for name in imported(node)}

    assert set() == {name for name in inside if name.split(".")[0] not in LATE | {"datetime"}}


def test_every_room_has_a_floor() -> None:
    assert set() == {room(path) for path in SOURCES} - {name for rooms in FLOORS for name in rooms}


def test_the_server_starts_without_the_heavy_libraries() -> None:
    heavy = LATE - {"mcp", "mcp_evals", "httpx", "zoneinfo", "rich", "typer", "jsonschema"}
    script = (
        "import sys; from pathlib import Path; from mcp_evals.server.app import build_server;"
        "from mcp_evals.settings import Settings; build_server(Settings(data=Path('.')));"
        f"print(sorted(set(sys.modules) & {heavy!r}))"
    )

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT.parent)

    assert "[]" == loaded.stdout.strip()
