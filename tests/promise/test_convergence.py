"""Any order, any repeats: the same state, which is the fold of the ledger."""

import hashlib
import itertools
import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from psycopg.types.json import Jsonb

from .model import Json, Update, expected

Connection = psycopg.Connection[Any]
Delivery = list[list[int]]
History = tuple[list[Json], Delivery, Delivery]

# Few values, so that times tie, types and workers repeat, and keys sort either way.
TIMES = [f"2025-01-06T19:15:{second:02}.{milli:03}Z" for second in (1, 2, 3) for milli in (0, 500)]
COUNT = st.integers(0, 50)
TEXT = st.sampled_from(["a", "b", "", "é", "null", "x: null"])
RARE_COUNT = st.sampled_from([0, 1, 2**53 - 1, 10**6])

AREA = st.fixed_dictionaries(
    {"fullPath": st.sampled_from(["g", "g/p", "é"]), "type": st.sampled_from(["group", "project", "Group", "topic"])},
    optional={
        "name": st.sampled_from(["N", "M"]) | st.none(),
        "gitlabId": st.integers(1, 2),
        "externalId": st.sampled_from(["x", 7]),
        "description": TEXT,
    },
)
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
    "areas": st.lists(AREA, max_size=3),
    "credentialStatus": st.sampled_from([{"providerId": "gl"}, {"severity": "high", "adminGuidance": ["call"]}]),
}
STATUSES = [
    *("started", "processing", "PROCESSING", "completed", "failed", "paused", "cancelled"),
    *("new_areas_discovered", "credential_expiry", "Credential_Renewal", "credential_resumed"),
]
#: All deliveries are to this job, because a job's name is part of its updates, and of the digests that are their keys.
JOB = "job"


