"""Crawls that SIGTERM ends: `python signalled.py URL SPOOL JOB WAY OUT` runs one, and prints `ready` when it counts.

Each item is a line in the file OUT, which is not closed: what counts must be in it. `WAYS` has the ways of crawling.
"""

import asyncio
import itertools
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TextIO

from tallymark import Job, ProgressClient


def _ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def _numbers() -> Iterator[int]:
    for number in itertools.count(1):
        if number == 2:
            _ready()
        time.sleep(0.0005)
        yield number


def _advance(job: Job, out: TextIO) -> None:
    for number in _numbers():
        out.write(f"{number}\n")
        job.advance("issues", last_id=number)


def _track(job: Job, out: TextIO) -> None:
    out.writelines(f"{number}\n" for number in job.track(_numbers(), type="issues", id=str, bar=False))


def _swallowing(job: Job, out: TextIO) -> None:
    """A loop that catches everything: it ends because `track` does."""
    for number in job.track(_numbers(), type="issues", id=str, bar=False):
        try:
            out.write(f"{number}\n")
            time.sleep(0.001)
        except BaseException:  # noqa: BLE001, S110 - as crawls have it
            pass


def _thread(job: Job, out: TextIO) -> None:
    """The crawl is in a thread, for which the main thread waits: the signal does not reach it."""
    thread = threading.Thread(target=_advance, args=(job, out))
    thread.start()
    thread.join()


def _own_handler(job: Job, out: TextIO) -> None:
    """The crawl has a handler of its own, which stops the loop."""
    for number in _numbers():
        out.write(f"{number}\n")
        job.advance("issues", last_id=number)
        if asked:
            return


async def _arange() -> AsyncIterator[int]:
    for number in itertools.count(1):
        if number == 2:
            _ready()
        await asyncio.sleep(0.0005)
        yield number


async def _asyncio(client: ProgressClient, name: str, out: TextIO) -> None:
    async with client, client.job(name) as job:
        async for number in job.atrack(_arange(), type="issues", id=str, bar=False):
            out.write(f"{number}\n")


asked: list[int] = []
WAYS: dict[str, Callable[[Job, TextIO], None]] = {
    "advance": _advance,
    "track": _track,
    "swallowing": _swallowing,
    "thread": _thread,
    "own_handler": _own_handler,
}


def main(url: str, spool: str, name: str, way: str, out: str) -> None:
    """Crawl."""
    client = ProgressClient(url, token="crawler-token", spool=spool, every_seconds=0.05, end_timeout=5.0)
    if way == "own_handler":
        signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    with Path(out).open("w") if way != "thread" else open(out, "w") as file:  # noqa: PTH123
        if way == "asyncio":
            asyncio.run(_asyncio(client, name, file))
            return
        with client, client.job(name) as job:
            WAYS[way](job, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
