"""Iterates over items and counts them, in a few hundred nanoseconds each."""

import math
import os
import sys
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from tallymark.client.checks import as_cursor

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Item = TypeVar("Item")


class Tracker:
    """The progress of one loop. The loop writes it, and the recorder reads it.

    `at` is one tuple, so that its parts always agree without a lock: how many items are done, and the id of the last.
    `wake_at`: at how many items to wake the keeper. `is_over`: whether samples no longer count.
    """

    __slots__ = ("_bar", "at", "is_over", "type", "wake_at")

    def __init__(self, type_: str, total: int | None, *, bar: bool, wake_at: float) -> None:
        self.type = type_
        self.at: tuple[int, str | None] = (0, None)
        self.is_over = False
        self.wake_at = wake_at
        self._bar = _Bar(type_, total) if bar else None

    def draw(self) -> None:
        """Update the progress bar."""
        if (bar := self._bar) is not None:
            bar.draw(self.at[0])

    def end(self) -> None:
        """Stop the progress bar and leave it on the screen."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.draw(self.at[0])
            bar.end()


#: A tracker and its `at` at some moment.
Sample = tuple[Tracker, tuple[int, str | None]]


def wants_bar(bar: bool | None) -> bool:
    """Return whether to draw a bar: as asked, or else if there is a terminal."""
    return sys.stderr.isatty() if bar is None else bar


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
    """Do the same for asynchronous items; see `follow`."""
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
    """A progress bar in the terminal. All bars of a process share one display."""

    # Reentrant, as garbage collection may end a loop while it is held.
    _lock = threading.RLock()
    _display: "Progress | None" = None
    _bars = 0

    def __init__(self, name: str, total: int | None) -> None:
        # Imported only when needed: most crawls have no terminal.
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
        """Start without a display in the child of a fork."""
        cls._lock, cls._display, cls._bars = threading.RLock(), None, 0


os.register_at_fork(after_in_child=_Bar.forget)
