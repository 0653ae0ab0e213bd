"""The way of one job's updates to the server."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from tallymark.client.answers import FORBIDDEN, UNKNOWN, why_refused
from tallymark.client.bell import Bell
from tallymark.client.disk import DISK_ERRORS
from tallymark.client.keys import as_counts
from tallymark.client.log import log as _log
from tallymark.client.mending import Mended, mend
from tallymark.client.outbox import Outbox
from tallymark.client.records import Position, Waiting
from tallymark.client.refusals import Refusals
from tallymark.client.storage import Found, Storage
from tallymark.client.updates import Update

#: How long the updates of a job wait after the token was not allowed to report on it.
_HELD_SECONDS = 60.0


class Source(Protocol):
    """The recorder of a job of this process."""

    def write(self, now: float) -> None:
        """See `Recorder.write`."""
        ...

    def shorten_log(self) -> None:
        """See `Recorder.shorten_log`."""
        ...

    def tell(self, name: str, details: Mapping[str, Any]) -> None:
        """See `Recorder.tell`."""
        ...


#: Receives an update's id and the answer to it, an acknowledgement or a refusal.
Listen = Callable[[str, Mapping[str, Any]], None]


class Channel:
    """A job as the sender sees it: its updates that wait, and up to which number they are settled.

    Attributes:
        storage: Where its updates wait.
        refusals: What the server refused.
        register: Whether to register the job if the server does not know it; `attributes`: with these; `parent`: as a
            part of this one.
        user: The `Job` that uses the channel, kept alive while it is served; None if there is none.
        source: The recorder that fills the outbox; `listen`: receives the answers.
        is_over: Whether no more updates will come; `is_adopted`: whether another process left them.
        is_finished: Whether to delete the file once no update waits; `is_closed`: whether it is no longer served.
        is_known: Whether the server was asked to register the job, or has acknowledged an update of it.
        was_registered: Whether the job was registered since its last acknowledged update.
        counts_keys: Whether the server counts `itemKeys`; None if it is not known yet.
        since: When the channel was made; monotonic, in seconds.
    """

    def __init__(self, job_id: str, worker: str | None, outbox: Outbox) -> None:
        self.job_id = job_id
        self.worker = worker
        self.register = False
        self.attributes: Mapping[str, Any] | None = None
        self.parent: str | None = None
        self.user: object = None
        self.source: Source | None = None
        self.listen: Listen | None = None
        self.is_over = self.is_adopted = self.is_finished = self.is_closed = False
        self.is_known = self.was_registered = False
        self.counts_keys: bool | None = None
        self._has_told_of_waits = False
        self.since = time.monotonic()
        self.refusals = Refusals()
        self.storage = Storage(job_id, outbox, self.refusals)
        self._held_until = 0.0
        self._waiters: dict[Bell, None] = {}

    @classmethod
    def adopt(cls, outbox: Outbox, position: Position) -> "Channel":
        """Make a channel for updates that another process left."""
        channel = cls(position.job_id, position.worker, outbox)
        channel.registers(position)
        channel.is_over = channel.is_adopted = True
        channel.is_finished = position.completed
        return channel

    def registers(self, position: Position) -> None:
        """Take from a position how the job is registered."""
        self.register, self.attributes, self.parent = position.register, position.attributes, position.parent

    @property
    def outbox(self) -> Outbox:
        """The updates that wait. It may be replaced by another one; see `Storage`."""
        return self.storage.outbox

    @property
    def name(self) -> tuple[str, str | None]:
        """Identifies the channel."""
        return self.job_id, self.worker

    @property
    def must_register(self) -> bool:
        """Whether to register the job before its first update is sent. The jobs of other processes are mostly known."""
        return self.register and not (self.is_known or self.is_adopted)

    @property
    def is_held(self) -> bool:
        """Whether its updates are held back, because the token may not report on the job."""
        return time.monotonic() < self._held_until

    def serves(self, source: Source) -> bool:
        """Return whether the source's reports are put into the outbox."""
        return self.source is source and not self.is_closed

    def hold(self) -> None:
        """Hold its updates back for a minute."""
        self._held_until = time.monotonic() + _HELD_SECONDS

    def take_up(self, user: object) -> None:
        """Prepare for another run of the job; the updates that wait stay."""
        self.user = user
        self.source = self.listen = None
        self.is_over = self.is_adopted = self.is_finished = False
        self._held_until = 0.0

    def end(self, *, completed: bool) -> None:
        """Note that the last update of this run is in the outbox."""
        self.is_finished = completed
        self.is_over = True

    def close(self) -> None:
        """Close the outbox; delete its file if it is not needed any more."""
        self.is_closed = True
        self.user = self.source = self.listen = None
        self.storage.close(remove=self.is_finished)

    # --- waiting updates ----------------------------------------------------------------------------------------------

    def put(self, updates: list[Update], position: Position, forget: Sequence[bytes] = ()) -> int:
        """Append updates and the position after them; return the last number. If the disk fails, continue in memory.

        `forget`: see `Outbox.append`.
        """
        return self.storage.put(updates, position, forget)

    def check(self) -> None:
        """Make the file again if somebody removed it."""
        self.storage.check()

    def head(self, most: int, size: int) -> list[Waiting]:
        """Return the first updates that wait; none if they cannot be read."""
        outbox = self.outbox
        try:
            return outbox.head(most, size)
        except DISK_ERRORS as error:
            # A running job continues in memory. What another process left stays in its file.
            if self.outbox is not outbox:
                return []
            if not self.is_over:
                self.storage.leave_disk(outbox, error)
            else:
                _log.warning("job %s: the spool cannot be read: %s", self.job_id, error)
                self.hold()
            return []

    def ask(self, read: Callable[[Outbox], Found]) -> Found:
        """Return what a function reads from the outbox; if the disk fails, what could be copied into memory."""
        return self.storage.ask(read)

    def refused(self) -> list[tuple[dict[str, Any], Any]]:
        """Return the updates that the server refused, each with its answer."""
        return self.storage.refused()

    # --- answers ------------------------------------------------------------------------------------------------------

    def take(self, rows: list[Waiting], answers: list[Mapping[str, Any]]) -> bool:
        """Handle the answers to the first updates, one each; return False if the job must be registered first."""
        outbox = self.outbox
        try:
            return self._take(outbox, rows, answers)
        except DISK_ERRORS as error:
            # The updates stay in the file; sent again, they are duplicates.
            self.storage.leave_disk(outbox, error)
            return True

    def _take(self, outbox: Outbox, rows: list[Waiting], answers: list[Mapping[str, Any]]) -> bool:
        delivered: list[Waiting] = []
        refused: list[tuple[Waiting, object]] = []
        told: list[tuple[Waiting, Mapping[str, Any]]] = []
        unknown = False
        for row, answer in zip(rows, answers, strict=True):
            if answer.get("status") == "received":
                if (counts := as_counts(row, answer)) is not None:
                    self.counts_keys = False
                    outbox.replace(row, *counts)
                    break
                delivered.append(row)
            elif answer.get("status") == UNKNOWN and self.register:
                unknown = True
                break
            elif answer.get("status") == FORBIDDEN:
                # Another token may be allowed to.
                _log.warning("job %s: its updates wait for a token that may report on it", self.job_id)
                self.hold()
                told.append((row, answer))
                break
            elif (mended := mend(row, answer)) is not None:
                left_out = mended.left_out
                lost = [] if left_out is None else [(row.update_id, left_out, json.dumps(answer))]
                outbox.replace(row, mended.update_id, mended.text, lost)
                if lost:
                    self._tell_refusal(answer, mended)
                else:
                    self._tell_of_waits()
                # The updates after it were accepted. They are sent again and are duplicates.
                break
            else:
                self._tell_refusal(answer)
                refused.append((row, answer))
            told.append((row, answer))
        outbox.settle(delivered, refused)
        self.was_registered = self.was_registered and not delivered
        self.is_known = self.is_known or bool(delivered)
        for row, answer in told:
            if self.listen is not None:
                self.listen(row.update_id, answer)
        self.storage.settle(row.seq for row in [*delivered, *(row for row, _ in refused)])
        self.nudge()
        return not unknown

    def _tell_refusal(self, answer: Mapping[str, Any], mended: Mended | None = None) -> None:
        """Note and log what was refused: always for `flush`, seldom in the log, whose handler may report to the job."""
        why = why_refused(answer)
        self.refusals.add(why)
        times = self.refusals.seldom
        if times.again():
            what = "an update" if mended is None else "a part of an update, and the rest is sent again"
            often = f" ({times.times} times by now)" if times.times > 1 else ""
            _log.warning("job %s: the server refused %s%s, see job.refused(): %s", self.job_id, what, often, why)

    def _tell_of_waits(self) -> None:
        """Log once that the server does not know waits. Nothing that was reported is lost by that."""
        if not self._has_told_of_waits:
            self._has_told_of_waits = True
            _log.warning(
                "job %s: its waits are reported as progress, because the server is of an earlier release; upgrade it",
                self.job_id,
            )

    def wait(self, seq: int, timeout: float, gave_up: Callable[[], bool]) -> bool:
        """Wait until the update with this number is settled or `gave_up` returns True; return whether it is settled."""
        until = time.monotonic() + timeout
        bell = Bell()
        self._waiters[bell] = None
        try:
            while self.storage.settled < seq and not gave_up() and time.monotonic() < until:
                bell.wait(min(0.5, until - time.monotonic()))
        finally:
            self._waiters.pop(bell, None)
        return self.storage.settled >= seq

    def nudge(self) -> None:
        """Make the threads in `wait` look again."""
        for bell in list(self._waiters):
            bell.ring()
