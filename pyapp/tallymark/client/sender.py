"""The two threads of a client: one puts into the outboxes what is due, one speaks with the server.

It delivers what waits, in order: what a job says next is sent only when the server has answered what it said before, or
in the same batch, which is one transaction. So what the server has is always a beginning of what was said, and counts
and cursor in it agree. Whether a request that got no answer was done makes no difference: the ids tell.
"""

import logging
import sqlite3
import threading
import time

from tallymark.client.delivery import UNAUTHORIZED_PAUSE_SECONDS, Delivery
from tallymark.client.lane import Lane, Speaker
from tallymark.client.outbox import Outbox
from tallymark.client.spool import Spool
from tallymark.client.transport import (
    Transport,
)

_log = logging.getLogger("tallymark.client")

#: How often what other processes left is looked for, and how long the server may take for that: less than a crawl that
#: starts meanwhile waits for its file.
_LEFTOVERS_SECONDS = 60.0
#: How long a file is kept for that, and when it is taken up again where more is left.
_LEFTOVERS_HOLD_SECONDS = 3.0
_LEFTOVERS_AGAIN_SECONDS = 5.0


class Sender(Delivery):
    """Delivers what the lanes have. Its threads begin with the first lane."""

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
        self._opening: set[tuple[str, str | None]] = set()
        self._due = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._failures = 0
        self._not_before = 0.0
        self._next_sweep = 0.0
        #: So many deliveries are of one update each, to find the one that spoils a batch.
        self._singly = 0

    def lane(self, job_id: str, worker: str | None, speaker: Speaker) -> Lane:
        """Give a job its lane: the one there is, for what waits in it, or a new one.

        Args:
            job_id: The job.
            worker: Which worker of it.
            speaker: Who will speak on it.

        Returns:
            The lane; `add` makes it served.

        Raises:
            ValueError: Somebody speaks on it.
            RuntimeError: The client is closed.
        """
        with self._lock:
            if self._closing:
                raise RuntimeError("the client is closed")
            name = job_id, worker
            lane = self._lanes.get(name)
            if name in self._opening or (lane is not None and lane.speaker is not None):
                raise ValueError(f"job {job_id!r} is open in this client already: share it, or name its workers")
            if lane is not None:
                lane.finished = lane.adopted = False
                lane.held_until = 0.0
                lane.speaker = speaker
                return lane
            self._opening.add(name)
        try:
            return Lane(job_id, worker, self._spool.open(job_id, worker), speaker=speaker)
        except BaseException:
            self._opening.discard(name)
            raise

    def add(self, lane: Lane) -> None:
        """Serve a lane. If the server was away, it is tried once more now."""
        with self._lock:
            if self._closing:
                raise RuntimeError("the client is closed")
            self._lanes[lane.name] = lane
            self._opening.discard(lane.name)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tallymark-client", daemon=True)
                self._thread.start()
                threading.Thread(target=self._keep, name="tallymark-keeper", daemon=True).start()
        if self._not_before - time.monotonic() < UNAUTHORIZED_PAUSE_SECONDS / 2:
            self._failures = min(self._failures, max(self._retries - 1, 0))
            self._not_before = 0.0
        self.wake()

    def give_back(self, lane: Lane) -> None:
        """Let go of a lane on which nobody could begin to speak."""
        with self._lock:
            self._opening.discard(lane.name)
            lane.speaker = None
            if lane.name not in self._lanes:
                lane.outbox.close()

    def give_up(self) -> None:
        """Count the server as away: somebody waited in vain."""
        self._failures = max(self._failures, self._retries + 1)

    def is_mine(self) -> bool:
        """Whether the caller is the thread that delivers, which cannot wait for itself."""
        return threading.current_thread() is self._thread

    def wake(self) -> None:
        """Look now whether something is due."""
        self._due.set()
        self._wake.set()

    def close(self, timeout: float) -> None:
        """Deliver what can be delivered, then end.

        Args:
            timeout: Seconds, at most.
        """
        with self._lock:
            self._closing = True
        self.wake()
        if self._thread is not None and not self.is_mine():
            self._thread.join(timeout if not self.is_away else min(timeout, 1.0))
            if self._thread.is_alive():
                # It waits for the server, which may take its timeout. It ends with the process.
                return
        self._transport.close()

    # --- the threads ----------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        """Put into the outboxes what is due, also while the other thread waits for the server."""
        while not self._closing:
            self._due.wait(self._tick)
            self._due.clear()
            now = time.monotonic()
            for lane in self._served():
                if lane.speaker is None:
                    continue
                try:
                    lane.speaker.feed(now)
                except Exception:  # noqa: BLE001 - it is logged, and tried again; other jobs go on
                    _log.exception("job %s: what was said cannot be kept", lane.job_id)

    def _run(self) -> None:
        while True:
            # A backlog is no reason to wait; a pause after a failure is.
            pause = self._not_before - time.monotonic()
            self._wake.wait(min(self._tick, max(pause, 0.0)) if self._has_any() else self._tick)
            self._wake.clear()
            closing = self._closing
            try:
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
        """Say whether anything waits that may be sent."""
        return any(len(lane.outbox) and not lane.is_held for lane in self._served())

    # --- what others left -----------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Take over, now and then, what crawls left that do not run any more."""
        if time.monotonic() < self._next_sweep or self._closing:
            return
        self._next_sweep = time.monotonic() + _LEFTOVERS_SECONDS
        for outbox in self._spool.leftovers():
            try:
                self._adopt(outbox)
            except (sqlite3.Error, ValueError, TypeError) as error:
                _log.warning("what was left in %s cannot be read: %s", outbox.path, error)
                outbox.close()

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
                stuck = lane.outbox.is_durable and (self.is_away or lane.is_held)
                # A crawl that starts elsewhere waits for its file.
                held_long = time.monotonic() - lane.since > _LEFTOVERS_HOLD_SECONDS
                if lane.adopted and not empty and (self._failures or held_long):
                    stuck = True
                    if not self._failures:
                        self._next_sweep = min(self._next_sweep, time.monotonic() + _LEFTOVERS_AGAIN_SECONDS)
                if lane.speaker is None and (empty or stuck):
                    del self._lanes[name]
                    lane.outbox.close(remove=lane.finished and empty)
