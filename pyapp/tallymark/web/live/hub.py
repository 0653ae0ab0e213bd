"""What is watched is read once, however many watch it, and they are woken when there is something new.

A topic is something that can be watched: a job, or a page of the overview. Each kind of topic has a poller, a thread
that reads those of that kind that anybody watches. It is started by the first who watches and ends some seconds after
the last one left. A topic keeps its newest state, which is never changed but replaced, so that streams read it without
a lock; what a stream has had is the stream's own affair.

Topics of one group are read together, and each group pauses by what it took itself. So what is slow to read is read
seldom, and others wait for it no longer than while it is read. A topic with which its group could not be read is read
alone until that goes well.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Generic, Protocol, TypeVar

from tallymark.functions.errors import NO_CONNECTION, TallymarkError, Unavailable

_logger = logging.getLogger(__name__)

#: A poller that nobody needs any more ends so much later.
_IDLE_SECONDS = 5.0
#: Each poller leaves the watchers, who take turns in Python, so much time each to send what is new.
_SECONDS_A_WATCHER = 0.001
#: After a failure, which is mostly that the database is away, it is tried again so much later, or more.
_FAILED_SECONDS = 0.5
#: What takes longer than this comes after all that is quick, and is read alone where its group failed with it.
_SLOW_SECONDS = 0.5
#: Who has just come waits no longer than this for the first state, which is read with that of all who came meanwhile.
_FRESH_SECONDS = 0.02
#: So many watchers are woken at once.
_WOKEN_AT_ONCE = 2

_TOOK_TOO_LONG = "57014"


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
    def group(self) -> Hashable:
        """What it has in common with those that are read together with it."""


T = TypeVar("T", bound=Topic)


class _Watched(Generic[T]):
    """A topic, who watches it, whether it was never read, and whether it is read without its group."""

    def __init__(self, topic: T) -> None:
        self.topic = topic
        self.sleepers: set[Sleeper] = set()
        self.is_new = True
        self.is_alone = False


class _Turn(Generic[T]):
    """Topics that are read together, and when that is."""

    def __init__(self) -> None:
        self.members: list[_Watched[T]] = []
        #: They are all read at this time; those that are new at this one, which is not later.
        self.due = self.due_for_new = 0.0
        #: Seconds that it took last time.
        self.cost = 0.0
        #: Why it failed last time; empty when it did not.
        self.trouble = ""

    @property
    def next(self) -> float:
        """When something is to be read."""
        return self.due_for_new if any(member.is_new for member in self.members) else self.due


class Poller(Generic[T]):
    """Reads all topics of a kind that are watched."""

    def __init__(
        self, name: str, read: Callable[[Sequence[T]], Iterator[T]], bell: Bell, *, least_pause: float, pause_times: int
    ) -> None:
        """Nothing is started before somebody watches.

        Args:
            name: What the thread is called.
            read: Reads topics of one group, and yields those that have something new.
            bell: What wakes those who watch.
            least_pause: Seconds between two times that a group is read, or more.
            pause_times: The pause is so many times as long as reading the group took, or more: 9 is a tenth of the
                time of a connection, whatever is watched.
        """
        self._name = name
        self._read = read
        self._bell = bell
        self._least_pause = least_pause
        self._pause_times = pause_times
        self._lock = Lock()
        self._topics: dict[Hashable, _Watched[T]] = {}
        self._has_thread = False
        self._kick = Event()
        self._stopped = False

    def join(self, topic: T, sleeper: Sleeper) -> T:
        """Watch a topic.

        Args:
            topic: What to watch.
            sleeper: Who is woken when there is something new.

        Returns:
            The topic, or the one like it that is watched already.
        """
        with self._lock:
            if not self._has_thread and not self._stopped:
                Thread(target=self._run, name=self._name, daemon=True).start()
                self._has_thread = True
            watched = self._topics.setdefault(topic.key, _Watched(topic))
            watched.sleepers.add(sleeper)
        if watched.is_new:
            self._kick.set()
        return watched.topic

    def leave(self, topic: T, sleeper: Sleeper) -> None:
        """Watch a topic no longer. Harmless when it is not watched."""
        with self._lock:
            watched = self._topics.get(topic.key)
            if watched is not None:
                watched.sleepers.discard(sleeper)
                if not watched.sleepers:
                    del self._topics[topic.key]

    def stop(self) -> None:
        """Read no more, and wake everybody."""
        with self._lock:
            self._stopped = True
            topics = [watched.topic for watched in self._topics.values()]
        self._kick.set()
        self._ring(topics)

    def _run(self) -> None:
        turns: dict[Hashable, _Turn[T]] = {}
        idle_since = time.monotonic()
        while not self._stopped:
            turns, watchers = self._turns(turns)
            now = time.monotonic()
            if turns:
                idle_since = now
            elif now > idle_since + _IDLE_SECONDS and self._has_ended():
                return
            due = [turn for turn in turns.values() if turn.next <= now]
            # What is slow comes last, and one at a time: after it what is quick may be due again.
            for turn in sorted(due, key=lambda turn: (turn.cost > _SLOW_SECONDS, turn.due)):
                if not self._take(turn, _SECONDS_A_WATCHER * watchers):
                    time.sleep(_FAILED_SECONDS)
                    break
                if turn.cost > _SLOW_SECONDS:
                    break
            if not due:
                self._kick.wait(min([now + _IDLE_SECONDS, *(turn.next for turn in turns.values())]) - now)
                self._kick.clear()

    def _turns(self, earlier: dict[Hashable, _Turn[T]]) -> tuple[dict[Hashable, _Turn[T]], int]:
        """Return what is read together, each going on from where it was, and how many watch all of it."""
        turns: dict[Hashable, _Turn[T]] = {}
        with self._lock:
            for watched in self._topics.values():
                name = (watched.is_alone, watched.topic.key if watched.is_alone else watched.topic.group)
                if name not in turns:
                    turns[name] = earlier.get(name) or _Turn()
                    turns[name].members = []
                turns[name].members.append(watched)
            return turns, sum(len(watched.sleepers) for watched in self._topics.values())

    def _has_ended(self) -> bool:
        """End, unless somebody has come just now."""
        with self._lock:
            self._has_thread = bool(self._topics)
            return not self._has_thread

    def _take(self, turn: _Turn[T], fair_pause: float) -> bool:
        """Read what is due, and say when it is next; return whether there is a database to read others from."""
        started = time.monotonic()
        with_all = turn.due <= started
        members = [member for member in turn.members if with_all or member.is_new]
        changed: list[T] = []
        error: Exception | None = None
        try:
            changed.extend(self._read([member.topic for member in members]))
        except Exception as caught:  # noqa: BLE001 - a thread that ended would leave who watches without a word
            error = caught
        finally:
            self._ring(changed)
        self._note(turn, error)
        ended = time.monotonic()
        turn.cost = ended - started
        is_away = isinstance(error, Unavailable) and error.sqlstate != _TOOK_TOO_LONG
        # To wait for a database that is away costs it nothing.
        own_pause = 0.0 if is_away else turn.cost * self._pause_times
        turn.due_for_new = ended + max(own_pause, _FAILED_SECONDS if error else _FRESH_SECONDS)
        pause = max(self._least_pause, fair_pause) if with_all else 0.0
        turn.due = max(turn.due, turn.due_for_new, ended + pause)
        for member in members:
            member.is_new = member.is_new and error is not None
            if error is None:
                member.is_alone = member.is_alone and turn.cost > _SLOW_SECONDS
            elif not is_away and len(turn.members) > 1:
                member.is_alone = True
        return not is_away

    def _note(self, turn: _Turn[T], error: Exception | None) -> None:
        """Log why it failed: once, and when it changes. That there is no connection is logged elsewhere."""
        if isinstance(error, TallymarkError):
            trouble = f"{error} sqlstate={error.sqlstate} {error.origin}"
            if trouble != turn.trouble and error.sqlstate != NO_CONNECTION:
                _logger.warning("%s: %s", self._name, trouble)
        else:
            trouble = repr(error) if error else ""
            if error and trouble != turn.trouble:
                _logger.error("%s failed", self._name, exc_info=error)
        turn.trouble = trouble

    def _ring(self, topics: Sequence[T]) -> None:
        with self._lock:
            watched = [self._topics[topic.key] for topic in topics if topic.key in self._topics]
            sleepers = [sleeper for one in watched for sleeper in one.sleepers]
        if sleepers:
            self._bell.ring(sleepers)
