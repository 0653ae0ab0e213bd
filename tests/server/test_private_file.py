"""Secrets in files are made once, and never read through a symbolic link."""

import stat
from pathlib import Path

import pytest

from tallymark.server.private_files import keep_secret, read_private, write_private


def test_a_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    """The second call returns the secret of the first, and no other file is left in the directory."""
    path = tmp_path / "token"
    assert keep_secret(path, lambda: "first") == "first"
    assert keep_secret(path, lambda: "second") == "first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_of_two_first_calls_both_give_what_the_file_keeps(tmp_path: Path) -> None:
    """The second caller gets the secret in the file, even while it makes one of its own."""
    path = tmp_path / "token"

    def too_late() -> str:
        write_private(path, "theirs\n")
        return "ours"

    assert keep_secret(path, too_late) == "theirs"
    assert path.read_text() == "theirs\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_file_is_no_secret(tmp_path: Path) -> None:
    """It is an error, because an empty token would let everybody in."""
    path = tmp_path / "token"
    path.touch()
    with pytest.raises(OSError, match="token is empty: remove it"):
        keep_secret(path, lambda: "new")


def test_no_symbolic_link_is_followed(tmp_path: Path) -> None:
    """No link is followed to read or to write, whether its target exists or not."""
    (tmp_path / "theirs").write_text("theirs")
    for target in ("theirs", "nothing"):
        path = tmp_path / f"link to {target}"
        path.symlink_to(tmp_path / target)
        with pytest.raises(OSError, match="symbolic link"):
            read_private(path)
        with pytest.raises(OSError, match="symbolic link"):
            keep_secret(path, lambda: "ours")
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert not (tmp_path / "nothing").exists()
