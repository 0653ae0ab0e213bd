"""The web server: granian, running the application of `tallymark.server.worker` in worker processes.

Its own settings are here. The application's come from the environment, as everywhere.
"""

import http.client
import os
import re
import resource
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

from tallymark.server.lifeline import bound_to_us
from tallymark.server.ports import is_free
from tallymark.server.private_files import cleared_private_directory
from tallymark.settings import Settings

#: A server that stops closes what is still open after so many seconds. Streams, and bodies that do not come, are ended
#: at once, so that only calls of the database take longer than a second.
GRACE_SECONDS = 10
#: The application has answered within a second everywhere so far; slow disks and busy machines get more.
HEALTHY_SECONDS = 60.0
#: Connections that wait to be accepted; the kernel may allow fewer.
_BACKLOG = 4096
#: Files that a worker has open beside its clients' connections: pools, logs, what it reads.
_OTHER_FILES = 256
#: prometheus-client reads it when it is imported, so it must be set before the worker starts.
_COUNTS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class WebServerError(Exception):
    """The web server could not be started."""


def granian_command(settings: Settings, host: str, port: int) -> list[str]:
    """Return the command that runs the web server there."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "--no-ws"),
        # Over HTTP/2 a body may come with neither a length nor Transfer-Encoding, like no body, and all requests of a
        # client share a connection, which is cut where a body takes too long.
        *("--http", "1"),
        *("--host", host, "--port", str(port), "--workers", str(settings.workers)),
        # A thread for each request that works and for each stream, `max_waiting` for those that wait, and
        # `blocking_threads` for those that are turned away. Threads that are idle for 30 seconds end. With
        # `max_waiting` threads more, a flood took 70 MB more, and the slowest answers three times as long.
        *("--blocking-threads", str(2 * settings.blocking_threads + settings.streams + settings.max_waiting)),
        # Idle connections count, too. A client past the limit is not accepted, so it gets no 503 either.
        *("--backlog", str(_BACKLOG), "--backpressure", str(_connections(settings))),
        *("--workers-kill-timeout", str(GRACE_SECONDS)),
        # A worker that crashes is replaced; one that crashes again at once ends the server.
        "--respawn-failed-workers",
        # Below this level granian only repeats what we print, and advises fewer threads.
        *("--log-level", "error"),
        "tallymark.server.worker:worker_app",
    ]


def _connections(settings: Settings) -> int:
    """Return how many connections each worker takes: the setting, if a process may have so many files open."""
    # Granian raises the process's limit to this one; many systems begin with 1,024.
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most_files == resource.RLIM_INFINITY:
        return settings.max_connections
    return max(min(settings.max_connections, most_files - _OTHER_FILES), settings.streams + 1)


def check_port(host: str, port: int) -> None:
    """Check that a server could listen there: granian shares a port, so it would not notice another server."""
    try:
        free = is_free(host, port)
    except OSError as error:
        raise WebServerError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    if not free:
        raise WebServerError(
            f"port {port} on {host} is taken: stop the program that listens there, or choose another with --port"
        )


def serve(settings: Settings, host: str, port: int) -> None:
    """Become the web server: this process runs it from here on and gets its signals."""
    check_port(host, port)
    command = granian_command(settings, host, port)
    # All workers must accept the sessions that any of them made.
    environ = {**os.environ, "TALLYMARK_SECRET_KEY": settings.secret_key or secrets.token_hex()}
    environ = _counting_together(settings, host, port, environ)
    os.execve(command[0], command, environ)  # noqa: S606 - no shell is wanted


def _counting_together(settings: Settings, host: str, port: int, environ: Mapping[str, str]) -> dict[str, str]:
    """Name a directory in which several worker processes count their requests together; one worker needs none."""
    # The library takes an empty name for a directory; here it counts as not set, as in all settings.
    environ = {name: value for name, value in environ.items() if value or name != _COUNTS_VARIABLE}
    if settings.workers > 1 and _COUNTS_VARIABLE not in environ:
        try:
            # Named after the address, which no other server has while this one listens there.
            directory = cleared_private_directory(f"tallymark-counts-{re.sub('[^0-9A-Za-z.]', '_', host)}-{port}")
        except OSError as error:
            raise WebServerError(f"cannot create a directory for the workers' counts: {error}") from error
        environ[_COUNTS_VARIABLE] = str(directory)
    return environ


class WebServer:
    """The web server as a child process that does not outlive us; `environ` holds the application's settings."""

    def __init__(self, settings: Settings, host: str, port: int, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._command = granian_command(settings, host, port)
        self._host = host
        self._port = port
        self._environ = dict(environ)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The address to reach it at from this machine: the local one for a server that listens on all."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host), self._port  # noqa: S104

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Start it, and return when it answers."""
        # Checked again, since starting the database took a while: two servers on one port would share the requests.
        check_port(self._host, self._port)
        # A session of its own: Ctrl-C in the terminal goes to us. Killed when we are, since the database ends with us.
        self._process = subprocess.Popen(
            bound_to_us(self._command, signal.SIGKILL),
            stdin=subprocess.DEVNULL,
            env=_counting_together(self._settings, self._host, self._port, self._environ),
            start_new_session=True,
        )
        give_up = time.monotonic() + HEALTHY_SECONDS
        while not self._is_healthy():
            if not self.is_running():
                raise WebServerError("the web server ended while it was starting; see its output above")
            if time.monotonic() > give_up:
                raise WebServerError(f"{self.url}/healthz does not answer within {HEALTHY_SECONDS:g} s")
            time.sleep(0.05)

    def is_running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Stop it: running requests are answered, or cut off after `GRACE_SECONDS`. Harmless if it does not run."""
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
        """Make a running `stop` end at once, and cut off the requests that still run."""
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
