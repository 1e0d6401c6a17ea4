"""How to reach an MCP server, and the hosts' files that say it. Starts nothing and knows no protocol.

A value may say `${VAR}`, `${env:VAR}` or `${VAR:-default}`; it is filled in from the environment when the server is
reached, never before, so that no secret stands in a value that is kept, printed or compared.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from mcp_evals.errors import InvalidFileError, NotFoundError, Problem, UsageError
from mcp_evals.model import Model, parse_json

_TRANSPORTS: Final = {
    "stdio": "stdio",
    "http": "http",
    "streamable-http": "http",
    "streamable_http": "http",
    "streamablehttp": "http",
    "sse": "sse",
}
_VARIABLE: Final = re.compile(r"\$\{(?:env:)?([A-Za-z_]\w*)(?::-([^}]*))?\}")
_OTHER_VARIABLE: Final = re.compile(r"\$\{[^}]*\}")
_SECRET_NAME: Final = re.compile(r"key|token|secret|passw|auth|credential|cookie", re.IGNORECASE)
_COMMENT_OR_TEXT: Final = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TEXT_OR_LAST_COMMA: Final = re.compile(r'"(?:\\.|[^"\\])*"|,(?=\s*[}\]])')
_SHORTEST_SECRET: Final = 4
_HARMLESS: Final = frozenset({"HOME", "LOGNAME", "PATH", "PWD", "SHELL", "TERM", "TMPDIR", "USER"})


def _transport(value: Any) -> Any:
    return _TRANSPORTS.get(value.lower(), value) if isinstance(value, str) else value


class ServerSettings(Model):
    """How to start or reach an MCP server: an entry of a host's `mcpServers`."""

    # What is wrong with a value must be said without repeating it: it may be a secret.
    model_config = ConfigDict(hide_input_in_errors=True, coerce_numbers_to_str=True)

    command: str | None = Field(default=None, min_length=1)
    """Program that speaks MCP on its standard input and output."""
    args: tuple[str, ...] = Field(default=(), repr=False)
    """Its arguments."""
    env: dict[str, str] = Field(default_factory=dict[str, str], repr=False)
    """Environment variables for it, beside the few harmless ones that every program gets."""
    cwd: str | None = None
    """Folder that it starts in; None: the current one."""
    url: str | None = Field(default=None, repr=False, validation_alias=AliasChoices("url", "serverUrl", "httpUrl"))
    """Address of a server that is reached over HTTP."""
    headers: dict[str, str] = Field(default_factory=dict[str, str], repr=False)
    """HTTP headers for it."""
    transport: Annotated[Literal["stdio", "http", "sse"], BeforeValidator(_transport)] | None = Field(
        default=None, validation_alias=AliasChoices("transport", "type")
    )
    """`stdio`, `http` (streamable HTTP) or `sse` (its forerunner); None: by what else is given."""
    allow: Literal["read_only", "all"] = "read_only"
    """Which of its tools a run may really run: those that declare themselves read-only, or all."""
    call_timeout_s: float = Field(default=60.0, gt=0)
    """Seconds that one call may take."""

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("give either `command` (a program to start) or `url` (a server that runs)")
        if self.transport is not None and (self.command is not None) != (self.transport == "stdio"):
            raise ValueError("transport `stdio` goes with `command`, `http` and `sse` go with `url`")
        if self.url is not None and not re.match(r"https?://|\$\{", self.url):
            raise ValueError("`url` must begin with http:// or https://")
        return self

    @property
    def kind(self) -> Literal["stdio", "http", "sse"]:
        """The transport, also where it is not given: a URL whose path ends in `/sse` is an SSE server."""
        if self.transport is not None:
            return self.transport
        if self.url is None:
            return "stdio"
        return "sse" if urlsplit(self.url).path.rstrip("/").endswith("/sse") else "http"

    @property
    def place(self) -> str:
        """The program or the host, as an error may name it: keys hide in arguments, paths and queries, not here."""
        if self.command is not None:
            return self.command
        url = urlsplit(self.url or "")
        return f"{url.scheme}://{url.hostname or ''}" + (f":{url.port}" if url.port else "")


class ReachableServer(NamedTuple):
    """Settings whose variables are filled in, to be used and forgotten."""

    settings: ServerSettings
    suspects: tuple[str, ...]
    """Whatever may be a secret, longest first; no error repeats it."""
    keys: tuple[str, ...]
    """What is called a key, token or password; no answer of the server may repeat it either."""

    def conceal(self, text: str) -> str:
        """A message of ours without anything that may be a secret."""
        return _without(self.suspects, text)

    def conceal_keys(self, text: str) -> str:
        """An answer of the server without the keys that it was given; the rest is as it is, since it is scored."""
        return _without(self.keys, text)


