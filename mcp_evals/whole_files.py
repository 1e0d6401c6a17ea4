"""Files that are whole at every moment: written beside their place, then put there in one step."""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from stat import S_IMODE
from typing import BinaryIO

from mcp_evals.errors import UsageError


@contextmanager
def whole_file(path: Path) -> Generator[BinaryIO]:
    """A file to write into; with the end of the block it stands at `path`, and where the block raises nothing does.

    Folders above it are made. A file that was there keeps its permissions; a link keeps pointing where it points.

    Raises:
        UsageError: it cannot be written there.
    """
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = S_IMODE(target.stat().st_mode) if target.exists() else None
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode or 0o666), "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                draft.chmod(mode)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(target.parent)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a text, as UTF-8, or bytes. What is no file, such as `/dev/stdout`, is written to as it is.

    Raises:
        UsageError: it cannot be written there.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as stream:
            stream.write(data)
        return
    with whole_file(path) as file:
        file.write(data)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # where a folder cannot be opened
        return
    # Without this, the new name may be lost with the power, though the content is safe.
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
