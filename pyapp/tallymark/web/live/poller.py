"""Reads what is watched once, however many watch it, and wakes the watchers when there is something new.

A feed is something that can be watched: a job, or a page of the overview. Each kind of feed has a poller, a thread that
reads all feeds of that kind that have subscribers. It starts with the first subscriber and ends some seconds after the
last one left. A feed's newest state is never changed but replaced, so streams read it without a lock; how much of it
a stream has sent is kept by the stream.

Feeds of one group are read together, and each group pauses in proportion to the time its reading took. So a slow group
is read seldom and delays others only while it is read. If reading a group fails, each of its feeds is read alone until
that works.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from tallymark.functions.errors import NO_CONNECTION, TallymarkError, Unavailable

_logger = logging.getLogger("tallymark.web.live.hub")

#: Calls the database, as `Database.call` does.
Read: TypeAlias = Callable[..., list[bytes | None]]

#: How long a poller without feeds goes on before it ends.
_IDLE_SECONDS = 5.0
#: Each subscriber adds this to the pause, so that all of them, who share Python's lock, have time to send what is new.
_SECONDS_PER_SUBSCRIBER = 0.001
#: The least pause after a failure; mostly the database is away.
_FAILED_SECONDS = 0.5
#: A group that takes longer than this is read after all others, and its feeds are read alone if it fails.
_SLOW_SECONDS = 0.5
#: New feeds wait no longer than this to be read for the first time, together with others that came meanwhile.
_NEW_FEED_SECONDS = 0.02
#: How many subscribers are woken at once.
_WOKEN_AT_ONCE = 2

_TOOK_TOO_LONG = "57014"


class WakeChain:
    """Wakes many threads, a few at a time: each that wakes up wakes the next.

    If hundreds of threads woke at once, all would wait for Python's lock, and each would ask for it 200 times a second.
    """

    def __init__(self) -> None:
        self._asleep: deque[Subscriber] = deque()

    def wake(self, subscribers: Sequence["Subscriber"]) -> None:
        """Wake subscribers; one that is not asleep does not fall asleep next time."""
        self._asleep.extend(subscribers)
        for _ in range(_WOKEN_AT_ONCE):
            self.wake_next()

    def wake_next(self) -> None:
        """Wake the next one that will continue the chain."""
        with suppress(IndexError):  # nobody is left
            while not self._asleep.popleft().wake():
                pass


class Subscriber:
    """A thread that sleeps until a feed has something new."""

    def __init__(self, chain: WakeChain) -> None:
        """The chain is continued whenever this thread wakes up."""
        self._chain = chain
        self._asleep = False
        # Released when there is a reason to wake up.
        self._wanted = Lock()
        self._wanted.acquire()

    def sleep(self, seconds: float) -> None:
        """Sleep until woken, but at most for this time; not at all if there was a reason to wake up meanwhile."""
        self._asleep = True
        self._wanted.acquire(timeout=max(seconds, 0.0))
        self._asleep = False
        # Also after a timeout: the chain may have counted on this thread at that very moment.
        self._chain.wake_next()

    def wake(self) -> bool:
        """Wake the thread, and return whether it will continue the chain: only if it slept and was not woken yet."""
        asleep = self._asleep
        try:
            self._wanted.release()
        except RuntimeError:  # it was released before
            return False
        return asleep


class Feed(Protocol):
    """Something that can be watched."""

    @property
    def key(self) -> Hashable:
        """What identifies it among those of its kind."""

    @property
    def group(self) -> Hashable:
        """What it shares with the feeds that are read together with it."""


F = TypeVar("F", bound=Feed)


class Pause(NamedTuple):
    """How long a group rests: at least `min_seconds`, and `factor` times as long as reading it took.

    A factor of 9 uses a tenth of the time of one connection, whatever is watched.
    """

    min_seconds: float
    factor: int


class _Member(Generic[F]):
    """A feed with its subscribers, whether it was never read, and whether it is read without its group."""

    def __init__(self, feed: F) -> None:
        self.feed = feed
        self.subscribers: set[Subscriber] = set()
        self.is_new = True
        self.is_alone = False


class _Group(Generic[F]):
    """Feeds that are read together, and when."""

    def __init__(self) -> None:
        self.members: list[_Member[F]] = []
        #: When all of them are read, and when those that are new, which is not later.
        self.due = self.due_for_new = 0.0
        #: How many seconds reading took last time.
        self.cost = 0.0
        #: Why reading failed last time; empty if it did not.
        self.failure = ""

    @property
    def next(self) -> float:
        """When something is to be read."""
        return self.due_for_new if any(member.is_new for member in self.members) else self.due


class Poller(Generic[F]):
    """Reads all feeds of a kind that have subscribers."""

    def __init__(self, name: str, read: Callable[[Sequence[F]], Iterator[F]], chain: WakeChain, pause: Pause) -> None:
        """Nothing starts before there is a subscriber. `read` gets feeds of one group, and yields those with news."""
        self._name = name
        self._read = read
        self._chain = chain
        self._pause = pause
        self._lock = Lock()
        self._members: dict[Hashable, _Member[F]] = {}
        self._has_thread = False
        self._changed = Event()
        self._stopped = False

    def subscribe(self, feed: F, subscriber: Subscriber) -> F:
        """Watch a feed; return it, or the one with the same key that is watched already."""
        with self._lock:
            if not self._has_thread and not self._stopped:
                Thread(target=self._run, name=self._name, daemon=True).start()
                self._has_thread = True
            member = self._members.setdefault(feed.key, _Member(feed))
            member.subscribers.add(subscriber)
        if member.is_new:
            self._changed.set()
        return member.feed

    def unsubscribe(self, feed: F, subscriber: Subscriber) -> None:
        """Stop watching a feed. Harmless if it is not watched."""
        with self._lock:
            member = self._members.get(feed.key)
            if member is not None:
                member.subscribers.discard(subscriber)
                if not member.subscribers:
                    del self._members[feed.key]

    def stop(self) -> None:
        """Stop reading, and wake all subscribers."""
        with self._lock:
            self._stopped = True
            feeds = [member.feed for member in self._members.values()]
        self._changed.set()
        self._wake(feeds)

    def _run(self) -> None:
        groups: dict[Hashable, _Group[F]] = {}
        idle_since = time.monotonic()
        while not self._stopped:
            groups, subscribers = self._groups(groups)
            now = time.monotonic()
            if groups:
                idle_since = now
            elif now > idle_since + _IDLE_SECONDS and self._has_ended():
                return
            due = [group for group in groups.values() if group.next <= now]
            # Slow groups come last, and one at a time: after it the quick ones may be due again.
            for group in sorted(due, key=lambda group: (group.cost > _SLOW_SECONDS, group.due)):
                if not self._poll(group, _SECONDS_PER_SUBSCRIBER * subscribers):
                    time.sleep(_FAILED_SECONDS)
                    break
                if group.cost > _SLOW_SECONDS:
                    break
            if not due:
                self._changed.wait(min([now + _IDLE_SECONDS, *(group.next for group in groups.values())]) - now)
                self._changed.clear()

    def _groups(self, earlier: dict[Hashable, _Group[F]]) -> tuple[dict[Hashable, _Group[F]], int]:
        """Return the groups, with their times and costs as they were, and how many subscribers there are in all."""
        groups: dict[Hashable, _Group[F]] = {}
        with self._lock:
            for member in self._members.values():
                name = (member.is_alone, member.feed.key if member.is_alone else member.feed.group)
                if name not in groups:
                    groups[name] = earlier.get(name) or _Group()
                    groups[name].members = []
                groups[name].members.append(member)
            return groups, sum(len(member.subscribers) for member in self._members.values())

    def _has_ended(self) -> bool:
        """End, unless a subscriber has come just now."""
        with self._lock:
            self._has_thread = bool(self._members)
            return not self._has_thread

    def _poll(self, group: _Group[F], fair_pause: float) -> bool:
        """Read the feeds of a group that are due, and schedule the next time; return whether the database is there."""
        started = time.monotonic()
        with_all = group.due <= started
        members = [member for member in group.members if with_all or member.is_new]
        changed: list[F] = []
        error: Exception | None = None
        try:
            changed.extend(self._read([member.feed for member in members]))
        except Exception as caught:  # noqa: BLE001 - if the thread ended, subscribers would wait for nothing
            error = caught
        finally:
            self._wake(changed)
        self._note(group, error)
        ended = time.monotonic()
        group.cost = ended - started
        is_away = isinstance(error, Unavailable) and error.sqlstate != _TOOK_TOO_LONG
        # Waiting for a database that is away costs it nothing.
        own_pause = 0.0 if is_away else group.cost * self._pause.factor
        group.due_for_new = ended + max(own_pause, _FAILED_SECONDS if error else _NEW_FEED_SECONDS)
        pause = max(self._pause.min_seconds, fair_pause) if with_all else 0.0
        group.due = max(group.due, group.due_for_new, ended + pause)
        for member in members:
            member.is_new = member.is_new and error is not None
            if error is None:
                member.is_alone = member.is_alone and group.cost > _SLOW_SECONDS
            elif not is_away and len(group.members) > 1:
                member.is_alone = True
        return not is_away

    def _note(self, group: _Group[F], error: Exception | None) -> None:
        """Log a failure: once, and again when its cause changes. The pool logs it if there is no connection."""
        if isinstance(error, TallymarkError):
            failure = f"{error} sqlstate={error.sqlstate} {error.origin}"
            if failure != group.failure and error.sqlstate != NO_CONNECTION:
                _logger.warning("%s: %s", self._name, failure)
        else:
            failure = repr(error) if error else ""
            if error and failure != group.failure:
                _logger.error("%s failed", self._name, exc_info=error)
        group.failure = failure

    def _wake(self, feeds: Sequence[F]) -> None:
        with self._lock:
            members = [self._members[feed.key] for feed in feeds if feed.key in self._members]
            subscribers = [subscriber for member in members for subscriber in member.subscribers]
        if subscribers:
            self._chain.wake(subscribers)
