"""What tests with several connections share."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

Connection = psycopg.Connection[Any]


@pytest.fixture
def wait_for_lock_wait() -> Callable[[Connection, int], None]:
    """Returns a function that waits until PostgreSQL reports that the backend with a process id waits for a lock."""

    def wait(db: Connection, pid: int) -> None:
        deadline = threading.Event()
        for _ in range(500):
            row = db.execute("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
            if row and row[0]:
                return
            deadline.wait(0.01)
        pytest.fail("it never waited for the lock")

    return wait
