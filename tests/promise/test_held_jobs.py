"""Groups beside transactions that hold jobs: what is free is merged at once, and what is held keeps nobody waiting."""

import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres

from .test_batches import batch_of

Connection = psycopg.Connection[Any]
Json = dict[str, Any]
Hold = Callable[[str], Any]

#: Nothing here may wait, so a wait is an error rather than a slow test.
NO_WAIT = "-c lock_timeout=1ms"


@contextmanager
def locked(url: str, job: str, strength: str) -> Iterator[None]:
    """Hold a job's row."""
    with psycopg.connect(url) as holder:
        holder.execute(f"SELECT FROM tallymark.job WHERE id = %s {strength}", [job])
        yield
        holder.rollback()


@contextmanager
def prepared(url: str, job: str) -> Iterator[None]:
    """Hold a job's row by a transaction that belongs to no connection any more."""
    with psycopg.connect(url) as holder:
        holder.execute("SELECT tallymark.merge_progress(%s, %s)", [job, Jsonb(batch_of([job], "prepared")[0])])
        holder.execute("PREPARE TRANSACTION 'forgotten'")
    yield
    with psycopg.connect(url, autocommit=True) as anybody:
        anybody.execute("ROLLBACK PREPARED 'forgotten'")


@pytest.fixture(params=["FOR UPDATE", "FOR NO KEY UPDATE", "FOR SHARE", "PREPARE TRANSACTION"])
def held_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Hold]]:
    """A database with the jobs a, b and z, and what holds a job of it in one of several ways."""
    how: str = request.param
    if how == "PREPARE TRANSACTION":
        with EmbeddedPostgres(tmp_path_factory.mktemp("held") / "data") as server:
            with psycopg.connect(server.url, autocommit=True) as db:
                db.execute("ALTER SYSTEM SET max_prepared_transactions = 5")
            server.stop()
            server.start()
            migrate(server.url)
            register(server.url)
            yield server.url, lambda job: prepared(server.url, job)
    else:
        url: str = request.getfixturevalue("db_url")
        register(url)
        yield url, lambda job: locked(url, job, how)


def register(url: str) -> None:
    """Register three jobs."""
    with psycopg.connect(url) as db:
        db.execute("SELECT count(tallymark.create_job(id)) FROM unnest('{a,b,z}'::text[]) AS id")


def group(db: Connection, bodies: list[Any], *, wait: bool = False) -> list[Any]:
    """Send bodies in one call. What became of each: its answer, the SQLSTATE of a refusal, or the held job."""
    rows = db.execute(
        "SELECT answer, refusal ->> 'sqlstate', held FROM tallymark.receive_group(%s::text[]::jsonb[], wait => %s)",
        [[json.dumps(body) for body in bodies], wait],
    ).fetchall()
    return [next(outcome for outcome in row if outcome is not None) for row in rows]


def counts(db: Connection, type_: str = "issues") -> dict[str, int]:
    """Return how many items of a type each job has counted; each has the state of its ledger."""
    rows = db.execute(
        "SELECT id, coalesce((progress #>> ARRAY['itemsByType', %s])::int, 0), tallymark.verify_job(id)"
        " FROM tallymark.job",
        [type_],
    ).fetchall()
    assert all(verified for _job, _count, verified in rows)
    return {job: count for job, count, _verified in rows}


BAD = {"taskId": "b", "status": "lost", "timestamp": "2025-01-06T19:15:30.000Z"}


@pytest.mark.parametrize("bad", [[], [BAD]], ids=["all are good", "one is refused"])
def test_what_is_free_is_merged_at_once_and_what_is_held_is_named_and_left(
    held_url: tuple[str, Hold], bad: list[Json]
) -> None:
    """Also behind a refusal, where each body is merged by itself; of a batch with a held job nothing is merged."""
    url, hold = held_url
    [a, b, z] = batch_of(["a", "b", "z"], "u")
    batch = batch_of(["a", "z", "b"], "in a batch")
    bodies = [a, z, *bad, batch, b, *batch_of(["b"], "v")]
    with psycopg.connect(url, autocommit=True, options=NO_WAIT) as db:
        with hold("z"):
            first, second, *refused, third, fourth, fifth = group(db, bodies)
            assert (second, third) == ("z", "z")
            assert refused == ["TK400"] * len(bad)
            assert [outcome["duplicate"] for outcome in (first, fourth, fifth)] == [False] * 3
            assert counts(db) == {"a": 1, "b": 2, "z": 0}
        again = group(db, bodies)
        assert [ack["duplicate"] for ack in (again[0], again[1])] == [True, False]
        assert counts(db) == {"a": 2, "b": 3, "z": 2}


@pytest.mark.parametrize("bad", [[], [BAD]], ids=["all are good", "one is refused"])
def test_a_group_that_waits_for_a_held_job_holds_no_other_job_meanwhile(
    db: Connection, db_url: str, bad: list[Json], wait_for_lock_wait: Callable[[Connection, int], None]
) -> None:
    """A batch of a, b and z waits for z. Groups and batches of a and b go on."""
    register(db_url)
    bodies = [batch_of(["z", "b", "a"], "u"), *bad, *batch_of(["b", "a"], "v")]
    with (
        psycopg.connect(db_url, autocommit=True) as waiting,
        psycopg.connect(db_url, autocommit=True, options=NO_WAIT) as others,
        ThreadPoolExecutor(1) as threads,
    ):
        with locked(db_url, "z", "FOR UPDATE"):
            call = threads.submit(group, waiting, bodies, wait=True)
            wait_for_lock_wait(db, waiting.info.backend_pid)
            assert [ack["seq"] for ack in group(others, batch_of(["a", "b"], "w"))] == [1, 1]
            others.execute("SELECT tallymark.merge_progress_batch(%s)", [Jsonb(batch_of(["a", "b"], "x"))])
            assert group(others, batch_of(["z", "a"], "y"))[0] == "z"
            assert not call.done()
        merged = call.result(30)
    assert [ack["seq"] for ack in merged[0]] == [1, 3, 4]
    assert counts(db) == {"a": 5, "b": 4, "z": 1}


