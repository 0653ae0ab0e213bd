"""Clients that send half a body, or a body bit by bit, hold nothing for long, and nobody else notices them."""

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.web.conftest import Web
from tests.web.servers import SERVERS, Gthread
from tests.web.watching import PATIENCE

Update = Callable[..., dict[str, object]]
Serve = Callable[..., Web]

_SECONDS = 2
_HEAD = (
    b"POST /api/internal/jobs/progress HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer crawler-token\r\n"
    b"Content-Type: application/json\r\n"
)
_HALF = _HEAD + b'Content-Length: 500\r\n\r\n{"taskId": "job",'
_FORMS = {
    "with a length": _HALF,
    "without the first byte": _HEAD + b"Content-Length: 500\r\n\r\n",
    "chunked": _HEAD + b'Transfer-Encoding: chunked\r\n\r\n11\r\n{"taskId": "job",\r\n',
    "within a chunk": _HEAD + b'Transfer-Encoding: chunked\r\n\r\n99\r\n{"taskId": "job",',
    "a chunked update without its last chunk": _HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n50\r\n"
    + b'{"taskId":"job","status":"processing","timestamp":"2025-01-06T19:15:30Z","a":99}\r\n',
    "compressed": _HEAD + b"Content-Encoding: gzip\r\nContent-Length: 500\r\n\r\n\x1f\x8b",
}


_LIMITS = {"TALLYMARK_BODY_TIMEOUT": str(_SECONDS)}


class _BesideUnix(Gthread):
    """gunicorn, which listens on a Unix socket, too."""

    @property
    def path(self) -> Path:
        """The path of that socket."""
        return self.log.with_name("socket")

    def command(self) -> list[str]:
        """Return what starts it."""
        *options, app = super().command()
        return [*options, "--bind", f"unix:{self.path}", app]


@pytest.fixture(scope="module", params=SERVERS)
def slow(request: pytest.FixtureRequest, _database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Each server that can run the application."""
    running = SERVERS[request.param](_database, tmp_path_factory.mktemp(request.param) / "log", _LIMITS)
    yield running
    running.stop()


@pytest.fixture
def serve(db_url: str, tmp_path: Path) -> Iterator[Serve]:
    """Starts a server of the test's own, on which a job is registered."""
    started: list[Web] = []

    def start(kind: type[Web], **environ: str) -> Web:
        started.append(kind(db_url, tmp_path / f"log{len(started)}", {**_LIMITS, **environ}))
        assert started[-1].register("job").status == 201
        return started[-1]

    yield start
    for web in started:
        web.stop()


def _connected(web: Web) -> socket.socket:
    return socket.create_connection(("127.0.0.1", web.port), timeout=PATIENCE)


def _read(plain: socket.socket) -> bytes:
    """Return all that the server sends until it closes the connection."""
    got = b""
    try:
        while piece := plain.recv(65_536):
            got += piece
    except ConnectionResetError:
        assert got, "what was sent after the answer may reset the connection, but not before it"
    return got


def _problem(answer: bytes) -> Any:  # noqa: ANN401 - any JSON
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("kind", [Web, Gthread])
def test_half_a_body_is_answered_408_and_holds_up_nobody(serve: Serve, update: Update, kind: type[Web]) -> None:
    """64 of them with a valid token, while others go on. Each connection is closed."""
    web = serve(kind)
    with ExitStack() as held:
        opened = []
        for number in range(64):
            # gunicorn closes a connection on which nothing comes for two seconds.
            opened.append(held.enter_context(_connected(web)))
            opened[-1].sendall(list(_FORMS.values())[number % len(_FORMS)])
        answers: dict[int, bytes] = {}

        def wait(number: int) -> None:
            answers[number] = _read(opened[number])

        waiting = [threading.Thread(target=wait, args=(number,)) for number in range(len(opened))]
        for thread in waiting:
            thread.start()
        others = 0
        while any(thread.is_alive() for thread in waiting):
            assert web.report(update("job", updateId=str(others), itemsByType={"issues": 1})).status == 200
            others += 1
    assert others > 1
    for answer in answers.values():
        assert answer.startswith(b"HTTP/1.1 408"), answer
        problem = _problem(answer)
        assert (problem["error"], problem["status"], problem["details"]) == ("Request timeout", 408, [])
    job = web.call("GET", "/api/internal/jobs/job").json
    assert (job["lastSeq"], job["progress"]["itemsByType"]) == (others, {"issues": others})
    assert "Traceback" not in web.log.read_text()


def test_half_a_body_has_its_time_and_no_more(slow: Web, update: Update) -> None:
    """408 after it, not before, from each server. The next request on a new connection is as usual."""
    job = f"job_{secrets.token_hex(8)}"
    slow.register(job)
    whole = json.dumps(update(job)).encode()
    for half in (
        _HEAD + b"Content-Length: %d\r\n\r\n" % (len(whole) + 1) + whole,
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(whole) + whole + b"\r\n",
    ):
        with _connected(slow) as plain:
            began = time.monotonic()
            plain.sendall(half)
            assert _read(plain).startswith(b"HTTP/1.1 408")
            assert time.monotonic() - began > _SECONDS * 0.9
    assert slow.report(whole).json["seq"] == 1, "nothing of the halves was taken"
    assert "Traceback" not in slow.log.read_text()


def test_a_body_that_comes_bit_by_bit_has_no_more_time(slow: Web) -> None:
    """The limit is for the whole body: a byte now and then does not extend it."""
    with _connected(slow) as plain:
        plain.sendall(_HALF)
        plain.settimeout(0.1)
        got = b""
        give_up = time.monotonic() + PATIENCE
        while not got:
            assert time.monotonic() < give_up
            try:
                plain.sendall(b" ")
                got = plain.recv(65_536)
            except TimeoutError:
                continue
        assert got.startswith(b"HTTP/1.1 408")


def test_what_is_refused_has_no_more_time_either(slow: Web) -> None:
    """Its body is read, so that the client sees the answer, but only for as long."""
    length, media = b"Content-Length: 500", b"application/json"
    refused = {
        b"413": _HALF.replace(length, b"Content-Length: 5000000"),
        b"415": _HALF.replace(media, b"text/plain"),
        b"400": _HALF.replace(length, b"Content-Length: 1, 2"),
    }
    with ExitStack() as held:
        opened = {status: held.enter_context(_connected(slow)) for status in refused}
        for status, plain in opened.items():
            plain.sendall(refused[status])
        for status, plain in opened.items():
            assert plain.recv(65_536).split()[1] == status
    assert slow.call("GET", "/api/internal/jobs").status == 200


def test_a_body_within_its_time_is_taken(serve: Serve, update: Update) -> None:
    """Also on a connection that was used before, and beside one that is cut."""
    web = serve(Web)
    body = json.dumps(update("job")).encode()
    with _connected(web) as used, _connected(web) as cut:
        used.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        while not used.recv(1000).endswith(b"}"):
            pass
        cut.sendall(_HALF)
        assert _read(cut).startswith(b"HTTP/1.1 408")
        used.sendall(_HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body[:-1])
        time.sleep(_SECONDS / 4)
        used.sendall(body[-1:])
        assert used.recv(1000).startswith(b"HTTP/1.1 200")


def test_half_a_body_behind_another_request_is_found_too(serve: Serve) -> None:
    """Sent at once with it, the connection looks like one that is only kept open; it takes a little longer."""
    web = serve(Web)
    with _connected(web) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + _HALF)
        assert b"HTTP/1.1 408" in _read(plain)


