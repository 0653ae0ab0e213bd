"""More than the machine holds, for a minute: `python -m benchmarks.overload`, or `make overload`.

First the rate that the endpoint holds with 16 connections; then 1,200 connections: each sends its next update as soon
as it has an answer, and nobody minds Retry-After. In the end it is looked at how soon a request is answered as usual
again, and whether each update that was answered 200 is in the ledger, once.

It exits 1 where an answer was neither 200 nor 503 with Retry-After, where the ledgers do not have what was
acknowledged, or where it takes more than 5 seconds to recover.
"""

import http.client
import json
import os
import secrets
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click
import psycopg

from benchmarks.database import Database
from benchmarks.figures import filesystem
from benchmarks.load import Answers, Load
from benchmarks.serving import PRODUCT, Server, serving
from benchmarks.usage import megabytes
from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres

JOBS = 200
USUAL_CONNECTIONS = 16
PATH = "/api/internal/jobs/progress"

PROBED = "probed"

_PREFIX = "overload_"
_PROBE_SECONDS = 0.05
#: So many requests in a row that are answered as usual are a recovery.
_IN_A_ROW = 20
_RECOVERY_SECONDS = 5.0


@click.command()
@click.option("--seconds", type=click.IntRange(5), default=60, show_default=True, help="How long the overload lasts.")
@click.option("--connections", type=click.IntRange(1), default=1200, show_default=True, help="How many send at once.")
def main(*, seconds: int, connections: int) -> None:
    """Send more than is held, and say what came of it."""
    token = secrets.token_urlsafe(24)
    with ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="tallymark-overload-")))
        postgres = running.enter_context(EmbeddedPostgres(directory / "data"))
        migrate(postgres.url, report=lambda _line: None)
        connection = running.enter_context(psycopg.connect(postgres.url, autocommit=True))
        database = Database(postgres.url, connection, filesystem(directory))
        database.run_file("schema.sql")
        database.value("SELECT bench.make_jobs(%s, %s)", _PREFIX, JOBS)
        database.value("SELECT tallymark.create_job(%s)", PROBED)
        environ = os.environ | {
            "DATABASE_URL": postgres.url,
            "CRAWLER_API_TOKEN": token,
            "TALLYMARK_LOG_LEVEL": "error",
        }
        server = running.enter_context(serving(PRODUCT, environ))
        faults = _overload(database, server, token, seconds, connections)
    for fault in faults:
        click.secho(fault, fg="red")
    sys.exit(1 if faults else 0)


class Prober(threading.Thread):
    """Another crawler, with a job of its own, that reports 20 times a second all the while.

    Attributes:
        answers: When each answer was there, its status, and how long it took; seconds of the monotonic clock.
    """

    def __init__(self, server: Server, token: str) -> None:
        """Say where; `start` begins it."""
        super().__init__(daemon=True)
        self.answers: list[tuple[float, int, float]] = []
        self._port = server.port
        self._token = token
        self._ended = threading.Event()

    def run(self) -> None:
        """Report until told to end."""
        while not self._ended.wait(_PROBE_SECONDS):
            began = time.monotonic()
            status = self._report()
            self.answers.append((time.monotonic(), status, time.monotonic() - began))

    def end(self) -> None:
        """Report no more."""
        self._ended.set()
        self.join()

    def recovered_after(self, moment: float, limit: float) -> float:
        """Return how long after a moment answers were as usual again, and stayed so.

        Returns:
            Seconds; infinite where they never were.
        """
        row = 0
        for at, status, took in self.answers:
            row = row + 1 if status == http.HTTPStatus.OK and took <= limit and at >= moment else 0
            if row == 1:
                first = at
            if row == _IN_A_ROW:
                return first - moment
        return float("inf")

    def _report(self) -> int:
        body = {"taskId": PROBED, "status": "processing", "timestamp": datetime.now(UTC).isoformat()}
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request("POST", PATH, json.dumps(body), headers)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()


def _overload(database: Database, server: Server, token: str, seconds: int, connections: int) -> list[str]:
    load = Load(server.url + PATH, token, _PREFIX, JOBS)
    before = _updates(database)
    usual = load.run(USUAL_CONNECTIONS, 8)
    click.echo(f"{usual.per_second:,.0f} updates/s with {USUAL_CONNECTIONS} connections, p99 {usual.p99_ms:.1f} ms")
    idle = megabytes(server.worker)
    prober = Prober(server, token)
    prober.start()
    # The generator then only waits for the last answers.
    ended = time.monotonic() + seconds
    over = load.run(connections, seconds)
    time.sleep(_RECOVERY_SECONDS)
    prober.end()
    click.echo(
        f"{over.sent / over.seconds:,.0f} requests/s over {connections} connections for {over.seconds:.0f} s, "
        f"{over.sent / over.seconds / usual.per_second:.1f} times as many"
    )
    click.echo(
        f"answered 200: {over.good:,} ({over.per_second:,.0f}/s); 503 with Retry-After: {over.later:,}; "
        f"otherwise: {over.other}; not at all: {_unanswered(over)}; connections broken: {over.errors}; "
        f"p99 {over.p99_ms:.0f} ms; memory {idle:.0f} MB before, {megabytes(server.worker):.0f} MB after"
    )
    recovered = prober.recovered_after(ended, max(3 * usual.p99_ms / 1000, 0.1))
    click.echo(f"answered as usual again {recovered:.2f} s after the last of it")
    good, grown = usual.good + over.good, _updates(database) - before
    wrong = database.value("SELECT count(*) FROM tallymark.job WHERE NOT tallymark.verify_job(id)")
    click.echo(f"acknowledged {good:,}, in the ledgers {grown:,}; {wrong} jobs differ")
    faults = []
    if usual.later + usual.other + over.other + over.errors + _unanswered(over):
        faults.append(f"answers other than 200 and 503 {over.example}")
    if {status for _, status, _ in prober.answers} - {200, 503}:
        faults.append("another crawler got an answer other than 200 and 503")
    if grown != good:
        faults.append(f"the ledgers have {grown - good:+,} updates")
    if wrong:
        faults.append(f"{wrong} jobs do not verify")
    if recovered > _RECOVERY_SECONDS:
        faults.append("it took too long to recover")
    return faults


def _unanswered(answers: Answers) -> int:
    return answers.sent - answers.good - answers.later - answers.other


def _updates(database: Database) -> int:
    return int(database.value("SELECT sum(last_seq) FROM tallymark.job WHERE starts_with(id, %s)", _PREFIX))


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.overload")
