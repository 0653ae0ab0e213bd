"""Callers that send updates to stored functions, each over a connection of its own, which stays open between slices."""

import json
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


class Place(NamedTuple):
    """A database to connect to, and the jobs that are reported on there."""

    database: Database
    jobs: Sequence[str]


@dataclass(frozen=True, slots=True)
class Caller:
    """Makes the same call again and again, over a connection that stays open, for other jobs each time."""

    connection: psycopg.Connection[Any]
    jobs: Sequence[str]
    call: Call

    def once(self, job: str | None = None) -> int:
        """Call for a job, by default for random ones, and return how many updates were merged."""
        if job is not None or self.call.one_job:
            ids = [job or random.choice(self.jobs)] * self.call.updates
        else:
            ids = random.sample(self.jobs, self.call.updates)
        parameters = self.call.parameters(_updates(ids))
        answers = self.connection.execute(self.call.sql.encode(), parameters, prepare=True).fetchall()
        return sum(_merged(answer) for answer, *_ in answers)

    def until(self, end: float) -> int:
        """Call until then, and return how many updates were merged."""
        merged = 0
        while time.monotonic() < end:
            merged += self.once()
        return merged


def run(calling: Sequence[Caller], seconds: float) -> tuple[int, float]:
    """Have all of them call at once for so long.

    Returns:
        How many updates were merged, and how long that took in seconds.
    """
    start = time.monotonic()
    with ThreadPoolExecutor(len(calling)) as pool:
        merged = sum(pool.map(lambda each: each.until(start + seconds), calling))
    return merged, time.monotonic() - start


@contextmanager
def callers(call: Call, places: Sequence[Place], count: int) -> Iterator[list[Caller]]:
    """Connect so many callers, to the places in turn."""
    with ExitStack() as running:
        made = []
        for number in range(count):
            place = places[number % len(places)]
            connection = running.enter_context(psycopg.connect(place.database.url, autocommit=True))
            made.append(Caller(connection, place.jobs, call))
        yield made


def _updates(ids: Sequence[str]) -> list[Update]:
    """Make an update for each job, each later than the one before, as `bench.lifelike_update` does."""
    now = datetime.now(UTC) - timedelta(microseconds=len(ids))
    return [
        {
            "taskId": job,
            "status": "processing",
            "timestamp": (now + timedelta(microseconds=number)).isoformat(timespec="microseconds"),
            "processedItems": (processed := random.randint(1, 1_000_000)),
            "totalItems": 1_000_000,
            "currentDataType": "issues",
            "stage": "data_collection",
            "operationType": "data_collection",
            "itemsByType": {"issues": random.randint(1, 50), "commits": 3},
            "lastProcessedId": f"gid://issue/{processed}",
            "message": "Processing issues",
        }
        for number, job in enumerate(ids)
    ]


def _merged(answer: Any) -> int:  # noqa: ANN401 - as SQL has it
    """Count the updates that an answer acknowledges: of one, of several, or none where the job was held."""
    if isinstance(answer, str):  # of receive_for_job: the acknowledgements of a body, or the id of a held job
        answer = json.loads(answer) if answer.startswith(("{", "[")) else None
    if isinstance(answer, list):
        return sum(map(_merged, answer))
    return int(answer is not None and answer["status"] == "received")
