"""Reads a stream of events like a browser."""

import http.client
import json
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import psycopg
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from tests.web.conftest import Web

#: Seconds to wait for anything, also on a busy machine.
PATIENCE = 20.0


@dataclass(frozen=True)
class Told:
    """A message of a stream."""

    event: str
    id: str | None
    data: Any

    @property
    def seq(self) -> int:
        """The number of the job's last event, with which the id begins; 0 without an id."""
        return int((self.id or "0").partition("-")[0])


class Watching:
    """A stream, read like a browser reads it."""

    def __init__(self, web: "Web", *, token: str = TOKEN, last: int | str | None = None, **query: object) -> None:
        """Open it. `last` is the id of the last message that the client has, or only the number in it."""
        self._connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=PATIENCE)
        self._connection.sock = self._socket = _narrow_socket(web.port)
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        self._connection.request("GET", f"/events?{urlencode(query)}", headers=headers)
        self.answer = self._connection.getresponse()
        self.id = None if last is None else str(last)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.answer.close()
        self._connection.close()

    def cut(self) -> None:
        """Break the connection in the middle, like a network fault."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self.close()

    @property
    def last(self) -> int:
        """The number of the last event that came."""
        return int((self.id or "0").partition("-")[0])

    def messages(self) -> Iterator[Told]:
        """Yield all further messages until the server ends the stream."""
        fields: dict[str, str] = {}
        while line := self.answer.readline():
            text = line.decode().rstrip("\n")
            if text:
                name, _, value = text.partition(": ")
                fields[name] = value
            else:
                if "event" in fields:
                    told = Told(fields["event"], fields.get("id"), json.loads(fields["data"]))
                    self.id = told.id or self.id
                    yield told
                fields = {}

    def next(self, event: str) -> Any:  # noqa: ANN401 - whatever the data is
        """Return the data of the next message of a kind."""
        give_up = time.monotonic() + PATIENCE
        for told in self.messages():
            if told.event == event:
                return told.data
            assert time.monotonic() < give_up, f"no {event}"
        raise AssertionError(f"the stream ended before any {event}")

    def seqs_up_to(self, last: int) -> list[int]:
        """Return the numbers of the events in the messages up to this one."""
        seqs: list[int] = []
        while not seqs or seqs[-1] < last:
            data = self.next("job")
            assert data["skipped"] == 0
            assert data["lastSeq"] == data["job"]["lastSeq"] == self.last
            seqs += [event["seq"] for event in data["events"]]
        return seqs


def _narrow_socket(port: int) -> socket.socket:
    """Connect with the smallest buffers that the kernel allows."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.settimeout(PATIENCE)
    narrow.connect(("127.0.0.1", port))
    return narrow


def new_job_id() -> str:
    """Return an id that no job has."""
    return f"live_{secrets.token_hex(8)}"


def ledger(url: str, job_id: str, after: int = 0) -> list[int]:
    """Return the numbers of a job's events after a given one."""
    with psycopg.connect(url) as connection:
        query = "SELECT seq FROM tallymark.job_event WHERE job_id = %s AND seq > %s ORDER BY seq"
        return [seq for (seq,) in connection.execute(query, (job_id, after))]


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    give_up = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.05)
