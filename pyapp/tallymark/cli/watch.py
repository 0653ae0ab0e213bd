"""The command that follows jobs: watch. In a terminal it draws pictures, each over the one before."""

import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import click
from rich.console import Console
from rich.text import Text

from tallymark import functions
from tallymark.cli.common import (
    Away,
    CannotRun,
    Database,
    Number,
    finder_options,
    json_option,
    server_time,
)
from tallymark.cli.interrupt import INTERRUPTED, Interrupt, Interrupted
from tallymark.cli.jobs import MOST_RATES, mark_of, read_rate, read_stalled
from tallymark.cli.watched import NamedJobs, RunningJobs
from tallymark.functions.call import Connection, Json
from tallymark.plain import plain, plain_json
from tallymark.terminal import job_view
from tallymark.terminal.rows import WIDE, Shown, table, totals
from tallymark.terminal.screen import Screen, can_redraw, make_console, say, spaced
from tallymark.terminal.text import clock, count, duration

Watched = NamedJobs | RunningJobs

#: After a reading that took long the database is left alone for so many times as long.
_REST = 3
#: How many types of a single job are shown, and how many events are kept.
_TYPES, _EVENTS = 8, 500
#: Stalled jobs are asked for at most so often, and rates take at most this part of the time.
_STALLED_SECONDS = 5.0
_RATES_SHARE = 0.25
#: Lines of the picture of a table that are no jobs: the headings, an empty one, the totals, and that of the cursor.
_AROUND = 4


