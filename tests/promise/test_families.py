"""The sums of a family are those of its jobs' ledgers, at every moment."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

Connection = psycopg.Connection[Any]

#: What a family says, and the same from the ledgers of its jobs, in one statement.
BOTH = """
SELECT tallymark.family('all', 1),
  (SELECT jsonb_object_agg(t.type, t.items) FROM (
    SELECT i.key AS type, sum(i.value::numeric) AS items
    FROM tallymark.job AS j, tallymark.fold_ledger(j.id) AS f, jsonb_each(f.progress -> 'itemsByType') AS i
    WHERE j.parent = 'all' GROUP BY i.key) AS t),
  (SELECT sum(tallymark.processed_items(f.progress))
   FROM tallymark.job AS j, tallymark.fold_ledger(j.id) AS f WHERE j.parent = 'all')
"""


def _deliveries(chance: random.Random, children: int, updates: int) -> list[dict[str, Any]]:
    """Return updates of all kinds of counts, some of them twice, in any order."""
    deliveries: list[dict[str, Any]] = []
    for child in range(1, children + 1):
        for number in range(updates):
            update: dict[str, Any] = {
                "taskId": f"all/{child}",
                "updateId": f"u{number}",
                "timestamp": f"2025-01-06T19:15:{number:02}Z",
                "status": "processing",
                "workerId": f"w{number % 2}",
            }
            kind = chance.choice(["increment", "cumulative", "keys", "processed"])
            if kind == "keys":
                update["itemKeys"] = {"pages": [f"p{chance.randrange(20)}" for _ in range(3)]}
            elif kind == "processed":
                update["processedItems"] = number * 3
            else:
                update |= {"counting": kind, "itemsByType": {"issues": chance.randrange(5), f"t{child % 3}": number}}
            deliveries += [update] * chance.choice([1, 1, 2])
    chance.shuffle(deliveries)
    return deliveries


@pytest.mark.parametrize(
    ("children", "updates", "reporters"),
    [pytest.param(40, 15, 6, id="40"), pytest.param(1000, 10, 8, marks=pytest.mark.deep, id="1000")],
)
def test_a_family_is_the_sum_of_its_ledgers_at_every_read(
    db: Connection, db_url: str, children: int, updates: int, reporters: int
) -> None:
    """Many jobs report at once: late, twice, by several workers, in batches, with keys; some are pruned meanwhile."""
    chance = random.Random(20261130)
    db.execute(
        "SELECT count(tallymark.create_job('all/' || n, parent => 'all')) FROM generate_series(1, %s) AS n", [children]
    )
    deliveries = _deliveries(chance, children, updates)
    parts = [deliveries[at :: reporters - 1] for at in range(reporters - 1)]
    done = threading.Event()

    def report(part: list[dict[str, Any]]) -> None:
        with psycopg.connect(db_url, autocommit=True) as connection:
            while part:
                size = chance.choice([1, 1, 1, 20])
                batch, part = part[:size], part[size:]
                connection.execute("SELECT tallymark.merge_progress_batch(%s)", [Jsonb(batch)])

    def prune() -> None:
        with psycopg.connect(db_url, autocommit=True) as connection:
            while not done.is_set():
                child = f"all/{chance.randint(1, children)}"
                connection.execute("SELECT tallymark.prune_job(%s, 'infinity', 2)", [child])

    reads = 0
    with ThreadPoolExecutor(reporters) as threads:
        pruning = threads.submit(prune)
        reporting = [threads.submit(report, part) for part in parts]
        try:
            while not all(one.done() for one in reporting):
                row = db.execute(BOTH).fetchone()
                assert row
                family, by_type, processed = row
                assert (family["itemsByType"], family["processedItems"]) == (by_type or {}, processed)
                reads += 1
        finally:
            done.set()
        for one in [pruning, *reporting]:
            one.result()
    assert reads > 0
    row = db.execute(BOTH).fetchone()
    assert row
    family, by_type, processed = row
    assert (family["itemsByType"], family["processedItems"]) == (by_type, processed)
    assert family["children"] == children
    assert db.execute("SELECT bool_and(tallymark.verify_job(id)) FROM tallymark.job").fetchone() == (True,)
