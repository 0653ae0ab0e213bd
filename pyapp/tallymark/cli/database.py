"""Commands for the schema and the ledger: migrate, rollback, doctor, verify, url."""

import json
import sys
import time
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import psycopg

from tallymark import functions
from tallymark.cli.options import CannotRun, data_option, database_options, find_database
from tallymark.functions.errors import JobNotFound, TallymarkError
from tallymark.schema.doctor import DoctorError, findings
from tallymark.schema.migrate import (
    MigrationError,
    applied,
    libpq_url,
    migrate as run_migrate,
    rollback as run_rollback,
)
from tallymark.schema.server_settings import Examined, examine
from tallymark.settings import Settings, SettingsError
from tallymark.terminal.text import plain

#: How many jobs `verify` asks for at a time, and after how many seconds it begins to say how far it is.
PAGE = 100
PATIENCE_SECONDS = 2.0


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what can go wrong on the way to the database into one message without a traceback."""
    try:
        yield
    except (MigrationError, DoctorError, SettingsError, psycopg.Error) as error:
        raise CannotRun(str(error).strip()) from error
    except TallymarkError as error:
        # What PostgreSQL said tells more than what the wire protocol answers.
        raise CannotRun(" ".join(filter(None, (str(error.__cause__ or error).strip(), error.explanation)))) from error


def _count(things: Sized, noun: str) -> str:
    """Count things in words: `1 job`, `2 jobs`."""
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


@click.command()
@database_options
@click.option("--break-lock", is_flag=True, help="First remove a lock that a killed `yoyo` left behind.")
def migrate(url: str, *, break_lock: bool) -> None:
    """Install or upgrade the schema: pending migrations, then all functions and views."""
    with _explained():
        done = run_migrate(url, report=click.echo, break_lock=break_lock)
    click.secho(f"{_count(done, 'migration')} applied" if done else "nothing was pending", fg="green")


@click.command()
@database_options
@click.option("--steps", type=click.IntRange(min=1), default=1, show_default=True, help="How many migrations.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rollback(url: str, *, steps: int, yes: bool) -> None:
    """Take back the newest migrations. What they made is dropped, with the data in it."""
    with _explained():
        newest = applied(url)[-steps:]
    if newest and not yes:
        if not sys.stdin.isatty():
            raise CannotRun(
                f"this takes back {' and '.join(newest)}, with all data in what was made: say so with --yes"
            )
        if not click.confirm(f"Take back {' and '.join(newest)}, with all data in what was made?"):
            click.echo("nothing was taken back")
            return
    with _explained():
        done = run_rollback(url, steps=steps, report=click.echo)
    click.secho(f"{_count(done, 'migration')} taken back" if done else "nothing was applied", fg="green")


@click.command()
@database_options
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a JSON array.")
@click.option("--settings/--no-settings", default=True, help="Look at the server's settings too, or not.")
def doctor(url: str, *, as_json: bool, settings: bool) -> None:
    """Compare the database with the files, and look at the settings of its server.

    Exits 1 when something should be mended, 2 when that cannot be told. Advice, on standard error, changes nothing of
    that.
    """
    with _explained():
        found = findings(url, report=lambda line: click.secho(line, fg="yellow", err=True))
        examined = examine(url, Settings.from_env()) if settings else Examined([], [])
    for item in examined.advice:
        click.echo(f"{click.style(item.kind, fg='yellow')} {item.object}: {item.problem}", err=True)
        click.echo(f"    {click.style('fix:', dim=True)} {item.fix}", err=True)
    both = found + examined.findings
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in both], indent=2, ensure_ascii=False))
    else:
        if not found:
            click.secho("The database is what the files say.", fg="green")
        for finding in both:
            click.echo(
                f"{click.style(finding.kind, fg='red')} {click.style(finding.object, bold=True)}: {finding.problem}"
            )
            for label, text in (("expected", finding.expected), ("found", finding.found), ("fix", finding.fix)):
                if text:
                    click.echo(f"    {click.style(f'{label}:', dim=True)} {text}")
        if both:
            click.echo(_count(both, "finding"))
    sys.exit(1 if both else 0)


@click.command()
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@database_options
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as a JSON object.")
def verify(jobs: tuple[str, ...], url: str, *, as_json: bool) -> None:
    """Fold the ledger of each JOB (of all, when none is named) anew and compare it with the stored state.

    Exits 1 when a job differs and names the first event that does, 2 when a JOB is not known.
    """
    checked = 0
    wrong: list[dict[str, Any]] = []
    unknown: list[str] = []
    with _explained(), psycopg.connect(libpq_url(url), autocommit=True, prepare_threshold=None) as connection:
        for job in _with_progress(iter(jobs) if jobs else _all_jobs(connection)):
            try:
                differences = functions.verify_differences(connection, job)
            except JobNotFound:
                unknown.append(job)
                continue
            checked += 1
            if differences:
                wrong.append({"job": job} | min(differences, key=_place)._asdict())
    if as_json:
        click.echo(json.dumps({"checked": checked, "wrong": wrong, "unknown": unknown}, indent=2))
    else:
        for item in wrong:
            click.echo(
                f"{click.style('job', fg='red')} {click.style(plain(item['job']), bold=True)}: {plain(_sentence(item))}"
            )
        for job in unknown:
            click.echo(f"no job {plain(job)}", err=True)
        click.secho(f"{_count(range(checked), 'job')} checked, {len(wrong)} differ", fg="red" if wrong else "green")
    sys.exit(2 if unknown else 1 if wrong else 0)


@click.command()
@data_option
def url(data: Path | None) -> None:
    """Print the URL of the database, with its password: `psql "$(tallymark url)"`.

    It is DATABASE_URL, or else the embedded database of a running `tallymark up`.
    """
    click.echo(libpq_url(find_database(None, data)))


def _all_jobs(connection: psycopg.Connection[Any]) -> Iterator[str]:
    """Yield the ids of all jobs in order, a page at a time, so that no snapshot is held while they are checked."""
    last = ""
    while page := functions.job_ids(connection, after_id=last, max_jobs=PAGE):
        yield from page
        last = page[-1]


def _place(difference: functions.Difference) -> int:
    """Return what differences are ordered by: the event."""
    return difference.seq


def _sentence(item: dict[str, Any]) -> str:
    """Say what differs in one line."""
    stored, folded = (json.dumps(item[side], ensure_ascii=False) for side in ("stored", "folded"))
    return f"event {item['seq']} differs in {item['field']}: stored {stored}, the ledger gives {folded}"


def _with_progress(jobs: Iterator[str]) -> Iterator[str]:
    """Pass jobs through; on a terminal, and when it takes long, say how many have been checked."""
    shown = sys.stderr.isatty()
    due = time.monotonic() + PATIENCE_SECONDS
    drawn = False
    for count, job in enumerate(jobs):
        if shown and time.monotonic() > due:
            click.echo(f"\r{count} jobs checked", nl=False, err=True)
            due = time.monotonic() + PATIENCE_SECONDS / 10
            drawn = True
        yield job
    if drawn:
        click.echo("\r\033[K", nl=False, err=True)
