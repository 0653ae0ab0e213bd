"""Checks a database's server: whether it takes updates, its clock, and what keeps vacuum from its work.

What breaks a promise, or will break it, is a finding; a server with default settings has none. The rest is advice.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tallymark.functions.session import open_session
from tallymark.schema.comparison import Finding
from tallymark.schema.obstacles import OLDEST
from tallymark.schema.session_settings import wrong_settings
from tallymark.settings import Settings

Connection = psycopg.Connection[dict[str, Any]]

_NEWEST = 18
#: Connections for people and tools, beside those of the web server.
_SPARE_CONNECTIONS = 5


@dataclass(frozen=True)
class Limits:
    """What is beyond these limits is a finding."""

    #: The difference between the server's clock and ours.
    clock_seconds: float = 2.0
    #: How long a transaction is open.
    transaction_seconds: float = 3600.0
    #: Dead rows in a table that has fewer live ones; a table may always have as many dead rows as live ones.
    dead_rows: int = 50_000
    #: Transactions since the oldest row was frozen.
    transaction_ids: int = 1_000_000_000


class Examined(NamedTuple):
    """What should be fixed, and what could be better."""

    findings: list[Finding]
    advice: list[Finding]


def examine(
    url: str, settings: Settings, *, limits: Limits | None = None, now: Callable[[], float] = time.time
) -> Examined:
    """Check a database's server, and change nothing; `settings` are those of the web server that uses it.

    What the database user has no right to see is left out. `now` is our clock, in seconds since 1970.
    """
    limits = limits or Limits()
    # The session is as the server, the database and the user have it: that is what is looked at.
    with open_session(url, psycopg.Connection) as connection:
        connection.row_factory = dict_row
        # What the session is set to is looked at; but what the queries read is PostgreSQL's own.
        connection.execute("SET search_path = pg_catalog, pg_temp")
        values = {row["name"]: row for row in connection.execute("SELECT name, setting, source FROM pg_settings")}
        findings = [
            *wrong_settings(connection),
            *_of_the_server(connection, values),
            *_connections(connection, values, settings),
            *_replication(values, settings),
            *_clock(connection, limits, now),
            *_tables(connection, limits),
            *_held_back(connection, limits),
        ]
        return Examined(
            findings, [*_advice(connection, values, settings), *_without_timeout(connection, values, settings)]
        )


def _setting(name: str, problem: str, expected: object, found: object, fix: str) -> Finding:
    return Finding("setting", name, problem, str(expected), str(found), fix)


def _of_the_server(connection: Connection, values: dict[str, Any]) -> Iterator[Finding]:
    """Version, encoding, and whether the server takes writes."""
    version = connection.info.server_version // 10000
    if version < OLDEST:
        fix = f"upgrade the server with pg_upgrade, for example to {_NEWEST}"
        yield _setting("server_version", "is too old", f"{OLDEST} to {_NEWEST}", version, fix)
    if values["server_encoding"]["setting"] != "UTF8":
        yield _setting(
            "server_encoding",
            "cannot store all that crawlers send",
            "UTF8",
            values["server_encoding"]["setting"],
            "CREATE DATABASE tallymark_utf8 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0; then "
            "restore a pg_dump --encoding=UTF8 of this database there, and name it in DATABASE_URL",
        )
    for _ in connection.execute("SELECT WHERE pg_is_in_recovery()"):
        yield _setting(
            "recovery",
            "the server is a standby, which takes no updates",
            "a primary",
            "a standby",
            "name the primary in DATABASE_URL; or, if the primary is gone for good: SELECT pg_promote();",
        )


def _connections(connection: Connection, values: dict[str, Any], settings: Settings) -> Iterator[Finding]:
    """Whether the server, the database and the user allow as many connections as the web server's pools have."""
    # Calls that wait for held jobs have a connection of their own.
    pool_size = max(2, settings.pool_size)
    writing = settings.workers * pool_size
    needed = writing + settings.workers * settings.read_pool_size
    why = f"TALLYMARK_WORKERS ({settings.workers}) x ({pool_size} + {settings.read_pool_size} connections)"
    reserved = sum(
        int(values[name]["setting"])
        for name in ("superuser_reserved_connections", "reserved_connections")
        if name in values
    )
    least = needed + reserved + _SPARE_CONNECTIONS
    allowed = int(values["max_connections"]["setting"])
    if least > allowed:
        yield _setting(
            "max_connections",
            f"is too low for {why}, {reserved} reserved and {_SPARE_CONNECTIONS} spare ones",
            f"at least {least}",
            allowed,
            f"ALTER SYSTEM SET max_connections = {least}; then restart the server; or set smaller pools",
        )
    query = """
        SELECT 'DATABASE ' || quote_ident(datname) AS object, datconnlimit AS most FROM pg_database
        WHERE datname = current_database() AND datconnlimit BETWEEN 0 AND %(needed)s - 1
        UNION ALL
        SELECT 'ROLE ' || quote_ident(rolname), rolconnlimit FROM pg_roles
        WHERE rolcanlogin AND NOT rolsuper AND rolconnlimit BETWEEN 0 AND %(needed)s - 1
          AND EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname IN ('tallymark_writer', 'tallymark_admin')
            AND pg_has_role(pg_roles.oid, r.oid, 'MEMBER'))"""
    for row in connection.execute(query, {"needed": needed}):
        yield _setting(
            f"CONNECTION LIMIT of {row['object']}",
            f"is too low for {why}",
            f"at least {needed}",
            row["most"],
            f"ALTER {row['object']} CONNECTION LIMIT -1;",
        )


