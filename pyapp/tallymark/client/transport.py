"""HTTP as the client uses it, and the interface to replace it."""

import json
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Timeout, parse_url

from tallymark.client.deadline import Deadline, keep_deadline
from tallymark.client.proxies import certificates, make_pool, proxy_for
from tallymark.client.quiet import quiet

PROGRESS_PATH = "/api/internal/jobs/progress"
JOBS_PATH = "/api/internal/jobs"
_REDIRECTS = range(300, 400)
#: The answer to a batch of 1000 updates takes less than a tenth of this.
_MOST_ANSWER_BYTES = 16 * 1024 * 1024


def job_path(job_id: str, part: str) -> str:
    """Return the path of what belongs to a job, such as `alive`."""
    name = quote(job_id, safe="")
    if name in {".", ".."}:  # they would mean other paths
        name = name.replace(".", "%2E")
    return f"{JOBS_PATH}/{name}/{part}"


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

    def __init__(self, base_url: str, token: str, *, proxy: str | None = None) -> None:
        """Prepare; nothing is connected yet. See `ProgressClient`."""
        if not isinstance(base_url, str) or not isinstance(token, str):  # type: ignore[redundant-expr]
            raise TypeError("the base URL and the token must be text")
        url = parse_url(base_url)
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError(f"the base URL must be an HTTP address such as http://127.0.0.1:8000, not {base_url!r}")
        if not token or not token.isascii() or not token.isprintable():
            raise ValueError("the token must be printable ASCII text and not empty")
        self._base = base_url.rstrip("/")
        self._deadline = Deadline()
        with quiet():
            self._pool = make_pool(
                proxy_for(url, proxy),
                num_pools=1,
                maxsize=1,
                retries=False,
                headers={
                    "Authorization": f"Bearer {token}",
                    "Content-Type": "application/json",
                    "User-Agent": "tallymark-client",
                },
                **certificates(),
            )
        keep_deadline(self._pool, self._deadline)

    def post(self, path: str, body: str, *, timeout: float) -> Answer:
        """See `Transport`."""
        self._deadline.begin(timeout)
        try:
            with quiet():
                response = self._pool.request(
                    *("POST", self._base + path),
                    body=body.encode(),
                    timeout=Timeout(total=timeout),
                    redirect=False,
                    retries=False,
                    preload_content=False,
                )
                data = _read(response)
        except (HTTPError, OSError) as error:
            raise Unreachable(str(error)) from error
        if response.status in _REDIRECTS:
            raise Unreachable(_redirected(response, self._base + path))
        try:
            parsed = json.loads(data)
        except (ValueError, RecursionError):
            parsed = None
        return Answer(response.status, parsed, _retry_after(response))

    def close(self) -> None:
        """Close the connection."""
        self._pool.clear()


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    try:
        data = response.read(_MOST_ANSWER_BYTES)
        is_whole = not response.read(1)
    except BaseException:
        # What is left of the answer must not be taken for the next one.
        response.close()
        raise
    if is_whole:
        response.release_conn()
        return data
    response.close()
    raise Unreachable(f"the answer is longer than {_MOST_ANSWER_BYTES} bytes: is this the server's address?")


def _redirected(response: urllib3.BaseHTTPResponse, asked: str) -> str:
    """Say where a redirect goes; it is not followed, because the token would go there, too."""
    target = response.headers.get("Location")
    if not target:
        return f"HTTP {response.status} without an address to go to"
    try:
        parts = urlsplit(urljoin(asked, target))
        # Without a name, a password or a query, which may be secret.
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        shown = target
    return (
        f"HTTP {response.status}: {asked} redirects to {shown[:300]!a}, which is not followed, so that the token"
        " stays here: if that is the server, give the client its address as base_url"
    )


def _retry_after(response: urllib3.BaseHTTPResponse) -> float | None:
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    try:
        # Seconds or a date: RFC 9110, 10.2.3.
        return Retry(0).parse_retry_after(value)
    except (urllib3.exceptions.InvalidHeader, ValueError):
        return None