@st.composite
def payloads(draw: st.DrawFn) -> Json:
    """An update as a crawler might send it, without its updateId."""
    given_names = draw(st.lists(st.sampled_from(sorted(OPTIONAL)), unique=True, max_size=7))
    payload: Json = {
        "taskId": JOB,
        "status": draw(st.sampled_from(STATUSES)),
        "timestamp": draw(st.sampled_from(TIMES)),
    }
    for name in given_names:
        payload[name] = draw(OPTIONAL[name])
    if payload["status"] == "new_areas_discovered":
        payload.setdefault("areas", draw(OPTIONAL["areas"]))
    if len(payload.get("message") or "") > 1000:
        payload["message"] = payload["message"][:1000]
    return payload


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Updates and two deliveries of them, each a list of calls that has every update at least once.

    A call is a list of indexes. One of one index is a single update, one of more is a batch.
    """
    updates = draw(st.lists(payloads(), min_size=1, max_size=5))
    # Updates that differ only in time and counts, like most of a crawler's: a batch merges them together.
    alike = draw(st.sampled_from(updates))
    for seconds in draw(st.lists(st.integers(4, 9), max_size=4)):
        time = f"2025-01-06T19:15:{seconds:02}.000Z"
        counts = {name: draw(OPTIONAL[name]) for name in ("processedItems", "itemsByType") if name in alike}
        updates.append({**alike, "timestamp": time, **counts, "status": "processing"})
    for number, update in enumerate(updates):
        if draw(st.booleans()):
            update["updateId"] = f"{draw(st.sampled_from('ab'))}{number}"
    indexes = list(range(len(updates)))
    orders = [draw(st.permutations(indexes + draw(st.lists(st.sampled_from(indexes), max_size=4)))) for _ in "12"]
    return updates, draw(calls(orders[0])), draw(calls(orders[1]))


@st.composite
def calls(draw: st.DrawFn, order: list[int]) -> Delivery:
    """Updates in some order, divided into calls."""
    cuts = draw(st.lists(st.integers(1, 5), min_size=len(order), max_size=len(order)))
    places = list(itertools.takewhile(lambda place: place < len(order), itertools.accumulate(cuts, initial=0)))
    return [order[start:end] for start, end in zip(places, [*places[1:], len(order)], strict=True)]


def key_of(db: Connection, payload: Json) -> str:
    """Return the key of an update by its definition: its updateId, or 128 bits of SHA-256 of the canonical text."""
    if payload.get("updateId"):
        return f"={payload['updateId']}"
    canonical = db.execute("SELECT %s::jsonb::text", [json.dumps(payload)]).fetchone()
    assert canonical
    return f"#{hashlib.sha256(canonical[0].encode()).digest()[:16].hex()}"


def send(db: Connection, updates: list[Json]) -> list[Json]:
    """Send updates in one call, and give the acknowledgements."""
    if len(updates) == 1:
        row = db.execute("SELECT tallymark.merge_progress(%s, %s)", [JOB, Jsonb(updates[0])]).fetchone()
        assert row
        return [row[0]]
    row = db.execute("SELECT tallymark.merge_progress_batch(%s)", [Jsonb(updates)]).fetchone()
    assert row
    acks: list[Json] = row[0]
    return acks


def deliver(
    db: Connection, updates: list[Json], calls: Delivery, meanwhile: Callable[[int], None] | None = None
) -> Json:
    """Deliver updates to a job through the real functions, return the job's row, and roll everything back.

    `meanwhile` is called after each call, with the number of calls so far.
    """
    with db.transaction(force_rollback=True):
        db.execute("SELECT tallymark.create_job(%s)", [JOB])
        seen: dict[str, int] = {}
        for number, call in enumerate(calls, 1):
            for index, ack in zip(call, send(db, [updates[index] for index in call]), strict=True):
                key = key_of(db, updates[index])
                assert ack["duplicate"] is (key in seen), "an update counts once, and says so"
                assert ack["seq"] == seen.setdefault(key, len(seen) + 1), "a duplicate has the number of the first time"
            if meanwhile:
                meanwhile(number)
        row = db.execute(
            """SELECT to_jsonb(j) - '{id,created_at,updated_at,pruned_seq}'::text[],
                 tallymark.iso_timestamp(j.started_at), tallymark.iso_timestamp(j.finished_at),
                 (SELECT jsonb_object_agg(a.full_path, jsonb_build_object('details', a.details,
                   'discovered_at', tallymark.iso_timestamp(a.discovered_at))) FROM tallymark.job_area AS a),
                 (SELECT jsonb_object_agg(a.full_path, a.clocks) FROM tallymark.job_area AS a),
                 ARRAY(SELECT to_jsonb(d) FROM tallymark.verify_differences(j.id) AS d)
               FROM tallymark.job AS j WHERE j.id = %s""",
            [JOB],
        ).fetchone()
    assert row
    state, started_at, finished_at, areas, clocks, differences = row
    assert differences == [], "the state is the fold of the ledger"
    assert state["last_seq"] == len(seen), "the numbers have no gap"
    times = {"started_at": started_at, "finished_at": finished_at}
    return dict(state) | times | {"areas": areas or {}, "area_clocks": clocks}


def check(db: Connection, history: History) -> None:
    """Compare two deliveries of a history with each other and with the definition."""
    updates, one_way, other_way = history
    one = deliver(db, updates, one_way)
    other = deliver(db, updates, other_way)
    model = expected(Update(u["timestamp"], key_of(db, u), u) for u in updates)
    assert one == other, "the order and the repeats make no difference"
    assert {name: one[name] for name in model} == model, "and the state is what the definition says"


@given(history=histories())
@example(
    # If times tie, a terminal status wins, but the other fields go to the larger key.
    history=(
        [
            {"taskId": JOB, "status": "completed", "timestamp": TIMES[0], "updateId": "a0", "stage": "s1"},
            {
                "taskId": JOB,
                "status": "processing",
                "timestamp": TIMES[0],
                "updateId": "b1",
                "stage": "s2",
                "progress": {"page": 1},
            },
        ],
        [[0, 1]],
        [[1], [0], [1]],
    )
)
@example(
    # Three similar updates in a batch are merged as one; the highest total counts, not the last.
    history=(
        [
            {
                "taskId": JOB,
                "status": "processing",
                "timestamp": time,
                "processedItems": n,
                "itemsByType": {"issues": n},
            }
            for time, n in zip(TIMES[:3], (5, 9, 2), strict=True)
        ],
        [[0, 1, 2]],
        [[2], [1, 0]],
    )
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_any_repeats_and_any_batches_give_one_state(db: Connection, history: History) -> None:
    """Two deliveries of the same updates give the same state, equal to the definition and the fold of the ledger."""
    check(db, history)


@pytest.mark.deep
@pytest.mark.timeout(3000)
@given(history=histories())
@settings(max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_thousands_of_histories_give_one_state_each(db: Connection, history: History) -> None:
    """The same promise over 10,000 histories."""
    check(db, history)


def test_every_order_of_a_restart_gives_one_state(db: Connection) -> None:
    """All 120 orders of a history with a failure, a restart and a late report."""
    updates: list[Json] = [
        {"status": "started", "timestamp": TIMES[0], "stage": "s1", "totalItems": 10},
        {"status": "failed", "timestamp": TIMES[2], "error": "boom", "processedItems": 4, "progress": {"page": 4}},
        {"status": "processing", "timestamp": TIMES[1], "itemsByType": {"issues": 4}, "stage": "s2"},
        {"status": "started", "timestamp": TIMES[3], "itemsByType": {"issues": 0}},
        {"status": "completed", "timestamp": TIMES[5], "processedItems": 10, "itemsByType": {"issues": 6}},
    ]
    updates = [{"taskId": JOB, **update} for update in updates]
    # The late updates also come as one batch.
    ways = [
        [[first], list(rest)] if rest[0] == 4 else [[at] for at in (first, *rest)]
        for first, *rest in itertools.permutations(range(5))
    ]
    states = [deliver(db, updates, way) for way in ways]
    assert all(state == states[0] for state in states)
    assert states[0]["status"] == "finished"
    assert states[0]["progress"]["itemsByType"] == {"issues": 10}
    assert states[0]["resume_state"] is None
