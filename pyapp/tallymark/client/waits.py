"""A crawl that waits says so: until when, and for what. So nobody takes its silence for a fault."""

import math
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

from tallymark.client.process import current
from tallymark.client.updates import clean

#: A moment: seconds from now, a time, or the text of either, as the header Retry-After has it.
Moment = float | timedelta | datetime | str

_LONGEST_REASON = 100
#: How long to wait where a site does not say it in a way that can be read.
_UNKNOWN_SECONDS = 60.0
#: How often `wait_until` looks for commands.
_LOOK_SECONDS = 0.25
#: A wait without an end is longer than any other.
_NEVER = datetime.max.replace(tzinfo=UTC)

#: Reports fields with a status.
Say = Callable[[Mapping[str, Any], str], None]


def moment(told: Moment) -> datetime:
    """Return a moment as a time. Raises TypeError for another type, ValueError for one that is no moment."""
    if isinstance(told, str):
        text = told.strip()
        try:
            told = float(text) if text.isascii() and text.replace(".", "", 1).isdigit() else _as_time(text)
        except ValueError:
            raise ValueError(f"not a number of seconds, an HTTP date or an ISO 8601 time: {text[:100]!r}") from None
    if isinstance(told, bool) or not isinstance(told, int | float | timedelta | datetime):
        raise TypeError("a moment must be a number of seconds, a timedelta, a datetime, or the text of Retry-After")
    try:
        if isinstance(told, datetime):
            return told.astimezone(UTC)
        if isinstance(told, timedelta):
            return datetime.now(UTC) + max(told, timedelta())
        if not math.isfinite(told):
            raise ValueError("a number of seconds must be finite")
        return datetime.now(UTC) + timedelta(seconds=max(told, 0))
    except OverflowError:
        raise ValueError("a wait must end before the year 10000") from None


def _as_time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return parsedate_to_datetime(text)


def wait_until(told: datetime, is_told_to_stop: Callable[[], bool]) -> None:
    """Wait until a time, or until the crawl is told to stop. The clock may be set meanwhile."""
    ends = time.monotonic() + (told - datetime.now(UTC)).total_seconds()
    while (left := ends - time.monotonic()) > 0 and not is_told_to_stop():
        time.sleep(min(left, _LOOK_SECONDS))


def moment_of_site(told: Moment, warn: Callable[[str], None]) -> datetime:
    """Return a moment that a site may have given: what it sends cannot end the crawl."""
    try:
        return moment(told)
    except ValueError:
        if not isinstance(told, str):
            raise
        warn(f"waits {_UNKNOWN_SECONDS:.0f} s: it was told to wait for {told[:100]!r}, which is no moment")
        return moment(_UNKNOWN_SECONDS)


class Waits:
    """The waits of a job that are open: of nested blocks, and of several threads."""

    def __init__(self) -> None:
        # Held for work in memory only, while nothing else is locked. Reentrant: a signal handler may wait, too.
        self._lock = threading.RLock()
        self._open: list[Waiting] = []
        self._told: Waiting | None = None

    def begin(self, wait: "Waiting", say: Say) -> None:
        """Open a wait, and report it unless a longer one is open."""
        with self._lock:
            self._open.append(wait)
            self._tell(say)

    def end(self, wait: "Waiting", say: Say) -> None:
        """Close a wait, and report what the job does now if that is something else."""
        with self._lock:
            if wait in self._open:
                self._open.remove(wait)
                self._tell(say)

    def _tell(self, say: Say) -> None:
        longest = max(self._open, key=lambda wait: wait.until or _NEVER, default=None)
        if longest is self._told:
            return
        self._told = longest
        if longest is None:
            say({}, "processing")
        else:
            until = longest.until.isoformat().replace("+00:00", "Z") if longest.until else None
            say({"waitUntil": until, "reason": longest.reason}, "waiting")


class Waiting:
    """A wait of a job, for a `with` or `async with` block; made by `Job.waiting`. It may be used several times."""

    def __init__(self, waits: Waits, say: Say, until: Moment | None, reason: str | None) -> None:
        """Report nothing yet. `say` reports on the job."""
        if not isinstance(reason, str | None):
            raise TypeError("the reason must be text")
        #: When it ends; None where that is not known.
        self.until = None if until is None else moment(until)
        self.reason = None if reason is None else clean(reason)[:_LONGEST_REASON]
        self._waits = waits
        self._say = say
        self._pid = current.pid

    def __enter__(self) -> Self:
        self._waits.begin(self, self._say)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._pid == current.pid:
            self._waits.end(self, self._say)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)
