"""What stands in the way of a migration or a rollback. It is looked for before anything is changed."""

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from tallymark.functions.session import TO_TAKE
from tallymark.schema.cluster import WORKER, is_worker
from tallymark.schema.setting_places import places

#: The oldest version that is supported.
OLDEST = 15
#: From this version on, a role that may make roles may grant only those on which it has the admin option.
_WITH_ADMIN_OPTION = 16

_YOYO_TABLES = ["_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock"]

_STATE = f"""
SELECT pg_is_in_recovery() AS is_standby, current_setting('default_transaction_read_only')::boolean AS is_read_only,
  pg_encoding_to_char(d.encoding) AS encoding, current_setting('server_version_num')::integer / 10000 AS version,
  r.rolname AS name, quote_ident(r.rolname) AS usr, quote_ident(d.datname) AS db,
  r.rolsuper AS is_super, r.rolcreaterole AS makes_roles,
  has_database_privilege(d.oid, 'CREATE') AS may_create, to_regnamespace('tallymark') IS NOT NULL AS is_installed,
  ARRAY(SELECT n FROM unnest('{{tallymark_owner,tallymark_writer,tallymark_reader,tallymark_admin}}'::text[]) AS n
    WHERE to_regrole(n) IS NULL) AS missing_roles,
  -- Of a role that is not there, the rights are null.
  pg_has_role(r.oid, to_regrole('tallymark_owner')::oid, {TO_TAKE}) AS may_be_owner,
  pg_has_role(r.oid, to_regrole('tallymark_owner')::oid, 'MEMBER WITH ADMIN OPTION') AS may_grant_owner,
  has_schema_privilege(to_regnamespace('public')::oid, 'CREATE') IS TRUE
    OR 4 = (SELECT count(*) FROM pg_class AS c
      WHERE c.relnamespace = to_regnamespace('public') AND c.relname = ANY (%(yoyo)s)) AS has_yoyo_tables,
  ARRAY(SELECT format('public.%%I', c.relname) FROM pg_class AS c
    WHERE c.relnamespace = to_regnamespace('public') AND c.relname = ANY (%(yoyo)s)
      AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
        AND has_table_privilege(c.oid, 'DELETE')) ORDER BY 1) AS closed_tables
FROM pg_database AS d, pg_roles AS r WHERE d.datname = current_database() AND r.rolname = session_user
"""  # noqa: S608 - made of constants

_HOLDERS = """
SELECT DISTINCT ON (l.pid, l.virtualtransaction) c.oid::regclass::text AS held, l.pid, a.usename,
  a.application_name AS app, p.gid
FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
  LEFT JOIN pg_prepared_xacts AS p ON l.virtualtransaction = '-1/' || p.transaction::text
WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND c.relnamespace = to_regnamespace('tallymark') AND c.relkind = 'r' AND l.pid IS DISTINCT FROM pg_backend_pid()
  -- Of other users' sessions this user may not see the time.
  AND coalesce(a.xact_start < clock_timestamp() - interval '1s', true)
  AND coalesce(a.backend_type, 'client backend') = 'client backend'
ORDER BY l.pid, l.virtualtransaction, c.relname LIMIT 5
"""


def obstacles(connection: psycopg.Connection[Any], *, installs: bool) -> list[str]:
    """List what stands in the way, each with its cure; nothing is changed. `installs` is False for a rollback.

    The connection is that of the user who is to change the schema, outside a transaction.
    """
    if is_worker(connection):
        return [WORKER]
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        state = cursor.execute(_STATE, {"yoyo": _YOYO_TABLES}).fetchone()
    assert state is not None  # noqa: S101 - each session has a user and a database
    return list(_of_the_server(connection, state, installs=installs)) or list(_rights(state))


def holders(connection: psycopg.Connection[Any]) -> list[str]:
    """Name up to five transactions that hold our tables, and have done so for a second."""
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        rows: list[Any] = list(cursor.execute(_HOLDERS))
    return [
        f"the prepared transaction {row.gid!r} holds {row.held}"
        if row.pid is None
        else f"process {row.pid} (user {row.usename}, application {row.app or '?'}) holds {row.held}"
        for row in rows
    ]


def _of_the_server(connection: psycopg.Connection[Any], state: Any, *, installs: bool) -> Iterator[str]:  # noqa: ANN401 - a row
    if state.version < OLDEST:
        yield f"PostgreSQL {state.version} is too old: {OLDEST} or newer is needed"
    if state.is_standby:
        yield "the server is a standby, which cannot be changed: name the primary in the URL"
    elif state.is_read_only:
        name = "default_transaction_read_only"
        fixes = " ".join(place.reset for place in places(connection, name) if place.role in {None, state.name})
        fix = fixes or f"ALTER SYSTEM RESET {name}; SELECT pg_reload_conf();"
        yield f"the database is read-only, because {name} is on: {fix}"
    if installs and state.encoding != "UTF8":
        yield (
            f"the database {state.db} has the encoding {state.encoding}, which lacks characters that crawlers send: "
            "use a database that was made with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )


def _rights(state: Any) -> Iterator[str]:  # noqa: ANN401 - a row
    """What the user lacks, with what a superuser or the owner of the database can do about it."""
    if state.is_super:
        return
    who = f"this user of the database, {state.name},"
    if state.missing_roles and not state.makes_roles:
        made = " ".join(f"CREATE ROLE {name} NOLOGIN;" for name in state.missing_roles)
        yield f"{who} may not make roles, and {', '.join(state.missing_roles)} are missing: as a superuser, {made}"
    if "tallymark_owner" in state.missing_roles:
        may_be_owner = True  # it will be its maker
    else:
        # Migration 0001 grants the role where that is possible.
        may_grant = state.may_grant_owner or (state.makes_roles and state.version < _WITH_ADMIN_OPTION)
        may_be_owner = state.may_be_owner or (may_grant and not state.is_installed)
    if not may_be_owner:
        yield (
            f"{who} is no member of tallymark_owner, to which all of Tallymark belongs: name the user that installed, "
            f"or as a superuser, GRANT tallymark_owner TO {state.usr};"
        )
    if not state.is_installed and not state.may_create:
        yield f"{who} may not make a schema: GRANT CREATE ON DATABASE {state.db} TO {state.usr};"
    if not state.has_yoyo_tables:
        yield f"{who} may not make yoyo's tables: GRANT CREATE ON SCHEMA public TO {state.usr};"
    if state.closed_tables:
        tables = ", ".join(state.closed_tables)
        yield (
            f"{who} may not write which migrations were applied: name the user that installed, or as that user, "
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {state.usr};"
        )
