"""The updates that crawlers send: of every shape, some that must be refused, and what became of each."""

import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.promise.model import Json

#: The share of batches among requests, and of updates with areas and with keys of items among updates.
BATCH_SHARE = 0.2
AREAS_SHARE = 0.06
KEYS_SHARE = 0.15

_PLAIN_JOBS = [f"crawl {number:02}" for number in range(18)]
#: Updates of these jobs have running totals unless they say otherwise.
CUMULATIVE_JOBS = ["old crawl 1", "old crawl 2"]
JOBS = [*_PLAIN_JOBS, *CUMULATIVE_JOBS]
_UNKNOWN_JOB = "nobody registered this"

_TYPES = ["issues", "commits", "branches", "merge_requests", "pipelines"]
_BATCH_SIZES = range(2, 12)
_clock = itertools.count()


@dataclass(eq=False)
class Sent:
    """One update, and how it was answered.

    Attributes:
        payload: As the crawler sent it.
        header_key: Its Idempotency-Key, where it had one.
        refusal: The status that it must be refused with; None for an update that must be taken.
        body: The bytes that were sent, where they are no JSON.
        seq: The number that the acknowledgement told; None while there was none.
        refused: Whether it was refused.
        tries: How often it was sent before it was acknowledged or refused.
    """

    payload: Json
    header_key: str | None = None
    refusal: int | None = None
    body: bytes | None = None
    seq: int | None = None
    refused: bool = False
    tries: int = 0

    @property
    def job(self) -> str:
        """The job that it is for."""
        job: str = self.payload["taskId"]
        return job

    @property
    def explicit_key(self) -> str | None:
        """The id that the crawler gave it."""
        return self.payload.get("updateId") or self.header_key


@dataclass
class Post:
    """One request: an update, or a batch of them."""

    updates: list[Sent]
    batch: bool = False
    body: bytes = field(init=False)

    def __post_init__(self) -> None:
        first = self.updates[0]
        payload: Any = [sent.payload for sent in self.updates] if self.batch else first.payload
        self.body = json.dumps(payload).encode() if first.body is None else first.body

    @property
    def headers(self) -> dict[str, str]:
        """Its headers, as far as they depend on it."""
        key = None if self.batch else self.updates[0].header_key
        return {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})


#: Each changes an update so that it must be refused with 400.
_SPOILERS: list[Callable[[Json], object]] = [
    lambda update: update.update(status="exploded"),
    lambda update: update.pop("timestamp"),
    lambda update: update.update(timestamp="yesterday"),
    lambda update: update.update(itemsByType={"issues": -1}),
    lambda update: update.update(itemsByType={"issues": 2**53}),
    lambda update: update.update(processedItems=5, totalItems=3),
    lambda update: update.update(message=5),
    lambda update: update.update(itemKeys={"pages": ["a", ""]}),
    lambda update: update.update(itemKeys={"issues": ["a"]}, itemsByType={"issues": 1}),
    lambda update: update.update(workerId=""),
    lambda update: update.update(counting="sometimes"),
    lambda update: update.update(stage="s" * 101, processedItems="many"),
]


