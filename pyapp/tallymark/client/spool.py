"""Where outboxes are: a directory with a file for each job, and for each worker of it.

A file belongs to the process that has it open. Where two processes report on one job, the second gets one of its own;
whoever starts the job next takes over what any of them left, for what was counted must be at the server before it says
where to go on.
"""

import hashlib
import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from tallymark.client.outbox import InUse, Outbox

_log = logging.getLogger("tallymark.client")
_SUFFIX = ".sqlite3"
#: For how long a file may be held by somebody who only delivers what is left in it; see `Sender`.
_PATIENCE_SECONDS = 10.0
#: How many processes may report on one job without naming its workers.
_MOST_CRAWLS = 64


class Spool:
    """Opens outboxes."""

    def __init__(self, directory: Path | None, *, limit: int) -> None:
        """Touch nothing yet. Without a directory, all is in memory."""
        self.directory = directory
        self._limit = limit

    def _in_memory(self) -> Outbox:
        return Outbox(None, limit=self._limit)

    def open(self, job_id: str, worker: str | None) -> Outbox:
        """Open the outbox of a job, with all that was left of it. Where the disk refuses, warn and use memory."""
        if self.directory is None:
            return self._in_memory()
        name = _name(job_id, worker)
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            outbox = self._first_free(self.directory, name)
            for path in sorted(self.directory.glob(f"{name}~*{_SUFFIX}")):
                if path != outbox.path and (other := self._open(path)) is not None:
                    outbox.take_over(other)
                    other.close(remove=True)
        except (OSError, sqlite3.Error) as error:
            _log.warning(
                "job %s: the spool %s cannot be used, what waits is in memory: %s", job_id, self.directory, error
            )
            return self._in_memory()
        return outbox

    def _first_free(self, directory: Path, name: str) -> Outbox:
        give_up = time.monotonic() + _PATIENCE_SECONDS
        for slot in range(1, _MOST_CRAWLS + 1):
            path = directory / f"{name}~{slot}{_SUFFIX}"
            while True:
                if (outbox := self._open(path)) is not None:
                    return outbox
                if time.monotonic() >= give_up:
                    _log.warning("another crawl uses %s; name the workers of a job, so that each has its own", path)
                    break
                time.sleep(0.05)
        raise OSError(f"{_MOST_CRAWLS} other crawls use it")

    def _open(self, path: Path) -> Outbox | None:
        """Open a file; None when somebody else has it."""
        while True:
            before = _inode(path)
            try:
                outbox = Outbox(path, limit=self._limit)
            except InUse:
                return None
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
                _log.warning("the spool file %s is damaged (%s); it is kept as %s", path, error, aside)
                path.replace(aside)
                continue
            # Who had it before may have removed it while we waited for the lock.
            after = _inode(path)
            if after is not None and before in {None, after}:
                return outbox
            outbox.close()

    def leftovers(self) -> Iterator[Outbox]:
        """Open the files that nobody uses and in which something waits. Whoever gets one closes it."""
        if self.directory is None:
            return
        try:
            paths = sorted(self.directory.glob(f"*~*{_SUFFIX}"))
        except OSError:
            return
        for path in paths:
            try:
                outbox = self._open(path)
            except (OSError, sqlite3.Error) as error:
                _log.warning("the spool file %s cannot be used: %s", path, error)
                continue
            if outbox is None:
                continue
            if len(outbox):
                yield outbox
            else:
                outbox.close()


def _name(job_id: str, worker: str | None) -> str:
    """Return a name that is a file's, tells people which job it is, and differs where the jobs differ."""
    digest = hashlib.sha256(f"{job_id}\0{worker or ''}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    shown = quote("@".join(filter(None, (job_id, worker))), safe="@", errors="replace").replace("~", "%7E")[:80]
    return f"{shown}-{digest}"


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
