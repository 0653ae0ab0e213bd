"""Runs functions in threads and in the crawler's own thread."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

_log = logging.getLogger(__name__)


class Loop:
    """Uses asyncio's loop or a Twisted reactor, whichever the crawler runs on."""

    def __init__(self) -> None:
        self._asyncio: asyncio.AbstractEventLoop | None = None
        self._running: set[asyncio.Future[Any]] = set()

    def enter(self) -> None:
        """Find out which of them runs. Called in a coroutine of the crawler."""
        try:
            self._asyncio = asyncio.get_running_loop()
        except RuntimeError:
            self._asyncio = None

    async def in_thread(self, function: Callable[..., object], *args: object) -> None:
        """Run a function that blocks in a thread, and wait for it."""
        if self._asyncio is not None:
            await asyncio.to_thread(function, *args)
        else:
            # Not at the top: importing the reactor installs one, and the crawler may want another.
            from twisted.internet.threads import deferToThread

            await deferToThread(function, *args)

    async def after_handlers(self) -> None:
        """Wait until the other handlers of a signal have run, as far as they do not wait themselves."""
        if self._asyncio is not None:
            await asyncio.sleep(0)
        else:
            from twisted.internet import reactor
            from twisted.internet.defer import Deferred

            turn: Deferred[None] = Deferred()
            reactor.callLater(0, turn.callback, None)  # type: ignore[arg-type]
            await turn

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Run a function in the crawler's thread; called from any other."""
        if self._asyncio is not None:
            try:
                self._asyncio.call_soon_threadsafe(function, *args)
            except RuntimeError:
                _log.debug("the crawl has ended; a call into its thread was dropped")
        else:
            from twisted.internet import reactor

            reactor.callFromThread(function, *args)

    def later(self, seconds: float, function: Callable[..., object], *args: object) -> None:
        """Run a function in the crawler's thread after some seconds; called there."""
        if self._asyncio is not None:
            self._asyncio.call_later(seconds, function, *args)
        else:
            from twisted.internet import reactor

            reactor.callLater(seconds, function, *args)  # type: ignore[arg-type]

    def start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Start a coroutine; called in the crawler's thread."""
        if self._asyncio is not None:
            task = self._asyncio.create_task(coroutine)
            # The loop holds tasks weakly.
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        else:
            from twisted.internet.defer import Deferred

            Deferred.fromCoroutine(coroutine)
