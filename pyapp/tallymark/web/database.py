"""The database as the web part sees it: prepared calls of stored functions over a few connections.

psycopg opens the connections; the calls go to libpq directly, because building a cursor for each costs more than all
else that Python does here. The connections are kept here rather than in psycopg_pool, which opens them in background
threads after growing pauses: while the database is away every request would wait its whole time for nothing, and once
it is back they would go on waiting. Here a request opens the connection that it needs, so it learns at once that there
is none, and the first one after a restart finds the database again.
"""

import logging
import time
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ConnStatus, ExecStatus, abc

from tallymark.errors import (
    CONNECTION_BROKEN,
    NO_CONNECTION,
    NO_CONNECTION_FREE,
    InvalidUpdate,
    Remedy,
    TallymarkError,
    Unavailable,
    defect,
    from_result,
    is_refusal,
)
from tallymark.settings import Settings

_logger = logging.getLogger(__name__)

#: After a connection could not be opened, requests are turned away for so long before it is tried again.
PAUSE_SECONDS = 0.5
#: A transaction that is left open would hold its locks; nothing here leaves one open.
_IDLE_IN_TRANSACTION = "10s"
#: A server that vanished without a word is noticed after some 25 s.
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}

#: Set in SQL, because poolers do not pass on what a URL has under `options`.
_CONFIGURE = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS setting (name, value)"
_IS_JSON = b"SELECT $1::jsonb"


class Statement(NamedTuple):
    """A statement that is prepared once on each connection.

    Running it twice must have the effect of running it once: it is run again where a connection breaks.

    Attributes:
        name: Its name on the server.
        sql: Its text, with $1 and so on.
        takes_json: Whether $1 is JSON that the caller sent.
    """

    name: bytes
    sql: bytes
    takes_json: bool = False


class Database:
    """A fixed number of connections to one database, opened when they are first needed."""

    def __init__(self, url: str | None, settings: Settings) -> None:
        """Say where the database is. Nothing is connected before the first call, so this may happen before a fork.

        Args:
            url: A libpq URL; with None every call raises `Unavailable`.
            settings: How many connections, and all timeouts.
        """
        self._url = url
        self._timeout = settings.pool_timeout
        self._session = {
            "statement_timeout": str(settings.statement_timeout),
            "lock_timeout": str(settings.lock_timeout),
            "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION,
        }
        self._slots: SimpleQueue[_Slot] = SimpleQueue()
        for _ in range(settings.pool_size):
            self._slots.put(_Slot())
        #: Grows whenever a connection breaks: those opened before are looked at before they are used again.
        self._breaks = 0
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
        try:
            return self._call(statement, parameters)
        except TallymarkError as error:
            if error.remedy is Remedy.NONE:
                raise
            _logger.debug("once more after sqlstate=%s", error.sqlstate)
        return self._call(statement, parameters)

    def _call(self, statement: Statement, parameters: tuple[bytes | None, ...]) -> list[bytes | None]:
        try:
            slot = self._slots.get(timeout=self._timeout)
        except Empty:
            explanation = "All connections to the database are in use."
            raise Unavailable("Database busy", sqlstate=NO_CONNECTION_FREE, explanation=explanation) from None
        try:
            if slot.pgconn is None or slot.breaks != self._breaks:
                self._open(slot)
            return slot.run(statement, parameters)
        except TallymarkError as error:
            if error.remedy is Remedy.NEW_CONNECTION:
                self._breaks += 1
                slot.close()
            raise
        finally:
            self._slots.put(slot)

    def _open(self, slot: "_Slot") -> None:
        """Give a slot a connection that works."""
        breaks = self._breaks
        if not slot.is_alive():
            slot.close()
            if time.monotonic() < self._closed_until:
                raise Unavailable("Database unavailable", sqlstate=NO_CONNECTION)
            slot.keep(self._connect())
        slot.breaks = breaks

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            if self._url is None:
                raise psycopg.OperationalError("DATABASE_URL is not set")
            connection = psycopg.connect(**self._parameters(self._url), autocommit=True)
            connection.execute(_CONFIGURE, [list(self._session), list(self._session.values())])
        except psycopg.Error as error:
            # Whoever comes meanwhile is turned away at once, and says nothing, since this line says it for all.
            self._closed_until = time.monotonic() + PAUSE_SECONDS
            _logger.warning("no connection to the database: %s", " ".join(str(error).split()))
            raise Unavailable("Database unavailable", sqlstate=NO_CONNECTION) from error
        return connection

    def _parameters(self, url: str) -> dict[str, Any]:
        """Return how to connect; what the URL says itself goes before."""
        return {
            "application_name": "tallymark",
            "client_encoding": "UTF8",
            "connect_timeout": max(1, round(self._timeout)),
            **_KEEPALIVE,
            **conninfo_to_dict(url),
        }


