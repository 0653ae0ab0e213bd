"""Batches against single updates: what it saves to send many in one call."""

from benchmarks.database import Database
from benchmarks.figures import Figure, Goal, Plan, Say
from benchmarks.pgbench import Script
from benchmarks.ratios import compare


def batch_of_50(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure batches of 50 updates of one job against single updates of one job, each with one client.

    Returns:
        The figure `batch_50`, in updates per second.
    """
    return [_measure(database, plan, say, "batch_50", updates=50, jobs=1, goal=Goal(12))]


def batch_of_1000(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure batches of 1,000 updates over 100 jobs against single updates over 100 jobs, each with one client.

    Returns:
        The figure `batch_1000`, in updates per second.
    """
    return [_measure(database, plan, say, "batch_1000", updates=1000, jobs=100, goal=None)]


def _measure(
    database: Database, plan: Plan, say: Say, name: str, *, updates: int, jobs: int, goal: Goal | None
) -> Figure:
    database.value("SELECT bench.make_jobs(%s, %s)", f"{name}_", jobs)
    database.value("SELECT bench.make_jobs(%s, %s)", f"{name}_single_", jobs)
    database.settle()

    def batches(_pair: int) -> float:
        script = Script("batch.sql", f"{name}_", jobs, updates=updates)
        return script.run(database, seconds=plan.seconds).per_second * updates

    def singles(_pair: int) -> float:
        return Script("merge.sql", f"{name}_single_", jobs).run(database, seconds=plan.seconds).per_second

    comparison = compare(batches, singles, plan.pairs, say)
    verified = database.value(
        "SELECT bool_and(tallymark.verify_job(%s || n)) FROM generate_series(1, %s) AS n", f"{name}_", jobs
    )
    what = f"updates a second: batches of {updates} / single updates, {jobs} job{'s' if jobs > 1 else ''}, 1 client"
    notes = (comparison.speeds, f"verify_job is {str(verified).lower()} for the jobs of the batches")
    return Figure(name, what, comparison.ratios, goal, notes)
