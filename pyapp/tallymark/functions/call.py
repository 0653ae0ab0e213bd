"""How a stored function is called from Python: on the caller's own connection, in whatever transaction that is in."""

from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from tallymark.functions.errors import from_psycopg, from_unsendable

Connection = psycopg.Connection[Any]
Json = dict[str, Any]


def json(value: Mapping[str, Any] | None) -> Jsonb | None:
    """Return an object as a parameter of type jsonb; None is NULL.

    Args:
        value: What can be written as JSON.

    Returns:
        The parameter.
    """
    return None if value is None else Jsonb(value)


def value(connection: Connection, query: LiteralString, *parameters: object) -> Any:  # noqa: ANN401 - as SQL has it
    """Return the one value that a query gives.

    Args:
        connection: Whose transaction this is part of.
        query: With %s for each parameter.
        parameters: The parameters.

    Returns:
        The value.

    Raises:
        TallymarkError: The call was refused, or failed.
    """
    [(found,)] = rows(connection, query, *parameters)
    return found


def rows(connection: Connection, query: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
    """Return the rows that a query gives.

    Args:
        connection: Whose transaction this is part of.
        query: With %s for each parameter.
        parameters: The parameters.

    Returns:
        The rows.

    Raises:
        TallymarkError: The call was refused, or failed.
    """
    try:
        with connection.cursor(row_factory=tuple_row) as cursor:
            return cursor.execute(query, parameters).fetchall()
    except psycopg.Error as error:
        raise from_psycopg(error) from error
    except UnicodeEncodeError as error:
        raise from_unsendable() from error


def is_pooled(connection: Connection) -> bool:
    """Say whether a pooler such as PgBouncer is between us and the server.

    Args:
        connection: The connection.

    Returns:
        Whether the server's process has another id than what we were told: a pooler tells one of its own making.

    Raises:
        psycopg.Error: The database is away.
    """
    row = connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
    return row is not None and row[0] != connection.info.backend_pid
