"""How Python calls a stored function: each call stands once, with named arguments, and enters itself in a registry.

A call runs on the caller's own connection, in whatever transaction that is in, and never commits.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from tallymark.functions.errors import NO_RIGHT, TOO_LARGE, NotGranted, from_psycopg, from_unsendable

Connection = psycopg.Connection[Any]
Json = dict[str, Any]
Result = TypeVar("Result")
Row = TypeVar("Row", bound=tuple[Any, ...])


class Call:
    """A call of a stored function.

    Attributes:
        function: Its name, without the schema.
        arguments: The SQL expression for each argument that is given, by the argument's name.
    """

    def __init__(self, function: str, *names: str, **expressions: str) -> None:
        """Describe the call.

        Args:
            function: The function's name.
            *names: The arguments that take the parameters $1, $2 and so on.
            **expressions: Other arguments, each with an expression of its own.
        """
        self.function = function
        self.arguments = {name: f"${number}" for number, name in enumerate(names, 1)} | expressions
        REGISTRY.append(self)

    def __str__(self) -> str:
        """Write the call as SQL, in named notation."""
        given = ", ".join(f"{name} => {expression}" for name, expression in self.arguments.items())
        return f"tallymark.{self.function}({given})"


#: Every call of a stored function that the imported modules can make.
REGISTRY: list[Call] = []


class Value(Call, Generic[Result]):
    """A stored function that returns one value."""

    def __call__(self, connection: Connection, *parameters: object) -> Result:
        """Call it; a TallymarkError says why it was refused or failed."""
        [(found,)] = _rows(connection, f"SELECT {self}", parameters, self.function)
        result: Result = found
        return result


class Rows(Call, Generic[Row]):
    """A stored function that returns rows, of which each becomes a named tuple with the columns of the same names."""

    def __init__(self, row: type[Row], function: str, *names: str, **expressions: str) -> None:
        super().__init__(function, *names, **expressions)
        self._row = row
        columns = ", ".join(f'"{field}"' for field in vars(row)["_fields"])
        self._query = f"SELECT {columns} FROM {self}"

    def __call__(self, connection: Connection, *parameters: object) -> list[Row]:
        """Call it; a TallymarkError says why it was refused or failed."""
        return [self._row(*found) for found in _rows(connection, self._query, parameters, self.function)]


def jsonb(value: Mapping[str, Any] | Sequence[Any] | None) -> Jsonb | None:
    """Return JSON as a parameter; None is NULL."""
    return None if value is None else Jsonb(value)


def array(texts: Sequence[str] | None) -> list[str] | None:
    """Return texts as a parameter of type text[]; None is NULL."""
    return None if texts is None else list(texts)


def _rows(
    connection: Connection, query: str, parameters: Sequence[object], function: str = ""
) -> list[tuple[Any, ...]]:
    try:
        sent = [_as_sent(given) for given in parameters]
        with psycopg.RawCursor(connection, row_factory=tuple_row) as cursor:
            # In binary form, which means the same whatever the caller's session writes dates and the like as.
            return cursor.execute(query.encode(), sent, binary=True).fetchall()
    except psycopg.Error as error:
        if error.sqlstate == NO_RIGHT and function:
            raise _not_granted(connection, function) from error
        raise from_psycopg(error, connection.pgconn) from error
    except UnicodeEncodeError as error:
        raise from_unsendable() from error
    except ValueError as error:
        # Python writes no number of more than some 4,300 digits; no argument takes one.
        raise from_unsendable(TOO_LARGE) from error


# The role with the least rights that may call a function, and what the user may.
_WHO_MAY = """
SELECT current_user::text, quote_ident(current_user), r.rolname, has_function_privilege(p.oid, 'EXECUTE'),
  has_schema_privilege(p.pronamespace, 'USAGE')
FROM pg_proc AS p, pg_roles AS r JOIN unnest(%s::text[]) WITH ORDINALITY AS ours (name, place) ON ours.name = r.rolname
WHERE p.pronamespace = to_regnamespace('tallymark') AND p.proname = %s
  AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
ORDER BY ours.place LIMIT 1
"""
_ROLES = ["tallymark_reader", "tallymark_writer", "tallymark_admin"]


def _not_granted(connection: Connection, function: str) -> NotGranted:
    """Make the error for a missing right; it says what is missing, where a further statement can be run."""
    what, hint = f"permission denied for tallymark.{function}", "`tallymark doctor` finds rights that are missing."
    if connection.info.transaction_status != TransactionStatus.IDLE:
        return NotGranted(what, sqlstate=NO_RIGHT, hint=hint)
    with psycopg.ClientCursor(connection, row_factory=tuple_row) as cursor:
        found = cursor.execute(_WHO_MAY, [_ROLES, function]).fetchone()
    user, quoted, role, may_call, may_use = found or ("", "", "", True, True)
    if may_call and may_use:
        return NotGranted(what, sqlstate=NO_RIGHT, hint=hint)
    lacks = "USAGE on the schema tallymark" if may_call else role
    cure = f"GRANT USAGE ON SCHEMA tallymark TO {role};" if may_call else f"GRANT {role} TO {quoted};"
    return NotGranted(f"{what}: the user {user} lacks {lacks}", sqlstate=NO_RIGHT, hint=cure, lacks=lacks)


def _as_sent(given: object) -> object:
    """Return a parameter as it is sent: numbers as text, which the server reads as the argument's own type."""
    if isinstance(given, list):
        return [_as_sent(element) for element in given]
    return str(given) if type(given) is int else given


def server_time(connection: Connection) -> datetime:
    """Return the server's clock.

    Raises:
        TallymarkError: The database is away.
    """
    [(now,)] = _rows(connection, "SELECT clock_timestamp()", ())
    found: datetime = now
    return found
