"""Directories that a server's processes share, and that others cannot use."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from tallymark.server.private_files import cleared_private_directory


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_it_is_ours_alone_and_the_next_run_finds_it_empty(tmp_path: Path) -> None:
    """Every start of the server uses the same directory."""
    first = cleared_private_directory("counts")
    (first / "old").write_text("1")
    assert cleared_private_directory("counts") == first
    assert list(first.iterdir()) == []
    assert stat.S_IMODE(first.stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == [first]
    assert cleared_private_directory("others") != first


@pytest.mark.parametrize("theirs", ["open", "link", "file"])
def test_what_others_prepared_is_neither_used_nor_touched(tmp_path: Path, theirs: str) -> None:
    """A directory that others may write to, a symbolic link, or a file of that name."""
    place, precious = tmp_path / f"counts-{os.getuid()}", tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    if theirs == "link":
        place.symlink_to(precious)
    elif theirs == "file":
        place.write_text("kept")
    else:
        place.mkdir()
        place.chmod(0o777)
        (place / "file").write_text("kept")
    made = cleared_private_directory("counts")
    assert made not in {place, precious}
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert {file.read_text() for file in tmp_path.rglob("*") if file.is_file()} == {"kept"}
