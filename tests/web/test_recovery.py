"""After an error of the database, the next calls on the same connection are answered as usual, whatever the error was.

What a session has, such as its prepared statements, survives most errors; what the endpoint knows about it must, too.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from tests.web.watching import wait_until

from tallymark.functions.errors import TallymarkError, Unavailable
from tallymark.functions.http import Statement
from tallymark.settings import Settings
from tallymark.web.db.pool import Database

if TYPE_CHECKING:
    from tests.web.conftest import Answer, Web

Connection = psycopg.Connection[Any]
Update = Callable[..., dict[str, object]]

#: One of those that write is for calls that wait for jobs which others hold.
_WRITERS, _READERS = 4, 3
_JOBS = "/api/internal/jobs"
_OURS = "application_name = 'tallymark' AND datname = current_database()"

#: Raises an error once on each connection. A lock of the session notes that, since it survives the error.
_RAISE_ONCE = """
CREATE FUNCTION public.raise_once(code text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
BEGIN
  PERFORM pg_sleep(0.05);
  IF NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
      AND classid = hashtext(raise_once.code)::bigint::bit(32)::int8::oid) THEN
    PERFORM pg_advisory_lock_shared(hashtext(raise_once.code), 1);
    RAISE EXCEPTION USING ERRCODE = raise_once.code, MESSAGE = 'raised by the test';
  END IF;
END $$;
"""
#: Commands, registrations and batches change jobs.
_WHERE_WRITTEN = """
CREATE FUNCTION public.raise_where_written() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN PERFORM public.raise_once('{code}'); RETURN NEW; END$$;
CREATE TRIGGER raise_once BEFORE INSERT OR UPDATE ON tallymark.job
  FOR EACH ROW EXECUTE FUNCTION public.raise_where_written();
"""
_RAISED = """
SELECT count(DISTINCT l.pid) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE l.locktype = 'advisory' AND l.objid = 1 AND a.application_name = 'tallymark' AND a.datname = current_database()
"""


def _count(db: Connection, query: str) -> int:
    row = db.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def start_few(start_web: Callable[..., "Web"], db_url: str) -> "Web":
    """Start a server with a few connections of each kind, and jobs j0 to j15."""
    started = start_web(
        db_url,
        TALLYMARK_POOL_SIZE=str(_WRITERS),
        TALLYMARK_READ_POOL_SIZE=str(_READERS),
        TALLYMARK_LOCK_TIMEOUT="0",
        TALLYMARK_STATEMENT_TIMEOUT="0",
    )
    for number in range(16):
        assert started.register(f"j{number}").status == 201
    return started


@pytest.fixture
def web(start_web: Callable[..., "Web"], db_url: str) -> "Web":
    """A server with a few connections of each kind, and jobs j0 to j15."""
    return start_few(start_web, db_url)


def _all_answer(web: "Web", update: Update) -> None:
    """Send 200 requests of each kind, on all connections, of which none may fail."""

    def ask(number: int) -> list["Answer"]:
        job_id = f"j{number % 16}"
        return [
            web.report(update(job_id, updateId=f"after {number}")),
            web.report([update(f"j{other}", updateId=f"batch {number}") for other in range(3)]),
            web.call("POST", f"{_JOBS}/{job_id}/command", {"command": "pause"}),
            web.call("GET", f"{_JOBS}/{job_id}/stages"),
            web.call("GET", f"{_JOBS}/{job_id}"),
            web.register(job_id),
        ]

    with ThreadPoolExecutor(16) as threads:
        answers = [answer for asked in threads.map(ask, range(200)) for answer in asked]
    assert [(answer.status, answer.body) for answer in answers if answer.status != 200] == []


@pytest.mark.parametrize("code", ["40P01", "40001", "23505", "53100", "42883"])
def test_after_an_error_on_every_connection_all_calls_are_answered(
    web: "Web", db: Connection, update: Update, code: str
) -> None:
    """On those that write, and on those that read. Errors that may pass at once are not noticed at all."""
    db.execute(_RAISE_ONCE.encode())
    db.execute(_WHERE_WRITTEN.format(code=code).encode())
    row = db.execute("SELECT pg_get_functiondef('tallymark.stages_page'::regproc)").fetchone()
    assert row is not None
    db.execute(row[0].replace("BEGIN", f"BEGIN PERFORM public.raise_once('{code}');", 1).encode())
    seen: set[int] = set()

    def write(number: int) -> None:
        # Two at a time for a job: one of them waits for it, on the connection for calls that wait.
        command = {"command": ("pause", "resume")[number % 2]}
        seen.add(web.call("POST", f"{_JOBS}/j{number // 2}/command", command).status)

    def read(number: int) -> None:
        seen.add(web.call("GET", f"{_JOBS}/j{number}/stages").status)

    def all_have_failed() -> bool:
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(write, range(16)))
            list(threads.map(read, range(8)))
        return _count(db, _RAISED) == _WRITERS + _READERS

    wait_until(all_have_failed)
    # The second attempt of a call may be the first on another connection.
    assert seen <= {200, 503} if code[0] in "25" or code[:2] == "40" else {200, 500}
    db.execute("DROP TRIGGER raise_once ON tallymark.job")
    _all_answer(web, update)


#: Waits for a lock of a SQL session once that session waits for the job, which is locked here. The endpoint's session
#: notes it by a lock of its own, which survives the error, and does it once.
_DEADLOCK_ONCE = """
CREATE FUNCTION public.deadlock_once() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_job CONSTANT integer := substr(NEW.id, 2)::integer;
  v_session integer;
