"""A row of the original's table is one more set of reports: whenever it comes, and whatever is wrong with it.

`Row` says what a row that is well formed stands for; the rest of the definition is the model's.
"""

from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from psycopg.types.json import Jsonb

from .delivery import updates_of
from .model import Json, Update, expected
from .strategies import COUNT, JOB, TEXT, TIMES, History, histories

Connection = psycopg.Connection[Any]

#: The status of a job, and that of the update that makes it so.
STATUSES = {
    "running": "processing",
    "finished": "completed",
    "failed": "failed",
    "paused": "paused",
    "cancelled": "cancelled",
    "credential_expired": "credential_expiry",
    "waiting_credential_renewal": "credential_renewal",
    "credential_renewed": "credential_resumed",
}
#: What the keys of the two updates are; any digest sorts alike, because no crawler's key here begins so.
FIRST, LAST = "=import-original", "=import-original/0"


@dataclass(frozen=True)
class Row:
    """A well-formed row of the original's table."""

    status: str
    progress: Json
    resume: Any
    started: str
    updated: str

    @property
    def columns(self) -> Json:
        """The row as the original has it."""
        ended = self.updated if self.status in {"finished", "failed", "cancelled"} else None
        times = {"started_at": self.started, "finished_at": ended, "updated_at": self.updated}
        return {"id": JOB, "status": self.status, "progress": self.progress, "resume_state": self.resume, **times}

    @property
    def updates(self) -> list[Update]:
        """What it stands for: the counts as of the beginning, as running totals, and all else as of the last update."""
        began = min(self.started, self.updated)
        counts: Json = {name: self.progress[name] for name in ("processedItems", "groupCount") if name in self.progress}
        if items := self.progress.get("itemsByType"):
            counts |= {"itemsByType": items, "counting": "cumulative"}
        rest = {
            name: value
            for name, value in self.progress.items()
            if name not in {"processedItems", "groupCount", "itemsByType", "timeline"}
        }
        last = {"status": STATUSES[self.status], "progress": self.resume, **rest}
        return [Update(began, FIRST, {"status": "started", **counts}), Update(self.updated, LAST, last)]


PROGRESS = st.fixed_dictionaries(
    {},
    optional={
        "processedItems": COUNT,
        "totalItems": st.integers(0, 60),
        "itemsByType": st.dictionaries(st.sampled_from(["issues", "groups", "projects"]), COUNT, max_size=3),
        "groupCount": COUNT,
        "stage": st.sampled_from(["s1", "s2"]),
        "currentDataType": TEXT,
        "operationType": st.sampled_from(["discovery", "data_collection"]),
        "lastProcessedId": TEXT,
        "error": st.sampled_from(["boom", {"type": "E", "message": "m"}]),
        "custom": st.sampled_from([1, {"deep": [None]}, [None], "x", False]),
        "timeline": st.lists(
            st.fixed_dictionaries(
                {"timestamp": st.sampled_from(TIMES), "event": TEXT.filter(bool), "details": st.just({})}
            ),
            max_size=3,
        ),
    },
)
ROWS = st.builds(
    Row,
    st.sampled_from(sorted(STATUSES)),
    PROGRESS,
    st.sampled_from([None, {"page": 1}, [1], "token"]),
    st.sampled_from(TIMES),
    st.sampled_from(TIMES),
)

#: Any JSON, with the names that mean something and values that are nearly right.
ODD_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["150", " 7 ", "-1", "1e3", "2025-01-06T10:00:00Z", "2025-13-45", "infinity", "yesterday", "{}", "[1"]
    )
    | st.sampled_from([10**400, 1736157600000, 2**53, 10**19])
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(["x" * 101, "y" * 256, "z" * 1001]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abé", max_size=3), inner, max_size=4),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        *("processedItems", "totalItems", "itemsByType", "timeline", "stage", "currentDataType", "operationType"),
        *("lastProcessedId", "message", "error", "progress", "areas", "credentialStatus", "processed", "total"),
        *("groupCount", "projectCount", "groupTotal", "taskId", "status", "timestamp", "updateId", "workerId"),
        *("counting", "errorTimestamp", "lastAreasDiscovery", "custom", "", "é"),
    ]
)
ODD_ENTRIES = st.lists(
    st.dictionaries(st.sampled_from(["timestamp", "event", "details", "more"]), ODD_VALUES, max_size=4) | ODD_VALUES,
    max_size=4,
)
ODD_COUNTS = st.dictionaries(st.sampled_from(["issues", "groups", "", "n" * 101, "é"]), ODD_VALUES, max_size=4)
ODD_PROGRESS = (
    st.dictionaries(NAMES, ODD_VALUES, max_size=6)
    | st.fixed_dictionaries({"timeline": ODD_ENTRIES, "itemsByType": ODD_COUNTS})
    | ODD_VALUES
)
ODD_ROWS = st.fixed_dictionaries(
    {"id": st.sampled_from([JOB, "", 7, None, "x" * 256]) | ODD_VALUES},
    optional={
        "status": st.sampled_from([*STATUSES, "queued", "Running ", "started", "new_areas_discovered"]) | ODD_VALUES,
        "progress": ODD_PROGRESS,
        "resume_state": ODD_VALUES,
        "resumeState": ODD_VALUES,
        "started_at": ODD_VALUES | st.sampled_from(TIMES),
        "finishedAt": ODD_VALUES | st.sampled_from(TIMES),
        "updated_at": ODD_VALUES | st.sampled_from(TIMES),
        "else": ODD_VALUES,
    },
)


