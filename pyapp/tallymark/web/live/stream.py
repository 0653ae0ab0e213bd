"""A stream of server-sent events: one connection, one thread of the server's that mostly sleeps.

It keeps no messages, only how far its client knows what it watches. So a client that takes them slowly gets fewer and
larger ones, and nothing piles up for it.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from tallymark.functions.errors import TallymarkError
from tallymark.web.live.hub import Bell, Poller, Sleeper
from tallymark.web.live.jobs import JobTopic, Position, catch_up
from tallymark.web.live.messages import RETRY, Message, Read, beat, gone
from tallymark.web.live.overview import PageTopic, Question, TotalsTopic

BEAT_SECONDS = 5.0
#: A stream ends after so long, so that none is kept for good by a client that has lost interest in some odd way.
LONGEST_SECONDS = 3600.0
#: Where what a client missed could not be read, it is tried again so much later.
_AGAIN_SECONDS = 0.5


class Watch(Protocol):
    """What a stream tells of."""

    def begin(self, sleeper: Sleeper) -> None:
        """Begin to watch."""

    def end(self) -> None:
        """Watch no longer; harmless where it never began."""

    def news(self) -> Iterable[Message]:
        """Return what the client does not know yet, and take it as known from now on.

        Raises:
            TallymarkError: Something had to be read, and the database is away, or the like.
        """


class JobWatch:
    """Watches one job."""

    def __init__(self, poller: Poller[JobTopic], read: Read, job_id: str, after: int | None) -> None:
        """Say which, and how far the client knows it; None is not at all, and no events before now are wanted."""
        self._poller = poller
        self._read = read
        self._topic = JobTopic(job_id)
        self._known = Position(0, -1 if after is None else after)
        self._told_gone = False
        self._sleeper: Sleeper | None = None

    def begin(self, sleeper: Sleeper) -> None:
        """Begin to watch."""
        self._sleeper = sleeper
        self._topic = self._poller.join(self._topic, sleeper)

    def end(self) -> None:
        """Watch no longer."""
        if self._sleeper is not None:
            self._poller.leave(self._topic, self._sleeper)

    def news(self) -> list[Message]:
        """Return the message that there is, if any."""
        topic, state = self._topic, self._topic.state
        if not topic.is_read:
            return []
        if state is None:
            if self._told_gone:
                return []
            self._told_gone, self._known = True, Position(0, 0)
            return [gone(topic.key)]
        self._told_gone = False
        born, seq = self._known
        if born and state.position <= self._known:
            return []
        if seq < 0:
            seq = state.position.seq
        elif born and born != state.position.born:
            seq = 0  # another job under the same id: from its start
        # A client that comes may know more than was read here last.
        message = state.message(seq) if seq <= state.position.seq else None
        if message is None:
            message, self._known = catch_up(self._read, topic.key, Position(born and state.position.born, seq))
            return [message] if message else []
        self._known = state.position
        return [message]


class OverviewWatch:
    """Watches a page of the overview and the figures above it."""

    def __init__(self, pages: Poller[PageTopic], totals: Poller[TotalsTopic], question: Question) -> None:
        """Say what is asked of the page."""
        self._pages = pages
        self._totals = totals
        self._page = PageTopic(question)
        self._figures: TotalsTopic | None = None
        self._version = 0
        self._figures_version = 0
        self._sleeper: Sleeper | None = None

    def begin(self, sleeper: Sleeper) -> None:
        """Begin to watch."""
        self._sleeper = sleeper
        self._page = self._pages.join(self._page, sleeper)

    def end(self) -> None:
        """Watch no longer."""
        if self._sleeper is not None:
            if self._figures is not None:
                self._totals.leave(self._figures, self._sleeper)
            self._pages.leave(self._page, self._sleeper)

    def news(self) -> Iterator[Message]:
        """Yield the messages that there are."""
        state = self._page.state
        if state is None:
            return
        if self._figures is None and self._sleeper is not None:
            # Only now is it known whose rates to read.
            self._figures = self._totals.join(TotalsTopic(self._page), self._sleeper)
        if state.version != self._version:
            known, self._version = self._version, state.version
            yield state.message(known)
        if self._figures is not None and self._figures.version != self._figures_version:
            figures, self._figures_version = self._figures.message, self._figures.version
            if figures is not None:
                yield figures


class Stream:
    """The body of an answer that goes on.

    Not a generator: what a generator has in `finally` is not done where it is closed before it began.
    """

    def __init__(
        self, watch: Watch, bell: Bell, *, may_go_on: Callable[[], bool], ended: Callable[["Stream"], None]
    ) -> None:
        """Nothing is watched before the first part is asked for.

        Args:
            watch: What it tells of.
            bell: What wakes it.
            may_go_on: Asked at every beat.
            ended: Called once, when it has ended in whatever way.
        """
        self._watch = watch
        self._may_go_on = may_go_on
        self._ended: Callable[[Stream], None] | None = ended
        self._sleeper = Sleeper(bell)
        self._stopped = False
        self._begun = False
        now = time.monotonic()
        self._end = now + LONGEST_SECONDS
        # Streams that began together, after a restart perhaps, shall not beat together.
        self._next_beat = now + BEAT_SECONDS * random.uniform(0.5, 1)  # noqa: S311 - spreads load, keeps no secret

    def __iter__(self) -> "Stream":
        """Return it."""
        return self

    def __next__(self) -> bytes:
        """Return the next part, when there is one; a thread that is in here sleeps."""
        if not self._begun:
            self._begun = True
            self._watch.begin(self._sleeper)
            return RETRY
        while not self._stopped:
            now = time.monotonic()
            messages: list[Message] = []
            wake_up = self._next_beat
            if now >= self._next_beat:
                if now >= self._end or not self._may_go_on():
                    break
                self._next_beat = wake_up = now + BEAT_SECONDS
                messages.append(beat())
            try:
                messages.extend(self._watch.news())
            except TallymarkError:
                wake_up = min(wake_up, now + _AGAIN_SECONDS)
            if messages:
                return b"".join(message.as_event for message in messages)
            self._sleeper.sleep(wake_up - now)
        raise StopIteration

    def stop(self) -> None:
        """End it, from another thread."""
        self._stopped = True
        self._sleeper.wake()

    def close(self) -> None:
        """Give back what it holds. Harmless when it was closed before."""
        ended, self._ended = self._ended, None
        if ended is not None:
            self._watch.end()
            ended(self)
