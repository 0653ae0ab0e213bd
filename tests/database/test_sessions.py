"""What every connection of ours is set to, and that long work is not broken off by limits for queries."""

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.database.test_migrate import entries, yoyo_apply
from tests.strange_settings import RELIED_ON, known

from tallymark.functions import session
from tallymark.functions.session import PATIENT, connect, identity, open_session, same_server
from tallymark.schema.migrate import available, migrate, rollback

Connection = psycopg.Connection[Any]
Set = Callable[[dict[str, str]], None]

_LIMITS = {
    "statement_timeout": ("1min", "0"),
    "lock_timeout": ("1min", "0"),
    "idle_in_transaction_session_timeout": ("1min", "0"),
}


@pytest.fixture(params=["ROLE", "DATABASE"])
def strange(request: pytest.FixtureRequest, empty_url: str) -> Iterator[tuple[str, Set]]:
    """The URL of a user who may install, and what sets something for the user or for the database."""
    login, name = f"tallymark_test_{secrets.token_hex(4)}", str(conninfo_to_dict(empty_url)["dbname"])
    whose = sql.SQL(f"ALTER {request.param} {{}}").format(sql.Identifier(login if request.param == "ROLE" else name))
    with psycopg.connect(empty_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {login} SUPERUSER LOGIN PASSWORD 'p'".encode())

        def make(settings: dict[str, str]) -> None:
            for setting in known(admin) & settings.keys():
                parts = (whose, sql.SQL(setting), settings[setting])
                admin.execute(sql.SQL("{} SET {} = {}").format(*parts))

        yield make_conninfo(empty_url, user=login, password="p"), make
        admin.execute(f"ALTER DATABASE {name} RESET ALL".encode())
        admin.execute(f"REASSIGN OWNED BY {login} TO CURRENT_USER; DROP OWNED BY {login}; DROP ROLE {login}".encode())


def test_a_session_has_what_we_rely_on(strange: tuple[str, Set]) -> None:
    """Also where the user, the database and the URL say otherwise."""
    url, make = strange
    settings = RELIED_ON | _LIMITS
    make({name: value for name, (value, _) in settings.items()})
    url = make_conninfo(url, options="-c DateStyle=SQL", client_encoding="LATIN1")
    with connect(url, session=PATIENT) as connection:
        rows = connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY (%s)", [list(settings)])
        found = dict(rows.fetchall())
    assert found == {name: settings[name][1] for name in found}
    assert found.keys() >= RELIED_ON.keys() - {"transaction_timeout"}
    assert RELIED_ON.keys() >= session.RELIED_ON.keys()


def test_a_user_who_may_only_read_keeps_that(strange: tuple[str, Set]) -> None:
    """Who made a database read-only wants no changes."""
    url, make = strange
    make({"default_transaction_read_only": "on"})
    with connect(url) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("CREATE TABLE public.t ()")


def test_a_session_to_look_at_is_left_as_it_is(strange: tuple[str, Set]) -> None:
    """But for the encoding, without which not everything can be read."""
    url, make = strange
    make({"DateStyle": "German", "synchronous_commit": "off", "client_encoding": "LATIN1"})
    with open_session(url, psycopg.Connection) as connection:
        shown = [connection.execute(f"SHOW {name}".encode()).fetchone() for name in ("DateStyle", "synchronous_commit")]
        assert shown == [("German, DMY",), ("off",)]
        assert connection.execute("SELECT '\u65e5'").fetchone() == ("\u65e5",)


def test_a_further_connection_is_to_the_same_server(empty_url: str, make_database: Callable[[], str]) -> None:
    """Although the URL names several servers; another part may be replaced."""
    parts = conninfo_to_dict(empty_url)
    several = make_conninfo(empty_url, host=f"127.0.0.1,{parts['host']}", port=f"1,{parts['port']}")
    other = conninfo_to_dict(make_database())["dbname"]
    with connect(several) as first:
        again = same_server(several, first)
        with connect(again) as second, connect(same_server(several, first, dbname=str(other))) as third:
            assert identity(second) == identity(first)
            assert identity(third) != identity(first)
            assert third.info.dbname == other
    assert str(conninfo_to_dict(again)["port"]) == str(parts["port"])


def test_limits_for_queries_do_not_end_a_migration(strange: tuple[str, Set]) -> None:
    """A statement, an open transaction and one that waits take longer than the user's queries may."""
    url, make = strange
    limits = ("statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout", "idle_session_timeout")
    make(dict.fromkeys(limits, "900ms") | {"lock_timeout": "10ms"})

    def report(line: str) -> None:
        if line.startswith(f"applying {available()[-1]}"):
            time.sleep(1.2)  # longer than each limit

    assert migrate(url, report=report) == available()
    assert migrate(url) == []
    assert rollback(url) == available()[-1:]


def test_a_schema_is_the_same_whatever_the_installer_is_set_to(
    strange: tuple[str, Set], make_database: Callable[[], str]
) -> None:
    """Definitions and comments are read by the installer's session."""
    url, make = strange
    make({name: value for name, (value, _) in RELIED_ON.items()} | {"check_function_bodies": "off"})
    usual = make_database()
    assert migrate(usual) == migrate(url) == available()
    assert entries(url) == entries(usual)
    make({"exit_on_error": "off"})  # yoyo looks for its tables by trying to make them
    assert rollback(url, steps=len(available())) == available()[::-1]
    done = yoyo_apply(url, schema="public")
    assert done.returncode == 0, done.stderr
    assert entries(url) == entries(usual)
