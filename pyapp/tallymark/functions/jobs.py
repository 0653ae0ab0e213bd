"""Registering, reporting on, reading and verifying jobs. docs/sql-api.md describes each function.

Each takes the caller's own connection, runs in that connection's transaction and does not commit. A refusal is a
`tallymark.TallymarkError`, most often a subclass: `InvalidUpdate`, `JobNotFound`, `PayloadTooLarge`, `Conflict`,
`Unavailable` where the database is away or busy, or `NotGranted` where its user lacks a role. As PostgreSQL has it, a
refusal breaks the transaction: wrap the call in `with connection.transaction():` to go on afterwards. None for an
optional argument means the function's default.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from tallymark.functions.call import Connection, Json, Rows, Value, array, jsonb


class Event(NamedTuple):
    """An event of a job's timeline.

    Attributes:
        seq: Its number in the job, from 1, without gaps.
        timestamp: When it happened, by the crawler's clock.
        event: Its kind, such as `progress_update`.
        details: What it brought.
        recorded_at: When it was recorded, by the server's clock.
    """

    seq: int
    timestamp: datetime
    event: str
    details: Json
    recorded_at: datetime


class Difference(NamedTuple):
    """A field in which a job's stored state differs from the fold of its ledger.

    Attributes:
        seq: The event at which the difference shows.
        field: A member of `progress`, or a column of `tallymark.job`.
        stored: The value in the job's row.
        folded: The value that the ledger gives.
    """

    seq: int
    field: str
    stored: Any
    folded: Any


class Step(NamedTuple):
    """An update that gave or changed a field of a job.

    Attributes:
        seq: The number of its event.
        timestamp: When it happened, by the crawler's clock.
        event: The kind of its event.
        given: The value in the update; None where the field followed from something else.
        value: The job's value after it.
    """

    seq: int
    timestamp: datetime
    event: str
    given: Any
    value: Any


class _Id(NamedTuple):
    id: str


_FILTERS = ("status", "stage", "operation_type", "current_data_type", "item_type")
#: What a job was registered with; the last filters.
_REGISTERED = ("attributes", "series", "parent")

_create_job = Value[Json]("create_job", "job_id", "attributes", "parent")
_merge_progress = Value[Json]("merge_progress", "job_id", "payload")
_merge_progress_batch = Value[list[Json]]("merge_progress_batch", "updates")
_unseen_items = Value[list[str]]("unseen_items", "job_id", "type", "keys")
_request_command = Value[Json]("request_command", "job_id", "command", "requested_by")
_note_alive = Value[Json]("note_alive", "job_id", "worker_id")
_get_job = Value[Json]("get_job", "job_id", "timeline_limit")
_job_at = Value[Json]("job_at", "job_id", "seq", "timeline_limit")
_timeline = Rows(Event, "timeline", "job_id", "after_seq", "max_events", "event_kind", "event_kinds")
_timeline_before = Rows(Event, "timeline_before", "job_id", "before_seq", "max_events", "event_kinds")
_timeline_page = Value[Json]("timeline_page", "job_id", "after_seq", "max_events", "event_kind", "event_kinds")
_history = Rows(Step, "accumulation_history", "job_id", "field", "after_seq", "max_events")
_verify_job = Value[bool]("verify_job", "job_id")
_verify_differences = Rows(Difference, "verify_differences", "job_id")
_job_ids = Rows(_Id, "job_ids", "after_id", "max_jobs")
_list_jobs = Value[Json]("list_jobs", *_FILTERS, "updated_since", "q", "id_prefix", "max_jobs", "cursor", *_REGISTERED)
_newest_jobs = Value[Json]("newest_jobs", *_FILTERS, "q", "id_prefix", "max_jobs", "cursor", *_REGISTERED)
_job_changes = Value[list[Json]]("job_changes", ids="$1", seqs="$2::bigint[]", max_events="$3")


def create_job(
    connection: Connection, job_id: str, attributes: Mapping[str, Any] | None = None, *, parent: str | None = None
) -> Json:
    """Register a job and return it, with `created`: whether it is new. Registering it again changes nothing.

    `parent` is the job that it is part of. The attribute `series` says which crawl it is a run of.
    """
    return _create_job(connection, job_id, jsonb(attributes), parent)


def merge_progress(connection: Connection, job_id: str, payload: Mapping[str, Any]) -> Json:
    """Merge an update into its job, append it to the ledger, once, and return the acknowledgement.

    The job's row stays locked until the transaction ends. Update several jobs of one transaction in the order of their
    ids. An update with neither `updateId` nor `timestamp` counts each time it is given.
    """
    return _merge_progress(connection, job_id, jsonb(payload))


def merge_progress_batch(connection: Connection, updates: Iterable[Mapping[str, Any]]) -> list[Json]:
    """Merge at most 1,000 updates, each with its `taskId`, and return a result for each, in order.

    A result is an acknowledgement or, where that update was refused, `status` (the HTTP status), `error` and `details`.
    A refused update spoils none of the others.
    """
    return _merge_progress_batch(connection, jsonb([dict(update) for update in updates]))


def unseen_items(connection: Connection, job_id: str, item_type: str, keys: Sequence[str]) -> list[str]:
    """List those of at most 1,000 keys that a job has not counted yet for a type of items, in order, each once."""
    return _unseen_items(connection, job_id, item_type, list(keys))


def request_command(connection: Connection, job_id: str, command: str, *, requested_by: str | None = None) -> Json:
    """Ask a job's crawler to `pause`, `resume` or `cancel`, and return the job."""
    return _request_command(connection, job_id, command, requested_by)


