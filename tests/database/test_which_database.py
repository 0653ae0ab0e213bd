"""Every command uses the database that a plain connection by its URL is in; yoyo's tables have one place there."""

import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.database.test_migrate import entries, yoyo_apply

from tallymark.cli import cli
from tallymark.schema.files import sql_root
from tallymark.schema.migrate import MigrationError, applied, available, migrate, rollback
from tallymark.server import EmbeddedPostgres

Connection = psycopg.Connection[Any]

#: What a release had whose migrations did not look at where yoyo records them, and what it lacks.
BEFORE = [name for name in available() if name < "0014"]
MISSING = [name for name in available() if name >= "0014"]


class Wanted(NamedTuple):
    """A database with an odd name, and a login for which libpq would take another one.

    Attributes:
        parts: The parts of the URL that leads to it.
        other: The URL of the database that is named like the login.
    """

    parts: dict[str, str]
    other: str


@pytest.fixture
def wanted(make_database: Callable[[], str]) -> Iterator[Wanted]:
    """A database to use, and another one that a wrong URL would lead to."""
    url = make_database()
    name, login = f"wanted a=b?{secrets.token_hex(4)}", f"tallymark_test_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD 'p'").format(sql.Identifier(login)))
        for database in (name, login):
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(database)))
        parts = {
            key: str(value) for key, value in conninfo_to_dict(make_conninfo(url, user=login, password="p")).items()
        }
        yield Wanted(parts | {"dbname": name}, make_conninfo(url, dbname=login))
        for database in (name, login):
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(login)))


def run(*arguments: str) -> Result:
    """Run `tallymark` as a script would, without a terminal."""
    return CliRunner().invoke(cli, arguments)


def _given_by_a_service(parts: dict[str, str], monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Write a service file with all parts, and name it in the environment."""
    lines = [f"{name}={value}" for name, value in parts.items()]
    (directory / "services").write_text("\n".join(["[there]", *lines, ""]))
    monkeypatch.setenv("PGSERVICEFILE", str(directory / "services"))


@pytest.mark.parametrize(
    "how", ["service in the URL", "service in the environment", "environment", "several hosts", "yoyo's form", "no URL"]
)
def test_every_command_uses_the_database_that_libpq_finds(
    wanted: Wanted, how: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And the one that is named like the login is left as it is."""
    parts = wanted.parts
    url = "postgresql://"
    if how == "service in the URL":
        url = "postgresql://?service=there"
        _given_by_a_service(parts, monkeypatch, tmp_path)
    elif how == "service in the environment":
        monkeypatch.setenv("PGSERVICE", "there")
        _given_by_a_service(parts, monkeypatch, tmp_path)
    elif how == "environment":
        variables = {
            "host": "PGHOST",
            "port": "PGPORT",
            "user": "PGUSER",
            "password": "PGPASSWORD",
            "dbname": "PGDATABASE",
        }
        for part, variable in variables.items():
            monkeypatch.setenv(variable, parts[part])
    elif how == "several hosts":
        several = {"host": f"127.0.0.1,{parts['host']}", "port": f"1,{parts['port']}"}
        url = make_conninfo("", **parts | several, target_session_attrs="read-write")
    elif how == "yoyo's form":
        url = f"postgresql+psycopg://?{'&'.join(f'{name}={_quoted(value)}' for name, value in parts.items())}"
    else:
        url = make_conninfo("", **parts)
    at = ("--database-url", url)

    assert run("migrate", *at).output.splitlines()[-1].endswith("migrations applied")
    assert run("job", "create", "j", *at).exit_code == 0
    assert run("doctor", "--no-settings", *at).output == "The database is what the files say.\n"
    assert run("verify", *at).output == "1 job checked, 0 differ\n"
    assert run("rollback", "--yes", *at).output.splitlines()[-1] == "1 migration taken back"
    assert run("migrate", *at).output.splitlines()[-1] == "1 migration applied"
    assert run("verify", *at).output == "1 job checked, 0 differ\n"
    for name in ("PGSERVICE", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)
    assert applied(make_conninfo("", **parts)) == available()
    with psycopg.connect(wanted.other) as other:
        found = other.execute("SELECT to_regnamespace('tallymark'), to_regclass('public._yoyo_migration')").fetchone()
        assert found == (None, None)


def _quoted(value: str) -> str:
    return "".join(f"%{byte:02x}" for byte in value.encode())


def test_what_is_no_url_is_refused_with_a_message() -> None:
    """A string that libpq cannot read gives our error, not a traceback of a library."""
    with pytest.raises(MigrationError, match="cannot connect"):
        migrate("mysql://u@h/d and more")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[[str, str], str]]:
    """Makes a login and a database of its own on a server with nothing else, and gives the URL."""
    with EmbeddedPostgres(tmp_path / "data") as server, psycopg.connect(server.url, autocommit=True) as admin:

        def make(login: str, rights: str) -> str:
            admin.execute(f"CREATE ROLE {login} LOGIN {rights} PASSWORD 'p'".encode())
            admin.execute(f"CREATE DATABASE theirs OWNER {login}".encode())
            return make_conninfo(server.url, user=login, password="p", dbname="theirs")

        yield make