class Notebook:
    """Makes the updates of one crawler."""

    def __init__(self, worker: str, seed: int) -> None:
        """Say whose it is.

        Args:
            worker: The crawler's name.
            seed: Where its random numbers begin.
        """
        self.random = random.Random(f"{seed} {worker}")
        self._worker = worker
        self._numbers = itertools.count(1)
        self._totals: dict[str, dict[str, int]] = {}
        self._processed: dict[str, int] = {}
        self.sent: list[Sent] = []
        self._acknowledged: list[Sent] = []

    def keep(self, sent: Sent) -> None:
        """Remember an acknowledged update, to send it again later."""
        self._acknowledged.append(sent)

    def next_post(self) -> Post:
        """Make the next request."""
        if self._acknowledged and self.random.random() < 0.06:
            return Post([self.random.choice(self._acknowledged)])
        if self.random.random() < BATCH_SHARE:
            size = self.random.choice(_BATCH_SIZES)
            updates = list(itertools.islice(self._new_updates(in_batch=True), size))
            old = self.random.choice(self._acknowledged) if self._acknowledged else None
            if old is not None and old.header_key is None and self.random.random() < 0.5:
                # Without the header, its id would be missing, and it would be another update.
                updates.append(old)
            if self.random.random() < 0.2:
                # Twice in one batch; the second must be answered as a duplicate.
                updates.append(updates[0])
            return Post(updates, batch=True)
        return Post([next(self._new_updates(in_batch=False))])

    def _new_updates(self, *, in_batch: bool) -> Iterator[Sent]:
        while True:
            sent = self._with_key(Sent(self._good_payload()), in_batch=in_batch)
            if self.random.random() < 0.06:
                self._spoil(sent, in_batch=in_batch)
            self.sent.append(sent)
            yield sent

    def _with_key(self, sent: Sent, *, in_batch: bool) -> Sent:
        """Give an update an id or none; without one its content, which must be unique, is its key."""
        number = sent.payload["lastProcessedId"]
        chance = self.random.random()
        if chance < 0.5:
            sent.payload["updateId"] = f"update {number}"
        elif chance < 0.7 and not in_batch:
            sent.header_key = f"header {number}"
        return sent

    def _spoil(self, sent: Sent, *, in_batch: bool) -> None:
        chance = self.random.random()
        if chance < 0.1:
            sent.payload["taskId"] = _UNKNOWN_JOB
            sent.refusal = 404
            return
        sent.refusal = 400
        if chance < 0.2 and not in_batch:
            sent.body = json.dumps(sent.payload).encode()[:-3]
        else:
            self.random.choice(_SPOILERS)(sent.payload)

    def _good_payload(self) -> Json:
        payload: Json = {
            "taskId": self.random.choice(JOBS),
            "status": self.random.choices(
                ["processing", "PROCESSING", "started", "paused", "completed", "failed"], [80, 5, 6, 2, 4, 3]
            )[0],
            "timestamp": self._timestamp(),
            "lastProcessedId": f"{self._worker}-{next(self._numbers)}",
        }
        if self.random.random() < AREAS_SHARE:
            return payload | self._areas()
        payload |= self._counts(payload["taskId"])
        if self.random.random() < KEYS_SHARE:
            # Out of a few, so that others name the same. No number is given of these types.
            pages, files = ([f"https://example.org/{n}" for n in self.random.sample(range(2000), 5)] for _ in range(2))
            payload["itemKeys"] = {"pages": pages, "files": files}
        return payload | self._rest(payload["status"])

    def _timestamp(self) -> str:
        """Return a time: mostly the next one, sometimes a late one. Other crawlers may use the same."""
        tick = next(_clock) // 2
        if self.random.random() < 0.2:
            tick = max(0, tick - self.random.randrange(5000))
        seconds, milliseconds = divmod(tick * 10, 1000)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return f"2025-01-06T{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}Z"

    def _counts(self, job: str) -> Json:
        chance = self.random.random()
        if chance < 0.1:
            return {}
        types = self.random.sample(_TYPES, self.random.randint(1, 4))
        if chance < 0.55:
            counts: Json = {"itemsByType": {name: self.random.randint(0, 20) for name in types}}
            return counts | ({"workerId": self._worker, "counting": "increment"} if chance < 0.3 else {})
        if chance < 0.9:
            totals = self._totals.setdefault(job, {})
            for name in types:
                totals[name] = totals.get(name, 0) + self.random.randint(0, 9)
            self._processed[job] = self._processed.get(job, 0) + self.random.randint(0, 9)
            return {
                "workerId": self._worker,
                "counting": "cumulative",
                "itemsByType": {name: totals[name] for name in types},
                "processedItems": self._processed[job],
            }
        legacy = self.random.randint(0, 500)
        return {"processed": legacy, "total": 500, "groupCount": legacy // 10, "projectCount": legacy // 3}

    def _rest(self, status: str) -> Json:
        chances: Json = {
            "stage": self.random.choice(["listing", "fetching", "storing"]),
            "currentDataType": self.random.choice(_TYPES),
            "operationType": self.random.choice(["discovery", "data_collection"]),
            "message": f"{self._worker} at work",
            "progress": {"page": self.random.randrange(100), "by": self._worker},
            "custom": [self.random.randrange(10), None],
            "timeline": [{"timestamp": "2025-01-06T00:00:00.000Z", "event": "own", "details": {}}],
        }
        rest = {name: value for name, value in chances.items() if self.random.random() < 0.15}
        return rest | ({"error": {"type": "Gone", "message": self._worker}} if status == "failed" else {})

    def _areas(self) -> Json:
        """Return areas out of a few, so that many are discovered again, and some as another type."""
        areas = []
        for number in self.random.sample(range(400), self.random.randint(0, 6)):
            kind = self.random.choice(["group", "project", "team"]) if self.random.random() < 0.1 else "Project"
            areas.append({"fullPath": f"top/{number}", "type": kind, "name": self._worker, "gitlabId": number})
        # Its own number of groups is left out, because the areas count.
        said = {"groupCount": 999, "itemsByType": {"groups": 7, "issues": 1}} if self.random.random() < 0.3 else {}
        return {"status": "new_areas_discovered", "areas": areas, **said}
