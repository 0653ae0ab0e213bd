"""The stored functions of retention, as Python functions: one each, and no logic of their own.

As in `functions.jobs`, they take the caller's own connection and run in its transaction. They need tallymark_admin.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from tallymark.functions.call import Connection, Json, rows, value


class Prunable(NamedTuple):
    """A job with events that are old enough.

    Attributes:
        id: The job.
        events: How many they are.
    """

    id: str
    events: int


class Pruned(NamedTuple):
    """What one call pruned.

    Attributes:
        events: How many events became part of the baseline.
        pruned_seq: The number of the last event that is in the ledger no more.
        more: Whether it is worth calling again.
    """

    events: int
    pruned_seq: int
    more: bool


class Ended(NamedTuple):
    """A job that has ended.

    Attributes:
        id: The job.
        last_seq: The number of its last event.
        ended_at: When it ended, by its crawler's clock.
    """

    id: str
    last_seq: int
    ended_at: datetime


def prunable_events(
    connection: Connection, ids: Sequence[str], older_than: datetime, *, keep_newest: int | None = None
) -> list[Prunable]:
    """Say how many events of some jobs may be pruned.

    Args:
        connection: Whose transaction this is part of.
        ids: The jobs.
        older_than: Events that were recorded before this are old.
        keep_newest: How many of a job's newest events stay however old they are; None is 100.

    Returns:
        Those of them that have any.

    Raises:
        TallymarkError: The database is away, or the caller is no admin.
    """
    found = rows(
        connection,
        "SELECT id, events FROM tallymark.prunable_events(%s::text[], %s::timestamptz, %s::integer)",
        list(ids),
        older_than,
        keep_newest,
    )
    return [Prunable(*row) for row in found]


def prune_job(
    connection: Connection,
    job_id: str,
    older_than: datetime,
    *,
    keep_newest: int | None = None,
    max_events: int | None = None,
) -> Pruned:
    """Fold the oldest events of a job into its baseline. Call after call, each in a transaction of its own.

    Args:
        connection: Whose transaction this is part of.
        job_id: The job.
        older_than: Events that were recorded before this are old.
        keep_newest: How many of its newest events stay however old they are; None is 100.
        max_events: How many are taken at most; None is 1000.

    Returns:
        What was pruned.

    Raises:
        JobNotFound: There is no such job.
        TallymarkError: The database is away, or the caller is no admin.
    """
    told = value(
        connection,
        "SELECT tallymark.prune_job(%s::text, %s::timestamptz, %s::integer, %s::integer)",
        job_id,
        older_than,
        keep_newest,
        max_events,
    )
    return Pruned(told["events"], told["prunedSeq"], told["more"])


def ended_jobs(
    connection: Connection, ended_before: datetime, *, after_id: str = "", max_jobs: int | None = None
) -> list[Ended]:
    """List jobs that ended long ago, in the order of their ids.

    Args:
        connection: Whose transaction this is part of.
        ended_before: They ended, and were last reported on, before this.
        after_id: The last id already seen.
        max_jobs: How many at most; None is 1000.

    Returns:
        The jobs.

    Raises:
        TallymarkError: The database is away, or the caller is no admin.
    """
    found = rows(
        connection,
        "SELECT id, last_seq, ended_at FROM tallymark.ended_jobs(%s::timestamptz, %s::text, %s::integer)",
        ended_before,
        after_id,
        max_jobs,
    )
    return [Ended(*row) for row in found]


def job_record(connection: Connection, job_id: str) -> Json:
    """Give all that is known of a job but its ledger.

    Args:
        connection: Whose transaction this is part of.
        job_id: The job.

    Returns:
        `{"job", "document", "areas", "baseline"}`, as the stored function has it.

    Raises:
        JobNotFound: There is no such job.
        TallymarkError: The database is away, or the caller is no admin.
    """
    found: Json = value(connection, "SELECT tallymark.job_record(%s::text)", job_id)
    return found


def ledger_page(connection: Connection, job_id: str, *, after_seq: int = 0) -> list[tuple[int, Json]]:
    """Give a page of a job's ledger, with the updates themselves.

    Args:
        connection: Whose transaction this is part of.
        job_id: The job.
        after_seq: The number of the last event already seen.

    Returns:
        For each event its number, and its row by the names of the columns; none behind the last one.

    Raises:
        JobNotFound: There is no such job.
        TallymarkError: The database is away, or the caller is no admin.
    """
    return [
        (seq, event)
        for seq, event in rows(
            connection, "SELECT seq, event FROM tallymark.ledger_page(%s::text, %s::bigint)", job_id, after_seq
        )
    ]


def delete_job(connection: Connection, job_id: str, *, expected_seq: int | None = None) -> int:
    """Take away a job that has ended, with all that belongs to it.

    Args:
        connection: Whose transaction this is part of.
        job_id: The job.
        expected_seq: The number of its last event as the caller knows it; None deletes it whatever it is.

    Returns:
        How many events were deleted.

    Raises:
        JobNotFound: There is no such job.
        Conflict: It has not ended, or something happened since.
        TallymarkError: The database is away, or the caller is no admin.
    """
    deleted: int = value(connection, "SELECT tallymark.delete_job(%s::text, %s::bigint)", job_id, expected_seq)
    return deleted


def resummarize_ledger(connection: Connection, first_page: int = 0) -> int | None:
    """Note anew which times the pages of the ledger hold, a part at a time.

    Args:
        connection: Whose transaction this is part of.
        first_page: Where to begin.

    Returns:
        The first page of the next call; None where all is done.

    Raises:
        TallymarkError: The database is away, or the caller is no admin.
    """
    following: int | None = value(connection, "SELECT tallymark.resummarize_ledger(%s::bigint)", first_page)
    return following
