"""The entry that an MCP host needs to start this server, and how it gets into the host's own file without harm.

A host's file belongs to the user: what is edited is the one entry, as text, so that order, comments and form of the
rest stay. Knows no server and no settings.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

from mcp_evals.errors import InvalidFileError, Problem, UsageError
from mcp_evals.whole_files import whole_file, write_whole

HostName = Literal["claude-desktop", "claude-code", "cursor", "vscode"]
HOSTS: Final[tuple[HostName, ...]] = get_args(HostName)
SERVER: Final = "mcp-evals"


class Written(NamedTuple):
    """What became of a host's file."""

    path: Path
    backup: Path | None
    """The file as it was before; None where there was none, or nothing to change."""
    is_changed: bool


class _Host(NamedTuple):
    title: str
    key: str
    """The object of the file that holds the servers."""
    is_typed: bool
    """Whether an entry says how it is connected."""
    has_comments: bool
    """Whether the host reads comments and commas after the last entry."""


_HOSTS: Final[Mapping[HostName, _Host]] = {
    "claude-desktop": _Host("Claude Desktop", "mcpServers", is_typed=False, has_comments=False),
    "claude-code": _Host("Claude Code", "mcpServers", is_typed=False, has_comments=False),
    "cursor": _Host("Cursor", "mcpServers", is_typed=False, has_comments=True),
    "vscode": _Host("VS Code", "servers", is_typed=True, has_comments=True),
}


def title_of(host: HostName) -> str:
    """What people call the host."""
    return _HOSTS[host].title


def configuration(host: HostName, arguments: Sequence[str] = ()) -> dict[str, Any]:
    """What stands in the host's file: this interpreter by its whole path, because hosts search few folders."""
    return {_HOSTS[host].key: {SERVER: _entry(host, arguments)}}


def configuration_text(host: HostName, arguments: Sequence[str] = ()) -> str:
    """The same as JSON."""
    return json.dumps(configuration(host, arguments), indent=2, ensure_ascii=False)


def host_file(host: HostName, *, platform: str, environ: Mapping[str, str], home: Path, cwd: Path) -> Path:
    """Where the host looks: in the project, but Claude Desktop in the user's own folder."""
    match host:
        case "claude-code":
            return cwd / ".mcp.json"
        case "cursor":
            return cwd / ".cursor" / "mcp.json"
        case "vscode":
            return cwd / ".vscode" / "mcp.json"
        case "claude-desktop":
            if platform == "darwin":
                folder = home / "Library" / "Application Support"
            elif platform == "win32":
                folder = Path(environ.get("APPDATA") or home / "AppData" / "Roaming")
            else:
                folder = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
            return folder / "Claude" / "claude_desktop_config.json"


def own_host_file(host: HostName) -> Path:
    """Where the host looks on this machine."""
    return host_file(host, platform=sys.platform, environ=os.environ, home=Path.home(), cwd=Path.cwd())


def write_entry(host: HostName, path: Path, arguments: Sequence[str] = ()) -> Written:
    """Put the entry into a host's file; everything else in it stays as it is, and a copy of it stays beside it.

    Raises:
        InvalidFileError: the file is not what the host could read; nothing is written.
        UsageError: it cannot be read or written, or has an entry of that name which is another's.
    """
    before = _read(path)
    after = _merged(before, host, path, arguments)
    if after == before:
        return Written(path, None, is_changed=False)
    backup = None if before is None else _backup(path)
    with whole_file(path) as file:
        file.write(after)
        if _read(path) != before:
            raise UsageError(f"{path} was changed by somebody else meanwhile; try again")
    return Written(path, backup, is_changed=True)


# --- what is written


def _entry(host: HostName, arguments: Sequence[str]) -> dict[str, Any]:
    started = {"command": sys.executable, "args": ["-m", "mcp_evals", "serve", *arguments]}
    return {"type": "stdio", **started} if _HOSTS[host].is_typed else started


def _merged(before: bytes | None, host: HostName, path: Path, arguments: Sequence[str]) -> bytes:
    if before is None or not before.strip(b"\xef\xbb\xbf \t\r\n"):
        return f"{configuration_text(host, arguments)}\n".encode()
    try:
        text = before.decode()
    except UnicodeDecodeError as error:
        raise InvalidFileError([Problem(f"not UTF-8: {error.reason}", file=str(path))]) from error
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    document = _Document(text.removeprefix(mark), path, has_comments=_HOSTS[host].has_comments)
    place, entry = (_HOSTS[host].key, SERVER), _entry(host, arguments)
    found = document.value(place)
    if isinstance(found, dict):
        if "url" in found:
            raise UsageError(f'{path} has an entry "{SERVER}" that connects to a url; remove it there first')
        for field, value in entry.items():
            document.put((*place, field), value)
    else:
        document.put(place, entry)
    return (mark + document.text).encode()


def _backup(path: Path) -> Path:
    """A copy beside the file, under the first name that is free."""
    names = (path.with_name(f"{path.name}.bak{number or ''}") for number in range(10_000))
    backup = next(name for name in names if not name.exists())
    write_whole(backup, path.read_bytes())
    # The file may hold keys: its copy is no more readable than it is.
    backup.chmod(path.stat().st_mode & 0o7777)
    return backup


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


# --- the text of a document