def note_alive(connection: Connection, job_id: str, *, worker_id: str | None = None) -> str | None:
    """Note that a job's crawler is alive, and return the command that is pending, or None."""
    command: str | None = _note_alive(connection, job_id, worker_id)["command"]
    return command


def get_job(connection: Connection, job_id: str, *, timeline_limit: int | None = None) -> Json:
    """Return a job in the original's shape, with its newest `timeline_limit` events."""
    return _get_job(connection, job_id, timeline_limit)


def job_at(connection: Connection, job_id: str, seq: int, *, timeline_limit: int | None = None) -> Json:
    """Return a job as it was after its event `seq`; 0 is before the first."""
    return _job_at(connection, job_id, seq, timeline_limit)


def timeline(
    connection: Connection,
    job_id: str,
    *,
    after_seq: int | None = None,
    max_events: int | None = None,
    event_kind: str | None = None,
    event_kinds: Sequence[str] | None = None,
) -> list[Event]:
    """List a job's events after `after_seq` in the order of the ledger."""
    return _timeline(connection, job_id, after_seq, max_events, event_kind, array(event_kinds))


def timeline_before(
    connection: Connection,
    job_id: str,
    before_seq: int | None = None,
    *,
    max_events: int | None = None,
    event_kinds: Sequence[str] | None = None,
) -> list[Event]:
    """List a job's events before `before_seq`, the newest first."""
    return _timeline_before(connection, job_id, before_seq, max_events, array(event_kinds))


def timeline_page(
    connection: Connection,
    job_id: str,
    *,
    after_seq: int | None = None,
    max_events: int | None = None,
    event_kind: str | None = None,
    event_kinds: Sequence[str] | None = None,
) -> Json:
    """Return a page of a job's timeline as HTTP answers it: `events`, and `next`, the next page's `after_seq`."""
    return _timeline_page(connection, job_id, after_seq, max_events, event_kind, array(event_kinds))


def accumulation_history(
    connection: Connection, job_id: str, field: str, *, after_seq: int = 0, max_events: int = 100
) -> list[Step]:
    """List the updates that gave or changed a field of a job, such as `itemsByType.issues`."""
    return _history(connection, job_id, field, after_seq, max_events)


def verify_job(connection: Connection, job_id: str) -> bool:
    """Return whether a job's stored state is the fold of its ledger."""
    return _verify_job(connection, job_id)


def verify_differences(connection: Connection, job_id: str) -> list[Difference]:
    """List where a job's stored state differs from the fold of its ledger; an empty list means nowhere."""
    return _verify_differences(connection, job_id)


def job_ids(connection: Connection, *, after_id: str = "", max_jobs: int = 1000) -> list[str]:
    """List the ids of jobs after `after_id`, in the order of their bytes."""
    return [row.id for row in _job_ids(connection, after_id, max_jobs)]


def list_jobs(
    connection: Connection,
    *,
    status: str | None = None,
    stage: str | None = None,
    operation_type: str | None = None,
    current_data_type: str | None = None,
    item_type: str | None = None,
    updated_since: datetime | None = None,
    q: str | None = None,
    id_prefix: str | None = None,
    max_jobs: int | None = None,
    cursor: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    series: str | None = None,
    parent: str | None = None,
) -> Json:
    """Return a page of jobs, `{"jobs", "next"}`, in the order of their ids; an argument of None filters nothing.

    `attributes`: at most 8 attributes that the jobs were registered with; a text also matches a number or a boolean
    that is written so.
    """
    filters = (status, stage, operation_type, current_data_type, item_type, updated_since, q, id_prefix)
    return _list_jobs(connection, *filters, max_jobs, cursor, jsonb(attributes), series, parent)


def newest_jobs(
    connection: Connection,
    *,
    status: str | None = None,
    stage: str | None = None,
    operation_type: str | None = None,
    current_data_type: str | None = None,
    item_type: str | None = None,
    q: str | None = None,
    id_prefix: str | None = None,
    max_jobs: int | None = None,
    cursor: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    series: str | None = None,
    parent: str | None = None,
) -> Json:
    """Return a page of the overview, `{"jobs", "next"}`, the jobs registered last first."""
    filters = (status, stage, operation_type, current_data_type, item_type, q, id_prefix)
    return _newest_jobs(connection, *filters, max_jobs, cursor, jsonb(attributes), series, parent)


def job_changes(connection: Connection, known: Mapping[str, int], *, max_events: int | None = None) -> list[Json]:
    """List what changed in some jobs; `known` has each job's last known seq, or -1 where no events are wanted."""
    return _job_changes(connection, list(known), [str(seq) for seq in known.values()], max_events)
