"""Shows other processes that the files which this one has closed for a while ("put down") are still its own.

SQLite's lock on an outbox ends when the file is closed. So a process that closes files for a while keeps one small file
of the spool locked, and names it in each file that it put down. The lock ends with the process, even if that is killed.
"""

import atexit
import os
import secrets
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

from tallymark.client.process import in_child, never_free, without_fork

_PATTERN = "owner-*.lock"
_PATIENCE_SECONDS = 5.0

#: The lock of this process in each spool, and the files that it has put down.
_mine: dict[Path, tuple[str, sqlite3.Connection]] = {}
_put_down: set[Path] = set()
_lock = threading.Lock()


def my_name(directory: Path) -> str:
    """Return the name of this process's lock in a spool; it is made when it is first needed."""
    with _lock, without_fork():
        if directory in _mine and (directory / _mine[directory][0]).exists():
            return _mine[directory][0]
        while True:
            name = f"owner-{secrets.token_hex(8)}.lock"
            database = _connect(directory / name, _PATIENCE_SECONDS)
            # Another process may have taken it for one that is left, and removed it.
            if (directory / name).exists():
                if directory in _mine:
                    _mine[directory][1].close()
                _mine[directory] = name, database
                return name
            database.close()


def put_down(path: Path) -> None:
    """Note that this process will take up a file again."""
    _put_down.add(path)


def take_up(path: Path) -> None:
    """Note that a file is open again, or not needed any more."""
    _put_down.discard(path)


def is_owned(path: Path, owner: str) -> bool:
    """Return whether the process that put a file down still lives, and still needs it."""
    directory = path.parent
    if directory in _mine and owner == _mine[directory][0]:
        return path in _put_down
    return _is_locked(directory / owner)


def remove_left(directory: Path) -> None:
    """Remove the locks of processes that have ended."""
    for path in directory.glob(_PATTERN):
        if directory not in _mine or path.name != _mine[directory][0]:
            _is_locked(path)


def _connect(path: Path, timeout: float) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        # It takes the lock, and stays open.
        database.execute("BEGIN EXCLUSIVE")
    except BaseException:
        database.close()
        raise
    return database


def _is_locked(path: Path) -> bool:
    """Return whether a living process holds a lock; if not, remove the file."""
    if not path.exists():
        return False
    with without_fork():
        try:
            database = _connect(path, 0)
        except sqlite3.OperationalError as error:
            return error.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
        except sqlite3.Error:
            return False
        if os.name != "nt":
            path.unlink(missing_ok=True)
        database.close()
        if os.name == "nt":
            with suppress(OSError):
                path.unlink(missing_ok=True)
    return False


def _remove_mine() -> None:
    for directory, (name, _database) in _mine.items():
        with suppress(OSError):
            (directory / name).unlink(missing_ok=True)


def _keep_inherited() -> None:
    global _lock  # noqa: PLW0603 - a thread of the parent may hold it
    _lock = threading.Lock()
    for _name, database in _mine.values():
        never_free(database)
    _mine.clear()
    _put_down.clear()


atexit.register(_remove_mine)
in_child(_keep_inherited)
