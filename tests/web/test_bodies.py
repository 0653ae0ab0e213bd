"""Bodies come in several forms: chunked, compressed, with a byte order mark. Each is taken whole or not at all."""

import gzip
import io
import json
import secrets
import shutil
import socket
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.web.conftest import TOKEN
from tests.web.servers import SERVERS
from tests.web.watching import PATIENCE, wait_until

from tallymark.settings import Settings
from tallymark.web.http.bodies import Bodies

if TYPE_CHECKING:
    from tests.web.conftest import Web

Update = Callable[..., dict[str, object]]

SCRIPT = Path(__file__).with_name("sending.mjs")
_BODY = "Invalid request body"


@pytest.fixture(scope="module", params=SERVERS)
def server_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Web"]:
    """Each server that can run the application."""
    if request.param == "granian":
        yield request.getfixturevalue("web")
        return
    url = request.getfixturevalue("_database")
    running = SERVERS[request.param](url, tmp_path_factory.mktemp(request.param) / "log", {})
    yield running
    running.stop()


@pytest.fixture
def task(server_of: "Web") -> str:
    """A registered job without updates."""
    job_id = f"job_{secrets.token_hex(8)}"
    assert server_of.register(job_id).status == 201
    return job_id


def _head(*lines: bytes, close: bool = True) -> bytes:
    first = [b"POST /api/internal/jobs/progress HTTP/1.1", b"Host: x", b"Authorization: Bearer crawler-token"]
    return b"\r\n".join(
        [*first, b"Content-Type: application/json", *([b"Connection: close"] if close else []), *lines, b"", b""]
    )


