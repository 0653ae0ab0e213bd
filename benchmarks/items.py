"""What keys of items cost: to send them, and to ask which of them are new."""

import time

from benchmarks.database import Database
from benchmarks.figures import Figure, Plan, Say
from benchmarks.merges import JOBS
from benchmarks.pgbench import Script
from benchmarks.ratios import compare

MANY = 1_000_000
FEW = 1_000
#: How many keys an update and a question may have.
_AT_ONCE = 1_000
_TYPE = "pages"


def keys_vs_counts(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure updates with 50 new keys of items against updates with a number, over 1,000 jobs with 8 clients.

    Returns:
        The figure `keys_50`.
    """
    jobs = plan.size(JOBS // 10)
    database.value("SELECT bench.make_jobs('keys_', %s)", jobs)
    database.value("SELECT bench.make_jobs('counts_', %s)", jobs)
    database.settle()

    def with_keys(_pair: int) -> float:
        return Script("keys.sql", "keys_", jobs, clients=8).run(database, seconds=plan.seconds).per_second

    def with_counts(_pair: int) -> float:
        return Script("merge.sql", "counts_", jobs, clients=8).run(database, seconds=plan.seconds).per_second

    comparison = compare(with_keys, with_counts, plan.pairs, say)
    what = f"merge of an update with 50 keys of items / with a number, {jobs:,} jobs, 8 clients"
    return [Figure("keys_50", what, comparison.ratios, notes=(comparison.speeds, _bytes_a_key(database)))]


def unseen(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure `unseen_items` with 1,000 keys, of which the job knows half: one with 1,000,000 keys, one with 1,000.

    Returns:
        The figure `unseen`.
    """
    many = plan.size(MANY)
    for job, keys in (("unseen_many", many), ("unseen_few", FEW)):
        say(f"counting {keys:,} keys")
        _count_keys(database, job, keys)
    database.connection.execute("VACUUM (ANALYZE) tallymark.job_item")
    database.settle()

    def ask(job: str, known: int) -> float:
        # Other keys in each call, half of them from all over what is known.
        query = (
            "SELECT cardinality(tallymark.unseen_items(%s, %s, array_agg(%s::text || '/' || CASE WHEN n %% 2 = 0"
            " THEN (random() * (%s - 1))::bigint + 1 ELSE -n END))) FROM generate_series(1, %s) AS n"
        )
        end = time.monotonic() + plan.seconds
        calls = 0
        start = time.monotonic()
        while time.monotonic() < end:
            database.value(query, job, _TYPE, job, known, _AT_ONCE)
            calls += 1
        return calls / (time.monotonic() - start)

    comparison = compare(lambda _: ask("unseen_many", many), lambda _: ask("unseen_few", FEW), plan.pairs, say)
    took = f"{1000 / comparison.first.median:.1f} ms a call against {1000 / comparison.second.median:.1f} ms"
    what = f"unseen_items of {_AT_ONCE:,} keys, half of them known, in {many:,} keys / in {FEW:,}, 1 client"
    return [Figure("unseen", what, comparison.ratios, notes=(took, _bytes_a_key(database)))]


def _count_keys(database: Database, job: str, keys: int) -> None:
    database.value("SELECT tallymark.create_job(%s)", job)
    for first in range(1, keys + 1, _AT_ONCE):
        database.value(
            "SELECT tallymark.merge_progress(%s, jsonb_build_object('taskId', %s::text, 'timestamp', clock_timestamp(),"
            " 'status', 'processing', 'itemKeys', jsonb_build_object(%s::text, jsonb_agg(%s::text || '/' || n))))"
            " FROM generate_series(%s::bigint, %s::bigint) AS n",
            *(job, job, _TYPE, job, first, min(first + _AT_ONCE - 1, keys)),
        )


def _bytes_a_key(database: Database) -> str:
    return str(
        database.value(
            "SELECT pg_table_size(c) / n || ' bytes a key in the table, ' || pg_indexes_size(c) / n || ' in its index'"
            " FROM (SELECT 'tallymark.job_item'::regclass, greatest(count(*), 1) FROM tallymark.job_item) AS i (c, n)"
        )
    )
