"""Archives of jobs: a file for each, compressed JSON lines, complete and on the disk before anything is deleted.

The first line is the job (see `job_record` in SQL), each line after it one event of its ledger, with the update as it
was taken. So the file holds all from which the job's state follows, and `zcat FILE | jq` reads it.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from tallymark import functions
from tallymark.functions.call import Connection
from tallymark.server.private_files import open_private

#: What the first line says it is; a later release may write another number.
FORMAT = "tallymark job 1"
#: A name of more bytes than 255 is refused by most file systems; ids may have 255 characters.
_MOST_NAME_BYTES = 180


def archive_job(connection: Connection, job: functions.Ended, directory: Path) -> Path:
    """Write a job to a file of its own, as it is at one moment.

    Args:
        connection: In autocommit; a transaction is opened on it.
        job: The job.
        directory: Where the archives are; the file goes into a directory of the year and month in which the job ended.

    Returns:
        The file, which is on the disk, whatever happens next. One of the same name is replaced: it is of the same job
        with the same last event.

    Raises:
        OSError: It cannot be written.
        JobNotFound: The job is not there any more.
        TallymarkError: The database is away, or the caller is no admin.
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
    """Yield the lines, all of one snapshot."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        record = functions.job_record(connection, job_id)
        yield {"format": FORMAT, "archivedAt": datetime.now(UTC).isoformat(timespec="milliseconds"), **record}
        last = 0
        while page := functions.ledger_page(connection, job_id, after_seq=last):
            yield from (event for _, event in page)
            last = page[-1][0]


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
