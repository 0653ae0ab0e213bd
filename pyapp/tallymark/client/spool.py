"""The directory of the outboxes, with a file for each job and each named worker of it.

A file belongs to the process that has it open. If two processes report on one job, the second gets a file of its own.
The next run of the job takes over the updates in all its free files, because the server must have all counts before it
answers where to go on.
"""

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from tallymark.client import ownership
from tallymark.client.disk import DISK_ERRORS, set_aside
from tallymark.client.log import log as _log
from tallymark.client.outbox import Outbox
from tallymark.client.spool_file import InUse

_SUFFIX = ".sqlite3"
#: How long to wait for a file that another process may hold only to deliver what was left in it; see `Sender`.
_PATIENCE_SECONDS = 10.0
#: How many processes may report on a job without names for its workers.
_MOST_CRAWLS = 64


class Spool:
    """Opens outboxes."""

    def __init__(self, directory: Path | None, *, limit: int) -> None:
        """Prepare; no file is touched yet. Without a directory, outboxes are in memory."""
        # The crawl may change its working directory.
        self.directory = directory.absolute() if directory is not None else None
        self._limit = limit

    def _in_memory(self) -> Outbox:
        return Outbox(None, limit=self._limit)

    def open(self, job_id: str, worker: str | None) -> Outbox:
        """Open the outbox of a job, with all updates that earlier runs left. If the disk fails, warn and use memory."""
        if self.directory is None:
            return self._in_memory()
        name = _name(job_id, worker)
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            give_up = time.monotonic() + _PATIENCE_SECONDS
            outbox = self._first_free(self.directory, name, give_up)
            try:
                self._take_over_others(self.directory, name, outbox, give_up)
            except BaseException:
                # An open file would be in use for the next start.
                outbox.close()
                raise
        except DISK_ERRORS as error:
            _log.warning(
                "job %s: the spool %s cannot be used, updates are kept in memory: %s", job_id, self.directory, error
            )
            return self._in_memory()
        return outbox

    def new_file(self, job_id: str, worker: str | None) -> Outbox | None:
        """Open a file of the job that did not exist, to go on in after a disk failure; return None if there is none.

        What is in the job's other files stays there, and is delivered from there; what is sent twice counts once.
        """
        if self.directory is None:
            return None
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._slots(self.directory, _name(job_id, worker)):
            if not path.exists() and (outbox := self._open(path)) is not None:
                if not len(outbox) and outbox.position() is None:
                    return outbox
                outbox.close()
        return None

    def _slots(self, directory: Path, name: str) -> Iterator[Path]:
        for slot in range(1, _MOST_CRAWLS + 1):
            yield directory / f"{name}~{slot}{_SUFFIX}"

    def _take_over_others(self, directory: Path, name: str, outbox: Outbox, give_up: float) -> None:
        for path in sorted(directory.glob(f"{name}~*{_SUFFIX}")):
            # It may be newer than the first one, and held only to be delivered.
            if path != outbox.path and (other := self._open_until(path, give_up)) is not None:
                try:
                    outbox.take_over(other)
                    other.close(remove=True)
                except BaseException:
                    other.close()
                    raise

    def _open_until(self, path: Path, give_up: float) -> Outbox | None:
        """Open a file as soon as it is free; return None if another process still has it open at `give_up`."""
        while (outbox := self._open(path)) is None:
            if time.monotonic() >= give_up:
                _log.warning("another process uses %s; name the workers, so that each has its own file", path)
                return None
            time.sleep(0.05)
        return outbox

    def _first_free(self, directory: Path, name: str, give_up: float) -> Outbox:
        for path in self._slots(directory, name):
            if (outbox := self._open_until(path, give_up)) is not None:
                return outbox
        raise OSError(f"{_MOST_CRAWLS} other processes report on the job; name its workers")

    def _open(self, path: Path) -> Outbox | None:
        """Open a file; return None if another process has it open."""
        while True:
            before = _inode(path)
            try:
                outbox = Outbox(path, limit=self._limit)
            except InUse:
                return None
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                _log.warning("the spool file %s is damaged (%s); it is kept as %s", path, error, set_aside(path))
                continue
            # The process that had it open may have removed it while this one waited for the lock.
            try:
                after = _inode(path)
                if after is not None and before in {None, after}:
                    return outbox
                outbox.close()
            except BaseException:
                outbox.close()
                raise

    def leftovers(self) -> Iterator[Outbox]:
        """Open the files that no process uses and in which updates wait. The caller closes them."""
        if self.directory is None:
            return
        try:
            paths = sorted(self.directory.glob(f"*~*{_SUFFIX}"))
            ownership.remove_left(self.directory)
        except OSError:
            return
        for path in paths:
            try:
                outbox = self._open(path)
            except DISK_ERRORS as error:
                _log.warning("the spool file %s cannot be used, its updates stay there: %s", path, error)
                continue
            if outbox is None:
                continue
            if len(outbox):
                yield outbox
            else:
                outbox.close()


def _name(job_id: str, worker: str | None) -> str:
    """Return a file name that shows people which job it is, and that differs for different jobs and workers."""
    digest = hashlib.sha256(f"{job_id}\0{worker or ''}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    shown = quote("@".join(filter(None, (job_id, worker))), safe="@", errors="replace").replace("~", "%7E")[:80]
    return f"{shown}-{digest}"


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
