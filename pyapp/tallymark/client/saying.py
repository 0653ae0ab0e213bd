"""What a crawler can say of its job: counts, stages, discoveries, errors, ends."""

import hashlib
import json
import logging
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from tallymark.client.failure import describe
from tallymark.client.lane import Lane
from tallymark.client.outbox import Position
from tallymark.client.pending import Pending, Update, clean
from tallymark.client.tracking import Tracker, follow, follow_async, wants_bar

Item = TypeVar("Item")
_log = logging.getLogger("tallymark.client")

#: The client gives these itself.
_OWN = frozenset({"taskId", "status", "timestamp", "updateId", "workerId", "itemsByType", "processedItems", "counting"})
_MOST_AREAS = 1000


class Saying:
    """The words of a job; `Job` has all that stands behind them."""

    id: str
    _lock: threading.RLock
    _pending: Pending
    _sealed: list[Update]
    _fresh: set[bytes]
    _trackers: list[Tracker]
    _position: Position
    _total: int | None
    _max_bytes: int
    _every_items: int
    _urgent: bool
    _ended: bool

    # --- counting -------------------------------------------------------------------------------------------------

    def advance(
        self,
        type: str = "items",  # noqa: A002 - the protocol's word
        n: int = 1,
        *,
        last_id: object = None,
        key: str | None = None,
        processed: int | None = None,
    ) -> bool:
        """Count items that are done.

        Args:
            type: Of which type.
            n: How many; 0 with a key marks that one as done.
            last_id: The cursor: all up to this one is counted now. It goes in the same update as the count.
            key: What is counted, by a name of its own: a key counts once in a job, also after a restart where the spool is the
                same. For crawls without an order, where no cursor can say what is done.
            processed: How many of them count in `processedItems`; all when not given.

        Returns:
            Whether they were counted: False where the key had been, and after the job's end.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: A number is negative.
        """
        if not isinstance(type, str) or not isinstance(n, int) or isinstance(n, bool):
            raise TypeError("advance() takes the name of a type, and a whole number")
        if n < 0 or (processed is not None and processed < 0):
            raise ValueError("what is counted cannot be taken back: the number must not be negative")
        mark = None if key is None else _digest(key)
        with self._saying() as listening:
            if not listening or (mark is not None and self._has_counted(mark)):
                return False
            self._count(type, n, last_id=None if last_id is None else str(last_id), key=mark, processed=processed)
            if self._pending.items >= self._every_items:
                self.wake()
        return True

    def seen(self, key: str) -> bool:
        """Say whether a key was counted, in this run or one before.

        Args:
            key: As `advance` had it.
        """
        with self._lock:
            return self._has_counted(_digest(key))

    def total(self, number: int) -> None:
        """Say how many items are expected in all.

        Args:
            number: How many.

        Raises:
            ValueError: It is negative.
        """
        if number < 0:
            raise ValueError("the total must not be negative")
        with self._saying() as listening:
            if listening:
                self._total = number
                self._give({"totalItems": max(number, self._position.processed_items)})

    def track(
        self,
        items: Iterable[Item],
        *,
        total: int | None = None,
        type: str = "items",  # noqa: A002 - the protocol's word
        id: Callable[[Item], object] | None = None,  # noqa: A002
        bar: bool | None = None,
    ) -> Iterator[Item]:
        """Iterate over items, and count each when its turn of the loop is done. Stops when an operator asks to.

        An item whose turn ended with an exception or `break` is not counted.

        Args:
            items: Any iterable.
            total: How many there are; `len(items)` when it has one. They are expected beside those counted before.
            type: Their type.
            id: Gives an item's id: the cursor.
            bar: Whether to draw a bar; where standard error is a terminal, when not given.

        Yields:
            The items.
        """
        with self._tracked(items, total, type, bar) as tracker:
            yield from follow(items, tracker, self, id)

    async def atrack(
        self,
        items: AsyncIterable[Item],
        *,
        total: int | None = None,
        type: str = "items",  # noqa: A002
        id: Callable[[Item], object] | None = None,  # noqa: A002
        bar: bool | None = None,
    ) -> AsyncIterator[Item]:
        """Do the same for items that come asynchronously; see `track`."""
        with self._tracked(items, total, type, bar) as tracker:
            async for item in follow_async(items, tracker, self, id):
                yield item

    @contextmanager
    def _tracked(self, items: object, total: int | None, type_: str, bar: bool | None) -> Iterator[Tracker]:
        if total is None and hasattr(items, "__len__"):
            total = len(items)
        tracker = Tracker(type_, total, bar=wants_bar(bar))
        tracker.wake_at = self._every_items
        with self._lock:
            before = self._position.processed_items
            self._trackers.append(tracker)
        if total is not None:
            self.total(before + total)
        try:
            yield tracker
        finally:
            with self._lock:
                if not self._ended:
                    self._sample()
                self._trackers.remove(tracker)
            tracker.end()

    def _count(
        self, type_: str, number: int, *, last_id: str | None, key: bytes | None = None, processed: int | None = None
    ) -> None:
        """Count in what is pending and in where the crawl is; the lock is held."""
        if self._pending.is_full:
            # Counts and cursor agree at any moment, so an update can be sealed at any.
            self._seal("processing")
        self._pending.count(type_, number, key=key)
        if key is not None:
            self._fresh.add(key)
        position = self._position
        position.processed_items += number if processed is None else processed
        if number:
            position.items_by_type[clean(type_)] = position.items_by_type.get(clean(type_), 0) + number
        if last_id is not None:
            position.last_processed_id = last_id
            self._pending.give({"lastProcessedId": last_id})

    def _has_counted(self, mark: bytes) -> bool:
        return mark in self._fresh or self._served().outbox.has_counted(mark)

    # --- telling --------------------------------------------------------------------------------------------------

    def stage(self, name: str, *, operation: str | None = None, data_type: str | None = None) -> None:
        """Say that a stage begins. What was counted before goes under the one before.

        Args:
            name: Its name.
            operation: discovery, branch_crawling, data_collection or finalization.
            data_type: The type of the items that come now.
        """
        self._announce({"stage": name, "operationType": operation, "currentDataType": data_type})

    def discovered(self, areas: Sequence[Mapping[str, Any]]) -> None:
        """Report areas; the server counts those that are new to the job.

        Args:
            areas: Each with `type` and `fullPath`, and whatever else the protocol has of areas.
        """
        with self._saying() as listening:
            if not listening:
                return
            for part in _parts([dict(area) for area in areas], self._max_bytes):
                self._seal_before()
                self._seal("new_areas_discovered", areas=clean(part))
            self._urgent = True
        self.wake()

    def credential(self, what: Literal["expiry", "renewal", "resumed"], **status: Any) -> None:  # noqa: ANN401 - any JSON
        """Report what became of the crawl's credential.

        Args:
            what: It expired, is waiting to be renewed, or works again.
            status: Members of `credentialStatus`: `type`, `severity`, `errorType`, `providerId`, `message`, ...

        Raises:
            ValueError: It is none of these.
        """
        if what not in {"expiry", "renewal", "resumed"}:
            raise ValueError("a credential is in expiry, renewal or resumed")
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self._announce({"credentialStatus": {"timestamp": now, **status}}, f"credential_{what}")

    def checkpoint(self, state: Any, *, last_id: object = None) -> None:  # noqa: ANN401 - any JSON
        """Keep what the crawl needs to go on after a restart; it goes in one update with what was counted so far.

        Args:
            state: Any JSON up to 64 KB.
            last_id: The cursor.
        """
        last = None if last_id is None else str(last_id)
        with self._saying() as listening:
            if listening:
                self._position.state = clean(state)
                if last is not None:
                    self._position.last_processed_id = last
                self._give({"progress": state, "lastProcessedId": last})

    def report(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Give other fields, of the protocol or the crawler's own; the newest of each counts.

        Args:
            fields: By their names in the protocol.

        Raises:
            ValueError: Some of them the client gives itself.
        """
        if own := sorted(_OWN & fields.keys()):
            raise ValueError(f"the client gives these itself: {', '.join(own)}")
        with self._saying() as listening:
            if listening:
                self._give(fields)

    def event(self, name: str, details: Mapping[str, Any] | None = None) -> None:
        """Add an entry of the crawler's own to the timeline.

        Args:
            name: What happened.
            details: Any JSON object.
        """
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        with self._saying() as listening:
            if listening:
                self._seal_before(only_full=True)
                self._pending.add_event({"timestamp": now, "event": name, "details": dict(details or {})})

    def error(self, error: BaseException | str, **context: Any) -> None:  # noqa: ANN401 - any JSON
        """Report an error that does not end the job.

        Args:
            error: An exception or a message.
            context: What the crawl was at.
        """
        self._announce({"error": describe(error, context)})

    # --- ends -----------------------------------------------------------------------------------------------------

    def complete(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that all is done.

        Args:
            fields: More to say, such as `message`.
        """
        self._end("completed", **fields)

    def pause(self, state: Any = None, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl pauses, and end this run of it.

        Args:
            state: What it needs to go on.
            fields: More to say.
        """
        if state is not None:
            with self._lock:
                self._position.state = clean(state)
        self._end("paused", progress=state, **fields)

    def cancel(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl was cancelled.

        Args:
            fields: More to say.
        """
        self._end("cancelled", **fields)

    def fail(self, error: BaseException | str, **context: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl failed.

        Args:
            error: Why.
            context: What it was at; the cursor is added.
        """
        with self._lock:
            self._sample()
            last = {"lastProcessedId": self._position.last_processed_id} if self._position.last_processed_id else {}
        self._end("failed", error=describe(error, {**last, **context}))

    # --- how it is said -------------------------------------------------------------------------------------------

    @contextmanager
    def _saying(self) -> Iterator[bool]:
        """Hold the lock, and say whether anybody listens."""
        self._served()
        with self._lock:
            if self._ended:
                _log.warning("job %s has ended; what is said after that is not sent", self.id)
            yield not self._ended

    def _give(self, fields: Mapping[str, Any]) -> None:
        self._seal_before(only_full=True)
        self._pending.give(fields)

    def _announce(self, fields: Mapping[str, Any], status: str = "processing") -> None:
        """Say something that people wait for: in an update of its own, at once."""
        with self._saying() as listening:
            if not listening:
                return
            self._seal_before()
            self._pending.give(fields)
            self._seal(status)
            self._urgent = True
        self.wake()

    def _seal_before(self, *, only_full: bool = False) -> None:
        """Seal what was said before; the lock is held."""
        self._sample()
        if self._pending.is_full or (self._pending.has_any and not only_full):
            self._seal("processing")

    # What `Job` does.

    def _seal(self, status: str, **members: Any) -> Update:  # noqa: ANN401
        raise NotImplementedError

    def _sample(self) -> None:
        raise NotImplementedError

    def _served(self) -> Lane:
        raise NotImplementedError

    def _end(self, status: str, **members: Any) -> None:  # noqa: ANN401
        raise NotImplementedError

    def is_told_to_stop(self) -> bool:
        """Say whether an operator asks to stop."""
        raise NotImplementedError

    def wake(self) -> None:
        """Send what is due."""
        raise NotImplementedError


def _digest(key: str) -> bytes:
    """Return what stands for the key of an item."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _parts(areas: list[dict[str, Any]], max_bytes: int) -> Iterator[list[dict[str, Any]]]:
    """Divide areas into parts that fit an update each."""
    part: list[dict[str, Any]] = []
    size = 0
    for area in areas:
        its_size = len(json.dumps(area, allow_nan=False))
        if part and (size + its_size > max_bytes or len(part) >= _MOST_AREAS):
            yield part
            part, size = [], 0
        part.append(area)
        size += its_size
    if part:
        yield part
