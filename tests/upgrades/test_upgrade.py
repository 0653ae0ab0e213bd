"""An old release's database is upgraded and rolled back under load: callers see no error, and nothing is lost."""

import lzma
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from tests.web.conftest import Web

from tallymark.schema.migrate import applied, available, migrate, rollback
from tallymark.server import EmbeddedPostgres
from tallymark.server.cluster import bin_dir

pytestmark = pytest.mark.slow

Connection = psycopg.Connection[Any]

DUMP = Path(__file__).with_name("before-the-dashboard.sql.xz")
OLD_MIGRATIONS = 5
#: What the rollbacks of released migrations forgot to drop.
LEFT_BEHIND = {"wal_position"}
JOBS = [f"old_{number}" for number in range(40)]


class OldDatabase:
    """A database as an old release left it, on a server of its own.

    Attributes:
        url: Where it is.
    """

    def __init__(self, directory: Path, postgres: EmbeddedPostgres) -> None:
        """Restore it."""
        self.url = postgres.url
        # Roles belong to the server, not to a database; they are made as in any installation.
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE scratch")
        migrate(re.sub(r"/[^/?]+(\?|$)", r"/scratch\1", self.url))
        self.dump = lzma.decompress(DUMP.read_bytes()).decode()
        file = directory / "old.sql"
        file.write_text(self.dump)
        done = subprocess.run(
            [str(bin_dir() / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-f", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def connect(self) -> Connection:
        """Open a connection, like an old service."""
        return psycopg.connect(self.url, autocommit=True)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query."""
        with self.connect() as connection:
            return connection.execute(query.encode()).fetchall()

    def install_old_functions(self) -> None:
        """Install the old release's functions, as its own `tallymark migrate` would after a rollback."""
        objects = re.split(r"^--\n-- Name: ", self.dump, flags=re.MULTILINE)
        functions = [text[text.index("CREATE FUNCTION") :] for text in objects if "Type: FUNCTION;" in text[:300]]
        assert len(functions) > 50
        with self.connect() as connection, connection.transaction():
            connection.execute("SET LOCAL check_function_bodies = off")
            connection.execute("SET LOCAL ROLE tallymark_owner")
            for function in functions:
                only = function.partition("\nALTER FUNCTION")[0]
                connection.execute(only.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1).encode())


@pytest.fixture
def old(tmp_path: Path) -> Iterator[OldDatabase]:
    """The old database."""
    with EmbeddedPostgres(tmp_path / "data") as postgres:
        yield OldDatabase(tmp_path, postgres)


class Callers:
    """Old services that keep calling the stored functions, as the old release's documentation describes.

    Attributes:
        failed: Errors of the callers.
        counted: How many updates were acknowledged for the first time, by job.
        calls: How many calls there were.
    """

    def __init__(self, old: OldDatabase) -> None:
        """Start them."""
        self.failed: list[str] = []
        self.counted = dict.fromkeys(JOBS, 0)
        self.calls = 0
        self._old = old
        self._lock = threading.Lock()
        self._done = threading.Event()
        acts: list[Callable[[Connection, random.Random, int], None]] = [
            *[self._report] * 3,
            self._report_many,
            self._read,
        ]
        self._threads = [threading.Thread(target=self._go_on, args=(act, seed)) for seed, act in enumerate(acts)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, calls: int) -> None:
        """Wait until there were this many more calls, or one failed."""
        wanted = self.calls + calls
        while self.calls <= wanted and not self.failed:
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop them."""
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self, act: Callable[[Connection, random.Random, int], None], seed: int) -> None:
        chance = random.Random(seed)
        number = 0
        try:
            with self._old.connect() as connection:
                while not self._done.is_set():
                    number += 1
                    act(connection, chance, number)
                    with self._lock:
                        self.calls += 1
        except Exception as error:  # noqa: BLE001 - told to the test
            self.failed.append(f"{act.__name__}: {type(error).__name__}: {error}")

    def _count(self, job: str, *, duplicate: bool) -> None:
        if not duplicate:
            with self._lock:
                self.counted[job] += 1

    def _report(self, connection: Connection, chance: random.Random, number: int) -> None:
        job = chance.choice(JOBS)
        update = {"status": "processing", "updateId": f"{id(chance)}-{number}", "itemsByType": {"upgraded": 1}}
        for _ in range(2):
            row = connection.execute("SELECT tallymark.merge_progress(%s, %s)", [job, Jsonb(update)]).fetchone()
            assert row is not None
            self._count(job, duplicate=row[0]["duplicate"])

    def _report_many(self, connection: Connection, chance: random.Random, number: int) -> None:
        jobs = chance.sample(JOBS, 10)
        updates = [
            {
                "taskId": job,
                "status": "processing",
                "updateId": f"batch-{number}",
                "timestamp": "2025-01-07T00:00:00Z",
                "itemsByType": {"upgraded": 1},
            }
            for job in jobs
        ]
        row = connection.execute("SELECT tallymark.merge_progress_batch(%s)", [Jsonb(updates)]).fetchone()
        assert row is not None
        for job, ack in zip(jobs, row[0], strict=True):
            assert ack["status"] == "received", ack
            self._count(job, duplicate=ack["duplicate"])

    def _read(self, connection: Connection, chance: random.Random, _number: int) -> None:
        job = chance.choice(JOBS)
        for query in (
            "SELECT tallymark.get_job(%s)",
            "SELECT * FROM tallymark.timeline(%s, 0, 20)",
            "SELECT * FROM tallymark.timeline(job_id => %s, after_seq => 5, event_kind => 'error')",
            "SELECT tallymark.timeline_page(%s, 0, 5)",
            "SELECT tallymark.job_rate(%s)",
            "SELECT tallymark.create_job(%s)",
        ):
            connection.execute(query, [job])
        connection.execute("SELECT tallymark.list_jobs(status => 'running')")


def state(old: OldDatabase) -> list[tuple[Any, ...]]:
    """Return the state of each job."""
    columns = "id, status, progress, resume_state, last_seq, requested_command"
    return old.ask(f"SELECT {columns} FROM tallymark.job ORDER BY id")


def upgraded(old: OldDatabase) -> dict[str, int]:
    """Return how many of the callers' updates each job has."""
    return dict(
        old.ask(
            """SELECT j.id, (SELECT count(*)::int FROM tallymark.job_event AS e
                 WHERE e.job_id = j.id AND e.payload -> 'itemsByType' ? 'upgraded') FROM tallymark.job AS j"""
        )
    )


def is_exact(old: OldDatabase, callers: Callers, before: dict[str, int]) -> None:
    """Check that each update of the callers is in the ledger once, and each job matches its ledger."""
    for job, updates in upgraded(old).items():
        assert updates - before.get(job, 0) == callers.counted.get(job, 0), job
    assert old.ask("SELECT id FROM tallymark.job WHERE NOT tallymark.verify_job(id)") == []


def unknown_functions(old: OldDatabase) -> set[str]:
    """Return the functions in the database that the old release does not have."""
    known = re.findall(r"CREATE FUNCTION tallymark\.(\w+)\(", old.dump)
    found = old.ask("SELECT proname FROM pg_proc WHERE pronamespace = 'tallymark'::regnamespace")
    return {name for (name,) in found} - set(known)


def tallymark(old: OldDatabase, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of this release."""
    command = [sys.executable, "-c", "from tallymark.cli import main; main()", *arguments]
    environ = {**os.environ, "DATABASE_URL": old.url}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.timeout(300)
def test_an_old_database_is_upgraded_under_load_and_taken_back(old: OldDatabase, tmp_path: Path) -> None:
    """To this release and back to the old one, with callers in SQL all the time, and old crawlers over HTTP."""
    kept = state(old)
    assert len(applied(old.url)) == OLD_MIGRATIONS
    callers = Callers(old)
    callers.wait_for(50)
    done = tallymark(old, "migrate")
    assert done.returncode == 0, done.stderr
    callers.wait_for(100)
    callers.stop()
    assert callers.failed == []
    assert callers.calls > 100
    assert set(applied(old.url)) == set(available())
    is_exact(old, callers, {})
    untouched = [row for row in state(old) if callers.counted.get(row[0], 0) == 0]
    assert all(row in kept for row in untouched)
    doctor = tallymark(old, "doctor")
    assert doctor.returncode == 0, doctor.stdout

    web = Web(old.url, tmp_path / "web.log", {})
    try:
        legacy = {"taskId": "untouched", "status": "processing", "timestamp": "2025-01-07T10:00:00Z", "processed": 3}
        assert web.report(legacy).json["status"] == "received"
        assert web.call("GET", "/api/internal/jobs/untouched").json["progress"]["processedItems"] == 3
        completed = {"taskId": "untouched", "status": "completed", "timestamp": "2025-01-07T11:00:00Z"}
        assert web.report(completed).json["status"] == "received"
    finally:
        web.stop()

    newer = len(available()) - OLD_MIGRATIONS
    assert len(rollback(old.url, steps=newer)) == newer
    assert unknown_functions(old) <= LEFT_BEHIND
    old.install_old_functions()
    before = upgraded(old)
    again = Callers(old)
    again.wait_for(100)
    again.stop()
    assert again.failed == []
    is_exact(old, again, before)
    assert old.ask("SELECT name FROM tallymark.list_tokens()") == [("reporter",)]


def test_an_upgrade_waits_for_a_long_transaction_and_lets_others_report_meanwhile(old: OldDatabase) -> None:
    """A transaction that holds a job for ten seconds delays the upgrade, but not the other crawlers."""
    with old.connect() as holder, old.connect() as other:
        other.execute("SET lock_timeout = '5s'")  # as the endpoint has it
        with holder.transaction():
            holder.execute("SELECT tallymark.merge_progress('old_1', '{\"updateId\": \"held\"}')")
            upgrading = threading.Thread(target=lambda: said.append(tallymark(old, "migrate")))
            said: list[subprocess.CompletedProcess[str]] = []
            upgrading.start()
            deadline = time.monotonic() + 6
            number = 0
            while time.monotonic() < deadline:
                number += 1
                other.execute("SELECT tallymark.merge_progress('old_2', %s)", [Jsonb({"updateId": str(number)})])
        upgrading.join()
    assert said[0].returncode == 0, said[0].stderr
    assert "waiting: a long transaction" in said[0].stdout
    assert old.ask("SELECT bool_and(tallymark.verify_job(id)) FROM tallymark.job") == [(True,)]
