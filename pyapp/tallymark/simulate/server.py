"""What the people around the crawlers ask of the server: commands, and jobs read back."""

import json
import time
from typing import Any
from urllib.parse import quote

import urllib3
from urllib3.exceptions import HTTPError

_TIMEOUT = 15.0
_OK, _NOT_FOUND = 200, 404
#: Seconds before a request is repeated.
_PAUSE = 0.2


class ServerError(Exception):
    """The server cannot be used. The text says why."""


class Server:
    """Calls the server over a good network, with a token that may do everything. Safe across threads."""

    def __init__(self, url: str, token: str, *, connections: int = 4) -> None:
        """Connect to nothing yet."""
        self._base = url.rstrip("/") + "/api/internal/jobs"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=connections, retries=False, headers=headers)

    def check(self) -> None:
        """Raise ServerError unless the server answers and takes the token."""
        status, body = self._request("GET", f"{self._base}?limit=1")
        if status != _OK:
            problem = body.get("error", "") if isinstance(body, dict) else ""
            raise ServerError(f"{self._base} answers {status} {problem}".rstrip())

    def job(self, job_id: str, give_up: float) -> dict[str, Any] | None:
        """Read a job, None where there is none. Without an answer by `give_up` (monotonic) raise ServerError."""
        return self._read(f"{quote(job_id, safe='')}?timelineLimit=0", give_up)

    def waits(self, job_id: str, give_up: float) -> dict[str, int]:
        """Read how often a job has waited, by reason; see `job`."""
        liveness = self._read(f"{quote(job_id, safe='')}/liveness", give_up) or {"waited": {"reasons": []}}
        return {each["reason"]: each["waits"] for each in liveness["waited"]["reasons"]}

    def _read(self, path: str, give_up: float) -> dict[str, Any] | None:
        while True:
            try:
                status, body = self._request("GET", f"{self._base}/{path}")
                if status in {_OK, _NOT_FOUND}:
                    return body if status == _OK else None
                problem = f"the server answers {status}"
            except ServerError as error:
                problem = str(error)
            if time.monotonic() >= give_up:
                raise ServerError(problem)
            time.sleep(_PAUSE)

    def command(self, job_id: str, command: str) -> bool:
        """Ask a job's crawler to pause, cancel or resume; return whether the server took that."""
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
            raise ServerError(f"the server at {self._base} is not a Tallymark") from error
