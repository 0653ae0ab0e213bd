"""Connections whose server has stopped answering without being gone: they are cut off.

A server may hang while its machine runs: its disk stands still, or its processes are stopped. Then the machine still
confirms what is sent, and no timeout of TCP ends a call, not even after another server was made the primary.

So a call that takes long is looked into. If a new connection leads to the same server, that one answers, and the call
has to wait for something, such as a replica that must confirm a commit. If it leads to another server, or to none, the
call is cut off, and can be made again on a new connection.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any

import psycopg

from tallymark.functions.errors import Unavailable

_logger = logging.getLogger("tallymark.web.database")

#: After how long a call is looked into, and how often.
_LONG_SECONDS = 10.0
_CUT = "calls cut off: %d; their database server does not answer any more, or another one has taken its place"


def cut(connection: psycopg.Connection[Any]) -> None:
    """End a connection that another thread waits for: its call fails as if the server had closed the connection."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as same:
        same.shutdown(socket.SHUT_RDWR)


@contextmanager
def cut_after(connection: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """Cut a connection if what the block asks of it takes longer."""
    timer = Timer(seconds, cut, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Calls:
    """The calls of a pool.

    `since` has the connections that are in use, and when each call began. It may be changed without a lock, one entry
    at a time.
    """

    def __init__(self) -> None:
        """None is made yet."""
        self.since: dict[Any, float] = {}
        self._looked_at = float("-inf")

    def cut_stuck(self, find_server: Callable[[], str | None]) -> None:
        """Cut calls that take long, unless their server still answers.

        `find_server` connects, and returns which server answered, None if there was none; Unavailable says
        that one answered, with a refusal. It is called if need be.
        """
        before = time.monotonic() - _LONG_SECONDS
        slow = [connection for connection, since in self.since.copy().items() if since < before]
        if not slow or self._looked_at > before:
            return
        try:
            server = find_server()
        except Unavailable:
            return  # it answers that it gives no connection
        # Meanwhile some may have been answered.
        stuck = [connection for connection in slow if connection in self.since and connection.server != server]
        for connection in stuck:
            cut(connection)
        if stuck:
            _logger.warning(_CUT, len(stuck))
        self._looked_at = time.monotonic()
