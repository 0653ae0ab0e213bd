"""Which migrations a database has, as yoyo has recorded it in its table in the schema `public`.

Plain yoyo records in the first schema of its user's search path. For a user who is called like a schema, that is this
schema. What it recorded there counts, too; `gather` moves it to `public`.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

Connection = psycopg.Connection[Any]

#: Where yoyo's tables are, whatever the user's search path is.
SCHEMA = "public"
TABLE = "_yoyo_migration"

#: Our migrations are called `NNNN-what`; other projects may keep theirs in the same yoyo table.
OUR_MIGRATION = re.compile(r"\d{4}-")
_FIRST = "0001-roles-and-schema"

#: Schemas, but for `public`, in which the user can read a record of yoyo.
_OTHERS = """
SELECT n.nspname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'migration_id' AND NOT a.attisdropped
WHERE c.relname = %s AND c.relkind IN ('r', 'p') AND n.nspname <> %s
  AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
ORDER BY 1
"""
_READ = "SELECT migration_id, applied_at_utc FROM {}"
_MOVE = """
WITH moved AS (DELETE FROM {} WHERE migration_id ~ '^[0-9]{{4}}-' RETURNING *)
INSERT INTO {} (migration_hash, migration_id, applied_at_utc)
SELECT migration_hash, migration_id, applied_at_utc FROM moved ON CONFLICT DO NOTHING
"""


def applied_ids(connection: Connection) -> list[str]:
    """List the ids of our migrations that a database has, in the order in which they were applied."""
    found: dict[str, datetime] = {}
    exists = connection.execute("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", [f"{SCHEMA}.{TABLE}"]).fetchone()
    if exists == (True,):
        found = _read(connection, SCHEMA)
    for schema in _elsewhere(connection):
        found = _read(connection, schema) | found
    return sorted(found, key=lambda name: (found[name], name))


def gather(connection: Connection, say: Callable[[str], None]) -> None:
    """Move what was recorded in other schemas to `public`, where yoyo's table must be."""
    for schema in _elsewhere(connection):
        connection.execute(sql.SQL(_MOVE).format(sql.Identifier(schema, TABLE), sql.Identifier(SCHEMA, TABLE)))
        say(f"the record of applied migrations was in the schema {schema}: moved it to {SCHEMA}")


def _elsewhere(connection: Connection) -> Iterator[str]:
    """Yield the other schemas that have a record of this database's migrations, and not only of another project's."""
    for (schema,) in connection.execute(_OTHERS, [TABLE, SCHEMA]).fetchall():
        if _FIRST in _read(connection, schema):
            yield schema


def _read(connection: Connection, schema: str) -> dict[str, datetime]:
    """Read when each of our migrations was applied, as one schema has it."""
    rows = connection.execute(sql.SQL(_READ).format(sql.Identifier(schema, TABLE))).fetchall()
    return {str(name): at for name, at in rows if OUR_MIGRATION.match(str(name))}
