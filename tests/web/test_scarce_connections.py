"""A server gives fewer connections than the pools may have: they share what there is, and give back what they need not.

The server is one of the tests' own, with max_connections = 5. Three of these are reserved for superusers.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.web.watching import PATIENCE, Watching, wait_until

from tallymark.functions.errors import Unavailable
from tallymark.functions.http import Statement
from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres
from tallymark.settings import Settings
from tallymark.web.db.pool import Database
from tallymark.web.db.share import Share

if TYPE_CHECKING:
    from tests.web.conftest import Web

pytestmark = pytest.mark.slow

Update = Callable[..., dict[str, object]]

_COUNT = 5
_OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tallymark'"
_WHO = Statement(b"who", b"SELECT pg_backend_pid()::text")
_SLEEP = Statement(b"sleep", b"SELECT pg_sleep($1::double precision)::text")


class Small:
    """A server with five connections.

    Attributes:
        url: Its database, for a superuser, who may have all five.
        user_url: The same for a user that may have two.
    """

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self.url = postgres.url
        with self.connect() as admin:
            admin.execute("CREATE ROLE web LOGIN PASSWORD 'p' IN ROLE tallymark_writer, tallymark_reader")
        parts = conninfo_to_dict(self.url)
        self.user_url = f"postgresql://web:p@{parts['host']}:{parts['port']}/{parts['dbname']}"

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection like another program, as soon as there is one."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return psycopg.connect(self.url, autocommit=True, application_name="other")
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def ours(self) -> int:
        """Return how many connections our processes have."""
        with self.connect() as admin:
            row = admin.execute(_OURS).fetchone()
            assert row is not None
            return int(row[0])

    @staticmethod
    def verify(url: str, job_id: str) -> bool:
        """Return whether a job's state is the fold of its ledger."""
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT tallymark.verify_job(%s)", [job_id]).fetchone()
            return row == (True,)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """A small server, which these tests share."""
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("small") / "data")
    with postgres, psycopg.connect(postgres.url, autocommit=True) as admin:
        migrate(postgres.url, report=lambda _line: None)
        admin.execute(f"ALTER SYSTEM SET max_connections = {_COUNT}".encode())
    with postgres:
        yield Small(postgres)


@pytest.fixture
def make_database(small: Small) -> Iterator[Callable[..., Database]]:
    """Makes pools of one share, for the user that may have two connections."""
    share = Share()
    with ExitStack() as made:

        def make(**settings: Any) -> Database:  # noqa: ANN401 - as Settings has them
            database = Database(small.user_url, Settings(**settings), share=share)
            made.callback(database.close)
            return database

        yield make


def _all_at_once(calls: Sequence[Callable[[], object]]) -> list[object]:
    with ThreadPoolExecutor(len(calls)) as threads:
        return [done.result() for done in [threads.submit(call) for call in calls]]


def _calls(database: Database, count: int) -> int:
    """Call a database so often, one call after the other."""
    return len([database.call(_WHO) for _ in range(count)])


