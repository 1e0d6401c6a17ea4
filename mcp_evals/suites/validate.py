"""Check a suite against the tools that it offers: what its file cannot tell. Reads no file and asks no server."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic import JsonValue

from mcp_evals.conversation import ToolCall, ToolDefinition, tool_name_problems
from mcp_evals.critics import Custom
from mcp_evals.errors import Problem, UsageError, did_you_mean
from mcp_evals.json_match import wildcard_value
from mcp_evals.plugins import plugin_names
from mcp_evals.scoring.calls import Names, score_arguments
from mcp_evals.scoring.metrics import check_metric
from mcp_evals.scoring.state import state_arguments
from mcp_evals.suite import Case, Expect, ExpectedCall, MetricSettings, Rubric, Suite, ToolSource, ToolState
from mcp_evals.suites.messages import as_list, as_object
from mcp_evals.suites.places import Place, place_text
from mcp_evals.suites.reading import LoadedSuite
from mcp_evals.text import fold_tool_name, shorten


class Findings(NamedTuple):
    """What is wrong with a suite, and what may be."""

    problems: tuple[Problem, ...]
    """Mistakes: something is expected that cannot be."""
    warnings: tuple[Problem, ...]
    """What is allowed and seldom meant."""


def validate_suite(suite: Suite, loaded: LoadedSuite | None = None) -> Findings:
    """What is wrong with a suite whose tools are filled in; `loaded` is its file, for line numbers.

    Where no tools are on offer, nothing is said of tools: an engine brings its own.
    """
    told: dict[_Finding, list[str | None]] = {}
    for track in _tracks(suite):
        for finding in _findings(suite, loaded, track):
            told.setdefault(finding, []).append(track)
    for finding in _of_whole(suite):
        told.setdefault(finding, [])
    everywhere = len(_tracks(suite))

    def problems(*, warnings: bool) -> tuple[Problem, ...]:
        found = [
            _problem(finding, tracks if len(tracks) < everywhere else [], loaded)
            for finding, tracks in told.items()
            if finding.is_warning == warnings
        ]
        return tuple(sorted(found, key=lambda problem: problem.line or 0))

    return Findings(problems(warnings=False), problems(warnings=True))


class _Finding(NamedTuple):
    place: Place
    message: str
    is_warning: bool = False

    def at(self, place: Place) -> "_Finding":
        return self._replace(place=(*place, *self.place))


def _problem(finding: _Finding, tracks: Sequence[str | None], loaded: LoadedSuite | None) -> Problem:
    named = [f'"{track}"' for track in tracks if track is not None]
    on = f" (on track {', '.join(named)})" if named else ""
    if loaded is None:
        return Problem(finding.message + on, place_text(finding.place))
    return loaded.problem(finding.message + on, finding.place)


def _tracks(suite: Suite) -> list[str | None]:
    """The suite's own tools, where it has any or nothing else, and its tracks."""
    return ([None] if suite.tools or not suite.tracks else []) + list(suite.tracks)


# --- the suite


def _of_whole(suite: Suite) -> Iterator[_Finding]:
    for place, sources in (
        (("tools",), suite.tools),
        *((("tracks", track), sources) for track, sources in suite.tracks.items()),
        *((("cases", index, "tools"), case.tools or ()) for index, case in enumerate(suite.cases)),
    ):
        tools = [source for source in sources if isinstance(source, ToolDefinition)]
        yield from (_Finding(place, problem.message) for problem in tool_name_problems(tools))
    yield from _of_metrics(suite.metrics, ("metrics",))
    yield from _of_state(suite.state, suite.tools, ("state",))
    for index, case in enumerate(suite.cases):
        yield from _of_metrics(case.metrics or {}, ("cases", index, "metrics"))
        yield from _of_state(case.state, suite.tools if case.tools is None else case.tools, ("cases", index, "state"))
        for track in case.by_track:
            if track not in suite.tracks:
                message = f'no track "{track}"{did_you_mean(track, list(suite.tracks))}'
                yield _Finding(("cases", index, "by_track", track), message)


