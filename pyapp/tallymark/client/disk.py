"""What SQLite needs of the disk, and what the disk may do to it."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

#: What a disk that is full, damaged or removed raises. SQLite has no checksums: what it reads may be no JSON.
DISK_ERRORS = (OSError, sqlite3.Error)
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def connect(path: Path | str) -> sqlite3.Connection:
    """Open a database for this process alone; raise an error that `is_busy` if another one has it open."""
    database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=32)
    try:
        # The operating system holds the lock; it ends with the process, even if that is killed.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def as_damage() -> Iterator[None]:
    """Raise what is read from a damaged file and is not what was written as the error of a damaged file."""
    try:
        yield
    except (ValueError, TypeError, AttributeError) as error:
        raise sqlite3.DatabaseError(f"what was written cannot be read: {error}") from error


def is_busy(error: BaseException) -> bool:
    """Return whether another process has the file open."""
    return isinstance(error, sqlite3.OperationalError) and getattr(error, "sqlite_errorcode", None) in _BUSY


def are_texts(row: Sequence[object]) -> bool:
    """Return whether all values are texts, as they were written."""
    return all(isinstance(value, str) for value in row)


def is_damage(error: Exception) -> bool:
    """Return whether an error says that a file is damaged, and not only full, locked or gone."""
    if not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.ProgrammingError):
        return False
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def set_aside(path: Path) -> Path:
    """Give a damaged file another name, together with its log, which SQLite would take for that of the next file."""
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    for end in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).replace(aside.with_name(aside.name + end))
    return aside


def inode(path: Path | None) -> int | None:
    """Return what identifies a file, or None if there is none."""
    try:
        return path.stat().st_ino if path is not None else None
    except OSError:
        return None
