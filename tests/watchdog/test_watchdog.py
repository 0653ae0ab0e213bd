"""Operators get one message when something is wrong and one when it is over, with any number of watchdogs."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from tests.processes import ending

from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres

Connection = psycopg.Connection[Any]
PATIENCE = 30.0


class Receiver:
    """A webhook: a real HTTP server that keeps the messages that it receives.

    Attributes:
        messages: The messages, in the order in which they came.
        status: The status of its answers.
        delay: Seconds before each answer.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.status = 200
        self.delay = 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = receiver.status
                if status == 200:
                    receiver.messages.append(message)
                time.sleep(receiver.delay)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """The address in the form that apprise reads."""
        return f"json://127.0.0.1:{self._server.server_port}/hook"

    @property
    def titles(self) -> Counter[str]:
        """How often each message came."""
        return Counter(message["title"] for message in self.messages)

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook."""
    made = Receiver()
    yield made
    made.close()


@contextmanager
def watching(url: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a watchdog in the block; at its end it is stopped, when it has made a round, and must exit with 0.

    Until its first round it may be on its way up, and a signal ends it as any program: another watchdog may have done
    all the work of the block by then.
    """
    command = [sys.executable, "-c", "from tallymark.cli import main; main()", "watchdog", "--database-url", url]
    with (
        tempfile.TemporaryFile() as rounds,
        subprocess.Popen(
            [*command, "--json", "--interval", "0.2", *arguments], stdout=rounds, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            yield process
            wait_until(lambda: process.poll() is not None or os.fstat(rounds.fileno()).st_size > 0)
            assert process.poll() is None, process.stderr and process.stderr.read()
            process.terminate()
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.02)


def report(db: Connection, job: str, **update: object) -> None:
    """Report on a job, and register it first if it is new."""
    db.execute("SELECT tallymark.create_job(%s)", [job])
    db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, Jsonb(update)])


def fall_silent(db: Connection, job: str) -> None:
    """Make a job's last update two hours old."""
    db.execute("UPDATE tallymark.job SET updated_at = updated_at - interval '2 hours' WHERE id = %s", [job])
    db.execute("UPDATE tallymark.job_event SET recorded_at = recorded_at - interval '2 hours' WHERE job_id = %s", [job])


def all_sent(db: Connection) -> bool:
    """Return whether all messages have been sent."""
    return db.execute("SELECT count(*) FROM tallymark.alert WHERE due_at IS NOT NULL").fetchone() == (0,)


def test_an_unusual_run_and_a_missed_one_are_told_of_once_and_their_ends_once(
    db: Connection, db_url: str, receiver: Receiver
) -> None:
    """A run far behind those before it catches up; and the next run of another series starts late."""

    def run(job: str, series: str, hours: float, items: int, **end: object) -> None:
        db.execute("SELECT tallymark.create_job(%s, %s)", [job, Jsonb({"series": series})])
        began = datetime.now(UTC) - timedelta(hours=hours)
        report(db, job, timestamp=began.isoformat(), status="started")
        report(db, job, timestamp=(began + timedelta(minutes=20)).isoformat(), itemsByType={"pages": items})
        if end:
            report(db, job, timestamp=(began + timedelta(minutes=30)).isoformat(), **end)

    for number in range(3):
        run(f"before {number}", "weekly", 2, 100, status="completed")
    for number in range(5):
        run(f"hourly {number}", "hourly", 6 - number, 100, status="completed")
    with watching(db_url, "--notify", receiver.url), watching(db_url, "--notify", receiver.url):
        run("behind", "weekly", 0.4, 40)
        opened = {
            "Alert: job behind has far fewer items than the runs before it",
            "Alert: job hourly 4 was not followed by the next run",
        }
        wait_until(lambda: set(receiver.titles) >= opened)
        assert db.execute("SELECT count(*) FROM tallymark.job_pace").fetchone() == (3,), "the rounds note how runs went"
        report(db, "behind", itemsByType={"pages": 50})
        run("hourly 5", "hourly", 0.1, 1)
        resolved = {
            "Resolved: job behind is as the runs before it, or has ended",
            "Resolved: job hourly 4 was followed by the next run, or deleted",
        }
        wait_until(lambda: set(receiver.titles) >= resolved)
    assert receiver.titles == dict.fromkeys(opened | resolved, 1)
    assert all_sent(db)


def test_a_migration_that_is_taken_back_for_a_while_does_not_end_the_watchdog(
    db: Connection, db_url: str, receiver: Receiver
) -> None:
    """It says why it cannot read, goes on when the migration has been applied again, and tells what happened since."""
    with watching(db_url, "--notify", receiver.url) as process:
        assert process.stderr is not None
        db.execute("ALTER TABLE tallymark.job RENAME COLUMN series TO taken_back")
        try:
            told = process.stderr.readline()
        finally:
            db.execute("ALTER TABLE tallymark.job RENAME COLUMN taken_back TO series")
        assert "cannot be read" in told
        assert "run `tallymark migrate`" in told
        assert process.stderr.readline() == "the database is back\n"
        report(db, "failed", status="failed", error="boom")
        wait_until(lambda: receiver.titles == {"Alert: job failed has failed": 1})


