"""The times and ids of a job's updates.

The server takes the cursor of the newer of two updates. So every time must be later than the one before, even if the
machine's clock is set back, or the crawl goes on on another machine.
"""

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Stamp(NamedTuple):
    """The time and id of an update.

    Ids are in the order of their times. If this clock runs ahead, the server may give two updates the same time; the
    larger id wins then, which is the later one.
    """

    microseconds: int
    timestamp: str
    update_id: str


class Clock:
    """Gives the updates of one job their times. Not safe across threads."""

    def __init__(self, last: int = 0) -> None:
        """Continue after the time of the last update, in microseconds since 1970."""
        self._last = last

    def stamp(self) -> Stamp:
        """Return the stamp of the next update: now, or one microsecond after the last one."""
        self._last = max(time.time_ns() // 1000, self._last + 1)
        return Stamp(
            self._last,
            (_EPOCH + self._last * _MICROSECOND).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            f"{self._last:016x}-{secrets.token_hex(8)}",
        )

    def advance_past(self, timestamp: str) -> None:
        """Make all further times later than this one, in ISO 8601; invalid text is ignored."""
        try:
            at = datetime.fromisoformat(timestamp)
        except ValueError:
            return
        if at.tzinfo is not None:
            self._last = max(self._last, (at - _EPOCH) // _MICROSECOND)
