"""What each role can do, tried with every object of the catalogue, so that new objects cannot be forgotten.

The number of a function's file gives its purpose: 2xx and 3xx write, 5xx is maintenance, all others read or are parts.
An attacker who takes over the endpoint can do with its connections what the endpoint does, and nothing else.
"""

import secrets
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tallymark.functions.http import Statement
from tallymark.settings import Settings
from tallymark.web.db.pool import Database

if TYPE_CHECKING:
    from tests.web.conftest import Web

Connection = psycopg.Connection[Any]
Update = Callable[..., dict[str, object]]

_FUNCTIONS = Path(__file__).parents[2] / "sql" / "functions"
#: In the files that write, the functions that only look something up, for the endpoint.
_LOOKING_UP = {"check_token", "has_tokens"}
#: In the maintenance files, the functions that the endpoint calls to write; an admin may call the others that write.
_NOTING = {"note_intake"}
_NO_RIGHT = "42501"

WHO = Statement(b"who", b"SELECT current_user::text")


def _bands() -> dict[str, int]:
    """Return the band of each function, 0 to 5: the first digit of its file."""
    return {path.stem.partition("_")[2]: int(path.stem[0]) for path in _FUNCTIONS.rglob("*.sql")}


def _functions(db: Connection) -> list[tuple[str, str, str]]:
    """Return the name, signature and a call of each function, with null for every argument."""
    # The subquery keeps the planner from replacing a strict function by null before it checks any right.
    return db.execute(
        """SELECT p.proname, p.oid::regprocedure::text,
             format('SELECT %s(%s) FROM (SELECT NULL %s OFFSET 0) AS a', p.oid::regproc,
               (SELECT string_agg(CASE WHEN n = 1 THEN 'a.a1' ELSE 'NULL' END || '::' || format_type(t, NULL), ', '
                  ORDER BY n) FROM unnest(p.proargtypes) WITH ORDINALITY AS g (t, n)),
               coalesce('::' || format_type(p.proargtypes[0], NULL), '') || ' AS a1')
           FROM pg_proc AS p WHERE p.pronamespace = 'tallymark'::regnamespace ORDER BY 2"""
    ).fetchall()


def _relations(db: Connection, kinds: str) -> list[str]:
    """Return the tables, views and so on, by the letters that pg_class has for them."""
    query = "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'tallymark'::regnamespace AND relkind = ANY"
    return [name for (name,) in db.execute(f"{query} (%s) ORDER BY 1", [list(kinds)])]


def _outcome(db: Connection, role: str, statement: str) -> str:
    """Run a statement under a role and roll it back; return its SQLSTATE, or nothing if it succeeded."""
    try:
        with db.transaction(force_rollback=True):
            db.execute(f"SET LOCAL ROLE {role}")
            db.execute(statement.encode())
    except psycopg.Error as error:
        return error.sqlstate or "?"
    return ""


@pytest.fixture
def nobody(db: Connection) -> Iterator[str]:
    """A role without grants: it has what PUBLIC has."""
    name = f"tallymark_test_{secrets.token_hex(6)}"
    db.execute(f"CREATE ROLE {name}")
    yield name
    db.execute(f"DROP ROLE {name}")


@pytest.fixture
def make_login(db: Connection, db_url: str) -> Iterator[Callable[..., str]]:
    """Makes users that were granted roles, and gives the URL of the database for each."""
    made: list[str] = []

    def make(*grants: str) -> str:
        made.append(f"tallymark_test_{secrets.token_hex(6)}")
        db.execute(f"CREATE ROLE {made[-1]} LOGIN PASSWORD 'p'")
        for grant in grants:
            role, _, options = grant.partition(" ")
            db.execute(f"GRANT {role} TO {made[-1]} {options}")
        parts = conninfo_to_dict(make_conninfo(db_url, user=made[-1], password="p"))
        return f"postgresql://{parts['user']}:p@/{parts['dbname']}?host={parts['host']}&port={parts['port']}"

    yield make
    for name in made:
        db.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{name}'")
        db.execute(f"DROP ROLE {name}")