def _findings(suite: Suite, loaded: LoadedSuite | None, track: str | None) -> Iterator[_Finding]:
    schemas = _Schemas()
    sources = (source for sources in (suite.tools, *suite.tracks.values()) for source in sources)
    everywhere = [source for source in sources if isinstance(source, ToolDefinition)]
    for index, written in enumerate(suite.cases):
        override = written.by_track.get(track or "")
        if override is not None and override.skip:
            continue
        case = written.on_track(track)
        offered = case.tools if case.tools is not None else suite.tools if track is None else suite.tracks[track]
        tools = [source for source in offered if isinstance(source, ToolDefinition)]
        rubric = suite.rubric_of(case)
        offer = _Offer(tools, Names(rubric, tools), Names(rubric, [*everywhere, *tools]), rubric, schemas)
        expected = list(_expectations(case, index, loaded, track if override and override.expect else None))
        for place, expect in expected:
            yield from (finding.at(place) for finding in _of_expect(expect, offer))
        yield from _forbidden_elsewhere(expected, offer)
        if not any(expect != Expect() for expect in (case.expect, *(turn.expect for turn in case.turns))) and not (
            suite.metrics_of(case)
        ):
            yield _Finding(("cases", index), "expects nothing, so it is never scored", is_warning=True)
    yield from (_Finding(("tools",), message, is_warning=True) for message in schemas.unreadable.values())


def _of_metrics(metrics: Mapping[str, MetricSettings | float], place: Place) -> Iterator[_Finding]:
    for name, settings in metrics.items():
        try:
            check_metric(name, settings)
        except UsageError as error:
            yield _Finding((*place, name), str(error))


def _of_state(state: ToolState | None, sources: Sequence[ToolSource], place: Place) -> Iterator[_Finding]:
    """Tools and arguments that the changes speak of and that are not there."""
    tools = {fold_tool_name(source.name): source for source in sources if isinstance(source, ToolDefinition)}
    if state is None or not tools:
        return
    for name, changes in state.changes.items():
        tool = tools.get(fold_tool_name(name))
        if tool is None:
            known = [tool.name for tool in tools.values()]
            yield _Finding((*place, "changes", name), f'no tool "{name}"{did_you_mean(name, known)}')
            continue
        for path, value in changes.items():
            for argument in sorted(state_arguments(path, value) - {*tool.parameters}):
                hint = did_you_mean(argument, [*tool.parameters])
                yield _Finding((*place, "changes", name, path), f'"{tool.name}" has no argument "{argument}"{hint}')


def _expectations(
    case: Case, index: int, loaded: LoadedSuite | None, track: str | None
) -> Iterator[tuple[Place, Expect]]:
    """The case's expectations where they are written; one that it inherits is checked at the case that it is from."""
    for number, turn in enumerate(case.turns):
        yield ("cases", index, "turns", number, "expect"), turn.expect
    if track is not None:
        yield ("cases", index, "by_track", track, "expect"), case.expect
    elif loaded is None or "expect" in loaded.written.cases[index].model_fields_set:
        yield ("cases", index, "expect"), case.expect
    elif case.expect is loaded.suite.defaults.expect:
        yield ("defaults", "expect"), case.expect


# --- an expectation


class _Offer(NamedTuple):
    """What a case offers to a model, and how it will be scored."""

    tools: Sequence[ToolDefinition]
    names: Names
    anywhere: Names
    """All tools of the suite: one that only another track offers may be forbidden on every track."""
    rubric: Rubric
    schemas: "_Schemas"


def _of_expect(expect: Expect, offer: _Offer) -> Iterator[_Finding]:
    lists: list[tuple[Place, Sequence[ExpectedCall]]] = [(("calls",), expect.calls or ())]
    lists += [(("alternatives", number), calls) for number, calls in enumerate(expect.alternatives)]
    for place, index, call in ((place, index, call) for place, calls in lists for index, call in enumerate(calls)):
        tool = offer.names.definition(call.tool)
        if offer.tools and tool is None:
            yield _unknown_tool(call.tool, offer).at((*place, index, "tool"))
        yield from (finding.at((*place, index)) for finding in _of_call(call, tool, offer))
    for key, names, known in (("require", expect.require, offer.names), ("forbid", expect.forbid, offer.anywhere)):
        for index, name in enumerate(names):
            if offer.tools and known.definition(name) is None:
                yield _unknown_tool(name, offer).at((key, index))
    if expect.calls == () and expect.require:
        yield _Finding(("require",), "asks for a call, and `calls: []` forbids all")


