"""Any order, any repeats: the same state, which is the fold of the ledger."""

import itertools
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings

from .delivery import deliver, updates_of
from .model import expected
from .strategies import JOB, TIMES, Call, History, histories

if TYPE_CHECKING:
    from .model import Json

Connection = psycopg.Connection[Any]


def check(db: Connection, history: History) -> None:
    """Compare two deliveries of a history with each other and with the definition."""
    updates, one_way, other_way, look = history
    one = deliver(db, updates, one_way, look=look)
    other = deliver(db, updates, other_way, look=look)
    model = expected(updates_of(db, updates))
    assert one == other, "the order and the repeats make no difference"
    assert {name: one[name] for name in model} == model, "and the state is what the definition says"


@given(history=histories())
@example(
    # If times tie, a terminal status wins, but the other fields go to the larger key.
    history=History(
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
        [Call([0, 1])],
        [Call([1, 0, 1], "each alone")],
    )
)
@example(
    # Three similar updates in a batch are merged as one; the highest total counts, not the last.
    history=History(
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
        [Call([0, 1, 2])],
        [Call([2]), Call([1, 0])],
    )
)
@example(
    # What was done beyond the cursor is forgotten by `completed`, also where a resume state came after that.
    history=History(
        [
            {
                "taskId": JOB,
                "status": "processing",
                "timestamp": TIMES[0],
                "lastProcessedId": "a",
                "doneBeyond": ["b"],
            },
            {"taskId": JOB, "status": "completed", "timestamp": TIMES[1]},
            {"taskId": JOB, "status": "processing", "timestamp": TIMES[2], "progress": {"page": 1}},
            {"taskId": JOB, "status": "started", "timestamp": TIMES[3]},
        ],
        [Call([0, 1, 2, 3], "each alone")],
        [Call([2, 0, 3]), Call([1, 3], "group")],
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
        [Call([first]), Call(rest)] if rest[0] == 4 else [Call([first, *rest], "each alone")]
        for first, *rest in itertools.permutations(range(5))
    ]
    states = [deliver(db, updates, way) for way in ways]
    assert all(state == states[0] for state in states)
    assert states[0]["status"] == "finished"
    assert states[0]["progress"]["itemsByType"] == {"issues": 10}
    assert states[0]["resume_state"] is None
