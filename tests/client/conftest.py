"""The real web server of `tests/web`, and clients whose spools are in the test's own directory."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.web.conftest import TOKEN, Web, _database, start_web, web

from tallymark import ProgressClient

__all__ = ["_database", "start_web", "web"]

#: Makes a client; arguments that are not given have values that suit the tests.
Make = Callable[..., ProgressClient]


@pytest.fixture
def make_client(web: Web, tmp_path: Path) -> Iterator[Make]:
    """Makes clients that end with the test, with short waits because the server is on this machine."""
    with ExitStack() as clients:

        def make(port: int | None = None, **settings: Any) -> ProgressClient:  # noqa: ANN401 - as the client has them
            settings = {"token": TOKEN, "spool": tmp_path / "spool", "every_seconds": 0.1, "timeout": 5.0, **settings}
            return clients.enter_context(ProgressClient(f"http://127.0.0.1:{port or web.port}", **settings))

        yield make


@pytest.fixture
def name() -> str:
    """Return the id of a job that only this test uses and that is not registered."""
    return f"job_{secrets.token_hex(8)}"


class Look:
    """Reads jobs as the server has them."""

    def __init__(self, running: Web) -> None:
        """Take the server."""
        self._web = running

    def __call__(self, job_id: str) -> dict[str, Any]:
        """Return a job, with its 1000 newest events."""
        answer = self._web.call("GET", f"/api/internal/jobs/{job_id}?timelineLimit=1000")
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json
        return found

    def counts(self, job_id: str) -> tuple[dict[str, int], int]:
        """Return the totals by type, and processedItems."""
        progress = self(job_id)["progress"]
        return progress.get("itemsByType", {}), progress.get("processedItems", 0)

    def kinds(self, job_id: str) -> list[str]:
        """Return the kinds of a job's events, in their order."""
        return [event["event"] for event in self(job_id)["progress"]["timeline"]]


@pytest.fixture
def look(web: Web) -> Look:
    """Read jobs of the shared server."""
    return Look(web)
