"""The updates of one job that the server has not acknowledged yet, in SQLite: in a file of the spool or in memory.

The position of the crawl and the keys that were counted are stored in the same transactions, so the three always agree,
even after a kill.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from tallymark.client.disk import as_damage
from tallymark.client.records import Contents, Position, Waiting
from tallymark.client.spool_file import SpoolFile
from tallymark.client.updates import Update, combine

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


class Outbox:
    """Keeps the updates that wait. Safe across threads. Disk failures raise one of DISK_ERRORS, but for `close`.

    Attributes:
        file: The file that it is in; `path`: where that is, None for memory.
        limit: How many updates may wait; further ones are combined with the last one, so that no count is lost.
    """

    def __init__(self, path: Path | None, *, limit: int) -> None:
        """Open or create the file, or use memory if `path` is None. Raises InUse if the file is open elsewhere."""
        self.path = path
        self.limit = limit
        self.file = SpoolFile(path, _SCHEMA)
        try:
            with self.file.alone() as database:
                self._count = _number_waiting(database)
        except BaseException:
            self.file.close()
            raise

    @property
    def is_there(self) -> bool:
        """Whether the file still has its name: if not, nobody finds it after the process."""
        return self.file.is_there

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
        with self.file.transaction() as database:
            count = self._count
            for update in updates:
                count += self._append(database, update, crowded=count >= self.limit)
            self._save(database, position)
            last = database.execute("SELECT coalesce(max(seq), 0) FROM waiting").fetchone()[0]
            database.executemany(
                "INSERT OR IGNORE INTO counted VALUES (?)", [(key,) for update in updates for key in update.keys]
            )
            database.executemany(
                "INSERT OR IGNORE INTO sent VALUES (?)", [(key,) for update in updates for key in update.sent]
            )
            database.executemany("DELETE FROM sent WHERE key = ?", [(key,) for key in forget])
            self._count = count
        return int(last)

    def _append(self, database: Connection, update: Update, *, crowded: bool) -> int:
        """Add an update, or combine it with the last one; return by how many the waiting updates increased."""
        last = database.execute(
            # Only the very last one: updates from another outbox may come after some that were not tried.
            "SELECT seq, update_id, payload, tried FROM waiting ORDER BY seq DESC LIMIT 1"
        )
        if crowded and update.mergeable and (row := last.fetchone()) and not row[3]:
            with as_damage():
                earlier = Update(row[1], json.loads(row[2]))
                both = combine(earlier, update) if earlier.mergeable else None
            if both is not None:
                database.execute(
                    "UPDATE waiting SET update_id = ?, payload = ? WHERE seq = ?",
                    (both.update_id, json.dumps(both.payload), row[0]),
                )
                return 0
        database.execute(
            "INSERT INTO waiting (update_id, payload) VALUES (?, ?)", (update.update_id, json.dumps(update.payload))
        )
        return 1

    def head(self, max_updates: int, max_bytes: int) -> list[Waiting]:
        """Return the first updates that wait, at least one, and mark them as tried: from now on they do not change."""
        with self.file.alone() as database:
            if not self._count:
                return []
            rows = database.execute(
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
                database.execute("UPDATE waiting SET tried = 1 WHERE seq <= ? AND NOT tried", (found[-1].seq,))
            return found

    def settle(self, delivered: Sequence[Waiting], refused: Sequence[tuple[Waiting, object]] = ()) -> None:
        """Remove updates that the server acknowledged or refused; refused ones are kept apart with their answers."""
        with self.file.transaction() as database:
            self._refuse(database, [(row.update_id, row.text, json.dumps(answer)) for row, answer in refused])
            database.executemany(
                "DELETE FROM waiting WHERE seq = ? AND update_id = ?",
                [(row.seq, row.update_id) for row in [*delivered, *(row for row, _ in refused)]],
            )
            self._count = _number_waiting(database)

    def replace(self, row: Waiting, update_id: str, text: str, left_out: Sequence[tuple[str, str, str]] = ()) -> None:
        """Replace an update by another one, and keep what was left out because it was refused; see `refuse`."""
        with self.file.transaction() as database:
            database.execute(
                "UPDATE waiting SET update_id = ?, payload = ? WHERE seq = ? AND update_id = ?",
                (update_id, text, row.seq, row.update_id),
            )
            self._refuse(database, left_out)

    def _refuse(self, database: Connection, rows: Sequence[tuple[str, str, str]]) -> None:
        database.executemany("INSERT OR REPLACE INTO refused (update_id, payload, answer) VALUES (?, ?, ?)", rows)
        if rows:
            database.execute(
                "DELETE FROM refused WHERE rowid NOT IN (SELECT rowid FROM refused ORDER BY rowid DESC LIMIT ?)",
                (_MOST_REFUSED,),
            )

    def counted(self) -> list[bytes]:
        """Return the keys that were counted by this client alone, in this run or an earlier one."""
        with self.file.alone() as database:
            return [key for (key,) in database.execute("SELECT key FROM counted")]

    def sent(self) -> list[bytes]:
        """Return the keys that were sent, so that the server counts them, in this run or an earlier one."""
        with self.file.alone() as database:
            return [key for (key,) in database.execute("SELECT key FROM sent")]

    def forget_counted(self) -> None:
        """Forget all keys."""
        with self.file.transaction() as database:
            database.execute("DELETE FROM counted")
            database.execute("DELETE FROM sent")

    def refused(self) -> list[tuple[dict[str, Any], Any]]:
        """Return the refused updates and their answers, oldest first."""
        with self.file.alone() as database:
            rows = database.execute("SELECT payload, answer FROM refused ORDER BY rowid").fetchall()
        with as_damage():
            return [(json.loads(payload), json.loads(answer)) for payload, answer in rows]

    def position(self) -> Position | None:
        """Return where the crawl is; None if it never started."""
        with self.file.alone() as database:
            row = database.execute("SELECT value FROM position").fetchone()
        with as_damage():
            return Position(**json.loads(row[0])) if row else None

    def _save(self, database: Connection, position: Position) -> None:
        database.execute("INSERT OR REPLACE INTO position VALUES (1, ?)", (json.dumps(asdict(position)),))

    def take_over(self, other: "Outbox") -> None:
        """Copy another outbox of the job; its updates are placed after those here. The other one keeps them."""
        self.take_in(other.contents())

    def take_in(self, theirs: Contents) -> None:
        """Do the same with rows that were read."""
        with self.file.transaction() as database:
            # Their numbers keep their distances. An empty outbox keeps them unchanged: expected answers refer to them.
            last = last_place(database)
            # Moves the counter, so that the next update gets the number after theirs.
            if theirs.last_place:
                database.execute("INSERT INTO waiting VALUES (?, '', '', 1)", (last + theirs.last_place,))
                database.execute("DELETE FROM waiting WHERE update_id = ''")
            database.executemany(
                "INSERT OR IGNORE INTO waiting (seq, update_id, payload, tried) VALUES (?, ?, ?, 1)",
                [(last + seq, update_id, payload) for seq, update_id, payload in theirs.waiting],
            )
            database.executemany("INSERT OR IGNORE INTO counted VALUES (?)", theirs.counted)
            database.executemany("INSERT OR IGNORE INTO sent VALUES (?)", theirs.sent)
            database.executemany("INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)", theirs.refused)
            mine = self.position()
            if theirs.position and (mine is None or theirs.position.clock > mine.clock):
                self._save(database, theirs.position)
            self._count = _number_waiting(database)

    def contents(self) -> "Contents":
        """Return all rows."""
        with self.file.alone() as database:
            return Contents(
                last_place(database),
                database.execute("SELECT seq, update_id, payload FROM waiting ORDER BY seq").fetchall(),
                database.execute("SELECT key FROM counted").fetchall(),
                database.execute("SELECT update_id, payload, answer, at FROM refused").fetchall(),
                self.position(),
                database.execute("SELECT key FROM sent").fetchall(),
            )

    def close(self, *, remove: bool = False, aside: bool = False) -> Exception | None:
        """Close the database; return what the disk failed with, if it did. Waits for the lock.

        `remove`: also delete the file, unless it has refused updates for people to look at; `aside`: give the damaged
        file another name.
        """
        return self.file.close(remove=lambda: remove and not self.refused(), aside=aside)


def last_place(database: Connection) -> int:
    """Return the largest number that any update of the outbox has had."""
    row = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'waiting'").fetchone()
    return int(row[0]) if row else 0


def _number_waiting(database: Connection) -> int:
    return int(database.execute("SELECT count(*) FROM waiting").fetchone()[0])
