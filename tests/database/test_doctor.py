"""The doctor names what differs between a database and the files, and nothing else, and leaves no trace."""

import contextlib
import json
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tallymark.cli.database import doctor, spare_server
from tallymark.schema.catalogue import Catalogue, read_catalogue
from tallymark.schema.comparison import Finding
from tallymark.schema.doctor import LEFTOVER_SECONDS, DoctorError, findings
from tallymark.schema.migrate import available, migrate

Connection = psycopg.Connection[Any]

#: Puts a comment into the body of a function, as somebody who tries something out by hand would.
EDIT_BODY = """
DO $do$ BEGIN EXECUTE (
  SELECT regexp_replace(pg_get_functiondef(oid), '\\nBEGIN\\n', E'\\nBEGIN\\n  -- tried something\\n')
  FROM pg_proc WHERE proname = 'merge_progress' AND pronamespace = 'tallymark'::regnamespace
); END $do$
"""

MERGE = "tallymark.merge_progress(text, jsonb)"


def run(*arguments: str) -> Result:
    """Run `tallymark doctor` as a script would, without a terminal; the server of the tests syncs nothing to disk."""
    return CliRunner().invoke(doctor, ["--no-settings", *arguments])


def test_a_database_just_made_has_no_finding(db_url: str) -> None:
    """A new database gives no finding, and the command says so and exits with 0."""
    assert findings(db_url) == []
    result = run("--database-url", db_url)
    assert (result.exit_code, result.output) == (0, "The database is what the files say.\n")


def test_three_changes_by_hand_are_named_and_nothing_else(db: Connection, db_url: str) -> None:
    """A changed body, a dropped grant and an edited comment: three findings, with their objects."""
    db.execute(EDIT_BODY.encode())
    db.execute("REVOKE EXECUTE ON FUNCTION tallymark.is_terminal(text) FROM tallymark_reader")
    db.execute("COMMENT ON TABLE tallymark.job IS 'x'")
    assert [(finding.kind, finding.object, finding.problem.split()[0]) for finding in findings(db_url)] == [
        ("table", "tallymark.job", "comment"),
        ("function", "tallymark.is_terminal(text)", "grants:"),
        ("function", MERGE, "body"),
    ]


def test_the_line_of_a_changed_body_is_that_of_the_file(db: Connection, db_url: str) -> None:
    """The line number points into the file, where the first line that differs stands."""
    db.execute(EDIT_BODY.encode())
    (finding,) = findings(db_url)
    path, _, line = finding.problem.removeprefix("body differs from ").partition(" at line ")
    lines = (Path(__file__).parents[2] / path).read_text().splitlines()
    assert lines[int(line) - 2] == "BEGIN"
    assert lines[int(line) - 1].strip() == finding.expected
    assert finding.found == "-- tried something"
    assert finding.fix == "tallymark migrate"
    migrate(db_url)
    assert findings(db_url) == []


def test_columns_that_are_missing_or_of_another_type_are_found(db: Connection, db_url: str) -> None:
    """The column is named, and so is everything that depended on it and was dropped with it."""
    # The type is changed in the catalogue, since PostgreSQL forbids it while a view or function depends on the column.
    db.execute(
        "UPDATE pg_attribute SET atttypmod = 3"
        " WHERE attrelid = 'tallymark.job_event'::regclass AND attname = 'recorded_at'"
    )
    db.execute("ALTER TABLE tallymark.job DROP resume_state CASCADE")
    columns = [finding for finding in findings(db_url) if finding.kind == "column"]
    assert [(finding.object, finding.problem) for finding in columns] == [
        ("tallymark.job.resume_state", "is missing"),
        ("tallymark.job_event.recorded_at", "type differs"),
    ]
    assert columns[1].found == "timestamp(3) with time zone"


def test_a_missing_table_is_one_finding(db: Connection, db_url: str) -> None:
    """Its columns, constraints and indexes are not listed as well."""
    db.execute("DROP TABLE tallymark.job_area CASCADE")
    assert [(f.kind, f.object) for f in findings(db_url) if "job_area" in f.object] == [("table", "tallymark.job_area")]


def test_a_database_without_the_schema_is_one_finding(empty_url: str) -> None:
    """The advice is to migrate; missing objects are not listed one by one."""
    assert findings(empty_url) == [Finding("schema", "tallymark", "is missing", "", "", "tallymark migrate")]


