"""docs/calling-from-sql.md: its statements run, its errors are those that PostgreSQL gives, its transactions behave."""

import contextlib
import json
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors
from psycopg.types.json import Json, Jsonb
from tests.docs.pages import fenced, read, rows, section
from tests.web.watching import wait_until

if TYPE_CHECKING:
    from tests.docs.conftest import Connect, Place

pytestmark = pytest.mark.slow

Connection = psycopg.Connection[Any]

PAGE = read("docs/calling-from-sql.md")
MERGE = "SELECT tallymark.merge_progress(%s, %s)"
_COUNTS = "SELECT tallymark.get_job(%s, 0) -> 'progress' -> 'itemsByType'"


@pytest.fixture(scope="module")
def ready(place: "Place") -> "Place":
    """The place, with the jobs and the table that the page uses, after all statements of the page have run."""
    place.db.execute("SELECT tallymark.create_job('job_1'), tallymark.create_job('job_2')")
    place.db.execute("CREATE TABLE page (url text NOT NULL)")
    for block in fenced(PAGE, "sql"):
        place.db.execute(block.encode())
    place.notes["counts"] = [place.value(_COUNTS, job) for job in ("job_1", "job_2")]
    place.db.execute("GRANT INSERT, SELECT ON page TO crawler_service")
    for user in ("crawler_service", "report_service", "operator"):
        place.db.execute(f"ALTER ROLE {user} PASSWORD 'p'".encode())
    return place


@pytest.fixture
def job(ready: "Place", request: pytest.FixtureRequest) -> str:
    """A job of the test's own."""
    name: str = request.node.name
    ready.db.execute("SELECT tallymark.create_job(%s)", [name])
    return name


@pytest.fixture
def url(ready: "Place") -> str:
    """The database, for a service that reports."""
    return ready.url_for("crawler_service")


def merge(connection: Connection, job: str, **update: object) -> Any:  # noqa: ANN401 - the acknowledgement
    """Report on a job; return the acknowledgement."""
    row = connection.execute(MERGE, [job, Jsonb({"itemsByType": {"pages": 1}} | update)]).fetchone()
    assert row is not None
    return row[0]


def pages_of(ready: "Place", job: str) -> int:
    """Return how many pages a job has counted."""
    found = ready.value("SELECT tallymark.get_job(%s, 0) -> 'progress' -> 'itemsByType' -> 'pages'", job)
    return int(found or 0)


def test_the_statements_of_the_page_do_what_it_says(ready: "Place") -> None:
    """All of them, one after the other; the jobs are what their ledgers say."""
    assert ready.notes["counts"] == [{"issues": 150, "pages": 9}, {"pages": 14}]
    assert ready.value("SELECT tallymark.verify_job('job_1') AND tallymark.verify_job('job_2')") is True
    assert ready.value("SELECT array_agg(url ORDER BY url) FROM page") == [
        "https://example.com/8",
        "https://example.com/9",
    ]
    found = ready.value("SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'crawler_service'::regrole")
    assert sorted(found) == ["idle_in_transaction_session_timeout=10s", "lock_timeout=2s", "statement_timeout=15s"]


def test_the_answers_that_the_page_shows_are_those_that_come(ready: "Place") -> None:
    """Whatever is not shown as `...`."""
    single, batch = (fenced(section(PAGE, f"## Report {what}"), "sql")[0] for what in ("an update", "many updates"))
    shown = json.loads(single.rpartition("-- ")[2])
    answer = ready.value(single)
    assert set(shown) == set(answer)
    answer = ready.value(batch)
    assert [one["status"] for one in answer] == ["received", 400]
    assert set(answer[1]) >= {"status", "error", "details"}


