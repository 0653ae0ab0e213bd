"""Where the updates of a job wait: in a file, or in memory while the disk fails.

If the disk fails, what can be read of the file is copied into memory, and the job goes on there. A new file is tried
once a minute, or at once if the file was removed.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from tallymark.client.disk import DISK_ERRORS, is_damage
from tallymark.client.log import Seldom, log as _log
from tallymark.client.outbox import Outbox
from tallymark.client.records import Position
from tallymark.client.refusals import Refusals
from tallymark.client.salvage import salvage
from tallymark.client.updates import Update

#: How long a disk that failed is left alone.
_DISK_AGAIN_SECONDS = 60.0

Found = TypeVar("Found")


class Storage:
    """Keeps the outbox of a job. Safe across threads.

    Attributes:
        outbox: The updates that wait. Replaced by one in memory after the disk has failed, and by a new file when the
            disk works again.
        new_file: Opens a new file for the job; None if there is none.
        settled: Up to which number its updates are settled.
    """

    def __init__(self, job_id: str, outbox: Outbox, refusals: Refusals) -> None:
        """Start with an outbox. `refusals`: is told what cannot be read any more."""
        self.outbox = outbox
        self.new_file: Callable[[], Outbox | None] | None = None
        self.settled = 0
        self._job_id = job_id
        self._refusals = refusals
        self._is_closed = False
        self._refused: list[tuple[dict[str, Any], Any]] = []
        self._disk_failures = Seldom()
        self._notes: deque[tuple[int, str]] = deque()
        self._disk_again_at = 0.0 if outbox.is_durable else time.monotonic() + _DISK_AGAIN_SECONDS
        # Taken by the client's threads only, while the outbox may be replaced.
        self._lock = threading.RLock()

    def put(self, updates: Sequence[Update], position: Position, forget: Sequence[bytes] = ()) -> int:
        """Append updates and the position after them; return the last number. If the disk fails, continue in memory.

        `forget`: see `Outbox.append`.
        """
        with self._lock:
            self._come_back()
            while True:
                outbox = self.outbox
                try:
                    last = outbox.append(updates, position, forget)
                except DISK_ERRORS as error:
                    if not outbox.is_durable:
                        raise
                    self._leave(outbox, error)
                else:
                    # If it is in a file that has no name any more, it is copied from there.
                    self._check()
                    break
        self._speak()
        return last

    def check(self) -> None:
        """Make the file again if somebody removed it."""
        with self._lock:
            self._come_back()
            self._check()
        self._speak()

    def _check(self) -> None:
        if not self.outbox.is_there:
            self._leave(self.outbox, FileNotFoundError("the file was removed"))
            self._come_back()

    def ask(self, read: Callable[[Outbox], Found]) -> Found:
        """Return what a function reads from the outbox; if the disk fails, what could be copied into memory."""
        while True:
            outbox = self.outbox
            try:
                return read(outbox)
            except DISK_ERRORS as error:
                if self.outbox is outbox:
                    if not outbox.is_durable or self._is_closed:
                        raise
                    self.leave_disk(outbox, error)

    def refused(self) -> list[tuple[dict[str, Any], Any]]:
        """Return the updates that the server refused, each with its answer."""
        try:
            return self.ask(Outbox.refused)
        except DISK_ERRORS:
            # The file was closed, after the end.
            return self._refused

    def settle(self, numbers: Iterable[int]) -> None:
        """Note that the updates with these numbers are settled."""
        with self._lock:
            self.settled = max([self.settled, *numbers])

    def close(self, *, remove: bool) -> None:
        """Close the outbox. `remove`: whether to delete its file if no update waits."""
        # It may be asked for after the end.
        self._refused = self.refused()
        self._is_closed = True
        problem = self.outbox.close(remove=remove and not len(self.outbox))
        if problem is not None:
            _log.warning("job %s: the spool file %s could not be put away: %s", self._job_id, self.outbox.path, problem)

    def leave_disk(self, failed: Outbox, error: Exception) -> None:
        """Copy a file that fails into memory and use that; nothing happens if that was done before."""
        with self._lock:
            self._leave(failed, error)
        self._speak()

    def _leave(self, failed: Outbox, error: Exception) -> None:
        if self.outbox is not failed or not failed.is_durable:
            return
        level = logging.WARNING if self._disk_failures.again() else logging.DEBUG
        self._notes.append(
            (level, f"the spool cannot be written or read, updates are kept in memory: {failed.path}: {error}")
        )
        memory = Outbox(None, limit=failed.limit)
        # The file keeps these updates, too; if they are sent again, they are duplicates.
        contents, problem = salvage(failed)
        memory.take_in(contents)
        if not contents.last_place:
            # The numbers start again at 1.
            self.settled = 0
        if problem is not None:
            note = f"a part of {failed.path} cannot be read, and may be lost: {problem}"
            self._notes.append((logging.ERROR, note))
            self._refusals.add(note)
        was_removed = isinstance(error, FileNotFoundError)
        self._disk_again_at = time.monotonic() + (0.0 if was_removed else _DISK_AGAIN_SECONDS)
        self.outbox = memory
        failed.close(aside=problem is not None or is_damage(error))

    def _speak(self) -> None:
        """Log what happened under the lock, without it: a log handler may report to the job."""
        while self._notes:
            level, note = self._notes.popleft()
            _log.log(level, "job %s: %s", self._job_id, note)

    def _come_back(self) -> None:
        """Use a new file instead of memory, if the disk works again. The caller holds the lock."""
        memory = self.outbox
        if memory.is_durable or self.new_file is None or time.monotonic() < self._disk_again_at:
            return
        self._disk_again_at = time.monotonic() + _DISK_AGAIN_SECONDS
        fresh = None
        try:
            if (fresh := self.new_file()) is not None:
                fresh.take_over(memory)
        except DISK_ERRORS as error:
            self._notes.append((logging.DEBUG, f"the spool cannot be used yet: {error}"))
            if fresh is not None:
                fresh.close(remove=True)
            return
        if fresh is not None:
            self.outbox = fresh
            memory.close()
            self._notes.append((logging.INFO, f"the spool can be used again: {fresh.path}"))
