"""The migration that brings the counts of the books, and its rollback, with a database in use."""

import json
from typing import Any

import psycopg
import pytest

from tallymark.schema.backend import MigrationError
from tallymark.schema.files import sql_root
from tallymark.schema.migrate import available, migrate, rollback

Connection = psycopg.Connection[Any]

_MIGRATION = "0022-books"
#: What the migration renames, and the new names.
_NAMES = {
    "foundByType": "earlierFoundByType",
    "failedByType": "earlierFailedByType",
    "skippedByType": "earlierSkippedByType",
    "totalsByType": "earlierTotalsByType",
}
_STORED = """
SELECT j.id, to_jsonb(j), (SELECT jsonb_agg(to_jsonb(e) ORDER BY e.seq) FROM tallymark.job_event AS e
  WHERE e.job_id = j.id), (SELECT to_jsonb(b) FROM tallymark.job_baseline AS b WHERE b.job_id = j.id)
FROM tallymark.job AS j ORDER BY j.id
"""
_DIFFERENCES = "SELECT j.id, d.field FROM tallymark.job AS j, tallymark.verify_differences(j.id) AS d"


def _as_before(db: Connection) -> None:
    """Put back what the migration renames: the state, the baseline with its digest, and the ledger."""
    for old, new in _NAMES.items():
        names = {"old": old, "new": new}
        for statement in (
            """UPDATE tallymark.job SET progress = replace(progress::text, %(new)s, %(old)s)::jsonb,
              clocks = replace(clocks::text, %(new)s, %(old)s)::jsonb,
              newest_fields = (SELECT array_agg(n ORDER BY octet_length(n), n COLLATE "C")
                FROM unnest(array_replace(newest_fields, %(new)s, %(old)s)) AS n) WHERE id <> 'counts'""",
            """UPDATE tallymark.job_event SET payload = replace(payload::text, %(new)s, %(old)s)::jsonb
              WHERE job_id <> 'counts'""",
            """UPDATE tallymark.job_baseline SET state = replace(state::text, %(new)s, %(old)s)::jsonb
              WHERE job_id <> 'counts'""",
        ):
            db.execute(statement, names)
    db.execute(
        "UPDATE tallymark.job_baseline"
        " SET digest = tallymark.baseline_digest(job_id, seq, updates, state, command_after)"
    )


def _report(db: Connection, job: str, updates: list[dict[str, Any]]) -> None:
    db.execute("SELECT tallymark.create_job(%s)", [job])
    for number, update in enumerate(updates):
        db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, json.dumps({"updateId": str(number), **update})])


def test_fields_of_these_names_are_kept_under_other_ones(db: Connection) -> None:
    """In states, clocks, baselines and ledgers, as if the crawler had called them so; no other job is touched.

    A job that has counted in these fields is no such job, also where the migration is run once more.
    """
    updates: list[dict[str, Any]] = [
        {"timestamp": "2025-01-06T10:00:00Z", "earlierFoundByType": {"pages": ["a", 5]}, "stage": "s"},
        {"timestamp": "2025-01-06T10:02:00Z", "message": "m", "aFieldOfEighteen__": 1, "earlierTotalsByType": 7},
        {"timestamp": "2025-01-06T10:01:00Z", "earlierFoundByType": "late", "earlierFailedByType": None},
        {"timestamp": "2025-01-06T10:03:00Z", "earlierSkippedByType": ["newest"], "aFieldOfEighteen__": 2},
    ]
    for job in ("kept", "late", "pruned"):
        _report(db, job, updates[: 3 if job == "late" else 4])
    _report(db, "without", [{"timestamp": "2025-01-06T10:00:00Z", "stage": "s"}])
    _report(
        db,
        "counts",
        [
            {"timestamp": "2025-01-06T10:00:00Z", "foundByType": {"pages": 5}, "totalsByType": {"pages": 7}},
            {"timestamp": "2025-01-06T10:01:00Z", "failedByType": {"pages": 1}},
        ],
    )
    db.execute("SELECT tallymark.prune_job(id, 'infinity', 1) FROM unnest('{pruned,counts}'::text[]) AS j (id)")
    before = db.execute(_STORED).fetchall()
    _as_before(db)
    assert db.execute(_STORED).fetchall() != before
    untouched = db.execute("SELECT j::text, xmin FROM tallymark.job AS j WHERE id = 'without'").fetchone()

    step = (sql_root() / "migrations" / f"{_MIGRATION}.sql").read_text(encoding="utf-8")
    for _ in range(2):  # it may be run again
        with db.transaction():
            db.execute(step.encode())
        assert db.execute(_DIFFERENCES).fetchall() == []
        assert db.execute(_STORED).fetchall() == before
    assert db.execute("SELECT j::text, xmin FROM tallymark.job AS j WHERE id = 'without'").fetchone() == untouched


def test_there_is_no_way_back_once_jobs_have_counted_by_these_fields(db: Connection, db_url: str) -> None:
    """The release before would fold another state; it is taken back once no job has any."""
    _report(db, "j", [{"status": "completed", "timestamp": "2025-01-06T10:00:00Z", "skippedByType": {"pages": 1}}])
    later = [name for name in available() if name > _MIGRATION]
    if later:
        assert rollback(db_url, steps=len(later)) == later[::-1]
    with pytest.raises(MigrationError, match="Jobs have counted what they found, failed or skipped"):
        rollback(db_url, steps=1)
    migrate(db_url)
    assert db.execute("SELECT tallymark.verify_job('j')").fetchone() == (True,)
    db.execute("SELECT tallymark.delete_job('j')")
    rollback(db_url, steps=len(later) + 1)
    found = "SELECT proname FROM pg_proc WHERE pronamespace = 'tallymark'::regnamespace AND proname = 'count_books'"
    assert db.execute(found).fetchall() == []
    migrate(db_url)


def test_the_rollback_may_be_run_again(db: Connection) -> None:
    """Yoyo takes back and marks in two transactions."""
    step = (sql_root() / "migrations" / f"{_MIGRATION}.rollback.sql").read_text(encoding="utf-8")
    for _ in range(2):
        with db.transaction():
            db.execute(step.encode())
