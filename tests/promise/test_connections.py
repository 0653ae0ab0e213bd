"""Histories over several real connections at once: the state is the definition's, whatever comes between."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from .delivery import counted_by, differences, seen_items, send, stored, updates_of, value
from .model import Json, Update, counted_items, expected
from .strategies import Call, History, histories

Connection = psycopg.Connection[Any]

CONNECTIONS = 4


class Crowd:
    """Connections that each send a part of a history's calls, while another one prunes and reads the job."""

    def __init__(self, url: str) -> None:
        """Open the connections."""
        self._numbers = itertools.count()
        self._open = ExitStack()
        self._connections = [
            self._open.enter_context(psycopg.connect(url, autocommit=True)) for _ in range(CONNECTIONS + 1)
        ]
        self._threads = self._open.enter_context(ThreadPoolExecutor(CONNECTIONS + 1))

    def close(self) -> None:
        """Close them."""
        self._open.close()

    def deliver(self, history: History) -> tuple[str, list[Json], list[tuple[int, Json]]]:
        """Deliver both ways of a history at once to a new job.

        Returns: the job, its updates, and each acknowledgement with the index of its update.
        """
        job = f"job {next(self._numbers)}"
        updates = [{**update, "taskId": job} for update in history.updates]
        value(self._connections[-1], "SELECT tallymark.create_job(%s)", job)
        calls = [call for call in (*history.one_way, *history.other_way) if call.how != "alive"]
        together = threading.Barrier(CONNECTIONS + 1, timeout=60)
        done = threading.Event()

        def work(number: int) -> list[tuple[int, Json]]:
            together.wait()
            acks: list[tuple[int, Json]] = []
            for call in calls[number::CONNECTIONS]:
                acks += self._send(self._connections[number], updates, call)
            return acks

        def tend() -> None:
            """Prune, read and note signs of life until all is delivered."""
            db = self._connections[-1]
            together.wait()
            while not done.is_set():
                value(db, "SELECT tallymark.note_alive(%s)", job)
                value(db, "SELECT tallymark.prune_job(%s, 'infinity', 1, 2)", job)
                assert differences(db, job) == [], "it verifies at any moment"
                value(db, "SELECT tallymark.job_record(%s)", job)

        tending = self._threads.submit(tend)
        try:
            parts = list(self._threads.map(work, range(CONNECTIONS)))
        finally:
            done.set()
        tending.result()
        return job, updates, [ack for part in parts for ack in part]

    @staticmethod
    def _send(db: Connection, updates: list[Json], call: Call) -> Iterator[tuple[int, Json]]:
        """Send a call; a group waits for the job where another connection holds it."""
        acks = send(db, [updates[index] for index in call.indexes], call.how, wait=True)
        return zip(call.indexes, acks, strict=True)


@pytest.fixture
def crowd(db_url: str) -> Iterator[Crowd]:
    """Connections to the database of the test."""
    crowd = Crowd(db_url)
    yield crowd
    crowd.close()


def check(db: Connection, crowd: Crowd, history: History) -> None:
    """Deliver a history over all connections, and compare the job and the acknowledgements with the definition."""
    job, payloads, acks = crowd.deliver(history)
    updates = updates_of(db, payloads)
    distinct: dict[str, Update] = {update.key: update for update in updates}
    model, items = expected(updates), counted_items(updates)
    state = stored(db, job)
    assert {name: state[name] for name in model} == model, "the state is what the definition says"
    assert differences(db, job) == [], "and the fold of the ledger"
    assert seen_items(db, job) == items

    first = Counter(updates[index].key for index, ack in acks if not ack["duplicate"])
    assert first == dict.fromkeys(distinct, 1), "one acknowledgement of each update is the first"
    counted: Counter[str] = Counter()
    for index, ack in acks:
        if not ack["duplicate"]:
            counted += counted_by(updates[index], ack)
    assert counted == {name: len(keys) for name, keys in items.items()}, "each key is counted in one of them"
    assert state["last_seq"] == sum(1 + len(u.payload.get("timeline") or []) for u in distinct.values())


@given(history=histories())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_several_connections_at_once_give_the_state_of_the_definition(
    db: Connection, crowd: Crowd, history: History
) -> None:
    """Four connections send two deliveries at once; another one prunes, verifies, archives and notes signs of life."""
    check(db, crowd, history)


@pytest.mark.deep
@pytest.mark.timeout(3000)
@given(history=histories())
@settings(max_examples=3_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_thousands_of_histories_over_several_connections_give_the_state_of_the_definition(
    db: Connection, crowd: Crowd, history: History
) -> None:
    """The same promise over 3,000 histories."""
    check(db, crowd, history)


def test_the_same_items_over_many_connections_count_once_each(
    db: Connection, db_url: str, wait_for_lock_wait: Callable[[Connection, int], None]
) -> None:
    """An update that waits for another one of its job finds the keys that the other has counted."""
    db.execute("SELECT tallymark.create_job('j')")
    call = """SELECT tallymark.merge_progress('j', '{"itemKeys": {"pages": ["a", "b"]}}')"""
    acks: list[Json] = []
    with psycopg.connect(db_url) as first, psycopg.connect(db_url, autocommit=True) as second:
        acks.append(value(first, call))
        waiting = threading.Thread(target=lambda: acks.append(value(second, call.replace('"a"', '"c"'))))
        waiting.start()
        wait_for_lock_wait(db, second.info.backend_pid)
        first.commit()
        waiting.join()
    assert [(ack["counted"], ack["seenBefore"]) for ack in acks] == [
        ({"pages": 2}, {"pages": 0}),
        ({"pages": 1}, {"pages": 1}),
    ]
    assert value(db, "SELECT progress -> 'itemsByType' FROM tallymark.job") == {"pages": 3}
