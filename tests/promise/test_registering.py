"""Jobs that their first update registers: the same as if they had been registered before, however the updates come."""

import itertools
import json
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from .model import Json, expected
from .test_batches import batch_of
from .test_groups import JOBS, Body, Case, accepted, alone, calls, cases, state_of, together
from .test_held_jobs import NO_WAIT

Connection = psycopg.Connection[Any]

#: The jobs that the cases report on. What registers itself has no attributes.
EVERY_JOB: dict[str, Json] = {job: {} for job in [*JOBS, "nobody"]}


def check(db: Connection, case: Case) -> None:
    """Compare jobs that are not registered with jobs that are, and with the definition."""
    bodies = case.before + case.bodies
    with db.transaction(force_rollback=True):
        for job in EVERY_JOB:
            db.execute("SELECT tallymark.create_job(%s)", [job])
        registered = [alone(db, body) for body in bodies]
        state = {job: stored for job, stored in state_of(db).items() if stored["job"]["last_seq"] > 0}
    with db.transaction(force_rollback=True):
        assert [alone(db, body, register=True) for body in bodies] == registered, "each gets the same"
        assert state_of(db) == state, "and jobs without an accepted update are not there"
    for wait in (False, True):
        with db.transaction(force_rollback=True):
            groups = calls(case._replace(bodies=bodies))
            outcomes = [outcome for group in groups for outcome in together(db, group, wait=wait, register=True)]
            assert outcomes == registered, "in groups, too"
            assert state_of(db) == state
    counted = accepted(db, list(zip(bodies, registered, strict=True)), EVERY_JOB)
    assert {job for job, updates in counted.items() if updates} == set(state)
    for job, stored in state.items():
        model = expected(counted[job])
        found = stored["job"] | {name: stored[name] for name in ("started_at", "finished_at", "areas")}
        assert {name: found[name] for name in model} == model, "which is what the definition says"


@given(case=cases())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_job_that_its_first_update_registers_is_as_if_it_had_been_there(db: Connection, case: Case) -> None:
    """Answers, refusals and state, one by one and in groups; a job is there if and only if an update was accepted."""
    check(db, case)


