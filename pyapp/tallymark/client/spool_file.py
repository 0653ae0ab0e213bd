"""A SQLite file that one process has for itself, and that may be closed while it is not used; or a database in memory.

SQLite's exclusive lock keeps other processes out, and ends with the process, even if that is killed. While the file is
put down, `ownership` keeps them out.
"""

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tallymark.client import open_files, ownership
from tallymark.client.disk import DISK_ERRORS, connect, inode, is_busy, set_aside
from tallymark.client.process import in_child, never_free, without_fork

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Who has put the file down.
_SCHEMA = "CREATE TABLE IF NOT EXISTS put_down (owner TEXT NOT NULL);"
#: How long to wait for a file that was put down, while another process looks whose it is.
_PATIENCE_SECONDS = 5.0
#: Files are removed while they are locked, so that no other process has opened them. Windows cannot do that.
_UNLINKS_OPEN_FILES = os.name != "nt"


class InUse(Exception):  # noqa: N818 - it is no failure
    """Another process, or another part of this one, has the file open."""


class SpoolFile:
    """Safe across threads. Disk failures raise one of DISK_ERRORS, but for `put_down` and `close`.

    Attributes:
        path: The file; None for a database in memory.
        database: The connection. Replaced when the file is opened again: use that of `alone` or `transaction`.
        used_at: When it was last used; monotonic, in seconds.
    """

    def __init__(self, path: Path | None, schema: str) -> None:
        """Open or create the file. Raises InUse if it is open elsewhere. `schema`: statements that make the tables."""
        self.path = path
        self.used_at = time.monotonic()
        self._lock = threading.RLock()
        self._is_put_down = self._is_closed = self._has_owner = False
        self._inode: int | None = None
        with without_fork():
            try:
                self.database = self._open()
            except sqlite3.OperationalError as error:
                if is_busy(error):
                    raise InUse(str(path)) from error
                raise
            try:
                _open[id(self)] = weakref.ref(self)
                self._prepare(schema)
            except BaseException as error:
                self.close()
                if is_busy(error):
                    raise InUse(str(path)) from error
                raise
            self._inode = inode(path)

    def _open(self) -> sqlite3.Connection:
        """Open the file. If the process has too many files open, others are put down first."""
        if self.path is None:
            return connect(":memory:")
        open_files.make_room(_files)
        try:
            return connect(self.path)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_CANTOPEN or not open_files.make_more_room(
                _files
            ):
                raise
        return connect(self.path)

    def _prepare(self, schema: str) -> None:
        if self.path is not None and (owner := self._owner()) is not None and ownership.is_owned(self.path, owner):
            raise InUse(str(self.path))
        with self.transaction() as database:
            # Not executescript, which would commit first.
            for statement in filter(str.strip, (_SCHEMA + schema).split(";")):
                database.execute(statement)
            database.execute("DELETE FROM put_down")

    def _owner(self) -> str | None:
        """Return the lock of the process that put the file down."""
        if not self.database.execute("SELECT 1 FROM sqlite_master WHERE name = 'put_down'").fetchone():
            return None
        row = self.database.execute("SELECT owner FROM put_down").fetchone()
        return str(row[0]) if row else None

    @contextmanager
    def alone(self) -> "Iterator[sqlite3.Connection]":
        """Use the database while no other thread does, and no other thread forks."""
        with self._lock, without_fork():
            if self._is_put_down:
                self._take_up()
            self.used_at = time.monotonic()
            yield self.database

    @contextmanager
    def transaction(self) -> "Iterator[sqlite3.Connection]":
        """Use the database so, in a transaction of its own."""
        with self.alone() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    with suppress(sqlite3.Error):
                        database.execute("ROLLBACK")
                raise

    # --- many files ---------------------------------------------------------------------------------------------------

    @property
    def has_open_file(self) -> bool:
        """Whether it takes up open files of the process."""
        return self.path is not None and not self._is_put_down and not self._is_closed

    def put_down(self) -> bool:
        """Close the file until it is used again; it stays this process's own. Return whether it was closed.

        Nothing is done while another thread uses it. Disk failures are left to the next use.
        """
        if self.path is None or not self._lock.acquire(blocking=False):
            return False
        try:
            if not self.has_open_file or self.database.in_transaction:
                return False
            if not self._has_owner:
                name = ownership.my_name(self.path.parent)
                with self.transaction() as database:
                    database.execute("INSERT INTO put_down VALUES (?)", (name,))
                self._has_owner = True
            with without_fork():
                ownership.put_down(self.path)
                self._is_put_down = True
                self.database.close()
        except DISK_ERRORS:
            return False
        else:
            return True
        finally:
            self._lock.release()

    def _take_up(self) -> None:
        """Open the file again. The caller holds the lock."""
        if self.path is None or not self.is_there:
            raise FileNotFoundError(f"{self.path} was removed")
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self.database = self._open()
                owner = self._owner()
            except sqlite3.OperationalError as error:
                self.database.close()
                if not is_busy(error) or time.monotonic() >= until:
                    raise
                time.sleep(0.01)
                continue
            if owner is None or owner != ownership.my_name(self.path.parent):
                self.database.close()
                raise sqlite3.OperationalError("another process has taken the file")
            self._is_put_down = False
            ownership.take_up(self.path)
            return

    @property
    def is_there(self) -> bool:
        """Whether the file still has its name: if not, nobody finds it after the process."""
        return self.path is None or (self._inode is not None and inode(self.path) == self._inode)

    # --- its end ------------------------------------------------------------------------------------------------------

    def close(self, *, remove: Callable[[], bool] = lambda: False, aside: bool = False) -> Exception | None:
        """Close the database; return what the disk failed with, if it did. Waits for the lock.

        `remove`: returns whether to delete the file; `aside`: give the damaged file another name.
        """
        _open.pop(id(self), None)
        with self._lock, without_fork():
            problem: Exception | None = None
            try:
                if self._has_owner:
                    with self.transaction() as database:
                        database.execute("DELETE FROM put_down")
                ends: list[str] = []
                if self.path is not None and remove():
                    ends = ["-wal", "-shm", ""]
                if _UNLINKS_OPEN_FILES:
                    # Before the lock is released, so that no other process has opened it.
                    self._remove(ends, aside=aside)
                self.database.close()
                if not _UNLINKS_OPEN_FILES:
                    self._remove(ends, aside=aside)
            except DISK_ERRORS as error:
                problem = error
            finally:
                with suppress(sqlite3.Error):
                    self.database.close()
                self._is_closed, self._is_put_down = True, False
                if self.path is not None:
                    ownership.take_up(self.path)
            return problem

    def _remove(self, ends: list[str], *, aside: bool) -> None:
        if self.path is None:
            return
        for end in ends:
            # On Windows, another process may have opened it.
            with suppress(PermissionError):
                self.path.with_name(self.path.name + end).unlink(missing_ok=True)
        if aside and self.is_there:
            set_aside(self.path)

    def keep_inherited(self) -> None:
        """Never close the database in the child of a fork: SQLite would delete files that the parent uses."""
        never_free(self.database)


def _files() -> list[SpoolFile]:
    """Return those that have files open."""
    found = [weak() for weak in list(_open.values())]
    return [file for file in found if file is not None and file.has_open_file]


#: Weak, and without callbacks: an interrupt in a callback that garbage collection runs would be lost.
_open: dict[int, weakref.ref[SpoolFile]] = {}


def _keep_inherited() -> None:
    for weak in list(_open.values()):
        if (file := weak()) is not None:
            file.keep_inherited()


in_child(_keep_inherited)
