"""`item_differences` has the query of `fold_items` once more, because it may run where no other tables can be read.

Here the two are held against each other: as they stand in the catalogue, and by what they find.
"""

import re
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from psycopg.types.json import Jsonb

Connection = psycopg.Connection[Any]

#: What item_differences is to find, from the rows that fold_items gives.
_BY_FOLD_ITEMS = """
WITH items AS MATERIALIZED (SELECT * FROM tallymark.fold_items('job')), stored AS (
  SELECT i.* FROM tallymark.job_item AS i WHERE i.job_id = 'job'
), counted AS (
  SELECT e.seq, e.details -> 'counted' AS stored, (
    SELECT jsonb_object_agg(k, (SELECT count(*) FROM items AS i WHERE i.seq = e.seq AND i.type = k))
    FROM jsonb_object_keys(e.payload -> 'itemKeys') AS k) AS folded
  FROM tallymark.job_event AS e WHERE e.job_id = 'job' AND e.payload ? 'itemKeys'
)
SELECT coalesce(f.seq, s.seq), 'itemKeys: ' || coalesce(f.type, s.type) || ': '
  || encode(coalesce(f.key_digest, s.key_digest), 'hex'), to_jsonb(s.seq), to_jsonb(f.seq)
FROM stored AS s FULL JOIN items AS f ON f.type = s.type AND f.key_digest = s.key_digest
WHERE s.seq IS DISTINCT FROM f.seq
UNION ALL
SELECT c.seq, 'counted', c.stored, c.folded FROM counted AS c WHERE c.stored IS DISTINCT FROM c.folded
"""

#: Some of an update's keys, by type.
_KEYS = st.dictionaries(
    st.sampled_from(["pages", "files", "é"]),
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4),
    min_size=1,
    max_size=3,
)
#: What another hand may do to the rows of items and to the ledger.
_DAMAGE = st.lists(
    st.sampled_from(
        [
            "DELETE FROM tallymark.job_item WHERE job_id = 'job' AND seq = {n}",
            "UPDATE tallymark.job_item SET seq = seq + 1 WHERE job_id = 'job' AND seq = {n} AND type = 'pages'",
            "INSERT INTO tallymark.job_item VALUES ('job', 'pages', decode(md5('{n}'), 'hex'), {n})",
            "DELETE FROM tallymark.job_event WHERE job_id = 'job' AND seq = {n}",
            """UPDATE tallymark.job_event SET details = jsonb_set(details, '{{counted}}', '{{"pages": 9}}')
               WHERE job_id = 'job' AND seq = {n} AND details ? 'counted'""",
        ]
    ),
    max_size=3,
)


def query_of(db: Connection, function: str) -> str:
    """Return the part of a function's text that gathers the items, without what may differ: names, comments, layout."""
    [(source,)] = db.execute("SELECT prosrc FROM pg_proc WHERE proname = %s", [function]).fetchall()
    [found] = re.findall(
        r"SELECT g\.type, g\.key_digest, min\(g\.seq\).*?GROUP BY g\.type, g\.key_digest", source, re.DOTALL
    )
    bare = re.sub(r"--[^\n]*", "", found).replace(f"{function}.", "here.").replace("min(g.seq) AS seq", "min(g.seq)")
    # Only fold_items may be asked for a part of the ledger.
    bare = bare.replace("AND (here.up_to_seq IS NULL OR e.seq <= here.up_to_seq)", "")
    return " ".join(bare.split())


def test_the_query_is_the_same_in_both(db: Connection) -> None:
    """Whoever changes one has to change the other."""
    query = query_of(db, "fold_items")
    assert "tallymark.job_event" in query
    assert "tallymark.job_item" in query
    assert query_of(db, "item_differences") == query


@pytest.mark.parametrize("pruned", [0, 3])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(updates=st.lists(_KEYS, min_size=1, max_size=8), damage=_DAMAGE, number=st.integers(1, 8))
def test_both_find_the_same_items(
    db: Connection, pruned: int, updates: list[dict[str, list[str]]], damage: list[str], number: int
) -> None:
    """On any ledger, pruned or not, whatever another hand has done to it."""
    with db.transaction(force_rollback=True):
        db.execute("SELECT tallymark.create_job('job')")
        for at, keys in enumerate(updates):
            db.execute("SELECT tallymark.merge_progress('job', %s)", [Jsonb({"updateId": str(at), "itemKeys": keys})])
        if pruned:
            db.execute("SELECT tallymark.prune_job('job', 'infinity', 0, %s)", [pruned])
        assert db.execute("SELECT * FROM tallymark.item_differences('job')").fetchall() == []
        for statement in damage:
            db.execute((statement.format(n=number) + " ON CONFLICT DO NOTHING" * ("INSERT" in statement)).encode())
        found = db.execute("SELECT * FROM tallymark.item_differences('job')").fetchall()
        wanted = db.execute(_BY_FOLD_ITEMS).fetchall()
        assert sorted(map(repr, found)) == sorted(map(repr, wanted))
