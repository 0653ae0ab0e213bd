"""A database: prepared calls of stored functions, on connections of one role.

A worker has three pools for one database. Two of them write, with TALLYMARK_POOL_SIZE connections together: a quarter
of these are for calls that wait for jobs which others hold. One reads, with TALLYMARK_READ_POOL_SIZE connections. A
connection becomes tallymark_writer or tallymark_reader when it is opened, so that a call can do no more than its kind
needs, whatever the login user may do. Changing the role for each call would cost a round trip. If the login user may
not take the role, the connection keeps the user's own rights.

A pooler may give each statement to another session, and each session to other clients. So behind a pooler nothing is
set or prepared in the session, and the role, timeouts and other settings are those of the login user. Each call that
writes to a job sets lock_timeout for itself.
"""

import logging
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from multiprocessing.util import Finalize
from threading import Lock

import psycopg
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, abc

from tallymark.functions.errors import (
    CONNECTION_BROKEN,
    IS_PREPARED,
    IS_READ_ONLY,
    NO_RIGHT,
    NO_SPACE,
    NOT_CONFIRMED,
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
from tallymark.functions.session import TO_TAKE, configure, is_distributed, is_pooled, libpq_url, open_session
from tallymark.settings import Settings
from tallymark.web.db.connections import Connection, Pool
from tallymark.web.db.hosts import Hosts
from tallymark.web.db.share import Share
from tallymark.web.db.stuck import cut_after

_logger = logging.getLogger("tallymark.web.database")

#: A transaction that is left open would keep its locks; nothing here leaves one open.
_IDLE_IN_TRANSACTION = "10s"
#: A server that no longer answers is noticed after about 25 s.
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}

#: What has to call the database at the end of a process gives this to `Finalize` as its exitpriority. The greatest runs
#: first, and pools are closed at 0.
BEFORE_POOLS_CLOSE = 10

#: What setting up a connection may take; opening it has a limit of its own.
_LEAST_SET_UP_SECONDS = 2.0
#: A connection that is younger than this shows what a new one would.
_NEW_SECONDS = 2.0

#: How long to wait before a statement that lost a race against another transaction is run again.
_RACE_SECONDS = (0.005, 0.03)

#: How many further connections the server would give this user in this database.
_LEFT = """
WITH session AS MATERIALIZED (
  SELECT a.datid, a.usesysid FROM pg_stat_get_activity(NULL) AS a WHERE a.datid IS NOT NULL AND a.usesysid IS NOT NULL
)
SELECT least(
    current_setting('max_connections')::integer - CASE WHEN r.rolsuper THEN 0 ELSE
      current_setting('superuser_reserved_connections')::integer
      + coalesce(current_setting('reserved_connections', true)::integer, 0) END
      - (SELECT count(*) FROM session),
    CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper
      THEN r.rolconnlimit - (SELECT count(*) FROM session AS s WHERE s.usesysid = r.oid) END,
    CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper
      THEN d.datconnlimit - (SELECT count(*) FROM session AS s WHERE s.datid = d.oid) END)
FROM pg_roles AS r, pg_database AS d WHERE r.rolname = session_user AND d.datname = current_database()
"""
_STARTED_AT = "SELECT pg_catalog.pg_postmaster_start_time()::text"
#: Where PostgreSQL gives the warning that a commit did not wait for its replica: somebody has cancelled the wait.
_WAIT_FOR_REPLICA = "SyncRepWaitForLSN"
#: One row if the role could be taken.
_SET_ROLE = f"""
SELECT set_config('role', %(role)s, false)
WHERE pg_has_role(session_user, to_regrole(%(role)s)::oid, {TO_TAKE})
"""
#: Not the value itself, whose text may have gigabytes.
_IS_JSON = b"SELECT $1::jsonb IS NULL"


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
        if result.status != ExecStatus.TUPLES_OK:
            raise _failure(connection, result, statement, parameters)
        if connection.is_unconfirmed:
            connection.is_unconfirmed = False
            raise Unavailable("Database unavailable", explanation=NOT_CONFIRMED)
    except psycopg.OperationalError as error:
        # libpq got no result at all.
        raise Unavailable("Database unavailable", sqlstate=CONNECTION_BROKEN, remedy=Remedy.NEW_CONNECTION) from error
    columns = range(result.nfields)
    return [[result.get_value(row, column) for column in columns] for row in range(result.ntuples)]