class TestIsolation:
    """What each level does when another transaction has changed the job."""

    def test_read_committed_waits_and_merges(self, ready: "Place", connect: "Connect", url: str, job: str) -> None:
        """Into what the other transaction left."""
        first, second = connect(url), connect(url)
        merge(first, job)
        second.execute("SELECT 1")
        with _in_thread(lambda: merge(second, job)) as answers:
            _wait_for_a_lock(ready, second)
            first.commit()
        second.commit()
        assert answers[0]["seq"] == 2
        assert pages_of(ready, job) == 2

    @pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
    def test_higher_levels_fail_once_the_snapshot_is_old(
        self, ready: "Place", connect: "Connect", url: str, job: str, level: str
    ) -> None:
        """With 40001, and the repetition of the whole transaction succeeds."""
        first, second = connect(url, autocommit=True), connect(url)
        second.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
        second.execute("SELECT 1 FROM page")
        merge(first, job)
        with pytest.raises(errors.SerializationFailure) as failed:
            merge(second, job)
        assert failed.value.sqlstate == "40001"
        second.rollback()
        second.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
        assert merge(second, job)["seq"] == 2
        second.commit()
        assert pages_of(ready, job) == 2

    def test_a_call_alone_in_its_transaction_fails_too(
        self, ready: "Place", connect: "Connect", url: str, job: str
    ) -> None:
        """It took its snapshot, and then waited for the job."""
        first, second = connect(url), connect(url, autocommit=True)
        second.execute("SET default_transaction_isolation = 'repeatable read'")
        merge(first, job)
        with _in_thread(lambda: merge(second, job), errors.SerializationFailure):
            _wait_for_a_lock(ready, second)
            first.commit()
        assert pages_of(ready, job) == 1

    def test_a_snapshot_that_is_older_than_the_job_does_not_see_it(
        self, ready: "Place", connect: "Connect", url: str, job: str
    ) -> None:
        """TK404, until the transaction is repeated."""
        second = connect(url)
        second.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        second.execute("SELECT 1 FROM page")
        ready.db.execute("SELECT tallymark.create_job(%s)", [job + " later"])
        with pytest.raises(psycopg.Error) as failed:
            merge(second, job + " later")
        assert failed.value.sqlstate == "TK404"
        second.rollback()
        assert merge(second, job + " later")["seq"] == 1

    def test_serializable_transactions_that_read_each_others_jobs_fail(
        self, ready: "Place", connect: "Connect", job: str
    ) -> None:
        """One of them, with 40001, also where neither waited for the other."""
        other = job + " too"
        ready.db.execute("SELECT tallymark.create_job(%s)", [other])
        first, second = connect(ready.url_for("operator")), connect(ready.url_for("operator"))
        for connection in (first, second):
            connection.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        first.execute("SELECT tallymark.get_job(%s, 0)", [other])
        second.execute("SELECT tallymark.get_job(%s, 0)", [job])
        merge(first, job)
        merge(second, other)
        first.commit()
        with pytest.raises(errors.SerializationFailure):
            second.commit()
        assert (pages_of(ready, job), pages_of(ready, other)) == (1, 0)


