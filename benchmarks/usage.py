"""Who uses how much of the machine while it is measured."""

import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from benchmarks.database import Database


class Shares(NamedTuple):
    """Shares of one core that were used: by the server process, its connections in the database, and the pages."""

    server: float
    database: float
    pages: float

    @property
    def line(self) -> str:
        """They, for people."""
        return (
            f"the server process takes {self.server:.2f} of a core, what it asks of the database {self.database:.2f}, "
            f"the process of the pages {self.pages:.2f}"
        )


class Usage:
    """Measures shares of a core from when it is made on."""

    def __init__(self, database: Database, server: psutil.Process, crowd: psutil.Process) -> None:
        """Begin."""
        self._database = database
        self._server = server
        self._crowd = crowd
        self._before = self._all_used()
        self._since = time.monotonic()

    def shares(self) -> Shares:
        """Return the shares until now."""
        took = time.monotonic() - self._since
        now = self._all_used()
        return Shares(*(_spent(before, after) / took for before, after in zip(self._before, now, strict=True)))

    def _all_used(self) -> list[dict[str, float]]:
        return [_used(self._server), self._used_in_database(), _used(self._crowd)]

    def _used_in_database(self) -> dict[str, float]:
        """Return the same of the connections of the web server; nothing where the database is on another machine."""
        query = (
            b"SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tallymark'"
        )
        used: dict[str, float] = {}
        for (pid,) in self._database.connection.execute(query).fetchall():
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                used |= _used(process) if process.name() == "postgres" else {}
        return used


def _used(process: psutil.Process) -> dict[str, float]:
    """Return the seconds that each thread has used.

    Many kernels count by looking at each tick who runs just then, and so miss hundreds of threads that wake for a
    moment each. What Linux's scheduler says is exact.
    """
    used: dict[str, float] = {}
    for file in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
        with suppress(OSError):  # the thread has ended
            used[file.parent.name] = int(file.read_bytes().split()[0]) / 1e9
    if used:
        return used
    times = process.cpu_times()
    return {"": float(times.user + times.system)}


def _spent(before: dict[str, float], after: dict[str, float]) -> float:
    return sum(seconds - before.get(thread, 0.0) for thread, seconds in after.items())


def megabytes(process: psutil.Process) -> float:
    """Return the memory (RSS) of a process."""
    return float(process.memory_info().rss) / 1e6


def medians(shares: list[Shares]) -> Shares:
    """Return the median of each share."""
    return Shares(*(median(each) for each in zip(*shares, strict=True)))
