"""Shards move while a transaction is in the middle of its work."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.faults.servers import wait_until

from tallymark.schema.distribute import distribute

from .cluster import Database, database, on

pytestmark = [pytest.mark.citus, pytest.mark.slow]

#: Calls that take several updates, lock their jobs one after another, and then write.
CALLS = {
    "a batch": "SELECT tallymark.merge_progress_batch(%s::jsonb)",
    "a batch over HTTP": "SELECT tallymark.receive_progress(%s::jsonb, register => true)",
    "a group": "SELECT answer FROM tallymark.receive_group("
    "ARRAY(SELECT jsonb_array_elements(%s::jsonb)), wait => true)",
}


class Place(NamedTuple):
    """Where a job is: its shard, and the number of the worker."""

    shard: int
    worker: int


@pytest.fixture(scope="module")
def made() -> Iterator[Database]:
    """A distributed database with three workers."""
    with database(known=0) as found:
        if len(found.workers) < 3:
            pytest.skip("NOT TESTED: a move that a third worker looks on at; the cluster has two")
        for number in range(3):
            found.add_worker(number)
        distribute(found.url, shards=4)
        for number in range(40):
            on(found.url, "SELECT tallymark.create_job(%s)", f"job {number:02}")
        yield found


def _place(made: Database, job: str) -> Place:
    [(shard, port)] = on(
        made.url,
        """SELECT s.shardid, s.nodeport FROM citus_shards AS s
           WHERE s.shardid = get_shard_id_for_distribution_column('tallymark.job', %s::text)""",
        job,
    )
    ports = [int(conninfo_to_dict(url)["port"] or 5432) for url in made.workers]
    return Place(shard, ports.index(port))


def _waits(made: Database, session: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Return whether a session waits for a lock, itself or on a node to which it has sent something."""
    query = """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND (pid = %s OR application_name LIKE %s)"""
    pid = session.info.backend_pid
    return any(on(url, query, pid, f"%gpid=%{pid:010}") != [(0,)] for url in made.everywhere[:4])


@pytest.mark.parametrize("where", ["coordinator", "the job's node", "a third node"])
@pytest.mark.parametrize("call", CALLS)
def test_an_update_that_is_being_merged_while_its_job_moves_is_counted(made: Database, call: str, where: str) -> None:
    """It has read the first of its jobs, which then moves, and waits for the second: event and counts stay together."""
    jobs = [f"job {number:02}" for number in range(40)]
    first = jobs[0]
    shard, source = _place(made, first)
    second = next(job for job in jobs if _place(made, job).worker != source)
    target, third = (number for number in range(3) if number != source)
    url = {"coordinator": made.url, "the job's node": made.workers[source], "a third node": made.workers[third]}[where]
    before = on(made.url, "SELECT tallymark.get_job(%s, 0) -> 'lastSeq'", first)[0][0]
    updates = [
        {"taskId": job, "status": "processing", "timestamp": "2026-01-01T00:00:00Z", "updateId": f"{call}, {where}"}
        for job in (first, second)
    ]
    names = [conninfo_to_dict(made.workers[number]) for number in (source, target)]
    with (
        psycopg.connect(url) as keeper,
        psycopg.connect(made.url) as holder,
        psycopg.connect(made.url, autocommit=True) as mover,
        psycopg.connect(url, autocommit=True) as caller,
        ThreadPoolExecutor(2) as threads,
    ):
        # The move comes to its last step, and waits there.
        keeper.execute("SELECT lock_shard_metadata(5, ARRAY[%s::bigint])", [shard])
        moving = threads.submit(
            mover.execute,
            "SELECT citus_move_shard_placement(%s, %s, %s, %s, %s, 'force_logical')",
            [shard, *(part for name in names for part in (name["host"], int(name["port"] or 5432)))],
        )
        wait_until(lambda: _waits(made, mover), "the move to wait")
        holder.execute("SELECT FROM tallymark.job WHERE id = %s FOR UPDATE", [second])
        calling = threads.submit(caller.execute, CALLS[call].encode(), [json.dumps(updates)])
        wait_until(lambda: _waits(made, caller), "the call to wait")
        keeper.commit()
        moving.result(60)
        holder.commit()
        calling.result(60)
    assert _place(made, first) == (shard, target)
    assert on(made.url, "SELECT tallymark.get_job(%s, 0) -> 'lastSeq'", first) == [(before + 1,)]
    assert on(made.url, "SELECT tallymark.verify_job(%s)", first) == [(True,)]
    again = json.dumps(updates[0])
    [(answer,)] = on(made.url, "SELECT tallymark.merge_progress(%s, %s::jsonb)", first, again)
    assert (answer["duplicate"], answer["seq"]) == (True, before + 1)
