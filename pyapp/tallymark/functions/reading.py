"""The stored functions that list jobs and read their ledgers, as Python functions, as in `functions.jobs`.

Each takes the caller's own psycopg connection, and none commits.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, LiteralString, NamedTuple

from tallymark.functions.call import Connection, Json, rows, value


class Step(NamedTuple):
    """An update that gave a field of a job, or changed it.

    Attributes:
        seq: The number of its event.
        timestamp: When it happened, by the crawler's clock.
        event: The kind of its event.
        given: What the update gave; None where the field followed from something else.
        value: What the job had after it.
    """

    seq: int
    timestamp: datetime
    event: str
    given: Any
    value: Any


class Stage(NamedTuple):
    """A stage that a job was in, once.

    Attributes:
        stage: Its name.
        seq: The number of the event that entered it.
        started_at: When that was, by the crawler's clock.
        ended_at: When it was left; None for the one that the job is in.
        seconds: How long it lasted, or has lasted.
    """

    stage: str
    seq: int
    started_at: datetime
    ended_at: datetime | None
    seconds: Decimal


class Frequency(NamedTuple):
    """How often a job is reported on.

    Attributes:
        updates: How many of its newest updates were looked at.
        per_minute: How many come in a minute; None where that cannot be told.
        median_gap: The median of the time from one to the next; None below two updates.
        long_gap: The 95th percentile of it.
        last_update: When the last one was recorded; None where there is none.
    """

    updates: int
    per_minute: Decimal | None
    median_gap: timedelta | None
    long_gap: timedelta | None
    last_update: datetime | None


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
) -> Json:
    """List jobs in the order of the bytes of their ids, a page at a time. What is None confines nothing.

    Args:
        connection: Whose transaction this is part of.
        status: That of the job.
        stage: The stage it is in.
        operation_type: What it is doing.
        current_data_type: What it is at.
        item_type: A type that it has counted.
        updated_since: Something was recorded of it since.
        q: A part of its id.
        id_prefix: How its id begins.
        max_jobs: How many at most, up to 1,000.
        cursor: The `next` of the page before.

    Returns:
        `jobs`, as `get_job` gives them but without timeline, and `next`: the cursor of the next page, or None.

    Raises:
        InvalidUpdate: The cursor is none.
    """
    query: LiteralString = (
        "SELECT tallymark.list_jobs(%s, %s, %s, %s, %s, %s::timestamptz, %s, %s, %s::integer, cursor => %s)"
    )
    filters = (status, stage, operation_type, current_data_type, item_type, updated_since, q, id_prefix)
    page: Json = value(connection, query, *filters, max_jobs, cursor)
    return page


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
) -> Json:
    """List jobs as an overview shows them, a page at a time, those first that were registered last.

    Args:
        connection: Whose transaction this is part of.
        status: As those of `list_jobs`, and so the next ones.
        stage: The stage it is in.
        operation_type: What it is doing.
        current_data_type: What it is at.
        item_type: A type that it has counted.
        q: A part of its id.
        id_prefix: How its id begins.
        max_jobs: How many at most, up to 1,000.
        cursor: The `next` of the page before.

    Returns:
        `jobs`, each with the little that a line shows, and `next`: the cursor of the next page, or None.

    Raises:
        InvalidUpdate: The cursor is none.
    """
    query: LiteralString = "SELECT tallymark.newest_jobs(%s, %s, %s, %s, %s, %s, %s, %s::integer, cursor => %s)"
    filters = (status, stage, operation_type, current_data_type, item_type, q, id_prefix)
    page: Json = value(connection, query, *filters, max_jobs, cursor)
    return page


def job_changes(
    connection: Connection, known: Mapping[str, int], *, max_events: int | None = None
) -> list[dict[str, Any]]:
    """Tell what happened to some jobs since the caller last asked.

    Args:
        connection: Whose transaction this is part of.
        known: The jobs, each with the number of the last event that is known; -1 for none, and no events are wanted.
        max_events: How many of a job's newest events go along; None is the stored function's default.

    Returns:
        For each job with another last event `id`, `lastSeq`, `tag`, `job`, `events`, `skipped`; for one that is not
        there `id` and `gone`.
    """
    query: LiteralString = "SELECT tallymark.job_changes(%s::text[], %s::bigint[], %s::integer)"
    found: list[dict[str, Any]] = value(connection, query, list(known), list(known.values()), max_events)
    return found


def job_at(connection: Connection, job_id: str, seq: int, *, timeline_limit: int | None = None) -> Json:
    """Give a job as it was after one of its events.

    Args:
        connection: Whose transaction this is part of.
        job_id: A registered job.
        seq: The number of the event; 0 for before the first.
        timeline_limit: How many of the newest events up to then go along; None is the stored function's default.

    Returns:
        The job as `get_job` gives it, without what no event tells.

    Raises:
        JobNotFound: There is no such job.
        InvalidUpdate: It has no such event.
    """
    job: Json = value(connection, "SELECT tallymark.job_at(%s, %s, %s::integer)", job_id, seq, timeline_limit)
    return job


def accumulation_history(
    connection: Connection, job_id: str, field: str, *, after_seq: int = 0, max_events: int = 100
) -> list[Step]:
    """Tell how a field of a job came to be what it is, in the order of the ledger.

    Args:
        connection: Whose transaction this is part of.
        job_id: A registered job.
        field: Such as `processedItems`, `itemsByType.issues`, `stage` or `status`.
        after_seq: The number of the last event already seen.
        max_events: How many at most, up to 1,000.

    Returns:
        The updates that gave the field or changed it.

    Raises:
        JobNotFound: There is no such job.
    """
    query: LiteralString = "SELECT * FROM tallymark.accumulation_history(%s, %s, %s, %s)"
    return [Step(*row) for row in rows(connection, query, job_id, field, after_seq, max_events)]


def job_rate(connection: Connection, job_id: str, *, recent: timedelta | None = None) -> Json:
    """Tell how fast a running job is going, and when it will be done.

    Args:
        connection: Whose transaction this is part of.
        job_id: A registered job.
        recent: Over how long; None is the stored function's default.

    Returns:
        `itemsPerSecond`, `low`, `high`, `itemsLeft`, `etaSeconds`, `etaSecondsLow`, `etaSecondsHigh`, `eta` and so on.

    Raises:
        JobNotFound: There is no such job.
        InvalidUpdate: `recent` is no time at all.
    """
    rate: Json = value(connection, "SELECT tallymark.job_rate(%s, %s::interval)", job_id, recent)
    return rate


def job_rates(connection: Connection, ids: Iterable[str], *, recent: timedelta | None = None) -> Json:
    """Tell how fast several jobs are going.

    Args:
        connection: Whose transaction this is part of.
        ids: The jobs, at most 100; those that are not there are passed over.
        recent: Over how long; None is the stored function's default.

    Returns:
        `rates`: under each id what `job_rate` gives.

    Raises:
        InvalidUpdate: `recent` is no time at all, or there are too many jobs.
    """
    rates: Json = value(connection, "SELECT tallymark.job_rates(%s::text[], %s::interval)", list(ids), recent)
    return rates


def stage_durations(connection: Connection, job_id: str) -> list[Stage]:
    """Tell how long a job was in each of its stages.

    Args:
        connection: Whose transaction this is part of.
        job_id: A registered job.

    Returns:
        The stages in the order of the ledger, once for each time that one was entered.

    Raises:
        JobNotFound: There is no such job.
    """
    query: LiteralString = "SELECT * FROM tallymark.stage_durations(%s)"
    return [Stage(*row) for row in rows(connection, query, job_id)]


def update_frequency(connection: Connection, job_id: str, *, max_updates: int = 100) -> Frequency:
    """Tell how often a job is reported on.

    Args:
        connection: Whose transaction this is part of.
        job_id: A registered job.
        max_updates: How many of its newest updates count.

    Returns:
        How often.

    Raises:
        JobNotFound: There is no such job.
    """
    query: LiteralString = "SELECT * FROM tallymark.update_frequency(%s, %s)"
    [row] = rows(connection, query, job_id, max_updates)
    return Frequency(*row)
