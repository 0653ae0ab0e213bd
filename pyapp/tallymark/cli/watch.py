"""The command that follows jobs: watch."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol

import click

from tallymark import functions
from tallymark.cli.common import (
    INTERRUPTED,
    Away,
    CannotRun,
    Database,
    Interrupt,
    Interrupted,
    Number,
    finder_options,
    json_option,
    server_time,
)
from tallymark.cli.jobs import list_jobs
from tallymark.functions.call import Connection, Json

#: After a reading that took long the database is left alone for so many times as long.
_REST = 3
#: A job that has ended stays in the picture of running jobs for so long.
LINGER_SECONDS = 10.0
#: More running jobs than this are not followed.
MOST_RUNNING = 10_000
#: Reading all running jobs takes at most one part in so many of the time; in between only changed ones are read.
_COMPLETE_SHARE = 10
#: An update that was recorded a moment before another may be committed after it.
_OVERLAP = timedelta(seconds=5)


class Watched(Protocol):
    """Jobs that are followed. `gone` are ids of deleted ones; `more` says that there are more than are followed."""

    gone: set[str]
    more: bool

    def read(self, connection: Connection, now: datetime) -> list[Json]:
        """Read them, and return those that are new or changed since the last time."""

    def jobs(self) -> list[Json]:
        """Return them as they were read last, in the order in which they are shown."""


class View(Protocol):
    """How the jobs are shown."""

    def read(self, connection: Connection, watched: Watched, new: list[Json], now: datetime) -> None:
        """Read what else is shown of them."""

    def draw(self) -> None:
        """Show what was read last."""

    def away(self, reason: str) -> None:
        """Show that the database is away."""

    def close(self) -> None:
        """Leave the last picture as it is."""


@click.command()
@click.argument("job_ids", metavar="[JOB]...", nargs=-1)
@click.option(
    "--interval",
    type=Number(0.2, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time from one reading to the next.",
)
@click.option("--until-done", is_flag=True, help="End when every JOB has finished, or one has ended otherwise.")
@json_option("Print a job as one line of JSON whenever it changes.")
@finder_options
def watch(
    job_ids: tuple[str, ...], find: Callable[[], str], interval: float, *, until_done: bool, as_json: bool
) -> None:
    """Follow each JOB, or all running jobs, until Ctrl-C.

    A single JOB is shown with its newest events. Where standard output is no terminal, a line is printed for each
    change. A database that goes away is waited for.

    Exits 0 on Ctrl-C. With --until-done: 0 when every JOB has finished, 1 as soon as one has failed, was cancelled or
    deleted, 130 on Ctrl-C.
    """
    if until_done and not job_ids:
        raise click.UsageError("--until-done needs the names of jobs")
    named = NamedJobs(job_ids) if job_ids else None
    database = Database(find, application="tallymark watch")
    with Interrupt() as interrupt:
        view = _view(single=len(set(job_ids)) == 1, interval=interval, as_json=as_json)
        try:
            code = _follow(database, named or RunningJobs(), view, interrupt, interval, named if until_done else None)
        finally:
            view.close()
    sys.exit(INTERRUPTED if code is None and until_done else code)


def _follow(
    database: Database, watched: Watched, view: View, interrupt: Interrupt, interval: float, until: "NamedJobs | None"
) -> int | None:
    """Read and show until all is done; return the exit code, or None when this process was asked to end."""

    def look(connection: Connection) -> None:
        now = server_time(connection)
        view.read(connection, watched, watched.read(connection, now), now)

    seen = False
    try:
        while True:
            began = time.monotonic()
            try:
                with interrupt.breaks():
                    database.read(look)
            except Away as away:
                # A mistyped name is an error; a database that was there once will come back.
                if not seen:
                    raise CannotRun(away.message) from away
                view.away(str(away))
            else:
                seen = True
                view.draw()
                if until is not None and (code := until.exit_code()) is not None:
                    return code
            took = time.monotonic() - began
            if interrupt.wait(max(interval, took * _REST)):
                return None
    except Interrupted:
        return None
    finally:
        database.close()


def _view(*, single: bool, interval: float, as_json: bool) -> View:
    # Imported here: `tallymark --help` imports this module, and draws nothing.
    from tallymark.cli.live import JobView, TableView
    from tallymark.terminal.screen import can_redraw, make_console

    console = make_console()
    if as_json or not can_redraw(console):
        return _Lines(as_json=as_json)
    return JobView(console) if single else TableView(console, interval)


class _Lines:
    """A line for each change, which other programs can read."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._new: list[Json] = []
        self._gone: set[str] = set()
        self._away = False

    def read(self, _connection: Connection, watched: Watched, new: list[Json], _now: datetime) -> None:
        self._new = new
        for job_id in sorted(watched.gone - self._gone):
            self._note(f"job {job_id} is gone")
        self._gone = set(watched.gone)

    def draw(self) -> None:
        from tallymark.terminal.text import plain

        if self._away:
            self._note("the database is back")
            self._away = False
        for job in self._new:
            if self._as_json:
                click.echo(json.dumps(job, ensure_ascii=False))
                continue
            parts = [job["updatedAt"], job["id"], job["status"], job["summary"], job["progress"].get("stage")]
            if job["command"]:
                parts.append(f"{job['command']} asked")
            click.echo("  ".join(plain(text) for text in parts if text))

    def away(self, reason: str) -> None:
        if not self._away:
            self._note(f"the database is away, trying again: {reason}")
        self._away = True

    def close(self) -> None:
        """Do nothing: every line is out."""

    def _note(self, what: str) -> None:
        """Print on standard error what is not a job's line."""
        from tallymark.terminal.text import plain

        click.echo(f"tallymark: {plain(what)}", err=True)


class NamedJobs:
    """Jobs that were named on the command line."""

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
    """All running jobs, the one that started last first."""

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
        page = list_jobs(connection, MOST_RUNNING, status="running")
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
        found = list_jobs(connection, MOST_RUNNING, status="running", updated_since=since)["jobs"]
        new = _changed(found, self._running)
        self._running |= {job["id"]: _slim(job) for job in found}
        return new


def _read_job(connection: Connection, job_id: str) -> Json:
    """Read a job as `list_jobs` returns it, without its timeline."""
    job = functions.get_job(connection, job_id, timeline_limit=0)
    del job["progress"]["timeline"]
    return job


def _changed(found: Iterable[Json], known: dict[str, Json]) -> list[Json]:
    """Return the jobs that are not known or have an event since."""
    return [job for job in found if _tag(job) != _tag(known.get(job["id"]))]


def _tag(job: Json | None) -> tuple[object, ...] | None:
    # The time of its creation tells a job from an earlier one with the same id.
    return None if job is None else (job["createdAt"], job["lastSeq"])


def _slim(job: Json) -> Json:
    """Leave out what may be large and is not shown of many jobs at once."""
    return job | {"resumeState": None}
