"""Which jobs `tallymark watch` follows, and which of them have changed, read as cheaply as possible."""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from tallymark import functions
from tallymark.cli.jobs import list_jobs
from tallymark.functions.call import Connection, Json

#: A job that has ended stays in the picture of running jobs for so long.
LINGER_SECONDS = 10.0
#: More running jobs than this are not followed.
MOST_RUNNING = 10_000
#: Reading all running jobs takes at most one part in so many of the time; in between only changed ones are read.
_COMPLETE_SHARE = 10
#: An update that was recorded a moment before another may be committed after it.
_OVERLAP = timedelta(seconds=5)


class NamedJobs:
    """Jobs that were named on the command line. `gone` are ids of those that were deleted."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = list(dict.fromkeys(ids))
        self._known: dict[str, Json] = {}
        self.gone: set[str] = set()
        self.more = False

    def read(self, connection: Connection, now: datetime) -> list[Json]:  # noqa: ARG002 - the others need it
        """Read each by its id; JobNotFound is raised where there never was such a job."""
        found = []
        for job_id in self._ids:
            try:
                found.append(_read_job(connection, job_id))
            except functions.JobNotFound:
                if job_id not in self._known:
                    raise
                self.gone.add(job_id)
            else:
                self.gone.discard(job_id)
        new = _changed(found, self._known)
        self._known |= {job["id"]: job for job in found}
        return new

    def jobs(self) -> list[Json]:
        """Return them in the order in which they were named."""
        return [self._known[job_id] for job_id in self._ids]

    def exit_code(self) -> int | None:
        """Return 0 when all have finished, 1 when one has ended otherwise or is gone, None while neither is so."""
        jobs = self.jobs()
        # A job with an end has ended; the database knows which statuses end a job.
        if self.gone or any(job["finishedAt"] and job["status"] != "finished" for job in jobs):
            return 1
        return 0 if all(job["finishedAt"] for job in jobs) else None


class RunningJobs:
    """All running and waiting jobs, the one that started last first. `more`: there are more than are followed."""

    def __init__(self) -> None:
        self._running: dict[str, Json] = {}
        self._ended: dict[str, tuple[Json, float]] = {}
        self._complete_due = 0.0
        self.gone: set[str] = set()
        self.more = False

    def read(self, connection: Connection, now: datetime) -> list[Json]:
        """Read those that run, or of many only those that changed. Jobs that have ended since are returned, too."""
        began = time.monotonic()
        self._ended = {job_id: kept for job_id, kept in self._ended.items() if kept[1] > began}
        if began < self._complete_due:
            return self._read_changed(connection, now)
        page = _list_running(connection)
        running = {job["id"]: _slim(job) for job in page["jobs"]}
        more = page["next"] is not None
        left = []
        # Where there are too many, a job that is not in the list may still run.
        for job_id in () if more else self._running.keys() - running.keys():
            with suppress(functions.JobNotFound):
                left.append(_read_job(connection, job_id))
        new = _changed(page["jobs"], self._running)
        # Kept only now that all was read: the connection may break at any time.
        self._running, self.more = running, more
        ended = time.monotonic()
        self._ended |= {job["id"]: (_slim(job), ended + LINGER_SECONDS) for job in left}
        self._complete_due = ended + (ended - began) * _COMPLETE_SHARE
        return [*new, *left]

    def jobs(self) -> list[Json]:
        """Return them, and those that ended a moment ago."""
        ended = (job for job_id, (job, _until) in self._ended.items() if job_id not in self._running)
        # By their start, so that no job changes its place when it is updated.
        return sorted(
            [*self._running.values(), *ended],
            key=lambda job: (job["startedAt"] or job["createdAt"], job["id"]),
            reverse=True,
        )

    def _read_changed(self, connection: Connection, now: datetime) -> list[Json]:
        newest = max((job["updatedAt"] for job in self._running.values()), default=None)
        since = (datetime.fromisoformat(newest) if newest else now) - _OVERLAP
        found = _list_running(connection, updated_since=since)["jobs"]
        new = _changed(found, self._running)
        self._running |= {job["id"]: _slim(job) for job in found}
        return new


def _list_running(connection: Connection, *, updated_since: datetime | None = None) -> Json:
    """List the jobs that run or wait; where there are more, `next` is not None."""
    pages = [
        list_jobs(connection, MOST_RUNNING, status=status, updated_since=updated_since)
        for status in ("running", "waiting")
    ]
    return {
        "jobs": [job for page in pages for job in page["jobs"]],
        "next": next((page["next"] for page in pages if page["next"] is not None), None),
    }


def _read_job(connection: Connection, job_id: str) -> Json:
    """Read a job as `list_jobs` returns it, without its timeline."""
    job = functions.get_job(connection, job_id, timeline_limit=0)
    del job["progress"]["timeline"]
    return job


def _changed(found: Iterable[Json], known: dict[str, Json]) -> list[Json]:
    """Return the jobs that are not known or have an event since."""
    return [job for job in found if _tag(job) != _tag(known.get(job["id"]))]


def _tag(job: Json | None) -> tuple[object, ...] | None:
    # The time of its creation tells a job from an earlier one with the same id; the last two tell a ledger from another
    # one that was restored from a backup.
    return None if job is None else (job["createdAt"], job["lastSeq"], job["updatedAt"], job["command"])


def _slim(job: Json) -> Json:
    """Leave out what may be large and is not shown of many jobs at once."""
    return job | {"resumeState": None}
