"""Where a setting was made: for a database, a user, or both. `ALTER SYSTEM` changes nothing of that."""

from typing import Any, NamedTuple

import psycopg
from psycopg.rows import tuple_row

# The roles and databases of the rows are those to which the setting applies; null is any.
_PLACES = """
SELECT r.rolname, d.datname, substr(c.setting, strpos(c.setting, '=') + 1),
  -- Where all transactions are read-only, this one must not be.
  CASE WHEN %(setting)s = 'default_transaction_read_only' THEN 'SET default_transaction_read_only = off; ' ELSE '' END
    || 'ALTER ' || CASE WHEN s.setrole = 0 AND s.setdatabase <> 0 THEN 'DATABASE ' || quote_ident(d.datname)
      ELSE 'ROLE ' || coalesce(quote_ident(r.rolname), 'ALL')
        || coalesce(' IN DATABASE ' || quote_ident(d.datname), '') END
    || ' RESET ' || quote_ident(%(setting)s) || ';'
FROM pg_db_role_setting AS s CROSS JOIN unnest(s.setconfig) AS c (setting)
  LEFT JOIN pg_roles AS r ON r.oid = s.setrole LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
WHERE (s.setdatabase = 0 OR d.datname = current_database()) AND split_part(c.setting, '=', 1) = %(setting)s
ORDER BY s.setrole = 0, s.setdatabase = 0, r.rolname
"""


class Place(NamedTuple):
    """A setting that `ALTER ROLE` or `ALTER DATABASE` made; None is any role, any database.

    `reset` is the statement that removes it.
    """

    role: str | None
    database: str | None
    value: str
    reset: str

    def overrides(self, other: "Place") -> bool:
        """Whether this place is the one that counts where both apply: a role's goes before a database's."""
        return (self.role is not None, self.database is not None) > (other.role is not None, other.database is not None)


def places(connection: psycopg.Connection[Any], setting: str) -> list[Place]:
    """List where a setting was made for sessions in the current database, those that override others first."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        return [Place(*row) for row in cursor.execute(_PLACES, {"setting": setting})]
