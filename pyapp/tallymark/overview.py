"""The stored functions that read across jobs, as Python functions, in the manner of `tallymark.api`.

Each takes the caller's own psycopg connection, and none commits.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import LiteralString, NamedTuple

from tallymark.calling import Connection, rows


class ErrorGroup(NamedTuple):
    """Errors that are alike.

    Attributes:
        type: Their type, if they have one.
        message: Their message, without what differs.
        errors: How many there were.
        jobs: On how many jobs.
        first_seen: When the first of them was recorded.
        last_seen: When the last one was.
        sample_job: The job of the newest.
        sample_seq: The number of its event.
        sample: Its message.
    """

    type: str | None
    message: str | None
    errors: int
    jobs: int
    first_seen: datetime
    last_seen: datetime
    sample_job: str
    sample_seq: int
    sample: str | None


class StalledJob(NamedTuple):
    """A running job that has fallen silent.

    Attributes:
        id: The job.
        last_update: When its last update was recorded.
        silent: For how long it has been silent.
        allowed: For how long it may be.
        long_gap: What that was made of, its habit; None where it has none yet.
    """

    id: str
    last_update: datetime
    silent: timedelta
    allowed: timedelta
    long_gap: timedelta | None


class Area(NamedTuple):
    """An area that jobs discovered.

    Attributes:
        path: What tells it from others.
        parent: The path of the area it belongs to; None at the top.
        depth: How far below the first one.
        type: Such as `group` or `project`.
        name: Its name, if one was given.
        jobs: How many jobs discovered it.
    """

    path: str
    parent: str | None
    depth: int
    type: str
    name: str | None
    jobs: int


class Day(NamedTuple):
    """The jobs that ended on a day, in UTC.

    Attributes:
        day: The day.
        finished: How many finished.
        failed: How many failed.
        cancelled: How many were cancelled.
        items: What all of them processed.
        median_duration: From the first report to the end; None where none ended.
        success_rate: Of those that finished or failed, 0 to 1; None where there are none.
    """

    day: date
    finished: int
    failed: int
    cancelled: int
    items: Decimal
    median_duration: timedelta | None
    success_rate: Decimal | None


def error_groups(
    connection: Connection, *, since: datetime | None = None, max_groups: int = 100, id_prefix: str | None = None
) -> list[ErrorGroup]:
    """Group the errors that crawlers reported, like with like.

    Args:
        connection: Whose transaction this is part of.
        since: Only what was recorded since; None for the last 24 hours.
        max_groups: How many at most, up to 1,000.
        id_prefix: Only jobs whose ids begin like this; None for all.

    Returns:
        The groups, those with the most errors first.
    """
    query: LiteralString = "SELECT * FROM tallymark.error_groups(%s::timestamptz, %s, %s)"
    return [ErrorGroup(*row) for row in rows(connection, query, since, max_groups, id_prefix)]


def stalled_jobs(connection: Connection, *, id_prefix: str | None = None, max_jobs: int = 1000) -> list[StalledJob]:
    """List the running jobs that have been silent for longer than their own habit allows.

    Args:
        connection: Whose transaction this is part of.
        id_prefix: Only jobs whose ids begin like this; None for all.
        max_jobs: How many at most, up to 10,000.

    Returns:
        The jobs, the longest silent first.
    """
    query: LiteralString = "SELECT * FROM tallymark.stalled_jobs(id_prefix => %s, max_jobs => %s)"
    return [StalledJob(*row) for row in rows(connection, query, id_prefix, max_jobs)]


def areas_tree(
    connection: Connection,
    root_path: str | None = None,
    *,
    max_depth: int | None = None,
    max_areas: int = 1000,
    id_prefix: str | None = None,
) -> list[Area]:
    """List the areas that jobs discovered, each followed by those that belong to it.

    Args:
        connection: Whose transaction this is part of.
        root_path: The area to begin with; None for all at the top.
        max_depth: How far below these; None for all the way.
        max_areas: How many at most, up to 10,000.
        id_prefix: Only what jobs discovered whose ids begin like this; None for all.

    Returns:
        The areas.
    """
    query: LiteralString = "SELECT * FROM tallymark.areas_tree(%s, %s::integer, %s, %s)"
    return [Area(*row) for row in rows(connection, query, root_path, max_depth, max_areas, id_prefix)]


def job_areas(connection: Connection, job_id: str, *, max_areas: int = 1000) -> list[Area]:
    """List the areas that a job discovered, each followed by those that belong to it.

    Args:
        connection: Whose transaction this is part of.
        job_id: A registered job.
        max_areas: How many at most, up to 10,000.

    Returns:
        The areas.

    Raises:
        JobNotFound: There is no such job.
    """
    query: LiteralString = "SELECT * FROM tallymark.job_areas(%s, %s)"
    return [Area(*row) for row in rows(connection, query, job_id, max_areas)]


def jobs_per_day(connection: Connection, *, days: int = 30, id_prefix: str | None = None) -> list[Day]:
    """Tell how many jobs ended on each of the last days.

    Args:
        connection: Whose transaction this is part of.
        days: How many days, today among them.
        id_prefix: Only jobs whose ids begin like this; None for all.

    Returns:
        The days, the oldest first.
    """
    query: LiteralString = "SELECT * FROM tallymark.jobs_per_day(%s, %s)"
    return [Day(*row) for row in rows(connection, query, days, id_prefix)]
