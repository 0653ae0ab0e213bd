"""The updates of one job that the server has not acknowledged yet, in SQLite: in a file of the spool or in memory.

The position of the crawl and the keys that were counted are stored in the same transactions, so the three always agree,
even after a kill.
"""

import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallymark.client.process import never_free, without_fork
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
CREATE TABLE IF NOT EXISTS position (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), value TEXT NOT NULL);
"""
#: How many refused updates are kept.
_MOST_REFUSED = 1000


class InUse(Exception):  # noqa: N818 - it is no failure
    """Another process, or another part of this one, has the file open."""


class Outbox:
    """Keeps the updates that wait. Safe across threads. Disk failures raise OSError or sqlite3.Error."""

    def __init__(self, path: Path | None, *, limit: int) -> None:
        """Open or create the file, or use memory if `path` is None. Raises InUse if the file is open elsewhere.

        `limit`: how many updates may wait; further ones are combined with the last one, so that no count is lost.
        """
        self.path = path
        self.limit = limit
        self._lock = threading.RLock()
        with without_fork():
            self._database = sqlite3.connect(
                path or ":memory:", timeout=0, isolation_level=None, check_same_thread=False, cached_statements=32
            )
            try:
                _open[id(self)] = weakref.ref(self)
                self._prepare()
            except BaseException as error:
                self.close()
                busy = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
                if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode in busy:
                    raise InUse(str(path)) from error
                raise

    def _prepare(self) -> None:
        # The operating system holds the lock; it ends with the process, even if that is killed.
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        with self._transaction():
            # Not executescript, which would commit first.
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self._database.execute(statement)
            self._count: int = self._database.execute("SELECT count(*) FROM waiting").fetchone()[0]

    @contextmanager
    def _alone(self) -> "Iterator[None]":
        with self._lock, without_fork():
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
                    self._database.execute("ROLLBACK")
                raise

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
            self._database.executemany(
                "INSERT OR REPLACE INTO refused (update_id, payload, answer) VALUES (?, ?, ?)",
                [(row.update_id, row.text, json.dumps(answer)) for row, answer in refused],
            )
            if refused:
                self._database.execute(
                    "DELETE FROM refused WHERE rowid NOT IN (SELECT rowid FROM refused ORDER BY rowid DESC LIMIT ?)",
                    (_MOST_REFUSED,),
                )
            self._database.executemany(
                "DELETE FROM waiting WHERE seq = ? AND update_id = ?",
                [(row.seq, row.update_id) for row in [*delivered, *(row for row, _ in refused)]],
            )
            self._count = self._database.execute("SELECT count(*) FROM waiting").fetchone()[0]

    def replace(self, row: Waiting, update_id: str, text: str) -> None:
        """Replace an update that the server refused by a corrected one."""
        with self._transaction():
            self._database.execute(
                "UPDATE waiting SET update_id = ?, payload = ? WHERE seq = ? AND update_id = ?",
                (update_id, text, row.seq, row.update_id),
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
        return [(json.loads(payload), json.loads(answer)) for payload, answer in rows]

    def position(self) -> Position | None:
        """Return where the crawl is; None if it never started."""
        with self._alone():
            row = self._database.execute("SELECT value FROM position").fetchone()
        return Position(**json.loads(row[0])) if row else None

    def _save(self, position: Position) -> None:
        self._database.execute("INSERT OR REPLACE INTO position VALUES (1, ?)", (json.dumps(asdict(position)),))

    def take_over(self, other: "Outbox") -> None:
        """Copy another outbox of the job; its updates are placed after those here. The other one keeps them."""
        theirs = other.contents()
        with self._transaction():
            # Their numbers keep their distances. An empty outbox keeps them unchanged: expected answers refer to them.
            last = self._last_place()
            # Moves the counter, so that the next update gets the number after theirs.
            if theirs.last_place:
                self._database.execute("INSERT INTO waiting VALUES (?, '', '', 1)", (last + theirs.last_place,))
                self._database.execute("DELETE FROM waiting WHERE update_id = ''")
            self._database.executemany(
                "INSERT INTO waiting (seq, update_id, payload, tried) VALUES (?, ?, ?, 1)",
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

    def _last_place(self) -> int:
        row = self._database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'waiting'").fetchone()
        return int(row[0]) if row else 0

    def close(self, *, remove: bool = False) -> None:
        """Close the database. `remove`: also delete the file, unless it has refused updates for people to look at."""
        _open.pop(id(self), None)
        with self._alone():
            try:
                if remove and self.path and not self.refused():
                    # Before the lock is released, so that no other process has opened it.
                    for end in ("-wal", "-shm", ""):
                        self.path.with_name(self.path.name + end).unlink(missing_ok=True)
            finally:
                self._database.close()

    def keep_inherited(self) -> None:
        """Never close the database in the child of a fork: SQLite would delete files that the parent uses."""
        never_free(self._database)


#: Weak, and without callbacks: an interrupt in a callback that garbage collection runs would be lost.
_open: dict[int, weakref.ref[Outbox]] = {}


def _keep_inherited() -> None:
    for weak in list(_open.values()):
        if (outbox := weak()) is not None:
            outbox.keep_inherited()


os.register_at_fork(after_in_child=_keep_inherited)
