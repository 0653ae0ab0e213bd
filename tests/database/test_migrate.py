"""Installing, upgrading and rolling back: every way leads to the same schema, and none gets stuck."""

import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tallymark.functions.session import connect
from tallymark.schema.catalogue import Entry, Key, read_catalogue
from tallymark.schema.files import function_files, sql_root, view_files
from tallymark.schema.migrate import MigrationError, applied, available, migrate, pending, rollback
from tallymark.server import EmbeddedPostgres

#: Migrates in a process of its own, and prints how many migrations that applied.
MIGRATE = "import sys; from tallymark.schema.migrate import migrate; print(len(migrate(sys.argv[1])))"

#: Prints a line in the middle of a migration, and waits there until it is killed.
STOP_HALFWAY = (
    "import sys; from tallymark.schema.migrate import migrate;"
    "migrate(sys.argv[1], report=lambda line: (print(line, flush=True), sys.stdin.read()))"
)


def entries(url: str) -> dict[Key, Entry]:
    """Read all objects of a database's schema, without the roles, which are the server's."""
    with connect(url) as connection:
        found = read_catalogue(connection).entries
    return {key: entry for key, entry in found.items() if key[0] != "role"}


def yoyo_apply(url: str, *, directory: Path | None = None, **also: str) -> subprocess.CompletedProcess[str]:
    """Run plain `yoyo apply` on a directory of migrations; its URL takes the parts of ours as parameters, and more."""
    place = "postgresql+psycopg:///?" + urlencode({**conninfo_to_dict(url), **also})
    command = [sys.executable, "-m", "yoyo", "apply", "--batch", "--no-config-file", "--database", place]
    return subprocess.run(
        [*command, str(directory or sql_root() / "migrations")], check=False, cwd="/", capture_output=True, text=True
    )


def leave_a_lock_behind(url: str, pid: int) -> None:
    """Commit the row that yoyo leaves when it is killed, after making yoyo's tables."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE yoyo_lock (locked int PRIMARY KEY DEFAULT 1, ctime timestamp, pid int NOT NULL)"
        )
        connection.execute("INSERT INTO yoyo_lock (ctime, pid) VALUES ('2026-01-02 03:04:05', %s)", [pid])


def test_an_empty_database_becomes_a_working_system(empty_url: str) -> None:
    """All migrations are pending, then applied in order, and every function file is installed."""
    said: list[str] = []
    assert pending(empty_url) == available()
    assert migrate(empty_url, report=said.append) == available()
    assert pending(empty_url) == []
    assert applied(empty_url) == available()
    assert said[-1] == f"installed {len(function_files()) + len(view_files())} functions and views"
    names = {name.partition("(")[0] for kind, name in entries(empty_url) if kind == "function"}
    assert len(names) == len(function_files())


def test_migrating_twice_changes_nothing(empty_url: str) -> None:
    """The second run applies nothing and leaves the same catalogue."""
    migrate(empty_url)
    before = entries(empty_url)
    assert migrate(empty_url) == []
    assert entries(empty_url) == before


def test_every_migration_can_be_taken_back() -> None:
    """If a rollback file were missing, yoyo would do nothing and report success."""
    directory = sql_root() / "migrations"
    assert [name for name in available() if not (directory / f"{name}.rollback.sql").exists()] == []


def test_up_down_up_gives_the_same_schema(empty_url: str) -> None:
    """Taking back any number of migrations and applying them again ends where it began."""
    migrate(empty_url)
    before = entries(empty_url)
    for steps in range(1, len(available()) + 1):
        assert rollback(empty_url, steps=steps) == available()[::-1][:steps]
        assert migrate(empty_url) == available()[-steps:]
        assert entries(empty_url) == before


def test_taking_back_everything_leaves_nothing(empty_url: str) -> None:
    """After the first migration was taken back the schema is gone, and a further rollback does nothing."""
    migrate(empty_url)
    rollback(empty_url, steps=len(available()))
    assert entries(empty_url) == {}
    assert rollback(empty_url) == []


def test_plain_yoyo_gives_the_same_schema(empty_url: str, make_database: Callable[[], str]) -> None:
    """`yoyo apply` on the migrations directory, without the Python package, ends where `tallymark migrate` does."""
    migrate(empty_url)
    other = make_database()
    done = yoyo_apply(other)
    assert done.returncode == 0, done.stderr
    assert entries(other) == entries(empty_url)
    assert applied(other) == available()
    assert migrate(other) == []


def test_twenty_migrations_at_once_all_succeed(empty_url: str) -> None:
    """Of twenty processes on an empty database one does the work and none fails."""
    command = [sys.executable, "-c", MIGRATE, empty_url]
    with ThreadPoolExecutor(20) as pool:
        runs = list(pool.map(lambda _: subprocess.run(command, check=False, capture_output=True, text=True), range(20)))
    assert [run.stderr for run in runs] == [""] * 20
    assert sorted(int(run.stdout) for run in runs) == [0] * 19 + [len(available())]


def test_a_killed_migration_leaves_no_lock_behind(empty_url: str) -> None:
    """After kill -9 in the middle the next migration starts at once and finishes the work."""
    with subprocess.Popen(
        [sys.executable, "-c", STOP_HALFWAY, empty_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("applying")
        process.kill()
    said: list[str] = []
    assert migrate(empty_url, report=said.append) == available()
    assert not [line for line in said if "lock" in line]


def test_a_lock_left_by_a_killed_yoyo_is_removed_when_nobody_else_is_connected(empty_url: str) -> None:
    """Without other sessions the lock has no holder: it is removed, and a line says so."""
    leave_a_lock_behind(empty_url, 4242)
    said: list[str] = []
    assert migrate(empty_url, report=said.append) == available()
    assert "process 4242" in said[0]
    assert "2026-01-02 03:04:05" in said[0]


def test_a_lock_that_may_be_in_use_is_named_and_broken_on_demand(empty_url: str) -> None:
    """While others are connected, the message names the process and an option that removes the lock; it works."""
    leave_a_lock_behind(empty_url, 4242)
    with psycopg.connect(empty_url):
        with pytest.raises(MigrationError, match=r"process 4242 .*--break-lock"):
            migrate(empty_url, wait_seconds=0)
        assert migrate(empty_url, break_lock=True) == available()


def test_a_migration_waits_for_another_one(empty_url: str) -> None:
    """While another holds the lock it says that it waits; when that ends it goes on."""
    migrate(empty_url)
    waiting = threading.Event()
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        if line.startswith("waiting"):
            waiting.set()

    with psycopg.connect(empty_url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 1)")
        outcome = pool.submit(migrate, empty_url, report=report)
        assert waiting.wait(30)
        other.rollback()
        assert outcome.result(30) == []
    assert "another" in lines[0]


def test_an_older_release_does_not_touch_a_newer_database(empty_url: str) -> None:
    """A migration without a file stops migrate and rollback, and is named."""
    migrate(empty_url)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)"
            " VALUES ('x', '9999-later', now())"
        )
    with pytest.raises(MigrationError, match="9999-later"):
        migrate(empty_url)
    with pytest.raises(MigrationError, match="9999-later"):
        rollback(empty_url)


def test_migrations_of_another_project_in_the_same_table_are_left_alone(empty_url: str) -> None:
    """All projects of a database share yoyo's one table; only names like ours are checked."""
    migrate(empty_url)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)"
            " VALUES ('x', '20260101_01_Ab3Cd-theirs', now())"
        )
    assert migrate(empty_url) == []
    assert applied(empty_url) == available()


