"""What an update costs: the CPU time that the web server and PostgreSQL take for it."""

from contextlib import suppress
from statistics import median
from typing import NamedTuple

import psutil

from benchmarks.database import Database


class Cpu(NamedTuple):
    """CPU time in seconds: of the web server, and of all processes of PostgreSQL.

    Attributes:
        web: Of the web server's main process and its workers.
        postgres: Of all of the server's processes; None where they run on another machine.
    """

    web: float
    postgres: float | None

    def each(self, before: "Cpu", updates: int) -> "Cpu":
        """Return what was used since an earlier reading, for each update, in microseconds."""
        postgres = None
        if self.postgres is not None and before.postgres is not None:
            postgres = (self.postgres - before.postgres) * 1e6 / updates
        return Cpu((self.web - before.web) * 1e6 / updates, postgres)

    @property
    def both(self) -> float:
        """The sum of both, where both are known."""
        return self.web + (self.postgres or 0.0)


class CpuClock:
    """Reads the CPU time of a web server and of its PostgreSQL server."""

    def __init__(self, web: int, database: Database) -> None:
        """Take the process id of the web server's main process, and a database on the server."""
        self._web = psutil.Process(web)
        self._postgres = postmaster(database)

    def read(self) -> Cpu:
        """Return what both have used so far."""
        return Cpu(used(self._web), used(self._postgres) if self._postgres else None)


def line(name: str, used: list[Cpu]) -> str:
    """Say what an update cost.

    Returns:
        A line for people, with the medians.
    """
    web = f"CPU an update, {name}: web {median(each.web for each in used):.0f} us"
    postgres = [each.postgres for each in used if each.postgres is not None]
    return f"{web}, PostgreSQL {median(postgres):.0f} us" if postgres else web


def details(name: str, used: list[Cpu]) -> dict[str, tuple[float, ...]]:
    """Return all measurements, for `--json`."""
    postgres = tuple(each.postgres for each in used if each.postgres is not None)
    every = {f"{name}_web_us": tuple(each.web for each in used), f"{name}_postgres_us": postgres}
    return {key: values for key, values in every.items() if values}


def used(process: psutil.Process) -> float:
    """Return the CPU time of a process and its descendants in seconds, with those that have ended and were waited for.

    A process's own time includes threads that have ended, which the files of its threads do not.
    """
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # its parent's sum has it, with the next reading
            times = each.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def postmaster(database: Database) -> psutil.Process | None:
    """Return the main process of the PostgreSQL server; None where it is not on this machine."""
    with suppress(psutil.Error):
        process = psutil.Process(database.value("SELECT pg_backend_pid()"))
        parent = process.parent()
        if process.name() == "postgres" and parent is not None and parent.name() == "postgres":
            return parent
    return None
