"""yoyo's connection to a database, with another way of holding its lock; and migrations that are one transaction."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.exceptions import BadMigration

Report = Callable[[str], None]

#: What the database calls us in its lists.
APPLICATION = "tallymark migrate"

#: Whoever merges locks a job first. With the whole table ours before anything else, nobody is in the middle of a merge
#: while other tables are changed, and nobody deadlocks with us; they wait, which their own timeouts bound.
_HAVE_JOBS_TO_OURSELVES = """
DO $$
BEGIN
  IF pg_catalog.to_regclass('tallymark.job') IS NOT NULL THEN
    SET LOCAL lock_timeout = '2s';
    LOCK TABLE tallymark.job IN ACCESS EXCLUSIVE MODE;
  END IF;
END
$$
"""


class MigrationError(Exception):
    """The schema could not be brought to the wanted state; the message says why and what to do."""


def silent(_line: str) -> None:
    """Report to nobody."""


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn the errors of PostgreSQL and yoyo into one of ours that names the step and the file.

    Args:
        what: What could not be done.

    Raises:
        MigrationError: Instead of theirs.
    """
    try:
        yield
    except (psycopg.Error, BadMigration, FileNotFoundError) as error:
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        raise MigrationError(f"{what}{notes}: {error}".strip()) from error


class Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo publishes no types
    """yoyo's backend with another way of holding yoyo's lock row.

    yoyo commits the row and deletes it afterwards, so that a killed process leaves it behind. Here the row is inserted
    and never committed: whoever else inserts it, a plain `yoyo apply` included, waits in the unique index until our
    transaction ends, and the server ends it when we die.
    """

    say: Report = staticmethod(silent)
    wait_seconds: float = 60
    _held = False

    @contextmanager
    def lock(self, timeout: float = 0) -> Iterator[None]:  # noqa: ARG002 - yoyo passes it, wait_seconds stands for it
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
        """Apply migrations, mark them, and install the functions, all in one transaction.

        Args:
            migrations: Those that are pending, in their order.
            post_apply: What installs the functions.

        Raises:
            MigrationError: One of them failed, and nothing was changed.
        """
        with self.copy() as worker:
            worker.ensure_internal_schema_updated()
            with worker.transaction():
                if migrations:
                    with explained("cannot get the table of jobs for a moment"):
                        worker.execute(_HAVE_JOBS_TO_OURSELVES)
                for migration in migrations:
                    self.say(f"applying {migration.id}")
                    with explained(f"migration {migration.id} failed"):
                        migration.process_steps(worker, "apply")
                        # What a migration sets for itself would else hold for yoyo's own statements.
                        worker.execute("SET LOCAL search_path TO DEFAULT")
                        worker.mark_one(migration, log=False)
                        worker.log_migration(migration, "apply")
                with explained("installing functions and views failed"):
                    for hook in post_apply:
                        hook.process_steps(worker, "apply")

    def _take_row(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        """Insert the lock row, waiting for whoever has it, and leave the transaction open."""
        # The waiting and the holding must not fall to a timeout that was set for ordinary queries.
        connection.execute("SET statement_timeout = 0")
        connection.execute("SET idle_in_transaction_session_timeout = 0")
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
                holder = "another `tallymark migrate` is at work on this database"
            except psycopg.errors.UniqueViolation:
                holder = self._committed_holder(connection)
            except psycopg.errors.UndefinedTable as error:
                # yoyo says nothing when it may not make it.
                raise MigrationError("cannot make yoyo's tables: CREATE on schema public is missing") from error
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
        """Say who holds a committed lock row; remove it when nobody who could have made it is connected any more.

        Returns:
            A message, or an empty string when the row is gone and the next attempt may succeed at once.
        """
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
            self.say(f"removed a lock that was left behind: {since}, and nobody else is connected any more")
            return ""
        time.sleep(0.2)
        return f"{since}; if that was killed and no migration is running any more, run `tallymark migrate --break-lock`"
