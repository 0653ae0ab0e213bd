"""Many open pages on one server process: what they get to see, what they cost the server, and what the merge."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from benchmarks.crowds import JOB_PAGES, JOBS, OVERVIEW_PAGES, STREAMS, UPDATES_PER_SECOND, Crowd, open_crowd
from benchmarks.database import Database, libpq_environment
from benchmarks.figures import Figure, Goal, Plan, Say
from benchmarks.pgbench import BenchmarkError, Script
from benchmarks.ratios import Comparison, Spread, compare
from benchmarks.seeing import Seen, commits, compare_pages, p95
from benchmarks.serving import PRODUCT, Server, serving
from benchmarks.usage import Shares, Usage, medians, megabytes
from tallymark.server.lifeline import bound_to_us
from tallymark.web.live.stream import BEAT_SECONDS

CLIENTS = 8

_ROOT = Path(__file__).parent.parent
#: What was committed last has come to all pages after so long, or will never come.
_LAST_SECONDS = 3.0


def viewers(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure what 500 open pages see of 1,000 updates a second, and what that takes of the server process.

    Args:
        database: Where.
        plan: How long, how often.
        say: Told how it goes.

    Returns:
        The figures `viewers_seen`, a share; `viewers_p95` and `viewers_p95_overview`, in ms; `viewers_memory`, in MB;
        `viewers_cpu`, in shares of a core.

    Raises:
        BenchmarkError: The server did not start, a page got no stream, or the load failed.
    """
    prefix, token = "viewed_", secrets.token_urlsafe(24)
    jobs, pages = _make_jobs(database, plan, prefix)
    rate = plan.size(UPDATES_PER_SECOND)
    environ = _environ(database, token)
    with serving(PRODUCT, environ) as server, open_crowd(server, prefix, plan, token, kind="parse") as crowd:
        worker = server.worker
        memory = [megabytes(worker)]
        opened = crowd.ask("open")
        time.sleep(BEAT_SECONDS)
        memory.append(megabytes(worker))
        usage = Usage(database, worker, crowd.process)
        time.sleep(plan.seconds)
        idle = usage.shares()
        say(f"{opened['open']} pages opened in {opened['seconds']:.1f} s: {memory[0]:.0f} MB, now {memory[1]:.0f} MB")
        slices = []
        for number in range(plan.pairs + 1):
            slices.append(_watch_load(database, plan, crowd, worker, (prefix, jobs, rate)))
            say(f"slice {number} of {plan.pairs}: {slices[-1].line}")
    # The first one warms up.
    return _figures(slices[1:], plan, (jobs, rate, pages), memory, idle)


class _Slice(NamedTuple):
    """What came out of one slice of load."""

    seen: Seen
    rate: float
    skipped: int
    messages: int
    memory: float
    shares: Shares

    @property
    def line(self) -> str:
        """It for people."""
        return (
            f"{self.rate:,.0f} updates/s, share seen {self.seen.share:.4f}, p95 {p95(self.seen.job_delays):.0f} ms, "
            f"overview {p95(self.seen.row_delays):.0f} ms, {self.memory:.0f} MB; {self.shares.line}"
        )


