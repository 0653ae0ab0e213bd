"""The reports of a crawl as one value: its position, and the part that is not in the outbox yet."""

import copy
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

from tallymark.client.checks import MOST
from tallymark.client.clock import Clock
from tallymark.client.fields import Given
from tallymark.client.frontier import Frontier, Node, Worth
from tallymark.client.keys import as_sent
from tallymark.client.records import Position
from tallymark.client.resume import Resume
from tallymark.client.tracking import Sample, Tracker
from tallymark.client.updates import Fields, Pending, Update, clean, prepare

#: The server counts these when areas are discovered, without processedItems.
_AREA_TYPES = frozenset({"groups", "projects"})
#: Receives the number of the last update when an entry is in the outbox, or the error that prevented it.
Reply = SimpleQueue[int | BaseException]
#: A count: type, number of items, number for processedItems, cursor. None for processedItems: as `Progress.sums` says.
Count = tuple[str, int, int | None, str | None]


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
        self.frontier = Frontier()
        #: Whether percentages are made from the sum of all types, because processedItems is never given: a key that is
        #: sent again must not raise it, and only the server knows which do. None: not decided yet.
        self.sums: bool | None = None
        #: Whether the server counts keys; an earlier release does not.
        self.sends_keys = True
        self._warned_of_keys = False
        self._raised_by_keys = 0
        self.is_urgent = False
        self.has_begun = False
        self.has_ended = False
        #: Whether the last update of this run was sealed.
        self.is_over = False
        #: What to log about the changes since the last copy.
        self.notices: list[str] = []
        self._clock = clock
        #: How many items are expected in all, as the crawl itself says.
        self._total: int | None = None
        #: Else the loops tell: those with a total, the ones that ended with items left, and whether there were any.
        self.loops: dict[Tracker, int] = {}
        self.left: dict[Tracker, int] = {}
        self._has_loops = False
        self._total_sent: int | None = None

    def copy(self) -> "Progress":
        """Return a copy that may be changed."""
        new = copy.copy(self)
        new.position = replace(self.position, items_by_type=self.position.items_by_type.copy())
        new.pending, new.frontier = self.pending.copy(), self.frontier.copy()
        new.sealed, new.replies, new.tracked = self.sealed.copy(), self.replies.copy(), self.tracked.copy()
        if self._has_loops:
            new.loops, new.left = self.loops.copy(), self.left.copy()
        new.notices = []
        return new

    @property
    def has_any(self) -> bool:
        """Whether there is anything for the outbox."""
        return bool(self.sealed or self.pending.has_any or self.replies)

    @property
    def waiting_keys(self) -> int:
        """How many keys are not in the outbox yet."""
        pending = len(self.pending.keys) + len(self.pending.sent)
        return pending + sum(len(update.keys) + len(update.sent) for update in self.sealed)

    def count(self, count: Count, key: bytes | None = None, text: str | None = None) -> None:
        """Count items, and move the cursor with them. `key`: the digest of a key; `text`: the key, if it is sent."""
        if self.pending.is_full:
            # Counts and cursor agree at any moment, so an update can be sealed at any moment.
            self.seal("processing")
        type_, number, processed, last_id = count
        self._add(type_, number, processed, key, text)
        if last_id is not None:
            self._move(last_id)

    def pass_by(self, last_id: str) -> None:
        """Move the cursor to an item that is done, and was counted before."""
        if self.pending.is_full:
            self.seal("processing")
        self._move(last_id)

    def _move(self, last_id: str) -> None:
        self.position.last_processed_id = last_id
        self.pending.give({"lastProcessedId": (clean(last_id), len(last_id) + 17)})

    def count_key(self, count: Count, key: bytes, text: str | None, node: Node | None) -> None:
        """Count a new key. `node`: the item in work that is done with it."""
        if node is None or (text is not None and self.sends_keys):
            self.count(count, key, text)
            worth = None
        else:
            # Only this client knows the key, so it must not be remembered before the item is told.
            worth = (*count[:3], key)
        if node is not None:
            self.finish(node, worth)

    def _add(
        self, type_: str, number: int, processed: int | None, key: bytes | None = None, text: str | None = None
    ) -> None:
        type_ = clean(type_)
        if text is not None and not self.sends_keys:
            text = None
            if not self._warned_of_keys:
                self._warned_of_keys = True
                self.notices.append(
                    "counts keys by itself, because the server is of an earlier release: a key counts once only as long"
                    " as this spool is kept; upgrade the server"
                )
        if text is not None and key is not None:
            self.pending.count_key(type_, key, as_sent(text))
        else:
            self.pending.count(type_, number, key)
        if processed is not None:
            self.sums = False
        elif self.sums is None and number:
            self.sums = text is not None
        position = self.position
        raised = processed if processed is not None else 0 if self.sums else number
        position.processed_items += raised
        if text is not None:
            self._raised_by_keys += raised
        if number:
            position.items_by_type[type_] = position.items_by_type.get(type_, 0) + number

    def discount(self, seen: Mapping[str, int]) -> None:
        """Take back keys that the server had counted before, by type."""
        for type_, number in seen.items():
            if type_ in self.position.items_by_type:
                self.position.items_by_type[type_] = max(0, self.position.items_by_type[type_] - number)
            # The running total on the server cannot go down, but it does not go up until this one has passed it.
            back = min(number, self._raised_by_keys)
            self._raised_by_keys -= back
            self.position.processed_items -= back

    # --- items that end in any order ----------------------------------------------------------------------------------

    def place(self, node: Node) -> None:
        """Give an item that is begun its place."""
        self.frontier.place(node)

    def finish(self, node: Node, worth: Worth | None) -> None:
        """Note that an item is done; it is counted when the line is settled."""
        self.frontier.finish(node, worth)

    def hold_beyond(self) -> None:
        """Count no item before the cursor has passed it: the server does not keep `doneBeyond`."""
        self.frontier.may_tell = False

    def forget(self, node: Node) -> None:
        """Take an item out of `doneBeyond`, because the cursor has passed it."""
        self.frontier.forget(node)

    def settle(self) -> None:
        """Count the items that are done, and move the cursor and `doneBeyond` together with the counts."""
        if self.frontier.is_idle and not self.frontier.has_changed:
            return
        steps = self.frontier.settle()
        while True:
            if self.pending.is_full:
                self._give_place()
                self.seal("processing")
            if (step := next(steps, None)) is None:
                break
            if step.worth is not None:
                self._add(*step.worth)
            if step.cursor is not None:
                self.position.last_processed_id = step.cursor
        self._give_place()
        if (node := self.frontier.blocking()) is not None:
            self.notices.append(_about(node, self.frontier))

    def _give_place(self) -> None:
        """Put the cursor and `doneBeyond` into the next update, always both."""
        if not self.frontier.has_changed:
            return
        self.frontier.has_changed = False
        last, before = self.position.last_processed_id, self.position.done_beyond
        self.position.done_beyond = [node.cursor for node in self.frontier.told]
        if last is not None:
            self.pending.give({"lastProcessedId": (last, len(last) + 17)})
        if before or self.position.done_beyond:
            # Its size does not make an update full: it is sent in every update while anything is done beyond.
            self.pending.give({"doneBeyond": (self.position.done_beyond, 0)})

    def _end_places(self) -> None:
        """Count the items that are held, because the crawl is complete; keep what is done after one that is open."""
        for step in self.frontier.give_up():
            if step.worth is not None:
                self._add(*step.worth)
            if step.cursor is not None:
                self.position.last_processed_id = step.cursor
                self.notices.append(
                    "is complete, and items are still open: they are given up, because an update has no room for all"
                    " that is done after them"
                )
        self._give_place()
        if self.position.done_beyond:
            # The end clears it otherwise, and a later run would do again what is done after the open item.
            self.frontier.has_changed = True
            self._give_place()

    def sample(self, samples: Sequence[Sample]) -> None:
        """Count the items that loops have finished."""
        for tracker, (done, last_id) in samples:
            before = self.tracked.get(tracker, 0)
            if done > before and not tracker.is_over:
                self.tracked[tracker] = done
                if tracker.is_only_shown:
                    continue
                number = done - int(before)
                self.count((tracker.type, number, None, last_id))

    def begin_loop(self, tracker: Tracker, total: int) -> None:
        """Expect the items of a loop, in addition to all others. Those that an earlier loop left are not done now."""
        self.loops[tracker] = total
        self.left = {}
        self._has_loops = True
        if (expected := self._expected()) is not None:
            self.give({"totalItems": (expected, len(str(expected)) + 12)})

    def end_loop(self, tracker: Tracker) -> None:
        """Stop counting a loop: its last sample was taken."""
        done = self.tracked.get(tracker, 0)
        if (total := self.loops.pop(tracker, None)) is not None and done < total:
            self.left[tracker] = total - int(done)
        self.tracked[tracker] = math.inf

    def _expected(self) -> int | None:
        """Return how many items are expected in all: what the crawl says, else what is done and what the loops lack."""
        if self._total is not None:
            # The server refuses an update with more items processed than expected. Where the types are summed, the
            # updates have no such number; and the sum has areas, and keys that the server may have counted before.
            return self._total if self.sums else max(self._total, self.position.processed_items)
        if not self._has_loops:
            return None
        processed = sum(self.position.items_by_type.values()) if self.sums else self.position.processed_items
        lacking = sum(max(total - int(self.tracked.get(loop, 0)), 0) for loop, total in self.loops.items())
        return min(processed + lacking + sum(self.left.values()), MOST)

    def forget_loops(self) -> None:
        """Forget the loops that have ended."""
        for tracker in [tracker for tracker, done in self.tracked.items() if done == math.inf]:
            tracker.is_over = True
            del self.tracked[tracker]

    # --- other reports ------------------------------------------------------------------------------------------------

    def give(self, fields: Fields) -> None:
        """Add fields to the next update."""
        if self.pending.is_full or not self.pending.has_room_for(fields):
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
        """Set how many items are expected in all. The totals of loops do not change that."""
        self._total = number
        # The number that counts is set when the update is sealed.
        self.give({"totalItems": (number, len(str(MOST)) + 12)})

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
                done_beyond=list(told.done),
            )

    def begin(self) -> None:
        """Start with what is known by now; a later answer no longer changes the position."""
        self.has_begun = True
        self.frontier.carry(self.position.done_beyond)
        if self.resume.processed_items or self.position.processed_items:
            self.sums = False
        elif any(number for type_, number in self.position.items_by_type.items() if type_ not in _AREA_TYPES):
            self.sums = True

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
            self._end_places()
        elif self.frontier.held:
            self.notices.append(
                f"does not count {self.frontier.held} items that are done: one before them is open, and an update"
                " has no room for more. A restart does them again, and counts them"
            )
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
        if (keys := self.pending.without_clashes()) is not None:
            rest, self.pending = self.pending, keys
            # First, so that the counts and the cursor beside them come last.
            self.seal("processing")
            self.pending = rest
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
        if (pending.counts or pending.item_keys) and not self.sums:
            payload["processedItems"] = self.position.processed_items
        if (total := self._expected()) is not None and (total != self._total_sent or "totalItems" in payload):
            payload["totalItems"] = self._total_sent = total
        self.position.clock = stamp.microseconds
        self.sealed.append(Update(stamp.update_id, payload, tuple(pending.keys), tuple(pending.sent)))
        return stamp.update_id


def _about(node: Node, frontier: Frontier) -> str:
    """Return a warning about an item that holds up the cursor."""
    since = f"has {'failed and was not begun again' if node.has_failed else 'been open'} for"
    seconds = f"{time.monotonic() - node.since:.0f} s"
    if not frontier.may_tell:
        then = "the server is of an earlier release, so items after it count only when it is done or skipped"
    elif frontier.held:
        then = "an update has no room for more items after it: they count only when it is done or skipped"
    else:
        then = "a restart goes on there"
    return f"goes on at the item {node.cursor!r}, which {since} {seconds}; {then}"
