"""The connections of this process, in pools: a thread takes one for a call, and puts it back.

The thread that waits for a connection opens it, so it learns why it cannot. A pool has one for each call that runs at
the same time, up to its size, and up to what its `Share` allows.
"""

import logging
import random
import re
import select
import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import psycopg

from tallymark.functions.errors import (
    NO_CONNECTION,
    NO_CONNECTION_FREE,
    NO_CONNECTION_LEFT,
    Unavailable,
)
from tallymark.web.db.share import Share
from tallymark.web.db.stuck import Calls, cut_after

_logger = logging.getLogger("tallymark.web.database")

#: The time between a failed attempt and the one further attempt, and how long calls then fail without any.
_RECONNECT_SECONDS = 0.25
_PAUSE_SECONDS = 0.5
#: The time between attempts at a server that has no connection left.
_RETRY_SECONDS = 0.04
#: How many of these there are for a connection that the server is about to end.
_MOST_RETRIES = 25

#: How long a server may take to answer what it can answer at once.
_ANSWER_SECONDS = 5.0

#: How many times to read what the server sent unasked.
_MOST_READS = 4

_UNREACHABLE = "The database cannot be reached. The log of the web server says why."
_ALL_IN_USE = "All connections to the database are in use."
#: How servers and poolers refuse a further connection. libpq gives no SQLSTATE for that, so in another language the
#: caller is refused sooner, and is not told this reason.
_IS_FULL = re.compile(r"too many (clients|connections)|connection slots are reserved|no more connections allowed")
#: What libpq says of a server that is not there, or is no primary. These texts are its own, and not translated.
_IS_AWAY = re.compile(r"refused|timed out|timeout expired|unreachable|No route|resolve|reset by|read-only|hot standby")


class Connection(psycopg.Connection[Any]):
    """A connection of a pool, used by one thread at a time.

    Attributes:
        known: The names of the statements that were prepared on it.
        is_pooled: Whether it goes through a pooler.
        lacks_role: Whether its user could not take the pool's role.
        left: How many further connections the server would give.
        opened_at: When it was asked for.
        free_since: When it was put back.
        server: When its server was started, which tells it from any other one.
        is_unconfirmed: Whether a commit did not wait for the replica that must confirm it.
    """

    known: set[bytes]
    is_pooled: bool
    lacks_role: bool
    left: int
    opened_at: float
    free_since: float
    server: str
    is_unconfirmed: bool

    def is_cut(self) -> bool:
        """Return whether the server has closed it, as far as is known here. This sends nothing, and takes 1 us."""
        if not hasattr(self, "_arrivals"):
            self._arrivals = select.poll()
            self._arrivals.register(self.pgconn.socket, select.POLLIN)
        # What arrives unasked may also be a notice. An end is still there after everything was read.
        for _ in range(_MOST_READS):
            if not self._arrivals.poll(0):
                return False
            try:
                self.pgconn.consume_input()
            except psycopg.OperationalError:
                return True
        return True


class _Place:
    """A thread's place in a line. When it has its turn, it has a connection, an error, or may open a connection."""

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.turn = Lock()
        self.turn.acquire()
        self.connection: Connection | None = None
        self.error: Unavailable | None = None
        #: A connection of another pool that is to be closed first.
        self.spare: Connection | None = None


