"""The two servers that are killed: `tallymark serve` with its workers, and an embedded PostgreSQL with its backends."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tallymark.server import EmbeddedPostgres
from tallymark.server.ports import some_free_port

from .crawlers import TOKEN

CLI = (sys.executable, "-c", "from tallymark.cli import main; main()")
#: Longer than any start or end has ever taken here.
_PATIENCE_SECONDS = 60.0
WORKERS = 2


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds.

    Args:
        holds: Returns whether it does.
        what: The condition, for the message.
    """
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < give_up, f"waited in vain for {what}"
        time.sleep(0.05)


@contextmanager
def stopped(processes: Iterable[psutil.Process]) -> Iterator[None]:
    """Stop processes for a while, as on a machine that swaps or is moved.

    Args:
        processes: Some of them may have ended already.
    """
    held = [process for process in processes if _signal(process, signal.SIGSTOP)]
    try:
        yield
    finally:
        for process in held:
            _signal(process, signal.SIGCONT)


def kill(processes: Iterable[psutil.Process]) -> int:
    """Kill processes with -9.

    Args:
        processes: Which; some may have ended already.

    Returns:
        How many were killed.
    """
    return sum([_signal(process, signal.SIGKILL) for process in processes])


def _signal(process: psutil.Process, number: signal.Signals) -> bool:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return False
    return True


class WebServer:
    """A `tallymark serve`, on the same port whenever it is started."""

    def __init__(self, database_url: str, log: Path) -> None:
        """Prepare; nothing is started before `start`.

        Args:
            database_url: Where it finds the database.
            log: The file for its output.
        """
        self.port = some_free_port("127.0.0.1")
        self.log = log
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TALLYMARK_", "DATABASE_"))}
        self._environ = clean | {
            "DATABASE_URL": database_url,
            "CRAWLER_API_TOKEN": TOKEN,
            "TALLYMARK_WORKERS": str(WORKERS),
            # Short, so that a stopped server or backend leads to every kind of answer.
            "TALLYMARK_LOCK_TIMEOUT": "1000",
            "TALLYMARK_POOL_TIMEOUT": "2",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*CLI, "serve", "--port", str(self.port)],
                stderr=log,
                stdout=log,
                env=self._environ,
                start_new_session=True,
            )
        wait_until(lambda: self._is_healthy() or not self.is_running(), "the web server to answer")
        assert self.is_running(), self.log.read_text()[-3000:]

    def is_running(self) -> bool:
        """Return whether its main process runs."""
        return self._process is not None and self._process.poll() is None

    def processes(self) -> list[psutil.Process]:
        """Return its main process and all that it started."""
        assert self._process is not None
        main = psutil.Process(self._process.pid)
        return [main, *main.children(recursive=True)]

    def workers(self) -> list[psutil.Process]:
        """Return the processes that answer requests."""
        # A zombie has no command line.
        return [process for process in self.processes()[1:] if _command_line(process)]

    def wait_for_the_end(self, processes: list[psutil.Process]) -> None:
        """Wait until all processes have ended of a server whose main process was killed."""
        assert self._process is not None
        self._process.wait(_PATIENCE_SECONDS)
        _gone, alive = psutil.wait_procs(processes, timeout=10)
        assert alive == [], f"these outlive the web server's main process: {alive}"

    def stop(self) -> None:
        """Stop it like a service manager."""
        if self._process is not None and self.is_running():
            self._process.terminate()
            try:
                self._process.wait(20)
            finally:
                self._process.kill()
                self._process.wait()

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def postmaster(postgres: EmbeddedPostgres) -> psutil.Process:
    """Return PostgreSQL's main process."""
    assert postgres.process is not None
    return psutil.Process(postgres.process.pid)


def backends(postgres: EmbeddedPostgres) -> list[psutil.Process]:
    """Return the processes that run the endpoint's statements, the busy ones first."""
    titles = [(" ".join(_command_line(process)), process) for process in postmaster(postgres).children()]
    serving = [(title, process) for title, process in titles if " tallymark 127.0.0.1(" in title]
    return [process for _title, process in sorted(serving, key=lambda one: "idle" in one[0])]


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []
