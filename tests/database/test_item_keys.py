"""The migration that brings keys of items, and its rollback, with a database in use."""

import json
from typing import Any

import psycopg
import pytest

from tallymark.schema.backend import MigrationError
from tallymark.schema.files import sql_root
from tallymark.schema.migrate import available, migrate, rollback

Connection = psycopg.Connection[Any]

_MIGRATION = "0019-item-keys"
#: Each puts back what the migration renames: the state, the baseline with its digest, and the ledger.
_AS_BEFORE = """
UPDATE tallymark.job SET progress = replace(progress::text, 'earlierItemKeys', 'itemKeys')::jsonb,
  clocks = replace(clocks::text, 'earlierItemKeys', 'itemKeys')::jsonb,
  newest_fields = (SELECT array_agg(n ORDER BY octet_length(n), n COLLATE "C")
    FROM unnest(array_replace(newest_fields, 'earlierItemKeys', 'itemKeys')) AS n);
UPDATE tallymark.job_event SET payload = replace(payload::text, 'earlierItemKeys', 'itemKeys')::jsonb;
UPDATE tallymark.job_baseline SET state = replace(state::text, 'earlierItemKeys', 'itemKeys')::jsonb;
UPDATE tallymark.job_baseline SET digest = tallymark.baseline_digest(job_id, seq, updates, state, command_after);
"""
_STORED = """
SELECT j.id, to_jsonb(j), (SELECT jsonb_agg(to_jsonb(e) ORDER BY e.seq) FROM tallymark.job_event AS e
  WHERE e.job_id = j.id), (SELECT to_jsonb(b) FROM tallymark.job_baseline AS b WHERE b.job_id = j.id)
FROM tallymark.job AS j ORDER BY j.id
"""


def test_a_field_of_that_name_is_kept_under_another_one(db: Connection) -> None:
    """In states, clocks, baselines and ledgers, as if the crawler had called it so; no other job is touched."""
    updates: list[dict[str, Any]] = [
        {"timestamp": "2025-01-06T10:00:00Z", "earlierItemKeys": {"pages": ["a", 5]}, "stage": "s"},
        {"timestamp": "2025-01-06T10:02:00Z", "message": "m", "aFieldOfSixteen_": 1},
        {"timestamp": "2025-01-06T10:01:00Z", "earlierItemKeys": "late"},
        {"timestamp": "2025-01-06T10:03:00Z", "earlierItemKeys": ["newest"], "shorter": 1, "aFieldOfSixteen_": 2},
    ]
    for job in ("kept", "late", "pruned", "without"):
        db.execute("SELECT tallymark.create_job(%s)", [job])
        for number, update in enumerate(updates[: 3 if job == "late" else 4]):
            sent = {name: value for name, value in update.items() if job != "without" or name != "earlierItemKeys"}
            db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, json.dumps({"updateId": str(number), **sent})])
    db.execute("SELECT tallymark.prune_job('pruned', 'infinity', 1)")
    before = db.execute(_STORED).fetchall()
    db.execute(_AS_BEFORE.encode())
    assert db.execute(_STORED).fetchall() != before
    untouched = db.execute("SELECT j::text, xmin FROM tallymark.job AS j WHERE id = 'without'").fetchone()

    step = (sql_root() / "migrations" / f"{_MIGRATION}.sql").read_text(encoding="utf-8")
    for _ in range(2):  # it may be run again
        with db.transaction():
            db.execute(step.encode())
        found = "SELECT j.id, d.field FROM tallymark.job AS j, tallymark.verify_differences(j.id) AS d"
        assert db.execute(found).fetchall() == []
        assert db.execute(_STORED).fetchall() == before
    assert db.execute("SELECT j::text, xmin FROM tallymark.job AS j WHERE id = 'without'").fetchone() == untouched


def test_there_is_no_way_back_once_items_were_counted_by_their_keys(db: Connection, db_url: str) -> None:
    """The release before could not count on without them; it is taken back once no job has any."""
    db.execute("SELECT tallymark.create_job('j')")
    db.execute('SELECT tallymark.merge_progress(\'j\', \'{"status": "completed", "itemKeys": {"pages": ["a"]}}\')')
    later = [name for name in available() if name > _MIGRATION]
    assert rollback(db_url, steps=len(later)) == later[::-1]
    with pytest.raises(MigrationError, match="Items were counted by their keys"):
        rollback(db_url, steps=1)
    migrate(db_url)
    assert db.execute("SELECT tallymark.verify_job('j')").fetchone() == (True,)
    db.execute("SELECT tallymark.delete_job('j')")
    rollback(db_url, steps=len(later) + 1)
    assert db.execute("SELECT to_regclass('tallymark.job_item')").fetchone() == (None,)


def test_the_release_before_reads_what_completed_cleared_as_a_field(db: Connection, db_url: str) -> None:
    """Its fold finds a field that is null, so the state has one, too, also in baselines; the next upgrade clears it."""
    for job in ("cleared", "pruned", "goes_on"):
        db.execute("SELECT tallymark.create_job(%s)", [job])
        for number, status in enumerate(("processing", "completed", "started")[: 3 if job == "goes_on" else 2]):
            update = {"updateId": str(number), "timestamp": f"2025-01-06T10:00:0{number}Z", "status": status}
            beyond = {"doneBeyond": [str(number)]} if status != "completed" else {}
            db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, json.dumps({**update, **beyond})])
    db.execute("SELECT tallymark.prune_job('pruned', 'infinity', 0)")
    before = db.execute(_STORED).fetchall()
    rollback(db_url, steps=len([name for name in available() if name > _MIGRATION]))
    places = (
        "SELECT j.id, j.progress -> 'doneBeyond' FROM tallymark.job AS j WHERE j.progress ? 'doneBeyond' ORDER BY 1"
    )
    found = db.execute(places.encode()).fetchall()
    assert [(job, json.dumps(value)) for job, value in found] == [
        ("cleared", "null"),
        ("goes_on", '["2"]'),
        ("pruned", "null"),
    ]
    sound = """SELECT b.state -> 'progress', b.digest = tallymark.baseline_digest(
        b.job_id, b.seq, b.updates, b.state, b.command_after) FROM tallymark.job_baseline AS b"""
    assert db.execute(sound).fetchall() == [({"doneBeyond": None}, True)]
    migrate(db_url)
    assert db.execute(_STORED).fetchall() == before
    assert db.execute("SELECT bool_and(tallymark.verify_job(id)) FROM tallymark.job").fetchone() == (True,)


def test_the_rollback_may_be_run_again(db: Connection) -> None:
    """Yoyo takes back and marks in two transactions."""
    for name in (available()[-1], _MIGRATION):
        step = (sql_root() / "migrations" / f"{name}.rollback.sql").read_text(encoding="utf-8")
        for _ in range(2):
            with db.transaction():
                db.execute(step.encode())
