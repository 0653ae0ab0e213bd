"""The stored functions, as Python functions: one each, and no logic of their own.

Each takes the caller's own psycopg connection and runs in whatever transaction that is in; none commits. So an update
can be part of the caller's transaction. Where a call is refused inside a transaction, that transaction is broken, as
PostgreSQL has it: wrap the call in `with connection.transaction():` to go on afterwards.

All raise `tallymark.TallymarkError`, most often one of its subclasses: `InvalidUpdate`, `JobNotFound`,
`PayloadTooLarge`, or `Unavailable` when the database is away or busy.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

from psycopg.types.json import Jsonb

from tallymark.functions import call
from tallymark.functions.call import Connection, Json, rows, value


class Event(NamedTuple):
    """An event of a job's timeline.

    Attributes:
        seq: Its number on its job, from 1, without gaps.
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
    """A place where a job's stored state is not what its ledger says.

    Attributes:
        seq: The event at which it shows.
        field: A member of `progress`, or a column of `tallymark.job`.
        stored: What the job's row holds.
        folded: What the ledger says.
    """

    seq: int
    field: str
    stored: Any
    folded: Any


def create_job(connection: Connection, job_id: str, attributes: Mapping[str, Any] | None = None) -> Json:
    """Register a job, so that crawlers can report on it. Registering it again changes nothing.

    Args:
        connection: Whose transaction this is part of.
        job_id: 1 to 255 characters.
        attributes: The registrar's own; `{"counting": "cumulative"}` makes running totals the default of its updates.

    Returns:
        The job as `get_job` gives it, and `created`: whether it is new.

    Raises:
        InvalidUpdate: The id or the attributes are not what they must be.
    """
    job: Json = value(connection, "SELECT tallymark.create_job(%s, %s)", job_id, call.json(attributes))
    return job


def merge_progress(connection: Connection, job_id: str, payload: Mapping[str, Any]) -> Json:
    """Merge an update into its job and append it to the job's ledger, once.

    The job's row stays locked until the transaction ends. Update several jobs of one transaction in the order of their
    ids. An update with neither `updateId` nor `timestamp` counts each time that it is given.

    Args:
        connection: Whose transaction this is part of.
        job_id: A registered job.
        payload: The update, with the members of the wire protocol; `taskId` may be left out.

    Returns:
        The acknowledgement: `seq`, `duplicate`, `warnings`, `command` and so on.

    Raises:
        InvalidUpdate: The update is not what the wire protocol asks for; `details` has every problem.
        JobNotFound: There is no such job.
        PayloadTooLarge: It takes more bytes than are taken.
    """
    answer: Json = value(connection, "SELECT tallymark.merge_progress(%s, %s)", job_id, call.json(payload))
    return answer


def merge_progress_batch(connection: Connection, updates: Iterable[Mapping[str, Any]]) -> list[Json]:
    """Merge many updates of any jobs at once; one that is refused spoils none of the others.

    The jobs' rows stay locked until the transaction ends.

    Args:
        connection: Whose transaction this is part of.
        updates: At most 1000, each with its `taskId`.

    Returns:
        A result for each, in order: the acknowledgement of `merge_progress`; or, for one that was refused, `status` (a
        number, the HTTP status that it would have had alone), `error` and `details`.

    Raises:
        PayloadTooLarge: They are more than 1000.
    """
    results: list[Json] = value(
        connection, "SELECT tallymark.merge_progress_batch(%s)", Jsonb([dict(update) for update in updates])
    )
    return results


def request_command(connection: Connection, job_id: str, command: str, *, requested_by: str | None = None) -> Json:
    """Ask something of a job's crawler; every acknowledgement carries it until it is obeyed.

    Args:
        connection: Whose transaction this is part of.
        job_id: A registered job.
        command: `pause`, `resume` or `cancel`.
        requested_by: Who asks, for the record.

    Returns:
        The job as `get_job` gives it.

    Raises:
        InvalidUpdate: There is no such command.
        JobNotFound: There is no such job.
        Conflict: The job has ended.
    """
    job: Json = value(connection, "SELECT tallymark.request_command(%s, %s, %s)", job_id, command, requested_by)
    return job


def get_job(connection: Connection, job_id: str, *, timeline_limit: int | None = None) -> Json:
    """Give a whole job in the original's shape.

    Args:
        connection: Whose transaction this is part of.
        job_id: A registered job.
        timeline_limit: How many of its newest events go along; None is the stored function's default.

    Returns:
        The job.

    Raises:
        JobNotFound: There is no such job.
    """
    job: Json = value(connection, "SELECT tallymark.get_job(%s, %s)", job_id, timeline_limit)
    return job


