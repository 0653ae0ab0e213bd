"""Compares a database's catalogue with that of a reference: a scratch database that is made from the SQL files."""

import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import psycopg
from psycopg import sql

from tallymark.functions.session import PATIENT, connect, is_distributed, same_server
from tallymark.schema.backend import Report, silent
from tallymark.schema.catalogue import DISTRIBUTED_ROLE_ASPECTS, Catalogue, read_catalogue
from tallymark.schema.cluster import WORKER, is_worker, nodes
from tallymark.schema.comparison import Finding, compare
from tallymark.schema.migrate import MigrationError, NotReadableError, available, migrate, readable_ids
from tallymark.schema.nodes import as_distributed, examine_nodes

#: A scratch database older than this belongs to a run that was killed; a younger one may be in use.
LEFTOVER_SECONDS = 600

_SCRATCH = re.compile(r"tallymark_doctor_([0-9a-f]+)_[0-9a-f]{12}")
_NEEDS = "Run the doctor as a role with CREATEDB that is a member of tallymark_owner"

#: Starts another server, and gives the URL of an empty database there; raises a DoctorError where it cannot.
SpareServer = Callable[[], AbstractContextManager[str]]


class DoctorError(Exception):
    """The comparison could not be made; the message says what would make it possible."""


def findings(url: str, *, report: Report = silent, spare_server: SpareServer | None = None) -> list[Finding]:
    """List every difference between a database, which is only read, and the SQL files of this release.

    The reference is a scratch database on the same server, which is dropped again; where none may be created, it is
    made on `spare_server`. Where the jobs are distributed over several servers, each of them is looked at as well, its
    settings included. `report` gets a line when the reference is not as good as it could be. Raises a
    DoctorError if the database cannot be read, or no reference can be made.
    """
    try:
        with connect(url, session=PATIENT) as connection:
            if is_worker(connection):
                raise DoctorError(WORKER)
            installed = read_catalogue(connection)
            if ("schema", "tallymark") not in installed.entries:
                return [Finding("schema", "tallymark", "is missing", "", "", "tallymark migrate")]
            migrations = _migration_findings(connection, report)
            reference = _reference(url, connection, report, spare_server)
            if not is_distributed(connection):
                return migrations + compare(reference, installed)
            report(f"the jobs are distributed over {len(nodes(connection))} servers; each is checked as well")
            differences = compare(as_distributed(reference), installed, roles=DISTRIBUTED_ROLE_ASPECTS)
            return migrations + differences + examine_nodes(connection)
    except (psycopg.Error, MigrationError) as error:
        raise DoctorError(str(error).strip()) from error


def _migration_findings(connection: psycopg.Connection[Any], report: Report) -> list[Finding]:
    """List the migrations that the database or this release does not have, if the user may read which it has."""
    try:
        here, there = available(), readable_ids(connection)
    except NotReadableError as error:
        report(f"{error}. What they make is compared all the same")
        return []
    advice = "use the release that made the database"
    missing = [
        Finding("migration", name, "is not applied", "applied", "pending", "tallymark migrate")
        for name in here
        if name not in there
    ]
    return missing + [
        Finding("migration", name, "is applied but in no file", "", "applied", advice)
        for name in there
        if name not in here
    ]


def _reference(
    url: str, connection: psycopg.Connection[Any], report: Report, spare_server: SpareServer | None
) -> Catalogue:
    """Read the catalogue that the files give, from the same server where that is possible."""
    try:
        with _scratch_database(url, connection) as scratch:
            return _catalogue_of_files(scratch)
    except (psycopg.Error, MigrationError) as error:
        reason = f"no scratch database on this server ({str(error).strip()})"
        if spare_server is None:
            raise DoctorError(f"nothing to compare with: {reason}. {_NEEDS}") from error
    report(
        f"{reason}; comparing with an embedded server instead. If its version is another, views and SQL-standard "
        "bodies are not compared"
    )
    try:
        with spare_server() as spare:
            return _catalogue_of_files(spare)
    except (psycopg.Error, MigrationError, DoctorError) as error:
        raise DoctorError(
            f"nothing to compare with: {reason}, and no embedded server ({str(error).strip()}). {_NEEDS}"
        ) from error


def _catalogue_of_files(url: str) -> Catalogue:
    """Migrate an empty database and read its catalogue."""
    migrate(url)
    with connect(url, session=PATIENT) as connection:
        return read_catalogue(connection)


@contextmanager
def _scratch_database(url: str, connection: psycopg.Connection[Any]) -> Iterator[str]:
    """Make an empty database on a server, yield how to reach it, and drop it again whatever happens.

    `url` and `connection`, which is in autocommit, lead to any database of that server.
    """
    _sweep(connection)
    # The name says when it was made, so that a later run can tell a leftover from one in use.
    name = f"tallymark_doctor_{int(time.time()):x}_{secrets.token_hex(6)}"
    # Locales of another encoding would be refused.
    row = connection.execute(
        "SELECT datcollate, datctype FROM pg_database"
        " WHERE datname = current_database() AND encoding = pg_char_to_encoding('UTF8')"
    ).fetchone()
    try:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE {} LC_CTYPE {}").format(
                sql.Identifier(name), *(row or ("C", "C"))
            )
        )
        yield same_server(url, connection, dbname=name)
    finally:
        # A standby has made none, and refuses to drop one.
        with suppress(psycopg.errors.ReadOnlySqlTransaction):
            _drop(connection, name)


def _sweep(connection: psycopg.Connection[Any]) -> None:
    """Drop the scratch databases that killed runs left behind."""
    for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall():
        match = _SCRATCH.fullmatch(name)
        if match and int(match[1], 16) < time.time() - LEFTOVER_SECONDS:
            # Another role's leftover can only be dropped by that role, and none on a standby.
            with suppress(psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
                _drop(connection, name)


def _drop(connection: psycopg.Connection[Any], name: str) -> None:
    """Drop a database, and end the connections to it."""
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
