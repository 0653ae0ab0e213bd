"""The times and ids of a job's updates.

Which of two updates is the newer decides whose cursor counts, so no two may have the same time, and none may go back:
not when the machine's clock is set back, not when the crawl goes on on another machine.
"""

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Stamp(NamedTuple):
    """The time and the id of an update.

    Ids have the order of the times. Where the server takes two for one time, because the clock here runs ahead, the
    larger id wins: the later one.
    """

    microseconds: int
    timestamp: str
    update_id: str


class Clock:
    """Gives one job's updates their times. Not safe across threads."""

    def __init__(self, last: int = 0) -> None:
        """Go on after the last update's time, in microseconds since 1970."""
        self._last = last

    def stamp(self) -> Stamp:
        """Return the next update's: now, or just after the last one."""
        self._last = max(time.time_ns() // 1000, self._last + 1)
        return Stamp(
            self._last,
            (_EPOCH + self._last * _MICROSECOND).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            f"{self._last:016x}-{secrets.token_hex(8)}",
        )

    def advance_past(self, timestamp: str) -> None:
        """Give later times than this one, in ISO 8601; another text changes nothing."""
        try:
            at = datetime.fromisoformat(timestamp)
        except ValueError:
            return
        if at.tzinfo is not None:
            self._last = max(self._last, (at - _EPOCH) // _MICROSECOND)