def timeline(
    connection: Connection,
    job_id: str,
    *,
    after_seq: int | None = None,
    max_events: int | None = None,
    event_kind: str | None = None,
    event_kinds: Sequence[str] | None = None,
) -> list[Event]:
    """Give events of a job in the order of its ledger.

    Args:
        connection: Whose transaction this is part of.
        job_id: A registered job.
        after_seq: The number of the last event already seen; None for those from the first on.
        max_events: How many at most; None is the stored function's default.
        event_kind: Only events of this kind; None for all.
        event_kinds: Only events of one of these kinds; None for all.

    Returns:
        The events.

    Raises:
        JobNotFound: There is no such job.
    """
    query: LiteralString = "SELECT * FROM tallymark.timeline(%s, %s, %s, %s, %s::text[])"
    parameters = (job_id, after_seq, max_events, event_kind, _array(event_kinds))
    return [Event(*row) for row in rows(connection, query, *parameters)]


def timeline_before(
    connection: Connection,
    job_id: str,
    before_seq: int | None = None,
    *,
    max_events: int | None = None,
    event_kinds: Sequence[str] | None = None,
) -> list[Event]:
    """Give events of a job against the order of its ledger, the newest first.

    Args:
        connection: Whose transaction this is part of.
        job_id: A registered job.
        before_seq: Only events with smaller numbers; None for those from the last on.
        max_events: How many at most; None is the stored function's default.
        event_kinds: Only events of one of these kinds; None for all.

    Returns:
        The events.

    Raises:
        JobNotFound: There is no such job.
    """
    query: LiteralString = "SELECT * FROM tallymark.timeline_before(%s, %s::bigint, %s::integer, %s::text[])"
    return [Event(*row) for row in rows(connection, query, job_id, before_seq, max_events, _array(event_kinds))]


def timeline_page(
    connection: Connection,
    job_id: str,
    *,
    after_seq: int | None = None,
    max_events: int | None = None,
    event_kind: str | None = None,
    event_kinds: Sequence[str] | None = None,
) -> Json:
    """Give a page of a job's timeline as HTTP gives it.

    Args:
        connection: Whose transaction this is part of.
        job_id: A registered job.
        after_seq: The number of the last event already seen; None for those from the first on.
        max_events: How many at most; None is the stored function's default.
        event_kind: Only events of this kind; None for all.
        event_kinds: Only events of one of these kinds; None for all.

    Returns:
        `events`, and `next`: the `after_seq` of the next page, or None.

    Raises:
        JobNotFound: There is no such job.
    """
    query: LiteralString = "SELECT tallymark.timeline_page(%s, %s, %s, %s, %s::text[])"
    page: Json = value(connection, query, job_id, after_seq, max_events, event_kind, _array(event_kinds))
    return page


def verify_job(connection: Connection, job_id: str) -> bool:
    """Say whether a job's stored state is the fold of its ledger.

    Args:
        connection: Whose transaction this is part of.
        job_id: A registered job.

    Returns:
        Whether it is; `verify_differences` says where not.

    Raises:
        JobNotFound: There is no such job.
    """
    return bool(value(connection, "SELECT tallymark.verify_job(%s)", job_id))


def verify_differences(connection: Connection, job_id: str) -> list[Difference]:
    """List where a job's stored state is not what its ledger says.

    Args:
        connection: Whose transaction this is part of.
        job_id: A registered job.

    Returns:
        The differences; empty where all is well.

    Raises:
        JobNotFound: There is no such job.
    """
    query: LiteralString = "SELECT * FROM tallymark.verify_differences(%s)"
    return [Difference(*row) for row in rows(connection, query, job_id)]


def job_ids(connection: Connection, *, after_id: str = "", max_jobs: int = 1000) -> list[str]:
    """List the ids of all jobs in the order of their bytes, a page at a time.

    Args:
        connection: Whose transaction this is part of.
        after_id: The last id already seen; the empty one for those from the first on.
        max_jobs: How many at most, up to 10,000.

    Returns:
        The ids; empty after the last one.
    """
    query: LiteralString = "SELECT id FROM tallymark.job_ids(%s, %s)"
    return [job_id for (job_id,) in rows(connection, query, after_id, max_jobs)]


def _array(texts: Sequence[str] | None) -> list[str] | None:
    """Return texts as an array of PostgreSQL's."""
    return None if texts is None else list(texts)
