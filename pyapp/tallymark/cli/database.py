"""Commands for the schema and the ledger: migrate, rollback, doctor, verify."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TypeVar

import click
import psycopg

from tallymark.schema.doctor import DoctorError, findings
from tallymark.schema.migrate import MigrationError, libpq_url
from tallymark.schema.migrate import migrate as run_migrate
from tallymark.schema.migrate import rollback as run_rollback

#: How many jobs `verify` asks for at a time, and after how many seconds it begins to say how far it is.
PAGE = 100
PATIENCE_SECONDS = 2.0

_NEXT_JOBS = "SELECT id FROM tallymark.job WHERE id > %s ORDER BY id LIMIT %s"
_VERIFY = "SELECT tallymark.verify_job(%s)"
_FIRST_DIFFERENCE = "SELECT seq, field, stored, folded FROM tallymark.verify_differences(%s) LIMIT 1"

Command = TypeVar("Command", bound=Callable[..., Any])


class CannotRun(click.ClickException):
    """The command could not do its work; exit 1 is left to say that it did and that something is wrong."""

    exit_code = 2


def database_url_option(command: Command) -> Command:
    """Give a command the option `--database-url`, which falls back to `DATABASE_URL`."""
    return click.option(
        "--database-url",
        "url",
        envvar="DATABASE_URL",
        metavar="URL",
        callback=_given,
        help="The database, as libpq takes it.  [env: DATABASE_URL]",
    )(command)


def _given(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    """Say what to do when neither the option nor the variable names a database."""
    if not value:
        raise click.UsageError(
            "Which database? Set DATABASE_URL or give --database-url, for example "
            "postgresql://user@host:5432/dbname (`tallymark up` prints the URL of its own)."
        )
    return value


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what can go wrong on the way to the database into one message without a traceback."""
    try:
        yield
    except (MigrationError, DoctorError, psycopg.Error) as error:
        raise CannotRun(str(error).strip()) from error


def _count(things: Sized, noun: str) -> str:
    """Count things in words: `1 job`, `2 jobs`."""
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


@click.command()
@database_url_option
@click.option("--break-lock", is_flag=True, help="First remove a lock that a killed `yoyo` left behind.")
def migrate(url: str, *, break_lock: bool) -> None:
    """Install or upgrade the schema: pending migrations, then all functions and views."""
    with _explained():
        done = run_migrate(url, report=click.echo, break_lock=break_lock)
    click.secho(f"{_count(done, 'migration')} applied" if done else "nothing was pending", fg="green")


@click.command()
@database_url_option
@click.option("--steps", type=click.IntRange(min=1), default=1, show_default=True, help="How many migrations.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rollback(url: str, *, steps: int, yes: bool) -> None:
    """Take back the newest migrations. What they made is dropped, with the data in it."""
    if not yes:
        click.confirm(f"Take back {_count(range(steps), 'migration')}, with the data in what they made?", abort=True)
    with _explained():
        done = run_rollback(url, steps=steps, report=click.echo)
    click.secho(f"{_count(done, 'migration')} taken back" if done else "nothing was applied", fg="green")


@click.command()
@database_url_option
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a JSON array.")
def doctor(url: str, *, as_json: bool) -> None:
    """Compare the database with the files. Exits 1 when something differs, 2 when that cannot be told."""
    with _explained():
        found = findings(url, report=lambda line: click.secho(line, fg="yellow", err=True))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], indent=2, ensure_ascii=False))
    elif not found:
        click.secho("The database is what the files say.", fg="green")
    else:
        for finding in found:
            click.echo(
                f"{click.style(finding.kind, fg='red')} {click.style(finding.object, bold=True)}: {finding.problem}"
            )
            for label, text in (("expected", finding.expected), ("found", finding.found), ("fix", finding.fix)):
                if text:
                    click.echo(f"    {click.style(f'{label}:', dim=True)} {text}")
        click.echo(_count(found, "finding"))
    sys.exit(1 if found else 0)


@click.command()
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@database_url_option
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as a JSON object.")
def verify(jobs: tuple[str, ...], url: str, *, as_json: bool) -> None:
    """Fold the ledger of each JOB (of all, when none is named) anew and compare it with the stored state.

    Exits 1 when a job differs and names the first event that does, 2 when a JOB is not known.
    """
    checked = 0
    wrong: list[dict[str, Any]] = []
    unknown: list[str] = []
    with _explained(), psycopg.connect(libpq_url(url), autocommit=True) as connection:
        for job in _with_progress(iter(jobs) if jobs else _all_jobs(connection)):
            checked += 1
            verdict = _verdict(connection, job)
            if verdict is None:
                unknown.append(job)
            elif not verdict:
                wrong.append({"job": job} | _first_difference(connection, job))
    if as_json:
        click.echo(json.dumps({"checked": checked - len(unknown), "wrong": wrong, "unknown": unknown}, indent=2))
    else:
        for item in wrong:
            click.echo(f"{click.style('job', fg='red')} {click.style(item['job'], bold=True)}: {_sentence(item)}")
        for job in unknown:
            click.echo(f"no job {job}", err=True)
        known = range(checked - len(unknown))
        click.secho(f"{_count(known, 'job')} checked, {len(wrong)} differ", fg="red" if wrong else "green")
    sys.exit(2 if unknown else 1 if wrong else 0)


def _all_jobs(connection: psycopg.Connection[Any]) -> Iterator[str]:
    """Yield the ids of all jobs in order, a page at a time, so that no snapshot is held while they are checked."""
    last = ""
    while page := connection.execute(_NEXT_JOBS, [last, PAGE]).fetchall():
        for (last,) in page:
            yield last


def _verdict(connection: psycopg.Connection[Any], job: str) -> bool | None:
    """Ask whether a job's ledger gives its stored state; None when there is no such job."""
    try:
        row = connection.execute(_VERIFY, [job]).fetchone()
    except psycopg.Error as error:
        if error.sqlstate != "TK404":
            raise
        return None
    return row[0] if row else None


def _first_difference(connection: psycopg.Connection[Any], job: str) -> dict[str, Any]:
    """Fetch the first event and field that differ."""
    row = connection.execute(_FIRST_DIFFERENCE, [job]).fetchone()
    return dict(zip(("seq", "field", "stored", "folded"), row or (None, None, None, None), strict=True))


def _sentence(item: dict[str, Any]) -> str:
    """Say what differs in one line."""
    if item["field"] is None:
        return "differs from its ledger"
    where = f"event {item['seq']}" if item["seq"] is not None else "the whole"
    stored, folded = (json.dumps(item[side], ensure_ascii=False) for side in ("stored", "folded"))
    return f"{where} differs in {item['field']}: stored {stored}, the ledger gives {folded}"


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
