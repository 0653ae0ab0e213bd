"""Installing and upgrading the schema: yoyo as a library, with a lock that a killed process cannot leave behind."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from urllib.parse import urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict
from yoyo import default_migration_table, read_migrations
from yoyo.connections import parse_uri

from tallymark.functions.call import is_pooled
from tallymark.schema.backend import APPLICATION, Backend, MigrationError, Report, explained, silent
from tallymark.schema.files import function_files, sql_root, view_files

__all__ = [
    "OUR_MIGRATION",
    "MigrationError",
    "applied",
    "available",
    "libpq_url",
    "migrate",
    "pending",
    "rollback",
    "yoyo_url",
]

#: Our own migrations are called `NNNN-what`; other projects may keep theirs in the same yoyo table.
OUR_MIGRATION = re.compile(r"\d{4}-")

#: A migration that finds a table held waits for it a few seconds, so many times with such pauses.
_LOCK_ATTEMPTS, _LOCK_PAUSE_SECONDS = 20, 1.0


def libpq_url(url: str) -> str:
    """Turn a URL in the spelling of another library into one that libpq takes.

    Args:
        url: a libpq URL or keyword string; `postgresql+psycopg://...`, as yoyo and SQLAlchemy write it, is taken too.

    Returns:
        The same place in libpq's spelling.
    """
    return re.sub(r"^postgres(ql)?\+\w+://", "postgresql://", url)


def yoyo_url(url: str) -> str:
    """Translate a libpq connection string for yoyo.

    libpq's own parser takes it apart, and every part becomes a query parameter: user names, passwords, socket
    directories and options with any character in them survive, which yoyo's splitting of `user:password@host` would
    not promise.

    Args:
        url: any libpq URL or keyword string.

    Returns:
        A URL of the form `postgresql+psycopg:///?host=...&dbname=...`.

    Raises:
        MigrationError: libpq cannot read the string.
    """
    try:
        parts = conninfo_to_dict(libpq_url(url))
    except psycopg.ProgrammingError as error:
        raise MigrationError(f"not a PostgreSQL connection string: {error}".strip()) from error
    return "postgresql+psycopg:///?" + urlencode(parts)


def migrate(url: str, *, report: Report | None = None, break_lock: bool = False, wait_seconds: float = 60) -> list[str]:
    """Apply what is pending and install all functions and views, also when nothing was pending.

    All of it happens in one transaction, so that whoever calls a function meanwhile gets the old one or the new one,
    and a migration that fails leaves everything as it was.

    Args:
        url: the database, as libpq takes it.
        report: called with one line for each thing done or waited for.
        break_lock: remove a lock that a killed `yoyo` left behind, before anything else.
        wait_seconds: how long to wait for another migration of the same database.

    Returns:
        The ids of the migrations applied now, in order; empty when there was nothing to do.

    Raises:
        MigrationError: locked, newer than this release, not permitted, or an SQL file failed.
    """
    say = report or silent
    with _open(url, say, wait_seconds, break_lock=break_lock) as backend:
        migrations = read_migrations(str(sql_root() / "migrations"))
        _refuse_newer(backend.connection)
        pending_ones = list(backend.to_apply(migrations))
        _patiently(lambda: backend.apply_together(pending_ones, migrations.post_apply), say)
        done = [migration.id for migration in pending_ones]
        say(f"installed {len(function_files()) + len(view_files())} functions and views")
    return done


def rollback(url: str, *, steps: int = 1, report: Report | None = None, wait_seconds: float = 60) -> list[str]:
    """Take back the newest migrations, newest first.

    Args:
        url: the database, as libpq takes it.
        steps: how many migrations to take back, at least 1.
        report: called with one line for each thing done or waited for.
        wait_seconds: how long to wait for another migration of the same database.

    Returns:
        The ids of the migrations taken back, in the order in which that was done; empty when none was applied.

    Raises:
        MigrationError: locked, newer than this release, not permitted, or an SQL file failed.
    """
    say = report or silent
    undone: list[str] = []
    with _open(url, say, wait_seconds) as backend:
        migrations = read_migrations(str(sql_root() / "migrations"))
        _refuse_newer(backend.connection)
        for migration in list(backend.to_rollback(migrations))[:steps]:
            say(f"rolling back {migration.id}")
            with explained(f"rolling back {migration.id} failed"):
                _patiently(partial(backend.rollback_one, migration), say)
            undone.append(migration.id)
    return undone


def pending(url: str) -> list[str]:
    """List the migrations that `migrate` would apply.

    Args:
        url: the database, as libpq takes it.

    Returns:
        Their ids, in order.

    Raises:
        MigrationError: the database cannot be reached.
    """
    known = set(applied(url))
    return [migration_id for migration_id in available() if migration_id not in known]


def available() -> list[str]:
    """List the ids of all migrations of this release, in order."""
    return [migration.id for migration in read_migrations(str(sql_root() / "migrations"))]


def applied(url: str) -> list[str]:
    """List the migrations that the database has, without changing it (yoyo itself would make its tables).

    Args:
        url: the database, as libpq takes it.

    Returns:
        The ids of Tallymark's migrations, in the order in which they were applied.

    Raises:
        MigrationError: the database cannot be reached.
    """
    with explained("cannot read the applied migrations"), psycopg.connect(libpq_url(url)) as connection:
        return _applied_ids(connection)


def _applied_ids(connection: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    """Read the ids of our applied migrations over a connection that is open already."""
    if connection.execute("SELECT to_regclass(%s)", [default_migration_table]).fetchone() == (None,):
        return []
    rows = connection.execute("SELECT migration_id FROM _yoyo_migration ORDER BY applied_at_utc, migration_id")
    return [str(row[0]) for row in rows if OUR_MIGRATION.match(str(row[0]))]


def _refuse_newer(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Keep an old release from putting its functions over the tables of a newer one."""
    unknown = sorted(set(_applied_ids(connection)) - set(available()))
    if unknown:
        raise MigrationError(
            f"the database is newer than this release: it has {', '.join(unknown)}, which no file here describes; "
            "use the release that made it"
        )