class _Member(NamedTuple):
    """One member of an object: where its key begins, and its value from there to there."""

    start: int
    value: int
    end: int


class _Document:
    """A JSON text that is changed one value at a time; whatever is not that value stays as it is, to the character."""

    def __init__(self, text: str, path: Path, *, has_comments: bool) -> None:
        self.text = text
        self._path, self._has_comments = path, has_comments
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._unit = next(iter(re.findall(r"^([ \t]+)\S", self._plain(), re.MULTILINE)), "  ")
        if not isinstance(self._loaded(), dict):
            raise self._wrong("an object is expected: { … }", self._skip(self._plain(), 0))

    def value(self, place: tuple[str, ...]) -> Any:
        """What stands there; None where nothing does."""
        found = self._loaded()
        for key in place:
            if not isinstance(found, dict) or key not in found:
                return None
            found = found[key]  # pyright: ignore[reportUnknownVariableType]
        return found  # pyright: ignore[reportUnknownVariableType]

    def put(self, place: tuple[str, ...], value: Any) -> None:
        """Let `value` stand there; objects on the way are made."""
        if self.value(place) == value:
            return
        plain = self._plain()
        start = end = self._skip(plain, 0)
        for depth, key in enumerate(place):
            if plain[start] != "{":
                raise self._wrong(f"{'.'.join(place[:depth])}: an object is expected: {{ … }}", start)
            members = self._members(plain, start)
            if key not in members:
                for outer in reversed(place[depth + 1 :]):
                    value = {outer: value}
                self._insert(plain, start, list(members.values()), key, value)
                return
            _, start, end = members[key]
        indent = self._indent(start)
        self.text = self.text[:start] + self._written(value, indent) + self.text[end:]

    def _insert(self, plain: str, start: int, members: list[_Member], key: str, value: Any) -> None:
        """Put a new last member into the object that begins at `start`."""
        close = self._skip(plain, members[-1].end) if members else self._skip(plain, start + 1)
        last = start + len(self.text[start:close].rstrip())
        before = self.text[:last]
        end = members[-1].end if members else close
        if members and "," not in self._bare()[end:close]:
            before = f"{self.text[:end]},{self.text[end:last]}"
        if members and "\n" not in self.text[start:close]:
            self.text = f"{before} {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}{self.text[last:]}"
            return
        outer = self._indent(start)
        inner = self._indent(members[-1].start) if members else outer + self._unit
        new = f"{self._newline}{inner}{json.dumps(key)}: {self._written(value, inner)}"
        rest = self.text[last:] if "\n" in self.text[last:close] else f"{self._newline}{outer}{self.text[close:]}"
        self.text = before + new + rest

    def _written(self, value: Any, indent: str) -> str:
        text = json.dumps(value, indent=self._unit, ensure_ascii=False)
        return text.replace("\n", self._newline + indent)

    def _indent(self, at: int) -> str:
        """Blanks at the beginning of the line of a character."""
        line = self.text[self.text.rfind("\n", 0, at) + 1 :]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def _members(self, plain: str, start: int) -> dict[str, _Member]:
        """The members of the object that begins at `start`."""
        found: dict[str, _Member] = {}
        decode = json.JSONDecoder().raw_decode
        at = self._skip(plain, start + 1)
        while plain[at] != "}":
            key, end = decode(plain, at)
            value = self._skip(plain, self._skip(plain, end) + 1)
            if key in found:
                raise self._wrong(f'the key "{key}" is there twice; remove one', at)
            _, end = decode(plain, value)
            found[key] = _Member(at, value, end)
            at = self._skip(plain, end)
            at = self._skip(plain, at + 1) if plain[at] == "," else at
        return found

    def _loaded(self) -> Any:
        try:
            return json.loads(self._plain())
        except json.JSONDecodeError as error:
            raise self._wrong(f"not JSON: {error.msg}", error.pos) from None
        except RecursionError:
            raise InvalidFileError([Problem("nested too deep", file=str(self._path))]) from None

    def _wrong(self, message: str, at: int) -> InvalidFileError:
        line = self.text.count("\n", 0, at) + 1
        column = at - self.text.rfind("\n", 0, at)
        return InvalidFileError(
            [Problem(f"column {column}: {message}; nothing was changed", line=line, file=str(self._path))]
        )

    def _plain(self) -> str:
        """The text as strict JSON, each character in its place: blanks for comments and commas after a last entry."""
        return (
            _STRING_OR_LAST_COMMA.sub(lambda found: found[1] or " ", self._bare()) if self._has_comments else self.text
        )

    def _bare(self) -> str:
        """The text with blanks for comments."""
        return "".join(_without_comments(self.text)) if self._has_comments else self.text

    @staticmethod
    def _skip(plain: str, at: int) -> int:
        """The next character that is no blank."""
        return at + len(plain[at:]) - len(plain[at:].lstrip())


_STRING_OR_LAST_COMMA: Final = re.compile(r'("(?:[^"\\\n]|\\.)*")|,(?=\s*[}\]])')
_STRING_OR_COMMENT: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)


def _without_comments(text: str) -> Iterator[str]:
    at = 0
    for found in _STRING_OR_COMMENT.finditer(text):
        yield text[at : found.start()]
        yield found[0] if found[0].startswith('"') else re.sub(r"[^\r\n]", " ", found[0])
        at = found.end()
    yield text[at:]
