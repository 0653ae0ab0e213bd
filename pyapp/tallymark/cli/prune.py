"""The command of retention: prune."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import click

from tallymark import functions
from tallymark.cli.archive import archive_job
from tallymark.cli.connect import connected, server_time
from tallymark.cli.options import CannotRun, Number, database_options, json_option, time_gone_by
from tallymark.functions.call import Connection
from tallymark.functions.errors import Conflict, JobNotFound, Unavailable
from tallymark.terminal.text import plain

#: How many jobs are asked about at a time.
PAGE = 1_000
#: On a terminal it says this often how far it is.
_SAY_SECONDS = 0.2
#: A crawler in a long transaction may hold a job's row: it is waited for this long, then the next job is taken.
_LOCK_TIMEOUT = "2s"
_LOCK_NOT_AVAILABLE = "55P03"

Moment = timedelta | datetime | None


@dataclass
class Outcome:
    """What a run did.

    Attributes:
        events: Events that were folded into baselines, or with --dry-run would be.
        jobs: Of how many jobs.
        deleted: Jobs that were deleted, or with --dry-run would be.
        archives: The files that they are in.
        passed_over: Jobs that were left as they are, because somebody held them or they changed meanwhile.
    """

    events: int = 0
    jobs: int = 0
    deleted: int = 0
    archives: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


@click.command()
@click.option("--older-than", callback=time_gone_by, metavar="30d|ISO", help="Fold events recorded before this.")
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="N",
    help="How many of each job's newest events stay, however old.",
)
@click.option(
    "--delete-ended",
    callback=time_gone_by,
    metavar="90d|ISO",
    help="Also delete jobs that ended, and were last heard of, before this; needs --archive or --no-archive.",
)
@click.option(
    "--archive",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where jobs are written before they are deleted, a file each.",
)
@click.option("--no-archive", is_flag=True, help="Delete them without.")
@click.option(
    "--share",
    type=Number(min=0.01, max=1),
    default=0.5,
    show_default=True,
    metavar="PART",
    help="Which part of the time to work; the rest is left to crawlers.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing, and say what would be done.")
@json_option("Print the outcome as a JSON object.")
@database_options
def prune(
    url: str,
    older_than: Moment,
    keep: int,
    delete_ended: Moment,
    archive: Path | None,
    share: float,
    *,
    no_archive: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Fold old events into each job's baseline, and delete jobs that ended long ago.

    States stay as they are, `tallymark verify` holds, and an update that was pruned is still recognised when it comes
    again. It runs beside crawlers, in small transactions, and can be broken off at any time.

    Exits 1 when some jobs had to be passed over: another run will find them.
    """
    if older_than is None and delete_ended is None:
        raise click.UsageError("Say what is old: --older-than, --delete-ended, or both.")
    if delete_ended is not None and not dry_run and (archive is None) is not no_archive:
        raise click.UsageError("--delete-ended needs one of --archive DIR and --no-archive.")
    with connected(url) as connection:
        run = _Run(connection, share, dry_run=dry_run)
        if delete_ended is not None:
            run.delete_ended(_moment(connection, delete_ended), archive)
        if older_than is not None:
            run.fold(_moment(connection, older_than), keep)
        run.say("")
    outcome = run.outcome
    if as_json:
        click.echo(json.dumps(asdict(outcome), indent=2, ensure_ascii=False))
    else:
        for job in outcome.passed_over:
            click.echo(f"passed over {plain(job)}: it changed, or somebody held it", err=True)
        _summarize(outcome, archived=archive is not None, dry_run=dry_run)
    sys.exit(1 if outcome.passed_over else 0)


