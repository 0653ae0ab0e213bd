"""Ctrl-C for a command that goes on until it is stopped: it ends between two pictures, never in the middle of one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Somebody asked this process to end while it waited for something else. No library is meant to catch it."""


class Interrupt:
    """Whether this process was asked to end, by Ctrl-C or SIGTERM; a context manager, for the main thread."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._open = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def breaks(self) -> Iterator[None]:
        """Let the block be broken off: it waits for others, and nothing is left half done.

        Raises:
            Interrupted: This process was asked to end, before or meanwhile.
        """
        self._open = True
        try:
            if self._asked.is_set():
                raise Interrupted
            yield
        finally:
            self._open = False

    def wait(self, seconds: float) -> bool:
        """Wait.

        Args:
            seconds: For how long.

        Returns:
            True, at once, when this process was asked to end.
        """
        return self._asked.wait(seconds)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self._asked.set()
        if self._open:
            self._open = False
            raise Interrupted
