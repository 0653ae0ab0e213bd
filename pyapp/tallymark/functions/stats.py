"""The stored functions that read across jobs, as Python functions, as in `functions.jobs`.

Each takes the caller's own psycopg connection, and none commits.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import LiteralString, NamedTuple

from tallymark.functions.call import Connection, Json, rows, value


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
        trend: How many there were in each of 24 equal parts of the time asked for, the oldest first.
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
    trend: list[int]


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


class Minute(NamedTuple):
    """What was reported in a minute.

    Attributes:
        minute: When it began.
        events: How many events were recorded.
        errors: How many of them are errors that crawlers reported.
        jobs: Of how many jobs the events are.
    """

    minute: datetime
    events: int
    errors: int
    jobs: int


class BusyJob(NamedTuple):
    """A running job, and how often it is reported on.

    Attributes:
        id: The job.
        per_minute: How many updates come in a minute; None where that cannot be told.
        median_gap: The median of the time from one to the next; None below two updates.
        long_gap: The 95th percentile of it.
        last_update: When the last one was recorded; None where there is none.
    """

    id: str
    per_minute: Decimal | None
    median_gap: timedelta | None
    long_gap: timedelta | None
    last_update: datetime | None


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


def recent_failures(
    connection: Connection, *, since: datetime | None = None, max_jobs: int = 20, id_prefix: str | None = None
) -> list[Json]:
    """List the jobs that failed last, and have not been heard of since.

    Args:
        connection: Whose transaction this is part of.
        since: Only those that failed since; None for the last 24 hours.
        max_jobs: How many at most, up to 1,000.
        id_prefix: Only jobs whose ids begin like this; None for all.

    Returns:
        The jobs as `newest_jobs` has them, the one that failed last first.
    """
    query: LiteralString = "SELECT tallymark.recent_failures(%s::timestamptz, %s, %s)"
    found: list[Json] = value(connection, query, since, max_jobs, id_prefix)["jobs"]
    return found


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


def jobs_by_status(connection: Connection, *, id_prefix: str | None = None, at_most: int | None = None) -> Json:
    """Count the jobs of each status.

    Args:
        connection: Whose transaction this is part of.
        id_prefix: Only jobs whose ids begin like this; None for all.
        at_most: Up to how many are counted of each status; None for all.

    Returns:
        `statuses`, each with `jobs` and whether there are `more`, and `jobs` and `more` of all of them.
    """
    counts: Json = value(connection, "SELECT tallymark.jobs_by_status(%s, %s::integer)", id_prefix, at_most)
    return counts


def events_per_minute(connection: Connection, *, minutes: int = 30, id_prefix: str | None = None) -> list[Minute]:
    """Tell what was reported in each of the last minutes.

    Args:
        connection: Whose transaction this is part of.
        minutes: How many, up to 1,440, the one that is not yet full among them.
        id_prefix: Only jobs whose ids begin like this; None for all.

    Returns:
        The minutes, the oldest first.
    """
    query: LiteralString = "SELECT * FROM tallymark.events_per_minute(%s, %s)"
    return [Minute(*row) for row in rows(connection, query, minutes, id_prefix)]


def busiest_jobs(connection: Connection, *, max_jobs: int = 20, id_prefix: str | None = None) -> list[BusyJob]:
    """List the running jobs that are reported on most often.

    Args:
        connection: Whose transaction this is part of.
        max_jobs: How many at most, up to 500.
        id_prefix: Only jobs whose ids begin like this; None for all.

    Returns:
        The jobs, the most frequently reported first.
    """
    query: LiteralString = "SELECT * FROM tallymark.busiest_jobs(%s, %s)"
    return [BusyJob(*row) for row in rows(connection, query, max_jobs, id_prefix)]


def verify_newest(
    connection: Connection, *, max_jobs: int = 20, most_events: int = 10_000, id_prefix: str | None = None
) -> Json:
    """Compare the jobs that were registered last with the folds of their ledgers.

    Args:
        connection: Whose transaction this is part of.
        max_jobs: How many at most, up to 1,000.
        most_events: How many events are read for it in all; jobs with more than are left are skipped.
        id_prefix: Only jobs whose ids begin like this; None for all.

    Returns:
        `checked`, `exact`, `differing`: the ids of those that are not what their ledgers say, and `skipped`.
    """
    query: LiteralString = "SELECT tallymark.verify_newest(%s, %s, %s)"
    found: Json = value(connection, query, max_jobs, most_events, id_prefix)
    return found


def database_figures(connection: Connection) -> Json:
    """Tell how large the database is.

    Args:
        connection: Whose transaction this is part of.

    Returns:
        `version`, `bytes`, `startedAt`, `replica` and `tables`.
    """
    figures: Json = value(connection, "SELECT tallymark.database_figures()")
    return figures
