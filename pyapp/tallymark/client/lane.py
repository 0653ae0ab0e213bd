"""The way of one job's updates to the server."""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tallymark.client.outbox import Outbox
from tallymark.client.pending import Update
from tallymark.client.records import Waiting
from tallymark.client.transport import as_json

#: For how long nothing is sent of a job that the token may not report on.
HELD_SECONDS = 60.0

_log = logging.getLogger("tallymark.client")


class Speaker(Protocol):
    """A job of this process, which has more to say and hears the answers."""

    def feed(self, now: float) -> None:
        """Put what is due into the outbox; `now` is monotonic, in seconds."""
        ...

    def heard(self, update_id: str, answer: Mapping[str, Any]) -> None:
        """Hear the answer to an update, an acknowledgement or a refusal."""
        ...


@dataclass(eq=False)
class Lane:
    """What the sender knows of a job.

    Attributes:
        job_id: The job.
        worker: Which worker of it.
        outbox: What waits.
        register: Whether to register the job where the server does not know it.
        attributes: With these.
        speaker: Who speaks; None where nobody does any more.
        adopted: Whether it is what another process left.
        held_until: Until when nothing of it is sent, for the token may not.
        since: Since when it is served.
        was_registered: Whether the server said so, after the last update that it took.
        finished: Whether the file is removed when nothing waits in it any more.
    """

    job_id: str
    worker: str | None
    outbox: Outbox
    register: bool = False
    attributes: Mapping[str, Any] | None = None
    speaker: Speaker | None = None
    adopted: bool = False
    finished: bool = False
    held_until: float = 0.0
    since: float = field(default_factory=time.monotonic)
    was_registered: bool = False
    _settled: int = 0
    _changing: threading.RLock = field(default_factory=threading.RLock)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def is_held(self) -> bool:
        """Whether nothing of it is sent now."""
        return time.monotonic() < self.held_until

    @property
    def name(self) -> tuple[str, str | None]:
        """What tells it from others."""
        return self.job_id, self.worker

    def take(self, rows: list[Waiting], answers: list[Mapping[str, Any]]) -> bool:
        """Take the answers to the first of what waits.

        Args:
            rows: What was sent.
            answers: One for each.

        Returns:
            Whether all was settled; False where the job has to be registered before.
        """
        outbox = self.outbox
        delivered: list[Waiting] = []
        refused: list[tuple[Waiting, object]] = []
        unknown = False
        for row, answer in zip(rows, answers, strict=True):
            if answer.get("status") == "received":
                delivered.append(row)
            elif answer.get("status") == 404 and self.register:  # noqa: PLR2004
                unknown = True
                break
            elif answer.get("status") == 403:  # noqa: PLR2004
                # Another token may do what this one may not.
                _log.warning("job %s: the token may not report on it; what is said waits", self.job_id)
                self.held_until = time.monotonic() + HELD_SECONDS
                if self.speaker is not None:
                    self.speaker.heard(row.update_id, answer)
                break
            elif (instead := _without_what_is_wrong(row, answer)) is not None:
                _log.warning("job %s: an update is sent without what the server refused: %s", self.job_id, _why(answer))
                outbox.replace(row, *instead)
                # What follows it was taken; it goes again, and is a duplicate.
                break
            else:
                _log.warning("job %s: the server refused an update, which is kept: %s", self.job_id, _why(answer))
                refused.append((row, answer))
        outbox.settle(delivered, refused)
        self.was_registered = self.was_registered and not delivered
        answered = [*delivered, *(row for row, _ in refused)]
        if self.speaker is not None:
            for row, answer in zip(rows, answers, strict=True):
                if row in answered:
                    self.speaker.heard(row.update_id, answer)
        with self._changed:
            self._settled = max([self._settled, *(row.seq for row in answered)])
            self._changed.notify_all()
        return not unknown

    def put(self, updates: list[Update], position: Any) -> int:  # noqa: ANN401 - Position, as `Outbox.append` has it
        """Append updates; where the disk refuses, go on in memory.

        Args:
            updates: In their order.
            position: Where the crawl is after them.

        Returns:
            The place of the last that waits.
        """
        with self._changing:
            try:
                return self.outbox.append(updates, position)
            except (OSError, sqlite3.Error) as error:
                if not self.outbox.is_durable:
                    raise
                _log.warning("job %s: the spool cannot be written, what waits is in memory: %s", self.job_id, error)
                self.go_on_in_memory(self.outbox)
                return self.outbox.append(updates, position)

    def go_on_in_memory(self, failed: Outbox) -> None:
        """Take all out of a file that cannot be used.

        Args:
            failed: The file; nothing happens where that was done already.
        """
        with self._changing:
            if self.outbox is failed and failed.is_durable:
                self._leave_file()

    def _leave_file(self) -> None:
        memory = Outbox(None, limit=self.outbox.limit)
        try:
            # What is in the file as well is sent once more some day, and is a duplicate then.
            memory.take_over(self.outbox)
        except sqlite3.Error as error:
            with self._changed:
                # The places begin anew.
                self._settled = 0
            _log.error("job %s: what waits in %s cannot be read: %s", self.job_id, self.outbox.path, error)
        before, self.outbox = self.outbox, memory
        before.close()

    def wait(self, seq: int, timeout: float, gave_up: Callable[[], bool]) -> bool:
        """Wait until an update is settled.

        Args:
            seq: Its place.
            timeout: Seconds.
            gave_up: Says whether waiting makes no sense any more.

        Returns:
            Whether it is.
        """
        until = time.monotonic() + timeout
        with self._changed:
            while self._settled < seq and not gave_up():
                if not self._changed.wait(min(0.5, until - time.monotonic())) and time.monotonic() >= until:
                    break
            return self._settled >= seq

    def nudge(self) -> None:
        """Make those who wait look again."""
        with self._changed:
            self._changed.notify_all()


def _why(answer: Mapping[str, Any]) -> str:
    details = answer.get("details") or []
    problems = [f"{problem.get('field')} {problem.get('problem')}" for problem in details if isinstance(problem, dict)]
    return f"{answer.get('error')}{': ' if problems else ''}{'; '.join(problems)}"


def _without_what_is_wrong(row: Waiting, answer: Mapping[str, Any]) -> tuple[str, str] | None:
    """Leave out of an update what the server named, so that one bad field does not cost the counts beside it.

    Returns:
        The id and the text of what is left; None where nothing can be done.
    """
    if answer.get("status") != 400 or row.update_id.endswith("-mended"):  # noqa: PLR2004
        return None
    payload = json.loads(row.text)
    needed = {"taskId", "status", "timestamp", "updateId"}
    if "itemsByType" in payload:
        # Counts must not go without the cursor and the state that belong to them, nor be left out unseen.
        needed |= {"itemsByType", "processedItems", "lastProcessedId", "progress"}
    for problem in answer.get("details") or []:
        name, _, inner = str(problem.get("field")).partition(".")
        if name in needed or name not in payload:
            return None
        if inner and isinstance(payload[name], dict) and inner in payload[name]:
            del payload[name][inner]
        else:
            del payload[name]
    if not answer.get("details"):
        return None
    payload["updateId"] = f"{row.update_id}-mended"
    return payload["updateId"], as_json(payload)
