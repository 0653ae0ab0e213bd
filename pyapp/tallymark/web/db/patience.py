"""Calls that may wait for a job that another transaction holds: few at once, and as a rule one for each job.

A SQL caller may hold a job for as long as it likes, or a prepared transaction that somebody forgot. If each request for
that job waited on a connection, soon none would be left for the others. So a call first gives up after 20 ms. Only then
it waits, in a line: for the calls on the same job, and for one of a few connections.
"""

import json
import re
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from tallymark.functions.errors import LOCK_NOT_AVAILABLE, TOO_MANY_WAIT, Unavailable
from tallymark.functions.http import Statement
from tallymark.web.db.pool import Database, Row

#: Milliseconds that a call waits for a lock before it takes a place in the line. Other calls are over in less.
MOMENT = b"20"
_JOB = re.compile(rb'"taskId"\s*:\s*"([^"\\]*)"')
#: An escape that may stand for a letter of `taskId`.
_ESCAPE = b"\\u00"


def job_of(body: bytes) -> bytes:
    """Return the job that an update is for, empty if it names none. PostgreSQL decides; this only chooses a line."""
    found = _JOB.findall(body)
    if len(found) == 1 and body.count(b"taskId") == 1 and _ESCAPE not in body:
        job: bytes = found[0]
        return job
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return b""
    named = content.get("taskId") if isinstance(content, dict) else None
    return named.encode(errors="replace") if isinstance(named, str) else b""


def too_many() -> Unavailable:
    """Make the error for a request that there is no room for, or that has waited for too long."""
    return Unavailable(
        "Server busy",
        sqlstate=TOO_MANY_WAIT,
        explanation="Too many requests are waiting. Nothing was changed. Send the request again later.",
    )


class _Job:
    """A job that calls wait for: whose turn it is, and how many want it."""

    __slots__ = ("turn", "wanted")

    def __init__(self) -> None:
        self.turn = Lock()
        self.wanted = 0


class _Places:
    """A limited number of places, which are given in the order in which they were asked for."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = Lock()
        self._waiting: deque[Lock] = deque()

    def acquire(self, *, timeout: float) -> bool:
        """Wait for a place, and return whether there was one in time."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            turn = Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=timeout):
            return True
        with self._lock:
            if turn not in self._waiting:
                return True  # the place was given between the timeout and this look
            self._waiting.remove(turn)
        return False

    def release(self) -> None:
        """Hand the place to the thread that has waited for longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


class Patience:
    """The places of calls that may wait for a job."""

    def __init__(
        self,
        hasty: Database,
        patient: Database,
        *,
        connections: int,
        max_waiting: int,
        max_wait: float,
        lock_timeout: int,
    ) -> None:
        """Take the database and the limits.

        Args:
            hasty: Where calls are tried that give up after a moment.
            patient: The same database, with connections for calls that may wait.
            connections: How many calls may wait for jobs at once.
            max_waiting: How many more may wait for a place.
            max_wait: For how many seconds each waits for its place.
            lock_timeout: For how many milliseconds a call with a place waits for its job; 0 for no limit.
        """
        self.lock_timeout = b"%d" % lock_timeout
        self.patient = patient
        self._hasty = hasty
        self.most = connections + max_waiting
        self._max_wait = max_wait
        self._connections = _Places(connections)
        self._lock = Lock()
        self._jobs: dict[bytes, _Job] = {}
        self._wanted = 0
        #: How many calls were turned away: there was no place, or their job was held for too long.
        self.rejected = 0

    @property
    def waiting(self) -> int:
        """How many calls want a place, or have one."""
        return self._wanted

    def call(self, statement: Statement, *parameters: bytes | None, job: bytes) -> Row:
        """Run a statement whose last parameter, which is added here, is lock_timeout in milliseconds."""
        # On another server than the one that is called, lock_timeout does not hold, so the call may wait for longer.
        if job not in self._jobs and not self._hasty.is_distributed():
            try:
                return self._hasty.call(statement, *parameters, MOMENT)
            except Unavailable as error:
                if error.sqlstate != LOCK_NOT_AVAILABLE:
                    raise
        try:
            with self.place(job):
                return self.patient.call(statement, *parameters, self.lock_timeout)
        except Unavailable as error:
            self.rejected += error.sqlstate in {LOCK_NOT_AVAILABLE, TOO_MANY_WAIT}
            raise

    @contextmanager
    def place(self, job: bytes) -> Iterator[None]:
        """Wait for a place for a call on a job, and keep it for the block. Raises Unavailable if there is none."""
        until = time.monotonic() + self._max_wait
        with self._lock:
            if self._wanted >= self.most:
                raise too_many()
            self._wanted += 1
            wanted = self._jobs.setdefault(job, _Job())
            wanted.wanted += 1
        try:
            with _held_until(wanted.turn, until), _held_until(self._connections, until):
                yield
        finally:
            with self._lock:
                self._wanted -= 1
                wanted.wanted -= 1
                if not wanted.wanted:
                    del self._jobs[job]


@contextmanager
def _held_until(lock: "Lock | _Places", until: float) -> Iterator[None]:
    if not lock.acquire(timeout=max(0.0, until - time.monotonic())):
        raise too_many()
    try:
        yield
    finally:
        lock.release()
