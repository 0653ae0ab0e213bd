"""The programs that run beside a server with many open pages (the pages, a steady load), and what the pages saw of it.

    python -m benchmarks.viewing pages PORT PREFIX JOBS JOB_PAGES OVERVIEW_PAGES KIND
    python -m benchmarks.viewing load PREFIX JOBS RATE SECONDS

`pages` keeps streams of `/events` open. It reads commands from standard input, a word a line, and answers each with a
line of JSON: `open`, `close`, `mark` (forget what was seen so far), `tell` (what was seen since). Pages of the KIND
`parse` read their messages, others only take the bytes. The token is in BENCH_TOKEN: on the command line, every user of
the machine could read it.

`load` calls `merge_progress` RATE times a second, each call a transaction of its own, on the database that libpq finds
in the environment. Its first line comes when the load begins. The second one is JSON: `seconds`, and `updates` as [job,
seq, time of the commit].

All times are those of CLOCK_MONOTONIC, which the processes of a machine share.
"""

import asyncio
import json
import os
import random
import sys
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import quantiles
from typing import Any, ClassVar, NamedTuple

import psycopg

_HOST = "127.0.0.1"
_OPEN_SECONDS = 60.0
#: So many connect at once; a server's backlog is not what is measured.
_AT_ONCE = 50
_BUFFER_BYTES = 1_048_576
#: So many connections share the load: one alone waits for the disk with each update.
_CONNECTIONS = 4
_MERGE = (
    b"SELECT (tallymark.merge_progress($1::text, bench.lifelike_update($1::text, clock_timestamp(), $2::integer,"
    b" $3::integer)) ->> 'seq')::bigint"
)

#: The updates of each job that were committed: their numbers, and when, in seconds.
Commits = Mapping[str, Mapping[int, float]]


class Page(asyncio.Protocol):
    """A page that reads every message and parses it, as a browser does.

    Attributes:
        seen: Of a job's page [seq, time] of each event; of the overview's [job, lastSeq, time] of each row.
        skipped: How many events the server said that it left out.
        messages: How many there were, beats among them.
        has_begun: Whether the first message about what is watched has come.
        trouble: Why there is no stream, or none any more.
    """

    def __init__(self) -> None:
        """It has seen nothing."""
        self.seen: list[list[Any]] = []
        self.skipped = 0
        self.messages = 0
        self.has_begun = False
        self.trouble = ""
        self._head: bytes | None = b""
        self._chunks = bytearray()
        self._text = bytearray()

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        now = time.monotonic()
        if self._head is not None:
            head, blank, data = (self._head + data).partition(b"\r\n\r\n")
            self._head = None if blank else head
            if not blank:
                return
            if b" 200 " not in head.partition(b"\r\n")[0] or b"chunked" not in head.lower():
                self.trouble = head.decode(errors="replace")
                return
        self._chunks += data
        self._join_chunks()
        *messages, rest = bytes(self._text).split(b"\n\n")
        self._text = bytearray(rest)
        for message in messages:
            self._take(message, now)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it is over."""
        self.trouble = self.trouble or f"the stream ended: {exc}"

    def _join_chunks(self) -> None:
        start = 0
        while (end := self._chunks.find(b"\r\n", start)) >= 0:
            size = int(self._chunks[start:end], 16)
            if len(self._chunks) < end + 2 + size + 2:
                break
            self._text += self._chunks[end + 2 : end + 2 + size]
            start = end + 2 + size + 2
        del self._chunks[:start]

    def _take(self, message: bytes, now: float) -> None:
        kind, data = "", None
        for line in message.split(b"\n"):
            name, _, value = line.partition(b": ")
            if name == b"event":
                kind = value.decode()
            elif name == b"data":
                data = json.loads(value)
        self.messages += 1
        if kind == "job" and data is not None:
            self.seen.extend([event["seq"], now] for event in data["events"])
            self.skipped += data["skipped"]
            self.has_begun = True
        elif kind == "overview" and data is not None:
            self.seen.extend([row["id"], row["lastSeq"], now] for row in data["rows"])
            self.has_begun = True


class Sink(asyncio.BufferedProtocol):
    """A page that takes bytes from the network and does nothing with them: it costs next to no time."""

    #: What is in there is never read, so all share it.
    _buffer: ClassVar[bytearray] = bytearray(_BUFFER_BYTES)

    def __init__(self) -> None:
        """It has seen nothing."""
        self.has_begun = False
        self.trouble = ""

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - asyncio's
        """Say where bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Look for the first message, and at nothing after it."""
        if not self.has_begun:
            begin = bytes(self._buffer[:nbytes])
            self.has_begun = b"event: job" in begin or b"event: overview" in begin
            if begin.startswith(b"HTTP/") and b" 200 " not in begin.partition(b"\r\n")[0]:
                self.trouble = begin.decode(errors="replace")

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it is over."""
        self.trouble = self.trouble or f"the stream ended: {exc}"


