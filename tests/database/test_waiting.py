"""The rollback of the migration that brings waiting and signs of life, with a database in use."""

import json
import re
from typing import Any

import psycopg
import pytest

from tallymark.schema.backend import MigrationError
from tallymark.schema.migrate import available, migrate, rollback

Connection = psycopg.Connection[Any]

_MIGRATION = "0020-waiting-and-alive"
_REFUSAL = "Jobs have waited"


def test_there_is_no_way_back_once_jobs_have_waited(db: Connection, db_url: str) -> None:
    """The release before could not read their ledgers; not even where the waits were pruned, or the job has ended."""
    wait = {"updateId": "w", "status": "WAITING", "waitUntil": "2025-01-06T11:00:00Z", "reason": "rate limit"}
    for job in ("in the ledger", "pruned"):
        db.execute("SELECT tallymark.create_job(%s)", [job])
        for update in (wait | {"timestamp": "2025-01-06T10:00:00Z"}, {"updateId": "e", "status": "completed"}):
            db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, json.dumps(update)])
    db.execute("SELECT tallymark.prune_job('pruned', 'infinity', 1)")
    newest = [name for name in available() if name >= _MIGRATION][::-1]
    for job in ("in the ledger", "pruned"):
        with pytest.raises(MigrationError, match=_REFUSAL) as refused:
            rollback(db_url, steps=len(newest))
        # What the hint says finds the job.
        query = re.search(r"SELECT job_id.*'waits'", str(refused.value))
        assert query is not None
        assert (job,) in db.execute(query[0].encode()).fetchall()
        assert db.execute("SELECT tallymark.verify_job(%s)", [job]).fetchone() == (True,)
        db.execute("SELECT tallymark.delete_job(%s)", [job])
    assert rollback(db_url, steps=len(newest)) == newest
    column = "SELECT FROM pg_attribute WHERE attrelid = 'tallymark.job'::regclass AND attname = 'alive_at'"
    assert db.execute(column).fetchall() == []
    migrate(db_url)


def test_a_field_of_an_earlier_release_is_no_wait(db: Connection, db_url: str) -> None:
    """Whose name was the same; and a sign of life is forgotten, not refused."""
    db.execute("SELECT tallymark.create_job('j')")
    update = {"status": "processing", "waitUntil": "noon", "reason": "none", "timestamp": "2025-01-06T10:00:00Z"}
    db.execute("SELECT tallymark.merge_progress('j', %s)", [json.dumps(update)])
    db.execute("SELECT tallymark.note_alive('j')")
    rollback(db_url, steps=len([name for name in available() if name >= _MIGRATION]))
    migrate(db_url)
    assert db.execute("SELECT tallymark.verify_job('j'), alive_at FROM tallymark.job").fetchone() == (True, None)
