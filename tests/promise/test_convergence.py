"""Whatever order, however often: one and the same state, and the state is the fold of the ledger."""

import hashlib
import itertools
import json
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from .model import Json, Update, expected

Connection = psycopg.Connection[Any]

# Few values, so that clocks tie, types meet, workers repeat and keys sort either way.
TIMES = [f"2025-01-06T19:15:{second:02}.{milli:03}Z" for second in (1, 2, 3) for milli in (0, 500)]
COUNT = st.integers(0, 50)
TEXT = st.sampled_from(["a", "b", "", "é", "null", "x: null"])
RARE_COUNT = st.sampled_from([0, 1, 2**53 - 1, 10**6])

OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "processedItems": COUNT | RARE_COUNT,
    "totalItems": st.just(2**53 - 1) | st.none(),
    "itemsByType": st.dictionaries(st.sampled_from(["issues", "groups", "projects"]), COUNT | RARE_COUNT, min_size=1),
    "currentDataType": TEXT,
    "stage": st.sampled_from(["s1", "s2"]) | st.none(),
    "operationType": st.sampled_from(["discovery", "data_collection"]),
    "lastProcessedId": TEXT,
    "message": TEXT | st.just("long " * 220),
    "error": st.sampled_from(["boom", {"type": "E", "message": "m"}]),
    "progress": st.sampled_from([{"page": 1}, {"page": 2, "null": None}, [1], "token", 7, False]),
    "custom": st.sampled_from([1, {"deep": [None]}, [None], "x", False]),
    "workerId": st.sampled_from(["w1", "w2"]),
    "counting": st.sampled_from(["increment", "cumulative"]),
    "groupCount": COUNT,
    "projectCount": COUNT,
    "processed": COUNT,
    "total": st.just(2**53 - 1),
    "groupTotal": COUNT,
}


@st.composite
def payloads(draw: st.DrawFn) -> Json:
    """An update as a crawler might send it, without its updateId."""
    given_names = draw(st.lists(st.sampled_from(sorted(OPTIONAL)), unique=True, max_size=7))
    payload: Json = {
        "status": draw(
            st.sampled_from(["started", "processing", "PROCESSING", "completed", "failed", "paused", "cancelled"])
        ),
        "timestamp": draw(st.sampled_from(TIMES)),
    }
    for name in given_names:
        payload[name] = draw(OPTIONAL[name])
    if len(payload.get("message") or "") > 1000:
        payload["message"] = payload["message"][:1000]
    return payload


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Json], list[int], list[int]]:
    """Updates, and two deliveries of them: each a list of indexes that names every update at least once."""
    updates = draw(st.lists(payloads(), min_size=1, max_size=7))
    for number, update in enumerate(updates):
        if draw(st.booleans()):
            update["updateId"] = f"{draw(st.sampled_from('ab'))}{number}"
    indexes = list(range(len(updates)))
    deliveries = [draw(st.permutations(indexes + draw(st.lists(st.sampled_from(indexes), max_size=4)))) for _ in "12"]
    return updates, deliveries[0], deliveries[1]


job_numbers = itertools.count()


def key_of(db: Connection, payload: Json) -> str:
    """Give the key of an update by its definition: its updateId, or 128 bits of SHA-256 of the canonical text."""
    if payload.get("updateId"):
        return f"={payload['updateId']}"
    canonical = db.execute("SELECT %s::jsonb::text", [json.dumps(payload)]).fetchone()
    assert canonical
    return f"#{hashlib.sha256(canonical[0].encode()).digest()[:16].hex()}"


def deliver(db: Connection, updates: list[Json], order: list[int]) -> Json:
    """Deliver updates to a job of its own through the real function, and give the job's row."""
    job = f"job {next(job_numbers)}"
    db.execute("SELECT tallymark.create_job(%s)", [job])
    seen: dict[str, int] = {}
    for index in order:
        row = db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, Jsonb(updates[index])]).fetchone()
        assert row
        key = key_of(db, updates[index])
        assert row[0]["duplicate"] is (key in seen), "an update counts once, and says so"
        assert row[0]["seq"] == seen.setdefault(key, len(seen) + 1), "a duplicate has the number of the first time"
    row = db.execute(
        """SELECT to_jsonb(j) - '{id,created_at,updated_at}'::text[],
             tallymark.iso_timestamp(j.started_at), tallymark.iso_timestamp(j.finished_at), tallymark.verify_job(j.id)
           FROM tallymark.job AS j WHERE j.id = %s""",
        [job],
    ).fetchone()
    assert row
    state, started_at, finished_at, verified = row
    assert verified, "the state is the fold of the ledger"
    assert state["last_seq"] == len(seen), "the numbers have no gap"
    return dict(state) | {"started_at": started_at, "finished_at": finished_at}


def check(db: Connection, history: tuple[list[Json], list[int], list[int]]) -> None:
    """Hold two deliveries of a history against each other, and against the definition."""
    updates, one_order, other_order = history
    with db.transaction(force_rollback=True):
        one = deliver(db, updates, one_order)
        other = deliver(db, updates, other_order)
        model = expected(Update(u["timestamp"], key_of(db, u), u) for u in updates)
    assert one == other, "the order and the repeats make no difference"
    assert {name: one[name] for name in model} == model, "and the state is what the definition says"


@given(history=histories())
@example(
    # On a tie of times a terminal status wins, and the fields still go to the larger key.
    history=(
        [
            {"status": "completed", "timestamp": TIMES[0], "updateId": "a0", "stage": "s1"},
            {"status": "processing", "timestamp": TIMES[0], "updateId": "b1", "stage": "s2", "progress": {"page": 1}},
        ],
        [0, 1],
        [1, 0, 1],
    )
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_and_any_repeats_give_one_state(
    db: Connection, history: tuple[list[Json], list[int], list[int]]
) -> None:
    """Two deliveries of the same updates end in the same state, which the definition and the ledger give too."""
    check(db, history)


@pytest.mark.deep
@pytest.mark.timeout(3000)
@given(history=histories())
@settings(max_examples=6000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_thousands_of_histories_give_one_state_each(
    db: Connection, history: tuple[list[Json], list[int], list[int]]
) -> None:
    """The same promise over 6,000 histories."""
    check(db, history)


def test_every_order_of_a_restart_gives_one_state(db: Connection) -> None:
    """All 120 orders of a life with a failure, a restart and a late report."""
    updates: list[Json] = [
        {"status": "started", "timestamp": TIMES[0], "stage": "s1", "totalItems": 10},
        {"status": "failed", "timestamp": TIMES[2], "error": "boom", "processedItems": 4, "progress": {"page": 4}},
        {"status": "processing", "timestamp": TIMES[1], "itemsByType": {"issues": 4}, "stage": "s2"},
        {"status": "started", "timestamp": TIMES[3], "itemsByType": {"issues": 0}},
        {"status": "completed", "timestamp": TIMES[5], "processedItems": 10, "itemsByType": {"issues": 6}},
    ]
    with db.transaction(force_rollback=True):
        states = [deliver(db, updates, list(order)) for order in itertools.permutations(range(5))]
    assert all(state == states[0] for state in states)
    assert states[0]["status"] == "finished"
    assert states[0]["progress"]["itemsByType"] == {"issues": 10}
    assert states[0]["resume_state"] is None
