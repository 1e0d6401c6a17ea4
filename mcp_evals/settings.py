"""What the user has configured: providers, servers, folders, limits. Only this can name a command, a URL or a folder.

A file `mcp-evals.toml`, found upward from the working directory, then the environment, then flags; later wins.
Secrets appear only as names of environment variables.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import platformdirs
from pydantic import Field, ValidationError

from mcp_evals.errors import InvalidFileError, NotFoundError, Problem, UsageError, did_you_mean
from mcp_evals.live_tools import ServerSettings, read_servers
from mcp_evals.model import Model, NonNegative
from mcp_evals.plugins import plugin_names
from mcp_evals.targets.base import ProviderSettings

FILE_NAME: Final = "mcp-evals.toml"
BUILT_IN_SUITES: Final = Path(__file__).parent / "demo"
DEFAULT_FOLDERS: Final = ("evals", "suites")
RESERVED: Final = frozenset({"recorded", "run", "client", "self"})


class Limits(Model):
    """Bounds on what runs may spend and do at once."""

    max_cost_usd: NonNegative | None = None
    """Most that one run may cost; None: no bound."""
    max_calls: int | None = Field(default=None, ge=0)
    """Model calls that one run may make; None: no bound."""
    max_concurrency: int = Field(default=8, ge=1, le=1000)
    """Trials at a time, over all runs together."""


class Settings(Model):
    """Everything that the user has configured."""

    suites: tuple[Path, ...] = ()
    """Folders with suites; the built-in demo is always there."""
    data: Path
    """Folder of the store and of reports."""
    providers: dict[str, ProviderSettings] = Field(default_factory=dict[str, ProviderSettings])
    """Model endpoints and engines by name."""
    servers: dict[str, ServerSettings] = Field(default_factory=dict[str, ServerSettings])
    """MCP servers whose tools suites may use, by name."""
    limits: Limits = Limits()
    """Bounds on what runs may spend and do at once."""
    judge: str | None = None
    """Target that judges where a suite names none."""
    simulator: str | None = None
    """Target that plays the user of a scenario where the scenario names none."""
    file: Path | None = None
    """The configuration file that was read."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where suites are looked for: the user's folders, then the built-in demo."""
        return (*self.suites, BUILT_IN_SUITES)

    def provider(self, name: str) -> ProviderSettings | None:
        """Settings of a named provider; None for the built-in ones.

        Raises:
            NotFoundError: there is no such provider.
        """
        if name in self.providers:
            return self.providers[name]
        built_in = {"openai", "anthropic", *plugin_names("targets")}
        if name in built_in:
            return None
        raise NotFoundError(
            f'no provider "{name}"{did_you_mean(name, sorted({*built_in, "recorded", "run", *self.providers}))} '
            f'(to add it, write into {FILE_NAME}: [providers.{name}] kind = "openai", url = "http://127.0.0.1:8000/v1")'
        )


class _Paths(Model):
    suites: str | tuple[str, ...] = ()
    data: str | None = None


class _File(Model):
    providers: dict[str, ProviderSettings] = Field(default_factory=dict[str, ProviderSettings])
    servers: dict[str, ServerSettings] = Field(default_factory=dict[str, ServerSettings])
    paths: _Paths = _Paths()
    limits: Limits = Limits()
    judge: str | None = None
    simulator: str | None = None


def load_settings(
    *,
    config: Path | None = None,
    suites: tuple[Path, ...] = (),
    servers: Path | None = None,
    limits: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Settings:
    """Settings of this process: file, then environment, then the arguments given here.

    Raises:
        InvalidFileError: the file is wrong; all problems at once.
        UsageError: a folder or file that was named does not exist.
    """
    environ = os.environ if environ is None else environ
    cwd = cwd or Path.cwd()
    path = _config_path(config, environ, cwd)
    read = _read(path) if path else _File()
    base = path.parent if path else cwd
    named = suites or tuple(Path(part) for part in environ.get("MCP_EVALS_SUITES", "").split(os.pathsep) if part)
    listed = (read.paths.suites,) if isinstance(read.paths.suites, str) else read.paths.suites
    folders = named or tuple(base / part for part in listed) or _default_folders(base)
    for folder in folders:
        if not folder.exists():
            raise UsageError(f"no folder {folder}; create it, or name another with --suites or [paths] suites")
    home = environ.get("MCP_EVALS_HOME")
    data = Path(home) if home else base / read.paths.data if read.paths.data else _user_data()
    return Settings(
        suites=tuple(folder.resolve() for folder in folders),
        data=data.expanduser().resolve(),
        providers=read.providers,
        servers={**read.servers, **(read_servers(servers) if servers else {})},
        limits=read.limits.model_copy(update={k: v for k, v in (limits or {}).items() if v is not None}),
        judge=environ.get("MCP_EVALS_JUDGE") or read.judge,
        simulator=environ.get("MCP_EVALS_SIMULATOR") or read.simulator,
        file=path,
    )


def _config_path(config: Path | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    named = config or (Path(environ["MCP_EVALS_CONFIG"]) if environ.get("MCP_EVALS_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise UsageError(f"no configuration file {named}")
        return named.resolve()
    return next((folder / FILE_NAME for folder in (cwd, *cwd.parents) if (folder / FILE_NAME).is_file()), None)


def _read(path: Path) -> _File:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidFileError([Problem(f"not TOML: {error}", file=str(path))]) from error
    providers = content.get("providers")
    for name in providers if isinstance(providers, dict) else ():  # pyright: ignore[reportUnknownVariableType]
        if name in RESERVED:
            raise InvalidFileError(
                [Problem(f'"{name}" is a word of ours; choose another', f"providers.{name}", file=str(path))]
            )
    try:
        return _File.model_validate(content)
    except ValidationError as error:
        problems = [
            Problem(_plain(found["type"], found["msg"]), ".".join(str(part) for part in found["loc"]), file=str(path))
            for found in error.errors(include_url=False)
        ]
        raise InvalidFileError(problems) from None


def _plain(kind: str, message: str) -> str:
    return "unknown key" if kind == "extra_forbidden" else message.removeprefix("Value error, ")


def _default_folders(base: Path) -> tuple[Path, ...]:
    return tuple(base / name for name in DEFAULT_FOLDERS if (base / name).is_dir())


def _user_data() -> Path:
    return Path(platformdirs.user_data_dir("mcp-evals", appauthor=False))
