"""No setting of the user, the database or the URL changes what the endpoint does: it sets what it relies on."""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.strange_settings import RELIED_ON, known

from tallymark.functions.http import Statement
from tallymark.settings import Settings
from tallymark.web.db.pool import Database

if TYPE_CHECKING:
    from tests.web.conftest import Answer, Web

Connection = psycopg.Connection[Any]
Update = Callable[..., dict[str, object]]

#: Settings that an administrator may have made, and what they are in a session of the endpoint.
_STRANGE = {
    **RELIED_ON,
    "statement_timeout": ("1min", "4321"),
    "lock_timeout": ("2min", "987"),
    "idle_in_transaction_session_timeout": ("3min", "10000"),
}
_SHOW = Statement(b"show", b"SELECT name, setting FROM pg_settings WHERE name = ANY ($1::text[]) ORDER BY name")


@pytest.fixture(params=["ROLE", "DATABASE"])
def strange(request: pytest.FixtureRequest, db: Connection, db_url: str) -> Iterator[tuple[Callable[..., None], str]]:
    """Sets something for a user with both roles, or for its database; and the user's URL."""
    user = f"tallymark_test_{secrets.token_hex(6)}"
    db.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'p' IN ROLE tallymark_writer, tallymark_reader".encode())
    name = user if request.param == "ROLE" else db.info.dbname

    def make(settings: dict[str, str]) -> None:
        for setting, value in settings.items():
            parts = (sql.Identifier(name), sql.Identifier(setting), sql.SQL(value) if "," in value else value)
            db.execute(sql.SQL(f"ALTER {request.param} {{}} SET {{}} = {{}}").format(*parts))

    parts = conninfo_to_dict(make_conninfo(db_url, user=user, password="p"))
    yield make, f"postgresql://{user}:p@/{parts['dbname']}?host={parts['host']}&port={parts['port']}"
    db.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", [user])
    db.execute(f"DROP OWNED BY {user}; DROP ROLE {user}".encode())


def _strange(db: Connection) -> dict[str, str]:
    """Return the strange settings that this version of PostgreSQL has."""
    return {name: value for name, (value, _) in _STRANGE.items() if name in known(db)}


def test_a_session_has_what_we_rely_on(strange: tuple[Callable[..., None], str], db: Connection) -> None:
    """Every setting that may change what a statement means, or how long it may take."""
    make, url = strange
    settings = _strange(db)
    make(settings)
    database = Database(f"{url}&client_encoding=LATIN1", Settings(statement_timeout=4321, lock_timeout=987))
    try:
        rows = database.rows(_SHOW, f"{{{','.join(settings)}}}".encode())
        found = {row[0]: row[1] for row in rows}
    finally:
        database.close()
    assert found == {name.encode(): _STRANGE[name][1].encode() for name in settings}


@pytest.mark.parametrize("value", ["local", "remote_write", "remote_apply"])
def test_how_safe_a_commit_is_may_be_chosen(strange: tuple[Callable[..., None], str], value: str) -> None:
    """Only `off` would lose what was acknowledged."""
    make, url = strange
    make({"synchronous_commit": value})
    database = Database(url, Settings())
    try:
        assert database.rows(_SHOW, b"{synchronous_commit}") == [[b"synchronous_commit", value.encode()]]
    finally:
        database.close()


def test_crawlers_of_one_job_do_not_fail_each_other(
    strange: tuple[Callable[..., None], str], db: Connection, start_web: Callable[..., "Web"], update: Update
) -> None:
    """With all these settings, 8 of them report 200 times, and each update is answered 200; tokens and reads work."""
    make, url = strange
    make(_strange(db))
    [token] = db.execute("SELECT tallymark.create_token('t', '{write,read}')").fetchone() or [""]
    web = start_web(url)
    assert web.register("jüb").status == 201

    def report(number: int) -> "Answer":
        sent = update("jüb", updateId=str(number), itemsByType={"issues": 1}, message="größer", progress=0.1)
        return web.report(sent, token=token)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(report, range(200)))
    assert [answer.body for answer in answers if answer.status != 200] == []
    assert web.call("GET", "/readyz").status == 200
    job = web.call("GET", "/api/internal/jobs/j%C3%BCb", token=token).json
    assert job["progress"]["itemsByType"] == {"issues": 200}
    assert job["progress"]["message"] == "größer"
    assert db.execute("SELECT tallymark.verify_job('jüb')").fetchone() == (True,)