def test_a_group_waits_as_long_as_lock_timeout_allows(db: Connection, db_url: str) -> None:
    """Then the whole call fails, and nothing of it is merged."""
    register(db_url)
    with (
        psycopg.connect(db_url, autocommit=True, options=NO_WAIT) as waiting,
        locked(db_url, "z", "FOR UPDATE"),
        pytest.raises(psycopg.errors.LockNotAvailable),
    ):
        group(waiting, batch_of(["a", "z"], "u"), wait=True)
    assert counts(db) == {"a": 0, "b": 0, "z": 0}


def test_a_job_that_somebody_registers_at_the_moment_is_unknown_and_keeps_nobody_waiting(
    db: Connection, db_url: str
) -> None:
    """Its row is not there yet for others."""
    register(db_url)
    with psycopg.connect(db_url) as other, psycopg.connect(db_url, autocommit=True, options=NO_WAIT) as sender:
        other.execute("SELECT tallymark.create_job('new')")
        unknown, free = group(sender, batch_of(["new", "a"], "u"))
        assert (unknown, free["seq"]) == ("TK404", 1)
        other.commit()
        assert [ack["seq"] for ack in group(sender, batch_of(["new", "a"], "v"))] == [1, 2]
    assert counts(db) == {"a": 2, "b": 0, "new": 1, "z": 0}


JOBS = [f"job {number}" for number in range(40)]
#: The pages that updates name.
PAGES = [f"page {number}" for number in range(200)]
CONNECTIONS = 8


class Crowd:
    """Connections that send groups, batches and single updates of the same jobs in all orders, some of them bad."""

    def __init__(self, db_url: str, seconds: float) -> None:
        self._url = db_url
        self._until = time.monotonic() + seconds
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self.counted = dict.fromkeys(JOBS, 0)
        self.named: dict[str, set[str]] = {job: set() for job in JOBS}
        self.calls: dict[str, int] = {}

    def run(self) -> None:
        """Let all of them send; a deadlock is raised here."""
        with ThreadPoolExecutor(CONNECTIONS) as workers:
            list(workers.map(self._send, range(CONNECTIONS)))

    def _send(self, worker: int) -> None:
        dice = random.Random(worker)
        with psycopg.connect(self._url, autocommit=True) as connection:
            while time.monotonic() < self._until:
                jobs = dice.sample(JOBS, dice.choice([1, 5, 20]))
                pages = dice.sample(PAGES, 3)
                updates = [u | {"itemKeys": {"pages": pages}} for u in batch_of(jobs, str(next(self._numbers)))]
                kind = dice.choice(["group", "mixed group", "batch", "single", "pruning"])
                if kind == "group":
                    self._deliver(connection, updates)
                elif kind == "mixed group":
                    half = len(updates) // 2
                    self._deliver(connection, [updates[:half], BAD, *updates[half:]])
                elif kind == "batch":
                    connection.execute("SELECT tallymark.merge_progress_batch(%s)", [Jsonb(updates)])
                elif kind == "single":
                    jobs = jobs[:1]
                    connection.execute("SELECT tallymark.merge_progress(%s, %s)", [jobs[0], Jsonb(updates[0])])
                else:
                    connection.execute("SELECT tallymark.prune_job(%s, 'infinity', 1, 50)", [jobs[0]])
                    jobs = []
                self._note(kind, jobs, pages)

    def _deliver(self, connection: Connection, bodies: list[Any]) -> None:
        """Send a group, and then what was held of it."""
        outcomes = group(connection, bodies)
        held = [body for body, outcome in zip(bodies, outcomes, strict=True) if outcome in JOBS]
        if held:
            assert not any(isinstance(outcome, str) for outcome in group(connection, held, wait=True))
            self._note("group that waits", [], [])

    def _note(self, kind: str, jobs: list[str], pages: list[str]) -> None:
        with self._lock:
            self.calls[kind] = self.calls.get(kind, 0) + 1
            for job in jobs:
                self.counted[job] += 1
                self.named[job].update(pages)


def crowd(db: Connection, db_url: str, seconds: float) -> str:
    """Run a crowd, compare the database with what was answered, and return how many calls of each kind there were."""
    db.execute("SELECT count(tallymark.create_job(id)) FROM unnest(%s::text[]) AS id", [JOBS])
    ran = Crowd(db_url, seconds)
    ran.run()
    assert counts(db) == ran.counted
    assert counts(db, "pages") == {job: len(pages) for job, pages in ran.named.items()}
    for job, pages in ran.named.items():
        unseen = db.execute("SELECT tallymark.unseen_items(%s, 'pages', %s)", [job, PAGES]).fetchone()
        assert unseen == ([page for page in PAGES if page not in pages],)
    assert ran.calls["group that waits"] > 0
    return str(ran.calls)


def test_groups_batches_and_single_updates_in_all_orders_never_deadlock(db: Connection, db_url: str) -> None:
    """8 connections and 40 jobs for three seconds, with refusals and pruning between."""
    crowd(db, db_url, 3)


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_groups_batches_and_single_updates_in_all_orders_never_deadlock_in_a_minute(
    db: Connection, db_url: str, record_property: Callable[[str, object], None]
) -> None:
    """The same for 60 seconds."""
    record_property("figure", crowd(db, db_url, 60))
