"""Crawlers that report at a steady pace, and how long each of their updates waits for its answer.

An update's time counts from the moment when it was due, not from the moment when it was sent: a crawler that still
waits for its last answer sends the next update late, and that wait is the server's, too.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

from benchmarks.side import PATH

HOST = "127.0.0.1"
#: What an answer counts as where the connection broke before it came.
BROKEN = "broken"

_ANSWER_SECONDS = 40.0
#: Once everything is over, a crawler asks again after so long, whatever Retry-After says.
_LAST_PAUSE = 0.1
_FIRST_PAUSE = 0.2


@dataclass(slots=True)
class Reports:
    """What became of the updates of some crawlers.

    Attributes:
        waits: Seconds from when each was due until it was acknowledged.
        late: How many of them were acknowledged after the time was over.
        answers: How many answers there were of each kind.
        acknowledged: How many updates were answered 200.
        open: How many were never answered 200.
    """

    waits: list[float] = field(default_factory=list)
    late: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    open: int = 0

    def add(self, other: "Reports") -> None:
        """Add those of other crawlers."""
        self.waits += other.waits
        self.late += other.late
        self.answers += other.answers
        self.acknowledged += other.acknowledged
        self.open += other.open

    @property
    def line(self) -> str:
        """The answers, for people."""
        return ", ".join(f"{kind}: {number:,}" for kind, number in sorted(self.answers.items())) or "none"


class Slice:
    """The time in which crawlers report: when it began, and whether it is over."""

    def __init__(self, seconds: float) -> None:
        """It begins in a moment, so that all crawlers are there."""
        self._loop = asyncio.get_running_loop()
        self.begins = self._loop.time() + _FIRST_PAUSE
        self.ends = self.begins + seconds
        self._over = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Whether its time has passed."""
        return self._loop.time() >= self.ends

    def end(self) -> None:
        """Wake those who wait for Retry-After."""
        self._over.set()

    async def until(self, moment: float) -> float:
        """Wait until a time of the loop's clock.

        Returns:
            By how much it was missed, in seconds.
        """
        await asyncio.sleep(max(0.0, moment - self._loop.time()))
        return self._loop.time() - moment

    async def pause(self, seconds: float) -> None:
        """Wait so long; no longer than briefly once all is over."""
        if not self._over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), seconds)
        if self._over.is_set():
            await asyncio.sleep(_LAST_PAUSE)


class Line:
    """A connection that is kept open, and made again where it broke."""

    def __init__(self, port: int) -> None:
        """Connect at the first request."""
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, float | None]:
        """Send a request.

        Returns:
            The status and Retry-After in seconds, if there is one; the status 0 where the connection broke.
        """
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(HOST, self._port)
            reader, writer = self._streams
            writer.write(request)
            return await asyncio.wait_for(read_answer(reader), _ANSWER_SECONDS)
        except (OSError, EOFError, TimeoutError):
            await self.close()
            return 0, None

    async def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            await _close(self._streams[1])
            self._streams = None


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, float | None]:
    """Read a whole answer.

    Returns:
        The status, and Retry-After in seconds, if there is one.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    await reader.readexactly(int(headers.get("content-length", "0")))
    later = headers.get("retry-after")
    return int(first.split()[1]), float(later) if later else None


@dataclass(frozen=True, slots=True)
class Crawler:
    """One crawler with a connection and a job.

    Attributes:
        port: Where the server listens, on 127.0.0.1.
        token: What it shows.
        job: The job that it reports on.
        number: Which one it is; no two crawlers of a job have the same.
        interval: Seconds from one update to the next.
    """

    port: int
    token: str
    job: str
    number: int
    interval: float

    async def keep_pace(self, during: Slice, crawlers: int) -> Reports:
        """Report at fixed moments; those that were missed follow as soon as the last answer is there.

        Returns:
            What became of it, when all of its updates are answered.
        """
        reports = Reports()
        phase = self.interval * self.number / crawlers
        # Rounded: the difference of two times of the clock is a little less than the seconds that were asked for.
        updates = round((during.ends - during.begins) / self.interval)
        line = Line(self.port)
        for n in range(updates):
            due = during.begins + phase + n * self.interval
            await during.until(due)
            await self._report(line, during, reports)
            reports.waits.append(await during.until(due))
            reports.late += during.is_over
        await line.close()
        return reports

    async def take_its_time(self, during: Slice, crawlers: int) -> Reports:
        """Report, wait for the answer, pause; until the time is over.

        Returns:
            What became of it.
        """
        reports = Reports()
        line = Line(self.port)
        await during.until(during.begins + self.interval * self.number / crawlers)
        while not during.is_over:
            await self._report(line, during, reports)
            await during.pause(self.interval)
        await line.close()
        return reports

    async def _report(self, line: Line, during: Slice, reports: Reports) -> None:
        """Send an update until it is acknowledged, as Retry-After says; give up where it takes too long."""
        request = request_of(self.token, update(self.job, self.number))
        while asyncio.get_running_loop().time() < during.ends + _ANSWER_SECONDS:
            status, later = await line.ask(request)
            reports.answers[_kind(status, later)] += 1
            if status == HTTPStatus.OK:
                reports.acknowledged += 1
                return
            await during.pause(later or self.interval)
        reports.open += 1


def update(job: str, number: int) -> bytes:
    """Return the body of an update, with the time of the moment; `number` tells apart who sends it."""
    now = datetime.now(UTC).isoformat()
    body = {
        "taskId": job,
        "status": "processing",
        "timestamp": now,
        "processedItems": 1_000,
        "totalItems": 1_000_000,
        "currentDataType": "issues",
        "stage": "data_collection",
        "operationType": "data_collection",
        "itemsByType": {"issues": 7, "commits": 3},
        "lastProcessedId": f"gid://issue/{number}",
        "message": "Processing issues",
    }
    return json.dumps(body).encode()


def request_of(token: str, body: bytes) -> bytes:
    """Make a request to the endpoint.

    Returns:
        Its head and its body.
    """
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):  # the other side was faster
        await writer.wait_closed()


def _kind(status: int, later: float | None) -> str:
    if status == 0:
        return BROKEN
    return f"{status} with Retry-After" if later is not None else str(status)


async def crowd(
    crawlers: list[Crawler],
    others: list[Crawler],
    seconds: float,
    after: Callable[[], Awaitable[None]] | None = None,
) -> tuple[Reports, Reports]:
    """Have crawlers keep their pace while others take their time.

    Args:
        crawlers: Those whose waits are measured.
        others: Those that send their next update after they have an answer.
        seconds: For how long.
        after: Called when the time is over, before anybody is waited for.

    Returns:
        What became of the updates of the first, and of the others.
    """
    during = Slice(seconds)
    async with asyncio.TaskGroup() as tasks:
        paced = [tasks.create_task(each.keep_pace(during, len(crawlers))) for each in crawlers]
        free = [tasks.create_task(each.take_its_time(during, len(others))) for each in others]
        await during.until(during.ends)
        if after is not None:
            await after()
        during.end()
    totals = Reports(), Reports()
    for total, parts in zip(totals, (paced, free), strict=True):
        for part in parts:
            total.add(part.result())
    return totals


class Unfinished:
    """Connections that sent headers and half a body, and then nothing more.

    Attributes:
        answers: How many got an answer with each status; 0 where the server closed the connection without one.
    """

    def __init__(self) -> None:
        """There is none yet."""
        self.answers: Counter[int] = Counter()
        self._writers: list[asyncio.StreamWriter] = []
        self._listeners: list[asyncio.Task[None]] = []

    async def open(self, port: int, token: str, job: str, connections: int) -> None:
        """Open so many."""
        body = update(job, 0)
        half = request_of(token, body)[: -(len(body) // 2)]
        for _ in range(connections):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(half)
            self._writers.append(writer)
            self._listeners.append(asyncio.create_task(self._listen(reader)))

    async def answered(self, seconds: float) -> None:
        """Wait until all have an answer, for a limited time."""
        await asyncio.wait(self._listeners, timeout=seconds)

    async def close(self) -> None:
        """Close them all."""
        for listener in self._listeners:
            listener.cancel()
        await asyncio.gather(*self._listeners, return_exceptions=True)
        for writer in self._writers:
            await _close(writer)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            status, _ = await read_answer(reader)
        except (OSError, EOFError):
            status = 0
        self.answers[status] += 1
