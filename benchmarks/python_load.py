"""The load generator for machines without wrk: does what load.lua does, in several processes with plain sockets.

It takes several times wrk's share of the CPU, so ratios come out closer to 1 than they are.

Arguments: host:port, connections, path, seconds, prefix of the jobs' ids, number of jobs.
The environment has BENCH_TOKEN.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from statistics import quantiles

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(slots=True)
class Part:
    """What one process did; times are seconds of the machine's monotonic clock."""

    sent: int = 0
    good: int = 0
    later: int = 0
    other: int = 0
    example: str = ""
    errors: int = 0
    first: float = field(default_factory=time.monotonic)
    last: float = 0.0
    latencies: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Task:
    """What one process is to do.

    Attributes:
        server: Host and port.
        path: Where to post.
        seconds: For how long.
        prefix: What the ids of the jobs begin with.
        jobs: How many jobs there are.
        connections: How many connections this process keeps.
        index: Which of the processes this is, from 0.
        processes: How many there are.
        token: What to show.
    """

    server: str
    path: str
    seconds: float
    prefix: str
    jobs: int
    connections: int
    index: int
    processes: int
    token: str


def run(task: Task) -> Part:
    """Do one process's part.

    Args:
        task: What to do.

    Returns:
        What came of it.
    """
    return asyncio.run(_run(task))


async def _run(task: Task) -> Part:
    part = Part()
    bodies = _bodies(task)
    await asyncio.gather(*(_talk(task, part, bodies) for _ in range(task.connections)))
    return part


async def _talk(task: Task, part: Part, bodies: Iterator[bytes]) -> None:
    """Keep one connection busy."""
    host, _, port = task.server.rpartition(":")
    head = (
        f"POST {task.path} HTTP/1.1\r\nHost: {task.server}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {task.token}\r\nContent-Length: "
    ).encode()
    try:
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        while time.monotonic() - part.first < task.seconds:
            body = next(bodies)
            start = time.monotonic()
            writer.write(head + b"%d\r\n\r\n" % len(body) + body)
            part.sent += 1
            status, answer = await _answer(reader)
            part.last = time.monotonic()
            part.latencies.append(part.last - start)
            if status == 200:
                part.good += 1
            elif status == 503:
                part.later += 1
            else:
                part.other += 1
                part.example = f"{status} {answer[:200].decode(errors='replace')}"
        writer.close()
    except (OSError, EOFError):
        part.errors += 1


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)


def _bodies(task: Task) -> Iterator[bytes]:
    """Give updates without end; the microsecond of an update's timestamp tells which process made it."""
    last = 0
    while True:
        now = max(time.time_ns() // 1000 // task.processes, last + 1)
        last = now
        at = _EPOCH + timedelta(microseconds=now * task.processes + task.index)
        processed = random.randint(1, 1_000_000)
        update = {
            "taskId": f"{task.prefix}{random.randint(1, task.jobs)}",
            "status": "processing",
            "timestamp": at.isoformat(timespec="microseconds"),
            "processedItems": processed,
            "totalItems": 1_000_000,
            "currentDataType": "issues",
            "stage": "data_collection",
            "operationType": "data_collection",
            "itemsByType": {"issues": random.randint(1, 50), "commits": 3},
            "lastProcessedId": f"gid://issue/{processed}",
            "message": "Processing issues",
        }
        yield json.dumps(update, separators=(",", ":")).encode()


def main(arguments: list[str]) -> None:
    """Load a server, and print the outcome as JSON.

    Args:
        arguments: As the module's text has them.
    """
    server, connections, path, seconds, prefix, jobs = arguments
    processes = min(os.cpu_count() or 1, int(connections), 4)
    shares = [int(connections) // processes + (index < int(connections) % processes) for index in range(processes)]
    tasks = [
        Task(server, path, float(seconds), prefix, int(jobs), share, index, processes, os.environ["BENCH_TOKEN"])
        for index, share in enumerate(shares)
    ]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        parts = list(pool.map(run, tasks))
    latencies = [latency for part in parts for latency in part.latencies]
    outcome = {
        "sent": sum(part.sent for part in parts),
        "good": sum(part.good for part in parts),
        "later": sum(part.later for part in parts),
        "other": sum(part.other for part in parts),
        "example": next((part.example for part in parts if part.example), ""),
        "errors": sum(part.errors for part in parts),
        "seconds": max(part.last for part in parts) - min(part.first for part in parts),
        "p99_ms": quantiles(latencies, n=100)[98] * 1000 if len(latencies) > 1 else 0.0,
    }
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(sys.argv[1:])
