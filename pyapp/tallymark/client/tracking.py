"""Iterating over items and counting them, at a cost of some hundred nanoseconds each."""

import math
import os
import sys
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Item = TypeVar("Item")


class Tracker:
    """How far one loop is. The loop writes it, and the recorder takes samples.

    `at` is one tuple: how many items are done, and the id of the last of them. So the two always belong together, and
    no lock is needed. `wake_at` is at how many the keeper wants to be woken. `is_over`: no sample counts any more.
    """

    __slots__ = ("_bar", "at", "is_over", "type", "wake_at")

    def __init__(self, type_: str, total: int | None, *, bar: bool, wake_at: float) -> None:
        self.type = type_
        self.at: tuple[int, str | None] = (0, None)
        self.is_over = False
        self.wake_at = wake_at
        self._bar = _Bar(type_, total) if bar else None

    def draw(self) -> None:
        """Bring the bar up to date."""
        if (bar := self._bar) is not None:
            bar.draw(self.at[0])

    def end(self) -> None:
        """Leave the bar as it is."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.draw(self.at[0])
            bar.end()


#: Where a loop was at some moment.
Sample = tuple[Tracker, tuple[int, str | None]]


def as_cursor(last_id: object) -> str | None:
    """Return a cursor as text; a longer one would be refused, and counts would go where a restart could not follow."""
    text = None if last_id is None else str(last_id)
    if text is not None and len(text) > 255:  # noqa: PLR2004 - by the protocol
        raise ValueError("a cursor (last id) has at most 255 characters")
    return text


def wants_bar(bar: bool | None) -> bool:
    """Say whether to draw: as told, else where there is a terminal."""
    return sys.stderr.isatty() if bar is None else bar


def follow(
    items: Iterable[Item],
    tracker: Tracker,
    told: Callable[[], bool],
    wake: Callable[[], None],
    id_: Callable[[Item], object] | None,
) -> Iterator[Item]:
    """Give the items, and count each when the loop comes back for the next one. `told` says whether to stop."""
    # All that a turn needs is local, for speed.
    done = 0
    last: str | None = None
    for item in items:
        if told():
            return
        if id_ is not None:
            # Before the body, which may change the item or close it.
            last = as_cursor(id_(item))
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
    """Do the same for items that come asynchronously; see `follow`."""
    done = 0
    async for item in items:
        if told():
            return
        last = None if id_ is None else as_cursor(id_(item))
        yield item
        done += 1
        tracker.at = (done, last)
        if done >= tracker.wake_at:
            tracker.wake_at = math.inf
            wake()


class _Bar:
    """A bar in the terminal. All bars of a process share one display."""

    # Taken again by the same thread where garbage collection ends a loop meanwhile.
    _lock = threading.RLock()
    _display: "Progress | None" = None
    _bars = 0

    def __init__(self, name: str, total: int | None) -> None:
        # Loaded when it is needed: most crawls have no terminal.
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        with self._lock:
            if _Bar._display is None:
                _Bar._display = Progress(
                    TextColumn("{task.description}"),
                    BarColumn(),
                    MofNCompleteColumn(),
                    TimeRemainingColumn(),
                    console=Console(stderr=True),
                )
                _Bar._display.start()
            self._progress: Progress = _Bar._display
            _Bar._bars += 1
        self._task: TaskID = self._progress.add_task(escape(name), total=total)

    def draw(self, done: int) -> None:
        self._progress.update(self._task, completed=done)

    def end(self) -> None:
        self._progress.stop_task(self._task)
        with self._lock:
            _Bar._bars -= 1
            if not _Bar._bars and _Bar._display is not None:
                _Bar._display.stop()
                _Bar._display = None

    @classmethod
    def forget(cls) -> None:
        """Begin with no display in a child of a fork."""
        cls._lock, cls._display, cls._bars = threading.RLock(), None, 0


os.register_at_fork(after_in_child=_Bar.forget)
