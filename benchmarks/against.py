"""The endpoint of this tree against that of another commit, with the disk as it is and with a slow one."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.database import Database, database as another
from benchmarks.endpoint import JOBS, has_wrk
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, Goal, Plan, Say
from benchmarks.ratios import Spread, compare
from benchmarks.side import Side, product
from benchmarks.slow_disk import FSYNC_MS, slow_disk_server
from benchmarks.trees import THIS, unpacked

#: The goal of the ratio for each number of connections.
GOALS = {1: 0.95, 16: 1.8, 64: 1.8, 200: 1.8}
NAMES = tuple(name for n in GOALS for name in (f"against_before_{n}", f"against_before_p99_{n}"))
SLOW_NAMES = ("slow_disk_16", "slow_disk_p99_16", "slow_disk_hot", "slow_disk_p99_hot")

_SLOW_CONNECTIONS = 16
_HOT = "hot_"
_WIDE = "wide_"


class Sides(NamedTuple):
    """The same load on two trees."""

    now: Side
    before: Side


def against_before(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure this tree's endpoint against that of the commit of `--before`, over 1, 16, 64 and 200 connections.

    Returns:
        The figures of `NAMES`; none without the option or without wrk.
    """
    if not _can_measure(plan, say):
        return []
    figures: list[Figure] = []
    jobs = plan.size(JOBS)
    with _both(database.url, (_WIDE, jobs), plan, say) as sides:
        for connections, goal in GOALS.items():
            names = (f"against_before_{connections}", f"against_before_p99_{connections}")
            if plan.wants(*names):
                what = f"{jobs:,} jobs, {connections} connection{'s' if connections > 1 else ''}"
                figures += _compared(names, what, sides, connections, Goal(goal), plan, say)
    return figures


def slow_disk(_database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure the same over 16 connections where a flush to the disk takes 2 ms, over 1,000 jobs and on one.

    The PostgreSQL server is one of its own, also where `DATABASE_URL` names another.

    Returns:
        The figures of `SLOW_NAMES`; none without the option, wrk or a C compiler.
    """
    if not _can_measure(plan, say):
        return []
    figures: list[Figure] = []
    with ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="tallymark-slow-disk-")))
        try:
            server = running.enter_context(slow_disk_server(directory, say))
        except BenchmarkError as error:
            say(f"NOT MEASURED: {error}")
            return []
        for name, prefix, jobs in (("16", _WIDE, plan.size(JOBS)), ("hot", _HOT, 1)):
            names = (f"slow_disk_{name}", f"slow_disk_p99_{name}")
            if not plan.wants(*names):
                continue
            what = f"{jobs:,} job{'s' if jobs > 1 else ''}, {_SLOW_CONNECTIONS} connections, fsync takes {FSYNC_MS} ms"
            with _both(server.url, (prefix, jobs), plan, say) as sides:
                found = _compared(names, what, sides, _SLOW_CONNECTIONS, Goal(1.8), plan, say)
            first = found[0]
            figures += [
                Figure(first.name, first.what, first.spread, first.goal, (*first.notes, server.note), first.details)
            ]
            figures += found[1:]
    return figures


def _can_measure(plan: Plan, say: Say) -> bool:
    if plan.before is None:
        say("NOT MEASURED: there is no commit to compare with: name one with --before COMMIT")
        return False
    return has_wrk(say)


@contextmanager
def _both(url: str, jobs: tuple[str, int], plan: Plan, say: Say) -> Iterator[Sides]:
    """Run both trees' web servers, each with a database of its own on the same PostgreSQL server."""
    with ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="tallymark-before-")))
        commit = plan.before or ""
        before = running.enter_context(unpacked(commit, commit[:10], directory, say))
        for tree in (THIS, before):
            say(f"{tree.name}: tallymark is imported from {tree.imported()}")
        sides = []
        for tree in (THIS, before):
            database = running.enter_context(another(url, say, tree))
            sides.append(running.enter_context(product(database, jobs, tree)))
        yield Sides(*sides)


def _compared(
    names: tuple[str, str], what: str, sides: Sides, connections: int, goal: Goal, plan: Plan, say: Say
) -> list[Figure]:
    now, now_slices = sides.now.over(connections, plan)
    before, before_slices = sides.before.over(connections, plan)
    say(what)
    comparison = compare(now, before, plan.pairs, say)
    commit = (plan.before or "")[:10]
    waits = tuple(a / b for a, b in zip(now_slices.p99_ms, before_slices.p99_ms, strict=True))
    costs = median(a.both / b.both for a, b in zip(now_slices.cpu, before_slices.cpu, strict=True))
    notes = (
        comparison.speeds,
        *now_slices.notes("this tree"),
        *before_slices.notes(commit),
        f"CPU an update, web and PostgreSQL together: {costs:.2f} of that of {commit}",
        *(f"this tree: {line}" for line in sides.now.tally()),
        *(f"{commit}: {line}" for line in sides.before.tally()),
    )
    details = {**now_slices.details("now"), **before_slices.details("before")}
    return [
        Figure(names[0], f"the endpoint / that of {commit}, {what}", comparison.ratios, goal, notes, details),
        Figure(
            names[1],
            f"p99 of the endpoint's latency / of that of {commit}, {what}",
            Spread(waits),
            Goal(1.0, at_most=True),
            notes[1:3],
        ),
    ]
