"""Databases over all nodes of the cluster that CITUS_URL names, each for one test or a few."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

Connection = psycopg.Connection[Any]

#: Given to a server that should not pass CREATE DATABASE on: Citus wants it by hand, on each node.
_ALONE = "-c citus.enable_create_database_propagation=off"


def given() -> str:
    """Return the URL of the coordinator's database, or skip the test where none is given."""
    url = os.environ.get("CITUS_URL", "")
    if not url:
        pytest.skip(
            "NOT TESTED: there is no Citus here. make test-citus CITUS_URL=postgresql://superuser@coordinator/database "
            "with a database whose coordinator knows its nodes"
        )
    return url


@dataclass(frozen=True)
class Database:
    """One database of the cluster: how to reach it on the coordinator, and on each worker."""

    url: str
    workers: tuple[str, ...]

    @property
    def everywhere(self) -> tuple[str, ...]:
        """The URLs on all nodes, that of the coordinator first."""
        return (self.url, *self.workers)

    def add_worker(self, number: int) -> None:
        """Make a worker known to the coordinator, as `citus_add_node` does it."""
        at = conninfo_to_dict(self.workers[number])
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT citus_add_node(%s, %s)", [at["host"], int(at["port"] or 5432)])


@contextmanager
def database(*, known: int | None = None, tells: bool = True) -> Iterator[Database]:
    """Make a database on all nodes, of which the coordinator knows the first `known` (default: all), and drop it.

    With `tells=False` the nodes are not told where the coordinator is.
    """
    url = given()
    name = f"tallymark_test_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as connection:
        places = connection.execute(
            "SELECT nodename, nodeport FROM pg_dist_node WHERE noderole = 'primary' ORDER BY groupid <> 0, nodeid"
        ).fetchall()
        assert len(places) > 2, "the tests need a coordinator that knows its own name, and two workers"
    servers = [make_conninfo(url, host=host, port=port, options=_ALONE) for host, port in places]
    try:
        for server in servers:
            _run(server, sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
            _run(make_conninfo(server, dbname=name), sql.SQL("CREATE EXTENSION citus"))
        coordinator, *workers = (_uri(make_conninfo(url, host=host, port=port, dbname=name)) for host, port in places)
        made = Database(coordinator, tuple(workers))
        with psycopg.connect(coordinator, autocommit=True) as connection:
            if tells:
                connection.execute("SELECT citus_set_coordinator_host(%s, %s)", places[0])
        for number in range(len(workers) if known is None else known):
            made.add_worker(number)
        yield made
    finally:
        for server in servers:
            _run(server, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def on(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a statement on one node alone, and return its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET citus.enable_ddl_propagation = off")
        cursor = connection.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


def _uri(conninfo: str) -> str:
    """Write a connection string as a URL, which the endpoint wants."""
    given = {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}
    return f"postgresql:///{quote(given.pop('dbname'), safe='')}?{urlencode(given, quote_via=quote)}"


def _run(url: str, statement: sql.SQL | sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
