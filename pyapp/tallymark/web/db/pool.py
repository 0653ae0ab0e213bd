"""The database as the web part sees it: prepared calls of stored functions over a pool of connections.

psycopg_pool keeps the connections. A request that waits for the pool learns only by its timeout that the database is
away, so a pool that has lost all its connections and got no new one is closed, which sends away whoever waits. For a
moment no request is let in, then the next one opens a new pool.

Calls that write and calls that read have a pool each, also where both go to one database: a connection becomes
tallymark_writer or tallymark_reader for good when it is opened, so that a call can do what its kind needs and no more,
whatever the user that logs in may do. Changing the role for each call would cost a round trip each. It stays the user
that logged in where that may not become the role, but has its rights in some other way.

Behind a pooler, which may give each statement to another session, and each session to other clients, nothing is set in
the session and nothing is prepared in it: the role and the timeouts are then those of the user that logs in.
"""

import logging
import time
from multiprocessing.util import Finalize
from threading import Lock, Thread
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolClosed

from tallymark.functions.call import is_pooled
from tallymark.functions.errors import NO_CONNECTION, NO_CONNECTION_FREE, Remedy, TallymarkError, Unavailable
from tallymark.functions.http import Statement
from tallymark.settings import Settings
from tallymark.web.db.calls import Connection, run

__all__ = ["Database", "Statement"]

_logger = logging.getLogger(__name__)

#: A connection that could not be opened is tried once more so much later; then the pool does without it.
_RECONNECT_SECONDS = 0.25
#: After the database was found to be away, requests are turned away for so long before it is tried again.
_PAUSE_SECONDS = 0.5
#: A transaction that is left open would hold its locks; nothing here leaves one open.
_IDLE_IN_TRANSACTION = "10s"
#: A server that vanished without a word is noticed after some 25 s.
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}

#: Set in SQL, because poolers do not pass on what a URL has under `options`.
_CONFIGURE = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS setting (name, value)"
_SET_ROLE = """
SELECT set_config('role', %(role)s, false)
WHERE pg_has_role(session_user, to_regrole(%(role)s)::oid,
  CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END)
"""

_Pool = ConnectionPool[Connection]


