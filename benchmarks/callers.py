"""Callers that send updates to stored functions, each over a connection of its own, which stays open between slices."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from benchmarks.database import Database

Update = dict[str, object]
#: Makes the parameters of a call from its updates.
Parameters = Callable[[Sequence[Update]], Sequence[object]]


class Call(NamedTuple):
    """A call with some updates.

    Attributes:
        sql: The statement; its rows are the answers.
        parameters: Makes its parameters.
        updates: How many updates it has.
        one_job: Whether they are all of one job.
    """

    sql: str
    parameters: Parameters
    updates: int = 1
    one_job: bool = False


@dataclass(frozen=True, slots=True)
class Callers:
    """Callers that make the same call again and again, each for other jobs."""

    call: Call
    jobs: Sequence[str]
    connections: Sequence[psycopg.Connection[Any]]

    def run(self, seconds: float) -> tuple[int, float]:
        """Call for so long.

        Returns:
            How many updates were merged, and how long that took in seconds.
        """
        start = time.monotonic()
        with ThreadPoolExecutor(len(self.connections)) as pool:
            merged = sum(pool.map(lambda each: self._until(each, start + seconds), self.connections))
        return merged, time.monotonic() - start

    def once(self, job: str | None = None) -> int:
        """Call once, over the first connection, and return how many updates were merged."""
        return self._send(self.connections[0], random.Random(), job)

    def _until(self, connection: psycopg.Connection[Any], end: float) -> int:
        chance = random.Random()
        merged = 0
        while time.monotonic() < end:
            merged += self._send(connection, chance, None)
        return merged

    def _send(self, connection: psycopg.Connection[Any], chance: random.Random, job: str | None) -> int:
        if job is not None or self.call.one_job:
            ids = [job or chance.choice(self.jobs)] * self.call.updates
        else:
            ids = chance.sample(self.jobs, self.call.updates)
        parameters = self.call.parameters(_updates(ids, chance))
        answers = connection.execute(self.call.sql.encode(), parameters, prepare=True).fetchall()
        return sum(_merged(answer) for answer, *_ in answers)


@contextmanager
def callers(call: Call, jobs: Sequence[str], databases: Sequence[Database], count: int) -> Iterator[Callers]:
    """Connect callers, to the databases in turn."""
    with ExitStack() as running:
        connections = []
        for number in range(count):
            connection = psycopg.connect(databases[number % len(databases)].url, autocommit=True)
            connections.append(running.enter_context(connection))
        yield Callers(call, jobs, connections)


def _updates(ids: Sequence[str], chance: random.Random) -> list[Update]:
    """Make an update for each job, each later than the one before, as `bench.lifelike_update` does."""
    now = datetime.now(UTC) - timedelta(microseconds=len(ids))
    return [
        {
            "taskId": job,
            "status": "processing",
            "timestamp": (now + timedelta(microseconds=number)).isoformat(timespec="microseconds"),
            "processedItems": (processed := chance.randint(1, 1_000_000)),
            "totalItems": 1_000_000,
            "currentDataType": "issues",
            "stage": "data_collection",
            "operationType": "data_collection",
            "itemsByType": {"issues": chance.randint(1, 50), "commits": 3},
            "lastProcessedId": f"gid://issue/{processed}",
            "message": "Processing issues",
        }
        for number, job in enumerate(ids)
    ]


def _merged(answer: Any) -> int:  # noqa: ANN401 - as SQL has it
    """Count the updates that an answer acknowledges: of one, of several, or none where the job was held."""
    if isinstance(answer, list):
        return sum(map(_merged, answer))
    return int(answer is not None and answer["status"] == "received")
