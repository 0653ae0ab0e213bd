"""A dump, a drop, a restore: every job verifies, the doctor finds nothing, crawlers go on, and all counts are exact."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from benchmarks.standby import standby
from psycopg.types.json import Jsonb
from tests.faults.crawlers import TOKEN
from tests.faults.servers import WebServer

from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres
from tallymark.server.cluster import bin_dir

pytestmark = pytest.mark.slow

CRAWLER = Path(__file__).parents[1] / "client" / "crawler.py"
ENDLESS = 10**9
JOBS = ("crawl_1", "crawl_2", "crawl_3")
PATIENCE = 60.0


class Crawl:
    """The crawlers of some jobs, each a process of its own with a durable spool."""

    def __init__(self, web: WebServer, directory: Path) -> None:
        """Prepare crawlers that report to this server and have their spools and journals in this directory."""
        self._url = f"http://127.0.0.1:{web.port}"
        self._directory = directory
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, items: int = ENDLESS) -> None:
        """Start a crawler for each job; each crawls this many more items."""
        for seed, job in enumerate(JOBS):
            command = [
                *(sys.executable, str(CRAWLER), self._url, TOKEN, str(self.spool(job)), job),
                *(str(self._directory / f"{job}.journal"), str(items), str(seed)),
            ]
            self._processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))

    def kill(self) -> None:
        """Kill all of them, with -9."""
        for process in self._processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        self._processes = []

    def finish(self, items: int = 50) -> None:
        """Let each crawl a few more items and complete."""
        self.start(items)
        for process in self._processes:
            assert process.wait(PATIENCE) == 0
        self._processes = []

    def spool(self, job: str) -> Path:
        """The directory of the crawlers' spools."""
        return self._directory / f"spool-{job}"