def _replication(values: dict[str, Any], settings: Settings) -> Iterator[Finding]:
    """Whether a replica can follow the server, if DATABASE_READ_URL names one."""
    if settings.database_read_url is None:
        return
    if values["wal_level"]["setting"] == "minimal":
        fix = "ALTER SYSTEM SET wal_level = replica; then restart the server"
        yield _setting("wal_level", "DATABASE_READ_URL is set, but no replica can follow", "replica", "minimal", fix)
    if values["max_wal_senders"]["setting"] == "0":
        fix = "ALTER SYSTEM SET max_wal_senders = 10; then restart the server"
        yield _setting("max_wal_senders", "DATABASE_READ_URL is set, but no replica can follow", "2 or more", 0, fix)


def _clock(connection: Connection, limits: Limits, now: Callable[[], float]) -> Iterator[Finding]:
    """Whether the server's clock and ours agree, as exactly as the duration of the query allows."""
    before = now()
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp()) AS now").fetchone()
    after = now()
    # A numeric: how a float is written depends on extra_float_digits.
    off = (float(row["now"]) if row else before) - (before + after) / 2
    if abs(off) - (after - before) / 2 > limits.clock_seconds:
        yield _setting(
            "clock",
            f"the server's clock is {abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} that of this machine, and "
            "the order of updates depends on it",
            f"less than {limits.clock_seconds:g} s",
            f"{off:+.1f} s",
            "synchronize both clocks with NTP, for example: timedatectl set-ntp true",
        )


def _tables(connection: Connection, limits: Limits) -> Iterator[Finding]:
    """Rows that vacuum should have removed or frozen by now, and TOAST tables without autovacuum."""
    query = """
        SELECT s.relid::regclass::text AS name, s.n_dead_tup AS dead, s.n_live_tup AS live FROM pg_stat_all_tables AS s
        WHERE s.schemaname = 'tallymark' AND s.n_dead_tup > greatest(%s, s.n_live_tup) ORDER BY 1"""
    for row in connection.execute(query, [limits.dead_rows]):
        yield _setting(
            f"vacuum of {row['name']}",
            "did not run for a long time, or could not remove dead rows",
            f"at most {max(limits.dead_rows, row['live'])} dead rows",
            row["dead"],
            f"VACUUM (ANALYZE) {row['name']};",
        )
    # The comparison with the files covers the options of the tables themselves.
    query = """
        SELECT c.oid::regclass::text AS name FROM pg_class AS c JOIN pg_class AS t ON t.oid = c.reltoastrelid
        WHERE c.relnamespace = to_regnamespace('tallymark') AND EXISTS (
          SELECT FROM pg_options_to_table(t.reloptions)
          WHERE option_name = 'autovacuum_enabled' AND NOT option_value::boolean) ORDER BY 1"""
    for row in connection.execute(query):
        problem = "is off for its long values (TOAST)"
        fix = f"ALTER TABLE {row['name']} RESET (toast.autovacuum_enabled);"
        yield _setting(f"autovacuum of {row['name']}", problem, "on", "off", fix)
    query = "SELECT age(datfrozenxid) AS age FROM pg_database WHERE datname = current_database()"
    for row in connection.execute(query):
        if row["age"] > limits.transaction_ids:
            yield _setting(
                "transaction ids",
                "old rows are not frozen: at an age of 2000000000 the server stops taking writes",
                f"an age of at most {limits.transaction_ids}",
                row["age"],
                "end the open transactions that are listed below, then VACUUM (FREEZE);",
            )