def test_who_waits_for_an_answer_is_not_cut_for_another(serve: Serve, db_url: str) -> None:
    """A request that takes long looks like half a body from outside. Both come from one address, as from a proxy."""
    web = serve(Web, TALLYMARK_TRUSTED_PROXIES="1", TALLYMARK_LOCK_TIMEOUT="0")
    with psycopg.connect(db_url) as holder, _connected(web) as waits:
        holder.execute("SELECT FROM tallymark.job WHERE id = 'job' FOR UPDATE")
        body = b'{"taskId":"job","status":"processing","timestamp":"2025-01-06T19:15:30Z"}'
        waits.sendall(_HEAD + b"X-Forwarded-For: 10.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        for _ in range(2):
            with _connected(web) as plain:
                plain.sendall(_HALF.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 10.0.0.2\r\n\r\n"))
                plain.settimeout(_SECONDS * 1.2)
                with pytest.raises(TimeoutError):
                    plain.recv(1)
        holder.rollback()
        assert waits.recv(1000).startswith(b"HTTP/1.1 200")
        with _connected(web) as plain:
            plain.sendall(_HALF.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 10.0.0.2\r\n\r\n"))
            assert _read(plain).startswith(b"HTTP/1.1 408"), "found by the proxy's address"


def test_half_a_body_through_a_unix_socket_has_its_time(serve: Serve) -> None:
    """gunicorn behind a proxy on the same machine."""
    web = serve(_BesideUnix)
    assert isinstance(web, _BesideUnix)
    with socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(PATIENCE)
        plain.connect(str(web.path))
        plain.sendall(_HALF)
        assert _read(plain).startswith(b"HTTP/1.1 408")


def test_after_a_408_gunicorn_takes_nothing_more_from_the_connection(serve: Serve, update: Update) -> None:
    """The rest of a body that comes later is never taken for a request."""
    web = serve(Gthread)
    body = json.dumps(update("job")).encode()
    with _connected(web) as plain:
        plain.sendall(_HALF)
        assert plain.recv(65_536).startswith(b"HTTP/1.1 408")
        for _ in range(20):
            try:
                plain.sendall(_HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                time.sleep(0.05)
            except OSError:
                break
    assert web.call("GET", "/api/internal/jobs/job").json["lastSeq"] == 0
