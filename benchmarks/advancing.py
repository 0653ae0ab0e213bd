"""What a call of `advance` costs a crawl, with a real server behind it."""

import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import count, cycle, islice, repeat
from statistics import median

from benchmarks.database import Database
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, Plan, Say
from benchmarks.ratios import Spread
from benchmarks.serving import PRODUCT, serving
from tallymark import Job, ProgressClient

CALLS = 200_000
JOBS = 700
NAMES = ("advance", "advance_id", "advance_key", "advance_known_key", "advance_700_jobs")
_ONE = "advanced"
#: For how many seconds the server is given the last updates.
_PATIENCE = 120.0


def advancing(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure 200,000 calls in a row on one thread, in turns: plain, with a cursor, with new and known keys, 700 jobs.

    Returns:
        The figures `advance`, `advance_id`, `advance_key`, `advance_known_key`, `advance_700_jobs`: ns a call.
    """
    calls = plan.size(CALLS)
    token = secrets.token_urlsafe(24)
    environ = os.environ | {"DATABASE_URL": database.url, "CRAWLER_API_TOKEN": token, "TALLYMARK_LOG_LEVEL": "warning"}
    with ExitStack() as stack:
        url = stack.enter_context(serving(PRODUCT, environ)).url
        spool = stack.enter_context(tempfile.TemporaryDirectory(prefix="tallymark-bench-spool-"))
        client = stack.enter_context(ProgressClient(url, token=token, spool=spool))
        job = stack.enter_context(client.job(_ONE))
        say(f"opening {JOBS} jobs")
        many = [stack.enter_context(client.job(f"{_ONE}_{number}")) for number in range(JOBS)]
        ways = _ways(job, many, calls)
        measured: dict[str, list[float]] = {way: [] for way in ways}
        for pair in range(plan.pairs + 1):
            for way, run in ways.items():
                nanoseconds = _measure(run, calls)
                # So that no way pays for what another has left.
                if not job.flush(_PATIENCE):
                    raise BenchmarkError("the server does not have all updates")
                # The first turn warms up.
                if pair:
                    measured[way].append(nanoseconds)
            if pair:
                took = ", ".join(f"{way} {values[-1]:.0f}" for way, values in measured.items())
                say(f"round {pair} of {plan.pairs}, ns a call: {took}")
        for each in (job, *many):
            each.complete()
    turns = plan.pairs + 1
    note = _counted(database, {"items": 2 * turns * calls, "pages": turns * calls, "known": 1}, turns * calls)
    return [
        Figure(
            way,
            f"{median(values):.0f} ns a call, {calls:,} calls in a row",
            Spread(tuple(values)),
            notes=(note,) if way == NAMES[0] else (),
        )
        for way, values in measured.items()
    ]


def _ways(job: Job, many: list[Job], calls: int) -> dict[str, Callable[[], None]]:
    numbers = count()
    job.advance("known", key="known")

    def advance(jobs: Iterable[Job], each: Callable[[Job], object]) -> Callable[[], None]:
        turns = iter(jobs)

        def run() -> None:
            for one in islice(turns, calls):
                each(one)

        return run

    return {
        "advance": advance(repeat(job), lambda one: one.advance("items")),
        "advance_id": advance(repeat(job), lambda one: one.advance("items", last_id="gid://issue/1")),
        "advance_key": advance(repeat(job), lambda one: one.advance("pages", key=str(next(numbers)))),
        "advance_known_key": advance(repeat(job), lambda one: one.advance("known", key="known")),
        "advance_700_jobs": advance(cycle(many), lambda one: one.advance("items")),
    }


def _measure(run: Callable[[], None], calls: int) -> float:
    start = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - start) / calls


def _counted(database: Database, expected: dict[str, int], over_many: int) -> str:
    """Say whether the server has all items."""
    found = database.value("SELECT progress -> 'itemsByType' FROM tallymark.job WHERE id = %s", _ONE)
    items = database.value(
        "SELECT sum((progress -> 'itemsByType' ->> 'items')::bigint) FROM tallymark.job WHERE id LIKE %s", f"{_ONE}\\_%"
    )
    if found != expected or items != over_many:
        raise BenchmarkError(f"the server has counted {found} of {expected}, and {items} of {over_many} in many jobs")
    return f"the server has counted all: {found}, and {items:,} items over {JOBS} jobs"