def _held_back(connection: Connection, limits: Limits) -> Iterator[Finding]:
    """Open transactions, which keep vacuum from removing the rows that died since they began."""
    query = """
        SELECT pid, coalesce(usename, backend_type) AS who, coalesce(nullif(application_name, ''), '?') AS application,
          state, extract(epoch FROM clock_timestamp() - xact_start)::bigint AS seconds
        FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
          AND xact_start < clock_timestamp() - make_interval(secs => %s)
          AND (datname = current_database() OR backend_xid IS NOT NULL) ORDER BY xact_start"""
    for row in connection.execute(query, [limits.transaction_seconds]):
        yield _setting(
            f"transaction of process {row['pid']}",
            f"is open for too long (user {row['who']}, application {row['application']}, {row['state']}), and vacuum "
            "keeps all rows that it may still see",
            f"at most {limits.transaction_seconds:g} s",
            f"{row['seconds']} s",
            f"end it in its program, or SELECT pg_terminate_backend({row['pid']});",
        )
    query = """
        SELECT gid, owner, extract(epoch FROM clock_timestamp() - prepared)::bigint AS seconds FROM pg_prepared_xacts
        WHERE database = current_database() AND prepared < clock_timestamp() - make_interval(secs => %s) ORDER BY 2"""
    for row in connection.execute(query, [limits.transaction_seconds]):
        gid = sql.Literal(row["gid"]).as_string(connection)
        yield _setting(
            f"prepared transaction {gid}",
            f"of {row['owner']} is open for too long, and vacuum keeps all rows that it may still see",
            f"at most {limits.transaction_seconds:g} s",
            f"{row['seconds']} s",
            f"ROLLBACK PREPARED {gid}; or COMMIT PREPARED {gid};",
        )


def _advise(name: str, problem: str, fix: str) -> Finding:
    return Finding("advice", name, problem, "", "", fix)


def _advice(connection: Connection, values: dict[str, Any], settings: Settings) -> Iterator[Finding]:
    """What is not required, but recommended."""
    if connection.info.server_version // 10000 > _NEWEST:
        yield _advise(
            "server_version", f"is newer than {_NEWEST}, the newest that is tested", "run the test suite on it first"
        )
    if values["data_checksums"]["setting"] == "off":
        problem = "are off: damage by a disk is noticed late or never"
        yield _advise("data checksums", problem, "with the server stopped: pg_checksums --enable -D DATADIR")
    for _ in connection.execute("SELECT FROM pg_roles WHERE rolname = session_user AND rolsuper"):
        problem = "is a superuser: who gets its password controls the whole server"
        fix = "CREATE ROLE web LOGIN PASSWORD '...'; GRANT tallymark_writer, tallymark_reader TO web;"
        yield _advise("the user that logs in", problem, fix)
    for row in connection.execute("SELECT quote_literal(slot_name) AS name FROM pg_replication_slots WHERE NOT active"):
        problem = "has no replica connected: the server keeps all WAL for it, until the disk is full"
        yield _advise(f"replication slot {row['name']}", problem, f"SELECT pg_drop_replication_slot({row['name']});")
    if settings.database_read_url is not None:
        for row in connection.execute("SELECT count(*) AS replicas FROM pg_stat_replication"):
            if not row["replicas"]:
                problem = "DATABASE_READ_URL is set, but no replica follows this server now"
                yield _advise("replication", problem, "check the replica's log, and its primary_conninfo")


def _without_timeout(connection: Connection, values: dict[str, Any], settings: Settings) -> Iterator[Finding]:
    """Users of ours whose statements have no time limit."""
    if values["statement_timeout"]["source"] == "configuration file":
        return
    query = """
        SELECT quote_ident(u.rolname) AS name FROM pg_roles AS u
        WHERE u.rolcanlogin AND NOT u.rolsuper AND u.rolname !~ '^tallymark_(owner|writer|reader|admin)$'
          AND EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname IN ('tallymark_writer', 'tallymark_reader')
            AND pg_has_role(u.oid, r.oid, 'MEMBER'))
          AND NOT EXISTS (SELECT FROM pg_db_role_setting AS s, unnest(s.setconfig) AS c (setting)
            WHERE s.setrole IN (u.oid, 0) AND s.setdatabase IN (
                0, (SELECT oid FROM pg_database WHERE datname = current_database()))
              AND c.setting LIKE 'statement\\_timeout=%') ORDER BY 1"""
    for row in connection.execute(query.encode()):
        yield _advise(
            f"role {row['name']}",
            "has no statement_timeout of its own: behind a pooler, where the web server sets none, nothing ends its "
            "statements",
            f"ALTER ROLE {row['name']} SET statement_timeout = {settings.statement_timeout}; "
            f"ALTER ROLE {row['name']} SET idle_in_transaction_session_timeout = '10s';",
        )
