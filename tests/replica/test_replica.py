"""Reads come from a real streaming replica as long as it keeps up; everything works without it, too."""

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from benchmarks.standby import standby
from tests.web.conftest import Web
from tests.web.watching import Watching, ledger, wait_until

from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres

pytestmark = pytest.mark.slow

JOBS = "/api/internal/jobs"


class Pair:
    """A primary and its replica, each a server of its own.

    Attributes:
        primary: The one that is written to.
        replica: The one that follows it.
    """

    def __init__(self, directory: Path, parts: ExitStack) -> None:
        self.primary = parts.enter_context(EmbeddedPostgres(directory / "primary"))
        migrate(self.primary.url, report=lambda _line: None)
        self.replica = parts.enter_context(standby(self.primary, directory / "replica"))

    def on_replica(self, statement: str) -> Any:  # noqa: ANN401 - as SQL has it
        """Run a statement on the replica."""
        with psycopg.connect(self.replica.url, autocommit=True) as connection:
            row = connection.execute(statement.encode()).fetchone()
            return row and row[0]

    def reads(self) -> int:
        """How many connections the web server has to the replica."""
        return int(self.on_replica("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tallymark'"))

    def kill_replica(self) -> None:
        """Kill the replica with -9; if a wrapper runs it, it is one of the started processes."""
        started = self.replica.process
        assert started is not None
        family = psutil.Process(started.pid)
        for process in [*family.children(recursive=True), family]:
            # The others may end by themselves after the first.
            with suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A primary with a replica."""
    with ExitStack() as parts:
        yield Pair(tmp_path, parts)


@pytest.fixture
def web(pair: Pair, tmp_path: Path) -> Iterator[Web]:
    """A web server that reads from the replica as soon as it can."""
    environ = {"DATABASE_READ_URL": pair.replica.url, "TALLYMARK_MAX_REPLICA_LAG": "2"}
    started = Web(pair.primary.url, tmp_path / "web.log", environ)
    yield started
    started.stop()


def replica_of(web: Web) -> dict[str, Any]:
    """Return the state of the replica in `/readyz`."""
    told: dict[str, Any] = web.call("GET", "/readyz").json["replica"]
    return told


def is_used(web: Web) -> bool:
    """Return whether the server reads from it."""
    return bool(replica_of(web)["used"])


def report(web: Web, job: str, number: int) -> None:
    """Report on a job."""
    update = {
        "taskId": job,
        "updateId": str(number),
        "status": "processing",
        "timestamp": f"2025-01-06T19:15:{number % 60:02}Z",
        "processedItems": number,
    }
    assert web.report(update).status == 200


def processed(web: Web, job: str) -> int:
    """Read how far a job is."""
    answer = web.call("GET", f"{JOBS}/{job}")
    assert answer.status == 200, answer.json
    return int(answer.json["progress"].get("processedItems", 0))


def test_reads_come_from_the_replica_and_go_on_without_it(pair: Pair, web: Web) -> None:
    """Killed with -9 while crawlers report and a client reads: no read fails. When it is back, it is used again."""
    web.register("job")
    wait_until(lambda: is_used(web))
    report(web, "job", 1)
    wait_until(lambda: processed(web, "job") == 1)
    assert pair.reads() > 0, "the replica was asked"
    wait_until(lambda: (lag := replica_of(web)["lagSeconds"]) is not None and lag < 2)

    failed: list[object] = []
    done = threading.Event()

    def read_on() -> None:
        while not done.is_set():
            answer = web.call("GET", f"{JOBS}/job")
            if answer.status != 200:
                failed.append(answer.json)

    readers = [threading.Thread(target=read_on) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        pair.kill_replica()
        for number in range(2, 20):
            report(web, "job", number)
        wait_until(lambda: not is_used(web))
        assert processed(web, "job") == 19
        pair.replica.stop()
        pair.replica.start()
        wait_until(lambda: is_used(web))
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert failed == []
    said = re.findall(r"(reading from the [a-z]+|cannot be read)", web.log.read_text())
    assert said.count("reading from the replica") == 2


def test_a_replica_that_stands_still_is_left_alone_until_it_has_caught_up(pair: Pair, web: Web) -> None:
    """Reads never exceed their age limit; open pages get every event once, and in order."""
    web.register("job")
    report(web, "job", 1)
    wait_until(lambda: is_used(web))
    with Watching(web, job="job", last=0) as watching:
        assert watching.seqs_up_to(1) == [1]
        pair.on_replica("SELECT pg_wal_replay_pause()")
        report(web, "job", 2)
        wait_until(lambda: not is_used(web))
        lag = replica_of(web)["lagSeconds"]
        assert lag is not None
        assert lag > 2
        assert processed(web, "job") == 2, "from the primary"
        assert watching.seqs_up_to(2) == [2]
        report(web, "job", 3)
        assert watching.seqs_up_to(3) == [3]
        pair.on_replica("SELECT pg_wal_replay_resume()")
        wait_until(lambda: is_used(web))
        for number in range(4, 10):
            report(web, "job", number)
        assert watching.seqs_up_to(9) == list(range(4, 10))
    assert ledger(pair.primary.url, "job") == list(range(1, 10))


def test_what_is_there_can_be_read_while_the_primary_is_away(pair: Pair, web: Web) -> None:
    """Updates are turned away, and jobs are shown as they were."""
    web.register("job")
    report(web, "job", 7)
    wait_until(lambda: is_used(web))
    wait_until(lambda: processed(web, "job") == 7)
    pair.primary.stop()
    try:
        update = {"taskId": "job", "status": "processing", "timestamp": "2025-01-06T19:16:00Z"}
        assert web.report(update).status == 503
        assert processed(web, "job") == 7
        assert web.call("GET", "/readyz").status == 503
    finally:
        pair.primary.start()
    wait_until(lambda: web.report(update).status == 200)


def test_a_stored_function_says_how_far_each_server_is(pair: Pair) -> None:
    """A replica at the primary's position or later has all of the primary's data."""
    with psycopg.connect(pair.primary.url, autocommit=True) as db:
        db.execute("SELECT tallymark.create_job('job')")
        row = db.execute("SELECT replica, written FROM tallymark.wal_position()").fetchone()
    assert row is not None
    is_replica, written = row
    assert is_replica is False
    wait_until(lambda: pair.on_replica("SELECT written FROM tallymark.wal_position()") >= written)
    assert pair.on_replica("SELECT replica FROM tallymark.wal_position()") is True
    assert pair.on_replica("SELECT count(*) FROM tallymark.job_ids()") == 1