def _prepare(connection: Connection, statement: Statement) -> None:
    pgconn = connection.pgconn
    result = pgconn.prepare(statement.name, statement.sql)
    if result.error_field(DiagnosticField.SQLSTATE) == IS_PREPARED.encode():
        # The session has a statement of this name. It may be for other functions, or another program's.
        pgconn.exec_params(b"DEALLOCATE " + statement.name, [])
        result = pgconn.prepare(statement.name, statement.sql)
    if result.status == ExecStatus.COMMAND_OK:
        connection.known.add(statement.name)
        return
    error = _error(connection, result)
    raise _not_installed(error) if error.remedy is Remedy.PREPARED_AGAIN else error


def _failure(
    connection: Connection, result: abc.PGresult, statement: Statement, parameters: tuple[bytes | None, ...]
) -> TallymarkError:
    error = _error(connection, result)
    if error.remedy is Remedy.PREPARED_AGAIN:
        if error.origin:
            # It comes from within a function.
            error.remedy = Remedy.NONE
        elif connection.is_pooled:
            return _not_installed(error)
        else:
            # All other errors leave the prepared statement in the session.
            connection.known.discard(statement.name)
    elif isinstance(error, InvalidUpdate) and not is_refusal(error.sqlstate):
        # A wrong cast inside a function raises the same SQLSTATEs, so the body is checked alone.
        refused_alone = statement.takes_json and not _is_json(connection, parameters[0])
        return error if refused_alone else defect(error)
    return error


def _not_installed(error: TallymarkError) -> Unavailable:
    """Make the error for functions that are missing."""
    return Unavailable("Database unavailable", sqlstate=error.sqlstate, explanation=NOT_INSTALLED)


def _error(connection: Connection, result: abc.PGresult) -> TallymarkError:
    error = from_result(result, connection.pgconn)
    # Without its role the connection was opened before the role was granted, perhaps.
    if connection.pgconn.status == ConnStatus.BAD or (error.sqlstate == NO_RIGHT and connection.lacks_role):
        error.remedy = Remedy.NEW_CONNECTION
    return error


def _is_json(connection: Connection, body: bytes | None) -> bool:
    result = connection.pgconn.exec_params(_IS_JSON, [body])
    if result.status == ExecStatus.TUPLES_OK:
        return True
    error = from_result(result, connection.pgconn)
    if not isinstance(error, InvalidUpdate):
        raise error
    return False


def _left(connection: Connection) -> int:
    """Return how many further connections the server would give; 1 where that cannot be known."""
    if not connection.is_pooled:
        with suppress(psycopg.errors.InsufficientPrivilege):
            row = connection.execute(_LEFT, prepare=False).fetchone()
            if row is not None:
                return int(row[0])
    return 1


def _notice(connection: Connection, notice: psycopg.errors.Diagnostic) -> None:
    """Note that a commit did not wait for its replica."""
    if notice.source_function == _WAIT_FOR_REPLICA:
        connection.is_unconfirmed = True


