"""The columns of a job's state are listed once; everything that stores, folds or compares a state uses all of them.

A new column of `tallymark.job` makes the first test fail until it is in `tallymark.state_columns` or here. A new column
in `tallymark.state_columns` makes the others fail until the jobs below have a value for it, and it is folded, stored by
both ways of merging, kept in a baseline and compared by verification.
"""

import re
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

Connection = psycopg.Connection[Any]

#: The columns that no update or command changes, and those that say where and when the job is in its ledger.
NO_STATE = {
    "id": "the key",
    "attributes": "the registrar's",
    "parent": "the registrar's",
    "series": "the registrar's",
    "alive_at": "a sign of life is no update and is not in the ledger",
    "created_at": "when it was registered",
    "updated_at": "when the last update was recorded",
    "last_seq": "how far the ledger goes; it is verified beside the state",
    "pruned_seq": "where the ledger begins; it is verified beside the state",
}
#: Other columns that the writers set.
SET_BESIDE = {"last_seq", "updated_at"}

#: Two jobs. In each column of the state, at least one of them differs from a job without reports.
UPDATES: list[dict[str, Any]] = [
    {"status": "started", "timestamp": "2025-01-06T10:00:00Z", "stage": "s1", "workerId": "w", "processedItems": 4},
    {
        "status": "processing",
        "timestamp": "2025-01-06T10:05:00Z",
        "itemsByType": {"issues": 5},
        "progress": {"page": 1},
    },
    {"status": "processing", "timestamp": "2025-01-06T10:01:00Z", "message": "late"},
]
FAILED: dict[str, Any] = {"status": "failed", "timestamp": "2025-01-06T10:10:00Z", "error": "boom"}


def state_columns(db: Connection) -> list[str]:
    """Return the list of state columns."""
    row = db.execute("SELECT tallymark.state_columns()").fetchone()
    assert row
    return list(row[0])


def types(db: Connection) -> dict[str, str]:
    """Return the type of each column of a job."""
    rows = db.execute(
        """SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
           WHERE attrelid = 'tallymark.job'::regclass AND attnum > 0 AND NOT attisdropped"""
    )
    return dict(rows.fetchall())


def one_by_one(db: Connection, job: str, updates: list[dict[str, Any]]) -> None:
    """Merge updates, each in a transaction of its own."""
    for update in updates:
        db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, Jsonb(update)])


def as_a_batch(db: Connection, job: str, updates: list[dict[str, Any]]) -> None:
    """Merge updates in one call."""
    batch = [{"taskId": job, **update} for update in updates]
    db.execute("SELECT tallymark.merge_progress_batch(%s)", [Jsonb(batch)])


def states(db: Connection, query: str) -> dict[str, dict[str, Any]]:
    """Return the state of each job that a query has as a row, by its id."""
    rows = db.execute(
        f"""SELECT r.id, jsonb_object_agg(s, to_jsonb(r) -> s)
            FROM ({query}) AS r, unnest(tallymark.state_columns()) AS s GROUP BY r.id""".encode()
    )
    return dict(rows.fetchall())


@pytest.fixture(params=[one_by_one, as_a_batch])
def stored(db: Connection, request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    """The states of the jobs, as each of the two ways of merging stores them."""
    for job in ("untouched", "asked", "failed"):
        db.execute("SELECT tallymark.create_job(%s)", [job])
    merge = request.param
    merge(db, "asked", UPDATES)
    db.execute("SELECT tallymark.request_command('asked', 'pause')")
    merge(db, "failed", [*UPDATES, FAILED])
    return states(db, "SELECT * FROM tallymark.job")


FOLDED = "SELECT f.* FROM tallymark.job AS j, tallymark.fold_ledger(j.id) AS f"


def test_every_column_of_a_job_is_state_or_is_none(db: Connection) -> None:
    """Every column is in exactly one of the two lists."""
    assert sorted(types(db)) == sorted([*state_columns(db), *NO_STATE])


def test_the_jobs_of_these_tests_have_every_column(db: Connection, stored: dict[str, dict[str, Any]]) -> None:
    """Otherwise the tests below would prove nothing for a column."""
    untouched = stored["untouched"]
    for column in state_columns(db):
        assert any(state[column] != untouched[column] for state in stored.values()), column


def test_what_is_stored_is_what_the_ledger_folds_to(db: Connection, stored: dict[str, dict[str, Any]]) -> None:
    """In every column, by either way of merging. The job as of its last event equals the job."""
    assert states(db, FOLDED) == stored
    for job in stored:
        row = db.execute(
            """SELECT tallymark.get_job(id) - '{createdAt,attributes}'::text[], tallymark.job_at(id, last_seq)
               FROM tallymark.job WHERE id = %s""",
            [job],
        ).fetchone()
        assert row
        assert row[0] == row[1]


def test_a_baseline_keeps_the_state(db: Connection, stored: dict[str, dict[str, Any]]) -> None:
    """All of it, and a fold that starts there still equals the stored state."""
    for job in ("asked", "failed"):
        db.execute("SELECT tallymark.prune_job(%s, 'infinity', 0)", [job])
    kept = dict(db.execute("SELECT job_id, state FROM tallymark.job_baseline").fetchall())
    assert kept == {job: stored[job] for job in ("asked", "failed")}
    assert states(db, FOLDED) == stored == states(db, "SELECT * FROM tallymark.job")


#: A value for each type that no column of the jobs has.
OTHER = {
    "text": "changed",
    "text[]": "{changed}",
    "jsonb": '{"changed": 1}',
    "bigint": "99",
    "timestamp with time zone": "2001-01-01Z",
}


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("job", ["asked", "failed"])
@pytest.mark.parametrize("pruned", [False, True])
def test_a_change_to_any_column_of_the_state_is_found(db: Connection, job: str, *, pruned: bool) -> None:
    """Verification compares every column, even after pruning, and the columns that locate the ledger."""
    if pruned:
        db.execute("SELECT tallymark.prune_job(%s, 'infinity', 0)", [job])
    kinds = types(db)
    for column in [*state_columns(db), "last_seq", "pruned_seq"]:
        with db.transaction(force_rollback=True):
            db.execute(f"UPDATE tallymark.job SET {column} = '{OTHER[kinds[column]]}' WHERE id = '{job}'".encode())
            found = {field for (field,) in db.execute("SELECT field FROM tallymark.verify_differences(%s)", [job])}
            assert ("changed" if column == "progress" else column) in found
    assert db.execute("SELECT FROM tallymark.verify_differences(%s)", [job]).fetchall() == []


@pytest.mark.parametrize("writer", ["merge_progress", "merge_batch"])
def test_both_ways_of_merging_set_the_same_columns(db: Connection, writer: str) -> None:
    """The columns of the state, and two others."""
    row = db.execute(
        "SELECT prosrc FROM pg_proc WHERE proname = %s AND pronamespace = 'tallymark'::regnamespace", [writer]
    ).fetchone()
    assert row
    updates = re.findall(r"UPDATE tallymark\.job AS j SET(.*?)\bWHERE j\.id", row[0], flags=re.DOTALL)
    assert updates
    for assignments in updates:
        assert set(re.findall(r"(\w+) = ", assignments)) == {*state_columns(db), *SET_BESIDE}
