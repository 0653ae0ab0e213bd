"""Bounds how many files the outboxes of this process have open: with hundreds of jobs, the crawl needs some, too.

Each outbox has two files open. When they are too many, those that were not used for the longest time are put down: they
are closed, and opened again when they are used. What they hold is on disk all the time.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

if sys.platform != "win32":
    import resource

#: How many outboxes may be open where the system sets no limit.
_MOST = 1000
#: An outbox takes two files, so this share of the limit is half of what the process may have open.
_SHARE = 4
_FEWEST = 2
_PATIENCE_SECONDS = 5.0


class OpenFile(Protocol):
    """An outbox, as far as this module knows it."""

    used_at: float

    def put_down(self) -> bool:
        """See `Outbox.put_down`."""
        ...


#: Returns the outboxes that are open.
Files = Callable[[], Sequence[OpenFile]]


class _Limit:
    """How many outboxes may be open, lowered when the process had no files left."""

    most = _MOST


_limit = _Limit()


def most_open() -> int:
    """Return how many outboxes may be open at once."""
    most = _limit.most
    # Windows has no such limit.
    if sys.platform != "win32":
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY:
            most = min(most, soft // _SHARE)
    return max(most, _FEWEST)


def make_room(files: Files) -> None:
    """Put down what is too much, before another file is opened."""
    number = len(files())
    if number >= most_open():
        _put_down(files, most_open() * 7 // 8)


def make_more_room(files: Files) -> bool:
    """Put down half of the outboxes, because no file could be opened; return whether there were any."""
    number = len(files())
    if not number:
        return False
    _limit.most = max(number // 2, _FEWEST)
    _put_down(files, number // 2)
    return len(files()) < number


def _put_down(files: Files, keep: int) -> None:
    """Put outboxes down until so many are open, those first that were not used for the longest time."""

    def work() -> None:
        found = sorted(files(), key=lambda outbox: outbox.used_at)
        left = len(found) - keep
        for outbox in found:
            if left <= 0:
                return
            left -= outbox.put_down()

    if threading.current_thread() is not threading.main_thread():
        work()
        return
    # Signal handlers run in the main thread. One that waits for the keeper must not interrupt it while it has the lock
    # of an outbox, for which the keeper may wait.
    helper = threading.Thread(target=work, name="tallymark-files", daemon=True)
    helper.start()
    helper.join(_PATIENCE_SECONDS)