class Database:
    """A pool of connections to one database, opened by the first call."""

    def __init__(
        self,
        url: str | None,
        settings: Settings,
        *,
        role: str | None = None,
        pool_size: int | None = None,
        share: Share | None = None,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Prepare a pool. Nothing is connected before the first call, so this may happen before a fork.

        Without a URL every call raises `Unavailable`. The connections take the role if they may. Databases on the same
        server have the same `share`. Each call is made within `waiting`.
        """
        self._waiting = waiting
        self._hosts = None if url is None else Hosts(libpq_url(url))
        #: Whether the URL leads to a standby where there is one.
        self.prefers_standby = "prefer-standby" in (url or "")
        self._settings = settings
        self._role = role
        self._session = {
            "statement_timeout": str(settings.statement_timeout),
            "lock_timeout": str(settings.lock_timeout),
            "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION,
        }
        self._pool = Pool(
            self._connect,
            _left,
            share or Share(),
            most=pool_size or settings.pool_size,
            # Requests that wait have no turn, so there may be more of them than turns.
            max_waiting=max(settings.blocking_threads, settings.max_waiting),
            timeout=settings.pool_timeout,
        )
        self._is_distributed: bool | None = None
        #: When a call found the disk full; never, if it is infinitely long ago.
        self.found_full_at = float("-inf")
        self._lock = Lock()
        self._was_used = False

    def call(self, statement: Statement, *parameters: bytes | None) -> Row:
        """Run a statement that gives one row, as `rows` does, and return that row."""
        return self.rows(statement, *parameters)[0]

    def rows(self, statement: Statement, *parameters: bytes | None) -> list[Row]:
        """Run a statement in a transaction of its own, and return its rows: the columns as text in UTF-8.

        Parameters are text in UTF-8 without zero bytes; None is NULL. Each remedy of an error is tried once, so it must
        be safe to run the statement twice. While the database works, the thread has no turn.

        Raises:
            TallymarkError: It was refused, or failed; nothing was changed, unless the connection broke.
        """
        tried = {Remedy.NONE}
        with self._waiting():
            while True:
                try:
                    return self._call(statement, parameters)
                except TallymarkError as error:
                    if error.remedy in tried:
                        raise
                    tried.add(error.remedy)
                    _logger.debug("once more after sqlstate=%s", error.sqlstate)
                    if error.remedy is Remedy.SAME_CONNECTION:
                        # The other transaction gets what it waits for first; otherwise both would meet again.
                        time.sleep(random.uniform(*_RACE_SECONDS))  # noqa: S311 - spreads load

    def close(self) -> None:
        """Close all connections, after the last call. Harmless if none is open."""
        self._pool.close()

    def is_distributed(self) -> bool:
        """Return whether the jobs are distributed over several servers, as the newest connection found.

        Raises:
            Unavailable: There was no connection yet, and none can be opened.
        """
        if self._is_distributed is None:
            with self._waiting():
                self._pool.put(self._pool.take())
        return bool(self._is_distributed)

    def connections(self) -> dict[str, int]:
        """Return how many connections are open and free, and how many requests wait for one."""
        return self._pool.counts()

    def _call(self, statement: Statement, parameters: tuple[bytes | None, ...]) -> list[Row]:
        connection = self._pool.take()
        is_broken = True
        try:
            found = run(connection, statement, parameters)
            is_broken = False
        except TallymarkError as error:
            if error.sqlstate in {IS_READ_ONLY, NO_RIGHT} and connection.opened_at > time.monotonic() - _NEW_SECONDS:
                error.remedy = Remedy.NONE
            if error.sqlstate == NO_SPACE:
                self.found_full_at = time.monotonic()
            is_broken = error.remedy is Remedy.NEW_CONNECTION
            raise
        finally:
            if is_broken:
                self._pool.put_broken(connection)
            else:
                self._pool.put(connection)
        return found

    def _connect(self) -> Connection:
        """Open a connection and set it up."""
        opened_at = time.monotonic()
        if self._hosts is None:
            raise psycopg.InterfaceError("DATABASE_URL is not set")
        connection = open_session(
            self._hosts.url(),
            Connection,
            fallback_application_name="tallymark",
            connect_timeout=self._hosts.timeout(self._settings.pool_timeout),
            **_KEEPALIVE,
        )
        self._hosts.prefer(connection.info.host, connection.info.port)
        try:
            with cut_after(connection, max(_LEAST_SET_UP_SECONDS, self._settings.pool_timeout)):
                self._set_up(connection)
        except psycopg.Error:
            connection.close()
            raise
        connection.known = set()
        connection.opened_at = opened_at
        with self._lock:
            if not self._was_used:
                self._was_used = True
                # Unlike `atexit`, this runs in granian's workers, which multiprocessing has forked.
                Finalize(None, self.close, exitpriority=0)
        return connection

    def _set_up(self, connection: Connection) -> None:
        connection.is_pooled = is_pooled(connection)
        if not connection.is_pooled:
            configure(connection, self._session)
        connection.left = _left(connection)
        [(connection.server,)] = connection.execute(_STARTED_AT, prepare=False).fetchall()
        self._is_distributed = is_distributed(connection)
        connection.is_unconfirmed = False
        connection.add_notice_handler(partial(_notice, connection))
        connection.lacks_role = False
        if self._role is not None and not connection.is_pooled:
            connection.lacks_role = connection.execute(_SET_ROLE, {"role": self._role}).fetchone() is None
