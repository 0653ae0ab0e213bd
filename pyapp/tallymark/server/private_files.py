"""Files that only their owner may read: passwords, tokens, locks, logs, and a directory that a server's workers share.

Nothing here follows a symbolic link at the path itself: as root we also write into directories that belong to others.
"""

import os
import secrets
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def open_private(path: Path, flags: int) -> int:
    """Open a file with these flags of `os.open`; create it, readable by its owner alone, if it does not exist."""
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def read_private(path: Path) -> str:
    """Read a text file."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), encoding="utf-8") as file:
        return file.read()


def write_private(path: Path, text: str) -> None:
    """Write or replace a file that only its owner may read: completely, or not at all."""
    _written_beside(path, text).replace(path)


def keep_secret(path: Path, make: Callable[[], str]) -> str:
    """Return the secret that a file keeps, without white space around it; the first call makes it.

    Of several first calls at once, one makes the secret and all return it.
    """
    try:
        kept = read_private(path).strip()
    except FileNotFoundError:
        temporary = _written_beside(path, f"{make()}\n")
        # Unlike renaming, linking never replaces a file: a second process reads the secret of the first.
        try:
            with suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            temporary.unlink()
        kept = read_private(path).strip()
    if not kept:
        raise OSError(f"{path} is empty: remove it, and the next start makes a new one")
    return kept


def _written_beside(path: Path, text: str) -> Path:
    """Write a new file in the same directory, and return it when all of it is on the disk."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(open_private(temporary, os.O_WRONLY | os.O_EXCL), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def cleared_private_directory(name: str) -> Path:
    """Return an empty directory that only we may use: a new one, or the one of an earlier run with its files removed.

    It is in the system's directory for temporary files, where everybody may create any name. If somebody else owns
    this name or could have written there, the directory gets a random name instead.
    """
    directory = Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}"
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        return Path(tempfile.mkdtemp(prefix=f"{name}-"))
    for file in directory.iterdir():
        file.unlink()
    return directory
