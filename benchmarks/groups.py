"""Groups of updates of different jobs, each merged in one call, against the storage floor's single updates."""

from benchmarks.database import Database
from benchmarks.figures import Figure, Goal, Plan, Say
from benchmarks.merges import JOBS
from benchmarks.pgbench import Script
from benchmarks.ratios import compare

#: The figure, the size of a group, and the goal.
_GROUPS = (("group_vs_floor", 32, Goal(0.85)), ("group_8_vs_floor", 8, None))
NAMES = tuple(name for name, _, _ in _GROUPS)
CLIENTS = 8


def group_vs_floor(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure merges in groups of 32 and of 8 over 10,000 jobs with 8 clients.

    Returns:
        The figures of `NAMES`; none where the schema has no `receive_group`.
    """
    if not database.value("SELECT to_regproc('tallymark.receive_group')"):
        say("NOT MEASURED: this schema has no function tallymark.receive_group")
        return []
    jobs = plan.size(JOBS)
    say(f"making 2 x {jobs:,} jobs")
    database.value("SELECT bench.make_jobs('group_', %s)", jobs)
    database.value("SELECT bench.make_jobs('group_floor_', %s)", jobs)
    database.settle()
    return [_measure(database, plan, say, name, size, goal, jobs) for name, size, goal in _GROUPS if plan.wants(name)]


def _measure(database: Database, plan: Plan, say: Say, name: str, size: int, goal: Goal | None, jobs: int) -> Figure:
    before = _updates(database)
    called = 0

    def groups(_pair: int) -> float:
        nonlocal called
        merged = _updates(database)
        done = Script("group.sql", "group_", jobs, clients=CLIENTS, updates=size).run(database, seconds=plan.seconds)
        called += done.transactions
        # An update whose job another group holds is not merged.
        return (_updates(database) - merged) / done.transactions * done.per_second

    def floor(_pair: int) -> float:
        script = Script("floor.sql", "group_floor_", jobs, clients=CLIENTS)
        return script.run(database, seconds=plan.seconds).per_second

    say(f"groups of {size}")
    comparison = compare(groups, floor, plan.pairs, say)
    merged = _updates(database) - before
    verified = database.value(
        "SELECT count(*) FROM generate_series(1, 100) AS n WHERE tallymark.verify_job('group_' || n)"
    )
    return Figure(
        name,
        f"updates a second: groups of {size} jobs in one call / storage floor, {jobs:,} jobs, {CLIENTS} clients",
        comparison.ratios,
        goal,
        (
            comparison.speeds,
            f"{merged:,} of {called * size:,} were merged; the others met a job that another group held",
            f"verify_job is true for {verified} of 100 jobs",
        ),
    )


def _updates(database: Database) -> int:
    query = "SELECT sum(last_seq) FROM tallymark.job WHERE id ~ '^group_[0-9]'"
    return int(database.value(query))
