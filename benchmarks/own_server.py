"""PostgreSQL servers that some benchmarks start for themselves, with settings that need a restart."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psycopg
from psycopg import sql

from benchmarks.figures import Say
from tallymark.server import EmbeddedPostgres

_COMMITS = 200
#: The least that is a transaction with a commit record, which is flushed.
_COMMIT = b"SELECT pg_logical_emit_message(true, 'benchmark', '')"


@dataclass(frozen=True, slots=True)
class OwnServer:
    """A server that runs.

    Attributes:
        url: A superuser's libpq URL.
        usual_commit_ms: How long a commit took before the library was preloaded, in milliseconds.
    """

    url: str
    usual_commit_ms: float


@contextmanager
def own_server(
    directory: Path, say: Say, settings: Mapping[str, str], preload: Path | None = None
) -> Iterator[OwnServer]:
    """Run an embedded server with further settings, and with a library that is preloaded into its processes."""
    say("starting an embedded PostgreSQL of its own")
    server = EmbeddedPostgres(directory / "data", report=say)
    with server, psycopg.connect(server.url, autocommit=True) as connection:
        for name, value in settings.items():
            change = sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
            connection.execute(change)
        usual = commit_ms(server.url)
    with _preloaded(preload):
        server.start()
    try:
        yield OwnServer(server.url, usual)
    finally:
        server.stop()


@contextmanager
def _preloaded(library: Path | None) -> Iterator[None]:
    """Have the programs that are started meanwhile load a library first: the embedded server has our environment."""
    if library is None:
        yield
        return
    earlier = os.environ.get("LD_PRELOAD")
    os.environ["LD_PRELOAD"] = " ".join(filter(None, (str(library), earlier)))
    try:
        yield
    finally:
        if earlier is None:
            del os.environ["LD_PRELOAD"]
        else:
            os.environ["LD_PRELOAD"] = earlier


def commit_ms(url: str) -> float:
    """Return the median time of a commit of one connection, in milliseconds."""
    times = []
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(_COMMITS):
            began = time.perf_counter()
            connection.execute(_COMMIT)
            times.append(time.perf_counter() - began)
    return median(times) * 1000
