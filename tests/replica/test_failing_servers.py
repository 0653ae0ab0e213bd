"""Servers that hang, and commits that no replica has confirmed: nothing waits for good, or is confirmed wrongly."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.faults.servers import stopped
from tests.replica.test_replica import JOBS, Pair, is_used, processed, report
from tests.web.conftest import Web
from tests.web.watching import wait_until

from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres

pytestmark = pytest.mark.slow


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A primary with a replica."""
    with ExitStack() as parts:
        yield Pair(tmp_path, parts)


def processes(server: EmbeddedPostgres) -> list[psutil.Process]:
    """Return all processes of a server."""
    assert server.process is not None
    main = psutil.Process(server.process.pid)
    return [main, *main.children(recursive=True)]


def url_of_both(pair: Pair, wanted: str) -> str:
    """Return a URL that names both servers."""
    first, second = (conninfo_to_dict(server.url) for server in (pair.primary, pair.replica))
    hosts = f"{first['host']}:{first['port']},{second['host']}:{second['port']}"
    return f"postgresql://{first['user']}:{first['password']}@{hosts}/{first['dbname']}?target_session_attrs={wanted}"


def test_calls_on_a_primary_that_hangs_are_made_again_on_the_new_one(pair: Pair, tmp_path: Path) -> None:
    """The old one's machine still confirms what is sent to it, so no timeout of TCP ends the calls."""
    web = Web(url_of_both(pair, "read-write"), tmp_path / "web.log", {"TALLYMARK_MAX_WAIT": "60"})
    try:
        web.register("job")
        report(web, "job", 1)
        assert processed(web, "job") == 1
        with ThreadPoolExecutor(8) as threads:
            with stopped(processes(pair.primary)):
                reports = [threads.submit(report, web, "job", number) for number in range(2, 6)]
                reads = [threads.submit(processed, web, "job") for _ in range(2)]
                pair.on_replica("SELECT pg_promote()")
                for asked in reports + reads:
                    asked.result()
                report(web, "job", 6)
                assert processed(web, "job") == 6
            # The old one goes on, and nobody uses it any more.
            report(web, "job", 7)
            assert processed(web, "job") == 7
    finally:
        web.stop()
    assert pair.on_replica("SELECT last_seq FROM tallymark.job") == 7
    assert "calls cut off" in web.log.read_text()
    assert "Traceback" not in web.log.read_text()


def test_reads_from_a_replica_that_hangs_are_answered_by_the_primary(pair: Pair, tmp_path: Path) -> None:
    """Also those that it was asked before it hung; when it goes on, it is used again."""
    web = Web(pair.primary.url, tmp_path / "web.log", {"DATABASE_READ_URL": pair.replica.url})
    try:
        web.register("job")
        report(web, "job", 1)
        wait_until(lambda: is_used(web))
        wait_until(lambda: processed(web, "job") == 1)
        with ThreadPoolExecutor(8) as threads:
            with stopped(processes(pair.replica)):
                for asked in [threads.submit(processed, web, "job") for _ in range(8)]:
                    assert asked.result() == 1
                wait_until(lambda: not is_used(web))
                report(web, "job", 2)
                assert processed(web, "job") == 2
            wait_until(lambda: is_used(web))
    finally:
        web.stop()
    assert "Traceback" not in web.log.read_text()


def test_a_server_that_follows_the_primary_no_more_is_not_read_from(pair: Pair, tmp_path: Path) -> None:
    """It is no replica any more, and what it has grows old."""
    environ = {"DATABASE_READ_URL": pair.replica.url, "TALLYMARK_MAX_REPLICA_LAG": "1"}
    web = Web(pair.primary.url, tmp_path / "web.log", environ)
    numbers = iter(range(1, 10_000))

    def is_left() -> bool:
        report(web, "job", next(numbers))
        return not is_used(web)

    try:
        web.register("job")
        wait_until(lambda: is_used(web))
        pair.on_replica("SELECT pg_promote()")
        wait_until(is_left)
        last = next(numbers)
        report(web, "job", last)
        assert processed(web, "job") == last
    finally:
        web.stop()


#: The endpoint's session whose commit waits for a replica, for longer than the timeouts of the test.
_WAITING = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'tallymark' AND wait_event = 'SyncRep'"
    " AND clock_timestamp() - query_start > interval '2 s'"
)


def test_what_no_replica_has_confirmed_is_not_acknowledged(tmp_path: Path) -> None:
    """The commit waits longer than any timeout. If somebody cancels the wait, PostgreSQL reports success; we do not."""
    with (
        EmbeddedPostgres(tmp_path / "data") as primary,
        psycopg.connect(primary.url, autocommit=True) as db,
        ThreadPoolExecutor(1) as threads,
    ):

        def is_waiting_or(ended: Callable[[], bool]) -> bool:
            """Wait until the commit waits for the replica, or the request has ended; return whether it waits."""
            wait_until(lambda: ended() or db.execute(_WAITING).fetchone() is not None)
            return not ended()

        migrate(primary.url)
        timeouts = {"TALLYMARK_STATEMENT_TIMEOUT": "1000", "TALLYMARK_LOCK_TIMEOUT": "1000"}
        web = Web(primary.url, tmp_path / "web.log", timeouts)
        try:
            web.register("job")
            report(web, "job", 1)
            db.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            db.execute("SELECT pg_reload_conf()")
            sent = {
                "taskId": "job",
                "updateId": "2",
                "status": "processing",
                "timestamp": "2025-01-06T19:16:00Z",
                "itemsByType": {"issues": 1},
            }
            # The second and third time it is a duplicate, which is no reason to confirm it.
            for _ in range(3):
                asked = threads.submit(web.report, sent)
                # PostgreSQL may not have read its settings again yet.
                while not is_waiting_or(asked.done):
                    asked = threads.submit(web.report, sent)
                db.execute(f"SELECT pg_cancel_backend(pid) FROM ({_WAITING}) AS waiting")
                answer = asked.result()
                assert (answer.status, "confirmed" in answer.json["detail"]) == (503, True), answer.json
                assert int(answer.headers["retry-after"]) > 0
            db.execute("ALTER SYSTEM RESET synchronous_standby_names")
            db.execute("SELECT pg_reload_conf()")
            wait_until(lambda: web.report(sent).status == 200)
            answer = web.report(sent)
            assert (answer.status, answer.json["duplicate"], answer.json["seq"]) == (200, True, 2)
            assert web.call("GET", f"{JOBS}/job").json["progress"]["itemsByType"] == {"issues": 1}
        finally:
            web.stop()
    assert "Traceback" not in web.log.read_text()
