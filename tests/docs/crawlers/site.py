"""A site for the examples to crawl: pages, lists in pages as GitLab and others have them, and pages with a limit."""

import http.server
import json
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

#: How many there are of everything.
MANY = 120
#: What an example may wait for in all, on a busy machine.
PATIENCE = 60.0


class Site(http.server.ThreadingHTTPServer):
    """Remembers what it served.

    Attributes:
        served: How often each path was asked for.
        limited: How often it answered that there are too many requests.
        changed: Notified of each request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.served: Counter[str] = Counter()
        self.limited = 0
        self.changed = threading.Condition()
        self._open_until: float = math.inf
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"

    def urls(self, kind: str = "pages") -> list[str]:
        """Return the addresses of all pages, in their order."""
        return [f"{self.url}/{kind}/{number}" for number in range(1, MANY + 1)]

    @contextmanager
    def held_after(self, more: int) -> Iterator[None]:
        """Answer so many more requests, and no other while the block runs, which begins when one waits."""
        with self.changed:
            self._open_until = self.served.total() + more
            assert self.changed.wait_for(lambda: self.served.total() > self._open_until, PATIENCE)
        yield
        with self.changed:
            self._open_until = math.inf
            self.changed.notify_all()

    def take(self, path: str) -> None:
        """Remember a request, and wait until it may be answered."""
        with self.changed:
            self.served[path] += 1
            number = self.served.total()
            self.changed.notify_all()
            self.changed.wait_for(lambda: number <= self._open_until, PATIENCE)

    def handle_error(self, *_: object) -> None:
        """Say nothing: a crawler that was killed does not read its answer."""


class _Answer(http.server.BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Serve what the path names."""
        parts = urlsplit(self.path)
        self.server.take(parts.path)
        kind = next(name for name in _KINDS if parts.path.startswith(name))
        _KINDS[kind](self, {name: values[0] for name, values in parse_qs(parts.query).items()})

    def page(self, _query: dict[str, str]) -> None:
        """Serve a page; the seventh is gone."""
        self.answer(f"<title>{self.path}</title> some words", status=404 if self.path == "/pages/7" else 200)

    def limited(self, query: dict[str, str]) -> None:
        """Serve a page; but every tenth one only when it is asked for again, in a second."""
        number = int(self.path.rpartition("/")[2])
        if number % 10 == 0 and self.server.served[self.path] == 1:
            self.server.limited += 1
            later = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
            self.answer("", status=429, headers={"Retry-After": later if number % 20 else "1"})
        else:
            self.page(query)

    def projects(self, query: dict[str, str]) -> None:
        """List projects by their ids, as GitLab does: the link has `id_after`, and the last page is empty."""
        if self.headers["PRIVATE-TOKEN"] != "secret":
            self.answer("", status=401)
            return
        assert (query["pagination"], query["order_by"], query["sort"]) == ("keyset", "id", "asc")
        after, many = int(query.get("id_after", 0)), min(int(query["per_page"]), 20)
        found = [{"id": n, "path_with_namespace": f"acme/{n}"} for n in range(3, 3 * MANY + 1, 3) if n > after][:many]
        self.items(found, {**query, "id_after": found[-1]["id"]} if found else None)

    def issues(self, query: dict[str, str]) -> None:
        """List issues; the link has a cursor that says nothing."""
        first = int(query.get("cursor", "eyJ0")[3:])
        found = [{"id": n, "title": f"issue {n}"} for n in range(first + 1, min(first + 20, MANY) + 1)]
        self.items(found, {**query, "cursor": f"eyJ{first + 20}"} if first + 20 < MANY else None)

    def items(self, found: list[dict[str, Any]], following: dict[str, Any] | None) -> None:
        """Answer with a page of a list, and where the next one is."""
        link = f'<{self.server.url}{urlsplit(self.path).path}?{urlencode(following)}>; rel="next"' if following else ""
        self.answer(json.dumps(found), headers={"Link": link} if link else {}, kind="application/json")

    def answer(
        self, body: str, *, status: int = 200, headers: dict[str, str] | None = None, kind: str = "text/html"
    ) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


_KINDS: dict[str, Callable[[_Answer, dict[str, str]], None]] = {
    "/pages/": _Answer.page,
    "/limited/": _Answer.limited,
    "/api/v4/projects": _Answer.projects,
    "/issues": _Answer.issues,
}
