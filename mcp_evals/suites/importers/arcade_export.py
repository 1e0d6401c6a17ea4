"""Reads the suites of an arcade eval file and writes them as JSON. Runs by itself in the interpreter that has arcade-evals.

`python -c SCRIPT EVAL_FILE ANSWER_FILE`: the answer is `{"version", "suites"}`, or `{"error", "message"}`; what the eval
file prints goes where it prints. Imports nothing of this package, because arcade-evals needs another `mcp` than we do.
Cases are written as arcade has built them (its defaults filled in, its weights divided), not as the file writes them.
"""

# pyright: basic
# All values here are those of a library that is not installed where types are checked.

import asyncio
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any


class Unwritable(Exception):  # noqa: N818  says what it is: a value that JSON has no place for
    """Something in a case is no JSON, or is the file's own code."""


def main(eval_file: str, answer_file: str) -> None:
    try:
        answer = export(Path(eval_file))
    except BaseException as error:  # noqa: BLE001  the file may raise anything, also SystemExit
        trace = "".join(traceback.format_exception(error)).strip()
        answer = {"error": "raised", "message": f"{type(error).__name__}: {error}\n{trace[-3000:]}"}
    Path(answer_file).write_text(json.dumps(answer), encoding="utf-8")


def export(path: Path) -> dict[str, Any]:
    try:
        arcade = importlib.import_module("arcade_evals")
    except ImportError as error:
        return {"error": "no_arcade", "message": str(error)}
    suites = _suites(_load(path), arcade.EvalSuite)
    if not suites:
        return {"error": "no_suites", "message": ""}
    return {"version": _version(), "suites": [_suite(suite, arcade) for suite in suites]}


