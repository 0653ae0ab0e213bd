"""Rates, stages, errors, areas and counts, of a job or across jobs. docs/sql-api.md describes each function.

Each takes the caller's own connection, as in `functions.jobs`. `id_prefix` keeps to jobs whose ids begin with it.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from tallymark.functions.call import Connection, Json, Rows, Value


class Stage(NamedTuple):
    """A time that a job spent in a stage.

    Attributes:
        stage: Its name.
        seq: The seq of the event that entered it.
        started_at: When that was, by the crawler's clock.
        ended_at: When it was left; None for the current one.
        seconds: How long it lasted, or has lasted so far.
    """

    stage: str
    seq: int
    started_at: datetime
    ended_at: datetime | None
    seconds: Decimal


class Waited(NamedTuple):
    """How long a job has waited for a reason.

    Attributes:
        reason: The reason; None where none was given.
        waits: How many updates reported it.
        seconds: How long it has waited in all, up to now.
        last_at: When the last wait began, by the crawler's clock.
        is_current: Whether the job waits for it now.
    """

    reason: str | None
    waits: int
    seconds: Decimal
    last_at: datetime
    is_current: bool


class Frequency(NamedTuple):
    """How often a job is reported on.

    Attributes:
        updates: How many of its newest updates were looked at.
        per_minute: Updates a minute; None where there are too few.
        median_gap: The median time between two updates; None below two.
        long_gap: The 95th percentile of that time.
        last_update: When the last one was recorded; None where there is none.
    """

    updates: int
    per_minute: Decimal | None
    median_gap: timedelta | None
    long_gap: timedelta | None
    last_update: datetime | None


class BusyJob(NamedTuple):
    """A running job and how often it is reported on: its id, and then the members of `Frequency`."""

    id: str
    per_minute: Decimal | None
    median_gap: timedelta | None
    long_gap: timedelta | None
    last_update: datetime | None


class ErrorGroup(NamedTuple):
    """Errors of one type whose messages differ only in numbers, ids and the like.

    Attributes:
        type: Their type, if they have one.
        message: Their message, with placeholders for what differs.
        errors: How many there were.
        jobs: On how many jobs.
        first_seen: When the first was recorded.
        last_seen: When the last was recorded.
        sample_job: The job of the newest.
        sample_seq: The seq of its event.
        sample: Its message.
        trend: How many there were in each 24th of the time asked for, the oldest first.
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
    """A job that has been silent for too long.

    Attributes:
        id: The job.
        last_update: When its last update was recorded; when it was registered where there was none.
        silent: How long it has been silent.
        allowed: How long it may be.
        long_gap: The usual gap that this follows from; None where there are too few updates.
        state: `stuck`: signs of life come and updates do not; `silent`: neither comes; or `never_reported`.
        since: From when on its silence counts: after a wait, from the end that its crawler gave.
        alive_at: When the last sign of life came; None where none ever did.
        wait_until: Until when a waiting job said that it waits; None for any other.
        reason: What a waiting job waits for; None where it did not say.
    """

    id: str
    last_update: datetime
    silent: timedelta
    allowed: timedelta
    long_gap: timedelta | None
    state: str
    since: datetime
    alive_at: datetime | None
    wait_until: datetime | None
    reason: str | None


class Area(NamedTuple):
    """An area that jobs discovered.

    Attributes:
        path: Its full path, which identifies it.
        parent: The path of the area that contains it; None at the top.
        depth: How many levels below the first one.
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
        items: How many items they processed in all.
        median_duration: From first report to end; None where none ended.
        success_rate: The share of the finished among finished and failed, 0 to 1; None where there are none.
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
        errors: How many of them are errors.
        jobs: How many jobs they belong to.
    """

    minute: datetime
    events: int
    errors: int
    jobs: int


_job_rate = Value[Json]("job_rate", "job_id", "recent")
_job_rates = Value[Json]("job_rates", "ids", "recent")
_stage_durations = Rows(Stage, "stage_durations", "job_id")
_update_frequency = Rows(Frequency, "update_frequency", "job_id", "max_updates")
_busiest_jobs = Rows(BusyJob, "busiest_jobs", "max_jobs", "id_prefix")
_error_groups = Rows(ErrorGroup, "error_groups", "since", "max_groups", "id_prefix")
_waiting_times = Rows(Waited, "waiting_times", "job_id")
_job_liveness = Value[Json]("job_liveness", "job_id", "never_reported")
_stalled_jobs = Rows(StalledJob, "stalled_jobs", "id_prefix", "max_jobs", "never_reported")
_recent_failures = Value[Json]("recent_failures", "since", "max_jobs", "id_prefix")
_family = Value[Json]("family", "job_id", "max_jobs", "cursor", "id_prefix")
_series_runs = Value[Json]("series_runs", "series", "max_runs", "id_prefix")
_job_series = Value[Json]("job_series", "job_id", "other_id", "max_runs", "id_prefix")
_areas_tree = Rows(Area, "areas_tree", "root_path", "max_depth", "max_areas", "id_prefix")
_job_areas = Rows(Area, "job_areas", "job_id", "max_areas")
_jobs_per_day = Rows(Day, "jobs_per_day", "days", "id_prefix")
_jobs_by_status = Value[Json]("jobs_by_status", "id_prefix", "at_most")
_events_per_minute = Rows(Minute, "events_per_minute", "minutes", "id_prefix")
_verify_newest = Value[Json]("verify_newest", "max_jobs", "most_events", "id_prefix")
_database_figures = Value[Json]("database_figures")


