"""Every alert's link opens the page of its job, whatever its kind, its job's id and the way it came."""

import email
import email.policy
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest
from tests.watchdog.test_watchdog import fall_silent, report

if TYPE_CHECKING:
    from tests.web.conftest import Web

Connection = psycopg.Connection[Any]
TOKEN = "crawler-token"

_LINK = re.compile(r"https?://\S+")
#: A job for each kind of alert; their ids need escaping in different ways.
JOBS = {
    "stalled": "silent/job",
    "failed": "failed & ? # % + =",
    "shortfall": "short\\job",
    "credentials": "schlüssel 鍵",
    "errors": "err..ing//",
    "mismatch": '"<b>wrong</b>"',
}


class Mailbox:
    """A mail server that keeps what it is sent."""

    def __init__(self) -> None:
        """Start it."""
        self.bodies: list[str] = []
        mailbox = self

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 mailbox\r\n")
                for line in iter(self.rfile.readline, b""):
                    command = line[:4].upper()
                    if command == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        lines = iter(self.rfile.readline, b".\r\n")
                        mailbox.take(b"".join(text.removeprefix(b".") for text in lines))
                    self.wfile.write(b"221 bye\r\n" if command == b"QUIT" else b"250 fine\r\n")

        self._server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.url = (
            f"mailto://127.0.0.1:{self._server.server_address[1]}?from=a@example.com&to=b@example.com&format=text"
        )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, message: bytes) -> None:
        """Keep the text of a message."""
        body = email.message_from_bytes(message, policy=email.policy.default).get_body(("plain", "html"))
        assert body is not None
        self.bodies.append(body.get_content())

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()


class Hook:
    """A webhook that takes any body. `scheme` is that of its Apprise URL."""

    def __init__(self, scheme: str) -> None:
        """Start it."""
        self.bodies: list[str] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if "urlencoded" in (self.headers["Content-Type"] or ""):
                    body = parse_qs(body)["message"][0]
                hook.bodies.append(body.replace("\\n", "\n"))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def channels() -> Iterator[list[Mailbox | Hook]]:
    """A mailbox, and webhooks of different kinds."""
    made: list[Mailbox | Hook] = [Mailbox(), Hook("json"), Hook("form")]
    yield made
    for channel in made:
        channel.close()


def watch(db_url: str, public_url: str, channels: list[Mailbox | Hook]) -> None:
    """Do one round, which sends what there is to send."""
    command = [sys.executable, "-c", "from tallymark.cli import main; main()", "watchdog", "--database-url", db_url]
    notify = [part for channel in channels for part in ("--notify", channel.url)]
    environ = {**os.environ, "TALLYMARK_PUBLIC_URL": public_url}
    done = subprocess.run([*command, "--once", *notify], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def open_signed_in(client: httpx.Client, link: str) -> httpx.Response:
    """Open a link as a browser does that is not signed in yet; the sign-in leads on to it."""
    answer = client.get(link)
    assert answer.status_code == 303, (link, answer.status_code)
    form = client.get(answer.headers["location"])
    assert form.status_code == 200
    [wanted] = re.findall(r'data-next="([^"]*)"', form.text)
    [csrf] = re.findall(r'data-csrf="([^"]+)"', form.text)
    signed = client.post("/sign-in", headers={"Authorization": f"Bearer {TOKEN}", "X-CSRF-Token": csrf})
    assert signed.status_code == 204
    page = client.get(wanted.replace("&amp;", "&"))
    client.cookies.clear()
    assert str(page.url) == link, "the page that was asked for"
    return page


@pytest.mark.parametrize("slash", ["", "/"])
def test_every_link_of_every_alert_opens_the_page_of_its_job(
    db: Connection,
    db_url: str,
    start_web: Callable[..., "Web"],
    channels: list[Mailbox | Hook],
    slash: str,
) -> None:
    """Of each kind, at its beginning and at its end, by mail and by webhooks."""
    web = start_web(db_url)
    base = f"http://127.0.0.1:{web.port}"
    report(db, JOBS["stalled"], message="page 7")
    fall_silent(db, JOBS["stalled"])
    report(db, JOBS["failed"], status="failed", error="no answer")
    report(db, JOBS["shortfall"], status="completed", totalsByType={"pages": 9})
    report(db, JOBS["credentials"], status="credential_expiry")
    for number in range(12):
        report(db, JOBS["errors"], error=f"boom {number}")
    report(db, JOBS["mismatch"], message="m")
    db.execute('UPDATE tallymark.job SET progress = progress || \'{"message": "n"}\' WHERE id = %s', [JOBS["mismatch"]])
    watch(db_url, base + slash, channels)
    kinds = db.execute("SELECT job_id, kind FROM tallymark.current_alerts").fetchall()
    assert {kind: job for job, kind in kinds} == JOBS
    for job in JOBS.values():
        db.execute('SELECT tallymark.merge_progress(%s, \'{"status": "cancelled"}\')', [job])
        db.execute("SELECT tallymark.delete_job(%s)", [job])
    for job in JOBS.values():
        report(db, job, message="again")
    watch(db_url, base + slash, channels)

    with httpx.Client(base_url=base, timeout=30) as client:
        for channel in channels:
            assert len(channel.bodies) == 2 * len(JOBS)
            found = []
            for body in channel.bodies:
                [link] = [text.rstrip('",') for text in _LINK.findall(body) if text.startswith(base)]
                page = open_signed_in(client, link)
                assert page.status_code == 200
                assert 'id="boot"' in page.text
                place = urlsplit(link)
                assert place.path == "/job"
                found += parse_qs(place.query)["id"]
            assert sorted(found) == sorted([*JOBS.values()] * 2)