class Place:
    """A database server of our own, with a web server before it.

    Attributes:
        postgres: The database server.
        web: The web server.
    """

    def __init__(self, directory: Path) -> None:
        self.postgres = EmbeddedPostgres(directory / "data")
        self.postgres.start()
        self.web = WebServer(self.postgres.url, directory / "web.log")
        self._dump = directory / "tallymark.dump"

    def ask(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a query."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def dump(self) -> None:
        """Back the database up, as in docs/operations.md."""
        self._run("pg_dump", "--format=custom", f"--file={self._dump}", f"--dbname={self.postgres.url}")

    def drop_and_restore(self) -> None:
        """Drop the database, even with open connections, and create it again from the dump."""
        name = self.postgres.url.rpartition("/")[2].partition("?")[0]
        with psycopg.connect(self.postgres.url, autocommit=True, dbname="postgres") as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        self._run("pg_restore", "--exit-on-error", f"--dbname={self.postgres.url}", str(self._dump))

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run([str(bin_dir() / program), *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def tallymark(self, *arguments: str) -> str:
        """Run a command of ours; return its output."""
        command = [sys.executable, "-c", "from tallymark.cli import main; main()", *arguments]
        environ = {**os.environ, "DATABASE_URL": self.postgres.url}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def counted(self) -> dict[str, tuple[int, int]]:
        """Return how many items each crawled job has counted, and the number of the last item that was crawled."""
        found = self.ask(
            """SELECT id, (SELECT coalesce(sum(v::bigint), 0)::bigint
                   FROM jsonb_each_text(progress -> 'itemsByType') AS t (k, v)),
                 coalesce(progress ->> 'lastProcessedId', '0')::bigint
               FROM tallymark.job WHERE id = ANY (%s)""",
            list(JOBS),
        )
        return {job: (items, last) for job, items, last in found}

    def wait_for_items(self, more_than: dict[str, tuple[int, int]], items: int = 100) -> None:
        """Wait until every crawler has counted this many more items."""
        deadline = time.monotonic() + PATIENCE
        while True:
            now = self.counted()
            if len(now) == len(JOBS) and all(now[job][0] >= more_than.get(job, (0, 0))[0] + items for job in JOBS):
                return
            assert time.monotonic() < deadline, (now, more_than)
            time.sleep(0.05)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A database server, migrated, with jobs of other crawlers in it, and a web server that is not started yet."""
    made = Place(tmp_path)
    migrate(made.postgres.url, report=lambda _line: None)
    with psycopg.connect(made.postgres.url, autocommit=True) as connection:
        for number in range(20):
            job = f"other_{number}"
            connection.execute("SELECT tallymark.create_job(%s)", [job])
            for status in ("started", "processing", *(["failed"] if number % 3 == 0 else ["completed"] * (number % 3))):
                update = {"status": status, "itemsByType": {"issues": 3}, "workerId": f"w{number % 2}"}
                update |= {"itemKeys": {"pages": [f"page {number}", status]}}
                connection.execute("SELECT tallymark.merge_progress(%s, %s)", [job, Jsonb(update)])
            areas = {"status": "new_areas_discovered", "areas": [{"fullPath": f"g/{number}", "type": "group"}]}
            connection.execute("SELECT tallymark.merge_progress(%s, %s)", [job, Jsonb(areas)])
        connection.execute("SELECT tallymark.prune_job('other_1', 'infinity', 2)")
        connection.execute("SELECT tallymark.create_token('kept', '{read}')")
        connection.execute("SELECT tallymark.raise_alerts()")
    yield made
    made.web.stop()
    made.postgres.stop()


@pytest.fixture
def crawl(place: Place, tmp_path: Path) -> Iterator[Crawl]:
    """Crawlers that report to it."""
    crawlers = Crawl(place.web, tmp_path)
    yield crawlers
    crawlers.kill()


def others(place: Place) -> list[tuple[Any, ...]]:
    """Return the rows about the jobs that nobody crawls."""
    return place.ask(
        """SELECT to_jsonb(j),
             (SELECT jsonb_agg(to_jsonb(e) ORDER BY e.seq) FROM tallymark.job_event AS e WHERE e.job_id = j.id),
             (SELECT jsonb_agg(to_jsonb(a)) FROM tallymark.job_area AS a WHERE a.job_id = j.id),
             (SELECT jsonb_agg(to_jsonb(i)) FROM tallymark.job_item AS i WHERE i.job_id = j.id)
           FROM tallymark.job AS j WHERE starts_with(j.id, 'other_') ORDER BY j.id"""
    )


def is_in_order(place: Place) -> None:
    """Check that the database matches the files, and each job its ledger."""
    assert "nothing was pending" in place.tallymark("migrate")
    assert "The database is what the files say." in place.tallymark("doctor")
    assert "23 jobs checked, 0 differ" in place.tallymark("verify")


def is_exact(place: Place) -> None:
    """Check that each crawled item was counted once."""
    for job, (items, last) in place.counted().items():
        assert items == last > 0, job


@pytest.mark.timeout(180)
def test_crawlers_outlast_a_move_to_another_database(place: Place, crawl: Crawl) -> None:
    """The web server is stopped, and the database is dumped, dropped and restored, while crawlers keep crawling."""
    place.web.start()
    crawl.start()
    place.wait_for_items({})
    place.web.stop()
    before, kept = place.counted(), others(place)
    place.dump()
    place.drop_and_restore()
    is_in_order(place)
    assert others(place) == kept
    assert place.counted() == before, "what was acknowledged is there"
    assert place.ask("SELECT name FROM tallymark.list_tokens()") == [("kept",)]
    place.web.start()
    place.wait_for_items(before)
    crawl.kill()
    crawl.finish()
    is_exact(place)
    is_in_order(place)


@pytest.mark.timeout(180)
def test_crawlers_that_start_anew_after_an_older_backup_count_exactly(place: Place, crawl: Crawl) -> None:
    """Reports made after the dump are lost with the database, and their items are crawled again.

    The crawlers start without their spools, which hold items that come after the lost ones.
    """
    place.web.start()
    crawl.start()
    place.wait_for_items({})
    place.dump()
    at_dump = place.counted()
    place.wait_for_items(at_dump)
    crawl.kill()
    place.web.stop()
    place.drop_and_restore()
    is_in_order(place)
    for job in JOBS:
        for file in crawl.spool(job).iterdir():
            file.unlink()
    place.web.start()
    crawl.finish()
    is_exact(place)
    is_in_order(place)


def test_a_copy_of_the_whole_server_is_a_backup_too(place: Place, crawl: Crawl, tmp_path: Path) -> None:
    """pg_basebackup copies the server while crawlers report; the copy runs elsewhere, has every job and verifies."""
    place.web.start()
    crawl.start()
    place.wait_for_items({})
    with standby(place.postgres, tmp_path / "copy") as copy:
        copy.stop()
        (tmp_path / "copy" / "cluster" / "standby.signal").unlink()
        copy.start()
        with psycopg.connect(copy.url, autocommit=True) as connection:
            query = "SELECT count(*), bool_and(tallymark.verify_job(id)) FROM tallymark.job"
            row = connection.execute(query).fetchone()
            assert row == (23, True)
            connection.execute("SELECT tallymark.merge_progress('other_0', '{\"status\": \"started\"}')")
