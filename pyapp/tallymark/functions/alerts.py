"""The stored functions of alerts, as Python functions: one each, and no logic of their own.

As in `functions.jobs`, they take the caller's own connection and run in its transaction. All but `list_alerts` need
tallymark_admin.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from tallymark.functions.call import Connection, Json, rows, value


class Message(NamedTuple):
    """A message about an alert that is to be sent.

    Attributes:
        job_id: The job.
        kind: `stalled`, `failed`, `credentials`, `errors` or `mismatch`.
        opened_at: When it was noticed.
        recovered: Whether it says that it is over.
        message_id: The same each time it is handed out.
        body: Text for people.
        delivered_to: The receivers that have it already.
    """

    job_id: str
    kind: str
    opened_at: datetime
    recovered: bool
    message_id: str
    body: str
    delivered_to: list[str]


class Alert(NamedTuple):
    """An episode.

    Attributes:
        job_id: The job.
        kind: As that of a message.
        opened_at: When it was noticed.
        recovered_at: When it was noticed that it is over; None while it is not.
        told_at: When operators had been told; None where they have not been yet.
        says: Text for people.
        facts: What was known when it was noticed.
        last_error: Why a message could not be sent; None where all is well.
    """

    job_id: str
    kind: str
    opened_at: datetime
    recovered_at: datetime | None
    told_at: datetime | None
    says: str
    facts: Json
    last_error: str | None


def raise_alerts(
    connection: Connection,
    *,
    max_age: timedelta | None = None,
    most_errors: int = 10,
    errors_within: timedelta = timedelta(minutes=5),
) -> Json:
    """Look at all jobs: open alerts for what is wrong, close those that are over.

    Args:
        connection: Whose transaction this is part of.
        max_age: What began longer ago is not told; None is a day.
        most_errors: So many errors of a job are an alert.
        errors_within: When they come within so long.

    Returns:
        `{"opened", "recovered", "open"}`: how many.

    Raises:
        TallymarkError: The database is away, or the caller is no admin.
    """
    told: Json = value(
        connection,
        "SELECT tallymark.raise_alerts(%s::interval, %s::integer, %s::interval)",
        max_age,
        most_errors,
        errors_within,
    )
    return told


def claim_alert_messages(
    connection: Connection, watcher: str, *, lease: timedelta, max_messages: int = 20
) -> list[Message]:
    """Take over messages that are to be sent. Each is to be confirmed, or told to have failed.

    Args:
        connection: Whose transaction this is part of; commit before sending.
        watcher: A name that no other process has.
        lease: For how long nobody else gets them.
        max_messages: How many at most.

    Returns:
        The messages.

    Raises:
        TallymarkError: The database is away, or the caller is no admin.
    """
    found = rows(
        connection,
        "SELECT job_id, kind, opened_at, recovered, message_id, body, delivered_to"
        " FROM tallymark.claim_alert_messages(%s::text, %s::interval, %s::integer)",
        watcher,
        lease,
        max_messages,
    )
    return [Message(*row) for row in found]


def confirm_alert_message(connection: Connection, watcher: str, message: Message) -> bool:
    """Take note that a message was sent.

    Args:
        connection: Whose transaction this is part of.
        watcher: Who claimed it.
        message: The message.

    Returns:
        False where somebody else has it by now.

    Raises:
        TallymarkError: The database is away, or the caller is no admin.
    """
    done: bool = value(
        connection,
        "SELECT tallymark.confirm_alert_message(%s::text, %s::text, %s::text, %s::timestamptz, %s::boolean)",
        watcher,
        message.job_id,
        message.kind,
        message.opened_at,
        message.recovered,
    )
    return done


def fail_alert_message(
    connection: Connection, watcher: str, message: Message, delivered_to: Sequence[str], error: str
) -> datetime | None:
    """Take note that a message could not be sent to all.

    Args:
        connection: Whose transaction this is part of.
        watcher: Who claimed it.
        message: The message.
        delivered_to: The receivers that have it.
        error: Why the others do not.

    Returns:
        From when on it is handed out again; None where somebody else has it by now.

    Raises:
        TallymarkError: The database is away, or the caller is no admin.
    """
    due: datetime | None = value(
        connection,
        "SELECT tallymark.fail_alert_message(%s::text, %s::text, %s::text, %s::timestamptz, %s::text[], %s::text)",
        watcher,
        message.job_id,
        message.kind,
        message.opened_at,
        list(delivered_to),
        error,
    )
    return due


def list_alerts(
    connection: Connection, *, only_open: bool = True, max_alerts: int | None = None, id_prefix: str | None = None
) -> list[Alert]:
    """List alerts, those that were noticed last first.

    Args:
        connection: Whose transaction this is part of.
        only_open: Whether to leave out those that are over.
        max_alerts: How many at most; None is 1000.
        id_prefix: Only of jobs whose ids begin like this; None is all.

    Returns:
        The alerts.

    Raises:
        TallymarkError: The database is away, or the caller may not read.
    """
    found = rows(
        connection,
        "SELECT job_id, kind, opened_at, recovered_at, told_at, says, facts, last_error"
        " FROM tallymark.list_alerts(%s::boolean, %s::integer, %s::text)",
        only_open,
        max_alerts,
        id_prefix,
    )
    return [Alert(*row) for row in found]


def forget_alerts(connection: Connection, older_than: timedelta | None = None) -> int:
    """Delete alerts that have been over for long.

    Args:
        connection: Whose transaction this is part of.
        older_than: For how long; None is 90 days.

    Returns:
        How many were deleted.

    Raises:
        TallymarkError: The database is away, or the caller is no admin.
    """
    forgotten: int = value(connection, "SELECT tallymark.forget_alerts(%s::interval)", older_than)
    return forgotten


def note_verification(connection: Connection, job_id: str) -> bool:
    """Verify a job, and keep the outcome.

    Args:
        connection: Whose transaction this is part of.
        job_id: The job.

    Returns:
        Whether it is what its ledger says.

    Raises:
        JobNotFound: There is no such job.
        TallymarkError: The database is away, or the caller is no admin.
    """
    exact: bool = value(connection, "SELECT tallymark.note_verification(%s::text)", job_id)
    return exact


def verify_next_jobs(connection: Connection, *, after_id: str = "", most_events: int = 20_000) -> Json:
    """Verify the next jobs, of those that something happened to since they were last.

    Args:
        connection: Whose transaction this is part of.
        after_id: Where to go on.
        most_events: How many events to read in all.

    Returns:
        `{"checked", "differing", "skipped", "next"}`, as the stored function has it.

    Raises:
        TallymarkError: The database is away, or the caller is no admin.
    """
    told: Json = value(
        connection, "SELECT tallymark.verify_next_jobs(%s::text, most_events => %s::bigint)", after_id, most_events
    )
    return told
