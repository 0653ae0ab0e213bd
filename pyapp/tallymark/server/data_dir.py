"""Who uses the embedded server's data directory: a lock on it, the server that runs on it, and that server's URL."""

import fcntl
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import psutil

from tallymark.server.private_files import open_private, read_private

HOST = "127.0.0.1"
DATABASE = "tallymark"
SUPERUSER = "postgres"
#: What libpq would otherwise take from the environment, such as PGHOSTADDR, PGSSLMODE and PGOPTIONS. The server has no
#: TLS and no GSSAPI.
_SAID = {
    "hostaddr": HOST,
    "sslmode": "disable",
    "sslrootcert": "",
    "gssencmode": "disable",
    "channel_binding": "disable",
    "target_session_attrs": "any",
    "options": "",
}


class DataDirInUseError(Exception):
    """Another process uses the data directory; the message names it."""


class DataLock:
    """A lock on a data directory, in a file that names its holder.

    The lock is the kernel's (`flock`), so it ends with the process that holds it, however that process dies.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock, or fail at once with a DataDirInUseError. The file's directory must exist."""
        file = open_private(self._path, os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # A holder that has just taken the lock may not have written its number yet.
            holder = os.read(file, 32).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise DataDirInUseError(
                f"the data directory {self._path.parent} is in use by process {holder}: "
                "stop that process, or use another directory"
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        """Release the lock; harmless if it is not held."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None


def end_leftover_server(cluster: Path, report: Callable[[str], None]) -> None:
    """End a server that a killed run left on a cluster, and remove a `postmaster.pid` without a server.

    PostgreSQL removes a stale `postmaster.pid` by itself, unless a process with that number exists. In a container it
    often does: nobody there collects dead orphans, and numbers are small and soon used again. We hold the data
    directory's lock here, so no other server of ours can start meanwhile.
    """
    pid = server_on(cluster)
    if pid is not None:
        report(f"stopping PostgreSQL server {pid}, which an earlier run left behind")
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            # PostgreSQL's fast shutdown, then its immediate one. A server whose parent was just killed is in the first.
            for signal_number, seconds in ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0)):
                psutil.Process(pid).send_signal(signal_number)
                give_up = time.monotonic() + seconds
                while (runs := server_on(cluster) is not None) and time.monotonic() < give_up:
                    time.sleep(0.05)
                if not runs:
                    break
        if server_on(cluster) is not None:
            raise DataDirInUseError(
                f"PostgreSQL server {pid} runs on {cluster} and could not be stopped: stop it first"
            )
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def server_on(cluster: Path) -> int | None:
    """Return the process id of the live server on a cluster; a dead one that nobody collected does not count."""
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


def running_url(data_dir: Path) -> str | None:
    """Return the libpq URL, with the password, of the server that runs on a data directory; None if none runs."""
    data_dir = data_dir.expanduser().absolute()
    try:
        if server_on(data_dir / "cluster") is None:
            return None
        return url_of(data_dir, int(read_private(data_dir / "port")), DATABASE)
    except (FileNotFoundError, ValueError):
        # It is about to start for the first time.
        return None


def url_of(data_dir: Path, port: int, database: str) -> str:
    """Return the libpq URL of a database of the server. It carries the password: do not log it.

    It leaves nothing to the environment, which may be meant for another server.
    """
    password = read_private(data_dir / "password").strip()
    return f"postgresql://{SUPERUSER}:{password}@{HOST}:{port}/{database}?{urlencode(_SAID)}"
