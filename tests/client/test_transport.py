"""The way to the server: proxies and certificates of the environment, deadlines, redirects."""

import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.client.test_delivery import Stub
from tests.web.conftest import TOKEN, Web
from urllib3.util import parse_url

from tallymark import ProgressClient
from tallymark.client.proxies import proxy_for
from tallymark.client.transport import HttpTransport, Unreachable

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make

PROXY = Path(__file__).with_name("small_proxy.py")
VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without the proxies of the machine that runs the tests."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class RunningProxy:
    """The proxy's process."""

    def __init__(self, *args: str) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, str(PROXY), *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def stop(self) -> list[str]:
        """Stop it, and return what it was asked."""
        return self._process.communicate("")[0].splitlines()


@contextmanager
def proxy(*args: str) -> Iterator[RunningProxy]:
    """Run a proxy."""
    running = RunningProxy(*args)
    try:
        yield running
    finally:
        running.stop()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_obeyed(
    name: str, look: "Look", web: Web, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The server's name is known to the proxy only. A password is sent to the proxy."""
    running = RunningProxy("me:p w")
    monkeypatch.setenv(variable, f"http://me:p%20w@127.0.0.1:{running.port}")
    with ProgressClient(f"http://tallymark.invalid:{web.port}", token=TOKEN) as client, client.job(name) as job:
        job.advance("issues", 3)
        assert job.flush()
    assert look.counts(name) == ({"issues": 3}, 3)
    asked = running.stop()
    assert f"POST http://tallymark.invalid:{web.port}/api/internal/jobs/progress" in asked


def test_an_argument_goes_before_the_environment(
    name: str, look: "Look", web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an address, and with none."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with proxy() as running:
        client = ProgressClient(f"http://tallymark.invalid:{web.port}", token=TOKEN, proxy=f"127.0.0.1:{running.port}")
        with client, client.job(name) as job:
            job.advance("issues", 3)
            assert job.flush()
    assert look.counts(name) == ({"issues": 3}, 3)
    assert proxy_for(parse_url("http://tallymark.invalid:8000"), "") is None


@pytest.mark.parametrize(
    ("server", "no_proxy", "is_asked"),
    [
        ("http://tallymark.invalid:8000", "", True),
        ("http://tallymark.invalid:8000", "other.invalid,tallymark.invalid", False),
        ("http://api.tallymark.invalid", ".tallymark.invalid", False),
        ("http://tallymark.invalid:8000", "tallymark.invalid:9000", True),
        ("http://tallymark.invalid:8000", "*", False),
        ("http://10.1.2.3:8000", "10.0.0.0/8", False),
        ("http://11.1.2.3:8000", "10.0.0.0/8, nonsense/99", True),
        ("http://127.0.0.1:8000", "", False),
        ("http://localhost:8000", "", False),
        ("http://[::1]:8000", "", False),
        ("https://tallymark.invalid", "", False),
    ],
)
def test_no_proxy_is_obeyed(monkeypatch: pytest.MonkeyPatch, server: str, no_proxy: str, *, is_asked: bool) -> None:
    """Names, their parts, ports and networks; never for this machine; HTTP_PROXY is not for https."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    found = proxy_for(parse_url(server), None)
    assert (found is not None) == is_asked


def test_a_proxy_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Of the environment: a warning with a cure. As an argument: an error."""
    server = parse_url("http://tallymark.invalid")
    for address in ("gopher://proxy.invalid", "http://[", "socks5://proxy.invalid:1080"):
        monkeypatch.setenv("HTTP_PROXY", address)
        if address.startswith("socks") and _has_socks():
            continue
        caplog.clear()
        assert proxy_for(server, None) is None
        assert "NO_PROXY" in caplog.text
        with pytest.raises(ValueError, match=r"no address|PySocks"):
            proxy_for(server, address)


def _has_socks() -> bool:
    from importlib.util import find_spec

    return find_spec("socks") is not None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate of our own for tallymark.invalid and 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: apt install openssl")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    names = "subjectAltName=DNS:tallymark.invalid,IP:127.0.0.1"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=tallymark.invalid",
            ),
            *("-addext", names, "-keyout", str(path), "-out", f"{path}.crt"),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
def tls_port(certificate: Path) -> Iterator[int]:
    """Serve an acknowledgement over TLS."""
    stub = Stub((200, {}, None))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    stub._server.socket = context.wrap_socket(stub._server.socket, server_side=True)
    yield stub.port
    stub.stop()


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("through", ["a proxy", "no proxy"])
def test_the_certificates_of_the_environment_are_trusted(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, tls_port: int, variable: str, through: str
) -> None:
    """Directly, and through the tunnel of a proxy. Without them the server is not trusted."""
    with proxy() as running:
        host = "127.0.0.1"
        if through == "a proxy":
            host = "tallymark.invalid"
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{running.port}")
        with pytest.raises(Unreachable, match="certificate"):
            HttpTransport(f"https://{host}:{tls_port}", "x").post("/x", '{"status": "processing"}', timeout=20)
        monkeypatch.setenv(variable, f"{certificate}.crt")
        transport = HttpTransport(f"https://{host}:{tls_port}", "x")
        for _ in range(2):
            assert transport.post("/x", '{"status": "processing"}', timeout=20).body["status"] == "received"
        transport.close()


def test_certificates_that_are_not_there_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are ignored with a warning."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file")
    HttpTransport("https://tallymark.invalid", "x")
    assert "REQUESTS_CA_BUNDLE names /no/such/file" in caplog.text


