"""A small site on this machine, whose pages are linked to each other. It remembers what it served."""

import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Site:
    """Serves /page/0, /page/1 and so on.

    /moved/1 leads to /page/1, and /busy/1 is busy at first. Any other path is a 404.
    """

    def __init__(self, pages: int, *, seconds: float = 0.0, jitter: float = 0.0) -> None:
        """Prepare; nothing is served yet.

        Args:
            pages: The number of pages.
            seconds: How long each page takes; they are served one after the other.
            jitter: How many seconds each page may take before that, so that pages that are asked for at the same time
                are served in another order.
        """
        self._jitter = jitter
        self._busy: set[str] = set()
        self.served: Counter[str] = Counter()
        #: After this many pages, requests wait until this is None again.
        self.hold_at: int | None = None
        self._asked: set[int] = set()
        self._pages = pages
        self._seconds = seconds
        self._one_at_a_time = threading.Lock()
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site._asked.add(id(self))
                try:
                    status, body, location = site._answer(self.path)
                finally:
                    site._asked.discard(id(self))
                self.send_response(status)
                if location:
                    self.send_header("Location", location)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_args: object) -> None:
                """Say nothing: crawlers that are killed break their connections."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        """Serve."""
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def start(self) -> str:
        """The address of the first page."""
        return f"{self.url}/page/0"

    def is_quiet(self) -> bool:
        """Return whether no request waits for a page, not even one of a killed crawl."""
        return not self._asked

    def _answer(self, path: str) -> tuple[int, bytes, str | None]:
        if path.startswith("/moved/"):
            return 302, b"", path.replace("/moved/", "/page/")
        if path.startswith("/busy/") and path not in self._busy:
            self._busy.add(path)
            return 503, b"busy", None
        status, body = self._page(path.replace("/busy/", "/page/"))
        return status, body, None

    def _page(self, path: str) -> tuple[int, bytes]:
        number = path.removeprefix("/page/")
        if not number.isdecimal() or int(number) >= self._pages:
            return 404, b"no such page"
        # Not a matter of security.
        time.sleep(random.uniform(0.0, self._jitter))
        with self._one_at_a_time:
            time.sleep(self._seconds)
            while self.hold_at is not None and self.served.total() >= self.hold_at:
                time.sleep(0.005)
            self.served[path] += 1
        page = int(number)
        # A tree with links back and across, so that there are many requests, and pages are found several times.
        linked = {3 * page + 1, 3 * page + 2, 3 * page + 3, page // 3, (7 * page + 5) % self._pages}
        links = "".join(f'<a href="/page/{other}">{other}</a>' for other in sorted(linked) if other < self._pages)
        return 200, f"<title>Page {page}</title>{links}".encode()
