"""The memory for the bodies of all requests of a process. What does not fit is answered 503, before it is read."""

import random
from http import HTTPStatus
from threading import Lock
from typing import ClassVar

from tallymark.web.http.answers import Problem

#: The range of Retry-After, which is random so that crawlers do not all come back at once.
_RETRY_SECONDS = (1, 5)


class BodyMemory:
    """A number of bytes that the bodies of requests may take together."""

    #: Shorter bodies are not counted: as many as there are threads take little.
    SMALL_BYTES: ClassVar[int] = 16_384

    def __init__(self, limit: int) -> None:
        """Begin with all of it free."""
        #: How many requests were turned away.
        self.rejected = 0
        self._limit = limit
        self._held = 0
        self._lock = Lock()

    def take(self, count: int) -> None:
        """Take so many bytes. Raises 503 if they do not fit."""
        with self._lock:
            if self._held + count <= self._limit:
                self._held += count
                return
        raise self.refusal("The bodies of other requests take all the memory for them.")

    def refusal(self, reason: str) -> Problem:
        """Return the answer to a request whose body there is no room for, and count it."""
        with self._lock:
            self.rejected += 1
        return Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Server busy",
            explanation=f"{reason} Nothing was changed. Send the request again later.",
            headers={"Retry-After": str(random.randint(*_RETRY_SECONDS))},  # noqa: S311 - spreads load
        )

    def give_back(self, count: int) -> None:
        """Give back so many bytes."""
        with self._lock:
            self._held -= count


class Share:
    """What one request holds of the memory."""

    def __init__(self, memory: BodyMemory) -> None:
        """Begin with nothing."""
        self._memory = memory
        self._count = 0

    def grow(self, count: int) -> None:
        """Take so many bytes more. Raises 503 if they do not fit."""
        self._memory.take(count)
        self._count += count

    def end(self) -> None:
        """Give back all of it."""
        self._memory.give_back(self._count)
        self._count = 0