def fill_in(name: str, settings: ServerSettings, environ: Mapping[str, str]) -> ReachableServer:
    """The settings of server `name` with the variables of `environ` in their places.

    Raises:
        UsageError: a variable is not set, or is of a kind that only another program knows.
    """
    taken: dict[str, str] = {}

    def filled(text: str) -> str:
        def value(match: re.Match[str]) -> str:
            found = environ.get(match[1]) or match[2]
            if found is None:
                raise UsageError(f'server "{name}" needs the environment variable {match[1]}, which is not set')
            taken[match[1]] = found
            return found

        other = _OTHER_VARIABLE.search(_VARIABLE.sub("", text))
        if other is not None:
            raise UsageError(
                f'server "{name}" uses {other[0]}, which only its host can fill in; '
                "write the value itself, or ${NAME} for an environment variable"
            )
        return _VARIABLE.sub(value, text)

    changes: dict[str, Any] = {
        "args": tuple(filled(arg) for arg in settings.args),
        "env": {key: filled(value) for key, value in settings.env.items()},
        "headers": {key: filled(value) for key, value in settings.headers.items()},
    }
    for field in ("command", "cwd", "url"):
        text: str | None = getattr(settings, field)
        changes[field] = None if text is None else filled(text)
    if changes["cwd"] is not None:
        changes["cwd"] = os.path.expanduser(changes["cwd"])  # noqa: PTH111  leaves an unknown ~user as it is
    reachable = settings.model_copy(update=changes)
    if reachable.url is not None and not re.match(r"https?://", reachable.url):
        raise UsageError(f'the `url` of server "{name}" does not begin with http:// or https:// once it is filled in')
    named = {**taken, **reachable.env, **reachable.headers}
    keys = [value for name, value in named.items() if _SECRET_NAME.search(name)]
    suspects = [value for name, value in named.items() if name not in _HARMLESS]
    return ReachableServer(reachable, _spellings([*suspects, *_hidden(reachable)]), _spellings(keys))


def read_servers(path: Path) -> dict[str, ServerSettings]:
    """The servers of a host's file: `.mcp.json`, `claude_desktop_config.json`, VS Code's `mcp.json` and their like.

    Keys that only the host understands (`disabled`, `timeout`, `alwaysAllow`, `envFile`, …) are passed over.

    Raises:
        NotFoundError: there is no such file.
        InvalidFileError: it is not such a file; all its problems at once.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError(f"no file {path}; give a host's file with an object `mcpServers`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFileError([Problem(f"cannot be read: {error}", file=str(path))]) from error
    key, entries = _entries(_parse(text, path), path)
    servers: dict[str, ServerSettings] = {}
    problems: list[Problem] = []
    for name, entry in entries.items():
        place = f"{key}.{name}"
        try:
            servers[name] = ServerSettings.model_validate(_known(entry))
        except ValidationError as error:
            for found in error.errors(include_url=False, include_input=False, include_context=False):
                where = ".".join((place, *(str(part) for part in found["loc"])))
                problems.append(Problem(found["msg"].removeprefix("Value error, "), where, file=str(path)))
    if problems:
        raise InvalidFileError(problems)
    return servers


def _parse(text: str, path: Path) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        # VS Code and others allow comments and a last comma; spaces in their place keep the line numbers.
        plain = _COMMENT_OR_TEXT.sub(lambda m: m[0] if m[0][0] == '"' else re.sub(r"[^\n]", " ", m[0]), text)
        plain = _TEXT_OR_LAST_COMMA.sub(lambda m: m[0] if m[0][0] == '"' else " ", plain)
    try:
        return parse_json(plain)
    except ValueError as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise InvalidFileError([Problem(f"not JSON: {reason}", line=line, file=str(path))]) from None


def _entries(document: Any, path: Path) -> tuple[str, dict[str, Any]]:
    """The object of servers and the key that it stands under."""
    for key in ("mcpServers", "servers", "mcp.servers"):
        found = document
        for part in key.split("."):
            found = found.get(part) if isinstance(found, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if isinstance(found, dict):
            return key, found  # pyright: ignore[reportUnknownVariableType]
    message = 'has no object of servers: {"mcpServers": {NAME: {"command": ...}}}, or `servers` as VS Code writes it'
    raise InvalidFileError([Problem(message, file=str(path))])


def _known(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry  # pyright: ignore[reportUnknownVariableType]
    ours = {*ServerSettings.model_fields, "type", "serverUrl", "httpUrl"}
    return {key: value for key, value in entry.items() if key in ours and value is not None}  # pyright: ignore[reportUnknownVariableType]


def _hidden(settings: ServerSettings) -> Iterator[str]:
    """What may be a key in arguments, and the parts of the URL where keys hide."""
    for before, arg in zip(("", *settings.args), settings.args, strict=False):
        flag, equals, value = arg.partition("=")
        if equals and _SECRET_NAME.search(flag):
            yield value
        elif before.startswith("-") and "=" not in before and _SECRET_NAME.search(before):
            yield arg
    url = urlsplit(settings.url or "")
    yield from (url.username or "", url.password or "", url.query, *(value for _, value in parse_qsl(url.query)))
    yield from (part for part in url.path.split("/") if len(part) >= 16)


def _spellings(texts: Iterable[str]) -> tuple[str, ...]:
    """The texts and their words, plain and as URLs and JSON write them, longest first."""
    parts = {part for text in texts for part in (text, *text.split()) if len(part) >= _SHORTEST_SECRET}
    forms = {form for part in parts for form in (part, quote(part, safe=""), json.dumps(part)[1:-1])}
    return tuple(sorted(forms - {"Bearer", "Basic"}, key=lambda form: (-len(form), form)))


def _without(secrets: Iterable[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
