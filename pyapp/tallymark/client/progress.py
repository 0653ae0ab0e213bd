"""The reports of a crawl as one value: its position, and the part that is not in the outbox yet."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

from tallymark.client.checks import MOST
from tallymark.client.clock import Clock
from tallymark.client.fields import Given
from tallymark.client.records import Position
from tallymark.client.resume import Resume
from tallymark.client.tracking import Sample, Tracker
from tallymark.client.updates import Fields, Pending, Update, clean, prepare

#: Receives the number of the last update when an entry is in the outbox, or the error that prevented it.
Reply = SimpleQueue[int | BaseException]
#: A count: type, number of items, number for processedItems, cursor.
Count = tuple[str, int, int, str | None]


class Progress:
    """The reports, folded. The recorder never changes the instance that it has: it changes a copy and replaces it.

    So an exception leaves either the old or the new one, and never counts without their cursor.
    """

    def __init__(self, position: Position, clock: Clock, *, max_bytes: int, resume: Resume) -> None:
        """Start at a position. All copies share `clock`, which only goes forward."""
        self.position = position
        self.resume = resume
        self.pending = Pending(max_bytes)
        self.sealed: list[Update] = []
        self.replies: list[Reply] = []
        #: How many items of each loop are counted; infinite after its end, so that no sample counts any more.
        self.tracked: dict[Tracker, float] = {}
        self.is_urgent = False
        self.has_begun = False
        self.has_ended = False
        #: Whether the last update of this run was sealed.
        self.is_over = False
        #: What to log about the changes since the last copy.
        self.notices: list[str] = []
        self._clock = clock
        self._total: int | None = None
        self._total_sent: int | None = None

    def copy(self) -> "Progress":
        """Return a copy that may be changed."""
        new = copy.copy(self)
        new.position = replace(self.position, items_by_type=self.position.items_by_type.copy())
        new.pending = self.pending.copy()
        new.sealed, new.replies, new.tracked = self.sealed.copy(), self.replies.copy(), self.tracked.copy()
        new.notices = []
        return new

    @property
    def has_any(self) -> bool:
        """Whether there is anything for the outbox."""
        return bool(self.sealed or self.pending.has_any or self.replies)

    @property
    def waiting_keys(self) -> int:
        """How many keys are not in the outbox yet."""
        return len(self.pending.keys) + sum(len(update.keys) for update in self.sealed)

    def count(self, count: Count, key: bytes | None = None) -> None:
        """Count items, and move the cursor with them."""
        type_, number, processed, last_id = count
        if self.pending.is_full:
            # Counts and cursor agree at any moment, so an update can be sealed at any moment.
            self.seal("processing")
        type_ = clean(type_)
        self.pending.count(type_, number, key)
        position = self.position
        position.processed_items += processed
        if number:
            position.items_by_type[type_] = position.items_by_type.get(type_, 0) + number
        if last_id is not None:
            position.last_processed_id = last_id
            self.pending.give({"lastProcessedId": (clean(last_id), len(last_id) + 17)})

    def sample(self, samples: Sequence[Sample]) -> None:
        """Count the items that loops have finished."""
        for tracker, (done, last_id) in samples:
            before = self.tracked.get(tracker, 0)
            if done > before and not tracker.is_over:
                self.tracked[tracker] = done
                number = done - int(before)
                self.count((tracker.type, number, number, last_id))

    def end_loop(self, tracker: Tracker) -> None:
        """Stop counting a loop: its last sample was taken."""
        self.tracked[tracker] = math.inf

    def forget_loops(self) -> None:
        """Forget the loops that have ended."""
        for tracker in [tracker for tracker, done in self.tracked.items() if done == math.inf]:
            tracker.is_over = True
            del self.tracked[tracker]

    # --- other reports ------------------------------------------------------------------------------------------------

    def give(self, fields: Fields) -> None:
        """Add fields to the next update."""
        if self.pending.is_full:
            self.seal("processing")
        self.pending.give(fields)

    def take(self, given: Given, parts: Sequence[Sequence[Any]]) -> None:
        """Take fields of all kinds; `parts`: the areas, divided."""
        if given.total is not None:
            self.expect(given.total)
        if given.state is not None or given.cursor is not None:
            fields = prepare({"progress": given.state, "lastProcessedId": given.cursor})
            self.checkpoint(fields, given.state, given.cursor)
        if given.fields:
            self.give(given.fields)
        for event, size in given.events:
            self.add_event(event, size)
        if given.increments:
            self.seal_pending()
            self.give(given.increments)
            self.seal("processing")
        if parts:
            self.discover(parts)

    def add_event(self, event: dict[str, Any], size: int) -> None:
        """Add an entry of the crawler's own timeline."""
        if self.pending.is_full:
            self.seal("processing")
        self.pending.add_event(event, size)

    def announce(self, fields: Fields, status: str) -> None:
        """Report something that people wait for: in an update of its own, at once."""
        self.seal_pending()
        self.pending.give(fields)
        self.seal(status)
        self.is_urgent = True

    def discover(self, parts: Sequence[Sequence[Any]]) -> None:
        """Report areas, each part in an update of its own."""
        for part in parts:
            self.seal_pending()
            self.seal("new_areas_discovered", areas=part)
        self.is_urgent = True

    def expect(self, number: int) -> None:
        """Set how many items are expected in all."""
        self._total = number
        total = max(number, self.position.processed_items)
        self.give({"totalItems": (total, len(str(total)) + 12)})

    def expect_more(self, number: int) -> None:
        """Set how many items are expected in addition to those counted."""
        self.expect(min(number + self.position.processed_items, MOST))

    def checkpoint(self, fields: Fields, state: Any, last_id: str | None) -> None:  # noqa: ANN401 - any JSON
        """Set the resume state and the cursor."""
        self.give(fields)
        self.position.state = state
        if last_id is not None:
            self.position.last_processed_id = last_id

    def flush(self) -> None:
        """Change nothing: the reply that is asked for brings all reports into the outbox."""

    # --- start and end ------------------------------------------------------------------------------------------------

    def learn(self, told: Resume, mine: int, newest: str) -> None:
        """Take where to go on from the acknowledgement of the start. `mine`: what this worker has processed."""
        self._clock.advance_past(newest)
        if self.has_begun and self.resume.source == "nothing" and told.processed_items:
            self.notices.append(
                f"started before the server returned its count, {told.processed_items}: items may count twice"
            )
            self.position.processed_items += mine
        elif not self.has_begun:
            self.resume = told
            self.position = replace(
                self.position,
                last_processed_id=told.last_processed_id,
                state=told.state,
                items_by_type=dict(told.items_by_type),
                processed_items=mine,
            )

    def begin(self) -> None:
        """Start with what is known by now; a later answer no longer changes the position."""
        self.has_begun = True

    def end(self, status: str, fields: Fields, state: Any, error: Mapping[str, Any] | None) -> None:  # noqa: ANN401
        """Seal the last update; later reports are dropped. The cursor is added to `error`."""
        if state is not None:
            self.position.state = state
            self.give(prepare({"progress": state}))
        self.give(fields)
        members = {}
        if error is not None:
            last = self.position.last_processed_id
            context = {**({"lastProcessedId": clean(last)} if last else {}), **error.get("context", {})}
            members["error"] = {**error, **({"context": context} if context else {})}
        self.position.completed = status == "completed"
        if self.position.completed:
            self.position.state = None
        self.seal(status, **members)
        self.has_ended = self.is_over = True

    def put_away(self) -> None:
        """Seal what is pending and accept no more: the client closes, and a later run may continue."""
        self.seal_pending()
        self.has_ended = True

    # --- sealing --------------------------------------------------------------------------------------------------

    def seal_pending(self) -> None:
        """Seal the reports since the last update, if there are any."""
        if self.pending.has_any:
            self.seal("processing")

    def seal(self, status: str, **members: Any) -> str:  # noqa: ANN401 - any JSON
        """Make an update of what is pending, with a time and an id, and return the id."""
        stamp = self._clock.stamp()
        pending, self.pending = self.pending, self.pending.fresh()
        payload: dict[str, Any] = {
            "taskId": self.position.job_id,
            "status": status,
            "timestamp": stamp.timestamp,
            "updateId": stamp.update_id,
            **({"workerId": self.position.worker} if self.position.worker else {}),
            **pending.members(),
            **members,
        }
        if pending.counts:
            payload["processedItems"] = self.position.processed_items
        if self._total is not None:
            # The server refuses an update with more items processed than expected.
            total = max(self._total, self.position.processed_items)
            if total != self._total_sent:
                payload["totalItems"] = self._total_sent = total
        self.position.clock = stamp.microseconds
        self.sealed.append(Update(stamp.update_id, payload, tuple(pending.keys)))
        return stamp.update_id
