"""The database that is measured: one of its own, with the schema in it, on an embedded server or on a given one."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from benchmarks.figures import Say, filesystem
from benchmarks.trees import THIS, Tree
from tallymark.schema.migrate import libpq_url, migrate
from tallymark.server import EmbeddedPostgres

SQL = Path(__file__).parent / "sql"

_SETTINGS = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated database with the schema `bench` in it, to be used and thrown away.

    Attributes:
        url: A libpq URL, with the password in it.
        connection: In autocommit; for making data and for looking at what came out.
        data: What the server keeps its data on, or that nobody here knows.
    """

    url: str
    connection: psycopg.Connection[Any]
    data: str

    def value(self, query: str, *parameters: object) -> Any:  # noqa: ANN401 - as SQL has it
        """Run a query.

        Returns:
            The first column.
        """
        row = self.connection.execute(query.encode(), parameters).fetchone()
        return row[0] if row else None

    def run_file(self, name: str) -> None:
        """Run a file of `benchmarks/sql`."""
        self.connection.execute((SQL / name).read_bytes())

    def settle(self) -> None:
        """Clear up after making data, so that the first slice does not pay for it."""
        self.connection.execute("VACUUM (ANALYZE) tallymark.job, tallymark.job_event")
        self.connection.execute("CHECKPOINT")

    def describe(self) -> dict[str, str]:
        """Return the server's version and those of its settings that the figures depend on."""
        return {name: self.connection.info.parameter_status(name) or self._setting(name) for name in _SETTINGS} | {
            "data": self.data
        }

    def _setting(self, name: str) -> str:
        return str(self.value("SELECT current_setting(%s)", name))


@contextmanager
def database(given: str | None, say: Say, tree: Tree = THIS) -> Iterator[Database]:
    """Make the database, and take it away again.

    Args:
        given: A libpq URL with a superuser's name; a new database is made beside the one it names. With None an
            embedded server is started, with the settings that the product gives it.
        say: Told what takes a while, a line at a time.
        tree: Whose schema is installed.

    Yields:
        The database.

    Raises:
        EmbeddedPostgresError: The embedded server does not start.
        MigrationError: The schema cannot be installed.
        psycopg.Error: The given server cannot be used.
    """
    if given is not None:
        with _made_beside(given, say, tree) as made:
            yield made
        return
    with tempfile.TemporaryDirectory(prefix="tallymark-bench-") as directory:
        data = Path(directory) / "data"
        say("starting an embedded PostgreSQL")
        with (
            EmbeddedPostgres(data, report=say) as server,
            _installed(server.url, filesystem(data), say, tree) as made,
        ):
            yield made


@contextmanager
def _made_beside(given: str, say: Say, tree: Tree) -> Iterator[Database]:
    parts = conninfo_to_dict(libpq_url(given))
    name = f"tallymark_bench_{secrets.token_hex(4)}"
    with psycopg.connect(libpq_url(given), autocommit=True) as connection:
        say(f"making the database {name}")
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            url = "postgresql:///?" + urlencode({**parts, "dbname": name})
            with _installed(url, "not known", say, tree) as made:
                yield made
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _installed(url: str, data: str, say: Say, tree: Tree) -> Iterator[Database]:
    if tree is THIS:
        migrate(url, report=say)
    else:
        tree.migrate(url)
    with psycopg.connect(url, autocommit=True) as connection:
        made = Database(url, connection, data)
        # The tree's own file, which fits its tables.
        connection.execute((tree.root / "benchmarks" / "sql" / "schema.sql").read_bytes())
        yield made


def libpq_environment(url: str) -> dict[str, str]:
    """Return an environment in which libpq's programs find a database; on a command line all could read the password.

    Returns:
        Our own environment, with what the URL says under the names that libpq reads.
    """
    said = {
        option.envvar.decode(): option.val.decode()
        for option in psycopg.pq.Conninfo.parse(url.encode())
        if option.envvar and option.val
    }
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | said
