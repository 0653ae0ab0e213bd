"""The command that watches over jobs and tells operators: watchdog."""

import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from tallymark.cli.common import ADMIN, Away, CannotRun, Database, Number, finder_options, json_option
from tallymark.cli.interrupt import Interrupt
from tallymark.plain import plain, plain_json
from tallymark.settings import Settings, SettingsError
from tallymark.terminal.screen import Styled, say

if TYPE_CHECKING:
    from tallymark.watchdog import Receivers, Round, Watchdog

_TEST_BODY = "This is a test of tallymark watchdog: alerts will come this way."


@click.command()
@click.option(
    "--notify",
    "urls",
    multiple=True,
    metavar="URL",
    help="Send alerts to this Apprise URL. May be given several times.  [env: TALLYMARK_ALERT_URLS]",
)
@click.option(
    "--interval", type=Number(0.2, 3600), default=30.0, metavar="SECONDS", help="Time from one round to the next."
)
@click.option("--once", is_flag=True, help="Make one round, and end.")
@click.option("--test", "is_test", is_flag=True, help="Send a test message, and end.")
@click.option(
    "--max-age",
    type=Number(1, 24 * 365),
    default=24.0,
    metavar="HOURS",
    help="Send no alerts about what began longer ago.",
)
@click.option(
    "--errors",
    type=click.IntRange(min=1),
    default=10,
    metavar="N",
    help="Alert when a job reports so many errors within five minutes.",
)
@click.option(
    "--verify",
    "most_events",
    type=click.IntRange(min=0),
    default=20_000,
    metavar="EVENTS",
    help="Read at most so many events each round to verify jobs; 0 verifies none.",
)
@json_option("Print a JSON object for each round.")
@finder_options
def watchdog(
    find: Callable[[], str],
    urls: tuple[str, ...],
    interval: float,
    max_age: float,
    errors: int,
    most_events: int,
    *,
    once: bool,
    is_test: bool,
    as_json: bool,
) -> None:
    """Send alerts about jobs that need attention.

    An alert is sent when a job has been silent for longer than is usual for it, or was never reported on. Others are
    sent when it has failed, has finished with items missing, waits for credentials, reports many errors, is far behind
    the runs of its series before it, was not followed by the next run, or differs from its ledger. Another message
    follows when that is over. Any number of watchdogs may run at once: each alert is sent once.

    Runs until Ctrl-C, and exits 0 then. With --once it exits 1 when a message could not be sent.
    """
    # Imported here, as in the other commands: `tallymark --help` imports this module.
    from tallymark.watchdog import Receivers, ReceiversError, Watchdog

    try:
        settings = Settings.from_env()
        receivers = Receivers(urls or settings.alert_urls)
    except (SettingsError, ReceiversError) as error:
        raise CannotRun(str(error)) from error
    if is_test:
        _send_test(receivers)
        return
    database = Database(find, application="tallymark watchdog", role=ADMIN, unhurried=True)
    dog = Watchdog(
        database.read,
        receivers,
        public_url=settings.public_url,
        max_age=timedelta(hours=max_age),
        most_errors=errors,
        never_reported=timedelta(seconds=settings.never_reported_after),
    )
    if not receivers and not as_json:
        say("no URLs to send to: alerts are kept in the database, and printed here", err=True)
    with closing(database), Interrupt() as interrupt:
        dog.stop_when(lambda: interrupt.wait(0))
        rounds = _Rounds(as_json=as_json)
        while True:
            done = rounds.run(dog, most_events)
            if once:
                if done is None:
                    sys.exit(2)
                sys.exit(1 if done.failed else 0)
            if interrupt.wait(interval):
                return


class _Rounds:
    """Makes rounds, and prints what came of each. `away` is why the database cannot be read, empty while it can."""

    def __init__(self, *, as_json: bool) -> None:
        self.away = ""
        self._as_json = as_json

    def run(self, dog: "Watchdog", most_events: int) -> "Round | None":
        """Make a round; None where the database is away, which is printed once."""
        try:
            done = dog.round(most_events)
        except Away as error:
            if not self.away:  # the reason changes while a server goes down and comes up
                self.away = str(error)
                say(f"the database cannot be read: {self.away}", err=True)
            return None
        if self.away:
            self.away = ""
            say("the database is back", err=True)
        if self._as_json:
            say(plain_json(done._asdict()))
        for line in () if self._as_json else done.sent:
            say(line)
        for line in done.failed:
            say(f"not sent: {plain(line)}", err=True)
        return done


def _send_test(receivers: "Receivers") -> None:
    if not receivers:
        raise CannotRun("no URL to send to; give --notify, or set TALLYMARK_ALERT_URLS")
    outcome = receivers.send("Tallymark: a test", _TEST_BODY, recovered=True)
    if outcome.error:
        raise CannotRun(f"not sent: {plain(outcome.error)}")
    say(Styled(f"sent to {len(outcome.delivered_to)}", "green"))
