"""Loops of a run whose items count: those of `Job.track`, and the bars of tqdm."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TypeVar

from tallymark.client.checks import as_whole, check_type
from tallymark.client.run import Run
from tallymark.client.tracking import Tracker, follow, follow_async, length_of, warn_of_taker

Item = TypeVar("Item")


class Loop:
    """A loop that runs. `tracker`: what it has done."""

    def __init__(self, run: Run, items: object, total: int | None, type_: str, *, bar: bool | None) -> None:
        """Begin it; see `Job.track`."""
        recorder = run.started()
        check_type(type_)
        total = length_of(items) if total is None else as_whole("total", total)
        wake_at = 0 if recorder.has_ended else run.habits.every_items
        self.tracker = Tracker(type_, total, bar=bar, wake_at=wake_at)
        self._run = run
        recorder.begin_loop(self.tracker)

    def look(self) -> None:
        """Wake the keeper for the items that it has finished, or warn that they came after the end."""
        recorder = self._run.recorder
        if recorder is not None and recorder.has_ended:
            recorder.warn_of_loss()
        self._run.sender.wake()

    def end(self) -> None:
        """Count what it has done by now, and no more."""
        if not self._run.is_inherited and self._run.recorder is not None:
            self._run.recorder.end_loop(self.tracker)
            self.tracker.end()


def track(
    run: Run,
    items: Iterable[Item],
    total: int | None,
    type_: str,
    id_: Callable[[Item], object] | None,
    *,
    bar: bool | None,
) -> Iterator[Item]:
    """Yield items and count them; see `Job.track`."""
    warn_of_taker(run.job_id, 1)
    loop = Loop(run, items, total, type_, bar=bar)
    try:
        yield from follow(items, loop.tracker, run.is_told_to_stop, loop.look, id_)
    finally:
        loop.end()


async def atrack(
    run: Run,
    items: AsyncIterable[Item],
    total: int | None,
    type_: str,
    id_: Callable[[Item], object] | None,
    *,
    bar: bool | None,
) -> AsyncIterator[Item]:
    """Yield asynchronous items and count them; see `Job.track`."""
    loop = Loop(run, items, total, type_, bar=bar)
    try:
        async for item in follow_async(items, loop.tracker, run.is_told_to_stop, loop.look, id_):
            yield item
    finally:
        loop.end()
