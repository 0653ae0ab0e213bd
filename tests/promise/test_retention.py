"""Pruning at any time gives the same state, which is the fold of the ledger, and no update counts twice."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from psycopg.types.json import Jsonb

from .delivery import deliver, differences
from .strategies import JOB, History, histories

Connection = psycopg.Connection[Any]
#: What is pruned after each call: (keep_newest, max_events), or nothing.
Prunings = list[tuple[int, int] | None]

PRUNINGS = st.lists(st.none() | st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=6)


def prune(db: Connection, job: str, keep: int = 0, most: int = 1000, before: str = "infinity") -> dict[str, Any]:
    """Prune a job, once."""
    row = db.execute("SELECT tallymark.prune_job(%s, %s, %s, %s)", [job, before, keep, most]).fetchone()
    assert row
    told: dict[str, Any] = row[0]
    return told


def check(db: Connection, history: History, prunings: Prunings) -> None:
    """Compare a delivery that is pruned between its calls with one that is not."""
    updates, one_way, other_way, look = history

    def prune_between(number: int) -> None:
        if pruning := prunings[number % len(prunings)]:
            prune(db, JOB, *pruning)
            assert differences(db) == [], "the state is the fold of what is left"

    pruned = deliver(db, updates, one_way, prune_between, look)
    assert pruned == deliver(db, updates, other_way, look=look), "pruning makes no difference"


@given(history=histories(), prunings=PRUNINGS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pruning_at_any_time_makes_no_difference(db: Connection, history: History, prunings: Prunings) -> None:
    """Late, early and repeated updates give the state of a ledger that was not pruned."""
    check(db, history, prunings)


@pytest.mark.deep
@pytest.mark.timeout(3000)
@given(history=histories(), prunings=PRUNINGS)
@settings(max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_thousands_of_prunings_make_no_difference(db: Connection, history: History, prunings: Prunings) -> None:
    """The same promise over 5,000 histories."""
    check(db, history, prunings)


@pytest.fixture
def connect(db_url: str) -> Callable[[], Connection]:
    """Returns a function that opens another connection to the test's database."""
    return lambda: psycopg.connect(db_url, autocommit=True)


def test_updates_and_repeats_beside_pruning_count_once_each(connect: Callable[[], Connection]) -> None:
    """Four crawlers send each update twice, singly and in batches, while another connection prunes all the time."""
    done = threading.Event()
    with connect() as db:
        db.execute("SELECT tallymark.create_job('busy')")

    def crawl(worker: int) -> None:
        with connect() as own:
            for number in range(60):
                update = {
                    "taskId": "busy",
                    "updateId": f"{worker}-{number}",
                    "timestamp": f"2025-01-06T19:{number:02}:00Z",
                    "status": "processing",
                    "itemsByType": {"issues": 1},
                }
                own.execute("SELECT tallymark.merge_progress('busy', %s)", [Jsonb(update)])
                again = [update, {**update, "updateId": f"{worker}-{number // 2}"}]
                row = own.execute("SELECT tallymark.merge_progress_batch(%s)", [Jsonb(again)]).fetchone()
                assert row
                assert [ack["duplicate"] for ack in row[0]] == [True, True]

    def prune_on() -> int:
        events = 0
        with connect() as own:
            while not done.is_set():
                events += prune(own, "busy", 0, 7)["events"]
        return events

    with ThreadPoolExecutor(5) as threads:
        pruning = threads.submit(prune_on)
        try:
            for crawl_ended in [threads.submit(crawl, worker) for worker in range(4)]:
                crawl_ended.result()
        finally:
            done.set()
        assert pruning.result() > 0
    with connect() as db:
        row = db.execute(
            "SELECT progress -> 'itemsByType' -> 'issues', last_seq, pruned_seq > 0, tallymark.verify_job(id)"
            " FROM tallymark.job WHERE id = 'busy'"
        ).fetchone()
    assert row == (240, 240, True, True)


def test_an_update_that_waits_for_pruning_is_still_recognised(
    connect: Callable[[], Connection], wait_for_lock_wait: Callable[[Connection, int], None]
) -> None:
    """A repeat that arrives while its own event is being deleted is a duplicate, not a new update."""
    update = Jsonb({"updateId": "one", "timestamp": "2025-01-06T19:15:00Z", "itemsByType": {"issues": 5}})
    with connect() as db, connect() as pruner, connect() as crawler, ThreadPoolExecutor(1) as threads:
        db.execute("SELECT tallymark.create_job('job')")
        db.execute("SELECT tallymark.merge_progress('job', %s)", [update])
        pid = crawler.info.backend_pid
        with pruner.transaction():
            assert prune(pruner, "job")["events"] == 1
            repeat = threads.submit(
                lambda: crawler.execute("SELECT tallymark.merge_progress('job', %s)", [update]).fetchone()
            )
            wait_for_lock_wait(db, pid)
        row = repeat.result()
        assert row
        assert row[0]["duplicate"] is True
        assert row[0]["seq"] == 1
        counted = db.execute("SELECT progress -> 'itemsByType' FROM tallymark.job WHERE id = 'job'").fetchone()
        assert counted == ({"issues": 5},)
