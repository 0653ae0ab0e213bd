"""Sending what waits: batches, tries, pauses, and what the answers mean."""

import logging
import random
import sqlite3
import time

from tallymark.client.lane import HELD_SECONDS, Lane
from tallymark.client.records import Waiting
from tallymark.client.spool import Spool
from tallymark.client.transport import (
    JOBS_PATH,
    OK,
    PROGRESS_PATH,
    REFUSALS,
    TOO_LARGE,
    Answer,
    Transport,
    Unreachable,
    answers_to_each,
    as_json,
)

_log = logging.getLogger("tallymark.client")

#: A batch of the protocol has at most 1000 updates and 1 MiB.
_BATCH_UPDATES = 200
_BATCH_BYTES = 256 * 1024
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_LONGEST_ASKED_PAUSE_SECONDS = 120.0
#: How long nothing is tried after the server did not take the token.
UNAUTHORIZED_PAUSE_SECONDS = 60.0
#: How long the server may take for what another process left: less than a crawl that starts meanwhile waits for it.
_LEFTOVERS_TIMEOUT_SECONDS = 3.0
_CREATED = 201
_UNAUTHORIZED = 401


class Delivery:
    """Delivers what the lanes have, one request at a time."""

    _transport: Transport
    _spool: Spool
    _retries: int
    _timeout: float
    _failures: int
    _not_before: float
    _singly: int

    @property
    def is_away(self) -> bool:
        """Whether the server does not answer, by all that was tried."""
        return self._failures > self._retries

    def waiting(self) -> int:
        """Return how many updates wait."""
        return sum(len(lane.outbox) for lane in self._served())

    def _served(self) -> list[Lane]:
        raise NotImplementedError

    def _deliver(self) -> None:
        """Send one request with the first of what waits in all lanes."""
        batch: list[tuple[Lane, list[Waiting]]] = []
        left = 1 if self._singly else _BATCH_UPDATES
        size = _BATCH_BYTES
        jobs = set()
        lanes = self._served()
        random.shuffle(lanes)
        for lane in lanes:
            # Only the last start of a job in a batch is told where to go on.
            if (
                left
                and size > 0
                and lane.job_id not in jobs
                and not lane.is_held
                and (rows := self._head(lane, left, size))
            ):
                batch.append((lane, rows))
                jobs.add(lane.job_id)
                left -= len(rows)
                size -= sum(len(row.text) for row in rows)
        if not batch:
            return
        self._send(batch)

    def _send(self, batch: list[tuple[Lane, list[Waiting]]]) -> None:
        texts = [row.text for _, rows in batch for row in rows]
        body = texts[0] if len(texts) == 1 else f"[{','.join(texts)}]"
        adopted = any(lane.adopted for lane, _ in batch)
        try:
            answer = self._transport.post(
                PROGRESS_PATH,
                body,
                timeout=min(self._timeout, _LEFTOVERS_TIMEOUT_SECONDS) if adopted else self._timeout,
            )
        except Unreachable as error:
            self._failed(str(error), None)
            return
        answers = answers_to_each(answer, len(texts))
        if answers is None:
            self._odd(answer, len(texts))
            return
        if self._singly:
            self._singly -= 1
        known = True
        for lane, rows in batch:
            mine, answers = answers[: len(rows)], answers[len(rows) :]
            outbox = lane.outbox
            try:
                if not lane.take(rows, mine):
                    known = self._register(lane) and known
            except (OSError, sqlite3.Error) as error:
                # It stays in the file and is sent again, as a duplicate.
                _log.warning("job %s: the spool cannot be written: %s", lane.job_id, error)
                lane.go_on_in_memory(outbox)
        if known:
            self._succeeded()

    def _head(self, lane: Lane, most: int, size: int) -> list[Waiting]:
        outbox = lane.outbox
        try:
            return outbox.head(most, size)
        except sqlite3.Error as error:
            _log.warning("job %s: the spool cannot be read: %s", lane.job_id, error)
            # What can be saved goes on in memory; what is left of another process's is left.
            if lane.speaker is not None:
                lane.go_on_in_memory(outbox)
            else:
                lane.held_until = time.monotonic() + HELD_SECONDS
            return []

    def _register(self, lane: Lane) -> bool:
        """Register a job; return whether that is done."""
        if lane.was_registered:
            self._failed(f"the server does not know the job {lane.job_id!r} that it registered", None)
            return False
        body = {"taskId": lane.job_id, **({"attributes": lane.attributes} if lane.attributes else {})}
        try:
            answer = self._transport.post(JOBS_PATH, as_json(body), timeout=self._timeout)
        except Unreachable as error:
            self._failed(str(error), None)
            return False
        if answer.status in REFUSALS:
            _log.warning("job %s cannot be registered: %s", lane.job_id, answer.body)
            lane.register = False
        elif answer.status not in {OK, _CREATED}:
            self._odd(answer, 1)
            return False
        lane.was_registered = True
        return True

    def _odd(self, answer: Answer, updates: int) -> None:
        """Judge an answer that does not say what became of each update."""
        said = answer.body.get("error") if isinstance(answer.body, dict) else None
        if answer.status in REFUSALS and (said or answer.status == TOO_LARGE) and updates > 1:
            self._singly = updates
            return
        why = f"HTTP {answer.status}{f' {said}' if said else ''}"
        if answer.status == _UNAUTHORIZED:
            # Further tries make no sense: it counts as away at once, and that is said.
            self._failures = max(self._failures, self._retries)
            self._failed(f"{why}, the token is none of the server's", None)
            self._not_before = time.monotonic() + UNAUTHORIZED_PAUSE_SECONDS
        else:
            self._failed(why, answer.retry_after)
        self._nudge()

    def _failed(self, why: str, retry_after: float | None) -> None:
        was_away = self.is_away
        self._failures += 1
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(self._failures - 1, 10))
        pause = random.uniform(0.5, 1.0) * longest  # noqa: S311 - so that not all crawlers come back at once
        if retry_after is not None:
            pause = max(pause, min(retry_after, _LONGEST_ASKED_PAUSE_SECONDS))
        self._not_before = time.monotonic() + pause
        _log.debug("try %d failed, the next one is in %.1f s: %s", self._failures, pause, why)
        if self.is_away and not was_away:
            where = self._spool.directory or "memory"
            _log.warning("the server does not take updates, %d wait in %s: %s", self.waiting(), where, why)
        self._nudge()

    def _succeeded(self) -> None:
        if self.is_away:
            _log.info("the server takes updates again")
        self._failures = 0
        self._not_before = 0.0

    def _nudge(self) -> None:
        for lane in self._served():
            lane.nudge()
