"""How long crawlers wait while others hold something up: a job's row in the database, or a body that never comes."""

import asyncio
import os
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import psycopg

from benchmarks.database import Database, database as another
from benchmarks.figures import Figure, Goal, Plan, Say
from benchmarks.own_server import own_server
from benchmarks.paced import Crawler, Reports, Unfinished, crowd
from benchmarks.ratios import compare
from benchmarks.serving import PRODUCT, Server, serving

CRAWLERS = 30
#: Seconds from one update of a crawler to the next.
INTERVAL = 0.1
SOCKETS = 64
HELD_NAMES = ("held_job_p99", "held_job_prepared_p99")
HALF_NAMES = ("half_bodies_p99",)

_GOAL = Goal(1.5, at_most=True)
_PREFIX = "waits_"
_HELD = "held_1"
#: How the transaction that was forgotten is called.
_FORGOTTEN = "tallymark_benchmark"
_REST_SECONDS = 0.3
_PATIENCE_SECONDS = 40.0
#: Answers that are no fault of the server's.
_EXPECTED = {"200", "503 with Retry-After"}


class Place(NamedTuple):
    """A server with jobs, and who reports there."""

    server: Server
    database: Database
    token: str

    def crawlers(self, job: Callable[[int], str]) -> list[Crawler]:
        """Make crawlers; `job` says which one reports on what."""
        port, token = self.server.port, self.token
        return [Crawler(port, token, job(n), n, INTERVAL) for n in range(1, CRAWLERS + 1)]

    def ledgers(self, prefix: str) -> int:
        """Return how many updates the jobs with this prefix have."""
        query = "SELECT sum(last_seq) FROM tallymark.job WHERE starts_with(id, %s)"
        return int(self.database.value(query, prefix))


class Watched:
    """The crawlers whose waits are measured, in the slices of one side."""

    def __init__(self, place: Place, plan: Plan) -> None:
        """Nothing is measured yet."""
        self.place = place
        self.seconds = float(plan.seconds)
        self.total = Reports()
        self.held = Reports()
        self._own_cpu: list[float] = []
        self._ordinary = place.crawlers(lambda n: f"{_PREFIX}{n}")

    async def report(self, others: list[Crawler], after: Callable[[], Awaitable[None]] | None = None) -> float:
        """Report for the time of a slice.

        Returns:
            The p99 of the waits, in milliseconds.
        """
        began, used = time.monotonic(), time.process_time()
        paced, free = await crowd(self._ordinary, others, self.seconds, after)
        self._own_cpu.append((time.process_time() - used) / (time.monotonic() - began))
        self.total.add(paced)
        self.held.add(free)
        return quantiles(paced.waits, n=100)[98] * 1000

    def notes(self, name: str) -> tuple[str, ...]:
        """Say how many updates there were, and how they were answered."""
        total = self.total
        p50 = median(total.waits) * 1000
        return (
            f"{name}: {len(total.waits):,} updates were due, {total.late:,} acknowledged after the slice",
            f"{name}: p50 {p50:.1f} ms; answers: {total.line}",
            f"{name}: the crawlers' own process takes {median(self._own_cpu):.2f} of a core",
        )


