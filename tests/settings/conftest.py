"""A server for the settings, with databases of hard data on it, and rounds in them."""

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.on_postgres import other_server
from tests.settings.cells import Environment

from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres

USERS = ("installer", "upkeep")
_HERE = Path(__file__).parent
#: The connection that makes the settings does not have them.
_UNMOVED = "-c statement_timeout=0 -c idle_session_timeout=0 -c default_transaction_read_only=off -c search_path=public"


@dataclass
class Matrix:
    """A server, its template, and the process that makes the rounds."""

    url: str
    directory: Path
    driver: "subprocess.Popen[str]"
    admin: psycopg.Connection[Any]
    plain: dict[bool, list[dict[str, str]]] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """The server's major version."""
        return self.admin.info.server_version // 10000

    def parts(self) -> dict[str, str]:
        """The address of the server."""
        return {key: str(value) for key, value in conninfo_to_dict(self.url).items()}

    def url_of(self, user: str, database: str) -> str:
        """The URL of a database for a user; nothing is left to the environment."""
        parts = self.parts()
        return f"postgresql://{user}:p@{parts['host']}:{parts['port']}/{database}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """A database with the hard data, and its name."""
        name = f"tallymark_matrix_{secrets.token_hex(4)}"
        self.admin.execute(f"CREATE DATABASE {name} TEMPLATE tallymark_template OWNER installer".encode())
        try:
            yield name
        finally:
            self.admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def round(
        self,
        database: str,
        *,
        environ: Mapping[str, str] | None = None,
        url: str | None = None,
        apart: bool = False,
        afterwards: bool = False,
    ) -> dict[str, str]:
        """Make a round, and return what each step answered. `url` is used by both users."""
        place = self.directory / secrets.token_hex(4)
        place.mkdir()
        request = {
            "urls": {user: url or self.url_of(user, database) for user in USERS},
            "directory": str(place),
            "environ": dict(environ or {}),
            "answers": str(place / "answers.json"),
            "apart": apart,
            "afterwards": afterwards,
        }
        assert self.driver.stdin is not None
        assert self.driver.stdout is not None
        self.driver.stdin.write(json.dumps(request) + "\n")
        self.driver.stdin.flush()
        assert self.driver.stdout.readline() == "0\n"
        answers: dict[str, str] = json.loads((place / "answers.json").read_text(encoding="utf-8"))
        return answers

    def round_in(self, database: str, environment: Environment) -> dict[str, str]:
        """Make a round in an environment."""
        directory = self.directory / secrets.token_hex(4)
        directory.mkdir()
        parts = self.parts()
        filled = {"host": parts["host"], "port": parts["port"], "database": database, "directory": str(directory)}

        def fill(text: str) -> str:
            return re.sub(r"\{(host|port|database|directory)\}", lambda found: filled[found[1]], text)

        for name, text in environment.files.items():
            (directory / name).write_text(fill(text), encoding="utf-8")
            (directory / name).chmod(0o600)
        variables = {name: fill(value) for name, value in environment.variables.items()}
        return self.round(database, environ=variables, url=fill(environment.url) or None, apart=environment.apart)

    def afterwards(self, database: str) -> dict[str, str]:
        """Make a round that reads; and what is stored."""
        with self.connect(database) as connection:
            rows = connection.execute(_STORED).fetchall()
        stored = "\n".join(sorted(row[0] for row in rows))
        return self.round(database, afterwards=True) | {"stored": stored}

    def expected(self, *, apart: bool = False) -> list[dict[str, str]]:
        """What a run without settings answers, and what one that reads answers afterwards."""
        if apart not in self.plain:
            with self.database() as database:
                self.plain[apart] = [self.round(database, apart=apart), self.afterwards(database)]
        return self.plain[apart]

    def connect(self, database: str) -> psycopg.Connection[Any]:
        """Connect to a database as the superuser who makes the settings, and does not have them."""
        return psycopg.connect(self.url, dbname=database, autocommit=True, options=_UNMOVED)


_STORED = """
SELECT (to_jsonb(j) - '{created_at,updated_at}'::text[])::text FROM tallymark.job AS j
UNION ALL SELECT (to_jsonb(e) - 'recorded_at' || CASE WHEN payload IS NULL THEN '{"occurred_at": null}' ELSE '{}'
  END::jsonb)::text FROM tallymark.job_event AS e