@click.command()
@click.argument("job_ids", metavar="[JOB]...", nargs=-1)
@click.option(
    "--interval", type=Number(0.2, 3600), default=1.0, metavar="SECONDS", help="Time from one reading to the next."
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
    database: Database,
    watched: Watched,
    view: "_Lines | _JobView | _TableView",
    interrupt: Interrupt,
    interval: float,
    until: NamedJobs | None,
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


def _view(*, single: bool, interval: float, as_json: bool) -> "_Lines | _JobView | _TableView":
    console = make_console()
    if as_json or not can_redraw(console):
        return _Lines(as_json=as_json)
    return _JobView(console) if single else _TableView(console, interval)


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
        if self._away:
            self._note("the database is back")
            self._away = False
        for job in self._new:
            if self._as_json:
                say(plain_json(job))
                continue
            parts = [job["updatedAt"], job["id"], job["status"], job["summary"], job["progress"].get("stage")]
            if job["command"]:
                parts.append(f"{job['command']} asked")
            say("  ".join(plain(text) for text in parts if text))

    def away(self, reason: str) -> None:
        if not self._away:
            self._note(f"the database is away, trying again: {reason}")
        self._away = True

    def close(self) -> None:
        """Do nothing: every line is out."""

    def _note(self, what: str) -> None:
        """Print on standard error what is not a job's line."""
        say(f"tallymark: {plain(what)}", err=True)


class _Picture:
    """A picture, and whether it is of now."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._screen = Screen(console)
        self._lines: list[Text] = []
        self._away_since: float | None = None

    def draw(self) -> None:
        """Draw what was read last."""
        self._away_since = None
        self._screen.draw(self._lines)

    def away(self, reason: str) -> None:
        """Draw the last picture again, and since when the database is away."""
        now = time.monotonic()
        self._away_since = self._away_since or now
        since = duration(now - self._away_since)
        note = Text(f"the database is away, trying again ({since}): {plain(reason)}", "bold red")
        self._screen.draw([*self._lines[: self._console.height - 2], note])

    def close(self) -> None:
        """Leave the last picture as it is."""
        self._screen.close()


class _TableView(_Picture):
    """Many jobs, a line or two each. `interval` is the time from one picture to the next, in seconds."""

    def __init__(self, console: Console, interval: float) -> None:
        super().__init__(console)
        self._interval = interval
        self._rates: dict[str, tuple[float, Json | None]] = {}
        self._stalled: dict[str, functions.StalledJob] = {}
        self._stalled_due = 0.0

    def read(self, connection: Connection, watched: Watched, _new: list[Json], now: datetime) -> None:
        """Read which jobs stall, and the rates of those that fit the terminal."""
        jobs = watched.jobs()
        width, height = self._console.size
        fit = height if width >= WIDE else height // 2
        self._read_stalled(connection, jobs)
        self._read_rates(connection, [job["id"] for job in jobs[:fit] if job["status"] == "running"])
        shown = [
            Shown(
                job,
                self._rates.get(job["id"], (0, None))[1],
                mark_of(self._stalled.get(job["id"])),
                job["id"] in watched.gone,
            )
            for job in jobs
        ]
        self._lines = self._picture(shown, now, more=watched.more)

    def _picture(self, shown: list[Shown], now: datetime, *, more: bool) -> list[Text]:
        width, height = self._console.size
        last = Text.assemble((clock(now), "dim"), "  ", totals(shown), " or more" if more else "")
        if not shown:
            return [Text("no job is running"), Text(clock(now), "dim")]
        headings, lines = table(shown[:height], now, width)
        fitting: list[Text] = []
        drawn = 0
        for of_one in lines:
            if len(fitting) + len(of_one) > height - _AROUND:
                break
            fitting += of_one
            drawn += 1
        hidden = len(shown) - drawn
        return [headings, *fitting, Text(f"and {count(hidden, 'more job')}" if hidden else "", "dim"), last]

    def _read_stalled(self, connection: Connection, jobs: list[Json]) -> None:
        began = time.monotonic()
        if began >= self._stalled_due:
            self._stalled = read_stalled(connection, jobs)
            ended = time.monotonic()
            self._stalled_due = ended + max(_STALLED_SECONDS, (ended - began) / _RATES_SHARE)

    def _read_rates(self, connection: Connection, running: list[str]) -> None:
        """Read as many rates as there is time for, the oldest first."""
        began = time.monotonic()
        self._rates = {job_id: self._rates.get(job_id, (0.0, None)) for job_id in running}
        for job_id in sorted(running, key=lambda job_id: self._rates[job_id][0])[:MOST_RATES]:
            self._rates[job_id] = (time.monotonic(), read_rate(connection, job_id))
            if time.monotonic() - began > self._interval * _RATES_SHARE:
                break


class _JobView(_Picture):
    """One job, and the newest of its events."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._events: deque[functions.Event] = deque(maxlen=_EVENTS)
        self._created = ""

    def read(self, connection: Connection, watched: Watched, _new: list[Json], now: datetime) -> None:
        """Read its rate, whether it stalls, and the events that are new."""
        [job] = watched.jobs()
        gone = job["id"] in watched.gone
        rate = None if gone else read_rate(connection, job["id"])
        self._read_events(connection, job)
        stalled = read_stalled(connection, [] if gone else [job]).get(job["id"])
        width, height = self._console.size
        item = Shown(job, rate, mark_of(stalled), gone)
        head = job_view.head(item, now=now, room=width, stalled=stalled, most=1)
        # Events have room on a small terminal, too: the last facts are left out first.
        lines = spaced(head[: max(height * 2 // 5, 3)], job_view.counts(job, width, min(height // 6, _TYPES)))
        # The cursor has a line, the headings have one, and one is empty.
        fit = max(height - len(lines) - 3, 0)
        newest = list(self._events)[-fit:] if fit else []
        self._lines = spaced(lines, job_view.event_lines(newest, width))

    def _read_events(self, connection: Connection, job: Json) -> None:
        if job["createdAt"] != self._created:
            # Another job with the same id, or the first reading.
            self._events.clear()
            self._created = job["createdAt"]
        if not self._goes_on(connection, job):
            self._events.clear()
        seen = self._events[-1].seq if self._events else 0
        if seen == job["lastSeq"]:
            return
        # Of many that came at once, those that would be dropped again need not be read.
        after = max(seen, job["lastSeq"] - _EVENTS)
        with suppress(functions.JobNotFound):
            self._events += functions.timeline(connection, job["id"], after_seq=after, max_events=_EVENTS)

    def _goes_on(self, connection: Connection, job: Json) -> bool:
        """Return whether the last event that is shown is still in the ledger: a backup may have been restored."""
        if not self._events:
            return True
        last = self._events[-1]
        if job["lastSeq"] < last.seq:
            return False
        try:
            found = functions.timeline(connection, job["id"], after_seq=last.seq - 1, max_events=1)
        except functions.JobNotFound:
            return False
        # It may have been pruned.
        return not found or found[0].seq != last.seq or found[0] == last
