"""Is the database what the files say? Compares its catalogue with that of a database made from the files just now."""

import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tallymark.schema.catalogue import Catalogue, read_catalogue
from tallymark.schema.comparison import Finding, compare
from tallymark.schema.migrate import MigrationError, applied, available, libpq_url, migrate

#: A scratch database this old belongs to a run that was killed; a younger one may be in use.
LEFTOVER_SECONDS = 600

_SCRATCH = re.compile(r"tallymark_doctor_([0-9a-f]+)_[0-9a-f]{12}")


class DoctorError(Exception):
    """The comparison could not be made; the message says why and what would make it possible."""


def findings(url: str, *, report: Callable[[str], None] | None = None) -> list[Finding]:
    """List every difference between a database and the SQL files of this release.

    The reference is a scratch database on the same server, made from the files and dropped again; where none may be
    created it is an embedded server. The database under examination is only read.

    Args:
        url: the database, as libpq takes it.
        report: called with a line when the reference is not as good as it could be.

    Returns:
        The differences, empty when there is none.

    Raises:
        DoctorError: the database cannot be read, or no reference can be made.
    """
    try:
        with psycopg.connect(libpq_url(url), autocommit=True) as connection:
            installed = read_catalogue(connection)
            if ("schema", "tallymark") not in installed.entries:
                return [Finding("schema", "tallymark", "is missing", "", "", "tallymark migrate")]
            reference = _reference(url, connection, report)
        return _migration_findings(url) + compare(reference, installed)
    except (psycopg.Error, MigrationError) as error:
        raise DoctorError(str(error).strip()) from error


def _migration_findings(url: str) -> list[Finding]:
    """List the migrations that the database or this release does not have."""
    here, there = available(), applied(url)
    return [
        Finding("migration", name, "is not applied", "applied", "pending", "tallymark migrate")
        for name in here
        if name not in there
    ] + [
        Finding(
            "migration", name, "is applied but in no file", "", "applied", "use the release that the database is of"
        )
        for name in there
        if name not in here
    ]


def _reference(url: str, connection: psycopg.Connection[Any], report: Callable[[str], None] | None) -> Catalogue:
    """Read the catalogue that the files give, from the same server where that is possible."""
    try:
        with _scratch_database(url, connection) as scratch:
            return _catalogue_of_files(scratch)
    except (psycopg.Error, MigrationError) as error:
        reason = str(error).strip()
    if report:
        report(
            f"no scratch database on this server ({reason}); comparing with an embedded server instead. "
            "Where its version is another, views and SQL-standard bodies are not compared"
        )
    # Imported only here: a host with a server of its own never needs the embedded one.
    from tallymark.server import EmbeddedPostgres, EmbeddedPostgresError

    try:
        with (
            tempfile.TemporaryDirectory(prefix="tallymark-doctor-") as directory,
            EmbeddedPostgres(Path(directory) / "data") as server,
        ):
            return _catalogue_of_files(server.url)
    except (psycopg.Error, MigrationError, OSError, EmbeddedPostgresError) as error:
        raise DoctorError(
            f"nothing to compare with: no scratch database on the server ({reason}), and no embedded server "
            f"({str(error).strip()}). Run the doctor as a role with CREATEDB that is a member of tallymark_owner"
        ) from error


def _catalogue_of_files(url: str) -> Catalogue:
    """Migrate an empty database and read what that gives."""
    migrate(url)
    with psycopg.connect(url, autocommit=True) as connection:
        return read_catalogue(connection)


@contextmanager
def _scratch_database(url: str, connection: psycopg.Connection[Any]) -> Iterator[str]:
    """Make an empty database on the server of a connection, and drop it again whatever happens.

    Args:
        url: how to reach the server.
        connection: an autocommit connection to any database there.

    Yields:
        How to reach the new database.
    """
    _sweep(connection)
    # The name says when it was made, so that a later run can tell a leftover from one in use.
    name = f"tallymark_doctor_{int(time.time()):x}_{secrets.token_hex(6)}"
    row = connection.execute(
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    encoding, collate, ctype = row or ("UTF8", "C", "C")
    try:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
                sql.Identifier(name), encoding, collate, ctype
            )
        )
        yield make_conninfo(libpq_url(url), dbname=name)
    finally:
        _drop(connection, name)


def _sweep(connection: psycopg.Connection[Any]) -> None:
    """Drop the scratch databases that killed runs left behind."""
    for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall():
        match = _SCRATCH.fullmatch(name)
        if match and int(match[1], 16) < time.time() - LEFTOVER_SECONDS:
            # Another role's leftover is that role's to sweep.
            with suppress(psycopg.errors.InsufficientPrivilege):
                _drop(connection, name)


def _drop(connection: psycopg.Connection[Any], name: str) -> None:
    """Drop a database, with whoever is still connected to it."""
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
