"""Messages, and a stream of them as server-sent events: one connection, and one thread that mostly sleeps.

A stream keeps no messages, only how much its client knows. So a client that reads slowly gets fewer and larger
messages, and nothing piles up for it.
"""

import json
import random
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cached_property
from typing import Protocol

from tallymark.functions.errors import TallymarkError
from tallymark.web.live.poller import Subscriber, WakeChain

#: How long a browser waits before it connects again, in milliseconds.
_RETRY = b"retry: 1000\n\n"
BEAT_SECONDS = 5.0
#: The longest life of a stream, so that none is kept for good by a client that is no longer interested.
MAX_SECONDS = 3600.0
#: How soon to try again what could not be read.
_AGAIN_SECONDS = 0.5


class Message:
    """A message for one client or many; `position` is its event ID, None for none."""

    def __init__(self, event: str, data: bytes, position: str | None = None) -> None:
        """`data` is JSON without line feeds."""
        self.event = event
        self.data = data
        self.position = position

    @cached_property
    def as_event(self) -> bytes:
        """The message as a server-sent event, made once."""
        name = b"" if self.position is None else b"id: %s\n" % self.position.encode()
        return b"event: %s\n%sdata: %s\n\n" % (self.event.encode(), name, self.data)

    @property
    def as_json(self) -> bytes:
        """The message as JSON, for a client that asks once."""
        position = b"null" if self.position is None else b'"%s"' % self.position.encode()
        return b'{"event":"%s","id":%s,"data":%s}' % (self.event.encode(), position, self.data)


def beat() -> Message:
    """Return the message that shows that the connection is alive."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Message("beat", b'{"at":"%s"}' % at.encode())


def gone(job_id: str) -> Message:
    """Return the message that there is no such job, or no longer."""
    return Message("gone", b'{"id":%s}' % json.dumps(job_id).encode())


class Subscription(Protocol):
    """What one stream watches, and how much of it the client knows."""

    def begin(self, subscriber: Subscriber) -> None:
        """Begin to watch."""

    def end(self) -> None:
        """Stop watching; harmless if it never began."""

    def news(self) -> Iterable[Message]:
        """Return what the client does not know yet, and count it as known from now on.

        Raises:
            TallymarkError: Something had to be read, and the database is away, or the like.
        """


class Stream:
    """The body of an answer that goes on.

    Not a generator: if a generator is closed before it began, its `finally` is not executed.
    """

    def __init__(
        self,
        subscription: Subscription,
        chain: WakeChain,
        *,
        may_go_on: Callable[[], bool],
        ended: Callable[["Stream"], None],
    ) -> None:
        """`may_go_on` is asked at every beat; `ended` is called once, however the stream ends.

        Nothing is watched before the first part is asked for.
        """
        self._subscription = subscription
        self._may_go_on = may_go_on
        self._ended: Callable[[Stream], None] | None = ended
        self._subscriber = Subscriber(chain)
        self._stopped = False
        self._begun = False
        now = time.monotonic()
        self._end = now + MAX_SECONDS
        # Streams that began together, after a restart perhaps, should not beat together.
        self._next_beat = now + BEAT_SECONDS * random.uniform(0.5, 1)  # noqa: S311 - spreads load, keeps no secret

    def __iter__(self) -> "Stream":
        """Return itself."""
        return self

    def __next__(self) -> bytes:
        """Wait for the next part, and return it."""
        if not self._begun:
            self._begun = True
            self._subscription.begin(self._subscriber)
            return _RETRY
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
                messages.extend(self._subscription.news())
            except TallymarkError:
                wake_up = min(wake_up, now + _AGAIN_SECONDS)
            if messages:
                return b"".join(message.as_event for message in messages)
            self._subscriber.sleep(wake_up - now)
        raise StopIteration

    def stop(self) -> None:
        """End the stream, from another thread."""
        self._stopped = True
        self._subscriber.wake()

    def close(self) -> None:
        """Stop watching. Harmless if it was closed before."""
        ended, self._ended = self._ended, None
        if ended is not None:
            self._subscription.end()
            ended(self)
