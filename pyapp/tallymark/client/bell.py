"""Lets threads wake each other; a signal at any moment leaves nothing locked."""

import threading
from contextlib import suppress


class Bell:
    """Any thread may ring; one thread waits.

    `threading.Event` and `Condition` are written in Python and hold a lock inside: an exception of a signal handler
    there would leave it locked forever. This is a single lock in C that is released to ring.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake the thread that waits, or the next one that will."""
        if self._lock.locked():
            with suppress(RuntimeError):  # Another thread has rung meanwhile.
                self._lock.release()

    def wait(self, seconds: float) -> None:
        """Wait until it rings, for `seconds` at most."""
        self._lock.acquire(timeout=max(seconds, 0.0))
