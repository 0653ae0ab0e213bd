"""Which jobs `tallymark watch` follows, and what is new of them, read anew each time as cheaply as that can be done."""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol

from tallymark import functions
from tallymark.cli.jobs import list_jobs
from tallymark.functions.call import Connection, Json
from tallymark.functions.errors import JobNotFound

#: A job that has ended stays for so long in the picture of those that run.
LINGER_SECONDS = 10.0
#: More running jobs than this are not followed.
MOST_RUNNING = 10_000
#: Reading all running jobs takes at most one part in so many of the time; in between only those are read that changed.
_COMPLETE_SHARE = 10
#: An update that was recorded a moment before another may be committed after it.
_OVERLAP = timedelta(seconds=5)


class Watched(Protocol):
    """Jobs that are followed.

    Attributes:
        gone: Those that were there and are no longer.
        more: Whether there are more than are followed.
    """

    gone: set[str]
    more: bool

    def read(self, connection: Connection, now: datetime) -> list[Json]:
        """Read them; those of which something is new since the last time are given."""

    def jobs(self) -> list[Json]:
        """Give them as they were read last, in the order in which they are shown."""


class NamedJobs:
    """Jobs that were named; the attributes are those of `Watched`."""

    def __init__(self, ids: Sequence[str]) -> None:
        """Name them.

        Args:
            ids: Theirs.
        """
        self._ids = list(dict.fromkeys(ids))
        self._known: dict[str, Json] = {}
        self.gone: set[str] = set()
        self.more = False

    def read(self, connection: Connection, now: datetime) -> list[Json]:  # noqa: ARG002 - the others need it
        """Read each by its id.

        Args:
            connection: Where to read.
            now: By the server's clock.

        Returns:
            The jobs of which something is new.

        Raises:
            JobNotFound: There never was such a job.
        """
        found = []
        for job_id in self._ids:
            try:
                found.append(_without_timeline(functions.get_job(connection, job_id, timeline_limit=0)))
            except JobNotFound:
                if job_id not in self._known:
                    raise
                self.gone.add(job_id)
            else:
                self.gone.discard(job_id)
        new = _new(found, self._known)
        self._known |= {job["id"]: job for job in found}
        return new

    def jobs(self) -> list[Json]:
        """Give them in the order in which they were named."""
        return [self._known[job_id] for job_id in self._ids]

    def exit_code(self) -> int | None:
        """Say whether all have come to a good end.

        Returns:
            0 when all have finished, 1 when one has ended otherwise or is gone, None while neither is so.
        """
        jobs = self.jobs()
        # What has ended has an end; which statuses these are the database knows.
        if self.gone or any(job["finishedAt"] and job["status"] != "finished" for job in jobs):
            return 1
        return 0 if all(job["finishedAt"] for job in jobs) else None


class RunningJobs:
    """All jobs that run, the one that started last first; the attributes are those of `Watched`."""

    def __init__(self) -> None:
        self._running: dict[str, Json] = {}
        self._ended: dict[str, tuple[Json, float]] = {}
        self._complete_due = 0.0
        self.gone: set[str] = set()
        self.more = False

    def read(self, connection: Connection, now: datetime) -> list[Json]:
        """Read those that run, or of many only those that changed.

        Args:
            connection: Where to read.
            now: By the server's clock.

        Returns:
            The jobs of which something is new; those that ran and do not any more are among them.
        """
        began = time.monotonic()
        self._ended = {job_id: kept for job_id, kept in self._ended.items() if kept[1] > began}
        if began < self._complete_due:
            return self._read_changed(connection, now)
        page = list_jobs(connection, MOST_RUNNING, status="running")
        running = {job["id"]: _slim(job) for job in page["jobs"]}
        more = page["next"] is not None
        # Where there are too many, those that are not here may only be behind the others.
        left = [] if more else _read_left(connection, self._running.keys() - running.keys())
        new = _new(page["jobs"], self._running)
        # Nothing is taken for known before all was read: the connection may break at any time.
        self._running, self.more = running, more
        ended = time.monotonic()
        self._ended |= {job["id"]: (_slim(job), ended + LINGER_SECONDS) for job in left}
        self._complete_due = ended + (ended - began) * _COMPLETE_SHARE
        return [*new, *left]

    def jobs(self) -> list[Json]:
        """Give them, and those that ended a moment ago."""
        ended = (job for job_id, (job, _until) in self._ended.items() if job_id not in self._running)
        # As they started, so that nothing changes its place when it is reported on.
        return sorted(
            [*self._running.values(), *ended],
            key=lambda job: (job["startedAt"] or job["createdAt"], job["id"]),
            reverse=True,
        )

    def _read_changed(self, connection: Connection, now: datetime) -> list[Json]:
        newest = max((job["updatedAt"] for job in self._running.values()), default=None)
        since = (datetime.fromisoformat(newest) if newest else now) - _OVERLAP
        found = list_jobs(connection, MOST_RUNNING, status="running", updated_since=since)["jobs"]
        new = _new(found, self._running)
        self._running |= {job["id"]: _slim(job) for job in found}
        return new


def _read_left(connection: Connection, ids: Iterable[str]) -> list[Json]:
    """Read what became of jobs that are no longer among the running ones."""
    left = []
    for job_id in ids:
        with suppress(JobNotFound):
            left.append(_without_timeline(functions.get_job(connection, job_id, timeline_limit=0)))
    return left


def _new(found: Iterable[Json], known: dict[str, Json]) -> list[Json]:
    """Tell which of the jobs have got an event since, or were not known."""
    return [job for job in found if _tag(job) != _tag(known.get(job["id"]))]


def _tag(job: Json | None) -> tuple[object, ...] | None:
    # When it was made tells a job from an earlier one of the same id.
    return None if job is None else (job["createdAt"], job["lastSeq"])


def _slim(job: Json) -> Json:
    """Leave out what may be large and is not shown of many jobs at once."""
    return job | {"resumeState": None}


def _without_timeline(job: Json) -> Json:
    """Give a job as `list_jobs` does, wherever it was read."""
    del job["progress"]["timeline"]
    return job
