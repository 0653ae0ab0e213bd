"""What an update costs on a cluster of Citus, against plain PostgreSQL: processor time on each node, and statements."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Literal, NamedTuple

import psycopg
from psycopg.types.json import Jsonb

from benchmarks.callers import Call, Caller, Place, Update, callers, run
from benchmarks.citus_nodes import SHARDS, Cluster, Node, cluster
from benchmarks.cpu import used
from benchmarks.database import Database
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, Plan, Say
from benchmarks.ratios import Side, compare

JOBS = 1_000
CLIENTS = 8

_SHOWN = "{:,.0f} updates a second of processor time"
#: How often a call is made before its statements are counted: then every plan that is kept is there.
_WARM = 30


class Case(NamedTuple):
    """A call that is measured on both sides.

    Attributes:
        name: The figure's.
        what: What is called, for people.
        call: It.
        where: What the callers are connected to: the coordinator, the workers in turn, or the worker of each job.
    """

    name: str
    what: str
    call: Call
    where: Literal["coordinator", "workers", "home"] = "coordinator"


def _single(updates: Sequence[Update]) -> Sequence[object]:
    return [updates[0]["taskId"], Jsonb(updates[0])]


def _group(updates: Sequence[Update]) -> Sequence[object]:
    return [list(map(Jsonb, updates))]


def _for_job(updates: Sequence[Update]) -> Sequence[object]:
    return [updates[0]["taskId"], list(map(Jsonb, updates)), [None] * len(updates), [None] * len(updates)]


def _batch_for_job(updates: Sequence[Update]) -> Sequence[object]:
    return [updates[0]["taskId"], [Jsonb(updates)], [None], [None]]


def _batch(updates: Sequence[Update]) -> Sequence[object]:
    return [Jsonb(updates)]


_MERGE = "SELECT tallymark.merge_progress(%s::text, %s::jsonb)"
#: Citus hands on to a node only what is a statement by itself.
_WITHIN = (
    "SELECT CASE WHEN set_config('lock_timeout', '2s', true) IS NOT NULL"
    " THEN tallymark.merge_progress(%s::text, %s::jsonb) END"
)
_GROUP = "SELECT answer, refusal, held FROM tallymark.receive_group(%s::jsonb[])"
_FOR_JOB = "SELECT tallymark.receive_for_job(%s::text, %s::jsonb[], %s::text[], %s::text[], false, 1000, false)"
_BATCH = "SELECT tallymark.merge_progress_batch(%s::jsonb)"

CASES = (
    Case("citus_merge", "merge_progress by itself, which runs on the node of its job", Call(_MERGE, _single)),
    Case("citus_merge_within", "merge_progress within an expression, on the coordinator", Call(_WITHIN, _single)),
    Case("citus_merge_workers", "merge_progress by itself, called on the workers", Call(_MERGE, _single), "workers"),
    Case(
        "citus_merge_home", "merge_progress by itself, called on the worker of its job", Call(_MERGE, _single), "home"
    ),
    Case("citus_for_job_1", "receive_for_job with an update", Call(_FOR_JOB, _for_job, 1, True)),
    Case("citus_for_job_8", "receive_for_job with 8 updates", Call(_FOR_JOB, _for_job, 8, True)),
    Case("citus_for_job_32", "receive_for_job with 32 updates", Call(_FOR_JOB, _for_job, 32, True)),
    Case("citus_group_8_one", "receive_group with 8 updates of a job", Call(_GROUP, _group, 8, True)),
    Case("citus_group_32_one", "receive_group with 32 updates of a job", Call(_GROUP, _group, 32, True)),
    Case("citus_group_8", "receive_group with 8 jobs", Call(_GROUP, _group, 8)),
    Case("citus_group_32", "receive_group with 32 jobs", Call(_GROUP, _group, 32)),
    Case("citus_for_job_50", "receive_for_job with a batch of 50", Call(_FOR_JOB, _batch_for_job, 50, True)),
    Case("citus_batch_50", "merge_progress_batch with 50 updates of a job", Call(_BATCH, _batch, 50, True)),
)
NAMES = tuple(case.name for case in CASES)


def citus(_database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure each call on a distributed database and on a plain one of the same server, over 1,000 jobs, 8 clients.

    The cluster is the one whose coordinator `CITUS_URL` names, with all of its nodes on this machine.

    Returns:
        The figures of `NAMES`; none without a cluster.
    """
    url = os.environ.get("CITUS_URL")
    if not url:
        say("NOT MEASURED: CITUS_URL names no cluster of Citus")
        return []
    with ExitStack() as running:
        try:
            made = running.enter_context(cluster(url, say))
        except BenchmarkError as error:
            say(f"NOT MEASURED: {error}")
            return []
        jobs = [f"bench_{number}" for number in range(1, plan.size(JOBS) + 1)]
        for database in (made.plain, made.coordinator):
            say(f"making {len(jobs):,} jobs")
            _make_jobs(database, jobs)
        return [_measured(made, case, jobs, plan, say) for case in CASES if plan.wants(case.name)]


