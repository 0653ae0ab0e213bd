"""What writes to a job holds it on its server first: where jobs are distributed, one may move between two statements.

Citus moves a shard while a transaction has read there and not written yet. It then sends the writes to a table that was
read to the old server, where they are lost. So the first thing that a function does with tables is a write, which takes
the lock that keeps the shard there, or `keep_shards`, which takes it, too. This is read from the catalogue.
"""

import re
from typing import Any, NamedTuple

import psycopg
import pytest

Connection = psycopg.Connection[Any]

#: Functions that may read first, with the reason.
READ_FIRST = {
    "note_verification": "what it notes may be lost: the next round notes it again, and to hold the shard for as long "
    "as a ledger is read would keep crawlers waiting",
    "verify_next_jobs": "it notes verifications",
    "note_paces": "for the same reasons",
}
_KEEPS, _READS, _WRITES = "keeps", "reads", "writes"


class Function(NamedTuple):
    """A function of ours, without comments and the contents of literals."""

    name: str
    source: str
    is_granted: bool


@pytest.fixture
def functions(db: Connection) -> dict[str, Function]:
    """All functions in PL/pgSQL and SQL, by their names."""
    rows = db.execute(
        """SELECT p.proname, coalesce(pg_get_function_sqlbody(p.oid), p.prosrc),
             EXISTS (SELECT FROM aclexplode(p.proacl) AS a WHERE a.grantee <> p.proowner)
           FROM pg_proc AS p WHERE p.pronamespace = 'tallymark'::regnamespace"""
    ).fetchall()
    assert len(rows) > 200
    bare = re.compile(r"--[^\n]*|'(?:[^']|'')*'|\s+")
    return {name: Function(name, bare.sub(" ", source), granted) for name, source, granted in rows}


@pytest.fixture
def events(db: Connection) -> re.Pattern[str]:
    """What finds, in a source, a call of ours, a write to a table with job data, or a read of one."""
    tables = "|".join(
        name
        for (name,) in db.execute(
            """SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'tallymark'::regnamespace AND c.relkind = 'r'
                 AND (c.relname = 'job' OR EXISTS (
                   SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'job_id'))"""
        )
    )
    return re.compile(
        rf"(?P<write>(?:INSERT INTO|UPDATE|DELETE FROM) tallymark\.(?:{tables})\b)"
        rf"|(?P<read>(?:FROM|JOIN) tallymark\.(?:{tables})\b(?! ?\())"
        r"|tallymark\.(?P<call>\w+) ?\("
    )


def _all_of(name: str, functions: dict[str, Function], events: re.Pattern[str]) -> list[str]:
    """Return what a function does with tables, itself or by what it calls, in the order of its text."""
    done: list[str] = []
    for found in events.finditer(functions[name].source):
        if found["call"] == "keep_shards":
            done.append(_KEEPS)
        elif found["call"]:
            done += _all_of(found["call"], functions, events) if found["call"] in functions else []
        else:
            done.append(_WRITES if found["write"] else _READS)
    return done


def test_what_writes_to_a_job_keeps_it_on_its_server_before_it_reads(
    functions: dict[str, Function], events: re.Pattern[str]
) -> None:
    """Of all functions that somebody may call."""
    seen = {name: _all_of(name, functions, events) for name, each in functions.items() if each.is_granted}
    writing = {name: done for name, done in seen.items() if _WRITES in done}
    assert {"merge_progress", "merge_progress_batch", "receive_group", "prune_job", "raise_alerts"} <= set(writing)
    assert {name for name, done in writing.items() if done[0] == _READS} == set(READ_FIRST)


def test_row_locks_are_taken_on_a_server_that_is_kept(functions: dict[str, Function]) -> None:
    """Outside of a subtransaction, whose end gives the lock up: that is before the block that catches an error."""
    for each in functions.values():
        first = each.source.find("keep_shards(")
        if first >= 0 and each.name != "keep_shards":
            before = each.source[each.source.index("BEGIN") + 5 : first]
            assert "BEGIN" not in before, f"{each.name} keeps its shards within a subtransaction"
