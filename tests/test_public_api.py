"""What the package promises to other code is what it exports, no more and no less."""

import re
import subprocess
import sys

import mcp_evals
from mcp_evals import errors


def test_all_is_sorted_and_names_everything_that_is_exported() -> None:
    exported = [
        name
        for name, value in vars(mcp_evals).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("mcp_evals.")
    ]

    assert mcp_evals.__all__ == sorted(exported)


def test_what_is_exported_is_documented() -> None:
    assert [name for name in mcp_evals.__all__ if not getattr(mcp_evals, name).__doc__] == []


def test_the_drawing_of_the_errors_shows_the_classes_as_they_are() -> None:
    assert errors.__doc__ is not None
    above: list[str] = []
    drawn: dict[str, str] = {}
    for indent, name in re.findall(r"^    ([│├└─ ]*)(\w+Error)\b", errors.__doc__, re.MULTILINE):
        above[len(indent) // 4 :] = [name]
        drawn[name] = above[-2] if len(above) > 1 else "Exception"

    classes = [found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, Exception)]
    assert drawn == {found.__name__: found.__base__.__name__ for found in classes if found.__base__}


def test_the_package_is_imported_without_any_library_that_is_slow_to_load() -> None:
    slow = ("numpy", "scipy", "openai", "anthropic", "mcp", "typer", "rich", "ruamel", "httpx", "jinja2")
    look = f"import sys, mcp_evals; print([name for name in {slow!r} if name in sys.modules])"

    assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout == "[]\n"