class Pages:
    """All pages."""

    def __init__(self, port: int, watched: list[str | None], *, parses: bool) -> None:
        """Open nothing yet; each page shows a job, or with None the overview."""
        self._port = port
        self._watched = watched
        self._kind: type[Page | Sink] = Page if parses else Sink
        self._pages: list[tuple[asyncio.Transport, Page | Sink]] = []
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def open(self) -> dict[str, Any]:
        """Open all pages, and wait until each shows something."""
        started = time.monotonic()
        self._pages = list(await asyncio.gather(*map(self._open_one, self._watched)))
        while not all(page.has_begun for _, page in self._pages):
            if trouble := self._trouble():
                return {"error": trouble}
            if time.monotonic() > started + _OPEN_SECONDS:
                return {"error": "not all pages have begun"}
            await asyncio.sleep(0.02)
        return {"open": len(self._pages), "seconds": time.monotonic() - started}

    async def close(self) -> dict[str, Any]:
        """Close all pages."""
        trouble = self._trouble()
        for transport, _ in self._pages:
            transport.abort()
        self._pages = []
        return {"error": trouble} if trouble else {}

    async def mark(self) -> dict[str, Any]:
        """Forget what was seen."""
        for _, page in self._pages:
            if isinstance(page, Page):
                page.seen, page.skipped, page.messages = [], 0, 0
        return {}

    async def tell(self) -> dict[str, Any]:
        """Say what was seen: of each page what it shows and `Page.seen`."""
        if trouble := self._trouble():
            return {"error": trouble}
        pages = [page for _, page in self._pages if isinstance(page, Page)]
        return {
            "pages": [[watched, page.seen] for watched, page in zip(self._watched, pages, strict=True)],
            "skipped": sum(page.skipped for page in pages),
            "messages": sum(page.messages for page in pages),
        }

    async def _open_one(self, job: str | None) -> tuple[asyncio.Transport, Page | Sink]:
        query = "view=overview" if job is None else f"job={job}"
        request = (
            f"GET /events?{query} HTTP/1.1\r\nHost: {_HOST}\r\nAccept: text/event-stream\r\n"
            f"Authorization: Bearer {os.environ['BENCH_TOKEN']}\r\n\r\n"
        )
        page = self._kind()
        async with self._turn:
            transport, _ = await asyncio.get_running_loop().create_connection(lambda: page, _HOST, self._port)
        transport.write(request.encode())
        return transport, page

    def _trouble(self) -> str:
        return next((page.trouble for _, page in self._pages if page.trouble), "")


def watched(prefix: str, jobs: int, job_pages: int, overview_pages: int) -> list[str | None]:
    """Return what each page shows: first the pages of jobs, which take turns, then those of the overview (None)."""
    return [f"{prefix}{n % jobs + 1}" for n in range(job_pages)] + [None] * overview_pages


class Seen(NamedTuple):
    """What pages have seen.

    Attributes:
        expected: How many events the pages of jobs should have got, counted for each page.
        once: How many of these they got exactly once.
        repeated: How many they got more than once.
        job_delays: From the commit to the page of the job, in ms, for each event that came.
        row_delays: From the commit to the first row of an overview with that update in it, in ms.
        rows_missing: How many updates no row ever had in it, of jobs that the overview shows.
    """

    expected: int
    once: int
    repeated: int
    job_delays: tuple[float, ...]
    row_delays: tuple[float, ...]
    rows_missing: int

    @property
    def share(self) -> float:
        """The share of the events that came exactly once."""
        return self.once / self.expected if self.expected else 0.0


