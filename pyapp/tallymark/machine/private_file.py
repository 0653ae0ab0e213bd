"""Files that nobody but their owner may read: passwords, tokens, locks, logs.

Nothing here follows a symbolic link at the path itself: as root we also write into directories that belong to others.
"""

import os
import secrets
from collections.abc import Callable
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


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read: at once in full, or not at all.

    Args:
        path: The file; an older one is replaced.
        text: What it is to hold.

    Raises:
        OSError: It cannot be written.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(open_private(temporary, os.O_WRONLY | os.O_EXCL), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def keep_secret(path: Path, make: Callable[[], str]) -> str:
    """Return the secret that a file keeps; the first call makes it.

    Args:
        path: The file that keeps it, readable by its owner alone.
        make: Makes a new secret.

    Returns:
        The secret, without white space around it.

    Raises:
        OSError: The file can be neither read nor written.
    """
    try:
        kept = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        kept = ""
    if not kept:
        kept = make()
        write_private(path, f"{kept}\n")
    return kept
