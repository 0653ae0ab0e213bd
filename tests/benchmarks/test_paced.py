"""The paced crawlers of the benchmarks: what they count as waiting, and how they take the server's answers.

The server here is a few lines of asyncio behind a real socket, so that it answers when the test says.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.paced import BROKEN, Crawler, Reports, Slice, Unfinished, crowd

INTERVAL = 0.02
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
LATER = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"

Answer = Callable[[dict[str, Any]], Awaitable[bytes]]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[int]:
    """Answer each body as told; an empty answer closes the connection."""
    connections: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.create_task(serve_all(reader, writer)))

    async def serve_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: "))
                answered = await answer(json.loads(await reader.readexactly(length)))
                writer.write(answered)
                if not answered:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*connections)


def crawler(port: int, number: int = 1) -> Crawler:
    """Make a crawler with a job of its own."""
    return Crawler(port, "token", f"job_{number}", number, INTERVAL)


def test_what_waits_behind_a_late_answer_waits_too() -> None:
    """Each update's time counts from when it was due, and none is left out."""

    async def measured() -> Reports:
        free = asyncio.Event()

        async def answer(_body: dict[str, Any]) -> bytes:
            await free.wait()
            return OK

        async def let_go() -> None:
            free.set()

        async with answering(answer) as port:
            reports, _ = await crowd([crawler(port)], [], 10 * INTERVAL, let_go)
            return reports

    reports = asyncio.run(measured())
    assert (reports.acknowledged, len(reports.waits), reports.late) == (10, 10, 10)
    assert reports.waits[0] >= 9 * INTERVAL
    # The first one was answered last of all that it held up; the later one was due, the shorter it waited.
    assert reports.waits[0] > reports.waits[5] > reports.waits[9]


def test_the_same_update_is_sent_again_after_503() -> None:
    """Until it is acknowledged; it then counts once."""
    bodies: list[dict[str, Any]] = []

    async def answer(body: dict[str, Any]) -> bytes:
        bodies.append(body)
        return LATER if len(bodies) == 1 else b"" if len(bodies) == 2 else OK

    async def measured() -> Reports:
        async with answering(answer) as port:
            reports, _ = await crowd([crawler(port)], [], INTERVAL)
            return reports

    reports = asyncio.run(measured())
    assert reports.answers == Counter({"503 with Retry-After": 1, BROKEN: 1, "200": 1})
    assert (reports.acknowledged, reports.open) == (1, 0)
    assert len(bodies) == 3
    assert bodies[0] == bodies[1] == bodies[2]


def test_updates_of_several_crawlers_of_one_job_differ() -> None:
    """Two that are equal would count once, as the same update."""
    bodies: list[str] = []

    async def answer(body: dict[str, Any]) -> bytes:
        bodies.append(json.dumps(body))
        return OK

    async def measured() -> Reports:
        async with answering(answer) as port:
            _, reports = await crowd([], [Crawler(port, "token", "one", n, INTERVAL) for n in range(4)], 5 * INTERVAL)
            return reports

    reports = asyncio.run(measured())
    assert reports.acknowledged == len(bodies) >= 4
    assert len(set(bodies)) == len(bodies)


def test_retry_after_ends_with_the_slice() -> None:
    """Nobody sleeps on when all is over."""

    async def waited() -> bool:
        during = Slice(INTERVAL)
        sleeper = asyncio.create_task(during.pause(3600))
        await asyncio.sleep(0)
        during.end()
        await sleeper
        return sleeper.done()

    assert asyncio.run(waited())


def test_answers_to_half_a_body_are_counted() -> None:
    """Also connections that were closed without one, and those that got none."""

    async def measured() -> Counter[int]:
        writers: list[asyncio.StreamWriter] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writers.append(writer)
            if len(writers) == 1:
                writer.write(TIMED_OUT)
            if len(writers) < 3:
                writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            sockets = Unfinished()
            await sockets.open(server.sockets[0].getsockname()[1], "token", "job", 3)
            await sockets.answered(0.3)
            found = sockets.answers
            await sockets.close()
            for writer in writers:
                writer.close()
                await writer.wait_closed()
            return found

    assert asyncio.run(measured()) == Counter({408: 1, 0: 1})