def held_job(_database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure the p99 of 30 crawlers while a transaction holds the row of a job that 30 others report on.

    The PostgreSQL server is one of its own, also where `DATABASE_URL` names another: a prepared transaction needs a
    setting.

    Returns:
        The figures of `HELD_NAMES`: an open transaction, and a forgotten prepared one.
    """
    figures: list[Figure] = []
    with ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="tallymark-held-")))
        server = running.enter_context(own_server(directory, say, {"max_prepared_transactions": "10"}))
        place = running.enter_context(_place(server.url, say))
        for name, how, hold in (
            (HELD_NAMES[0], "an open transaction", _open_transaction),
            (HELD_NAMES[1], "a forgotten prepared transaction", _prepared_transaction),
        ):
            if plan.wants(name):
                figures.append(_held(name, how, partial(hold, place.database.url), place, plan, say))
    return figures


def half_bodies(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure the p99 of 30 crawlers beside 64 connections that sent headers and half a body.

    Returns:
        The figure `half_bodies_p99`.
    """
    with _place(database.url, say) as place:
        before = place.ledgers(_PREFIX)
        beside, alone = Watched(place, plan), Watched(place, plan)

        async def among_them(_pair: int) -> float:
            sockets = Unfinished()
            await sockets.open(place.server.port, place.token, f"{_PREFIX}1", SOCKETS)
            await asyncio.sleep(_REST_SECONDS)
            p99 = await beside.report([], sockets.close)
            await asyncio.sleep(_REST_SECONDS)
            return p99

        comparison = compare(
            lambda pair: asyncio.run(among_them(pair)),
            lambda _pair: asyncio.run(alone.report([])),
            plan.pairs,
            say,
            "{:,.1f} ms",
        )
        notes = (
            comparison.speeds,
            *beside.notes("beside them"),
            *alone.notes("without them"),
            _exact(place.ledgers(_PREFIX) - before, beside.total, alone.total),
            asyncio.run(_answers_to_half_bodies(place, 5.0 if plan.quick else _PATIENCE_SECONDS, say)),
        )
    what = f"p99 of {CRAWLERS} crawlers beside {SOCKETS} connections with half a body / without"
    return [Figure(HALF_NAMES[0], what, comparison.ratios, _GOAL, notes)]


async def _answers_to_half_bodies(place: Place, seconds: float, say: Say) -> str:
    """Open the connections once more, and say what they are answered within a limited time."""
    say(f"waiting until the {SOCKETS} are answered, at most {seconds:g} s")
    sockets = Unfinished()
    await sockets.open(place.server.port, place.token, f"{_PREFIX}1", SOCKETS)
    began = time.monotonic()
    await sockets.answered(seconds)
    took = time.monotonic() - began
    answers = sockets.answers
    await sockets.close()
    others = ", ".join(f"{status or 'closed'}: {n}" for status, n in sorted(answers.items()) if status != 408)
    return f"answered 408: {answers[408]} of {SOCKETS} within {took:.1f} s; otherwise: {others or 'none'}"


@contextmanager
def _place(url: str, say: Say) -> Iterator[Place]:
    """Run the product's web server on a database of its own, with a job for each crawler."""
    token = secrets.token_urlsafe(24)
    with another(url, say) as database:
        database.value("SELECT bench.make_jobs(%s, %s)", _PREFIX, CRAWLERS)
        database.value("SELECT bench.make_jobs('held_', 1)")
        database.settle()
        environ = {"DATABASE_URL": database.url, "CRAWLER_API_TOKEN": token, "TALLYMARK_LOG_LEVEL": "critical"}
        with serving(PRODUCT, os.environ | environ) as server:
            yield Place(server, database, token)


def _held(name: str, how: str, hold: Callable[[], "Holder"], place: Place, plan: Plan, say: Say) -> Figure:
    before, held_before = place.ledgers(_PREFIX), place.ledgers(_HELD)
    held, free = Watched(place, plan), Watched(place, plan)
    blocked = place.crawlers(lambda _n: _HELD)
    holders = 0

    async def while_held(_pair: int) -> float:
        nonlocal holders
        holder = await asyncio.to_thread(hold)
        holders += 1
        p99 = await held.report(blocked, partial(asyncio.to_thread, holder.let_go))
        await asyncio.sleep(_REST_SECONDS)
        return p99

    say(f"a job is held by {how}")
    comparison = compare(
        lambda pair: asyncio.run(while_held(pair)),
        lambda _pair: asyncio.run(free.report([])),
        plan.pairs,
        say,
        "{:,.1f} ms",
    )
    others = {kind: number for kind, number in held.held.answers.items() if kind not in _EXPECTED}
    grown = place.ledgers(_HELD) - held_before
    verified = place.database.value("SELECT tallymark.verify_job(%s)", _HELD)
    notes = (
        comparison.speeds,
        *held.notes("held"),
        *free.notes("not held"),
        f"answers to the {CRAWLERS} crawlers of the held job: {held.held.line}"
        + ("; NOT AS THEY SHOULD BE" if others else ""),
        _exact(place.ledgers(_PREFIX) - before, held.total, free.total),
        # Each transaction that held the job had one update of its own.
        f"the held job: {_exact(grown - holders, held.held)}; verify_job is {str(verified).lower()}",
    )
    what = f"p99 of {CRAWLERS} crawlers while {how} holds the job of {CRAWLERS} others / while nobody holds any"
    return Figure(name, what, comparison.ratios, _GOAL, notes)


def _exact(grown: int, *reports: Reports) -> str:
    """Say whether each acknowledged update is in the ledgers once; one without an answer may be there or not."""
    good = sum(each.acknowledged for each in reports)
    unknown = sum(each.open for each in reports)
    verdict = "exact" if good <= grown <= good + unknown else f"NOT EXACT: {grown - good:+,}"
    return f"acknowledged {good:,}, in the ledgers {grown:,}, never acknowledged {unknown:,}: {verdict}"


class Holder:
    """A transaction that holds the job's row, with one update in it."""

    def __init__(self, connection: psycopg.Connection[Any], end: bytes) -> None:
        """Take the connection, and the statement that ends the transaction."""
        self._connection = connection
        self._end = end

    def let_go(self) -> None:
        """End it."""
        with self._connection as connection:
            connection.execute(self._end)


_UPDATE = b"SELECT tallymark.merge_progress(%s, bench.lifelike_update(%s, clock_timestamp(), 1, 1))"


def _open_transaction(url: str) -> Holder:
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("BEGIN")
    connection.execute(_UPDATE, [_HELD, _HELD])
    return Holder(connection, b"COMMIT")


def _prepared_transaction(url: str) -> Holder:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("BEGIN")
        connection.execute(_UPDATE, [_HELD, _HELD])
        connection.execute(f"PREPARE TRANSACTION '{_FORGOTTEN}'")
    return Holder(psycopg.connect(url, autocommit=True), f"COMMIT PREPARED '{_FORGOTTEN}'".encode())
