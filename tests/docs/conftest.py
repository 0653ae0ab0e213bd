"""A server of its own for the documents: they make roles with fixed names, which belong to the whole server."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres

Connection = psycopg.Connection[Any]


class Place:
    """A migrated database on a server of its own.

    Attributes:
        server: The server.
        url: The database, as a superuser.
        db: A connection to it, in autocommit.
        notes: What a fixture has seen, for its tests.
    """

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self.url = server.url
        self.db: Connection = psycopg.connect(server.url, autocommit=True)
        self.notes: dict[str, Any] = {}

    def url_for(self, user: str, database: str = "") -> str:
        """Return the URL of a database, by default this one, for a user whose password is `p`."""
        parts = urlsplit(self.url)
        return f"postgresql://{user}:p@{parts.hostname}:{parts.port}/{database or parts.path[1:]}"

    def value(self, query: str, *parameters: object) -> Any:  # noqa: ANN401 - as SQL has it
        """Run a query; return the first column of its first row."""
        row = self.db.execute(query.encode(), parameters).fetchone()
        return row[0] if row else None


@contextmanager
def made_place(directory: Path) -> Iterator[Place]:
    """Make a database whose server allows prepared transactions and counts what functions cost."""
    with EmbeddedPostgres(directory / "data") as server:
        with psycopg.connect(server.url, autocommit=True) as db:
            db.execute("ALTER SYSTEM SET max_prepared_transactions = 5")
            db.execute("ALTER SYSTEM SET track_functions = 'pl'")
            db.execute("ALTER SYSTEM SET log_line_prefix = '%e '")
        server.stop()
        server.start()
        migrate(server.url)
        made = Place(server)
        yield made
        made.db.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place that the tests of a module share."""
    with made_place(tmp_path_factory.mktemp("documents")) as made:
        yield made


@pytest.fixture
def own_place(tmp_path: Path) -> Iterator[Place]:
    """A place that only one test has."""
    with made_place(tmp_path) as made:
        yield made


class Connect:
    """Opens connections, and closes all of them together. No timeout ends anything, unless a test sets one."""

    def __init__(self) -> None:
        self._opened: list[Connection] = []

    def __call__(self, url: str, *, autocommit: bool = False) -> Connection:
        """Open a connection; in transactions, unless the test says otherwise."""
        options = "-c lock_timeout=60s -c statement_timeout=60s -c idle_in_transaction_session_timeout=0"
        self._opened.append(psycopg.connect(url, autocommit=autocommit, options=options))
        return self._opened[-1]

    def close(self) -> None:
        """Close all of them."""
        while self._opened:
            self._opened.pop().close()


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Opens connections that are closed when the test ends."""
    made = Connect()
    yield made
    made.close()