def _unknown_tool(name: str, offer: _Offer) -> _Finding:
    return _Finding((), f'no tool "{shorten(name, 80)}"{did_you_mean(name, [tool.name for tool in offer.tools])}')


def _forbidden_elsewhere(expected: Sequence[tuple[Place, Expect]], offer: _Offer) -> Iterator[_Finding]:
    """Tools that are forbidden and asked for: in one expectation, or by the whole conversation and one of its turns."""
    for place, expect in expected:
        whole = place[2:3] != ("turns",)
        for index, name in enumerate(expect.forbid):
            for other_place, other in expected:
                if (other is expect or whole) and offer.names.key(name) in _asked_for(other, offer):
                    where = "" if other is expect else f" in {place_text(other_place)}"
                    yield _Finding((*place, "forbid", index), f'"{name}" is forbidden, and expected{where}')


def _asked_for(expect: Expect, offer: _Offer) -> set[str]:
    return {offer.names.key(name) for name in (*(call.tool for call in expect.calls or ()), *expect.require)}


# --- a call


def _of_call(call: ExpectedCall, tool: ToolDefinition | None, offer: _Offer) -> Iterator[_Finding]:
    yield from _of_critics(call, tool)
    yield from _self_defeating(call, tool, offer)
    if tool is None:
        return
    if _names_all_arguments(tool.input_schema):
        for name in call.args:
            if name not in tool.parameters:
                yield _Finding(("args", name), _no_argument(name, tool))
    if offer.rubric.extra_arguments != "ignore":
        covered = {*call.args, *(critic.field.partition(".")[0] for critic in call.critics)}
        for name in as_list(tool.input_schema.get("required")):
            if name not in covered:
                message = f'"{tool.name}" requires "{name}", and a value that nobody expects costs score'
                yield _Finding((), f"{message}; expect one, or {{any: true}}", is_warning=True)
    yield from (finding.at(("args",)) for finding in offer.schemas.misfits(call, tool))


def _of_critics(call: ExpectedCall, tool: ToolDefinition | None) -> Iterator[_Finding]:
    known = plugin_names("critics") if any(isinstance(critic, Custom) for critic in call.critics) else ()
    for index, critic in enumerate(call.critics):
        place: Place = ("critics", index, "field")
        head = critic.field.partition(".")[0]
        unknown = tool is not None and _names_all_arguments(tool.input_schema)
        if tool is not None and unknown and not {head, critic.field} & {*tool.parameters}:
            yield _Finding(place, _no_argument(critic.field, tool))
        elif critic.needs_expected and not _gives(call, tool, critic.field):
            message = f'no argument "{critic.field}" is expected that it could compare with'
            yield _Finding(place, message + did_you_mean(critic.field, list(call.args)))
        if isinstance(critic, Custom) and critic.name not in known:
            message = f'no critic "{critic.name}" is installed{did_you_mean(critic.name, known)}'
            yield _Finding(("critics", index, "name"), message)


def _gives(call: ExpectedCall, tool: ToolDefinition | None, field: str) -> bool:
    """Whether an expected value stands at a dotted path; a wildcard may hold it, a default of the schema counts."""
    head, _, rest = field.partition(".")
    if field in call.args:
        return True
    if head not in call.args:
        return tool is not None and "default" in as_object(tool.parameters.get(head))
    value: Any = call.args[head]
    for step in rest.split("."):
        if wildcard_value(value):
            return True
        items = as_list(value)
        if step in as_object(value):
            value = value[step]
        elif step.isdecimal() and int(step) < len(items):
            value = items[int(step)]
        else:
            return False
    return True


def _no_argument(name: str, tool: ToolDefinition) -> str:
    return f'"{tool.name}" has no argument "{shorten(name, 80)}"{did_you_mean(name, list(tool.parameters))}'


_OPENING: Final = ("patternProperties", "$ref", "allOf", "anyOf", "oneOf", "if", "unevaluatedProperties")
"""Keywords that may allow an argument which `properties` does not name."""


def _names_all_arguments(schema: dict[str, Any]) -> bool:
    """Whether an argument that the schema does not name is a mistake, though most schemas would let it pass."""
    others: Any = schema.get("additionalProperties")
    return others is False or (others is None and "properties" in schema and not {*_OPENING} & {*schema})


