"""Clients that stop reading do not keep their place among the streams forever."""

import secrets
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.web.watching import PATIENCE

if TYPE_CHECKING:
    from tests.web.conftest import Web

_HEAD = b"HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer crawler-token\r\nAccept: text/event-stream\r\n\r\n"
_PLACES = 3
_JOBS = 30


@pytest.mark.faults
@pytest.mark.timeout(180)
def test_who_takes_nothing_of_a_stream_loses_it(
    start_web: Callable[..., "Web"], db_url: str, update: Callable[..., dict[str, object]]
) -> None:
    """The system drops such a connection after 20 s, and the next client gets its place."""
    web = start_web(db_url, TALLYMARK_STREAMS=str(_PLACES))
    for number in range(_JOBS):
        web.register(f"j{number}")

    def fill() -> None:
        """Change the page by more than a connection's buffers hold, in several rounds."""
        for number in range(_JOBS):
            stage = secrets.token_hex(40)
            web.report(update(f"j{number}", stage=stage, error={"type": "e", "message": stage * 3}, message="m" * 900))

    def is_free() -> bool:
        with socket.create_connection(("127.0.0.1", web.port), timeout=20) as plain:
            plain.sendall(b"GET /events?job=j1 " + _HEAD)
            return plain.recv(100).startswith(b"HTTP/1.1 200")

    with ExitStack() as held:
        for _ in range(_PLACES):
            stuck = held.enter_context(socket.socket())
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect(("127.0.0.1", web.port))
            stuck.sendall(b"GET /events?limit=1000 " + _HEAD)
            stuck.settimeout(PATIENCE)
            assert stuck.recv(12) == b"HTTP/1.1 200", "it has a place, and takes no more of what is sent"
        assert not is_free()
        give_up = time.monotonic() + 150
        while not is_free():
            assert time.monotonic() < give_up
            fill()
