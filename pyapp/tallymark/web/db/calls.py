"""A prepared call of a stored function, on one connection.

It goes to libpq directly, because building a cursor for each costs more than all else that Python does here.
"""

from typing import Any, Self

import psycopg
from psycopg.pq import ConnStatus, ExecStatus, abc

from tallymark.functions.errors import (
    CONNECTION_BROKEN,
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

_IS_JSON = b"SELECT $1::jsonb"


class Connection(psycopg.Connection[Any]):
    """A connection of the pool, used by one thread at a time.

    Attributes:
        known: The names of the statements that were prepared on it.
        is_pooled: Whether a pooler is between us and the server.
    """

    known: set[bytes]
    is_pooled: bool

    @classmethod
    def connect(cls, conninfo: str = "", **parameters: Any) -> Self:  # noqa: ANN401 - as psycopg has it
        """Open one.

        Args:
            conninfo: As psycopg has it.
            **parameters: As psycopg has them; `failed` is called with the error, which the pool keeps to itself.

        Returns:
            The connection.

        Raises:
            psycopg.Error: It cannot be opened.
        """
        failed = parameters.pop("failed")
        try:
            return super().connect(conninfo, **parameters)
        except psycopg.Error as error:
            failed(error)
            raise


def run(connection: Connection, statement: Statement, parameters: tuple[bytes | None, ...]) -> list[bytes | None]:
    """Run a statement, once.

    Args:
        connection: Where to run it.
        statement: What to run.
        parameters: The values of $1 and so on.

    Returns:
        The columns of the one row, as text in UTF-8.

    Raises:
        TallymarkError: It was refused, or failed.
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
        # libpq did not get as far as a result.
        raise Unavailable("Database unavailable", sqlstate=CONNECTION_BROKEN, remedy=Remedy.NEW_CONNECTION) from error
    if result.status != ExecStatus.TUPLES_OK:
        raise _failure(connection, result, statement, parameters)
    return [result.get_value(0, column) for column in range(result.nfields)]


def _prepare(connection: Connection, statement: Statement) -> None:
    result = connection.pgconn.prepare(statement.name, statement.sql)
    if result.status == ExecStatus.COMMAND_OK:
        connection.known.add(statement.name)
        return
    error = from_result(result)
    if isinstance(error, Unavailable):
        raise error
    # The functions that are called are not there: a matter of installing them.
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
        # The same SQLSTATEs come from a wrong cast in a function, so the body is tried alone.
        refused_alone = statement.takes_json and not _is_json(connection, parameters[0])
        return error if refused_alone else defect(error)
    return error


def _is_json(connection: Connection, body: bytes | None) -> bool:
    return connection.pgconn.exec_params(_IS_JSON, [body]).status == ExecStatus.TUPLES_OK
