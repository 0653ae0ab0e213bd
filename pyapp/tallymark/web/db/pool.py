"""A pool of connections to a database, and prepared calls of stored functions on them.

psycopg_pool keeps the connections. With it, a request learns only by its timeout that the database is away. So a pool
that has lost all connections and could not open a new one is closed, which fails all waiting requests at once. New
requests fail for half a second, then the next one opens a new pool.

Writing and reading have a pool each, even for one database: a connection becomes tallymark_writer or tallymark_reader
when it is opened, so that a call can do no more than its kind needs, whatever the login user may do. Changing the role
for each call would cost a round trip. If the login user may not take the role, the connection keeps the user's own
rights.

A pooler may give each statement to another session, and each session to other clients. So behind a pooler nothing is
set or prepared in the session, and the role and timeouts are those of the login user.
"""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.util import Finalize
from threading import Lock, Thread
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ConnStatus, ExecStatus, abc
from psycopg_pool import ConnectionPool, PoolClosed

from tallymark.functions.call import is_pooled
from tallymark.functions.errors import (
    CONNECTION_BROKEN,
    NO_CONNECTION,
    NO_CONNECTION_FREE,
    NOT_INSTALLED,
    InvalidUpdate,
    Remedy,
    TallymarkError,
    Unavailable,
    defect,
    from_result,
    is_refusal,
)
from tallymark.functions.http import Statement
from tallymark.settings import Settings

_logger = logging.getLogger("tallymark.web.database")

#: The time between a failed connection and the one further attempt.
_RECONNECT_SECONDS = 0.25
#: How long requests fail without an attempt after the database was found to be away.
_PAUSE_SECONDS = 0.5
#: A transaction that is left open would keep its locks; nothing here leaves one open.
_IDLE_IN_TRANSACTION = "10s"
#: A server that no longer answers is noticed after about 25 s.
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}

#: Set in SQL, because poolers do not pass on the `options` of a URL.
_CONFIGURE = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS setting (name, value)"
_SET_ROLE = """
SELECT set_config('role', %(role)s, false)
WHERE pg_has_role(session_user, to_regrole(%(role)s)::oid,
  CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END)
"""
_IS_JSON = b"SELECT $1::jsonb"


class Connection(psycopg.Connection[Any]):
    """A connection of the pool, used by one thread at a time.

    `known` has the names of the statements that were prepared on it; `is_pooled` says whether it goes through a pooler.
    """

    known: set[bytes]
    is_pooled: bool

    @classmethod
    def connect(cls, conninfo: str = "", **parameters: Any) -> Self:  # noqa: ANN401 - as psycopg has it
        """Connect as psycopg does, and call `failed` with the error, which the pool does not pass on."""
        failed = parameters.pop("failed")
        try:
            return super().connect(conninfo, **parameters)
        except psycopg.Error as error:
            failed(error)
            raise


Row = list[bytes | None]


def run(connection: Connection, statement: Statement, parameters: tuple[bytes | None, ...]) -> list[Row]:
    """Run a statement once, and return its rows: the columns as text in UTF-8.

    It calls libpq directly, because building a cursor costs more than everything else that Python does here.
    """
    pgconn = connection.pgconn
    try:
        if connection.is_pooled:
            result = pgconn.exec_params(statement.sql, parameters)
        else:
            if statement.name not in connection.known:
                _prepare(connection, statement)
            result = pgconn.exec_prepared(statement.name, parameters)  # type: ignore[arg-type]  # it takes None, too
    except psycopg.OperationalError as error:
        # libpq got no result at all.
        raise Unavailable("Database unavailable", sqlstate=CONNECTION_BROKEN, remedy=Remedy.NEW_CONNECTION) from error
    if result.status != ExecStatus.TUPLES_OK:
        raise _failure(connection, result, statement, parameters)
    columns = range(result.nfields)
    return [[result.get_value(row, column) for column in columns] for row in range(result.ntuples)]


def _prepare(connection: Connection, statement: Statement) -> None:
    result = connection.pgconn.prepare(statement.name, statement.sql)
    if result.status == ExecStatus.COMMAND_OK:
        connection.known.add(statement.name)
        return
    error = from_result(result)
    if isinstance(error, Unavailable):
        raise error
    # The called functions are missing.
    raise Unavailable("Database unavailable", sqlstate=error.sqlstate, explanation=NOT_INSTALLED)


def _failure(
    connection: Connection, result: abc.PGresult, statement: Statement, parameters: tuple[bytes | None, ...]
) -> TallymarkError:
    error = from_result(result)
    if connection.pgconn.status == ConnStatus.BAD:
        error.remedy = Remedy.NEW_CONNECTION
    elif error.remedy is Remedy.SAME_CONNECTION:
        connection.known.discard(statement.name)
    elif isinstance(error, InvalidUpdate) and not is_refusal(error.sqlstate):
        # A wrong cast inside a function raises the same SQLSTATEs, so the body is checked alone.
        refused_alone = statement.takes_json and not _is_json(connection, parameters[0])
        return error if refused_alone else defect(error)
    return error


def _is_json(connection: Connection, body: bytes | None) -> bool:
    return connection.pgconn.exec_params(_IS_JSON, [body]).status == ExecStatus.TUPLES_OK


