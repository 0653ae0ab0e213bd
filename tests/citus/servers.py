"""The servers of the nodes, where they are on this machine: killed with -9, and started again as they were.

Nothing about them is configured: what a server was started with is read from itself and from /proc.
"""

import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import psutil
import psycopg
import pytest
from tests.faults.servers import kill, wait_until

#: How long a server may take until it answers again.
_PATIENCE_SECONDS = 120.0
#: Starts a server that goes on when the tests end, and prints its process id.
_START = 'exec 3>&1; exec >>"$1" 2>&1 </dev/null; shift; "$@" 3>&- & echo $! >&3'


@dataclass(frozen=True)
class _Origin:
    """What a server was started with; `output` is the file that it writes to, `groups` begins with its own one."""

    program: str
    arguments: list[str]
    directory: str
    environ: dict[str, str]
    user: int
    groups: list[int]
    output: str


class Server:
    """The server of a node."""

    def __init__(self, url: str) -> None:
        """Find the server behind a URL; the test is skipped where it is not on this machine."""
        self.url = url
        with psycopg.connect(url, autocommit=True) as connection:
            data, self._database = _one(connection, "SELECT current_setting('data_directory'), current_database()")
            self._postmaster = _find(connection.info.backend_pid, Path(data), url)
        self._origin = _origin_of(self._postmaster, data)

    def kill(self) -> None:
        """Kill the main process. The others end when they notice that, and may commit before."""
        kill([self._postmaster])
        wait_until(lambda: not _runs(self._postmaster), "the end of a server that was killed")

    def kill_backend(self) -> None:
        """Kill a process that serves this database, if possible a busy one. The server ends all, and recovers."""
        while not kill(self._backends()[:1]):
            time.sleep(0.05)
        self.wait()

    def start(self) -> None:
        """Start it as it was started, and wait until it answers: it waits itself until its old processes have ended."""
        give_up = time.monotonic() + _PATIENCE_SECONDS
        while not self.answers():
            if not _runs(self._postmaster):
                self._postmaster = self._started()
            assert time.monotonic() < give_up, f"{self.url} does not start; its output is in {self._origin.output}"
            time.sleep(0.1)

    def wait(self) -> None:
        """Wait until it answers."""
        wait_until(self.answers, f"an answer of {self.url}")

    def answers(self) -> bool:
        """Return whether it takes connections."""
        try:
            with psycopg.connect(self.url, connect_timeout=5) as connection:
                return _one(connection, "SELECT true") == (True,)
        except psycopg.OperationalError:
            return False

    def _started(self) -> psutil.Process:
        origin = self._origin
        own, *others = origin.groups
        as_user: Any = {"user": origin.user, "group": own, "extra_groups": others} if os.geteuid() == 0 else {}
        told = subprocess.run(
            ["/bin/sh", "-c", _START, "sh", origin.output, origin.program, *origin.arguments],
            cwd=origin.directory,
            env=origin.environ,
            stdout=subprocess.PIPE,
            start_new_session=True,
            check=True,
            **as_user,
        )
        return psutil.Process(int(told.stdout))

    def _backends(self) -> list[psutil.Process]:
        """Return the processes that serve this database, the busy ones first."""
        # PostgreSQL writes there what each of its processes does.
        serving = re.compile(rf"postgres: .*\b{re.escape(self._database)} \S+ ")
        return [
            child
            for child in sorted(self._postmaster.children(), key=lambda one: "idle" in _title(one))
            if serving.match(_title(child))
        ]


def _find(backend: int, data: Path, url: str) -> psutil.Process:
    """Return the main process above a process that serves a connection, or skip the test."""
    try:
        told = int((data / "postmaster.pid").read_text().splitlines()[0])
        postmaster = psutil.Process(backend).parent()
    except PermissionError:
        _skip(f"the server of {url} belongs to another user")
    except (OSError, ValueError, psutil.NoSuchProcess):
        postmaster = None
    if postmaster is None or postmaster.pid != told:
        _skip(f"the server of {url} is not on this machine")
    return postmaster


def _origin_of(postmaster: psutil.Process, data: str) -> _Origin:
    """Read what a server was started with."""
    program, *arguments = postmaster.cmdline()
    # A relative directory was meant in the directory of who started it.
    for place, option in enumerate(arguments[:-1]):
        if option == "-D" and not Path(arguments[place + 1]).is_absolute():
            arguments[place + 1] = data
    status = Path(f"/proc/{postmaster.pid}/status").read_text()
    found = re.search(r"^Groups:\s*([\d ]*)$", status, re.MULTILINE)
    output = Path(f"/proc/{postmaster.pid}/fd/2").readlink()
    user = postmaster.uids().effective
    is_ours = output.is_file() and output.stat().st_uid == user
    return _Origin(
        program=program if Path(program).is_absolute() else postmaster.exe(),
        arguments=arguments,
        directory=postmaster.cwd(),
        environ=postmaster.environ(),
        user=user,
        groups=[postmaster.gids().effective, *map(int, found[1].split() if found else [])],
        output=str(output) if is_ours else os.devnull,
    )


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.NoSuchProcess:
        return ""


def _one(connection: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    [row] = connection.execute(query.encode()).fetchall()
    found: tuple[Any, ...] = row
    return found


def _skip(why: str) -> NoReturn:
    pytest.skip(f"NOT TESTED: {why}, so it cannot be killed here")
