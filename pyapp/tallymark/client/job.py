"""One job, as its crawler speaks of it."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tallymark.client.clock import Clock
from tallymark.client.lane import Lane
from tallymark.client.pending import Pending, Update
from tallymark.client.recording import Recording
from tallymark.client.records import Position
from tallymark.client.resume import DeliveryError, Habits, Resume
from tallymark.client.sender import Sender

if TYPE_CHECKING:
    from tallymark.client.tracking import Tracker

_log = logging.getLogger("tallymark.client")

_STOPS = ("pause", "cancel")


class Job(Recording):
    """A job that runs. `ProgressClient.job` makes it; safe across threads.

    It is a context manager: entering reports `started`, leaving reports how it ended. What its methods say is sent by
    the client's own thread, so that none of them waits for the network but start, `flush` and the ends.
    """

    def __init__(
        self,
        client: object,
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
        # The client lives as long as its jobs do.
        self._client = client
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
        self._warned: set[str] = set()

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
        try:
            self._begin(lane)
            self._sender.add(lane)
        except BaseException:
            self._sender.give_back(lane)
            raise
        if not self._sender.is_mine():
            self._wait_for_start()
        with self._lock:
            self._began = True
        if self.resume.source == "nothing":
            _log.warning("job %s begins without knowing where it was: the server did not say", self.id)
        return self

    def _wait_for_start(self) -> None:
        """Wait until the start is answered, the server is away, or it takes too long."""
        until = time.monotonic() + self._habits.start_timeout
        while not self._start_answered.wait(0.05) and not self._sender.is_away and time.monotonic() < until:
            pass
        if not self._start_answered.is_set():
            self._sender.give_up()

    def _begin(self, lane: Lane) -> None:
        """Take up what the outbox knows, and put the start into it."""
        before = lane.outbox.position()
        if before is not None:
            if before.completed:
                # As it is where the server had heard of the end: what is done anew counts anew, from where it was.
                lane.outbox.forget_counted()
            self._position = replace(
                before, register=self._position.register, attributes=self._position.attributes, completed=False
            )
            self.resume = Resume(
                before.last_processed_id, before.state, dict(before.items_by_type), before.processed_items, "spool"
            )
        self._clock = Clock(before.clock if before else 0)
        lane.register, lane.attributes = self._position.register, self._position.attributes
        self._lane = lane
        with self._lock:
            self._start_id = self._seal("started").update_id
        self._write()

    def _end(self, status: str, **members: Any) -> None:  # noqa: ANN401 - any JSON
        """Report how the job ended, once, and wait for the server, within limits."""
        with self._lock:
            if self._ended:
                return
            self._sample()
            # What is no JSON raises here, before anything has changed.
            self._give(members)
            self._ended = True
            self._position.completed = status == "completed"
            if self._position.completed:
                self._position.state = None
            self._seal(status)
        for tracker in self._trackers:
            tracker.end()
        self._write()
        lane = self._served()
        delivered = lane.wait(
            self._last_seq,
            self._habits.end_timeout,
            lambda: self._sender.is_away or self._sender.is_mine() or lane.is_held,
        )
        if not delivered and not lane.is_held and not self._sender.is_mine():
            self._sender.give_up()
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
        stopped = (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)
        if error is None:
            self._leave()
        elif isinstance(error, stopped) or (isinstance(error, SystemExit) and not error.code):
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
        if lane.wait(
            seq, timeout, lambda: (durable and self._sender.is_away) or self._sender.is_mine() or lane.is_held
        ):
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
        """Whether an operator asks to pause or cancel.

        Who has seen it is taken to obey: leaving the block then reports that.
        """
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

    def put_away(self) -> None:
        """Put all that was said into the outbox, and say nothing more: the client ends."""
        if self._lane is None:
            return
        with self._lock:
            if not self._ended:
                self._sample()
                if self._pending.has_any:
                    self._seal("processing")
                self._ended = True
        self._write()
