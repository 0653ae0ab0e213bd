"""What `track` costs a loop, against the bare loop and against tqdm, with a real server behind it."""

import importlib.metadata
import io
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from statistics import median

from benchmarks.database import Database
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, Goal, Plan, Say
from benchmarks.ratios import Spread
from benchmarks.serving import PRODUCT, serving
from tallymark import Job, ProgressClient

ITEMS = 1_000_000
GOAL_NANOSECONDS = 1000
_JOB = "tracked"

_WAYS = {
    "track": "without bar and id",
    "track_id": "with an id",
    "track_bar": "with a bar",
    "track_bar_id": "with a bar and an id",
}

#: Wraps a loop's items.
Wrap = Callable[[range], Iterable[int]]


class _Terminal(io.TextIOWrapper):
    """Looks like a terminal, so that bars are drawn, and takes no time of its own."""

    def isatty(self) -> bool:
        """It is one, as far as anybody asks."""
        return True


@contextmanager
def _in_a_terminal() -> Iterator[None]:
    term = os.environ.get("TERM")
    os.environ["TERM"] = "xterm-256color"
    try:
        with open(os.devnull, "wb") as nothing, _Terminal(nothing) as terminal, redirect_stderr(terminal):  # noqa: PTH123
            yield
    finally:
        if term is None:
            del os.environ["TERM"]
        else:
            os.environ["TERM"] = term


def tracking(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure loops over 1,000,000 items with an empty body, in turns: bare, tqdm with its bar, four ways of `track`.

    Returns:
        The figures `track`, `track_id`, `track_bar`, `track_bar_id`: the ns an item that it takes more than tqdm.
    """
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise BenchmarkError("NOT MEASURED: track against tqdm, which is not installed: make dev") from error
    items = plan.size(ITEMS)
    token = secrets.token_urlsafe(24)
    environ = os.environ | {"DATABASE_URL": database.url, "CRAWLER_API_TOKEN": token}
    with ExitStack() as stack:
        url = stack.enter_context(serving(PRODUCT, environ)).url
        spool = stack.enter_context(tempfile.TemporaryDirectory(prefix="tallymark-bench-spool-"))
        client = stack.enter_context(ProgressClient(url, token=token, spool=spool))
        job = stack.enter_context(client.job(_JOB))
        ways: dict[str, Wrap] = {
            "bare": lambda numbers: numbers,
            "tqdm": tqdm,
            **_tracks(job),
        }
        measured: dict[str, list[float]] = {way: [] for way in ways}
        for pair in range(plan.pairs + 1):
            for way, wrap in ways.items():
                nanoseconds = _measure(wrap, items)
                # The first turn warms up.
                if pair:
                    measured[way].append(nanoseconds)
            if pair:
                took = ", ".join(f"{way} {values[-1]:.0f}" for way, values in measured.items())
                say(f"round {pair} of {plan.pairs}, ns an item: {took}")
        flushed = job.flush(60)
        job.complete()
    turns = (plan.pairs + 1) * len(_tracks(job))
    notes = (
        *(_note(way, measured[way]) for way in ("bare", "tqdm")),
        f"tqdm {importlib.metadata.version('tqdm')}; both have drawn to a terminal that takes no time",
        _counted(database, turns * items, flushed=bool(flushed)),
    )
    return [
        _figure(way, measured[way], measured["tqdm"], items, notes if way == "track" else ()) for way in _tracks(job)
    ]


def _tracks(job: Job) -> dict[str, Wrap]:
    """Return the ways of `track`: with and without a cursor and a bar."""
    return {
        "track": lambda numbers: job.track(numbers, type="items", bar=False),
        "track_id": lambda numbers: job.track(numbers, type="items", bar=False, id=str),
        "track_bar": lambda numbers: job.track(numbers, type="items", bar=True),
        "track_bar_id": lambda numbers: job.track(numbers, type="items", bar=True, id=str),
    }


def _measure(wrap: Wrap, items: int) -> float:
    """Return how many nanoseconds a loop takes for an item, with what comes before and after it."""
    with _in_a_terminal():
        start = time.perf_counter_ns()
        for _item in wrap(range(items)):
            pass
        return (time.perf_counter_ns() - start) / items


def _figure(way: str, values: list[float], tqdm: list[float], items: int, notes: tuple[str, ...]) -> Figure:
    more = Spread(tuple(a - b for a, b in zip(values, tqdm, strict=True)))
    says = f"track - tqdm = {more.median:.0f} ns an item (goal < {GOAL_NANOSECONDS})"
    what = f"{says}; {_WAYS[way]}, {items:,} items"
    return Figure(way, what, more, Goal(GOAL_NANOSECONDS, at_most=True), (_note(way, values), *notes))


def _note(way: str, values: list[float]) -> str:
    return f"{way}: {median(values):.0f} ns an item, {min(values):.0f}..{max(values):.0f}"


def _counted(database: Database, expected: int, *, flushed: bool) -> str:
    """Say whether the server has all items."""
    counted = database.value("SELECT progress -> 'itemsByType' -> 'items' FROM tallymark.job WHERE id = %s", _JOB)
    updates = database.value("SELECT last_seq FROM tallymark.job WHERE id = %s", _JOB)
    if counted != expected or not flushed:
        raise BenchmarkError(f"the server has counted {counted} of {expected} items")
    return f"the server has counted all {counted:,} items, in {updates} updates"