def test_every_function_has_a_file_that_says_what_it_is_for(db: Connection) -> None:
    """Otherwise these tests could not judge the function."""
    assert {name for name, _, _ in _functions(db)} == set(_bands())


def test_nobody_touches_a_table(db: Connection, nobody: str) -> None:
    """No role does: all of them use functions and views."""
    tables = _relations(db, "rpfmS")
    assert len(tables) >= 4
    for role in ("tallymark_writer", "tallymark_reader", "tallymark_admin", nobody):
        for table in tables:
            for statement in (f"SELECT FROM {table}", f"DELETE FROM {table}", f"TRUNCATE {table}"):
                assert _outcome(db, role, statement) == _NO_RIGHT, (role, statement)
        granted = db.execute(
            """SELECT a.attrelid::regclass, a.attname, p FROM pg_attribute AS a,
                 unnest('{SELECT,INSERT,UPDATE,REFERENCES}'::text[]) AS p
               WHERE a.attrelid = ANY (%s::regclass[]) AND a.attnum > 0 AND NOT a.attisdropped
                 AND has_column_privilege(%s, a.attrelid, a.attnum, p)""",
            [tables, role],
        ).fetchall()
        assert granted == [], role


def test_only_those_who_read_see_views(db: Connection, nobody: str) -> None:
    """This holds for every view, and no role writes through one."""
    for view in _relations(db, "v"):
        for role in ("tallymark_writer", nobody):
            assert _outcome(db, role, f"SELECT FROM {view}") == _NO_RIGHT, (role, view)
        for role in ("tallymark_reader", "tallymark_admin"):
            assert _outcome(db, role, f"SELECT FROM {view}") == "", (role, view)
            assert _outcome(db, role, f"DELETE FROM {view}") in {_NO_RIGHT, "55000"}, (role, view)


def test_a_writer_calls_nothing_that_reads(db: Connection) -> None:
    """Every function outside the files that write is refused, and everything else that was not granted."""
    bands = _bands()
    allowed = {name for name, _, call in _functions(db) if _outcome(db, "tallymark_writer", call) != _NO_RIGHT}
    assert {name for name in allowed - _NOTING if bands[name] not in {2, 3}} == set()
    assert {"merge_progress", "receive_progress", "create_job", "receive_job", "check_token"} <= allowed
    assert not allowed & {"create_token", "list_tokens", "revoke_token"}


def test_a_reader_calls_nothing_that_writes(db: Connection) -> None:
    """Every function in the files that write is refused; the others are declared to change nothing."""
    bands = _bands()
    functions = _functions(db)
    allowed = {name for name, _, call in functions if _outcome(db, "tallymark_reader", call) != _NO_RIGHT}
    assert {name for name in allowed if bands[name] in {2, 3}} == _LOOKING_UP
    assert {"get_job", "timeline", "verify_job", "job_ids"} <= allowed
    # PostgreSQL enforces that declaration.
    changing = db.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'tallymark'::regnamespace AND provolatile = 'v'"
        " AND proname = ANY (%s)",
        [list(allowed)],
    ).fetchall()
    assert changing == []


def test_an_admin_may_do_what_the_others_may(db: Connection) -> None:
    """And manages the tokens."""
    may = {
        role: {signature for _, signature, call in _functions(db) if _outcome(db, role, call) != _NO_RIGHT}
        for role in ("tallymark_writer", "tallymark_reader", "tallymark_admin")
    }
    assert may["tallymark_writer"] | may["tallymark_reader"] <= may["tallymark_admin"]
    assert "tallymark.list_tokens()" in may["tallymark_admin"]


def test_who_was_granted_nothing_may_do_nothing(db: Connection, nobody: str) -> None:
    """PUBLIC may call no function: the privileges say so, and so do attempts."""
    for _, signature, call in _functions(db):
        assert _outcome(db, nobody, call) == _NO_RIGHT, signature
    assert _outcome(db, nobody, "CREATE TABLE tallymark.x ()") == _NO_RIGHT


