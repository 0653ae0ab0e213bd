"""`docs/examples/httpx_crawl.py`: killed while it crawls a real site, and started again."""

import http.server
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.client.conftest import Look
from tests.web.conftest import TOKEN, Web

_EXAMPLE = Path(__file__).parents[2] / "docs/examples/httpx_crawl.py"
_ITEMS = 80


class _Site(http.server.ThreadingHTTPServer):
    """A site that remembers what it served."""

    daemon_threads = True

    def __init__(self) -> None:
        self.served: Counter[str] = Counter()
        self.changed = threading.Condition()
        super().__init__(("127.0.0.1", 0), _Page)


class _Page(http.server.BaseHTTPRequestHandler):
    server: _Site

    def do_GET(self) -> None:
        """Serve the index or an item."""
        name = self.path.removeprefix("/")
        body = "\n".join(f"item-{number}" for number in range(_ITEMS)) if name == "index.txt" else name
        if name != "index.txt":
            with self.server.changed:
                self.server.served[name] += 1
                self.server.changed.notify_all()
                # Slow, so that a kill comes during the crawl.
                self.server.changed.wait(0.01)
        self.send_response(200 if name != "item-7" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[_Site]:
    """The site, at work."""
    with _Site() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_the_example_can_be_killed_and_counts_each_item_once(
    web: Web, site: _Site, name: str, look: Look, tmp_path: Path
) -> None:
    """Four kills; items that were being fetched are fetched again, and counted once."""
    environ = {
        **os.environ,
        "TALLYMARK_URL": f"http://127.0.0.1:{web.port}",
        "CRAWLER_API_TOKEN": TOKEN,
        "SPOOL": str(tmp_path / "spool"),
    }
    command = [sys.executable, str(_EXAMPLE), f"http://127.0.0.1:{site.server_port}", name]
    chance = random.Random(7)
    for _ in range(4):
        with subprocess.Popen(command, env=environ) as crawl:
            until = site.served.total() + chance.randint(3, 20)
            with site.changed:
                assert site.changed.wait_for(lambda until=until: site.served.total() >= until, 30)  # type: ignore[misc]
            crawl.kill()
    subprocess.run(command, env=environ, check=True, timeout=60)
    assert len(site.served) == _ITEMS
    assert look.counts(name) == ({"items": _ITEMS}, _ITEMS)
    found = look(name)
    assert found["status"] == "finished"
    assert "error" in look.kinds(name)
    assert web.call("GET", f"/api/internal/jobs/{name}").json["progress"]["lastProcessedId"] == f"item-{_ITEMS - 1}"
