"""Ctrl-C, and SIGTERM, while a command works."""

import os
import select
import signal
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Self

#: What a shell says of a command that Ctrl-C ended.
INTERRUPTED = 130

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """This process was asked to end while it waited for something else. No library is meant to catch it."""


class Interrupt:
    """Whether this process was asked to end, by Ctrl-C or SIGTERM; a context manager, for the main thread.

    So a command that draws until it is stopped ends after a whole picture.
    """

    def __init__(self) -> None:
        #: The signal that came.
        self.number: int | None = None
        # The handler runs in the main thread, in the middle of whatever that does. A lock that is held there, such as
        # that of a `threading.Event` that is waited for, would never be released; so a wait is ended by a byte.
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        for end in (self._reader, self._writer):
            weakref.finalize(self, os.close, end)
        self._open = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_raised: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def breaks(self) -> Iterator[None]:
        """Let a signal break the block off, with Interrupted: it waits for others, and leaves nothing half done."""
        self._open = True
        try:
            if self.number is not None:
                raise Interrupted
            yield
        finally:
            self._open = False

    def wait(self, seconds: float) -> bool:
        """Wait; return True, at once, when this process was asked to end."""
        if self.number is None and seconds > 0:
            ends = select.poll()
            ends.register(self._reader, select.POLLIN)  # the byte is never read, so all threads that wait notice it
            ends.poll(seconds * 1000)
        return self.number is not None

    def fileno(self) -> int:
        """Return the number of a file that can be read when a signal has come, to wait for it beside others."""
        return self._reader

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        with suppress(BlockingIOError):
            os.write(self._writer, b"!")
        if self._open:
            self._open = False
            raise Interrupted
