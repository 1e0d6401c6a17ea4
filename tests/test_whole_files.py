"""A file is there whole or not at all, with the permissions that a user expects."""

from pathlib import Path
from stat import S_IMODE

import pytest

from mcp_evals.errors import UsageError
from mcp_evals.whole_files import whole_file, write_whole


def test_a_new_file_has_the_permissions_of_any_other_file(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()

    write_whole(tmp_path / "new" / "file.txt", "text")

    written = tmp_path / "new" / "file.txt"
    assert ("text", S_IMODE(usual.stat().st_mode)) == (written.read_text(), S_IMODE(written.stat().st_mode))


def test_a_file_that_was_there_keeps_its_permissions_and_a_link_its_end(tmp_path: Path) -> None:
    private, link = tmp_path / "private", tmp_path / "link"
    private.write_text("old")
    private.chmod(0o640)
    link.symlink_to(private)

    write_whole(link, b"new")

    assert (True, "new", 0o640) == (link.is_symlink(), private.read_text(), S_IMODE(private.stat().st_mode))


def test_what_breaks_in_the_middle_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write_half() -> None:
        with whole_file(path) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()

    assert ("old", [path]) == (path.read_text(), list(tmp_path.iterdir()))


def test_a_place_that_cannot_be_written_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match=r"cannot be written: (Not a directory|File exists)"):
        write_whole(tmp_path / "file" / "below", "text")
    with pytest.raises(UsageError, match="cannot be written: Is a directory"):
        write_whole(tmp_path, "text")


def test_what_is_no_file_is_written_to_as_it_is() -> None:
    write_whole(Path("/dev/null"), "text")

    assert not Path("/dev/null").is_file()
