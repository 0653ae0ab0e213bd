"""The command of retention: prune.

A deleted job's archive is a file of compressed JSON lines, complete and on the disk before the job is deleted. Its
first line is the job (see `job_record` in SQL), each other line an event of its ledger with the update as it was taken.
If the job has counted items by their keys, as many as its `items` says, lines with these follow, of the form `{"items":
[[type, digest in hexadecimal, seq], ...]}` (see `item_page`).
So the file has everything from which the job's state follows; `zcat FILE | jq` reads it.
"""

import gzip
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import click

from tallymark import functions
from tallymark.cli.common import (
    ADMIN,
    CannotRun,
    Number,
    connected,
    database_options,
    json_option,
    print_json,
    server_time,
    short_lock,
    time_gone_by,
)
from tallymark.functions.call import Connection
from tallymark.functions.errors import LOCK_NOT_AVAILABLE, Conflict, JobNotFound, Unavailable
from tallymark.plain import plain
from tallymark.server.private_files import open_private
from tallymark.terminal.screen import ProgressLine, Styled, say
from tallymark.terminal.text import count

#: What the first line of an archive says it is; a later release may write another number.
FORMAT = "tallymark job 1"
#: The same with lines of items.
FORMAT_WITH_ITEMS = "tallymark job 2"
#: How many jobs are asked for at a time.
PAGE = 1_000
#: Most file systems refuse names of more than 255 bytes; ids may have 255 characters.
_MOST_NAME_BYTES = 180

Moment = timedelta | datetime | None


@dataclass
class Outcome:
    """What a run did, or with --dry-run would do.

    `events` of `jobs` were folded, `deleted` jobs were deleted, `archives` are their files. Jobs that were
    `passed_over` stayed as they are, because they were locked or changed meanwhile.
    """

    events: int = 0
    jobs: int = 0
    deleted: int = 0
    archives: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


@click.command()
@click.option(
    "--older-than",
    callback=time_gone_by,
    metavar="AGE|DATE",
    help="Fold events recorded longer ago than this (12h, 30d, 8w), or before this date (ISO 8601, UTC).",
)
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    default=100,
    metavar="N",
    help="Keep so many of each job's newest events, however old.",
)
@click.option(
    "--delete-ended",
    callback=time_gone_by,
    metavar="AGE|DATE",
    help="Delete jobs that ended and were last updated longer ago than this; needs --archive or --no-archive.",
)
@click.option(
    "--archive",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write each job to a file in this directory before it is deleted.",
)
@click.option("--no-archive", is_flag=True, help="Delete jobs without writing them to a file.")
@click.option(
    "--share",
    type=Number(min=0.01, max=1),
    default=0.5,
    metavar="PART",
    help="Work for this part of the time, 0.01 to 1, and leave the rest to crawlers.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing; print what would be done.")
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
    """Fold old events into baselines, and delete ended jobs.

    A job's baseline stands for the events that were folded into it and deleted.
    The states of jobs do not change, `tallymark verify` still holds, and an update whose event was folded is still
    recognised as a duplicate. Crawlers may go on: it works in small transactions, and may be stopped at any time.

    Exits 1 when some jobs had to be passed over; the next run will take them.
    """
    if older_than is None and delete_ended is None:
        raise click.UsageError("nothing to prune; give --older-than, --delete-ended, or both")
    if delete_ended is not None and not dry_run and (archive is None) is not no_archive:
        raise click.UsageError("--delete-ended needs one of --archive DIR and --no-archive")
    with connected(url, ADMIN, unhurried=True) as connection:
        run = _Run(connection, share, dry_run=dry_run)
        if delete_ended is not None:
            run.delete_ended(_moment(connection, delete_ended), archive)
        if older_than is not None:
            run.fold(_moment(connection, older_than), keep)
        run.progress.clear()
    outcome = run.outcome
    if as_json:
        print_json(asdict(outcome))
    else:
        for job in outcome.passed_over:
            say(f"passed over {plain(job)}: it changed, or was locked", err=True)
        would = "would be " if dry_run else ""
        parts = [f"{count(outcome.events, 'event')} of {count(outcome.jobs, 'job')} {would}pruned"]
        if outcome.deleted:
            parts.append(f"{count(outcome.deleted, 'job')} {would}{'archived and ' if archive else ''}deleted")
        say(Styled("; ".join(parts), "green"))
    sys.exit(1 if outcome.passed_over else 0)