def take(db: Connection, row: Json) -> Json:
    """Take over a row."""
    told = db.execute("SELECT tallymark.import_original_row(%s)", [Jsonb(row)]).fetchone()
    assert told
    done: Json = told[0]
    return done


def state_of(db: Connection, job: str) -> Json:
    """Return the state of a job, which must be the fold of its ledger."""
    row = db.execute(
        """SELECT status, progress, resume_state, tallymark.iso_timestamp(started_at),
             tallymark.iso_timestamp(finished_at), (SELECT coalesce(jsonb_object_agg(a.full_path, jsonb_build_object(
               'details', a.details, 'discovered_at', tallymark.iso_timestamp(a.discovered_at))), '{}')
             FROM tallymark.job_area AS a WHERE a.job_id = j.id),
             -- When the last update was recorded is not known once that was pruned.
             tallymark.get_job(j.id) - '{createdAt,attributes,updatedAt}'::text[]
               = tallymark.job_at(j.id, j.last_seq) - 'updatedAt',
             ARRAY(SELECT to_jsonb(d) FROM tallymark.verify_differences(j.id) AS d)
           FROM tallymark.job AS j WHERE j.id = %s""",
        [job],
    ).fetchone()
    assert row
    assert row[-1] == [], "the state is the fold of the ledger"
    assert row[-2] is True, "and so is the job as of its last event"
    names = ("status", "progress", "resume_state", "started_at", "finished_at", "areas")
    return dict(zip(names, row[:-2], strict=True))


def check_row(db: Connection, row: Row, history: History, place: int, keep: int | None) -> None:
    """Take a row over between two reports, and once more at the end; the state must be what all of them come to."""
    updates = history.updates
    order = [index for call in history.one_way for index in call.indexes]
    with db.transaction(force_rollback=True):
        db.execute("SELECT tallymark.create_job(%s)", [JOB])
        for number, index in enumerate(order):
            if number == place % len(order):
                assert take(db, row.columns)["outcome"] == "imported"
                if keep is not None:
                    db.execute("SELECT tallymark.prune_job(%s, 'infinity', %s)", [JOB, keep])
            db.execute("SELECT tallymark.merge_progress(%s, %s)", [JOB, Jsonb(updates[index])])
        before = state_of(db, JOB)
        again = take(db, row.columns)
        assert (again["outcome"], again["problems"]) == ("unchanged", [])
        assert state_of(db, JOB) == before
        model = expected([*row.updates, *updates_of(db, updates)])
        assert before == model


@given(row=ROWS, history=histories(), place=st.integers(0, 9), keep=st.none() | st.integers(0, 3))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_row_counts_once_whenever_it_comes(
    db: Connection, row: Row, history: History, place: int, keep: int | None
) -> None:
    """Before, between and after reports, with pruning in between: the state is that of the set of all of them."""
    check_row(db, row, history, place, keep)


def check_odd_row(db: Connection, row: Json) -> None:
    """Take over a row that may be anything; it must verify, and be known when it comes again."""
    with db.transaction(force_rollback=True):
        try:
            with db.transaction():
                first = take(db, row)
        except psycopg.Error as error:
            refusal = error.sqlstate, '"field": "id"' in (error.diag.message_detail or "")
            if refusal != ("TK400", True):
                raise
            return
        assert first["outcome"] in {"imported", "registered"}
        before = state_of(db, first["id"])
        assert take(db, row)["outcome"] in {"unchanged", "registered"}
        assert state_of(db, first["id"]) == before


@given(row=ODD_ROWS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_row_is_too_odd(db: Connection, row: Json) -> None:
    """Whatever a row holds, all but one without a usable id is taken over, verifies, and changes nothing again."""
    check_odd_row(db, row)


@pytest.mark.deep
@pytest.mark.timeout(3000)
@given(row=ODD_ROWS)
@settings(max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_of_thousands_of_rows_none_is_too_odd(db: Connection, row: Json) -> None:
    """The same promise over 10,000 rows."""
    check_odd_row(db, row)


@pytest.mark.deep
@pytest.mark.timeout(3000)
@given(row=ROWS, history=histories(), place=st.integers(0, 9), keep=st.none() | st.integers(0, 3))
@settings(max_examples=3_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_thousands_of_rows_count_once_each(
    db: Connection, row: Row, history: History, place: int, keep: int | None
) -> None:
    """The same promise as above over 3,000 histories."""
    check_row(db, row, history, place, keep)
