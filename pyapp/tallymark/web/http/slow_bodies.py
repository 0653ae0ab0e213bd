"""Ends the reading of request bodies that take too long.

A thread that reads a body waits for its client, and nothing in Python can wake it: a client that sends half a body
would hold a thread for good. So another thread looks about once a second at what is being read, and shuts down the
receiving half of a connection that takes too long. The read then ends, and the client still gets its answer.

gunicorn tells the socket of a request. Granian tells only the client's address, so the connection is found by what the
system knows: nothing was sent on it since the reading began. While more connections of that address look so than bodies
are read from there, some of them wait for their answer, and none is touched before twice the time has passed.

A server that stops ends all reading soon, in the same way. Who waits for an answer gets it first.
"""

import logging
import socket
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from threading import Event, Lock, Thread, get_ident
from typing import Any, NamedTuple

from werkzeug.wsgi import ClosingIterator

from tallymark.web.http.connections import ClientConnection, client_connections, plain_address

_logger = logging.getLogger("tallymark.web.bodies")

Environ = dict[str, Any]

#: Set in the environment of a request whose body took too long.
_TOO_SLOW = "tallymark.too_slow"
#: The pause between two looks, at most, and how many of them fit into the time of a body, at least.
_LOOK_SECONDS, _LOOKS = 1.0, 5
#: A connection is seen so many pauses after the reading on it began, at most: in the second look, or a little later.
_SEEN_WITHIN = 3
#: How exactly the system says when data was sent: it counts in steps of up to 10 ms.
_STEP_SECONDS = 0.05
#: After this many times the time of a body, each connection is cut that may be the one.
_LAST_FACTOR = 2
#: The same pause while the server stops, and how long a body may still be read then: most come whole within that.
_STOP_LOOK_SECONDS, _STOP_SECONDS = 0.1, 0.5


class _Reading(NamedTuple):
    """A body that is being read: since when, and for which request."""

    began: float
    environ: Environ


