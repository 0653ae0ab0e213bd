"""A distributed database on a cluster of Citus that is given, and beside it a plain one on the coordinator's server."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from benchmarks.cpu import postmaster
from benchmarks.database import Database
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Say
from tallymark.schema.distribute import distribute
from tallymark.schema.migrate import libpq_url, migrate

SHARDS = 32

#: Citus wants CREATE DATABASE by hand, on each node.
_ALONE = "-c citus.enable_create_database_propagation=off"
_PLACES = "SELECT nodename, nodeport FROM pg_dist_node WHERE noderole = 'primary' ORDER BY groupid <> 0, nodeid"
_HAS_CITUS = "SELECT FROM pg_extension WHERE extname = 'citus'"
_PLACE = """
SELECT n.nodeport FROM pg_dist_placement AS p JOIN pg_dist_node AS n USING (groupid)
WHERE p.shardid = get_shard_id_for_distribution_column('tallymark.job', %s::text) AND n.noderole = 'primary'
"""


@dataclass(frozen=True, slots=True)
class Node:
    """A server of the cluster, and its main process on this machine."""

    database: Database
    port: int
    server: psutil.Process


@dataclass(frozen=True, slots=True)
class Cluster:
    """What is compared.

    Attributes:
        plain: A database that is not distributed, on the coordinator's server: the same program and settings.
        nodes: The distributed database, as the coordinator and each worker sees it.
    """

    plain: Database
    nodes: tuple[Node, ...]

    @property
    def coordinator(self) -> Database:
        """The distributed database, on the coordinator."""
        return self.nodes[0].database

    @property
    def workers(self) -> tuple[Database, ...]:
        """The distributed database, on each worker."""
        return tuple(node.database for node in self.nodes[1:])

    def worker_of(self, job_id: str) -> Database:
        """Return the distributed database on the node that has a job."""
        port = self.coordinator.value(_PLACE, job_id)
        return next(node.database for node in self.nodes if node.port == port)


@contextmanager
def cluster(url: str, say: Say) -> Iterator[Cluster]:
    """Make both databases, with the schema, and drop them.

    Args:
        url: A superuser's, of a database whose coordinator knows its own name and its workers.
        say: Told what takes a while.

    Raises:
        BenchmarkError: It is no such database, or its nodes are on other machines.
        MigrationError: The schema cannot be installed or distributed.
        psycopg.Error: A node cannot be used.
    """
    places = _places(url)
    with ExitStack() as running:
        name = f"tallymark_bench_{secrets.token_hex(4)}"
        say(f"making the databases {name} on {len(places)} nodes, and {name}_plain on the coordinator's server")
        urls = [
            running.enter_context(_made(make_conninfo(url, host=host, port=port, options=_ALONE), name))
            for host, port in places
        ]
        for each in urls:
            _run(each, "CREATE EXTENSION citus")
        first = make_conninfo(url, host=places[0][0], port=places[0][1], options=_ALONE)
        plain = running.enter_context(_made(first, f"{name}_plain"))
        _run(urls[0], "SELECT citus_set_coordinator_host(%s, %s)", *places[0])
        for place in places[1:]:
            _run(urls[0], "SELECT citus_add_node(%s, %s)", *place)
        migrate(plain, report=say)
        distribute(urls[0], shards=SHARDS, report=say)
        databases = [running.enter_context(_connected(each)) for each in (plain, *urls)]
        nodes = zip(databases[1:], (port for _, port in places), map(postmaster, databases[1:]), strict=True)
        yield Cluster(databases[0], tuple(Node(*_here(*node)) for node in nodes))


def _places(url: str) -> list[tuple[str, int]]:
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        if connection.execute(_HAS_CITUS).fetchone() is None:
            raise BenchmarkError("the database of CITUS_URL has no Citus: name that of a coordinator")
        places = connection.execute(_PLACES).fetchall()
    if len(places) < 2:
        raise BenchmarkError("the coordinator of CITUS_URL does not know itself and a worker: see docs/scaling.md")
    return [(str(host), int(port)) for host, port in places]


def _here(database: Database, port: int, server: psutil.Process | None) -> tuple[Database, int, psutil.Process]:
    if server is None:
        raise BenchmarkError("the nodes of CITUS_URL are on other machines, so their processor time cannot be read")
    return database, port, server


@contextmanager
def _made(server: str, name: str) -> Iterator[str]:
    """Make a database on one server, and drop it."""
    identifier = sql.Identifier(name)
    _run(server, sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(identifier))
    try:
        given = {key: str(value) for key, value in conninfo_to_dict(server).items() if key not in {"options", "dbname"}}
        yield f"postgresql:///{quote(name, safe='')}?{urlencode(given, quote_via=quote)}"
    finally:
        _run(server, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))


@contextmanager
def _connected(url: str) -> Iterator[Database]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield Database(url, connection, "not known")


def _run(url: str, statement: str | sql.Composed, *values: Any) -> None:  # noqa: ANN401 - as SQL has it
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement if isinstance(statement, sql.Composed) else statement.encode(), values or None)
