"""What a long history costs: Tallymark against itself on a short one, and against the design that it replaces."""

from benchmarks.database import Database
from benchmarks.figures import Figure, Goal, Plan, Say
from benchmarks.pgbench import Script
from benchmarks.ratios import compare

LONG = 100_000
SHORT = 100
#: A short history must stay short, so its slices end after so many updates for each second that a slice may take.
UPDATES_PER_SECOND = 200
#: Such slices are short, so there are more of them.
TIMES_AS_MANY = 3

SEED_JOBS = 20
SEED_EVENTS = 2_000


def long_history(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure merges into a job with 100,000 events against a job with 100, with one client.

    Returns:
        The figure `long_history`.
    """
    events = plan.size(LONG)
    pairs = plan.pairs * TIMES_AS_MANY
    transactions = plan.seconds * UPDATES_PER_SECOND
    say(f"making a history of {events:,} events, and {pairs + 1} of {SHORT}")
    database.value("SELECT bench.make_history('long_1', %s)", events)
    query = "SELECT count(bench.make_history('short_' || n || '_1', %s)) FROM generate_series(0, %s) AS n"
    database.value(query, SHORT, pairs)
    database.settle()

    def long(_pair: int) -> float:
        return Script("merge.sql", "long_").run(database, transactions=transactions).per_second

    def short(pair: int) -> float:
        # Each slice has a job of its own, which is as short as the last one's was.
        return Script("merge.sql", f"short_{pair}_").run(database, transactions=transactions).per_second

    comparison = compare(long, short, pairs, say)
    query = "SELECT count(*) FROM generate_series(0, %s) AS n WHERE tallymark.verify_job('short_' || n || '_1')"
    verified = database.value(query, pairs)
    what = f"a merge into {events:,} events / into {SHORT}, 1 client"
    verdict = f"verify_job is true for {verified} of {pairs + 1} short ones"
    return [Figure("long_history", what, comparison.ratios, Goal(0.95), (comparison.speeds, verdict))]


def against_seed_design(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure the merge against the design with the timeline inside the row: 20 jobs of 2,000 events, 4 clients.

    Returns:
        The figure `against_seed_design`.
    """
    events = plan.size(SEED_EVENTS)
    say(f"making 2 x {SEED_JOBS} jobs of {events:,} events")
    query = "SELECT count(bench.make_history('ours_' || n, %s)) FROM generate_series(1, %s) AS n"
    database.value(query, events, SEED_JOBS)
    database.run_file("seed_design.sql")
    database.value("SELECT bench.make_seed_jobs('seed_', %s, %s)", SEED_JOBS, events)
    database.connection.execute("VACUUM (ANALYZE) bench.seed_job")
    database.settle()

    def ours(_pair: int) -> float:
        return Script("merge.sql", "ours_", SEED_JOBS, clients=4).run(database, seconds=plan.seconds).per_second

    def seed(_pair: int) -> float:
        return Script("seed_merge.sql", "seed_", SEED_JOBS, clients=4).run(database, seconds=plan.seconds).per_second

    comparison = compare(ours, seed, plan.pairs, say)
    what = f"merge_progress / the seed's design, {SEED_JOBS} jobs of {events:,} events, 4 clients"
    return [Figure("against_seed_design", what, comparison.ratios, Goal(20), (comparison.speeds,))]