def schemas(url: str) -> set[str]:
    """Return the schemas in which yoyo has recorded a migration."""
    query = """
        SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relname = '_yoyo_migration'"""
    with psycopg.connect(url) as connection:
        found = [name for (name,) in connection.execute(query)]
        return {
            name for name in found if connection.execute(f"SELECT 1 FROM {name}._yoyo_migration".encode()).fetchone()
        }


@pytest.mark.parametrize("rights", ["SUPERUSER", "CREATEROLE"])
def test_a_login_may_be_called_like_our_schema(own_server: Callable[[str, str], str], rights: str) -> None:
    """Its search path begins with the schema that the first migration makes; nothing is applied twice."""
    url = own_server("tallymark", rights)
    assert migrate(url) == available()
    assert migrate(url) == []
    assert applied(url) == available()
    assert schemas(url) == {"public"}
    assert rollback(url) == available()[-1:]
    assert migrate(url) == available()[-1:]


def test_plain_yoyo_does_not_apply_anything_twice_for_such_a_login(own_server: Callable[[str, str], str]) -> None:
    """The first run works. The next one would begin again in our schema: it is refused, and says what to do."""
    url = own_server("tallymark", "SUPERUSER")
    first = yoyo_apply(url)
    assert first.returncode == 0, first.stderr
    assert applied(url) == available()
    before = entries(url)
    again = yoyo_apply(url)
    assert again.returncode != 0
    assert "yoyo uses its tables in the schema tallymark" in again.stderr
    assert "?schema=public" in again.stderr
    assert yoyo_apply(url, schema="public").returncode == 0
    assert migrate(url) == []
    after = {key: entry for key, entry in entries(url).items() if "yoyo" not in key[1]}
    assert after == before


@pytest.fixture
def recorded_elsewhere(empty_url: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a login with a schema of its own, in which plain yoyo has recorded what an old release had."""
    files = tmp_path / "sql"
    shutil.copytree(sql_root(), files)
    for migration in MISSING:
        for file in (files / "migrations").glob(f"{migration}.*"):
            file.unlink()
    # What names a table or a column that came later; the old release has no such function or view.
    for file in [*(files / "functions").rglob("*.sql"), *(files / "views").glob("*.sql")]:
        if re.search(r"\btallymark\.job_pace\b(?! AS)|^  j\.parent,$", file.read_text(), re.MULTILINE):
            file.unlink()
    login = f"tallymark_test_{secrets.token_hex(4)}"
    with psycopg.connect(empty_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {login} SUPERUSER LOGIN PASSWORD 'p'".encode())
        admin.execute(f"CREATE SCHEMA AUTHORIZATION {login}".encode())
        url = make_conninfo(empty_url, user=login, password="p")
        done = yoyo_apply(url, directory=files / "migrations")
        assert done.returncode == 0, done.stderr
        assert schemas(url) == {login}
        yield url
        admin.execute(f"REASSIGN OWNED BY {login} TO CURRENT_USER; DROP OWNED BY {login}; DROP ROLE {login}".encode())


def test_what_was_recorded_in_another_schema_counts(recorded_elsewhere: str) -> None:
    """Only what is missing is applied, and the record has its place from then on."""
    said: list[str] = []
    assert applied(recorded_elsewhere) == BEFORE
    assert migrate(recorded_elsewhere, report=said.append) == MISSING
    assert "moved it to public" in said[0]
    assert applied(recorded_elsewhere) == available()
    assert schemas(recorded_elsewhere) == {"public"}
    assert rollback(recorded_elsewhere) == available()[-1:]
    assert applied(recorded_elsewhere) == available()[:-1]


def test_a_newer_database_is_recognised_wherever_that_is_recorded(recorded_elsewhere: str) -> None:
    """An older release changes nothing, and moves nothing."""
    with psycopg.connect(recorded_elsewhere) as connection:
        connection.execute(
            "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)"
            " VALUES ('x', '9999-later', now())"
        )
    before = schemas(recorded_elsewhere)
    for act in (migrate, rollback):
        with pytest.raises(MigrationError, match="9999-later"):
            act(recorded_elsewhere)
    assert schemas(recorded_elsewhere) == before


def test_plain_yoyo_says_that_it_looks_in_the_wrong_place(recorded_elsewhere: str) -> None:
    """Its next run ends at the last migration, and nothing is lost."""
    refused = yoyo_apply(recorded_elsewhere)
    assert refused.returncode != 0
    assert "must use those in public" in refused.stderr
    assert migrate(recorded_elsewhere) == MISSING


def test_another_projects_record_in_another_schema_is_left_alone(empty_url: str) -> None:
    """Although its migrations are called like ours."""
    with psycopg.connect(empty_url) as connection:
        connection.execute("CREATE SCHEMA theirs")
        connection.execute(
            "CREATE TABLE theirs._yoyo_migration (migration_hash text, migration_id text, applied_at_utc timestamp)"
        )
        connection.execute("INSERT INTO theirs._yoyo_migration VALUES ('x', '0001-theirs', now())")
    assert migrate(empty_url) == available()
    assert schemas(empty_url) == {"public", "theirs"}
