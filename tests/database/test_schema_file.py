"""The file that shows the tables shows what the migrations make."""

import runpy
from pathlib import Path
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]

SQL = Path(__file__).parents[2] / "sql"
WRITER = runpy.run_path(str(SQL / "write_schema.py"))


def test_the_schema_file_is_what_the_migrations_make(db: Connection) -> None:
    """Word for word; after a new migration, `make schema` writes it."""
    assert (SQL / "schema.sql").read_text(encoding="utf-8") == WRITER["schema_text"](db)


def test_the_schema_file_names_every_table_column_and_index(db: Connection) -> None:
    """And every constraint and comment, as the catalogue has them, so that the writer leaves nothing out."""
    shown = " ".join((SQL / "schema.sql").read_text(encoding="utf-8").replace("--", " ").split())
    names = db.execute(
        """SELECT c.relname FROM pg_class AS c
           WHERE c.relnamespace = 'tallymark'::regnamespace AND c.relkind IN ('r', 'c', 'v', 'i')
           UNION SELECT a.attname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
           WHERE c.relnamespace = 'tallymark'::regnamespace AND c.relkind IN ('r', 'c', 'v') AND a.attnum > 0
           UNION SELECT k.conname FROM pg_constraint AS k
           WHERE k.connamespace = 'tallymark'::regnamespace AND k.contype <> 'n'"""
    ).fetchall()
    assert len(names) > 100
    assert [name for (name,) in names if name not in shown] == []
    comments = db.execute(
        """SELECT d.description FROM pg_description AS d JOIN pg_class AS c ON c.oid = d.objoid
           WHERE d.classoid = 'pg_class'::regclass AND c.relnamespace = 'tallymark'::regnamespace
             AND c.relkind IN ('r', 'c', 'v')"""
    ).fetchall()
    assert len(comments) > 50
    assert [text for (text,) in comments if " ".join(text.split()) not in shown] == []


def test_a_change_to_a_table_shows(db: Connection) -> None:
    """A column, a default, a comment, a constraint, an index, an option and a view each change the file."""
    before = WRITER["schema_text"](db)
    seen = {before}
    for change in (
        "ALTER TABLE tallymark.job ADD COLUMN extra text",
        "ALTER TABLE tallymark.job ALTER COLUMN status SET DEFAULT 'new'",
        "ALTER TABLE tallymark.job ALTER COLUMN workers SET NOT NULL",
        "COMMENT ON COLUMN tallymark.job.extra IS 'More.'",
        "COMMENT ON TABLE tallymark.sign_in IS 'Other.'",
        "ALTER TABLE tallymark.job ADD CONSTRAINT job_known CHECK (status <> '')",
        "CREATE INDEX job_extra_idx ON tallymark.job (extra)",
        "ALTER TABLE tallymark.job SET (fillfactor = 50)",
        "ALTER TYPE tallymark.batch_update ADD ATTRIBUTE extra text",
        "CREATE TABLE tallymark.extra (id text)",
        "COMMENT ON VIEW tallymark.jobs IS 'Other.'",
        "COMMENT ON COLUMN tallymark.jobs.message IS 'Other.'",
        "CREATE VIEW tallymark.more AS SELECT id FROM tallymark.job",
    ):
        db.execute(change.encode())
        text = WRITER["schema_text"](db)
        assert text not in seen, change
        seen.add(text)
