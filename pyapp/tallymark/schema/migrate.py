"""Installs, upgrades and takes back the schema, with yoyo as a library."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from yoyo import read_migrations

from tallymark.functions.session import connect, is_distributed, libpq_url
from tallymark.schema.applied_migrations import TABLE, applied_ids, gather
from tallymark.schema.backend import Backend, MigrationError, Report, explained, find_target, silent
from tallymark.schema.files import function_files, sql_root, view_files
from tallymark.schema.obstacles import holders, obstacles

__all__ = [
    "MigrationError",
    "NotReadableError",
    "applied",
    "available",
    "libpq_url",
    "migrate",
    "pending",
    "readable_ids",
    "rollback",
]


#: The rollbacks up to this migration, the last one before the jobs could be distributed, hold only on one server.
_LAST_FOR_ONE_SERVER = "0020"


class NotReadableError(MigrationError):
    """The user of the database may not read which migrations were applied."""


#: A migration waits for a locked table for 2 seconds; it tries this often, with such pauses.
_LOCK_ATTEMPTS, _LOCK_PAUSE_SECONDS = 20, 1.0


def migrate(url: str, *, report: Report = silent, break_lock: bool = False, wait_seconds: float = 60) -> list[str]:
    """Apply pending migrations and install all functions and views, also when nothing was pending.

    All of it is one transaction: a function that is called meanwhile is the old one or the new one, and a migration
    that fails changes nothing. Raises a MigrationError if the database is locked, newer than this release, read-only
    or not in UTF8, if a right is missing, or if an SQL file failed.

    Args:
        url: the database, as libpq takes it.
        report: gets one line for each thing done or waited for.
        break_lock: first remove a lock that a killed `yoyo` left behind.
        wait_seconds: how long to wait for another migration of the same database.

    Returns:
        The ids of the migrations applied now, in order.
    """
    with _open(url, report, wait_seconds, break_lock=break_lock) as backend:
        migrations = read_migrations(str(sql_root() / "migrations"))
        pending_ones = list(backend.to_apply(migrations))
        _patiently(backend, lambda: backend.apply_together(pending_ones, migrations.post_apply))
        done = [migration.id for migration in pending_ones]
        report(f"installed {len(function_files()) + len(view_files())} functions and views")
    return done


def rollback(url: str, *, steps: int = 1, report: Report = silent, wait_seconds: float = 60) -> list[str]:
    """Take back the newest migrations, newest first, and return their ids; arguments and errors as for `migrate`.

    All of it is one transaction: where one of them cannot be taken back, as 0007 after a `tallymark prune`, or where
    that would drop what users made, such as a view on a table of ours, none is.
    """
    with _open(url, report, wait_seconds, installs=False) as backend:
        migrations = read_migrations(str(sql_root() / "migrations"))
        newest = list(backend.to_rollback(migrations))[:steps]
        if newest:
            old = [migration.id for migration in newest if migration.id[:4] <= _LAST_FOR_ONE_SERVER]
            if old and is_distributed(backend.connection):
                raise MigrationError(
                    f"the rollback of {old[0]} was written for one server, and this database is distributed over "
                    "several, so nothing was taken back: first bring it back to one, as docs/scaling.md describes"
                )
            _patiently(backend, lambda: backend.take_back_together(newest))
    return [migration.id for migration in newest]


def pending(url: str) -> list[str]:
    """List the ids of the migrations that `migrate` would apply, in order."""
    known = set(applied(url))
    return [migration_id for migration_id in available() if migration_id not in known]


def available() -> list[str]:
    """List the ids of all migrations of this release, in order."""
    return [migration.id for migration in read_migrations(str(sql_root() / "migrations"))]


def applied(url: str) -> list[str]:
    """List the ids of our migrations that the database has, in the order in which they were applied.

    Nothing is changed, while yoyo itself would create its tables.
    """
    with explained("cannot read the applied migrations"), connect(url) as connection:
        return readable_ids(connection)


def readable_ids(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the ids of our applied migrations, in the order in which they were applied.

    Raises:
        NotReadableError: The user may not read them.
    """
    try:
        return applied_ids(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotReadableError(
            f"this user of the database, {connection.info.user}, may not read which migrations were applied; "
            "name the user that installed"
        ) from error


def _refuse_newer(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Keep an old release from putting its functions over the tables of a newer one."""
    unknown = sorted(set(applied_ids(connection)) - set(available()))
    if unknown:
        raise MigrationError(
            f"the database is newer than this release: it has {', '.join(unknown)}, which this release does not know; "
            "use the release that made it"
        )


def _patiently(backend: Backend, act: Callable[[], None]) -> None:
    """Do something that locks a table, and try again while others hold it.

    Each attempt waits for the lock only briefly, since all crawlers' updates wait behind it.
    """
    for attempt in range(_LOCK_ATTEMPTS):
        try:
            act()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, MigrationError) as error:
            # A deadlock: a crawler waits for a job that the migration changed, and has a lock on the table.
            held = isinstance(
                error.__cause__ or error, (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
            )
            if not held:
                raise
            why = f"a long transaction holds a lock on a table that the migration changes{_holders(backend)}"
            if attempt == _LOCK_ATTEMPTS - 1:
                raise MigrationError(f"{why}; nothing was changed, so run this again when it has ended") from error
            if attempt == 0:
                backend.say(f"waiting: {why}")
            time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            return


def _holders(backend: Backend) -> str:
    """Name the sessions that hold locks on our tables, to be appended to a sentence."""
    return "".join(f"; {holder}" for holder in holders(backend.connection))


@contextmanager
def _open(
    url: str, say: Report, wait_seconds: float, *, break_lock: bool = False, installs: bool = True
) -> Iterator["Backend"]:
    """Connect yoyo to a database, create yoyo's own tables where they are missing, and hold the lock.

    Before anything is changed, what stands in the way is looked for; `installs` is False for a rollback.
    """
    target = find_target(url)
    with explained("cannot connect"):
        backend = Backend(target, TABLE)
    with backend:
        with explained("cannot look for what stands in the way"):
            if found := obstacles(backend.connection, installs=installs):
                raise MigrationError("\n".join(found))
            _refuse_newer(backend.connection)
        backend.say, backend.wait_seconds = say, wait_seconds
        with explained("cannot prepare yoyo's tables"):
            backend.init_database()
            if break_lock:
                backend.break_lock()
        with backend.lock():
            with explained("cannot prepare yoyo's tables"):
                backend.ensure_internal_schema_updated()
            _refuse_newer(backend.connection)
            with explained("cannot move the record of applied migrations to the schema public"):
                gather(backend.connection, say)
            yield backend
