"""Between a crawl and the sender: what was said becomes updates, and what was answered is heard."""

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tallymark.client.clock import Clock
from tallymark.client.lane import Lane
from tallymark.client.pending import Update
from tallymark.client.resume import Habits, Resume
from tallymark.client.saying import Saying
from tallymark.client.sender import Sender

_log = logging.getLogger("tallymark.client")

#: An update goes out at once when it says something that people wait for, else not sooner than this after the last.
_SHORTEST_GAP_SECONDS = 0.1
#: How many different warnings of the server's are remembered, so that each is told once.
_MOST_WARNINGS = 100


class Recording(Saying):
    """How a job makes updates. Their order in the outbox is that of their times."""

    resume: Resume
    _sender: Sender
    _habits: Habits
    _on_command: Callable[[str], object] | None
    _lane: Lane | None
    _command: str | None
    _clock: Clock
    _writing: threading.RLock
    _total_sent: int | None
    _last_seq: int
    _since: float | None
    _last_cut: float
    _start_id: str
    _began: bool
    _start_answered: threading.Event
    _warned: set[str]

    def wake(self) -> None:
        """Send what is due."""
        self._sender.wake()

    def heard(self, update_id: str, answer: Mapping[str, Any]) -> None:
        """Hear an answer; called by the client's thread."""
        for warning in answer.get("warnings") or ():
            # A clock that runs ahead would be told with every update, each time with another time of the server's.
            kind = re.sub(r"\d[\d:.TZ-]*", "", str(warning))
            level = logging.DEBUG if kind in self._warned else logging.WARNING
            self._warned = {*self._warned, kind} if len(self._warned) < _MOST_WARNINGS else {kind}
            _log.log(level, "job %s: %s", self.id, warning)
        if update_id in {self._start_id, f"{self._start_id}-mended"}:
            self._learn(answer)
        command = answer.get("command")
        if answer.get("status") == "received" and command != self._command:
            self._command = command
            if command is not None and self._on_command is not None:
                try:
                    self._on_command(command)
                except BaseException:  # noqa: BLE001 - it is the crawler's, in our thread
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
                try:
                    self._last_seq = lane.put(updates, position)
                except BaseException:
                    # Nothing is lost by an interrupt or a defect here: the next one writes it.
                    with self._lock:
                        self._sealed[:0] = updates
                    raise
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