class TestTransactions:
    """What the page says of transactions."""

    def test_a_registration_is_for_others_when_it_is_committed(
        self, ready: "Place", connect: "Connect", url: str, job: str
    ) -> None:
        """Before that, updates are refused, and another registration waits."""
        new = job + " new"
        first, second, third = connect(url), connect(url, autocommit=True), connect(url, autocommit=True)
        first.execute("SELECT tallymark.create_job(%s)", [new])
        with pytest.raises(psycopg.Error) as failed:
            merge(second, new)
        assert failed.value.sqlstate == "TK404"
        with _in_thread(lambda: third.execute("SELECT tallymark.create_job(%s)", [new])):
            _wait_for_a_lock(ready, third)
            first.commit()
        assert merge(second, new)["seq"] == 1

    def test_a_later_statement_sees_the_update_and_the_same_one_does_not(
        self, ready: "Place", connect: "Connect", job: str
    ) -> None:
        """Functions that read see what was there when their statement began."""
        connection = connect(ready.url_for("operator"))
        last_seq = "tallymark.get_job(%(job)s, 0) -> 'lastSeq'"
        query = f"SELECT tallymark.merge_progress(%(job)s, '{{}}') -> 'seq', {last_seq}"
        assert connection.execute(query.encode(), {"job": job}).fetchone() == (1, 0)
        assert connection.execute(f"SELECT {last_seq}".encode(), {"job": job}).fetchone() == (1,)

    def test_updates_without_a_time_keep_their_order(
        self, connect: "Connect", url: str, ready: "Place", job: str
    ) -> None:
        """In one transaction, in which now() stands still."""
        connection = connect(url)
        merge(connection, job, stage="first")
        merge(connection, job, stage="second")
        connection.commit()
        assert ready.value("SELECT tallymark.get_job(%s, 0) -> 'progress' ->> 'stage'", job) == "second"

    def test_a_savepoint_gives_up_the_update_and_the_lock(
        self, ready: "Place", connect: "Connect", url: str, job: str
    ) -> None:
        """And the transaction goes on."""
        first, second = connect(url), connect(url, autocommit=True)
        first.execute("SAVEPOINT report")
        merge(first, job)
        first.execute("ROLLBACK TO SAVEPOINT report")
        assert merge(second, job)["seq"] == 1
        assert merge(first, job)["seq"] == 2
        first.commit()
        assert pages_of(ready, job) == 2

    def test_a_savepoint_does_not_cure_an_old_snapshot(self, connect: "Connect", url: str, job: str) -> None:
        """The call fails again, until the whole transaction is repeated."""
        first, second = connect(url, autocommit=True), connect(url)
        second.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        second.execute("SELECT 1 FROM page")
        merge(first, job)
        for _ in range(2):
            second.execute("SAVEPOINT report")
            with pytest.raises(errors.SerializationFailure):
                merge(second, job)
            second.execute("ROLLBACK TO SAVEPOINT report")

    def test_a_prepared_transaction_holds_the_job_until_it_is_committed(
        self, ready: "Place", connect: "Connect", url: str, job: str
    ) -> None:
        """Also without its connection; then the update is there, once."""
        first, second = connect(url), connect(url, autocommit=True)
        merge(first, job, updateId="once")
        first.execute("PREPARE TRANSACTION 'report'")
        first.close()
        second.execute("SET lock_timeout = '50ms'")
        with pytest.raises(errors.LockNotAvailable):
            merge(second, job, updateId="once")
        second.execute("COMMIT PREPARED 'report'")
        assert merge(second, job, updateId="once")["duplicate"] is True
        assert pages_of(ready, job) == 1

    def test_a_duplicate_tells_that_an_earlier_attempt_was_committed(
        self, ready: "Place", connect: "Connect", url: str, job: str
    ) -> None:
        """One that was rolled back is no duplicate."""
        connection = connect(url)
        for outcome, duplicate in ((connection.rollback, False), (connection.commit, False), (connection.commit, True)):
            assert merge(connection, job, updateId="message 7")["duplicate"] is duplicate
            outcome()
        assert pages_of(ready, job) == 1


class TestPython:
    """What psycopg does with each kind of payload."""

    def test_jsonb_and_text_are_taken(self, connect: "Connect", url: str, job: str) -> None:
        """Both are the same update."""
        connection = connect(url, autocommit=True)
        update = {"updateId": "x"}
        seen = [connection.execute(MERGE, [job, value]).fetchone() for value in (Jsonb(update), json.dumps(update))]
        seen += [connection.execute("SELECT tallymark.merge_progress(%s, %s::jsonb)", [job, Json(update)]).fetchone()]
        assert [row and row[0]["duplicate"] for row in seen] == [False, True, True]

    def test_json_and_dictionaries_are_not(self, connect: "Connect", url: str, job: str) -> None:
        """The first one by PostgreSQL, the second one before it is sent."""
        connection = connect(url, autocommit=True)
        with pytest.raises(errors.UndefinedFunction) as failed:
            connection.execute(MERGE, [job, Json({})])
        assert failed.value.sqlstate == "42883"
        with pytest.raises(psycopg.ProgrammingError) as failed_here:
            connection.execute(MERGE, [job, {}])
        assert failed_here.value.sqlstate is None


# --- the tables of errors ---------------------------------------------------------------------------------------------

