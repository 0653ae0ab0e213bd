"""The one thread of a client that speaks with the server.

It delivers what waits, in order: what a job says next is sent only when the server has answered what it said before, or
in the same batch, which is one transaction. So what the server has is always a beginning of what was said, and counts
and cursor in it agree. Whether a request that got no answer was done makes no difference: the ids tell.
"""

import logging
import random
import sqlite3
import threading
import time
from typing import TYPE_CHECKING

from tallymark.client.lane import Lane, Speaker
from tallymark.client.outbox import Outbox
from tallymark.client.spool import Spool
from tallymark.client.transport import (
    JOBS_PATH,
    OK,
    PROGRESS_PATH,
    REFUSALS,
    Answer,
    Transport,
    Unreachable,
    answers_to_each,
    as_json,
)

if TYPE_CHECKING:
    from tallymark.client.records import Waiting

_log = logging.getLogger("tallymark.client")

#: A batch of the protocol has at most 1000 updates and 1 MiB.
_BATCH_UPDATES = 200
_BATCH_BYTES = 256 * 1024
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_LONGEST_ASKED_PAUSE_SECONDS = 120.0
#: How long nothing is tried after the server did not take the token.
_UNAUTHORIZED_PAUSE_SECONDS = 60.0
#: How often what other processes left is looked for, and how long the server may take for that: less than a crawl that
#: starts meanwhile waits for its file.
_LEFTOVERS_SECONDS = 60.0
_LEFTOVERS_TIMEOUT_SECONDS = 5.0
_CREATED = 201


