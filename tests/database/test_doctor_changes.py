"""The doctor finds each kind of change by hand, and nothing else, and its fix works."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from tallymark.schema.doctor import findings
from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres

Connection = psycopg.Connection[Any]

MERGE = "tallymark.merge_progress(text, jsonb)"

EDIT_STANDARD_BODY = """
CREATE OR REPLACE FUNCTION tallymark.is_terminal(job_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN false
"""

EDIT_VIEW = """
CREATE OR REPLACE VIEW tallymark.current_alerts AS
SELECT job_id, kind, opened_at, told_at, says, facts FROM tallymark.list_alerts(false)
"""

#: What somebody changes by hand; then the kind, the object and the beginning of the problem that the doctor gives.
CHANGES = {
    "comment": (f"COMMENT ON FUNCTION {MERGE} IS 'x'", "function", MERGE, "comment differs"),
    "no comment": (f"COMMENT ON FUNCTION {MERGE} IS NULL", "function", MERGE, "comment differs"),
    "grant dropped": (
        f"REVOKE EXECUTE ON FUNCTION {MERGE} FROM tallymark_writer",
        "function",
        MERGE,
        "grants: EXECUTE for tallymark_writer is missing",
    ),
    "grant added": (
        f"GRANT EXECUTE ON FUNCTION {MERGE} TO PUBLIC",
        "function",
        MERGE,
        "grants: EXECUTE for PUBLIC is in no file",
    ),
    "grant option": (
        f"GRANT EXECUTE ON FUNCTION {MERGE} TO tallymark_writer WITH GRANT OPTION",
        "function",
        MERGE,
        "grants: EXECUTE for tallymark_writer is missing, EXECUTE for tallymark_writer with grant option is in no file",
    ),
    "owner": (f"ALTER FUNCTION {MERGE} OWNER TO CURRENT_USER", "function", MERGE, "owner differs"),
    "search path": (f"ALTER FUNCTION {MERGE} SET search_path = public", "function", MERGE, "settings: "),
    "security": (f"ALTER FUNCTION {MERGE} SECURITY INVOKER", "function", MERGE, "security definer differs"),
    "volatility": (f"ALTER FUNCTION {MERGE} STABLE", "function", MERGE, "volatility differs"),
    "strict": (f"ALTER FUNCTION {MERGE} STRICT", "function", MERGE, "strict differs"),
    "cost": (f"ALTER FUNCTION {MERGE} COST 7", "function", MERGE, "cost differs"),
    "parallel": (f"ALTER FUNCTION {MERGE} PARALLEL RESTRICTED", "function", MERGE, "parallel differs"),
    "function dropped": (f"DROP FUNCTION {MERGE}", "function", MERGE, "is missing, it is in sql/functions/2_write/200"),
    "function added": (
        "CREATE FUNCTION tallymark.own(a int) RETURNS int LANGUAGE sql RETURN a",
        "function",
        "tallymark.own(integer)",
        "is in no file",
    ),
    "standard body": (
        EDIT_STANDARD_BODY,
        "function",
        "tallymark.is_terminal(text)",
        "body differs from sql/functions/0_validate/001_is_terminal.sql",
    ),
    "table grant": ("GRANT SELECT ON tallymark.job TO PUBLIC", "table", "tallymark.job", "grants: SELECT for PUBLIC"),
    "table owner": ("ALTER TABLE tallymark.job_event OWNER TO pg_monitor", "table", "tallymark.job_event", "owner "),
    "fillfactor": ("ALTER TABLE tallymark.job SET (fillfactor = 99)", "table", "tallymark.job", "options: fillfactor="),
    "table option": (
        "ALTER TABLE tallymark.job SET (autovacuum_enabled = off)",
        "table",
        "tallymark.job",
        "options: autovacuum_enabled=off is in no file",
    ),
    "table added": ("CREATE TABLE tallymark.mine (id int PRIMARY KEY)", "table", "tallymark.mine", "is in no file"),
    "default dropped": (
        "ALTER TABLE tallymark.job ALTER progress DROP DEFAULT",
        "column",
        "tallymark.job.progress",
        "default differs",
    ),
    "default added": (
        "ALTER TABLE tallymark.job ALTER started_at SET DEFAULT now()",
        "column",
        "tallymark.job.started_at",
        "default differs",
    ),
    "not null": (
        "ALTER TABLE tallymark.job ALTER status DROP NOT NULL",
        "column",
        "tallymark.job.status",
        "not null differs",
    ),
    "column grant": (
        "GRANT SELECT (progress) ON tallymark.job TO PUBLIC",
        "column",
        "tallymark.job.progress",
        "grants: SELECT for PUBLIC is in no file",
    ),
    "column added": ("ALTER TABLE tallymark.job ADD mine int", "column", "tallymark.job.mine", "is in no file"),
    "index dropped": (
        "DROP INDEX tallymark.job_facets_idx",
        "index",
        "tallymark.job_facets_idx",
        "is missing",
    ),
    "index invalid": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tallymark.job_facets_idx'::regclass",
        "index",
        "tallymark.job_facets_idx",
        "valid differs",
    ),
    "index added": ("CREATE INDEX mine ON tallymark.job (updated_at)", "index", "tallymark.mine", "is in no file"),
    "constraint dropped": (
        "ALTER TABLE tallymark.job_event DROP CONSTRAINT job_event_update_key",
        "constraint",
        "tallymark.job_event.job_event_update_key",
        "is missing",
    ),
    "constraint added": (
        "ALTER TABLE tallymark.job ADD CONSTRAINT mine CHECK (last_seq < 9) NOT VALID",
        "constraint",
        "tallymark.job.mine",
        "is in no file",
    ),
    "trigger added": (
        "CREATE TRIGGER t BEFORE UPDATE ON tallymark.job EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "trigger",
        "tallymark.job.t",
        "is in no file",
    ),
    "rule added": (
        "CREATE RULE mine AS ON DELETE TO tallymark.job DO INSTEAD NOTHING",
        "rule",
        "tallymark.job.mine",
        "is in no file",
    ),
    "sequence added": ("CREATE SEQUENCE tallymark.mine", "sequence", "tallymark.mine", "is in no file"),
    "view dropped": (
        "DROP VIEW tallymark.events",
        "view",
        "tallymark.events",
        "is missing, it is in sql/views/events.sql",
    ),
    "view comment": (
        "COMMENT ON VIEW tallymark.jobs IS 'x'",
        "view",
        "tallymark.jobs",
        "comment differs from sql/views/",
    ),
    "view option": (
        "ALTER VIEW tallymark.jobs SET (security_invoker = true)",
        "view",
        "tallymark.jobs",
        "options: security_invoker=true is in no file",
    ),
    "view grant": (
        "GRANT SELECT ON tallymark.jobs TO PUBLIC",
        "view",
        "tallymark.jobs",
        "grants: SELECT for PUBLIC is in",
    ),
    "view definition": (
        EDIT_VIEW,
        "view",
        "tallymark.current_alerts",
        "definition differs from sql/views/current_alerts.sql",
    ),
    "view column comment": (
        "COMMENT ON COLUMN tallymark.jobs.message IS NULL",
        "view column",
        "tallymark.jobs.message",
        "comment differs from sql/views/jobs.sql",
    ),
    "view column grant": (
        "GRANT SELECT (message) ON tallymark.jobs TO PUBLIC",
        "view column",
        "tallymark.jobs.message",
        "grants: SELECT for PUBLIC is in no file",
    ),
    "view added": ("CREATE VIEW tallymark.mine AS SELECT 1 AS one", "view", "tallymark.mine", "is in no file"),
    "domain added": ("CREATE DOMAIN tallymark.mine AS int CHECK (value > 0)", "domain", "tallymark.mine", "is in no"),
    "statistics added": (
        "CREATE STATISTICS tallymark.mine ON id, status FROM tallymark.job",
        "statistics object",
        "tallymark.mine",
        "is in no file",
    ),
    "schema grant": ("GRANT USAGE ON SCHEMA tallymark TO PUBLIC", "schema", "tallymark", "grants: USAGE for PUBLIC"),
    "schema comment": ("COMMENT ON SCHEMA tallymark IS 'x'", "schema", "tallymark", "comment differs"),
}


def mend(db: Connection, url: str, fix: str) -> None:
    """Apply a finding's fix."""
    statements, migrates, _ = fix.partition("tallymark migrate")
    for statement in statements.removesuffix(" then ").split(";"):
        if statement.strip():
            db.execute(statement.encode())
    if migrates:
        migrate(url)


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_found_alone_and_mended_by_the_advice(db: Connection, db_url: str, change: str) -> None:
    """One change gives one finding, and doing what its fix says leaves none."""
    statement, kind, name, problem = CHANGES[change]
    db.execute(statement.encode())
    (finding,) = findings(db_url)
    assert (finding.kind, finding.object) == (kind, name)
    assert finding.problem.startswith(problem)
    mend(db, db_url, finding.fix)
    assert findings(db_url) == []


def test_what_the_server_keeps_in_the_catalogue_is_not_found(db: Connection, db_url: str) -> None:
    """PostgreSQL 15.20 has a number of its own on each column. What somebody set there is found, and mended."""
    db.execute(
        "UPDATE pg_attribute SET attoptions = ARRAY['pg_attver=' || attnum] WHERE attnum > 0 AND attrelid IN"
        " (SELECT oid FROM pg_class WHERE relnamespace = 'tallymark'::regnamespace AND relkind = 'r')"
    )
    assert findings(db_url) == []
    db.execute("UPDATE pg_attribute SET attoptions = NULL WHERE attrelid = 'tallymark.job'::regclass")
    db.execute("ALTER TABLE tallymark.job ALTER id SET (n_distinct = 7)")
    (finding,) = findings(db_url)
    assert (finding.object, finding.found) == ("tallymark.job.id", "n_distinct=7")
    mend(db, db_url, finding.fix)
    assert findings(db_url) == []


@pytest.mark.slow
def test_roles_that_can_do_too_much_are_found(tmp_path: Path) -> None:
    """Roles belong to the whole server, so this one has a server of its own."""
    with EmbeddedPostgres(tmp_path / "data") as server:
        migrate(server.url)
        with psycopg.connect(server.url, autocommit=True) as db:
            db.execute("ALTER ROLE tallymark_reader LOGIN CREATEDB")
            db.execute("GRANT pg_read_all_data TO tallymark_writer")
            found = findings(server.url)
            assert [(finding.object, finding.found) for finding in found] == [
                ("tallymark_reader", "CREATEDB, LOGIN"),
                ("tallymark_writer", "pg_read_all_data"),
            ]
            for finding in found:
                mend(db, server.url, finding.fix)
            assert findings(server.url) == []
