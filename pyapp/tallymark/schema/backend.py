"""yoyo's connections to a database, with a lock that ends with its holder, and all migrations in one transaction."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.exceptions import BadMigration

from tallymark.functions.session import (
    PATIENT,
    TO_TAKE,
    Connection,
    connect,
    has_citus,
    identity,
    is_distributed,
    is_pooled,
    same_server,
)
from tallymark.schema.applied_migrations import SCHEMA
from tallymark.schema.dependents import dependents, missing

Report = Callable[[str], None]

#: Our name in pg_stat_activity.
APPLICATION = "tallymark migrate"

#: What yoyo's sessions are set to. Its statements name tables without their schema, and so do migrations of others.
_SESSION = {**PATIENT, "search_path": SCHEMA}

#: Every merge locks a job first. A migration that locks the whole table before anything else meets no running merge
#: while it changes other tables, so it cannot deadlock with one; merges wait, as long as their own timeouts allow.
_LOCK_JOBS = """
DO $$
BEGIN
  IF pg_catalog.to_regclass('tallymark.job') IS NOT NULL THEN
    SET LOCAL lock_timeout = '2s';
    LOCK TABLE tallymark.job IN ACCESS EXCLUSIVE MODE;
  END IF;
END
$$
"""

#: Before migration 0015, the default of an argument was of the row type of `tallymark.job`. PostgreSQL 15.20 then adds
#: no column with a default to that table, as 0007 does. The function is installed again afterwards.
_DROP_OLD_DEFAULT = "DROP FUNCTION IF EXISTS tallymark.combine_updates(tallymark.batch_update[], tallymark.job[])"

#: A user that does not inherit the rights of the schema's owner has them when it takes that role.
_BECOME_OWNER = f"""
SELECT pg_catalog.set_config('role', 'tallymark_owner', true) FROM pg_catalog.pg_namespace AS n
WHERE n.nspname = 'tallymark' AND n.nspowner = pg_catalog.to_regrole('tallymark_owner')::oid
  AND NOT pg_catalog.pg_has_role(session_user, n.nspowner, 'USAGE')
  AND pg_catalog.pg_has_role(session_user, n.nspowner, {TO_TAKE})
"""  # noqa: S608 - made of constants

#: In a distributed database everything is changed as the owner, over one connection to each node: two would wait for
#: each other.
_AS_ONE = """
SET LOCAL citus.multi_shard_modify_mode = 'sequential';
SET LOCAL ROLE tallymark_owner
"""


class MigrationError(Exception):
    """The schema could not be brought to the wanted state; the message says what to do."""


def silent(_line: str) -> None:
    """Drop the reported line."""


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn errors of PostgreSQL and yoyo into a MigrationError that says what could not be done, and names the file."""
    try:
        yield
    except psycopg.errors.DependentObjectsStillExist as error:
        # PostgreSQL's hint is CASCADE, which would drop them.
        users = f"{error.diag.message_primary}: {error.diag.message_detail}"
        raise MigrationError(f"{what}: {users}; drop them first, and make them again afterwards") from error
    except (psycopg.Error, BadMigration, FileNotFoundError) as error:
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        raise MigrationError(f"{what}{notes}: {error}".strip()) from error


class Target(NamedTuple):
    """The database that a URL has led to; in the place of yoyo's own form of a URL, which cannot say all that ours can.

    Attributes:
        url: For further connections to the same server.
        database: Its name, for yoyo.
        identity: What further connections must have in common with the first one.
    """

    url: str
    database: str
    identity: tuple[object, ...]


def find_target(url: str) -> Target:
    """Connect once, to learn which database a URL means."""
    with explained("cannot connect"), connect(url, application=APPLICATION) as connection:
        if is_pooled(connection):
            raise MigrationError(
                "this URL leads to a connection pooler, which may run each statement in another session: "
                "name the server itself in the URL for migrate, rollback and doctor"
            )
        # The name tells our sessions from those of others, whatever the URL calls them.
        pinned = same_server(url, connection, application_name=APPLICATION)
        return Target(pinned, connection.info.dbname, identity(connection))


class Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo publishes no types
    """yoyo's backend with connections of ours, and another way of holding yoyo's lock row.

    yoyo commits the row and deletes it afterwards, so that a killed process leaves it behind. Here the row is inserted
    and never committed: any other process that inserts it, a plain `yoyo apply` included, waits in the unique index
    until our transaction ends, and the server ends it when we die.
    """

    say: Report = staticmethod(silent)
    wait_seconds: float = 60
    _held = False

    def connect(self, dburi: Target) -> Connection:
        """Open a connection, for yoyo."""
        connection = connect(dburi.url, session=_SESSION)
        if identity(connection) != dburi.identity:
            connection.close()
            raise MigrationError(
                f"a further connection by this URL led to another database than {dburi.database!r}, or its server was "
                "restarted meanwhile: try again, with a URL that names one server"
            )
        if has_citus(connection) and not is_distributed(connection):
            # The nodes get the schema by `tallymark distribute`, which first closes their rights.
            connection.execute("SET citus.enable_ddl_propagation = off")
        return connection

    @contextmanager
    def lock(self, timeout: float = 0) -> Iterator[None]:  # noqa: ARG002 - yoyo passes it, we use wait_seconds
        """Hold yoyo's lock; entering it twice is harmless."""
        if self._held:
            yield
            return
        with self.copy() as holder:
            self._take_row(holder.connection)
            self._held = True
            try:
                yield
            finally:
                self._held = False
                holder.connection.execute("ROLLBACK")

    def apply_together(self, migrations: Sequence[Any], post_apply: Sequence[Any]) -> None:
        """Apply migrations, mark them, and install the functions, all in one transaction."""
        with self.copy() as worker:
            worker.ensure_internal_schema_updated()
            with worker.transaction():
                if migrations:
                    worker.lock_jobs()
                    worker.connection.execute(_DROP_OLD_DEFAULT)
                for migration in migrations:
                    self.say(f"applying {migration.id}")
                    with explained(f"migration {migration.id} failed"):
                        worker.run_steps(migration, "apply")
                        worker.mark_one(migration, log=False)
                        worker.log_migration(migration, "apply")
                with explained("installing functions and views failed"):
                    worker.connection.execute("RESET ROLE")
                    for hook in post_apply:
                        hook.process_steps(worker, "apply")

    def take_back_together(self, migrations: Sequence[Any]) -> None:
        """Take back migrations in this order, all in one transaction, unless that would drop what users made."""
        with self.copy() as worker:
            worker.ensure_internal_schema_updated()
            with worker.transaction():
                worker.lock_jobs()
                theirs = dependents(worker.connection)
                for migration in migrations:
                    self.say(f"rolling back {migration.id}")
                    with explained(f"rolling back {migration.id} failed, so nothing was taken back"):
                        worker.run_steps(migration, "rollback")
                        worker.unmark_one(migration, log=False)
                        worker.log_migration(migration, "rollback")
                if lost := missing(worker.connection, theirs):
                    raise MigrationError(
                        f"this would also drop {', '.join(lost)}, so nothing was taken back: drop what depends on "
                        "Tallymark first, and make it again afterwards"
                    )

    def lock_jobs(self) -> None:
        """Lock the table of jobs, if there is one, as the owner of the schema."""
        with explained("cannot lock the table of jobs"):
            self._become_owner()
            self.connection.execute(_LOCK_JOBS)

    def _become_owner(self) -> None:
        """Take the role of the schema's owner, where the user lacks its rights or the jobs are distributed."""
        self.connection.execute(_AS_ONE if is_distributed(self.connection) else _BECOME_OWNER)

    def run_steps(self, migration: Any, direction: str) -> None:  # noqa: ANN401 - yoyo's class
        """Run a migration's statements, by a user that does not inherit rights as the owner of the schema."""
        migration.load()
        [path] = self.connection.execute("SELECT pg_catalog.current_setting('search_path')").fetchone()
        for step in migration.steps if direction == "apply" else reversed(migration.steps):
            self._become_owner()
            getattr(step, direction)(self)
        # A migration's own settings must not hold for yoyo's statements.
        self.connection.execute("RESET ROLE")
        self.connection.execute("SELECT pg_catalog.set_config('search_path', %s, true)", [path])

    def _take_row(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        """Insert the lock row, waiting until nobody else holds it, and leave the transaction open."""
        connection.execute("SET lock_timeout = '1s'")
        deadline = time.monotonic() + self.wait_seconds
        told = False
        while True:
            try:
                connection.execute("BEGIN")
                connection.execute(
                    "INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, timezone('UTC', now()), %s)",
                    [os.getpid()],
                )
            except psycopg.errors.LockNotAvailable:
                holder = "another `tallymark migrate` runs on this database"
            except psycopg.errors.UniqueViolation:
                holder = self._committed_holder(connection)
            except psycopg.Error as error:
                raise MigrationError(f"cannot take yoyo's lock: {error}".strip()) from error
            else:
                return
            connection.execute("ROLLBACK")
            if time.monotonic() > deadline:
                raise MigrationError(holder)
            if holder and not told:
                self.say(f"waiting: {holder}")
                told = True

    def _committed_holder(self, connection: psycopg.Connection[tuple[object, ...]]) -> str:
        """Say who holds a committed lock row. Remove the row, and say nothing, if no other process is connected."""
        connection.execute("ROLLBACK")
        row = connection.execute("SELECT pid, ctime FROM yoyo_lock").fetchone()
        if row is None:
            return ""
        since = f"process {row[0]} locked this database at {row[1]} UTC"
        # yoyo keeps its connection open for as long as it holds the row.
        others = connection.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND application_name IS DISTINCT FROM %s LIMIT 1",
            [APPLICATION],
        ).fetchone()
        if others is None:
            connection.execute("DELETE FROM yoyo_lock WHERE (pid, ctime) = (%s, %s)", row)
            self.say(f"removed a stale lock: {since}, and no other process is connected now")
            return ""
        time.sleep(0.2)
        return f"{since}; if that process was killed and no migration runs, use `tallymark migrate --break-lock`"
