"""As much of arcade-evals as an eval file of our tests and the export need; the real one needs an environment of its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import wraps
from typing import Any


@dataclass
class Critic:
    critic_field: str
    weight: Any = 1.0


class NoneCritic(Critic):
    pass


class BinaryCritic(Critic):
    pass


@dataclass
class NumericCritic(Critic):
    value_range: tuple[float, float] = (0, 1)
    match_threshold: float = 0.8


@dataclass
class SimilarityCritic(Critic):
    similarity_threshold: float = 0.8


@dataclass
class DatetimeCritic(Critic):
    tolerance: timedelta = timedelta(seconds=500)
    max_difference: timedelta = timedelta(hours=2)


@dataclass
class EvalRubric:
    fail_threshold: float = 0.8
    warn_threshold: float = 0.9
    fail_on_tool_selection: bool = True
    fail_on_tool_call_quantity: bool = True
    tool_selection_weight: float = 1.0


@dataclass
class Call:
    name: str
    args: dict[str, Any]


@dataclass
class Case:
    name: str
    system_message: str
    user_message: Any
    expected_tool_calls: list[Call]
    critics: list[Critic]
    rubric: EvalRubric
    additional_messages: list[dict[str, Any]]


class Registry:
    def __init__(self) -> None:
        self._tools: dict[str, dict[str, Any]] = {}


class Tracks:
    def get_all_registries(self) -> dict[str, Registry]:
        return {}


@dataclass
class EvalSuite:
    name: str
    system_message: str
    rubric: EvalRubric = field(default_factory=EvalRubric)
    strict_mode: bool = True

    def __post_init__(self) -> None:
        self.cases: list[Case] = []
        self._internal_registry, self._track_manager = Registry(), Tracks()
        self._python_tool_func_map: dict[str, Callable[..., Any]] = {}
        self._comparative_case_builders: list[Any] = []

    def add_case(self, name: str, user_message: Any, expected: list[Call], critics: list[Critic] | None = None) -> None:
        self.cases.append(Case(name, self.system_message, user_message, expected, critics or [], self.rubric, []))


def tool_eval() -> Callable[[Callable[..., Any]], Any]:
    def decorator(function: Callable[..., Any]) -> Any:
        @wraps(function)
        async def wrapper(provider_api_key: str, model: str) -> None:
            raise AssertionError("an import runs no model")

        wrapper.__tool_eval__ = True
        return wrapper

    return decorator