@pytest.mark.parametrize(("user", "workers"), [("a superuser", 1), ("a superuser", 3), ("another", 1), ("another", 2)])
def test_reads_and_writes_go_on_with_five_connections(
    start_web: Callable[..., "Web"], small: Small, update: Update, user: str, workers: int
) -> None:
    """Under load and after it; so do /readyz, tokens of the database, and open pages. Every update counts once."""
    with small.connect() as admin:
        row = admin.execute("SELECT tallymark.create_token(%s, '{write,read}')", [f"t{workers}{user}"]).fetchone()
        assert row is not None
        token = str(row[0])
    web = start_web(
        small.url if user == "a superuser" else small.user_url,
        TALLYMARK_WORKERS=str(workers),
        TALLYMARK_TOKEN_CACHE_SECONDS="0.1",
        TALLYMARK_POOL_TIMEOUT="60",
        TALLYMARK_MAX_WAIT="60",
    )
    job_id = f"job_{workers}_{len(user)}"
    assert web.register(job_id).status == 201

    def report(first: int) -> list[int]:
        return [
            web.report(update(job_id, updateId=str(number), itemsByType={"issues": 1}), token=token).status
            for number in range(first, first + 25)
        ]

    def read(_: int) -> list[int]:
        paths = (f"/api/internal/jobs/{job_id}", "/api/internal/overview", f"/api/internal/jobs/{job_id}/timeline")
        return [web.call("GET", path, token=token).status for path in paths for _ in range(8)] + [
            web.call("GET", "/readyz").status
        ]

    with Watching(web, job=job_id, last=0) as watching, ThreadPoolExecutor(17) as threads:
        # Read all the time: a stream of which nothing is taken for long is closed.
        seen = threads.submit(watching.seqs_up_to, 250)
        reports = [threads.submit(report, first) for first in range(0, 250, 25)]
        reads = [threads.submit(read, number) for number in range(6)]
        assert {status for done in [*reports, *reads] for status in done.result()} == {200}
        assert seen.result() == list(range(1, 251))
    # After the load, too, and each of them at first.
    assert web.call("GET", f"/api/internal/jobs/{job_id}").json["progress"]["itemsByType"] == {"issues": 250}
    assert web.report(update(job_id)).status == 200
    assert web.call("GET", "/readyz").status == 200
    web.stop()


def test_what_a_burst_has_opened_is_given_back(small: Small, start_web: Callable[..., "Web"], update: Update) -> None:
    """Other programs get their connections when there are no requests any more."""
    web = start_web(small.url)
    web.register("burst")
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: web.report(update("burst")), range(16)))
    wait_until(lambda: small.ours() <= 2)
    with psycopg.connect(small.url), psycopg.connect(small.url), psycopg.connect(small.url):
        pass
    assert web.report(update("burst")).status == 200
    web.stop()


#: Calls that change a job go on when nobody holds the lock 4004 any more.
_GATE = """
CREATE FUNCTION public.wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  WHILE EXISTS (SELECT FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND l.classid = 0 AND l.objid = 4004 AND d.datname = current_database())
  LOOP
    PERFORM pg_sleep(0.01);
  END LOOP;
  RETURN NEW;
END $$;
CREATE TRIGGER gate BEFORE UPDATE ON tallymark.job FOR EACH ROW EXECUTE FUNCTION public.wait_at_gate();
"""


def test_where_there_is_room_one_of_each_kind_stays(
    start_web: Callable[..., "Web"], db: psycopg.Connection[Any], db_url: str
) -> None:
    """Opening one takes time. Those that only a burst needed are closed."""
    web = start_web(db_url)
    for number in range(4):
        web.register(f"burst{number}")

    def ours(condition: str) -> int:
        row = db.execute(f"{_OURS} AND datname = current_database() AND {condition}".encode()).fetchone()
        assert row is not None
        return int(row[0])

    def command(number: int) -> int:
        return web.call("POST", f"/api/internal/jobs/burst{number}/command", {"command": "pause"}).status

    def opened() -> dict[str, int]:
        text = web.call("GET", "/metrics").body.decode()
        pools = re.findall(r'tallymark_pool_connections{pool="(\w+)",state="open"} (\d+)', text)
        return {pool: int(count) for pool, count in pools}

    db.execute(_GATE.encode())
    with ThreadPoolExecutor(8) as threads, psycopg.connect(db_url) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(4004)")
        commands = [threads.submit(command, number) for number in range(4)]
        wait_until(lambda: ours("wait_event = 'PgSleep'") == 4)
        # These four wait for the job of the first: one of them on a connection for calls that may, whatever the time.
        commands += [threads.submit(command, 0) for _ in range(4)]
        wait_until(lambda: opened().get("write_held") == 1 and ours("wait_event_type = 'Lock'") == 1)
        assert opened()["write"] >= 4
        assert web.call("GET", "/api/internal/jobs/burst0").status == 200
        holder.rollback()
        assert [each.result() for each in commands] == [200] * 8
    wait_until(lambda: opened() == {"write": 1, "write_held": 1, "read": 1})
    assert ours("true") == 3
    web.stop()


