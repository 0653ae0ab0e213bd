"""How the client speaks HTTP."""

import json
from typing import Any, NamedTuple, Protocol

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, parse_url

PROGRESS_PATH = "/api/internal/jobs/progress"
JOBS_PATH = "/api/internal/jobs"


def as_json(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Write JSON as it is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Unreachable(Exception):  # noqa: N818 - what is unreachable, not an error of ours
    """No answer came. What was asked may have been done all the same."""


class Answer(NamedTuple):
    """An answer of the server's. `body` is read as JSON, None where it is none; `retry_after` is in seconds."""

    status: int
    body: Any
    retry_after: float | None = None


class Transport(Protocol):
    """What the client needs of HTTP. Used by one thread at a time."""

    def post(self, path: str, body: str, *, timeout: float) -> Answer:
        """Send JSON to a path below the base URL; return the answer, whatever its status, or raise Unreachable."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class HttpTransport:
    """The transport over real HTTP."""

    def __init__(self, base_url: str, token: str) -> None:
        url = parse_url(base_url)
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError(f"the base URL must be that of a server, such as http://127.0.0.1:8000, not {base_url!r}")
        if not token or not token.isascii() or not token.isprintable():
            raise ValueError("the token must be ASCII text")
        self._base = base_url.rstrip("/")
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
        """Send a request; see `Transport`."""
        try:
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
        # Seconds or a date, as RFC 9110 10.2.3 has it.
        return Retry(0).parse_retry_after(value)
    except (urllib3.exceptions.InvalidHeader, ValueError):
        return None