def _chunks(*parts: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + end


def _sent(web: "Web", *parts: bytes) -> tuple[int, dict[str, Any]]:
    status, answer = web.raw(*parts)
    return status, json.loads(answer.partition(b"\r\n\r\n")[2])


def _counts(web: "Web", job: str) -> object:
    return web.call("GET", f"/api/internal/jobs/{job}").json["progress"].get("itemsByType")


# --- chunked ----------------------------------------------------------------------------------------------------------


def test_a_chunked_body_is_taken_whole(server_of: "Web", task: str, update: Update) -> None:
    """However it is cut into chunks, and whatever stands beside them."""
    body = json.dumps(update(task, itemsByType={"issues": 3}, note="x" * 100_000)).encode()
    head = _head(b"Transfer-Encoding: chunked")
    status, first = _sent(server_of, head + _chunks(body))
    assert (status, first["duplicate"]) == (200, False)
    for parts in (
        [head, *(_chunks(body[at : at + 10_000], end=b"") for at in range(0, len(body), 10_000)), b"0\r\n\r\n"],
        [head + _chunks(*(body[at : at + 1] for at in range(200)), body[200:])],
        [head + b"%X;name=value\r\n%b\r\n000\r\nX-Checksum: 5\r\n\r\n" % (len(body), body)],
    ):
        status, again = _sent(server_of, *parts)
        assert (status, again["duplicate"]) == (200, True), again
    assert _counts(server_of, task) == {"issues": 3}
    assert len(server_of.call("GET", f"/api/internal/jobs/{task}").json["progress"]["note"]) == 100_000


@pytest.mark.parametrize("size", [1_048_577, 10_000_000])
def test_a_chunked_body_over_the_limit_is_refused(server_of: "Web", task: str, size: int) -> None:
    """413, and the client can read it although it sends all of it first. The next request is as usual."""
    before = server_of.state(task)
    piece = b"x" * 65_536
    parts = [_chunks(piece, end=b"")] * (size // 65_536) + [_chunks(piece[: size % 65_536])]
    status, problem = _sent(server_of, _head(b"Transfer-Encoding: chunked"), *parts)
    assert (status, problem["error"]) == (413, "Request body too large")
    assert "1048576" in problem["detail"]
    assert server_of.state(task) == before
    assert server_of.call("GET", f"/api/internal/jobs/{task}").status == 200


def test_a_chunked_body_of_the_largest_size_is_read(server_of: "Web") -> None:
    """The limit itself is no body too large, but this one is no JSON."""
    status, problem = _sent(server_of, _head(b"Transfer-Encoding: chunked"), _chunks(b" " * 1_048_576))
    assert (status, problem["error"]) == (400, _BODY)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_chunked_body_that_is_cut_off_changes_nothing(
    server_of: "Web",
    task: str,
    update: Update,
    reset: bool,
) -> None:
    """Wherever it is cut before the end of its JSON; after that nothing is missing that could count."""
    body = json.dumps(update(task, itemsByType={"issues": 3})).encode()
    before = server_of.state(task)
    for cut in (
        b"",
        b"5",
        b"5\r\n",
        _chunks(body[:40], end=b""),
        _chunks(body[:40])[:-7],
        b"%x\r\n%b" % (99, body[:50]),
    ):
        with socket.create_connection(("127.0.0.1", server_of.port), timeout=PATIENCE) as plain:
            plain.sendall(_head(b"Transfer-Encoding: chunked") + cut)
            if reset:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                continue
            plain.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(partial(plain.recv, 65_536), b""))
            assert b" 200 " not in answer, (cut, answer)
    assert server_of.report(update(task, updateId="next")).status == 200, "the next request is as usual"
    assert server_of.state(task)[1] != before[1]
    assert server_of.call("GET", f"/api/internal/jobs/{task}").json["lastSeq"] == 1, "nothing came before it"
    assert "Traceback" not in server_of.log.read_text()


def test_a_body_with_two_lengths_is_no_way_around_the_limit(server_of: "Web", task: str, update: Update) -> None:
    """A length beside Transfer-Encoding is ignored or refused; what is sent after the body is no second request."""
    body = json.dumps(update(task)).encode()
    hidden = _head(b"Content-Length: %d" % len(body)) + body
    head = _head(b"Content-Length: 5", b"Transfer-Encoding: chunked")
    server_of.raw(head + _chunks(body) + hidden)
    assert server_of.call("GET", f"/api/internal/jobs/{task}").json["lastSeq"] <= 1


# --- clients in Node.js -----------------------------------------------------------------------------------------------


@pytest.fixture
def node() -> str:
    """Node.js, of a version that has fetch."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("NOT TESTED: bodies as Node.js sends them: node is not installed")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").partition(".")[0]) < 18:
        pytest.skip(f"NOT TESTED: bodies as Node.js sends them: node is {version}, and fetch came with 18")
    return found


def test_each_way_in_which_node_sends_a_body_is_taken(node: str, server_of: "Web", task: str) -> None:
    """The original server took them all."""
    done = subprocess.run(
        [node, str(SCRIPT), f"http://127.0.0.1:{server_of.port}", TOKEN, task],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    statuses = json.loads(done.stdout)
    assert set(statuses.values()) == {200}, statuses
    assert _counts(server_of, task) == {"issues": len(statuses)}


# --- compressed -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gzip", "x-gzip", "GZIP"])
def test_a_compressed_body_is_taken(server_of: "Web", task: str, update: Update, name: str) -> None:
    """With a length, and in chunks; both are the same update as without compression."""
    body = json.dumps(update(task, itemsByType={"issues": 3}, note="x" * 200_000)).encode()
    packed = gzip.compress(body)
    encoding = b"Content-Encoding: " + name.encode()
    status, first = _sent(server_of, _head(b"Content-Length: %d" % len(packed), encoding) + packed)
    assert (status, first["duplicate"]) == (200, False), first
    status, again = _sent(server_of, _head(b"Transfer-Encoding: chunked", encoding) + _chunks(packed[:50], packed[50:]))
    assert (status, again["duplicate"]) == (200, True)
    assert server_of.report(body).json["duplicate"] is True


def test_a_compressed_body_of_each_kind_of_request_is_taken(web: "Web") -> None:
    """Registering a job, and commands, too."""
    job_id = f"job_{secrets.token_hex(8)}"
    packed = {"Content-Encoding": "gzip"}
    made = web.call(
        "POST", "/api/internal/jobs", gzip.compress(json.dumps({"taskId": job_id}).encode()), headers=packed
    )
    assert made.status == 201
    command = gzip.compress(b'\xef\xbb\xbf{"command": "pause"}')
    assert web.call("POST", f"/api/internal/jobs/{job_id}/command", command, headers=packed).json["command"] == "pause"


_PACKED = gzip.compress(b'{"taskId": "x"}' * 9)
_BROKEN = {
    "no gzip": (b'{"taskId": "x"}', "not in the format of gzip"),
    "nothing": (b"", "ends before"),
    "deflate": (zlib.compress(b"{}"), "not in the format of gzip"),
    "cut off": (_PACKED[:-9], "ends before"),
    "cut off in its last bytes": (_PACKED[:-1], "ends before"),
    "only its head": (_PACKED[:10], "ends before"),
    "a wrong checksum": (_PACKED[:-8] + b"\0\0\0\0" + _PACKED[-4:], "is damaged"),
    "a changed byte": (_PACKED[:20] + bytes([_PACKED[20] ^ 0xFF]) + _PACKED[21:], "is damaged"),
    "something after it": (_PACKED + b"x", "something after the end"),
    "zeros after it": (_PACKED + bytes(100_000), "something after the end"),
    "two members": (_PACKED + _PACKED, "something after the end"),
}


@pytest.mark.parametrize("case", _BROKEN)
def test_broken_compression_is_said(web: "Web", case: str) -> None:
    """400, and what is wrong with it. What comes after one gzip member would be lost, so it is refused."""
    body, problem = _BROKEN[case]
    answer = web.report(body, headers={"Content-Encoding": "gzip"})
    assert (answer.status, answer.json["error"]) == (400, _BODY)
    assert problem in answer.json["details"][0]["problem"]


@pytest.mark.parametrize("size", [1_048_577, 2_000_000, 256_000_000])
def test_the_limit_holds_for_what_comes_out(
    start_web: Callable[..., "Web"], db_url: str, update: Update, size: int
) -> None:
    """413 for a small body that would become a large one, and the server's memory stays flat."""
    web = start_web(db_url)
    web.register("job")
    packer = zlib.compressobj(wbits=31)
    packed = b"".join(packer.compress(bytes(min(1_000_000, size - at))) for at in range(0, size, 1_000_000))
    packed += packer.flush()
    warm = gzip.compress(json.dumps(update("job", note="x" * 900_000)).encode())
    assert web.report(warm, headers={"Content-Encoding": "gzip"}).status == 200
    [worker] = psutil.Process(web.process.pid).children()
    before = worker.memory_info().rss
    Path(f"/proc/{worker.pid}/clear_refs").write_text("5")  # begins the peak again
    for _ in range(5):
        answer = web.report(packed, headers={"Content-Encoding": "gzip"})
        assert (answer.status, answer.json["error"]) == (413, "Request body too large")
        assert answer.json["detail"] == "Decompressed, the body has more than 1048576 bytes, which is the limit."
    status = Path(f"/proc/{worker.pid}/status").read_text()
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak - before < 24_000_000, "of 5 times what would come out"


# --- text -------------------------------------------------------------------------------------------------------------


def test_a_byte_order_mark_is_skipped(web: "Web", job: str, update: Update) -> None:
    """The update is the same with and without it."""
    body = json.dumps(update(job, message="äöü", itemsByType={"issues": 9}), ensure_ascii=False)
    assert web.report(body.encode("utf-8-sig")).json["duplicate"] is False
    assert web.report(body.encode()).json["duplicate"] is True
    marked = json.dumps(update(job, updateId="packed")).encode("utf-8-sig")
    assert web.report(gzip.compress(marked), headers={"Content-Encoding": "gzip"}).status == 200
    new = f"job_{secrets.token_hex(8)}"
    assert web.call("POST", "/api/internal/jobs", json.dumps({"taskId": new}).encode("utf-8-sig")).status == 201


@pytest.mark.parametrize("hidden", [b"\xef\xbb\xbf\xef\xbb\xbf{}", b"\xef\xbb", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_skipped_once_and_is_no_body(web: "Web", hidden: bytes) -> None:
    """Only at the beginning, and only whole."""
    answer = web.report(hidden)
    assert (answer.status, answer.json["error"]) == (400, _BODY)


def test_who_asks_first_may_send_chunks(web: "Web", job: str, update: Update) -> None:
    """A client that waits for `100 Continue` gets it, and its chunked body is taken."""
    head = _head(b"Transfer-Encoding: chunked", b"Expect: 100-continue")
    with socket.create_connection(("127.0.0.1", web.port), timeout=PATIENCE) as plain:
        plain.sendall(head)
        assert plain.recv(100).startswith(b"HTTP/1.1 100")
        plain.sendall(_chunks(json.dumps(update(job, updateId="asked")).encode()))
        answer = b"".join(iter(lambda: plain.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 200")


# --- memory -----------------------------------------------------------------------------------------------------------


def test_bodies_that_do_not_fit_into_the_memory_are_told_to_come_back(
    start_web: Callable[..., "Web"], db_url: str, update: Update
) -> None:
    """503 with Retry-After for a large one more; small ones are taken, and large ones when there is room again."""
    web = start_web(
        db_url,
        TALLYMARK_MAX_BODY_BYTES="200000",
        TALLYMARK_BODY_MEMORY="600000",
        TALLYMARK_BODY_TIMEOUT="600",
    )
    web.register("job")
    large = json.dumps(update("job", note="x" * 190_000))
    packed = {"Content-Encoding": "gzip"}
    held = [socket.create_connection(("127.0.0.1", web.port), timeout=PATIENCE) for _ in range(3)]
    for plain in held:
        plain.sendall(_head(b"Content-Length: 195000", b"Expect: 100-continue"))
        assert plain.recv(100).startswith(b"HTTP/1.1 100"), "it is being read"
    for body, headers in ((large, {}), (gzip.compress(large.encode()), packed)):
        answer = web.report(body, headers=headers)
        assert (answer.status, answer.json["error"]) == (503, "Server busy")
        assert 1 <= int(answer.headers["retry-after"]) <= 5
    status, problem = _sent(web, _head(b"Transfer-Encoding: chunked") + _chunks(large.encode()))
    assert (status, problem["error"]) == (503, "Server busy")
    assert web.report(update("job")).status == 200
    for plain in held:
        plain.close()
    wait_until(lambda: web.report(large).status == 200)
    for _ in range(20):
        assert web.report(large).status == 200, "each gives back what it took"
        assert web.report(gzip.compress(large.encode()), headers=packed).status == 200
        assert web.report(b"[" + large.encode()).status == 400


def test_a_body_that_was_read_is_not_thrown_away_as_well() -> None:
    """What follows it on the connection is the next request."""
    bodies = Bodies(Settings())
    body, following = b'{"taskId":"job"}', b"POST /api/internal/jobs/progress HTTP/1.1"
    connection = io.BytesIO(body + following)
    environ = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), "wsgi.input": connection}
    assert bodies.read_json(environ) == body
    bodies.discard(environ)
    assert connection.read() == following
