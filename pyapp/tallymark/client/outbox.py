"""The updates of one job that the server has not acknowledged yet, in SQLite: in a file of the spool or in memory.

The position of the crawl and the keys that were counted are stored in the same transactions, so the three always agree,
even after a kill.
"""

import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallymark.client import open_files, ownership
from tallymark.client.disk import DISK_ERRORS, are_texts, as_damage, connect, inode, is_busy, set_aside
from tallymark.client.process import in_child, never_free, without_fork
from tallymark.client.records import Contents, Position, Waiting
from tallymark.client.updates import Update, combine

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCHEMA = """
CREATE TABLE IF NOT EXISTS waiting (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, update_id TEXT NOT NULL, payload TEXT NOT NULL,
  tried INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS refused (
  update_id TEXT PRIMARY KEY, payload TEXT NOT NULL, answer TEXT NOT NULL, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE IF NOT EXISTS counted (key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sent (key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS put_down (owner TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS position (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), value TEXT NOT NULL);
"""
#: How many refused updates are kept.
_MOST_REFUSED = 1000
#: How long to wait for a file that was put down, while another process looks whose it is.
_PATIENCE_SECONDS = 5.0
#: Files are removed while they are locked, so that no other process has opened them. Windows cannot do that.
_UNLINKS_OPEN_FILES = os.name != "nt"


class InUse(Exception):  # noqa: N818 - it is no failure
    """Another process, or another part of this one, has the file open."""