class _Slot:
    """A place for one connection, used by one thread at a time."""

    __slots__ = ("_connection", "_prepared", "breaks", "pgconn")

    def __init__(self) -> None:
        self._connection: psycopg.Connection[Any] | None = None
        self._prepared: set[bytes] = set()
        self.pgconn: abc.PGconn | None = None
        self.breaks = 0

    def keep(self, connection: psycopg.Connection[Any]) -> None:
        """Put a new connection here."""
        self._connection = connection
        self._prepared = set()
        self.pgconn = connection.pgconn

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self.pgconn = None

    def is_alive(self) -> bool:
        """Ask the server whether there is a connection."""
        if self.pgconn is None:
            return False
        try:
            return self.pgconn.exec_(b"").status == ExecStatus.EMPTY_QUERY
        except psycopg.OperationalError:
            return False

    def run(self, statement: Statement, parameters: tuple[bytes | None, ...]) -> list[bytes | None]:
        """Run a statement; see `Database.call`."""
        pgconn = self.pgconn
        assert pgconn is not None  # noqa: S101 - the caller has opened it
        try:
            if statement.name not in self._prepared:
                self._prepare(pgconn, statement)
            result = pgconn.exec_prepared(statement.name, parameters)  # type: ignore[arg-type]  # it takes None, too
        except psycopg.OperationalError as error:
            # libpq did not get as far as a result.
            raise Unavailable(
                "Database unavailable", sqlstate=CONNECTION_BROKEN, remedy=Remedy.NEW_CONNECTION
            ) from error
        if result.status != ExecStatus.TUPLES_OK:
            raise self._failure(pgconn, result, statement, parameters)
        return [result.get_value(0, column) for column in range(result.nfields)]

    def _prepare(self, pgconn: abc.PGconn, statement: Statement) -> None:
        result = pgconn.prepare(statement.name, statement.sql)
        if result.status == ExecStatus.COMMAND_OK:
            self._prepared.add(statement.name)
            return
        error = from_result(result)
        if isinstance(error, Unavailable):
            raise error
        # The functions that are called are not there, or not for us: a matter of installing them.
        explanation = "The database has no Tallymark, or another release of it: run `tallymark migrate`."
        raise Unavailable("Database unavailable", sqlstate=error.sqlstate, explanation=explanation)

    def _failure(
        self,
        pgconn: abc.PGconn,
        result: abc.PGresult,
        statement: Statement,
        parameters: tuple[bytes | None, ...],
    ) -> TallymarkError:
        error = from_result(result)
        if pgconn.status == ConnStatus.BAD:
            error.remedy = Remedy.NEW_CONNECTION
        elif error.remedy is Remedy.SAME_CONNECTION:
            self._prepared.discard(statement.name)
        elif isinstance(error, InvalidUpdate) and not is_refusal(error.sqlstate):
            # The same SQLSTATEs come from a wrong cast in a function, so the body is tried alone.
            refused_alone = statement.takes_json and not _is_json(pgconn, parameters[0])
            return error if refused_alone else defect(error)
        return error


def _is_json(pgconn: abc.PGconn, body: bytes | None) -> bool:
    return pgconn.exec_params(_IS_JSON, [body]).status == ExecStatus.TUPLES_OK
