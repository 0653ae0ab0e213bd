"""Many connections at once: nothing is lost, nothing counts twice, and calls wait only where they must."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

Connection = psycopg.Connection[Any]
LockWait = Callable[[Connection, int], None]

CONNECTIONS = 16
UPDATES = 500


def test_sixteen_connections_with_every_update_twice_lose_and_double_nothing(db: Connection, db_url: str) -> None:
    """16 connections x 500 updates of one job, each sent twice, in a shuffled order."""
    db.execute("SELECT tallymark.create_job('hot')")
    updates = [
        {
            "taskId": "hot",
            "status": "processing",
            "timestamp": f"2025-01-06T19:{number // 6000:02}:{number // 100 % 60:02}.{number % 100:02}0Z",
            "processedItems": number + 1,
            "itemsByType": {"issues": number % 7, "commits": 1},
            "lastProcessedId": f"id {number}",
        }
        for number in range(CONNECTIONS * UPDATES)
    ]
    deliveries = updates * 2
    random.Random(20250106).shuffle(deliveries)
    share = len(deliveries) // CONNECTIONS
    acks: list[dict[str, Any]] = []

    def send(part: list[dict[str, Any]]) -> None:
        with psycopg.connect(db_url, autocommit=True) as connection:
            for update in part:
                row = connection.execute("SELECT tallymark.merge_progress('hot', %s)", [Jsonb(update)]).fetchone()
                assert row
                acks.append(row[0])

    with ThreadPoolExecutor(CONNECTIONS) as connections:
        parts = [deliveries[at * share : (at + 1) * share] for at in range(CONNECTIONS)]
        list(connections.map(send, parts))  # raises what any of them raised

    assert sum(not ack["duplicate"] for ack in acks) == len(updates)
    assert sum(ack["duplicate"] for ack in acks) == len(updates)
    row = db.execute("SELECT progress, last_seq FROM tallymark.job WHERE id = 'hot'").fetchone()
    assert row
    progress, last_seq = row
    assert progress["processedItems"] == len(updates)
    assert progress["itemsByType"] == {"issues": sum(n % 7 for n in range(len(updates))), "commits": len(updates)}
    assert progress["lastProcessedId"] == f"id {len(updates) - 1}"
    assert last_seq == len(updates)
    ledger = db.execute(
        "SELECT count(*), min(seq), max(seq), count(DISTINCT seq) FROM tallymark.job_event WHERE job_id = 'hot'"
    ).fetchone()
    assert ledger == (8000, 1, 8000, 8000)
    assert db.execute("SELECT tallymark.verify_job('hot')").fetchone() == (True,)


def test_an_update_waits_for_the_one_before_it_and_merges_into_what_that_left(
    db: Connection, db_url: str, wait_for_lock_wait: LockWait
) -> None:
    """The second of two updates reads the job's state after it has the lock."""
    db.execute("SELECT tallymark.create_job('j')")
    with psycopg.connect(db_url) as first, psycopg.connect(db_url, autocommit=True) as second:
        first.execute("""SELECT tallymark.merge_progress('j', '{"processedItems": 5, "itemsByType": {"issues": 5}}')""")
        waiting = threading.Thread(
            target=lambda: second.execute(
                """SELECT tallymark.merge_progress('j', '{"processedItems": 3, "itemsByType": {"issues": 3}}')"""
            )
        )
        waiting.start()
        wait_for_lock_wait(db, second.info.backend_pid)
        first.commit()
        waiting.join()
    row = db.execute("SELECT progress, last_seq FROM tallymark.job WHERE id = 'j'").fetchone()
    assert row == ({"processedItems": 5, "itemsByType": {"issues": 8}}, 2)
    assert db.execute("SELECT tallymark.verify_job('j')").fetchone() == (True,)


def test_the_same_update_on_two_connections_at_once_counts_once(
    db: Connection, db_url: str, wait_for_lock_wait: LockWait
) -> None:
    """The one that waited is answered as a duplicate, with the number of the other."""
    db.execute("SELECT tallymark.create_job('j')")
    call = """SELECT tallymark.merge_progress('j', '{"updateId": "u", "itemsByType": {"issues": 3}}')"""
    acks: list[Any] = []
    with psycopg.connect(db_url) as first, psycopg.connect(db_url, autocommit=True) as second:
        acks.append(first.execute(call).fetchone())
        waiting = threading.Thread(target=lambda: acks.append(second.execute(call).fetchone()))
        waiting.start()
        wait_for_lock_wait(db, second.info.backend_pid)
        first.commit()
        waiting.join()
    assert [(ack[0]["seq"], ack[0]["duplicate"]) for ack in acks] == [(1, False), (1, True)]
    assert db.execute("SELECT progress FROM tallymark.job WHERE id = 'j'").fetchone() == (
        {"itemsByType": {"issues": 3}},
    )


def test_an_update_that_is_rolled_back_leaves_nothing_and_may_come_again(db: Connection, db_url: str) -> None:
    """If the caller's transaction fails, neither a gap in the numbers nor a key is left."""
    db.execute("SELECT tallymark.create_job('j')")
    call = """SELECT tallymark.merge_progress('j', '{"updateId": "u", "itemsByType": {"issues": 3}}')"""
    with psycopg.connect(db_url) as caller:
        caller.execute(call)
        caller.rollback()
    assert db.execute("SELECT count(*) FROM tallymark.job_event").fetchone() == (0,)
    row = db.execute(call).fetchone()
    assert row
    assert (row[0]["seq"], row[0]["duplicate"]) == (1, False)
    assert db.execute("SELECT tallymark.verify_job('j')").fetchone() == (True,)


def test_two_updates_without_a_timestamp_in_one_transaction_are_in_the_order_of_the_calls(db: Connection) -> None:
    """The later call is the newer update, although now() is the same for both."""
    db.execute("SELECT tallymark.create_job('j')")
    with db.transaction():
        for stage in ("one", "two", "three"):
            db.execute("SELECT tallymark.merge_progress('j', %s)", [Jsonb({"stage": stage})])
    assert db.execute("SELECT progress ->> 'stage' FROM tallymark.job WHERE id = 'j'").fetchone() == ("three",)


def test_updates_of_other_jobs_do_not_wait(db: Connection, db_url: str) -> None:
    """A transaction that holds one job's lock does not block updates of other jobs."""
    db.execute("SELECT tallymark.create_job('held'), tallymark.create_job('free')")
    with psycopg.connect(db_url) as holder:
        holder.execute("SELECT tallymark.merge_progress('held', '{}')")
        db.execute("SET lock_timeout = '2s'")
        db.execute("SELECT tallymark.merge_progress('free', '{}')")