class Pool:
    """Connections of one kind. Other threads use it, too, and so does the share.

    Calls use `take`, `put`, `put_broken`, `close` and `counts`. These, `drop` and `look` take the share's lock, so they
    must be called without it. `take_idle`, `owes` and `hand`, and the attributes `size`, `is_opening`, `free` and
    `line`, need the lock.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        count_left: Callable[[Connection], int],
        share: Share,
        *,
        most: int,
        max_waiting: int,
        timeout: float,
    ) -> None:
        """Take what opens a connection, and what asks the server how many more it would give.

        At most `max_waiting` threads wait for a connection, each for `timeout` seconds.
        """
        self._connect = connect
        self._count_left = count_left
        self._share = share
        self._max_waiting = max_waiting
        self._timeout = timeout
        self._failing_until = 0.0
        #: Why the last connection could not be opened; empty if it could.
        self._failure = ""
        #: Connections that were opened before are not used any more.
        self._trusted_from = 0.0
        self.most = most
        #: Connections that are free, in use, or being opened.
        self.size = 0
        self.is_opening = False
        #: In the order in which they were put back.
        self.free: list[Connection] = []
        self.line: deque[_Place] = deque()
        self._calls = Calls()
        with share.lock:
            share.pools.append(self)

    def take(self) -> Connection:
        """Return a connection, which must be given to `put` or `put_broken`. It was not closed by the server until now.

        Raises:
            Unavailable: None can be opened, or none became free in time.
        """
        while (connection := self._take()).is_cut():
            self.put_broken(connection)
        self._calls.since[connection] = time.monotonic()
        return connection

    def _take(self) -> Connection:
        with self._share.lock:
            if self.free:
                return self.free.pop()
            if not self.size and time.monotonic() < self._failing_until:
                raise _unreachable()
            if len(self.line) >= self._max_waiting:
                raise _busy()
            place = _Place()
            self.line.append(place)
            self._share.serve()
        deadline = place.since + self._timeout
        while True:
            self._wait(place, deadline)
            if place.error is not None:
                raise place.error
            connection = place.connection or self._open(place, deadline)
            if connection is not None:
                return connection

    def put(self, connection: Connection) -> None:
        """Put back a connection that may be used again."""
        self._calls.since.pop(connection, None)
        with self._share.lock:
            if connection.opened_at > self._trusted_from and self._share.may_stay(self, connection):
                if self.line:
                    self.hand(connection)
                else:
                    connection.free_since = time.monotonic()
                    self.free.append(connection)
                return
        self.drop([connection])

    def put_broken(self, connection: Connection) -> None:
        """Put back a connection that is of no use. All others that were opened before now are closed, too.

        They may have broken with it, and the caller's next one must not.
        """
        self._calls.since.pop(connection, None)
        with self._share.lock:
            self._trusted_from = time.monotonic()
            others, self.free = self.free, []
            self._share.note_away()
        self.drop([connection, *others], are_broken=True)

    def drop(self, connections: Sequence[Connection], *, are_broken: bool = False) -> None:
        """Close connections that are counted, but not free. Must be called without the lock."""
        for connection in connections:
            connection.close()
        with self._share.lock:
            self.size -= len(connections)
            if connections and not are_broken:
                self._share.note_closed()
            self._share.serve()

    def close(self) -> None:
        """Close all connections: those that are in use, when they are put back."""
        with self._share.lock:
            self._trusted_from = time.monotonic()
            free, self.free = self.free, []
        self.drop(free)

    def counts(self) -> dict[str, int]:
        """Return how many connections are open and free, and how many calls wait for one."""
        with self._share.lock:
            return {"open": self.size - self.is_opening, "free": len(self.free), "waiting": len(self.line)}

    def take_idle(self, oldest: float, oldest_of_last: float) -> list[Connection]:
        """Take out what was put back before `oldest`, the last one before `oldest_of_last`. Needs the lock.

        `drop` must follow.
        """
        idle = [connection for connection in self.free if connection.free_since < oldest]
        if idle and len(idle) == self.size and idle[-1].free_since >= oldest_of_last:
            idle.pop()
        self.free = self.free[len(idle) :]
        return idle

    def look(self) -> int | None:
        """Ask the server on a free connection how many more it would give; None if none is free, or it is broken."""
        with self._share.lock:
            if not self.free:
                return None
            connection = self.free.pop(0)
        try:
            with cut_after(connection, _ANSWER_SECONDS):
                left = self._count_left(connection)
        except psycopg.Error:
            self.put_broken(connection)
            return None
        with self._share.lock:
            if is_trusted := connection.opened_at > self._trusted_from:
                # It was not used, so it stays where it was.
                self.free.insert(0, connection)
                self._share.serve()
        if not is_trusted:
            self.drop([connection])
        return left

    def cut_stuck(self) -> None:
        """Cut calls that take long, unless their server still answers. Must be called without the lock."""
        self._calls.cut_stuck(self._find_server)

    def _find_server(self) -> str | None:
        """Connect, and return which server answered; None if there was none. Unavailable: it gives no connection."""
        try:
            connection = self._connect()
        except psycopg.Error as error:
            if _IS_FULL.search(str(error)):
                raise _full() from error
            return None
        connection.close()
        return connection.server

    def owes(self, other: "Pool") -> bool:
        """Return whether this pool has to give a connection to another one that waits for one. Needs the lock."""
        if other.size:
            return self.size >= other.size + 2
        # If there are fewer connections than pools, they take turns.
        return self.size > 1 or not self.line or other.line[0].since < self.line[0].since

    def hand(self, connection: Connection) -> None:
        """Give a connection to the first in line. Needs the lock."""
        place = self.line.popleft()
        place.connection = connection
        place.turn.release()

    def _wait(self, place: _Place, deadline: float) -> None:
        if place.turn.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return
        with self._share.lock:
            if place in self.line:
                self.line.remove(place)
                raise _busy() if self._share.has_any() else _unreachable()
        place.turn.acquire()  # the turn came between the timeout and this look

    def _open(self, place: _Place, deadline: float) -> Connection | None:
        """Open a connection; return None if the server gives no more, and the place is in line again."""
        share = self._share
        attempts = 0
        try:
            if place.spare is not None:
                self._close_spare(place.spare)
                place.spare = None
            share.let_others_in()
            while True:
                attempts += 1
                try:
                    connection = self._connect()
                except psycopg.Error as error:
                    pause = self._pause_after(error, attempts, place)
                    if pause is None:
                        return None
                    if time.monotonic() + pause >= deadline:
                        raise _full() if _IS_FULL.search(str(error)) else _unreachable() from None
                    time.sleep(pause)
                else:
                    break
        except BaseException as error:
            with share.lock:
                self._give_up(error)
            raise
        self._failure = ""
        with share.lock:
            self.is_opening = False
            share.note_opened(connection.left)
            share.serve()
        return connection

    def _close_spare(self, spare: Connection) -> None:
        """Close a connection of another pool. If it still worked, the server is there, and has one more soon."""
        works = _works(spare)
        spare.close()
        with self._share.lock:
            if works:
                self._share.note_closed()
            else:
                self._share.note_away()

    def _pause_after(self, error: psycopg.Error, attempts: int, place: _Place) -> float | None:
        """Return how long to wait after a failed attempt; None if the place is in line again. Raise if it is over."""
        is_full = bool(_IS_FULL.search(str(error)))
        is_away = not is_full and _IS_AWAY.search(str(error))
        with self._share.lock:
            if attempts <= _MOST_RETRIES and self._share.is_one_ending():
                return _RETRY_SECONDS
            if self._share.has_any() and not is_away:
                # The server is there, so it gives no more than these.
                self.size -= 1
                self.is_opening = False
                self._share.note_full(sum(pool.size for pool in self._share.pools))
                self.line.appendleft(place)
                self._share.serve()
                return None
        self._note(error)
        if is_full:
            return _RETRY_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load
        if attempts == 1 and isinstance(error, psycopg.OperationalError):
            return _RECONNECT_SECONDS
        raise _unreachable() from None

    def _give_up(self, error: BaseException) -> None:
        """Count a connection that could not be opened. Needs the lock."""
        self.size -= 1
        self.is_opening = False
        if not self.size and isinstance(error, Unavailable) and error.sqlstate == NO_CONNECTION:
            self._share.note_away()
            self._failing_until = time.monotonic() + _PAUSE_SECONDS
            while self.line:
                place = self.line.popleft()
                place.error = _unreachable()
                place.turn.release()
        self._share.serve()

    def _note(self, error: psycopg.Error) -> None:
        """Log why a connection could not be opened: once an outage, and when it changes."""
        failure = " ".join(str(error).split())
        if failure != self._failure:
            self._failure = failure
            _logger.warning("no connection to the database: %s", failure)


def _works(connection: Connection) -> bool:
    try:
        with cut_after(connection, _ANSWER_SECONDS):
            connection.execute("")
    except psycopg.Error:
        return False
    return True


def _unreachable() -> Unavailable:
    return Unavailable("Database unavailable", sqlstate=NO_CONNECTION, explanation=_UNREACHABLE)


def _busy() -> Unavailable:
    return Unavailable("Database busy", sqlstate=NO_CONNECTION_FREE, explanation=_ALL_IN_USE)


def _full() -> Unavailable:
    return Unavailable("Database busy", sqlstate=NO_CONNECTION_FREE, explanation=NO_CONNECTION_LEFT)
