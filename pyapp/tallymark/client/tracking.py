"""Iterates over items and counts them, in a few hundred nanoseconds each."""

import logging
import math
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TypeVar

from tallymark.client.bars import Bar, is_terminal, standard_error
from tallymark.client.checks import as_cursor
from tallymark.client.failure import text_of

Item = TypeVar("Item")
_log = logging.getLogger("tallymark.client")

#: What takes all items at once, to work on them later.
_TAKERS = ("concurrent.futures", "multiprocessing.pool")


class Tracker:
    """The progress of one loop. The loop writes it, and the recorder reads it.

    `at` is one tuple, so that its parts always agree without a lock: how many items are done, and the id of the last.
    `wake_at`: at how many items to wake the keeper. `is_over`: whether samples no longer count. `is_only_shown`:
    whether its items are counted in another way.
    """

    __slots__ = ("_bar", "at", "is_only_shown", "is_over", "total", "type", "wake_at")

    def __init__(self, type_: str, total: int | None, *, bar: bool | None, wake_at: float) -> None:
        """Begin. `bar`: whether to draw a bar; if None, in a terminal only."""
        self.type = type_
        self.total = total
        self.at: tuple[int, str | None] = (0, None)
        self.is_over = self.is_only_shown = False
        self.wake_at = wake_at
        self._bar = (
            Bar(type_, total, lambda: self.at[0], is_asked_for=bar is not None)
            if bar or (bar is None and is_terminal(standard_error()))
            else None
        )

    def end(self) -> None:
        """Stop the progress bar and leave it on the screen, if no other loop was around this one."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.end()


#: A tracker and its `at` at some moment.
Sample = tuple[Tracker, tuple[int, str | None]]


def length_of(items: object) -> int | None:
    """Return how many items there are, or None if it is not known.

    `len()` is the crawl's own code. It may raise; and a list whose pages are fetched one by one says 0 when it cannot
    know, as GitLab's with keyset paging does.
    """
    try:
        return len(items) or None  # type: ignore[arg-type]  # what has no length raises, too
    except Exception:  # noqa: BLE001 - whatever somebody else's `__len__` raises
        return None


def warn_of_taker(job_id: str, depth: int) -> None:
    """Log a warning if the loop's items are taken all at once. `depth`: how many frames above the caller that is."""
    taker = str(sys._getframe(depth + 1).f_globals.get("__name__"))  # noqa: SLF001 - the one way to know who asks
    if taker.startswith(_TAKERS):
        _log.warning(
            "job %s: %s takes all items of track() at once, before any is done: they count too early, and so does the"
            " cursor; give the executor the plain items, and use job.item() in the function that works on one",
            job_id,
            taker,
        )


def follow(
    items: Iterable[Item],
    tracker: Tracker,
    told: Callable[[], bool],
    wake: Callable[[], None],
    id_: Callable[[Item], object] | None,
) -> Iterator[Item]:
    """Yield the items, and count each when the loop asks for the next one. `told` returns whether to stop."""
    # Local variables, for speed.
    done = 0
    last: str | None = None
    for item in items:
        if told():
            return
        if id_ is not None:
            # Before the loop's body, which may change or close the item.
            try:
                last = as_cursor(id_(item))
            except Exception as error:  # noqa: BLE001 - whatever the crawl's function raises
                _look_at(error, done)
        yield item
        done += 1  # noqa: SIM113 - not before its turn is over
        tracker.at = (done, last)
        if done >= tracker.wake_at:
            tracker.wake_at = math.inf
            wake()


async def follow_async(
    items: AsyncIterable[Item],
    tracker: Tracker,
    told: Callable[[], bool],
    wake: Callable[[], None],
    id_: Callable[[Item], object] | None,
) -> AsyncIterator[Item]:
    """Do the same for asynchronous items; see `follow`."""
    done = 0
    last: str | None = None
    async for item in items:
        if told():
            return
        if id_ is not None:
            try:
                last = as_cursor(id_(item))
            except Exception as error:  # noqa: BLE001 - see `follow`
                _look_at(error, done)
        yield item
        done += 1
        tracker.at = (done, last)
        if done >= tracker.wake_at:
            tracker.wake_at = math.inf
            wake()


def _look_at(error: Exception, done: int) -> None:
    """Raise what an id function raised for the first item, where its author sees it; log it for a later one."""
    if not done:
        raise error
    _log.warning("the id of an item cannot be made, the cursor stays at the item before: %s", text_of(error))
