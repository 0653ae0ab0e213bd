"""The examples of docs/examples/sql: run twice, waiting for a held job, and cut off, they store and count once."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from platformdirs import user_cache_path
from tests.docs.pages import DOCS
from tests.web.watching import wait_until

if TYPE_CHECKING:
    from tests.docs.conftest import Connect, Place

pytestmark = pytest.mark.slow

Connection = psycopg.Connection[Any]
Command = Callable[[Path], list[str]]

EXAMPLES = DOCS / "examples" / "sql"
#: The version that is tested; node-postgres is fetched once, and kept.
NODE_POSTGRES = "pg@8.23.1"
#: Where the sources of pgx and of what it needs are; Debian's golang-github-jackc-pgx-v4-dev puts them there.
GO_SOURCES = Path(os.environ.get("TALLYMARK_TEST_GOCODE", "/usr/share/gocode"))
#: The release of pgx that is there. Debian 12 has the one before; what the example uses is the same in it.
PGX = next((name for name in ("v5", "v4") if (GO_SOURCES / "src/github.com/jackc/pgx" / name).exists()), None)
#: What a URL needs behind a pooler.
BEHIND_A_POOLER = {"v5": "default_query_exec_mode=exec", "v4": "statement_cache_mode=describe"}


def _program(name: str, what: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"NOT TESTED: {what}, since {name} is not installed")
    return found


def _python(_directory: Path) -> list[str]:
    return [sys.executable, str(EXAMPLES / "report.py")]


def _psql(_directory: Path) -> list[str]:
    _program("psql", "the example for psql")
    return [_program("sh", "the example for psql"), str(EXAMPLES / "report.sh")]


def _node(directory: Path) -> list[str]:
    node = _program("node", "the example for node-postgres")
    cache = user_cache_path("tallymark-tests") / NODE_POSTGRES
    if not cache.exists():
        npm = _program("npm", "the example for node-postgres")
        cache.parent.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--silent", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
        with tempfile.TemporaryDirectory(dir=cache.parent) as fetched:
            whole = Path(fetched) / "whole"
            whole.mkdir()
            try:
                subprocess.run([*command, NODE_POSTGRES], cwd=whole, check=True, capture_output=True, timeout=60)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                pytest.skip(f"NOT TESTED: the example for node-postgres, since npm could not fetch {NODE_POSTGRES}")
            # Moved as a whole, because another worker may do the same.
            with suppress(OSError):
                whole.rename(cache)
    # A module is looked for beside the program.
    (directory / "node_modules").symlink_to(cache / "node_modules")
    return [node, str(shutil.copy(EXAMPLES / "report.mjs", str(directory)))]


def _go(directory: Path) -> list[str]:
    go = _program("go", "the example for pgx (Debian: golang-go, golang-github-jackc-pgx-v4-dev)")
    if PGX is None:
        pytest.skip("NOT TESTED: the example for pgx, since Debian's golang-github-jackc-pgx-v4-dev is not installed")
    program = directory / "report"
    environ = os.environ | {
        "GOCACHE": str(user_cache_path("tallymark-tests") / "go"),
        "GO111MODULE": "off",
        "GOPATH": str(GO_SOURCES),
    }
    source = (EXAMPLES / "pgx" / "main.go").read_text(encoding="utf-8").replace("jackc/pgx/v5", f"jackc/pgx/{PGX}")
    (directory / "main.go").write_text(source, encoding="utf-8")
    command = [go, "build", "-o", str(program), str(directory / "main.go")]
    done = subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [str(program)]


LANGUAGES: dict[str, Command] = {"report.py": _python, "report.mjs": _node, "report.sh": _psql, "pgx/main.go": _go}


class Service:
    """An example that is run on a job of its own."""

    def __init__(self, place: "Place", command: list[str], job: str) -> None:
        self.job = job
        self._place = place
        self._command = command

    def start(self, *pages: str) -> "subprocess.Popen[str]":
        """Let it report pages."""
        environ = {**os.environ, "DATABASE_URL": self._place.url_for("service"), "LC_ALL": "C.UTF-8"}
        return subprocess.Popen([*self._command, self.job, *pages], env=environ, stderr=subprocess.PIPE, text=True)

    def run(self, *pages: str) -> None:
        """Let it report pages, and succeed."""
        with self.start(*pages) as process:
            _, said = process.communicate(timeout=60)
            assert process.returncode == 0, said

    def waiting(self) -> int | None:
        """Return the process of PostgreSQL in which it waits for the job; None while it does not."""
        query = "SELECT pid FROM pg_stat_activity WHERE usename = 'service' AND cardinality(pg_blocking_pids(pid)) > 0"
        pid: int | None = self._place.value(query)
        return pid

    def outcome(self) -> tuple[int, list[str]]:
        """Return how many pages the job has counted, and which are stored."""
        counted = self._place.value(
            "SELECT (tallymark.get_job(%s, 0) -> 'progress' -> 'itemsByType' ->> 'pages')::integer", self.job
        )
        return counted, self._place.value("SELECT array_agg(url ORDER BY url) FROM page")


@pytest.fixture(scope="module", params=LANGUAGES)
def command(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What starts an example."""
    language: str = request.param
    return LANGUAGES[language](tmp_path_factory.mktemp("example"))


@pytest.fixture
def service(place: "Place", command: list[str], request: pytest.FixtureRequest) -> Service:
    """An example, whose user may report and has the table."""
    if place.value("SELECT to_regrole('service') IS NULL"):
        place.db.execute("CREATE ROLE service LOGIN PASSWORD 'p' IN ROLE tallymark_writer")
    place.db.execute("DROP TABLE IF EXISTS page")
    place.db.execute("CREATE TABLE page (url text NOT NULL)")
    place.db.execute("GRANT INSERT ON page TO service")
    job: str = request.node.name
    place.db.execute("SELECT tallymark.create_job(%s)", [job])
    return Service(place, command, job)


def test_what_is_reported_twice_is_stored_and_counted_once(service: Service) -> None:
    """In one run, and in another one; texts with quotes are texts."""
    service.run("a", "b's", "a")
    service.run("b's", 'c "c"')
    assert service.outcome() == (3, ["a", "b's", 'c "c"'])


def test_a_job_that_is_held_is_waited_for(service: Service, place: "Place", connect: "Connect") -> None:
    """Past the timeout the transaction is repeated, until the job is free."""
    holder = connect(place.url)
    holder.execute("SELECT tallymark.merge_progress(%s, '{}')", [service.job])
    with service.start("a", "b") as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "again: 55P03\n"
        holder.commit()
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert service.outcome() == (2, ["a", "b"])


def test_a_connection_that_is_cut_is_opened_again(service: Service, place: "Place", connect: "Connect") -> None:
    """The transaction is repeated on it."""
    holder = connect(place.url)
    holder.execute("SELECT tallymark.merge_progress(%s, '{}')", [service.job])
    with service.start("a", "b") as process:
        assert process.stderr is not None
        wait_until(lambda: service.waiting() is not None)
        place.db.execute("SELECT pg_terminate_backend(%s)", [service.waiting()])
        assert process.stderr.readline() == "again: 57P01\n"
        holder.commit()
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert service.outcome() == (2, ["a", "b"])


def test_a_refusal_ends_it(service: Service, place: "Place") -> None:
    """Nothing is stored: an error that is to be corrected is not repeated."""
    service.job = "no such job"
    with service.start("a") as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "again" not in said
    assert "TK404" in said or "no such job" in said
    assert place.value("SELECT count(*) FROM page") == 0
