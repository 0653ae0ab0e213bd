"""The SQL of this tree against that of another commit, on one PostgreSQL server."""

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from benchmarks.cpu import postmaster, used
from benchmarks.database import Database, database as another
from benchmarks.figures import Figure, Goal, Plan, Say
from benchmarks.groups import CLIENTS
from benchmarks.merges import JOBS
from benchmarks.pgbench import Script
from benchmarks.ratios import Spread, compare
from benchmarks.trees import THIS, unpacked


class Work(NamedTuple):
    """What is run on both sides.

    Attributes:
        name: The end of the figure's name.
        what: It, for people.
        script: The script of pgbench, on which jobs, and with how many updates.
    """

    name: str
    what: str
    script: str
    jobs: int
    clients: int
    updates: int = 1


_WORK = (
    Work("merge", "merge_progress", "merge.sql", JOBS, CLIENTS),
    Work("group_32", "receive_group with 32 jobs", "group.sql", JOBS, CLIENTS, 32),
    Work("batch_50", "merge_progress_batch with 50 updates of a job", "batch.sql", 1, 1, 50),
    Work("keys_50", "merge_progress with 50 new keys of items", "keys.sql", JOBS // 10, CLIENTS),
)
NAMES = tuple(f"sql_before_{work.name}" for work in _WORK)
_GOAL = Goal(0.95)


@dataclass(slots=True)
class Side:
    """The database of one tree, on the server that both share.

    Attributes:
        database: It.
        server: The server's main process; None where it is not on this machine.
        cpu_us: What a call cost in each slice, in microseconds of PostgreSQL's processor time.
    """

    database: Database
    server: psutil.Process | None
    cpu_us: list[float] = field(default_factory=list)

    def run(self, script: Script, plan: Plan, pair: int) -> float:
        """Run a slice, and return calls a second."""
        before = used(self.server) if self.server else 0.0
        done = script.run(self.database, seconds=plan.seconds)
        if pair and self.server:
            self.cpu_us.append((used(self.server) - before) * 1e6 / done.transactions)
        return done.per_second


def sql_before(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure this tree's functions against those of the commit of `--before`.

    Returns:
        The figures of `NAMES`, in calls a second; none without the option.
    """
    if plan.before is None:
        say("NOT MEASURED: there is no commit to compare with: name one with --before COMMIT")
        return []
    with ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="tallymark-before-")))
        tree = running.enter_context(unpacked(plan.before, plan.before[:10], directory, say))
        databases = [running.enter_context(another(database.url, say, each)) for each in (THIS, tree)]
        return [
            _measured(work, [Side(each, postmaster(each)) for each in databases], plan, say)
            for work in _WORK
            if plan.wants(f"sql_before_{work.name}")
        ]


def _measured(work: Work, sides: list[Side], plan: Plan, say: Say) -> Figure:
    prefix, jobs = f"{work.name}_", plan.size(work.jobs)
    say(f"{work.what}: making 2 x {jobs:,} jobs")
    for side in sides:
        side.database.value("SELECT bench.make_jobs(%s, %s)", prefix, jobs)
        side.database.settle()
    script = Script(work.script, prefix, jobs, clients=work.clients, updates=work.updates)
    now, before = sides
    comparison = compare(
        lambda pair: now.run(script, plan, pair), lambda pair: before.run(script, plan, pair), plan.pairs, say
    )
    commit = (plan.before or "")[:10]
    of_what = f"{jobs:,} job{'s' if jobs > 1 else ''}, {work.clients} client{'s' if work.clients > 1 else ''}"
    return Figure(
        f"sql_before_{work.name}",
        f"{work.what} / the same with the SQL of {commit}, {of_what}",
        comparison.ratios,
        _GOAL,
        (comparison.speeds, *_costs(now, before, commit)),
        {"now_cpu_us": tuple(now.cpu_us), "before_cpu_us": tuple(before.cpu_us)},
    )


def _costs(now: Side, before: Side, commit: str) -> tuple[str, ...]:
    """Say what a call costs; unlike a speed, it depends little on what else the machine does."""
    if not now.cpu_us:
        return ()
    ratios = Spread(tuple(b / n for n, b in zip(now.cpu_us, before.cpu_us, strict=True)))
    costs = f"{median(now.cpu_us):,.0f} us, with the SQL of {commit} {median(before.cpu_us):,.0f} us"
    return (
        f"CPU of PostgreSQL a call: {costs}; before / now {ratios.median:.3f} ({ratios.low:.3f}..{ratios.high:.3f})",
    )