#: For each SQLSTATE of the tables, what gives it: statements, one after the other, as a service that reports.
STATEMENTS: dict[str, list[str]] = {
    "TK400": ["SELECT tallymark.merge_progress('job_1', '{\"itemsByType\": {\"issues\": -1}}')"],
    "TK403": ["SELECT tallymark.receive_progress('{\"taskId\": \"job_1\"}', job_prefix => 'mine_')"],
    "TK404": ["SELECT tallymark.merge_progress('no such job', '{}')"],
    "TK409": [
        "SELECT tallymark.create_job('ended'), tallymark.merge_progress('ended', '{\"status\": \"failed\"}')",
        "SELECT tallymark.request_command('ended', 'pause')",
    ],
    "TK413": ["SELECT tallymark.merge_progress('job_1', jsonb_build_object('x', repeat('x', 1100000)))"],
    "22P02": ["SELECT tallymark.merge_progress('job_1', '{not JSON}')"],
    "22P05": ["SELECT tallymark.merge_progress('job_1', '{\"message\": \"\\u0000\"}')"],
    "22021": ["SELECT tallymark.merge_progress('job_1', convert_from('\\x22ff22', 'UTF8')::jsonb)"],
    "22003": ["SELECT tallymark.merge_progress('job_1', '{\"processedItems\": 1e200000}')"],
    "54001": ["SELECT tallymark.merge_progress('job_1', repeat('[', 1000000)::jsonb)"],
    "42883": ["SELECT tallymark.merge_progress('job_1', '{}'::json)"],
    "25P02": ["BEGIN", "SELECT tallymark.merge_progress('no such job', '{}')", "SELECT 1"],
    "57014": ["SET statement_timeout = '10ms'", "SELECT pg_sleep(10), tallymark.merge_progress('job_1', '{}')"],
    "26000": ["PREPARE report AS SELECT tallymark.merge_progress('job_1', '{}')", "DEALLOCATE ALL", "EXECUTE report"],
    "42P05": ["PREPARE report AS SELECT 1", "PREPARE report AS SELECT 1"],
    "25006": ["SET default_transaction_read_only = on", "SELECT tallymark.merge_progress('job_1', '{}')"],
}


def run(connection: Connection, *statements: str) -> str | None:
    """Run statements; return the SQLSTATE of the last one that failed."""
    state = None
    for statement in statements:
        try:
            connection.execute(statement.encode())
        except psycopg.Error as error:
            state = error.sqlstate
    return state