def test_a_broken_function_file_is_named_and_changes_nothing(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The functions are installed in one transaction: after an error all stay as they were."""
    migrate(empty_url)
    before = entries(empty_url)
    files = tmp_path / "sql"
    shutil.copytree(sql_root(), files)
    first = min((files / "functions").rglob("*.sql"))
    first.write_text(first.read_text().replace("COMMENT ON", "SELECT 1; COMMENT ON", 1))
    (files / "functions" / "999_broken.sql").write_text("CREATE FUNCTION tallymark.broken() RETURNS int AS 'x';")
    (files / "functions" / "998_new.sql").write_text(
        "CREATE FUNCTION tallymark.new() RETURNS int LANGUAGE sql RETURN 1;"
    )
    monkeypatch.setattr("tallymark.schema.migrate.sql_root", lambda: files)
    with pytest.raises(MigrationError, match=r"999_broken\.sql"):
        migrate(empty_url)
    assert entries(empty_url) == before


def test_a_user_who_is_no_superuser_can_install(empty_url: str, tmp_path: Path) -> None:
    """CREATEROLE and a database of one's own are enough, on a server that has none of the roles yet."""
    migrate(empty_url)
    with EmbeddedPostgres(tmp_path / "data") as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE installer LOGIN CREATEROLE PASSWORD 'p @/%'")
            connection.execute("CREATE DATABASE theirs OWNER installer")
        url = make_conninfo(server.url, user="installer", password="p @/%", dbname="theirs")
        assert migrate(url) == available()
        assert functions(url) == functions(empty_url)
        assert rollback(url, steps=len(available())) == available()[::-1]


def test_a_user_who_may_not_make_yoyos_tables_learns_which_right_is_missing(empty_url: str) -> None:
    """CREATEROLE and CREATE on the database are not enough: yoyo keeps its tables in the schema public."""
    name = f"tallymark_test_{secrets.token_hex(6)}"
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'p'")
        connection.execute(f"GRANT CREATE ON DATABASE {connection.info.dbname} TO {name}")
        try:
            with pytest.raises(MigrationError, match=r"may not make yoyo's tables: GRANT CREATE ON SCHEMA public TO"):
                migrate(make_conninfo(empty_url, user=name, password="p"))
        finally:
            connection.execute(f"DROP OWNED BY {name}")
            connection.execute(f"DROP ROLE {name}")


def functions(url: str) -> dict[str, dict[str, Any]]:
    """Read the functions of a database."""
    return {name: entry.aspects for (kind, name), entry in entries(url).items() if kind == "function"}