def test_each_of_three_pools_gets_one_of_two_connections(make_database: Callable[..., Database]) -> None:
    """They take turns, and no call fails, however busy the others are."""
    databases = [make_database(pool_size=4, pool_timeout=20.0) for _ in range(3)]
    assert _all_at_once([partial(_calls, each, 40) for each in databases * 4]) == [40] * 12


def test_a_pool_that_has_none_gets_one_of_another_that_is_busy(make_database: Callable[..., Database]) -> None:
    """Not only one that is free."""
    busy, other = make_database(pool_size=4, pool_timeout=20.0), make_database(pool_size=4, pool_timeout=20.0)
    done = threading.Event()

    def call_on() -> None:
        while not done.is_set():
            busy.call(_SLEEP, b"0.01")

    with ThreadPoolExecutor(6) as threads:
        running = [threads.submit(call_on) for _ in range(6)]
        wait_until(lambda: busy.connections()["open"] > 0 and busy.connections()["waiting"] > 0)
        assert _calls(other, 20) == 20
        done.set()
        for each in running:
            each.result()


def test_what_was_lowered_recovers(small: Small) -> None:
    """When other programs have closed their connections, a pool gets more again, and leaves the last one to others."""
    database = Database(small.url, Settings(pool_size=8, pool_timeout=20.0))

    def opened() -> int:
        _all_at_once([lambda: database.call(_SLEEP, b"0.1") for _ in range(8)])
        return database.connections()["open"]

    try:
        with psycopg.connect(small.url), psycopg.connect(small.url), psycopg.connect(small.url):
            wait_until(lambda: opened() == 1)
        wait_until(lambda: opened() == _COUNT - 1)
        small.connect().close()
    finally:
        database.close()


def test_a_call_waits_for_a_connection_that_another_program_has(
    small: Small, make_database: Callable[..., Database]
) -> None:
    """It gets the first one that is closed. If none is, the refusal says that the server has none left."""
    patient, hasty = make_database(pool_timeout=20.0), make_database(pool_timeout=0.3)
    with ExitStack() as others, ThreadPoolExecutor(1) as threads:
        for _ in range(2):
            others.enter_context(psycopg.connect(small.user_url))
        with pytest.raises(Unavailable) as caught:
            hasty.call(_WHO)
        assert caught.value.sqlstate == "53300"
        assert "max_connections" in caught.value.explanation
        waiting: Future[object] = threads.submit(patient.call, _WHO)
        with suppress(TimeoutError):
            waiting.result(0.2)
        assert not waiting.done()
        others.close()
        assert waiting.result(PATIENCE)
    assert hasty.call(_WHO)


def test_connections_that_are_cut_meanwhile_are_noticed_by_nobody(small: Small) -> None:
    """Three busy pools divide five connections while another program cuts them. No call fails, and none is lost."""
    share = Share()
    pools = [Database(small.url, Settings(pool_size=4, pool_timeout=60.0), share=share) for _ in range(3)]
    done = threading.Event()
    #: How many calls each thread has made.
    ended = [0] * 15

    def cut() -> None:
        cuts = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'tallymark' AND random() < 0.5"
        )
        while not done.is_set():
            with suppress(psycopg.OperationalError), psycopg.connect(small.url, autocommit=True) as other:
                other.execute(cuts)
            # No call is cut twice.
            before = list(ended)
            while not done.is_set() and any(now == then < 60 for now, then in zip(ended, before, strict=True)):
                time.sleep(0.01)

    def call(number: int) -> None:
        while ended[number] < 60:
            pools[(number + ended[number]) % 3].call(_SLEEP, b"0.005")
            ended[number] += 1

    try:
        with ThreadPoolExecutor(1) as cutter:
            cutting = cutter.submit(cut)
            try:
                _all_at_once([partial(call, number) for number in range(15)])
            finally:
                done.set()
            cutting.result()
        for pool in pools:
            counts = pool.connections()
            assert counts["open"] == counts["free"]
            assert counts["waiting"] == 0
        assert sum(pool.connections()["open"] for pool in pools) <= _COUNT
        for pool in pools:
            assert pool.call(_WHO)
    finally:
        for pool in pools:
            pool.close()
