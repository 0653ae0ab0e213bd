"""Columns can be added to our tables while functions are installed, on every version of PostgreSQL."""

import shutil
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tallymark.schema.doctor import findings
from tallymark.schema.files import sql_root
from tallymark.schema.migrate import available, migrate

Connection = psycopg.Connection[Any]

#: The signature that releases up to migration 0013 installed.
_OLD_SIGNATURE = """
DROP FUNCTION tallymark.combine_updates(tallymark.batch_update[], tallymark.job[]);
CREATE FUNCTION tallymark.combine_updates(
  updates tallymark.batch_update[], jobs tallymark.job[] DEFAULT '{}'
)
RETURNS TABLE (job_id text, run bigint, first_number bigint, first_at timestamptz, number bigint, at timestamptz,
  key text, payload jsonb, seq bigint)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$ BEGIN END $$;
ALTER FUNCTION tallymark.combine_updates(tallymark.batch_update[], tallymark.job[]) OWNER TO tallymark_owner;
"""

_ADD_COLUMN = """-- depends: {last}

ALTER TABLE tallymark.job ADD COLUMN mine bigint NOT NULL DEFAULT 7;
"""


def test_no_argument_has_a_default_of_a_row_type(db: Connection) -> None:
    """The server would count it as a use of the row type, and PostgreSQL 15.20 then adds no column with a default."""
    with_row_type = db.execute(
        """SELECT p.oid::regprocedure::text FROM pg_proc AS p
             CROSS JOIN unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, number)
             JOIN pg_type AS t ON t.oid = a.type LEFT JOIN pg_type AS e ON e.oid = t.typelem
           WHERE p.pronamespace = 'tallymark'::regnamespace AND a.number > p.pronargs - p.pronargdefaults
             AND 'c' IN (t.typtype, e.typtype)"""
    ).fetchall()
    assert with_row_type == []


def test_every_table_takes_a_column_with_a_default(db: Connection) -> None:
    """While all functions are installed, which take rows of these tables."""
    tables = db.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'tallymark'::regnamespace AND relkind = 'r'"
    ).fetchall()
    assert len(tables) > 9
    for (table,) in tables:
        with db.transaction(force_rollback=True):
            db.execute(f"ALTER TABLE {table} ADD COLUMN mine bigint NOT NULL DEFAULT 7".encode())


@pytest.mark.parametrize("applied_before", ["0003-areas-and-commands", "0013-groups"])
def test_a_database_of_the_release_before_takes_one_too(
    db: Connection, db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, applied_before: str
) -> None:
    """Migrations apply that add such a column, those that were released and one of the next release."""
    migrate(db_url)
    later = [name for name in available() if name > applied_before]
    db.execute(_OLD_SIGNATURE.encode())
    db.execute("DELETE FROM _yoyo_migration WHERE migration_id = ANY (%s)", [later])
    if "0007-retention" in later:
        db.execute("ALTER TABLE tallymark.job DROP COLUMN pruned_seq CASCADE")
    files = tmp_path / "sql"
    shutil.copytree(sql_root(), files)
    (files / "migrations" / "9000-mine.sql").write_text(_ADD_COLUMN.format(last=available()[-1]))
    (files / "migrations" / "9000-mine.rollback.sql").write_text("ALTER TABLE tallymark.job DROP COLUMN mine;")
    monkeypatch.setattr("tallymark.schema.migrate.sql_root", lambda: files)
    assert migrate(db_url) == [*later, "9000-mine"]
    found = [(item.object, item.problem) for item in findings(db_url)]
    assert found == []
    assert db.execute("SELECT pronargdefaults FROM pg_proc WHERE proname = 'combine_updates'").fetchall() == [(0,)]