def _make_jobs(database: Database, jobs: Sequence[str]) -> None:
    """Register jobs, each with one update, so that their rows have their full size."""
    with callers(Call(_MERGE, _single), [Place(database, jobs)], 1) as [caller]:
        for job in jobs:
            database.value("SELECT tallymark.create_job(%s)", job)
            caller.once(job)


@dataclass(slots=True)
class Slices:
    """What the slices of one side gave; the first one does not count.

    Attributes:
        cpu_us: The processor time that each node takes for an update, in microseconds, the coordinator first.
        per_second: Updates a second.
    """

    cpu_us: list[tuple[float, ...]] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)


def _measured(made: Cluster, case: Case, jobs: Sequence[str], plan: Plan, say: Say) -> Figure:
    """Compare the processor time of an update: on all nodes on one side, on the coordinator's server on the other."""
    say(case.what)
    distributed, plain = Slices(), Slices()

    def side(calling: Sequence[Caller], nodes: Sequence[Node], slices: Slices) -> Side:
        def slice_of(pair: int) -> float:
            before = [used(node.server) for node in nodes]
            merged, seconds = run(calling, plan.seconds)
            if not merged:
                raise BenchmarkError(f"no update was merged: {case.what}")
            cpu_us = tuple((used(node.server) - b) * 1e6 / merged for node, b in zip(nodes, before, strict=True))
            if pair:
                slices.cpu_us.append(cpu_us)
                slices.per_second.append(merged / seconds)
            return 1e6 / sum(cpu_us)

        return slice_of

    with (
        callers(case.call, _places(made, case, jobs), CLIENTS) as on_cluster,
        callers(case.call, [Place(made.plain, jobs)], CLIENTS) as on_plain,
    ):
        comparison = compare(
            side(on_cluster, made.nodes, distributed), side(on_plain, made.nodes[:1], plain), plan.pairs, say, _SHOWN
        )
    coordinator = tuple(each[0] for each in distributed.cpu_us)
    workers = tuple(sum(each[1:]) for each in distributed.cpu_us)
    server = tuple(each[0] for each in plain.cpu_us)
    costs = (
        f"an update takes {median(coordinator):,.0f} us of the coordinator and {median(workers):,.0f} us of the "
        f"workers, {median(server):,.0f} us of a plain server"
    )
    speeds = (
        f"updates a second, with the nodes and the callers on the same cores: {median(distributed.per_second):,.0f} "
        f"against {median(plain.per_second):,.0f}; {len(jobs):,} jobs, {SHARDS} shards, {CLIENTS} clients"
    )
    return Figure(
        case.name,
        f"processor time of an update on plain PostgreSQL / on a cluster of {len(made.nodes)} nodes: {case.what}",
        comparison.ratios,
        notes=(costs, _statements(made, case, jobs), speeds),
        details={
            "coordinator_us": coordinator,
            "workers_us": workers,
            "plain_us": server,
            "per_second": tuple(distributed.per_second),
            "plain_per_second": tuple(plain.per_second),
        },
    )


def _places(made: Cluster, case: Case, jobs: Sequence[str]) -> list[Place]:
    if case.where == "coordinator":
        return [Place(made.coordinator, jobs)]
    if case.where == "workers":
        return [Place(worker, jobs) for worker in made.workers]
    homes = {job: made.worker_of(job) for job in jobs}
    return [Place(worker, [job for job in jobs if homes[job] is worker]) for worker in made.workers]


def _statements(made: Cluster, case: Case, jobs: Sequence[str]) -> str:
    """Count what is sent to other nodes for a call, and what runs on the shards of the node that is called."""
    sent = _counted(made.coordinator, case.call, jobs, None)
    job = jobs[0]
    local = _counted(made.worker_of(job), case.call, jobs, job)
    updates = "an update" if case.call.updates == 1 else f"{case.call.updates} updates"
    return (
        f"for {updates} the coordinator sends {sent['issuing']} commands to workers; called on the node of its job, "
        f"it runs {local['executing']} statements on shards"
    )


def _counted(database: Database, call: Call, jobs: Sequence[str], job: str | None) -> dict[str, int]:
    """Count the notices with which Citus tells what it does, for one call when all plans are there."""
    counted = {"issuing": 0, "executing": 0}

    def note(notice: psycopg.errors.Diagnostic) -> None:
        word = (notice.message_primary or "").split(" ", 1)[0]
        if word in counted:
            counted[word] += 1

    settings = (
        "SET client_min_messages = notice",
        "SET citus.log_remote_commands = on",
        "SET citus.log_local_commands = on",
    )
    with callers(call, [Place(database, jobs)], 1) as [caller]:
        for _ in range(_WARM):
            caller.once(job)
        for setting in settings:
            caller.connection.execute(setting.encode())
        caller.connection.add_notice_handler(note)
        caller.once(job)
    return counted
