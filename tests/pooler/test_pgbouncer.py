"""Everything works behind a real PgBouncer in transaction mode, and leaves nothing in sessions that others get."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Jsonb
from tests.docs.test_examples import BEHIND_A_POOLER, LANGUAGES, PGX
from tests.processes import ending
from tests.web.conftest import Web
from tests.web.test_merging import Crowd, check_counts, go_on, groups_of, locked, rejected, taken
from tests.web.watching import wait_until

from tallymark.server.ports import is_free, some_free_port
from tallymark.server.postgres_user import NOBODY

Connection = psycopg.Connection[Any]
JOBS = "/api/internal/jobs"


class PgBouncer:
    """A PgBouncer before a database, with never more than two connections to it.

    Attributes:
        url: The database through it.
        user: The user who logs in: no superuser, a writer and a reader, with timeouts of its own.
    """

    def __init__(self, db_url: str, directory: Path, user: str) -> None:
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        parts = {name: str(value) for name, value in conninfo_to_dict(db_url).items()}
        self.user = user
        self._port = some_free_port("127.0.0.1")
        self.url = f"postgresql://{user}:p@127.0.0.1:{self._port}/{parts['dbname']}"
        directory.chmod(0o755)
        place = directory / "pgbouncer"
        place.mkdir()
        (place / "users.txt").write_text(f'"{user}" "p"\n')
        (place / "pgbouncer.ini").write_text(
            f"""[databases]
