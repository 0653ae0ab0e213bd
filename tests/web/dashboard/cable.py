"""A cable between a browser and the server, which can be pulled."""

import contextlib
import select
import socket
import struct
import threading
import time
from typing import Self

_HOST = "127.0.0.1"
#: Closing with this sends a reset.
_RESET = struct.pack("ii", 1, 0)
#: Identifies the answer that is a stream.
_STREAM = b"text/event-stream"


class Cable:
    """Forwards connections to a port of this machine, unless it is pulled; a context manager.

    Attributes:
        port: The port that it listens on.
    """

    def __init__(self, upstream: int) -> None:
        """Say which port connections are passed on to."""
        self._upstream = upstream
        self._listener = socket.create_server((_HOST, 0), backlog=100)
        self._listener.settimeout(0.1)
        self.port = int(self._listener.getsockname()[1])
        self._ended = threading.Event()
        #: Held while data is forwarded, so that nothing is forwarded after the cable was pulled.
        self._passing = threading.Lock()
        self._refusing = threading.Event()
        self._silent = threading.Event()
        self._keeping = threading.Event()
        self._threads = [threading.Thread(target=self._listen, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def cut(self) -> None:
        """Reset all connections, and refuse new ones: both ends notice."""
        with self._passing:
            self._refusing.set()

    def pull(self) -> None:
        """Forward nothing any more, without a sign: connections stay open, and wait."""
        with self._passing:
            self._silent.set()

    def keep_streams(self) -> None:
        """Hold back the bodies of event streams, like proxies that forward only complete answers."""
        self._keeping.set()

    def mend(self) -> None:
        """Forward everything again, including what waited, as TCP does."""
        self._refusing.clear()
        self._silent.clear()
        self._keeping.clear()

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                browser, _address = self._listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=self._serve, args=(browser,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, browser: socket.socket) -> None:
        with browser, socket.create_connection((_HOST, self._upstream)) as server:
            others = {browser: server, server: browser}
            while not self._ended.is_set():
                if self._refusing.is_set():
                    browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    return
                if self._silent.is_set():
                    time.sleep(0.02)
                    continue
                ready, _, _ = select.select([*others], [], [], 0.05)
                for end in ready:
                    passed = self._pass_on(end, others[end])
                    if passed == b"":
                        return
                    if end is server and self._keeping.is_set() and passed and _STREAM in passed:
                        # Further data stays in the server's socket; the browser may still send.
                        del others[server]

    def _pass_on(self, end: socket.socket, other: socket.socket) -> bytes | None:
        """Forward what came from one end, unless the cable was pulled meanwhile, and return it; b"" is the end."""
        with self._passing, contextlib.suppress(OSError):
            if self._refusing.is_set() or self._silent.is_set():
                return None
            chunk = end.recv(65536)
            if self._keeping.is_set() and chunk.startswith(b"HTTP/") and _STREAM in chunk:
                chunk = chunk[: chunk.index(b"\r\n\r\n") + 4]
            other.sendall(chunk)
            return chunk
        return b""
