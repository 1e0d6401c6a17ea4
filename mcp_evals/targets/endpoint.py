"""Where requests go and what their failures are called; keeps the key out of everything that people or files see.

Knows no wire format and makes no request.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar, cast

from mcp_evals.conversation import Step
from mcp_evals.errors import TargetError
from mcp_evals.text import shorten

Kind = Literal[
    "authentication",
    "permission",
    "not_found",
    "rate_limit",
    "server_error",
    "connection",
    "timeout",
    "bad_request",
    "bad_response",
]
"""What went wrong between us and a provider."""

CONNECT_TIMEOUT_S: Final = 10.0
"""A server that is there takes a connection long before."""
HIDDEN: Final = "[key]"
MIN_SECRET: Final = 8
"""A shorter key would be found in innocent words."""
DETAIL: Final = 300
"""Characters of a provider's own words."""

_AnyStep = TypeVar("_AnyStep", bound=Step)


@dataclass(frozen=True)
class Endpoint:
    """A provider as it is reached: address, model, key, patience."""

    name: str
    """Name of the provider in target strings."""
    url: str
    """Base URL."""
    model: str = ""
    """Model to ask; empty for an engine."""
    key_env: str | None = None
    """Environment variable that holds the key."""
    key: str | None = field(default=None, repr=False)
    """The key itself; no message, file or result may hold it."""
    max_retries: int = 2
    """How often a request is sent again."""
    timeout_s: float = 120.0
    """Seconds that one request may take."""
    from_environment: bool = False
    """Whether the address is the provider's own, or the one that the environment names in its place: further headers
    that the environment names for the provider's client are meant for it, and for no other."""

    @property
    def place(self) -> str:
        """The address without credentials and query, for messages."""
        scheme, _, rest = self.url.partition("://")
        authority, slash, path = rest.partition("/")
        return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}".partition("?")[0]

    def hide(self, text: str) -> str:
        """The text without the key."""
        return text.replace(self.key, HIDDEN) if self.key and len(self.key) >= MIN_SECRET else text

    def hide_in(self, step: _AnyStep) -> _AnyStep:
        """The step without the key, should a provider have sent it back."""
        plain = step.model_dump_json()
        hidden = self.hide(plain)
        return step if hidden == plain else type(step).model_validate_json(hidden)

    def error(self, kind: Kind, detail: str, cause: BaseException | None = None) -> TargetError:
        """A failure for its reader: what, where, and the way out. Raise it outside of the `except` that caught `cause`."""
        said = shorten(self.hide(detail), DETAIL)
        error = TargetError(f"{self.name} at {self.place}: {said}{self._way_out(kind)}", kind=kind)
        # A cause that holds the key would bring it into the log.
        error.__cause__ = None if cause is not None and self._tells_key(cause) else cause
        return error

    def client_error(self, error: Exception, kinds: Mapping[str, Kind]) -> TargetError:
        """A failure that a provider's own client reports: by HTTP status, else by `kinds`, the names of its errors."""
        names = [base.__name__ for base in type(error).__mro__]
        if "APIStatusError" in names:
            status: int = getattr(error, "status_code", 0)
            said = said_in(getattr(error, "body", None)) or str(error)
            return self.error(kind_of_status(status), f"{status}: {said}", error)
        kind: Kind = next(kinds[name] for name in names if name in kinds)
        return self.error(kind, self.no_answer if kind == "timeout" else cause_text(error), error)

    @property
    def no_answer(self) -> str:
        """What a timeout is told with."""
        return f"no answer within {self.timeout_s:g} s"

    def _way_out(self, kind: Kind) -> str:
        model = f'model "{self.model}"' if self.model else "the engine"
        section = f"[providers.{self.name}]"
        key = f"the key in {self.key_env}" if self.key_env else f"the endpoint wants a key: set key_env in {section}"
        ways: dict[Kind, str] = {
            "authentication": f"; check {key}" if self.key_env else f"; {key}",
            "permission": f"; may {key if self.key_env else 'a caller without key'} use {model}, and is it paid for?",
            "not_found": f"; check the name of {model} and the url",
            "rate_limit": "; wait, lower max_concurrency, or raise max_retries",
            "server_error": "; the provider failed, try again later",
            "connection": "; is the server running, and is the url right?",
            "timeout": f"; raise timeout_s in {section}, now {self.timeout_s:g}",
        }
        return ways.get(kind, "")

    def _tells_key(self, cause: BaseException) -> bool:
        return any(self.hide(text) != text for link in _chain(cause) for text in (str(link), repr(link)))


def kind_of_status(status: int) -> Kind:
    """What an HTTP status that is no success says."""
    named: dict[int, Kind] = {
        401: "authentication",
        402: "permission",
        403: "permission",
        404: "not_found",
        408: "timeout",
        409: "server_error",
        429: "rate_limit",
        499: "connection",
    }
    return named.get(status, "server_error" if status >= 500 else "bad_request" if status >= 400 else "bad_response")


def said_in(body: Any) -> str:
    """The message in the body of an error response, whichever of the usual forms it has; empty where there is none."""
    if isinstance(body, str):
        return body
    if not isinstance(body, dict):
        return ""
    described = cast(dict[str, Any], body)
    found = [described[key] for key in ("error", "message", "detail", "type") if described.get(key)]
    return said_in(found[0]) or str(found[0]) if found else str(described)


def cause_text(error: BaseException) -> str:
    """What lies at the bottom of an error, such as `Connection refused`."""
    deepest = [link for link in _chain(error) if str(link)]
    return f"{type(deepest[-1]).__name__}: {deepest[-1]}" if deepest else type(error).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