def _version() -> str | None:
    for name in ("arcade-mcp", "arcade-evals"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


# --- finding the suites


def _load(path: Path) -> Any:
    # As arcade loads it: by path, its folder importable.
    sys.path[:] = [str(path.parent.resolve()), *(folder for folder in sys.path if folder)]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def _suites(module: Any, kind: type) -> list[Any]:
    """What its `@tool_eval()` functions make, and the suites that stand in the module; each once.

    A function that was imported from another eval file counts only where the file has none of its own.
    """
    marked = [value for value in vars(module).values() if callable(value) and hasattr(value, "__tool_eval__")]
    own = [function for function in marked if getattr(function, "__module__", None) == module.__name__]
    made = [_made(function, kind) for function in own or marked]
    standing = [value for value in vars(module).values() if isinstance(value, kind)]
    return list({id(suite): suite for suite in (*made, *standing)}.values())


def _made(function: Any, kind: type) -> Any:
    found = inspect.unwrap(function)()
    if inspect.isawaitable(found):
        found = asyncio.run(_awaited(found))
    if not isinstance(found, kind):
        raise TypeError(f"{function.__name__} returned {type(found).__name__}, not an EvalSuite")
    return found


async def _awaited(found: Any) -> Any:
    return await found


# --- writing a suite


def _suite(suite: Any, arcade: Any) -> dict[str, Any]:
    registries = suite._track_manager.get_all_registries()  # noqa: SLF001  arcade has no public way to its tools
    functions = suite._python_tool_func_map  # noqa: SLF001  as above
    # Building divides weights in place, in critics that cases may share: all are built before any is written.
    comparative = [builder.build() for builder in suite._comparative_case_builders]  # noqa: SLF001  as above
    tracks = [(case, _built_tracks(suite, case)) for case in comparative]
    return {
        "name": suite.name,
        "system_message": suite.system_message,
        "strict_mode": bool(suite.strict_mode),
        "rubric": _rubric(suite.rubric),
        "tools": _tools(suite._internal_registry),  # noqa: SLF001  as above
        "tracks": {name: _tools(registry) for name, registry in registries.items()},
        "parameters": {name: _parameters(function) for name, function in functions.items()},
        "cases": [_told(case.name, lambda case=case: _case(case, arcade)) for case in suite.cases],
        "comparative": [
            _told(case.name, lambda case=case, built=built: _comparative(case, built, arcade)) for case, built in tracks
        ],
    }


def _told(name: Any, write: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return {"name": str(name), **write()}
    except Unwritable as error:
        return {"name": str(name), "left_out": str(error)}


def _built_tracks(suite: Any, case: Any) -> dict[str, Any]:
    """The case on each of its tracks, as `run_comparative` builds it."""
    built: dict[str, Any] = {}
    for track, config in case.track_configs.items():
        expected = [suite._convert_to_named_expected_tool_call(call) for call in config.expected_tool_calls]  # noqa: SLF001
        built[track] = suite._create_eval_case(  # noqa: SLF001
            name=case.name,
            system_message=case.system_message,
            user_message=case.user_message,
            expected_tool_calls=expected,
            rubric=case.rubric or suite.rubric,
            critics=suite._add_none_critics(expected, config.critics or []),  # noqa: SLF001
            additional_messages=case.additional_messages,
        )
    return built


def _case(case: Any, arcade: Any) -> dict[str, Any]:
    return {**_asked(case), "rubric": _rubric(case.rubric), **_expected(case, arcade)}


def _comparative(case: Any, built: dict[str, Any], arcade: Any) -> dict[str, Any]:
    first = next(iter(built.values()))
    tracks = {track: _expected(on_track, arcade) for track, on_track in built.items()}
    return {**_asked(first), "rubric": _rubric(first.rubric), "tracks": tracks}


def _asked(case: Any) -> dict[str, Any]:
    return {
        "system_message": _plain(case.system_message, "system_message"),
        "user_message": _plain(case.user_message, "user_message"),
        "additional_messages": _plain(case.additional_messages, "additional_messages"),
    }


def _expected(case: Any, arcade: Any) -> dict[str, Any]:
    calls = [
        {"name": call.name, "args": _plain(call.args, f"argument of {call.name}:")} for call in case.expected_tool_calls
    ]
    return {"expected": calls, "critics": [_critic(critic, arcade) for critic in case.critics or ()]}


def _rubric(rubric: Any) -> dict[str, Any]:
    return {
        "fail_threshold": rubric.fail_threshold,
        "warn_threshold": rubric.warn_threshold,
        "fail_on_tool_selection": bool(rubric.fail_on_tool_selection),
        "fail_on_tool_call_quantity": bool(rubric.fail_on_tool_call_quantity),
        "tool_selection_weight": rubric.tool_selection_weight,
    }


def _critic(critic: Any, arcade: Any) -> dict[str, Any]:
    """The critic with its weight as it counts now and, where arcade has divided it, as it was written."""
    written = {"field": critic.critic_field, "weight": _weight(critic.weight)}
    if getattr(critic, "_original_weight", None) is not None:
        written["original_weight"] = _weight(critic._original_weight)  # noqa: SLF001
    kind = type(critic)
    if kind is arcade.NoneCritic:
        return {"kind": "none", "field": critic.critic_field}
    if kind is arcade.BinaryCritic:
        return {"kind": "binary", **written}
    if kind is arcade.NumericCritic:
        given = {"value_range": list(critic.value_range), "match_threshold": critic.match_threshold}
        return {"kind": "numeric", **written, **_plain(given, "NumericCritic:")}
    if kind is arcade.SimilarityCritic:
        return {"kind": "similarity", **written, "similarity_threshold": critic.similarity_threshold}
    if kind is arcade.DatetimeCritic:
        tolerance_s, max_difference_s = critic.tolerance.total_seconds(), critic.max_difference.total_seconds()
        return {"kind": "datetime", **written, "tolerance_s": tolerance_s, "max_difference_s": max_difference_s}
    raise Unwritable(f"the critic of `{critic.critic_field}` is a {kind.__name__}, which is code of its own")


def _weight(weight: Any) -> Any:
    return weight.name.lower() if isinstance(weight, Enum) else weight


# --- tools


def _tools(registry: Any) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    for tool in registry._tools.values():  # noqa: SLF001  as above
        kept = {
            key: tool[key] for key in ("name", "description", "inputSchema", "title", "annotations") if tool.get(key)
        }
        written.append(_plain(kept, f"tool {tool['name']}:"))
    return written


def _parameters(function: Any) -> dict[str, Any]:
    """Each parameter with its default; one that is no JSON is written as `{"unwritable": …}`."""
    return {
        parameter.name: _default(parameter.default) for parameter in inspect.signature(function).parameters.values()
    }


def _default(default: Any) -> dict[str, Any]:
    if default is inspect.Parameter.empty:
        return {"value": None}
    try:
        return {"value": _plain(default, "default")}
    except Unwritable as error:
        return {"unwritable": str(error)}


# --- values


def _plain(value: Any, place: str) -> Any:
    """The value as JSON, an enum as what it stands for.

    Raises:
        Unwritable: it is no JSON; a tuple or a date would be compared otherwise as a list or a text.
    """
    if isinstance(value, Enum) and isinstance(value.value, str):
        return value.value
    if value is None or type(value) in {bool, int, str, float}:
        return value
    if type(value) is dict and all(isinstance(key, str) for key in value):
        return {str(key): _plain(item, f"{place} {key}") for key, item in value.items()}
    if type(value) is list:
        return [_plain(item, place) for item in value]
    raise Unwritable(f"{place} is a {type(value).__name__}, which a suite file cannot hold")


if __name__ == "__main__":
    main(*sys.argv[1:3])
