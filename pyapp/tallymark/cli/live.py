"""The pictures that `tallymark watch` draws in a terminal, each over the one before."""

import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from tallymark import functions
from tallymark.cli.figures import MOST_RATES, read_rate, read_stalled
from tallymark.cli.watched import Watched
from tallymark.functions.call import Connection, Json
from tallymark.functions.errors import JobNotFound
from tallymark.terminal import events, job_view
from tallymark.terminal.rows import WIDE, Shown, table, totals
from tallymark.terminal.screen import picture, spaced
from tallymark.terminal.text import clock, count, cut, duration, plain

if TYPE_CHECKING:
    from tallymark.functions.jobs import Event
    from tallymark.functions.stats import StalledJob

#: How many types of a single job are shown, and how many events are kept.
_TYPES, _EVENTS = 8, 500
#: Which jobs stall is asked at most so often, and rates take at most this part of the time.
_STALLED_SECONDS = 5.0
_RATES_SHARE = 0.25
#: Lines of the picture of a table that are no jobs: the headings, an empty one, the last one, and that of the cursor.
_AROUND = 4


class _Screen:
    """The part of the terminal that is drawn over."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._size = console.size
        self._live: Live | None = None
        self._lines: list[Text] = []
        self._away_since: float | None = None

    def show(self, lines: Iterable[Text]) -> None:
        """Draw a picture."""
        self._lines = list(lines)
        self._away_since = None
        self._draw(self._lines)

    def away(self, reason: str) -> None:
        """Draw the last picture again, and that it is not of now."""
        now = time.monotonic()
        self._away_since = self._away_since or now
        since = duration(now - self._away_since)
        words = Text(f"the database is away, trying again ({since}): {plain(reason)}", "bold red")
        self._draw([*self._lines[: self.console.height - 2], words])

    def close(self) -> None:
        """Leave the last picture as it is."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self, lines: list[Text]) -> None:
        size = self.console.size
        if size != self._size and self._live is not None:
            # The terminal has broken the lines of the old picture anew; where it begins now nobody knows.
            self.close()
            self.console.clear()
        self._size = size
        fitting = [cut(line, size.width) for line in lines[: max(size.height - 1, 1)]]
        drawn = picture(self.console, fitting)
        if self._live is None:
            self._live = Live(drawn, console=self.console, auto_refresh=False, vertical_overflow="crop")
            self._live.start(refresh=True)
        else:
            self._live.update(drawn, refresh=True)


class TableView:
    """Many jobs, a line or two each."""

    def __init__(self, console: Console, interval: float) -> None:
        """Make it; nothing is drawn yet.

        Args:
            console: A terminal.
            interval: Seconds from one picture to the next.
        """
        self._console = console
        self._screen = _Screen(console)
        self._interval = interval
        self._rates: dict[str, tuple[float, Json | None]] = {}
        self._stalled: dict[str, StalledJob] = {}
        self._stalled_due = 0.0
        self._lines: list[Text] = []

    def read(self, connection: Connection, watched: Watched, _new: list[Json], now: datetime) -> None:
        """Read rates and which jobs stall, of the jobs that fit the terminal."""
        jobs = watched.jobs()
        width, height = self._console.size
        fit = height if width >= WIDE else height // 2
        self._read_stalled(connection, jobs)
        self._read_rates(connection, [job["id"] for job in jobs[:fit] if job["status"] == "running"])
        shown = [
            Shown(job, self._rates.get(job["id"], (0, None))[1], job["id"] in self._stalled, job["id"] in watched.gone)
            for job in jobs
        ]
        self._lines = self._picture(shown, now, more=watched.more)

    def draw(self) -> None:
        """Draw what was read last."""
        self._screen.show(self._lines)

    def away(self, reason: str) -> None:
        """Draw that the database is away."""
        self._screen.away(reason)

    def close(self) -> None:
        """Leave the last picture as it is."""
        self._screen.close()

    def _picture(self, shown: list[Shown], now: datetime, *, more: bool) -> list[Text]:
        width, height = self._console.size
        last = Text.assemble((clock(now), "dim"), "  ", totals(shown), " or more" if more else "")
        if not shown:
            return [Text("no job is running"), Text(clock(now), "dim")]
        headings, lines = table(shown[:height], now, width)
        fitting: list[Text] = []
        told = 0
        for of_one in lines:
            if len(fitting) + len(of_one) > height - _AROUND:
                break
            fitting += of_one
            told += 1
        hidden = [Text(f"and {count(len(shown) - told, 'more job')}", "dim")] if told < len(shown) else []
        return [headings, *fitting, *hidden, last] if hidden else [headings, *fitting, Text(), last]

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


class JobView:
    """One job, and the newest of its events."""

    def __init__(self, console: Console) -> None:
        """Make it; nothing is drawn yet.

        Args:
            console: A terminal.
        """
        self._console = console
        self._screen = _Screen(console)
        self._events: deque[Event] = deque(maxlen=_EVENTS)
        self._made = ""
        self._stalled: StalledJob | None = None
        self._lines: list[Text] = []

    def read(self, connection: Connection, watched: Watched, _new: list[Json], now: datetime) -> None:
        """Read its rate, whether it stalls, and the events that are new."""
        [job] = watched.jobs()
        gone = job["id"] in watched.gone
        rate = None if gone else read_rate(connection, job["id"])
        self._read_events(connection, job)
        stalled = read_stalled(connection, [] if gone else [job]).get(job["id"])
        width, height = self._console.size
        item = Shown(job, rate, stalled is not None, gone)
        head = job_view.head(item, now=now, room=width, stalled=stalled, most=1)
        # A small terminal has room for events all the same: what is told last goes first.
        lines = spaced(head[: max(height * 2 // 5, 3)], job_view.counts(job, width, min(height // 6, _TYPES)))
        # The cursor has a line, the headings have one, and one is empty.
        fit = max(height - len(lines) - 3, 0)
        newest = list(self._events)[-fit:] if fit else []
        self._lines = spaced(lines, events.event_lines(newest, width) if newest else [])

    def draw(self) -> None:
        """Draw what was read last."""
        self._screen.show(self._lines)

    def away(self, reason: str) -> None:
        """Draw that the database is away."""
        self._screen.away(reason)

    def close(self) -> None:
        """Leave the last picture as it is."""
        self._screen.close()

    def _read_events(self, connection: Connection, job: Json) -> None:
        if job["createdAt"] != self._made:
            # Another job of the same id, or the first look.
            self._events.clear()
            self._made = job["createdAt"]
        seen = self._events[-1].seq if self._events else 0
        if seen == job["lastSeq"]:
            return
        # Of many that came at once, those that would be dropped again need not be read.
        after = max(seen, job["lastSeq"] - _EVENTS)
        with suppress(JobNotFound):
            self._events += functions.timeline(connection, job["id"], after_seq=after, max_events=_EVENTS)