def commits(updates: Sequence[Sequence[Any]]) -> Commits:
    """Sort updates, [job, seq, time] each, by their jobs."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for job, seq, at in updates:
        found[job][seq] = at
    return found


def compare_pages(pages: Sequence[tuple[str | None, Sequence[Sequence[Any]]]], committed: Commits) -> Seen:
    """Look for each committed update on the pages: of each the job that it shows, None for the overview, and `seen`."""
    expected = once = repeated = missing = 0
    job_delays: list[float] = []
    row_delays: list[float] = []
    for job, seen in pages:
        if job is None:
            missing += _rows(seen, committed, row_delays)
            continue
        times = dict(reversed([(seq, at) for seq, at in seen]))
        told = Counter(seq for seq, _ in seen)
        wanted = committed.get(job, {})
        expected += len(wanted)
        once += sum(told[seq] == 1 for seq in wanted)
        repeated += sum(told[seq] > 1 for seq in wanted)
        job_delays.extend((times[seq] - at) * 1000 for seq, at in wanted.items() if seq in times)
    return Seen(expected, once, repeated, tuple(job_delays), tuple(row_delays), missing)


def _rows(seen: Sequence[Sequence[Any]], committed: Commits, delays: list[float]) -> int:
    """Add the delays of one overview, and return how many updates are missing in it."""
    shown: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for job, last_seq, at in seen:
        shown[job].append((last_seq, at))
    missing = 0
    for job, rows in shown.items():
        numbers = [last_seq for last_seq, _ in rows]
        for seq, at in committed.get(job, {}).items():
            place = bisect_left(numbers, seq)
            if place < len(rows):
                delays.append((rows[place][1] - at) * 1000)
            else:
                missing += 1
    return missing


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile; infinity of no values, since what was never seen took as long as that."""
    if not values:
        return float("inf")
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


async def _show_pages(port: int, show: list[str | None], kind: str) -> None:
    pages = Pages(port, show, parses=kind == "parse")
    commands = {"open": pages.open, "close": pages.close, "mark": pages.mark, "tell": pages.tell}
    told = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    while word := (await told.readline()).decode().strip():
        answer = await commands[word]()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _send(
    connection: psycopg.Connection[Any], turn: int, prefix: str, jobs: int, rate: float, start: float, end: float
) -> list[tuple[str, int, float]]:
    """Send every fourth of the updates, each when it is due, or late but at once."""
    cursor = psycopg.RawCursor(connection)
    done: list[tuple[str, int, float]] = []
    while (due := start + turn / rate) < end and (now := time.monotonic()) < end:
        if due > now:
            time.sleep(due - now)
        job = f"{prefix}{random.randint(1, jobs)}"
        row = cursor.execute(_MERGE, (job, turn + 1, turn % 50 + 1), prepare=True).fetchone()
        # The answer comes right after the commit.
        done.append((job, row[0] if row else 0, time.monotonic()))
        turn += _CONNECTIONS
    return done


def _load(prefix: str, jobs: int, rate: float, seconds: float) -> None:
    connections = [psycopg.connect("", autocommit=True) for _ in range(_CONNECTIONS)]
    sys.stdout.write("the load begins\n")
    sys.stdout.flush()
    start = time.monotonic()
    with ThreadPoolExecutor(_CONNECTIONS) as threads:
        parts = [
            threads.submit(_send, connection, turn, prefix, jobs, rate, start, start + seconds)
            for turn, connection in enumerate(connections)
        ]
        updates = [update for part in parts for update in part.result()]
    took = max(time.monotonic() - start, seconds)
    for connection in connections:
        connection.close()
    sys.stdout.write(json.dumps({"seconds": took, "updates": updates}) + "\n")


def _main(program: str, *arguments: str) -> None:
    if program == "pages":
        port, prefix, jobs, job_pages, overview_pages, kind = arguments
        asyncio.run(_show_pages(int(port), watched(prefix, int(jobs), int(job_pages), int(overview_pages)), kind))
    else:
        prefix, jobs, rate, seconds = arguments
        _load(prefix, int(jobs), float(rate), float(seconds))


if __name__ == "__main__":
    _main(*sys.argv[1:])
