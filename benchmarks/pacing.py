"""A load of so many updates a second, each a call of `merge_progress` and a transaction of its own.

    python -m benchmarks.pacing PREFIX JOBS RATE SECONDS

The database is the one that libpq finds in the environment. The first line of the output comes when the load begins,
the other one when it is over. That is JSON: `seconds`, and `updates` as [job, seq, time of the commit] by
CLOCK_MONOTONIC, which all processes of a machine share.
"""

import json
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

#: So many connections share the updates: one alone waits for the disk with each.
CONNECTIONS = 4
_MERGE = (
    b"SELECT (tallymark.merge_progress($1::text, bench.lifelike_update($1::text, clock_timestamp(), $2::integer,"
    b" $3::integer)) ->> 'seq')::bigint"
)


def _send(
    connection: psycopg.Connection[Any], turn: int, prefix: str, jobs: int, rate: float, start: float, end: float
) -> list[tuple[str, int, float]]:
    """Send every fourth of the updates, each when it is due, or late but at once."""
    cursor = psycopg.RawCursor(connection)
    done: list[tuple[str, int, float]] = []
    while (due := start + turn / rate) < end and (now := time.monotonic()) < end:
        if due > now:
            time.sleep(due - now)
        job = f"{prefix}{random.randint(1, jobs)}"
        row = cursor.execute(_MERGE, (job, turn + 1, turn % 50 + 1), prepare=True).fetchone()
        # The answer comes right after the commit.
        done.append((job, row[0] if row else 0, time.monotonic()))
        turn += CONNECTIONS
    return done


def _main(prefix: str, jobs: int, rate: float, seconds: float) -> None:
    connections = [psycopg.connect("", autocommit=True) for _ in range(CONNECTIONS)]
    sys.stdout.write("the load begins\n")
    sys.stdout.flush()
    start = time.monotonic()
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        parts = [
            threads.submit(_send, connection, turn, prefix, jobs, rate, start, start + seconds)
            for turn, connection in enumerate(connections)
        ]
        updates = [update for part in parts for update in part.result()]
    took = max(time.monotonic() - start, seconds)
    for connection in connections:
        connection.close()
    sys.stdout.write(json.dumps({"seconds": took, "updates": updates}) + "\n")


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