def test_migrations_that_are_missing_or_unknown_are_named(db: Connection, db_url: str) -> None:
    """The list of applied migrations is compared as well, in both directions."""
    db.execute("UPDATE _yoyo_migration SET migration_id = '9999-later' WHERE migration_id = %s", [available()[-1]])
    assert [(finding.object, finding.problem) for finding in findings(db_url)] == [
        (available()[-1], "is not applied"),
        ("9999-later", "is applied but in no file"),
    ]


def test_a_leftover_of_a_killed_run_is_swept(db: Connection, db_url: str) -> None:
    """A scratch database older than any run takes is dropped by the next run; a younger one may be in use."""
    now = int(time.time())
    old, young = (f"tallymark_doctor_{stamp:x}_{secrets.token_hex(6)}" for stamp in (now - LEFTOVER_SECONDS - 1, now))
    for name in (old, young):
        db.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    findings(db_url)
    assert databases(db) & {old, young} == {young}
    db.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(young)))


@pytest.mark.parametrize("fails", [False, True])
def test_the_scratch_database_is_dropped_whatever_happens(
    db: Connection, db_url: str, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """Neither a run that succeeds nor one that breaks in the middle leaves its database."""
    token = secrets.token_hex(6)
    seen: list[str] = []

    def reading(connection: Connection) -> Catalogue:
        seen.append(connection.info.dbname)
        if fails and token in connection.info.dbname:
            raise KeyboardInterrupt
        return read_catalogue(connection)

    monkeypatch.setattr("tallymark.schema.doctor.secrets.token_hex", lambda _bytes: token)
    monkeypatch.setattr("tallymark.schema.doctor.read_catalogue", reading)
    with pytest.raises(KeyboardInterrupt) if fails else contextlib.nullcontext():
        findings(db_url)
    assert seen[-1].endswith(token)
    assert seen[-1] not in databases(db)


def databases(db: Connection) -> set[str]:
    """Name the databases of the server."""
    return {str(name) for (name,) in db.execute("SELECT datname FROM pg_database")}


@pytest.fixture
def plain_user_url(db: Connection, db_url: str) -> Iterator[str]:
    """The URL of this test's database for a role that may connect, read the list of migrations, and nothing more."""
    user = f"plain_{db.info.dbname}"
    name = sql.Identifier(user)
    db.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(name))
    db.execute(sql.SQL("GRANT SELECT ON _yoyo_migration TO {}").format(name))
    yield make_conninfo(db_url, user=user, password="secret")
    db.execute(sql.SQL("DROP OWNED BY {}").format(name))
    db.execute(sql.SQL("DROP ROLE {}").format(name))


def test_without_createdb_an_embedded_server_is_the_reference(db: Connection, plain_user_url: str) -> None:
    """A role that may create no database gets the same answer, and a line about the reference."""
    said: list[str] = []
    assert findings(plain_user_url, report=said.append, spare_server=spare_server) == []
    assert "permission denied to create database" in said[0]
    db.execute(EDIT_BODY.encode())
    assert [finding.object for finding in findings(plain_user_url, spare_server=spare_server)] == [MERGE]


def test_without_any_reference_the_error_says_what_is_needed(
    plain_user_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With neither CREATEDB nor an embedded server, the command exits with 2 and names both."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    for spare in (spare_server, None):
        with pytest.raises(DoctorError, match="CREATEDB"):
            findings(plain_user_url, spare_server=spare)
    result = run("--database-url", plain_user_url)
    assert result.exit_code == 2
    assert "CREATEDB" in result.output


def test_the_command_prints_findings_for_people_and_for_scripts(db: Connection, db_url: str) -> None:
    """Exit code 1, no colours into a pipe, and the same findings as JSON."""
    db.execute("DROP INDEX tallymark.job_facets_idx")
    text = run("--database-url", db_url)
    assert text.exit_code == 1
    assert text.output.startswith("index tallymark.job_facets_idx: is missing\n    fix: CREATE INDEX")
    assert "\033" not in text.output
    machine = run("--database-url", db_url, "--json")
    assert machine.exit_code == 1
    (finding,) = json.loads(machine.output)
    assert finding["object"] == "tallymark.job_facets_idx"


def test_a_server_that_is_away_is_an_error_and_no_finding() -> None:
    """Exit code 2: nothing was compared."""
    result = run("--database-url", "postgresql://127.0.0.1:1/nowhere")
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_without_a_database_the_command_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With no option, no variable and no running server, the message names the last two; exit 2."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("TALLYMARK_DATA_DIR", str(tmp_path))
    result = run()
    assert result.exit_code == 2
    assert result.output == (
        f"Error: DATABASE_URL is not set, and no `tallymark up` runs on {tmp_path};"
        " set DATABASE_URL, or start `tallymark up`\n"
    )