@contextmanager
def dripping(what: Callable[[socket.socket], object]) -> Iterator[int]:
    """Serve connections with a function that sends slowly."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65_536)
            what(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def drip(connection: socket.socket, text: bytes, seconds: float = 0.2) -> None:
    """Send a byte at a time."""
    for byte in text:
        connection.sendall(bytes([byte]))
        time.sleep(seconds)


def send_and_drip(first: bytes, rest: bytes) -> Callable[[socket.socket], None]:
    """Return a function that sends the first part at once, and the rest a byte at a time."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(first)
        drip(connection, rest)

    return answer


def drip_chunks(connection: socket.socket) -> None:
    """Send chunks of one byte."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b"1\r\nx\r\n")
        time.sleep(0.2)


DRIPS: dict[str, Callable[[socket.socket], None]] = {
    "the status": send_and_drip(b"HTTP/1.1 200 ", b"O" * 1000),
    "the headers": send_and_drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x" * 1000),
    "the body": send_and_drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x" * 1000),
    "chunks": drip_chunks,
    "nothing": lambda _to: time.sleep(60),
}


@pytest.mark.parametrize("what", DRIPS)
def test_a_server_that_drips_does_not_outlive_the_timeout(what: str) -> None:
    """Whatever it is that comes a byte at a time. Each byte comes long before the timeout."""
    with dripping(DRIPS[what]) as port:
        transport = HttpTransport(f"http://127.0.0.1:{port}", "x")
        began = time.monotonic()
        with pytest.raises(Unreachable):
            transport.post("/x", "{}", timeout=1.0)
        assert time.monotonic() - began < 30, "200 s, if each byte began the time again"
        transport.close()


def test_after_a_server_that_drips_the_next_request_is_answered() -> None:
    """The rest of a late answer is not taken for that of the next request."""
    late = b'HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n{"status": "received"    }'
    late_ones = iter([late])

    def answer(to: socket.socket) -> None:
        if (text := next(late_ones, None)) is not None:
            drip(to, text, 0.1)
        else:
            to.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"n": 12}')

    with dripping(answer) as port:
        transport = HttpTransport(f"http://127.0.0.1:{port}", "x")
        with pytest.raises(Unreachable):
            transport.post("/x", "{}", timeout=1.0)
        assert transport.post("/x", "{}", timeout=10).body == {"n": 12}


def test_an_answer_without_end_is_given_up() -> None:
    """It would fill the memory."""

    def flood(to: socket.socket) -> None:
        to.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            to.sendall(b"x" * 65_536)

    with dripping(flood) as port, pytest.raises(Unreachable, match="longer than"):
        HttpTransport(f"http://127.0.0.1:{port}", "x").post("/x", "{}", timeout=60)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("https://me:secret@tallymark.invalid/login?next=token", "'https://tallymark.invalid/login'"),
        ("/elsewhere", "/elsewhere'"),
        ("http://[", "'http://['"),
        (None, "without an address"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_refused_and_its_target_named(
    make_client: "Make", caplog: pytest.LogCaptureFixture, status: int, target: str | None, shown: str
) -> None:
    """It is not followed, as the token would go there. The log names target and cure."""
    redirecting = Stub((status, {} if target is None else {"Location": target}, {}))
    try:
        with make_client(redirecting.port, retries=0, start_timeout=5.0, end_timeout=0.2).job("j") as job:
            job.advance("issues")
    finally:
        redirecting.stop()
    told = [record.getMessage() for record in caplog.records if f"HTTP {status}" in record.getMessage()]
    assert any(shown in message and ("base_url" in message or target is None) for message in told), told
    assert "secret" not in caplog.text
    assert "next=token" not in caplog.text


def test_a_client_without_a_proxy_loads_nothing_for_it() -> None:
    """The modules that read proxies are imported only where there is one."""
    code = (
        "import sys\nfrom tallymark import ProgressClient\n"
        "ProgressClient('http://tallymark.invalid:1', token='x').close()\n"
        "print('urllib.request' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert done.stdout.strip() == "False"
