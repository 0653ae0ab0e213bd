"""The database goes away, is busy, or comes back; the server is stopped: no update is lost or counted twice."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.web.watching import PATIENCE, wait_until

from tallymark.functions.errors import Unavailable
from tallymark.functions.http import Statement
from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres
from tallymark.server.ports import some_free_port
from tallymark.settings import Settings
from tallymark.web.db.pool import Database
from tallymark.web.db.share import Share

if TYPE_CHECKING:
    from tests.web.conftest import Answer, Web

Update = Callable[..., dict[str, object]]

#: For locks that tests hold until they have seen their effect.
_WAIT_FOR_EVER = {"TALLYMARK_LOCK_TIMEOUT": "0", "TALLYMARK_STATEMENT_TIMEOUT": "0"}
_OURS = "application_name = 'tallymark' AND datname = current_database()"


def _wait_for_lock(connection: psycopg.Connection[Any], count: int = 1) -> None:
    """Wait until this many of the server's calls wait for a lock, and not only briefly."""
    waiting = f"""SELECT count(*) FROM pg_stat_activity
        WHERE {_OURS} AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > '200 ms'"""
    while connection.execute(waiting).fetchone() != (count,):
        connection.execute("SELECT pg_sleep(0.01)")


def test_terminated_connections_are_neither_errors_nor_counted_twice(
    start_web: Callable[..., "Web"], db_url: str, db: psycopg.Connection[Any], update: Update
) -> None:
    """All connections are cut repeatedly while crawlers report; each update ends with a 200 and counts once."""
    web = start_web(db_url, TALLYMARK_POOL_SIZE="4")
    web.register("j")
    done = threading.Event()

    def cut() -> None:
        with psycopg.connect(db_url, autocommit=True) as other:
            while not done.is_set():
                other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_OURS}")
                other.execute("SELECT pg_sleep(0.3)")

    def report(number: int) -> "Answer":
        sent = update("j", updateId=str(number), itemsByType={"issues": 1})
        for _ in range(5):
            answer = web.report(sent)
            # One cut goes unnoticed. If the second attempt is cut, too, the crawler gets 503 and sends the same again.
            if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
                break
        return answer

    with ThreadPoolExecutor(9) as pool:
        cutter = pool.submit(cut)
        answers = list(pool.map(report, range(300)))
        done.set()
        cutter.result()
    assert [answer.body for answer in answers if answer.status != 200] == []
    assert web.call("GET", "/api/internal/jobs/j").json["progress"]["itemsByType"] == {"issues": 300}
    assert db.execute("SELECT tallymark.verify_job('j')").fetchone() == (True,)


def test_an_idle_connection_that_was_cut_goes_unnoticed(
    start_web: Callable[..., "Web"], db_url: str, db: psycopg.Connection[Any], update: Update
) -> None:
    """Every connection of the pool is dead, and the next update and read succeed nevertheless."""
    web = start_web(db_url, TALLYMARK_POOL_SIZE="4")
    web.register("j")
    for number in range(8):
        web.report(update("j", processedItems=number))
    db.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {_OURS}")
    assert web.report(update("j", processedItems=20)).status == 200
    assert web.call("GET", "/api/internal/jobs/j").json["progress"]["processedItems"] == 20


def test_when_all_connections_are_in_use_others_are_told_to_come_back(
    start_web: Callable[..., "Web"], db_url: str, db: psycopg.Connection[Any], update: Update
) -> None:
    """503 with Retry-After after TALLYMARK_POOL_TIMEOUT; the process still counts as healthy."""
    web = start_web(db_url, TALLYMARK_POOL_SIZE="1", TALLYMARK_POOL_TIMEOUT="0.3", **_WAIT_FOR_EVER)
    web.register("free")
    with ThreadPoolExecutor(1) as pool:
        with psycopg.connect(db_url) as holder:
            holder.execute("LOCK TABLE tallymark.api_token")
            # Its token has the form of a stored one, which must be looked up.
            stuck = pool.submit(web.report, update("free"), token=f"tallymark_{'0' * 64}")
            _wait_for_lock(db, 1)
            answer = web.report(update("free"))
            assert web.call("GET", "/healthz").status == 200
        assert stuck.result().status == 401
    assert (answer.status, answer.json["error"]) == (503, "Database busy")
    assert int(answer.headers["retry-after"]) >= 1
    assert web.report(update("free")).json["duplicate"] is False


def test_more_callers_than_threads_are_turned_away_at_once(db_url: str) -> None:
    """More than TALLYMARK_MAX_WAITING do not wait for TALLYMARK_POOL_TIMEOUT."""
    settings = Settings(
        pool_size=1, blocking_threads=2, max_waiting=2, pool_timeout=3600, lock_timeout=0, statement_timeout=0
    )
    database = Database(db_url, settings)
    lock = Statement(b"lock", b"SELECT pg_advisory_xact_lock($1::bigint)")
    try:
        with ThreadPoolExecutor(4) as pool, psycopg.connect(db_url) as holder:
            holder.execute("SELECT pg_advisory_xact_lock(1)")
            calls = [pool.submit(database.call, lock, b"1") for _ in range(4)]
            # The others wait for the lock, or for the connection of one that does.
            assert isinstance(next(as_completed(calls, PATIENCE)).exception(), Unavailable)
        assert sum(isinstance(call.exception(), Unavailable) for call in calls) <= 2
        assert database.call(lock, b"1") == [b""]
    finally:
        database.close()