def _serialization_failure(ready: "Place", connect: "Connect") -> str | None:
    first = connect(ready.url_for("crawler_service"))
    run(first, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT 1 FROM page")
    merge(ready.db, "job_1")
    return run(first, "SELECT tallymark.merge_progress('job_1', '{}')")


def _deadlock(ready: "Place", connect: "Connect") -> str | None:
    first, second = (connect(ready.url_for("crawler_service")) for _ in range(2))
    # Only the second one looks for deadlocks.
    ready.db.execute("GRANT SET ON PARAMETER deadlock_timeout TO crawler_service")
    run(first, "SET LOCAL deadlock_timeout = '1h'", "SELECT tallymark.merge_progress('job_1', '{}')")
    run(second, "SET LOCAL deadlock_timeout = '10ms'", "SELECT tallymark.merge_progress('job_2', '{}')")
    with _in_thread(lambda: merge(first, "job_2")):
        _wait_for_a_lock(ready, first)
        state = run(second, "SELECT tallymark.merge_progress('job_1', '{}')")
        second.rollback()
    return state


def _held(ready: "Place", connect: "Connect") -> str | None:
    first, second = (connect(ready.url_for("crawler_service")) for _ in range(2))
    merge(first, "job_1")
    return run(second, "SET LOCAL lock_timeout = '10ms'", "SELECT tallymark.merge_progress('job_1', '{}')")


def _ended_while_idle(ready: "Place", connect: "Connect", setting: str) -> str | None:
    connection = connect(ready.url_for("crawler_service"))
    # One of them may end the session before the call is over.
    state = run(connection, f"SET LOCAL {setting} = '50ms'", "SELECT tallymark.merge_progress('job_1', '{}')")
    _wait_for_the_end(ready, connection)
    return state or run(connection, "SELECT 1")


def _ended_by_an_operator(ready: "Place", connect: "Connect") -> str | None:
    connection = connect(ready.url_for("crawler_service"))
    merge(connection, "job_1")
    ready.db.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
    _wait_for_the_end(ready, connection)
    return run(connection, "SELECT 1")


def _no_connection_left(ready: "Place", _connect: "Connect") -> str | None:
    ready.db.execute("CREATE ROLE limited LOGIN PASSWORD 'p' CONNECTION LIMIT 0")
    with pytest.raises(psycopg.OperationalError) as failed:
        psycopg.connect(ready.url_for("limited"))
    # libpq does not tell the SQLSTATE of a connection that could not be opened; the server's log has it.
    assert failed.value.sqlstate is None
    states: list[str] = re.findall(r"^(\w{5}) FATAL: .*limited", ready.server.log_tail(), re.MULTILINE)
    return states[-1]


def _lacks_a_role(ready: "Place", connect: "Connect") -> str | None:
    return run(connect(ready.url_for("report_service")), STATEMENTS["25006"][1])


def _not_installed(ready: "Place", connect: "Connect") -> str | None:
    return run(connect(ready.url_for("crawler_service", "postgres")), STATEMENTS["25006"][1])


PROVOKED: dict[str, Callable[["Place", "Connect"], str | None]] = {
    "40001": _serialization_failure,
    "40P01": _deadlock,
    "55P03": _held,
    "25P03": lambda ready, connect: _ended_while_idle(ready, connect, "idle_in_transaction_session_timeout"),
    "25P04": lambda ready, connect: _ended_while_idle(ready, connect, "transaction_timeout"),
    "57P01": _ended_by_an_operator,
    "53300": _no_connection_left,
    "42501": _lacks_a_role,
    "3F000": _not_installed,
}
#: A full disk needs a file system of its own: tests/web/test_readiness.py.
ELSEWHERE = {"53100"}


def listed() -> list[str]:
    """Return the SQLSTATEs of the tables, in their order."""
    return [code for cells in rows(section(PAGE, "## Errors")) for code in re.findall(r"`(\w{5})`", cells[0])]


@pytest.mark.parametrize("code", listed())
def test_each_error_of_the_tables_is_real(ready: "Place", connect: "Connect", code: str) -> None:
    """What the page says that gives it gives it, and the next call of another session succeeds."""
    if code in ELSEWHERE:
        return
    if code in STATEMENTS:
        assert run(connect(ready.url_for("crawler_service"), autocommit=True), *STATEMENTS[code]) == code
    else:
        assert PROVOKED[code](ready, connect) == code
    connect.close()
    assert merge(connect(ready.url_for("crawler_service"), autocommit=True), "job_1")["status"] == "received"


def test_every_error_that_is_provoked_is_in_the_tables() -> None:
    """And none is there twice."""
    assert sorted(listed()) == sorted({*STATEMENTS, *PROVOKED, *ELSEWHERE})


def test_a_broken_connection_has_no_sqlstate(ready: "Place", connect: "Connect") -> None:
    """One that ended without a word, and one that could not be opened."""
    connection = connect(ready.url_for("crawler_service"))
    merge(connection, "job_1")
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
    with pytest.raises(psycopg.OperationalError) as failed:
        connection.execute("SELECT 1")
    assert failed.value.sqlstate is None


# --- helpers ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _in_thread(act: Callable[[], Any], expected: type[Exception] | None = None) -> Iterator[list[Any]]:
    """Act in another thread meanwhile; the list has what came of it afterwards."""
    outcome: list[Any] = []
    failed: list[Exception] = []

    def work() -> None:
        try:
            outcome.append(act())
        except Exception as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    yield outcome
    thread.join(60)
    assert not thread.is_alive()
    assert [type(error) for error in failed] == ([expected] if expected else []), failed


def _wait_for_a_lock(ready: "Place", connection: Connection) -> None:
    """Wait until a session waits for another one."""
    pid = connection.info.backend_pid
    wait_until(lambda: bool(ready.value("SELECT cardinality(pg_blocking_pids(%s)) > 0", pid)))


def _wait_for_the_end(ready: "Place", connection: Connection) -> None:
    """Wait until the server has ended a session."""
    pid = connection.info.backend_pid
    wait_until(lambda: ready.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid) == 0)
