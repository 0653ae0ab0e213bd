"""Many open pages on one server process: what they get to see, and what they cost the server and the merge.

The pages, and the load that they watch, are programs of their own: `viewing.py`.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psutil

from benchmarks.database import Database, libpq_environment
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, Goal, Plan, Say
from benchmarks.pgbench import Script
from benchmarks.ratios import Comparison, Spread, compare
from benchmarks.serving import PRODUCT, Server, serving
from benchmarks.usage import Shares, Usage, medians, megabytes
from benchmarks.viewing import Seen, commits, compare_pages, p95
from tallymark.server.lifeline import bound_to_us
from tallymark.web.live.stream import BEAT_SECONDS

JOBS = 100
JOB_PAGES = 300
OVERVIEW_PAGES = 200
UPDATES_PER_SECOND = 1_000
STREAMS = 600
CLIENTS = 8

_ROOT = Path(__file__).parent.parent
_VIEWING = (sys.executable, "-m", "benchmarks.viewing")
#: What was committed last has come to all pages after so long, or will never come.
_LAST_SECONDS = 3.0


class Crowd:
    """The open pages, in a process of their own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Take the process."""
        self._process = process
        self.process = psutil.Process(process.pid)

    def ask(self, word: str) -> dict[str, Any]:
        """Have it `open`, `close`, `mark` or `tell`; return its answer.

        Raises:
            BenchmarkError: A page got no stream, or lost it.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the process of the pages has ended"}
        if "error" in answer:
            raise BenchmarkError(f"the pages could not {word}: {answer['error']}")
        return answer


@contextmanager
def open_crowd(server: Server, prefix: str, token: str, sizes: tuple[int, int, int], *, kind: str) -> Iterator[Crowd]:
    """Start the process of the pages; it opens none yet.

    Args:
        server: Where the pages are.
        prefix: How the ids of the jobs begin.
        token: What opens them.
        sizes: How many jobs there are, pages of jobs, and pages of the overview.
        kind: `parse` reads what it gets, anything else only takes it.
    """
    with subprocess.Popen(
        bound_to_us([*_VIEWING, "pages", str(server.port), prefix, *map(str, sizes), kind], signal.SIGKILL),
        cwd=_ROOT,
        env=os.environ | {"BENCH_TOKEN": token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Crowd(process)
        finally:
            process.kill()


def viewers(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure what 500 open pages see of 1,000 updates a second, and what that takes of the server process.

    Returns:
        The figures `viewers_seen`, a share; `viewers_p95` and `viewers_p95_overview`, in ms; `viewers_memory`, in MB;
        `viewers_cpu`, in shares of a core.
    """
    prefix, token = "viewed_", secrets.token_urlsafe(24)
    sizes = jobs, *_ = _make_jobs(database, plan, prefix)
    rate = plan.size(UPDATES_PER_SECOND)
    environ = _environ(database, token)
    with serving(PRODUCT, environ) as server, open_crowd(server, prefix, token, sizes, kind="parse") as crowd:
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
    return _figures(slices[1:], plan, (jobs, rate, sum(sizes[1:])), memory, idle)


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
    command = [*_VIEWING, "load", *map(str, (*load, plan.seconds))]
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
    """Measure merges over 100 jobs by 8 clients, with 500 open pages against without.

    Returns:
        The figures `viewers_merge`, with pages that parse what they get, and `viewers_merge_sink`, with others.
    """
    prefix, token = "watched_", secrets.token_urlsafe(24)
    sizes = jobs, *_ = _make_jobs(database, plan, prefix)
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
            open_crowd(server, prefix, token, sizes, kind=kind) as crowd,
        ):
            comparison = _compare_merges(database, plan, say, (merges, server, crowd), rest, used)
        verified = database.value(
            "SELECT count(*) FROM generate_series(1, %s) AS n WHERE tallymark.verify_job(%s || n)", jobs, prefix
        )
        what = f"merges, {jobs} jobs, {CLIENTS} clients: with {sum(sizes[1:])} open pages {how} / with none"
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


def _make_jobs(database: Database, plan: Plan, prefix: str) -> tuple[int, int, int]:
    """Make the jobs; return how many, and how many pages of jobs and of the overview there are to be."""
    jobs = plan.size(JOBS)
    database.value("SELECT bench.make_jobs(%s, %s)", prefix, jobs)
    database.settle()
    return jobs, plan.size(JOB_PAGES), plan.size(OVERVIEW_PAGES)


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
