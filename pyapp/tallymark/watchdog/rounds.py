"""The watchdog's rounds: check all jobs, tell operators, verify a few jobs."""

import os
import secrets
import socket
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from tallymark import functions
from tallymark.addresses import job_page
from tallymark.functions.call import Connection
from tallymark.plain import plain
from tallymark.watchdog.receivers import Receivers

Found = TypeVar("Found")
Ask = Callable[[Callable[[Connection], Any]], Any]

#: How long a claimed message is left to the watchdog that claimed it; sending to one receiver takes at most 8 seconds.
_LEASE = timedelta(minutes=2)
#: Messages in one round; the others wait for the next.
_MOST_MESSAGES = 200
#: Pages of jobs that one round searches for jobs to verify.
_MOST_PAGES = 50
#: How often alerts that are long over are deleted.
_FORGET_SECONDS = 3600.0
#: What the title of an alert says about the job, and what the title says when the alert is over.
_TITLES = {
    "stalled": ("is stalled", "is no longer stalled"),
    "failed": ("has failed", "was restarted or deleted"),
    "shortfall": ("finished, and something is missing", "is no longer short of anything"),
    "credentials": ("waits for credentials", "no longer waits for credentials"),
    "errors": ("reports many errors", "reports fewer errors"),
    "unusual": ("has far fewer items than the runs before it", "is as the runs before it, or has ended"),
    "missed": ("was not followed by the next run", "was followed by the next run, or deleted"),
    "mismatch": ("does not match its ledger", "matches its ledger again"),
}


class Round(NamedTuple):
    """The result of a round: alerts that were opened and closed, or are open now; messages; jobs that were verified.

    Attributes:
        sent: Titles of the messages that were sent; without a receiver, of what is new since the round before.
        failed: Titles of the messages that could not be sent, and will be tried again.
        checked: How many jobs were verified.
        differing: The jobs among them that do not match their ledgers.
    """

    opened: int
    recovered: int
    open: int
    sent: list[str]
    failed: list[str]
    checked: int
    differing: list[str]


class Watchdog:
    """One of any number of watchdogs on a database.

    `ask` calls a function with a connection in autocommit, and returns its result. `public_url` is the dashboard's
    address, for links. What began more than `max_age` ago (None: a day) is not reported. `most_errors` errors of a job
    within `errors_within` are an alert.
    """

    def __init__(
        self,
        ask: Ask,
        receivers: Receivers,
        *,
        public_url: str = "",
        max_age: timedelta | None = None,
        most_errors: int = 10,
        errors_within: timedelta = timedelta(minutes=5),
        never_reported: timedelta | None = None,
    ) -> None:
        self._ask = ask
        self._receivers = receivers
        self._public_url = public_url.rstrip("/")
        self._max_age = max_age
        self._most_errors = most_errors
        self._errors_within = errors_within
        self._never_reported = never_reported
        self._is_told_to_stop: Callable[[], bool] = lambda: False
        # The number of a process may be used again by another one; this name is unique.
        self._name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._verified_up_to = ""
        self._open: set[tuple[str, str, datetime]] = set()
        self._unconfirmed: list[functions.Message] = []
        self._forget_at = 0.0

    def stop_when(self, is_told_to_stop: Callable[[], bool]) -> None:
        """Set the function that is asked before each message whether the round should end there."""
        self._is_told_to_stop = is_told_to_stop

    def round(self, most_events: int) -> Round:
        """Do one round, in which verifying jobs reads at most about `most_events` events; 0 verifies none."""
        checked, differing = self._verify(most_events) if most_events else (0, [])
        self._ask(functions.note_paces)
        told = self._ask(
            lambda connection: functions.raise_alerts(
                connection,
                max_age=self._max_age,
                most_errors=self._most_errors,
                errors_within=self._errors_within,
                never_reported=self._never_reported,
            )
        )
        sent, failed = self._deliver()
        if time.monotonic() >= self._forget_at:
            self._ask(functions.forget_alerts)
            self._forget_at = time.monotonic() + _FORGET_SECONDS
        return Round(told["opened"], told["recovered"], told["open"], sent, failed, checked, differing)

    def _verify(self, most_events: int) -> tuple[int, list[str]]:
        """Verify the next jobs; return how many they were, and which of them differ."""
        for _ in range(_MOST_PAGES):
            told = self._ask(
                lambda connection: functions.verify_next_jobs(
                    connection, after_id=self._verified_up_to, most_events=most_events
                )
            )
            self._verified_up_to = told["next"] or ""
            # A page without a job to verify takes no time, so the next one follows at once.
            if told["checked"] or not told["next"] or self._is_told_to_stop():
                return told["checked"], told["differing"]
        return 0, []

    def _deliver(self) -> tuple[list[str], list[str]]:
        """Send the messages that are due; return the titles of those that were sent, and of those that failed."""
        sent: list[str] = []
        failed: list[str] = []
        # These were sent, but not confirmed, since the database was away. Another watchdog that has claimed one since
        # confirms it.
        while self._unconfirmed:
            self._ask(_confirming(self._name, self._unconfirmed[0]))
            self._unconfirmed.pop(0)
        if not self._receivers:  # another watchdog may have some, so the messages are left to it
            return self._news(), failed
        while len(sent) + len(failed) < _MOST_MESSAGES and not self._is_told_to_stop():
            claimed = self._ask(
                lambda connection: functions.claim_alert_messages(connection, self._name, lease=_LEASE, max_messages=1)
            )
            if not claimed:
                break
            message: functions.Message = claimed[0]
            title = title_of(message.job_id, message.kind, recovered=message.recovered)
            outcome = self._receivers.send(
                title, self._body(message), recovered=message.recovered, without=message.delivered_to
            )
            if outcome.error:
                self._ask(_failing(self._name, message, outcome.delivered_to, outcome.error))
                failed.append(f"{title}: {outcome.error}")
            else:
                self._unconfirmed.append(message)
                sent.append(title)
                self._ask(_confirming(self._name, message))
                self._unconfirmed.pop()
        return sent, failed

    def _news(self) -> list[str]:
        """Return the titles of the alerts that were opened or closed since the last call."""
        alerts: list[functions.Alert] = self._ask(lambda c: functions.list_alerts(c, max_alerts=10_000))
        now_open = {(alert.job_id, alert.kind, alert.opened_at) for alert in alerts}
        before, self._open = self._open, now_open
        opened = [title_of(job, kind, recovered=False) for job, kind, _ in sorted(now_open - before)]
        return opened + [title_of(job, kind, recovered=True) for job, kind, _ in sorted(before - now_open)]

    def _body(self, message: functions.Message) -> str:
        lines = [message.body]
        if self._public_url:
            lines.append(self._public_url + job_page(message.job_id))
        # A receiver recognises a second copy by it, if a watchdog died while it was sending.
        lines.append(f"alert {message.message_id}")
        return "\n".join(lines)


def title_of(job_id: str, kind: str, *, recovered: bool) -> str:
    """Return the title of a message, such as `Resolved: job crawl_7 is no longer stalled`."""
    says = _TITLES.get(kind, (kind, kind))[recovered]
    # A title becomes the subject of a mail, which must be one line.
    return f"{'Resolved' if recovered else 'Alert'}: job {plain(job_id)} {says}"


def _confirming(name: str, message: functions.Message) -> Callable[[Connection], bool]:
    return lambda connection: functions.confirm_alert_message(connection, name, message)


def _failing(name: str, message: functions.Message, delivered_to: list[str], error: str) -> Callable[[Connection], Any]:
    return lambda connection: functions.fail_alert_message(connection, name, message, delivered_to, error)
