"""A web server with the product's own command line."""

import http.client
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from benchmarks.errors import BenchmarkError
from benchmarks.trees import THIS, Tree
from tallymark.server.granian import GRACE_SECONDS, HEALTHY_SECONDS
from tallymark.server.lifeline import bound_to_us
from tallymark.server.ports import some_free_port

PRODUCT = "tallymark.server.worker:worker_app"

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Server:
    """A web server that answers.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        pid: The process id of its main process.
    """

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://{_HOST}:{self.port}"

    @property
    def worker(self) -> psutil.Process:
        """The process that answers: of the main process's children the one with the most memory."""
        children = psutil.Process(self.pid).children(recursive=True)
        return max(children, key=lambda process: int(process.memory_info().rss))


@contextmanager
def serving(application: str, environ: Mapping[str, str], tree: Tree = THIS) -> Iterator[Server]:
    """Run an application of a tree under that tree's own web server command."""
    port = some_free_port(_HOST)
    command = [*tree.server_command(environ, _HOST, port), application]
    process = subprocess.Popen(
        bound_to_us(command, signal.SIGKILL),
        stdin=subprocess.DEVNULL,
        cwd=tree.root,
        env=tree.environ(environ),
        start_new_session=True,
    )
    try:
        _wait_until_healthy(process, application, port)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(GRACE_SECONDS + 5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(process: subprocess.Popen[bytes], application: str, port: int) -> None:
    give_up = time.monotonic() + HEALTHY_SECONDS
    while not _is_healthy(port):
        if process.poll() is not None or time.monotonic() > give_up:
            raise BenchmarkError(f"the web server of {application} does not start; what it wrote above may say why")
        time.sleep(0.05)


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(_HOST, port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