class Sender:
    """Delivers what the lanes have. Its thread begins with the first lane."""

    def __init__(self, transport: Transport, spool: Spool, *, retries: int, timeout: float, tick: float) -> None:
        """Start nothing yet.

        Args:
            transport: HTTP.
            spool: Where to find what others left.
            retries: After how many more tries the server counts as away.
            timeout: Seconds for a request.
            tick: Seconds; how often the jobs are asked what is due.
        """
        self._transport = transport
        self._spool = spool
        self._retries = retries
        self._timeout = timeout
        self._tick = tick
        self._lanes: dict[tuple[str, str | None], Lane] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._failures = 0
        self._not_before = 0.0
        self._next_sweep = 0.0
        #: So many deliveries are of one update each, to find the one that spoils a batch.
        self._singly = 0

    @property
    def is_away(self) -> bool:
        """Whether the server does not answer, by all that was tried."""
        return self._failures > self._retries

    def lane(self, job_id: str, worker: str | None, speaker: Speaker) -> Lane:
        """Give a job its lane: the one there is, for what waits in it, or a new one.

        Args:
            job_id: The job.
            worker: Which worker of it.
            speaker: Who will speak on it.

        Returns:
            The lane; `add` makes it served.

        Raises:
            ValueError: Somebody does.
        """
        with self._lock:
            lane = self._lanes.get((job_id, worker))
            if lane is not None:
                if lane.speaker is not None:
                    raise ValueError(f"job {job_id!r} is open in this client already: share it, or name its workers")
                lane.finished = lane.adopted = False
                lane.speaker = speaker
                return lane
        return Lane(job_id, worker, self._spool.open(job_id, worker), speaker=speaker)

    def add(self, lane: Lane) -> None:
        """Serve a lane. If the server was away, it is tried once more now."""
        with self._lock:
            self._lanes[lane.name] = lane
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tallymark-client", daemon=True)
                self._thread.start()
        if self._not_before - time.monotonic() < _UNAUTHORIZED_PAUSE_SECONDS / 2:
            self._failures = min(self._failures, max(self._retries - 1, 0))
            self._not_before = 0.0
        self.wake()

    def wake(self) -> None:
        """Look now whether something is due."""
        self._wake.set()

    def waiting(self) -> int:
        """Return how many updates wait."""
        with self._lock:
            return sum(len(lane.outbox) for lane in self._lanes.values())

    def close(self, timeout: float) -> None:
        """Deliver what can be delivered, then end.

        Args:
            timeout: Seconds, at most.
        """
        self._closing = True
        self.wake()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                # It waits for the server, which may take its timeout. It ends with the process.
                return
        self._transport.close()

    # --- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            # A backlog is no reason to wait; a pause after a failure is.
            pause = self._not_before - time.monotonic()
            self._wake.wait(min(self._tick, max(pause, 0.0)) if self._has_any() else self._tick)
            self._wake.clear()
            closing = self._closing
            try:
                self._feed()
                if time.monotonic() >= self._not_before:
                    self._sweep()
                    self._deliver()
                self._let_go()
            except Exception:  # noqa: BLE001 - it is logged, and tried again
                # A defect of ours must not end the crawl's reporting without a word.
                _log.exception("a defect in the delivery of updates")
                self._failed("a defect", None)
            if closing and (self.is_away or not self._has_any()):
                break
        for lane in self._served():
            lane.outbox.close(remove=lane.finished and not len(lane.outbox))

    def _served(self) -> list[Lane]:
        with self._lock:
            return list(self._lanes.values())

    def _has_any(self) -> bool:
        return any(len(lane.outbox) for lane in self._served())

    def _feed(self) -> None:
        now = time.monotonic()
        for lane in self._served():
            if lane.speaker is not None:
                lane.speaker.feed(now)

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
            if left and size > 0 and lane.job_id not in jobs and (rows := lane.outbox.head(left, size)):
                batch.append((lane, rows))
                jobs.add(lane.job_id)
                left -= len(rows)
                size -= sum(len(row.text) for row in rows)
        if not batch:
            return
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
        self._succeeded()
        for lane, rows in batch:
            mine, answers = answers[: len(rows)], answers[len(rows) :]
            try:
                known = lane.take(rows, mine)
            except (OSError, sqlite3.Error) as error:
                # It stays in the file and is sent again, as a duplicate.
                self._failed(f"the spool cannot be written: {error}", None)
                continue
            if not known:
                self._register(lane)

    def _register(self, lane: Lane) -> None:
        body = {"taskId": lane.job_id, **({"attributes": lane.attributes} if lane.attributes else {})}
        try:
            answer = self._transport.post(JOBS_PATH, as_json(body), timeout=self._timeout)
        except Unreachable as error:
            self._failed(str(error), None)
            return
        if answer.status in REFUSALS:
            _log.warning("job %s cannot be registered: %s", lane.job_id, answer.body)
            lane.register = False
        elif answer.status not in {OK, _CREATED}:
            self._odd(answer, 1)

    def _odd(self, answer: Answer, updates: int) -> None:
        """Judge an answer that does not say what became of each update."""
        said = answer.body.get("error") if isinstance(answer.body, dict) else None
        if answer.status in REFUSALS and said and updates > 1:
            self._singly = updates
            return
        self._failed(f"HTTP {answer.status}{f' {said}' if said else ''}", answer.retry_after)
        if answer.status == 401:  # noqa: PLR2004
            self._failures = self._retries + 1
            self._not_before = time.monotonic() + _UNAUTHORIZED_PAUSE_SECONDS
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

    # --- what others left -----------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Take over, now and then, what crawls left that do not run any more."""
        if time.monotonic() < self._next_sweep or self._closing:
            return
        self._next_sweep = time.monotonic() + _LEFTOVERS_SECONDS
        for outbox in self._spool.leftovers():
            self._adopt(outbox)

    def _adopt(self, outbox: Outbox) -> None:
        position = outbox.position()
        if position is None:
            outbox.close()
            return
        lane = Lane(position.job_id, position.worker, outbox, position.register, position.attributes, adopted=True)
        lane.finished = position.completed
        with self._lock:
            taken = self._lanes.setdefault(lane.name, lane) is not lane
        if taken:
            outbox.close()

    def _let_go(self) -> None:
        """Close what nobody speaks on any more, once nothing waits in it, or the server is away."""
        with self._lock:
            for name, lane in list(self._lanes.items()):
                empty = not len(lane.outbox)
                if lane.speaker is None and (empty or (self.is_away and lane.outbox.is_durable)):
                    del self._lanes[name]
                    lane.outbox.close(remove=lane.finished and empty)
