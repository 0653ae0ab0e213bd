"""Iterating over items and counting them, at a cost of some hundred nanoseconds each."""

import math
import sys
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Item = TypeVar("Item")


class Tracker:
    """How far one loop is.

    The loop writes, the client's thread reads: `at` is one tuple, so number and cursor always belong together and no
    lock is needed.

    Attributes:
        type: What it counts.
        at: How many are done, and the id of the last of them.
        taken: How many of them are counted.
        wake_at: At how many the client's thread wants to be woken.
    """

    __slots__ = ("_bar", "at", "taken", "total", "type", "wake_at")

    def __init__(self, type_: str, total: int | None, *, bar: bool) -> None:
        """Begin at nothing.

        Args:
            type_: What it counts.
            total: How many there will be.
            bar: Whether to draw a bar in the terminal.
        """
        self.type = type_
        self.total = total
        self.at: tuple[int, str | None] = (0, None)
        self.taken = 0
        self.wake_at: float = math.inf
        self._bar = _Bar(type_, total) if bar else None

    def draw(self) -> None:
        """Bring the bar up to date."""
        if self._bar is not None:
            self._bar.draw(self.at[0])

    def end(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.draw(self.at[0])
            self._bar.end()
            self._bar = None


class Stoppable(Protocol):
    """What a loop needs of its job."""

    def is_told_to_stop(self) -> bool:
        """Say whether to stop; to ask is to know."""
        ...

    def wake(self) -> None:
        """Send what is due."""
        ...


def as_cursor(last_id: object) -> str | None:
    """Return a cursor as text.

    Args:
        last_id: What the crawler calls the last item; None for nothing.

    Raises:
        ValueError: It is longer than the protocol has it. Without it, counts would go where a restart could not follow.
    """
    text = None if last_id is None else str(last_id)
    if text is not None and len(text) > 255:  # noqa: PLR2004 - by the protocol
        raise ValueError("a cursor (last id) has at most 255 characters")
    return text


def wants_bar(bar: bool | None) -> bool:
    """Say whether to draw: as told, else where there is a terminal."""
    return sys.stderr.isatty() if bar is None else bar


def follow(
    items: Iterable[Item], tracker: Tracker, job: Stoppable, id_: Callable[[Item], object] | None
) -> Iterator[Item]:
    """Give the items, and count each when the loop comes back for the next one: when it is done.

    Args:
        items: The items.
        tracker: Where to count.
        job: Who may say stop.
        id_: Gives an item's id, the cursor.

    Yields:
        Each item.
    """
    # All that a turn needs is local, for speed.
    done = 0
    told = job.is_told_to_stop
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
            job.wake()


async def follow_async(
    items: AsyncIterable[Item], tracker: Tracker, job: Stoppable, id_: Callable[[Item], object] | None
) -> AsyncIterator[Item]:
    """Do the same for items that come asynchronously; see `follow`."""
    done = 0
    async for item in items:
        if job.is_told_to_stop():
            return
        last = None if id_ is None else as_cursor(id_(item))
        yield item
        done += 1
        tracker.at = (done, last)
        if done >= tracker.wake_at:
            tracker.wake_at = math.inf
            job.wake()


class _Bar:
    """A bar in the terminal. All bars of a process share one display."""

    _lock = threading.Lock()
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