UNION ALL SELECT to_jsonb(a)::text FROM tallymark.job_area AS a
UNION ALL SELECT to_jsonb(i)::text FROM tallymark.job_item AS i
UNION ALL SELECT (to_jsonb(b) - '{folded_at,digest}'::text[])::text FROM tallymark.job_baseline AS b
UNION ALL SELECT to_jsonb(p)::text FROM tallymark.pruned_update AS p
UNION ALL SELECT to_jsonb(r)::text FROM tallymark.job_pace AS r
UNION ALL SELECT (to_jsonb(t) - '{digest,created_at,revoked_at}'::text[])::text FROM tallymark.api_token AS t
"""


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """A server of its own, since settings of a server, and roles, would show in other tests."""
    directory = tmp_path_factory.mktemp("matrix")
    given = getattr(request, "param", None)
    programs = Path(given) if given else None
    if programs is not None and not (programs / "postgres").exists():
        pytest.skip(f"NOT TESTED: settings on another PostgreSQL: there is none in {programs}")
    running = EmbeddedPostgres(directory / "data") if programs is None else other_server(programs, directory / "data")
    with running as server:
        url = server.url
        with psycopg.connect(url, autocommit=True, options=_UNMOVED) as admin:
            _prepare(admin, url)
            command = [sys.executable, "-m", "tests.settings.round"]
            clean = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "TALLYMARK_"))}
            with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean, cwd=_HERE.parents[1]
            ) as driver:
                yield Matrix(url, directory, driver, admin)
                assert driver.stdin is not None
                driver.stdin.close()


def _prepare(admin: psycopg.Connection[Any], url: str) -> None:
    """Make the users, and a template with the hard data."""
    for statement in (
        "ALTER SYSTEM SET fsync = off",
        "SELECT pg_reload_conf()",
        "CREATE ROLE installer LOGIN SUPERUSER PASSWORD 'p'",
        "CREATE ROLE upkeep LOGIN PASSWORD 'p'",
        "CREATE ROLE operators SUPERUSER",
        "GRANT operators TO upkeep, installer",
        "CREATE DATABASE tallymark_template OWNER installer",
        # A tablespace in the server's own directory.
        "SET allow_in_place_tablespaces = on",
        "CREATE TABLESPACE elsewhere LOCATION ''",
        "GRANT CREATE ON TABLESPACE elsewhere TO PUBLIC",
    ):
        admin.execute(statement.encode())
    template = psycopg.conninfo.make_conninfo(url, dbname="tallymark_template")
    migrate(template)
    admin.execute("GRANT tallymark_admin, tallymark_writer, tallymark_reader TO upkeep")
    with psycopg.connect(template, autocommit=True) as connection:
        connection.execute((_HERE / "hard_data.sql").read_bytes())


def set_for_role(matrix: Matrix, database: str, settings: Mapping[str, str]) -> Callable[[], None]:
    """Make settings of both users; return what takes them back."""
    del database
    return _set(matrix, [f"ROLE {user}" for user in USERS], settings)


def set_for_database(matrix: Matrix, database: str, settings: Mapping[str, str]) -> Callable[[], None]:
    """Make settings of the database."""
    return _set(matrix, [f"DATABASE {database}"], settings)


def set_for_role_in_database(matrix: Matrix, database: str, settings: Mapping[str, str]) -> Callable[[], None]:
    """Make settings of both users in the database."""
    return _set(matrix, [f"ROLE {user} IN DATABASE {database}" for user in USERS], settings)


def set_for_server(matrix: Matrix, database: str, settings: Mapping[str, str]) -> Callable[[], None]:
    """Make settings of the whole server, and wait until new sessions have them."""
    del database
    take_back = _set(matrix, ["SYSTEM"], settings)
    _reload(matrix)

    def undo() -> None:
        take_back()
        _reload(matrix)

    return undo


def _set(matrix: Matrix, places: list[str], settings: Mapping[str, str]) -> Callable[[], None]:
    for place in places:
        for name, value in settings.items():
            matrix.admin.execute(f"ALTER {place} SET {_quoted(name)} = {value}".encode())

    def undo() -> None:
        for place in places:
            for name in settings:
                matrix.admin.execute(f"ALTER {place} RESET {_quoted(name)}".encode())

    return undo


def _quoted(name: str) -> str:
    return ".".join(f'"{part}"' for part in name.split("."))


def _reload(matrix: Matrix) -> None:
    """Have the server read its configuration, and wait until a new session has it."""

    def loaded() -> Decimal:
        # A number, because the setting may be how dates are written.
        with psycopg.connect(matrix.url, options=_UNMOVED) as connection:
            [(at,)] = connection.execute("SELECT extract(epoch FROM pg_conf_load_time())").fetchall()
        return cast("Decimal", at)

    before = loaded()
    matrix.admin.execute("SELECT pg_reload_conf()")
    while loaded() == before:
        pass
