"""Jobs of an earlier release may have more names in their states than this one keeps: the migration takes them away."""

import json
from typing import Any

import psycopg

from tallymark.schema.files import sql_root

Connection = psycopg.Connection[Any]


def test_states_with_too_many_names_are_those_of_this_release_afterwards(db: Connection) -> None:
    """Of jobs, and of the baselines of pruned ones; no other job is touched."""
    limit = (
        "CREATE OR REPLACE FUNCTION tallymark.most_names() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN"
    )
    db.execute(f"{limit} 100000")
    for job in ("plain", "pruned", "small"):
        db.execute("SELECT tallymark.create_job(%s)", [job])
    for number in range(6):
        names = range(number * 250, number * 250 + 250)
        update = {"itemsByType": {f"type {name:05}": 2 for name in names[:200]}, "updateId": str(number)}
        own = {f"field {name:05}": name for name in names}
        totals = {"counting": "cumulative", "workerId": f"w{number % 2}", "updateId": f"totals {number}"}
        for job in ("plain", "pruned"):
            db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, json.dumps(update | own)])
            db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, json.dumps(update | totals)])
    db.execute('SELECT tallymark.merge_progress(\'small\', \'{"itemsByType": {"issues": 3}, "own": 1}\')')
    db.execute("SELECT tallymark.prune_job('pruned', 'infinity', 2, 100)")
    db.execute(f"{limit} 1000")
    verify = "SELECT id FROM tallymark.job AS j WHERE NOT tallymark.verify_job(id) ORDER BY id"
    assert db.execute(verify).fetchall() == [("plain",), ("pruned",)], "as an earlier release has left them"
    small = db.execute("SELECT j::text, xmin FROM tallymark.job AS j WHERE id = 'small'").fetchone()

    step = (sql_root() / "migrations" / "0017-counts-and-names.sql").read_text(encoding="utf-8")
    for _ in range(2):  # it may be run again
        with db.transaction():
            db.execute(step.encode())
        found = "SELECT j.id, d.field FROM tallymark.job AS j, tallymark.verify_differences(j.id) AS d"
        assert db.execute(found).fetchall() == []
    counted = (
        "SELECT DISTINCT (SELECT count(*) FROM jsonb_object_keys(progress -> 'itemsByType')),"
        " tallymark.processed_items(progress) FROM tallymark.job WHERE id <> 'small'"
    )
    # 1,200 types with increments of 2, and running totals of 2 for those 1,000 that stayed.
    assert db.execute(counted).fetchall() == [(1001, 1200 * 2 + 1000 * 2)]
    assert db.execute("SELECT j::text, xmin FROM tallymark.job AS j WHERE id = 'small'").fetchone() == small
    for job in ("plain", "pruned", "small"):
        db.execute('SELECT tallymark.merge_progress(%s, \'{"itemsByType": {"type 00700x": 1, "b": 1}}\')', [job])
    assert db.execute(verify).fetchall() == [], "and the next update finds what it needs"