def test_each_kind_fires_once_and_recovers_once_with_two_watchdogs(
    db: Connection, db_url: str, receiver: Receiver
) -> None:
    """Six jobs, each with a different problem, and two watchdogs that do five rounds a second."""
    with watching(db_url, "--notify", receiver.url), watching(db_url, "--notify", receiver.url):
        report(db, "well", message="all is well")
        report(db, "silent", message="page 7")
        fall_silent(db, "silent")
        report(db, "failed", status="failed", error={"type": "TimeoutError", "message": "no answer in 30 s"})
        report(db, "short", status="completed", totalsByType={"pages": 9}, itemsByType={"pages": 2})
        report(db, "expired", status="credential_expiry")
        for number in range(12):
            report(db, "erring", error=f"boom {number}")
        report(db, "wrong", message="m")
        db.execute("UPDATE tallymark.job SET progress = progress || '{\"message\": \"n\"}' WHERE id = 'wrong'")
        opened = {
            "Alert: job silent is stalled",
            "Alert: job failed has failed",
            "Alert: job short finished, and something is missing",
            "Alert: job expired waits for credentials",
            "Alert: job erring reports many errors",
            "Alert: job wrong does not match its ledger",
        }
        wait_until(lambda: set(receiver.titles) >= opened)
        time.sleep(1)  # some rounds more, in which nothing may come
        assert receiver.titles == dict.fromkeys(opened, 1)

        report(db, "silent", message="page 8")
        report(db, "failed", status="started")
        report(db, "short", status="completed", skippedByType={"pages": 7})
        report(db, "expired", status="credential_resumed")
        db.execute(
            "UPDATE tallymark.job_event SET recorded_at = recorded_at - interval '1 hour' WHERE job_id = 'erring'"
        )
        db.execute("UPDATE tallymark.job SET updated_at = updated_at - interval '1 hour' WHERE id = 'erring'")
        report(db, "erring", message="fine again")
        db.execute("UPDATE tallymark.job SET progress = progress || '{\"message\": \"m\"}' WHERE id = 'wrong'")
        resolved = {
            "Resolved: job silent is no longer stalled",
            "Resolved: job failed was restarted or deleted",
            "Resolved: job short is no longer short of anything",
            "Resolved: job expired no longer waits for credentials",
            "Resolved: job erring reports fewer errors",
            "Resolved: job wrong matches its ledger again",
        }
        wait_until(lambda: set(receiver.titles) >= resolved)
        time.sleep(1)
    assert receiver.titles == dict.fromkeys(opened | resolved, 1)
    assert all_sent(db)
    silent = next(message for message in receiver.messages if message["title"] == "Alert: job silent is stalled")
    assert silent["type"] == "failure"
    assert "Check whether its crawler is running" in silent["message"]
    assert "page 7" in silent["message"]
    assert "no sign of life since" in silent["message"]
    recovered = next(
        message for message in receiver.messages if message["title"] == "Resolved: job silent is no longer stalled"
    )
    assert recovered["type"] == "success"
    name = silent["message"].rpartition("alert ")[2].removesuffix("-opened")
    assert recovered["message"].endswith(f"alert {name}-recovered"), "both say of which alert they are"


def test_a_message_that_failed_is_sent_again_and_to_nobody_twice(
    db: Connection, db_url: str, receiver: Receiver
) -> None:
    """One of two receivers fails for a while; the other one gets the message once."""
    other = Receiver()
    other.status = 500
    report(db, "job", status="failed")
    try:
        with watching(db_url, "--notify", receiver.url, "--notify", other.url):
            wait_until(lambda: db.execute("SELECT cardinality(delivered_to) FROM tallymark.alert").fetchone() == (1,))
            assert db.execute("SELECT last_error FROM tallymark.list_alerts()").fetchone() != (None,)
            other.status = 200
            db.execute("UPDATE tallymark.alert SET due_at = now()")
            wait_until(lambda: all_sent(db))
    finally:
        other.close()
    assert receiver.titles == {"Alert: job job has failed": 1}
    assert other.titles == {"Alert: job job has failed": 1}