class SlowBodies:
    """What is being read in this process, with a limit to the time of each body."""

    def __init__(self, seconds: float) -> None:
        """Nothing is started before the first reading, which is after this process was forked."""
        self.seconds = seconds
        self._pause = min(_LOOK_SECONDS, seconds / _LOOKS)
        #: By thread. Plain tuples are made faster.
        self._reading: dict[int, tuple[float, Environ]] = {}
        self._lock = Lock()
        self._looks = False
        self._stops = Event()
        #: Since when each connection, by its inode, was seen to wait for an answer in every look.
        self._unanswered: dict[int, float] = {}
        #: Sockets of gunicorn's to close, where the request did not get as far as that.
        self._closing: list[socket.socket] = []

    @property
    def count(self) -> int:
        """How many bodies are being read."""
        return len(self._reading)

    def begin(self, environ: Environ) -> float:
        """Begin to read the body of a request in this thread, and return when that was; `end` must follow."""
        if not self._looks:
            self._start()
        began = time.monotonic()
        self._reading[get_ident()] = (began, environ)
        return began

    def end(self) -> None:
        """End the reading of this thread."""
        del self._reading[get_ident()]

    def closing(self, environ: Environ, result: Iterable[bytes]) -> Iterable[bytes]:
        """Return an answer that closes the connection where it must, when it was sent."""
        if _TOO_SLOW in environ and "gunicorn.socket" in environ:
            # gunicorn would take what comes later for another request. Granian closes the connection by itself.
            return ClosingIterator(result, [partial(_close, environ["gunicorn.socket"])])
        return result

    def is_over(self, environ: Environ, began: float) -> bool:
        """Return whether a reading has taken too long, also if its connection was not found."""
        return _TOO_SLOW in environ or time.monotonic() - began > self.seconds

    @property
    def stops(self) -> bool:
        """Whether the server stops, so that a body is cut off for that."""
        return self._stops.is_set()

    def stop(self) -> None:
        """End all reading soon, of bodies that begin later, too: the server stops, and would wait for them."""
        self._stops.set()

    def _start(self) -> None:
        with self._lock:
            if not self._looks:
                Thread(target=self._look_on, name="tallymark-bodies", daemon=True).start()
                self._looks = True

    def _look_on(self) -> None:
        # A server that stops listens no more: so its ports are learned while it does.
        with suppress(OSError):
            client_connections()
        while True:
            if self._stops.wait(self._pause):
                time.sleep(_STOP_LOOK_SECONDS)
                self._end_all()
                continue
            self._close()
            last_look = time.monotonic() - self._pause
            slow = [_Reading(*reading) for reading in list(self._reading.values()) if reading[0] < last_look]
            if not slow:
                self._unanswered.clear()
                continue
            try:
                self._look(slow)
            except Exception:
                # Such as too many open files. This thread has to go on, and the next look may succeed.
                _logger.exception("slow bodies could not be ended")

    def _close(self) -> None:
        for sock in self._closing:
            _close(sock)
        self._closing.clear()

    def _look(self, slow: Iterable[_Reading]) -> None:
        """Cut what takes too long of the bodies that were being read in the last look already."""
        hidden: dict[str, list[_Reading]] = defaultdict(list)
        for reading in slow:
            sock = reading.environ.get("gunicorn.socket")
            if sock is None:
                hidden[_address(reading.environ)].append(reading)
            elif time.monotonic() - reading.began > self.seconds:
                reading.environ[_TOO_SLOW] = True
                # Not the method of a TLS socket, which would end its encryption before the answer.
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RD)
                self._closing.append(sock)
        if hidden:
            self._cut(hidden)

    def _end_all(self) -> None:
        """End the readings that did not end soon, of a server that stops."""
        now = time.monotonic()
        left: dict[str, list[Environ]] = defaultdict(list)
        for began, environ in list(self._reading.values()):
            if began < now - _STOP_SECONDS:
                left[_address(environ)].append(environ)
        try:
            connections = [one for one in client_connections() if one.waits] if left else []
        except OSError:
            return  # the next look may succeed
        for address, environs in left.items():
            theirs = [one for one in connections if one.address == address]
            # With more of them, some wait for their answer. They are not told apart, and get it soon.
            if len(theirs) <= len(environs):
                for environ in environs:
                    environ[_TOO_SLOW] = True
                for connection in theirs:
                    connection.end_reading()

    def _cut(self, readings: dict[str, list[_Reading]]) -> None:
        """Cut what takes too long where the server does not tell the socket; the readings are by address."""
        now = time.monotonic()
        connections = client_connections()
        self._unanswered = {
            one.inode: since if one.sent_at < since + _STEP_SECONDS else now
            for one in connections
            if one.waits
            for since in [self._unanswered.get(one.inode, now)]
        }
        for address, of_client in readings.items():
            late = [reading for reading in of_client if reading.began < now - self.seconds]
            if late:
                # Those that began soon after them are not told apart, and their time is as good as up.
                soon = now - self.seconds + _SEEN_WITHIN * self._pause + _STEP_SECONDS
                almost = [reading for reading in of_client if reading.began < soon]
                for reading in almost:
                    reading.environ[_TOO_SLOW] = True
                theirs = [one for one in connections if one.address == address]
                for connection in self._connections_of(late, len(almost), theirs, now):
                    connection.end_reading()

    def _connections_of(
        self, late: list[_Reading], alike: int, theirs: list[ClientConnection], now: float
    ) -> list[ClientConnection]:
        """Return which connections of one client to cut for late bodies; `alike` bodies may look the same."""
        very_late = [reading.began for reading in late if reading.began < now - _LAST_FACTOR * self.seconds]
        if very_late:
            return [one for one in theirs if one.sent_at < max(very_late) + _STEP_SECONDS]
        seen_by = max(reading.began for reading in late) + _SEEN_WITHIN * self._pause + _STEP_SECONDS
        found = [one for one in theirs if self._unanswered.get(one.inode, now) <= seen_by]
        if len(found) > alike:
            return []
        return sorted(found, key=lambda one: self._unanswered[one.inode])[: len(late)]


def _close(sock: socket.socket) -> None:
    """Let nothing more through a socket, and nothing that came already. The server still has to close it."""
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
        while socket.socket.recv(sock, 65_536):
            pass


def _address(environ: Environ) -> str:
    """Return the address at the other end of a request's connection, which is a proxy's if there is one."""
    return plain_address(environ.get("werkzeug.proxy_fix.orig", environ).get("REMOTE_ADDR") or "")
