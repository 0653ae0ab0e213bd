"""The list of jobs: what its pages cost when there are many jobs."""

import time
from contextlib import ExitStack
from statistics import median

from benchmarks.database import Database, database as another
from benchmarks.figures import Figure, Goal, Plan, Say
from benchmarks.ratios import Spread

FEW, MANY = 1_000, 1_000_000
PAGE = 100
_DEEP = 1_000
_CALLS = 100
_PAGE = "SELECT tallymark.list_jobs(max_jobs => %s, cursor => %s)::text"


def job_list(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure the first and the 1,000th page of 1,000,000 jobs against the first page of 1,000 jobs.

    Returns:
        The figures `job_list_first` and `job_list_deep`: how many times as long a page takes.
    """
    jobs = plan.size(MANY)
    deep = plan.size(_DEEP)
    with ExitStack() as stack:
        few = stack.enter_context(another(database.url, say))
        many = stack.enter_context(another(database.url, say))
        for place, size in ((few, FEW), (many, jobs)):
            say(f"making {size:,} jobs")
            place.value("SELECT bench.make_running_jobs(%s)", size)
            place.settle()
        say(f"going to page {deep:,}")
        cursor = _cursor(many, deep - 1)
        first: list[float] = []
        last: list[float] = []
        base: list[float] = []
        for pair in range(plan.pairs + 1):
            times = _time(few, None), _time(many, None), _time(many, cursor)
            if pair:  # the one before is a warm-up
                base.append(times[0])
                first.append(times[1] / times[0])
                last.append(times[2] / times[0])
    notes = (f"a page of {PAGE} of {FEW:,} jobs takes {median(base) * 1000:.2f} ms",)
    return [
        Figure(
            "job_list_first",
            f"time of the first page of {jobs:,} jobs / of {FEW:,}",
            Spread(tuple(first)),
            Goal(1.5, at_most=True),
            notes,
        ),
        Figure(
            "job_list_deep",
            f"time of page {deep:,} of {jobs:,} jobs / of the first of {FEW:,}",
            Spread(tuple(last)),
            Goal(1.5, at_most=True),
        ),
    ]


def _cursor(database: Database, pages: int) -> str | None:
    """Return the cursor behind so many pages, by walking through them."""
    cursor: str | None = None
    for _ in range(pages):
        cursor = database.value("SELECT tallymark.list_jobs(max_jobs => %s, cursor => %s) ->> 'next'", PAGE, cursor)
    return cursor


def _time(database: Database, cursor: str | None) -> float:
    """Return the median time of a page, in seconds."""
    times = []
    for _ in range(_CALLS):
        before = time.perf_counter()
        database.value(_PAGE, PAGE, cursor)
        times.append(time.perf_counter() - before)
    return median(times)
