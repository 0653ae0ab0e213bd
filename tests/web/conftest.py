"""The web server as a process of its own, on a real database, reached over real sockets."""

import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from tests.processes import ENDS_WITH_ITS_PARENT, ending_if_it_fails

from tallymark.schema.migrate import migrate
from tallymark.server.ports import some_free_port

if TYPE_CHECKING:
    from tests.conftest import Server

TOKEN = "crawler-token"

_SERVE = (sys.executable, "-c", ENDS_WITH_ITS_PARENT + "from tallymark.cli import main; main()", "serve")


@dataclass(frozen=True)
class Answer:
    """An answer of the server; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the body is
        """The body, read as JSON."""
        return json.loads(self.body)


class Web:
    """A running `tallymark serve`."""

    def command(self) -> list[str]:
        """Return what starts it."""
        return [*_SERVE, "--port", str(self.port)]

    def __init__(self, database_url: str, log: Path, environ: Mapping[str, str]) -> None:
        """Start it, and wait until it answers."""
        self.database_url = database_url
        self.log = log
        self.port = some_free_port("127.0.0.1")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TALLYMARK_", "DATABASE_"))}
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                self.command(),
                stderr=stderr,
                env={**clean, "DATABASE_URL": database_url, "CRAWLER_API_TOKEN": TOKEN, **environ},
            )
        give_up = time.monotonic() + 60
        with ending_if_it_fails(self.process):
            while not self._answers():
                assert self.process.poll() is None, log.read_text()
                assert time.monotonic() < give_up, log.read_text()
                time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return self.call("GET", "/healthz").status == 200
        except OSError:
            return False

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = TOKEN,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request over a connection of its own; a body that is not text is sent as JSON."""
        sent = {"Authorization": f"Bearer {token}"} if token is not None else {}
        if body is not None:
            sent["Content-Type"] = "application/json"
            body = body if isinstance(body, (bytes, str)) else json.dumps(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def report(self, body: object, *, token: str | None = TOKEN, headers: Mapping[str, str] | None = None) -> Answer:
        """Report on a job, as a crawler does."""
        return self.call("POST", "/api/internal/jobs/progress", body, token=token, headers=headers)

    def register(self, job_id: str, attributes: Mapping[str, Any] | None = None) -> Answer:
        """Register a job."""
        return self.call("POST", "/api/internal/jobs", {"taskId": job_id, "attributes": attributes})

    def raw(self, *parts: bytes) -> tuple[int, bytes]:
        """Send bytes unchanged; return the status and everything received until the server closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as plain:
            for part in parts:
                plain.sendall(part)
            got = b"".join(iter(lambda: plain.recv(65536), b""))
        return int(got.split(b" ", 2)[1]), got

    def state(self, job_id: str) -> tuple[object, ...]:
        """Return everything in the database about a job: its row and its ledger, as text."""
        query = (
            "SELECT (SELECT j::text FROM tallymark.job AS j WHERE id = %(id)s),"
            " (SELECT string_agg(e::text, '|' ORDER BY seq) FROM tallymark.job_event AS e WHERE job_id = %(id)s)"
        )
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute(query, {"id": job_id}).fetchone()
        assert row is not None
        return row

    def stop(self) -> int:
        """Stop it like a service manager, and return its exit code."""
        self.process.terminate()
        return self.process.wait(30)


@pytest.fixture(scope="session")
def _database(server: "Server") -> Iterator[str]:
    name = f"tallymark_web_{secrets.token_hex(4)}"
    with psycopg.connect(server.url(server.maintenance_dbname), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        migrate(server.url(name))
        yield server.url(name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def web(_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server with default settings that tests share; each test has jobs of its own."""
    running = Web(_database, tmp_path_factory.mktemp("web") / "log", {})
    yield running
    running.stop()


@pytest.fixture
def start_web(tmp_path: Path) -> Iterator[Callable[..., Web]]:
    """Starts servers with settings of the test's own."""
    started: list[Web] = []

    def start(database_url: str, **environ: str) -> Web:
        started.append(Web(database_url, tmp_path / f"log{len(started)}", environ))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def job(web: Web) -> str:
    """A registered job that only this test uses, with one update in it."""
    job_id = f"job_{secrets.token_hex(8)}"
    assert web.register(job_id).status == 201
    assert web.report(update(job_id, itemsByType={"issues": 3})).status == 200
    return job_id


def update(job_id: str, **members: object) -> dict[str, object]:
    """Return an update that is accepted."""
    return {"taskId": job_id, "status": "processing", "timestamp": "2025-01-06T19:15:30.000Z", **members}


@pytest.fixture(name="update")
def _update() -> Callable[..., dict[str, object]]:
    """Return an update that is accepted, with other members as wanted."""
    return update
