"""One job, as its crawler speaks of it."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Literal, Self

from tallymark.client.clock import Clock
from tallymark.client.lane import Lane
from tallymark.client.outbox import Position
from tallymark.client.pending import Pending, Update
from tallymark.client.saying import Saying
from tallymark.client.sender import Sender
from tallymark.client.tracking import Tracker

_log = logging.getLogger("tallymark.client")

#: An update goes out at once when it says something that people wait for, else not sooner than this after the last.
_SHORTEST_GAP_SECONDS = 0.1
_STOPS = ("pause", "cancel")


class DeliveryError(Exception):
    """What was said is neither on the server nor on disk."""


@dataclass(frozen=True)
class Resume:
    """Where a crawl goes on.

    Attributes:
        last_processed_id: The cursor: all up to it is counted.
        state: The resume state that was given last.
        items_by_type: What was counted before.
        processed_items: How many in all.
        source: Who says so: the server; the spool, where the server was away; nothing, where neither knew.
    """

    last_processed_id: str | None = None
    state: Any = None
    items_by_type: dict[str, int] = field(default_factory=dict)
    processed_items: int = 0
    source: Literal["server", "spool", "nothing"] = "nothing"


@dataclass(frozen=True, kw_only=True)
class Habits:
    """When a job's updates go out.

    Attributes:
        every_items: After how many items.
        every_seconds: After how many seconds.
        max_bytes: About how large an update may be.
        start_timeout: For how many seconds a start waits for the server.
        end_timeout: For how many an end does.
    """

    every_items: int
    every_seconds: float
    max_bytes: int
    start_timeout: float
    end_timeout: float


class Job(Saying):
    """A job that runs. `ProgressClient.job` makes it; safe across threads.

    It is a context manager: entering reports `started`, leaving reports how it ended. What its methods say is sent by the client's own
    thread, so that none of them waits for the network but start, `flush` and the ends.
    """

    def __init__(
        self,
        sender: Sender,
        habits: Habits,
        *,
        job_id: str,
        worker: str | None,
        register: bool,
        attributes: Mapping[str, Any] | None,
        on_command: Callable[[str], object] | None,
    ) -> None:
        """See `ProgressClient.job`."""
        self.id = job_id
        self.resume = Resume()
        self._sender = sender
        self._habits = habits
        self._max_bytes = habits.max_bytes
        self._every_items = habits.every_items
        self._on_command = on_command
        self._lane: Lane | None = None
        self._command: str | None = None
        self._saw_stop = False
        self._ended = False
        self._lock = threading.RLock()
        self._writing = threading.RLock()
        self._pending = Pending(habits.max_bytes)
        self._sealed: list[Update] = []
        self._fresh: set[bytes] = set()
        self._trackers: list[Tracker] = []
        self._clock = Clock()
        self._position = Position(job_id, worker, register, dict(attributes) if attributes else None)
        self._total: int | None = None
        self._total_sent: int | None = None
        self._last_seq = 0
        self._urgent = False
        self._since: float | None = None
        self._last_cut = 0.0
        self._start_id = ""
        self._began = False
        self._start_answered = threading.Event()

    # --- beginning and end ----------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Report `started`, and learn where to go on. Waits for the server, within limits.

        Returns:
            The job itself; `resume` says where to go on.

        Raises:
            ValueError: This client has the job open already.
            RuntimeError: It was started before.
        """
        if self._lane is not None:
            raise RuntimeError(f"job {self.id!r} was started before")
        lane = self._sender.lane(self.id, self._position.worker, self)
        before = lane.outbox.position()
        if before is not None and not before.completed:
            self._position = replace(before, register=self._position.register, attributes=self._position.attributes)
            self.resume = Resume(
                before.last_processed_id, before.state, dict(before.items_by_type), before.processed_items, "spool"
            )
        self._clock = Clock(before.clock if before else 0)
        lane.register, lane.attributes = self._position.register, self._position.attributes
        self._lane = lane
        with self._lock:
            self._start_id = self._seal("started").update_id
        self._write()
        self._sender.add(lane)
        until = time.monotonic() + self._habits.start_timeout
        while not self._start_answered.wait(0.05) and not self._sender.is_away and time.monotonic() < until:
            pass
        with self._lock:
            self._began = True
        if self.resume.source == "nothing":
            _log.warning("job %s begins without knowing where it was: the server did not say", self.id)
        return self

    def _end(self, status: str, **members: Any) -> None:  # noqa: ANN401 - any JSON
        """Report how the job ended, once, and wait for the server, within limits."""
        with self._lock:
            if self._ended:
                return
            self._sample()
            self._ended = True
            self._position.completed = status == "completed"
            if self._position.completed:
                self._position.state = None
            self._give(members)
            self._seal(status)
        for tracker in self._trackers:
            tracker.end()
        self._write()
        lane = self._served()
        delivered = lane.wait(self._last_seq, self._habits.end_timeout, lambda: self._sender.is_away)
        lane.finished = self._position.completed
        lane.speaker = None
        self._sender.wake()
        if not delivered and not lane.outbox.is_durable:
            _log.error("job %s: %d updates are only in memory, for there is no spool", self.id, len(lane.outbox))
        elif not delivered:
            _log.warning("job %s: %d updates wait in %s", self.id, len(lane.outbox), lane.outbox.path)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is None:
            self._leave()
        elif isinstance(error, (KeyboardInterrupt, asyncio.CancelledError)):
            self._end("paused", message=f"interrupted ({type(error).__name__})")
        else:
            self.fail(error)

    def _leave(self) -> None:
        command = self._command if self._saw_stop else None
        if command == "cancel":
            self.cancel()
        elif command == "pause":
            self.pause()
        else:
            self.complete()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)

    # --- what is safe, what is asked ------------------------------------------------------------------------------

    def flush(self, timeout: float = 10.0) -> bool:
        """Make safe what was said so far.

        Args:
            timeout: Seconds to wait for the server, while it answers at all.

        Returns:
            True when the server has it, False when the spool on disk has it.

        Raises:
            DeliveryError: Neither, for there is no spool, or its disk refuses.
        """
        lane = self._served()
        self._write(everything=True)
        seq = self._last_seq
        self._sender.wake()
        durable = lane.outbox.is_durable
        if lane.wait(seq, timeout, lambda: durable and self._sender.is_away):
            return True
        if not lane.outbox.is_durable:
            raise DeliveryError(
                f"job {self.id}: {len(lane.outbox)} updates are only in memory, the server did not answer"
            )
        return False

    async def aflush(self, timeout: float = 10.0) -> bool:  # noqa: ASYNC109 - the same as `flush` has
        """Make safe what was said so far; see `flush`."""
        return await asyncio.to_thread(self.flush, timeout)

    @property
    def command(self) -> str | None:
        """What an operator asks, by the last acknowledgement: pause, cancel, resume or None."""
        return self._command

    @property
    def should_stop(self) -> bool:
        """Whether an operator asks to pause or cancel. Who has seen it is taken to obey: leaving the block then reports that."""
        return self.is_told_to_stop()

    def is_told_to_stop(self) -> bool:
        """Say the same, as `track` asks."""
        if self._command in _STOPS:
            self._saw_stop = True
            return True
        return False

    @property
    def undelivered(self) -> int:
        """How many updates wait for the server."""
        return len(self._served().outbox)

    def refused(self) -> list[tuple[dict[str, Any], Any]]:
        """Return the updates that the server refused, each with its answer."""
        try:
            return self._served().outbox.refused()
        except sqlite3.ProgrammingError:
            # It was closed, as nothing waited in it and the job had ended.
            return []

    def wake(self) -> None:
        """Send what is due."""
        self._sender.wake()

    def put_away(self) -> None:
        """Put all that was said into the outbox, and say nothing more: the client ends."""
        if self._lane is not None and not self._ended:
            self._write(everything=True)
            self._ended = True

    # --- between the crawl and the sender -------------------------------------------------------------------------

    def heard(self, update_id: str, answer: Mapping[str, Any]) -> None:
        """Hear an answer; called by the client's thread."""
        for warning in answer.get("warnings") or ():
            _log.warning("job %s: %s", self.id, warning)
        if update_id in {self._start_id, f"{self._start_id}-mended"}:
            self._learn(answer)
        command = answer.get("command")
        if answer.get("status") == "received" and command != self._command:
            self._command = command
            if command is not None and self._on_command is not None:
                try:
                    self._on_command(command)
                except Exception:
                    _log.exception("job %s: the callback for a command failed", self.id)

    def _learn(self, answer: Mapping[str, Any]) -> None:
        """Take from the acknowledgement of our start where to go on."""
        told = answer.get("resume")
        if isinstance(told, dict):
            counts = {name: int(number) for name, number in (told.get("itemsByType") or {}).items()}
            processed = int(told.get("processedItems") or 0)
            mine = int((answer.get("worker") or {}).get("processedItems", processed))
            with self._lock:
                self._clock.advance_past(str(answer.get("newestTimestamp")))
                if self._began and self.resume.source == "nothing" and processed:
                    _log.warning("job %s began without knowing that %d items were counted before", self.id, processed)
                    self._position.processed_items += mine
                elif not self._began:
                    self.resume = Resume(
                        told.get("lastProcessedId"), told.get("resumeState"), counts, processed, "server"
                    )
                    self._position.last_processed_id = self.resume.last_processed_id
                    self._position.state = self.resume.state
                    self._position.items_by_type = dict(counts)
                    self._position.processed_items = mine
        self._start_answered.set()

    def feed(self, now: float) -> None:
        """Put what is due into the outbox; called by the client's thread."""
        if not self._start_id or self._ended:
            return
        with self._lock:
            self._sample()
            for tracker in self._trackers:
                tracker.draw()
            if not (self._pending.has_any or self._sealed):
                return
            if self._since is None:
                self._since = now
            due = self._urgent or bool(self._sealed) or self._pending.items >= self._habits.every_items
            late = now - self._since >= self._habits.every_seconds
            if not (late or due) or (not self._urgent and now - self._last_cut < _SHORTEST_GAP_SECONDS):
                return
        self._write(everything=True)

    def _write(self, *, everything: bool = False) -> None:
        """Put into the outbox what is sealed, and on request what is not yet."""
        lane = self._served()
        # In this order only: the outbox has to have the updates in the order of their times.
        with self._writing:
            with self._lock:
                if everything and not self._ended:
                    self._sample()
                    if self._pending.has_any:
                        self._seal("processing")
                updates, self._sealed = self._sealed, []
                position = replace(self._position, items_by_type=dict(self._position.items_by_type))
                if everything:
                    self._urgent = False
                    self._since = None
                    self._last_cut = time.monotonic()
                    for tracker in self._trackers:
                        tracker.wake_at = tracker.at[0] + self._habits.every_items
            if updates:
                self._last_seq = lane.put(updates, position)
                with self._lock:
                    self._fresh.difference_update(key for update in updates for key in update.keys)
        self._sender.wake()

    def _seal(self, status: str, **members: Any) -> Update:  # noqa: ANN401 - any JSON
        """Make an update of what is pending, with its time and its id; the lock is held."""
        stamp = self._clock.stamp()
        said, keys = self._pending.contents()
        self._pending.clear()
        payload: dict[str, Any] = {
            "taskId": self.id,
            "status": status,
            "timestamp": stamp.timestamp,
            "updateId": stamp.update_id,
            **({"workerId": self._position.worker} if self._position.worker else {}),
            **said,
            **members,
        }
        if "itemsByType" in said:
            payload["processedItems"] = self._position.processed_items
        if self._total is not None:
            # An update that says more than all were processed would be refused.
            total = max(self._total, self._position.processed_items)
            if total != self._total_sent:
                payload["totalItems"] = self._total_sent = total
        self._position.clock = stamp.microseconds
        update = Update(stamp.update_id, payload, keys)
        self._sealed.append(update)
        return update

    def _sample(self) -> None:
        """Count what the loops have done; the lock is held."""
        for tracker in self._trackers:
            done, last_id = tracker.at
            if done > tracker.taken:
                number, tracker.taken = done - tracker.taken, done
                self._count(tracker.type, number, last_id=last_id)

    def _served(self) -> Lane:
        if self._lane is None:
            raise RuntimeError(f"job {self.id!r} was not started: use `with client.job(...) as job`, or start()")
        return self._lane
