"""No setting of the user, the database or the environment changes what a command prints or does."""

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb
from tests.strange_settings import OTHERS, RELIED_ON, known

from tallymark.cli import cli

Connection = psycopg.Connection[Any]

#: Limits for the queries of a user, which hold for commands that only read.
_LIMITS = {
    "statement_timeout": "1min",
    "lock_timeout": "1min",
    "idle_in_transaction_session_timeout": "1min",
}


@pytest.fixture
def upkeep(db: Connection, db_url: str) -> Iterator[str]:
    """The URL of a user with all roles, for whom everything is set that an administrator can set."""
    login = f"tallymark_test_{secrets.token_hex(4)}"
    name = sql.Identifier(login)
    db.execute(f"CREATE ROLE {login} LOGIN CREATEDB PASSWORD 'p' IN ROLE tallymark_admin, tallymark_owner".encode())
    db.execute(f"GRANT SELECT ON public._yoyo_migration TO {login}".encode())
    settings = {name: strange for name, (strange, _) in RELIED_ON.items()} | OTHERS | _LIMITS
    for setting in known(db) & settings.keys():
        value = settings[setting]
        db.execute(sql.SQL("ALTER ROLE {} SET {} = {}").format(name, sql.SQL(setting), value))
    yield make_conninfo(db_url, user=login, password="p")
    db.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", [login])
    db.execute(f"DROP OWNED BY {login}; DROP ROLE {login}".encode())


def run(url: str, *arguments: str) -> Result:
    """Run `tallymark` as a script would, without a terminal."""
    return CliRunner().invoke(cli, [*arguments, "--database-url", url])


def tell(db: Connection, job: str, **members: object) -> None:
    """Report on a job."""
    update = {"status": "processing", "timestamp": "2025-01-06T19:15:30Z", **members}
    db.execute("SELECT tallymark.create_job(%s)", [job])
    db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, Jsonb(update)])


def done(result: Result, code: int = 0) -> str:
    """Check how a command ended, and return what it printed."""
    assert result.exit_code == code, result.output
    return result.stdout


def test_settings_of_the_user_change_no_command(db: Connection, upkeep: str) -> None:
    """Dates are read and written, texts of every script are shown, and work that writes is done."""
    tell(db, "\u65e5\u672c", message="\u65e5", itemsByType={"gr\u00f6\u00dfer": 3})
    tell(db, "old", status="completed")
    assert "\u65e5\u672c" in done(run(upkeep, "jobs"))
    shown = json.loads(done(run(upkeep, "job", "show", "\u65e5\u672c", "--json")))
    assert (shown["progress"]["message"], shown["progress"]["itemsByType"]) == ("\u65e5", {"gr\u00f6\u00dfer": 3})
    assert "Nothing is wrong" in done(run(upkeep, "job", "diagnose", "\u65e5\u672c"))
    done(run(upkeep, "watch", "old", "--until-done"))
    done(run(upkeep, "token", "create", "c", "--scope", "read", "--expires", "2999-02-03"))
    [token] = json.loads(done(run(upkeep, "token", "list", "--json")))
    assert token["expiresAt"].startswith("2999-02-03T00:00:00")
    assert done(run(upkeep, "watchdog", "--once")) == done(run(upkeep, "watchdog", "--once"))
    assert done(run(upkeep, "prune", "--older-than", "0s", "--keep", "0")) == "2 events of 2 jobs pruned\n"
    assert done(run(upkeep, "verify")) == "2 jobs checked, 0 differ\n"
    done(run(upkeep, "token", "revoke", "c"))
    assert done(run(upkeep, "doctor", "--no-settings")) == "The database is what the files say.\n"


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets variables of the environment."""

    def make(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return make


def test_variables_of_libpq_change_no_command(db: Connection, db_url: str, outside: Callable[..., None]) -> None:
    """An encoding that cannot write what crawlers sent, dates in another form, and options."""
    tell(db, "j", message="\u65e5")
    outside(
        PGCLIENTENCODING="LATIN1",
        PGDATESTYLE="German",
        PGTZ="Asia/Kathmandu",
        PGOPTIONS="-c IntervalStyle=sql_standard -c default_transaction_isolation=serializable",
        PGAPPNAME="x",
    )
    assert json.loads(done(run(db_url, "job", "show", "j", "--json")))["progress"]["message"] == "\u65e5"
    assert "j" in done(run(db_url, "jobs"))
    assert done(run(db_url, "prune", "--older-than", "0s", "--keep", "0")) == "1 event of 1 job pruned\n"
    assert done(run(db_url, "verify")) == "1 job checked, 0 differ\n"
    done(run(db_url, "token", "create", "c", "--scope", "read"))
    assert "c" in done(run(db_url, "token", "list"))
