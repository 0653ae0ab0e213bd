"""How we connect to PostgreSQL: the one place that opens connections, and that sets what we rely on in a session.

Which database a URL means is left to libpq, which fills in what the URL leaves out: from a service file, from the
environment, or from the name of the user. So a URL is given to libpq as it is. What a connection is to is asked of the
connection.

What a session is set to by its user, its database, its server or the environment must not change what our calls mean.
So it is set in each session that is ours alone. A session that goes through a pooler belongs to other clients as well:
nothing is set there but the encoding, which poolers keep for each client. Calls through a pooler need no other setting
to be understood, because results are read in binary form; timeouts and isolation are those of the user.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import tuple_row

Connection = psycopg.Connection[Any]
AnyConnection = TypeVar("AnyConnection", bound=Connection)

#: What statements and stored functions rely on: mostly PostgreSQL's own defaults. `default_transaction_read_only` is
#: not here: who made a database read-only wants no updates.
RELIED_ON = {
    # Every statement of ours qualifies its names.
    "search_path": "pg_catalog, pg_temp",
    # How transactions run, and how they end.
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "exit_on_error": "off",
    "idle_session_timeout": "0",
    # What texts mean.
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    # PostgreSQL confirms a commit that its replica has not confirmed, with a warning.
    "client_min_messages": "warning",
    # How values are written.
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "quote_all_identifiers": "off",
    # What queries find, and how they are planned.
    "row_security": "on",
    "gin_fuzzy_search_limit": "0",
    # All calls are short: to compile them would take longer than to run them.
    "jit": "off",
}
#: From version 17 on. It would end the session, where a statement's own timeout only ends the statement.
_TRANSACTION_TIMEOUT = ("transaction_timeout", "0", 170000)

#: For work that takes as long as it takes, such as a check of all jobs: a user's limits are meant for its queries.
UNHURRIED = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
#: For work that must not be broken off either while it waits for a lock.
PATIENT = {**UNHURRIED, "lock_timeout": "0"}

#: Set in SQL, because poolers do not pass on the `options` of a URL. What was acknowledged must be on disk;
#: `synchronous_commit` may be stricter than `on`, or `local`, but not off. In a distributed database, a node may have
#: to plan each query by itself (schema/kept_plans.py). The search path comes first: a schema before
#: pg_catalog may have operators and types of the names that follow.
_SET = """
SET search_path = pg_catalog, pg_temp;
SELECT pg_catalog.set_config(name, value, false)
FROM ROWS FROM (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[])) AS setting (name, value)
UNION ALL SELECT pg_catalog.set_config('synchronous_commit', 'on', false)
WHERE pg_catalog.current_setting('synchronous_commit') = 'off'
UNION ALL SELECT pg_catalog.set_config('plan_cache_mode', 'auto', false)
WHERE pg_catalog.current_setting('plan_cache_mode') = 'force_generic_plan'
  OR pg_catalog.to_regclass('pg_catalog.pg_dist_partition') IS NULL
"""

#: Two connections with the same answer are to the same database, as the same user, and its server did not restart.
_IDENTITY = """
SELECT d.oid, session_user, pg_catalog.pg_postmaster_start_time()
FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()
"""

_HAS_CITUS = "SELECT FROM pg_catalog.pg_extension WHERE extname = 'citus'"
_IS_DISTRIBUTED = """
SELECT FROM pg_catalog.pg_dist_partition
WHERE logicalrelid = pg_catalog.to_regclass('tallymark.job') AND partmethod = 'h'
"""

#: A URL with all of these leaves nothing to the environment. That of the embedded server has them.
COMPLETE = frozenset({"host", "hostaddr", "port", "user", "password", "dbname", "sslmode", "options"})
_environment = Lock()


def libpq_url(url: str) -> str:
    """Turn a URL as yoyo and SQLAlchemy write it (`postgresql+psycopg://...`) into a libpq URL; keep any other."""
    return re.sub(r"^postgres(ql)?\+\w+://", "postgresql://", url)


def connect(
    url: str,
    *,
    application: str = "tallymark",
    session: Mapping[str, str] | None = None,
    **defaults: Any,  # noqa: ANN401 - as libpq takes them
) -> Connection:
    """Open a connection in autocommit and without prepared statements, and set what we rely on.

    Args:
        url: The database, as libpq or yoyo takes it.
        application: Our name in the server's lists, unless the URL or the environment gives another.
        session: Further settings, such as PATIENT. Behind a pooler they are not made.
        **defaults: Parameters of libpq for a URL that does not give them.

    Raises:
        psycopg.Error: The database is away, the URL is none, or a setting is unknown.
    """
    connection = open_session(url, psycopg.Connection, fallback_application_name=application, **defaults)
    try:
        if not is_pooled(connection):
            configure(connection, session or {})
    except BaseException:
        connection.close()
        raise
    return connection


def open_session(
    url: str,
    connection_class: type[AnyConnection],
    **defaults: Any,  # noqa: ANN401 - as libpq takes them
) -> AnyConnection:
    """Open a connection as `connect` does, but leave its settings as its user, database and server have them."""
    url = libpq_url(url)
    given = conninfo_to_dict(url)
    more = {name: value for name, value in defaults.items() if name not in given and not _in_environment(name)}
    with _without_environment() if given.keys() >= COMPLETE else nullcontext():
        # Without prepared statements, so that a pooler may use another session for each statement.
        return connection_class.connect(
            url, autocommit=True, prepare_threshold=None, **more | {"client_encoding": "UTF8"}
        )


def configure(connection: Connection, more: Mapping[str, str]) -> None:
    """Set what we rely on in a session that is all ours, and more.

    Raises:
        psycopg.Error: The database is away, or does not know a setting.
    """
    settings = {**RELIED_ON, **more}
    name, value, since = _TRANSACTION_TIMEOUT
    if connection.info.server_version >= since:
        settings[name] = value
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute(_SET, [list(settings), list(settings.values())])


def is_pooled(connection: Connection) -> bool:
    """Say whether a pooler such as PgBouncer is between us and the server.

    A pooler tells its clients a process id of its own making, which differs from the server process's id.

    Raises:
        psycopg.Error: The database is away.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
    return row is not None and row[0] != connection.info.backend_pid


