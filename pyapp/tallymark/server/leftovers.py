"""What a killed run leaves behind: a PostgreSQL server that still runs, or a `postmaster.pid` without one.

PostgreSQL clears a stale `postmaster.pid` by itself, unless a process with that number exists. In a container it often
does: nobody there collects dead orphans, and numbers are small and soon used again. We hold the data directory's lock
when we look, so no server of ours can start meanwhile.
"""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil


class LeftoverServerError(Exception):
    """A server runs on the data directory that we could not end; the message names it."""


def end_leftover_server(cluster: Path, report: Callable[[str], None]) -> None:
    """See that no server runs on a cluster, nor seems to.

    Args:
        cluster: PostgreSQL's data directory, which need not exist.
        report: Told when a server has to be ended, which can take a while.

    Raises:
        LeftoverServerError: One runs on and cannot be ended.
    """
    pid_file = cluster / "postmaster.pid"
    pid = server_on(cluster)
    if pid is None:
        pid_file.unlink(missing_ok=True)
        return
    report(f"ending the PostgreSQL server {pid} that an earlier run left behind")
    try:
        # PostgreSQL's fast shutdown, then its immediate one. A server whose parent was just killed is in the first.
        for signal_number, seconds in ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0)):
            psutil.Process(pid).send_signal(signal_number)
            give_up = time.monotonic() + seconds
            while time.monotonic() < give_up:
                if server_on(cluster) is None:
                    pid_file.unlink(missing_ok=True)
                    return
                time.sleep(0.05)
    except psutil.NoSuchProcess:
        pid_file.unlink(missing_ok=True)
        return
    except psutil.AccessDenied:
        pass
    raise LeftoverServerError(f"PostgreSQL server {pid} runs on {cluster} and does not end: stop it first")


def server_on(cluster: Path) -> int | None:
    """Find the live server on a cluster; a dead one that nobody collected is none.

    Args:
        cluster: PostgreSQL's data directory, which need not exist.

    Returns:
        Its process id, or None.

    Raises:
        OSError: The directory is closed to us.
    """
    try:
        pid = int((cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace").split("\n", 1)[0])
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or process.name() != "postgres":
            return None
        # The server works inside its data directory. Another server's process may have got the number.
        return pid if cluster.samefile(process.cwd()) else None
    except psutil.AccessDenied:
        return pid
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None
