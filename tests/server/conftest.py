"""Other processes that hold an embedded server, to be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from tests.processes import ending_if_it_fails

#: Starts a server, prints its URL, and keeps it until its end. With a second argument the server outlives its holder,
#: as it does where the kernel cannot end it.
_HOLDER = """
import sys, time
from pathlib import Path
from tallymark.server import postgres

if len(sys.argv) > 2:
    postgres.bound_to_us = lambda command, _signal: command
with postgres.EmbeddedPostgres(Path(sys.argv[1])) as server:
    print(server.process.pid, server.url, flush=True)
    time.sleep(600)
"""


@dataclass
class Holder:
    """A process that holds a server.

    Attributes:
        process: The holder.
        server_pid: The process id of its PostgreSQL.
        url: Where its database is.
    """

    process: subprocess.Popen[str]
    server_pid: int
    url: str

    def kill(self) -> None:
        """Kill the holder, not the server, with -9."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def hold() -> Iterator[Callable[..., Holder]]:
    """Start holders; what they leave running is ended when the test ends."""
    holders: list[Holder] = []

    def start(data_dir: Path, *, outlived: bool = False) -> Holder:
        arguments = [sys.executable, "-c", _HOLDER, str(data_dir), *(["outlived"] if outlived else [])]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with ending_if_it_fails(process):
            server_pid, url = process.stdout.readline().split()
        holders.append(Holder(process, int(server_pid), url))
        return holders[-1]

    yield start
    for holder in holders:
        if holder.process.poll() is None:
            holder.process.terminate()
            holder.process.wait()
        assert holder.process.stdout is not None
        holder.process.stdout.close()
        if alive(holder.server_pid):
            os.kill(holder.server_pid, signal.SIGQUIT)


def alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def gone() -> Callable[[int], bool]:
    """Return whether a process ends within ten seconds."""

    def wait(pid: int) -> bool:
        give_up = time.monotonic() + 10
        while alive(pid) and time.monotonic() < give_up:
            time.sleep(0.02)
        return not alive(pid)

    return wait