* = host={parts["host"]} port={parts["port"]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self._port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {place / "users.txt"}
pool_mode = transaction
default_pool_size = 2
max_client_conn = 500
ignore_startup_parameters = extra_float_digits
"""
        )
        as_root = os.geteuid() == 0  # which it refuses to be
        if as_root:
            for path in (place, *place.iterdir()):
                os.chown(path, NOBODY, NOBODY)
        with (directory / "pgbouncer.log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, "--quiet", str(place / "pgbouncer.ini")],
                stderr=log,
                user=NOBODY if as_root else None,
                group=NOBODY if as_root else None,
            )
        deadline = time.monotonic() + 20
        while is_free("127.0.0.1", self._port):
            assert self._process.poll() is None, (directory / "pgbouncer.log").read_text()
            assert time.monotonic() < deadline, "PgBouncer does not listen"
            time.sleep(0.02)

    def connect(self) -> Connection:
        """Open a connection through it, like another program."""
        return psycopg.connect(self.url, autocommit=True, prepare_threshold=None)

    def stop(self) -> None:
        """Stop it."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()


@pytest.fixture
def pgbouncer(db: Connection, db_url: str, tmp_path: Path) -> Iterator[PgBouncer]:
    """A PgBouncer before the test's database."""
    if shutil.which("pgbouncer") is None and not Path("/usr/sbin/pgbouncer").exists():
        pytest.skip(
            "NOT TESTED: what a pooler does, since PgBouncer is not installed; on Debian: apt-get install pgbouncer"
        )
    if str(conninfo_to_dict(db_url)["host"]).startswith("/"):
        pytest.skip("NOT TESTED: a pooler before a server that listens on no TCP port")
    user = f"tallymark_test_pooled_{os.getpid()}"
    db.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'p' IN ROLE tallymark_writer, tallymark_reader, tallymark_admin")
    db.execute(f"ALTER ROLE {user} SET statement_timeout = '12s'")
    # Other users cannot read pytest's directories, and PgBouncer does not run as root.
    for parent in tmp_path.parents:
        mode = parent.stat().st_mode
        if parent.stat().st_uid == os.geteuid() and mode & 0o055 != 0o055:
            parent.chmod(mode | 0o055)
    made = PgBouncer(db_url, tmp_path, user)
    yield made
    made.stop()
    db.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{user}'")
    db.execute(f"DROP OWNED BY {user}")
    db.execute(f"DROP ROLE {user}")


def update(job: str, number: int) -> dict[str, object]:
    """An update that counts one issue."""
    return {
        "taskId": job,
        "updateId": str(number),
        "status": "processing",
        "timestamp": "2025-01-06T19:15:30Z",
        "itemsByType": {"issues": 1},
    }


def in_threads(count: int, act: Callable[[int], None]) -> None:
    """Call a function in several threads at once."""
    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            act(number)
        except BaseException as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_many_crawlers_over_two_sessions_count_exactly(pgbouncer: PgBouncer, db: Connection, tmp_path: Path) -> None:
    """Over HTTP from several worker processes and in SQL, singly and in batches, with every update sent twice."""
    web = Web(pgbouncer.url, tmp_path / "web.log", {"TALLYMARK_WORKERS": "2", "TALLYMARK_POOL_SIZE": "8"})
    try:
        assert web.register("job").status == 201
        assert web.call("GET", "/readyz").json == {"status": "ready"}

        def crawl(thread: int) -> None:
            for number in range(thread * 100, thread * 100 + 20):
                for _ in range(2):
                    answer = web.report(update("job", number))
                    assert answer.status == 200, answer.json
            with pgbouncer.connect() as connection:
                for number in range(thread * 100 + 20, thread * 100 + 40):
                    connection.execute("SELECT tallymark.merge_progress('job', %s)", [Jsonb(update("job", number))])
                again = [update("job", number) for number in range(thread * 100, thread * 100 + 40)]
                connection.execute("SELECT tallymark.merge_progress_batch(%s)", [Jsonb(again)])

        in_threads(8, crawl)
        document = web.call("GET", f"{JOBS}/job").json
        assert document["progress"]["itemsByType"] == {"issues": 8 * 40}
        assert document["lastSeq"] == 8 * 40
        page = web.call("GET", f"{JOBS}/job/timeline?limit=5").json
        assert [event["seq"] for event in page["events"]] == [1, 2, 3, 4, 5]
    finally:
        web.stop()
    assert db.execute("SELECT tallymark.verify_job('job')").fetchone() == (True,)
    assert "Traceback" not in (tmp_path / "web.log").read_text()


def test_groups_are_merged_through_it_and_a_held_job_keeps_only_its_own_crawlers_waiting(
    pgbouncer: PgBouncer, db: Connection, db_url: str, tmp_path: Path
) -> None:
    """24 crawlers share calls, whose settings end with them, while 8 crawlers wait for a job that somebody holds."""
    web = Web(pgbouncer.url, tmp_path / "web.log", {"TALLYMARK_LOCK_TIMEOUT": "300"})
    try:
        jobs = [f"job {number}" for number in range(3)]
        for job in ("held", *jobs):
            assert web.register(job).status == 201
        crowd = Crowd(web)
        with locked(db_url, "held"):
            stuck = crowd.add(8, "held")
            others = [crawler for job in jobs for crawler in crowd.add(8, job)]
            wait_until(lambda: rejected(stuck) >= 8)
            go_on(others)
            assert (taken(stuck), rejected(others)) == (0, 0)
        go_on([*stuck, *others], 1)
        crowd.finish()
        calls, updates = groups_of(web)
    finally:
        web.stop()
    assert calls < updates
    expected = {job: taken(others[8 * number : 8 * number + 8]) for number, job in enumerate(jobs)}
    check_counts(db, {"held": taken(stuck), **expected})
    assert "Traceback" not in (tmp_path / "web.log").read_text()


def test_nothing_of_ours_stays_in_a_session(pgbouncer: PgBouncer, tmp_path: Path) -> None:
    """The next user has its own role and timeouts, and no prepared statements of others."""
    web = Web(
        pgbouncer.url, tmp_path / "web.log", {"TALLYMARK_STATEMENT_TIMEOUT": "4321", "TALLYMARK_LOCK_TIMEOUT": "987"}
    )
    try:
        web.register("job")

        def report_and_read(number: int) -> None:
            web.report(update("job", number))
            web.call("GET", f"{JOBS}/job")

        in_threads(8, report_and_read)
        seen: set[int] = set()
        deadline = time.monotonic() + 20
        while len(seen) < 2 and time.monotonic() < deadline:
            with pgbouncer.connect() as one, pgbouncer.connect() as other, one.transaction(), other.transaction():
                for connection in (one, other):
                    row = connection.execute(
                        "SELECT pg_backend_pid(), current_user, current_setting('statement_timeout'),"
                        " current_setting('lock_timeout'), (SELECT count(*) FROM pg_prepared_statements)"
                    ).fetchone()
                    assert row is not None
                    assert row[1:] == (pgbouncer.user, "12s", "0", 0)
                    seen.add(row[0])
        assert len(seen) == 2, "both sessions were looked at"
    finally:
        web.stop()


@pytest.mark.parametrize(
    ("setting", "value"), [("default_transaction_isolation", "serializable"), ("synchronous_commit", "off")]
)
def test_what_only_the_user_can_have_set_is_named(
    pgbouncer: PgBouncer, db: Connection, tmp_path: Path, setting: str, value: str
) -> None:
    """Nothing is set in its sessions, so /readyz says which setting of the user would make updates fail or be lost."""
    db.execute(f"ALTER ROLE {pgbouncer.user} SET {setting} = '{value}'")
    web = Web(pgbouncer.url, tmp_path / "web.log", {})
    try:
        answer = web.call("GET", "/readyz")
        assert answer.status == 503
        assert setting in answer.json["detail"]
    finally:
        web.stop()


def test_a_function_that_is_missing_for_a_while_is_named(pgbouncer: PgBouncer, db: Connection, tmp_path: Path) -> None:
    """503 with what to do, although nothing is prepared; then all goes on."""
    web = Web(pgbouncer.url, tmp_path / "web.log", {})
    try:
        web.register("job")
        db.execute("ALTER FUNCTION tallymark.read_job RENAME TO read_job_before")
        for _ in range(2):
            answer = web.call("GET", f"{JOBS}/job")
            assert answer.status == 503
            assert "tallymark migrate" in answer.json["detail"]
        db.execute("ALTER FUNCTION tallymark.read_job_before RENAME TO read_job")
        assert web.call("GET", f"{JOBS}/job").status == 200
    finally:
        web.stop()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours."""
    command = [sys.executable, "-c", "from tallymark.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_commands_that_read_and_prune_work_through_it(pgbouncer: PgBouncer, db: Connection) -> None:
    """Commands that call one stored function after another."""
    for job in range(12):
        db.execute("SELECT tallymark.create_job(%s)", [f"job{job}"])
        for number in range(3):
            db.execute("SELECT tallymark.merge_progress(%s, %s)", [f"job{job}", Jsonb(update(f"job{job}", number))])
    at = ("--database-url", pgbouncer.url)
    assert run("verify", *at).stdout == "12 jobs checked, 0 differ\n"
    assert run("jobs", *at).returncode == 0
    pruned = run("prune", "--older-than", "0s", "--keep", "1", *at)
    assert (pruned.returncode, pruned.stdout) == (0, "24 events of 12 jobs pruned\n"), pruned.stderr
    assert run("watchdog", "--once", *at).returncode == 0
    assert run("verify", *at).stdout == "12 jobs checked, 0 differ\n"


def test_settings_of_the_user_change_no_command(pgbouncer: PgBouncer, db: Connection) -> None:
    """Nothing is set in the sessions, so dates and encodings are read whatever the sessions are set to."""
    for setting in ("DateStyle = 'German'", "IntervalStyle = 'sql_standard'", "TimeZone = 'Asia/Kathmandu'"):
        db.execute(f"ALTER ROLE {pgbouncer.user} SET {setting}")
    db.execute(f"ALTER ROLE {pgbouncer.user} SET client_encoding = 'LATIN1'")
    db.execute("SELECT tallymark.create_job('j')")
    db.execute("SELECT tallymark.merge_progress('j', %s)", [Jsonb({**update("j", 1), "message": "\u65e5"})])
    at = ("--database-url", pgbouncer.url)
    for command in (["job", "show", "j"], ["token", "create", "t", "--scope", "read", "--expires", "2999-01-02"]):
        done = run(*command, *at)
        assert done.returncode == 0, done.stderr
    assert "2999-01-02" in run("token", "list", *at).stdout
    assert run("watchdog", "--once", *at).returncode == 0
    pruned = run("prune", "--older-than", "0s", "--keep", "0", *at)
    assert pruned.stdout == "1 event of 1 job pruned\n", pruned.stderr


def test_the_schema_is_not_changed_through_it(pgbouncer: PgBouncer) -> None:
    """A migration needs a session of its own; the message says what to do."""
    told = run("migrate", "--database-url", pgbouncer.url)
    assert told.returncode == 2
    assert "connection pooler" in told.stderr
    assert "name the server itself" in told.stderr


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_examples_for_sql_callers_work_behind_it(
    pgbouncer: PgBouncer, db: Connection, tmp_path: Path, language: str
) -> None:
    """Three of them at once, over two sessions; each page is stored and counted once."""
    db.execute("SELECT tallymark.create_job('job')")
    db.execute("CREATE TABLE page (url text NOT NULL)")
    db.execute(f"GRANT INSERT ON page TO {pgbouncer.user}".encode())
    command = [*LANGUAGES[language](tmp_path), "job", *(f"page {number}" for number in range(12))]
    # As docs/calling-from-sql.md has it for pgx.
    url = f"{pgbouncer.url}?{BEHIND_A_POOLER[PGX]}" if PGX and language.endswith(".go") else pgbouncer.url
    running = [subprocess.Popen(command, env={**os.environ, "DATABASE_URL": url}) for _ in range(3)]
    with ending(*running):
        assert [one.wait(60) for one in running] == [0, 0, 0]
    counted = db.execute("SELECT tallymark.get_job('job', 0) -> 'progress' -> 'itemsByType' -> 'pages'").fetchone()
    stored = db.execute("SELECT count(*), count(DISTINCT url) FROM page").fetchone()
    assert (counted, stored) == ((12,), (12, 12))
