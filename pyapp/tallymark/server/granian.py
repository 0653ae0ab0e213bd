"""The web server: granian, running `tallymark.web:create_app()` in worker processes.

Its own settings are here. The application's come from the environment, as everywhere.
"""

import http.client
import multiprocessing
import os
import re
import resource
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from threading import Thread
from wsgiref.types import WSGIApplication

from tallymark.server.dead_clients import give_up_on_who_takes_nothing
from tallymark.server.lifeline import bound_to_us, die_with_parent
from tallymark.server.ports import is_free
from tallymark.server.private_directory import cleared_private_directory
from tallymark.settings import Settings

#: After so many seconds a stopping server closes what is still open: a request whose body never comes does not end.
GRACE_SECONDS = 10
#: The application has answered within a second everywhere so far; slow disks and busy machines get more.
HEALTHY_SECONDS = 60.0
#: Who takes nothing of what is sent is given up after so long.
_UNTAKEN_SECONDS = 20
#: Connections that have not been taken yet; the kernel allows fewer, where it is set so.
_BACKLOG = 4096
#: What a worker has open beside what its clients have: pools, logs, what it reads.
_OTHER_FILES = 256
#: prometheus-client looks there when it is imported, so it cannot be told any later.
_COUNTS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class WebServerError(Exception):
    """The web server could not be started; the message says why."""


def worker_app() -> WSGIApplication:
    """Make the application, in a worker process that ends when granian's main process does.

    Granian's workers would outlive a main process that is killed with -9, and keep the port.

    Returns:
        The WSGI application.
    """
    main = multiprocessing.parent_process()
    if main is not None and main.pid is not None:
        die_with_parent(main.pid, signal.SIGKILL)
    give_up_on_who_takes_nothing(_UNTAKEN_SECONDS)
    from tallymark.web import create_app

    app = create_app()
    _when_told_to_stop(app.extensions["tallymark.live"].stop)
    return app


