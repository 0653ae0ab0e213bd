"""What is watched is read once, however many watch it, and they are woken when there is something new.

A topic is something that can be watched: a job, or a page of the overview. Each kind of topic has a poller, a thread
that reads all of that kind that anybody watches, pauses, and reads again. It is started by the first who watches and
ends some seconds after the last one left. A topic keeps its newest state, which is never changed but replaced, so that
streams read it without a lock; what a stream has had is the stream's own affair.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Generic, Protocol, TypeVar

from tallymark.errors import NO_CONNECTION, TallymarkError

_logger = logging.getLogger(__name__)

#: A poller that nobody needs any more ends so much later.
_IDLE_SECONDS = 5.0
#: It reads for a fifth of the time at most,
_PAUSE_TIMES = 4.0
#: and leaves the watchers, who take turns in Python, so much time each to send what is new.
_SECONDS_A_WATCHER = 0.001
#: After a failure, which is mostly that the database is away, it is tried again so much later.
_FAILED_SECONDS = 0.5
#: Who has just come waits no longer than this for the first state, which is read with that of all who came meanwhile.
_FRESH_SECONDS = 0.02
#: So many watchers are woken at once.
_WOKEN_AT_ONCE = 2


class Bell:
    """Wakes many threads, a few at a time: each that wakes up wakes the next.

    Hundreds of threads that woke at once would all wait for Python's one lock, and ask for it 200 times a second each.
    """

    def __init__(self) -> None:
        self._asleep: deque[Sleeper] = deque()

    def ring(self, sleepers: Sequence["Sleeper"]) -> None:
        """Have threads woken, or not fall asleep next time."""
        self._asleep.extend(sleepers)
        for _ in range(_WOKEN_AT_ONCE):
            self.pass_on()

    def pass_on(self) -> None:
        """Wake the next."""
        with suppress(IndexError):  # nobody is left
            while not self._asleep.popleft().wake():
                pass


class Sleeper:
    """A thread that waits for a bell."""

    def __init__(self, bell: Bell) -> None:
        """Say which bell."""
        self._bell = bell
        self._asleep = False
        # Open when there is something to wake up for.
        self._door = Lock()
        self._door.acquire()

    def sleep(self, seconds: float) -> None:
        """Wait to be woken, for so long at most. Who was rung for meanwhile does not wait."""
        self._asleep = True
        self._door.acquire(timeout=max(seconds, 0.0))
        self._asleep = False
        # Also where time was up: the bell may have counted on this thread at that very moment.
        self._bell.pass_on()

    def wake(self) -> bool:
        """Wake the thread up; say whether it will pass that on: not while it sends, or where it was woken already."""
        asleep = self._asleep
        try:
            self._door.release()
        except RuntimeError:  # the door is open
            return False
        return asleep


class Topic(Protocol):
    """Something that can be watched."""

    @property
    def key(self) -> Hashable:
        """What tells it from others of its kind."""

    @property
    def is_read(self) -> bool:
        """Whether it has a state yet."""


T = TypeVar("T", bound=Topic)


class Poller(Generic[T]):
    """Reads all topics of a kind that are watched."""

    def __init__(self, name: str, read: Callable[[Sequence[T]], Iterator[T]], bell: Bell, least_pause: float) -> None:
        """Nothing is started before somebody watches.

        Args:
            name: What the thread is called.
            read: Reads topics, and yields those that have something new.
            bell: What wakes those who watch.
            least_pause: Seconds between two rounds, or more.
        """
        self._name = name
        self._read = read
        self._bell = bell
        self._least_pause = least_pause
        self._lock = Lock()
        self._topics: dict[Hashable, tuple[T, set[Sleeper]]] = {}
        self._thread: Thread | None = None
        self._kick = Event()
        self._stopped = False
        #: Why the last round failed; empty when it did not.
        self._trouble = ""

    def join(self, topic: T, sleeper: Sleeper) -> T:
        """Watch a topic.

        Args:
            topic: What to watch.
            sleeper: Who is woken when there is something new.

        Returns:
            The topic, or the one like it that is watched already.
        """
        with self._lock:
            topic, sleepers = self._topics.setdefault(topic.key, (topic, set()))
            sleepers.add(sleeper)
            if self._thread is None and not self._stopped:
                self._thread = Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        if not topic.is_read:
            self._kick.set()
        return topic

    def leave(self, topic: T, sleeper: Sleeper) -> None:
        """Watch a topic no longer. Harmless when it is not watched."""
        with self._lock:
            _, sleepers = self._topics.get(topic.key, (topic, set()))
            sleepers.discard(sleeper)
            if not sleepers:
                self._topics.pop(topic.key, None)

    def stop(self) -> None:
        """Read no more, and wake everybody."""
        with self._lock:
            self._stopped = True
        self._kick.set()
        self._ring([topic for topic, _ in self._watched()])

    def _watched(self) -> list[tuple[T, int]]:
        with self._lock:
            return [(topic, len(sleepers)) for topic, sleepers in self._topics.values()]

    def _run(self) -> None:
        due = idle_since = time.monotonic()
        while not self._stopped:
            watched = self._watched()
            now = time.monotonic()
            if watched:
                idle_since = now
            elif now > idle_since + _IDLE_SECONDS and self._has_ended():
                return
            topics = [topic for topic, _ in watched if now >= due or not topic.is_read]
            pause = self._round(topics) if topics else 0.0
            if now >= due:
                fair = _SECONDS_A_WATCHER * sum(watchers for _, watchers in watched)
                due = time.monotonic() + max(self._least_pause, pause, fair)
            elif topics:
                # Not at once again, for these may have no state yet.
                time.sleep(max(_FRESH_SECONDS, pause))
            if not all(topic.is_read for topic in topics):
                self._kick.set()
            self._kick.wait(max(due - time.monotonic(), 0.0))
            self._kick.clear()

    def _has_ended(self) -> bool:
        """End, unless somebody has come just now."""
        with self._lock:
            if self._topics:
                return False
            self._thread = None
            return True

    def _round(self, topics: list[T]) -> float:
        """Read topics, and say how long to pause for it."""
        started = time.monotonic()
        changed: list[T] = []
        try:
            changed.extend(self._read(topics))
        except TallymarkError as error:
            self._note(error)
            return _FAILED_SECONDS
        except Exception:
            # Whoever watches sees that it goes on by itself; a thread that ended would leave them without a word.
            _logger.exception("%s failed", self._name)
            return _FAILED_SECONDS
        finally:
            self._ring(changed)
        self._trouble = ""
        return (time.monotonic() - started) * _PAUSE_TIMES

    def _note(self, error: TallymarkError) -> None:
        """Log why nothing could be read: once, and when it changes. That there is no connection is logged elsewhere."""
        trouble = f"{error} sqlstate={error.sqlstate} {error.origin}"
        if trouble != self._trouble and error.sqlstate != NO_CONNECTION:
            _logger.warning("%s: %s", self._name, trouble)
        self._trouble = trouble

    def _ring(self, topics: Sequence[T]) -> None:
        with self._lock:
            sleepers = [sleeper for topic in topics for sleeper in self._topics.get(topic.key, (topic, ()))[1]]
        if sleepers:
            self._bell.ring(sleepers)
