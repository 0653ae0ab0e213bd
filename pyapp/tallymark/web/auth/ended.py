"""Sessions that somebody has signed out of: a copy of their cookie opens nothing any more, in no process.

The database keeps the digests of their ids. Each process asks it once in a few seconds about a session that is in use,
as it does about tokens, and remembers for good that a session has ended.
"""

import logging
import time
from collections import OrderedDict
from contextlib import suppress
from hashlib import sha256
from multiprocessing.util import Finalize
from threading import Lock, Thread

from tallymark.functions.errors import TallymarkError, Unavailable
from tallymark.functions.http import END_SESSION, HAS_SESSION_ENDED
from tallymark.web.db.pool import BEFORE_POOLS_CLOSE, Database

_logger = logging.getLogger("tallymark.web.sessions")

#: How many sessions a process remembers; it asks again about one that it has forgotten.
_MAX_REMEMBERED = 1000
#: How soon to try again to note an end while the database is away.
_AGAIN_SECONDS = 2.0
#: How long the end of the process waits for ends that are being noted.
_LAST_NOTES_SECONDS = 5.0


class _Remembered:
    """A bounded number of sessions, each with the time until which something holds; the oldest are forgotten first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def put(self, digest: bytes, until: float) -> None:
        with self._lock:
            self._until.pop(digest, None)
            if len(self._until) >= _MAX_REMEMBERED:
                self._until.popitem(last=False)
            self._until[digest] = until

    def __contains__(self, digest: bytes) -> bool:
        return time.monotonic() < self._until.get(digest, 0.0)


class EndedSessions:
    """The sessions that have ended before their time; without a database only those of this process are known."""

    def __init__(self, database: Database | None, cache_seconds: float, lifetime: float) -> None:
        """`cache_seconds` is how long an answer of the database is used, `lifetime` how long a cookie lasts."""
        self._database = database
        self._cache_seconds = cache_seconds
        self._lifetime = lifetime
        self._ended = _Remembered()
        self._going_on = _Remembered()
        self._lock = Lock()
        #: The ends that the database has not noted yet.
        self._open: set[bytes] = set()
        self._notes_on = False
        self._will_note_last = False
        #: Held while open ends are being noted.
        self._writing = Lock()

    def end(self, session_id: str) -> None:
        """End a session: at once in this process, and in the others as soon as the database has noted it."""
        digest = sha256(session_id.encode()).digest()
        self._ended.put(digest, time.monotonic() + self._lifetime)
        if self._database is not None and not self._note(self._database, digest):
            self._note_later(self._database, digest)

    def has_ended(self, session_id: str) -> bool:
        """Return whether a session has ended; while the database is away, as far as this process knows."""
        digest = sha256(session_id.encode()).digest()
        if digest in self._ended:
            return True
        if self._database is None or digest in self._going_on:
            return False
        now = time.monotonic()
        try:
            [ended] = self._database.call(HAS_SESSION_ENDED, _as_bytea(digest))
        except TallymarkError as error:
            # A replica may still answer those who look, and a stored token is not accepted without the database anyway.
            level = logging.DEBUG if isinstance(error, Unavailable) else logging.WARNING
            _logger.log(level, "it is not known whether a session has ended: %s", error)
            self._going_on.put(digest, time.monotonic() + self._cache_seconds)
            return False
        if ended == b"t":
            self._ended.put(digest, now + self._lifetime)
            return True
        self._going_on.put(digest, now + self._cache_seconds)
        return False

    def _note(self, database: Database, digest: bytes) -> bool:
        """Note an end, and return whether no further attempt is needed."""
        try:
            database.call(END_SESSION, _as_bytea(digest), b"%d" % self._lifetime)
        except Unavailable:
            return False
        except TallymarkError as error:
            _logger.warning("the end of a session could not be noted: %s", error)
        return True

    def _note_later(self, database: Database, digest: bytes) -> None:
        """Note an end when the database is back, or when the process ends."""
        with self._lock:
            self._open.add(digest)
            if self._notes_on:
                return
            self._notes_on = True
            will_note_last, self._will_note_last = self._will_note_last, True
        _logger.warning(
            "the end of a session is noted when the database is back; until then it has ended in this process only"
        )
        if not will_note_last:
            # Unlike `atexit`, this runs in granian's workers, which multiprocessing has forked.
            Finalize(None, self._note_last, args=(database,), exitpriority=BEFORE_POOLS_CLOSE)
        Thread(target=self._note_on, args=(database,), name="tallymark-sessions", daemon=True).start()

    def _note_on(self, database: Database) -> None:
        """Try every few seconds to note the open ends, until there are none."""
        while True:
            time.sleep(_AGAIN_SECONDS)
            with self._writing:
                self._note_open(database)
            with self._lock:
                if not self._open:
                    self._notes_on = False
                    return

    def _note_last(self, database: Database) -> None:
        """Try once more when the process ends."""
        if self._writing.acquire(timeout=_LAST_NOTES_SECONDS):
            # A pool that must open again may not be able to: Python starts no threads any more.
            with suppress(RuntimeError):
                self._note_open(database)
            self._writing.release()
        if lost := len(self._open):
            _logger.warning("the ends of %d sessions could not be noted before the process ended", lost)

    def _note_open(self, database: Database) -> None:
        """Note the open ends, up to the first one for which the database is away. The caller holds `_writing`."""
        with self._lock:
            ends = list(self._open)
        for digest in ends:
            # One that is forgotten here needs no note: its cookie is out of date.
            if digest in self._ended and not self._note(database, digest):
                return
            with self._lock:
                self._open.discard(digest)


def _as_bytea(digest: bytes) -> bytes:
    return b"\\x" + digest.hex().encode()
