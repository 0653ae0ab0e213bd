"""The way of one job's updates to the server."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tallymark.client.answers import FORBIDDEN, UNKNOWN, why_refused, without_what_is_wrong
from tallymark.client.bell import Bell
from tallymark.client.outbox import Outbox
from tallymark.client.records import Position, Waiting
from tallymark.client.updates import Update

#: For how long nothing is sent of a job that the token may not report on.
_HELD_SECONDS = 60.0

_log = logging.getLogger("tallymark.client")


class Source(Protocol):
    """The recorder of a job of this process."""

    def write(self, now: float) -> None:
        """Put what is due into the outbox; called by the keeper. `now` is monotonic, in seconds."""
        ...

    def shorten_log(self) -> None:
        """Bound what is in memory, also while the keeper waits for the disk."""
        ...


#: Takes the answer to an update, an acknowledgement or a refusal, by its id.
Listen = Callable[[str, Mapping[str, Any]], None]


class Channel:
    """What the sender has of a job: what waits, and how far it is settled.

    Attributes:
        outbox: What waits. Another one, in memory, once the disk has refused.
        register: Whether to register the job where the server does not know it; `attributes`: with these.
        user: The job of this process that uses it, and so lives as long as it is served; None where there is none.
        source: Where more comes from; `listen`: where answers go.
        is_over: Whether nobody says any more.
        is_adopted: Whether it is what another process left.
        is_finished: Whether the file is removed when nothing waits in it any more.
        is_closed: Whether it is not served any more.
        was_registered: Whether the server said so, after the last update that it took.
        since: Since when it is served.
    """

    def __init__(self, job_id: str, worker: str | None, outbox: Outbox) -> None:
        self.job_id = job_id
        self.worker = worker
        self.outbox = outbox
        self.register = False
        self.attributes: Mapping[str, Any] | None = None
        self.user: object = None
        self.source: Source | None = None
        self.listen: Listen | None = None
        self.is_over = self.is_adopted = self.is_finished = self.is_closed = self.was_registered = False
        self.since = time.monotonic()
        self._held_until = 0.0
        self._settled = 0
        self._waiters: dict[Bell, None] = {}
        # Held by the client's threads only, while they change from one outbox to another.
        self._lock = threading.RLock()

    @classmethod
    def adopt(cls, outbox: Outbox, position: Position) -> "Channel":
        """Make one of what another process left."""
        channel = cls(position.job_id, position.worker, outbox)
        channel.register, channel.attributes = position.register, position.attributes
        channel.is_over = channel.is_adopted = True
        channel.is_finished = position.completed
        return channel

    @property
    def name(self) -> tuple[str, str | None]:
        """What tells it from others."""
        return self.job_id, self.worker

    @property
    def is_held(self) -> bool:
        """Whether nothing of it is sent now, for the token may not."""
        return time.monotonic() < self._held_until

    def serves(self, source: Source) -> bool:
        """Say whether what comes from there is put into the outbox."""
        return self.source is source and not self.is_closed

    def hold(self) -> None:
        """Send nothing of it for a while."""
        self._held_until = time.monotonic() + _HELD_SECONDS

    def take_up(self) -> None:
        """Go on with what waits, for another run of the job."""
        self.user = self.source = self.listen = None
        self.is_over = self.is_adopted = self.is_finished = False
        self._held_until = 0.0

    def end(self, *, completed: bool) -> None:
        """Note that the last update of the job is in the outbox."""
        self.is_finished = completed
        self.is_over = True

    def close(self) -> None:
        """Let go of the outbox, and of its file where nothing of it is needed."""
        self.is_closed = True
        self.user = self.source = self.listen = None
        self.outbox.close(remove=self.is_finished and not len(self.outbox))

    # --- what waits -----------------------------------------------------------------------------------------------

    def put(self, updates: list[Update], position: Position) -> int:
        """Append updates, and where the crawl is after them; where the disk refuses, go on in memory.

        Returns the place of the last that waits.
        """
        with self._lock:
            try:
                return self.outbox.append(updates, position)
            except (OSError, sqlite3.Error) as error:
                if not self.outbox.is_durable:
                    raise
                _log.warning("job %s: the spool cannot be written, what waits is in memory: %s", self.job_id, error)
                self.go_on_in_memory(self.outbox)
                return self.outbox.append(updates, position)

    def head(self, most: int, size: int) -> list[Waiting]:
        """Return the first of what waits; nothing where it cannot be read."""
        outbox = self.outbox
        try:
            return outbox.head(most, size)
        except sqlite3.Error as error:
            _log.warning("job %s: the spool cannot be read: %s", self.job_id, error)
            # What can be saved goes on in memory; what is left of another process's is left.
            if not self.is_over:
                self.go_on_in_memory(outbox)
            else:
                self.hold()
            return []

    def go_on_in_memory(self, failed: Outbox) -> None:
        """Take all out of a file that cannot be used; nothing happens where that was done already."""
        with self._lock:
            if self.outbox is not failed or not failed.is_durable:
                return
            memory = Outbox(None, limit=failed.limit)
            try:
                # What is in the file as well is sent once more some day, and is a duplicate then.
                memory.take_over(failed)
            except sqlite3.Error as error:
                # The places begin again at 1.
                self._settled = 0
                _log.error("job %s: what waits in %s cannot be read: %s", self.job_id, failed.path, error)
            self.outbox = memory
            failed.close()

    # --- what is answered -----------------------------------------------------------------------------------------

    def take(self, rows: list[Waiting], answers: list[Mapping[str, Any]]) -> bool:
        """Take the answers to the first of what waits, one for each.

        Returns whether all was settled; False where the job has to be registered before.
        """
        outbox = self.outbox
        try:
            return self._take(outbox, rows, answers)
        except (OSError, sqlite3.Error) as error:
            # It stays in the file and is sent again, as a duplicate.
            _log.warning("job %s: the spool cannot be written: %s", self.job_id, error)
            self.go_on_in_memory(outbox)
            return True

    def _take(self, outbox: Outbox, rows: list[Waiting], answers: list[Mapping[str, Any]]) -> bool:
        delivered: list[Waiting] = []
        refused: list[tuple[Waiting, object]] = []
        told: list[tuple[Waiting, Mapping[str, Any]]] = []
        unknown = False
        for row, answer in zip(rows, answers, strict=True):
            if answer.get("status") == "received":
                delivered.append(row)
            elif answer.get("status") == UNKNOWN and self.register:
                unknown = True
                break
            elif answer.get("status") == FORBIDDEN:
                # Another token may do what this one may not.
                _log.warning("job %s: the token may not report on it; what is said waits", self.job_id)
                self.hold()
                told.append((row, answer))
                break
            elif (instead := without_what_is_wrong(row, answer)) is not None:
                why = why_refused(answer)
                _log.warning("job %s: an update is sent without what the server refused: %s", self.job_id, why)
                outbox.replace(row, *instead)
                # What follows it was taken; it goes again, and is a duplicate.
                break
            else:
                why = why_refused(answer)
                _log.warning("job %s: the server refused an update, which is kept: %s", self.job_id, why)
                refused.append((row, answer))
            told.append((row, answer))
        outbox.settle(delivered, refused)
        self.was_registered = self.was_registered and not delivered
        for row, answer in told:
            if self.listen is not None:
                self.listen(row.update_id, answer)
        with self._lock:
            self._settled = max([self._settled, *(row.seq for row in [*delivered, *(row for row, _ in refused)])])
        self.nudge()
        return not unknown

    def wait(self, seq: int, timeout: float, gave_up: Callable[[], bool]) -> bool:
        """Wait until the update at a place is settled, or waiting makes no sense any more; return whether it is."""
        until = time.monotonic() + timeout
        bell = Bell()
        self._waiters[bell] = None
        try:
            while self._settled < seq and not gave_up() and time.monotonic() < until:
                bell.wait(min(0.5, until - time.monotonic()))
        finally:
            self._waiters.pop(bell, None)
        return self._settled >= seq

    def nudge(self) -> None:
        """Make those who wait look again."""
        for bell in list(self._waiters):
            bell.ring()