_Pool = ConnectionPool[Connection]


class Database:
    """A pool of connections to one database, opened by the first call."""

    def __init__(
        self,
        url: str | None,
        settings: Settings,
        *,
        role: str | None = None,
        pool_size: int | None = None,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Prepare a pool. Nothing is connected before the first call, so this may happen before a fork.

        Without a URL every call raises `Unavailable`. The connections take the role if they may. Each call is made
        within `waiting`.
        """
        self._waiting = waiting
        self._url = url
        self._settings = settings
        self._role = role
        self._pool_size = pool_size or settings.pool_size
        self._session = {
            "statement_timeout": str(settings.statement_timeout),
            "lock_timeout": str(settings.lock_timeout),
            "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION,
        }
        # The pool warns about each failed attempt and each lost connection; `_note` logs the cause once.
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
        self._lock = Lock()
        self._pool: _Pool | None = None
        #: Why the last connection could not be opened; empty if it could.
        self._failure = ""
        self._closed_until = 0.0

    def call(self, statement: Statement, *parameters: bytes | None) -> Row:
        """Run a statement that gives one row, as `rows` does, and return that row."""
        return self.rows(statement, *parameters)[0]

    def rows(self, statement: Statement, *parameters: bytes | None) -> list[Row]:
        """Run a statement in a transaction of its own, and return its rows: the columns as text in UTF-8.

        Parameters are text in UTF-8 without zero bytes; None is NULL. The statement is run once more if that may help,
        so it must be safe to run twice. While the database works, the thread has no turn.

        Raises:
            TallymarkError: It was refused, or failed; nothing was changed, unless the connection broke.
        """
        with self._waiting():
            pool = self._open_pool()
            try:
                return self._call(pool, statement, parameters)
            except TallymarkError as error:
                if error.remedy is Remedy.NONE:
                    raise
                _logger.debug("once more after sqlstate=%s", error.sqlstate)
                if error.remedy is Remedy.NEW_CONNECTION:
                    # All connections may be broken, and the second attempt should not get another one of them.
                    pool.check()
            return self._call(pool, statement, parameters)

    def close(self) -> None:
        """Close all connections, after the last call. Harmless if none is open."""
        if self._pool is not None:
            self._pool.close()

    def connections(self) -> dict[str, int]:
        """Return how many connections are open and free, and how many requests wait for one."""
        pool = self._pool
        if pool is None or pool.closed:
            return {"open": 0, "free": 0, "waiting": 0}
        stats = pool.get_stats()
        return {
            "open": stats["pool_size"],
            "free": stats["pool_available"],
            "waiting": stats["requests_waiting"],
        }

    def _call(self, pool: _Pool, statement: Statement, parameters: tuple[bytes | None, ...]) -> list[Row]:
        try:
            # Not `with pool.connection()`: it commits, which takes time and is not needed in autocommit.
            connection = pool.getconn()
        except psycopg.OperationalError as error:
            if self._failure or isinstance(error, PoolClosed):
                raise Unavailable("Database unavailable", sqlstate=NO_CONNECTION) from None
            explanation = "All connections to the database are in use."
            raise Unavailable("Database busy", sqlstate=NO_CONNECTION_FREE, explanation=explanation) from None
        try:
            return run(connection, statement, parameters)
        except TallymarkError as error:
            if error.remedy is Remedy.NEW_CONNECTION:
                connection.close()  # the pool replaces it
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
                    # Unlike `atexit`, this runs in granian's workers, which multiprocessing has forked.
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
            # Connections are opened when requests wait for one, so a database that is away gets one attempt, not many.
            min_size=0,
            max_size=self._pool_size,
            open=False,
            configure=self._configure,
            name="tallymark",
            timeout=self._settings.pool_timeout,
            # Requests that wait have no turn, so there may be more of them than turns.
            max_waiting=max(self._settings.blocking_threads, self._settings.max_waiting),
            reconnect_timeout=_RECONNECT_SECONDS,
            reconnect_failed=self._give_up,
        )

    def _parameters(self, url: str) -> dict[str, Any]:
        """Return the connection parameters; those in the URL override ours."""
        return {
            "application_name": "tallymark",
            "client_encoding": "UTF8",
            "connect_timeout": max(1, round(self._settings.pool_timeout)),
            **_KEEPALIVE,
            **conninfo_to_dict(url),
        }

    def _configure(self, connection: Connection) -> None:
        """Set up a new connection."""
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
        self._failure = ""

    def _note(self, error: psycopg.Error) -> None:
        """Keep why a connection could not be opened. It is logged once per outage, and when it changes."""
        failure = " ".join(str(error).split())
        if failure != self._failure:
            self._failure = failure
            _logger.warning("no connection to the database: %s", failure)

    def _give_up(self, pool: _Pool) -> None:
        """Close a pool that could not open a connection and has none left."""
        if pool.get_stats()["pool_size"] == 0:
            self._closed_until = time.monotonic() + _PAUSE_SECONDS
            # Not in this thread: closing waits for the pool's own threads, and this is one of them.
            Thread(target=pool.close, daemon=True).start()
