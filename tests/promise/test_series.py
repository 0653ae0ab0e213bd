"""How a run went is what its ledger had at each time; a run that is cut is unusual, and a usual one is not."""

import random
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

Connection = psycopg.Connection[Any]


def _value(db: Connection, query: str, *parameters: object) -> Any:  # noqa: ANN401 - whatever the query gives
    row = db.execute(query.encode(), parameters).fetchone()
    assert row
    return row[0]


def _update(chance: random.Random, second: int, *, by_total: bool) -> dict[str, Any]:
    """Return an update of any kind of count."""
    update: dict[str, Any] = {
        "updateId": f"u{second}",
        "status": "processing",
        "timestamp": f"2025-01-06T10:{second // 60:02}:{second % 60:02}Z",
    }
    if chance.random() < 0.6:
        update["workerId"] = f"w{chance.randrange(3)}"
    kind = chance.choice(["increment", "cumulative", "keys", "message", "areas"])
    if by_total and chance.random() < 0.5:
        update["processedItems"] = chance.randrange(100)
    if kind in {"increment", "cumulative"}:
        update |= {"counting": kind, "itemsByType": {"a": chance.randrange(9), "b": chance.randrange(3)}}
    elif kind == "keys":
        update["itemKeys"] = {"a": [str(chance.randrange(12)) for _ in range(3)]}
    elif kind == "areas":
        paths = {f"p{chance.randrange(9)}" for _ in range(2)}
        update["areas"] = [{"type": "project", "fullPath": path} for path in sorted(paths)]
    return update


@pytest.mark.parametrize(
    ("histories", "by_total"), [(12, False), (12, True), pytest.param(300, False, marks=pytest.mark.deep)]
)
def test_the_pace_of_a_run_is_what_it_had_after_each_event(db: Connection, histories: int, *, by_total: bool) -> None:
    """For random histories of all kinds of counts, before and after pruning at a random place."""
    chance = random.Random(20261130 + by_total)
    for number in range(histories):
        job, seconds = f"run_{number}", sorted(chance.sample(range(1, 90), 25))
        db.execute("SELECT tallymark.create_job(%s, %s)", [job, Jsonb({"series": "s"})])
        db.execute(
            "SELECT tallymark.merge_progress(%s, %s)",
            [job, Jsonb({"status": "started", "timestamp": "2025-01-06T10:00:00Z", "updateId": "u"})],
        )
        for second in seconds:
            update = _update(chance, second, by_total=by_total)
            if by_total and second == seconds[0]:
                update["processedItems"] = 0  # from the first on, or the counts by type would be the total until then
            db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, Jsonb(update)])
        had = [
            _value(db, "SELECT tallymark.processed_items(tallymark.job_at(%s, %s) -> 'progress')", job, seq)
            for seq in range(2, len(seconds) + 2)
        ]
        at_each = "SELECT ARRAY(SELECT coalesce(p.items[width_bucket(s::numeric, p.at_seconds)], 0)"
        at_each += " FROM unnest(%s::integer[]) AS s) FROM tallymark.run_pace(%s) AS p"
        assert _value(db, at_each, seconds, job) == had, job
        db.execute("SELECT tallymark.prune_job(%s, 'infinity', %s)", [job, chance.randrange(20)])
        assert _value(db, at_each, seconds, job) == had, f"{job}, pruned"
        late = {"updateId": "late", "status": "completed", "timestamp": "2025-01-06T10:01:35Z", "message": "done"}
        db.execute("SELECT tallymark.merge_progress(%s, %s)", [job, Jsonb(late)])
        assert _value(db, at_each, seconds, job) == had, f"{job}, pruned and ended"
        assert _value(db, "SELECT tallymark.verify_job(%s)", job)


def _run(db: Connection, job: str, items: list[int], *, until: int = 100, ends: bool = True) -> None:
    """Report a run that counts `items[n]` in its n-th hundredth, up to one of these."""
    db.execute("SELECT tallymark.create_job(%s, %s)", [job, Jsonb({"series": "s"})])
    updates: list[dict[str, Any]] = [
        {"taskId": job, "status": "started", "timestamp": "2025-01-06T10:00:00Z", "updateId": "u"}
    ]
    updates += [
        {
            "taskId": job,
            "updateId": f"u{place}",
            "status": "processing",
            "timestamp": f"2025-01-06T1{place // 60}:{place % 60:02}:00Z",
            "itemsByType": {"pages": items[place]},
        }
        for place in range(1, until + 1)
    ]
    if ends:
        updates.append({"taskId": job, "status": "completed", "timestamp": "2025-01-06T11:40:30Z", "updateId": "end"})
    results = _value(db, "SELECT tallymark.merge_progress_batch(%s)", Jsonb(updates))
    assert all("seq" in result for result in results)


def test_a_run_cut_to_less_than_half_is_told_of_before_half_its_time_and_no_usual_one_is(db: Connection) -> None:
    """Of 100 runs that vary by a third none is, at whatever time; one that loses three quarters always is."""
    chance = random.Random(20261130)

    def usual() -> list[int]:
        speed = chance.uniform(0.7, 1.3)
        return [max(round(20 * speed * chance.uniform(0, 2)), 0) for _ in range(101)]

    def is_unusual(job: str) -> bool:
        return bool(_value(db, "SELECT tallymark.job_series(%s) #> '{comparison,unusual}'", job))

    for number in range(12):
        _run(db, f"before_{number:02}", usual())
    db.execute("SELECT tallymark.prune_job(id, 'infinity', 1) FROM tallymark.job WHERE id LIKE 'before%%'")
    for number in range(100):
        _run(db, f"usual_{number}", usual(), until=chance.randint(1, 99), ends=False)
        assert not is_unusual(f"usual_{number}")
    for number in range(20):
        cut = [round(items * 0.25) for items in usual()]
        _run(db, f"cut_{number}", cut, until=49, ends=False)
        assert is_unusual(f"cut_{number}")
    found = db.execute("SELECT DISTINCT kind, left(job_id, 4) FROM tallymark.alert_conditions()").fetchall()
    assert ("unusual", "cut_") in found
    assert ("unusual", "usua") not in found
