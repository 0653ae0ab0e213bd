"""A PostgreSQL server for the whole run, a migrated template per worker, and a fresh database per test.

The server is the embedded one, or that of TEST_DATABASE_URL (a superuser's URL; the databases of the tests are made
beside the one it names). Its files, and all temporary files of the tests, are in memory where there is enough of it: a
database is some 300 files, and most disks take ten times as long to make them. TMPDIR names another place.
"""

import atexit
import fcntl
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import psutil
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from pytest_postgresql import factories

from tallymark.functions.session import without_libpq
from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres

Connection = psycopg.Connection[Any]

#: Ends with this process: its temporary directory, and its server. With xdist they belong to the controller, which
#: makes them before the first worker starts.
_ours = ExitStack()


@dataclass(frozen=True)
class Server:
    """Where the databases of the tests are made, in the shape that pytest-postgresql expects of a server."""

    host: str
    port: int
    user: str
    password: str | None
    maintenance_dbname: str
    options: str = ""
    template_dbname: str | None = None

    @classmethod
    def at(cls, url: str) -> "Server":
        """Describe the server of a libpq URL."""
        parts = {key: str(value) for key, value in conninfo_to_dict(url).items()}
        return cls(
            host=parts.get("host", "localhost"),
            port=int(parts.get("port", 5432)),
            user=parts.get("user", "postgres"),
            password=parts.get("password"),
            maintenance_dbname=parts.get("dbname", "postgres"),
        )

    def url(self, dbname: str) -> str:
        """Return the URL of one of its databases, which other processes understand too."""
        password = f":{quote(self.password, safe='')}" if self.password else ""
        query = urlencode({"host": self.host, "port": self.port})
        return f"postgresql://{quote(self.user, safe='')}{password}@/{quote(dbname, safe='')}?{query}"


#: A file system in memory, as Linux has it, and what must be free of it and of the memory: a run takes up to 1 GB.
_MEMORY = Path("/dev/shm")  # noqa: S108 - whose files have names of their own
_MEMORY_BYTES = 3 * 2**30


def _memory_is_usable() -> bool:
    """Return whether temporary files, including programs, may be in memory."""
    return (
        os.access(_MEMORY, os.R_OK | os.W_OK | os.X_OK)
        and not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
        and min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available) >= _MEMORY_BYTES
    )


def _directory_in_memory() -> Path:
    """Make the directory of this run, and remove those of killed runs: their locks are free."""
    for old in _MEMORY.glob("tallymark-tests-*/held"):
        with suppress(OSError), old.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if old.stat().st_size:  # it was held once
                shutil.rmtree(old.parent, ignore_errors=True)
    directory = Path(tempfile.mkdtemp(prefix="tallymark-tests-", dir=_MEMORY))
    directory.chmod(0o1777)
    # After `multiprocessing`, which removes its own directory from there when the interpreter ends.
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    held = _ours.enter_context((directory / "held").open("w"))
    fcntl.flock(held, fcntl.LOCK_EX)
    held.write("by a run of the tests\n")
    held.flush()
    return directory


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Choose where temporary files are, and whose variables count, for this process and those that it starts."""
    if "TEST_DATABASE_URL" not in os.environ:
        for name in set(os.environ) - set(without_libpq(os.environ)):
            del os.environ[name]
    if "TMPDIR" not in os.environ and _memory_is_usable():
        # What killed processes leave behind goes with the directory; pytest keeps what failed tests had, beside it.
        os.environ["TMPDIR"] = str(_directory_in_memory())
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))
        tempfile.tempdir = None


def _start() -> str:
    """Return the URL of a running server, starting one unless TEST_DATABASE_URL names it."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        return given
    directory = _ours.enter_context(tempfile.TemporaryDirectory(prefix="tallymark-tests-"))
    url = _ours.enter_context(EmbeddedPostgres(Path(directory) / "data")).url
    with psycopg.connect(url, autocommit=True) as connection:
        # This server need not survive a power cut, and a database per test causes many syncs and much WAL.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET max_wal_size = '512MB'")
        connection.execute("SELECT pg_reload_conf()")
    return url


