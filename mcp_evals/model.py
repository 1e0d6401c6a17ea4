"""The base of every value: frozen, strict about keys, and with one canonical form."""

import ast
import inspect
import json
import textwrap
from hashlib import blake2b
from itertools import pairwise
from typing import Annotated, Any, Final, NoReturn

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""A number from 0 to 1."""
Finite = Annotated[float, Field(allow_inf_nan=False)]
"""A number that is neither NaN nor infinite."""
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A finite number from 0."""

MAX_JSON_DEPTH: Final = 100
DIGEST_CONTEXT: Final = {"digest": True}
"""Serialisation context of `digest`: a field whose key order matters writes itself as text."""


class Model(BaseModel):
    """A value: frozen, unknown keys are errors, the string under a field is its description (`field_docs`)."""

    # Built on first use: a server that only lists its tools needs few of these.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def field_docs(kind: type[BaseModel]) -> dict[str, str]:
    """The strings under a value's fields, inherited ones too; read from the source only when somebody asks."""
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base is BaseModel or not issubclass(base, BaseModel):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for field, text in pairwise(statements):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            match text:
                case ast.Expr(ast.Constant(str(said))):
                    docs[field.target.id] = inspect.cleandoc(said)
                case _:
                    pass
    return docs


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; the same value always gives the same text.

    Raises:
        ValueError: a NaN or an infinity is inside.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Content address of a value: `b2:` and 32 hex digits, BLAKE2b-16 of its canonical JSON, defaults included."""
    # Tagged, so that a later change of algorithm is seen rather than silently splitting what is equal.
    return "b2:" + blake2b(canonical_json(value).encode(), digest_size=16).hexdigest()


def parse_json(text: str | bytes) -> Any:
    """Strict JSON: no NaN, no infinity, no number that overflows, at most 100 levels deep.

    Raises:
        ValueError: it is not such JSON; the message says why.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite_float)
    except RecursionError:
        raise ValueError(f"nested more than {MAX_JSON_DEPTH} levels deep") from None
    if depth_exceeds(value, MAX_JSON_DEPTH):
        raise ValueError(f"nested more than {MAX_JSON_DEPTH} levels deep")
    return value


def depth_exceeds(value: Any, limit: int) -> bool:
    """Whether lists and objects are nested more than `limit` levels deep."""
    level: list[Any] = [value]
    for _ in range(limit + 1):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return False
    return True


def _children(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return value if isinstance(value, list | tuple) else ()  # pyright: ignore[reportUnknownVariableType]


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", context=DIGEST_CONTEXT)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large for a number")
    return number
