"""/readyz is 200 exactly if updates and reads would succeed; if not, it says what is missing and what to do about it.

`tallymark_database_up` says the same.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from benchmarks.standby import standby
from prometheus_client.parser import text_string_to_metric_families
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.web.watching import wait_until

from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres

if TYPE_CHECKING:
    from tests.web.conftest import Web

Connection = psycopg.Connection[Any]
Update = Callable[..., dict[str, object]]
Serve = Callable[..., "Web"]

_MEGABYTE = 2**20


def _why_not(web: "Web") -> str:
    """Return why a server is not ready, and check that its gauge says that, too."""
    answer = web.call("GET", "/readyz")
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert _is_up(web) == 0
    return str(answer.json["detail"])


def _is_up(web: "Web") -> float:
    """Return the gauge, read by a server that has not read it in the last ten seconds."""
    text = web.call("GET", "/metrics").body.decode()
    return next(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "tallymark_database_up"
    )


def _set(db: Connection, statement: str, *names: str) -> None:
    db.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.fixture
def login(db: Connection, db_url: str) -> Iterator[tuple[str, str]]:
    """A user with both roles: its name, and the URL of the database for it."""
    name = f"tallymark_test_{secrets.token_hex(6)}"
    db.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'p' IN ROLE tallymark_writer, tallymark_reader".encode())
    parts = conninfo_to_dict(make_conninfo(db_url, user=name, password="p"))
    yield name, f"postgresql://{name}:p@/{parts['dbname']}?host={parts['host']}&port={parts['port']}"
    db.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{name}'".encode())
    db.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


def test_a_database_that_takes_updates_is_ready(
    start_web: Serve, db: Connection, login: tuple[str, str], update: Update
) -> None:
    """Asking leaves nothing in the database: no object, no row, no change of one."""
    web = start_web(login[1])
    assert web.register("j").status == 201
    content = (
        "SELECT (SELECT count(*) FROM pg_class), (SELECT string_agg(ctid::text, ' ') FROM tallymark.job),"
        " (SELECT count(*) FROM tallymark.job_event), (SELECT count(*) FROM tallymark.job_intake)"
    )
    before = db.execute(content).fetchone()
    for _ in range(3):
        assert web.call("GET", "/readyz").json == {"status": "ready"}
    assert db.execute(content).fetchone() == before
    assert _is_up(web) == 1
    assert web.report(update("j")).status == 200


@pytest.mark.parametrize("whose", ["ROLE", "DATABASE"])
def test_a_database_that_is_read_only_is_not_ready(
    start_web: Serve, db: Connection, login: tuple[str, str], update: Update, whose: str
) -> None:
    """The one who made it so wants no updates. They are answered 503 with the cause, and reads go on."""
    db.execute("SELECT tallymark.create_job('j')")
    name = login[0] if whose == "ROLE" else db.info.dbname
    _set(db, f"ALTER {whose} {{}} SET default_transaction_read_only = on", name)
    web = start_web(login[1])
    assert "default_transaction_read_only" in _why_not(web)
    answer = web.report(update("j"))
    assert (answer.status, answer.json["error"]) == (503, "Database unavailable")
    assert "read-only" in answer.json["detail"]
    assert web.call("GET", "/api/internal/jobs/j").status == 200
    _set(db, f"ALTER {whose} {{}} RESET default_transaction_read_only", name)
    # A session keeps its setting; an update that fails makes the endpoint open a new one.
    wait_until(lambda: web.report(update("j")).status == 200)
    wait_until(lambda: web.call("GET", "/readyz").status == 200)


@pytest.mark.parametrize(
    ("revoke", "grant", "why"),
    [
        (
            "REVOKE USAGE ON SCHEMA tallymark FROM tallymark_writer",
            "GRANT USAGE ON SCHEMA tallymark TO tallymark_writer",
            "GRANT USAGE ON SCHEMA tallymark TO tallymark_writer",
        ),
        (
            "REVOKE USAGE ON SCHEMA tallymark FROM tallymark_reader",
            "GRANT USAGE ON SCHEMA tallymark TO tallymark_reader",
            "GRANT USAGE ON SCHEMA tallymark TO tallymark_reader",
        ),
        (
            "REVOKE EXECUTE ON FUNCTION tallymark.receive_command FROM tallymark_writer",
            "GRANT EXECUTE ON FUNCTION tallymark.receive_command TO tallymark_writer",
            "tallymark_writer",
        ),
        (
            "ALTER FUNCTION tallymark.read_job RENAME TO read_job_before",
            "ALTER FUNCTION tallymark.read_job_before RENAME TO read_job",
            "tallymark migrate",
        ),
    ],
)
def test_what_is_missing_is_named(
    start_web: Serve, db: Connection, login: tuple[str, str], revoke: str, grant: str, why: str
) -> None:
    """A right, or a function. When it is there again, the server is ready."""
    web = start_web(login[1])
    db.execute(revoke.encode())
    assert why in _why_not(web)
    db.execute(grant.encode())
    assert web.call("GET", "/readyz").status == 200


def test_a_database_that_is_not_in_utf8_is_not_ready_and_blames_no_crawler(
    start_web: Serve, db: Connection, db_url: str, update: Update, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an earlier release may have installed it. What its encoding has is taken."""
    name = f"tallymark_latin_{secrets.token_hex(4)}"
    db.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'".encode())
    parts = conninfo_to_dict(make_conninfo(db_url, dbname=name))
    url = f"postgresql://{parts['user']}:{parts.get('password', '')}@/{name}?host={parts['host']}&port={parts['port']}"
    try:
        with monkeypatch.context() as patched:
            patched.setattr("tallymark.schema.migrate.obstacles", lambda _connection, **_options: [])
            migrate(url)
        web = start_web(url)
        assert "LATIN1" in _why_not(web)
        web.register("j")
        foreign = web.report(update("j", message="日"))
        assert (foreign.status, foreign.json["error"]) == (503, "Database unavailable")
        assert "UTF8" in foreign.json["detail"]
        assert web.report(update("j", message="ü")).status == 200
        web.stop()
    finally:
        db.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.slow
def test_missing_roles_are_named(start_web: Serve, tmp_path: Path) -> None:
    """As on a server that got the database from a dump, and the roles from nowhere."""
    with EmbeddedPostgres(tmp_path / "data") as postgres:
        migrate(postgres.url, report=lambda _line: None)
        parts = conninfo_to_dict(postgres.url)
        with psycopg.connect(postgres.url, autocommit=True) as admin:
            admin.execute("CREATE ROLE web LOGIN PASSWORD 'p'")
            admin.execute("ALTER ROLE tallymark_writer RENAME TO other")
        web = start_web(f"postgresql://web:p@{parts['host']}:{parts['port']}/{parts['dbname']}")
        why = _why_not(web)
        assert "no role tallymark_writer" in why
        assert "tallymark migrate" in why
        web.stop()


@pytest.mark.slow
def test_a_standby_is_not_ready(start_web: Serve, tmp_path: Path, update: Update) -> None:
    """It can be read, but takes no updates. Once it is the primary, it is ready, without a restart."""
    with EmbeddedPostgres(tmp_path / "primary") as primary:
        migrate(primary.url, report=lambda _line: None)
        with psycopg.connect(primary.url, autocommit=True) as connection:
            connection.execute("SELECT tallymark.create_job('j')")
        with standby(primary, tmp_path / "replica") as replica:
            web = start_web(replica.url)
            why = _why_not(web)
            assert "standby" in why
            assert "DATABASE_URL" in why
            refused = web.report(update("j"))
            assert refused.status == 503
            assert "read-only" in refused.json["detail"]
            assert web.call("GET", "/api/internal/jobs/j").status == 200
            with psycopg.connect(replica.url, autocommit=True) as connection:
                connection.execute("SELECT pg_promote()")
            wait_until(lambda: web.report(update("j")).status == 200)
            assert web.call("GET", "/readyz").status == 200
            web.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with little space."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=192m,mode=1777", "tmpfs", str(place)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("NOT TESTED: a full disk, since this user may not mount a file system")
    yield place
    subprocess.run([shutil.which("umount") or "umount", "--lazy", str(place)], check=True)


def _fill(disk: Path) -> None:
    """Leave no byte free."""
    with (disk / "filler").open("ab", buffering=0) as filler:
        for size in (_MEGABYTE, 4096):
            try:
                while True:
                    filler.write(b"x" * size)
            except OSError:
                continue


@pytest.mark.slow
def test_a_full_disk_is_not_ready(start_web: Serve, small_disk: Path, update: Update) -> None:
    """The answer to an update names it, too. When there is space, all goes on without a restart."""
    with EmbeddedPostgres(small_disk / "data") as postgres:
        migrate(postgres.url, report=lambda _line: None)
        web = start_web(postgres.url)
        web.register("j")
        assert web.call("GET", "/readyz").status == 200
        assert web.report(update("j", message="x")).status == 200
        _fill(small_disk)
        # Small updates may find room in the pages that there are.
        wait_until(lambda: web.call("GET", "/readyz").status == 503)
        assert "disk of the database is full" in _why_not(web)
        number = 0

        def is_refused() -> bool:
            nonlocal number
            number += 1
            # An update's own text goes into the ledger. It is not compressible.
            answer = web.report(update("j", updateId=f"full {number}", resumeState={"x": secrets.token_hex(20_000)}))
            if answer.status == 200:
                return False
            assert (answer.status, answer.json["error"]) == (503, "Database unavailable")
            assert "disk of the database is full" in answer.json["detail"]
            return True

        wait_until(is_refused)
        (small_disk / "filler").unlink()
        assert web.report(update("j", updateId="after", resumeState={"x": secrets.token_hex(20_000)})).status == 200
        wait_until(lambda: web.call("GET", "/readyz").status == 200)
        with psycopg.connect(postgres.url) as connection:
            assert connection.execute("SELECT tallymark.verify_job('j')").fetchone() == (True,)
        web.stop()
