"""What a process only remembers is written down before the process ends."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from tests.processes import ending_if_it_fails
from tests.web.conftest import TOKEN
from tests.web.test_sign_in import sign_in, sign_out

from tallymark.server.ports import some_free_port

StartServer = Callable[..., "_Server"]

_TALLYMARK = (sys.executable, "-c", "from tallymark.cli import main; main()")
_GUNICORN = (sys.executable, "-m", "gunicorn", "tallymark.web:create_app()", "--threads", "8")
_HAS_GUNICORN = pytest.mark.skipif(find_spec("gunicorn") is None, reason="NOT TESTED: gunicorn is not installed")


class _Server:
    """A web server of any kind."""

    def __init__(self, command: tuple[str, ...], log: Path, port: int, environ: dict[str, str]) -> None:
        self.port = port
        self.log = log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(command, stderr=stderr, stdout=stderr, env=environ, start_new_session=True)
        give_up = time.monotonic() + 60
        with ending_if_it_fails(self.process):
            while not self._answers():
                assert self.process.poll() is None, log.read_text()
                assert time.monotonic() < give_up, log.read_text()
                time.sleep(0.05)

    def report(self, update: dict[str, object]) -> int:
        """Send an update over a connection of its own, and return the status."""
        return self._status("POST", "/api/internal/jobs/progress", json.dumps(update))

    def _status(self, method: str, path: str, body: str | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def _answers(self) -> bool:
        try:
            return self._status("GET", "/healthz") == 200
        except OSError:
            return False

    def stop(self) -> None:
        """Stop it like a service manager."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


@pytest.fixture
def start_server(tmp_path: Path, db_url: str) -> Iterator[StartServer]:
    """Starts servers; each gets its address by the options that its kind has for that."""
    started: list[_Server] = []

    def start(*command: str, workers: int = 1) -> _Server:
        port = some_free_port("127.0.0.1")
        if command[2:3] == ("gunicorn",):
            command = (*command, "--bind", f"127.0.0.1:{port}", "--workers", str(workers))
        else:
            command = (*command, "--port", str(port))
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TALLYMARK_", "DATABASE_"))}
        settings = {"DATABASE_URL": db_url, "CRAWLER_API_TOKEN": TOKEN, "TALLYMARK_WORKERS": str(workers)}
        started.append(_Server(command, tmp_path / f"server{len(started)}", port, {**clean, **settings}))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.stop()


def noted(db: psycopg.Connection[Any]) -> Counter[str]:
    """Return how many updates of each outcome are noted."""
    found = db.execute("SELECT outcome, sum(times)::integer FROM tallymark.job_intake GROUP BY 1").fetchall()
    return Counter({str(outcome): int(times) for outcome, times in found})


def send(server: _Server, update: Callable[..., dict[str, object]], refused: int, duplicates: int) -> None:
    """Send updates of a job that are refused, and some that come twice."""
    for number in range(refused):
        assert server.report(update("job", itemsByType={"issues": -1 - number})) == 400
    for _ in range(duplicates + 1):
        assert server.report(update("job", itemsByType={"issues": 1})) == 200


@pytest.mark.parametrize(
    ("command", "workers"),
    [
        pytest.param((*_TALLYMARK, "serve"), 1, id="serve"),
        pytest.param((*_TALLYMARK, "serve"), 3, id="several workers"),
        pytest.param((*_TALLYMARK, "up"), 1, id="up"),
        pytest.param(_GUNICORN, 1, id="gunicorn", marks=_HAS_GUNICORN),
        pytest.param((*_GUNICORN, "--preload"), 2, id="gunicorn that forks late", marks=_HAS_GUNICORN),
    ],
)
def test_a_clean_stop_loses_no_refusal_and_no_duplicate(
    start_server: StartServer,
    db: psycopg.Connection[Any],
    update: Callable[..., dict[str, object]],
    command: tuple[str, ...],
    workers: int,
) -> None:
    """All that came before SIGTERM are in job_intake when the server has ended."""
    db.execute("SELECT tallymark.create_job('job')")
    server = start_server(*command, workers=workers)
    send(server, update, refused=5, duplicates=2)
    server.stop()
    assert noted(db) == {"refused": 5, "duplicate": 2}


@_HAS_GUNICORN
@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_workers_that_are_recycled_lose_none_either(
    start_server: StartServer, db: psycopg.Connection[Any], update: Callable[..., dict[str, object]], kind: str
) -> None:
    """Each worker ends after a few requests, most of them before its thread notes anything."""
    db.execute("SELECT tallymark.create_job('job')")
    server = start_server(*_GUNICORN, "--worker-class", kind, "--max-requests", "3")
    for number in range(20):
        # A worker that ends may take a connection with it.
        assert server.report(update("job", itemsByType={"issues": -1 - number})) == 400
    server.stop()
    assert noted(db) == {"refused": 20}


@pytest.mark.parametrize(
    "command",
    [
        pytest.param((*_TALLYMARK, "serve"), id="serve"),
        pytest.param(_GUNICORN, id="gunicorn", marks=_HAS_GUNICORN),
    ],
)
def test_sign_outs_that_the_database_has_not_noted_are_noted_at_the_end(
    start_server: StartServer, db: psycopg.Connection[Any], command: tuple[str, ...]
) -> None:
    """All of them, also if the database was away when they came and the process ends soon after it is back."""
    server = start_server(*command)
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as one,
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as other,
    ):
        assert sign_in(one).status_code == sign_in(other).status_code == 204
        db.execute("ALTER FUNCTION tallymark.end_session(bytea, integer) RENAME TO elsewhere")
        assert sign_out(one).status_code == sign_out(other).status_code == 204
    db.execute("ALTER FUNCTION tallymark.elsewhere(bytea, integer) RENAME TO end_session")
    server.stop()
    assert db.execute("SELECT count(*) FROM tallymark.ended_session").fetchone() == (2,)


@pytest.mark.parametrize("command", [pytest.param("serve", id="serve"), pytest.param("up", id="up")])
def test_half_a_body_does_not_hold_up_a_stop(
    start_server: StartServer, db: psycopg.Connection[Any], command: str
) -> None:
    """Its client gets 503 and a closed connection, however it sends. The server ends by itself, with 0."""
    db.execute("SELECT tallymark.create_job('job')")
    server = start_server(*_TALLYMARK, command)
    head = (
        f"POST /api/internal/jobs/progress HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: application/json\r\n"
    )
    halves = [
        head + 'Content-Length: 500\r\n\r\n{"taskId":',
        head + 'Transfer-Encoding: chunked\r\n\r\n99\r\n{"taskId":',
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + head + "Content-Length: 500\r\n\r\n",
    ]
    with ExitStack() as held:
        opened = [held.enter_context(socket.create_connection(("127.0.0.1", server.port), 60)) for _ in halves]
        for plain, half in zip(opened, halves, strict=True):
            plain.sendall(half.encode())
        # An answer to another request, so that theirs have begun.
        assert server.report({"taskId": "job", "status": "processing", "timestamp": "2025-01-06T19:15:30Z"}) == 200
        server.process.send_signal(signal.SIGTERM)
        for plain in opened:
            answer = b"".join(iter(partial(plain.recv, 65_536), b""))
            heads, _, body = answer[answer.rindex(b"HTTP/1.1") :].partition(b"\r\n\r\n")
            assert heads.startswith(b"HTTP/1.1 503"), answer
            assert b"retry-after: " in heads.lower()
            assert json.loads(body)["error"] == "Server stopping"
    assert server.process.wait(30) == 0
    assert "Traceback" not in server.log.read_text()