class _Run:
    """One run over a database."""

    def __init__(self, connection: Connection, share: float, *, dry_run: bool) -> None:
        self.outcome = Outcome()
        self.progress = ProgressLine(patience=0)
        self._connection = connection
        self._share = share
        self._dry_run = dry_run

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
                if error.sqlstate != LOCK_NOT_AVAILABLE:
                    raise
                self.outcome.passed_over.append(job.id)
        if self.outcome.events and not self._dry_run:
            page: int | None = 0
            while page is not None:
                began = time.monotonic()
                page = functions.resummarize_ledger(self._connection, page)
                self._rest(began)

    def _fold_job(self, job_id: str, older_than: datetime, keep: int) -> None:
        while True:
            began = time.monotonic()
            with short_lock(self._connection):
                pruned = functions.prune_job(self._connection, job_id, older_than, keep_newest=keep)
            self.outcome.events += pruned.events
            done = f"{count(self.outcome.events, 'event')} of {count(self.outcome.jobs, 'job')}"
            self.progress.show(f"{done} pruned, at {job_id}")
            self._rest(began)
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
                self.progress.show(f"{count(self.outcome.deleted, 'job')} deleted, at {job.id}")
                self._rest(began)
            last = page[-1].id

    def _delete(self, job: functions.Ended, archive: Path | None) -> bool:
        try:
            path = None if archive is None else archive_job(self._connection, job, archive)
            # It may have been updated while it was written. Then it stays, and so does the file, which does no harm.
            with short_lock(self._connection):
                functions.delete_job(self._connection, job.id, expected_seq=job.last_seq)
        except JobNotFound:
            return False
        except (Conflict, Unavailable) as error:
            if not isinstance(error, Conflict) and error.sqlstate != LOCK_NOT_AVAILABLE:
                raise
            self.outcome.passed_over.append(job.id)
            return False
        except OSError as error:
            raise CannotRun(f"cannot archive {plain(job.id)}, so it is not deleted: {error}") from error
        if path is not None:
            self.outcome.archives.append(str(path))
        return True

    def _rest(self, began: float) -> None:
        """Pause for as long as the share asks for."""
        if not self._dry_run:
            time.sleep((time.monotonic() - began) * (1 / self._share - 1))


def _moment(connection: Connection, given: timedelta | datetime) -> datetime:
    """Return the moment that was meant, by the server's clock, by which events are recorded."""
    return server_time(connection) - given if isinstance(given, timedelta) else given


# --- archives --------------------------------------------------------------------------------------------------------


def archive_job(connection: Connection, job: functions.Ended, directory: Path) -> Path:
    """Write a job to a file of its own, in a directory of the year and month in which it ended, and return the file.

    When this returns, the file is on the disk. One of the same name has the same job and last event, and is replaced.
    """
    ended = job.ended_at.astimezone(UTC)
    place = directory / f"{ended:%Y}" / f"{ended:%m}"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = place / f"{_file_name(job)}.jsonl.gz"
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = open_private(unfinished, os.O_WRONLY | os.O_EXCL)
    try:
        with os.fdopen(descriptor, "wb") as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as file:
                for line in _lines(connection, job.id):
                    file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
            raw.flush()
            os.fsync(raw.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    for changed in (place, place.parent, directory):
        _sync(changed)
    return path


def _lines(connection: Connection, job_id: str) -> Iterator[object]:
    """Yield the lines of a job's archive, all of one snapshot."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        record = functions.job_record(connection, job_id)
        form = FORMAT_WITH_ITEMS if record["items"] else FORMAT
        yield {"format": form, "archivedAt": datetime.now(UTC).isoformat(timespec="milliseconds"), **record}
        last = 0
        while page := functions.ledger_page(connection, job_id, after_seq=last):
            yield from (event for _, event in page)
            last = page[-1][0]
        item = None
        while items := functions.item_page(connection, job_id, after=item):
            yield {"items": [[found.type, found.key_digest.hex(), found.seq] for found in items]}
            item = items[-1]


def _file_name(job: functions.Ended) -> str:
    """Name a job's file: no two jobs have the same name, and none leads to another directory."""
    name = quote(job.id, safe="").replace(".", "%2E")
    if len(name) > _MOST_NAME_BYTES:
        name = f"{name[:_MOST_NAME_BYTES]}-{hashlib.sha256(job.id.encode()).hexdigest()[:16]}"
    return f"{name}-{job.last_seq}"


def _sync(directory: Path) -> None:
    """Have the names in a directory on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