class _Run:
    """One run over a database."""

    def __init__(self, connection: Connection, share: float, *, dry_run: bool) -> None:
        self.outcome = Outcome()
        self._connection = connection
        self._share = share
        self._dry_run = dry_run
        self._say_at = 0.0

    def fold(self, older_than: datetime, keep: int) -> None:
        """Fold the old events of all jobs."""
        for job in self._prunable(older_than, keep):
            self.outcome.jobs += 1
            if self._dry_run:
                self.outcome.events += job.events
                continue
            try:
                self._fold_job(job.id, older_than, keep)
            except JobNotFound:
                continue  # deleted meanwhile
            except Unavailable as error:
                if error.sqlstate != _LOCK_NOT_AVAILABLE:
                    raise
                self.outcome.passed_over.append(job.id)
        if self.outcome.events and not self._dry_run:
            page: int | None = 0
            while page is not None:
                began = time.monotonic()
                page = functions.resummarize_ledger(self._connection, page)
                self._leave_time(began)

    def _fold_job(self, job_id: str, older_than: datetime, keep: int) -> None:
        while True:
            began = time.monotonic()
            with self._impatiently():
                pruned = functions.prune_job(self._connection, job_id, older_than, keep_newest=keep)
            self.outcome.events += pruned.events
            self.say(f"{self.outcome.events} events of {self.outcome.jobs} jobs pruned, at {job_id}")
            self._leave_time(began)
            if not pruned.more:
                return

    def _prunable(self, older_than: datetime, keep: int) -> Iterator[functions.Prunable]:
        last = ""
        while ids := functions.job_ids(self._connection, after_id=last, max_jobs=PAGE):
            yield from functions.prunable_events(self._connection, ids, older_than, keep_newest=keep)
            last = ids[-1]

    def delete_ended(self, ended_before: datetime, archive: Path | None) -> None:
        """Archive and delete the jobs that ended long ago."""
        last = ""
        while page := functions.ended_jobs(self._connection, ended_before, after_id=last, max_jobs=PAGE):
            for job in page:
                began = time.monotonic()
                if self._dry_run or self._delete(job, archive):
                    self.outcome.deleted += 1
                self.say(f"{self.outcome.deleted} jobs deleted, at {job.id}")
                self._leave_time(began)
            last = page[-1].id

    def _delete(self, job: functions.Ended, archive: Path | None) -> bool:
        try:
            path = None if archive is None else archive_job(self._connection, job, archive)
            # It may have gone on while it was written. Then it stays, and so does the file, which does no harm.
            with self._impatiently():
                functions.delete_job(self._connection, job.id, expected_seq=job.last_seq)
        except JobNotFound:
            return False
        except (Conflict, Unavailable) as error:
            if not isinstance(error, Conflict) and error.sqlstate != _LOCK_NOT_AVAILABLE:
                raise
            self.outcome.passed_over.append(job.id)
            return False
        except OSError as error:
            raise CannotRun(f"cannot archive {plain(job.id)}, so it is not deleted: {error}") from error
        if path is not None:
            self.outcome.archives.append(str(path))
        return True

    @contextmanager
    def _impatiently(self) -> Iterator[None]:
        """Do something in a transaction of its own, that waits for no lock for long."""
        with self._connection.transaction():
            self._connection.execute("SELECT pg_catalog.set_config('lock_timeout', %s, true)", [_LOCK_TIMEOUT])
            yield

    def _leave_time(self, began: float) -> None:
        """Pause for as long as the share asks for."""
        if not self._dry_run:
            time.sleep((time.monotonic() - began) * (1 / self._share - 1))

    def say(self, text: str) -> None:
        """Say on a terminal how far it is; nothing takes the line away."""
        if sys.stderr.isatty() and (not text or time.monotonic() > self._say_at):
            click.echo(f"\r{plain(text)}\033[K", nl=False, err=True)
            self._say_at = time.monotonic() + _SAY_SECONDS


def _moment(connection: Connection, given: timedelta | datetime) -> datetime:
    """Give the moment that was meant, by the server's clock, by which events are recorded."""
    return server_time(connection) - given if isinstance(given, timedelta) else given


def _summarize(outcome: Outcome, *, archived: bool, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    told = [f"{outcome.events} events of {outcome.jobs} jobs {would}pruned"]
    if outcome.deleted:
        told.append(f"{outcome.deleted} jobs {would}{'archived and ' if archived else ''}deleted")
    click.secho("; ".join(told), fg="green")