def has_citus(connection: Connection) -> bool:
    """Say whether the database has the extension citus.

    Raises:
        psycopg.Error: The database is away.
    """
    return connection.execute(_HAS_CITUS, prepare=False).fetchone() is not None


def is_distributed(connection: Connection) -> bool:
    """Say whether the jobs of the database are distributed over several servers.

    Raises:
        psycopg.Error: The database is away.
    """
    return has_citus(connection) and connection.execute(_IS_DISTRIBUTED, prepare=False).fetchone() is not None


def identity(connection: Connection) -> tuple[object, ...]:
    """Return what only connections to the same database, by the same user, have in common."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(_IDENTITY).fetchone() or ()


def same_server(url: str, connection: Connection, **instead: str) -> str:
    """Return a connection string for the server that a connection by this URL has found; `instead` replaces parts.

    A URL may name several servers, and the next connection by it may find another one. What else libpq fills in, such
    as the password, it fills in again.
    """
    info = connection.info
    found = {"host": info.host, "hostaddr": info.hostaddr, "port": str(info.port)}
    return make_conninfo(libpq_url(url), **found | {"user": info.user, "dbname": info.dbname} | instead)


def place(connection: Connection) -> str:
    """Say for people which database a connection is to."""
    info = connection.info
    return f"database {info.dbname!r} on {info.host}:{info.port} (user {info.user!r})"


def without_libpq(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the variables that libpq and PostgreSQL's programs read."""
    return {name: value for name, value in environ.items() if not name.startswith("PG")}


def _in_environment(name: str) -> bool:
    """Say whether libpq has a value for a parameter from the environment."""
    return name == "connect_timeout" and "PGCONNECT_TIMEOUT" in os.environ


@contextmanager
def _without_environment() -> Iterator[None]:
    """Hide libpq's variables from libpq. A URL cannot outdo all of them, such as PGSERVICE and PGDATESTYLE."""
    with _environment:
        hidden = {name: value for name, value in os.environ.items() if name.startswith("PG")}
        for name in hidden:
            del os.environ[name]
        try:
            yield
        finally:
            os.environ.update(hidden)


#: SQL: what pg_has_role is asked for to know whether a user may take a role. Before version 16, each member may.
TO_TAKE = "CASE WHEN pg_catalog.current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END"
#: The first of these roles that the user may take, if it has the rights of none of them without that.
_TAKE = f"""
SELECT set_config('role', found.role, false) FROM (
  SELECT r.rolname AS role FROM unnest(%(roles)s::text[]) WITH ORDINALITY AS wanted (name, place)
    JOIN pg_roles AS r ON r.rolname = wanted.name
  WHERE pg_has_role(session_user, r.oid, {TO_TAKE})
  ORDER BY wanted.place LIMIT 1) AS found
WHERE current_user = session_user
  AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = ANY (%(roles)s) AND pg_has_role(r.oid, 'USAGE'))
"""


def take_role(connection: Connection, *roles: str) -> None:
    """Become one of these roles, the first that the user may take, where the user does not inherit their rights.

    Behind a pooler nothing is set, because the session has other clients as well.

    Raises:
        psycopg.Error: The database is away.
    """
    if not is_pooled(connection):
        with psycopg.ClientCursor(connection) as cursor:
            cursor.execute(_TAKE, {"roles": list(roles)})