#: Fixtures that make databases or start processes: a test that uses one of them, directly or not, is not quick.
_NOT_QUICK = {"browser", "crawl", "fresh", "hold", "server", "start_web", "template"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests as quick that use none of these fixtures and are not slow. A module may mark itself as quick."""
    for item in items:
        if any(item.get_closest_marker(name) for name in ("slow", "deep", "faults")):
            continue
        if not _NOT_QUICK & set(getattr(item, "fixturenames", ())):
            item.add_marker("quick")


class Node(Protocol):
    """The parts of xdist's controller of a worker that are used here."""

    config: pytest.Config
    workerinput: dict[str, str]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Node) -> None:
    """Start one server for all workers of an xdist run, and tell each where it is."""
    node.workerinput["server"] = node.config.stash.setdefault(_URL, "") or _start()
    node.config.stash[_URL] = node.workerinput["server"]


_URL = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was not tested because this machine lacks something, and what tests measured."""
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if "NOT TESTED" in reason:
            reason = reason.removeprefix("Skipped: ")
            reasons[reason] = reasons.get(reason, 0) + 1
    for reason, count in reasons.items():
        terminalreporter.write_line(f"!!! {count}x {reason}", red=True, bold=True)
    for report in terminalreporter.stats.get("passed", []):
        for name, figure in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {figure}")


def pytest_exception_interact(call: pytest.CallInfo[object]) -> None:
    """End the run when it is terminated while a job is open: pytest takes the client's exception for a failed test."""
    from tallymark.client.signals import Terminated

    if call.excinfo is not None and call.excinfo.errisinstance(Terminated):
        pytest.exit("a signal asked this run to end")


def pytest_unconfigure() -> None:
    """Stop and remove what this process made."""
    _ours.close()


#: Those of the endpoint live as long as their process.
_OF_A_CLIENT = frozenset(
    {"tallymark-client", "tallymark-keeper", "tallymark-files", "tallymark-aside", "tallymark-bars"}
)
#: A client that is closed while the server stands still ends when its request does.
_PATIENCE_SECONDS = 60.0


@pytest.fixture(autouse=True)
def _clients_end() -> Iterator[None]:
    """Fail a test that leaves a thread of a client running, which would work, log and count in the tests after it."""
    before = set(threading.enumerate())
    yield
    mine = [one for one in threading.enumerate() if one.name in _OF_A_CLIENT and one not in before]
    until = time.monotonic() + _PATIENCE_SECONDS
    for thread in mine:
        thread.join(max(until - time.monotonic(), 0.0))
    left = [thread.name for thread in mine if thread.is_alive()]
    assert not left, f"threads of a client are left: {', '.join(left)}; close it, or end its job"


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Server:
    """The server, shared by all workers of an xdist run."""
    told = getattr(request.config, "workerinput", {}).get("server")
    return Server.at(told or _start())


@pytest.fixture(scope="session")
def url_of(server: Server) -> Callable[[str], str]:
    """Gives the URL of a database of the server, by its name."""
    return server.url


def _load(*, host: str, port: int, user: str, password: str | None, dbname: str, **_rest: object) -> None:
    """Migrate a worker's template database."""
    place = Server(host, port, user, password, maintenance_dbname=dbname)
    # Roles belong to the whole server: two workers must not make them at the same moment.
    with (Path(tempfile.gettempdir()) / f"tallymark-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        migrate(place.url(dbname))


template = factories.postgresql_noproc(dbname=f"tallymark_{secrets.token_hex(4)}_", depends_on="server", load=[_load])
fresh = factories.postgresql("template")


@pytest.fixture
def db(fresh: Connection) -> Connection:
    """A connection, in autocommit, to a migrated database that only this test has."""
    fresh.autocommit = True
    return fresh


@pytest.fixture
def db_url(db: Connection, server: Server) -> str:
    """The URL of this test's database, for other processes and further connections."""
    return server.url(db.info.dbname)


@pytest.fixture
def make_database(server: Server) -> Iterator[Callable[[], str]]:
    """Makes databases with nothing in them, and gives their URLs; they go when the test ends."""
    made: list[sql.Identifier] = []
    with psycopg.connect(server.url(server.maintenance_dbname), autocommit=True) as connection:

        def make() -> str:
            name = f"tallymark_empty_{secrets.token_hex(6)}"
            made.append(sql.Identifier(name))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(made[-1]))
            return server.url(name)

        yield make
        for name in made:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


@pytest.fixture
def empty_url(make_database: Callable[[], str]) -> str:
    """The URL of a database with nothing in it."""
    return make_database()