class Database:
    """A pool of connections to one database, opened by the first call."""

    def __init__(
        self, url: str | None, settings: Settings, *, role: str | None = None, pool_size: int | None = None
    ) -> None:
        """Say where the database is. Nothing is connected before the first call, so this may happen before a fork.

        Args:
            url: A libpq URL; with None every call raises `Unavailable`.
            settings: How many connections and threads, and all timeouts.
            role: Which role the connections take, where they may; None is that of the user that logs in.
            pool_size: How many connections at most; None is what the settings say.
        """
        self._url = url
        self._settings = settings
        self._role = role
        self._pool_size = pool_size or settings.pool_size
        self._session = {
            "statement_timeout": str(settings.statement_timeout),
            "lock_timeout": str(settings.lock_timeout),
            "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION,
        }
        # The pool warns of each attempt and each connection that is lost; `_note` says what matters, once.
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
        self._lock = Lock()
        self._pool: _Pool | None = None
        #: Why the last connection could not be opened; empty when it could.
        self._trouble = ""
        self._closed_until = 0.0

    def call(self, statement: Statement, *parameters: bytes | None) -> list[bytes | None]:
        """Run a statement, in a transaction of its own; again, once, where that is all it takes to succeed.

        Args:
            statement: What to run.
            parameters: The values of $1 and so on, as text in UTF-8 without the byte 0; None is NULL.

        Returns:
            The columns of the one row, as text in UTF-8.

        Raises:
            TallymarkError: It was refused, or failed; nothing was changed, unless the connection broke.
        """
        pool = self._open_pool()
        try:
            return self._call(pool, statement, parameters)
        except TallymarkError as error:
            if error.remedy is Remedy.NONE:
                raise
            _logger.debug("once more after sqlstate=%s", error.sqlstate)
            if error.remedy is Remedy.NEW_CONNECTION:
                # What broke one has mostly broken all: the second time must not meet another of them.
                pool.check()
        return self._call(pool, statement, parameters)

    def close(self) -> None:
        """Close all connections, when nothing is called any more. Harmless when none is open."""
        if self._pool is not None:
            self._pool.close()

    def connections(self) -> dict[str, int]:
        """Say how many connections are open and free, and how many requests wait for one."""
        pool = self._pool
        if pool is None or pool.closed:
            return {"open": 0, "free": 0, "waiting": 0}
        stats = pool.get_stats()
        return {
            "open": stats["pool_size"],
            "free": stats["pool_available"],
            "waiting": stats["requests_waiting"],
        }

    def _call(self, pool: _Pool, statement: Statement, parameters: tuple[bytes | None, ...]) -> list[bytes | None]:
        try:
            # Not `with pool.connection()`: it commits, for which there is nothing here, and that takes its time.
            connection = pool.getconn()
        except psycopg.OperationalError as error:
            if self._trouble or isinstance(error, PoolClosed):
                raise Unavailable("Database unavailable", sqlstate=NO_CONNECTION) from None
            explanation = "All connections to the database are in use."
            raise Unavailable("Database busy", sqlstate=NO_CONNECTION_FREE, explanation=explanation) from None
        try:
            return run(connection, statement, parameters)
        except TallymarkError as error:
            if error.remedy is Remedy.NEW_CONNECTION:
                connection.close()  # the pool then opens another one
            raise
        finally:
            pool.putconn(connection)

    def _open_pool(self) -> _Pool:
        """Return the pool of this process."""
        if self._pool is not None and not self._pool.closed:
            return self._pool
        with self._lock:
            if self._pool is None or self._pool.closed:
                if time.monotonic() < self._closed_until:
                    raise Unavailable("Database unavailable", sqlstate=NO_CONNECTION)
                pool = self._new_pool()
                pool.open()
                if self._pool is None:
                    # Unlike `atexit`, it is run in granian's workers, which multiprocessing has forked.
                    Finalize(None, self.close, exitpriority=0)
                self._pool = pool
            return self._pool

    def _new_pool(self) -> _Pool:
        try:
            if self._url is None:
                raise psycopg.OperationalError("DATABASE_URL is not set")
            parameters = self._parameters(self._url)
        except psycopg.Error as error:
            self._note(error)
            raise Unavailable("Database unavailable", sqlstate=NO_CONNECTION) from error
        return ConnectionPool(
            connection_class=Connection,
            kwargs={**parameters, "autocommit": True, "failed": self._note},
            # Connections are opened when requests wait for one, so that a database that is away is asked by one.
            min_size=0,
            max_size=self._pool_size,
            open=False,
            configure=self._configure,
            name="tallymark",
            timeout=self._settings.pool_timeout,
            # As many as there are threads: all of them wait while the first connection is opened, and when it is lost.
            # With fewer, a database that is merely busy would be answered 503; more come only from a server that has
            # more threads than it said, and those are turned away at once.
            max_waiting=self._settings.blocking_threads,
            reconnect_timeout=_RECONNECT_SECONDS,
            reconnect_failed=self._give_up,
        )

    def _parameters(self, url: str) -> dict[str, Any]:
        """Return how to connect; what the URL says itself goes before."""
        return {
            "application_name": "tallymark",
            "client_encoding": "UTF8",
            "connect_timeout": max(1, round(self._settings.pool_timeout)),
            **_KEEPALIVE,
            **conninfo_to_dict(url),
        }

    def _configure(self, connection: Connection) -> None:
        """Make a new connection ready for use."""
        try:
            connection.is_pooled = is_pooled(connection)
            if not connection.is_pooled:
                connection.execute(_CONFIGURE, [list(self._session), list(self._session.values())])
                if self._role is not None:
                    connection.execute(_SET_ROLE, {"role": self._role})
        except psycopg.Error as error:
            self._note(error)
            raise
        connection.known = set()
        self._trouble = ""

    def _note(self, error: psycopg.Error) -> None:
        """Take note of why a connection could not be opened. It is logged once in an outage, and when it changes."""
        trouble = " ".join(str(error).split())
        if trouble != self._trouble:
            self._trouble = trouble
            _logger.warning("no connection to the database: %s", trouble)

    def _give_up(self, pool: _Pool) -> None:
        """Close a pool that has no connection left, after it could not open one."""
        if pool.get_stats()["pool_size"] == 0:
            self._closed_until = time.monotonic() + _PAUSE_SECONDS
            # Closing waits for the pool's own threads, and this is one of them.
            Thread(target=pool.close, daemon=True).start()
