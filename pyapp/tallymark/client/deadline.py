"""Bounds a whole request. A socket's timeout bounds each read only: a server that sends single bytes never ends."""

import io
import socket
import time
from http.client import HTTPResponse
from typing import Any

import urllib3


class Deadline:
    """The moment at which the request that runs must be over."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._at = 0.0

    def begin(self, seconds: float) -> None:
        """Begin a request that may take so long."""
        self._seconds, self._at = seconds, time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left, or raise TimeoutError."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"the answer was not complete after {self._seconds:g} s")
        return left


def keep_deadline(manager: urllib3.PoolManager, deadline: Deadline) -> None:
    """Make all answers on a manager's connections end by a deadline, headers and all."""
    response = type("Response", (_Response,), {"deadline": deadline})
    manager.pool_classes_by_scheme = {
        scheme: _with_response(pool, response) for scheme, pool in manager.pool_classes_by_scheme.items()
    }


def _with_response(pool: Any, response: type) -> Any:  # noqa: ANN401 - classes of urllib3
    connection = type(pool.ConnectionCls.__name__, (pool.ConnectionCls,), {"response_class": response})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class _Response(HTTPResponse):
    """An answer whose reads share a deadline."""

    deadline: Deadline

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as it is
        super().__init__(sock, *args, **options)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_Reader(raw, sock, self.deadline))


class _Reader(io.RawIOBase):
    """Reads from a socket, for as long as there is time left."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any buffer
        """Read what has come."""
        self._sock.settimeout(self._deadline.left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Close the socket, if nobody else uses it."""
        if not self.closed:
            self._raw.close()
        super().close()
