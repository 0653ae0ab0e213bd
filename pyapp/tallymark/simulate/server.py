"""What the people around the crawlers ask of the server: commands, and jobs read back."""

import json
import time
from typing import Any
from urllib.parse import quote

import urllib3
from urllib3.exceptions import HTTPError

_TIMEOUT = 15.0
_OK = 200


class ServerError(Exception):
    """The server cannot be used. The text says why."""


class Server:
    """Speaks to the server over a good network. Safe across threads."""

    def __init__(self, url: str, token: str, *, connections: int = 4) -> None:
        """Connect to nothing yet.

        Args:
            url: Its address.
            token: One that may do everything.
            connections: How many are kept.
        """
        self._base = url.rstrip("/") + "/api/internal/jobs"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=connections, retries=False, headers=headers)

    def check(self) -> None:
        """See that the server answers and takes the token.

        Raises:
            ServerError: It does not.
        """
        status, body = self._request("GET", f"{self._base}?limit=1")
        if status != _OK:
            said = body.get("error", "") if isinstance(body, dict) else ""
            raise ServerError(f"{self._base} answers {status} {said}".rstrip())

    def job(self, job_id: str, give_up: float) -> dict[str, Any] | None:
        """Read a job.

        Args:
            job_id: The job.
            give_up: Until when to try where there is no answer, in monotonic seconds.

        Returns:
            The job; None where there is none.

        Raises:
            ServerError: No answer came.
        """
        while True:
            try:
                status, body = self._request("GET", f"{self._base}/{quote(job_id, safe='')}?timelineLimit=0")
                if status in {_OK, 404}:
                    return body if status == _OK else None
                said = f"the server answers {status}"
            except ServerError as error:
                said = str(error)
            if time.monotonic() >= give_up:
                raise ServerError(said)
            time.sleep(0.2)

    def command(self, job_id: str, command: str) -> bool:
        """Ask something of a job's crawler.

        Args:
            job_id: The job.
            command: pause, cancel or resume.

        Returns:
            Whether it was taken.
        """
        try:
            path = f"{self._base}/{quote(job_id, safe='')}/command"
            return self._request("POST", path, {"command": command})[0] == _OK
        except ServerError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _request(self, method: str, url: str, body: object = None) -> tuple[int, Any]:
        try:
            response = self._pool.request(
                method, url, body=None if body is None else json.dumps(body).encode(), timeout=_TIMEOUT
            )
            return response.status, json.loads(response.data)
        except HTTPError as error:
            raise ServerError(f"no server answers at {self._base}: {error}") from error
        except ValueError as error:
            raise ServerError(f"what answers at {self._base} is no Tallymark") from error
