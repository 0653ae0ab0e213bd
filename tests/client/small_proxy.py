"""A small HTTP proxy, run as a process: forwards requests and CONNECT, sends all names to this machine, and logs them.

Run as `small_proxy.py [NAME:PASSWORD]`; the first line that it prints is its port, the others are what was asked.
"""

import base64
import select
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ASKS_FOR = sys.argv[1] if len(sys.argv) > 1 else None


def say(line: str) -> None:
    """Tell the process that runs this one."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Proxy(BaseHTTPRequestHandler):
    """Serves one connection."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Forward a request."""
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._is_allowed():
            return
        with socket.create_connection(("127.0.0.1", url.port or 80)) as server:
            head = [f"POST {url.path} HTTP/1.1"]
            head += [f"{name}: {value}" for name, value in self.headers.items() if not name.startswith("Proxy-")]
            server.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode() + body)
            while part := server.recv(65_536):
                self.wfile.write(part)
        self.close_connection = True

    def do_CONNECT(self) -> None:
        """Make a tunnel."""
        if not self._is_allowed():
            return
        with socket.create_connection(("127.0.0.1", int(self.path.rpartition(":")[2]))) as server:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            self.wfile.flush()
            ends = {self.connection: server, server: self.connection}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    part = end.recv(65_536)
                    if not part:
                        self.close_connection = True
                        return
                    ends[end].sendall(part)

    def _is_allowed(self) -> bool:
        say(f"{self.command} {self.path}")
        given = self.headers.get("Proxy-Authorization", "")
        if ASKS_FOR is None or given == f"Basic {base64.b64encode(ASKS_FOR.encode()).decode()}":
            return True
        self.send_response(407)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def log_message(self, *_args: object) -> None:
        """Log nothing else."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
threading.Thread(target=server.serve_forever, daemon=True).start()
say(str(server.server_address[1]))
sys.stdin.read()
