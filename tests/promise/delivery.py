"""Deliveries to the real functions: what each answer must say, and what is read afterwards."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from .model import Json, Update, books_of, counted_items, expected, percentage_of, resume_of, shortfall_of
from .strategies import JOB, KEYED_TYPES, KEYS, OTHER_NOTATIONS, Call, Delivery

Connection = psycopg.Connection[Any]

#: Columns of a job's row that do not follow from its updates, or are compared in another way.
NO_STATE = [
    *("id", "created_at", "updated_at", "pruned_seq", "alive_at", "started_at", "finished_at", "parent", "series")
]
#: The fields whose history is read, by the names that readers know.
FIELDS = [
    *("status", "processedItems", "itemsByType.issues", "itemsByType.pages", "itemsByType.projects", "stage"),
    *("lastProcessedId", "doneBeyond", "resumeState", "startedAt", "finishedAt", "custom"),
    *("failedByType.issues", "totalsByType.groups", "books", "percentage"),
]
STATE = """
    SELECT to_jsonb(j) - %(no_state)s::text[],
      tallymark.iso_timestamp(j.started_at), tallymark.iso_timestamp(j.finished_at),
      (SELECT coalesce(jsonb_object_agg(a.full_path, jsonb_build_object('details', a.details,
        'discovered_at', tallymark.iso_timestamp(a.discovered_at))), '{}')
       FROM tallymark.job_area AS a WHERE a.job_id = j.id),
      (SELECT jsonb_object_agg(a.full_path, a.clocks) FROM tallymark.job_area AS a WHERE a.job_id = j.id)
    FROM tallymark.job AS j WHERE j.id = %(job)s"""


#: The job as of an event, now, the history of a field, and the archive.
READS = """
    SELECT tallymark.job_at(%(job)s, %(seq)s), tallymark.get_job(%(job)s),
      (SELECT coalesce(jsonb_object_agg(h.seq, h.value), '{}')
       FROM tallymark.accumulation_history(%(job)s, %(field)s) AS h),
      tallymark.job_record(%(job)s),
      (SELECT coalesce(jsonb_agg(p.event ORDER BY p.seq), '[]') FROM tallymark.ledger_page(%(job)s) AS p)"""


def updates_of(db: Connection, payloads: list[Json]) -> list[Update]:
    """Return what the definition sees of updates.

    The key of one is its updateId, or 128 bits of the SHA-256 of its canonical text.
    """
    canonical: list[str] = value(
        db,
        "SELECT coalesce(array_agg(u.value::text ORDER BY u.place), '{}')"
        " FROM jsonb_array_elements(%s::text::jsonb) WITH ORDINALITY AS u (value, place)",
        json.dumps(payloads),
    )
    updates = []
    for payload, text in zip(payloads, canonical, strict=True):
        at: str = payload["timestamp"]
        by_content = f"#{hashlib.sha256(text.encode()).digest()[:16].hex()}"
        key = f"={payload['updateId']}" if payload.get("updateId") else by_content
        updates.append(Update(OTHER_NOTATIONS.get(at, at), key, payload))
    return updates


def value(db: Connection, query: str, *arguments: object) -> Any:  # noqa: ANN401 - any JSON
    """Return the only value of a query."""
    row = db.execute(query.encode(), arguments).fetchone()
    assert row
    return row[0]


def send(db: Connection, updates: list[Json], how: str, *, wait: bool = False) -> list[Json]:
    """Send updates, all of one job, in one of the ways of `Call`, and give the acknowledgements."""
    job = updates[0]["taskId"]
    if how == "each alone":
        return [value(db, "SELECT tallymark.merge_progress(%s, %s)", job, Jsonb(update)) for update in updates]
    if how == "batch":
        acks: list[Json] = value(db, "SELECT tallymark.merge_progress_batch(%s)", Jsonb(updates))
        return acks
    rows = db.execute(
        "SELECT answer, refusal, held FROM tallymark.receive_group(%s::text[]::jsonb[], wait => %s)",
        [[json.dumps(update) for update in updates], wait],
    ).fetchall()
    assert [(refusal, held) for _answer, refusal, held in rows] == [(None, None)] * len(updates)
    return [answer for answer, _refusal, _held in rows]


def stored(db: Connection, job: str = JOB) -> Json:
    """Return the state of a job as it is stored."""
    row = db.execute(STATE, {"job": job, "no_state": NO_STATE}).fetchone()
    assert row
    state: Json = row[0]
    return state | dict(zip(("started_at", "finished_at", "areas", "area_clocks"), row[1:], strict=True))


def differences(db: Connection, job: str = JOB) -> list[Json]:
    """Return where the stored state differs from the fold of the ledger."""
    found: list[Json] = value(db, "SELECT ARRAY(SELECT to_jsonb(d) FROM tallymark.verify_differences(%s) AS d)", job)
    return found


def seen_items(db: Connection, job: str = JOB, types: Iterable[str] = KEYED_TYPES) -> dict[str, set[str]]:
    """Return which of the keys that updates have here count for a job, by type."""
    unseen: dict[str, list[str]] = dict(
        db.execute(
            "SELECT t, tallymark.unseen_items(%s, t, %s) FROM unnest(%s::text[]) AS t", [job, KEYS, list(types)]
        ).fetchall()
    )
    for keys in unseen.values():
        assert keys == [key for key in KEYS if key in keys], "in the order of the question"
    seen = {name: set(KEYS).difference(keys) for name, keys in unseen.items()}
    return {name: keys for name, keys in seen.items() if keys}


def counted_by(update: Update, ack: Json) -> Counter[str]:
    """Return how many items an update counted, by its first acknowledgement."""
    new, before = ack.get("counted", {}), ack.get("seenBefore", {})
    assert new.keys() | before.keys() == update.item_keys.keys(), "it says what became of the keys of each type"
    for name, keys in update.item_keys.items():
        assert new.get(name, 0) + before.get(name, 0) == len(keys), "each key is new, or was seen before"
    return +Counter(new)


class Ledger:
    """What the ledger of the job must hold so far: the updates in the order of their arrival, each with its number."""

    def __init__(self, db: Connection, payloads: list[Json]) -> None:
        """Take the updates that will be sent, for their indexes."""
        self._all = updates_of(db, payloads)
        self.numbers: dict[str, int] = {}
        self.updates: list[Update] = []
        self.last_seq = 0

    def take(self, call: Call, acks: list[Json]) -> None:
        """Note the updates of a call, and check their acknowledgements."""
        together = [list(zip(call.indexes, acks, strict=True))]
        # Of a batch, each acknowledgement is by the state after all of it.
        for part in together if call.how == "batch" else [[one] for one in together[0]]:
            self._take([(self._all[index], ack) for index, ack in part])

    def up_to(self, seq: int) -> list[Update]:
        """Return the updates up to an event."""
        return [update for update in self.updates if self.numbers[update.key] <= seq]

    def _take(self, answered: list[tuple[Update, Json]]) -> None:
        before = counted_items(self.updates)
        counted: Counter[str] = Counter()
        for update, ack in answered:
            assert ack["duplicate"] is (update.key in self.numbers), "an update counts once, and says so"
            if not ack["duplicate"]:
                self.numbers[update.key] = self.last_seq + 1
                self.last_seq += 1 + len(update.payload.get("timeline") or [])
                self.updates.append(update)
                counted += counted_by(update, ack)
            assert ack["seq"] == self.numbers[update.key], "a duplicate has the number of the first time"
        after = counted_items(self.updates)
        grown = Counter({name: len(keys - before.get(name, set())) for name, keys in after.items()})
        assert counted == +grown, "each key is counted in one acknowledgement"
        for update, ack in answered:
            self._check_state(update, ack)

    def _check_state(self, update: Update, ack: Json) -> None:
        """Check what an acknowledgement says of the state."""
        if "resume" in ack:
            found = {name: ack[name] for name in ("resume", "newestTimestamp", "worker")}
            found["resume"] = {"doneBeyond": []} | found["resume"]
            model = resume_of(self.updates, update.worker)
            for each in (found, model):
                each["newestTimestamp"] = datetime.fromisoformat(each["newestTimestamp"])
            assert found == model, "a crawler that starts is told where to go on"
        if "finalCounts" in ack:
            progress = expected(self.updates)["progress"]
            counts = {name: progress.get(name) for name in ("processedItems", "totalItems")}
            assert ack["finalCounts"] == {**counts, "itemsByType": progress.get("itemsByType", {})}


def deliver(
    db: Connection,
    updates: list[Json],
    calls: Delivery,
    meanwhile: Callable[[int], None] | None = None,
    look: int = 0,
) -> Json:
    """Deliver updates to a job through the real functions, return the job's state, and roll everything back.

    `meanwhile` is called after each call, with the number of calls so far. What reads the job is compared with the
    definition; `look` chooses the event as of which it is read.
    """
    with db.transaction(force_rollback=True):
        db.execute("SELECT tallymark.create_job(%s)", [JOB])
        ledger = Ledger(db, updates)
        for number, call in enumerate(calls, 1):
            if call.how == "alive":
                before = stored(db)
                db.execute("SELECT tallymark.note_alive(%s, 'w1')", [JOB])
                assert stored(db) == before, "a sign of life changes nothing of the state"
            else:
                ledger.take(call, send(db, [updates[index] for index in call.indexes], call.how))
            if meanwhile:
                meanwhile(number)
        state = stored(db)
        assert differences(db) == [], "the state is the fold of the ledger"
        assert state["last_seq"] == ledger.last_seq, "the numbers have no gap"
        items = counted_items(ledger.updates)
        assert seen_items(db, JOB, {*KEYED_TYPES, *items}) == items, (
            "each key that any update named is known, and no other"
        )
        check_reads(db, ledger, look)
    return state


def check_reads(db: Connection, ledger: Ledger, look: int) -> None:
    """Read the job as of an event, a field as of each event, and the archive; each is what the definition says."""
    pruned: int = value(db, "SELECT pruned_seq FROM tallymark.job WHERE id = %s", JOB)
    seq = pruned + look % (ledger.last_seq - pruned + 1)
    field = FIELDS[look % len(FIELDS)]
    row = db.execute(READS, {"job": JOB, "seq": seq, "field": field}).fetchone()
    assert row
    then, now, history, record, events = row
    check_document(then, ledger.up_to(seq))
    check_document(now, ledger.updates)
    check_document(record["document"], ledger.updates)

    shown = field_of(ledger.up_to(pruned), field)
    for number in range(pruned + 1, ledger.last_seq + 1):
        shown = history.get(str(number), shown)
        assert shown == field_of(ledger.up_to(number), field), f"the history of {field} has each of its values"

    assert [event["seq"] for event in events] == list(range(pruned + 1, ledger.last_seq + 1))
    if not pruned:
        archived = [
            Update(iso(event["occurred_at"]), event["update_key"], event["payload"])
            for event in events
            if event["payload"] is not None
        ]
        check_document(record["document"], archived)


#: Members of a job's document that are not in its progress, and what the definition calls them.
BESIDE = {"status": "status", "resumeState": "resume_state", "startedAt": "started_at", "finishedAt": "finished_at"}


#: What follows from the progress.
DERIVED = {"books": books_of, "percentage": percentage_of}


def check_document(document: Json, updates: list[Update]) -> None:
    """Compare a job as readers get it with the definition."""
    model = expected(updates)
    progress = {name: each for name, each in document["progress"].items() if name != "timeline"}
    assert progress == model["progress"]
    assert {name: document[name] for name in BESIDE} == {name: model[of] for name, of in BESIDE.items()}
    assert document["books"] == books_of(model["progress"])
    assert document["shortfall"] == shortfall_of(model["status"], model["progress"])
    assert document["percentage"] == percentage_of(model["progress"])


def field_of(updates: list[Update], field: str) -> Any:  # noqa: ANN401 - any JSON
    """Return a field of a job by the name that readers know."""
    model = expected(updates)
    if field in BESIDE:
        return model[BESIDE[field]]
    if field in DERIVED:
        return DERIVED[field](model["progress"])
    member, _, name = field.partition(".")
    found = model["progress"].get(member)
    return found.get(name) if name and found is not None else found


def iso(moment: str) -> str:
    """Write an instant as the wire protocol does."""
    return datetime.fromisoformat(moment).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
