"""Stores pages in a table of its own, and counts them in Tallymark in the same transactions: both happen, or neither.

    pip install 'psycopg[binary]'
    DATABASE_URL=postgresql://crawler_service@db.example/tallymark python report.py JOB PAGE...

The job is registered. The table: CREATE TABLE page (url text NOT NULL).
"""

import os
import sys
import time
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

ATTEMPTS = 10


def may_be_repeated(error: psycopg.Error) -> bool:
    """Return whether the same transaction may succeed later."""
    state = error.sqlstate
    if state is None:  # the connection broke, or there was none
        return isinstance(error, psycopg.OperationalError)
    return state[:2] in {"08", "40", "53", "57"} or state in {"25P03", "25P04", "55P03"}


def report(connection: psycopg.Connection[Any], job: str, page: str) -> None:
    """Store a page and count it, once."""
    with connection.transaction() as transaction:
        connection.execute("SET LOCAL lock_timeout = '2s'")
        connection.execute("INSERT INTO page (url) VALUES (%s)", [page])
        # The job is locked from here on, so this comes last.
        update = {"updateId": page, "itemsByType": {"pages": 1}}
        row = connection.execute("SELECT tallymark.merge_progress(%s, %s)", [job, Jsonb(update)]).fetchone()
        if row is not None and row[0]["duplicate"]:
            # An earlier attempt was committed, and the page is stored: undo this one.
            raise psycopg.Rollback(transaction)


def main(job: str, pages: list[str]) -> None:
    """Report the pages, with as many attempts as each of them needs."""
    connection = None
    for page in pages:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                if connection is None or connection.closed:
                    # Without prepared statements, because there may be a pooler in between.
                    url = os.environ["DATABASE_URL"]
                    connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
                report(connection, job, page)
                break
            except psycopg.Error as error:
                if attempt == ATTEMPTS or not may_be_repeated(error):
                    raise
                sys.stderr.write(f"again: {error.sqlstate}\n")
                time.sleep(0.1 * attempt)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
