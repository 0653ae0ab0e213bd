"""Where to read: a replica as long as it keeps up, else the database itself.

Whether it does is looked at once a second while somebody reads: how long ago the primary was where the replica is now,
by our own clock alone. That holds for a replica that is slow, one that stands still, and one that nobody sends anything
to any more, which all look different from within.
"""

import logging
import time
from collections import deque
from threading import Lock, Thread
from typing import NamedTuple, Protocol

from tallymark.functions.errors import TallymarkError, Unavailable
from tallymark.functions.http import WAL_POSITION, Statement
from tallymark.web.db.pool import Database

_logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
#: When nobody has read for so long, nobody looks either.
_IDLE_SECONDS = 30.0
#: Positions of the primary are remembered for so long: a longer lag is told as at least this one.
_MEMORY_SECONDS = 3600.0
#: Behind by what nobody knows, and therefore not by too much.
_UNKNOWN = -1.0
#: It took too long: the other server would take as long, and has others to answer.
_TIMED_OUT = "57014"


class CanCall(Protocol):
    """What reads: a database, or a `Reader`."""

    def call(self, statement: Statement, *parameters: bytes | None) -> list[bytes | None]:
        """Run a statement, as `Database.call` does."""


class Lag(NamedTuple):
    """How the replica does.

    Attributes:
        used: Whether reads come from it.
        seconds: How far it is behind; None where that cannot be told, or it cannot be reached.
    """

    used: bool
    seconds: float | None


class Reader:
    """Reads from a replica as long as it keeps up, else from the primary."""

    def __init__(self, primary: Database, replica: Database | None, *, most_lag: float) -> None:
        """Say where they are. Nothing is connected before the first call.

        Args:
            primary: Where everything is.
            replica: Where to read if possible; None is never.
            most_lag: How many seconds it may be behind.
        """
        self._primary = primary
        self._replica = replica
        self._most_lag = most_lag
        self._lock = Lock()
        self._looking = False
        self._used_at = 0.0
        self._lag = Lag(used=False, seconds=None)
        #: When the primary was where, the oldest first.
        self._positions: deque[tuple[float, int]] = deque()

    @property
    def lag(self) -> Lag | None:
        """How the replica does; None where there is none."""
        return None if self._replica is None else self._lag

    def call(self, statement: Statement, *parameters: bytes | None) -> list[bytes | None]:
        """Read, from the replica if it is fit for that.

        Args:
            statement: What to run.
            parameters: The values of $1 and so on, as `Database.call` has them.

        Returns:
            The columns of the one row.

        Raises:
            TallymarkError: It was refused, or failed.
        """
        if self._replica is not None:
            self._keep_looking()
            if self._lag.used:
                try:
                    return self._replica.call(statement, *parameters)
                except Unavailable as error:
                    # Also where what was read was cleared away on the primary, in the middle of it.
                    if error.sqlstate == _TIMED_OUT:
                        raise
                    _logger.debug("read from the primary after sqlstate=%s", error.sqlstate)
        return self._primary.call(statement, *parameters)

    def newest(self, statement: Statement, *parameters: bytes | None) -> list[bytes | None]:
        """Read from the primary: for somebody who may know more than the replica does.

        Args:
            statement: What to run.
            parameters: The values of $1 and so on.

        Returns:
            The columns of the one row; from the replica where the primary is away.

        Raises:
            TallymarkError: It was refused, or failed.
        """
        try:
            return self._primary.call(statement, *parameters)
        except Unavailable:
            if self._replica is None or not self._lag.used:
                raise
            return self._replica.call(statement, *parameters)

    def _keep_looking(self) -> None:
        with self._lock:
            self._used_at = time.monotonic()
            if self._looking:
                return
            self._looking = True
            # In this process: workers are forked before anybody reads.
            Thread(target=self._look_on, name="tallymark-replica", daemon=True).start()

    def _look_on(self) -> None:
        while True:
            self._look()
            time.sleep(_LOOK_SECONDS)
            with self._lock:
                if time.monotonic() - self._used_at > _IDLE_SECONDS:
                    self._looking = False
                    # What was known is old by the time somebody reads again.
                    self._lag = Lag(used=False, seconds=None)
                    return

    def _look(self) -> None:
        before = self._lag
        seconds = self._measure()
        # Where the primary is away, nobody can tell how far the replica is behind: it is all there is.
        fit = seconds is not None and seconds <= self._most_lag
        self._lag = Lag(used=fit, seconds=None if seconds == _UNKNOWN else seconds)
        if fit and not before.used:
            _logger.info("reading from the replica")
        elif before.used and seconds is None:
            _logger.warning("the replica cannot be read: reading from the primary")
        elif before.used and not fit:
            _logger.warning("the replica is %.1f s behind: reading from the primary", seconds)

    def _measure(self) -> float | None:
        """Return how many seconds the replica is behind; None where it cannot be read."""
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
        if is_replica == b"f":
            return 0.0  # another server of its own, or another way to the same one
        if written is None:
            return _UNKNOWN
        return self._behind(int(replayed or b"0"))

    def _behind(self, replayed: int) -> float:
        """Return how long ago the primary was where the replica is now."""
        now = time.monotonic()
        for number, (_, position) in enumerate(reversed(self._positions)):
            if position <= replayed:
                # It has not come to the next one, which is where the primary was then.
                return 0.0 if number == 0 else now - self._positions[-number][0]
        return now - self._positions[0][0]
