"""One program at a time on a data directory.

The lock is the kernel's (`flock`), so it ends with the process that holds it, however that dies.
"""

import fcntl
import os
from pathlib import Path

from tallymark.server.private_file import open_private


class DataLockedError(Exception):
    """Another process holds the lock; the message names it."""


class DataLock:
    """A lock on a directory, kept in a file that names its holder."""

    def __init__(self, path: Path) -> None:
        """Say which file it is. Nothing is touched before `acquire`.

        Args:
            path: The lock's file; its directory exists by the time of `acquire`.
        """
        self._path = path
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock, or fail at once.

        Raises:
            DataLockedError: Another process has it.
            OSError: The file cannot be opened.
        """
        file = open_private(self._path, os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Between taking the lock and writing its number a holder is nameless for a moment.
            holder = os.read(file, 32).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise DataLockedError(
                f"the data directory {self._path.parent} is in use by process {holder}: stop that one, or name another"
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None
