"""The thread in which a crawler runs, and others beside it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

_log = logging.getLogger(__name__)


class Loop:
    """Runs things in threads and back in the crawler's own, with asyncio's loop or a reactor of Twisted's."""

    def __init__(self) -> None:
        self._asyncio: asyncio.AbstractEventLoop | None = None
        self._running: set[asyncio.Future[Any]] = set()

    def enter(self) -> None:
        """See which of them runs. Called in a coroutine of the crawler's."""
        try:
            self._asyncio = asyncio.get_running_loop()
        except RuntimeError:
            self._asyncio = None

    async def in_thread(self, function: Callable[..., object], *args: object) -> None:
        """Run what blocks, and return when it has ended."""
        if self._asyncio is not None:
            await asyncio.to_thread(function, *args)
        else:
            # Not at the top: an import of the reactor installs one, and the crawler may want another.
            from twisted.internet.threads import deferToThread

            await deferToThread(function, *args)

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Run something in the crawler's thread, asked from any other."""
        if self._asyncio is not None:
            try:
                self._asyncio.call_soon_threadsafe(function, *args)
            except RuntimeError:
                _log.debug("the crawl has ended already")
        else:
            from twisted.internet import reactor

            reactor.callFromThread(function, *args)

    def later(self, seconds: float, function: Callable[..., object], *args: object) -> None:
        """Run something in the crawler's thread in a while, asked from there."""
        if self._asyncio is not None:
            self._asyncio.call_later(seconds, function, *args)
        else:
            from twisted.internet import reactor

            reactor.callLater(seconds, function, *args)  # type: ignore[arg-type]

    def start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine, asked from the crawler's thread."""
        if self._asyncio is not None:
            task = self._asyncio.create_task(coroutine)
            # The loop itself holds tasks weakly.
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        else:
            from twisted.internet.defer import Deferred

            Deferred.fromCoroutine(coroutine)
