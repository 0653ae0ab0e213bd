"""The watchdog's rounds: look at all jobs, tell operators, verify a few jobs."""

import os
import secrets
import socket
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from tallymark import functions
from tallymark.functions.call import Connection
from tallymark.terminal.text import plain
from tallymark.watchdog.receivers import Receivers

Found = TypeVar("Found")
Ask = Callable[[Callable[[Connection], Any]], Any]

#: For so long a message is ours to send; each receiver gives up after some 8 seconds.
_LEASE = timedelta(minutes=2)
#: In one round; the others wait for the next.
_MOST_MESSAGES = 200
#: Of jobs that are looked at for something to verify.
_MOST_PAGES = 50
#: Alerts that are long over are looked for so often.
_FORGET_SECONDS = 3600.0
_TITLES = {
    "stalled": "is silent",
    "failed": "has failed",
    "credentials": "waits for credentials",
    "errors": "reports many errors",
    "mismatch": "is not what its ledger says",
}


class Round(NamedTuple):
    """What a round came to.

    Attributes:
        opened: Alerts that were opened.
        recovered: Alerts that were closed.
        open: Alerts that are open now.
        sent: Messages that were sent; where there is no receiver, what is new since the round before.
        failed: Messages that could not be sent, and will be tried again.
        checked: Jobs that were verified.
        differing: Those of them that are not what their ledgers say.
    """

    opened: int
    recovered: int
    open: int
    sent: list[str]
    failed: list[str]
    checked: int
    differing: list[str]


class Watchdog:
    """One of any number of watchdogs on a database."""

    def __init__(
        self,
        ask: Ask,
        receivers: Receivers,
        *,
        public_url: str = "",
        max_age: timedelta | None = None,
        most_errors: int = 10,
        errors_within: timedelta = timedelta(minutes=5),
    ) -> None:
        """Say whom to tell what.

        Args:
            ask: Calls a function with a connection in autocommit, and gives what it gives.
            receivers: Who is told.
            public_url: The address of the dashboard, for a link; empty for none.
            max_age: What began longer ago is not told; None is a day.
            most_errors: So many errors of a job are an alert.
            errors_within: When they come within so long.
        """
        self._ask = ask
        self._receivers = receivers
        self._public_url = public_url.rstrip("/")
        self._max_age = max_age
        self._most_errors = most_errors
        self._errors_within = errors_within
        self._is_told_to_stop: Callable[[], bool] = lambda: False
        # The name of a process may be given to another one; this is nobody else's.
        self._name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._verified_up_to = ""
        self._open: set[tuple[str, str, datetime]] = set()
        self._unconfirmed: list[functions.Message] = []
        self._forget_at = 0.0

    def stop_when(self, is_told_to_stop: Callable[[], bool]) -> None:
        """Have a round end after the message that is being sent, so that none is left half done.

        Args:
            is_told_to_stop: Asked before each message.
        """
        self._is_told_to_stop = is_told_to_stop

    def round(self, most_events: int) -> Round:
        """Go round once.

        Args:
            most_events: How many events to read for verifying jobs; 0 verifies none.

        Returns:
            What came of it.

        Raises:
            TallymarkError: As `ask` lets it through.
        """
        checked, differing = self._verify(most_events) if most_events else (0, [])
        told = self._ask(
            lambda connection: functions.raise_alerts(
                connection,
                max_age=self._max_age,
                most_errors=self._most_errors,
                errors_within=self._errors_within,
            )
        )
        sent, failed = self._deliver()
        if time.monotonic() >= self._forget_at:
            self._ask(functions.forget_alerts)
            self._forget_at = time.monotonic() + _FORGET_SECONDS
        return Round(told["opened"], told["recovered"], told["open"], sent, failed, checked, differing)

    def _verify(self, most_events: int) -> tuple[int, list[str]]:
        """Verify the next jobs; return how many, and which of them differ."""
        for _ in range(_MOST_PAGES):
            told = self._ask(
                lambda connection: functions.verify_next_jobs(
                    connection, after_id=self._verified_up_to, most_events=most_events
                )
            )
            self._verified_up_to = told["next"] or ""
            # Pages of jobs that nothing happened to take no time.
            if told["checked"] or not told["next"] or self._is_told_to_stop():
                return told["checked"], told["differing"]
        return 0, []

    def _deliver(self) -> tuple[list[str], list[str]]:
        """Send what is to be sent; return the titles of what was, and of what could not be."""
        sent: list[str] = []
        failed: list[str] = []
        # Where the database was away just then. A message that is claimed anew was sent, too.
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
        """Say what is open that was not the last time, and what is not any more."""
        alerts: list[functions.Alert] = self._ask(lambda c: functions.list_alerts(c, max_alerts=10_000))
        now_open = {(alert.job_id, alert.kind, alert.opened_at) for alert in alerts}
        before, self._open = self._open, now_open
        opened = [title_of(job, kind, recovered=False) for job, kind, _ in sorted(now_open - before)]
        return opened + [title_of(job, kind, recovered=True) for job, kind, _ in sorted(before - now_open)]

    def _body(self, message: functions.Message) -> str:
        lines = [message.body]
        if self._public_url:
            lines.append(f"{self._public_url}/jobs/{quote(message.job_id, safe='')}")
        # By which a receiver can tell a second copy, after a watchdog died while it was sending.
        lines.append(f"alert {message.message_id}")
        return "\n".join(lines)


def title_of(job_id: str, kind: str, *, recovered: bool) -> str:
    """Say in a line what a message is about.

    Args:
        job_id: The job.
        kind: What is wrong with it.
        recovered: Whether that is over.

    Returns:
        Such as `Recovered: job crawl_7 is silent`.
    """
    # A title becomes the subject of a mail, which has one line.
    return f"{'Recovered' if recovered else 'Alert'}: job {plain(job_id)} {_TITLES.get(kind, kind)}"


def _confirming(name: str, message: functions.Message) -> Callable[[Connection], bool]:
    return lambda connection: functions.confirm_alert_message(connection, name, message)


def _failing(name: str, message: functions.Message, delivered_to: list[str], error: str) -> Callable[[Connection], Any]:
    return lambda connection: functions.fail_alert_message(connection, name, message, delivered_to, error)
