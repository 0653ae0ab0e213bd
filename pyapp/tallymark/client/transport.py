"""HTTP as the client uses it, and the interface to replace it."""

import json
from typing import Any, NamedTuple, Protocol

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, parse_url

from tallymark.client.quiet import quiet

PROGRESS_PATH = "/api/internal/jobs/progress"
JOBS_PATH = "/api/internal/jobs"


def as_json(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return compact JSON, as it is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Unreachable(Exception):  # noqa: N818 - it names a state of the server
    """No answer came. The server may have handled the request all the same."""


class Answer(NamedTuple):
    """An answer of the server. `body` is the parsed JSON, or None if it is not JSON; `retry_after` is in seconds."""

    status: int
    body: Any
    retry_after: float | None = None


class Transport(Protocol):
    """What the client needs of HTTP. Used by one thread at a time."""

    def post(self, path: str, body: str, *, timeout: float) -> Answer:
        """Send JSON to a path below the base URL; return any answer, or raise Unreachable. `timeout`: in seconds."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class HttpTransport:
    """The transport over real HTTP."""

    def __init__(self, base_url: str, token: str) -> None:
        url = parse_url(base_url)
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError(f"the base URL must be an HTTP address such as http://127.0.0.1:8000, not {base_url!r}")
        if not token or not token.isascii() or not token.isprintable():
            raise ValueError("the token must be printable ASCII text and not empty")
        self._base = base_url.rstrip("/")
        with quiet():
            self._pool = urllib3.PoolManager(
                num_pools=1,
                maxsize=1,
                retries=False,
                headers={
                    "Authorization": f"Bearer {token}",
                    "Content-Type": "application/json",
                    "User-Agent": "tallymark-client",
                },
            )

    def post(self, path: str, body: str, *, timeout: float) -> Answer:
        """See `Transport`."""
        try:
            with quiet():
                response = self._pool.request(
                    "POST", self._base + path, body=body.encode(), timeout=timeout, redirect=False, retries=False
                )
                data = response.data
        except HTTPError as error:
            raise Unreachable(str(error)) from error
        try:
            parsed = json.loads(data)
        except ValueError:
            parsed = None
        return Answer(response.status, parsed, _retry_after(response))

    def close(self) -> None:
        """Close the connection."""
        self._pool.clear()


def _retry_after(response: urllib3.BaseHTTPResponse) -> float | None:
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    try:
        # Seconds or a date: RFC 9110, 10.2.3.
        return Retry(0).parse_retry_after(value)
    except (urllib3.exceptions.InvalidHeader, ValueError):
        return None