def job_rate(connection: Connection, job_id: str, *, recent: timedelta | None = None) -> Json:
    """Return how fast a running job goes and when it will be done, by its updates in the `recent` time."""
    return _job_rate(connection, job_id, recent)


def job_rates(connection: Connection, ids: Iterable[str], *, recent: timedelta | None = None) -> Json:
    """Return `rates`: for each of at most 100 jobs what `job_rate` returns; unknown jobs are left out."""
    return _job_rates(connection, list(ids), recent)


def stage_durations(connection: Connection, job_id: str) -> list[Stage]:
    """List the stages that a job went through, in the order of the ledger."""
    return _stage_durations(connection, job_id)


def update_frequency(connection: Connection, job_id: str, *, max_updates: int = 100) -> Frequency:
    """Return how often a job is reported on, by its newest updates."""
    [found] = _update_frequency(connection, job_id, max_updates)
    return found


def busiest_jobs(connection: Connection, *, max_jobs: int = 20, id_prefix: str | None = None) -> list[BusyJob]:
    """List running jobs, the most frequently reported first."""
    return _busiest_jobs(connection, max_jobs, id_prefix)


def error_groups(
    connection: Connection, *, since: datetime | None = None, max_groups: int = 100, id_prefix: str | None = None
) -> list[ErrorGroup]:
    """Group the errors recorded since a time, 24 hours ago by default; the largest groups first."""
    return _error_groups(connection, since, max_groups, id_prefix)


def waiting_times(connection: Connection, job_id: str) -> list[Waited]:
    """List what a job has waited for, the longest first."""
    return _waiting_times(connection, job_id)


def job_liveness(connection: Connection, job_id: str, *, never_reported: timedelta | None = None) -> Json:
    """Return whether a job works, waits, is stuck or is silent, and what it has waited for."""
    return _job_liveness(connection, job_id, never_reported)


def stalled_jobs(
    connection: Connection,
    *,
    id_prefix: str | None = None,
    max_jobs: int = 1000,
    never_reported: timedelta | None = None,
) -> list[StalledJob]:
    """List jobs that are stuck or silent, the longest silent first, then those that were never reported on.

    `never_reported` is how long after its registration a job must be reported on, an hour by default, 0 for never.
    """
    return _stalled_jobs(connection, id_prefix, max_jobs, never_reported)


def recent_failures(
    connection: Connection, *, since: datetime | None = None, max_jobs: int = 20, id_prefix: str | None = None
) -> list[Json]:
    """List jobs that failed since a time, 24 hours ago by default, and were not reported on after; newest first."""
    failed: list[Json] = _recent_failures(connection, since, max_jobs, id_prefix)["jobs"]
    return failed


def family(
    connection: Connection,
    job_id: str,
    *,
    max_jobs: int | None = None,
    cursor: str | None = None,
    id_prefix: str | None = None,
) -> Json:
    """Add up the jobs that are part of a job, as they are at this moment, and list a page of them as `jobs`."""
    return _family(connection, job_id, max_jobs, cursor, id_prefix)


def series_runs(
    connection: Connection, series: str, *, max_runs: int | None = None, id_prefix: str | None = None
) -> Json:
    """Return the `runs` of a series, the newest first, and its `rhythm`."""
    return _series_runs(connection, series, max_runs, id_prefix)


def job_series(
    connection: Connection,
    job_id: str,
    *,
    other_id: str | None = None,
    max_runs: int | None = None,
    id_prefix: str | None = None,
) -> Json:
    """Return a job beside the runs of its series before it, with a `comparison`, and another job if one is named."""
    return _job_series(connection, job_id, other_id, max_runs, id_prefix)


def areas_tree(
    connection: Connection,
    root_path: str | None = None,
    *,
    max_depth: int | None = None,
    max_areas: int = 1000,
    id_prefix: str | None = None,
) -> list[Area]:
    """List the areas that jobs discovered, from a root down, each followed by those inside it."""
    return _areas_tree(connection, root_path, max_depth, max_areas, id_prefix)


def job_areas(connection: Connection, job_id: str, *, max_areas: int = 1000) -> list[Area]:
    """List the areas that a job discovered, each followed by those inside it."""
    return _job_areas(connection, job_id, max_areas)


def jobs_per_day(connection: Connection, *, days: int = 30, id_prefix: str | None = None) -> list[Day]:
    """Count the jobs that ended on each of the last days, today included; the oldest day first."""
    return _jobs_per_day(connection, days, id_prefix)


def jobs_by_status(connection: Connection, *, id_prefix: str | None = None, at_most: int | None = None) -> Json:
    """Count the jobs of each status, each up to `at_most`: `statuses`, `jobs`, and whether there are `more`."""
    return _jobs_by_status(connection, id_prefix, at_most)


def events_per_minute(connection: Connection, *, minutes: int = 30, id_prefix: str | None = None) -> list[Minute]:
    """Count what was reported in each of the last minutes, the current one included; the oldest first."""
    return _events_per_minute(connection, minutes, id_prefix)


def verify_newest(
    connection: Connection, *, max_jobs: int = 20, most_events: int = 10_000, id_prefix: str | None = None
) -> Json:
    """Verify the jobs registered last, reading at most so many events: `checked`, `exact`, `differing`, `skipped`."""
    return _verify_newest(connection, max_jobs, most_events, id_prefix)


def database_figures(connection: Connection) -> Json:
    """Return the database's `version`, `bytes`, `startedAt`, `replica`, `tables`, and `nodes` if it is distributed."""
    return _database_figures(connection)