def _self_defeating(call: ExpectedCall, tool: ToolDefinition | None, offer: _Offer) -> Iterator[_Finding]:
    """Expected values that would themselves not get full score, such as a date that is none."""
    if offer.rubric.convention == "arcade" or any(isinstance(critic, Custom) for critic in call.critics):
        return
    for args in _variants(call.args):
        for check in score_arguments(call, ToolCall(name=call.tool, arguments=args), offer.rubric, tool):
            given = check.field.partition(".")[0] in args and _gives(call, tool, check.field)
            if check.score < 1 and given:
                message = f"even the expected value would lose score here: {check.reason}"
                yield _Finding(("args", *_steps(check.field, args)), message)


def _steps(field: str, args: dict[str, Any]) -> Place:
    return (field,) if field in args else tuple(int(step) if step.isdecimal() else step for step in field.split("."))


# --- values and schemas


class _Schemas:
    """Checks expected values against the schemas of their tools, each schema made ready once."""

    def __init__(self) -> None:
        self.unreadable: dict[str, str] = {}
        self._validators: dict[int, Any] = {}

    def misfits(self, call: ExpectedCall, tool: ToolDefinition) -> Iterator[_Finding]:
        """Values that the tool's schema does not allow; what a wildcard leaves open is not looked at."""
        from referencing.exceptions import Unresolvable  # slow to load

        validator = self._validator(tool)
        try:
            for args in _variants(call.args) if validator else ():
                for error in validator.iter_errors(args):
                    path: Place = tuple(error.absolute_path)
                    if path and not _is_open(error.instance) and not _inside_wildcard(args, path):
                        yield _Finding(path, f"does not fit the tool's schema: {shorten(error.message, 200)}")
        except (Unresolvable, RecursionError) as error:
            self.unreadable[tool.name] = f'the input schema of "{tool.name}" cannot be followed: {error}'

    def _validator(self, tool: ToolDefinition) -> Any:
        if id(tool) not in self._validators:
            self._validators[id(tool)] = self._made(tool)
        return self._validators[id(tool)]

    def _made(self, tool: ToolDefinition) -> Any:
        from jsonschema import Draft202012Validator, SchemaError  # slow to load
        from jsonschema.validators import validator_for
        from referencing.jsonschema import EMPTY_REGISTRY

        schema = tool.input_schema
        made: Any = validator_for(schema, default=Draft202012Validator)
        try:
            made.check_schema(schema)
        except SchemaError as error:
            self.unreadable[tool.name] = f'the input schema of "{tool.name}" is no JSON Schema: {error.message}'
            return None
        # An empty registry, because the default one would fetch what a `$ref` names from the network.
        return made(schema, registry=EMPTY_REGISTRY)


def _variants(args: dict[str, JsonValue]) -> Iterator[dict[str, Any]]:
    """Arguments that fit: optional ones given, and each accepted value of a choice once, the others as they come first."""
    for choice in range(_most_choices(args)):
        yield {name: _concrete(value, choice) for name, value in args.items()}


def _most_choices(value: Any) -> int:
    options = as_list(as_object(value).get("one_of")) if wildcard_value(value) else []
    inner: Iterable[Any] = options or [*as_object(value).values(), *as_list(value)]
    return max([1, len(options), *map(_most_choices, inner)])


def _concrete(value: Any, choice: int) -> Any:
    if wildcard_value(value):
        ((kind, inner),) = as_object(value).items()
        if kind == "one_of":
            options = as_list(inner)
            return _concrete(options[min(choice, len(options) - 1)], choice) if options else value
        return _concrete(inner, choice) if kind == "optional" else value
    if isinstance(value, dict):
        return {key: _concrete(item, choice) for key, item in as_object(value).items()}
    return [_concrete(item, choice) for item in as_list(value)] if isinstance(value, list) else value


def _is_open(value: Any) -> bool:
    """Whether a wildcard is left in a value."""
    return wildcard_value(value) or any(map(_is_open, [*as_object(value).values(), *as_list(value)]))


def _inside_wildcard(value: Any, path: Place) -> bool:
    for step in path:
        if wildcard_value(value):
            return True
        value = value[step]
    return False
