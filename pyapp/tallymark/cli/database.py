"""Commands for the schema and the ledger: migrate, rollback, doctor, verify, url."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tallymark import functions
from tallymark.cli.common import (
    CannotRun,
    connected,
    data_option,
    database_options,
    explained,
    find_database,
    json_option,
    print_json,
)
from tallymark.functions.call import Connection
from tallymark.functions.session import libpq_url
from tallymark.plain import plain, plain_json
from tallymark.schema.comparison import Finding
from tallymark.schema.doctor import DoctorError, findings
from tallymark.schema.migrate import applied, migrate as run_migrate, rollback as run_rollback
from tallymark.schema.server_settings import Examined, examine
from tallymark.settings import Settings, SettingsError
from tallymark.terminal.screen import ProgressLine, Styled, say
from tallymark.terminal.text import count

#: How many jobs `verify` asks for at a time, and after how many seconds it begins to show its progress.
PAGE = 100
PATIENCE_SECONDS = 2.0


@click.command()
@database_options
@click.option("--break-lock", is_flag=True, help="First remove a lock that a killed migration left behind.")
def migrate(url: str, *, break_lock: bool) -> None:
    """Install or upgrade the database's schema.

    Applies the pending migrations, then installs all functions and views. Running it again changes nothing.
    """
    with explained():
        done = run_migrate(url, report=say, break_lock=break_lock)
    say(Styled(f"{count(len(done), 'migration')} applied" if done else "nothing was pending", "green"))


@click.command()
@database_options
@click.option("--steps", type=click.IntRange(min=1), default=1, metavar="N", help="How many migrations.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def rollback(url: str, *, steps: int, yes: bool) -> None:
    """Take back the newest migrations, with the data in them.

    What these migrations created is dropped, with all data in it.
    """
    with explained():
        newest = applied(url)[-steps:]
    if newest and not yes:
        what = f"{' and '.join(newest)}, and drops what they created, with all data in it"
        if not sys.stdin.isatty():
            raise CannotRun(f"this takes back {what}; confirm with --yes")
        if not click.confirm(f"This takes back {plain(what)}. Go on?"):
            say("nothing was taken back")
            return
    with explained():
        done = run_rollback(url, steps=steps, report=say)
    say(Styled(f"{count(len(done), 'migration')} taken back" if done else "nothing was applied", "green"))


@click.command()
@database_options
@json_option("Print the findings as a JSON array.")
@click.option("--settings/--no-settings", default=True, help="Check the server's settings, too.")
def doctor(url: str, *, as_json: bool, settings: bool) -> None:
    """Find what is wrong with the database, and how to fix it.

    Compares the database with the files of this release, and checks the settings of its server. Where the database is
    distributed, each of its servers is checked.

    Exits 0 when nothing is wrong, 1 when there are findings, 2 when it could not check. Advice, on standard error,
    does not change the exit status.
    """
    with explained(DoctorError, SettingsError):
        found = findings(url, report=lambda line: say(Styled(line, "yellow"), err=True), spare_server=spare_server)
        examined = examine(url, Settings.from_env()) if settings else Examined([], [])
    if not settings:
        found = [finding for finding in found if finding.kind != "setting"]
    for item in examined.advice:
        say(Styled(item.kind, "yellow"), f" {item.object}: {item.problem}", err=True)
        say("    ", Styled("fix:", dim=True), f" {item.fix}", err=True)
    both = found + examined.findings
    if as_json:
        print_json([asdict(finding) for finding in both])
    else:
        if not found:
            say(Styled("The database is what the files say.", "green"))
        for finding in both:
            print_finding(finding)
        if both:
            say(count(len(both), "finding"))
    sys.exit(1 if both else 0)


@contextmanager
def spare_server() -> Iterator[str]:
    """Start an embedded server for the doctor's scratch database, where the database's own server allows none."""
    # Imported here: a host with a server of its own seldom needs the embedded one.
    from tallymark.server import EmbeddedPostgres, EmbeddedPostgresError

    try:
        with (
            tempfile.TemporaryDirectory(prefix="tallymark-doctor-") as directory,
            EmbeddedPostgres(Path(directory) / "data") as server,
        ):
            yield server.url
    except (OSError, EmbeddedPostgresError) as error:
        raise DoctorError(str(error).strip()) from error


@click.command()
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@database_options
@json_option("Print the outcome as a JSON object.")
def verify(jobs: tuple[str, ...], url: str, *, as_json: bool) -> None:
    """Check that each job's state is what its ledger gives.

    Computes the state of each JOB (default: of all jobs) from its ledger again, and compares it with the stored one.
    Takes no lock and writes nothing.

    Exits 0 when all are equal, 1 when a job differs (its first event that does is named), 2 when a JOB does not exist.
    """
    checked = 0
    wrong: list[dict[str, Any]] = []
    unknown: list[str] = []
    progress = ProgressLine(PATIENCE_SECONDS)
    with connected(url, unhurried=True) as connection:
        for job in jobs or _all_jobs(connection):
            progress.show(f"{count(checked, 'job')} checked")
            try:
                # One snapshot for all that is read, also of a job that is on another server.
                with connection.transaction():
                    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                    differences = functions.verify_differences(connection, job)
            except functions.JobNotFound:
                unknown.append(job)
                continue
            checked += 1
            if differences:
                wrong.append({"job": job} | min(differences, key=lambda difference: difference.seq)._asdict())
    progress.clear()
    if as_json:
        print_json({"checked": checked, "wrong": wrong, "unknown": unknown})
    else:
        for item in wrong:
            say(Styled("job", "red"), " ", Styled(plain(item["job"]), bold=True), f": {plain(_sentence(item))}")
        for job in unknown:
            say(f"no job {plain(job)}", err=True)
        differ = "differs" if len(wrong) == 1 else "differ"
        say(Styled(f"{count(checked, 'job')} checked, {len(wrong)} {differ}", "red" if wrong else "green"))
    sys.exit(2 if unknown else 1 if wrong else 0)


@click.command()
@data_option
def url(data: Path | None) -> None:
    """Print the URL of the database, with its password.

    It is DATABASE_URL, or else that of the embedded database of a running `tallymark up`.

    Example: psql "$(tallymark url)"
    """
    with explained():
        say(libpq_url(find_database(None, data)))


def print_finding(finding: Finding) -> None:
    """Print what is wrong with an object, and how to fix it."""
    say(Styled(finding.kind, "red"), " ", Styled(finding.object, bold=True), f": {finding.problem}")
    for label, text in (("expected", finding.expected), ("found", finding.found), ("fix", finding.fix)):
        if text:
            say("    ", Styled(f"{label}:", dim=True), f" {text}")


def _all_jobs(connection: Connection) -> Iterator[str]:
    """Yield the ids of all jobs in order, a page at a time, so that no snapshot is held while they are checked."""
    last = ""
    while page := functions.job_ids(connection, after_id=last, max_jobs=PAGE):
        yield from page
        last = page[-1]


def _sentence(item: dict[str, Any]) -> str:
    """Say what differs in one line."""
    stored, folded = (plain_json(item[side]) for side in ("stored", "folded"))
    return f"event {item['seq']} differs in {item['field']}: stored {stored}, the ledger gives {folded}"