def _patiently(act: Callable[[], None], say: Report) -> None:
    """Do something that needs a table for itself, again while somebody else has it.

    Migrations wait for a lock only for moments, since whoever reports waits behind them; so they try several times.
    """
    for attempt in range(_LOCK_ATTEMPTS):
        try:
            act()
        except (psycopg.errors.LockNotAvailable, MigrationError) as error:
            held = isinstance(error.__cause__ or error, psycopg.errors.LockNotAvailable)
            if not held or attempt == _LOCK_ATTEMPTS - 1:
                raise
            if attempt == 0:
                say("waiting: a long transaction holds a table that is to be changed")
            time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            return


@contextmanager
def _open(url: str, say: Report, wait_seconds: float, *, break_lock: bool = False) -> Iterator["Backend"]:
    """Connect yoyo to a database, make yoyo's own tables where they are missing, and hold the lock meanwhile."""
    with explained("cannot connect"):
        place = parse_uri(f"{yoyo_url(url)}&{urlencode({'application_name': APPLICATION})}")
        backend = Backend(place, default_migration_table)
    with backend:
        if is_pooled(backend.connection):
            raise MigrationError(
                "there is a connection pooler between us and the server, which may give each statement to another "
                "session: name the server itself, here and wherever the schema is changed or compared"
            )
        backend.say, backend.wait_seconds = say, wait_seconds
        with explained("cannot prepare yoyo's tables"):
            backend.init_database()
            if break_lock:
                backend.break_lock()
        with backend.lock():
            with explained("cannot prepare yoyo's tables"):
                backend.ensure_internal_schema_updated()
            yield backend
