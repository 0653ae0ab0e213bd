"""How threads wake each other, so that a signal at any moment leaves nothing locked."""

import threading
from contextlib import suppress


class Bell:
    """Rung by any thread, waited for by one.

    `threading.Event` and `Condition` are written in Python and hold a lock inside: an exception of a signal handler
    there would leave it locked for ever. This is one lock in C that is released to ring.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake who waits, or who will wait next."""
        if self._lock.locked():
            with suppress(RuntimeError):  # Another thread was quicker.
                self._lock.release()

    def wait(self, seconds: float) -> None:
        """Wait until it rings, and at most so long."""
        self._lock.acquire(timeout=max(seconds, 0.0))