class Outbox:
    """Keeps the updates that wait. Safe across threads. Disk failures raise one of DISK_ERRORS, but for `close`.

    Where a process has very many, the file is closed while it is not used; see `put_down`.
    """

    def __init__(self, path: Path | None, *, limit: int) -> None:
        """Open or create the file, or use memory if `path` is None. Raises InUse if the file is open elsewhere.

        `limit`: how many updates may wait; further ones are combined with the last one, so that no count is lost.
        """
        self.path = path
        self.limit = limit
        self.used_at = time.monotonic()
        self._lock = threading.RLock()
        self._is_put_down = self._is_closed = self._has_owner = False
        self._count = 0
        self._inode: int | None = None
        with without_fork():
            try:
                self._database = self._open_file()
            except sqlite3.OperationalError as error:
                if is_busy(error):
                    raise InUse(str(path)) from error
                raise
            try:
                _open[id(self)] = weakref.ref(self)
                self._prepare()
            except BaseException as error:
                self.close()
                if is_busy(error):
                    raise InUse(str(path)) from error
                raise
            self._inode = inode(path)

    def _open_file(self) -> sqlite3.Connection:
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

    def _prepare(self) -> None:
        if self.path is not None and (owner := self._owner()) is not None and ownership.is_owned(self.path, owner):
            raise InUse(str(self.path))
        with self._transaction():
            # Not executescript, which would commit first.
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self._database.execute(statement)
            self._database.execute("DELETE FROM put_down")
            self._count = self._database.execute("SELECT count(*) FROM waiting").fetchone()[0]

    def _owner(self) -> str | None:
        """Return the lock of the process that put the file down."""
        if not self._database.execute("SELECT 1 FROM sqlite_master WHERE name = 'put_down'").fetchone():
            return None
        row = self._database.execute("SELECT owner FROM put_down").fetchone()
        return str(row[0]) if row else None

    @contextmanager
    def _alone(self) -> "Iterator[None]":
        with self._lock, without_fork():
            if self._is_put_down:
                self._take_up()
            self.used_at = time.monotonic()
            yield

    @contextmanager
    def _transaction(self) -> "Iterator[None]":
        with self._alone():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    with suppress(sqlite3.Error):
                        self._database.execute("ROLLBACK")
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
            if not self.has_open_file or self._database.in_transaction:
                return False
            if not self._has_owner:
                name = ownership.my_name(self.path.parent)
                with self._transaction():
                    self._database.execute("INSERT INTO put_down VALUES (?)", (name,))
                self._has_owner = True
            with without_fork():
                ownership.put_down(self.path)
                self._is_put_down = True
                self._database.close()
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
                self._database = self._open_file()
                owner = self._owner()
            except sqlite3.OperationalError as error:
                self._database.close()
                if not is_busy(error) or time.monotonic() >= until:
                    raise
                time.sleep(0.01)
                continue
            if owner is None or owner != ownership.my_name(self.path.parent):
                self._database.close()
                raise sqlite3.OperationalError("another process has taken the file")
            self._is_put_down = False
            ownership.take_up(self.path)
            return

    @property
    def is_there(self) -> bool:
        """Whether the file still has its name: if not, nobody finds it after the process."""
        return self.path is None or (self._inode is not None and inode(self.path) == self._inode)

    @property
    def is_durable(self) -> bool:
        """Whether it survives the process."""
        return self.path is not None

    def __bool__(self) -> bool:
        """An empty outbox is true as well."""
        return True

    def __len__(self) -> int:
        """Return how many updates wait."""
        return self._count

    @property
    def is_crowded(self) -> bool:
        """Whether further updates are combined with the last one."""
        return self._count >= self.limit

    def append(self, updates: Sequence[Update], position: Position, forget: Iterable[bytes] = ()) -> int:
        """Store updates, the position and keys in one transaction; return the last number that waits, or 0.

        `forget`: digests of sent keys to forget.
        """
        with self._transaction():
            count = self._count
            for update in updates:
                count += self._append(update, crowded=count >= self.limit)
            self._save(position)
            last = self._database.execute("SELECT coalesce(max(seq), 0) FROM waiting").fetchone()[0]
            self._database.executemany(
                "INSERT OR IGNORE INTO counted VALUES (?)", [(key,) for update in updates for key in update.keys]
            )
            self._database.executemany(
                "INSERT OR IGNORE INTO sent VALUES (?)", [(key,) for update in updates for key in update.sent]
            )
            self._database.executemany("DELETE FROM sent WHERE key = ?", [(key,) for key in forget])
            self._count = count
        return int(last)

    def _append(self, update: Update, *, crowded: bool) -> int:
        """Add an update, or combine it with the last one; return by how many the waiting updates increased."""
        last = self._database.execute(
            # Only the very last one: updates from another outbox may come after some that were not tried.
            "SELECT seq, update_id, payload, tried FROM waiting ORDER BY seq DESC LIMIT 1"
        )
        if crowded and update.mergeable and (row := last.fetchone()) and not row[3]:
            with as_damage():
                earlier = Update(row[1], json.loads(row[2]))
                both = combine(earlier, update) if earlier.mergeable else None
            if both is not None:
                self._database.execute(
                    "UPDATE waiting SET update_id = ?, payload = ? WHERE seq = ?",
                    (both.update_id, json.dumps(both.payload), row[0]),
                )
                return 0
        self._database.execute(
            "INSERT INTO waiting (update_id, payload) VALUES (?, ?)", (update.update_id, json.dumps(update.payload))
        )
        return 1

    def head(self, max_updates: int, max_bytes: int) -> list[Waiting]:
        """Return the first updates that wait, at least one, and mark them as tried: from now on they do not change."""
        with self._alone():
            if not self._count:
                return []
            rows = self._database.execute(
                "SELECT seq, update_id, payload FROM waiting ORDER BY seq LIMIT ?", (max_updates,)
            ).fetchall()
            found: list[Waiting] = []
            size = 0
            for row in rows:
                with as_damage():
                    size += len(row[2].encode())
                if found and size > max_bytes:
                    break
                found.append(Waiting(*row))
            if found:
                self._database.execute("UPDATE waiting SET tried = 1 WHERE seq <= ? AND NOT tried", (found[-1].seq,))
            return found

    def settle(self, delivered: Sequence[Waiting], refused: Sequence[tuple[Waiting, object]] = ()) -> None:
        """Remove updates that the server acknowledged or refused; refused ones are kept apart with their answers."""
        with self._transaction():
            self._refuse([(row.update_id, row.text, json.dumps(answer)) for row, answer in refused])
            self._database.executemany(
                "DELETE FROM waiting WHERE seq = ? AND update_id = ?",
                [(row.seq, row.update_id) for row in [*delivered, *(row for row, _ in refused)]],
            )
            self._count = self._database.execute("SELECT count(*) FROM waiting").fetchone()[0]

    def replace(self, row: Waiting, update_id: str, text: str, left_out: Sequence[tuple[str, str, str]] = ()) -> None:
        """Replace an update by another one, and keep what was left out because it was refused; see `refuse`."""
        with self._transaction():
            self._database.execute(
                "UPDATE waiting SET update_id = ?, payload = ? WHERE seq = ? AND update_id = ?",
                (update_id, text, row.seq, row.update_id),
            )
            self._refuse(left_out)

    def _refuse(self, rows: Sequence[tuple[str, str, str]]) -> None:
        self._database.executemany("INSERT OR REPLACE INTO refused (update_id, payload, answer) VALUES (?, ?, ?)", rows)
        if rows:
            self._database.execute(
                "DELETE FROM refused WHERE rowid NOT IN (SELECT rowid FROM refused ORDER BY rowid DESC LIMIT ?)",
                (_MOST_REFUSED,),
            )

    def counted(self) -> list[bytes]:
        """Return the keys that were counted by this client alone, in this run or an earlier one."""
        with self._alone():
            return [key for (key,) in self._database.execute("SELECT key FROM counted")]

    def sent(self) -> list[bytes]:
        """Return the keys that were sent, so that the server counts them, in this run or an earlier one."""
        with self._alone():
            return [key for (key,) in self._database.execute("SELECT key FROM sent")]

    def forget_counted(self) -> None:
        """Forget all keys."""
        with self._transaction():
            self._database.execute("DELETE FROM counted")
            self._database.execute("DELETE FROM sent")

    def refused(self) -> list[tuple[dict[str, Any], Any]]:
        """Return the refused updates and their answers, oldest first."""
        with self._alone():
            rows = self._database.execute("SELECT payload, answer FROM refused ORDER BY rowid").fetchall()
        with as_damage():
            return [(json.loads(payload), json.loads(answer)) for payload, answer in rows]

    def position(self) -> Position | None:
        """Return where the crawl is; None if it never started."""
        with self._alone():
            row = self._database.execute("SELECT value FROM position").fetchone()
        with as_damage():
            return Position(**json.loads(row[0])) if row else None

    def _save(self, position: Position) -> None:
        self._database.execute("INSERT OR REPLACE INTO position VALUES (1, ?)", (json.dumps(asdict(position)),))

    def take_over(self, other: "Outbox") -> None:
        """Copy another outbox of the job; its updates are placed after those here. The other one keeps them."""
        self.take_in(other.contents())

    def take_in(self, theirs: Contents) -> None:
        """Do the same with rows that were read."""
        with self._transaction():
            # Their numbers keep their distances. An empty outbox keeps them unchanged: expected answers refer to them.
            last = self._last_place()
            # Moves the counter, so that the next update gets the number after theirs.
            if theirs.last_place:
                self._database.execute("INSERT INTO waiting VALUES (?, '', '', 1)", (last + theirs.last_place,))
                self._database.execute("DELETE FROM waiting WHERE update_id = ''")
            self._database.executemany(
                "INSERT OR IGNORE INTO waiting (seq, update_id, payload, tried) VALUES (?, ?, ?, 1)",
                [(last + seq, update_id, payload) for seq, update_id, payload in theirs.waiting],
            )
            self._database.executemany("INSERT OR IGNORE INTO counted VALUES (?)", theirs.counted)
            self._database.executemany("INSERT OR IGNORE INTO sent VALUES (?)", theirs.sent)
            self._database.executemany("INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)", theirs.refused)
            mine = self.position()
            if theirs.position and (mine is None or theirs.position.clock > mine.clock):
                self._save(theirs.position)
            self._count = self._database.execute("SELECT count(*) FROM waiting").fetchone()[0]

    def contents(self) -> "Contents":
        """Return all rows."""
        with self._alone():
            return Contents(
                self._last_place(),
                self._database.execute("SELECT seq, update_id, payload FROM waiting ORDER BY seq").fetchall(),
                self._database.execute("SELECT key FROM counted").fetchall(),
                self._database.execute("SELECT update_id, payload, answer, at FROM refused").fetchall(),
                self.position(),
                self._database.execute("SELECT key FROM sent").fetchall(),
            )

    def salvage(self) -> tuple[Contents, Exception | None]:
        """Return all rows that can be read of a file that fails, and what prevented the others, if anything did."""
        problems: list[Exception] = []

        def read(columns: str, table: str, key: str) -> list[Any]:
            rows: list[Any] = []
            from_the_end: list[Any] = []
            for found, order in ((rows, "ASC"), (from_the_end, "DESC")):
                try:
                    # A row at a time: what comes before the damage is read.
                    for row in self._database.execute(f"SELECT {columns} FROM {table} ORDER BY {key} {order}"):  # noqa: S608
                        found.append(row)
                except sqlite3.Error as error:
                    problems.append(error)
                else:
                    break
            seen = set(rows)
            return [*rows, *(row for row in reversed(from_the_end) if row not in seen)]

        def attempt(what: Callable[[], Any], otherwise: object) -> Any:  # noqa: ANN401 - as it is read
            try:
                return what()
            except DISK_ERRORS as error:
                problems.append(error)
                return otherwise

        try:
            with self._alone():
                waiting = [row for row in read("seq, update_id, payload", "waiting", "seq") if are_texts(row[1:])]
                last = attempt(self._last_place, 0)
                contents = Contents(
                    max([last, *(row[0] for row in waiting)]),
                    waiting,
                    [row for row in read("key", "counted", "key") if isinstance(row[0], bytes)],
                    [row for row in read("update_id, payload, answer, at", "refused", "rowid") if are_texts(row)],
                    attempt(self.position, None),
                    [row for row in read("key", "sent", "key") if isinstance(row[0], bytes)],
                )
        except DISK_ERRORS as error:
            return Contents(0, [], [], [], None, []), error
        return contents, problems[0] if problems else None

    def _last_place(self) -> int:
        row = self._database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'waiting'").fetchone()
        return int(row[0]) if row else 0

    def close(self, *, remove: bool = False, aside: bool = False) -> Exception | None:
        """Close the database; return what the disk failed with, if it did. Waits for the lock.

        `remove`: also delete the file, unless it has refused updates for people to look at; `aside`: give the damaged
        file another name.
        """
        _open.pop(id(self), None)
        with self._lock, without_fork():
            problem: Exception | None = None
            try:
                if self._has_owner:
                    with self._transaction():
                        self._database.execute("DELETE FROM put_down")
                ends: list[str] = []
                if remove and self.path is not None and not self.refused():
                    ends = ["-wal", "-shm", ""]
                if _UNLINKS_OPEN_FILES:
                    # Before the lock is released, so that no other process has opened it.
                    self._remove(ends, aside=aside)
                self._database.close()
                if not _UNLINKS_OPEN_FILES:
                    self._remove(ends, aside=aside)
            except DISK_ERRORS as error:
                problem = error
            finally:
                with suppress(sqlite3.Error):
                    self._database.close()
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
        never_free(self._database)


def _files() -> list[Outbox]:
    """Return the outboxes that have files open."""
    found = [weak() for weak in list(_open.values())]
    return [outbox for outbox in found if outbox is not None and outbox.has_open_file]


#: Weak, and without callbacks: an interrupt in a callback that garbage collection runs would be lost.
_open: dict[int, weakref.ref[Outbox]] = {}


def _keep_inherited() -> None:
    for weak in list(_open.values()):
        if (outbox := weak()) is not None:
            outbox.keep_inherited()


in_child(_keep_inherited)
