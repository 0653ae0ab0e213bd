"""Batches beside batches and single updates: none waits forever, none is lost, and bad ones spoil nothing."""

import itertools
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

Connection = psycopg.Connection[Any]
Json = dict[str, Any]

JOBS = 500
CONNECTIONS = 8


def batch_of(jobs: list[str], name: str) -> list[Json]:
    """Return a batch with one update for each job."""
    return [
        {
            "taskId": job,
            "updateId": name,
            "status": "processing",
            "timestamp": "2025-01-06T19:15:30.000Z",
            "itemsByType": {"issues": 1},
        }
        for job in jobs
    ]


def crowd(db: Connection, db_url: str, seconds: float) -> tuple[int, int]:
    """For a while, send batches of the same jobs in opposite orders, and single updates, over many connections.

    Returns: how many batches and how many single updates were acknowledged.
    """
    jobs = [f"job {number}" for number in range(JOBS)]
    db.execute("SELECT count(tallymark.create_job(id)) FROM unnest(%s::text[]) AS id", [jobs])
    numbers = itertools.count()
    until = time.monotonic() + seconds

    def send(worker: int) -> tuple[int, int]:
        order = jobs if worker % 2 else jobs[::-1]
        shuffled = random.Random(worker)
        batches = singles = 0
        with psycopg.connect(db_url, autocommit=True) as connection:
            while time.monotonic() < until:
                if worker >= CONNECTIONS - 2 and batches % 2:  # some shuffle theirs
                    order = shuffled.sample(jobs, JOBS)
                row = connection.execute(
                    "SELECT tallymark.merge_progress_batch(%s)", [Jsonb(batch_of(order, f"batch {next(numbers)}"))]
                ).fetchone()
                assert row
                assert [ack["duplicate"] for ack in row[0]] == [False] * JOBS
                batches += 1
                [single] = batch_of([shuffled.choice(jobs)], f"single {next(numbers)}")
                connection.execute("SELECT tallymark.merge_progress(%s, %s)", [single["taskId"], Jsonb(single)])
                singles += 1
        return batches, singles

    with ThreadPoolExecutor(CONNECTIONS) as workers:
        sent = list(workers.map(send, range(CONNECTIONS)))  # a deadlock would be raised here
    return sum(batches for batches, _ in sent), sum(singles for _, singles in sent)


def check_crowd(db: Connection, db_url: str, seconds: float) -> str:
    """Compare the database with what was acknowledged, and print the numbers."""
    batches, singles = crowd(db, db_url, seconds)
    assert batches >= CONNECTIONS
    row = db.execute(
        "SELECT sum((progress #>> '{itemsByType,issues}')::bigint), sum(last_seq), bool_and(tallymark.verify_job(id))"
        " FROM tallymark.job"
    ).fetchone()
    assert row == (batches * JOBS + singles, batches * JOBS + singles, True)
    return f"{batches} batches of {JOBS} jobs and {singles} single updates in {seconds:g} s, no deadlock"


def test_batches_of_the_same_jobs_in_opposite_orders_never_deadlock(db: Connection, db_url: str) -> None:
    """8 connections, 500 jobs, forwards, backwards and shuffled, with single updates between, for three seconds."""
    check_crowd(db, db_url, 3)


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_batches_of_the_same_jobs_in_opposite_orders_never_deadlock_in_a_minute(
    db: Connection, db_url: str, record_property: Callable[[str, object], None]
) -> None:
    """The same for 60 seconds."""
    record_property("figure", check_crowd(db, db_url, 60))


def test_a_batch_waits_for_a_single_update_and_merges_into_what_that_left(
    db: Connection, db_url: str, wait_for_lock_wait: Callable[[Connection, int], None]
) -> None:
    """A batch reads its jobs' states and known updates while it holds their locks."""
    db.execute("SELECT tallymark.create_job('a'), tallymark.create_job('b')")
    [update] = batch_of(["a"], "u")
    acks: list[Any] = []
    with psycopg.connect(db_url) as first, psycopg.connect(db_url, autocommit=True) as second:
        first.execute("SELECT tallymark.merge_progress('a', %s)", [Jsonb(update)])
        batch = [*batch_of(["b"], "u"), update, *batch_of(["a"], "v")]
        waiting = threading.Thread(
            target=lambda: acks.append(
                second.execute("SELECT tallymark.merge_progress_batch(%s)", [Jsonb(batch)]).fetchone()
            )
        )
        waiting.start()
        wait_for_lock_wait(db, second.info.backend_pid)
        first.commit()
        waiting.join()
    assert [(ack["seq"], ack["duplicate"]) for ack in acks[0][0]] == [(1, False), (1, True), (2, False)]
    assert db.execute("SELECT progress FROM tallymark.job WHERE id = 'a'").fetchone() == (
        {"itemsByType": {"issues": 2}},
    )
