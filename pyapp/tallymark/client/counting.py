"""Counting what a crawl has done."""

import hashlib
import logging
import sqlite3
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from tallymark.client.lane import Lane
from tallymark.client.pending import Pending, Update, clean
from tallymark.client.records import Position
from tallymark.client.tracking import Tracker, as_cursor, follow, follow_async, wants_bar

Item = TypeVar("Item")
#: The largest number of the protocol.
MOST = 2**53 - 1
_log = logging.getLogger("tallymark.client")


class Counting:
    """How a job counts; `Job` has all that stands behind it."""

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
            key: What is counted, by a name of its own: a key counts once in a job, also after a restart where the spool
                is the same. For crawls without an order, where no cursor can say what is done.
            processed: How many of them count in `processedItems`; all when not given.

        Returns:
            Whether they were counted: False where the key had been, and after the job's end.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: A number is negative or beyond 2^53, a name longer than 100 characters, a cursor than 255.
        """
        if not isinstance(type, str) or not isinstance(n, int) or isinstance(n, bool):  # type: ignore[redundant-expr]
            raise TypeError("advance() takes the name of a type, and a whole number")
        check_type(type)
        if not 0 <= n <= MOST or (processed is not None and not 0 <= processed <= MOST):
            raise ValueError("what is counted must not be negative: nothing can be taken back; nor beyond 2^53 - 1")
        cursor = as_cursor(last_id)
        mark = None if key is None else _digest(key)
        with self._saying() as listening:
            if not listening or (mark is not None and self._has_counted(mark)):
                return False
            self._count(type, n, last_id=cursor, key=mark, processed=processed)
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
            ValueError: It is negative, or no whole number.
        """
        if not isinstance(number, int) or not 0 <= number <= MOST:  # type: ignore[redundant-expr]
            raise ValueError("the total is a whole number from 0 to 2^53 - 1")
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
        check_type(type_)
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
        try:
            return mark in self._fresh or self._served().outbox.has_counted(mark)
        except sqlite3.ProgrammingError:
            # It was closed, as the job has ended.
            return False

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

    def is_told_to_stop(self) -> bool:
        """Say whether an operator asks to stop."""
        raise NotImplementedError

    def wake(self) -> None:
        """Send what is due."""
        raise NotImplementedError


def _digest(key: str) -> bytes:
    """Return what stands for the key of an item."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def check_type(name: str) -> None:
    """Refuse a name of a type that the server would refuse, and with it the counts of others in the same update."""
    if not 1 <= len(name) <= 100:  # noqa: PLR2004 - by the protocol
        raise ValueError("the name of a type has 1 to 100 characters")