BEGIN
  IF current_setting('application_name') <> 'tallymark' OR EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND pid = pg_backend_pid())
  THEN
    RETURN NEW;
  END IF;
  LOOP
    SELECT l.pid INTO v_session FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND l.classid = 4004 AND l.objid = v_job AND l.granted
      AND d.datname = current_database();
    IF NOT FOUND THEN
      RETURN NEW;
    END IF;
    EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE pid = v_session AND NOT granted);
    PERFORM pg_sleep(0.01);
  END LOOP;
  PERFORM pg_advisory_lock_shared(hashtext('40P01'), 1);
  PERFORM set_config('lock_timeout', '0', true); -- so that no other error is faster
  PERFORM pg_advisory_xact_lock(4004, v_job);
  RETURN NEW;
END $$;
CREATE TRIGGER deadlock_once BEFORE UPDATE ON tallymark.job
  FOR EACH ROW EXECUTE FUNCTION public.deadlock_once();
"""
_IN_TRIGGER = f"SELECT count(*) FROM pg_stat_activity WHERE {_OURS} AND wait_event = 'PgSleep'"
#: Those that wait for longer than the calls that give up after a moment.
_PATIENT = f"""
SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE {_OURS} AND NOT l.granted AND clock_timestamp() - l.waitstart > interval '1 second'
"""
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


class _Deadlocks:
    """SQL sessions that bring commands into deadlocks, each for one job; the commands are the victims."""

    def __init__(self, web: "Web", db: Connection, db_url: str) -> None:
        self._web, self._db, self._url = web, db, db_url

    def provoke(self, jobs: list[int], *, patient: bool) -> list[int]:
        """Send a command for each job, all at once; return their answers. Patient ones wait for their jobs first."""
        with ThreadPoolExecutor(2 * len(jobs)) as threads, ExitStack() as opened:
            sessions = [opened.enter_context(psycopg.connect(self._url, autocommit=True)) for _ in jobs]
            for job, session in zip(jobs, sessions, strict=True):
                session.execute("SET deadlock_timeout = '1min'")
                session.execute("SELECT pg_advisory_lock(4004, %s)", [job])
                if patient:
                    session.execute("BEGIN")
                    session.execute("SELECT FROM tallymark.job WHERE id = %s FOR UPDATE", [f"j{job}"])
            commands = [
                threads.submit(self._web.call, "POST", f"{_JOBS}/j{job}/command", {"command": "cancel"}) for job in jobs
            ]
            if patient:
                wait_until(lambda: _count(self._db, _PATIENT) == len(jobs))
                for session in sessions:
                    session.execute("ROLLBACK")
            # All of them at once, so that each has a connection of its own.
            wait_until(lambda: _count(self._db, _IN_TRIGGER) == len(jobs))
            # The session gives up its own lock before the job: the second attempt meets neither.
            ask = "SELECT FROM tallymark.job WHERE id = 'j{0}' FOR UPDATE; SELECT pg_advisory_unlock(4004, {0})"
            for asked in [
                threads.submit(session.execute, ask.format(job).encode())
                for job, session in zip(jobs, sessions, strict=True)
            ]:
                asked.result()
            return [command.result().status for command in commands]


def test_after_a_deadlock_on_every_connection_all_calls_are_answered(
    start_web: Callable[..., "Web"], db: Connection, db_url: str, update: Update
) -> None:
    """Commands that lock their job, and then wait for a session that wants it, are tried again, and succeed."""
    # The endpoint's sessions look for a deadlock at once, the others do not.
    db.execute(sql.SQL("ALTER DATABASE {} SET deadlock_timeout = '1ms'").format(sql.Identifier(db.info.dbname)))
    web = start_few(start_web, db_url)
    db.execute(_DEADLOCK_ONCE.encode())
    before = _count(db, _DEADLOCKS)
    deadlocks = _Deadlocks(web, db, db_url)
    assert deadlocks.provoke(list(range(_WRITERS - 1)), patient=False) == [200] * (_WRITERS - 1)
    noted = _pids(db)
    assert len(noted) == _WRITERS - 1
    # The last connection is for calls that wait for jobs.
    assert deadlocks.provoke([_WRITERS], patient=True) == [200]
    assert len(_pids(db) | noted) == _WRITERS
    _all_answer(web, update)
    # Sessions tell the statistics within some seconds.
    wait_until(lambda: _count(db, _DEADLOCKS) >= before + _WRITERS)
    assert _count(db, "SELECT count(*) FROM tallymark.job WHERE NOT tallymark.verify_job(id)") == 0


def _pids(db: Connection) -> set[int]:
    """Return the sessions of the endpoint that had an error."""
    return {pid for (pid,) in db.execute(_RAISED.replace("count(DISTINCT l.pid)", "l.pid").encode())}


# --- one connection, every error ---------------------------------------------------------------------------------

_PID = Statement(b"pid", b"SELECT pg_backend_pid()::text")
_RAISE = Statement(b"raise", b"SELECT public.raise_it($1)::text")


@pytest.fixture
def one(db: Connection, db_url: str) -> Iterator[Database]:
    """A pool of one connection."""
    db.execute(
        "CREATE FUNCTION public.raise_it(code text) RETURNS void LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION USING ERRCODE = code, MESSAGE = 'raised by the test'; END$$"
    )
    database = Database(db_url, Settings(pool_size=1))
    yield database
    database.close()


@pytest.mark.parametrize(
    ("code", "kind", "error"),
    [
        ("40P01", "Unavailable", "Database busy"),
        ("40001", "Unavailable", "Database busy"),
        ("23505", "Unavailable", "Database busy"),
        ("57014", "Unavailable", "Database busy"),
        ("55P03", "Unavailable", "Database busy"),
        ("53000", "Unavailable", "Database unavailable"),
        ("53100", "Unavailable", "Database unavailable"),
        ("53200", "Unavailable", "Database unavailable"),
        ("53300", "Unavailable", "Database unavailable"),
        ("53400", "Unavailable", "Database unavailable"),
        ("58030", "Unavailable", "Database unavailable"),
        ("25006", "Unavailable", "Database unavailable"),
        ("42501", "Unavailable", "Database unavailable"),
        ("57P03", "Unavailable", "Database unavailable"),
        ("22P02", "TallymarkError", "Internal server error"),
        ("0A000", "TallymarkError", "Internal server error"),
        ("42883", "TallymarkError", "Internal server error"),
        ("42P05", "TallymarkError", "Internal server error"),
        ("XX000", "Unavailable", "Database unavailable"),
        ("42P01", "Unavailable", "Database unavailable"),
        ("42703", "Unavailable", "Database unavailable"),
        ("TK404", "JobNotFound", "raised by the test"),
    ],
)
def test_each_error_leaves_a_connection_that_works(one: Database, code: str, kind: str, error: str) -> None:
    """The statement that failed, and another one, are run on it afterwards."""
    before = one.call(_PID)
    for _ in range(3):
        with pytest.raises(TallymarkError) as caught:
            one.call(_RAISE, code.encode())
        assert (type(caught.value).__name__, str(caught.value), caught.value.sqlstate) == (kind, error, code)
    after = one.call(_PID)
    assert one.connections() == {"open": 1, "free": 1, "waiting": 0}
    # With these a server says that it is not the one, or not in order, so a new connection is tried.
    assert after == before or code in {"25006", "57P03", "XX000"}


def test_an_error_that_ends_its_session_is_no_defect(one: Database, db: Connection) -> None:
    """Whatever it is, the call is made once more in a new session; if that ends, too, it may be made again later."""
    db.execute(
        "CREATE FUNCTION public.end_it() RETURNS text LANGUAGE plpgsql AS $$BEGIN"
        " PERFORM set_config('exit_on_error', 'on', false); RETURN (1 / 0)::text; END$$"
    )
    [session] = one.call(_PID)
    with pytest.raises(Unavailable, match="Database unavailable"):
        one.call(Statement(b"end_it", b"SELECT public.end_it()"))
    assert one.call(_PID) != [session]
    assert one.connections() == {"open": 1, "free": 1, "waiting": 0}


def test_a_connection_that_never_answers_again_is_replaced(one: Database, db: Connection) -> None:
    """It was cut; the call succeeds on a new one."""
    [before] = one.call(_PID)
    assert before is not None
    db.execute("SELECT pg_terminate_backend(%s, 5000)", [int(before)])
    assert one.call(_PID) != [before]
    assert one.connections() == {"open": 1, "free": 1, "waiting": 0}


def test_a_statement_that_the_session_has_already_is_prepared_again(one: Database, db: Connection) -> None:
    """It may have been made by another program that shares the session through a pooler, and say something else."""
    db.execute(
        "CREATE FUNCTION public.prepare_other(name text) RETURNS text LANGUAGE plpgsql AS"
        " $$BEGIN EXECUTE format('PREPARE %I AS SELECT ''other''', name); RETURN ''; END$$"
    )
    one.call(Statement(b"prepare_other", b"SELECT public.prepare_other($1)"), b"mine")
    mine = Statement(b"mine", b"SELECT 'mine'::text")
    assert [one.call(mine), one.call(mine)] == [[b"mine"]] * 2


def test_a_statement_that_the_session_has_lost_is_prepared_again(one: Database, db: Connection) -> None:
    """As after DISCARD ALL of a pooler."""
    db.execute(
        "CREATE FUNCTION public.forget() RETURNS text LANGUAGE plpgsql AS"
        " $$BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN ''; END$$"
    )
    before = one.call(_PID)
    assert one.call(Statement(b"forget", b"SELECT public.forget()")) == [b""]
    assert [one.call(_PID), one.call(_PID)] == [before] * 2


def test_functions_that_change_under_a_prepared_statement_go_on(one: Database, db: Connection) -> None:
    """A migration replaces a function by one with another result, with other arguments, or removes it for a while."""
    answer = Statement(b"answer", b"SELECT public.answer(question => $1)")
    create = "CREATE FUNCTION public.answer({}) RETURNS {} LANGUAGE sql AS $$SELECT {}$$"
    drop = "DROP FUNCTION public.answer"
    before = one.call(_PID)
    db.execute(create.format("question text", "text", "'a'::text").encode())
    assert one.call(answer, b"1") == [b"a"]
    for arguments, result, body, found in (
        ("question text", "integer", "7", b"7"),
        ("question bigint", "bigint", "question + 1", b"2"),
        ("question text, more text DEFAULT 'm'", "text", "question || more", b"1m"),
    ):
        db.execute(drop)
        db.execute(create.format(arguments, result, body).encode())
        assert [one.call(answer, b"1"), one.call(answer, b"1")] == [[found]] * 2
    db.execute(drop)
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            one.call(answer, b"1")
        assert "tallymark migrate" in caught.value.explanation
    db.execute(create.format("question text", "text", "'back'::text").encode())
    assert [one.call(answer, b"1"), one.call(answer, b"1")] == [[b"back"]] * 2
    assert one.call(_PID) == before


def test_a_role_that_is_granted_later_is_taken(db: Connection, db_url: str) -> None:
    """A user without the role is refused; once it is granted, the next call succeeds, without a restart."""
    parts = psycopg.conninfo.conninfo_to_dict(db_url)
    db.execute("CREATE ROLE tallymark_test_late LOGIN NOINHERIT PASSWORD 'p'")
    url = f"postgresql://tallymark_test_late:p@/{parts['dbname']}?host={parts['host']}&port={parts['port']}"
    database = Database(url, Settings(), role="tallymark_reader")
    listing = Statement(b"list", b"SELECT tallymark.list_jobs()::text")
    try:
        with pytest.raises(Unavailable, match="Database unavailable"):
            database.call(listing)
        db.execute("GRANT tallymark_reader TO tallymark_test_late")
        # Connections that were opened just now are not replaced at each call.
        deadline = time.monotonic() + 20
        while True:
            try:
                assert database.call(listing)
                break
            except Unavailable:
                assert time.monotonic() < deadline
                time.sleep(0.1)
    finally:
        database.close()
        db.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'tallymark_test_late'")
        db.execute("DROP ROLE tallymark_test_late")
