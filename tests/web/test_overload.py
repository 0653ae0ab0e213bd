"""Too many requests at once: accepted ones are answered, the others are turned away at once."""

import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.web.conftest import TOKEN, Web
from tests.web.watching import PATIENCE, wait_until

if TYPE_CHECKING:
    from tests.web.conftest import Answer

Connection = psycopg.Connection[Any]
Serve = Callable[..., Web]


@pytest.fixture
def serve_small(db_url: str, tmp_path: Path) -> Iterator[Serve]:
    """Starts servers that work on two requests at once, and lets two more wait."""
    started: list[Web] = []

    def serve(**environ: str) -> Web:
        small = {"TALLYMARK_BLOCKING_THREADS": "2", "TALLYMARK_MAX_WAITING": "2", "TALLYMARK_STREAMS": "2"}
        # Locks are held until a test has seen their effect, however long that takes.
        small |= {"TALLYMARK_MAX_WAIT": "3600", "TALLYMARK_LOCK_TIMEOUT": "0", "TALLYMARK_STATEMENT_TIMEOUT": "0"}
        started.append(Web(db_url, tmp_path / f"log-{len(started)}", {**small, **environ}))
        return started[-1]

    yield serve
    for web in started:
        web.stop()


def update(job: str, number: int) -> dict[str, object]:
    """An update that counts one issue."""
    return {
        "taskId": job,
        "updateId": str(number),
        "status": "processing",
        "timestamp": "2025-01-06T19:15:30Z",
        "itemsByType": {"issues": 1},
    }


class Reports:
    """Reports on a job from many threads, and their answers."""

    def __init__(self, web: Web, job: str, count: int) -> None:
        self.answers: list[Answer] = []
        self._threads = [
            threading.Thread(target=lambda number=n: self.answers.append(web.report(update(job, number))))
            for n in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def with_status(self, status: int) -> "list[Answer]":
        """Return the answers with a status."""
        return [answer for answer in self.answers if answer.status == status]

    def join(self) -> None:
        """Wait for all."""
        for thread in self._threads:
            thread.join()


def count_of(db: Connection, job: str) -> int:
    """How many issues the job has counted."""
    row = db.execute(
        "SELECT (progress #>> '{itemsByType,issues}')::int FROM tallymark.job WHERE id = %s", [job]
    ).fetchone()
    return (row and row[0]) or 0


def test_those_that_nobody_can_take_are_turned_away_at_once(db: Connection, db_url: str, serve_small: Serve) -> None:
    """Of twenty reports on a held job one waits for the job and one for its call; the others are refused at once."""
    web = serve_small()
    web.register("held")
    with psycopg.connect(db_url) as holder:
        holder.execute("SELECT FROM tallymark.job WHERE id = 'held' FOR UPDATE")
        reports = Reports(web, "held", 20)
        wait_until(lambda: len(reports.answers) == 18)
        assert len(reports.with_status(503)) == 18
        assert web.call("GET", "/healthz").status == 200, "who watches over the process is answered"
        holder.rollback()
    reports.join()
    assert len(reports.with_status(200)) == 2
    assert count_of(db, "held") == 2, "what was answered 503 was not done"
    refused = reports.with_status(503)[0]
    assert refused.headers["content-type"] == "application/problem+json"
    assert 1 <= int(refused.headers["retry-after"]) <= 5
    assert refused.json["error"] == "Server busy"
    assert web.report(update("held", 99)).status == 200, "it is as before"


def test_who_waits_for_long_is_told_to_come_back(db_url: str, serve_small: Serve) -> None:
    """No request waits forever, however slow the database is."""
    web = serve_small(TALLYMARK_MAX_WAIT="0.5", TALLYMARK_MAX_WAITING="8")
    web.register("held")
    with psycopg.connect(db_url) as holder:
        holder.execute("SELECT FROM tallymark.job WHERE id = 'held' FOR UPDATE")
        began = time.monotonic()
        reports = Reports(web, "held", 3)
        wait_until(lambda: len(reports.with_status(503)) == 2)
        assert time.monotonic() - began >= 0.5
        holder.rollback()
    reports.join()
    assert len(reports.with_status(200)) == 1


def test_a_connection_that_was_turned_away_can_be_used_on(db_url: str, serve_small: Serve) -> None:
    """Its body was read, so the next request is not taken for a part of it."""
    web = serve_small()
    for job in ("held", "free"):
        web.register(job)
    with psycopg.connect(db_url) as holder:
        holder.execute("SELECT FROM tallymark.job WHERE id = 'held' FOR UPDATE")
        reports = Reports(web, "held", 8)
        wait_until(lambda: len(reports.answers) == 6)
        # Those that are left are in the line of the held job, since another one got through.
        wait_until(lambda: web.report(update("free", 1)).status == 200)
        body = b'{"taskId": "held", "status": "processing", "timestamp": "2025-01-06T19:15:30Z", "updateId": "x"}'
        head = (
            b"POST /api/internal/jobs/progress HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer %s\r\nContent-Length: %d\r\n" % (TOKEN.encode(), len(body))
        )
        last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        status, answers = web.raw(head + b"\r\n" + body, head + b"\r\n" + body, last)
        holder.rollback()
    reports.join()
    assert status == 503
    assert answers.count(b"HTTP/1.1 503") == 2
    assert answers.count(b'{"status":"up"}') == 1


def test_a_line_that_is_full_turns_updates_away_before_they_take_a_turn(db: Connection, serve_small: Serve) -> None:
    """While the database stands still, one call is under way and one update waits: all others are refused at once."""
    web = serve_small(TALLYMARK_MAX_WAITING="2", TALLYMARK_BLOCKING_THREADS="1")
    web.register("busy")
    assert web.report(update("busy", 100)).status == 200
    sessions = db.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    stopped = [pid for (pid,) in sessions]
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        reports = Reports(web, "busy", 30)
        wait_until(lambda: len(reports.answers) == 28)
        assert len(reports.with_status(503)) == 28
        more = [web.report(update("busy", 50 + number)) for number in range(3)]
        assert [answer.status for answer in more] == [503] * 3
        assert all(1 <= int(answer.headers["retry-after"]) <= 5 for answer in more)
        assert web.call("GET", "/healthz").status == 200
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    reports.join()
    assert len(reports.with_status(200)) == 2
    assert count_of(db, "busy") == 3, "what was answered 503 was not done"
    wait_until(lambda: b"tallymark_turned_away_total 31.0" in web.call("GET", "/metrics").body)
    assert web.report(update("busy", 99)).status == 200, "it is as before"


def test_connections_that_nobody_uses_keep_nobody_else_out(db_url: str, tmp_path: Path) -> None:
    """Thousands of crawlers keep connections open between reports, even if the limit of open files is low at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    idle_ones = min(3000, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    web = Web(db_url, tmp_path / "log", {})
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with ExitStack() as idle:
            opened = [
                idle.enter_context(socket.create_connection(("127.0.0.1", web.port), timeout=PATIENCE))
                for _ in range(idle_ones)
            ]
            newest = opened[-1]
            for connection in (newest, opened[0]):
                connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(100).startswith(b"HTTP/1.1 200"), "it was let in, and is kept"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        web.stop()