def _watch_load(
    database: Database, plan: Plan, crowd: Crowd, worker: psutil.Process, load: tuple[str, int, int]
) -> _Slice:
    crowd.ask("mark")
    command = [sys.executable, "-m", "benchmarks.pacing", *map(str, (*load, plan.seconds))]
    environ = libpq_environment(database.url)
    with subprocess.Popen(
        bound_to_us(command, signal.SIGKILL), cwd=_ROOT, env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout is None:
            raise AssertionError
        # It says when it begins: Python and its connections have to start first.
        process.stdout.readline()
        usage = Usage(database, worker, crowd.process)
        time.sleep(plan.seconds)
        shares, memory = usage.shares(), megabytes(worker)
        output = process.stdout.read()
    if process.returncode != 0:
        raise BenchmarkError("the load failed; what it wrote above may say why")
    done = json.loads(output)
    time.sleep(_LAST_SECONDS)
    told = crowd.ask("tell")
    seen = compare_pages(told["pages"], commits(done["updates"]))
    return _Slice(seen, len(done["updates"]) / done["seconds"], told["skipped"], told["messages"], memory, shares)


def _figures(
    slices: list[_Slice], plan: Plan, sizes: tuple[int, int, int], memory: list[float], idle: Shares
) -> list[Figure]:
    jobs, rate, pages = sizes
    seen = [one.seen for one in slices]
    reached = median(one.rate for one in slices)
    job_delays = [delay for one in seen for delay in one.job_delays]
    row_delays = [delay for one in seen for delay in one.row_delays]
    loaded = Spread(tuple(one.memory for one in slices))
    of_pages = f"{pages} pages, {jobs} jobs, {rate:,} updates/s"
    idle_each = (memory[1] - memory[0]) * 1000 / pages
    loaded_each = (loaded.median - memory[0]) * 1000 / pages
    messages = sum(one.messages for one in slices) / (len(slices) * (plan.seconds + _LAST_SECONDS))
    return [
        Figure(
            "viewers_seen",
            f"share of the committed updates that the pages of jobs were sent once; {of_pages}",
            Spread(tuple(one.share for one in seen)),
            Goal(1.0),
            (
                f"{sum(one.once for one in seen):,} of {sum(one.expected for one in seen):,}",
                f"more than once: {sum(one.repeated for one in seen):,}",
                f"said to be left out: {sum(one.skipped for one in slices):,}",
                f"reached: {reached:,.0f} updates/s; all pages together got {messages:,.0f} messages/s",
            ),
        ),
        Figure(
            "viewers_p95",
            "p95 from the commit to the page of the job, in ms",
            Spread(tuple(p95(one.job_delays) for one in seen)),
            Goal(1000, at_most=True),
            (_delays(job_delays),),
        ),
        Figure(
            "viewers_p95_overview",
            "p95 from the commit to the overview's row, in ms",
            Spread(tuple(p95(one.row_delays) for one in seen)),
            Goal(1000, at_most=True),
            (_delays(row_delays), f"updates that no row ever had: {sum(one.rows_missing for one in seen):,}"),
        ),
        Figure(
            "viewers_memory",
            f"memory (RSS) of the server process under that load, in MB, {pages} pages",
            loaded,
            None,
            (
                f"before any page {memory[0]:.0f} MB; with {pages} idle pages {memory[1]:.0f} MB",
                f"for each page {idle_each:.0f} kB idle, {loaded_each:.0f} kB under load",
            ),
        ),
        Figure(
            "viewers_cpu",
            "share of a core that the server process takes under that load",
            Spread(tuple(one.shares.server for one in slices)),
            None,
            (
                f"under load {medians([one.shares for one in slices]).line}",
                f"with idle pages {idle.line}",
            ),
        ),
    ]


def viewers_merge(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure merges over 100 jobs by 8 clients, with 500 open pages against without, for two kinds of pages.

    Args:
        database: Where.
        plan: How long, how often.
        say: Told how it goes.

    Returns:
        The figures `viewers_merge`, with pages that parse what they get, and `viewers_merge_sink`, with others.

    Raises:
        BenchmarkError: The server did not start, a page got no stream, or a transaction failed.
    """
    prefix, token = "watched_", secrets.token_urlsafe(24)
    jobs, pages = _make_jobs(database, plan, prefix)
    # A stream whose client has gone ends when there is something to be sent, or at its next beat.
    rest = plan.seconds if plan.quick else BEAT_SECONDS + 1
    merges = Script("merge.sql", prefix, jobs, clients=CLIENTS)
    figures = []
    for name, kind, how in (
        ("viewers_merge", "parse", "that parse what they get"),
        ("viewers_merge_sink", "sink", "that only take it from the network"),
    ):
        say(f"pages {how}")
        used: list[Shares] = []
        with (
            serving(PRODUCT, _environ(database, token)) as server,
            open_crowd(server, prefix, plan, token, kind=kind) as crowd,
        ):
            comparison = _compare_merges(database, plan, say, (merges, server, crowd), rest, used)
        verified = database.value(
            "SELECT count(*) FROM generate_series(1, %s) AS n WHERE tallymark.verify_job(%s || n)", jobs, prefix
        )
        what = f"merges, {jobs} jobs, {CLIENTS} clients: with {pages} open pages {how} / with none"
        notes = (
            comparison.speeds,
            f"with pages {medians(used[1:]).line}",
            f"verify_job is true for {verified} of {jobs} jobs",
        )
        figures.append(Figure(name, what, comparison.ratios, Goal(0.90), notes))
    return figures


def _compare_merges(
    database: Database, plan: Plan, say: Say, parts: tuple[Script, Server, Crowd], rest: float, used: list[Shares]
) -> Comparison:
    merges, server, crowd = parts

    def watched(_pair: int) -> float:
        crowd.ask("open")
        time.sleep(rest)
        usage = Usage(database, server.worker, crowd.process)
        speed = merges.run(database, seconds=plan.seconds).per_second
        used.append(usage.shares())
        crowd.ask("close")
        return speed

    def unwatched(_pair: int) -> float:
        time.sleep(rest)
        return merges.run(database, seconds=plan.seconds).per_second

    return compare(watched, unwatched, plan.pairs, say)


def _make_jobs(database: Database, plan: Plan, prefix: str) -> tuple[int, int]:
    """Make the jobs; return how many, and how many pages there are to be."""
    jobs = plan.size(JOBS)
    database.value("SELECT bench.make_jobs(%s, %s)", prefix, jobs)
    database.settle()
    return jobs, plan.size(JOB_PAGES) + plan.size(OVERVIEW_PAGES)


def _environ(database: Database, token: str) -> dict[str, str]:
    return os.environ | {
        "DATABASE_URL": database.url,
        "CRAWLER_API_TOKEN": token,
        "TALLYMARK_STREAMS": str(STREAMS),
        "TALLYMARK_WORKERS": "1",
    }


def _delays(delays: list[float]) -> str:
    if not delays:
        return "nothing was seen"
    return f"p50 {median(delays):.0f}, p95 {p95(delays):.0f}, max {max(delays):.0f} ms of {len(delays):,}"
