"""Readers select from the views of a distributed database, on every node, and from nothing else."""

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tallymark.schema.cluster import READ_BY_VIEWS
from tallymark.schema.distribute import check_only, distribute
from tallymark.schema.doctor import findings

from .cluster import Database, database, on

pytestmark = [pytest.mark.citus, pytest.mark.slow]

JOBS = [f"job_{number}" for number in range(12)]


@pytest.fixture(scope="module")
def distributed() -> Iterator[Database]:
    """A distributed database with jobs that have two updates each."""
    with database() as made:
        distribute(made.url, shards=8)
        for job in JOBS:
            on(made.url, "SELECT tallymark.create_job(%s)", job)
            for number in range(2):
                on(made.url, "SELECT tallymark.merge_progress(%s, %s)", job, Jsonb({"updateId": str(number)}))
        yield made


def test_readers_select_from_the_views_on_every_node(distributed: Database) -> None:
    """With conditions, joins and sums. Of the tables they may read those behind the views, and nothing else."""
    tables = [
        name
        for (name,) in on(
            distributed.url,
            "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'tallymark'::regnamespace AND relkind = 'r'",
        )
    ]
    assert len(tables) > 10
    for url in distributed.everywhere:
        for role in ("tallymark_reader", "tallymark_admin", "tallymark_writer"):
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"SET SESSION AUTHORIZATION {role}")
                if role == "tallymark_writer":
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute("SELECT * FROM tallymark.jobs")
                else:
                    rows = connection.execute("SELECT id FROM tallymark.jobs WHERE starts_with(id, 'job_1') ORDER BY 1")
                    assert [job for (job,) in rows] == ["job_1", "job_10", "job_11"]
                    rows = connection.execute(
                        """SELECT j.id, j.status, count(*), max(e.seq) = j.last_seq FROM tallymark.jobs AS j
                           JOIN tallymark.events AS e ON e.job_id = j.id
                           GROUP BY j.id, j.status, j.last_seq ORDER BY j.id"""
                    )
                    assert [(job, current) for job, _, _, current in rows] == [(job, True) for job in sorted(JOBS)]
                    connection.execute("SELECT * FROM tallymark.current_alerts")
                for table in tables:
                    if role != "tallymark_writer" and table in READ_BY_VIEWS:
                        connection.execute(f"SELECT * FROM {table} LIMIT 1".encode())
                        continue
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(f"SELECT * FROM {table} LIMIT 1".encode())


def test_readers_go_on_reading_when_a_shard_moves(distributed: Database) -> None:
    """The rights of a whole table go with it."""
    [(shard, place, port)] = on(
        distributed.url,
        """SELECT shardid, nodename, nodeport FROM pg_dist_shard_placement
           WHERE shardid = get_shard_id_for_distribution_column('tallymark.job', 'job_0')""",
    )
    [(_, other)] = on(
        distributed.url,
        "SELECT nodename, nodeport FROM pg_dist_node WHERE groupid <> 0 AND nodeport <> %s ORDER BY 2 LIMIT 1",
        port,
    )
    on(distributed.url, "SELECT citus_move_shard_placement(%s, %s, %s, %s, %s)", shard, place, port, place, other)
    with psycopg.connect(distributed.url, autocommit=True) as connection:
        connection.execute("SET SESSION AUTHORIZATION tallymark_reader")
        assert connection.execute("SELECT id FROM tallymark.jobs WHERE id = 'job_0'").fetchall() == [("job_0",)]
        assert connection.execute("SELECT count(*) > 0 FROM tallymark.events WHERE job_id = 'job_0'").fetchone() == (
            True,
        )
    assert [finding for finding in check_only(distributed.url) if finding.kind != "setting"] == []


def test_a_function_is_called_for_ids_that_were_read_first(distributed: Database) -> None:
    """For each row of a view it cannot be, on no node: Citus refuses it, and answers nothing wrong."""
    direct = "SELECT id, tallymark.job_rate(id) ->> 'id' FROM tallymark.jobs"
    first = f"WITH ids AS MATERIALIZED (SELECT id FROM tallymark.jobs) {direct.replace('tallymark.jobs', 'ids')}"
    for url in distributed.everywhere:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET SESSION AUTHORIZATION tallymark_reader")
            with pytest.raises(psycopg.Error, match="distributed query"):
                connection.execute(direct.encode())
            assert sorted(connection.execute(first.encode()).fetchall()) == sorted((job, job) for job in JOBS)


def test_the_doctor_says_what_readers_lack_and_what_they_have_too_much(distributed: Database) -> None:
    """With the statement that puts it right."""
    statements = [
        "REVOKE SELECT ON tallymark.job FROM tallymark_reader",
        "GRANT SELECT ON tallymark.alert TO tallymark_reader",
    ]
    for statement in statements:
        with psycopg.connect(distributed.url, autocommit=True) as connection:
            connection.execute(statement.encode())
    found = [finding for finding in findings(distributed.url) if finding.kind == "table"]
    assert {(finding.object, finding.fix) for finding in found} == {
        ("tallymark.job", "GRANT SELECT ON TABLE tallymark.job TO tallymark_reader;"),
        ("tallymark.alert", "REVOKE SELECT ON TABLE tallymark.alert FROM tallymark_reader;"),
    }
    with psycopg.connect(distributed.url, autocommit=True) as connection:
        for finding in found:
            connection.execute(finding.fix.encode())
    assert [finding for finding in findings(distributed.url) if finding.kind != "setting"] == []
    # And `distribute` gives what is missing.
    with suppress(psycopg.Error), psycopg.connect(distributed.url, autocommit=True) as connection:
        connection.execute(statements[0].encode())
    distribute(distributed.url)
    assert [finding for finding in findings(distributed.url) if finding.kind != "setting"] == []
