"""Where to read: from a replica while it keeps up, otherwise from the primary.

While there are reads, the replica's lag is measured once a second: how long ago, by our own clock, the primary was at
the position where the replica is now. That works for a slow replica, a stopped one and one that is cut off from the
primary, which would each report their lag differently.
"""

import logging
import time
from collections import deque
from threading import Lock, Thread
from typing import Any, NamedTuple, Protocol

from tallymark.functions.errors import TallymarkError, Unavailable
from tallymark.functions.http import WAL_POSITION, Statement
from tallymark.web.db.pool import Database

_logger = logging.getLogger("tallymark.web.reader")

_MEASURE_SECONDS = 1.0
#: The time without reads after which measuring stops.
_IDLE_SECONDS = 30.0
#: How long positions of the primary are kept; a longer lag is reported as this one.
_MEMORY_SECONDS = 3600.0
#: How often a standby is looked for where the URL prefers one and led to the primary: there may be one again.
_LOOK_SECONDS = 30.0
#: A lag that cannot be measured because the primary is away; the replica is then read from.
_UNKNOWN = -1.0
#: A statement that took too long here would take as long on the primary.
_TIMED_OUT = "57014"


class CanCall(Protocol):
    """A `Database`, or a `Reader`."""

    def call(self, statement: Statement, *parameters: bytes | None) -> list[bytes | None]:
        """Run a statement, as `Database.call` does."""


class Lag(NamedTuple):
    """Whether the replica is read from, and how far it is behind; None if unknown, or if it cannot be reached."""

    used: bool
    seconds: float | None


class Reader:
    """Reads from a replica while it keeps up, otherwise from the primary."""

    def __init__(self, primary: Database, replica: Database | None, *, max_lag: float) -> None:
        """`max_lag` is how many seconds the replica may be behind. Nothing is connected before the first call."""
        self._primary = primary
        self._replica = replica
        self._max_lag = max_lag
        self._lock = Lock()
        self._measuring = False
        self._used_at = 0.0
        self._looked_at = 0.0
        self._lag = Lag(used=False, seconds=None)
        #: Times and positions of the primary, the oldest first.
        self._positions: deque[tuple[float, int]] = deque()

    @property
    def lag(self) -> Lag | None:
        """The state of the replica; None without one."""
        return None if self._replica is None else self._lag

    def replica_status(self) -> dict[str, Any]:
        """Return `{"replica": {"used", "lagSeconds"}}` for JSON; an empty dictionary without a replica."""
        lag = self.lag
        if lag is None:
            return {}
        return {"replica": {"used": lag.used, "lagSeconds": lag.seconds and round(lag.seconds, 3)}}

    def call(self, statement: Statement, *parameters: bytes | None) -> list[bytes | None]:
        """Read as `Database.call` does, from the replica if it keeps up."""
        if self._replica is not None:
            self._keep_measuring()
            if self._lag.used:
                try:
                    return self._replica.call(statement, *parameters)
                except Unavailable as error:
                    # This includes reads that were cancelled because they conflict with replication.
                    if error.sqlstate == _TIMED_OUT:
                        raise
                    _logger.debug("read from the primary after sqlstate=%s", error.sqlstate)
        return self._primary.call(statement, *parameters)

    def newest(self, statement: Statement, *parameters: bytes | None) -> list[bytes | None]:
        """Read from the primary, for a client that may know more than the replica; from the replica if it is away."""
        try:
            return self._primary.call(statement, *parameters)
        except Unavailable:
            if self._replica is None or not self._lag.used:
                raise
            return self._replica.call(statement, *parameters)

    def primary(self, statement: Statement, *parameters: bytes | None) -> list[bytes | None]:
        """Read from the primary and from nothing else."""
        return self._primary.call(statement, *parameters)

    def _keep_measuring(self) -> None:
        with self._lock:
            self._used_at = time.monotonic()
            if self._measuring:
                return
            self._measuring = True
            # Not earlier: a thread does not survive the fork of a worker.
            Thread(target=self._measure_on, name="tallymark-replica", daemon=True).start()

    def _measure_on(self) -> None:
        while True:
            try:
                self._update_lag()
            except Exception:  # if the thread ended, the replica would never be read from again
                _logger.exception("the lag of the replica cannot be measured")
                self._lag = Lag(used=False, seconds=None)
            time.sleep(_MEASURE_SECONDS)
            with self._lock:
                if time.monotonic() - self._used_at > _IDLE_SECONDS:
                    self._measuring = False
                    # It will be outdated at the next read.
                    self._lag = Lag(used=False, seconds=None)
                    return

    def _update_lag(self) -> None:
        before = self._lag
        seconds = self._measure()
        # While the primary is away, the lag is unknown, but the replica is all there is.
        fit = seconds is not None and seconds <= self._max_lag
        self._lag = Lag(used=fit, seconds=None if seconds == _UNKNOWN else seconds)
        if fit and not before.used:
            _logger.info("reading from the replica")
        elif before.used and seconds is None:
            _logger.warning("the replica cannot be read: reading from the primary")
        elif before.used and not fit:
            _logger.warning("the replica is %.1f s behind: reading from the primary", seconds)

    def _measure(self) -> float | None:
        """Return how many seconds the replica is behind; None if it cannot be reached."""
        assert self._replica is not None  # noqa: S101 - for the type checker
        try:
            at = time.monotonic()
            _, written = self._primary.call(WAL_POSITION)
            self._positions.append((at, int(written or b"0")))
        except TallymarkError:
            written = None
        while self._positions and self._positions[0][0] < time.monotonic() - _MEMORY_SECONDS:
            self._positions.popleft()
        try:
            is_replica, replayed = self._replica.call(WAL_POSITION)
        except TallymarkError:
            return None
        if is_replica == b"f" and int(replayed or b"0") >= int(written or b"0"):
            self._look_for_standby(self._replica)
            return 0.0  # not a replica: another primary, or another address of this one
        if written is None:
            return _UNKNOWN
        return self._behind(int(replayed or b"0"))

    def _look_for_standby(self, replica: Database) -> None:
        """Have connections opened again once in a while: a standby that was promoted keeps those that it has."""
        if replica.prefers_standby and time.monotonic() > self._looked_at + _LOOK_SECONDS:
            self._looked_at = time.monotonic()
            replica.close()

    def _behind(self, replayed: int) -> float:
        """Return how long ago the primary was at the replica's position."""
        now = time.monotonic()
        for number, (_, position) in enumerate(reversed(self._positions)):
            if position <= replayed:
                # The replica has not reached the next position, so it is behind since that one's time.
                return 0.0 if number == 0 else now - self._positions[-number][0]
        return now - self._positions[0][0]
