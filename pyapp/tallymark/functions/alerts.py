"""Alerts and their messages. docs/sql-api.md describes each function; all but `list_alerts` need tallymark_admin.

Each takes the caller's own connection, as in `functions.jobs`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from tallymark.functions.call import Connection, Json, Rows, Value


class Message(NamedTuple):
    """A message about an alert that is due.

    Attributes:
        job_id: The job.
        kind: `stalled`, `failed`, `shortfall`, `credentials`, `errors`, `unusual`, `missed` or `mismatch`.
        opened_at: When the alert was opened.
        recovered: Whether the message says that the alert is over.
        message_id: The same whenever this message is handed out.
        body: The text.
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
    """An alert.

    Attributes:
        job_id: The job.
        kind: As in `Message`.
        opened_at: When it was opened.
        recovered_at: When it was found to be over; None while it is open.
        told_at: When operators had been told; None before that.
        says: The text.
        facts: What was known when it was opened.
        last_error: Why a message could not be sent; None where all went well.
    """

    job_id: str
    kind: str
    opened_at: datetime
    recovered_at: datetime | None
    told_at: datetime | None
    says: str
    facts: Json
    last_error: str | None


_KEY = ("watcher", "job_id", "kind", "opened_at")

_raise_alerts = Value[Json]("raise_alerts", "max_age", "most_errors", "errors_within", "never_reported")
_claim = Rows(Message, "claim_alert_messages", "watcher", "lease", "max_messages")
_confirm = Value[bool]("confirm_alert_message", *_KEY, "recovered")
_fail = Value[datetime | None]("fail_alert_message", *_KEY, "delivered_to", "error")
_list_alerts = Rows(Alert, "list_alerts", "only_open", "max_alerts", "id_prefix")
_forget_alerts = Value[int]("forget_alerts", "older_than")
_note_paces = Value[int]("note_paces", "max_runs")
_note_verification = Value[bool]("note_verification", "job_id")
_verify_next_jobs = Value[Json]("verify_next_jobs", "after_id", "most_events")


def raise_alerts(
    connection: Connection,
    *,
    max_age: timedelta | None = None,
    most_errors: int = 10,
    errors_within: timedelta = timedelta(minutes=5),
    never_reported: timedelta | None = None,
) -> Json:
    """Open alerts for what is wrong with any job, close those that are over, and count both."""
    return _raise_alerts(connection, max_age, most_errors, errors_within, never_reported)


def claim_alert_messages(
    connection: Connection, watcher: str, *, lease: timedelta, max_messages: int = 20
) -> list[Message]:
    """Claim messages to send, for the time of the lease. Commit before sending; confirm or fail each."""
    return _claim(connection, watcher, lease, max_messages)


def confirm_alert_message(connection: Connection, watcher: str, message: Message) -> bool:
    """Record that a claimed message was sent; False where another watcher has claimed it since."""
    key = (watcher, message.job_id, message.kind, message.opened_at)
    return _confirm(connection, *key, message.recovered)


def fail_alert_message(
    connection: Connection, watcher: str, message: Message, delivered_to: Sequence[str], error: str
) -> datetime | None:
    """Record that not all receivers got a message, and return when it is due again; None as for `confirm`."""
    key = (watcher, message.job_id, message.kind, message.opened_at)
    return _fail(connection, *key, list(delivered_to), error)


def list_alerts(
    connection: Connection, *, only_open: bool = True, max_alerts: int | None = None, id_prefix: str | None = None
) -> list[Alert]:
    """List alerts, the newest first."""
    return _list_alerts(connection, only_open, max_alerts, id_prefix)


def forget_alerts(connection: Connection, older_than: timedelta | None = None) -> int:
    """Delete alerts that have been over for so long, 90 days by default, and return their number."""
    return _forget_alerts(connection, older_than)


def note_paces(connection: Connection, *, max_runs: int | None = None) -> int:
    """Note how the runs went that running ones are held against, and return how many were noted."""
    return _note_paces(connection, max_runs)


def note_verification(connection: Connection, job_id: str) -> bool:
    """Verify a job, keep the outcome, and return whether its state is the fold of its ledger."""
    return _note_verification(connection, job_id)


def verify_next_jobs(connection: Connection, *, after_id: str = "", most_events: int = 20_000) -> Json:
    """Verify the next jobs with events since their last check: `checked`, `differing`, `skipped`, `next`."""
    return _verify_next_jobs(connection, after_id, most_events)