@pytest.mark.deep
@pytest.mark.timeout(3000)
@given(case=cases())
@settings(max_examples=3_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_thousands_of_jobs_that_their_first_updates_register(db: Connection, case: Case) -> None:
    """The same promise over 3,000 cases."""
    check(db, case)


BAD = {"taskId": "bad", "status": "lost", "timestamp": "2025-01-06T19:15:30.000Z"}


def group(db: Connection, bodies: list[Any], *, wait: bool = False) -> list[Any]:
    """Send bodies in one call. What became of each: its answer, the SQLSTATE of a refusal, or the held job."""
    rows = db.execute(
        "SELECT answer, refusal ->> 'sqlstate', held"
        " FROM tallymark.receive_group(%s::text[]::jsonb[], wait => %s, register => true)",
        [[json.dumps(body) for body in bodies], wait],
    ).fetchall()
    return [next(outcome for outcome in row if outcome is not None) for row in rows]


def counts(db: Connection) -> dict[str, int]:
    """Return how many issues each job has counted; each has the state of its ledger."""
    rows = db.execute(
        "SELECT id, (progress #>> '{itemsByType,issues}')::int, tallymark.verify_job(id) FROM tallymark.job"
    ).fetchall()
    assert all(verified for _job, _count, verified in rows)
    return {job: count for job, count, _verified in rows}


@pytest.mark.parametrize("bad", [[], [BAD]], ids=["all are good", "one is refused"])
def test_a_job_that_another_transaction_is_registering_keeps_no_other_of_the_group_waiting(
    db: Connection, db_url: str, bad: list[Json]
) -> None:
    """Its updates are given back as held; they are merged when the other transaction has ended."""
    [new, free] = batch_of(["new", "free"], "u")
    batch = batch_of(["new", "free"], "v")
    with psycopg.connect(db_url) as other, psycopg.connect(db_url, autocommit=True, options=NO_WAIT) as sender:
        other.execute("SELECT tallymark.create_job('new')")
        first, *refused, second, third = group(sender, [new, *bad, free, batch])
        assert (first, refused, third) == ("new", ["TK400"] * len(bad), "new")
        assert second["seq"] == 1
        other.commit()
        assert [ack["seq"] for ack in group(sender, [new, *batch])] == [1, 2, 2]
    assert counts(db) == {"free": 2, "new": 2}


def test_a_batch_that_waits_for_one_of_its_jobs_registers_no_other_meanwhile(db: Connection, db_url: str) -> None:
    """It may wait in vain. Whether the job that is held is there, or is being registered, makes no difference."""
    db.execute("SELECT tallymark.create_job('there')")
    with psycopg.connect(db_url) as other, psycopg.connect(db_url, autocommit=True) as sender:
        other.execute("SELECT FROM tallymark.job WHERE id = 'there' FOR UPDATE")
        other.execute("SELECT tallymark.create_job('new')")
        for held in ("there", "new"):
            with pytest.raises(psycopg.errors.LockNotAvailable):
                group(sender, [batch_of(["first", held], "u")])
        other.rollback()
        assert db.execute("SELECT id FROM tallymark.job").fetchall() == [("there",)]
        [acks] = group(sender, [batch_of(["first", "there", "new"], "u")])
        assert [ack["seq"] for ack in acks] == [1, 1, 1]
    assert counts(db) == {"first": 1, "new": 1, "there": 1}


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_an_update_waits_for_a_transaction_that_is_registering_its_job(
    db: Connection, db_url: str, ends: str, wait_for_lock_wait: Callable[[Connection, int], None]
) -> None:
    """As long as lock_timeout allows. The job is there afterwards, whichever of the two registered it."""
    [new] = batch_of(["new"], "u")
    with (
        psycopg.connect(db_url) as other,
        psycopg.connect(db_url, autocommit=True) as sender,
        psycopg.connect(db_url, autocommit=True, options=NO_WAIT) as impatient,
        ThreadPoolExecutor(1) as threads,
    ):
        other.execute("SELECT tallymark.create_job('new')")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            group(impatient, [new], wait=True)
        call = threads.submit(group, sender, [new], wait=True)
        wait_for_lock_wait(db, sender.info.backend_pid)
        getattr(other, ends)()
        [ack] = call.result(30)
    assert ack["seq"] == 1
    assert counts(db) == {"new": 1}


FULL = {f"m{number}": 1 for number in range(996)}


@pytest.mark.parametrize(
    ("more", "key"), [({}, "k" * 256), (FULL, "one member too many"), ({"pad": ["x" * 9000] * 116}, "k" * 255)]
)
@pytest.mark.parametrize("wait", [False, True])
def test_a_key_that_makes_an_update_too_large_registers_no_job(
    db: Connection, more: Json, key: str, *, wait: bool
) -> None:
    """The key is part of the update that is judged, also before it is registered."""
    [update] = batch_of(["new"], "u")
    del update["updateId"]
    if "pad" in more:
        left = 1_048_576 - len(json.dumps(update | more, separators=(",", ":"))) - 20
        more = more | {"rest": "y" * left}
    body = [json.dumps(update | more)]
    refused = db.execute(
        "SELECT refusal ->> 'sqlstate'"
        " FROM tallymark.receive_group(%s::text[]::jsonb[], %s, wait => %s, register => true)",
        [body, [key], wait],
    ).fetchall()
    assert refused in ([("TK400",)], [("TK413",)])
    assert counts(db) == {}
    with pytest.raises(psycopg.DatabaseError):
        db.execute("SELECT tallymark.receive_progress(%s::jsonb, %s, register => true)", [*body, key])
    assert counts(db) == {}
    assert db.execute(
        "SELECT answer -> 'seq' FROM tallymark.receive_group(%s::text[]::jsonb[], wait => %s, register => true)",
        [body, wait],
    ).fetchone() == (1,), "without the key it is taken"


@pytest.mark.parametrize("how", ["single", "batch", "group"])
def test_an_update_of_a_job_that_is_being_deleted_registers_it_again(
    db: Connection, db_url: str, wait_for_lock_wait: Callable[[Connection, int], None], how: str
) -> None:
    """It waits for the deletion, and is not told that there is no such job. A group is told to come again."""
    [old] = batch_of(["new"], "old")
    [update] = batch_of(["new"], "u")
    alone(db, Body(json.dumps(old | {"status": "completed"})), register=True)

    def send(connection: Connection) -> None:
        if how == "group":
            group(connection, [BAD, update], wait=True)
        else:
            body = [update] if how == "batch" else update
            connection.execute("SELECT tallymark.receive_progress(%s::jsonb, register => true)", [json.dumps(body)])

    with (
        psycopg.connect(db_url) as other,
        psycopg.connect(db_url, autocommit=True) as sender,
        ThreadPoolExecutor(1) as threads,
    ):
        other.execute("SELECT tallymark.delete_job('new')")
        call = threads.submit(send, sender)
        wait_for_lock_wait(db, sender.info.backend_pid)
        other.commit()
        if how == "group":
            with pytest.raises(psycopg.errors.SerializationFailure):
                call.result(30)
            assert counts(db) == {}
            send(sender)
        else:
            call.result(30)
    assert counts(db) == {"new": 1}


CONNECTIONS = 8
ROUNDS = 10


def test_first_reports_over_many_connections_at_once_register_each_job_once_and_never_deadlock(
    db: Connection, db_url: str
) -> None:
    """In each round all connections report on the same new jobs, each in an order and in a way of its own."""
    together_now = threading.Barrier(CONNECTIONS, timeout=60)

    def send(worker: int) -> None:
        dice = random.Random(worker)
        with psycopg.connect(db_url, autocommit=True) as connection:
            for turn in range(ROUNDS):
                jobs = [f"{turn:02}/{number}" for number in range(6)]
                updates = batch_of(dice.sample(jobs, len(jobs)), f"of {worker}")
                how = (worker + turn) % 4
                together_now.wait()
                if how == 0:
                    for update in updates:
                        connection.execute(
                            "SELECT tallymark.receive_progress(%s::jsonb, register => true)", [json.dumps(update)]
                        )
                elif how == 1:
                    connection.execute(
                        "SELECT tallymark.receive_progress(%s::jsonb, register => true)", [json.dumps(updates)]
                    )
                else:
                    bodies: list[Any] = [updates[:2], BAD, *updates[2:]] if how == 2 else list(updates)
                    outcomes = group(connection, bodies)
                    held = [body for body, outcome in zip(bodies, outcomes, strict=True) if outcome in jobs]
                    again = group(connection, held, wait=True) if held else []
                    assert not any(isinstance(outcome, str) for outcome in again)

    with ThreadPoolExecutor(CONNECTIONS) as workers:
        list(workers.map(send, range(CONNECTIONS)))
    every = [f"{turn:02}/{number}" for turn, number in itertools.product(range(ROUNDS), range(6))]
    assert counts(db) == dict.fromkeys(every, CONNECTIONS)
