"""What can still be read of an outbox whose file fails."""

import sqlite3
from collections.abc import Callable
from typing import Any

from tallymark.client.disk import DISK_ERRORS, are_texts
from tallymark.client.outbox import Outbox, last_place
from tallymark.client.records import Contents


def salvage(outbox: Outbox) -> tuple[Contents, Exception | None]:
    """Return all rows that can be read of a file that fails, and what prevented the others, if anything did."""
    problems: list[Exception] = []

    def read(database: sqlite3.Connection, columns: str, table: str, key: str) -> list[Any]:
        rows: list[Any] = []
        from_the_end: list[Any] = []
        for found, order in ((rows, "ASC"), (from_the_end, "DESC")):
            try:
                # A row at a time: what comes before the damage is read.
                for row in database.execute(f"SELECT {columns} FROM {table} ORDER BY {key} {order}"):  # noqa: S608
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
        with outbox.file.alone() as database:
            waiting = [row for row in read(database, "seq, update_id, payload", "waiting", "seq") if are_texts(row[1:])]
            last = attempt(lambda: last_place(database), 0)
            contents = Contents(
                max([last, *(row[0] for row in waiting)]),
                waiting,
                [row for row in read(database, "key", "counted", "key") if isinstance(row[0], bytes)],
                [row for row in read(database, "update_id, payload, answer, at", "refused", "rowid") if are_texts(row)],
                attempt(outbox.position, None),
                [row for row in read(database, "key", "sent", "key") if isinstance(row[0], bytes)],
            )
    except DISK_ERRORS as error:
        return Contents(0, [], [], [], None, []), error
    return contents, problems[0] if problems else None
