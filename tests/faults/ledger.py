"""What the database must contain after the faults, and what it must not."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import psycopg
from tests.promise.model import Update, expected

from .updates import CUMULATIVE_JOBS, JOBS, Sent

Connection = psycopg.Connection[Any]


def keys_of(db: Connection, sent: list[Sent]) -> dict[Sent, tuple[str, str]]:
    """Return the job and the key of each update: its id, or 128 bits of SHA-256 of its canonical text.

    Args:
        db: Any database, which knows the canonical text.
        sent: The updates.

    Returns:
        (job, key) of each.
    """
    rows = db.execute(
        "SELECT payload::jsonb::text FROM unnest(%s::text[]) WITH ORDINALITY AS sent (payload, n) ORDER BY n",
        [[json.dumps(one.payload) for one in sent]],
    ).fetchall()
    keys = {}
    for one, (canonical,) in zip(sent, rows, strict=True):
        digest = hashlib.sha256(canonical.encode()).digest()[:16].hex()
        keys[one] = one.job, f"={one.explicit_key}" if one.explicit_key else f"#{digest}"
    assert len(set(keys.values())) == len(keys), "every update has a key of its own"
    return keys


def check_ledger(
    db: Connection, keys: dict[Sent, tuple[str, str]], *, others: Sequence[str] = ()
) -> dict[str, list[Sent]]:
    """Check that acknowledged updates are in the ledger once, under their numbers, and refused ones are not.

    Args:
        db: The database after the faults.
        keys: All updates that were ever sent, with the job and the key of each.
        others: Jobs that are not looked at.

    Returns:
        The updates that are in the ledger, by job.
    """
    rows = db.execute(
        "SELECT job_id, update_key, array_agg(seq) FROM tallymark.job_event"
        " WHERE update_key IS NOT NULL AND job_id <> ALL (%s) GROUP BY 1, 2",
        [list(others)],
    ).fetchall()
    found = {(job, key): seqs for job, key, seqs in rows}
    wrong: list[str] = []
    landed: dict[str, list[Sent]] = defaultdict(list)
    for sent, key in keys.items():
        seqs = found.pop(key, [])
        if sent.seq is not None and seqs != [sent.seq]:
            wrong.append(f"acknowledged as {sent.seq}, in the ledger as {seqs}: {key}")
        elif sent.refusal is not None and seqs:
            wrong.append(f"must be refused, in the ledger as {seqs}: {key}")
        elif len(seqs) > 1:
            wrong.append(f"more than once in the ledger, as {seqs}: {key}")
        if seqs:
            landed[sent.job].append(sent)
    assert wrong == [], "\n".join(wrong[:20])
    assert found == {}, "everything in the ledger was sent by somebody"
    return landed


def check_jobs(db: Connection, landed: dict[str, list[Sent]], keys: dict[Sent, tuple[str, str]]) -> None:
    """Check that each job has the state that its updates have by definition.

    Args:
        db: The database after the faults.
        landed: The updates that are in the ledger, by job.
        keys: The job and the key of each update.
    """
    own = {sent: len(sent.payload.get("timeline", [])) for sent in keys}
    for job in JOBS:
        row = db.execute(
            """SELECT to_jsonb(j), tallymark.iso_timestamp(j.started_at), tallymark.iso_timestamp(j.finished_at),
                 (SELECT jsonb_build_array(count(*), min(seq), max(seq), count(DISTINCT seq),
                    count(*) FILTER (WHERE update_key IS NULL)) FROM tallymark.job_event AS e WHERE e.job_id = j.id),
                 (SELECT jsonb_object_agg(a.full_path, jsonb_build_object('details', a.details,
                    'discovered_at', tallymark.iso_timestamp(a.discovered_at)))
                  FROM tallymark.job_area AS a WHERE a.job_id = j.id)
               FROM tallymark.job AS j WHERE j.id = %s""",
            [job],
        ).fetchone()
        assert row
        state, started_at, finished_at, numbers, areas = row
        events_of_their_own = sum(own[sent] for sent in landed[job])
        count = len(landed[job]) + events_of_their_own
        assert numbers == [count, 1, count, count, events_of_their_own], f"{job}: numbers without a gap"
        assert state["last_seq"] == count
        got = state | {"started_at": started_at, "finished_at": finished_at, "areas": areas or {}}
        # An old crawler's update has no `counting`; its job has.
        counting = {"counting": "cumulative"} if job in CUMULATIVE_JOBS else {}
        model = expected(
            Update(sent.payload["timestamp"], keys[sent][1], counting | sent.payload) for sent in landed[job]
        )
        assert {name: got[name] for name in model} == model, f"{job} has the state of its definition"
