"""The servers that the cases are played against: ours, or the one that the environment names."""

import fcntl
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from tests.citus import cluster
from tests.processes import ENDS_WITH_ITS_PARENT, ending_if_it_fails

from tallymark.schema.distribute import distribute
from tallymark.schema.migrate import migrate
from tallymark.server.ports import some_free_port

from .suite import Target, send

if TYPE_CHECKING:
    from tests.conftest import Server

TargetOf = Callable[[str], Target]

TOKEN = "wire-token"

#: What a case may need, as settings of a server; {database} is one with the schema in it.
NEEDS = {
    "": {"DATABASE_URL": "{database}", "CRAWLER_API_TOKEN": TOKEN},
    "no token configured": {"DATABASE_URL": "{database}", "CRAWLER_API_TOKEN": ""},
    "a dead database": {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing", "CRAWLER_API_TOKEN": TOKEN},
}


@pytest.fixture(scope="session")
def target_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TargetOf]:
    """Gives the server for what a case needs, starting each kind once."""
    told = os.environ.get("TALLYMARK_WIRE_URL")
    if told:
        yield lambda needs: _elsewhere(told, needs)
        return
    running: dict[str, tuple[Target, subprocess.Popen[bytes]]] = {}
    made: list[str] = []

    def give(needs: str) -> Target:
        if not made:
            made.append(until_the_end.enter_context(_database(request)))
        if needs not in running:
            settings = {key: value.replace("{database}", made[0]) for key, value in NEEDS[needs].items()}
            running[needs] = _serve(settings, tmp_path_factory.mktemp("wire") / "log")
        return running[needs][0]

    with ExitStack() as until_the_end:
        yield give
        for _, process in running.values():
            process.terminate()
            process.wait(30)


@contextmanager
def _database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Make a database with the schema, on the cluster that CITUS_URL names where it names one, and drop it."""
    if os.environ.get("CITUS_URL"):
        with cluster.database() as made:
            distribute(made.url, shards=8)
            yield made.url
        return
    server: Server = request.getfixturevalue("server")
    name = sql.Identifier(f"tallymark_wire_{secrets.token_hex(4)}")
    with psycopg.connect(server.url(server.maintenance_dbname), autocommit=True) as maintenance:
        maintenance.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
        url = server.url(name.as_string().strip('"'))
        _migrate(url)
        yield url
        maintenance.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def _migrate(url: str) -> None:
    """Migrate a database; roles belong to the whole server, and two workers must not make them at the same moment."""
    with (Path(tempfile.gettempdir()) / f"tallymark-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        migrate(url)


def _elsewhere(url: str, needs: str) -> Target:
    """Return a server that is not ours to configure."""
    if needs:
        pytest.skip(f"TALLYMARK_WIRE_URL names a server of its own configuration, and this case needs {needs}")
    return Target(url, os.environ.get("TALLYMARK_WIRE_TOKEN", ""))


def _serve(settings: dict[str, str], log: Path) -> tuple[Target, subprocess.Popen[bytes]]:
    """Start `tallymark serve`, and return when it answers."""
    target = Target(f"http://127.0.0.1:{some_free_port('127.0.0.1')}", TOKEN)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TALLYMARK_", "DATABASE_"))}
    serve = (sys.executable, "-c", ENDS_WITH_ITS_PARENT + "from tallymark.cli import main; main()", "serve")
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [*serve, "--port", target.url.rpartition(":")[2]], stderr=stderr, env={**clean, **settings}
        )
    give_up = time.monotonic() + 60
    with ending_if_it_fails(process):
        while not _answers(target):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.02)
    return target, process


def _answers(target: Target) -> bool:
    try:
        return send(target, {"path": "/healthz"}).status == 200
    except OSError:
        return False
