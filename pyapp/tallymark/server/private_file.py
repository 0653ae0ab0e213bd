"""Files that nobody but their owner may read: passwords, tokens, locks, logs.

Nothing here follows a symbolic link at the path itself: as root we also write into directories that belong to others.
"""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def open_private(path: Path, flags: int) -> int:
    """Open a file that only its owner may read, and make it when it is not there.

    Args:
        path: The file.
        flags: As for `os.open`, for instance `os.O_WRONLY | os.O_APPEND`.

    Returns:
        The file descriptor; the caller closes it.

    Raises:
        OSError: It cannot be opened, or is a symbolic link.
    """
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def read_private(path: Path) -> str:
    """Read a file.

    Args:
        path: The file.

    Returns:
        Its text.

    Raises:
        FileNotFoundError: It is not there.
        OSError: It cannot be read, or is a symbolic link.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), encoding="utf-8") as file:
        return file.read()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read: at once in full, or not at all.

    Args:
        path: The file; an older one is replaced.
        text: What it is to hold.

    Raises:
        OSError: It cannot be written.
    """
    _written_beside(path, text).replace(path)


def keep_secret(path: Path, make: Callable[[], str]) -> str:
    """Return the secret that a file keeps; the first call makes it. Of several first calls at once, one does.

    Args:
        path: The file that keeps it, readable by its owner alone.
        make: Makes a new secret.

    Returns:
        The secret, without white space around it.

    Raises:
        OSError: The file can be neither read nor written, is a symbolic link, or is empty.
    """
    try:
        kept = read_private(path).strip()
    except FileNotFoundError:
        temporary = _written_beside(path, f"{make()}\n")
        # Unlike a renaming, a link never replaces: whoever comes second reads what the first one made.
        try:
            with suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            temporary.unlink()
        kept = read_private(path).strip()
    if not kept:
        raise OSError(f"{path} is empty: remove it, and it is made anew")
    return kept


def _written_beside(path: Path, text: str) -> Path:
    """Write a new file beside another, and return it when all of it is on the disk."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(open_private(temporary, os.O_WRONLY | os.O_EXCL), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return temporary
