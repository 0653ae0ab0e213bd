"""Messages as server-sent events, and how those who make them call the database."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import TypeAlias

#: Calls the database, as `Database.call` does.
Read: TypeAlias = Callable[..., list[bytes | None]]

#: How long a browser waits before it connects anew, in milliseconds.
RETRY = b"retry: 1000\n\n"


class Message:
    """Something that is told, to many perhaps."""

    def __init__(self, event: str, data: bytes, position: str | None = None) -> None:
        """Take what it says.

        Args:
            event: What kind it is of.
            data: JSON, without a line feed.
            position: What to send as `Last-Event-ID` to go on after it; None is none.
        """
        self.event = event
        self.data = data
        self.position = position

    @cached_property
    def as_event(self) -> bytes:
        """It as a server-sent event, made once."""
        name = b"" if self.position is None else b"id: %s\n" % self.position.encode()
        return b"event: %s\n%sdata: %s\n\n" % (self.event.encode(), name, self.data)

    @property
    def as_json(self) -> bytes:
        """It as JSON, for who asks once."""
        position = b"null" if self.position is None else b'"%s"' % self.position.encode()
        return b'{"event":"%s","id":%s,"data":%s}' % (self.event.encode(), position, self.data)


def beat() -> Message:
    """Make the message that says that the connection is there."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Message("beat", b'{"at":"%s"}' % at.encode())


def gone(job_id: str) -> Message:
    """Make the message that there is no such job, or not any more."""
    return Message("gone", b'{"id":%s}' % json.dumps(job_id).encode())
