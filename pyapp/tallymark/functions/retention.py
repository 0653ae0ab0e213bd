"""Pruning, archiving and deleting. docs/sql-api.md describes each function; all need tallymark_admin.

Each takes the caller's own connection, as in `functions.jobs`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from tallymark.functions.call import Connection, Json, Rows, Value


class Prunable(NamedTuple):
    """A job, and how many of its events are old enough to be pruned."""

    id: str
    events: int


class Pruned(NamedTuple):
    """What one call pruned.

    Attributes:
        events: How many events were folded into the baseline.
        pruned_seq: The seq of the last event that is no longer in the ledger.
        more: Whether there is more to prune.
    """

    events: int
    pruned_seq: int
    more: bool


class Ended(NamedTuple):
    """A job that has ended.

    Attributes:
        id: The job.
        last_seq: The seq of its last event.
        ended_at: When it ended, by its crawler's clock.
    """

    id: str
    last_seq: int
    ended_at: datetime


class Item(NamedTuple):
    """An item that a job has counted by its key.

    Attributes:
        type: Its type, as in `itemsByType`.
        key_digest: The first 16 bytes of the SHA-256 of its key; the key itself is stored nowhere.
        seq: The seq of the first event whose update had the key.
    """

    type: str
    key_digest: bytes
    seq: int


class _LedgerRow(NamedTuple):
    seq: int
    event: Json


_prunable_events = Rows(Prunable, "prunable_events", "ids", "older_than", "keep_newest")
_prune_job = Value[Json]("prune_job", "job_id", "older_than", "keep_newest", "max_events")
_ended_jobs = Rows(Ended, "ended_jobs", "ended_before", "after_id", "max_jobs")
_job_record = Value[Json]("job_record", "job_id")
_ledger_page = Rows(_LedgerRow, "ledger_page", "job_id", "after_seq")
_item_page = Rows(Item, "item_page", "job_id", "after_type", "after_digest", "max_items")
_delete_job = Value[int]("delete_job", "job_id", "expected_seq")
_resummarize_ledger = Value[int | None]("resummarize_ledger", "first_page")


def prunable_events(
    connection: Connection, ids: Sequence[str], older_than: datetime, *, keep_newest: int | None = None
) -> list[Prunable]:
    """Count the events of each job that may be pruned; jobs without any are left out."""
    return _prunable_events(connection, list(ids), older_than, keep_newest)


def prune_job(
    connection: Connection,
    job_id: str,
    older_than: datetime,
    *,
    keep_newest: int | None = None,
    max_events: int | None = None,
) -> Pruned:
    """Fold a job's oldest events into its baseline. Repeat while there is `more`, each call in its own transaction."""
    done = _prune_job(connection, job_id, older_than, keep_newest, max_events)
    return Pruned(done["events"], done["prunedSeq"], done["more"])


def ended_jobs(
    connection: Connection, ended_before: datetime, *, after_id: str = "", max_jobs: int | None = None
) -> list[Ended]:
    """List jobs after `after_id` that ended, and were last reported on, before a time."""
    return _ended_jobs(connection, ended_before, after_id, max_jobs)


def job_record(connection: Connection, job_id: str) -> Json:
    """Return all that is stored about a job except its ledger and the keys of its items."""
    return _job_record(connection, job_id)


def ledger_page(connection: Connection, job_id: str, *, after_seq: int = 0) -> list[tuple[int, Json]]:
    """List a job's ledger after `after_seq`: each event's seq, and its row by column names."""
    return [(seq, event) for seq, event in _ledger_page(connection, job_id, after_seq)]


def item_page(
    connection: Connection, job_id: str, *, after: Item | None = None, max_items: int | None = None
) -> list[Item]:
    """List the items that a job has counted by their keys, by type and digest, after the last one already seen."""
    after_type, after_digest = (after.type, after.key_digest) if after else ("", b"")
    return _item_page(connection, job_id, after_type, after_digest, max_items)


def delete_job(connection: Connection, job_id: str, *, expected_seq: int | None = None) -> int:
    """Delete a job that has ended and return its number of events.

    With `expected_seq`, a job whose last event has another seq is not deleted: that raises Conflict.
    """
    return _delete_job(connection, job_id, expected_seq)


def resummarize_ledger(connection: Connection, first_page: int = 0) -> int | None:
    """Summarize a part of the ledger's time index, and return the page to go on with; None at the end."""
    return _resummarize_ledger(connection, first_page)