def _when_told_to_stop(stop: Callable[[], None]) -> None:
    """Have something called as soon as this process gets a signal to end: granian waits for streams, and tells nobody.

    Granian sets its signal handlers later than this, and where Python's own would run it only waits. What is written
    to the pipe is written by Python whatever the handlers are.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def listen() -> None:
        while not {signal.SIGTERM, signal.SIGINT} & set(os.read(reading, 64)):
            pass
        stop()

    Thread(target=listen, name="tallymark-signals", daemon=True).start()


def granian_command(settings: Settings, host: str, port: int) -> list[str]:
    """Return the command that runs the web server.

    Args:
        settings: How many workers and threads it has.
        host: The address to listen on.
        port: The port to listen on.

    Returns:
        The program and its arguments.
    """
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "--no-ws"),
        # Over HTTP/2 a body may come without any length; what is to know of it before it is read is HTTP/1's.
        *("--http", "1"),
        *("--host", host, "--port", str(port), "--workers", str(settings.workers)),
        # A thread for each stream and for each request that waits, beside those for requests, of which the application
        # lets no more work at once, and for those that are turned away. Threads that are idle for 30 seconds end.
        *("--blocking-threads", str(2 * settings.blocking_threads + settings.streams + settings.max_waiting)),
        # Each connection counts, also one that nothing is asked on; past it nobody gets as far as to be told to wait.
        *("--backlog", str(_BACKLOG), "--backpressure", str(_connections(settings))),
        *("--workers-kill-timeout", str(GRACE_SECONDS)),
        # A worker that crashes is replaced; one that crashes again at once ends the server.
        "--respawn-failed-workers",
        # Below this level granian only says what we say ourselves, and advises fewer threads.
        *("--log-level", "error"),
        "tallymark.server.granian:worker_app",
    ]


def _connections(settings: Settings) -> int:
    """How many connections each worker takes: what is set, as far as it may have files open."""
    # Granian raises what a process may have open to this; many systems begin with 1,024.
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most_files == resource.RLIM_INFINITY:
        return settings.max_connections
    return max(min(settings.max_connections, most_files - _OTHER_FILES), settings.streams + 1)


def check_port(host: str, port: int) -> None:
    """See that a server could listen there: granian shares a port, so it would not notice another one.

    Args:
        host: The address to listen on.
        port: The port to listen on.

    Raises:
        WebServerError: The port is taken, or is not for us, or the host is not an address of this machine.
    """
    try:
        free = is_free(host, port)
    except OSError as error:
        raise WebServerError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    if not free:
        raise WebServerError(f"port {port} on {host} is taken: stop what listens there, or choose another with --port")


def serve(settings: Settings, host: str, port: int) -> None:
    """Become the web server: this process runs it from here on and gets its signals.

    Args:
        settings: How many workers and threads it has.
        host: The address to listen on.
        port: The port to listen on.

    Raises:
        WebServerError: It cannot listen there.
    """
    check_port(host, port)
    command = granian_command(settings, host, port)
    # All workers have to know the sessions that any of them made.
    environ = {**os.environ, "TALLYMARK_SECRET_KEY": settings.secret_key or secrets.token_hex()}
    environ = _counting_together(settings, host, port, environ)
    os.execve(command[0], command, environ)  # noqa: S606 - no shell is wanted


def _counting_together(settings: Settings, host: str, port: int, environ: Mapping[str, str]) -> dict[str, str]:
    """Have all worker processes count their requests in one directory; a single one has no need of any."""
    # The library takes an empty one for a directory; here it counts as not set, like all others.
    environ = {name: value for name, value in environ.items() if value or name != _COUNTS_VARIABLE}
    if settings.workers > 1 and _COUNTS_VARIABLE not in environ:
        try:
            # Of this address, which is no other server's while this one listens there.
            directory = cleared_private_directory(f"tallymark-counts-{re.sub('[^0-9A-Za-z.]', '_', host)}-{port}")
        except OSError as error:
            raise WebServerError(f"cannot make a directory for the workers' counts: {error}") from error
        environ[_COUNTS_VARIABLE] = str(directory)
    return environ


class WebServer:
    """The web server as a child process that does not outlive us."""

    def __init__(self, settings: Settings, host: str, port: int, environ: Mapping[str, str]) -> None:
        """Say where it is to listen. Nothing is started before `start`.

        Args:
            settings: How many workers and threads it has.
            host: The address to listen on.
            port: The port to listen on.
            environ: The environment that the application reads its settings from.
        """
        self._settings = settings
        self._command = granian_command(settings, host, port)
        self._host = host
        self._port = port
        self._environ = dict(environ)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where to reach it from this machine; a server on all addresses is reached on the local one."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host), self._port  # noqa: S104

    @property
    def url(self) -> str:
        """Its address as people type it, without a slash at the end."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Start it, and return when it answers.

        Raises:
            WebServerError: The port is taken, or it ended, or does not answer.
        """
        # Again, since starting the database took its time: two servers on one port would share the requests.
        check_port(self._host, self._port)
        # A session of its own: Ctrl-C in the terminal is for us. Killed when we are, for then the database goes too.
        self._process = subprocess.Popen(
            bound_to_us(self._command, signal.SIGKILL),
            stdin=subprocess.DEVNULL,
            env=_counting_together(self._settings, self._host, self._port, self._environ),
            start_new_session=True,
        )
        give_up = time.monotonic() + HEALTHY_SECONDS
        while not self._is_healthy():
            if not self.is_running():
                raise WebServerError("the web server ended while it started; what it wrote above says why")
            if time.monotonic() > give_up:
                raise WebServerError(f"{self.url}/healthz does not answer within {HEALTHY_SECONDS:g} s")
            time.sleep(0.05)

    def is_running(self) -> bool:
        """Say whether it runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Stop it: running requests are answered, and cut off after `GRACE_SECONDS`. Harmless when it does not run."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(GRACE_SECONDS + 5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # Its workers are in its process group; they end with it, and this makes sure.
        self._kill_group(process)
        self._process = None

    def hurry(self) -> None:
        """Have a running `stop` done at once: requests that still run are cut off."""
        if self._process is not None:
            self._kill_group(self._process)

    @staticmethod
    def _kill_group(process: subprocess.Popen[bytes]) -> None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _is_healthy(self) -> bool:
        host, port = self.address
        connection = http.client.HTTPConnection(host, port, timeout=2)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
