"""Many open pages: a program that keeps streams of `/events` open and reads what they bring.

It is told what to do on standard input, a word a line, and answers each with a line of JSON: `open`, `close`, `mark`
(forget what was seen so far), `tell` (what was seen since). Times are those of CLOCK_MONOTONIC, which all processes of
a machine share. The token is in BENCH_TOKEN: on the command line, every user of the machine could read it.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any, ClassVar

_HOST = "127.0.0.1"
_OPEN_SECONDS = 60.0
#: So many connect at once; a server's backlog is not what is measured.
_AT_ONCE = 50
_BUFFER_BYTES = 1_048_576


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


class Crowd:
    """All pages."""

    def __init__(self, port: int, watched: list[str | None], *, parses: bool) -> None:
        """Open nothing yet.

        Args:
            port: Where the server listens.
            watched: What each page shows: a job, or with None the overview.
            parses: Whether the pages are `Page`, else they are `Sink`.
        """
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
    """Return what the pages show: a job each, going round them, then the overview.

    Args:
        prefix: The jobs are called prefix || 1 and so on.
        jobs: How many jobs there are.
        job_pages: How many pages show a job.
        overview_pages: How many show the overview.

    Returns:
        For each page the job, or None.
    """
    return [f"{prefix}{n % jobs + 1}" for n in range(job_pages)] + [None] * overview_pages


async def _obey(arguments: list[str]) -> None:
    port, prefix, jobs, job_pages, overview_pages, kind = arguments
    pages = watched(prefix, int(jobs), int(job_pages), int(overview_pages))
    crowd = Crowd(int(port), pages, parses=kind == "parse")
    commands = {"open": crowd.open, "close": crowd.close, "mark": crowd.mark, "tell": crowd.tell}
    told = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    while word := (await told.readline()).decode().strip():
        answer = await commands[word]()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_obey(sys.argv[1:]))
