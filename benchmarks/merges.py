"""The merge against the storage floor: over many jobs, and on one that everybody reports on."""

import time
from typing import NamedTuple

from benchmarks.database import Database
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, Goal, Plan, Say
from benchmarks.pgbench import Script
from benchmarks.ratios import Spread, compare

JOBS = 10_000
_STATISTICS_SECONDS = 10.0


class Updates(NamedTuple):
    """How many rows of `tallymark.job` were updated, and how many of them stayed on their page."""

    all: int
    hot: int


def merge_vs_floor(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure the merge over 10,000 jobs with 8 clients, and the share of HOT updates in its runs.

    Returns:
        The figures `merge_vs_floor` and `hot_updates`.
    """
    jobs = plan.size(JOBS)
    say(f"making 2 x {jobs:,} jobs")
    database.value("SELECT bench.make_jobs('merge_', %s)", jobs)
    database.value("SELECT bench.make_jobs('floor_', %s)", jobs)
    database.settle()
    hot: list[float] = []

    def merge(pair: int) -> float:
        before = updates(database)
        done = Script("merge.sql", "merge_", jobs, clients=8).run(database, seconds=plan.seconds)
        after = _updates_since(database, before, done.transactions)
        if pair:
            hot.append(after.hot / after.all)
        return done.per_second

    def floor(_pair: int) -> float:
        return Script("floor.sql", "floor_", jobs, clients=8).run(database, seconds=plan.seconds).per_second

    comparison = compare(merge, floor, plan.pairs, say)
    verified = database.value(
        "SELECT count(*) FROM generate_series(1, 100) AS n WHERE tallymark.verify_job('merge_' || n)"
    )
    return [
        Figure(
            "merge_vs_floor",
            f"merge_progress / storage floor, {jobs:,} jobs, 8 clients",
            comparison.ratios,
            Goal(0.80),
            (comparison.speeds, f"verify_job is true for {verified} of 100 jobs"),
        ),
        Figure("hot_updates", "share of HOT updates in the merge's runs", Spread(tuple(hot)), Goal(0.95)),
    ]


def hot_job(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure the merge with 16 clients that all report on one job.

    Returns:
        The figure `hot_job`.
    """
    database.value("SELECT bench.make_jobs('hot_merge_', 1)")
    database.value("SELECT bench.make_jobs('hot_floor_', 1)")
    database.settle()

    def merge(_pair: int) -> float:
        return Script("merge.sql", "hot_merge_", clients=16).run(database, seconds=plan.seconds).per_second

    def floor(_pair: int) -> float:
        return Script("floor.sql", "hot_floor_", clients=16).run(database, seconds=plan.seconds).per_second

    comparison = compare(merge, floor, plan.pairs, say)
    verified = database.value("SELECT tallymark.verify_job('hot_merge_1')")
    notes = (comparison.speeds, f"verify_job is {str(verified).lower()} for the job")
    what = "merge_progress / storage floor, one job, 16 clients"
    return [Figure("hot_job", what, comparison.ratios, Goal(0.80), notes)]


def updates(database: Database) -> Updates:
    """Read PostgreSQL's count of updates.

    Returns:
        What is known by now; what running connections did comes later.
    """
    query = b"SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_all_tables WHERE relid = 'tallymark.job'::regclass"
    row = database.connection.execute(query).fetchone()
    return Updates(*row) if row else Updates(0, 0)


def _updates_since(database: Database, before: Updates, transactions: int) -> Updates:
    """Wait until the statistics know of all transactions of a run, each of which is one update."""
    give_up = time.monotonic() + _STATISTICS_SECONDS
    while True:
        now = updates(database)
        since = Updates(now.all - before.all, now.hot - before.hot)
        if since.all >= transactions:
            return since
        if time.monotonic() > give_up:
            raise BenchmarkError(f"the statistics know of {since.all:,} updates, not of {transactions:,}")
        time.sleep(0.05)