def test_the_sessions_have_the_timeouts_of_the_settings(
    start_web: Callable[..., "Web"], db_url: str, update: Update
) -> None:
    """A statement that exceeds TALLYMARK_STATEMENT_TIMEOUT is cancelled: 503, and nothing changes."""
    web = start_web(db_url, TALLYMARK_STATEMENT_TIMEOUT="1000")
    web.register("j")
    with psycopg.connect(db_url) as holder:
        holder.execute("SELECT FROM tallymark.job WHERE id = 'j' FOR UPDATE")
        answer = web.report(update("j"))
    assert (answer.status, answer.json["error"]) == (503, "Database busy")
    assert web.report(update("j")).json["duplicate"] is False


@pytest.mark.faults
def test_after_a_restart_of_the_database_all_pools_are_as_large_as_before(tmp_path: Path) -> None:
    """Both had connections, which are dead now. Neither takes the time without a server for a lack of connections."""
    sleep = Statement(b"sleep", b"SELECT pg_sleep($1::double precision)::text")
    share = Share()
    with EmbeddedPostgres(tmp_path / "data") as postgres:
        pools = [Database(postgres.url, Settings(pool_size=4), share=share) for _ in range(2)]

        def fill(database: Database) -> int:
            with ThreadPoolExecutor(4) as threads:
                list(threads.map(lambda _: database.call(sleep, b"0.3"), range(4)))
            return database.connections()["open"]

        try:
            assert [fill(database) for database in pools] == [4, 4]
            postgres.stop()
            with pytest.raises(Unavailable) as caught:
                pools[0].call(sleep, b"0")
            assert caught.value.sqlstate == "08001"
            postgres.start()
            # The second pool still has its dead connections.
            wait_until(lambda: _answers(pools[0], sleep))
            assert [fill(database) for database in pools] == [4, 4]
        finally:
            for database in pools:
                database.close()


def _answers(database: Database, statement: Statement) -> bool:
    try:
        return database.call(statement, b"0") == [b""]
    except Unavailable:
        return False


def test_a_stopped_server_finishes_what_it_has_begun(
    start_web: Callable[..., "Web"], db_url: str, db: psycopg.Connection[Any], update: Update
) -> None:
    """SIGTERM comes while an update waits for its job: it is merged and answered with 200, then the process ends."""
    web = start_web(db_url, **_WAIT_FOR_EVER)
    web.register("j")
    with ThreadPoolExecutor(1) as pool:
        with psycopg.connect(db_url) as holder:
            holder.execute("SELECT FROM tallymark.job WHERE id = 'j' FOR UPDATE")
            running = pool.submit(web.report, update("j"))
            _wait_for_lock(db)
            web.process.terminate()
        answer = running.result()
    assert (answer.status, answer.json["seq"]) == (200, 1)
    assert web.process.wait(30) == 0


def test_a_server_starts_without_its_database_and_says_so_quickly(
    start_web: Callable[..., "Web"], update: Update
) -> None:
    """503 with Retry-After at once; the log says so once, without the password."""
    # A request that waited for a connection would wait for an hour, and none does here.
    web = start_web(
        f"postgresql://u:hush@127.0.0.1:{some_free_port('127.0.0.1')}/x",
        TALLYMARK_POOL_TIMEOUT="3600",
    )
    for _ in range(20):
        answer = web.report(update("j"))
        assert (answer.status, answer.json["error"]) == (503, "Database unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    assert web.call("GET", "/readyz").status == 503
    assert web.call("GET", "/healthz").status == 200
    log = web.log.read_text()
    assert log.count("no connection to the database") == 1
    assert "hush" not in log


@pytest.mark.faults
def test_the_server_outlives_its_database_and_finds_it_again(
    start_web: Callable[..., "Web"], tmp_path: Path, update: Update
) -> None:
    """Stopped: 503 within seconds. Started again: the first update succeeds, and acknowledged ones are there."""
    with EmbeddedPostgres(tmp_path / "data") as postgres:
        migrate(postgres.url)
        web = start_web(postgres.url)
        web.register("j")
        assert web.report(update("j", updateId="1", itemsByType={"issues": 1})).status == 200
        postgres.stop()
        with ThreadPoolExecutor(40) as pool:
            lost = list(pool.map(lambda _: web.report(update("j", updateId="2", itemsByType={"issues": 1})), range(40)))
        assert {answer.status for answer in lost} == {503}
        postgres.start()
        started = sent = time.monotonic()
        # At most the pause of half a second after a failed attempt remains.
        while (answer := web.report(update("j", updateId="2", itemsByType={"issues": 1}))).status == 503:
            assert answer.headers["retry-after"]
            assert sent - started < 2, "what was sent later than that is taken"
            sent = time.monotonic()
        assert answer.status == 200
        assert web.call("GET", "/api/internal/jobs/j").json["progress"]["itemsByType"] == {"issues": 2}
        assert web.call("GET", "/readyz").status == 200
        web.stop()