def test_another_watchdog_sends_the_message_of_one_that_was_killed(
    db: Connection, db_url: str, receiver: Receiver
) -> None:
    """The message is sent again after the lease, with the same id, so that a receiver recognises it."""
    report(db, "job", status="failed")
    receiver.delay = 3.0
    command = [sys.executable, "-c", "from tallymark.cli import main; main()", "watchdog", "--database-url", db_url]
    process = subprocess.Popen([*command, "--notify", receiver.url], stderr=subprocess.DEVNULL)
    with ending(process):
        wait_until(lambda: len(receiver.messages) == 1)
        process.send_signal(signal.SIGKILL)
        process.wait()
    receiver.delay = 0.0
    with watching(db_url, "--notify", receiver.url):
        time.sleep(1)
        assert len(receiver.messages) == 1, "the lease is not over yet"
        db.execute("UPDATE tallymark.alert SET due_at = now()")
        wait_until(lambda: all_sent(db))
    first, second = receiver.messages
    assert first["message"].rpartition("alert ")[2] == second["message"].rpartition("alert ")[2]


@pytest.mark.slow
def test_watching_goes_on_when_the_database_comes_back(tmp_path: Path, receiver: Receiver) -> None:
    """The watchdog reports once that the database is away, and misses no alert."""
    with ExitStack() as parts:
        server = EmbeddedPostgres(tmp_path / "data")
        parts.callback(server.stop)
        server.start()
        migrate(server.url, report=lambda _line: None)
        watchdog = parts.enter_context(watching(server.url, "--notify", receiver.url))
        with psycopg.connect(server.url, autocommit=True) as db:
            report(db, "first", status="failed")
            wait_until(lambda: len(receiver.messages) == 1)
        server.stop()
        time.sleep(1)
        server.start()
        with psycopg.connect(server.url, autocommit=True) as db:
            report(db, "second", status="failed")
            wait_until(lambda: len(receiver.messages) == 2)
        watchdog.terminate()
        _, said = watchdog.communicate(timeout=PATIENCE)
        assert said.count("cannot be read") == 1
        assert "the database is back" in said
        parts.pop_all()
        server.stop()
    assert receiver.titles == {"Alert: job first has failed": 1, "Alert: job second has failed": 1}


def run(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command once."""
    command = [sys.executable, "-c", "from tallymark.cli import main; main()", "watchdog", "--database-url", url]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_without_a_receiver_it_prints_and_leaves_the_messages_to_others(
    db: Connection, db_url: str, receiver: Receiver
) -> None:
    """Running the command by hand does not consume messages."""
    report(db, "job", status="failed")
    looked = run(db_url, "--once")
    assert (looked.returncode, looked.stdout) == (0, "Alert: job job has failed\n")
    assert "no URLs to send to" in looked.stderr
    told = run(db_url, "--once", "--json", "--notify", receiver.url)
    assert json.loads(told.stdout)["sent"] == ["Alert: job job has failed"]
    assert len(receiver.messages) == 1


def test_a_receiver_that_cannot_be_reached_shows_in_the_exit_status(db: Connection, db_url: str) -> None:
    """The reason is printed, without the password in the URL."""
    report(db, "job", status="failed")
    told = run(db_url, "--once", "--notify", "json://user:hidden-word@127.0.0.1:9/hook")
    assert told.returncode == 1
    assert "not sent: Alert: job job has failed" in told.stderr
    assert "hidden-word" not in told.stderr + told.stdout
    kept = db.execute("SELECT to_jsonb(a)::text FROM tallymark.alert AS a").fetchone()
    assert kept is not None
    assert "hidden-word" not in kept[0]


def test_a_test_message_shows_that_alerts_will_come(db_url: str, receiver: Receiver) -> None:
    """It does not need the database."""
    assert run("postgresql://nowhere.invalid/x", "--test", "--notify", receiver.url).stdout == "sent to 1\n"
    assert receiver.titles == {"Tallymark: a test": 1}
    told = run(db_url, "--test", "--notify", "nonsense://x")
    assert told.returncode == 2
    assert "cannot be used" in told.stderr


def test_a_job_that_failed_long_ago_is_no_alert(db: Connection, db_url: str, receiver: Receiver) -> None:
    """The first watchdog on an old database reports only what is new."""
    report(db, "old", status="failed", timestamp="2025-01-06T10:00:00Z")
    db.execute("UPDATE tallymark.job SET updated_at = '2025-01-06T10:00:00Z'")
    report(db, "new", status="failed")
    assert run(db_url, "--once", "--notify", receiver.url).returncode == 0
    assert receiver.titles == {"Alert: job new has failed": 1}


def test_no_job_id_can_break_the_line_of_its_alert(db: Connection, db_url: str, receiver: Receiver) -> None:
    """A title becomes the subject of a mail, and a terminal would obey its control characters."""
    report(db, "a\r\nBcc: b\x1b[2J", status="failed")
    told = run(db_url, "--once", "--notify", receiver.url)
    assert told.stdout == "Alert: job a\\r\\nBcc: b\\x1b[2J has failed\n"
    assert receiver.titles == {"Alert: job a\\r\\nBcc: b\\x1b[2J has failed": 1}