@pytest.mark.parametrize(
    ("grants", "role"),
    [
        (["tallymark_writer", "tallymark_reader"], "tallymark_writer"),
        (["tallymark_writer"], "tallymark_writer"),
        (["tallymark_reader"], None),
        (["tallymark_admin"], None),
    ],
)
def test_a_connection_takes_the_role_that_its_user_may_take(
    make_login: Callable[..., str], grants: list[str], role: str | None
) -> None:
    """Otherwise it stays that user, with the user's own rights."""
    url = make_login(*grants)
    database = Database(url, Settings(), role="tallymark_writer")
    try:
        assert database.call(WHO) == [(role or str(conninfo_to_dict(url)["user"])).encode()]
    finally:
        database.close()


def test_a_superuser_is_one_no_longer(db_url: str) -> None:
    """As under `tallymark up`, whose embedded server has only a superuser."""
    for role in ("tallymark_writer", "tallymark_reader"):
        database = Database(db_url, Settings(), role=role)
        try:
            assert database.call(WHO) == [role.encode()]
        finally:
            database.close()


def test_a_database_without_the_roles_can_be_reached(db_url: str) -> None:
    """The connection works, so that the endpoint can name what is missing."""
    database = Database(db_url, Settings(), role="tallymark_no_such_role")
    try:
        assert database.call(WHO) != [b"tallymark_no_such_role"]
    finally:
        database.close()


def test_behind_a_pooler_the_role_is_left_alone(db_url: str) -> None:
    """It would stay set for the pooler's next client, which may need another one."""
    parts = {name: str(value) for name, value in conninfo_to_dict(db_url).items()}
    if parts["host"].startswith("/"):
        pytest.skip("NOT TESTED: a pooler before a server that listens on no TCP port")
    with _Pooler(parts["host"], int(parts["port"])) as pooler:
        url = f"postgresql://{parts['user']}:{parts.get('password', '')}@127.0.0.1:{pooler.port}/{parts['dbname']}"
        database = Database(f"{url}?sslmode=disable", Settings(), role="tallymark_writer")
        try:
            assert database.call(WHO) == [parts["user"].encode()]
        finally:
            database.close()


@pytest.mark.parametrize(
    ("grants", "ready", "report", "read"),
    [
        (["tallymark_writer", "tallymark_reader"], 200, 200, 200),
        (["tallymark_admin"], 200, 200, 200),
        (["tallymark_writer"], 503, 200, 503),
        (["tallymark_reader"], 503, 503, 200),
        ([], 503, 503, 503),
    ],
)
def test_the_endpoint_needs_the_writer_and_the_reader(
    start_web: Callable[..., "Web"],
    db: Connection,
    make_login: Callable[..., str],
    update: Update,
    grants: list[str],
    ready: int,
    report: int,
    read: int,
) -> None:
    """It writes as one and reads as the other, and `/readyz` names a missing one."""
    db.execute("SELECT tallymark.create_job('j')")
    web = start_web(make_login(*grants))
    assert web.call("GET", "/readyz").status == ready
    assert web.report(update("j")).status == report
    assert web.call("GET", "/api/internal/jobs/j").status == read
    web.stop()


class _Pooler:
    """Passes bytes between clients and a server, and gives clients a process id of its own, like a pooler."""

    def __init__(self, host: str, port: int) -> None:
        """Listen for clients of the server at this address."""
        self._server = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]

    def __enter__(self) -> Self:
        """Begin."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Accept no more clients."""
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        """Pass bytes both ways; close the sockets only when both ways have ended."""
        with client, server:
            answers = threading.Thread(target=self._pass, args=(server, client), daemon=True)
            answers.start()
            self._pass(client, server)
            answers.join()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> None:
        """Pass bytes one way until either end closes, then let the other way end, too."""
        key_data = b"K" + struct.pack("!I", 12)
        with suppress(OSError):
            while got := source.recv(65536):
                before, key, after = got.partition(key_data)
                target.sendall(before + key + (struct.pack("!I", 4711) + after[4:] if key else after))
        for ended in (source, target):
            with suppress(OSError):
                ended.shutdown(socket.SHUT_RDWR)
